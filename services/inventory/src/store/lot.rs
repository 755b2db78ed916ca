use crate::item::ItemId;
use crate::location::LocationId;
use crate::lot::{Bucket, LotChange, Lots, StoredLot};
use crate::stock::{Buckets, Movement, StockKey};
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// Reads lots at locations whose rows of stock are locked: those named, wherever they are, and of each of `needs` (an
/// item at a location, a bucket, a quantity) as many as hold that quantity, in the order in which they are taken.
pub async fn read(
    conn: &mut PgConnection,
    today: Date,
    named: &[(ItemId, &str)],
    needs: &[(StockKey, Bucket, i64)],
) -> sqlx::Result<Lots> {
    if named.is_empty() && needs.is_empty() {
        return Ok(Lots::new(today, []));
    }
    // A lot that is there holds one at least: of so many lots no more than the quantity are needed.
    let rows = sqlx::query(
        "select l.item, l.location, l.code, l.expires_on, l.on_hand, l.damaged, l.quality_hold
           from stock_lot l where (l.item, l.code) in (select * from unnest($1::int8[], $2::text[]))
         union
         select l.item, l.location, l.code, l.expires_on, l.on_hand, l.damaged, l.quality_hold
           from unnest($3::int8[], $4::int4[], $5::int2[], $6::int8[]) need (item, location, bucket, quantity)
          cross join lateral (
                select * from stock_lot s
                 where s.item = need.item and s.location = need.location
                   and case need.bucket when 1 then s.on_hand when 2 then s.damaged else s.quality_hold end > 0
                 order by coalesce(s.expires_on < $7, false), s.expires_on nulls last, s.code
                 limit need.quantity) l",
    )
    .bind(named.iter().map(|(item, _)| item.0).collect::<Vec<_>>())
    .bind(named.iter().map(|(_, code)| *code).collect::<Vec<_>>())
    .bind(needs.iter().map(|(key, _, _)| key.item.0).collect::<Vec<_>>())
    .bind(needs.iter().map(|(key, _, _)| key.location.0).collect::<Vec<_>>())
    .bind(needs.iter().map(|(_, bucket, _)| bucket.code()).collect::<Vec<_>>())
    .bind(needs.iter().map(|(_, _, quantity)| *quantity).collect::<Vec<_>>())
    .bind(today)
    .fetch_all(conn)
    .await?;
    let stored: Vec<StoredLot> = rows
        .iter()
        .map(|row| {
            Ok(StoredLot {
                key: StockKey { item: ItemId(row.try_get(0)?), location: LocationId(row.try_get(1)?) },
                code: row.try_get(2)?,
                expires_on: row.try_get(3)?,
                there: Buckets { on_hand: row.try_get(4)?, damaged: row.try_get(5)?, quality_hold: row.try_get(6)? },
            })
        })
        .collect::<sqlx::Result<_>>()?;
    Ok(Lots::new(today, stored))
}

/// Writes the lots that changed, and what the movements changed of them.
pub async fn write(conn: &mut PgConnection, lots: &Lots, movements: &[Movement]) -> sqlx::Result<()> {
    let rows: Vec<_> = lots.changes().collect();
    if rows.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&Buckets) -> i64| rows.iter().map(|row| value(&row.4)).collect::<Vec<_>>();
    // A serial number that left one place and came to another: it must have left first.
    sqlx::query(
        "insert into stock_lot (item, location, code, serial, expires_on, on_hand, damaged, quality_hold)
         select * from unnest($1::int8[], $2::int4[], $3::text[], $4::bool[], $5::date[], $6::int8[], $7::int8[],
                              $8::int8[]) l (item, location, code, serial, expires_on, on_hand, damaged, quality_hold)
          order by on_hand + damaged + quality_hold
         on conflict (item, location, code) do update
            set serial = excluded.serial, expires_on = excluded.expires_on, on_hand = excluded.on_hand,
                damaged = excluded.damaged, quality_hold = excluded.quality_hold",
    )
    .bind(rows.iter().map(|(key, ..)| key.item.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|(key, ..)| key.location.0).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, code, ..)| *code).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, _, serial, ..)| *serial).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, _, _, expires_on, _)| *expires_on).collect::<Vec<_>>())
    .bind(column(|there| there.on_hand))
    .bind(column(|there| there.damaged))
    .bind(column(|there| there.quality_hold))
    .execute(&mut *conn)
    .await?;
    let moved: Vec<(&Movement, &LotChange)> =
        movements.iter().flat_map(|movement| movement.lots.iter().map(move |lot| (movement, lot))).collect();
    let column = |value: fn(&Buckets) -> i64| moved.iter().map(|(_, lot)| value(&lot.change)).collect::<Vec<_>>();
    sqlx::query(
        "insert into lot_movement (movement, item, location, code, quantity, damaged, quality_hold, kind, reference,
                                   order_id, effective_at)
         select movement, item, location, code, quantity, damaged, quality_hold, kind, reference, order_id, effective_at
           from unnest($1::uuid[], $2::int8[], $3::int4[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::int2[],
                       $9::text[], $10::uuid[], $11::timestamptz[]) with ordinality
                m (movement, item, location, code, quantity, damaged, quality_hold, kind, reference, order_id,
                   effective_at, n)
          order by n",
    )
    .bind(moved.iter().map(|(m, _)| m.id).collect::<Vec<_>>())
    .bind(moved.iter().map(|(m, _)| m.key.item.0).collect::<Vec<_>>())
    .bind(moved.iter().map(|(m, _)| m.key.location.0).collect::<Vec<_>>())
    .bind(moved.iter().map(|(_, lot)| lot.code.as_str()).collect::<Vec<_>>())
    .bind(column(|change| change.on_hand))
    .bind(column(|change| change.damaged))
    .bind(column(|change| change.quality_hold))
    .bind(moved.iter().map(|(m, _)| m.kind.code()).collect::<Vec<_>>())
    .bind(moved.iter().map(|(m, _)| m.reference.as_str()).collect::<Vec<_>>())
    .bind(moved.iter().map(|(m, _)| m.order_id).collect::<Vec<_>>())
    .bind(moved.iter().map(|(m, _)| m.effective_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// What orders still have of items' lots, by order and item: shipped and not sent back, latest shipped first.
pub async fn with_orders(
    conn: &mut PgConnection,
    orders: &[Uuid],
    items: &[ItemId],
) -> sqlx::Result<HashMap<(Uuid, ItemId), Vec<(String, i64)>>> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows: Vec<(Uuid, i64, String, i64)> = sqlx::query_as(
        "select order_id, item, code, -sum(quantity + damaged)::int8
           from lot_movement
          where order_id = any($1) and item = any($2) and kind in (3, 4)
          group by order_id, item, code
         having sum(quantity + damaged) < 0
          order by max(seq) desc",
    )
    .bind(orders)
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<(Uuid, ItemId), Vec<(String, i64)>> = HashMap::new();
    for (order_id, item, code, quantity) in rows {
        found.entry((order_id, ItemId(item))).or_default().push((code, quantity));
    }
    Ok(found)
}

/// Items at locations with lots that expired before a day and stand in sale, beyond what is promised; at most 1,000.
pub async fn expired(conn: &mut PgConnection, today: Date) -> sqlx::Result<Vec<(StockKey, String)>> {
    let rows: Vec<(i64, i32, String)> = sqlx::query_as(
        "select l.item, l.location, l.code
           from stock_lot l join stock s on s.item = l.item and s.location = l.location
          where l.expires_on < $1 and l.on_hand > 0 and l.expires_on is not null and s.on_hand > s.reserved
          order by l.item, l.location, l.expires_on, l.code limit 1000",
    )
    .bind(today)
    .fetch_all(conn)
    .await?;
    let lot = |(item, location, code)| (StockKey { item: ItemId(item), location: LocationId(location) }, code);
    Ok(rows.into_iter().map(lot).collect())
}

/// A lot at a location with the names that others know.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedLot {
    pub sku: String,
    pub code: String,
    pub location_id: Uuid,
    pub expires_on: Option<Date>,
    pub there: Buckets,
}

/// Which lots are listed.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub sku: Option<String>,
    pub location_id: Option<Uuid>,
    /// Expire then or before, and can still be sold.
    pub expires_by: Option<Date>,
    pub code: Option<String>,
}

/// Lots after a sku, code and location, ascending; those that are empty are left out.
pub async fn page(
    conn: &mut PgConnection,
    after: Option<&(String, String, Uuid)>,
    filter: &Filter,
    size: i64,
) -> sqlx::Result<Vec<NamedLot>> {
    let rows = sqlx::query(
        "select i.sku, s.code, l.location_id, s.expires_on, s.on_hand, s.damaged, s.quality_hold
           from stock_lot s join item i on i.id = s.item join location l on l.id = s.location
          where s.on_hand + s.damaged + s.quality_hold > 0
            and ($1::text is null or (i.sku, s.code, l.location_id) > ($1, $2, $3))
            and ($4::text is null or i.sku = $4)
            and ($5::uuid is null or l.location_id = $5)
            and ($6::date is null or (s.expires_on <= $6 and s.on_hand > 0))
            and ($7::text is null or s.code = $7)
          order by i.sku, s.code, l.location_id
          limit $8",
    )
    .bind(after.map(|(sku, _, _)| sku.as_str()))
    .bind(after.map(|(_, code, _)| code.as_str()))
    .bind(after.map(|(_, _, location)| *location))
    .bind(filter.sku.as_deref())
    .bind(filter.location_id)
    .bind(filter.expires_by)
    .bind(filter.code.as_deref())
    .bind(size)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(NamedLot {
                sku: row.try_get(0)?,
                code: row.try_get(1)?,
                location_id: row.try_get(2)?,
                expires_on: row.try_get(3)?,
                there: Buckets { on_hand: row.try_get(4)?, damaged: row.try_get(5)?, quality_hold: row.try_get(6)? },
            })
        })
        .collect()
}

/// A movement's share of a lot, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedLotMovement {
    pub seq: i64,
    pub movement: Uuid,
    pub location_id: Uuid,
    pub kind: i16,
    pub change: Buckets,
    pub reference: String,
    pub order_id: Option<Uuid>,
    pub effective_at: OffsetDateTime,
}

/// Movements of a lot after one, oldest first.
pub async fn movements(
    conn: &mut PgConnection,
    item: ItemId,
    code: &str,
    after: i64,
    size: i64,
) -> sqlx::Result<Vec<NamedLotMovement>> {
    let rows = sqlx::query(
        "select m.seq, m.movement, l.location_id, m.kind, m.quantity, m.damaged, m.quality_hold, m.reference,
                m.order_id, m.effective_at
           from lot_movement m join location l on l.id = m.location
          where m.item = $1 and m.code = $2 and m.seq > $3
          order by m.seq limit $4",
    )
    .bind(item.0)
    .bind(code)
    .bind(after)
    .bind(size)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(NamedLotMovement {
                seq: row.try_get(0)?,
                movement: row.try_get(1)?,
                location_id: row.try_get(2)?,
                kind: row.try_get(3)?,
                change: Buckets { on_hand: row.try_get(4)?, damaged: row.try_get(5)?, quality_hold: row.try_get(6)? },
                reference: row.try_get(7)?,
                order_id: row.try_get(8)?,
                effective_at: row.try_get(9)?,
            })
        })
        .collect()
}

/// Order, shipped, returned, first shipped at.
pub type LotOrder = (Uuid, i64, i64, OffsetDateTime);

/// The orders after one that a lot was shipped to, ascending.
pub async fn orders(
    conn: &mut PgConnection,
    item: ItemId,
    code: &str,
    after: Uuid,
    size: i64,
) -> sqlx::Result<Vec<LotOrder>> {
    sqlx::query_as(
        "select order_id, -sum(quantity) filter (where kind = 3)::int8,
                coalesce(sum(quantity + damaged) filter (where kind = 4), 0)::int8,
                min(effective_at) filter (where kind = 3)
           from lot_movement
          where item = $1 and code = $2 and order_id > $3
          group by order_id
         having count(*) filter (where kind = 3) > 0
          order by order_id limit $4",
    )
    .bind(item.0)
    .bind(code)
    .bind(after)
    .bind(size)
    .fetch_all(conn)
    .await
}
