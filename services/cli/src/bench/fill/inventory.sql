-- What the inventory service keeps of finished orders.
insert into reservation (order_id, version, state, confirmed, policy, priority, placed_at, units, channel)
select n.order_id, t.version, t.state, t.confirmed, t.policy, t.priority, n.at, t.units, t.channel
  from fill_slice n, fill_example m
  join reservation t on t.order_id = m.order_id
 order by n.g;

insert into reservation_part (order_id, line_no, location, item, stocked, priority, placed_at, quantity, reserved, issued,
                              backordered, refused, released)
select n.order_id, t.line_no, t.location, i.id, t.stocked, t.priority, n.at, t.quantity, t.reserved, t.issued, t.backordered,
       t.refused, t.released
  from fill_slice n, fill_example m
  join reservation_part t on t.order_id = m.order_id
 cross join lateral (select case t.line_no when 1 then n.sku1 else n.sku2 end as sku) line
  join item i on i.sku = line.sku
 order by n.g, t.line_no;

-- `reference <> ''` is what the index on it wants to be told.
with moved as (
    insert into movement (id, item, location, quantity, damaged, kind, reason, reference, effective_at, recorded_at)
    select fill_id(n.prefix, t.id, n.g), i.id, t.location, t.quantity, t.damaged, t.kind, t.reason, n.order_id, n.at,
           t.recorded_at + n.shift
      from fill_slice n, fill_example m
      join movement t on t.reference = m.order_id::text and t.reference <> ''
      join item of_example on of_example.id = t.item
     cross join lateral (select case of_example.sku when m.sku1 then n.sku1 else n.sku2 end as sku) line
      join item i on i.sku = line.sku
     order by n.g, t.seq
    returning item, location, quantity)
update stock s
   set on_hand = s.on_hand + all_moved.quantity
  from (select item, location, sum(quantity) as quantity from moved group by item, location) all_moved
 where s.item = all_moved.item and s.location = all_moved.location;

update item set used = true
 where not used and sku in (select sku1 from fill_slice union select sku2 from fill_slice);

insert into outbox (event_id, aggregate_id, version, type, payload, correlation_id, traceparent, effective_at, recorded_at)
select fill_id(n.prefix, t.event_id, n.g), n.order_id, t.version, t.type,
       decode(format(t.payload, variadic n.encoded), 'hex'),
       n.order_id, overlay(t.traceparent placing n.trace from 4), n.at, t.recorded_at + n.shift
  from fill_slice n, fill_event t
 where n.has_events
 order by n.g, t.seq;
