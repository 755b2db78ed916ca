//! The changing part of order lines.

use crate::error::Error;
use crate::line::{Allocation, Line};
use crate::quantities::Quantities;
use crate::store::column;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// A line from 14 columns of a row, from `at` on: line_no, the nine quantities, stocked, the allocations.
pub(super) fn line(row: &PgRow, at: usize) -> Result<Line, Error> {
    let quantity = |i: usize| row.try_get::<i32, _>(at + i).map(i64::from);
    let locations: Vec<Uuid> = row.try_get(at + 11)?;
    let reserved: Vec<i32> = row.try_get(at + 12)?;
    let shipped: Vec<i32> = row.try_get(at + 13)?;
    Ok(Line {
        line_no: row.try_get(at)?,
        quantities: Quantities {
            ordered: quantity(1)?,
            reserved: quantity(2)?,
            backordered: quantity(3)?,
            cancelled: quantity(4)?,
            shipped: quantity(5)?,
            delivered: quantity(6)?,
            returned: quantity(7)?,
            invoiced: quantity(8)?,
            refunded: quantity(9)?,
        },
        stocked: row.try_get(at + 10)?,
        allocations: locations
            .into_iter()
            .zip(reserved)
            .zip(shipped)
            .map(|((location, reserved), shipped)| Allocation {
                location,
                reserved: reserved.into(),
                shipped: shipped.into(),
            })
            .collect(),
    })
}

/// The lines named by (order, line number); those that are not there are left out.
pub async fn load(conn: &mut PgConnection, keys: &[(Uuid, i32)]) -> Result<HashMap<(Uuid, i32), Line>, Error> {
    let (order_ids, line_nos): (Vec<Uuid>, Vec<i32>) = keys.iter().copied().unzip();
    let rows = sqlx::query(
        "select l.order_id, l.line_no, l.ordered, l.reserved, l.backordered, l.cancelled, l.shipped, l.delivered,
                l.returned, l.invoiced, l.refunded, l.stocked, l.alloc_location, l.alloc_reserved, l.alloc_shipped
           from unnest($1::uuid[], $2::int4[]) as k (order_id, line_no)
           join order_line l on l.order_id = k.order_id and l.line_no = k.line_no",
    )
    .bind(order_ids)
    .bind(line_nos)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| line(row, 1).and_then(|line| Ok(((row.try_get(0)?, line.line_no), line)))).collect()
}

/// All lines of one order, by number.
pub async fn of_order(conn: &mut PgConnection, order_id: Uuid) -> Result<Vec<Line>, Error> {
    let rows = sqlx::query(
        "select line_no, ordered, reserved, backordered, cancelled, shipped, delivered, returned, invoiced, refunded,
                stocked, alloc_location, alloc_reserved, alloc_shipped
           from order_line
          where order_id = $1
          order by line_no",
    )
    .bind(order_id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| line(row, 0)).collect()
}

/// The skus of lines named by (order, line number).
pub async fn skus_of(conn: &mut PgConnection, keys: &[(Uuid, i32)]) -> Result<HashMap<(Uuid, i32), String>, Error> {
    let (order_ids, line_nos): (Vec<Uuid>, Vec<i32>) = keys.iter().copied().unzip();
    let rows: Vec<(Uuid, i32, String)> = sqlx::query_as(
        "select l.order_id, l.line_no, l.sku
           from unnest($1::uuid[], $2::int4[]) as k (order_id, line_no)
           join order_line l on l.order_id = k.order_id and l.line_no = k.line_no",
    )
    .bind(order_ids)
    .bind(line_nos)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(order_id, line_no, sku)| ((order_id, line_no), sku)).collect())
}

/// Writes lines back.
pub async fn write(conn: &mut PgConnection, lines: &[(Uuid, &Line)]) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let quantities = |f: fn(&Quantities) -> i64| {
        lines.iter().map(|(_, line)| column(f(&line.quantities))).collect::<Result<Vec<i32>, Error>>()
    };
    // An array for each line cannot be given; one for all, and where each line's part of it begins and ends, can.
    let (mut locations, mut reserved, mut shipped) = (Vec::new(), Vec::new(), Vec::new());
    let (mut firsts, mut lasts) = (Vec::with_capacity(lines.len()), Vec::with_capacity(lines.len()));
    for (_, line) in lines {
        firsts.push(column(locations.len() as i64 + 1)?);
        for allocation in &line.allocations {
            locations.push(allocation.location);
            reserved.push(column(allocation.reserved)?);
            shipped.push(column(allocation.shipped)?);
        }
        lasts.push(column(locations.len() as i64)?);
    }
    let done = sqlx::query(
        "update order_line l
            set reserved = n.reserved, backordered = n.backordered, cancelled = n.cancelled, shipped = n.shipped,
                delivered = n.delivered, returned = n.returned, invoiced = n.invoiced, refunded = n.refunded,
                stocked = n.stocked,
                alloc_location = ($14::uuid[])[n.first:n.last],
                alloc_reserved = ($15::int4[])[n.first:n.last],
                alloc_shipped = ($16::int4[])[n.first:n.last]
           from unnest($1::uuid[], $2::int4[], $3::int4[], $4::int4[], $5::int4[], $6::int4[], $7::int4[], $8::int4[],
                       $9::int4[], $10::int4[], $11::bool[], $12::int4[], $13::int4[])
                as n (order_id, line_no, reserved, backordered, cancelled, shipped, delivered, returned, invoiced,
                      refunded, stocked, first, last)
          where l.order_id = n.order_id and l.line_no = n.line_no",
    )
    .bind(lines.iter().map(|(order_id, _)| *order_id).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.line_no).collect::<Vec<_>>())
    .bind(quantities(|q| q.reserved)?)
    .bind(quantities(|q| q.backordered)?)
    .bind(quantities(|q| q.cancelled)?)
    .bind(quantities(|q| q.shipped)?)
    .bind(quantities(|q| q.delivered)?)
    .bind(quantities(|q| q.returned)?)
    .bind(quantities(|q| q.invoiced)?)
    .bind(quantities(|q| q.refunded)?)
    .bind(lines.iter().map(|(_, line)| line.stocked).collect::<Vec<_>>())
    .bind(firsts)
    .bind(lasts)
    .bind(locations)
    .bind(reserved)
    .bind(shipped)
    .execute(conn)
    .await?;
    if done.rows_affected() == lines.len() as u64 {
        Ok(())
    } else {
        Err(Error::Broken("lines that were to be written"))
    }
}
