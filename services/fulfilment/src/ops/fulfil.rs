//! Orders whose goods are reserved become work for the warehouse, or, straight through, work that is done.
//!
//! A batch of any size costs a constant number of statements: numbers, fulfilment orders, lines, parcels.

use crate::convert;
use crate::error::Error;
use crate::fulfilment_order::{Allocation, Cause, ConfirmedOrder, FulfilmentOrder, create};
use crate::id::OrderId;
use crate::store;
use pesan_feed::{Event, NewEvent};
use sqlx::PgConnection;
use std::collections::HashSet;

/// An order's event that allocates.
pub struct Asked<'a> {
    pub event: &'a Event,
    pub order_id: OrderId,
    pub allocations: Vec<Allocation>,
}

/// Makes fulfilment orders of what a batch of events allocates. `confirmed` are the orders that the batch confirms; what the
/// others said when they were confirmed is read. The facts of it, for the caller to publish.
pub async fn fulfil(
    conn: &mut PgConnection,
    confirmed: &[ConfirmedOrder],
    asked: Vec<Asked<'_>>,
) -> Result<Vec<NewEvent>, Error> {
    store::followed_order::insert_confirmed(conn, confirmed).await?;
    let here: HashSet<OrderId> = confirmed.iter().map(|order| order.order_id).collect();
    let earlier: Vec<OrderId> = asked.iter().map(|asked| asked.order_id).filter(|id| !here.contains(id)).collect();
    let mut known = store::followed_order::confirmed(conn, &earlier).await?;
    known.extend(confirmed.iter().map(|order| (order.order_id, order.clone())));

    let places: usize = asked.iter().map(|asked| locations(&asked.allocations)).sum();
    let mut numbers = store::fulfilment_order::next_numbers(conn, places as i64).await?.into_iter();
    let mut orders = Vec::with_capacity(places);
    let mut facts = Vec::with_capacity(places * 3);
    for Asked { event, order_id, allocations } in asked {
        let confirmed = known
            .get(&order_id)
            .ok_or_else(|| Error::Broken(format!("order {} allocates before it is confirmed", order_id.0)))?;
        let cause = Cause { order_version: event.version, effective_at: event.effective_at };
        let created = create(confirmed, cause, allocations, || numbers.next())
            .ok_or_else(|| Error::Broken("too few numbers were drawn".to_owned()))?;
        created.iter().for_each(|order| tell(event, order, &mut facts));
        orders.extend(created);
    }
    store::fulfilment_order::insert(conn, &orders).await?;
    Ok(facts)
}

fn locations(allocations: &[Allocation]) -> usize {
    allocations.iter().map(|allocation| allocation.location_id).collect::<HashSet<_>>().len()
}

/// The facts of a fulfilment order that is new, and of one that went straight through.
fn tell(event: &Event, order: &FulfilmentOrder, facts: &mut Vec<NewEvent>) {
    facts.push(event.follow_up(order.id.0, 1, &convert::created(order)));
    if order.shipped_at.is_some() {
        facts.push(event.follow_up(order.id.0, 2, &convert::goods_issued(order)));
        facts.push(event.follow_up(order.id.0, 3, &convert::delivered(order)));
    }
}
