-- What is known of orders, from the feeds of the other services, and what is summed up from it. Everything here can be
-- built again from the feeds. Amounts are whole minor units of the row's currency.

-- The ways an order can be looked at, once each. The id is derived from the values, so that it is the same wherever and
-- whenever it is built.
create table dims (
    dims_id   uuid     primary key,
    channel   text     not null,
    country   text     not null,
    segment   text     not null,
    sales_rep text     not null,
    currency  text     not null,
    -- Decimals of the currency's minor unit.
    decimals  smallint not null,
    constraint dims_once unique (channel, country, segment, sales_rep, currency)
);

-- One narrow row for each order. The facts about an order come from four feeds in any order: a row may begin with what
-- another service said, and then has no placed_at until the order's acceptance is read.
create table order_fact (
    order_id           uuid    primary key,
    dims_id            uuid,
    -- Null for a guest.
    customer_id        uuid,
    placed_at          timestamptz,
    confirmed_at       timestamptz,
    first_shipped_at   timestamptz,
    first_delivered_at timestamptz,
    last_delivered_at  timestamptz,
    first_invoiced_at  timestamptz,
    lines              int     not null,
    units              bigint  not null,
    gross              bigint  not null,
    discount           bigint  not null,
    shipped_units      bigint  not null,
    delivered_units    bigint  not null,
    returned_units     bigint  not null,
    cancelled_units    bigint  not null,
    invoiced           bigint  not null,
    credited           bigint  not null,
    -- The numbers of the lines that ever waited for stock, ascending.
    backordered_lines  int[]   not null,
    rejected           boolean not null,
    -- Cancelled as a whole.
    cancelled          boolean not null,
    constraint order_fact_accepted_as_a_whole check ((placed_at is null) = (dims_id is null))
) with (fillfactor = 70);
-- For KPIs that rollups cannot answer: the orders of a period.
create index order_fact_placed on order_fact (placed_at);
-- For a customer's first order.
create index order_fact_customer on order_fact (customer_id, placed_at) where customer_id is not null;

-- What people call an order by.
create table order_name (
    order_id    uuid primary key,
    number      text not null,
    channel     text not null,
    external_id text not null
);
-- For journeys asked for by number.
create index order_name_number on order_name (number);
-- For journeys asked for by channel and external id.
create index order_name_external on order_name (channel, external_id) where external_id <> '';

-- The lines of an order, one array for each column: written once, read only where products matter and the rollup cannot
-- answer.
create table order_lines (
    order_id  uuid     primary key,
    line_nos  int[]    not null,
    skus      text[]   not null,
    units     bigint[] not null,
    gross     bigint[] not null,
    discounts bigint[] not null
);

-- Each identified customer's first order that was not rejected.
create table customer_fact (
    customer_id     uuid        primary key,
    first_order_id  uuid        not null,
    first_placed_at timestamptz not null
) with (fillfactor = 80);
-- For the new customers of a period.
create index customer_fact_first on customer_fact (first_placed_at);

-- Goods that left, one row for each goods issue.
create table shipment_fact (
    event_id   uuid        primary key,
    order_id   uuid        not null,
    shipped_at timestamptz not null,
    skus       text[]      not null,
    units      bigint[]    not null
);
-- For return rates: the orders first shipped in a period.
create index shipment_fact_shipped on shipment_fact (shipped_at);
-- For return rates by product: all shipments of an order.
create index shipment_fact_order on shipment_fact (order_id);

-- Goods that came back, one row for each receipt.
create table return_fact (
    event_id    uuid        primary key,
    order_id    uuid        not null,
    received_at timestamptz not null,
    skus        text[]      not null,
    units       bigint[]    not null
);
-- For return rates by product: all receipts of an order.
create index return_fact_order on return_fact (order_id);

-- Times in which an order had to wait for somebody's decision; several may overlap.
create table hold_fact (
    order_id    uuid        not null,
    hold_id     text        not null,
    held_at     timestamptz not null,
    released_at timestamptz,
    primary key (order_id, hold_id)
) with (fillfactor = 80);

-- Invoices and credit notes.
create table document_fact (
    document_id uuid        primary key,
    -- Null for a stand-alone credit note.
    order_id    uuid,
    credit      boolean     not null,
    issued_at   timestamptz not null,
    -- Null until the order's acceptance is read.
    dims_id     uuid,
    net         bigint      not null,
    skus        text[]      not null,
    nets        bigint[]    not null
) with (fillfactor = 80);
-- For revenue by product and for periods that rollups cannot answer.
create index document_fact_issued on document_fact (issued_at);
-- For the documents that came before their order's acceptance.
create index document_fact_order on document_fact (order_id);
-- For the digests: credit notes without an order.
create index document_fact_alone on document_fact (document_id) where order_id is null;

-- Sales by quarter of an hour, the finest step between today's time zones.
create table sales_slot (
    slot              timestamptz not null,
    dims_id           uuid        not null,
    orders            bigint      not null,
    lines             bigint      not null,
    units             bigint      not null,
    gross             bigint      not null,
    discount          bigint      not null,
    -- Orders cancelled as a whole.
    cancelled         bigint      not null,
    -- Lines that ever waited for stock.
    backordered_lines bigint      not null,
    primary key (slot, dims_id),
    constraint sales_slot_not_negative check (orders > -1 and lines > -1 and units > -1 and gross > -1
        and discount > -1 and cancelled > -1 and backordered_lines > -1)
) with (fillfactor = 80);

-- Sales of each product by quarter of an hour.
create table product_slot (
    slot     timestamptz not null,
    sku      text        not null,
    dims_id  uuid        not null,
    -- Orders that have the product.
    orders   bigint      not null,
    lines    bigint      not null,
    units    bigint      not null,
    gross    bigint      not null,
    discount bigint      not null,
    primary key (slot, sku, dims_id),
    constraint product_slot_not_negative check (orders > -1 and lines > -1 and units > -1 and gross > -1 and discount > -1)
) with (fillfactor = 90);

-- Invoices and credit notes by quarter of an hour of their own date.
create table document_slot (
    slot         timestamptz not null,
    dims_id      uuid        not null,
    invoices     bigint      not null,
    credit_notes bigint      not null,
    -- Net of tax.
    invoiced     bigint      not null,
    credited     bigint      not null,
    primary key (slot, dims_id),
    constraint document_slot_not_negative check (invoices > -1 and credit_notes > -1 and invoiced > -1 and credited > -1)
) with (fillfactor = 80);

-- What happened to each order, of all services.
create table journey_entry (
    order_id     uuid        not null,
    event_id     uuid        not null,
    service      text        not null,
    type         text        not null,
    effective_at timestamptz not null,
    recorded_at  timestamptz not null,
    trace_id     text        not null,
    -- One line for people.
    summary      text        not null,
    primary key (order_id, event_id)
);
