//! Orders that are placed for a return: they take after the order that the goods came from.

use crate::draft::NewLinked;
use crate::error::Error;
use crate::store::column;
use sqlx::PgConnection;

/// Writes one with its lines and its job; its number. The return's id is its request id: there is one for a return at most.
pub async fn insert(conn: &mut PgConnection, new: &NewLinked<'_>) -> Result<i64, Error> {
    let number = sqlx::query_scalar(
        "insert into orders (order_id, return_id, request_id, request_hash, channel, customer_id, currency, ship_to,
                             payment_method, reservation_policy, fulfilment_policy, payment_token, priority, sales_rep,
                             placed_at, recorded_at, traceparent, line_count, gross, discount, tax, ordered, version)
         select $1, $2, $2, ''::bytea, o.channel, o.customer_id, o.currency, o.ship_to, o.payment_method,
                o.reservation_policy, o.fulfilment_policy, nullif($4, ''), o.priority, o.sales_rep, $5, $6,
                o.traceparent, $7, $8, $9, $10, $11, 1
           from orders o where o.order_id = $3
         returning number",
    )
    .bind(new.order_id)
    .bind(new.return_id)
    .bind(new.original)
    .bind(new.payment_token)
    .bind(new.placed_at)
    .bind(new.recorded_at)
    .bind(column(new.lines.len() as i64)?)
    .bind(new.totals.gross)
    .bind(new.totals.discount)
    .bind(new.totals.tax)
    .bind(new.totals.units)
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query(
        "insert into order_line (order_id, line_no, sku, description, unit_price, line_total, discount, tax, ordered)
         select $1, line_no, sku, description, unit_price, line_total, discount, tax, ordered
           from unnest($2::text[], $3::text[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[], $8::int4[])
                with ordinality as n (sku, description, unit_price, line_total, discount, tax, ordered, line_no)",
    )
    .bind(new.order_id)
    .bind(new.lines.iter().map(|line| line.sku.as_str()).collect::<Vec<_>>())
    .bind(new.lines.iter().map(|line| line.description.as_str()).collect::<Vec<_>>())
    .bind(new.lines.iter().map(|line| line.unit_price).collect::<Vec<_>>())
    .bind(new.lines.iter().map(|line| line.line_total).collect::<Vec<_>>())
    .bind(new.lines.iter().map(|line| line.discount).collect::<Vec<_>>())
    .bind(new.lines.iter().map(|line| line.tax).collect::<Vec<_>>())
    .bind(new.lines.iter().map(|line| column(line.quantity)).collect::<Result<Vec<_>, _>>()?)
    .execute(&mut *conn)
    .await?;
    super::job::queue(conn, &[new.order_id], new.recorded_at).await?;
    Ok(number)
}
