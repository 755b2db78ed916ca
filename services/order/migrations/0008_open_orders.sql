-- What lists of unfinished orders are found by; null: nothing of it is left to ship. The state, but 2 for accepted orders
-- as for confirmed ones: an order that goes its usual way keeps it until all of it has left, so that its changes until
-- then stay on the page.
alter table orders add column open_state smallint generated always as (
    case when rejected or cancelled = ordered then null
         when holds > 0 then 4
         when confirmed_at is null then 2
         when shipped > 0 and shipped + cancelled = ordered then null
         when shipped > 0 then 7
         when backordered > 0 then 3
         else 2
    end) stored;
-- For ListOrders of unfinished orders: all, those of a channel, and those that do not go their usual way. Finished orders
-- are in none of them, and most orders never in the last.
create index orders_open_by_time on orders (placed_at desc, order_id desc) where open_state is not null;
create index orders_open_by_channel on orders (channel, placed_at desc, order_id desc) where open_state is not null;
create index orders_open_by_state on orders (open_state, placed_at desc, order_id desc) where open_state in (3, 4, 7);

-- A page has room for a second version of each of its rows: a batch changes all rows of a page at once, and only what
-- finds room on its page leaves the indexes as they are.
alter table orders set (fillfactor = 45);
alter table order_line set (fillfactor = 45);
