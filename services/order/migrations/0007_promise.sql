-- Promises and dates.
alter table orders
    -- Nothing is handed to fulfilment before all that is not cancelled is reserved.
    add column ship_complete boolean not null default false,
    -- Why nothing more is handed to fulfilment; null: there is no block.
    add column delivery_block text,
    -- Confirmed and reserved, but kept back: Σ of the order's rows in withheld.
    add column withheld bigint not null default 0 constraint orders_withheld_not_negative check (withheld >= 0),
    -- Wishes.
    add column requested_ship_at timestamptz,
    add column requested_delivery_at timestamptz,
    -- What was promised, for orders placed with a promise.
    add column promised_ship_at timestamptz,
    add column promised_delivery_at timestamptz,
    -- There are rows in line_date.
    add column has_line_dates boolean not null default false;

-- What was wished for and promised of lines, where anything was.
create table line_date (
    order_id              uuid    not null,
    line_no               integer not null,
    requested_ship_at     timestamptz,
    requested_delivery_at timestamptz,
    promised_ship_at      timestamptz,
    promised_delivery_at  timestamptz,
    primary key (order_id, line_no)
);

-- Reserved for confirmed orders, and not handed to fulfilment yet: they ship complete, wait for a date, or are blocked.
create table withheld (
    order_id uuid    not null,
    line_no  integer not null,
    location uuid    not null,
    quantity integer not null,
    primary key (order_id, line_no, location),
    constraint withheld_positive check (quantity > 0)
);

-- Orders that something is kept back of until a date.
create table hand_over_due (
    order_id uuid        primary key,
    due_at   timestamptz not null
);
-- For the worker: what is due, longest first.
create index hand_over_due_by_time on hand_over_due (due_at);

-- What was promised to orders that are not placed yet.
create table promise (
    -- The order that it becomes: inventory holds stock under this id.
    order_id          uuid        primary key,
    token             uuid        not null constraint promise_token_unique unique,
    request_id        uuid        not null constraint promise_request_id_unique unique,
    -- Encoded pesan.order.v1.PromiseOrderRequest, without its payment token.
    request           bytea       not null,
    -- Encoded pesan.order.v1.NewOrder: what an order that redeems it has to be.
    wanted            bytea       not null,
    line_count        integer     not null,
    hold_stock        boolean     not null,
    asked_at          timestamptz not null,
    expires_at        timestamptz not null,
    -- Encoded pesan.order.v1.OrderPromise; null: inventory is being asked.
    answer            bytea,
    -- What inventory holds, by line; null: nothing.
    held              jsonb,
    -- Version of inventory's newest fact about it that `held` includes.
    inventory_version bigint      not null default 0,
    redeemed_at       timestamptz
) with (fillfactor = 70);
-- For housekeeping: what is old, and what was asked and never answered.
create index promise_by_expiry on promise (expires_at);
