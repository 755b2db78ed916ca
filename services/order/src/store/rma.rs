//! Returns.

use crate::error::Error;
use crate::name::ReturnName;
use crate::rma::{Rma, RmaLine};
use crate::store::{column, small, stored_enum};
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

async fn with_lines(conn: &mut PgConnection, rows: Vec<sqlx::postgres::PgRow>) -> Result<Vec<Rma>, Error> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(Rma {
            return_id: row.try_get(0)?,
            number: row.try_get(1)?,
            order_id: row.try_get(2)?,
            external_id: row.try_get::<Option<String>, _>(3)?.unwrap_or_default(),
            handling: stored_enum(row.try_get(4)?)?,
            requested_at: row.try_get(5)?,
            version: row.try_get(6)?,
            lines: Vec::new(),
        });
    }
    let rows = sqlx::query(
        "select return_id, line_no, quantity, received, reason, credit
           from rma_line where return_id = any($1) order by return_id, line_no",
    )
    .bind(found.iter().map(|rma| rma.return_id).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let mut lines: HashMap<Uuid, Vec<RmaLine>> = HashMap::new();
    for row in rows {
        lines.entry(row.try_get(0)?).or_default().push(RmaLine {
            line_no: row.try_get(1)?,
            quantity: row.try_get::<i32, _>(2)?.into(),
            received: row.try_get::<i32, _>(3)?.into(),
            reason: row.try_get(4)?,
            credit: row.try_get(5)?,
        });
    }
    for rma in &mut found {
        rma.lines = lines.remove(&rma.return_id).unwrap_or_default();
    }
    Ok(found)
}

/// All returns of these orders.
pub async fn of_orders(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<Vec<Rma>, Error> {
    let rows = sqlx::query(
        "select return_id, number, order_id, external_id, handling, requested_at, version
           from rma where order_id = any($1) order by return_id",
    )
    .bind(order_ids)
    .fetch_all(&mut *conn)
    .await?;
    with_lines(conn, rows).await
}

/// One return by its name.
pub async fn find(conn: &mut PgConnection, name: ReturnName) -> Result<Option<Rma>, Error> {
    let (id, number) = match name {
        ReturnName::Id(id) => (Some(id), None),
        ReturnName::Number(number) => (None, Some(number)),
    };
    let rows = sqlx::query(
        "select return_id, number, order_id, external_id, handling, requested_at, version
           from rma where return_id = $1
         union all
         select return_id, number, order_id, external_id, handling, requested_at, version
           from rma where number = $2",
    )
    .bind(id)
    .bind(number)
    .fetch_all(&mut *conn)
    .await?;
    Ok(with_lines(conn, rows).await?.pop())
}

/// Up to `limit` returns, newest first, after the one requested at that time with that id.
pub async fn page(
    conn: &mut PgConnection,
    order_id: Option<Uuid>,
    after: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Rma>, Error> {
    let (after_time, after_id) = after.unzip();
    let rows = sqlx::query(
        "select return_id, number, order_id, external_id, handling, requested_at, version
           from rma
          where ($1::uuid is null or order_id = $1)
            and ($2::timestamptz is null or (requested_at, return_id) < ($2, $3))
          order by requested_at desc, return_id desc
          limit $4",
    )
    .bind(order_id)
    .bind(after_time)
    .bind(after_id)
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    with_lines(conn, rows).await
}

/// Writes new returns; their numbers by id.
pub async fn insert(conn: &mut PgConnection, returns: &[&Rma]) -> Result<HashMap<Uuid, i64>, Error> {
    let rows = sqlx::query(
        "insert into rma (return_id, order_id, external_id, handling, requested_at, version)
         select return_id, order_id, nullif(external_id, ''), handling, requested_at, version
           from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int2[], $5::timestamptz[], $6::int8[]) with ordinality
                as r (return_id, order_id, external_id, handling, requested_at, version, place)
          order by place
         returning return_id, number",
    )
    .bind(returns.iter().map(|rma| rma.return_id).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.order_id).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.external_id.as_str()).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| small(rma.handling.into())).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.requested_at).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.version).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let lines: Vec<(Uuid, &RmaLine)> =
        returns.iter().flat_map(|rma| rma.lines.iter().map(|line| (rma.return_id, line))).collect();
    sqlx::query(
        "insert into rma_line (return_id, line_no, quantity, reason, credit)
         select * from unnest($1::uuid[], $2::int4[], $3::int4[], $4::text[], $5::numeric[])",
    )
    .bind(lines.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.line_no).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| column(line.quantity)).collect::<Result<Vec<_>, _>>()?)
    .bind(lines.iter().map(|(_, line)| line.reason.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.credit).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Counts what came back: (return, line number, quantity), each line once.
pub async fn receive(conn: &mut PgConnection, received: &[(Uuid, i32, i64)]) -> Result<(), Error> {
    if received.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = received.iter().map(|line| line.0).collect();
    sqlx::query(
        "update rma_line l set received = l.received + n.quantity
           from unnest($1::uuid[], $2::int4[], $3::int4[]) as n (return_id, line_no, quantity)
          where l.return_id = n.return_id and l.line_no = n.line_no",
    )
    .bind(&ids)
    .bind(received.iter().map(|line| line.1).collect::<Vec<_>>())
    .bind(received.iter().map(|line| column(line.2)).collect::<Result<Vec<_>, _>>()?)
    .execute(&mut *conn)
    .await?;
    sqlx::query("update rma set version = version + 1 where return_id = any($1)").bind(&ids).execute(conn).await?;
    Ok(())
}
