drop table fill_slice, fill_example, fill_event;
drop function fill_tracking(bigint);
drop function fill_time(timestamptz);
drop function fill_id(text, uuid, bigint);
drop function fill_prefix(timestamptz);
