-- Changes of orders: which revision of what an order wants is known here. Only for orders that were changed.
create table reservation_change (
    order_id uuid   primary key,
    -- The newest that was reserved for, or read of.
    revision bigint not null,
    -- The newest that was dropped: it, and any before it, is never reserved for again.
    dropped  bigint not null default 0,
    constraint reservation_change_counts check (revision >= 0 and dropped >= 0)
);
