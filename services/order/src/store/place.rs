//! Writing new orders.

use crate::draft::{Draft, PaymentToken, Ready};
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
                             placed_at, recorded_at, traceparent, line_count, gross, discount, tax, ordered, country,
                             ship_email, version)
         select o.*, 1
           from (select order_id, channel, external_id, request_id, request_hash, customer_id, currency, ship_to,
                        payment_method, reservation_policy, fulfilment_policy, payment_token, priority, sales_rep,
                        placed_at, $22::timestamptz, traceparent, line_count, gross, discount, tax, ordered, country,
                        ship_email
                   from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::bytea[], $6::uuid[], $7::text[],
                               $8::bytea[], $9::int2[], $10::int2[], $11::int2[], $12::text[], $13::int2[], $14::text[],
                               $15::timestamptz[], $16::text[], $17::int4[], $18::numeric[], $19::numeric[],
                               $20::numeric[], $21::int8[], $23::text[], $24::text[]) with ordinality
                        as o (order_id, channel, external_id, request_id, request_hash, customer_id, currency, ship_to,
                              payment_method, reservation_policy, fulfilment_policy, payment_token, priority, sales_rep,
                              placed_at, traceparent, line_count, gross, discount, tax, ordered, country, ship_email, place)
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
    .bind(ready.iter().map(|r| r.draft.currency.code()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.ship_to.encode_to_vec()).collect::<Vec<_>>())
    .bind(each(|r| small(r.payment_method.into())))
    .bind(each(|r| small(r.draft.reservation_policy.into())))
    .bind(each(|r| small(r.draft.fulfilment_policy.into())))
    .bind(ready.iter().map(|r| r.draft.payment_token.as_ref().map(|PaymentToken(t)| t.as_str())).collect::<Vec<_>>())
    .bind(each(|r| small(r.draft.priority)))
    .bind(ready.iter().map(|r| r.sales_rep.as_str()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.placed_at).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.traceparent.as_deref()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| column(r.draft.lines.len() as i64)).collect::<Result<Vec<_>, _>>()?)
    .bind(ready.iter().map(|r| r.draft.totals.gross).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.totals.discount).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.totals.tax).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| r.draft.totals.units).collect::<Vec<_>>())
    .bind(recorded_at)
    .bind(ready.iter().map(|r| r.ship_to.country.as_str()).collect::<Vec<_>>())
    .bind(ready.iter().map(|r| search::email(&r.ship_to.email)).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Inserts the lines of orders that were inserted.
pub async fn insert_lines(conn: &mut PgConnection, drafts: &[&Draft]) -> Result<(), Error> {
    let count = drafts.iter().map(|draft| draft.lines.len()).sum();
    let mut order_ids = Vec::with_capacity(count);
    let mut line_nos: Vec<i32> = Vec::with_capacity(count);
    let mut skus = Vec::with_capacity(count);
    let mut descriptions = Vec::with_capacity(count);
    let mut unit_prices = Vec::with_capacity(count);
    let mut line_totals = Vec::with_capacity(count);
    let mut discounts = Vec::with_capacity(count);
    let mut taxes = Vec::with_capacity(count);
    let mut ordered: Vec<i32> = Vec::with_capacity(count);
    for draft in drafts {
        for (line_no, line) in (1..).zip(&draft.lines) {
            order_ids.push(draft.order_id);
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
        "select order_id, request_id, channel, external_id, request_hash from orders where request_id = any($1)
         union
         select order_id, request_id, channel, external_id, request_hash
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
            })
        })
        .collect()
}
