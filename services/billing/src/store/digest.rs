//! What billing holds about each order, for the comparison between services.

use pesan_money::Currency;
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// Up to `limit` subjects after `after`, ascending: orders with a charge, and documents that belong to no order. Only
/// those in `only`, unless it is none.
pub async fn subjects(
    conn: &mut PgConnection,
    after: Uuid,
    only: Option<&[Uuid]>,
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    let query = match only {
        None => sqlx::query_scalar(
            "select id from (
                 (select order_id as id from charge where order_id > $1 order by order_id limit $2)
                 union all
                 (select id from document where order_id is null and id > $1 order by id limit $2)) s
              order by id limit $2",
        ),
        Some(_) => sqlx::query_scalar(
            "select id from (
                 select order_id as id from charge where order_id > $1 and order_id = any($3)
                 union all
                 select id from document where order_id is null and id > $1 and id = any($3)) s
              order by id limit $2",
        ),
    };
    let query = query.bind(after).bind(limit);
    match only {
        None => query.fetch_all(conn).await,
        Some(only) => query.bind(only).fetch_all(conn).await,
    }
}

/// (order, line, invoiced, credited) of lines of which something was invoiced, ascending.
pub async fn lines(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<Vec<(Uuid, i32, i64, i64)>> {
    sqlx::query_as(
        "select order_id, line_no, invoiced, credited from charge_line
          where order_id = any($1) and invoiced > 0 order by order_id, line_no",
    )
    .bind(orders)
    .fetch_all(conn)
    .await
}

/// What documents of a subject come to, without tax.
#[derive(Clone, Debug)]
pub struct Amounts {
    pub subject: Uuid,
    pub currency: Currency,
    pub invoiced: Decimal,
    pub credited: Decimal,
}

/// Amounts of the subjects that have documents, ascending.
pub async fn amounts(conn: &mut PgConnection, subjects: &[Uuid]) -> sqlx::Result<Vec<Amounts>> {
    let rows = sqlx::query(
        "select subject, currency, coalesce(sum(net) filter (where kind = 'invoice'), 0),
                coalesce(sum(net) filter (where kind = 'credit_note'), 0)
           from (select order_id as subject, currency, kind, net from document where order_id = any($1)
                 union all
                 select id, currency, kind, net from document where id = any($1) and order_id is null) d
          group by subject, currency order by subject",
    )
    .bind(subjects)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Amounts {
                subject: row.try_get(0)?,
                currency: super::currency(row, "currency")?,
                invoiced: row.try_get(2)?,
                credited: row.try_get(3)?,
            })
        })
        .collect()
}
