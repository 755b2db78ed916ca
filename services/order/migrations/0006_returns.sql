-- Return policies and resolutions.

-- What may be returned, how long and at what price.
create table return_policy (
    name   text    primary key,
    rank   integer not null,
    -- Encoded pesan.order.v1.ReturnPolicy.
    policy bytea   not null
);

alter table orders
    -- Of the last shipment and the last delivery: when the return window begins.
    add column shipped_at timestamptz,
    add column delivered_at timestamptz,
    -- The return it was placed for; never changes.
    add column return_id uuid,
    -- Σ of the goodwill granted on it, with tax.
    add column goodwill numeric not null default 0 constraint orders_goodwill_not_negative check (goodwill >= 0);
-- For the orders that were placed for a return: at most one each.
create unique index orders_of_return on orders (return_id) where return_id is not null;

alter table rma
    -- pesan.order.v1.ReturnState, as far as people decide it: APPROVED stands for all that follows from the goods.
    add column stage smallint not null default 3,
    -- pesan.order.v1.ReturnResolution.
    add column resolution smallint not null default 1,
    -- Encoded pesan.order.v1.ExchangeWish; its payment token is forgotten when the order is placed.
    add column wish bytea,
    -- The linked order is placed when it is approved.
    add column advance boolean not null default false,
    -- Of the policy: sends repaired goods back; may be empty.
    add column service_sku text not null default '';

alter table rma_line
    -- Will not come back any more.
    add column released integer not null default 0,
    -- pesan.order.v1.ReturnCondition: as announced.
    add column condition smallint not null default 0,
    -- Taken off for restocking when all is received; null: none.
    add column fee numeric,
    add column serial text not null default '',
    add column claim text not null default '',
    add constraint rma_line_released_bounded check (released >= 0 and received::bigint + released <= quantity),
    add constraint rma_line_fee_not_negative check (fee >= 0);

-- What people, or a policy, did with a return: only added to.
create table rma_step (
    return_id uuid        not null constraint rma_step_of_a_return references rma,
    step_no   integer     not null,
    at        timestamptz not null,
    -- pesan.order.v1.ReturnState: what it came to.
    state     smallint    not null,
    -- Who; empty for what happened by itself.
    by_whom   text        not null,
    note      text        not null,
    primary key (return_id, step_no)
);

-- Goods that came back and were not as announced.
create table rma_discrepancy (
    -- Given by fulfilment; ascending by time.
    discrepancy_id uuid        primary key,
    return_id      uuid        not null constraint rma_discrepancy_of_a_return references rma,
    -- pesan.order.v1.DiscrepancyKind.
    kind           smallint    not null,
    -- 0: goods that the order never had.
    line_no        integer     not null,
    sku            text        not null,
    sellable       bigint      not null,
    damaged        bigint      not null,
    note           text        not null,
    received_at    timestamptz not null,
    -- pesan.order.v1.DiscrepancyDecision; 0: nobody has decided.
    decision       smallint    not null default 0,
    decided_by     text        not null default '',
    decision_note  text        not null default '',
    decided_at     timestamptz,
    constraint rma_discrepancy_not_empty check (sellable >= 0 and damaged >= 0 and sellable + damaged > 0),
    constraint rma_discrepancy_decided_once check ((decision = 0) = (decided_at is null))
);
-- For the discrepancies of a return.
create index rma_discrepancy_of_return on rma_discrepancy (return_id);

-- Credits without goods.
create table goodwill (
    -- UUIDv7: ascending by time.
    goodwill_id uuid        primary key,
    order_id    uuid        not null constraint goodwill_of_an_order references orders,
    -- With tax.
    amount      numeric     not null,
    reason      text        not null,
    owner       text        not null,
    note        text        not null,
    granted_at  timestamptz not null,
    line_nos    integer[]   not null,
    amounts     numeric[]   not null,
    -- What billing made of it; null until it did.
    document_id uuid,
    credited    numeric,
    constraint goodwill_positive check (amount > 0),
    constraint goodwill_lines_even check (cardinality(line_nos) = cardinality(amounts)),
    constraint goodwill_credited_bounded check (credited between 0 and amount)
);
-- For what was granted on an order.
create index goodwill_of_order on goodwill (order_id);
