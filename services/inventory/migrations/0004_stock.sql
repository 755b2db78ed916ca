-- Buckets, lots, serials, units, valuation.

-- Movements of kind 9 are holds (between sellable and quality hold), of kind 10 expired lots.
-- There, but not to be sold until its quality is found good; and, of what is on hand, what is never promised.
alter table stock
    add column quality_hold bigint not null default 0,
    add column safety       bigint not null default 0,
    add constraint stock_quality_hold_bounded check (quality_hold between 0 and 1000000000000000),
    add constraint stock_safety_bounded check (safety between 0 and 1000000000000000);

alter table movement
    -- Signed change of quality_hold.
    add column quality_hold bigint not null default 0,
    -- By how much the value of the inventory changed, in the movement's currency. Null where no cost is known.
    add column value        numeric(38, 9),
    drop constraint movement_moves,
    add constraint movement_moves check (quantity <> 0 or damaged <> 0 or quality_hold <> 0),
    add constraint movement_value_has_currency check (value is null or currency is not null);

alter table item
    -- 1 none, 2 by lot, 3 by serial number. Fixed once the item is in use.
    add column tracking  smallint not null default 1,
    -- 1 moving average, 2 first in, first out. Fixed once the item is in use.
    add column valuation smallint not null default 1,
    add constraint item_tracking_known check (tracking between 1 and 3),
    add constraint item_valuation_known check (valuation between 1 and 2);

-- Units in which an item is also bought or counted: a case of 12.
create table item_unit (
    item     bigint not null references item (id),
    code     text collate "C" not null,
    -- Base units in one.
    quantity bigint not null,
    barcode  text collate "C" not null,
    primary key (item, code),
    constraint item_unit_quantity_bounded check (quantity between 1 and 1000000000)
);
-- A barcode is one unit of one item; also for looking it up.
create unique index item_unit_barcode on item_unit (barcode) where barcode <> '';

-- What was received of a first-in-first-out item at one cost and is still on hand; used up ones are deleted. Together
-- they are the quantity of item_cost, whose row is locked whenever they change.
create table cost_layer (
    item        bigint         not null references item (id),
    -- In the order in which they came.
    seq         bigint         not null,
    quantity    bigint         not null,
    -- In the currency of item_cost.
    unit_cost   numeric(28, 9) not null,
    received_at timestamptz    not null default now(),
    primary key (item, seq),
    constraint cost_layer_not_empty check (quantity > 0),
    constraint cost_layer_cost_not_negative check (unit_cost >= 0)
) with (fillfactor = 70);

-- The lots, or serial numbers, of an item at a location: of a tracked item they sum to its row of stock, bucket by
-- bucket, and change only while that row is locked. Rows stay when they are empty: what comes back knows its expiry.
create table stock_lot (
    item         bigint  not null references item (id),
    location     integer not null references location (id),
    -- The lot's code or the serial number.
    code         text collate "C" not null,
    serial       boolean not null,
    -- The last day on which it may be sold.
    expires_on   date,
    on_hand      bigint  not null,
    damaged      bigint  not null,
    quality_hold bigint  not null,
    primary key (item, location, code),
    constraint stock_lot_not_negative check (on_hand >= 0 and damaged >= 0 and quality_hold >= 0)
) with (fillfactor = 70);
-- For a lot wherever it is.
create index stock_lot_by_code on stock_lot (item, code);
-- A serial number is in stock once.
create unique index stock_lot_serial_once on stock_lot (item, code) where serial and on_hand + damaged + quality_hold > 0;
-- For the sweep of what has expired.
create index stock_lot_expiring on stock_lot (expires_on) where on_hand > 0 and expires_on is not null;

-- Where the lots of tracked items came from and went: a movement's share of each. Only ever added to.
create table lot_movement (
    seq          bigint generated always as identity primary key,
    movement     uuid        not null,
    item         bigint      not null,
    location     integer     not null,
    code         text collate "C" not null,
    quantity     bigint      not null,
    damaged      bigint      not null,
    quality_hold bigint      not null,
    -- As in movement.
    kind         smallint    not null,
    reference    text        not null,
    -- The order that got it or sent it back.
    order_id     uuid,
    effective_at timestamptz not null
);
-- For the trace of a lot.
create index lot_movement_of_lot on lot_movement (item, code, seq);
-- For the lots that an order got, when it sends them back.
create index lot_movement_of_order on lot_movement (order_id, item) where order_id is not null;
create trigger lot_movement_append_only before update or delete or truncate on lot_movement
    for each statement execute function refuse_change();

-- For the lots that a movement moved, while a count is on.
create index lot_movement_of_movement on lot_movement (movement);

-- The lots of documents' lines, in base units: what came of a purchase order, what a transfer moves, what was counted.
create table purchase_receipt_lot (
    purchase_order uuid    not null,
    number         integer not null,
    line_no        integer not null,
    code           text collate "C" not null,
    expires_on     date,
    received       bigint  not null,
    damaged        bigint  not null,
    primary key (purchase_order, number, line_no, code),
    foreign key (purchase_order, number, line_no) references purchase_receipt_line (purchase_order, number, line_no),
    constraint purchase_receipt_lot_not_negative check (received >= 0 and damaged >= 0)
);

create table transfer_lot (
    transfer uuid    not null,
    line_no  integer not null,
    code     text collate "C" not null,
    -- In the order in which they were taken.
    place    integer not null,
    shipped  bigint  not null,
    received bigint  not null,
    damaged  bigint  not null,
    lost     bigint  not null,
    primary key (transfer, line_no, code),
    foreign key (transfer, line_no) references transfer_line (transfer, line_no),
    constraint transfer_lot_conserved
        check (received >= 0 and damaged >= 0 and lost >= 0 and received + damaged + lost <= shipped)
) with (fillfactor = 80);

create table stock_count_lot (
    count      uuid   not null,
    item       bigint not null,
    code       text collate "C" not null,
    -- As whoever counted it says; null: it does not expire, or is known already.
    expires_on date,
    -- 0: not found.
    counted    bigint not null,
    -- What the books said when its item was counted.
    book       bigint not null,
    primary key (count, item, code),
    foreign key (count, item) references stock_count_line (count, item),
    constraint stock_count_lot_not_negative check (counted >= 0)
);

-- The backorder queue: by priority, then promise, then age.

-- Copied from the reservation, like the priority.
alter table reservation_part
    -- What was promised to the customer. Null: nothing; served after those with a promise.
    add column promised_at   timestamptz,
    -- Served only together with everything else that its order waits for.
    add column ship_complete boolean not null default false;
drop index backorder_queue;
-- For the next to be served of an item.
create index backorder_queue on reservation_part (item, priority, promised_at, placed_at, order_id, line_no)
    where backordered > 0;

-- False where some item that an order waits for is free in no sufficient quantity: nothing is kept for such an order if
-- it is to be served as a whole. Kits are not looked at: whether they can be completed is seen when they are served.
create function could_be_completed(wanted uuid) returns boolean language sql stable as $$
    select not exists (
        select 1
          from (select item, sum(backordered) as quantity from reservation_part
                 where order_id = wanted and backordered > 0 and kit_version is null group by item) w
         where w.quantity > (select coalesce(sum(greatest(s.on_hand - s.reserved - s.safety, 0)), 0)
                               from stock s where s.item = w.item))
$$;
