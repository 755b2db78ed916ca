//! Price lists.

use crate::error::Error;
use crate::price::{Entry, Listed, PriceBook, PriceList, Table, Terms};
use crate::store::{column, currency};
use pesan_money::Currency;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use std::sync::Arc;

fn list(row: &PgRow) -> Result<PriceList, Error> {
    Ok(PriceList {
        code: row.try_get::<&str, _>(0)?.into(),
        version: row.try_get(1)?,
        terms: Terms {
            name: row.try_get(2)?,
            currency: currency(row.try_get(3)?)?,
            channels: row.try_get(4)?,
            segments: row.try_get(5)?,
            valid_from: row.try_get(6)?,
            valid_until: row.try_get(7)?,
            rank: row.try_get(8)?,
            retired: row.try_get(9)?,
        },
        entry_count: row.try_get(10)?,
    })
}

/// All lists that are in use, with their entries; what `known` has in the same version is not read again.
pub async fn book(conn: &mut PgConnection, known: &PriceBook) -> Result<PriceBook, Error> {
    let rows = sqlx::query(
        "select code, version, name, currency, channels, segments, valid_from, valid_until, rank, retired, entry_count
           from price_list where not retired",
    )
    .fetch_all(&mut *conn)
    .await?;
    let lists: Vec<PriceList> = rows.iter().map(list).collect::<Result<_, _>>()?;
    let changed: Vec<&str> =
        lists.iter().filter(|list| known.get(&list.code, list.version).is_none()).map(|list| &*list.code).collect();
    let mut entries = if changed.is_empty() { HashMap::new() } else { entries_of(conn, &changed).await? };
    let listed = lists.into_iter().map(|list| match known.get(&list.code, list.version) {
        Some(listed) => listed.clone(),
        None => {
            let table = Table::of(entries.remove(&*list.code).unwrap_or_default());
            Arc::new(Listed { list, table })
        }
    });
    Ok(PriceBook::of(listed.collect()))
}

/// All entries of lists, by their codes.
pub async fn entries_of(conn: &mut PgConnection, codes: &[&str]) -> Result<HashMap<String, Vec<Entry>>, Error> {
    let rows = sqlx::query(
        "select price_list, sku, min_quantity, unit_price
           from price_entry where price_list = any($1) order by price_list, sku, min_quantity",
    )
    .bind(codes)
    .fetch_all(conn)
    .await?;
    let mut entries: HashMap<String, Vec<Entry>> = HashMap::new();
    for row in rows {
        let entry = Entry { sku: row.try_get(1)?, min_quantity: row.try_get(2)?, unit_price: row.try_get(3)? };
        match entries.get_mut(row.try_get::<&str, _>(0)?) {
            Some(those) => those.push(entry),
            None => drop(entries.insert(row.try_get(0)?, vec![entry])),
        }
    }
    Ok(entries)
}

/// Up to `limit` entries of a list after an item and minimum, ascending.
pub async fn entry_page(
    conn: &mut PgConnection,
    code: &str,
    after: Option<(&str, i32)>,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let (sku, min_quantity) = after.unzip();
    let rows = sqlx::query(
        "select sku, min_quantity, unit_price
           from price_entry
          where price_list = $1 and ($2::text is null or (sku, min_quantity) > ($2, $3))
          order by sku, min_quantity
          limit $4",
    )
    .bind(code)
    .bind(sku)
    .bind(min_quantity)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| Ok(Entry { sku: row.try_get(0)?, min_quantity: row.try_get(1)?, unit_price: row.try_get(2)? }))
        .collect()
}

/// Up to `limit` lists after a code, ascending.
pub async fn page(conn: &mut PgConnection, after: Option<&str>, limit: i64) -> Result<Vec<PriceList>, Error> {
    let rows = sqlx::query(
        "select code, version, name, currency, channels, segments, valid_from, valid_until, rank, retired, entry_count
           from price_list where $1::text is null or code > $1 order by code limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(list).collect()
}

/// Those with one of these codes.
pub async fn find(conn: &mut PgConnection, codes: &[&str]) -> Result<Vec<PriceList>, Error> {
    let rows = sqlx::query(
        "select code, version, name, currency, channels, segments, valid_from, valid_until, rank, retired, entry_count
           from price_list where code = any($1)",
    )
    .bind(codes)
    .fetch_all(conn)
    .await?;
    rows.iter().map(list).collect()
}

/// How many lists and entries are in use besides these.
pub async fn others(conn: &mut PgConnection, codes: &[&str]) -> Result<(i64, i64), Error> {
    let others = sqlx::query_as(
        "select count(*), coalesce(sum(entry_count), 0)::int8 from price_list where not retired and code <> all($1)",
    );
    Ok(others.bind(codes).fetch_one(conn).await?)
}

/// Writes a list: a new one or a new version of a known one.
pub async fn write(conn: &mut PgConnection, list: &PriceList) -> Result<(), Error> {
    sqlx::query(
        "insert into price_list (code, version, name, currency, channels, segments, valid_from, valid_until, rank,
                                 retired, entry_count)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
         on conflict (code) do update
            set version = excluded.version, name = excluded.name, currency = excluded.currency,
                channels = excluded.channels, segments = excluded.segments, valid_from = excluded.valid_from,
                valid_until = excluded.valid_until, rank = excluded.rank, retired = excluded.retired,
                entry_count = excluded.entry_count",
    )
    .bind(&*list.code)
    .bind(list.version)
    .bind(&list.terms.name)
    .bind(Currency::code(list.terms.currency))
    .bind(&list.terms.channels)
    .bind(&list.terms.segments)
    .bind(list.terms.valid_from)
    .bind(list.terms.valid_until)
    .bind(list.terms.rank)
    .bind(list.terms.retired)
    .bind(list.entry_count)
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces the entries of a list.
pub async fn replace_entries(conn: &mut PgConnection, code: &str, entries: &[Entry]) -> Result<(), Error> {
    sqlx::query("delete from price_entry where price_list = $1").bind(code).execute(&mut *conn).await?;
    put_entries(conn, code, entries).await
}

/// Adds entries to a list, or replaces those for the same item and minimum.
pub async fn put_entries(conn: &mut PgConnection, code: &str, entries: &[Entry]) -> Result<(), Error> {
    sqlx::query(
        "insert into price_entry (price_list, sku, min_quantity, unit_price)
         select $1, * from unnest($2::text[], $3::int4[], $4::numeric[])
         on conflict (price_list, sku, min_quantity) do update set unit_price = excluded.unit_price",
    )
    .bind(code)
    .bind(entries.iter().map(|entry| entry.sku.as_str()).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.min_quantity).collect::<Vec<_>>())
    .bind(entries.iter().map(|entry| entry.unit_price).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// How many entries a list has.
pub async fn count_entries(conn: &mut PgConnection, code: &str) -> Result<i32, Error> {
    let count: i64 =
        sqlx::query_scalar("select count(*) from price_entry where price_list = $1").bind(code).fetch_one(conn).await?;
    column(count)
}
