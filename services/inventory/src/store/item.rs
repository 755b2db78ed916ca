use super::{money, unexpected};
use crate::item::{BaseUnit, Item, ItemId, ItemKind, KnownItem, StoredItem, aggregate_of};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

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
            version: row.try_get("version")?,
        },
        used: row.try_get("used")?,
    })
}

/// Items by sku, locked in the order of their ids so that two lists that share some cannot deadlock.
pub async fn lock(conn: &mut PgConnection, skus: &[&str]) -> sqlx::Result<Vec<StoredItem>> {
    let rows = sqlx::query(
        "select sku, name, kind, base_unit, weight_grams, length_mm, width_mm, height_mm, standard_cost, cost_currency,
                version, used
           from item where sku = any($1) order by id for update",
    )
    .bind(skus)
    .fetch_all(conn)
    .await?;
    rows.iter().map(item).collect()
}

/// One item by sku.
pub async fn find(conn: &mut PgConnection, sku: &str) -> sqlx::Result<Option<Item>> {
    let row = sqlx::query(
        "select sku, name, kind, base_unit, weight_grams, length_mm, width_mm, height_mm, standard_cost, cost_currency,
                version, used
           from item where sku = $1",
    )
    .bind(sku)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(|row| item(row).map(|stored| stored.item)).transpose()
}

/// Items after a sku, ascending.
pub async fn page(conn: &mut PgConnection, after: Option<&str>, size: i64) -> sqlx::Result<Vec<Item>> {
    let rows = sqlx::query(
        "select sku, name, kind, base_unit, weight_grams, length_mm, width_mm, height_mm, standard_cost, cost_currency,
                version, used
           from item where $1::text is null or sku > $1 order by sku limit $2",
    )
    .bind(after)
    .bind(size)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| item(row).map(|stored| stored.item)).collect()
}

/// Creates or overwrites items, each sku once.
pub async fn write(conn: &mut PgConnection, items: &[&Item]) -> sqlx::Result<()> {
    let column = |value: fn(&Item) -> i64| items.iter().map(|item| value(item)).collect::<Vec<_>>();
    sqlx::query(
        "insert into item as i (aggregate_id, sku, name, kind, base_unit, weight_grams, length_mm, width_mm, height_mm,
                                standard_cost, cost_currency, version)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::int2[], $5::int2[], $6::int8[], $7::int8[],
                              $8::int8[], $9::int8[], $10::numeric[], $11::text[], $12::int8[])
         on conflict (sku) do update
            set name = excluded.name, kind = excluded.kind, base_unit = excluded.base_unit,
                weight_grams = excluded.weight_grams, length_mm = excluded.length_mm, width_mm = excluded.width_mm,
                height_mm = excluded.height_mm, standard_cost = excluded.standard_cost,
                cost_currency = excluded.cost_currency, version = excluded.version",
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
    .execute(conn)
    .await?;
    Ok(())
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
    let rows = sqlx::query("select id, sku, kind from item where sku = any($1)").bind(skus).fetch_all(conn).await?;
    rows.iter().map(known).collect()
}

/// Items that are in use, by id.
pub async fn known_by_id(conn: &mut PgConnection, ids: &[ItemId]) -> sqlx::Result<Vec<KnownItem>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query("select id, sku, kind from item where id = any($1)").bind(ids).fetch_all(conn).await?;
    rows.iter().map(known).collect()
}

fn known(row: &PgRow) -> sqlx::Result<KnownItem> {
    Ok(KnownItem {
        id: ItemId(row.try_get(0)?),
        sku: row.try_get::<String, _>(1)?.into(),
        kind: ItemKind::from_code(row.try_get(2)?).ok_or_else(|| unexpected("item kind"))?,
    })
}

/// Standard costs of items, where they have one.
pub async fn standard_costs(
    conn: &mut PgConnection,
    ids: &[ItemId],
) -> sqlx::Result<Vec<(ItemId, pesan_money::Money)>> {
    let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query(
        "select id, standard_cost, cost_currency from item where id = any($1) and standard_cost is not null",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut costs = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(cost) = money(row.try_get(1)?, row.try_get(2)?)? {
            costs.push((ItemId(row.try_get(0)?), cost));
        }
    }
    Ok(costs)
}
