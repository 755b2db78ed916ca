//! Returns and their receipts.

use crate::error::Error;
use crate::expected_return::{ExpectedReturn, Origin, Receipt, ReturnLine, SetAside};
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
        "insert into expected_return
                (return_id, number, order_id, requested_at, version, expected, received, resolution)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::timestamptz[], $5::int8[], $6::int8[], $7::int8[],
                              $8::int2[])",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&order_ids)
    .bind(&requested)
    .bind(&versions)
    .bind(&expected)
    .bind(&received)
    .bind(returns.iter().map(|r| r.resolution as i16).collect::<Vec<_>>())
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
                (return_id, line_no, sku, reason, expected, sellable, damaged, credit, credit_currency, condition, withheld)
         select * from unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[],
                              $8::numeric[], $9::text[], $10::int2[], $11::int8[])",
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
    .bind(every().map(|line| line.condition as i16).collect::<Vec<_>>())
    .bind(every().map(|line| line.withheld).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what became of a return, which is one version further by it.
pub async fn update(conn: &mut PgConnection, expected: &ExpectedReturn) -> Result<(), Error> {
    let updated = sqlx::query(
        "update expected_return set version = $2, received = $3, expected = $4, released = $5, closed_at = $6
              where return_id = $1 and version = $2 - 1",
    )
    .bind(expected.id.0)
    .bind(expected.version)
    .bind(expected.lines.iter().map(ReturnLine::received).sum::<i64>())
    .bind(expected.lines.iter().map(|line| line.expected).sum::<i64>())
    .bind(expected.lines.iter().map(|line| line.released).sum::<i64>())
    .bind(expected.closed_at)
    .execute(&mut *conn)
    .await?;
    if updated.rows_affected() != 1 {
        return Err(Error::Broken("a return changed while its order was locked".to_owned()));
    }
    let numbers = |f: fn(&ReturnLine) -> i64| expected.lines.iter().map(f).collect::<Vec<i64>>();
    // A line that is new was not announced: it has no credit of its own.
    sqlx::query(
        "insert into expected_return_line as l
                (return_id, line_no, sku, reason, expected, sellable, damaged, released, withheld, amended)
         select $1, * from unnest($2::int4[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
                                  $9::int8[], $10::int8[])
         on conflict (return_id, line_no) do update
            set expected = excluded.expected, sellable = excluded.sellable, damaged = excluded.damaged,
                released = excluded.released, withheld = excluded.withheld, amended = excluded.amended
          where (l.expected, l.sellable, l.damaged, l.released, l.withheld, l.amended) is distinct from
                (excluded.expected, excluded.sellable, excluded.damaged, excluded.released, excluded.withheld,
                 excluded.amended)",
    )
    .bind(expected.id.0)
    .bind(expected.lines.iter().map(|line| line.line_no).collect::<Vec<_>>())
    .bind(expected.lines.iter().map(|line| line.sku.as_str()).collect::<Vec<_>>())
    .bind(expected.lines.iter().map(|line| line.reason.as_str()).collect::<Vec<_>>())
    .bind(numbers(|line| line.expected))
    .bind(numbers(|line| line.sellable))
    .bind(numbers(|line| line.damaged))
    .bind(numbers(|line| line.released))
    .bind(numbers(|line| line.withheld))
    .bind(numbers(|line| line.amended))
    .execute(&mut *conn)
    .await?;
    let taken: Vec<Uuid> = expected.set_aside.iter().filter(|aside| aside.taken).map(|aside| aside.id).collect();
    if !taken.is_empty() {
        sqlx::query("update set_aside set taken = true where id = any($1) and not taken")
            .bind(&taken)
            .execute(conn)
            .await?;
    }
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
        "insert into return_receipt_line
                (return_id, receipt_no, line_no, location_id, sellable, damaged, note, credit, uncredited)
         select * from unnest($1::uuid[], $2::int8[], $3::int4[], $4::uuid[], $5::int8[], $6::int8[], $7::text[],
                              $8::numeric[], $9::int8[])",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&line_nos)
    .bind(&locations)
    .bind(&sellable)
    .bind(&damaged)
    .bind(&notes)
    .bind(&credits)
    .bind(every().map(|(_, line)| line.uncredited).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;

    let aside: Vec<(&Receipt, &SetAside)> =
        receipts.iter().flat_map(|r| r.set_aside.iter().map(move |aside| (r, aside))).collect();
    if aside.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into set_aside (id, return_id, receipt_no, line_no, sku, sellable, damaged, note, received_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int4[], $5::text[], $6::int8[], $7::int8[],
                              $8::text[], $9::timestamptz[])",
    )
    .bind(aside.iter().map(|(_, aside)| aside.id).collect::<Vec<_>>())
    .bind(aside.iter().map(|(r, _)| r.return_id.0).collect::<Vec<_>>())
    .bind(aside.iter().map(|(r, _)| r.receipt_no).collect::<Vec<_>>())
    .bind(aside.iter().map(|(_, aside)| aside.line_no).collect::<Vec<_>>())
    .bind(aside.iter().map(|(_, aside)| aside.sku.as_str()).collect::<Vec<_>>())
    .bind(aside.iter().map(|(_, aside)| aside.sellable).collect::<Vec<_>>())
    .bind(aside.iter().map(|(_, aside)| aside.damaged).collect::<Vec<_>>())
    .bind(aside.iter().map(|(_, aside)| aside.note.as_str()).collect::<Vec<_>>())
    .bind(aside.iter().map(|(_, aside)| aside.received_at).collect::<Vec<_>>())
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
              where return_id > $1 and received < expected and closed_at is null
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
        "select return_id, line_no, sku, reason, expected, sellable, damaged, credit, credit_currency, released, condition,
                withheld, amended
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
            released: row.try_get(9)?,
            condition: stored(row.try_get(10)?)?,
            withheld: row.try_get(11)?,
            amended: row.try_get(12)?,
            credit,
        });
    }
    let mut aside = set_aside(&mut *conn, &ids).await?;
    let rows = sqlx::query(
        "select return_id, number, order_id, requested_at, version, resolution, closed_at
           from expected_return where return_id = any($1) order by return_id",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let mut returns = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get(0)?;
        returns.push(ExpectedReturn {
            id: ReturnId(id),
            number: row.try_get(1)?,
            order_id: OrderId(row.try_get(2)?),
            requested_at: row.try_get(3)?,
            version: row.try_get(4)?,
            resolution: stored(row.try_get(5)?)?,
            closed_at: row.try_get(6)?,
            lines: lines.remove(&id).unwrap_or_default(),
            set_aside: aside.remove(&id).unwrap_or_default(),
        });
    }
    Ok(returns)
}

/// What was set aside of returns, oldest first.
async fn set_aside(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Vec<SetAside>>> {
    let rows = sqlx::query(
        "select return_id, id, line_no, sku, sellable, damaged, note, received_at, taken
           from set_aside where return_id = any($1) order by id",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut aside: HashMap<Uuid, Vec<SetAside>> = HashMap::new();
    for row in rows {
        aside.entry(row.try_get(0)?).or_default().push(SetAside {
            id: row.try_get(1)?,
            line_no: row.try_get(2)?,
            sku: row.try_get(3)?,
            sellable: row.try_get(4)?,
            damaged: row.try_get(5)?,
            note: row.try_get(6)?,
            received_at: row.try_get(7)?,
            taken: row.try_get(8)?,
        });
    }
    Ok(aside)
}

/// An enum that we wrote.
fn stored<E: TryFrom<i32>>(number: i16) -> Result<E, Error> {
    E::try_from(i32::from(number)).map_err(|_| Error::Broken(format!("{number} is not a value of its enum")))
}

/// Where most of each order line had left from.
pub async fn origins(
    conn: &mut PgConnection,
    lines: &BTreeSet<(OrderId, i32)>,
) -> sqlx::Result<HashMap<OrderId, HashMap<i32, Origin>>> {
    let (order_ids, line_nos): (Vec<Uuid>, Vec<i32>) = lines.iter().map(|(id, no)| (id.0, *no)).unzip();
    let rows: Vec<(Uuid, i32, Uuid, bool, String)> = sqlx::query_as(
        "select distinct on (order_id, line_no) order_id, line_no, location_id, stocked, sku
           from (select f.order_id, l.line_no, f.location_id, bool_or(l.stocked) as stocked, min(l.sku) as sku,
                        sum(l.shipped) as shipped
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
    for (order_id, line_no, location_id, stocked, sku) in rows {
        let origin = Origin { location_id: LocationId(location_id), stocked, sku };
        origins.entry(OrderId(order_id)).or_default().insert(line_no, origin);
    }
    Ok(origins)
}
