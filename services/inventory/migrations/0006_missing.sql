-- Of the reserved, what a count did not find: off the stock already, and still the order's.
alter table reservation_part add column missing bigint not null default 0;
alter table reservation_part add constraint part_missing_is_reserved check (missing between 0 and reserved);
