-- What can be ordered. Never deleted, and a sku never changes: other tables and the service's memory rely on it.
create table item (
    -- Short key inside this service; outside an item is its sku.
    id            bigint generated always as identity primary key,
    -- Derived from the sku: the aggregate of its events.
    aggregate_id  uuid    not null,
    sku           text collate "C" not null,
    name          text    not null,
    -- 1 stocked, 2 service.
    kind          smallint not null,
    -- 1 each, 2 gram, 3 millilitre, 4 millimetre.
    base_unit     smallint not null,
    -- Of one base unit; 0: unknown.
    weight_grams  bigint  not null,
    length_mm     bigint  not null,
    width_mm      bigint  not null,
    height_mm     bigint  not null,
    -- Of one base unit, for receipts that name no cost.
    standard_cost numeric(28, 9),
    cost_currency text,
    -- True from the first reservation or movement on: kind and base unit are fixed then.
    used          boolean not null default false,
    -- Counts the changes, and so the events.
    version       bigint  not null,
    constraint item_sku_unique unique (sku),
    constraint item_kind_known check (kind in (1, 2)),
    constraint item_base_unit_known check (base_unit between 1 and 4),
    constraint item_dimensions_not_negative
        check (weight_grams >= 0 and length_mm >= 0 and width_mm >= 0 and height_mm >= 0),
    constraint item_cost_has_currency check ((standard_cost is null) = (cost_currency is null)),
    constraint item_cost_not_negative check (standard_cost >= 0)
);

-- Where stock stands. Never deleted.
create table location (
    -- Short key inside this service, from 1; 0 stands for "nowhere" in reservation_part.
    id          integer generated always as identity (start 1) primary key,
    location_id uuid             not null,
    code        text collate "C" not null,
    name        text             not null,
    latitude    double precision not null,
    longitude   double precision not null,
    -- Lower is asked first.
    rank        integer          not null,
    version     bigint           not null,
    constraint location_id_unique unique (location_id),
    constraint location_code_unique unique (code),
    constraint location_rank_bounded check (rank between 0 and 1000)
);

-- An item at a location: the sum of its movements, and what of it is promised. Updated all the time and never in an
-- indexed column: room on the page keeps such updates off the index.
create table stock (
    item     bigint  not null references item (id),
    location integer not null references location (id),
    on_hand  bigint  not null default 0,
    reserved bigint  not null default 0,
    damaged  bigint  not null default 0,
    primary key (item, location),
    constraint stock_not_oversold check (reserved between 0 and on_hand),
    constraint stock_damaged_not_negative check (damaged >= 0),
    -- Far from the end of 64 bits, so that sums over locations fit too.
    constraint stock_bounded check (on_hand <= 1000000000000000 and damaged <= 1000000000000000)
) with (fillfactor = 50);
-- For the stock of one location.
create index stock_of_location on stock (location, item);

-- The ledger of stock, only ever added to. Its item and location are checked when it is written, from rows of stock
-- that are locked then; foreign keys would look at them again for each of many lines.
create table movement (
    seq          bigint generated always as identity primary key,
    id           uuid        not null,
    item         bigint      not null,
    location     integer     not null,
    -- Signed changes of on_hand and damaged.
    quantity     bigint      not null,
    damaged      bigint      not null,
    -- 1 receipt, 2 adjustment, 3 issue, 4 return, 5 short pick.
    kind         smallint    not null,
    reason       text        not null,
    -- What caused it: an order's id, a return's id, the caller's reference.
    reference    text        not null,
    unit_cost    numeric(28, 9),
    currency     text,
    effective_at timestamptz not null,
    recorded_at  timestamptz not null default now(),
    constraint movement_moves check (quantity <> 0 or damaged <> 0),
    constraint movement_kind_known check (kind between 1 and 5),
    constraint movement_cost_has_currency check ((unit_cost is null) = (currency is null))
);
-- For the movements of one item, newest first.
create index movement_of_item on movement (item, seq);
-- For the movements with one reference, newest first.
create index movement_of_reference on movement (reference, seq) where reference <> '';

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is only ever added to', tg_table_name using errcode = 'restrict_violation';
end $$;
create trigger movement_append_only before update or delete or truncate on movement
    for each statement execute function refuse_change();

-- What one base unit of an item cost on average, over what was received with a cost and is still on hand.
create table item_cost (
    item     bigint primary key references item (id),
    currency text           not null,
    average  numeric(28, 9) not null,
    -- On hand at that average, over all locations.
    quantity bigint         not null,
    constraint item_cost_not_negative check (average >= 0 and quantity >= 0)
) with (fillfactor = 50);

-- The promise to an order, or the memory that there must be none.
create table reservation (
    order_id   uuid primary key,
    -- Events about the order so far.
    version    bigint      not null,
    -- 1 held, 2 refused, 3 expired, 4 closed: 2 and 3 may be asked for again, 4 never.
    state      smallint    not null,
    confirmed  boolean     not null,
    -- 1 all or nothing, 2 what is there, 3 backorder.
    policy     smallint    not null,
    priority   smallint    not null,
    placed_at  timestamptz not null,
    -- Null when it does not lapse any more.
    expires_at timestamptz,
    -- All that was asked for: the sum of its parts' quantities.
    units      bigint      not null,
    constraint reservation_state_known check (state between 1 and 4),
    constraint reservation_policy_known check (policy between 1 and 3),
    constraint reservation_priority_bounded check (priority between 0 and 9),
    constraint reservation_lapses_unconfirmed check ((expires_at is not null) = (state = 1 and not confirmed))
) with (fillfactor = 70);
-- For the expiry, oldest first.
create index reservation_expiry on reservation (expires_at) where expires_at is not null;

-- A part of an order's line: what of it is held at one location, or, nowhere (location 0), what waits or was refused.
-- Most lines are one part. Updated when its goods leave, in columns that no index holds.
create table reservation_part (
    order_id    uuid        not null,
    line_no     integer     not null,
    location    integer     not null,
    item        bigint      not null,
    -- False for service items: promised without stock.
    stocked     boolean     not null,
    -- Copied from the reservation: the place in the queue.
    priority    smallint    not null,
    placed_at   timestamptz not null,
    quantity    bigint      not null,
    -- Promised and still there.
    reserved    bigint      not null,
    -- Left with shipments.
    issued      bigint      not null,
    -- Of the issued, what came back.
    returned    bigint      not null default 0,
    -- Waits for stock.
    backordered bigint      not null,
    -- Not there, and not to be waited for.
    refused     bigint      not null,
    -- Let go: cancelled, rejected, expired.
    released    bigint      not null,
    primary key (order_id, line_no, location),
    constraint part_conserved check (quantity = reserved + issued + backordered + refused + released),
    constraint part_not_negative
        check (reserved >= 0 and issued >= 0 and returned >= 0 and backordered >= 0 and refused >= 0 and released >= 0),
    constraint part_waits_nowhere check (case when location = 0 then reserved = 0 else backordered = 0 and refused = 0 end)
) with (fillfactor = 70);
-- The backorder queue: for the next to be served of an item.
create index backorder_queue on reservation_part (item, priority, placed_at, order_id, line_no) where backordered > 0;

-- Which waiting quantities got stock, in order: a cancellation of what the order still believed to wait takes the
-- latest back first. Few rows: only backorders are ever filled.
create table reservation_fill (
    order_id uuid    not null,
    -- Of the event that told of it.
    version  bigint  not null,
    line_no  integer not null,
    location integer not null,
    -- Not taken back.
    quantity bigint  not null,
    primary key (order_id, version, line_no, location),
    constraint reservation_fill_not_negative check (quantity >= 0)
);
