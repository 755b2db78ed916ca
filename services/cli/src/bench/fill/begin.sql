-- What a schema needs while it is filled. One order was really carried out by the services, the example: all others are
-- copies of what it left, with other ids, numbers, items, customers and times of the same length, so that they can be put
-- in their places in encoded events too.

-- Where ids of a time begin: the milliseconds and version of a UUIDv7.
create function fill_prefix(at timestamptz) returns text language sql immutable as $$
    select lpad(to_hex((date_part('epoch', at) * 1000)::bigint), 12, '0') || '70008'
$$;

-- The id that takes the place of the example's id in order `g`.
create function fill_id(prefix text, id uuid, g bigint) returns uuid language sql immutable as $$
    select (prefix || right(lpad(to_hex(uuid_hash_extended(id, g)), 16, '0'), 15))::uuid
$$;

-- An encoded google.protobuf.Timestamp of a full second, with its length before it.
create function fill_time(at timestamptz) returns text language sql immutable as $$
    select '0608' || lpad(to_hex(((s & 127 | 128) << 32) | ((s >> 7 & 127 | 128) << 24) | ((s >> 14 & 127 | 128) << 16)
                                 | ((s >> 21 & 127 | 128) << 8) | (s >> 28)), 10, '0')
      from (select date_part('epoch', at)::bigint as s) seconds
$$;

-- The tracking number of the first parcel of fulfilment order `n`, below 10,000,000, with its check digit (Luhn: every
-- other digit counts twice, and tens as ones).
create function fill_tracking(n bigint) returns text language sql immutable as $$
    select 'SIM' || lpad(n::text, 9, '0') || '0001'
           || (10 - (2 + n % 10 * 2 + n % 10 / 5 + n / 10 % 10 + n / 100 % 10 * 2 + n / 100 % 10 / 5 + n / 1000 % 10
                     + n / 10000 % 10 * 2 + n / 10000 % 10 / 5 + n / 100000 % 10 + n / 1000000 % 10 * 2
                     + n / 1000000 % 10 / 5) % 10) % 10
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
    -- False: as if the partitions of the feeds that had its events had been dropped.
    has_events    boolean     not null default true,
    -- What ids of its time begin with.
    prefix        text        not null generated always as (fill_prefix(at)) stored,
    -- As they stand in encoded events. A number is an order's and a fulfilment order's, SO-… and FO-….
    encoded       text[]      not null generated always as (array[
        encode(order_id::text::bytea, 'hex'), encode(fulfilment_id::text::bytea, 'hex'),
        encode(document_id::text::bytea, 'hex'), encode(customer_id::text::bytea, 'hex'), encode(customer::bytea, 'hex'),
        encode(sku1::bytea, 'hex'), encode(sku2::bytea, 'hex'), encode(tracking::bytea, 'hex'),
        encode(('O-' || number)::bytea, 'hex'), encode((series || '-' || lpad(place::text, 6, '0'))::bytea, 'hex'),
        fill_time(at), fill_time(due_at)]) stored
);
-- Nothing is lost with it.
create unlogged table fill_slice (like fill_example including generated);

-- The example's events in the outbox of this schema.
create table fill_event (
    event_id     uuid        not null,
    version      bigint      not null,
    type         text        not null,
    -- In hexadecimal digits, with %1$s, %2$s, … for what is different in each order, in the order of `encoded`.
    payload      text        not null,
    traceparent  text        not null,
    recorded_at  timestamptz not null,
    seq          bigint      not null
);
