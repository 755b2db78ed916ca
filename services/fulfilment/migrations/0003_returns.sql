-- Resolutions and discrepancies of returns.
alter table expected_return
    -- pesan.order.v1.ReturnResolution.
    add column resolution smallint not null default 1,
    -- Of its lines: will not come back any more.
    add column released bigint not null default 0,
    -- Nothing more is expected since then.
    add column closed_at timestamptz,
    drop constraint expected_return_not_exceeded,
    add constraint expected_return_not_exceeded check (received >= 0 and released >= 0 and received + released <= expected);

alter table expected_return_line
    -- pesan.order.v1.ReturnCondition: as it was announced.
    add column condition smallint not null default 0,
    add column released bigint not null default 0,
    -- Received without credit, because it was damaged and announced as sellable.
    add column withheld bigint not null default 0,
    -- Of expected: came back unannounced, and was taken later.
    add column amended bigint not null default 0,
    drop constraint expected_return_line_not_exceeded,
    add constraint expected_return_line_not_exceeded check (
        sellable >= 0 and damaged >= 0 and released >= 0 and sellable + damaged + released <= expected),
    add constraint expected_return_line_parts_bounded check (
        withheld between 0 and damaged and amended between 0 and sellable + damaged);

alter table return_receipt_line
    -- Of it, what the receipt does not credit.
    add column uncredited bigint not null default 0
        constraint return_receipt_line_uncredited_bounded check (uncredited between 0 and sellable + damaged);

-- Goods that came back and were not announced. They count nowhere until the order's return is amended by them.
create table set_aside (
    id          uuid        primary key,
    return_id   uuid        not null constraint set_aside_of_return references expected_return,
    receipt_no  bigint      not null,
    -- Of the order; null for goods that the order never had.
    line_no     integer,
    sku         text        not null,
    sellable    bigint      not null,
    damaged     bigint      not null,
    note        text        not null,
    received_at timestamptz not null,
    -- Received by an amendment since.
    taken       boolean     not null default false,
    constraint set_aside_of_receipt foreign key (return_id, receipt_no) references return_receipt,
    constraint set_aside_not_empty check (sellable >= 0 and damaged >= 0 and sellable + damaged > 0)
);
-- What was set aside of some returns.
create index set_aside_return on set_aside (return_id);
