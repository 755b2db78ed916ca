use super::unexpected;
use crate::item::{BaseUnit, Item, Unit};
use sqlx::PgConnection;
use std::collections::HashMap;

/// Sku, unit, base units in one, barcode.
type Row = (String, String, i64, String);

/// Adds their units to items.
pub async fn add(conn: &mut PgConnection, mut items: Vec<&mut Item>) -> sqlx::Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let skus: Vec<String> = items.iter().map(|item| item.sku.clone()).collect();
    let mut units = of_items(conn, &skus).await?;
    for item in &mut items {
        item.units = units.remove(&item.sku).unwrap_or_default();
    }
    Ok(())
}

/// The units of items, by sku, ascending.
pub async fn of_items(conn: &mut PgConnection, skus: &[String]) -> sqlx::Result<HashMap<String, Vec<Unit>>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select i.sku, u.code, u.quantity, u.barcode from item i join item_unit u on u.item = i.id
          where i.sku = any($1) order by u.item, u.code",
    )
    .bind(skus)
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<String, Vec<Unit>> = HashMap::new();
    for (sku, code, quantity, barcode) in rows {
        found.entry(sku).or_default().push(Unit { code, quantity, barcode });
    }
    Ok(found)
}

/// Writes the units of items anew.
pub async fn write(conn: &mut PgConnection, items: &[&Item]) -> sqlx::Result<()> {
    let skus: Vec<&str> = items.iter().map(|item| item.sku.as_str()).collect();
    sqlx::query("delete from item_unit where item in (select id from item where sku = any($1))")
        .bind(skus)
        .execute(&mut *conn)
        .await?;
    let units: Vec<(&str, &Unit)> =
        items.iter().flat_map(|item| item.units.iter().map(|unit| (item.sku.as_str(), unit))).collect();
    if units.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into item_unit (item, code, quantity, barcode)
         select i.id, u.code, u.quantity, u.barcode
           from unnest($1::text[], $2::text[], $3::int8[], $4::text[]) u (sku, code, quantity, barcode)
           join item i on i.sku = u.sku",
    )
    .bind(units.iter().map(|(sku, _)| *sku).collect::<Vec<_>>())
    .bind(units.iter().map(|(_, unit)| unit.code.as_str()).collect::<Vec<_>>())
    .bind(units.iter().map(|(_, unit)| unit.quantity).collect::<Vec<_>>())
    .bind(units.iter().map(|(_, unit)| unit.barcode.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The items and units that carry some barcodes.
pub async fn by_barcode(conn: &mut PgConnection, barcodes: &[&str]) -> sqlx::Result<Vec<(String, Unit)>> {
    let rows: Vec<Row> = sqlx::query_as(
        "select i.sku, u.code, u.quantity, u.barcode from item_unit u join item i on i.id = u.item
          where u.barcode = any($1) and u.barcode <> ''",
    )
    .bind(barcodes)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(sku, code, quantity, barcode)| (sku, Unit { code, quantity, barcode })).collect())
}

/// The base units of items, by sku.
pub async fn base_units(conn: &mut PgConnection, skus: &[String]) -> sqlx::Result<Vec<(String, BaseUnit)>> {
    let rows: Vec<(String, i16)> =
        sqlx::query_as("select sku, base_unit from item where sku = any($1)").bind(skus).fetch_all(conn).await?;
    let base = |(sku, code)| Ok((sku, BaseUnit::from_code(code).ok_or_else(|| unexpected("base unit"))?));
    rows.into_iter().map(base).collect()
}
