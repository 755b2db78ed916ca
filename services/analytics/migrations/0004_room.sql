-- A page has room for a second version of each of its rows: a batch changes all rows of a page at once, and only what
-- finds room on its page leaves the indexes as they are.
alter table order_fact set (fillfactor = 45);
