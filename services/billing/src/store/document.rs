//! Documents, their lines and numbers.

use crate::document::{Document, DocumentLine, Filter, Kind, Open};
use crate::payment::DocumentName;
use crate::store::{currency, unknown};
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, QueryBuilder, Row as _};
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Invoice => "invoice",
        Kind::CreditNote => "credit_note",
    }
}

fn read(row: &PgRow) -> sqlx::Result<Document> {
    Ok(Document {
        id: row.try_get("id")?,
        kind: match row.try_get("kind")? {
            "invoice" => Kind::Invoice,
            "credit_note" => Kind::CreditNote,
            word => return Err(unknown(word)),
        },
        series: row.try_get("series")?,
        number: row.try_get("number")?,
        order_id: row.try_get("order_id")?,
        customer_id: row.try_get("customer_id")?,
        on_account: row.try_get("on_account")?,
        currency: currency(row, "currency")?,
        lines: Vec::new(),
        net: row.try_get("net")?,
        tax: row.try_get("tax")?,
        open: row.try_get("open")?,
        issued_at: row.try_get("issued_at")?,
        due_at: row.try_get("due_at")?,
        reference: row.try_get("reference")?,
        allowance: row.try_get("allowance")?,
    })
}

/// Takes `wanted` numbers of each series; the last one of each. From here until the commit nobody else gets a number of
/// these series, so it is called last.
pub async fn take_numbers(
    conn: &mut PgConnection,
    wanted: &BTreeMap<String, i64>,
) -> sqlx::Result<HashMap<String, i64>> {
    let series: Vec<&str> = wanted.keys().map(String::as_str).collect();
    let counts: Vec<i64> = wanted.values().copied().collect();
    // In the order of the names: two batches that share series cannot deadlock.
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "insert into document_series as s (series, last)
         select * from unnest($1::text[], $2::int8[]) n (series, wanted) order by series
         on conflict (series) do update set last = s.last + excluded.last
         returning series, last",
    )
    .bind(&series)
    .bind(&counts)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Writes numbered documents without their lines.
pub async fn add(conn: &mut PgConnection, documents: &[Document], recorded_at: OffsetDateTime) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = documents.iter().map(|d| d.id).collect();
    let kinds: Vec<&str> = documents.iter().map(|d| kind_word(d.kind)).collect();
    let series: Vec<&str> = documents.iter().map(|d| d.series.as_str()).collect();
    let numbers: Vec<i64> = documents.iter().map(|d| d.number).collect();
    let orders: Vec<Option<Uuid>> = documents.iter().map(|d| d.order_id).collect();
    let customers: Vec<Option<Uuid>> = documents.iter().map(|d| d.customer_id).collect();
    let on_account: Vec<bool> = documents.iter().map(|d| d.on_account).collect();
    let currencies: Vec<&str> = documents.iter().map(|d| d.currency.code()).collect();
    let nets: Vec<Decimal> = documents.iter().map(|d| d.net).collect();
    let taxes: Vec<Decimal> = documents.iter().map(|d| d.tax).collect();
    let opens: Vec<Decimal> = documents.iter().map(|d| d.open).collect();
    let counts: Vec<i32> = documents.iter().map(|d| i32::try_from(d.lines.len()).unwrap_or(i32::MAX)).collect();
    let issued: Vec<OffsetDateTime> = documents.iter().map(|d| d.issued_at).collect();
    let due: Vec<OffsetDateTime> = documents.iter().map(|d| d.due_at).collect();
    let references: Vec<&str> = documents.iter().map(|d| d.reference.as_str()).collect();
    sqlx::query(
        "insert into document (id, kind, series, number, order_id, customer_id, on_account, currency, net, tax, open,
                               line_count, issued_at, due_at, reference, allowance, recorded_at)
         select n.*, $17
           from unnest($1::uuid[], $2::text[], $3::text[], $4::int8[], $5::uuid[], $6::uuid[], $7::bool[], $8::text[],
                       $9::numeric[], $10::numeric[], $11::numeric[], $12::int4[], $13::timestamptz[],
                       $14::timestamptz[], $15::text[], $16::bool[]) n",
    )
    .bind(&ids)
    .bind(&kinds)
    .bind(&series)
    .bind(&numbers)
    .bind(&orders)
    .bind(&customers)
    .bind(&on_account)
    .bind(&currencies)
    .bind(&nets)
    .bind(&taxes)
    .bind(&opens)
    .bind(&counts)
    .bind(&issued)
    .bind(&due)
    .bind(&references)
    .bind(documents.iter().map(|d| d.allowance).collect::<Vec<_>>())
    .bind(recorded_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the lines of documents.
pub async fn add_lines(conn: &mut PgConnection, documents: &[Document]) -> sqlx::Result<()> {
    let lines = || documents.iter().flat_map(|d| d.lines.iter().map(move |line| (d.id, line)));
    let ids: Vec<Uuid> = lines().map(|(id, _)| id).collect();
    let line_nos: Vec<i32> = lines().map(|(_, l)| l.line_no).collect();
    let skus: Vec<&str> = lines().map(|(_, l)| l.sku.as_str()).collect();
    let quantities: Vec<i64> = lines().map(|(_, l)| l.quantity).collect();
    let nets: Vec<Decimal> = lines().map(|(_, l)| l.net).collect();
    let taxes: Vec<Decimal> = lines().map(|(_, l)| l.tax).collect();
    sqlx::query(
        "insert into document_line (document_id, line_no, sku, quantity, net, tax)
         select * from unnest($1::uuid[], $2::int4[], $3::text[], $4::int8[], $5::numeric[], $6::numeric[])",
    )
    .bind(&ids)
    .bind(&line_nos)
    .bind(&skus)
    .bind(&quantities)
    .bind(&nets)
    .bind(&taxes)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether something was taken off the price of an order.
pub async fn has_allowance(conn: &mut PgConnection, order_id: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar("select exists (select 1 from document where order_id = $1 and allowance)")
        .bind(order_id)
        .fetch_one(conn)
        .await
}

/// What is open of the invoices of these orders, oldest first. Whoever changes it has locked the order or the account.
pub async fn open_of_orders(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<Vec<Open>> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select id, series, number, order_id, open from document
          where order_id = any($1) and kind = 'invoice' and open > 0 order by issued_at, series, number",
    )
    .bind(orders)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_open).collect()
}

/// What is open of a customer's invoices on account, oldest first.
pub async fn open_of_customer(conn: &mut PgConnection, customer_id: Uuid) -> sqlx::Result<Vec<Open>> {
    let rows = sqlx::query(
        "select id, series, number, order_id, open from document
          where customer_id = $1 and on_account and kind = 'invoice' and open > 0 order by issued_at, series, number",
    )
    .bind(customer_id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_open).collect()
}

/// The invoices on account of a customer among those named; paid ones too.
pub async fn named_invoices(
    conn: &mut PgConnection,
    customer_id: Uuid,
    names: &[DocumentName],
) -> sqlx::Result<Vec<Open>> {
    let ids: Vec<Uuid> =
        names.iter().filter_map(|n| if let DocumentName::Id(id) = n { Some(*id) } else { None }).collect();
    let numbers: Vec<(&str, i64)> = names
        .iter()
        .filter_map(|n| if let DocumentName::Number(s, n) = n { Some((s.as_str(), *n)) } else { None })
        .collect();
    let (series, numbers): (Vec<&str>, Vec<i64>) = numbers.into_iter().unzip();
    let rows = sqlx::query(
        "select id, series, number, order_id, open from document
          where (id = any($2) or (series, number) in (select * from unnest($3::text[], $4::int8[])))
            and customer_id = $1 and on_account and kind = 'invoice'",
    )
    .bind(customer_id)
    .bind(&ids)
    .bind(&series)
    .bind(&numbers)
    .fetch_all(conn)
    .await?;
    rows.iter().map(read_open).collect()
}

fn read_open(row: &PgRow) -> sqlx::Result<Open> {
    Ok(Open {
        id: row.try_get(0)?,
        series: row.try_get(1)?,
        number: row.try_get(2)?,
        order_id: row.try_get(3)?,
        open: row.try_get(4)?,
    })
}

/// Takes from what is open of documents; (document, amount), each document once.
pub async fn settle(conn: &mut PgConnection, parts: &[(Uuid, Decimal)]) -> sqlx::Result<()> {
    if parts.is_empty() {
        return Ok(());
    }
    let (ids, amounts): (Vec<Uuid>, Vec<Decimal>) = parts.iter().copied().unzip();
    let done = sqlx::query(
        "update document d set open = d.open - n.amount
           from unnest($1::uuid[], $2::numeric[]) n (id, amount) where d.id = n.id",
    )
    .bind(&ids)
    .bind(&amounts)
    .execute(conn)
    .await?;
    if done.rows_affected() != ids.len() as u64 {
        return Err(sqlx::Error::RowNotFound);
    }
    Ok(())
}

/// One document with its lines.
pub async fn get(conn: &mut PgConnection, name: &DocumentName) -> sqlx::Result<Option<Document>> {
    let query = match name {
        DocumentName::Id(id) => sqlx::query("select * from document where id = $1").bind(id),
        DocumentName::Number(series, number) => {
            sqlx::query("select * from document where series = $1 and number = $2").bind(series).bind(number)
        }
    };
    let Some(row) = query.fetch_optional(&mut *conn).await? else { return Ok(None) };
    let mut documents = vec![read(&row)?];
    read_lines(conn, &mut documents).await?;
    Ok(documents.pop())
}

/// The documents with these ids, with their lines.
pub async fn by_ids(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<Vec<Document>> {
    let rows = sqlx::query("select * from document where id = any($1)").bind(ids).fetch_all(&mut *conn).await?;
    let mut documents: Vec<Document> = rows.iter().map(read).collect::<sqlx::Result<_>>()?;
    read_lines(conn, &mut documents).await?;
    Ok(documents)
}

/// Up to `limit` documents ascending by series and number, with their lines; fewer where they have more than
/// `most_lines` together. True where there are more.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    limit: i64,
    most_lines: i64,
) -> sqlx::Result<(Vec<Document>, bool)> {
    let mut query = QueryBuilder::new("select * from document where true");
    if let Some(kind) = filter.kind {
        query.push(" and kind = ").push_bind(kind_word(kind));
    }
    if let Some(order_id) = filter.order_id {
        query.push(" and order_id = ").push_bind(order_id);
    }
    if let Some(customer_id) = filter.customer_id {
        query.push(" and customer_id = ").push_bind(customer_id);
    }
    if let Some((series, number)) = &filter.after {
        query.push(" and (series, number) > (").push_bind(series.clone()).push(", ").push_bind(*number).push(")");
    }
    query.push(" order by series, number limit ").push_bind(limit + 1);
    let rows = query.build().fetch_all(&mut *conn).await?;
    let mut documents = Vec::new();
    let mut lines = 0;
    for row in &rows {
        lines += i64::from(row.try_get::<i32, _>("line_count")?);
        if documents.len() as i64 == limit || (lines > most_lines && !documents.is_empty()) {
            break;
        }
        documents.push(read(row)?);
    }
    let more = documents.len() < rows.len();
    read_lines(conn, &mut documents).await?;
    Ok((documents, more))
}

async fn read_lines(conn: &mut PgConnection, documents: &mut [Document]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = documents.iter().map(|d| d.id).collect();
    let rows = sqlx::query(
        "select document_id, line_no, sku, quantity, net, tax from document_line
          where document_id = any($1) order by document_id, line_no",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let place: HashMap<Uuid, usize> = ids.into_iter().enumerate().map(|(place, id)| (id, place)).collect();
    for row in rows {
        let Some(place) = place.get(&row.try_get(0)?) else { continue };
        documents[*place].lines.push(DocumentLine {
            line_no: row.try_get(1)?,
            sku: row.try_get(2)?,
            quantity: row.try_get(3)?,
            net: row.try_get(4)?,
            tax: row.try_get(5)?,
        });
    }
    Ok(())
}
