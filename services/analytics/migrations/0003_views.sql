-- For BI tools: one row for each order that counts, amounts in major units.
create view bi_order as
select f.order_id, n.number, n.channel, n.external_id, d.country, d.segment, d.sales_rep, d.currency, f.customer_id,
       f.placed_at, f.confirmed_at, f.first_shipped_at, f.last_delivered_at, f.first_invoiced_at,
       f.lines, f.units, f.shipped_units, f.delivered_units, f.returned_units, f.cancelled_units, f.cancelled,
       f.gross / 10::numeric ^ d.decimals as gross, f.discount / 10::numeric ^ d.decimals as discount,
       f.invoiced / 10::numeric ^ d.decimals as invoiced, f.credited / 10::numeric ^ d.decimals as credited
  from order_fact f
  join order_name n using (order_id)
  join dims d using (dims_id)
 where not f.rejected;

-- For BI tools: one row for each line of these orders.
create view bi_order_line as
select f.order_id, f.placed_at, d.channel, d.country, d.currency, l.line_no, l.sku, l.units,
       l.gross / 10::numeric ^ d.decimals as gross, l.discount / 10::numeric ^ d.decimals as discount
  from order_fact f
  join dims d using (dims_id)
  join order_lines o using (order_id)
 cross join lateral unnest(o.line_nos, o.skus, o.units, o.gross, o.discounts) as l (line_no, sku, units, gross, discount)
 where not f.rejected;

-- For BI tools: invoices and credit notes, net of tax, amounts in major units.
create view bi_document as
select x.document_id, x.order_id, case when x.credit then 'credit_note' else 'invoice' end as kind, x.issued_at,
       d.channel, d.country, d.currency, x.net / 10::numeric ^ d.decimals as net
  from document_fact x
  join dims d using (dims_id);
