use super::unexpected;
use crate::cost::{AverageCost, Costs};
use crate::item::ItemId;
use crate::layers::{Layer, Layers};
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

/// Adds the layers of first-in-first-out items to their averages, which are locked; no statement where there is none.
pub async fn add_layers(conn: &mut PgConnection, costs: &mut Costs, items: &[ItemId]) -> sqlx::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows: Vec<(i64, i64, i64, Decimal)> = sqlx::query_as(
        "select item, seq, quantity, unit_cost from cost_layer where item = any($1) order by item, seq for update",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    for item in items {
        costs.set_layers(*item, Layers::default());
    }
    for of_item in rows.chunk_by(|a, b| a.0 == b.0) {
        let layer = |(_, seq, quantity, unit_cost): &(i64, i64, i64, Decimal)| Layer {
            seq: *seq,
            quantity: *quantity,
            unit_cost: *unit_cost,
        };
        costs.set_layers(ItemId(of_item[0].0), Layers::new(of_item.iter().map(layer)));
    }
    Ok(())
}

async fn write_layers(conn: &mut PgConnection, costs: &Costs) -> sqlx::Result<()> {
    let (used_up, open): (Vec<_>, Vec<_>) = costs.layer_changes().partition(|(_, layer)| layer.quantity == 0);
    if !used_up.is_empty() {
        sqlx::query("delete from cost_layer where (item, seq) in (select * from unnest($1::int8[], $2::int8[]))")
            .bind(used_up.iter().map(|(item, _)| item.0).collect::<Vec<_>>())
            .bind(used_up.iter().map(|(_, layer)| layer.seq).collect::<Vec<_>>())
            .execute(&mut *conn)
            .await?;
    }
    if !open.is_empty() {
        sqlx::query(
            "insert into cost_layer (item, seq, quantity, unit_cost)
             select * from unnest($1::int8[], $2::int8[], $3::int8[], $4::numeric[])
             on conflict (item, seq) do update set quantity = excluded.quantity, unit_cost = excluded.unit_cost",
        )
        .bind(open.iter().map(|(item, _)| item.0).collect::<Vec<_>>())
        .bind(open.iter().map(|(_, layer)| layer.seq).collect::<Vec<_>>())
        .bind(open.iter().map(|(_, layer)| layer.quantity).collect::<Vec<_>>())
        .bind(open.iter().map(|(_, layer)| layer.unit_cost).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// Writes the averages and layers that changed.
pub async fn write(conn: &mut PgConnection, costs: &Costs) -> sqlx::Result<()> {
    write_layers(conn, costs).await?;
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
