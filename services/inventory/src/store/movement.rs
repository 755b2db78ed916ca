use super::{money, unexpected};
use crate::item::ItemId;
use crate::stock::{Movement, MovementKind, NamedMovement};
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// Adds to the ledger, in the order given.
pub async fn append(conn: &mut PgConnection, movements: &[Movement]) -> sqlx::Result<()> {
    if movements.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into movement (id, item, location, quantity, damaged, kind, reason, reference, unit_cost, currency,
                               effective_at, quality_hold, value)
         select id, item, location, quantity, damaged, kind, reason, reference, unit_cost, currency, effective_at,
                quality_hold, value
           from unnest($1::uuid[], $2::int8[], $3::int4[], $4::int8[], $5::int8[], $6::int2[], $7::text[], $8::text[],
                       $9::numeric[], $10::text[], $11::timestamptz[], $12::int8[], $13::numeric[]) with ordinality
                m (id, item, location, quantity, damaged, kind, reason, reference, unit_cost, currency, effective_at,
                   quality_hold, value, n)
          order by n",
    )
    .bind(movements.iter().map(|m| m.id).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.key.item.0).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.key.location.0).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.quantity).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.damaged).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.kind.code()).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.reason.as_str()).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.reference.as_str()).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.unit_cost.map(|cost| cost.amount)).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.unit_cost.or(m.value).map(|cost| cost.currency.code())).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.effective_at).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.quality_hold).collect::<Vec<_>>())
    .bind(movements.iter().map(|m| m.value.map(|value| value.amount)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Movements before a place in the ledger, newest first, of one item, with one reference, or all.
pub async fn page(
    conn: &mut PgConnection,
    before: Option<i64>,
    sku: Option<&str>,
    reference: Option<&str>,
    size: i64,
) -> sqlx::Result<Vec<NamedMovement>> {
    let mut query = sqlx::QueryBuilder::new(
        "select m.seq, m.id, i.sku, l.location_id, m.quantity, m.damaged, m.kind, m.reason, m.reference, m.unit_cost,
                m.currency, m.effective_at, m.recorded_at, m.quality_hold, m.value
           from movement m join item i on i.id = m.item join location l on l.id = m.location
          where true",
    );
    if let Some(before) = before {
        query.push(" and m.seq < ").push_bind(before);
    }
    if let Some(sku) = sku {
        query.push(" and m.item = (select id from item where sku = ").push_bind(sku).push(")");
    }
    if let Some(reference) = reference {
        query.push(" and m.reference <> '' and m.reference = ").push_bind(reference);
    }
    query.push(" order by m.seq desc limit ").push_bind(size);
    let rows = query.build().fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(NamedMovement {
                seq: row.try_get(0)?,
                id: row.try_get(1)?,
                sku: row.try_get(2)?,
                location_id: row.try_get(3)?,
                quantity: row.try_get(4)?,
                damaged: row.try_get(5)?,
                kind: MovementKind::from_code(row.try_get(6)?).ok_or_else(|| unexpected("movement kind"))?,
                reason: row.try_get(7)?,
                reference: row.try_get(8)?,
                unit_cost: money(row.try_get(9)?, row.try_get(10)?)?,
                value: money(row.try_get(14)?, row.try_get(10)?)?,
                quality_hold: row.try_get(13)?,
                effective_at: row.try_get(11)?,
                recorded_at: row.try_get(12)?,
            })
        })
        .collect()
}

/// What goods of some items that went to orders cost: billionths of their values, and quantities, by order and item.
pub async fn issue_costs(
    conn: &mut PgConnection,
    orders: &[Uuid],
    items: &[ItemId],
) -> sqlx::Result<HashMap<(Uuid, ItemId), (i128, i64)>> {
    let references: Vec<String> = orders.iter().map(Uuid::to_string).collect();
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows: Vec<(String, i64, Decimal, i64)> = sqlx::query_as(
        "select reference, item, -sum(value), -sum(quantity)::int8 from movement
          where reference = any($1) and reference <> '' and item = any($2) and kind = 3 and value is not null
          group by reference, item",
    )
    .bind(references)
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for (reference, item, value, quantity) in rows {
        let order_id = reference.parse().map_err(|_| unexpected("reference of an issue"))?;
        found.insert((order_id, ItemId(item)), (crate::layers::nanos(value, 1), quantity));
    }
    Ok(found)
}
