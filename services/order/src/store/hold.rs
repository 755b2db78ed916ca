//! Holds and rejections.

use crate::error::Error;
use crate::order::{Hold, Rejection};
use crate::store::{small, stored_enum};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// Writes new holds, each with its order.
pub async fn insert(conn: &mut PgConnection, holds: &[(Uuid, Hold)]) -> Result<(), Error> {
    if holds.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into hold (hold_id, order_id, reason, note, owner, placed_at, expires_at, on_expiry, rule, due_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[],
                              $7::timestamptz[], $8::int2[], $9::text[], $10::timestamptz[])",
    )
    .bind(holds.iter().map(|(_, hold)| hold.hold_id).collect::<Vec<_>>())
    .bind(holds.iter().map(|(order_id, _)| *order_id).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.reason.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.note.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.owner.as_str()).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.placed_at).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.expires_at).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| small(hold.on_expiry.into())).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.rule.as_deref()).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, hold)| hold.due_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The holds of orders, oldest first.
pub async fn of_orders(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<Hold>>, Error> {
    let rows = sqlx::query(
        "select order_id, hold_id, reason, note, owner, placed_at, expires_at, on_expiry, rule, due_at
           from hold where order_id = any($1) order by hold_id",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    let mut holds: HashMap<Uuid, Vec<Hold>> = HashMap::new();
    for row in rows {
        holds.entry(row.try_get(0)?).or_default().push(hold(&row)?);
    }
    Ok(holds)
}

/// A hold from the columns 1 to 9 of a row: those of [`of_orders`].
fn hold(row: &PgRow) -> Result<Hold, Error> {
    Ok(Hold {
        hold_id: row.try_get(1)?,
        reason: row.try_get(2)?,
        note: row.try_get(3)?,
        owner: row.try_get(4)?,
        placed_at: row.try_get(5)?,
        expires_at: row.try_get(6)?,
        on_expiry: stored_enum(row.try_get(7)?)?,
        rule: row.try_get(8)?,
        due_at: row.try_get(9)?,
    })
}

/// Lifts holds.
pub async fn delete(conn: &mut PgConnection, hold_ids: &[Uuid]) -> Result<(), Error> {
    sqlx::query("delete from hold where hold_id = any($1)").bind(hold_ids).execute(conn).await?;
    Ok(())
}

/// Lifts all holds of orders that are over.
pub async fn delete_of_orders(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<(), Error> {
    if !order_ids.is_empty() {
        sqlx::query("delete from hold where order_id = any($1)").bind(order_ids).execute(conn).await?;
    }
    Ok(())
}

/// Writes why orders were refused.
pub async fn insert_rejections(conn: &mut PgConnection, rejected: &[(Uuid, Vec<Rejection>)]) -> Result<(), Error> {
    if rejected.is_empty() {
        return Ok(());
    }
    let rows: Vec<(Uuid, i32, &Rejection)> = rejected
        .iter()
        .flat_map(|(id, all)| (0..).zip(all).map(|(place, rejection)| (*id, place, rejection)))
        .collect();
    sqlx::query(
        "insert into rejection (order_id, place, field, reason, message)
         select * from unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::text[])",
    )
    .bind(rows.iter().map(|row| row.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2.field.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2.reason.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.2.message.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Why orders were refused.
pub async fn rejections_of(
    conn: &mut PgConnection,
    order_ids: &[Uuid],
) -> Result<HashMap<Uuid, Vec<Rejection>>, Error> {
    let rows = sqlx::query(
        "select order_id, field, reason, message from rejection where order_id = any($1) order by order_id, place",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    let mut rejections: HashMap<Uuid, Vec<Rejection>> = HashMap::new();
    for row in rows {
        rejections.entry(row.try_get(0)?).or_default().push(Rejection {
            field: row.try_get(1)?,
            reason: row.try_get(2)?,
            message: row.try_get(3)?,
        });
    }
    Ok(rejections)
}
