-- Who orders; mirrored from a CRM.
create table customer (
    customer_id uuid primary key,
    external_id text   not null constraint customer_external_id_unique unique,
    name        text   not null,
    email       text   not null,
    segment     text   not null,
    sales_rep   text   not null,
    -- Encoded pesan.type.v1.Address messages, in the order given.
    addresses   bytea[] not null,
    -- Counts the changes: the version of its newest event.
    version     bigint not null,
    constraint customer_addresses_few check (cardinality(addresses) <= 20)
);

-- For people: SO-000123. Gaps are allowed.
create sequence order_number;

-- One row an order. The quantities are the sums of its lines' and change with them, in one transaction. No column that
-- changes is in an index, so that changes stay on the page.
create table orders (
    order_id           uuid        primary key,
    number             bigint      not null default nextval('order_number') constraint orders_number_unique unique,
    channel            text        not null,
    -- Null where the channel gave none.
    external_id        text,
    -- Null where the caller gave none.
    request_id         uuid        constraint orders_request_id_unique unique,
    -- SHA-256 of what was asked for, to tell a repeat from another order with the same request id.
    request_hash       bytea       not null,
    -- Null for a guest.
    customer_id        uuid        constraint orders_customer_known references customer,
    currency           text        not null,
    -- Encoded pesan.type.v1.Address.
    ship_to            bytea       not null,
    -- pesan.order.v1.PaymentMethod, ReservationPolicy, FulfilmentPolicy: the numbers of the protos.
    payment_method     smallint    not null,
    reservation_policy smallint    not null,
    fulfilment_policy  smallint    not null,
    -- The payment provider's; forgotten when the order is settled.
    payment_token      text,
    priority           smallint    not null,
    sales_rep          text        not null,
    placed_at          timestamptz not null,
    recorded_at        timestamptz not null,
    -- W3C context of the trace that placed it: its whole journey goes on in that trace.
    traceparent        text,
    line_count         integer     not null,
    gross              numeric     not null,
    discount           numeric     not null,
    tax                numeric     not null,
    -- Version of its newest event.
    version            bigint      not null,
    -- Version of inventory's newest fact about this order that the quantities include.
    inventory_version  bigint      not null default 0,
    confirmed_at       timestamptz,
    rejected           boolean     not null default false,
    -- How many holds there are.
    holds              integer     not null default 0,
    ordered            bigint      not null,
    reserved           bigint      not null default 0,
    backordered        bigint      not null default 0,
    cancelled          bigint      not null default 0,
    shipped            bigint      not null default 0,
    delivered          bigint      not null default 0,
    returned           bigint      not null default 0,
    invoiced           bigint      not null default 0,
    refunded           bigint      not null default 0,
    -- pesan.order.v1.OrderState, by the same rule as in the code: a status cannot be apart from what it is derived from.
    state              smallint    not null generated always as (
        case when rejected then 5
             when cancelled = ordered then 6
             when holds > 0 then 4
             when confirmed_at is null then 1
             when shipped > 0 and shipped + cancelled = ordered
                  then case when delivered = shipped and invoiced >= shipped then 9 else 8 end
             when shipped > 0 then 7
             when backordered > 0 then 3
             else 2
        end) stored,
    constraint orders_external_id_unique unique (channel, external_id),
    constraint orders_quantities_not_negative check (
        ordered > 0 and reserved >= 0 and backordered >= 0 and cancelled >= 0 and shipped >= 0 and delivered >= 0
        and returned >= 0 and invoiced >= 0 and refunded >= 0 and holds >= 0),
    constraint orders_quantities_conserved check (
        reserved + backordered + cancelled + shipped <= ordered and delivered <= shipped and returned <= shipped
        and invoiced <= ordered and refunded <= ordered),
    constraint orders_rejected_holds_nothing check (
        not rejected or (confirmed_at is null and reserved = 0 and backordered = 0 and shipped = 0)),
    constraint orders_amounts_possible check (gross >= 0 and discount between 0 and gross and tax >= 0),
    constraint orders_priority_bounded check (priority between 0 and 9)
) with (fillfactor = 70);
-- For ListOrders, newest first.
create index orders_by_time on orders (placed_at desc, order_id desc);
-- For ListOrders of one customer.
create index orders_by_customer on orders (customer_id, placed_at desc, order_id desc) where customer_id is not null;

-- Quantities fit an integer: at most 1,000,000,000 are ordered. Without a foreign key to orders, which would be looked
-- up for every line; the proof compares the two.
create table order_line (
    order_id       uuid    not null,
    line_no        integer not null,
    sku            text    not null,
    description    text    not null,
    unit_price     numeric not null,
    -- unit_price × ordered, rounded to the currency's minor unit.
    line_total     numeric not null,
    discount       numeric not null,
    tax            numeric not null,
    ordered        integer not null,
    reserved       integer not null default 0,
    backordered    integer not null default 0,
    cancelled      integer not null default 0,
    shipped        integer not null default 0,
    delivered      integer not null default 0,
    returned       integer not null default 0,
    invoiced       integer not null default 0,
    refunded       integer not null default 0,
    -- False for service items: nothing to pick. Known once it is promised.
    stocked        boolean not null default true,
    -- Allocations, in the row because nearly every line has just one: where, how much is reserved there, how much left
    -- from there.
    alloc_location uuid[]    not null default '{}',
    alloc_reserved integer[] not null default '{}',
    alloc_shipped  integer[] not null default '{}',
    primary key (order_id, line_no),
    constraint order_line_quantities_not_negative check (
        ordered > 0 and reserved >= 0 and backordered >= 0 and cancelled >= 0 and shipped >= 0 and delivered >= 0
        and returned >= 0 and invoiced >= 0 and refunded >= 0),
    constraint order_line_quantities_conserved check (
        reserved::bigint + backordered + cancelled + shipped <= ordered and delivered <= shipped and returned <= shipped
        and invoiced <= ordered and refunded <= ordered),
    constraint order_line_amounts_possible check (line_total >= 0 and discount between 0 and line_total and tax >= 0),
    constraint order_line_allocations_even check (
        cardinality(alloc_location) = cardinality(alloc_reserved) and cardinality(alloc_location) = cardinality(alloc_shipped))
) with (fillfactor = 70);

-- Why an order waits. Deleted when it is lifted: the events remember.
create table hold (
    hold_id   uuid        primary key,
    order_id  uuid        not null constraint hold_of_an_order references orders,
    reason    text        not null,
    note      text        not null,
    owner     text        not null,
    placed_at timestamptz not null
);
-- For an order's holds.
create index hold_by_order on hold (order_id);

-- Why an order was refused.
create table rejection (
    order_id uuid    not null constraint rejection_of_an_order references orders,
    place    integer not null,
    field    text    not null,
    reason   text    not null,
    message  text    not null,
    primary key (order_id, place)
);

-- One row for each order that is not settled yet. A worker that takes a job moves due_at ahead: that is its lease, and
-- when it dies the job falls due again.
create table saga_job (
    order_id uuid        primary key,
    due_at   timestamptz not null,
    attempts integer     not null default 0
);
-- For the worker: what is due, longest first.
create index saga_job_due on saga_job (due_at);

-- A cancellation for which fulfilment is being asked to let go: written before it is asked, so that a grant is never
-- forgotten. One at a time for an order.
create table cancellation (
    order_id   uuid        primary key constraint cancellation_of_an_order references orders,
    request_id uuid        not null constraint cancellation_request_id_unique unique,
    -- Encoded pesan.order.v1.CancelOrderRequest.
    request    bytea       not null,
    -- Encoded pesan.fulfilment.v1.WithdrawLinesRequest: what is asked for now, under its own request id.
    ask        bytea       not null,
    -- The same message, holding all that was let go already.
    granted    bytea       not null,
    due_at     timestamptz not null,
    attempts   integer     not null default 0
) with (fillfactor = 70);

-- For people: RMA-000012. Gaps are allowed.
create sequence rma_number;

-- A permission to send goods back.
create table rma (
    return_id    uuid        primary key,
    number       bigint      not null default nextval('rma_number') constraint rma_number_unique unique,
    order_id     uuid        not null constraint rma_of_an_order references orders,
    -- Null where none was given.
    external_id  text,
    -- pesan.order.v1.ReturnHandling.
    handling     smallint    not null,
    requested_at timestamptz not null,
    -- Counts the changes.
    version      bigint      not null,
    -- Also finds the returns of an order.
    constraint rma_external_id_unique unique (order_id, external_id)
) with (fillfactor = 80);
-- For ListReturns, newest first.
create index rma_by_time on rma (requested_at desc, return_id desc);

create table rma_line (
    return_id uuid    not null constraint rma_line_of_a_return references rma,
    line_no   integer not null,
    quantity  integer not null,
    -- What did come back.
    received  integer not null default 0,
    reason    text    not null,
    -- What is credited for all of it; null: the share of what was invoiced.
    credit    numeric,
    primary key (return_id, line_no),
    constraint rma_line_received_bounded check (quantity > 0 and received between 0 and quantity),
    constraint rma_line_credit_not_negative check (credit >= 0)
) with (fillfactor = 80);
