-- What the order service keeps of finished orders.
insert into orders (order_id, number, channel, request_id, request_hash, customer_id, currency, ship_to, payment_method,
                    reservation_policy, fulfilment_policy, priority, sales_rep, placed_at, recorded_at, traceparent,
                    line_count, gross, discount, tax, version, inventory_version, confirmed_at, ordered, shipped, delivered,
                    invoiced, country, shipped_at, delivered_at)
select n.order_id, n.number, t.channel, n.request_id, sha256(n.order_id::text::bytea), n.customer_id, t.currency, t.ship_to,
       t.payment_method, t.reservation_policy, t.fulfilment_policy, t.priority, t.sales_rep, n.at, t.recorded_at + n.shift,
       overlay(t.traceparent placing n.trace from 4), t.line_count, t.gross, t.discount, t.tax, t.version,
       t.inventory_version, t.confirmed_at + n.shift, t.ordered, t.shipped, t.delivered, t.invoiced, t.country, n.at, n.at
  from fill_slice n, fill_example m
  join orders t on t.order_id = m.order_id
 order by n.g;

insert into order_line (order_id, line_no, sku, description, unit_price, line_total, discount, tax, ordered, shipped,
                        delivered, invoiced, stocked, alloc_location, alloc_reserved, alloc_shipped)
select n.order_id, t.line_no, case t.line_no when 1 then n.sku1 else n.sku2 end, t.description, t.unit_price, t.line_total,
       t.discount, t.tax, t.ordered, t.shipped, t.delivered, t.invoiced, t.stocked, t.alloc_location, t.alloc_reserved,
       t.alloc_shipped
  from fill_slice n, fill_example m
  join order_line t on t.order_id = m.order_id
 order by n.g, t.line_no;

insert into shipment_tracking (tracking_number, order_id)
select n.tracking, n.order_id from fill_slice n order by n.g;

insert into outbox (event_id, aggregate_id, version, type, payload, correlation_id, traceparent, effective_at, recorded_at)
select fill_id(n.prefix, t.event_id, n.g), n.order_id, t.version, t.type,
       decode(format(t.payload, variadic n.encoded), 'hex'),
       n.order_id, overlay(t.traceparent placing n.trace from 4), n.at, t.recorded_at + n.shift
  from fill_slice n, fill_event t
 where n.has_events
 order by n.g, t.seq;

select setval('order_number', (select max(number) from fill_slice));
