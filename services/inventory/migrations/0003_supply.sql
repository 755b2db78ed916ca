-- Suppliers, purchase orders, transfers, counts, reorder policies.

alter table movement drop constraint movement_kind_known;
-- 1 receipt, 2 adjustment, 3 issue, 4 return, 5 short pick, 6 transfer out, 7 transfer in, 8 count; others of their own.
alter table movement add constraint movement_kind_known check (kind between 1 and 30);
-- For the demand of a window of days. As small as nothing, and nothing to keep up: the ledger grows about in this order.
create index movement_by_time on movement using brin (effective_at);

create table supplier (
    id             integer generated always as identity primary key,
    supplier_id    uuid             not null,
    code           text collate "C" not null,
    name           text             not null,
    currency       text             not null,
    -- Mean and standard deviation of the days from sending to arrival.
    lead_days      double precision not null,
    lead_days_std  double precision not null,
    inactive       boolean          not null,
    version        bigint           not null,
    constraint supplier_id_unique unique (supplier_id),
    constraint supplier_code_unique unique (code),
    constraint supplier_lead_bounded check (lead_days between 0 and 1000 and lead_days_std between 0 and 1000)
);

-- What a supplier asks for an item.
create table supplier_item (
    item          bigint  not null references item (id),
    supplier      integer not null references supplier (id),
    price         numeric(28, 9) not null,
    min_quantity  bigint  not null,
    pack_size     bigint  not null,
    -- Lower is preferred.
    rank          integer not null,
    -- Null: the supplier's.
    lead_days     double precision,
    lead_days_std double precision,
    supplier_sku  text    not null,
    primary key (item, supplier),
    constraint supplier_item_price_not_negative check (price >= 0),
    constraint supplier_item_quantities_positive check (min_quantity >= 1 and pack_size >= 1)
);

create sequence purchase_order_number;
create table purchase_order (
    id             uuid primary key,
    number         bigint      not null default nextval('purchase_order_number'),
    supplier       integer     not null references supplier (id),
    location       integer     not null references location (id),
    currency       text        not null,
    -- 1 draft, 2 sent, 3 closed, 4 cancelled. Whether some was received is told by the lines.
    stage          smallint    not null,
    reference      text        not null,
    over_percent   integer     not null,
    created_at     timestamptz not null,
    sent_at        timestamptz,
    closed_at      timestamptz,
    closing_reason text        not null default '',
    -- Counts the receipts.
    receipts       integer     not null default 0,
    -- Counts the changes, for those who edit it.
    version        bigint      not null,
    -- Counts the events.
    facts          bigint      not null default 0,
    constraint purchase_order_number_unique unique (number),
    constraint purchase_order_stage_known check (stage between 1 and 4),
    constraint purchase_order_tolerance_bounded check (over_percent between 0 and 100)
) with (fillfactor = 80);

create table purchase_order_line (
    purchase_order uuid    not null references purchase_order (id),
    line_no        integer not null,
    item           bigint  not null references item (id),
    quantity       bigint  not null,
    unit_price     numeric(28, 9) not null,
    -- Null in a draft that does not say: the supplier's lead time from the sending on.
    expected_at    timestamptz,
    -- Came, to be sold or not.
    received       bigint  not null default 0,
    damaged        bigint  not null default 0,
    -- Not expected any more.
    dropped        bigint  not null default 0,
    primary key (purchase_order, line_no),
    constraint purchase_order_line_positive check (quantity > 0 and unit_price >= 0),
    constraint purchase_order_line_not_negative check (received >= 0 and damaged >= 0 and dropped >= 0),
    constraint purchase_order_line_dropped_bounded check (dropped <= quantity)
) with (fillfactor = 80);

create table purchase_receipt (
    purchase_order uuid        not null references purchase_order (id),
    number         integer     not null,
    delivery_note  text        not null,
    received_at    timestamptz not null,
    primary key (purchase_order, number)
);
create table purchase_receipt_line (
    purchase_order uuid    not null,
    number         integer not null,
    line_no        integer not null,
    received       bigint  not null,
    damaged        bigint  not null,
    missing        bigint  not null,
    -- Of what came, what was more than expected.
    over           bigint  not null,
    reason         text    not null,
    unit_cost      numeric(28, 9),
    currency       text,
    primary key (purchase_order, number, line_no),
    foreign key (purchase_order, number) references purchase_receipt (purchase_order, number)
);

create sequence transfer_number;
create table transfer (
    id          uuid primary key,
    number      bigint      not null default nextval('transfer_number'),
    source      integer     not null references location (id),
    destination integer     not null references location (id),
    -- 1 planned, 2 shipped, 3 received, 4 cancelled.
    stage       smallint    not null,
    reference   text        not null,
    ship_at     timestamptz not null,
    expected_at timestamptz not null,
    created_at  timestamptz not null,
    shipped_at  timestamptz,
    closed_at   timestamptz,
    version     bigint      not null,
    facts       bigint      not null default 0,
    constraint transfer_number_unique unique (number),
    constraint transfer_stage_known check (stage between 1 and 4),
    constraint transfer_goes_elsewhere check (source <> destination)
) with (fillfactor = 80);
-- For what is planned to leave.
create index transfer_planned on transfer (number) where stage = 1;

create table transfer_line (
    transfer  uuid    not null references transfer (id),
    line_no   integer not null,
    item      bigint  not null references item (id),
    quantity  bigint  not null,
    shipped   bigint  not null default 0,
    received  bigint  not null default 0,
    damaged   bigint  not null default 0,
    lost      bigint  not null default 0,
    -- Of one base unit, when it left.
    unit_cost numeric(28, 9),
    currency  text,
    primary key (transfer, line_no),
    constraint transfer_line_positive check (quantity > 0),
    constraint transfer_line_shipped_bounded check (shipped between 0 and quantity),
    constraint transfer_line_conserved
        check (received >= 0 and damaged >= 0 and lost >= 0 and received + damaged + lost <= shipped)
) with (fillfactor = 80);

create sequence count_number;
create table stock_count (
    id                uuid primary key,
    number            bigint      not null default nextval('count_number'),
    location          integer     not null references location (id),
    -- 1 counting, 2 counted, 3 approved, 4 rejected.
    stage             smallint    not null,
    threshold_units   bigint      not null,
    threshold_percent integer     not null,
    note              text        not null,
    -- The ledger's place when it began: what moved later has a higher one.
    since             bigint      not null,
    created_at        timestamptz not null,
    counted_at        timestamptz,
    decided_at        timestamptz,
    decided_by        text        not null default '',
    version           bigint      not null,
    facts             bigint      not null default 0,
    constraint stock_count_number_unique unique (number),
    constraint stock_count_stage_known check (stage between 1 and 4)
) with (fillfactor = 80);

create table stock_count_line (
    count      uuid   not null references stock_count (id),
    item       bigint not null references item (id),
    -- Null: not counted yet.
    counted    bigint,
    counted_at timestamptz,
    -- What the books said at that moment.
    book       bigint,
    -- Of the difference: booked on free stock (signed), missing of reserved stock, had left already.
    booked     bigint not null default 0,
    short      bigint not null default 0,
    moot       bigint not null default 0,
    primary key (count, item),
    constraint stock_count_line_counted check ((counted is null) = (book is null) and counted >= 0),
    constraint stock_count_line_not_negative check (short >= 0 and moot >= 0)
) with (fillfactor = 80);

-- Which movements a purchase order, transfer or count has caused.
create table document_movement (
    movement_id uuid    primary key,
    -- 1 purchase order, 2 transfer, 3 count.
    kind        smallint not null,
    document_id uuid    not null,
    -- Of a count: its item.
    line_no     bigint  not null,
    constraint document_movement_kind_known check (kind between 1 and 3)
);

create table reorder_policy (
    item            bigint  not null references item (id),
    location        integer not null references location (id),
    -- 1 min/max, 2 reorder point, 3 days of cover.
    rule            smallint not null,
    minimum         bigint   not null,
    maximum         bigint   not null,
    days_of_cover   integer  not null,
    service_level   double precision not null,
    window_days     integer  not null,
    order_cost      numeric(28, 9),
    cost_currency   text,
    holding_percent double precision not null,
    -- Null: the preferred of those who offer it.
    supplier        integer references supplier (id),
    inactive        boolean  not null,
    primary key (item, location),
    constraint reorder_policy_rule_known check (rule between 1 and 3)
);
