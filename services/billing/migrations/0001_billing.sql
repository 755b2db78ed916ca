-- Billing: accounts, charges, documents, payments, the provider's jobs, the ledger. Amounts are in major units of the
-- currency beside them. Lines carry no foreign keys: they are written in batches of ten thousand by the transaction that
-- writes their head, and the proof compares both.

-- What a customer may owe, and does.
create table account (
    customer_id        uuid    primary key,
    currency           text    not null,
    -- Null: no limit.
    credit_limit       numeric,
    payment_terms_days integer not null,
    -- Σ open of invoices − Σ open of credit notes; negative where we owe the customer.
    receivable         numeric not null default 0,
    -- Σ of the customer's charges on account: authorised − voided − invoiced.
    authorised         numeric not null default 0,
    -- Counts upserts.
    version            bigint  not null default 1,
    -- Counts the events whose aggregate is the customer.
    events             bigint  not null default 0,
    constraint account_limit_not_negative check (credit_limit >= 0),
    constraint account_terms_within_a_year check (payment_terms_days between 0 and 365),
    constraint account_authorised_not_negative check (authorised >= 0)
) with (fillfactor = 70);

-- What an order may be charged, and was. One for each order that was ever asked about.
create table charge (
    order_id           uuid        primary key,
    order_number       text        not null,
    -- Null: a guest.
    customer_id        uuid,
    currency           text        not null,
    method             text        not null,
    -- pending: the provider was, or is being, asked. refused: nothing is held; asked again it is decided anew.
    state              text        not null,
    -- What was asked for; authorised where the state says so.
    amount             numeric     not null,
    voided             numeric     not null default 0,
    invoiced           numeric     not null default 0,
    captured           numeric     not null default 0,
    credited           numeric     not null default 0,
    refunded           numeric     not null default 0,
    provider_reference text,
    -- Counts the times the provider was asked anew after a decline; part of its idempotency key.
    attempt            integer     not null default 1,
    -- Cancellations up to this version of the order are left out of the lines already.
    order_version      bigint      not null default 0,
    -- The promise of stock that the lines follow from.
    promise_version    bigint      not null default 0,
    asked_at           timestamptz not null,
    -- While pending: when to find out what became of it, if nobody was told until then.
    look_at            timestamptz not null,
    placed_at          timestamptz not null,
    -- Counts the events whose aggregate is the order.
    version            bigint      not null default 0,
    constraint charge_method_known check (method in ('on_account', 'provider')),
    constraint charge_state_known check (state in ('pending', 'authorised', 'refused')),
    constraint charge_amounts_not_negative
        check (amount >= 0 and voided >= 0 and invoiced >= 0 and captured >= 0 and credited >= 0 and refunded >= 0),
    constraint charge_within_authorised check (voided + invoiced <= amount),
    constraint charge_invoiced_after_authorised check (invoiced = 0 or state = 'authorised'),
    constraint charge_captured_within_invoiced check (captured <= invoiced),
    constraint charge_refunded_within_captured check (refunded <= captured),
    constraint charge_refunded_within_credited check (refunded <= credited)
) with (fillfactor = 50);
-- For the worker that asks the provider what became of charges it never answered about.
create index charge_pending on charge (look_at) where state = 'pending';

-- Lines of charges. Half of each page stays free: nearly every line is updated once, when it is invoiced, and finds room on
-- its own page. Quantities go from the bottom to invoiced, from the top to voided, and amounts with them.
create table charge_line (
    order_id    uuid    not null,
    quantity    bigint  not null,
    voided      bigint  not null default 0,
    invoiced    bigint  not null default 0,
    credited    bigint  not null default 0,
    line_no     integer not null,
    sku         text    not null,
    -- For `quantity`: before discount and tax.
    line_total  numeric not null,
    discount    numeric not null,
    tax         numeric not null,
    -- Tax credited so far: a credit that overrides the share may take less, never more than was invoiced.
    credited_tax numeric not null default 0,
    primary key (order_id, line_no),
    constraint charge_line_quantity_positive check (quantity > 0),
    constraint charge_line_amounts_not_negative check (discount between 0 and line_total and tax >= 0),
    constraint charge_line_conserved check (voided >= 0 and invoiced >= 0 and voided + invoiced <= quantity),
    constraint charge_line_credited_within_invoiced check (credited between 0 and invoiced),
    constraint charge_line_credited_tax_within_tax check (credited_tax between 0 and tax)
) with (fillfactor = 50);

-- Orders that will never be charged (again): they were cancelled as a whole, or rejected. Also orders never asked about.
create table closed_order (
    order_id  uuid        primary key,
    reason    text        not null,
    closed_at timestamptz not null
);

-- The last number of each series, "INV-2026": locked last in a transaction, and once for all documents of a batch.
create table document_series (
    series text   primary key,
    last   bigint not null,
    constraint document_series_not_negative check (last >= 0)
) with (fillfactor = 50);

-- Invoices and credit notes. Only `open` ever changes.
create table document (
    id          uuid        primary key,
    kind        text        not null,
    series      text        not null,
    number      bigint      not null,
    -- Null: a stand-alone credit note.
    order_id    uuid,
    -- Null: a guest.
    customer_id uuid,
    -- Whether it counts in the customer's account.
    on_account  boolean     not null,
    currency    text        not null,
    net         numeric     not null,
    tax         numeric     not null,
    -- Invoice: not yet paid, captured or credited. Credit note: not yet set against an invoice or given back.
    open        numeric     not null,
    line_count  integer     not null,
    issued_at   timestamptz not null,
    due_at      timestamptz not null,
    -- What caused it: shipment, return, or the caller's external id.
    reference   text        not null,
    recorded_at timestamptz not null,
    constraint document_number_unique unique (series, number),
    constraint document_number_positive check (number > 0),
    constraint document_kind_known check (kind in ('invoice', 'credit_note')),
    constraint document_amounts_not_negative check (net >= 0 and tax >= 0),
    constraint document_open_within_total check (open >= 0 and open <= net + tax),
    constraint document_account_has_customer check (customer_id is not null or not on_account)
) with (fillfactor = 70);
-- For the documents of an order: what a credit is set against, ListDocuments, digests.
create index document_order on document (order_id) where order_id is not null;
-- For what a customer owes, oldest first, and ListDocuments.
create index document_customer on document (customer_id, issued_at) where customer_id is not null;
-- For digests of documents that belong to no order.
create index document_standalone on document (id) where order_id is null;

create table document_line (
    document_id uuid    not null,
    quantity    bigint  not null,
    line_no     integer not null,
    sku         text    not null,
    net         numeric not null,
    tax         numeric not null,
    primary key (document_id, line_no),
    constraint document_line_quantity_positive check (quantity > 0),
    constraint document_line_amounts_not_negative check (net >= 0 and tax >= 0)
);

-- Credit notes that belong to no order, by their caller's id: the insert is the lock against a second one.
create table standalone_note (
    external_id text primary key,
    document_id uuid not null,
    reason      text not null,
    country     text not null,
    channel     text not null
);

-- Money that came in for invoices on account.
create table payment (
    id           uuid        primary key,
    customer_id  uuid        not null,
    currency     text        not null,
    amount       numeric     not null,
    reference    text        not null,
    effective_at timestamptz not null,
    recorded_at  timestamptz not null,
    constraint payment_positive check (amount > 0)
);
create table payment_application (
    payment_id  uuid    not null references payment,
    document_id uuid    not null references document,
    amount      numeric not null,
    primary key (payment_id, document_id),
    constraint payment_application_positive check (amount > 0)
);

-- What is to be asked of the payment provider, one after the other for each order.
create table provider_job (
    -- UUIDv7: ascending in the order in which they are to be done. The provider's idempotency key.
    id           uuid        primary key,
    order_id     uuid        not null,
    kind         text        not null,
    state        text        not null default 'open',
    -- Of the authorisation, at the provider.
    reference    text        not null,
    -- The invoice or credit note; null for a void.
    document_id  uuid,
    currency     text        not null,
    amount       numeric     not null,
    -- That of its cause: its effects are effective then.
    effective_at timestamptz not null,
    traceparent  text,
    attempts     integer     not null default 0,
    -- Not before this time; while it is being done: until when it is leased.
    next_at      timestamptz not null,
    created_at   timestamptz not null,
    last_error   text,
    constraint provider_job_kind_known check (kind in ('capture', 'refund', 'void')),
    constraint provider_job_state_known check (state in ('open', 'done', 'failed')),
    constraint provider_job_positive check (amount > 0),
    constraint provider_job_has_document check ((document_id is null) = (kind = 'void'))
) with (fillfactor = 70);
-- For the worker: what is due.
create index provider_job_due on provider_job (next_at) where state = 'open';
-- For "nothing earlier of this order is open".
create index provider_job_order on provider_job (order_id, id) where state = 'open';

-- The ledger. A posting is a list of pairs, each one amount from one account to another: a posting that does not balance
-- cannot be written down.
create table posting (
    -- UUIDv7: ascending by time of recording.
    id           uuid        primary key,
    cause        text        not null,
    -- The document, order or payment.
    reference    uuid        not null,
    currency     text        not null,
    effective_at timestamptz not null,
    recorded_at  timestamptz not null,
    constraint posting_cause_known check (cause in
        ('invoice', 'capture', 'payment', 'credit_note', 'refund', 'cost_of_goods', 'cost_of_return'))
);
-- For ListPostings by reference.
create index posting_reference on posting (reference);
-- For the trial balance of a period: postings lie nearly in this order.
create index posting_effective on posting using brin (effective_at);

create table posting_pair (
    posting_id uuid     not null,
    place      smallint not null,
    debit      text     not null,
    credit     text     not null,
    amount     numeric  not null,
    primary key (posting_id, place),
    constraint posting_pair_positive check (amount > 0),
    constraint posting_pair_two_accounts check (debit <> credit),
    constraint posting_pair_accounts_known check (
        debit in ('receivables', 'provider_clearing', 'bank', 'inventory', 'revenue', 'sales_returns', 'tax', 'cost_of_goods')
        and credit in
            ('receivables', 'provider_clearing', 'bank', 'inventory', 'revenue', 'sales_returns', 'tax', 'cost_of_goods'))
);

-- What is issued and posted stays as it is. Statement triggers: they cost nothing where rows are only added.
create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only added to', tg_table_name using errcode = 'restrict_violation';
end
$$;
create trigger document_is_final before update of id, kind, series, number, order_id, customer_id, on_account, currency,
    net, tax, line_count, issued_at, due_at, reference or delete or truncate on document
    for each statement execute function refuse_change();
create trigger document_line_is_final before update or delete or truncate on document_line
    for each statement execute function refuse_change();
create trigger posting_is_final before update or delete or truncate on posting
    for each statement execute function refuse_change();
create trigger posting_pair_is_final before update or delete or truncate on posting_pair
    for each statement execute function refuse_change();
create trigger payment_is_final before update or delete or truncate on payment
    for each statement execute function refuse_change();
