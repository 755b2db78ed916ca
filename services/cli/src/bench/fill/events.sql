-- The example's events, with places for what is different in each order.
do $$
declare
    one fill_example;
begin
    select * into strict one from fill_example;
    insert into fill_event (event_id, version, type, payload, traceparent, recorded_at, seq)
    select event_id, version, type, encode(payload, 'hex'), traceparent, recorded_at, seq
      from outbox
     where correlation_id = one.order_id;
    for i in 1 .. cardinality(one.encoded) loop
        update fill_event set payload = replace(payload, one.encoded[i], '%' || i || '$s');
    end loop;
end
$$;
