-- Stock that was passed over is taken in the order in which it came.
alter table passed_fill add column place integer not null default 0;
comment on table passed_fill is
    'Stock that came for waiting quantity which was cancelled, or is claimed by a change: until inventory takes it back.';
