//! Reading orders as clients see them.

use crate::delivery::Dates;
use crate::error::Error;
use crate::order::{AgreedPrice, Order, OrderLine};
use crate::store::{address, currency, delivery, hold, line, order, stored_enum};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

fn order(row: &PgRow) -> Result<Order, Error> {
    Ok(Order {
        head: order::head(row)?,
        number: row.try_get(18)?,
        channel: row.try_get(19)?,
        external_id: row.try_get::<Option<String>, _>(20)?.unwrap_or_default(),
        customer_id: row.try_get(21)?,
        customer_external_id: row.try_get::<Option<String>, _>(22)?.unwrap_or_default(),
        currency: currency(row.try_get(23)?)?,
        ship_to: address(row.try_get(24)?)?,
        payment_method: stored_enum(row.try_get(25)?)?,
        reservation_policy: stored_enum(row.try_get(26)?)?,
        priority: row.try_get::<i16, _>(27)?.into(),
        sales_rep: row.try_get(28)?,
        recorded_at: row.try_get(29)?,
        gross: row.try_get(30)?,
        discount: row.try_get(31)?,
        tax: row.try_get(32)?,
        order_discount: row.try_get(33)?,
        preferred_location_id: row.try_get(34)?,
        tags: row.try_get(36)?,
        route: row.try_get(37)?,
        lines: Vec::new(),
        holds: Vec::new(),
        rejections: Vec::new(),
        not_before: row.try_get("not_before")?,
        delivery_block: row.try_get("delivery_block")?,
        requested: Dates {
            ship_at: row.try_get("requested_ship_at")?,
            deliver_at: row.try_get("requested_delivery_at")?,
        },
        promised: Dates { ship_at: row.try_get("promised_ship_at")?, deliver_at: row.try_get("promised_delivery_at")? },
        split_from: row.try_get("split_from")?,
        return_id: row.try_get("return_id")?,
        goodwill: row.try_get("goodwill")?,
    })
}

/// Orders by their ids; those that are not there are left out. With lines only where `full`.
pub async fn orders(conn: &mut PgConnection, ids: &[Uuid], full: bool) -> Result<HashMap<Uuid, Order>, Error> {
    let rows = sqlx::query(
        "select o.order_id, o.placed_at, o.traceparent, o.fulfilment_policy, o.version, o.inventory_version,
                o.confirmed_at, o.rejected, o.holds, o.ordered, o.reserved, o.backordered, o.cancelled, o.shipped,
                o.delivered, o.returned, o.invoiced, o.refunded,
                o.number, o.channel, o.external_id, o.customer_id, c.external_id, o.currency, o.ship_to,
                o.payment_method, o.reservation_policy, o.priority, o.sales_rep, o.recorded_at, o.gross, o.discount,
                o.tax, o.order_discount, o.preferred_location_id, o.has_agreed_prices, o.tags,
                o.route, o.amendments, o.not_before, o.split_from, o.shipped_at, o.delivered_at, o.return_id, o.goodwill,
                o.ship_complete, o.delivery_block, o.withheld, o.requested_ship_at, o.requested_delivery_at,
                o.promised_ship_at, o.promised_delivery_at, o.has_line_dates
           from orders o left join customer c using (customer_id)
          where o.order_id = any($1)",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    let mut found = HashMap::with_capacity(rows.len());
    let (mut with_agreed_prices, mut with_line_dates) = (Vec::new(), Vec::new());
    for row in rows {
        let order = order(&row)?;
        if row.try_get(35)? {
            with_agreed_prices.push(order.head.order_id);
        }
        if row.try_get("has_line_dates")? {
            with_line_dates.push(order.head.order_id);
        }
        found.insert(order.head.order_id, order);
    }
    let of = |wanted: fn(&Order) -> bool| -> Vec<Uuid> {
        found.values().filter(|order| wanted(order)).map(|order| order.head.order_id).collect()
    };
    let (held, rejected) = (of(|order| order.head.standing.holds > 0), of(|order| order.head.standing.rejected));
    let holds = if held.is_empty() { HashMap::new() } else { hold::of_orders(&mut *conn, &held).await? };
    let rejections =
        if rejected.is_empty() { HashMap::new() } else { hold::rejections_of(&mut *conn, &rejected).await? };
    for (id, holds) in holds {
        found.entry(id).and_modify(|order| order.holds = holds);
    }
    for (id, rejections) in rejections {
        found.entry(id).and_modify(|order| order.rejections = rejections);
    }
    if full {
        let mut agreed = if with_agreed_prices.is_empty() {
            HashMap::new()
        } else {
            agreed_prices(&mut *conn, &with_agreed_prices).await?
        };
        let mut dates = if with_line_dates.is_empty() {
            HashMap::new()
        } else {
            delivery::line_dates(&mut *conn, &with_line_dates).await?
        };
        let rows = sqlx::query(
            "select order_id, line_no, ordered, reserved, backordered, cancelled, shipped, delivered, returned, invoiced,
                    refunded, stocked, alloc_location, alloc_reserved, alloc_shipped, sku, description, unit_price,
                    line_total, discount, tax
               from order_line
              where order_id = any($1)
              order by order_id, line_no",
        )
        .bind(ids)
        .fetch_all(conn)
        .await?;
        for row in rows {
            let order_id = row.try_get(0)?;
            let line = line::line(&row, 1)?;
            let (requested, promised) = dates.remove(&(order_id, line.line_no)).unwrap_or_default();
            let line = OrderLine {
                requested,
                promised,
                agreed: agreed.remove(&(order_id, line.line_no)).unwrap_or_default(),
                line,
                sku: row.try_get(15)?,
                description: row.try_get(16)?,
                unit_price: row.try_get(17)?,
                line_total: row.try_get(18)?,
                discount: row.try_get(19)?,
                tax: row.try_get(20)?,
            };
            found.entry(order_id).and_modify(|order| order.lines.push(line));
        }
    }
    Ok(found)
}

/// How the prices of lines came about, where there is more to tell than the price.
async fn agreed_prices(
    conn: &mut PgConnection,
    order_ids: &[Uuid],
) -> Result<HashMap<(Uuid, i32), AgreedPrice>, Error> {
    let rows = sqlx::query(
        "select order_id, line_no, price_list, list_price, order_discount from agreed_price where order_id = any($1)",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    let agreed = rows.iter().map(|row| {
        let price =
            AgreedPrice { price_list: row.try_get(2)?, list_price: row.try_get(3)?, order_discount: row.try_get(4)? };
        Ok(((row.try_get(0)?, row.try_get(1)?), price))
    });
    agreed.collect()
}
