use crate::item::{ItemId, ItemKind};
use crate::location::LocationId;
use crate::sourcing::Shelf;
use crate::stock::{Book, ItemStock, Level, NamedLevel, StockKey};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// Makes sure that there are rows for these keys, so that they can be locked. `keys` are in key order.
pub async fn ensure(conn: &mut PgConnection, keys: &[StockKey]) -> sqlx::Result<()> {
    let (items, locations) = columns(keys);
    sqlx::query(
        "insert into stock (item, location)
         select item, location from unnest($1::int8[], $2::int4[]) k (item, location) order by item, location
         on conflict (item, location) do nothing",
    )
    .bind(items)
    .bind(locations)
    .execute(conn)
    .await?;
    Ok(())
}

/// Levels by key. Rows are locked in key order, so that two batches that share items cannot deadlock.
pub async fn lock(conn: &mut PgConnection, keys: &[StockKey]) -> sqlx::Result<Book> {
    let (items, locations) = columns(keys);
    let rows: Vec<(i64, i32, i64, i64, i64, i64, i64)> = sqlx::query_as(
        "select item, location, on_hand, reserved, damaged, quality_hold, safety from stock
          where (item, location) in (select * from unnest($1::int8[], $2::int4[]))
          order by item, location
            for update",
    )
    .bind(items)
    .bind(locations)
    .fetch_all(conn)
    .await?;
    Ok(Book::new(rows.into_iter().map(|(item, location, on_hand, reserved, damaged, quality_hold, safety)| {
        let key = StockKey { item: ItemId(item), location: LocationId(location) };
        (key, Level { on_hand, reserved, damaged, quality_hold, safety })
    })))
}

/// What is on hand and reserved of some items at a location, as it is now and not locked.
pub async fn at(conn: &mut PgConnection, location: LocationId, items: &[ItemId]) -> sqlx::Result<Vec<(ItemId, Level)>> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows: Vec<(i64, i64, i64)> =
        sqlx::query_as("select item, on_hand, reserved from stock where location = $1 and item = any($2)")
            .bind(location.0)
            .bind(ids)
            .fetch_all(conn)
            .await?;
    let level = |(item, on_hand, reserved)| (ItemId(item), Level { on_hand, reserved, ..Level::default() });
    Ok(rows.into_iter().map(level).collect())
}

/// All that is free of some items, wherever it is, locked in key order, and the version of the network; none where
/// there is no shelf.
pub async fn lock_free(conn: &mut PgConnection, items: &[ItemId]) -> sqlx::Result<(Vec<(ItemId, Shelf)>, Option<i64>)> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows = sqlx::query(
        "select s.item, s.location, greatest(s.on_hand - s.reserved - s.safety, 0) as free, s.since, n.version
           from stock s cross join network n
          where s.item = any($1) and n.id = 1
          order by s.item, s.location
            for update of s",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let version = rows.first().map(|row| row.try_get(4)).transpose()?;
    let shelves = rows.iter().map(shelf).collect::<sqlx::Result<_>>()?;
    Ok((shelves, version))
}

/// All that is free of some items, for a look: nothing is locked.
pub async fn free(conn: &mut PgConnection, items: &[ItemId]) -> sqlx::Result<Vec<(ItemId, Shelf)>> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows = sqlx::query(
        "select s.item, s.location, greatest(s.on_hand - s.reserved - s.safety, 0) as free, s.since
           from stock s where s.item = any($1) order by s.item, s.location",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    rows.iter().map(shelf).collect()
}

fn shelf(row: &PgRow) -> sqlx::Result<(ItemId, Shelf)> {
    let shelf = Shelf { location: LocationId(row.try_get(1)?), free: row.try_get(2)?, since: row.try_get(3)? };
    Ok((ItemId(row.try_get(0)?), shelf))
}

/// Applies changes to rows that are locked, each row once.
pub async fn write(conn: &mut PgConnection, book: &Book) -> sqlx::Result<()> {
    let changes: Vec<(StockKey, Level)> = book.changes().collect();
    if changes.is_empty() {
        return Ok(());
    }
    let written = sqlx::query(
        "update stock s
            set on_hand = s.on_hand + c.on_hand, reserved = s.reserved + c.reserved, damaged = s.damaged + c.damaged,
                quality_hold = s.quality_hold + c.quality_hold, safety = s.safety + c.safety,
                since = case when s.on_hand = 0 and c.on_hand > 0 then now() else s.since end
           from unnest($1::int8[], $2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[])
                c (item, location, on_hand, reserved, damaged, quality_hold, safety)
          where s.item = c.item and s.location = c.location",
    )
    .bind(changes.iter().map(|(key, _)| key.item.0).collect::<Vec<_>>())
    .bind(changes.iter().map(|(key, _)| key.location.0).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, change)| change.on_hand).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, change)| change.reserved).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, change)| change.damaged).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, change)| change.quality_hold).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, change)| change.safety).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    if written.rows_affected() != changes.len() as u64 {
        return Err(super::unexpected("number of stock rows written"));
    }
    Ok(())
}

/// Stock after a sku and location, ascending, of one location or of all.
pub async fn page(
    conn: &mut PgConnection,
    after: Option<(&str, Uuid)>,
    location_id: Option<Uuid>,
    size: i64,
) -> sqlx::Result<Vec<NamedLevel>> {
    let rows: Vec<LevelRow> = sqlx::query_as(
        "select i.sku, l.location_id, s.on_hand, s.reserved, s.damaged, s.quality_hold, s.safety, coming.bought,
                coming.moved
           from stock s join item i on i.id = s.item join location l on l.id = s.location
          cross join lateral (select coalesce(sum(quantity) filter (where kind = 1), 0)::int8 as bought,
                                     coalesce(sum(quantity) filter (where kind = 2), 0)::int8 as moved
                                from supply where item = s.item and location = s.location and quantity > 0) coming
          where ($1::text is null or (i.sku, l.location_id) > ($1, $2))
            and ($3::uuid is null or l.location_id = $3)
          order by i.sku, l.location_id
          limit $4",
    )
    .bind(after.map(|(sku, _)| sku))
    .bind(after.map(|(_, location)| location))
    .bind(location_id)
    .bind(size)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(named).collect())
}

/// Sku, location, on hand, reserved, damaged, quality hold, safety, incoming, in transfer.
type LevelRow = (String, Uuid, i64, i64, i64, i64, i64, i64, i64);

fn named(row: LevelRow) -> NamedLevel {
    let (sku, location_id, on_hand, reserved, damaged, quality_hold, safety, incoming, in_transfer) = row;
    let level = Level { on_hand, reserved, damaged, quality_hold, safety };
    NamedLevel { sku, location_id, level, incoming, in_transfer }
}

/// What there is of some items, by sku; those that do not exist are missing.
pub async fn of_items(conn: &mut PgConnection, skus: &[String]) -> sqlx::Result<HashMap<String, ItemStock>> {
    let items: Vec<(String, i16, i64)> = sqlx::query_as(
        "select i.sku, i.kind,
                (select coalesce(sum(p.backordered), 0)::int8 from reservation_part p
                  where p.item = i.id and p.backordered > 0)
           from item i where i.sku = any($1)",
    )
    .bind(skus)
    .fetch_all(&mut *conn)
    .await?;
    let has_kits = items.iter().any(|(_, kind, _)| *kind == ItemKind::Kit.code());
    let is_service = |kind: i16| kind == ItemKind::Service.code();
    let mut found: HashMap<String, ItemStock> = items
        .into_iter()
        .map(|(sku, kind, waiting)| (sku, ItemStock { is_service: is_service(kind), waiting, levels: Vec::new() }))
        .collect();
    for level in if has_kits { kits_of(&mut *conn, skus).await? } else { Vec::new() } {
        if let Some(item) = found.get_mut(&level.sku) {
            item.levels.push(level);
        }
    }
    let rows: Vec<LevelRow> = sqlx::query_as(
        "select i.sku, l.location_id, s.on_hand, s.reserved, s.damaged, s.quality_hold, s.safety, coming.bought,
                coming.moved
           from item i join stock s on s.item = i.id join location l on l.id = s.location
          cross join lateral (select coalesce(sum(quantity) filter (where kind = 1), 0)::int8 as bought,
                                     coalesce(sum(quantity) filter (where kind = 2), 0)::int8 as moved
                                from supply where item = s.item and location = s.location and quantity > 0) coming
          where i.sku = any($1)
          order by l.location_id",
    )
    .bind(skus)
    .fetch_all(conn)
    .await?;
    for level in rows.into_iter().map(named) {
        if let Some(item) = found.get_mut(&level.sku) {
            item.levels.push(level);
        }
    }
    Ok(found)
}

/// How many kits could be promised at each location: as many as the scarcest component allows. Shown as on hand, for a
/// kit has no stock of its own.
async fn kits_of(conn: &mut PgConnection, skus: &[String]) -> sqlx::Result<Vec<NamedLevel>> {
    let rows: Vec<(String, Uuid, i64)> = sqlx::query_as(
        "select i.sku, l.location_id,
                min(coalesce(greatest(s.on_hand - s.reserved - s.safety, 0), 0) / c.quantity)::int8
           from item i
           join kit_component c on c.kit = i.id and c.version = i.kit_version
          cross join location l
           left join stock s on s.item = c.component and s.location = l.id
          where i.sku = any($1) and i.kind = 3
          group by i.sku, l.location_id
         having min(coalesce(greatest(s.on_hand - s.reserved - s.safety, 0), 0) / c.quantity) > 0
          order by l.location_id",
    )
    .bind(skus)
    .fetch_all(conn)
    .await?;
    let kits = |(sku, location_id, on_hand)| NamedLevel {
        sku,
        location_id,
        level: Level { on_hand, ..Level::default() },
        incoming: 0,
        in_transfer: 0,
    };
    Ok(rows.into_iter().map(kits).collect())
}

fn columns(keys: &[StockKey]) -> (Vec<i64>, Vec<i32>) {
    keys.iter().map(|key| (key.item.0, key.location.0)).unzip()
}
