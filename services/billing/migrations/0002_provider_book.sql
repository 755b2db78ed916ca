-- The book of the simulated payment provider: what a real one keeps on its own side. Billing itself never reads it but
-- for the proof; the simulation uses connections and transactions of its own.
create table provider_book_authorisation (
    -- The caller's idempotency key.
    key       text    primary key,
    order_id  uuid    not null,
    reference text    not null,
    approved  boolean not null,
    reason    text    not null,
    currency  text    not null,
    amount    numeric not null,
    voided    numeric not null default 0,
    captured  numeric not null default 0,
    refunded  numeric not null default 0,
    constraint provider_book_reference_unique unique (reference),
    constraint provider_book_within_authorised check (voided + captured <= amount),
    constraint provider_book_refunded_within_captured check (refunded between 0 and captured)
) with (fillfactor = 70);

create table provider_book_operation (
    key       text    primary key,
    reference text    not null,
    kind      text    not null,
    amount    numeric not null,
    -- Null: done.
    refused   text,
    constraint provider_book_operation_kind_known check (kind in ('capture', 'refund', 'void'))
);
