-- Changes of orders.
alter table charge_line
    -- Pieces that left at former prices, from the first one on: [{"pieces", "of", "net", "tax"}], `pieces` of the `of` that came
    -- to net and tax. line_total, discount and tax are those of all pieces after them.
    add column past jsonb,
    drop constraint charge_line_credited_tax_within_tax,
    add constraint charge_line_credited_tax_within_tax check (
        credited_tax >= 0 and (past is not null or credited_tax <= tax));

-- How charges were, or are being, changed: one row a revision of the order.
create table charge_amendment (
    order_id uuid    not null,
    revision bigint  not null,
    -- 'pending': the provider is being asked to hold more.
    state    text    not null,
    -- What it is asked to hold more.
    increase numeric not null,
    -- Why it was declined.
    reason   text    not null default '',
    primary key (order_id, revision),
    constraint charge_amendment_state_known check (state in ('pending', 'agreed', 'declined')),
    constraint charge_amendment_not_negative check (increase >= 0)
);

-- The simulated provider holds more under an authorisation that it gave.
alter table provider_book_operation
    drop constraint provider_book_operation_kind_known,
    add constraint provider_book_operation_kind_known check (kind in ('capture', 'refund', 'void', 'increase'));
