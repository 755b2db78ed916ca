use super::{money, unexpected};
use crate::item::ItemId;
use pesan_money::Money;
use rust_decimal::Decimal;
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

/// What an item at a location was worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    pub sku: String,
    pub location_id: Uuid,
    /// On hand and under quality hold.
    pub quantity: i64,
    pub value: Option<Money>,
}

/// The value by currency and the quantity, by effective time. A location has its share of an item's value by quantity.
pub async fn total(
    conn: &mut PgConnection,
    as_of: OffsetDateTime,
    sku: Option<&str>,
    location_id: Option<Uuid>,
) -> sqlx::Result<(Vec<Money>, i64)> {
    let rows: Vec<(Option<String>, Option<Decimal>, i64)> = sqlx::query_as(
        "with moved as (
             select m.item, m.location, sum(m.quantity + m.quality_hold) as quantity, sum(m.value) as value,
                    max(m.currency) as currency
               from movement m
              where m.effective_at <= $1 and ($2::text is null or m.item = (select id from item where sku = $2))
              group by m.item, m.location
         ), whole as (
             select item, sum(quantity) as quantity, sum(value) as value, max(currency) as currency
               from moved group by item
         ), part as (
             select w.currency, m.quantity,
                    case when $3::uuid is null then m.value
                         else w.value * m.quantity / nullif(w.quantity, 0) end as value
               from moved m join whole w using (item) join location l on l.id = m.location
              where $3::uuid is null or l.location_id = $3
         )
         select currency, round(sum(value), 9), sum(quantity)::int8 from part group by currency order by currency",
    )
    .bind(as_of)
    .bind(sku)
    .bind(location_id)
    .fetch_all(conn)
    .await?;
    let quantity = rows.iter().map(|(_, _, quantity)| quantity).sum();
    let mut values = Vec::with_capacity(rows.len());
    for (currency, value, _) in rows {
        values.extend(money(value, currency)?);
    }
    Ok((values, quantity))
}

/// The values by item and location of `size` items after a sku that ever moved, and the last sku where there are more.
pub async fn page(
    conn: &mut PgConnection,
    as_of: OffsetDateTime,
    location_id: Option<Uuid>,
    after: Option<&str>,
    size: i64,
) -> sqlx::Result<(Vec<Value>, Option<String>)> {
    let items: Vec<(i64, String)> = sqlx::query_as(
        "select i.id, i.sku from item i
          where ($1::text is null or i.sku > $1) and exists (select from movement m where m.item = i.id)
          order by i.sku limit $2",
    )
    .bind(after)
    .bind(size + 1)
    .fetch_all(&mut *conn)
    .await?;
    let wanted = usize::try_from(size).unwrap_or(usize::MAX);
    let next = (items.len() > wanted).then(|| items.get(wanted - 1).map(|(_, sku)| sku.clone())).flatten();
    let ids: Vec<i64> = items.iter().take(wanted).map(|(id, _)| *id).collect();
    let rows = sqlx::query(
        "with moved as (
             select item, location, sum(quantity + quality_hold) as quantity, sum(value) as value,
                    max(currency) as currency
               from movement where item = any($1) and effective_at <= $2 group by item, location
         ), whole as (
             select item, sum(quantity) as quantity, sum(value) as value, max(currency) as currency
               from moved group by item
         )
         select i.sku, l.location_id, m.quantity::int8, round(w.value * m.quantity / nullif(w.quantity, 0), 9),
                w.currency
           from moved m join whole w using (item) join item i on i.id = m.item join location l on l.id = m.location
          where ($3::uuid is null or l.location_id = $3) and m.quantity <> 0
          order by i.sku, l.location_id",
    )
    .bind(ids)
    .bind(as_of)
    .bind(location_id)
    .fetch_all(conn)
    .await?;
    let value = |row: &sqlx::postgres::PgRow| {
        Ok(Value {
            sku: row.try_get(0)?,
            location_id: row.try_get(1)?,
            quantity: row.try_get(2)?,
            value: money(row.try_get(3)?, row.try_get(4)?)?,
        })
    };
    Ok((rows.iter().map(value).collect::<sqlx::Result<_>>()?, next))
}

/// A layer as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownLayer {
    pub seq: i64,
    pub quantity: i64,
    pub unit_cost: Money,
    /// None: an average.
    pub received_at: Option<OffsetDateTime>,
}

/// The open layers of an item after one, oldest first; the average of one that has none.
pub async fn layers(conn: &mut PgConnection, item: ItemId, after: i64, size: i64) -> sqlx::Result<Vec<ShownLayer>> {
    let rows: Vec<(i64, i64, Decimal, String, Option<OffsetDateTime>)> = sqlx::query_as(
        "select l.seq, l.quantity, l.unit_cost, c.currency, l.received_at
           from cost_layer l join item_cost c on c.item = l.item
          where l.item = $1 and l.seq > $2
         union all
         select 1, c.quantity, c.average, c.currency, null
           from item_cost c join item i on i.id = c.item
          where c.item = $1 and i.valuation = 1 and c.quantity > 0 and $2 < 1
          order by 1 limit $3",
    )
    .bind(item.0)
    .bind(after)
    .bind(size)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(seq, quantity, unit_cost, currency, received_at)| {
            let unit_cost = money(Some(unit_cost), Some(currency))?.ok_or_else(|| unexpected("cost"))?;
            Ok(ShownLayer { seq, quantity, unit_cost, received_at })
        })
        .collect()
}
