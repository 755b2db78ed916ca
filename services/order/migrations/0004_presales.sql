-- Inquiries and quotations; finding orders.

-- For people: INQ-000012. Gaps are allowed.
create sequence inquiry_number;

-- What somebody may order.
create table inquiry (
    inquiry_id        uuid        primary key,
    number            bigint      not null default nextval('inquiry_number') constraint inquiry_number_unique unique,
    source            text        not null,
    -- Null where the source gave none.
    external_id       text,
    title             text        not null,
    description       text        not null,
    owner             text        not null,
    -- Null where it is not a customer yet.
    customer_id       uuid        constraint inquiry_customer_known references customer,
    contact_name      text        not null,
    contact_email     text        not null,
    contact_phone     text        not null,
    currency          text        not null,
    estimated_value   numeric     not null,
    expected_close_at timestamptz,
    -- pesan.order.v1.InquiryStage.
    stage             smallint    not null,
    opened_at         timestamptz not null,
    first_response_at timestamptz,
    closed_at         timestamptz,
    lost_reason       text        not null default '',
    responses         integer     not null default 0,
    stage_changes     integer     not null default 1,
    -- Version of its newest event.
    version           bigint      not null,
    constraint inquiry_external_id_unique unique (source, external_id),
    constraint inquiry_value_not_negative check (estimated_value >= 0),
    -- 4: won, 5: lost.
    constraint inquiry_closed_when_decided check ((stage in (4, 5)) = (closed_at is not null)),
    constraint inquiry_lost_for_a_reason check (stage <> 5 or lost_reason <> ''),
    constraint inquiry_history_bounded check (responses between 0 and 1000 and stage_changes between 1 and 1000)
) with (fillfactor = 80);
-- For ListInquiries, newest first, and GetPipeline.
create index inquiry_by_time on inquiry (opened_at desc, inquiry_id desc);
-- For a customer's inquiries.
create index inquiry_by_customer on inquiry (customer_id, opened_at desc, inquiry_id desc) where customer_id is not null;

-- Who answered the inquirer, and when.
create table inquiry_response (
    inquiry_id   uuid        not null constraint response_to_an_inquiry references inquiry,
    response_no  integer     not null,
    responder    text        not null,
    responded_at timestamptz not null,
    text         text        not null,
    primary key (inquiry_id, response_no)
);

-- An inquiry's way through the stages.
create table inquiry_stage_change (
    inquiry_id uuid        not null constraint stage_change_of_an_inquiry references inquiry,
    change_no  integer     not null,
    -- pesan.order.v1.InquiryStage; 0 when it was opened.
    from_stage smallint    not null,
    to_stage   smallint    not null,
    changed_at timestamptz not null,
    changed_by text        not null,
    note       text        not null,
    primary key (inquiry_id, change_no)
);

-- How likely an inquiry is won, by stage: one row.
create table stage_probability (
    one           boolean primary key default true constraint stage_probability_one_row check (one),
    qualification integer not null,
    proposal      integer not null,
    negotiation   integer not null,
    version       bigint  not null,
    constraint stage_probability_percent check (
        qualification between 0 and 100 and proposal between 0 and 100 and negotiation between 0 and 100)
);
insert into stage_probability (qualification, proposal, negotiation, version) values (20, 50, 75, 1);

-- For people: QU-000012. Gaps are allowed.
create sequence quotation_number;

-- An offer that holds until a day.
create table quotation (
    quotation_id  uuid        primary key,
    number        bigint      not null default nextval('quotation_number') constraint quotation_number_unique unique,
    inquiry_id    uuid        constraint quotation_of_an_inquiry references inquiry,
    -- Null where it is not a customer yet.
    customer_id   uuid        constraint quotation_customer_known references customer,
    channel       text        not null,
    sales_rep     text        not null,
    -- pesan.order.v1.QuotationState; never EXPIRED, which is derived from valid_until.
    state         smallint    not null,
    -- The newest.
    revision      integer     not null,
    -- Of the newest revision.
    valid_until   timestamptz not null,
    created_at    timestamptz not null,
    sent_at       timestamptz,
    decided_at    timestamptz,
    decided_by    text        not null default '',
    decision_note text        not null default '',
    -- The order it became.
    order_id      uuid        constraint quotation_order_unique unique,
    -- Version of its newest event.
    version       bigint      not null,
    constraint quotation_revision_bounded check (revision between 1 and 100),
    constraint quotation_state_stored check (state between 1 and 5),
    -- 3: accepted.
    constraint quotation_accepted_is_an_order check ((state = 3) = (order_id is not null))
) with (fillfactor = 80);
-- For ListQuotations, newest first.
create index quotation_by_time on quotation (created_at desc, quotation_id desc);
-- For a customer's quotations.
create index quotation_by_customer on quotation (customer_id, created_at desc, quotation_id desc) where customer_id is not null;
-- For an inquiry's quotations.
create index quotation_by_inquiry on quotation (inquiry_id, created_at desc, quotation_id desc) where inquiry_id is not null;

-- What was offered, each time. Written once, read whole.
create table quotation_revision (
    quotation_id uuid        not null constraint revision_of_a_quotation references quotation,
    revision     integer     not null,
    -- Encoded pesan.order.v1.QuotationTerms.
    terms        bytea       not null,
    currency     text        not null,
    gross        numeric     not null,
    discount     numeric     not null,
    tax          numeric     not null,
    valid_until  timestamptz not null,
    revised_at   timestamptz not null,
    revised_by   text        not null,
    primary key (quotation_id, revision),
    constraint quotation_revision_amounts_possible check (gross >= 0 and discount between 0 and gross and tax >= 0)
);

-- An acceptance whose order is being placed: written before it is, so that a yes is never forgotten and always is the
-- same order. Deleted when the quotation is accepted, or the order was refused.
create table acceptance (
    quotation_id uuid        primary key constraint acceptance_of_a_quotation references quotation,
    -- Encoded pesan.order.v1.NewOrder, with the payment token; its request_id is this acceptance's.
    new_order    bytea       not null,
    accepted_by  text        not null,
    accepted_at  timestamptz not null,
    -- W3C context of the call.
    traceparent  text,
    -- When a worker may take it up.
    due_at       timestamptz not null,
    attempts     integer     not null default 0
);

-- Of the ship-to address, which is encoded: to find orders by.
alter table orders
    add column country    text not null default '',
    -- In lower case; null where there is none.
    add column ship_email text;
-- For SearchOrders and ListOrders by e-mail address. Empty for orders that come without.
create index orders_by_email on orders (ship_email, placed_at desc) where ship_email is not null;
-- For SearchOrders by a customer's e-mail address.
create index customer_by_email on customer (lower(email)) where email <> '';
-- For SearchOrders by the beginnings of words of a customer's name.
create index customer_by_name on customer using gin (to_tsvector('simple', name));

-- The parcels of orders, as fulfilment tells of them. The key finds orders by a tracking number.
create table shipment_tracking (
    tracking_number text not null,
    order_id        uuid not null,
    primary key (tracking_number, order_id)
);
