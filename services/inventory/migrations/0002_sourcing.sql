-- What is expected to arrive: one row for each line of a purchase order or transfer that is on its way.
create table supply (
    id          bigint generated always as identity primary key,
    -- 1 purchase order, 2 transfer.
    kind        smallint    not null,
    -- The purchase order's or transfer's id and number.
    document_id uuid        not null,
    number      text        not null,
    line_no     integer     not null,
    item        bigint      not null references item (id),
    -- Where it arrives.
    location    integer     not null references location (id),
    expected_at timestamptz not null,
    -- Still to come.
    quantity    bigint      not null,
    constraint supply_of_a_line unique (document_id, line_no),
    constraint supply_kind_known check (kind in (1, 2)),
    constraint supply_not_negative check (quantity >= 0)
) with (fillfactor = 80);
-- For what of an item comes when.
create index supply_to_come on supply (item, expected_at) where quantity > 0;

-- How a location works, for the choice of where an order is shipped from and when.
alter table location
    -- 1 warehouse, 2 store, 3 drop-ship.
    add column kind           smallint not null default 1,
    add column closed         boolean  not null default false,
    -- Orders shipped a day; 0: not limited.
    add column daily_capacity integer  not null default 0,
    -- Minutes after local midnight; 1440: no cut-off.
    add column cut_off        smallint not null default 1440,
    add column time_zone      text     not null default 'UTC',
    -- Bit 0 is Monday.
    add column working_days   smallint not null default 127,
    add column holidays       date[]   not null default '{}',
    -- Empty: all.
    add column channels       text[]   not null default '{}',
    add constraint location_kind_known check (kind between 1 and 3),
    add constraint location_capacity_not_negative check (daily_capacity >= 0),
    add constraint location_cut_off_in_a_day check (cut_off between 1 and 1440),
    add constraint location_works_some_day check (working_days between 1 and 127);

-- One row: processes remember locations and rules, and read them again when the version is not theirs.
create table network (
    id            smallint primary key default 1,
    version       bigint not null default 1,
    -- Of the rules alone; 0: the defaults, and then there are none.
    rules_version bigint not null default 0,
    -- Encoded pesan.inventory.v1.SourcingRules.
    rules         bytea,
    constraint network_is_one check (id = 1),
    constraint network_rules_counted check ((rules_version = 0) = (rules is null))
);
insert into network default values;

-- Since when a location has the item without a break: the age of what it has.
alter table stock add column since timestamptz;

-- Wishes of the demand beyond its lines; null: none, which is common. All but the channel are encoded.
alter table reservation
    add column channel text,
    add column wishes  bytea;

-- Kits, kind 3: sold as one, reserved as parts. The composition in force is that of kit_version.
alter table item
    drop constraint item_kind_known,
    add constraint item_kind_known check (kind in (1, 2, 3)),
    add column kit_version bigint,
    add constraint item_kit_has_composition check ((kind = 3) = (kit_version is not null));
-- Every composition a kit ever had; never changed. Promises refer to the one they were made with.
create table kit_component (
    kit       bigint not null references item (id),
    -- The item's version that brought it.
    version   bigint not null,
    component bigint not null references item (id),
    -- For one kit.
    quantity  bigint not null,
    primary key (kit, version, component),
    constraint kit_component_positive check (quantity between 1 and 1000000),
    constraint kit_not_of_itself check (component <> kit)
);
-- For the kits that an item is part of.
create index kit_component_of on kit_component (component);
-- The composition that was promised; null: no kit.
alter table reservation_part add column kit_version bigint;
-- For the kits that wait.
create index kit_backorders on reservation_part (item, kit_version) where backordered > 0 and kit_version is not null;

-- Why an order is shipped from where it is, where there was a choice.
create table sourcing_decision (
    order_id    uuid primary key,
    decided_at  timestamptz not null,
    -- Encoded pesan.inventory.v1.SourcingDecision.
    explanation bytea       not null
);
-- For simulations over a range of time.
create index sourcing_decision_by_time on sourcing_decision (decided_at, order_id);

-- Orders that ship on one day from a location with a capacity, and how many they are.
create table capacity_use (
    order_id uuid    not null,
    location integer not null,
    day      date    not null,
    primary key (order_id, location)
);
create table capacity_day (
    location integer not null,
    day      date    not null,
    orders   integer not null,
    primary key (location, day),
    constraint capacity_day_not_negative check (orders >= 0)
) with (fillfactor = 50);
