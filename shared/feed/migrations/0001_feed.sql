-- The facts of this service, written in the transaction of the change they tell of.
create sequence outbox_seq;
create table outbox (
    -- The transaction that wrote it. Readers take only what is older than every transaction still running: ordered by
    -- (xid, seq) nothing can appear behind a reader's back, which `seq` alone does not promise.
    xid            xid8        not null default pg_current_xact_id(),
    seq            bigint      not null default nextval('outbox_seq'),
    event_id       uuid        not null,
    aggregate_id   uuid        not null,
    -- 1, 2, 3, … for each aggregate.
    version        bigint      not null,
    type           text        not null,
    payload        bytea       not null,
    -- The journey it belongs to; null where it belongs to none.
    correlation_id uuid,
    traceparent    text,
    effective_at   timestamptz not null,
    recorded_at    timestamptz not null default clock_timestamp()
) partition by range (seq);
-- For readers: (xid, seq) > cursor, in order.
create index outbox_position on outbox (xid, seq);
create table outbox_0 partition of outbox for values from (minvalue) to (10000000);

-- One row: tells whose positions a cursor speaks of. A database restored elsewhere must get a new epoch, because its
-- transaction ids start anew.
create table feed_epoch (
    epoch uuid not null default gen_random_uuid()
);
insert into feed_epoch default values;

-- How far this service has read the feeds of others; moved in the transaction of what was done with the events.
create table feed_cursor (
    source      text primary key,
    -- As the source gave it; empty: from the first event.
    cursor      text        not null default '',
    -- The replica that reads it now.
    lease_owner uuid,
    lease_until timestamptz,
    moved_at    timestamptz not null default now()
);
