//! The ways orders can be looked at.

use crate::dims::Dims;
use crate::query::{Filter, Segment};
use sqlx::{PgConnection, Row as _};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Writes those that are not there yet, in key order.
pub async fn write(conn: &mut PgConnection, dims: &BTreeMap<Uuid, Dims>) -> sqlx::Result<()> {
    if dims.is_empty() {
        return Ok(());
    }
    let column = |part: fn(&Dims) -> &str| dims.values().map(part).collect::<Vec<&str>>();
    sqlx::query(
        "insert into dims (dims_id, channel, country, segment, sales_rep, currency, decimals)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int2[])
         on conflict do nothing",
    )
    .bind(dims.keys().copied().collect::<Vec<_>>())
    .bind(column(|d| &d.channel))
    .bind(column(|d| &d.country))
    .bind(column(|d| &d.segment))
    .bind(column(|d| &d.sales_rep))
    .bind(column(|d| &d.currency))
    .bind(dims.values().map(|d| d.decimals).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The currencies there are, ascending.
pub async fn currencies(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar("select distinct currency from dims order by currency").fetch_all(conn).await
}

/// The dims of a currency that a filter lets through, each with its value of `segment` (empty without one).
pub async fn matching(
    conn: &mut PgConnection,
    currency: &str,
    segment: Segment,
    filter: &Filter,
) -> sqlx::Result<Vec<(Uuid, String)>> {
    let column = match segment {
        Segment::None | Segment::Product => 0,
        Segment::Channel => 1,
        Segment::Country => 2,
        Segment::CustomerSegment => 3,
        Segment::SalesRep => 4,
    };
    let rows = sqlx::query(
        "select dims_id, case $6 when 1 then channel when 2 then country when 3 then segment when 4 then sales_rep else '' end
           from dims
          where currency = $1
            and ($2::text[] = '{}' or channel = any($2))
            and ($3::text[] = '{}' or country = any($3))
            and ($4::text[] = '{}' or segment = any($4))
            and ($5::text[] = '{}' or sales_rep = any($5))",
    )
    .bind(currency)
    .bind(&filter.channels)
    .bind(&filter.countries)
    .bind(&filter.customer_segments)
    .bind(&filter.sales_reps)
    .bind(column)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}
