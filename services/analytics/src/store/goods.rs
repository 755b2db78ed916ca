//! Shipments, returns and holds.

use crate::order_fact::Goods;
use sqlx::{PgConnection, Postgres};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Writes goods issues, one row each.
pub async fn write_shipments(conn: &mut PgConnection, goods: &[Goods]) -> sqlx::Result<()> {
    let statement = sqlx::query(
        "insert into shipment_fact (event_id, order_id, shipped_at, skus, units)
         select e.event_id, e.order_id, e.at, coalesce(l.skus, '{}'), coalesce(l.units, '{}')
           from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) with ordinality as e (event_id, order_id, at, place)
           left join (select place, array_agg(sku order by sku) as skus, array_agg(units order by sku) as units
                        from unnest($4::int8[], $5::text[], $6::int8[]) as l (place, sku, units)
                       group by place) l using (place)",
    );
    write(conn, statement, goods).await
}

/// Writes receipts of returned goods, one row each.
pub async fn write_returns(conn: &mut PgConnection, goods: &[Goods]) -> sqlx::Result<()> {
    let statement = sqlx::query(
        "insert into return_fact (event_id, order_id, received_at, skus, units)
         select e.event_id, e.order_id, e.at, coalesce(l.skus, '{}'), coalesce(l.units, '{}')
           from unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) with ordinality as e (event_id, order_id, at, place)
           left join (select place, array_agg(sku order by sku) as skus, array_agg(units order by sku) as units
                        from unnest($4::int8[], $5::text[], $6::int8[]) as l (place, sku, units)
                       group by place) l using (place)",
    );
    write(conn, statement, goods).await
}

type Statement<'q> = sqlx::query::Query<'q, Postgres, sqlx::postgres::PgArguments>;

async fn write(conn: &mut PgConnection, statement: Statement<'_>, goods: &[Goods]) -> sqlx::Result<()> {
    if goods.is_empty() {
        return Ok(());
    }
    let lines = || (1_i64..).zip(goods).flat_map(|(place, goods)| goods.lines.iter().map(move |line| (place, line)));
    statement
        .bind(goods.iter().map(|g| g.event_id).collect::<Vec<_>>())
        .bind(goods.iter().map(|g| g.order_id).collect::<Vec<_>>())
        .bind(goods.iter().map(|g| g.at).collect::<Vec<_>>())
        .bind(lines().map(|(place, _)| place).collect::<Vec<_>>())
        .bind(lines().map(|(_, (sku, _))| sku.clone()).collect::<Vec<_>>())
        .bind(lines().map(|(_, (_, units))| *units).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes holds; those that were lifted in the same batch with their end.
pub async fn write_holds(
    conn: &mut PgConnection,
    holds: &BTreeMap<(Uuid, String), (OffsetDateTime, Option<OffsetDateTime>)>,
) -> sqlx::Result<()> {
    if holds.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into hold_fact (order_id, hold_id, held_at, released_at)
         select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[])
         on conflict (order_id, hold_id) do nothing",
    )
    .bind(holds.keys().map(|(order_id, _)| *order_id).collect::<Vec<_>>())
    .bind(holds.keys().map(|(_, hold_id)| hold_id.as_str()).collect::<Vec<_>>())
    .bind(holds.values().map(|(held_at, _)| *held_at).collect::<Vec<_>>())
    .bind(holds.values().map(|(_, released_at)| *released_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends holds of earlier batches.
pub async fn release_holds(
    conn: &mut PgConnection,
    releases: &BTreeMap<(Uuid, String), OffsetDateTime>,
) -> sqlx::Result<()> {
    if releases.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update hold_fact h
            set released_at = r.released_at
           from unnest($1::uuid[], $2::text[], $3::timestamptz[]) as r (order_id, hold_id, released_at)
          where h.order_id = r.order_id and h.hold_id = r.hold_id",
    )
    .bind(releases.keys().map(|(order_id, _)| *order_id).collect::<Vec<_>>())
    .bind(releases.keys().map(|(_, hold_id)| hold_id.as_str()).collect::<Vec<_>>())
    .bind(releases.values().copied().collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
