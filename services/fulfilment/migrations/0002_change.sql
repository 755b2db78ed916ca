-- Changes of orders.
alter table confirmed_order
    -- Not to be shipped earlier; null: as soon as possible.
    add column not_before timestamptz;
