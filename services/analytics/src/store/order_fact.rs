//! What is known of orders and of customers' first orders.

use crate::order_fact::{Accepted, OrderFact};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// The rows of orders, where there are any. Their journeys must be locked.
pub async fn load(conn: &mut PgConnection, order_ids: &[Uuid]) -> sqlx::Result<HashMap<Uuid, OrderFact>> {
    if order_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "select order_id, dims_id, customer_id, placed_at, confirmed_at, first_shipped_at, first_delivered_at,
                last_delivered_at, first_invoiced_at, lines, units, gross, discount, shipped_units, delivered_units,
                returned_units, cancelled_units, invoiced, credited, backordered_lines, rejected, cancelled
           from order_fact
          where order_id = any($1)",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| read(row).map(|order| (order.order_id, order))).collect()
}

fn read(row: &PgRow) -> sqlx::Result<OrderFact> {
    Ok(OrderFact {
        order_id: row.try_get("order_id")?,
        dims_id: row.try_get("dims_id")?,
        customer_id: row.try_get("customer_id")?,
        placed_at: row.try_get("placed_at")?,
        confirmed_at: row.try_get("confirmed_at")?,
        first_shipped_at: row.try_get("first_shipped_at")?,
        first_delivered_at: row.try_get("first_delivered_at")?,
        last_delivered_at: row.try_get("last_delivered_at")?,
        first_invoiced_at: row.try_get("first_invoiced_at")?,
        lines: row.try_get("lines")?,
        units: row.try_get("units")?,
        gross: row.try_get("gross")?,
        discount: row.try_get("discount")?,
        shipped_units: row.try_get("shipped_units")?,
        delivered_units: row.try_get("delivered_units")?,
        returned_units: row.try_get("returned_units")?,
        cancelled_units: row.try_get("cancelled_units")?,
        invoiced: row.try_get("invoiced")?,
        credited: row.try_get("credited")?,
        backordered_lines: row.try_get("backordered_lines")?,
        rejected: row.try_get("rejected")?,
        cancelled: row.try_get("cancelled")?,
    })
}

/// Writes rows as they are now; `orders` ascends by id.
pub async fn write(conn: &mut PgConnection, orders: &[OrderFact]) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    // An array of arrays of different lengths has no form in Postgres: each goes as its text. Numbers only.
    let backordered: Vec<String> = orders.iter().map(|order| int_array(&order.backordered_lines)).collect();
    sqlx::query(
        "insert into order_fact (order_id, dims_id, customer_id, placed_at, confirmed_at, first_shipped_at,
                first_delivered_at, last_delivered_at, first_invoiced_at, lines, units, gross, discount, shipped_units,
                delivered_units, returned_units, cancelled_units, invoiced, credited, backordered_lines, rejected, cancelled)
         select a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t::int[], u, v
           from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[],
                       $7::timestamptz[], $8::timestamptz[], $9::timestamptz[], $10::int4[], $11::int8[], $12::int8[],
                       $13::int8[], $14::int8[], $15::int8[], $16::int8[], $17::int8[], $18::int8[], $19::int8[],
                       $20::text[], $21::bool[], $22::bool[])
                as x (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v)
         on conflict (order_id) do update
            set dims_id = excluded.dims_id, customer_id = excluded.customer_id, placed_at = excluded.placed_at,
                confirmed_at = excluded.confirmed_at, first_shipped_at = excluded.first_shipped_at,
                first_delivered_at = excluded.first_delivered_at, last_delivered_at = excluded.last_delivered_at,
                first_invoiced_at = excluded.first_invoiced_at, lines = excluded.lines, units = excluded.units,
                gross = excluded.gross, discount = excluded.discount, shipped_units = excluded.shipped_units,
                delivered_units = excluded.delivered_units, returned_units = excluded.returned_units,
                cancelled_units = excluded.cancelled_units, invoiced = excluded.invoiced, credited = excluded.credited,
                backordered_lines = excluded.backordered_lines, rejected = excluded.rejected,
                cancelled = excluded.cancelled",
    )
    .bind(orders.iter().map(|o| o.order_id).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.dims_id).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.customer_id).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.placed_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.confirmed_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.first_shipped_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.first_delivered_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.last_delivered_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.first_invoiced_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.lines).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.units).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.gross).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.discount).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.shipped_units).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.delivered_units).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.returned_units).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.cancelled_units).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.invoiced).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.credited).collect::<Vec<_>>())
    .bind(backordered)
    .bind(orders.iter().map(|o| o.rejected).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.cancelled).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

fn int_array(numbers: &[i32]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

/// What people call these orders by.
pub async fn name(conn: &mut PgConnection, accepted: &[Accepted]) -> sqlx::Result<()> {
    if accepted.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into order_name (order_id, number, channel, external_id)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[])",
    )
    .bind(accepted.iter().map(|a| a.order_id).collect::<Vec<_>>())
    .bind(accepted.iter().map(|a| a.number.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|a| a.dims.channel.as_str()).collect::<Vec<_>>())
    .bind(accepted.iter().map(|a| a.external_id.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Finds the first orders of customers again. Of orders placed at the same moment the smaller external id is the first,
/// then the smaller number: the same whatever the order in which they were sent.
pub async fn find_first_orders(
    conn: &mut PgConnection,
    customer_ids: &BTreeSet<Uuid>,
    may_have_none: bool,
) -> sqlx::Result<()> {
    if customer_ids.is_empty() {
        return Ok(());
    }
    let customer_ids: Vec<Uuid> = customer_ids.iter().copied().collect();
    sqlx::query(
        r#"insert into customer_fact (customer_id, first_order_id, first_placed_at)
         select c.customer_id, first.order_id, first.placed_at
           from unnest($1::uuid[]) as c (customer_id)
          cross join lateral (
                select o.order_id, o.placed_at
                  from order_fact o
                  join order_name n using (order_id)
                 where o.customer_id = c.customer_id and not o.rejected
                 order by o.placed_at, n.external_id collate "C", n.number collate "C"
                 limit 1) first
          order by c.customer_id
         on conflict (customer_id) do update
            set first_order_id = excluded.first_order_id, first_placed_at = excluded.first_placed_at
          where customer_fact.first_order_id <> excluded.first_order_id"#,
    )
    .bind(&customer_ids)
    .execute(&mut *conn)
    .await?;
    if may_have_none {
        sqlx::query(
            "delete from customer_fact c
              where c.customer_id = any($1)
                and not exists (select from order_fact o where o.customer_id = c.customer_id and not o.rejected)",
        )
        .bind(&customer_ids)
        .execute(conn)
        .await?;
    }
    Ok(())
}
