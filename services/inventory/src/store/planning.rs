use super::{money, unexpected};
use crate::item::ItemId;
use crate::location::LocationId;
use crate::planning::demand::{self, Demand};
use crate::planning::policy::{NamedPolicy, Policy};
use crate::planning::reorder::Position;
use crate::stock::StockKey;
use crate::supplier::SupplierId;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Creates or overwrites policies, each of an item and location once.
pub async fn write(conn: &mut PgConnection, policies: &[&Policy]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into reorder_policy (item, location, rule, minimum, maximum, days_of_cover, service_level, window_days,
                                     order_cost, cost_currency, holding_percent, supplier, inactive)
         select * from unnest($1::int8[], $2::int4[], $3::int2[], $4::int8[], $5::int8[], $6::int4[], $7::float8[],
                              $8::int4[], $9::numeric[], $10::text[], $11::float8[], $12::int4[], $13::bool[])
         on conflict (item, location) do update
            set rule = excluded.rule, minimum = excluded.minimum, maximum = excluded.maximum,
                days_of_cover = excluded.days_of_cover, service_level = excluded.service_level,
                window_days = excluded.window_days, order_cost = excluded.order_cost,
                cost_currency = excluded.cost_currency, holding_percent = excluded.holding_percent,
                supplier = excluded.supplier, inactive = excluded.inactive",
    )
    .bind(policies.iter().map(|p| p.key.item.0).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.key.location.0).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.rule).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.minimum).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.maximum).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.days_of_cover).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.service_level).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.window_days).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.order_cost.map(|cost| cost.amount)).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.order_cost.map(|cost| cost.currency.code())).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.holding_percent).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.supplier.map(|supplier| supplier.0)).collect::<Vec<_>>())
    .bind(policies.iter().map(|p| p.inactive).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// What a list of policies shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    pub sku: Option<&'a str>,
    pub location: Option<Uuid>,
    /// Only those that are acted on.
    pub active: bool,
}

/// Policies after a sku and location, ascending.
pub async fn page(
    conn: &mut PgConnection,
    after: Option<(&str, Uuid)>,
    filter: Filter<'_>,
    size: i64,
) -> sqlx::Result<Vec<NamedPolicy>> {
    let rows = sqlx::query(
        "select p.*, i.sku, l.location_id, coalesce(s.code, '') as supplier_code
           from reorder_policy p join item i on i.id = p.item join location l on l.id = p.location
           left join supplier s on s.id = p.supplier
          where ($1::text is null or (i.sku, l.location_id) > ($1, $2))
            and ($3::text is null or i.sku = $3) and ($4::uuid is null or l.location_id = $4)
            and not ($5 and p.inactive)
          order by i.sku, l.location_id
          limit $6",
    )
    .bind(after.map(|(sku, _)| sku))
    .bind(after.map(|(_, location)| location))
    .bind(filter.sku)
    .bind(filter.location)
    .bind(filter.active)
    .bind(size)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let (item, location) = (ItemId(row.try_get("item")?), LocationId(row.try_get("location")?));
            Ok(NamedPolicy {
                policy: Policy {
                    key: StockKey { item, location },
                    rule: row.try_get("rule")?,
                    minimum: row.try_get("minimum")?,
                    maximum: row.try_get("maximum")?,
                    days_of_cover: row.try_get("days_of_cover")?,
                    service_level: row.try_get("service_level")?,
                    window_days: row.try_get("window_days")?,
                    order_cost: money(row.try_get("order_cost")?, row.try_get("cost_currency")?)?,
                    holding_percent: row.try_get("holding_percent")?,
                    supplier: row.try_get::<Option<i32>, _>("supplier")?.map(SupplierId),
                    inactive: row.try_get("inactive")?,
                },
                sku: row.try_get("sku")?,
                location_id: row.try_get("location_id")?,
                supplier_code: row.try_get("supplier_code")?,
            })
        })
        .collect()
}

/// Demand by item and location: goods issued a day, over a window of whole days that ends at `until` (a midnight), each
/// key with its own window. One look at the ledger, however many keys there are.
pub async fn demands(
    conn: &mut PgConnection,
    windows: &[(StockKey, i32)],
    until: OffsetDateTime,
) -> sqlx::Result<HashMap<StockKey, Demand>> {
    let longest = windows.iter().map(|(_, days)| *days).max().unwrap_or(0);
    let rows: Vec<(i64, i32, f64, f64)> = sqlx::query_as(
        "with wanted as (
             select * from unnest($1::int8[], $2::int4[], $3::int4[]) w (item, location, days)
         ), daily as (
             select m.item, m.location, date_trunc('day', m.effective_at at time zone 'UTC') as day,
                    sum(-m.quantity)::float8 as units
               from movement m join wanted w using (item, location)
              where m.kind = 3 and m.effective_at < $4 and m.effective_at >= $4 - make_interval(days => $5)
                and m.effective_at >= $4 - make_interval(days => w.days)
              group by 1, 2, 3
         )
         select item, location, sum(units), sum(units * units) from daily group by item, location",
    )
    .bind(windows.iter().map(|(key, _)| key.item.0).collect::<Vec<_>>())
    .bind(windows.iter().map(|(key, _)| key.location.0).collect::<Vec<_>>())
    .bind(windows.iter().map(|(_, days)| *days).collect::<Vec<_>>())
    .bind(until)
    .bind(longest)
    .fetch_all(conn)
    .await?;
    let mut demands: HashMap<StockKey, Demand> =
        windows.iter().map(|(key, days)| (*key, demand::of_window(*days, 0.0, 0.0))).collect();
    for (item, location, sum, squares) in rows {
        let key = StockKey { item: ItemId(item), location: LocationId(location) };
        if let Some(demand) = demands.get_mut(&key) {
            *demand = demand::of_window(demand.days, sum, squares);
        }
    }
    Ok(demands)
}

/// What is there of some items by location, and comes there. The backorder queue belongs to no location: it counts for
/// the location of an item's policies that is asked first, by rank and code.
pub async fn positions(conn: &mut PgConnection, keys: &[StockKey]) -> sqlx::Result<HashMap<StockKey, Position>> {
    let rows: Vec<(i64, i32, i64, i64, i64, i64)> = sqlx::query_as(
        "with wanted as (
             select * from unnest($1::int8[], $2::int4[]) w (item, location)
         ), queue as (
             select item, sum(backordered)::int8 as waiting from reservation_part
              where backordered > 0 and item = any($1) group by item
         ), first as (
             select distinct on (p.item) p.item, p.location
               from reorder_policy p join location l on l.id = p.location
              where p.item = any($1) and not p.inactive
              order by p.item, l.rank, l.code
         )
         select w.item, w.location, coalesce(s.on_hand, 0), coalesce(s.reserved, 0),
                (select coalesce(sum(quantity), 0)::int8 from supply c
                  where c.item = w.item and c.location = w.location and c.quantity > 0),
                case when first.location is not null then coalesce(queue.waiting, 0) else 0 end
           from wanted w
           left join stock s using (item, location)
           left join first using (item, location)
           left join queue on queue.item = w.item",
    )
    .bind(keys.iter().map(|key| key.item.0).collect::<Vec<_>>())
    .bind(keys.iter().map(|key| key.location.0).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let position = |(item, location, on_hand, reserved, incoming, waiting)| {
        let key = StockKey { item: ItemId(item), location: LocationId(location) };
        (key, Position { on_hand, reserved, incoming, waiting })
    };
    Ok(rows.into_iter().map(position).collect())
}

/// What there is of an item now, at a location or at all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct There {
    pub on_hand: i64,
    pub reserved: i64,
    pub safety: i64,
    pub waiting: i64,
}

/// What there is of an item now.
pub async fn there(conn: &mut PgConnection, item: ItemId, location: Option<LocationId>) -> sqlx::Result<There> {
    let row: Option<(i64, i64, i64, i64)> = sqlx::query_as(
        "select coalesce(sum(on_hand), 0)::int8, coalesce(sum(reserved), 0)::int8, coalesce(sum(safety), 0)::int8,
                (select coalesce(sum(backordered), 0)::int8 from reservation_part where backordered > 0 and item = $1)
           from stock where item = $1 and ($2::int4 is null or location = $2)",
    )
    .bind(item.0)
    .bind(location.map(|location| location.0))
    .fetch_optional(conn)
    .await?;
    let (on_hand, reserved, safety, waiting) = row.ok_or_else(|| unexpected("stock"))?;
    Ok(There { on_hand, reserved, safety, waiting })
}
