//! Returns and their receipts.

use crate::error::Error;
use crate::expected_return::{ExpectedReturn, Origin, Receipt, ReturnLine};
use crate::id::{LocationId, OrderId, ReturnId};
use pesan_money::Money;
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeSet, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// Writes returns that are new, with what came back of them already.
pub async fn insert(conn: &mut PgConnection, returns: &[ExpectedReturn]) -> sqlx::Result<()> {
    if returns.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = returns.iter().map(|r| r.id.0).collect();
    let numbers: Vec<&str> = returns.iter().map(|r| r.number.as_str()).collect();
    let order_ids: Vec<Uuid> = returns.iter().map(|r| r.order_id.0).collect();
    let requested: Vec<OffsetDateTime> = returns.iter().map(|r| r.requested_at).collect();
    let versions: Vec<i64> = returns.iter().map(|r| r.version).collect();
    let expected: Vec<i64> = returns.iter().map(|r| r.lines.iter().map(|line| line.expected).sum()).collect();
    let received: Vec<i64> = returns.iter().map(|r| r.lines.iter().map(ReturnLine::received).sum()).collect();
    sqlx::query(
        "insert into expected_return (return_id, number, order_id, requested_at, version, expected, received)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::int8[], $6::int8[], $7::int8[])",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&order_ids)
    .bind(&requested)
    .bind(&versions)
    .bind(&expected)
    .bind(&received)
    .execute(&mut *conn)
    .await?;

    let every = || returns.iter().flat_map(|r| &r.lines);
    let of: Vec<Uuid> = returns.iter().flat_map(|r| r.lines.iter().map(|_| r.id.0)).collect();
    let line_nos: Vec<i32> = every().map(|line| line.line_no).collect();
    let skus: Vec<&str> = every().map(|line| line.sku.as_str()).collect();
    let reasons: Vec<&str> = every().map(|line| line.reason.as_str()).collect();
    let expected: Vec<i64> = every().map(|line| line.expected).collect();
    let sellable: Vec<i64> = every().map(|line| line.sellable).collect();
    let damaged: Vec<i64> = every().map(|line| line.damaged).collect();
    let credits: Vec<Option<Decimal>> = every().map(|line| line.credit.map(|credit| credit.amount)).collect();
    let currencies: Vec<Option<&str>> = every().map(|line| line.credit.map(|credit| credit.currency.code())).collect();
    sqlx::query(
        "insert into expected_return_line
                (return_id, line_no, sku, reason, expected, sellable, damaged, credit, credit_currency)
         select * from unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[],
                              $8::numeric[], $9::text[])",
    )
    .bind(&of)
    .bind(&line_nos)
    .bind(&skus)
    .bind(&reasons)
    .bind(&expected)
    .bind(&sellable)
    .bind(&damaged)
    .bind(&credits)
    .bind(&currencies)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what came back of a return, which is one version further by it.
pub async fn update(conn: &mut PgConnection, expected: &ExpectedReturn) -> Result<(), Error> {
    let updated =
        sqlx::query("update expected_return set version = $2, received = $3 where return_id = $1 and version = $2 - 1")
            .bind(expected.id.0)
            .bind(expected.version)
            .bind(expected.lines.iter().map(ReturnLine::received).sum::<i64>())
            .execute(&mut *conn)
            .await?;
    if updated.rows_affected() != 1 {
        return Err(Error::Broken("a return changed while its order was locked".to_owned()));
    }
    let line_nos: Vec<i32> = expected.lines.iter().map(|line| line.line_no).collect();
    let sellable: Vec<i64> = expected.lines.iter().map(|line| line.sellable).collect();
    let damaged: Vec<i64> = expected.lines.iter().map(|line| line.damaged).collect();
    sqlx::query(
        "update expected_return_line l set sellable = n.sellable, damaged = n.damaged
           from unnest($2::int4[], $3::int8[], $4::int8[]) as n (line_no, sellable, damaged)
          where l.return_id = $1 and l.line_no = n.line_no
            and (l.sellable, l.damaged) is distinct from (n.sellable, n.damaged)",
    )
    .bind(expected.id.0)
    .bind(&line_nos)
    .bind(&sellable)
    .bind(&damaged)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes receipts.
pub async fn insert_receipts(conn: &mut PgConnection, receipts: &[Receipt]) -> sqlx::Result<()> {
    if receipts.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = receipts.iter().map(|r| r.return_id.0).collect();
    let numbers: Vec<i64> = receipts.iter().map(|r| r.receipt_no).collect();
    let received: Vec<OffsetDateTime> = receipts.iter().map(|r| r.received_at).collect();
    sqlx::query(
        "insert into return_receipt (return_id, receipt_no, received_at)
         select * from unnest($1::uuid[], $2::int8[], $3::timestamptz[])",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&received)
    .execute(&mut *conn)
    .await?;

    let every = || receipts.iter().flat_map(|r| r.lines.iter().map(move |line| (r, line)));
    let ids: Vec<Uuid> = every().map(|(r, _)| r.return_id.0).collect();
    let numbers: Vec<i64> = every().map(|(r, _)| r.receipt_no).collect();
    let line_nos: Vec<i32> = every().map(|(_, line)| line.line_no).collect();
    let locations: Vec<Uuid> = every().map(|(_, line)| line.location_id.0).collect();
    let sellable: Vec<i64> = every().map(|(_, line)| line.sellable).collect();
    let damaged: Vec<i64> = every().map(|(_, line)| line.damaged).collect();
    let notes: Vec<&str> = every().map(|(_, line)| line.note.as_str()).collect();
    let credits: Vec<Option<Decimal>> = every().map(|(_, line)| line.credit.map(|credit| credit.amount)).collect();
    sqlx::query(
        "insert into return_receipt_line (return_id, receipt_no, line_no, location_id, sellable, damaged, note, credit)
         select * from unnest($1::uuid[], $2::int8[], $3::int4[], $4::uuid[], $5::int8[], $6::int8[], $7::text[],
                              $8::numeric[])",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&line_nos)
    .bind(&locations)
    .bind(&sellable)
    .bind(&damaged)
    .bind(&notes)
    .bind(&credits)
    .execute(conn)
    .await?;
    Ok(())
}

/// The return with this id and its order.
pub async fn find_by_id(conn: &mut PgConnection, id: ReturnId) -> sqlx::Result<Option<(ReturnId, OrderId)>> {
    let row: Option<(Uuid, Uuid)> =
        sqlx::query_as("select return_id, order_id from expected_return where return_id = $1")
            .bind(id.0)
            .fetch_optional(conn)
            .await?;
    Ok(row.map(|(id, order_id)| (ReturnId(id), OrderId(order_id))))
}

/// The return with this number and its order.
pub async fn find_by_number(conn: &mut PgConnection, number: &str) -> sqlx::Result<Option<(ReturnId, OrderId)>> {
    let row: Option<(Uuid, Uuid)> = sqlx::query_as("select return_id, order_id from expected_return where number = $1")
        .bind(number)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(id, order_id)| (ReturnId(id), OrderId(order_id))))
}

/// A page of ids, oldest first.
pub async fn page(
    conn: &mut PgConnection,
    after: Option<ReturnId>,
    open_only: bool,
    limit: i64,
) -> sqlx::Result<Vec<ReturnId>> {
    let after = after.map_or(Uuid::nil(), |id| id.0);
    let ids: Vec<Uuid> = if open_only {
        sqlx::query_scalar(
            "select return_id from expected_return
              where return_id > $1 and received < expected
              order by return_id limit $2",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?
    } else {
        sqlx::query_scalar("select return_id from expected_return where return_id > $1 order by return_id limit $2")
            .bind(after)
            .bind(limit)
            .fetch_all(conn)
            .await?
    };
    Ok(ids.into_iter().map(ReturnId).collect())
}

/// Returns with their lines, ascending by id.
pub async fn load(conn: &mut PgConnection, ids: &[ReturnId]) -> Result<Vec<ExpectedReturn>, Error> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query(
        "select return_id, line_no, sku, reason, expected, sellable, damaged, credit, credit_currency
           from expected_return_line
          where return_id = any($1)
          order by return_id, line_no",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    let mut lines: HashMap<Uuid, Vec<ReturnLine>> = HashMap::with_capacity(ids.len());
    for row in rows {
        let credit = match (row.try_get::<Option<Decimal>, _>(7)?, row.try_get::<Option<String>, _>(8)?) {
            (Some(amount), Some(code)) => Some(Money::new(code.parse()?, amount)),
            _ => None,
        };
        lines.entry(row.try_get(0)?).or_default().push(ReturnLine {
            line_no: row.try_get(1)?,
            sku: row.try_get(2)?,
            reason: row.try_get(3)?,
            expected: row.try_get(4)?,
            sellable: row.try_get(5)?,
            damaged: row.try_get(6)?,
            credit,
        });
    }
    let rows: Vec<(Uuid, String, Uuid, OffsetDateTime, i64)> = sqlx::query_as(
        "select return_id, number, order_id, requested_at, version
           from expected_return where return_id = any($1) order by return_id",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let of_row = |(id, number, order_id, requested_at, version): (Uuid, String, Uuid, OffsetDateTime, i64)| {
        let lines = lines.remove(&id).unwrap_or_default();
        ExpectedReturn { id: ReturnId(id), number, order_id: OrderId(order_id), requested_at, version, lines }
    };
    Ok(rows.into_iter().map(of_row).collect())
}

/// Where most of each order line had left from.
pub async fn origins(
    conn: &mut PgConnection,
    lines: &BTreeSet<(OrderId, i32)>,
) -> sqlx::Result<HashMap<OrderId, HashMap<i32, Origin>>> {
    let (order_ids, line_nos): (Vec<Uuid>, Vec<i32>) = lines.iter().map(|(id, no)| (id.0, *no)).unzip();
    let rows: Vec<(Uuid, i32, Uuid, bool)> = sqlx::query_as(
        "select distinct on (order_id, line_no) order_id, line_no, location_id, stocked
           from (select f.order_id, l.line_no, f.location_id, bool_or(l.stocked) as stocked, sum(l.shipped) as shipped
                   from unnest($1::uuid[], $2::int4[]) as wanted (order_id, line_no)
                   join fulfilment_order f on f.order_id = wanted.order_id
                   join fulfilment_line l on l.fulfilment_order_id = f.id and l.line_no = wanted.line_no
                  where l.shipped > 0
                  group by f.order_id, l.line_no, f.location_id) left_from
          order by order_id, line_no, shipped desc, location_id",
    )
    .bind(&order_ids)
    .bind(&line_nos)
    .fetch_all(conn)
    .await?;
    let mut origins: HashMap<OrderId, HashMap<i32, Origin>> = HashMap::new();
    for (order_id, line_no, location_id, stocked) in rows {
        let origin = Origin { location_id: LocationId(location_id), stocked };
        origins.entry(OrderId(order_id)).or_default().insert(line_no, origin);
    }
    Ok(origins)
}
