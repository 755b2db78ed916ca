-- What the analytics service keeps of finished orders. Sums are added up as it does.
insert into order_fact (order_id, dims_id, customer_id, placed_at, confirmed_at, first_shipped_at, first_delivered_at,
                        last_delivered_at, first_invoiced_at, lines, units, gross, discount, shipped_units, delivered_units,
                        returned_units, cancelled_units, invoiced, credited, backordered_lines, rejected, cancelled)
select n.order_id, t.dims_id, n.customer_id, n.at, n.at, n.at, n.at, n.at, n.at, t.lines, t.units, t.gross, t.discount,
       t.shipped_units, t.delivered_units, t.returned_units, t.cancelled_units, t.invoiced, t.credited, t.backordered_lines,
       t.rejected, t.cancelled
  from fill_slice n, fill_example m
  join order_fact t on t.order_id = m.order_id
 order by n.g;

insert into order_name (order_id, number, channel, external_id)
select n.order_id, 'SO-' || n.number, t.channel, t.external_id
  from fill_slice n, fill_example m
  join order_name t on t.order_id = m.order_id
 order by n.g;

insert into order_lines (order_id, line_nos, skus, units, gross, discounts)
select n.order_id, t.line_nos, array[n.sku1, n.sku2], t.units, t.gross, t.discounts
  from fill_slice n, fill_example m
  join order_lines t on t.order_id = m.order_id
 order by n.g;

-- Of shipments and documents sums by item are kept, in the order of the items; here they are the same for both.
insert into shipment_fact (event_id, order_id, shipped_at, skus, units)
select fill_id(n.prefix, t.event_id, n.g), n.order_id, n.at, array[least(n.sku1, n.sku2), greatest(n.sku1, n.sku2)], t.units
  from fill_slice n, fill_example m
  join shipment_fact t on t.order_id = m.order_id
 order by n.g;

insert into document_fact (document_id, order_id, credit, issued_at, dims_id, net, skus, nets)
select n.document_id, n.order_id, t.credit, n.at, t.dims_id, t.net, array[least(n.sku1, n.sku2), greatest(n.sku1, n.sku2)],
       t.nets
  from fill_slice n, fill_example m
  join document_fact t on t.document_id = m.document_id
 order by n.g;

with template as materialized (
    select t.event_id, t.service, t.type, t.recorded_at,
           replace(replace(replace(t.summary, m.tracking, '%1$s'), 'O-' || m.number, 'O-%2$s'),
                   m.series || '-' || lpad(m.place::text, 6, '0'), '%3$s') as summary
      from fill_example m join journey_entry t on t.order_id = m.order_id)
insert into journey_entry (order_id, event_id, service, type, effective_at, recorded_at, trace_id, summary)
select n.order_id, fill_id(n.prefix, t.event_id, n.g), t.service, t.type, n.at, t.recorded_at + n.shift, n.trace,
       format(t.summary, n.tracking, n.number, n.series || '-' || lpad(n.place::text, 6, '0'))
  from fill_slice n, template t
 order by n.g;

-- Orders come in the order of their times: the first one of a customer stays the first.
insert into customer_fact (customer_id, first_order_id, first_placed_at)
select distinct on (customer_id) customer_id, order_id, at from fill_slice order by customer_id, g
    on conflict (customer_id) do nothing;

insert into sales_slot as s (slot, dims_id, orders, lines, units, gross, discount, cancelled, backordered_lines)
select p.slot, t.dims_id, count(*), sum(t.lines), sum(t.units), sum(t.gross), sum(t.discount), 0, 0
  from fill_slice n, fill_example m
  join order_fact t on t.order_id = m.order_id
 cross join lateral (select date_bin('15 minutes', n.at, 'epoch') as slot) p
 group by p.slot, t.dims_id
 order by p.slot
    on conflict (slot, dims_id) do update
   set orders = s.orders + excluded.orders, lines = s.lines + excluded.lines, units = s.units + excluded.units,
       gross = s.gross + excluded.gross, discount = s.discount + excluded.discount;

insert into product_slot as s (slot, sku, dims_id, orders, lines, units, gross, discount)
select p.slot, p.sku, f.dims_id, count(*), count(*), sum(l.units), sum(l.gross), sum(l.discount)
  from fill_slice n, fill_example m
  join order_fact f on f.order_id = m.order_id
  join order_lines t on t.order_id = m.order_id
 cross join lateral unnest(t.line_nos, t.units, t.gross, t.discounts) as l (line_no, units, gross, discount)
 cross join lateral (select date_bin('15 minutes', n.at, 'epoch') as slot,
                            case l.line_no when 1 then n.sku1 else n.sku2 end as sku) p
 group by p.slot, p.sku, f.dims_id
 order by p.slot, p.sku
    on conflict (slot, sku, dims_id) do update
   set orders = s.orders + excluded.orders, lines = s.lines + excluded.lines, units = s.units + excluded.units,
       gross = s.gross + excluded.gross, discount = s.discount + excluded.discount;

insert into document_slot as s (slot, dims_id, invoices, credit_notes, invoiced, credited)
select p.slot, t.dims_id, count(*), 0, sum(t.net), 0
  from fill_slice n, fill_example m
  join document_fact t on t.document_id = m.document_id
 cross join lateral (select date_bin('15 minutes', n.at, 'epoch') as slot) p
 group by p.slot, t.dims_id
 order by p.slot
    on conflict (slot, dims_id) do update
   set invoices = s.invoices + excluded.invoices, invoiced = s.invoiced + excluded.invoiced;
