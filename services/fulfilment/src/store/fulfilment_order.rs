//! Fulfilment orders, their lines and parcels.

use crate::error::Error;
use crate::fulfilment_order::{Address, FulfilmentOrder, Line, Parcel, State};
use crate::id::{FulfilmentOrderId, LocationId, OrderId};
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// The next `count` numbers, ascending.
pub async fn next_numbers(conn: &mut PgConnection, count: i64) -> sqlx::Result<Vec<i64>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    sqlx::query_scalar("select nextval('fulfilment_order_number') from generate_series(1, $1)")
        .bind(count)
        .fetch_all(conn)
        .await
}

/// Writes new fulfilment orders in whatever state they are: three statements for any number of them.
pub async fn insert(conn: &mut PgConnection, orders: &[FulfilmentOrder]) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let columns = Columns::of(orders);
    let numbers: Vec<i64> = orders.iter().map(|o| o.number).collect();
    let order_ids: Vec<Uuid> = orders.iter().map(|o| o.order_id.0).collect();
    let locations: Vec<Uuid> = orders.iter().map(|o| o.location_id.0).collect();
    let causes: Vec<i64> = orders.iter().map(|o| o.order_version).collect();
    let created: Vec<OffsetDateTime> = orders.iter().map(|o| o.created_at).collect();
    sqlx::query(
        "insert into fulfilment_order (id, version, allocated, withdrawn, short, picked, shipped, picked_at, packed_at,
                                       shipped_at, delivered_at, number, order_id, location_id, order_version, created_at)
         select * from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
                              $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[],
                              $12::int8[], $13::uuid[], $14::uuid[], $15::int8[], $16::timestamptz[])",
    )
    .bind(&columns.ids)
    .bind(&columns.versions)
    .bind(&columns.allocated)
    .bind(&columns.withdrawn)
    .bind(&columns.short)
    .bind(&columns.picked)
    .bind(&columns.shipped)
    .bind(&columns.picked_at)
    .bind(&columns.packed_at)
    .bind(&columns.shipped_at)
    .bind(&columns.delivered_at)
    .bind(&numbers)
    .bind(&order_ids)
    .bind(&locations)
    .bind(&causes)
    .bind(&created)
    .execute(&mut *conn)
    .await?;

    let lines = LineColumns::of(orders);
    let every = || orders.iter().flat_map(|o| &o.lines);
    let skus: Vec<&str> = every().map(|line| line.sku.as_str()).collect();
    let stocked: Vec<bool> = every().map(|line| line.stocked).collect();
    let allocated: Vec<i64> = every().map(|line| line.allocated).collect();
    sqlx::query(
        "insert into fulfilment_line (fulfilment_order_id, line_no, withdrawn, short, picked, shipped, sku, stocked, allocated)
         select * from unnest($1::uuid[], $2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[],
                              $7::text[], $8::bool[], $9::int8[])",
    )
    .bind(&lines.orders)
    .bind(&lines.numbers)
    .bind(&lines.withdrawn)
    .bind(&lines.short)
    .bind(&lines.picked)
    .bind(&lines.shipped)
    .bind(&skus)
    .bind(&stocked)
    .bind(&allocated)
    .execute(&mut *conn)
    .await?;
    write_parcels(conn, orders).await
}

/// Writes how far fulfilment orders have come, each one version or more further than `before` says.
pub async fn update(conn: &mut PgConnection, orders: &[FulfilmentOrder], before: &[i64]) -> Result<(), Error> {
    let columns = Columns::of(orders);
    let updated = sqlx::query(
        "update fulfilment_order o
            set version = n.version, withdrawn = n.withdrawn, short = n.short, picked = n.picked, shipped = n.shipped,
                picked_at = n.picked_at, packed_at = n.packed_at, shipped_at = n.shipped_at, delivered_at = n.delivered_at
           from unnest($1::uuid[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::timestamptz[],
                       $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::int8[])
                as n (id, version, withdrawn, short, picked, shipped, picked_at, packed_at, shipped_at, delivered_at, before)
          where o.id = n.id and o.version = n.before",
    )
    .bind(&columns.ids)
    .bind(&columns.versions)
    .bind(&columns.withdrawn)
    .bind(&columns.short)
    .bind(&columns.picked)
    .bind(&columns.shipped)
    .bind(&columns.picked_at)
    .bind(&columns.packed_at)
    .bind(&columns.shipped_at)
    .bind(&columns.delivered_at)
    .bind(before)
    .execute(conn)
    .await?;
    if updated.rows_affected() == orders.len() as u64 {
        Ok(())
    } else {
        Err(Error::Broken("a fulfilment order changed while its order was locked".to_owned()))
    }
}

/// Writes the quantities of all lines of these fulfilment orders.
pub async fn update_lines(conn: &mut PgConnection, orders: &[FulfilmentOrder]) -> sqlx::Result<()> {
    let lines = LineColumns::of(orders);
    sqlx::query(
        "update fulfilment_line l
            set withdrawn = n.withdrawn, short = n.short, picked = n.picked, shipped = n.shipped
           from unnest($1::uuid[], $2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[])
                as n (fulfilment_order_id, line_no, withdrawn, short, picked, shipped)
          where l.fulfilment_order_id = n.fulfilment_order_id and l.line_no = n.line_no
            and (l.withdrawn, l.short, l.picked, l.shipped) is distinct from (n.withdrawn, n.short, n.picked, n.shipped)",
    )
    .bind(&lines.orders)
    .bind(&lines.numbers)
    .bind(&lines.withdrawn)
    .bind(&lines.short)
    .bind(&lines.picked)
    .bind(&lines.shipped)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the parcels of these fulfilment orders, new ones and what became known of old ones.
pub async fn write_parcels(conn: &mut PgConnection, orders: &[FulfilmentOrder]) -> sqlx::Result<()> {
    let every = || orders.iter().flat_map(|o| o.parcels.iter().map(|parcel| (o.id.0, parcel)));
    let ids: Vec<Uuid> = every().map(|(id, _)| id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let numbers: Vec<i32> = every().map(|(_, parcel)| parcel.parcel_no).collect();
    let weights: Vec<i64> = every().map(|(_, parcel)| parcel.weight_grams).collect();
    let carriers: Vec<Option<&str>> = every().map(|(_, parcel)| parcel.carrier.as_deref()).collect();
    let tracking: Vec<Option<&str>> = every().map(|(_, parcel)| parcel.tracking_number.as_deref()).collect();
    sqlx::query(
        "insert into parcel (fulfilment_order_id, parcel_no, weight_grams, carrier, tracking_number)
         select * from unnest($1::uuid[], $2::int4[], $3::int8[], $4::text[], $5::text[])
         on conflict (fulfilment_order_id, parcel_no)
         do update set carrier = excluded.carrier, tracking_number = excluded.tracking_number",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&weights)
    .bind(&carriers)
    .bind(&tracking)
    .execute(conn)
    .await?;
    Ok(())
}

/// The fulfilment order with this id and its order.
pub async fn find_by_id(
    conn: &mut PgConnection,
    id: FulfilmentOrderId,
) -> sqlx::Result<Option<(FulfilmentOrderId, OrderId)>> {
    let row: Option<(Uuid, Uuid)> = sqlx::query_as("select id, order_id from fulfilment_order where id = $1")
        .bind(id.0)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(id, order_id)| (FulfilmentOrderId(id), OrderId(order_id))))
}

/// The fulfilment order with this number and its order.
pub async fn find_by_number(
    conn: &mut PgConnection,
    number: i64,
) -> sqlx::Result<Option<(FulfilmentOrderId, OrderId)>> {
    let row: Option<(Uuid, Uuid)> = sqlx::query_as("select id, order_id from fulfilment_order where number = $1")
        .bind(number)
        .fetch_optional(conn)
        .await?;
    Ok(row.map(|(id, order_id)| (FulfilmentOrderId(id), OrderId(order_id))))
}

/// All fulfilment orders of an order that are open.
pub async fn open_of_order(conn: &mut PgConnection, order_id: OrderId) -> sqlx::Result<Vec<FulfilmentOrderId>> {
    let ids: Vec<Uuid> = sqlx::query_scalar("select id from fulfilment_order where order_id = $1 and state = $2")
        .bind(order_id.0)
        .bind(State::Open as i16)
        .fetch_all(conn)
        .await?;
    Ok(ids.into_iter().map(FulfilmentOrderId).collect())
}

/// A page of ids, oldest first.
pub async fn page(
    conn: &mut PgConnection,
    after: Option<FulfilmentOrderId>,
    order_id: Option<OrderId>,
    location_id: Option<LocationId>,
    states: &[State],
    limit: i64,
) -> sqlx::Result<Vec<FulfilmentOrderId>> {
    let mut query = QueryBuilder::new("select id from fulfilment_order where true");
    if let Some(after) = after {
        query.push(" and id > ").push_bind(after.0);
    }
    if let Some(order_id) = order_id {
        query.push(" and order_id = ").push_bind(order_id.0);
    }
    if let Some(location_id) = location_id {
        query.push(" and location_id = ").push_bind(location_id.0);
    }
    if !states.is_empty() {
        let numbers: Vec<i16> = states.iter().map(|state| *state as i16).collect();
        query.push(" and state = any(").push_bind(numbers).push(")");
        // Said in the index's own words, so that the work list is read and not history.
        if states.iter().all(|state| matches!(state, State::Open | State::Picked | State::Packed)) {
            query.push(" and state <= 3");
        }
    }
    query.push(" order by id limit ").push_bind(limit);
    let ids: Vec<Uuid> = query.build_query_scalar().fetch_all(conn).await?;
    Ok(ids.into_iter().map(FulfilmentOrderId).collect())
}

/// Fulfilment orders with everything of them, ascending by id.
pub async fn load(conn: &mut PgConnection, ids: &[FulfilmentOrderId]) -> sqlx::Result<Vec<FulfilmentOrder>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let mut lines = lines_of(conn, &ids).await?;
    let mut parcels = parcels_of(conn, &ids).await?;
    let rows = sqlx::query(
        "select f.id, f.number, f.order_id, c.order_number, c.ship_to, f.location_id, f.order_version, f.version,
                f.created_at, f.picked_at, f.packed_at, f.shipped_at, f.delivered_at
           from fulfilment_order f
           join confirmed_order c on c.order_id = f.order_id
          where f.id = any($1)
          order by f.id",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let mut orders = Vec::with_capacity(rows.len());
    for row in rows {
        let id: Uuid = row.try_get("id")?;
        orders.push(FulfilmentOrder {
            id: FulfilmentOrderId(id),
            number: row.try_get("number")?,
            order_id: OrderId(row.try_get("order_id")?),
            order_number: row.try_get("order_number")?,
            ship_to: row.try_get::<Option<Json<Address>>, _>("ship_to")?.map(|json| json.0),
            location_id: LocationId(row.try_get("location_id")?),
            order_version: row.try_get("order_version")?,
            version: row.try_get("version")?,
            created_at: row.try_get("created_at")?,
            picked_at: row.try_get("picked_at")?,
            packed_at: row.try_get("packed_at")?,
            shipped_at: row.try_get("shipped_at")?,
            delivered_at: row.try_get("delivered_at")?,
            lines: lines.remove(&id).unwrap_or_default(),
            parcels: parcels.remove(&id).unwrap_or_default(),
        });
    }
    Ok(orders)
}

async fn lines_of(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Vec<Line>>> {
    let rows = sqlx::query(
        "select fulfilment_order_id, line_no, sku, stocked, allocated, withdrawn, short, picked, shipped
           from fulfilment_line
          where fulfilment_order_id = any($1)
          order by fulfilment_order_id, line_no",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut lines: HashMap<Uuid, Vec<Line>> = HashMap::with_capacity(ids.len());
    for row in rows {
        lines.entry(row.try_get(0)?).or_default().push(Line {
            line_no: row.try_get(1)?,
            sku: row.try_get(2)?,
            stocked: row.try_get(3)?,
            allocated: row.try_get(4)?,
            withdrawn: row.try_get(5)?,
            short: row.try_get(6)?,
            picked: row.try_get(7)?,
            shipped: row.try_get(8)?,
        });
    }
    Ok(lines)
}

async fn parcels_of(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Vec<Parcel>>> {
    let rows = sqlx::query(
        "select fulfilment_order_id, parcel_no, weight_grams, carrier, tracking_number
           from parcel
          where fulfilment_order_id = any($1)
          order by fulfilment_order_id, parcel_no",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut parcels: HashMap<Uuid, Vec<Parcel>> = HashMap::with_capacity(ids.len());
    for row in rows {
        parcels.entry(row.try_get(0)?).or_default().push(Parcel {
            parcel_no: row.try_get(1)?,
            weight_grams: row.try_get(2)?,
            carrier: row.try_get(3)?,
            tracking_number: row.try_get(4)?,
        });
    }
    Ok(parcels)
}

/// What changes of fulfilment orders, by column.
struct Columns {
    ids: Vec<Uuid>,
    versions: Vec<i64>,
    allocated: Vec<i64>,
    withdrawn: Vec<i64>,
    short: Vec<i64>,
    picked: Vec<i64>,
    shipped: Vec<i64>,
    picked_at: Vec<Option<OffsetDateTime>>,
    packed_at: Vec<Option<OffsetDateTime>>,
    shipped_at: Vec<Option<OffsetDateTime>>,
    delivered_at: Vec<Option<OffsetDateTime>>,
}

impl Columns {
    fn of(orders: &[FulfilmentOrder]) -> Self {
        let sum = |of: fn(&Line) -> i64| orders.iter().map(|o| o.lines.iter().map(of).sum()).collect();
        Self {
            ids: orders.iter().map(|o| o.id.0).collect(),
            versions: orders.iter().map(|o| o.version).collect(),
            allocated: sum(|line| line.allocated),
            withdrawn: sum(|line| line.withdrawn),
            short: sum(|line| line.short),
            picked: sum(|line| line.picked),
            shipped: sum(|line| line.shipped),
            picked_at: orders.iter().map(|o| o.picked_at).collect(),
            packed_at: orders.iter().map(|o| o.packed_at).collect(),
            shipped_at: orders.iter().map(|o| o.shipped_at).collect(),
            delivered_at: orders.iter().map(|o| o.delivered_at).collect(),
        }
    }
}

/// What changes of lines, by column.
struct LineColumns {
    orders: Vec<Uuid>,
    numbers: Vec<i32>,
    withdrawn: Vec<i64>,
    short: Vec<i64>,
    picked: Vec<i64>,
    shipped: Vec<i64>,
}

impl LineColumns {
    fn of(orders: &[FulfilmentOrder]) -> Self {
        let every = || orders.iter().flat_map(|o| &o.lines);
        Self {
            orders: orders.iter().flat_map(|o| o.lines.iter().map(|_| o.id.0)).collect(),
            numbers: every().map(|line| line.line_no).collect(),
            withdrawn: every().map(|line| line.withdrawn).collect(),
            short: every().map(|line| line.short).collect(),
            picked: every().map(|line| line.picked).collect(),
            shipped: every().map(|line| line.shipped).collect(),
        }
    }
}
