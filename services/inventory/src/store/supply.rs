use super::unexpected;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::promise::{Supply, SupplyKind};
use sqlx::{PgConnection, Row as _};

/// What is on its way of some items; at most 100,000 lines, those expected first.
pub async fn to_come(conn: &mut PgConnection, items: &[ItemId]) -> sqlx::Result<Vec<Supply>> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows = sqlx::query(
        "select kind, document_id, number, item, location, expected_at, quantity from supply
          where item = any($1) and quantity > 0
          order by expected_at, id limit 100000",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut supplies = Vec::with_capacity(rows.len());
    for row in rows {
        supplies.push(Supply {
            kind: SupplyKind::from_code(row.try_get(0)?).ok_or_else(|| unexpected("kind of supply"))?,
            document_id: row.try_get(1)?,
            number: row.try_get(2)?,
            item: ItemId(row.try_get(3)?),
            location: LocationId(row.try_get(4)?),
            expected_at: row.try_get(5)?,
            quantity: row.try_get(6)?,
        });
    }
    Ok(supplies)
}
