use super::reservation::wishes;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::reservation::Wishes;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;

/// Goods that left to an order.
pub struct Shipped {
    /// Its place in the ledger.
    pub seq: i64,
    pub item: ItemId,
    pub from: LocationId,
    pub quantity: i64,
    /// Where the order went, as far as that is known.
    pub wishes: Wishes,
}

/// The items of which most units left to orders in `[from, to)`, most first.
pub async fn most_shipped(
    conn: &mut PgConnection,
    from: OffsetDateTime,
    to: OffsetDateTime,
    most: i64,
) -> sqlx::Result<Vec<(ItemId, String)>> {
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "select i.id, i.sku
           from (select item, sum(-quantity) as units from movement
                  where kind = 3 and effective_at >= $1 and effective_at < $2
                  group by item order by units desc, item limit $3) m
           join item i on i.id = m.item
          order by m.units desc, i.id",
    )
    .bind(from)
    .bind(to)
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(item, sku)| (ItemId(item), sku)).collect())
}

/// What left of some items in `[from, to)`, after a place in the ledger; the reference of an issue is its order.
pub async fn shipped(
    conn: &mut PgConnection,
    items: &[ItemId],
    from: OffsetDateTime,
    to: OffsetDateTime,
    after: i64,
    size: i64,
) -> sqlx::Result<Vec<Shipped>> {
    let rows = sqlx::query(
        "with page as materialized (
             select seq, item, location, -quantity as quantity, reference from movement
              where item = any($1) and kind = 3 and effective_at >= $2 and effective_at < $3 and seq > $4
              order by seq limit $5
         )
         select m.seq, m.item, m.location, m.quantity, r.wishes
           from page m left join reservation r on r.order_id = m.reference::uuid
          order by m.seq",
    )
    .bind(items.iter().map(|item| item.0).collect::<Vec<_>>())
    .bind(from)
    .bind(to)
    .bind(after)
    .bind(size)
    .fetch_all(conn)
    .await?;
    let mut shipped = Vec::with_capacity(rows.len());
    for row in rows {
        shipped.push(Shipped {
            seq: row.try_get(0)?,
            item: ItemId(row.try_get(1)?),
            from: LocationId(row.try_get(2)?),
            quantity: row.try_get(3)?,
            wishes: wishes(None, row.try_get(4)?)?,
        });
    }
    Ok(shipped)
}
