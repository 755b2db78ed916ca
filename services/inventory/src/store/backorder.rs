use super::kit::KitVersion;
use crate::backorder::InQueue;
use crate::item::ItemId;
use sqlx::{PgConnection, Row as _};
use std::collections::HashSet;
use time::OffsetDateTime;
use uuid::Uuid;

/// A quantity of one item that waits, of orders of one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    pub item: ItemId,
    /// Of a kit: the composition that was promised.
    pub kit_version: Option<i64>,
    pub channel: Option<String>,
    /// False: they are passed over now, for they are only served together with what is not there.
    pub in_turn: bool,
    pub quantity: i64,
}

/// Item, composition, channel, in turn, quantity.
type QueuedRow = (i64, Option<i64>, Option<String>, bool, i64);

/// How much of some items waits, and of all kits: they may hold the items; without what some orders wait for. Read it
/// after the stock is locked: whoever joins the queue does so under that lock.
pub async fn waiting(
    conn: &mut PgConnection,
    items: &[ItemId],
    now: OffsetDateTime,
    without: &[Uuid],
) -> sqlx::Result<Vec<Queued>> {
    let rows: Vec<QueuedRow> = sqlx::query_as(
        "with queue as (
             select order_id, item, kit_version, backordered, ship_complete, promised_at from reservation_part
              where backordered > 0 and item = any($1) and kit_version is null
             union all
             select order_id, item, kit_version, backordered, ship_complete, promised_at from reservation_part
              where backordered > 0 and kit_version is not null
         ), turns as (
             select order_id, item, kit_version, backordered,
                    not ship_complete or coalesce(promised_at <= $2, false) or could_be_completed(order_id) as in_turn
               from queue where order_id <> all($3)
         )
         select q.item, q.kit_version, r.channel, q.in_turn, sum(q.backordered)::int8
           from turns q join reservation r using (order_id)
          group by q.item, q.kit_version, r.channel, q.in_turn
          order by q.item, q.kit_version, r.channel, q.in_turn",
    )
    .bind(ids(items))
    .bind(now)
    .bind(without)
    .fetch_all(conn)
    .await?;
    let queued = |(item, kit_version, channel, in_turn, quantity)| Queued {
        item: ItemId(item),
        kit_version,
        channel,
        in_turn,
        quantity,
    };
    Ok(rows.into_iter().map(queued).collect())
}

/// Kits that wait and could be completed now, each with the orders at the head of its queue: at most 200 of a kit. Those
/// in `passed` are left out.
pub async fn fillable_kits(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    passed: &HashSet<(ItemId, Uuid)>,
) -> sqlx::Result<Vec<(KitVersion, Uuid)>> {
    let (passed_items, passed_orders) = columns(passed);
    let rows: Vec<(i64, i64, Uuid)> = sqlx::query_as(
        "select w.item, w.kit_version, head.order_id
           from (select distinct item, kit_version from reservation_part
                  where backordered > 0 and kit_version is not null) w
          cross join lateral (
                select sum(at.kits)::int8 as free
                  from (select min(coalesce(greatest(s.on_hand - s.reserved - s.safety, 0), 0) / c.quantity) as kits
                          from kit_component c cross join location l
                          left join stock s on s.item = c.component and s.location = l.id
                         where c.kit = w.item and c.version = w.kit_version
                         group by l.id) at) free
          cross join lateral (select p.order_id from reservation_part p
                               where p.backordered > 0 and p.item = w.item and p.kit_version = w.kit_version
                                 and (not p.ship_complete or p.promised_at <= $1 or could_be_completed(p.order_id))
                                 and (p.item, p.order_id) not in (select * from unnest($2::int8[], $3::uuid[]))
                               order by p.item, p.priority, p.promised_at, p.placed_at, p.order_id, p.line_no
                               limit least(free.free, 200)) head
          where free.free > 0
          limit 5000",
    )
    .bind(now)
    .bind(passed_items)
    .bind(passed_orders)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(item, version, order)| ((ItemId(item), version), order)).collect())
}

/// Orders at the head of the queues of items that have free stock: at most 200 of an item, about 5,000 in all. Those in
/// `passed` are left out, and those that are only served together with what is not there.
pub async fn fillable(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    passed: &HashSet<(ItemId, Uuid)>,
) -> sqlx::Result<Vec<(ItemId, Uuid)>> {
    let (passed_items, passed_orders) = columns(passed);
    // One look at the index for each item that is waited for, however long its queue is.
    let rows: Vec<(i64, Uuid)> = sqlx::query_as(
        "with recursive queue (item) as (
             (select item from reservation_part where backordered > 0 order by item limit 1)
             union all
             select (select p.item from reservation_part p
                      where p.backordered > 0 and p.item > queue.item order by p.item limit 1)
               from queue where queue.item is not null
         )
         select queue.item, head.order_id
           from queue
          cross join lateral (select sum(greatest(on_hand - reserved - safety, 0))::int8 as free
                                from stock where stock.item = queue.item) s
          cross join lateral (select p.order_id from reservation_part p
                               where p.backordered > 0 and p.item = queue.item and p.kit_version is null
                                 and (not p.ship_complete or p.promised_at <= $1 or could_be_completed(p.order_id))
                                 and (p.item, p.order_id) not in (select * from unnest($2::int8[], $3::uuid[]))
                               order by p.item, p.priority, p.promised_at, p.placed_at, p.order_id, p.line_no
                               limit least(s.free, 200)) head
          where queue.item is not null and s.free > 0
          limit 5000",
    )
    .bind(now)
    .bind(passed_items)
    .bind(passed_orders)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(item, order)| (ItemId(item), order)).collect())
}

/// Everything that some orders wait for: order, item, and of a kit its composition; a row for each line.
pub async fn lines_of(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<Vec<(Uuid, ItemId, Option<i64>)>> {
    let rows: Vec<(Uuid, i64, Option<i64>)> = sqlx::query_as(
        "select order_id, item, kit_version from reservation_part where order_id = any($1) and backordered > 0",
    )
    .bind(orders)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(order, item, version)| (order, ItemId(item), version)).collect())
}

/// A place in the backorder queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub item: ItemId,
    pub order_id: Uuid,
    pub line_no: i32,
    pub quantity: i64,
}

/// The heads of the queues of some items, in the order in which they are served, whatever item it is: at most 200 of
/// each; the same are left out as in [`fillable`].
pub async fn queue_heads(
    conn: &mut PgConnection,
    items: &[ItemId],
    now: OffsetDateTime,
    passed: &HashSet<(ItemId, Uuid)>,
) -> sqlx::Result<Vec<Waiting>> {
    let (passed_items, passed_orders) = columns(passed);
    let rows: Vec<(i64, Uuid, i32, i64)> = sqlx::query_as(
        "select head.item, head.order_id, head.line_no, head.backordered
           from unnest($1::int8[]) wanted (item)
          cross join lateral (select p.item, p.order_id, p.line_no, p.backordered, p.priority, p.promised_at, p.placed_at
                                from reservation_part p
                               where p.backordered > 0 and p.item = wanted.item
                                 and (not p.ship_complete or p.promised_at <= $2 or could_be_completed(p.order_id))
                                 and (p.item, p.order_id) not in (select * from unnest($3::int8[], $4::uuid[]))
                               order by p.item, p.priority, p.promised_at, p.placed_at, p.order_id, p.line_no
                               limit 200) head
          order by head.priority, head.promised_at, head.placed_at, head.order_id, head.line_no",
    )
    .bind(ids(items))
    .bind(now)
    .bind(passed_items)
    .bind(passed_orders)
    .fetch_all(conn)
    .await?;
    let place = |(item, order_id, line_no, quantity)| Waiting { item: ItemId(item), order_id, line_no, quantity };
    Ok(rows.into_iter().map(place).collect())
}

/// Moves an order's lines to another place in the queues; whatever it is short of later waits there too.
pub async fn move_order(
    conn: &mut PgConnection,
    order_id: Uuid,
    priority: i16,
    promised_at: Option<OffsetDateTime>,
) -> sqlx::Result<()> {
    sqlx::query("update reservation_part set priority = $2, promised_at = $3 where order_id = $1")
        .bind(order_id)
        .bind(priority)
        .bind(promised_at)
        .execute(conn)
        .await?;
    Ok(())
}

/// Which part of the queues is shown.
#[derive(Clone, Debug, Default)]
pub struct Which {
    pub sku: Option<String>,
    /// Only of items that are on their way to this location.
    pub location_id: Option<Uuid>,
    pub order_id: Option<Uuid>,
}

/// A place in all queues together: by sku, then in the order in which they are served.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub sku: String,
    pub priority: i16,
    pub promised_at: Option<OffsetDateTime>,
    pub placed_at: OffsetDateTime,
    pub order_id: Uuid,
    pub line_no: i32,
}

/// Who waits, after a place.
pub async fn page(
    conn: &mut PgConnection,
    which: &Which,
    after: Option<&Place>,
    size: i64,
) -> sqlx::Result<Vec<InQueue>> {
    // Positions are counted over the whole queue of an item: only those of the items that the page can show are read.
    let rows = sqlx::query(
        "with items as (
             select i.id, i.sku from item i
              where ($1::text is null or i.sku = $1) and ($4::text is null or i.sku >= $4)
                and exists (select 1 from reservation_part p
                             where p.item = i.id and p.backordered > 0 and ($3::uuid is null or p.order_id = $3))
                and ($2::uuid is null or exists (
                        select 1 from supply s join location l on l.id = s.location
                         where l.location_id = $2 and s.quantity > 0
                           and (s.item = i.id or s.item in (select c.component from kit_component c
                                                             where c.kit = i.id and c.version = i.kit_version))))
              order by i.sku
              limit $10 + 1
         ), queue as (
             select i.sku, p.item, p.kit_version, p.order_id, p.line_no, p.backordered, p.priority, p.promised_at,
                    p.placed_at, p.ship_complete, row_number() over line as position,
                    (sum(p.backordered) over line)::int8 as quantity_up_to
               from items i join reservation_part p on p.item = i.id
              where p.backordered > 0
             window line as (partition by p.item
                                 order by p.priority, p.promised_at, p.placed_at, p.order_id, p.line_no
                                 rows between unbounded preceding and current row)
         )
         select q.sku, q.item, q.kit_version, q.order_id, q.line_no, q.backordered, q.priority, q.promised_at,
                q.placed_at, q.ship_complete, q.position, q.quantity_up_to, r.confirmed
           from queue q join reservation r using (order_id)
          where ($3::uuid is null or q.order_id = $3)
            and ($4::text is null
                 or (q.sku, q.priority, coalesce(q.promised_at, 'infinity'), q.placed_at, q.order_id, q.line_no)
                  > ($4, $5::int2, coalesce($6::timestamptz, 'infinity'), $7::timestamptz, $8::uuid, $9::int4))
          order by q.sku, q.priority, q.promised_at, q.placed_at, q.order_id, q.line_no
          limit $10",
    )
    .bind(which.sku.as_deref())
    .bind(which.location_id)
    .bind(which.order_id)
    .bind(after.map(|place| place.sku.as_str()))
    .bind(after.map(|place| place.priority))
    .bind(after.and_then(|place| place.promised_at))
    .bind(after.map(|place| place.placed_at))
    .bind(after.map(|place| place.order_id))
    .bind(after.map(|place| place.line_no))
    .bind(size)
    .fetch_all(conn)
    .await?;
    let mut shown = Vec::with_capacity(rows.len());
    for row in rows {
        shown.push(InQueue {
            sku: row.try_get(0)?,
            item: ItemId(row.try_get(1)?),
            kit_version: row.try_get(2)?,
            order_id: row.try_get(3)?,
            line_no: row.try_get(4)?,
            quantity: row.try_get(5)?,
            priority: row.try_get(6)?,
            promised_at: row.try_get(7)?,
            placed_at: row.try_get(8)?,
            ship_complete: row.try_get(9)?,
            position: row.try_get(10)?,
            quantity_up_to: row.try_get(11)?,
            confirmed: row.try_get(12)?,
        });
    }
    Ok(shown)
}

fn ids(items: &[ItemId]) -> Vec<i64> {
    items.iter().map(|item| item.0).collect()
}

fn columns(passed: &HashSet<(ItemId, Uuid)>) -> (Vec<i64>, Vec<Uuid>) {
    passed.iter().map(|(item, order)| (item.0, *order)).unzip()
}
