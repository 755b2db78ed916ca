-- What the billing service keeps of finished orders.
insert into charge (order_id, order_number, customer_id, currency, method, state, amount, invoiced, attempt, order_version,
                    promise_version, asked_at, look_at, placed_at, version)
select n.order_id, 'SO-' || n.number, n.customer_id, t.currency, t.method, t.state, t.amount, t.invoiced, t.attempt,
       t.order_version, t.promise_version, t.asked_at + n.shift, t.look_at + n.shift, n.at, t.version
  from fill_slice n, fill_example m
  join charge t on t.order_id = m.order_id
 order by n.g;

insert into charge_line (order_id, quantity, invoiced, line_no, sku, line_total, discount, tax)
select n.order_id, t.quantity, t.invoiced, t.line_no, case t.line_no when 1 then n.sku1 else n.sku2 end, t.line_total,
       t.discount, t.tax
  from fill_slice n, fill_example m
  join charge_line t on t.order_id = m.order_id
 order by n.g, t.line_no;

insert into document (id, kind, series, number, order_id, customer_id, on_account, currency, net, tax, open, line_count,
                      issued_at, due_at, reference, recorded_at)
select n.document_id, t.kind, n.series, n.place, n.order_id, n.customer_id, t.on_account, t.currency, t.net, t.tax, t.open,
       t.line_count, n.at, n.due_at, n.fulfilment_id::text, t.recorded_at + n.shift
  from fill_slice n, fill_example m
  join document t on t.id = m.document_id
 order by n.g;

insert into document_line (document_id, quantity, line_no, sku, net, tax)
select n.document_id, t.quantity, t.line_no, case t.line_no when 1 then n.sku1 else n.sku2 end, t.net, t.tax
  from fill_slice n, fill_example m
  join document_line t on t.document_id = m.document_id
 order by n.g, t.line_no;

insert into document_series (series, last)
select series, max(place) from fill_slice group by series
    on conflict (series) do update set last = excluded.last;

insert into posting (id, cause, reference, currency, effective_at, recorded_at)
select n.posting_id, t.cause, n.document_id, t.currency, n.at, t.recorded_at + n.shift
  from fill_slice n, fill_example m
  join posting t on t.id = m.posting_id
 order by n.g;

insert into posting_pair (posting_id, place, debit, credit, amount)
select n.posting_id, t.place, t.debit, t.credit, t.amount
  from fill_slice n, fill_example m
  join posting_pair t on t.posting_id = m.posting_id
 order by n.g, t.place;

update account a
   set receivable = a.receivable + owed.open
  from (select n.customer_id, sum(t.open) as open
          from fill_slice n, fill_example m
          join document t on t.id = m.document_id
         group by n.customer_id) owed
 where a.customer_id = owed.customer_id;

insert into outbox (event_id, aggregate_id, version, type, payload, correlation_id, traceparent, effective_at, recorded_at)
select fill_id(n.prefix, t.event_id, n.g), n.order_id, t.version, t.type,
       decode(format(t.payload, variadic n.encoded), 'hex'),
       n.order_id, overlay(t.traceparent placing n.trace from 4), n.at, t.recorded_at + n.shift
  from fill_slice n, fill_event t
 where n.has_events
 order by n.g, t.seq;
