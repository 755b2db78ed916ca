-- Rules that new orders are verified by.
insert into setting (part) values ('rules');

-- The rules there are, at most 200: every process keeps them compiled.
create table rule (
    name       text        primary key,
    -- Counts the changes.
    version    bigint      not null,
    rank       integer     not null,
    -- Encoded pesan.order.v1.Rule, as it was written.
    body       bytea       not null,
    changed_at timestamptz not null
);

-- Every version there ever was, so that a hold of last month can be explained.
create table rule_version (
    name       text        not null,
    version    bigint      not null,
    body       bytea       not null,
    changed_at timestamptz not null,
    primary key (name, version)
);

alter table hold
    add column expires_at timestamptz,
    -- pesan.order.v1.HoldExpiry.
    add column on_expiry  smallint not null default 1,
    -- The rule that placed it; null: none did.
    add column rule       text,
    -- When the worker looks at it next: to let it expire, or to ask its rule whether it can go. Null: never.
    add column due_at     timestamptz;
-- For the worker: what is due, longest first.
create index hold_due on hold (due_at) where due_at is not null;
-- For an owner's work list, oldest first. The list as a whole is read by the primary key: ids grow with time.
create index hold_by_owner on hold (owner, hold_id);

alter table orders
    -- Put on by rules; sorted.
    add column tags  text[] not null default '{}',
    -- Given by a rule; empty: none.
    add column route text   not null default '';

-- What the duplicate-order check compares: a hash of who ordered what, only of orders placed while the check was on for
-- their channel.
create table order_fingerprint (
    order_id    uuid        primary key constraint order_fingerprint_of_an_order references orders,
    fingerprint uuid        not null,
    placed_at   timestamptz not null
);
-- For the check: the same, placed around the same time.
create index order_fingerprint_by_time on order_fingerprint (fingerprint, placed_at);
-- For housekeeping: the longest window is 30 days.
create index order_fingerprint_by_age on order_fingerprint (placed_at);
