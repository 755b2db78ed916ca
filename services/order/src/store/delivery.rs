//! How orders are to be delivered, and what is kept back of them.

use crate::cancellation::Part;
use crate::delivery::{Dates, ReadyPart};
use crate::error::Error;
use crate::store::column;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// What a new order says about its delivery, where it says anything.
pub struct NewTerms<'a> {
    /// The order.
    pub order_id: Uuid,
    /// Ship complete.
    pub is_complete: bool,
    /// Nothing goes earlier.
    pub not_before: Option<OffsetDateTime>,
    /// Reason of a block.
    pub block: Option<&'a str>,
    /// Wishes.
    pub requested: Dates,
    /// What was promised.
    pub promised: Dates,
    /// By line: wishes, and what was promised.
    pub lines: Vec<(i32, Dates, Dates)>,
}

/// Writes them to orders that were just inserted.
pub async fn insert(conn: &mut PgConnection, new: &[NewTerms<'_>]) -> Result<(), Error> {
    if new.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update orders o
            set ship_complete = n.ship_complete, not_before = n.not_before, delivery_block = n.block,
                requested_ship_at = n.ship_at, requested_delivery_at = n.deliver_at,
                promised_ship_at = n.promised_ship_at, promised_delivery_at = n.promised_deliver_at,
                has_line_dates = n.has_lines
           from unnest($1::uuid[], $2::bool[], $3::timestamptz[], $4::text[], $5::timestamptz[], $6::timestamptz[],
                       $7::timestamptz[], $8::timestamptz[], $9::bool[])
                as n (order_id, ship_complete, not_before, block, ship_at, deliver_at, promised_ship_at,
                      promised_deliver_at, has_lines)
          where o.order_id = n.order_id",
    )
    .bind(new.iter().map(|n| n.order_id).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.is_complete).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.not_before).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.block).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.requested.ship_at).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.requested.deliver_at).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.promised.ship_at).collect::<Vec<_>>())
    .bind(new.iter().map(|n| n.promised.deliver_at).collect::<Vec<_>>())
    .bind(new.iter().map(|n| !n.lines.is_empty()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    let lines = || new.iter().flat_map(|n| n.lines.iter().map(|line| (n.order_id, line)));
    if lines().next().is_none() {
        return Ok(());
    }
    sqlx::query(
        "insert into line_date (order_id, line_no, requested_ship_at, requested_delivery_at, promised_ship_at,
                                promised_delivery_at)
         select * from unnest($1::uuid[], $2::int4[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
                              $6::timestamptz[])",
    )
    .bind(lines().map(|(order_id, _)| order_id).collect::<Vec<_>>())
    .bind(lines().map(|(_, line)| line.0).collect::<Vec<_>>())
    .bind(lines().map(|(_, line)| line.1.ship_at).collect::<Vec<_>>())
    .bind(lines().map(|(_, line)| line.1.deliver_at).collect::<Vec<_>>())
    .bind(lines().map(|(_, line)| line.2.ship_at).collect::<Vec<_>>())
    .bind(lines().map(|(_, line)| line.2.deliver_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The dates of lines, where they have any: what was wished for, what was promised.
pub async fn line_dates(
    conn: &mut PgConnection,
    order_ids: &[Uuid],
) -> Result<HashMap<(Uuid, i32), (Dates, Dates)>, Error> {
    let rows = sqlx::query(
        "select order_id, line_no, requested_ship_at, requested_delivery_at, promised_ship_at, promised_delivery_at
           from line_date where order_id = any($1)",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    let dates = rows.iter().map(|row| {
        let requested = Dates { ship_at: row.try_get(2)?, deliver_at: row.try_get(3)? };
        let promised = Dates { ship_at: row.try_get(4)?, deliver_at: row.try_get(5)? };
        Ok(((row.try_get(0)?, row.try_get(1)?), (requested, promised)))
    });
    dates.collect()
}

/// Sets or lifts the block of an order.
pub async fn block(conn: &mut PgConnection, order_id: Uuid, reason: Option<&str>) -> Result<(), Error> {
    sqlx::query("update orders set delivery_block = $2 where order_id = $1")
        .bind(order_id)
        .bind(reason)
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps parts back.
pub async fn keep(conn: &mut PgConnection, parts: &[(Uuid, Part)]) -> Result<(), Error> {
    if parts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with kept as (
             insert into withheld (order_id, line_no, location, quantity)
             select order_id, line_no, location, sum(quantity)::int4
               from unnest($1::uuid[], $2::int4[], $3::uuid[], $4::int4[]) as n (order_id, line_no, location, quantity)
              group by order_id, line_no, location
             on conflict (order_id, line_no, location) do update set quantity = withheld.quantity + excluded.quantity)
         update orders o set withheld = o.withheld + n.quantity
           from (select order_id, sum(quantity) as quantity
                   from unnest($1::uuid[], $4::int4[]) as n (order_id, quantity) group by order_id) n
          where o.order_id = n.order_id",
    )
    .bind(parts.iter().map(|(order_id, _)| *order_id).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| part.line_no).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| part.location).collect::<Vec<_>>())
    .bind(parts.iter().map(|(_, part)| column(part.quantity)).collect::<Result<Vec<_>, _>>()?)
    .execute(conn)
    .await?;
    Ok(())
}

/// What is kept back of orders, in the order of lines and locations.
pub async fn withheld(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<Vec<(Uuid, Part)>, Error> {
    let rows: Vec<(Uuid, i32, Uuid, i32)> = sqlx::query_as(
        "select order_id, line_no, location, quantity from withheld where order_id = any($1)
          order by order_id, line_no, location",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    let part = |(order_id, line_no, location, quantity): (Uuid, i32, Uuid, i32)| {
        (order_id, Part { line_no, location, quantity: quantity.into() })
    };
    Ok(rows.into_iter().map(part).collect())
}

/// Takes parts out of what is kept back of an order.
pub async fn take(conn: &mut PgConnection, order_id: Uuid, parts: &[Part]) -> Result<(), Error> {
    let mut left = withheld(&mut *conn, &[order_id]).await?;
    for part in parts {
        let there = left.iter_mut().find(|(_, w)| (w.line_no, w.location) == (part.line_no, part.location));
        let there = there.filter(|(_, there)| there.quantity >= part.quantity);
        there.ok_or(Error::Broken("a part that is not kept back"))?.1.quantity -= part.quantity;
    }
    take_all(&mut *conn, &[order_id]).await?;
    left.retain(|(_, part)| part.quantity > 0);
    keep(conn, &left).await
}

/// Takes all that is kept back of orders.
pub async fn take_all(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<Vec<(Uuid, ReadyPart)>, Error> {
    let rows: Vec<(Uuid, i32, Uuid, i32, bool)> = sqlx::query_as(
        "with taken as (delete from withheld where order_id = any($1) returning order_id, line_no, location, quantity),
              zeroed as (update orders set withheld = 0 where order_id = any($1))
         select t.order_id, t.line_no, t.location, t.quantity, l.stocked
           from taken t join order_line l using (order_id, line_no)
          order by t.order_id, t.line_no, t.location",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    let part = |(order_id, line_no, location, quantity, stocked): (Uuid, i32, Uuid, i32, bool)| {
        (order_id, ReadyPart { line_no, location, quantity: quantity.into(), stocked })
    };
    Ok(rows.into_iter().map(part).collect())
}

/// Sets when what is kept back of orders falls due.
pub async fn fall_due(conn: &mut PgConnection, orders: &[(Uuid, OffsetDateTime)]) -> Result<(), Error> {
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into hand_over_due (order_id, due_at)
         select order_id, max(due_at) from unnest($1::uuid[], $2::timestamptz[]) as n (order_id, due_at) group by order_id
         on conflict (order_id) do update set due_at = excluded.due_at",
    )
    .bind(orders.iter().map(|(order_id, _)| *order_id).collect::<Vec<_>>())
    .bind(orders.iter().map(|(_, due_at)| *due_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Up to `limit` orders whose date has come.
pub async fn due(conn: &mut PgConnection, now: OffsetDateTime, limit: i64) -> Result<Vec<Uuid>, Error> {
    Ok(sqlx::query_scalar("select order_id from hand_over_due where due_at <= $1 order by due_at limit $2")
        .bind(now)
        .bind(limit)
        .fetch_all(conn)
        .await?)
}

/// Forgets dates that have come.
pub async fn no_longer_due(conn: &mut PgConnection, order_ids: &[Uuid], now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query("delete from hand_over_due where order_id = any($1) and due_at <= $2")
        .bind(order_ids)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}
