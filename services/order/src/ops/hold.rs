//! Holds by people: only before the promise, because afterwards others work on it already.

use crate::convert;
use crate::convert::orders::{HoldOrder, ReleaseHold};
use crate::error::Error;
use crate::ops::saga::Saga;
use crate::ops::{Books, answer, claim, whole_order};
use crate::order::{Action, Hold, allows};
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use uuid::Uuid;

/// Most holds of an order.
const MOST: i32 = 100;

/// Puts a hold on an order: it is not settled while it has one.
pub async fn hold(books: &Books, command: HoldOrder) -> Result<pb::HoldOrderResponse, Error> {
    let order_id = books.find(&command.name, &command.request.name).await?;
    let now = books.clock.now();
    let mut tx = store::begin(&books.pool).await?;
    pesan_feed::lock(&mut tx, [order_id]).await?;
    let method = "pesan.order.v1.HoldOrderRequest";
    if let Some(earlier) = claim(&mut tx, command.request_id, method, &command.request).await? {
        return Ok(earlier);
    }
    let mut head = store::order::head_of(&mut tx, order_id).await?.ok_or(Error::Broken("an order that was found"))?;
    allows(head.state(), Action::Hold).map_err(|refusal| Error::NotAllowed(head.state(), refusal))?;
    if head.standing.holds >= MOST {
        return Err(Error::invalid("name", "has as many holds as an order can have: lift some"));
    }
    if command.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(Error::invalid("expires_at", "must be in the future"));
    }
    let hold = Hold {
        expires_at: command.expires_at,
        on_expiry: command.on_expiry,
        due_at: command.expires_at,
        ..Hold::new(command.reason, command.note, command.owner, now)
    };
    head.standing.holds += 1;
    let fact = pb::OrderHeld { order_id: order_id.to_string(), hold: Some(convert::orders::hold(&hold)) };
    let event = NewEvent::new(order_id, head.next_version(), &fact, now).of_journey(order_id);
    let event = event.in_trace(head.traceparent.as_deref());
    store::order::write(&mut tx, &[&head]).await?;
    store::hold::insert(&mut tx, &[(order_id, hold)]).await?;
    store::job::delete(&mut tx, &[order_id]).await?;
    pesan_feed::append(&mut tx, &[event]).await?;
    let response = pb::HoldOrderResponse { order: Some(whole_order(&mut tx, order_id).await?) };
    answer(&mut tx, command.request_id, &response).await?;
    tx.commit().await?;
    books.changed([order_id]);
    Ok(response)
}

/// Lifts one hold, or all. With the last one gone the order is settled again from the start.
pub async fn release(books: &Books, saga: &Saga, command: ReleaseHold) -> Result<pb::ReleaseHoldResponse, Error> {
    let order_id = books.find(&command.name, &command.request.name).await?;
    let now = books.clock.now();
    let mut tx = store::begin(&books.pool).await?;
    pesan_feed::lock(&mut tx, [order_id]).await?;
    let method = "pesan.order.v1.ReleaseHoldRequest";
    if let Some(earlier) = claim(&mut tx, command.request_id, method, &command.request).await? {
        return Ok(earlier);
    }
    let mut head = store::order::head_of(&mut tx, order_id).await?.ok_or(Error::Broken("an order that was found"))?;
    let holds = store::hold::of_orders(&mut tx, &[order_id]).await?.remove(&order_id).unwrap_or_default();
    let lifted: Vec<Uuid> =
        holds.iter().map(|hold| hold.hold_id).filter(|id| command.hold_id.is_none_or(|wanted| wanted == *id)).collect();
    if lifted.is_empty() {
        return Err(Error::HoldNotFound(command.request.hold_id));
    }
    let mut events = Vec::with_capacity(lifted.len());
    for hold_id in &lifted {
        head.standing.holds -= 1;
        let fact = pb::OrderHoldReleased {
            order_id: order_id.to_string(),
            hold_id: hold_id.to_string(),
            release: pb::HoldRelease::Hand.into(),
            note: command.note.clone(),
        };
        let event = NewEvent::new(order_id, head.next_version(), &fact, now).of_journey(order_id);
        events.push(event.in_trace(head.traceparent.as_deref()));
    }
    let goes_on = head.standing.holds == 0;
    if goes_on {
        store::job::queue(&mut tx, &[order_id], now).await?;
    }
    store::order::write(&mut tx, &[&head]).await?;
    store::hold::delete(&mut tx, &lifted).await?;
    pesan_feed::append(&mut tx, &events).await?;
    let response = pb::ReleaseHoldResponse { order: Some(whole_order(&mut tx, order_id).await?) };
    answer(&mut tx, command.request_id, &response).await?;
    tx.commit().await?;
    books.changed([order_id]);
    if goes_on {
        saga.nudge();
    }
    Ok(response)
}
