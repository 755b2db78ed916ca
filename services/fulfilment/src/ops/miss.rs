//! A count did not find what orders have reserved: nobody needs to look for it any more. What is picked was there.

use crate::convert;
use crate::error::Error;
use crate::fulfilment_order::{self, FulfilmentOrder, Wanted};
use crate::id::OrderId;
use crate::store;
use pesan_feed::{Event, NewEvent};
use sqlx::PgConnection;

/// An order's event that tells what is missing of it.
pub struct Missing<'a> {
    pub event: &'a Event,
    pub order_id: OrderId,
    pub quantities: Wanted,
}

/// Takes what is missing off what is still to be picked. The facts of it, for the caller to publish.
pub async fn miss(conn: &mut PgConnection, missing: Vec<Missing<'_>>) -> Result<Vec<NewEvent>, Error> {
    let mut facts = Vec::new();
    for Missing { event, order_id, quantities } in missing {
        let open = store::fulfilment_order::open_of_order(conn, order_id).await?;
        let mut orders = store::fulfilment_order::load(conn, &open).await?;
        // What was handed over later is known to be there.
        orders.retain(|order| order.order_version < event.version);
        let taken = fulfilment_order::miss(&mut orders, &quantities);
        let mut changed: Vec<FulfilmentOrder> = Vec::with_capacity(taken.len());
        let before: Vec<i64> = taken.keys().map(|place| orders[*place].version).collect();
        for (place, short) in taken {
            let mut order = orders[place].clone();
            let fact = convert::short_picked(&order, short);
            order.version += 1;
            facts.push(event.follow_up(order.id.0, order.version, &fact));
            changed.push(order);
        }
        if !changed.is_empty() {
            store::fulfilment_order::update_lines(conn, &changed).await?;
            store::fulfilment_order::update(conn, &changed, &before).await?;
        }
    }
    Ok(facts)
}
