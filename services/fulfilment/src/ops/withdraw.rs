//! The order service asks for quantities back, because the order cancels them.

use super::change::Facts;
use super::{Ops, claim};
use crate::convert::{self, Withdraw};
use crate::error::Error;
use crate::fulfilment_order;
use crate::store;
use pesan_grpc::idempotency;

/// Withdraws all that is asked for, if none of it is picked yet, or nothing.
pub async fn withdraw(ops: &Ops, command: Withdraw) -> Result<(), Error> {
    let mut tx = pesan_feed::begin(&ops.pool, [command.order_id.0]).await?;
    if claim(&mut tx, &command.claim).await?.is_some() {
        return Ok(());
    }
    // What the order allocated and this service has not read yet could neither be found nor be refused.
    let followed = store::followed_order::version(&mut tx, command.order_id).await?;
    if followed < command.order_version {
        return Err(Error::NotFollowedYet { followed, wanted: command.order_version });
    }
    let open = store::fulfilment_order::open_of_order(&mut tx, command.order_id).await?;
    let mut orders = store::fulfilment_order::load(&mut tx, &open).await?;
    let taken = fulfilment_order::withdraw(&mut orders, &command.wanted)?;
    let now = ops.clock.now();
    let mut facts = Facts::default();
    let mut changed = Vec::with_capacity(taken.len());
    let mut before = Vec::with_capacity(taken.len());
    for (place, moved) in taken {
        let mut order = orders[place].clone();
        before.push(order.version);
        let fact = convert::lines_withdrawn(&order, moved);
        facts.add(&mut order, &fact, now);
        changed.push(order);
    }
    store::fulfilment_order::update_lines(&mut tx, &changed).await?;
    store::fulfilment_order::update(&mut tx, &changed, &before).await?;
    pesan_feed::append(&mut tx, &facts.0).await?;
    idempotency::answer(&mut tx, &[(command.claim.request_id, Vec::new())]).await?;
    tx.commit().await?;
    ops.feed.wake();
    Ok(())
}
