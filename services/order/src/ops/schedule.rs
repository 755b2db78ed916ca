//! Blocking deliveries, and releasing them.

use crate::convert;
use crate::convert::schedule::ChangeBlock;
use crate::error::Error;
use crate::ops::handover::{self, offer};
use crate::ops::{Books, answer, claim, whole_order};
use crate::order::{Action, allows};
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use prost::{Message, Name};

/// Sets the block of an order's delivery, or lifts it, and answers with the order.
pub async fn change_block<Q: Message + Name>(books: &Books, command: &ChangeBlock<Q>) -> Result<pb::Order, Error> {
    let order_id = books.find(&command.name, &command.text).await?;
    let now = books.clock.now();
    let mut tx = store::begin(&books.pool).await?;
    pesan_feed::lock(&mut tx, [order_id]).await?;
    // Both answers hold nothing but the order, under the same number.
    let earlier: Option<pb::BlockDeliveryResponse> =
        claim(&mut tx, command.request_id, command.method, &command.request).await?;
    if let Some(order) = earlier.and_then(|earlier| earlier.order) {
        return Ok(order);
    }
    let order = store::read::orders(&mut tx, &[order_id], false).await?.remove(&order_id);
    let mut order = order.ok_or(Error::Broken("an order that was found"))?;
    let is_changed = order.delivery_block != command.block;
    if command.block.is_some() {
        let head = &order.head;
        allows(head.state(), Action::CancelAll).map_err(|refusal| Error::NotAllowed(head.state(), refusal))?;
        let q = &head.standing.quantities;
        if head.standing.confirmed_at.is_some() && q.backordered == 0 && head.delivery.withheld == 0 {
            return Err(Error::AlreadyHandedOver);
        }
    }
    if is_changed {
        store::delivery::block(&mut tx, order_id, command.block.as_deref()).await?;
        order.delivery_block.clone_from(&command.block);
        order.head.delivery.is_blocked = command.block.is_some();
        let ready = match order.head.delivery.withheld {
            0 => Vec::new(),
            _ => offer(&mut tx, &mut order.head, Vec::new(), now).await?,
        };
        let fact = convert::events::delivery_changed(&order);
        let head = &mut order.head;
        let event = NewEvent::new(order_id, head.next_version(), &fact, now).of_journey(order_id);
        let mut events = vec![event.in_trace(head.traceparent.as_deref())];
        if !ready.is_empty() {
            events.push(handover::lines_ready(&mut tx, head, &ready, now).await?);
        }
        store::order::write(&mut tx, &[&*head]).await?;
        pesan_feed::append(&mut tx, &events).await?;
    }
    let response = pb::BlockDeliveryResponse { order: Some(whole_order(&mut tx, order_id).await?) };
    answer(&mut tx, command.request_id, &response).await?;
    tx.commit().await?;
    books.changed([order_id]);
    response.order.ok_or(Error::Broken("an order that was just written"))
}
