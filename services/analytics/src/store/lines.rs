//! The lines of orders.

use crate::order_fact::{Accepted, Line};
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Writes the lines of newly accepted orders, one row an order.
pub async fn write(conn: &mut PgConnection, accepted: &[Accepted]) -> sqlx::Result<()> {
    insert(conn, &accepted.iter().map(|order| (order.order_id, order.lines.as_slice())).collect::<Vec<_>>()).await
}

/// Writes the lines of orders that were changed, in place of those they had.
pub async fn rewrite(conn: &mut PgConnection, amended: &BTreeMap<Uuid, Vec<Line>>) -> sqlx::Result<()> {
    if amended.is_empty() {
        return Ok(());
    }
    sqlx::query("delete from order_lines where order_id = any($1)")
        .bind(amended.keys().copied().collect::<Vec<_>>())
        .execute(&mut *conn)
        .await?;
    insert(conn, &amended.iter().map(|(order_id, lines)| (*order_id, lines.as_slice())).collect::<Vec<_>>()).await
}

async fn insert(conn: &mut PgConnection, orders: &[(Uuid, &[Line])]) -> sqlx::Result<()> {
    let n: usize = orders.iter().map(|(_, lines)| lines.len()).sum();
    if n == 0 {
        return Ok(());
    }
    let mut order_ids = Vec::with_capacity(n);
    let mut line_nos = Vec::with_capacity(n);
    let mut skus: Vec<&str> = Vec::with_capacity(n);
    let mut units = Vec::with_capacity(n);
    let mut gross = Vec::with_capacity(n);
    let mut discounts = Vec::with_capacity(n);
    for (order_id, lines) in orders {
        for line in *lines {
            order_ids.push(*order_id);
            line_nos.push(line.line_no);
            skus.push(&line.sku);
            units.push(line.units);
            gross.push(line.gross);
            discounts.push(line.discount);
        }
    }
    // Sorted once below the aggregates, which then take the lines in their order.
    sqlx::query(
        "insert into order_lines (order_id, line_nos, skus, units, gross, discounts)
         select order_id, array_agg(line_no), array_agg(sku), array_agg(units), array_agg(gross), array_agg(discount)
           from (select *
                   from unnest($1::uuid[], $2::int4[], $3::text[], $4::int8[], $5::int8[], $6::int8[]) with ordinality
                        as l (order_id, line_no, sku, units, gross, discount, place)
                  order by order_id, place) lines
          group by order_id",
    )
    .bind(&order_ids)
    .bind(&line_nos)
    .bind(&skus)
    .bind(&units)
    .bind(&gross)
    .bind(&discounts)
    .execute(conn)
    .await?;
    Ok(())
}

/// The lines of orders.
pub async fn load(conn: &mut PgConnection, order_ids: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Vec<Line>>> {
    if order_ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(
        "select o.order_id, l.line_no, l.sku, l.units, l.gross, l.discount
           from order_lines o
          cross join lateral unnest(o.line_nos, o.skus, o.units, o.gross, o.discounts)
                as l (line_no, sku, units, gross, discount)
          where o.order_id = any($1)",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    let mut lines: HashMap<Uuid, Vec<Line>> = HashMap::new();
    for row in rows {
        lines.entry(row.try_get(0)?).or_default().push(Line {
            line_no: row.try_get(1)?,
            sku: row.try_get(2)?,
            units: row.try_get(3)?,
            gross: row.try_get(4)?,
            discount: row.try_get(5)?,
        });
    }
    Ok(lines)
}
