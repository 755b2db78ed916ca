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
