-- Changes of orders.
alter table orders
    -- Counts the changes of what is wanted: whoever worked from an earlier one has to start again.
    add column amendments integer not null default 0,
    -- Not to be shipped earlier; null: as soon as possible.
    add column not_before timestamptz,
    -- The order it was split off from.
    add column split_from uuid constraint orders_split_from_known references orders;

-- What changes would do, until they are carried out or forgotten.
create table change_plan (
    plan_id       uuid        primary key,
    order_id      uuid        not null constraint change_plan_of_an_order references orders,
    order_version bigint      not null,
    -- Encoded pesan.order.v1.ChangePlan, as it was answered.
    plan          bytea       not null,
    -- What is to be done, worked out.
    amendment     jsonb       not null,
    expires_at    timestamptz not null
);
-- For housekeeping.
create index change_plan_expiry on change_plan (expires_at);

-- A change under way is a row like a cancellation's: one of the two at a time for an order.
alter table cancellation
    -- Null: a cancellation.
    add column course jsonb,
    -- Encoded pesan.inventory.v1.Reservation: what inventory reserved for the new lines.
    add column reserved bytea,
    -- Billing has agreed: nothing can refuse it any more.
    add column charged boolean not null default false;

-- What has to be known of lines of orders that were changed when inventory's facts about them are read.
create table line_mark (
    order_id          uuid    not null,
    line_no           integer not null,
    -- Waiting quantity that a change under way will cancel: stock that comes for it is passed over.
    claimed           integer not null default 0,
    -- Facts of inventory up to this version are in the line's quantities already. The largest number there is for lines of
    -- changes that were dropped or are not decided yet, which are not in order_line.
    inventory_version bigint  not null default 0,
    primary key (order_id, line_no),
    constraint line_mark_not_negative check (claimed >= 0 and inventory_version >= 0)
) with (fillfactor = 80);

-- Stock that came for claimed quantity: taken after all where the change is dropped.
create table passed_fill (
    order_id uuid    not null,
    line_no  integer not null,
    location uuid    not null,
    quantity integer not null,
    constraint passed_fill_positive check (quantity > 0)
);
-- For those of an order.
create index passed_fill_of_order on passed_fill (order_id);
