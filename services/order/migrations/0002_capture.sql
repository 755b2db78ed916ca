-- The versions of what people configure and every new order is measured by. One row for each part (channels, price lists,
-- …): whoever changes a part counts its version in the same transaction, and every process that keeps a copy sees by one
-- small statement whether it is still right.
create table setting (
    part    text   primary key,
    version bigint not null default 0
);
insert into setting (part) values ('channels'), ('prices');

-- Where orders come from, with what they mean when they do not say. A channel without a row is open and has no defaults
-- of its own.
create table channel (
    code                  text     primary key,
    name                  text     not null,
    -- pesan.order.v1.ChannelKind.
    kind                  smallint not null,
    closed                boolean  not null,
    -- Null, here and below: no default of its own. The numbers of the protos' enums.
    priority              smallint,
    reservation_policy    smallint,
    fulfilment_policy     smallint,
    payment_method        smallint,
    currency              text,
    preferred_location_id uuid,
    -- pesan.order.v1.PriceDeviationPolicy, and what it tolerates, in hundredths of a percent of the list's price.
    price_deviation       smallint not null,
    price_tolerance       integer  not null,
    -- Counts the changes.
    version               bigint   not null,
    constraint channel_priority_bounded check (priority between 0 and 9),
    constraint channel_tolerance_bounded check (price_tolerance between 0 and 10000)
);

-- What items cost, for whom and when. Its entries are rows of price_entry.
create table price_list (
    code        text        primary key,
    name        text        not null,
    currency    text        not null,
    -- Empty: of every channel; for every customer.
    channels    text[]      not null,
    segments    text[]      not null,
    -- Null: without beginning; without end. The end is not within.
    valid_from  timestamptz,
    valid_until timestamptz,
    -- Lower goes first.
    rank        integer     not null,
    retired     boolean     not null,
    entry_count integer     not null,
    -- Counts the changes, of the list and of its entries.
    version     bigint      not null,
    constraint price_list_validity_forward check (valid_from < valid_until)
);

-- From min_quantity pieces of a line on, up to the next entry's, one piece costs this.
create table price_entry (
    price_list   text    not null constraint price_entry_of_a_list references price_list,
    sku          text    not null,
    min_quantity integer not null,
    unit_price   numeric not null,
    primary key (price_list, sku, min_quantity),
    constraint price_entry_possible check (min_quantity >= 1 and unit_price >= 0)
);

alter table orders
    -- From where to ship, if it can be; null: anywhere.
    add column preferred_location_id uuid,
    -- Taken off the order as a whole; it is spread over the lines' discounts.
    add column order_discount numeric not null default 0,
    -- Whether lines of it have rows in agreed_price.
    add column has_agreed_prices boolean not null default false,
    add constraint orders_order_discount_within check (order_discount between 0 and discount);

-- How the price of a line came about, frozen with the order: only for lines that were priced from a list, measured by one,
-- or have a part of the order's discount.
create table agreed_price (
    order_id       uuid    not null,
    line_no        integer not null,
    -- The list that its price is of; null: the price was given.
    price_list     text,
    -- What the lists said of one piece; null: they were not asked or said nothing.
    list_price     numeric,
    -- Of the line's discount, its part of the order's.
    order_discount numeric not null,
    primary key (order_id, line_no),
    constraint agreed_price_possible check (list_price >= 0 and order_discount >= 0)
);
