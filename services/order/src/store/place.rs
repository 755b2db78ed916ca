//! Writing new orders.

use crate::draft::{Draft, DraftLine, PaymentToken, Ready};
use crate::error::Error;
use crate::search;
use crate::settlement::Work;
use crate::store::{column, small};
use prost::Message as _;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Inserts the orders whose request id and (channel, external id) are new; their numbers by id. Waits for another
/// transaction that inserts the same order right now. Give them in the order of their external ids, so that two that
/// share orders wait in the same order.
pub async fn insert_orders(
    conn: &mut PgConnection,
    ready: &[Ready<'_>],
    recorded_at: OffsetDateTime,
) -> Result<HashMap<Uuid, i64>, Error> {
    let each = |f: fn(&Ready<'_>) -> i16| ready.iter().map(f).collect::<Vec<i16>>();
    let rows = sqlx::query(
        "insert into orders (order_id, channel, external_id, request_id, request_hash, customer_id, currency, ship_to,
                             payment_method, reservation_policy, fulfilment_policy, payment_token, priority, sales_rep,
                             placed_at, recorded_at, traceparent, line_count, gross, discount, tax, ordered, version,
                             holds, preferred_location_id, order_discount, has_agreed_prices, country, ship_email)
         select o.*
           from (select order_id, channel, external_id, request_id, request_hash, customer_id, currency, ship_to,
                        payment_method, reservation_policy, fulfilment_policy, payment_token, priority, sales_rep,
                        placed_at, $22::timestamptz, traceparent, line_count, gross, discount, tax, ordered, version,
                        holds, preferred_location_id, order_discount, has_agreed_prices, country, ship_email
                   from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::bytea[], $6::uuid[], $7::text[],
                               $8::bytea[], $9::int2[], $10::int2[], $11::int2[], $12::text[], $13::int2[], $14::text[],
                               $15::timestamptz[], $16::text[], $17::int4[], $18::numeric[], $19::numeric[],
                               $20::numeric[], $21::int8[], $23::int8[], $24::int4[], $25::uuid[], $26::numeric[],
                               $27::bool[], $28::text[], $29::text[]) with ordinality
                        as o (order_id, channel, external_id, request_id, request_hash, customer_id, currency, ship_to,
                              payment_method, reservation_policy, fulfilment_policy, payment_token, priority, sales_rep,
                              placed_at, traceparent, line_count, gross, discount, tax, ordered, version, holds,
                              preferred_location_id, order_discount, has_agreed_prices, country, ship_email, place)
                  order by place) o
         on conflict do nothing
         returning order_id, number",
    )
    .bind(ready.iter().map(|r| r.draft.order_id).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.channel.as_str()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.external_id.as_deref()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.request_id).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.request_hash.as_slice()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.customer_id).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.currency.code()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.ship_to.encode_to_vec()).collect::<Vec<_>>())
    .bind(each(|r| small(r.payment_method.into())))
    .bind(each(|r| small(r.reservation_policy.into())))
    .bind(each(|r| small(r.fulfilment_policy.into())))
    .bind(ready.iter().map(|r| r.draft.payment_token.as_ref().map(|PaymentToken(t)| t.as_str())).collect::<Vec<_>>())
    .bind(each(|r| small(r.priority)))
    .bind(ready.iter().map(|r| r.sales_rep.as_str()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.placed_at).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| column(r.lines.len() as i64)).collect::<Result<Vec<_>, _>>()?)
    .bind(ready.iter().map(|r| r.totals.gross).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.totals.discount).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.totals.tax).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.totals.units).collect::<Vec<_>>())
    .bind(recorded_at)
    .bind(ready.iter().map(Ready::version).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| column(r.holds.len() as i64)).collect::<Result<Vec<_>, _>>()?)
    .bind(ready.iter().map(|r| r.preferred_location_id).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.order_discount).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.lines.iter().any(has_agreed_price)).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.ship_to.country.as_str()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| search::email(&r.ship_to.email)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// True where more is to be remembered of how the price came about than the price.
fn has_agreed_price(line: &DraftLine) -> bool {
    line.price_list.is_some() || line.list_price.is_some() || !line.order_discount.is_zero()
}

/// Inserts how prices came about, where there is something to tell.
pub async fn insert_agreed_prices(conn: &mut PgConnection, new: &[Ready<'_>]) -> Result<(), Error> {
    let agreed: Vec<(Uuid, i32, &DraftLine)> = new
        .iter()
        .flat_map(|ready| (1..).zip(ready.lines.iter()).map(|(line_no, line)| (ready.draft.order_id, line_no, line)))
        .filter(|(_, _, line)| has_agreed_price(line))
        .collect();
    if agreed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into agreed_price (order_id, line_no, price_list, list_price, order_discount)
         select * from unnest($1::uuid[], $2::int4[], $3::text[], $4::numeric[], $5::numeric[])",
    )
    .bind(agreed.iter().map(|(order_id, _, _)| *order_id).collect::<Vec<_>>())
    .bind(agreed.iter().map(|(_, line_no, _)| *line_no).collect::<Vec<_>>())
    .bind(agreed.iter().map(|(_, _, line)| line.price_list.as_deref()).collect::<Vec<_>>())
    .bind(agreed.iter().map(|(_, _, line)| line.list_price).collect::<Vec<_>>())
    .bind(agreed.iter().map(|(_, _, line)| line.order_discount).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Inserts the lines of orders that were inserted.
pub async fn insert_lines(conn: &mut PgConnection, new: &[Ready<'_>]) -> Result<(), Error> {
    let count = new.iter().map(|ready| ready.lines.len()).sum();
    let mut order_ids = Vec::with_capacity(count);
    let mut line_nos: Vec<i32> = Vec::with_capacity(count);
    let mut skus = Vec::with_capacity(count);
    let mut descriptions = Vec::with_capacity(count);
    let mut unit_prices = Vec::with_capacity(count);
    let mut line_totals = Vec::with_capacity(count);
    let mut discounts = Vec::with_capacity(count);
    let mut taxes = Vec::with_capacity(count);
    let mut ordered: Vec<i32> = Vec::with_capacity(count);
    for ready in new {
        for (line_no, line) in (1..).zip(ready.lines.iter()) {
            order_ids.push(ready.draft.order_id);
            line_nos.push(line_no);
            skus.push(line.sku.as_str());
            descriptions.push(line.description.as_str());
            unit_prices.push(line.unit_price);
            line_totals.push(line.line_total);
            discounts.push(line.discount);
            taxes.push(line.tax);
            ordered.push(column(line.quantity)?);
        }
    }
    sqlx::query(
        "insert into order_line (order_id, line_no, sku, description, unit_price, line_total, discount, tax, ordered)
         select * from unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::numeric[],
                              $8::numeric[], $9::int4[])",
    )
    .bind(order_ids)
    .bind(line_nos)
    .bind(skus)
    .bind(descriptions)
    .bind(unit_prices)
    .bind(line_totals)
    .bind(discounts)
    .bind(taxes)
    .bind(ordered)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the jobs of new orders: due at once, or taken by this process until `due_at`.
pub async fn insert_jobs(conn: &mut PgConnection, jobs: &[&Work], due_at: &[OffsetDateTime]) -> Result<(), Error> {
    sqlx::query("insert into saga_job (order_id, due_at) select * from unnest($1::uuid[], $2::timestamptz[])")
        .bind(jobs.iter().map(|work| work.order_id).collect::<Vec<_>>())
        .bind(due_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// An order that was there before.
#[derive(Clone, Debug)]
pub struct Known {
    /// The order.
    pub order_id: Uuid,
    /// N of "SO-N".
    pub number: i64,
    /// Of the request that placed it.
    pub request_id: Option<Uuid>,
    /// Where it came from.
    pub channel: String,
    /// Its id there.
    pub external_id: Option<String>,
    /// Of the request that placed it.
    pub request_hash: Vec<u8>,
}

/// The orders that have one of these request ids or (channel, external id)s.
pub async fn find_known(conn: &mut PgConnection, drafts: &[&Draft]) -> Result<Vec<Known>, Error> {
    let rows = sqlx::query(
        "select order_id, request_id, channel, external_id, request_hash, number from orders where request_id = any($1)
         union
         select order_id, request_id, channel, external_id, request_hash, number
           from orders
          where (channel, external_id) in (select * from unnest($2::text[], $3::text[]))",
    )
    .bind(drafts.iter().filter_map(|draft| draft.request_id).collect::<Vec<_>>())
    .bind(drafts.iter().map(|draft| draft.channel.as_str()).collect::<Vec<_>>())
    .bind(drafts.iter().map(|draft| draft.external_id.as_deref()).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Known {
                order_id: row.try_get(0)?,
                request_id: row.try_get(1)?,
                channel: row.try_get(2)?,
                external_id: row.try_get(3)?,
                request_hash: row.try_get(4)?,
                number: row.try_get(5)?,
            })
        })
        .collect()
}
