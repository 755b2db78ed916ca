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
