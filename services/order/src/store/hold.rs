//! Holds and rejections.

use crate::error::Error;
use crate::hold::{HeldOrder, HoldFilter};
use crate::order::{Hold, Rejection};
use crate::store::{currency, small, stored_enum};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
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

/// Up to `limit` holds after one, oldest first.
pub async fn page(
    conn: &mut PgConnection,
    filter: &HoldFilter,
    after: Option<Uuid>,
    limit: i64,
) -> Result<Vec<HeldOrder>, Error> {
    let rows = sqlx::query(
        "select h.order_id, h.hold_id, h.reason, h.note, h.owner, h.placed_at, h.expires_at, h.on_expiry, h.rule, h.due_at,
                o.number, o.channel, coalesce(o.external_id, ''), o.customer_id, coalesce(c.name, ''), o.currency,
                o.gross - o.discount + o.tax, o.holds
           from hold h join orders o using (order_id) left join customer c using (customer_id)
          where ($1::uuid is null or h.hold_id > $1)
            and ($2 = '' or h.owner = $2) and ($3 = '' or h.reason = $3) and ($4 = '' or h.rule = $4)
            and ($5 = '' or o.channel = $5)
          order by h.hold_id
          limit $6",
    )
    .bind(after)
    .bind(&filter.owner)
    .bind(&filter.reason)
    .bind(&filter.rule)
    .bind(&filter.channel)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(HeldOrder {
                hold: hold(row)?,
                order_id: row.try_get(0)?,
                number: row.try_get(10)?,
                channel: row.try_get(11)?,
                external_id: row.try_get(12)?,
                customer_id: row.try_get(13)?,
                customer_name: row.try_get(14)?,
                currency: currency(row.try_get(15)?)?,
                total: row.try_get(16)?,
                holds: row.try_get(17)?,
            })
        })
        .collect()
}

/// The orders of those holds that are there.
pub async fn orders_of(conn: &mut PgConnection, hold_ids: &[Uuid]) -> Result<HashMap<Uuid, Uuid>, Error> {
    let rows: Vec<(Uuid, Uuid)> = sqlx::query_as("select hold_id, order_id from hold where hold_id = any($1)")
        .bind(hold_ids)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Up to `limit` orders with holds that are due, longest first.
pub async fn due(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<Vec<Uuid>, Error> {
    let rows: Vec<Uuid> = sqlx::query_scalar("select order_id from hold where due_at <= $1 order by due_at limit $2")
        .bind(now)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(rows)
}

/// When the next hold falls due, if there is any.
pub async fn next_due(conn: &mut PgConnection) -> Result<Option<OffsetDateTime>, Error> {
    Ok(sqlx::query_scalar("select min(due_at) from hold where due_at is not null").fetch_one(conn).await?)
}

/// Has holds looked at again at these times; none: never.
pub async fn postpone(conn: &mut PgConnection, holds: &[(Uuid, Option<OffsetDateTime>)]) -> Result<(), Error> {
    if holds.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update hold h set due_at = d.due_at
           from unnest($1::uuid[], $2::timestamptz[]) as d (hold_id, due_at)
          where h.hold_id = d.hold_id",
    )
    .bind(holds.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(holds.iter().map(|(_, due_at)| *due_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Has the holds of rules looked at at once, because the rules changed.
pub async fn review_rules(conn: &mut PgConnection, rules: &[&str], now: OffsetDateTime) -> Result<(), Error> {
    // In key order, as everybody who locks holds.
    sqlx::query(
        "update hold set due_at = $2
          where hold_id in (select hold_id from hold where rule = any($1) order by hold_id for update)",
    )
    .bind(rules)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Has the holds of rules on orders of customers looked at at once, because the customers changed. Read from the holds
/// that anybody looks at: they are few, a customer's orders may be many.
pub async fn review_customers(conn: &mut PgConnection, customers: &[Uuid], now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "with held as materialized (
             select hold_id, order_id from hold where due_at > $2 and rule is not null)
         update hold set due_at = $2
          where hold_id in (select h.hold_id
                              from held h join orders o using (order_id)
                             where o.customer_id = any($1))",
    )
    .bind(customers)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Has the holds of rules on orders looked at at once, because the orders changed.
pub async fn review_orders(conn: &mut PgConnection, order_ids: &[Uuid], now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query("update hold set due_at = $2 where order_id = any($1) and rule is not null and due_at > $2")
        .bind(order_ids)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
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
