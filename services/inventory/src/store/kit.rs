use crate::item::ItemId;
use crate::kit::{Component, Kit};
use sqlx::PgConnection;
use std::collections::HashMap;
use std::sync::Arc;

/// A composition that a kit had or has.
pub type KitVersion = (ItemId, i64);

/// Compositions by kit and version.
pub async fn versions(conn: &mut PgConnection, wanted: &[KitVersion]) -> sqlx::Result<HashMap<KitVersion, Arc<Kit>>> {
    let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "select kit, version, component, quantity from kit_component
          where (kit, version) in (select * from unnest($1::int8[], $2::int8[]))
          order by kit, version, component",
    )
    .bind(wanted.iter().map(|(kit, _)| kit.0).collect::<Vec<_>>())
    .bind(wanted.iter().map(|(_, version)| *version).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(kits(&rows))
}

/// Kits as they are composed now.
pub async fn current(conn: &mut PgConnection, kits_wanted: &[ItemId]) -> sqlx::Result<HashMap<ItemId, Arc<Kit>>> {
    let rows: Vec<(i64, i64, i64, i64)> = sqlx::query_as(
        "select c.kit, c.version, c.component, c.quantity
           from item i join kit_component c on c.kit = i.id and c.version = i.kit_version
          where i.id = any($1)
          order by c.kit, c.version, c.component",
    )
    .bind(kits_wanted.iter().map(|kit| kit.0).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    Ok(kits(&rows).into_iter().map(|((item, _), kit)| (item, kit)).collect())
}

fn kits(rows: &[(i64, i64, i64, i64)]) -> HashMap<KitVersion, Arc<Kit>> {
    let of_one = rows.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
    let kit = |rows: &[(i64, i64, i64, i64)]| {
        let (item, version, ..) = rows[0]; // a chunk is never empty
        let component = |row: &(i64, i64, i64, i64)| Component { item: ItemId(row.2), quantity: row.3 };
        ((ItemId(item), version), Arc::new(Kit { version, components: rows.iter().map(component).collect() }))
    };
    of_one.map(kit).collect()
}

/// The compositions of some kits, by the skus of their components.
pub async fn shown(conn: &mut PgConnection, skus: &[&str]) -> sqlx::Result<HashMap<String, Vec<(String, i64)>>> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "select i.sku, part.sku, c.quantity
           from item i join kit_component c on c.kit = i.id and c.version = i.kit_version
           join item part on part.id = c.component
          where i.sku = any($1)
          order by i.sku, part.sku",
    )
    .bind(skus)
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<String, Vec<(String, i64)>> = HashMap::new();
    for (kit, component, quantity) in rows {
        found.entry(kit).or_default().push((component, quantity));
    }
    Ok(found)
}

/// A composition to be written: the kit, the version that brings it, its components by sku.
pub struct NewKit<'a> {
    pub sku: &'a str,
    pub version: i64,
    pub components: &'a [(String, i64)],
}

/// Writes new compositions of items that are stored, and puts their components to use: a part of a kit stays stocked.
pub async fn write(conn: &mut PgConnection, kits: &[NewKit<'_>]) -> sqlx::Result<()> {
    if kits.is_empty() {
        return Ok(());
    }
    let rows = || kits.iter().flat_map(|kit| kit.components.iter().map(move |component| (kit, component)));
    sqlx::query(
        "insert into kit_component (kit, version, component, quantity)
         select kit.id, k.version, part.id, k.quantity
           from unnest($1::text[], $2::int8[], $3::text[], $4::int8[]) k (kit, version, component, quantity)
           join item kit on kit.sku = k.kit join item part on part.sku = k.component",
    )
    .bind(rows().map(|(kit, _)| kit.sku).collect::<Vec<_>>())
    .bind(rows().map(|(kit, _)| kit.version).collect::<Vec<_>>())
    .bind(rows().map(|(_, (component, _))| component.as_str()).collect::<Vec<_>>())
    .bind(rows().map(|(_, (_, quantity))| *quantity).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    sqlx::query("update item set used = true where sku = any($1) and not used")
        .bind(rows().map(|(_, (component, _))| component.as_str()).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}
