use super::unexpected;
use crate::cost::{AverageCost, Costs};
use crate::item::ItemId;
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row as _};

/// Average costs, locked in key order; after the stock.
pub async fn lock(conn: &mut PgConnection, items: &[ItemId]) -> sqlx::Result<Costs> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows = sqlx::query(
        "select item, currency, average, quantity from item_cost where item = any($1) order by item for update",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut averages = Vec::with_capacity(rows.len());
    for row in rows {
        let currency = row.try_get::<String, _>(1)?.parse().map_err(|_| unexpected("currency"))?;
        let average: Decimal = row.try_get(2)?;
        averages.push((ItemId(row.try_get(0)?), AverageCost { currency, average, quantity: row.try_get(3)? }));
    }
    Ok(Costs::new(averages))
}

/// Writes the averages that changed.
pub async fn write(conn: &mut PgConnection, costs: &Costs) -> sqlx::Result<()> {
    let changes: Vec<_> = costs.changes().collect();
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into item_cost (item, currency, average, quantity)
         select * from unnest($1::int8[], $2::text[], $3::numeric[], $4::int8[])
         on conflict (item) do update
            set currency = excluded.currency, average = excluded.average, quantity = excluded.quantity",
    )
    .bind(changes.iter().map(|(item, _)| item.0).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, cost)| cost.currency.code()).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, cost)| cost.average).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, cost)| cost.quantity).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
