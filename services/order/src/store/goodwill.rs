//! Goodwill.

use crate::error::Error;
use crate::goodwill::{Allowed, Goodwill};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

fn goodwill(row: &PgRow) -> Result<Goodwill, Error> {
    let (line_nos, amounts): (Vec<i32>, Vec<Decimal>) = (row.try_get(7)?, row.try_get(8)?);
    Ok(Goodwill {
        goodwill_id: row.try_get(0)?,
        order_id: row.try_get(1)?,
        amount: row.try_get(2)?,
        reason: row.try_get(3)?,
        owner: row.try_get(4)?,
        note: row.try_get(5)?,
        granted_at: row.try_get(6)?,
        lines: line_nos.into_iter().zip(amounts).collect(),
        document_id: row.try_get(9)?,
        credited: row.try_get(10)?,
    })
}

/// Writes a new one, and counts it in its order.
pub async fn insert(conn: &mut PgConnection, goodwill: &Goodwill) -> Result<(), Error> {
    sqlx::query(
        "insert into goodwill (goodwill_id, order_id, amount, reason, owner, note, granted_at, line_nos, amounts)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(goodwill.goodwill_id)
    .bind(goodwill.order_id)
    .bind(goodwill.amount)
    .bind(&goodwill.reason)
    .bind(&goodwill.owner)
    .bind(&goodwill.note)
    .bind(goodwill.granted_at)
    .bind(goodwill.lines.iter().map(|line| line.0).collect::<Vec<_>>())
    .bind(goodwill.lines.iter().map(|line| line.1).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    sqlx::query("update orders set goodwill = goodwill + $2 where order_id = $1")
        .bind(goodwill.order_id)
        .bind(goodwill.amount)
        .execute(conn)
        .await?;
    Ok(())
}

/// Of an order, up to `limit` after an id, oldest first.
pub async fn page(
    conn: &mut PgConnection,
    order_id: Uuid,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<Goodwill>, Error> {
    let rows = sqlx::query(
        "select goodwill_id, order_id, amount, reason, owner, note, granted_at, line_nos, amounts, document_id, credited
           from goodwill
          where order_id = $1 and ($2::uuid is null or goodwill_id > $2)
          order by goodwill_id limit $3",
    )
    .bind(order_id)
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(goodwill).collect()
}

/// What is granted on an order and not credited yet: id and amount.
pub async fn pending(conn: &mut PgConnection, order_id: Uuid) -> Result<Vec<(Uuid, Decimal)>, Error> {
    Ok(sqlx::query_as("select goodwill_id, amount from goodwill where order_id = $1 and credited is null")
        .bind(order_id)
        .fetch_all(conn)
        .await?)
}

/// Writes down what billing credited.
pub async fn credited(conn: &mut PgConnection, allowed: &[Allowed]) -> Result<(), Error> {
    if allowed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update goodwill g set document_id = n.document_id, credited = n.amount
           from unnest($1::uuid[], $2::uuid[], $3::numeric[]) as n (goodwill_id, document_id, amount)
          where g.goodwill_id = n.goodwill_id",
    )
    .bind(allowed.iter().map(|one| one.goodwill_id).collect::<Vec<_>>())
    .bind(allowed.iter().map(|one| one.document_id).collect::<Vec<_>>())
    .bind(allowed.iter().map(|one| one.amount).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
