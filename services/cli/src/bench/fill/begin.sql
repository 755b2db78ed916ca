-- What a schema needs while it is filled. One order was really carried out by the services, the example: all others are
-- copies of what it left, with other ids, numbers, items, customers and times of the same length, so that they can be put
-- in their places in encoded events too.

create function fill_hex(value text) returns text language sql immutable as $$
    select encode(value::bytea, 'hex')
$$;

-- The id that takes the place of the example's id in order `g`: a UUIDv7 of its time.
create function fill_id(id uuid, g bigint, at timestamptz) returns uuid language sql stable as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '70008'
            || right(lpad(to_hex(uuid_hash_extended(id, g)), 16, '0'), 15))::uuid
$$;

-- An encoded google.protobuf.Timestamp of a full second, with its length before it.
create function fill_time(at timestamptz) returns text language sql stable as $$
    select '0608' || lpad(to_hex((s & 127 | 128) << 32 | (s >> 7 & 127 | 128) << 24 | (s >> 14 & 127 | 128) << 16
                                 | (s >> 21 & 127 | 128) << 8 | s >> 28), 10, '0')
      from (select extract(epoch from at)::bigint as s) seconds
$$;

-- The tracking number of the first parcel of fulfilment order `number`, with its check digit (Luhn).
create function fill_tracking(number bigint) returns text language sql immutable as $$
    select 'SIM' || lpad(number::text, 9, '0') || '0001'
           || (10 - (2 + sum(case when place % 2 = 0 then digit * 2 / 10 + digit * 2 % 10 else digit end)) % 10) % 10
      from (select place, number / (10::bigint ^ place)::bigint % 10 as digit from generate_series(0, 8) place) digits
$$;

-- What is different in each order: of the example, and of the orders of a slice.
create table fill_example (
    g             bigint      primary key,
    -- When it was placed, and all the rest happened too.
    at            timestamptz not null,
    -- From when the example was recorded to when this order was.
    shift         interval    not null,
    order_id      uuid        not null,
    request_id    uuid        not null,
    trace         text        not null,
    customer_id   uuid        not null,
    customer      text        not null,
    sku1          text        not null,
    sku2          text        not null,
    -- Of the order, and of its fulfilment order.
    number        bigint      not null,
    fulfilment_id uuid        not null,
    tracking      text        not null,
    document_id   uuid        not null,
    posting_id    uuid        not null,
    -- Of the invoice.
    series        text        not null,
    place         bigint      not null,
    due_at        timestamptz not null,
    -- As they stand in encoded events.
    order_hex      text generated always as (fill_hex(order_id::text)) stored,
    customer_hex   text generated always as (fill_hex(customer_id::text)) stored,
    external_hex   text generated always as (fill_hex(customer)) stored,
    sku1_hex       text generated always as (fill_hex(sku1)) stored,
    sku2_hex       text generated always as (fill_hex(sku2)) stored,
    -- SO-… and FO-… alike.
    number_hex     text generated always as (fill_hex('O-' || number)) stored,
    fulfilment_hex text generated always as (fill_hex(fulfilment_id::text)) stored,
    tracking_hex   text generated always as (fill_hex(tracking)) stored,
    document_hex   text generated always as (fill_hex(document_id::text)) stored,
    invoice_hex    text generated always as (fill_hex(series || '-' || lpad(place::text, 6, '0'))) stored
);
create table fill_slice (like fill_example including generated);

-- The example's events in the outbox of this schema.
create table fill_event (
    event_id     uuid        not null,
    aggregate_id uuid        not null,
    version      bigint      not null,
    type         text        not null,
    payload      text        not null,
    traceparent  text        not null,
    recorded_at  timestamptz not null,
    seq          bigint      not null
);
