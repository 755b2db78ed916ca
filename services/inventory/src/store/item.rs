use super::unit;
use super::{money, unexpected};
use crate::item::{BaseUnit, Item, ItemId, ItemKind, KnownItem, StoredItem, Tracking, Valuation, aggregate_of};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;

fn item(row: &PgRow) -> sqlx::Result<StoredItem> {
    Ok(StoredItem {
        item: Item {
            sku: row.try_get("sku")?,
            name: row.try_get("name")?,
            kind: ItemKind::from_code(row.try_get("kind")?).ok_or_else(|| unexpected("item kind"))?,
            base_unit: BaseUnit::from_code(row.try_get("base_unit")?).ok_or_else(|| unexpected("base unit"))?,
            weight_grams: row.try_get("weight_grams")?,
            length_mm: row.try_get("length_mm")?,
            width_mm: row.try_get("width_mm")?,
            height_mm: row.try_get("height_mm")?,
            standard_cost: money(row.try_get("standard_cost")?, row.try_get("cost_currency")?)?,
            components: Vec::new(),
            tracking: Tracking::from_code(row.try_get("tracking")?).ok_or_else(|| unexpected("tracking"))?,
            valuation: Valuation::from_code(row.try_get("valuation")?).ok_or_else(|| unexpected("valuation"))?,
            units: Vec::new(),
            version: row.try_get("version")?,
        },
        kit_version: row.try_get("kit_version")?,
        used: row.try_get("used")?,
    })
}

/// Completes items by their units, and kits by what they are made of.
async fn with_components(conn: &mut PgConnection, mut items: Vec<StoredItem>) -> sqlx::Result<Vec<StoredItem>> {
    let kits: Vec<&str> =
        items.iter().filter(|stored| stored.kit_version.is_some()).map(|stored| stored.item.sku.as_str()).collect();
    if !kits.is_empty() {
        let mut components = super::kit::shown(conn, &kits).await?;
        for stored in &mut items {
            stored.item.components = components.remove(&stored.item.sku).unwrap_or_default();
        }
    }
    unit::add(conn, items.iter_mut().map(|stored| &mut stored.item).collect()).await?;
    Ok(items)
}

/// Items by sku, locked in the order of their ids so that two lists that share some cannot deadlock.
pub async fn lock(conn: &mut PgConnection, skus: &[&str]) -> sqlx::Result<Vec<StoredItem>> {
    let rows = sqlx::query(
        "select sku, name, kind, base_unit, weight_grams, length_mm, width_mm, height_mm, standard_cost, cost_currency,
                version, used, kit_version, tracking, valuation
           from item where sku = any($1) order by id for update",
    )
    .bind(skus)
    .fetch_all(&mut *conn)
    .await?;
    let items = rows.iter().map(item).collect::<sqlx::Result<_>>()?;
    with_components(conn, items).await
}

/// One item by sku.
pub async fn find(conn: &mut PgConnection, sku: &str) -> sqlx::Result<Option<Item>> {
    let row = sqlx::query(
        "select sku, name, kind, base_unit, weight_grams, length_mm, width_mm, height_mm, standard_cost, cost_currency,
                version, used, kit_version, tracking, valuation
           from item where sku = $1",
    )
    .bind(sku)
    .fetch_optional(&mut *conn)
    .await?;
    let items = row.iter().map(item).collect::<sqlx::Result<_>>()?;
    Ok(with_components(conn, items).await?.pop().map(|stored| stored.item))
}

/// Items after a sku, ascending.
pub async fn page(conn: &mut PgConnection, after: Option<&str>, size: i64) -> sqlx::Result<Vec<Item>> {
    let rows = sqlx::query(
        "select sku, name, kind, base_unit, weight_grams, length_mm, width_mm, height_mm, standard_cost, cost_currency,
                version, used, kit_version, tracking, valuation
           from item where $1::text is null or sku > $1 order by sku limit $2",
    )
    .bind(after)
    .bind(size)
    .fetch_all(&mut *conn)
    .await?;
    let items = rows.iter().map(item).collect::<sqlx::Result<_>>()?;
    Ok(with_components(conn, items).await?.into_iter().map(|stored| stored.item).collect())
}

/// Creates or overwrites items, each sku once, each with the version that brought its composition if it is a kit.
pub async fn write(conn: &mut PgConnection, items: &[(&Item, Option<i64>)]) -> sqlx::Result<()> {
    let (items, kit_versions): (Vec<&Item>, Vec<Option<i64>>) = items.iter().copied().unzip();
    let column = |value: fn(&Item) -> i64| items.iter().map(|item| value(item)).collect::<Vec<_>>();
    sqlx::query(
        "insert into item as i (aggregate_id, sku, name, kind, base_unit, weight_grams, length_mm, width_mm, height_mm,
                                standard_cost, cost_currency, version, tracking, valuation, kit_version)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::int2[], $5::int2[], $6::int8[], $7::int8[],
                              $8::int8[], $9::int8[], $10::numeric[], $11::text[], $12::int8[], $13::int2[],
                              $14::int2[], $15::int8[])
         on conflict (sku) do update
            set name = excluded.name, kind = excluded.kind, base_unit = excluded.base_unit,
                weight_grams = excluded.weight_grams, length_mm = excluded.length_mm, width_mm = excluded.width_mm,
                height_mm = excluded.height_mm, standard_cost = excluded.standard_cost,
                cost_currency = excluded.cost_currency, version = excluded.version, tracking = excluded.tracking,
                valuation = excluded.valuation, kit_version = excluded.kit_version",
    )
    .bind(items.iter().map(|item| aggregate_of(&item.sku)).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.sku.as_str()).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.name.as_str()).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.kind.code()).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.base_unit.code()).collect::<Vec<_>>())
    .bind(column(|item| item.weight_grams))
    .bind(column(|item| item.length_mm))
    .bind(column(|item| item.width_mm))
    .bind(column(|item| item.height_mm))
    .bind(items.iter().map(|item| item.standard_cost.map(|cost| cost.amount)).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.standard_cost.map(|cost| cost.currency.code())).collect::<Vec<_>>())
    .bind(column(|item| item.version))
    .bind(items.iter().map(|item| item.tracking.code()).collect::<Vec<_>>())
    .bind(items.iter().map(|item| item.valuation.code()).collect::<Vec<_>>())
    .bind(kit_versions)
    .execute(&mut *conn)
    .await?;
    unit::write(conn, &items).await
}

/// Marks items as used, so that their kind is fixed, and gives what is remembered of them. Those that do not exist are
/// missing in the answer.
pub async fn put_to_use(conn: &mut PgConnection, skus: &[&str]) -> sqlx::Result<Vec<KnownItem>> {
    sqlx::query(
        "with fresh as (select id from item where sku = any($1) and not used order by id for update)
         update item set used = true from fresh where item.id = fresh.id",
    )
    .bind(skus)
    .execute(&mut *conn)
    .await?;
    look_up(conn, skus).await
}

/// Of these items those that are in use.
pub async fn used(conn: &mut PgConnection, skus: &[&str]) -> sqlx::Result<Vec<KnownItem>> {
    let rows = sqlx::query("select id, sku, kind, tracking, valuation from item where sku = any($1) and used")
        .bind(skus)
        .fetch_all(conn)
        .await?;
    rows.iter().map(known).collect()
}

/// Items as they are now, for a look: nothing of it may be remembered.
pub async fn look_up(conn: &mut PgConnection, skus: &[&str]) -> sqlx::Result<Vec<KnownItem>> {
    let rows = sqlx::query("select id, sku, kind, tracking, valuation from item where sku = any($1)")
        .bind(skus)
        .fetch_all(conn)
        .await?;
    rows.iter().map(known).collect()
}

/// Items that are in use, by id.
pub async fn known_by_id(conn: &mut PgConnection, ids: &[ItemId]) -> sqlx::Result<Vec<KnownItem>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query("select id, sku, kind, tracking, valuation from item where id = any($1)")
        .bind(ids)
        .fetch_all(conn)
        .await?;
    rows.iter().map(known).collect()
}

fn known(row: &PgRow) -> sqlx::Result<KnownItem> {
    Ok(KnownItem {
        id: ItemId(row.try_get(0)?),
        sku: row.try_get::<String, _>(1)?.into(),
        kind: ItemKind::from_code(row.try_get(2)?).ok_or_else(|| unexpected("item kind"))?,
        tracking: Tracking::from_code(row.try_get(3)?).ok_or_else(|| unexpected("tracking"))?,
        valuation: Valuation::from_code(row.try_get(4)?).ok_or_else(|| unexpected("valuation"))?,
    })
}

/// What a receipt of an item must know of it.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub standard_cost: Option<pesan_money::Money>,
    pub tracking: Tracking,
    pub valuation: Valuation,
}

/// What receipts must know of items. Their rows are locked, in key order and after the stock, so that two first receipts
/// at different locations do not both begin the item's costs.
pub async fn rules(conn: &mut PgConnection, ids: &[ItemId]) -> sqlx::Result<HashMap<ItemId, Rules>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query(
        "select id, standard_cost, cost_currency, tracking, valuation from item where id = any($1) order by id
            for no key update",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let rules = Rules {
            standard_cost: money(row.try_get(1)?, row.try_get(2)?)?,
            tracking: Tracking::from_code(row.try_get(3)?).ok_or_else(|| unexpected("tracking"))?,
            valuation: Valuation::from_code(row.try_get(4)?).ok_or_else(|| unexpected("valuation"))?,
        };
        found.insert(ItemId(row.try_get(0)?), rules);
    }
    Ok(found)
}

/// The key of an item.
pub async fn id(conn: &mut PgConnection, sku: &str) -> sqlx::Result<Option<ItemId>> {
    let id: Option<i64> =
        sqlx::query_scalar("select id from item where sku = $1").bind(sku).fetch_optional(conn).await?;
    Ok(id.map(ItemId))
}
