-- Orders $1 to $2 of $3. They are spread over six years from the example's time on, so that no year has a million invoices
-- and all numbers have the same length. $4: the customers, $5: how many items there are to choose from. $6: the
-- first whose events are still in the feeds. With `offset 0` a part is worked out once.
insert into fill_slice (g, at, shift, order_id, request_id, trace, customer_id, customer, sku1, sku2, number, fulfilment_id,
                        tracking, document_id, posting_id, series, place, due_at, has_events)
select s.g, p.at, p.at - (m.at - m.shift), fill_id(x.prefix, m.order_id, s.g), fill_id(x.prefix, m.request_id, s.g),
       replace(fill_id(x.prefix, m.request_id, -s.g)::text, '-', ''), ($4::uuid[])[1 + c.customer],
       'BENCH-' || lpad(c.customer::text, 3, '0'), 'BENCH-' || lpad(c.item::text, 6, '0'),
       'BENCH-' || lpad(((c.item + 1 + c.distance) % $5)::text, 6, '0'), m.number - m.g + s.g,
       fill_id(x.prefix, m.fulfilment_id, s.g), fill_tracking(m.number - m.g + s.g), fill_id(x.prefix, m.document_id, s.g),
       fill_id(x.prefix, m.posting_id, s.g), 'INV-' || 2020 + y.year, s.g - y.before, p.at + (m.due_at - m.at),
       s.g >= $6
  from fill_example m
 cross join generate_series($1::bigint, $2::bigint) as s (g)
 cross join lateral (select (s.g - 1) * 6 / $3 as year) year
 cross join lateral (select year.year, (year.year * $3 + 5) / 6 as before, ((year.year + 1) * $3 + 5) / 6 as until) y
 cross join lateral (select make_timestamptz(2020 + y.year::int, 1, 1, 0, 0, 0, 'UTC')
                            + make_interval(secs => (s.g - 1 - y.before) * 31536000 / (y.until - y.before)) as at
                    offset 0) p
 cross join lateral (select fill_prefix(p.at) as prefix offset 0) x
 cross join lateral (select (hashint8extended(s.g, 1) & 1048575) % cardinality($4::uuid[]) as customer,
                            (hashint8extended(s.g, 2) & 1048575) % $5 as item,
                            (hashint8extended(s.g, 3) & 1048575) % ($5 - 1) as distance
                    offset 0) c;
