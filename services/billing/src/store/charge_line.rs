//! Lines of charges.

use crate::charge_line::{ChargeLine, Past};
use rust_decimal::Decimal;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// All lines of these orders, ascending.
pub async fn find(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Vec<ChargeLine>>> {
    let rows = sqlx::query(
        "select order_id, line_no, sku, quantity, line_total, discount, tax, voided, invoiced, credited, credited_tax, past
           from charge_line where order_id = any($1) order by order_id, line_no",
    )
    .bind(orders)
    .fetch_all(conn)
    .await?;
    let mut lines: HashMap<Uuid, Vec<ChargeLine>> = HashMap::with_capacity(orders.len());
    for row in rows {
        lines.entry(row.try_get(0)?).or_default().push(ChargeLine {
            line_no: row.try_get(1)?,
            sku: row.try_get(2)?,
            quantity: row.try_get(3)?,
            line_total: row.try_get(4)?,
            discount: row.try_get(5)?,
            tax: row.try_get(6)?,
            voided: row.try_get(7)?,
            invoiced: row.try_get(8)?,
            credited: row.try_get(9)?,
            credited_tax: row.try_get(10)?,
            past: row.try_get::<Option<Json<Vec<Past>>>, _>(11)?.map(|past| past.0).unwrap_or_default(),
        });
    }
    Ok(lines)
}

/// Writes the lines of charges that have none.
pub async fn add(conn: &mut PgConnection, lines: &[(Uuid, &ChargeLine)]) -> sqlx::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = lines.iter().map(|(id, _)| *id).collect();
    let line_nos: Vec<i32> = lines.iter().map(|(_, l)| l.line_no).collect();
    let skus: Vec<&str> = lines.iter().map(|(_, l)| l.sku.as_str()).collect();
    let quantities: Vec<i64> = lines.iter().map(|(_, l)| l.quantity).collect();
    let totals: Vec<Decimal> = lines.iter().map(|(_, l)| l.line_total).collect();
    let discounts: Vec<Decimal> = lines.iter().map(|(_, l)| l.discount).collect();
    let taxes: Vec<Decimal> = lines.iter().map(|(_, l)| l.tax).collect();
    sqlx::query(
        "insert into charge_line (order_id, line_no, sku, quantity, line_total, discount, tax)
         select * from unnest($1::uuid[], $2::int4[], $3::text[], $4::int8[], $5::numeric[], $6::numeric[], $7::numeric[])",
    )
    .bind(&ids)
    .bind(&line_nos)
    .bind(&skus)
    .bind(&quantities)
    .bind(&totals)
    .bind(&discounts)
    .bind(&taxes)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes away the lines of charges that are decided anew.
pub async fn remove(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<()> {
    if !orders.is_empty() {
        sqlx::query("delete from charge_line where order_id = any($1)").bind(orders).execute(conn).await?;
    }
    Ok(())
}

/// Writes how far lines have come.
pub async fn advance(conn: &mut PgConnection, lines: &[(Uuid, &ChargeLine)]) -> sqlx::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = lines.iter().map(|(id, _)| *id).collect();
    let line_nos: Vec<i32> = lines.iter().map(|(_, l)| l.line_no).collect();
    let voided: Vec<i64> = lines.iter().map(|(_, l)| l.voided).collect();
    let invoiced: Vec<i64> = lines.iter().map(|(_, l)| l.invoiced).collect();
    let credited: Vec<i64> = lines.iter().map(|(_, l)| l.credited).collect();
    let credited_taxes: Vec<Decimal> = lines.iter().map(|(_, l)| l.credited_tax).collect();
    let done = sqlx::query(
        "update charge_line l
            set voided = n.voided, invoiced = n.invoiced, credited = n.credited, credited_tax = n.credited_tax
           from unnest($1::uuid[], $2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::numeric[])
                n (order_id, line_no, voided, invoiced, credited, credited_tax)
          where l.order_id = n.order_id and l.line_no = n.line_no",
    )
    .bind(&ids)
    .bind(&line_nos)
    .bind(&voided)
    .bind(&invoiced)
    .bind(&credited)
    .bind(&credited_taxes)
    .execute(conn)
    .await?;
    if done.rows_affected() != ids.len() as u64 {
        return Err(sqlx::Error::RowNotFound);
    }
    Ok(())
}

/// Writes the terms of a line that got another price.
pub async fn reprice(conn: &mut PgConnection, order_id: Uuid, line: &ChargeLine) -> sqlx::Result<()> {
    sqlx::query(
        "update charge_line
            set quantity = $3, voided = $4, line_total = $5, discount = $6, tax = $7, past = $8
          where order_id = $1 and line_no = $2",
    )
    .bind(order_id)
    .bind(line.line_no)
    .bind(line.quantity)
    .bind(line.voided)
    .bind(line.line_total)
    .bind(line.discount)
    .bind(line.tax)
    .bind(Json(&line.past))
    .execute(conn)
    .await?;
    Ok(())
}
