use pesan_api::proof::v1::{InvariantResult, Violation};
use sqlx::PgConnection;

/// Checks the invariants of this service's own tables, in the snapshot of the caller's transaction.
pub async fn check(conn: &mut PgConnection) -> sqlx::Result<Vec<InvariantResult>> {
    Ok(vec![
        no_location_oversold(conn).await?,
        stock_is_sum_of_movements(conn).await?,
        reserved_is_sum_of_open_reservations(conn).await?,
        reservation_lines_conserved(conn).await?,
        nothing_reserved_for_closed_orders(conn).await?,
        versions_match_events(conn).await?,
        lots_sum_to_stock(conn).await?,
        values_sum_to_inventory(conn).await?,
    ])
}

fn result(name: &str, rows_checked: i64, violations: Vec<(String, String)>) -> InvariantResult {
    let violations = violations.into_iter().map(|(id, what)| Violation { id, what }).collect();
    InvariantResult { name: name.to_owned(), rows_checked, violations }
}

async fn no_location_oversold(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from stock").fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(
        "select i.sku || '@' || l.code, format('%s on hand, %s reserved, %s damaged', s.on_hand, s.reserved, s.damaged)
           from stock s join item i on i.id = s.item join location l on l.id = s.location
          where s.reserved > s.on_hand or s.reserved < 0 or s.damaged < 0 or s.quality_hold < 0
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("no_location_oversold", rows, violations))
}

async fn stock_is_sum_of_movements(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from movement").fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(
        "with moved as (
             select item, location, sum(quantity) as on_hand, sum(damaged) as damaged, sum(quality_hold) as held
               from movement group by item, location
         )
         select coalesce(i.sku, item::text) || '@' || coalesce(l.code, location::text),
                format('%s on hand, %s damaged, %s under quality hold, but movements sum to %s, %s, %s',
                       coalesce(s.on_hand, 0), coalesce(s.damaged, 0), coalesce(s.quality_hold, 0),
                       coalesce(m.on_hand, 0), coalesce(m.damaged, 0), coalesce(m.held, 0))
           from stock s full join moved m using (item, location)
           left join item i on i.id = item left join location l on l.id = location
          where coalesce(s.on_hand, 0) <> coalesce(m.on_hand, 0) or coalesce(s.damaged, 0) <> coalesce(m.damaged, 0)
             or coalesce(s.quality_hold, 0) <> coalesce(m.held, 0)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("stock_is_sum_of_movements", rows, violations))
}

async fn reserved_is_sum_of_open_reservations(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from stock").fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(
        "with held as (
             -- What kits hold is held of their components, as they were composed when it was promised.
             select coalesce(c.component, p.item) as item, p.location,
                    sum((p.reserved - p.missing) * coalesce(c.quantity, 1)) as reserved
               from reservation_part p join reservation r using (order_id)
               left join kit_component c on c.kit = p.item and c.version = p.kit_version
              where r.state = 1 and p.stocked and p.reserved > p.missing group by 1, 2
         )
         select coalesce(i.sku, item::text) || '@' || coalesce(l.code, location::text),
                format('%s reserved, but open reservations hold %s', coalesce(s.reserved, 0), coalesce(h.reserved, 0))
           from stock s full join held h using (item, location)
           left join item i on i.id = item left join location l on l.id = location
          where coalesce(s.reserved, 0) <> coalesce(h.reserved, 0)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("reserved_is_sum_of_open_reservations", rows, violations))
}

async fn reservation_lines_conserved(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from reservation_part").fetch_one(&mut *conn).await?;
    let mut violations: Vec<(String, String)> = sqlx::query_as(
        "select order_id || ' line ' || line_no,
                format('%s of the line, but %s reserved, %s issued, %s backordered, %s refused, %s released; %s returned',
                       sum(quantity), sum(reserved), sum(issued), sum(backordered), sum(refused), sum(released),
                       sum(returned))
           from reservation_part
          group by order_id, line_no
         having bool_or(quantity <> reserved + issued + backordered + refused + released
                        or least(reserved - missing, missing, issued, returned, backordered, refused, released) < 0)
             or sum(returned) > sum(issued)
          order by 1 limit 100",
    )
    .fetch_all(&mut *conn)
    .await?;
    let lost: Vec<(String, String)> = sqlx::query_as(
        "with parts as (select order_id, sum(quantity) as units from reservation_part group by order_id)
         select order_id::text,
                format('%s units asked for, but its lines sum to %s', coalesce(r.units, 0), coalesce(p.units, 0))
           from reservation r full join parts p using (order_id)
          where coalesce(r.units, 0) <> coalesce(p.units, 0)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    violations.extend(lost);
    violations.truncate(100);
    Ok(result("reservation_lines_conserved", rows, violations))
}

async fn nothing_reserved_for_closed_orders(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from reservation").fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(
        "select order_id::text,
                format('is not held (state %s), but %s are reserved and %s wait', min(r.state), sum(p.reserved),
                       sum(p.backordered))
           from reservation r join reservation_part p using (order_id)
          where r.state <> 1 and (p.reserved > 0 or p.backordered > 0)
          group by order_id
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("nothing_reserved_for_closed_orders", rows, violations))
}

async fn versions_match_events(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar(
        "select (select count(*) from reservation) + (select count(*) from item) + (select count(*) from location)",
    )
    .fetch_one(&mut *conn)
    .await?;
    let violations = sqlx::query_as(
        "with kept as (
             select 'order ' || order_id as id, order_id as aggregate_id, version from reservation
             union all
             select 'item ' || sku, aggregate_id, version from item
             union all
             select 'location ' || code, location_id, version from location
         ), told as (
             select aggregate_id, max(version) as version from outbox group by aggregate_id
         )
         select kept.id, format('is at version %s, but its last event is %s', kept.version, coalesce(told.version, 0))
           from kept left join told using (aggregate_id)
          where kept.version <> coalesce(told.version, 0)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("versions_match_events", rows, violations))
}

/// Of tracked items, bucket by bucket; and a lot is the sum of its movements.
async fn lots_sum_to_stock(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from stock_lot").fetch_one(&mut *conn).await?;
    let mut violations: Vec<(String, String)> = sqlx::query_as(
        "with lots as (
             select item, location, sum(on_hand) as on_hand, sum(damaged) as damaged, sum(quality_hold) as held
               from stock_lot group by item, location
         )
         select i.sku || '@' || l.code,
                format('%s on hand, %s damaged, %s held, but its lots sum to %s, %s, %s', s.on_hand, s.damaged,
                       s.quality_hold, coalesce(t.on_hand, 0), coalesce(t.damaged, 0), coalesce(t.held, 0))
           from stock s join item i on i.id = s.item join location l on l.id = s.location
           left join lots t on t.item = s.item and t.location = s.location
          where i.tracking > 1
            and (s.on_hand, s.damaged, s.quality_hold)
                is distinct from (coalesce(t.on_hand, 0), coalesce(t.damaged, 0), coalesce(t.held, 0))
          order by 1 limit 100",
    )
    .fetch_all(&mut *conn)
    .await?;
    let moved: Vec<(String, String)> = sqlx::query_as(
        "with moved as (
             select item, location, code, sum(quantity) as on_hand, sum(damaged) as damaged, sum(quality_hold) as held
               from lot_movement group by item, location, code
         )
         select item || '@' || location || ' lot ' || code, 'is not the sum of its movements'
           from stock_lot s full join moved m using (item, location, code)
          where (s.on_hand, s.damaged, s.quality_hold) is distinct from (m.on_hand, m.damaged, m.held)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    violations.extend(moved);
    violations.truncate(100);
    Ok(result("lots_sum_to_stock", rows, violations))
}

/// The values of an item's movements are exactly its average times its quantity, or the sum of its layers.
async fn values_sum_to_inventory(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from item_cost").fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(
        "with moved as (select item, sum(value) as value from movement where value is not null group by item),
         layered as (select item, sum(quantity * unit_cost) as value, sum(quantity) as quantity
                       from cost_layer group by item),
         worth as (
             select c.item, i.sku, i.valuation, c.quantity,
                    case when i.valuation = 2 then coalesce(l.value, 0) else c.average * c.quantity end as value,
                    case when i.valuation = 2 then coalesce(l.quantity, 0) else c.quantity end as layered
               from item_cost c join item i on i.id = c.item left join layered l on l.item = c.item
         )
         select w.sku, format('%s worth %s, but its movements sum to %s and its layers hold %s', w.quantity, w.value,
                              coalesce(m.value, 0), w.layered)
           from worth w left join moved m on m.item = w.item
          where w.value <> coalesce(m.value, 0) or w.layered <> w.quantity
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("values_sum_to_inventory", rows, violations))
}
