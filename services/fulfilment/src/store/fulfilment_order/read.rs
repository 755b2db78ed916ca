//! Reads: by name, by order, by page; with everything of them in three statements.

use crate::fulfilment_order::{Address, FulfilmentOrder, Line, Parcel, State};
use crate::id::{FulfilmentOrderId, LocationId, OrderId};
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

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
