-- What the fulfilment service keeps of finished orders.
insert into followed_order (order_id, version)
select n.order_id, t.version
  from fill_slice n, fill_example m
  join followed_order t on t.order_id = m.order_id
 order by n.g;

insert into confirmed_order (order_id, order_number, fulfilment_policy, ship_to)
select n.order_id, 'SO-' || n.number, t.fulfilment_policy, t.ship_to
  from fill_slice n, fill_example m
  join confirmed_order t on t.order_id = m.order_id
 order by n.g;

insert into fulfilment_order (id, number, order_id, location_id, order_version, version, allocated, picked, shipped,
                              created_at, picked_at, packed_at, shipped_at, delivered_at, recorded_at)
select n.fulfilment_id, n.number, n.order_id, t.location_id, t.order_version, t.version, t.allocated, t.picked, t.shipped,
       n.at, n.at, n.at, n.at, n.at, t.recorded_at + n.shift
  from fill_slice n, fill_example m
  join fulfilment_order t on t.id = m.fulfilment_id
 order by n.g;

insert into fulfilment_line (fulfilment_order_id, line_no, sku, stocked, allocated, picked, shipped)
select n.fulfilment_id, t.line_no, case t.line_no when 1 then n.sku1 else n.sku2 end, t.stocked, t.allocated, t.picked,
       t.shipped
  from fill_slice n, fill_example m
  join fulfilment_line t on t.fulfilment_order_id = m.fulfilment_id
 order by n.g, t.line_no;

insert into parcel (fulfilment_order_id, parcel_no, weight_grams, carrier, tracking_number)
select n.fulfilment_id, t.parcel_no, t.weight_grams, t.carrier, n.tracking
  from fill_slice n, fill_example m
  join parcel t on t.fulfilment_order_id = m.fulfilment_id
 order by n.g;

insert into outbox (event_id, aggregate_id, version, type, payload, correlation_id, traceparent, effective_at, recorded_at)
select fill_id(n.prefix, t.event_id, n.g), n.fulfilment_id, t.version, t.type,
       decode(format(t.payload, variadic n.encoded), 'hex'),
       n.order_id, overlay(t.traceparent placing n.trace from 4), n.at, t.recorded_at + n.shift
  from fill_slice n, fill_event t
 where n.has_events
 order by n.g, t.seq;

select setval('fulfilment_order_number', (select max(number) from fill_slice));
