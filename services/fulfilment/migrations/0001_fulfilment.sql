-- What goes to the customer and what comes back. The outbox, the cursors and the request ids have migrations of their own.

-- How far each order's facts have been read, so that a withdrawal can tell whether it knows all that its caller knows.
create table followed_order (
    order_id uuid   primary key,
    -- Version of the order's newest event read.
    version  bigint not null constraint followed_order_version_counts check (version > 0)
-- Every event of an order moves its row: room for that, and no other index, keeps the update in the page.
) with (fillfactor = 70);

-- What holds for all fulfilment orders of an order; written once, when the order is confirmed.
create table confirmed_order (
    order_id           uuid     primary key,
    order_number       text     not null,
    -- pesan.order.v1.FulfilmentPolicy: 1 standard, 2 straight through.
    fulfilment_policy  smallint not null constraint confirmed_order_policy_known check (fulfilment_policy in (1, 2)),
    -- The address as the order gave it; null where it gave none.
    ship_to            jsonb
);

-- People see it as "FO-000123".
create sequence fulfilment_order_number;

create table fulfilment_order (
    id            uuid        primary key,
    number        bigint      not null constraint fulfilment_order_number_once unique,
    order_id      uuid        not null,
    -- Nil: a service that is tied to no place.
    location_id   uuid        not null,
    -- The order's event that asked for it.
    order_version bigint      not null,
    -- Counts its own events.
    version       bigint      not null constraint fulfilment_order_version_counts check (version > 0),
    -- Sums of its lines.
    allocated     bigint      not null constraint fulfilment_order_has_work check (allocated > 0),
    withdrawn     bigint      not null default 0,
    short         bigint      not null default 0,
    picked        bigint      not null default 0,
    shipped       bigint      not null default 0,
    -- When things happened in business.
    created_at    timestamptz not null,
    picked_at     timestamptz,
    packed_at     timestamptz,
    shipped_at    timestamptz,
    delivered_at  timestamptz,
    recorded_at   timestamptz not null default now(),
    -- pesan.fulfilment.v1.FulfilmentState, derived so that it cannot contradict what happened.
    state         smallint    not null generated always as (
        case when withdrawn + short = allocated then 6
             when delivered_at is not null then 5
             when shipped_at is not null then 4
             when packed_at is not null then 3
             when picked_at is not null then 2
             else 1 end) stored,

    -- An event of an order makes one fulfilment order for a location. Also finds all of an order.
    constraint fulfilment_order_once_per_cause unique (order_id, order_version, location_id),
    constraint fulfilment_order_conserved check (
        withdrawn >= 0 and short >= 0 and picked >= 0 and withdrawn + short + picked <= allocated),
    -- Picking settles every unit: picked, short, or withdrawn before.
    constraint fulfilment_order_picked_whole check (
        case when picked_at is null then picked = 0 and short = 0 else withdrawn + short + picked = allocated end),
    -- Goods issue takes everything picked, and nothing leaves before it.
    constraint fulfilment_order_ships_what_is_picked check (
        shipped = case when shipped_at is null then 0 else picked end),
    constraint fulfilment_order_steps_in_turn check (
        (packed_at is null or (picked > 0 and picked_at is not null and picked_at <= packed_at))
        and (shipped_at is null or (packed_at is not null and packed_at <= shipped_at))
        and (delivered_at is null or (shipped_at is not null and shipped_at <= delivered_at)))
) with (fillfactor = 80);
-- The work list: what is open, picked or packed, of one location or all, oldest first. History has no entry here.
create index fulfilment_order_work on fulfilment_order (id, location_id) where state <= 3;

-- No foreign key: half a million lines of history would each look up the row that the same statement's neighbour wrote.
-- The proof compares lines and their fulfilment orders both ways.
create table fulfilment_line (
    fulfilment_order_id uuid    not null,
    -- The order line's number.
    line_no             integer not null,
    sku                 text    not null,
    -- False for services: nothing to fetch from a shelf.
    stocked             boolean not null,
    allocated           bigint  not null constraint fulfilment_line_has_work check (allocated > 0),
    withdrawn           bigint  not null default 0,
    short               bigint  not null default 0,
    picked              bigint  not null default 0,
    shipped             bigint  not null default 0,
    primary key (fulfilment_order_id, line_no),
    -- What is left of allocated is open.
    constraint fulfilment_line_conserved check (
        withdrawn >= 0 and short >= 0 and picked >= 0 and withdrawn + short + picked <= allocated),
    constraint fulfilment_line_ships_what_is_picked check (shipped = 0 or shipped = picked)
) with (fillfactor = 80);

create table parcel (
    fulfilment_order_id uuid    not null constraint parcel_of_fulfilment_order references fulfilment_order,
    parcel_no           integer not null constraint parcel_no_from_one check (parcel_no > 0),
    -- 0: unknown.
    weight_grams        bigint  not null constraint parcel_weight_not_negative check (weight_grams >= 0),
    -- The carrier that was asked for a label: written before it is asked, so that a label whose answer got lost is asked
    -- for again where it was made.
    carrier             text,
    -- As the carrier gave it.
    tracking_number     text,
    primary key (fulfilment_order_id, parcel_no),
    constraint parcel_label_has_carrier check (tracking_number is null or carrier is not null),
    constraint parcel_tracked_once unique (carrier, tracking_number)
);

create table expected_return (
    return_id    uuid        primary key,
    -- "RMA-000012", given by the order service.
    number       text        not null constraint expected_return_number_once unique,
    order_id     uuid        not null,
    requested_at timestamptz not null,
    -- Counts its receipts, each of which is one event.
    version      bigint      not null default 0 constraint expected_return_version_counts check (version >= 0),
    -- Sums of its lines.
    expected     bigint      not null constraint expected_return_not_empty check (expected > 0),
    received     bigint      not null default 0,
    constraint expected_return_not_exceeded check (received between 0 and expected)
) with (fillfactor = 80);
-- All returns of some orders, for the digests.
create index expected_return_order on expected_return (order_id);
-- The work list: with something still to come, oldest first.
create index expected_return_open on expected_return (return_id) where received < expected;

create table expected_return_line (
    return_id       uuid    not null constraint expected_return_line_of_return references expected_return,
    -- The order line's number.
    line_no         integer not null,
    sku             text    not null,
    reason          text    not null,
    expected        bigint  not null constraint expected_return_line_not_empty check (expected > 0),
    sellable        bigint  not null default 0,
    damaged         bigint  not null default 0,
    -- What is credited when all of it came back, without tax; null: the share of what was invoiced.
    credit          numeric,
    credit_currency text,
    primary key (return_id, line_no),
    constraint expected_return_line_not_exceeded check (
        sellable >= 0 and damaged >= 0 and sellable + damaged <= expected),
    constraint expected_return_line_credit_has_currency check ((credit is null) = (credit_currency is null))
) with (fillfactor = 80);

-- What came back and when: only added to. Σ of a return's receipts is what its lines say.
create table return_receipt (
    return_id   uuid        not null constraint return_receipt_of_return references expected_return,
    -- From 1; also the version of its event.
    receipt_no  bigint      not null,
    received_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    primary key (return_id, receipt_no)
);

create table return_receipt_line (
    return_id   uuid    not null,
    receipt_no  bigint  not null,
    line_no     integer not null,
    location_id uuid    not null,
    sellable    bigint  not null,
    damaged     bigint  not null,
    -- Of the inspection; may be empty.
    note        text    not null,
    -- Its share of the line's credit, in the line's currency.
    credit      numeric,
    primary key (return_id, receipt_no, line_no),
    constraint return_receipt_line_of_receipt foreign key (return_id, receipt_no) references return_receipt,
    constraint return_receipt_line_not_empty check (sellable >= 0 and damaged >= 0 and sellable + damaged > 0)
);
