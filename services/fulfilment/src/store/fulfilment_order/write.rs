//! Writes: a constant number of statements for any number of fulfilment orders.

use crate::error::Error;
use crate::fulfilment_order::{FulfilmentOrder, Line};
use sqlx::PgConnection;
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
