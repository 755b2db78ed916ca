//! Holds: placed by people only before the promise, because afterwards others work on the order already; lifted by people,
//! by their rules, and by time.

use crate::convert;
use crate::convert::holds::{ListHolds, ReleaseHolds};
use crate::convert::orders::{HoldOrder, ReleaseHold};
use crate::error::Error;
use crate::hold::HeldOrder;
use crate::ops::saga::Saga;
use crate::ops::{Books, answer, claim, page, whole_order};
use crate::order::{Action, Head, Hold, allows};
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};
use time::OffsetDateTime;
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
    let events = put_on(&mut tx, &mut head, vec![hold], now).await?;
    store::order::write(&mut tx, &[&head]).await?;
    pesan_feed::append(&mut tx, &events).await?;
    let response = pb::HoldOrderResponse { order: Some(whole_order(&mut tx, order_id).await?) };
    answer(&mut tx, command.request_id, &response).await?;
    tx.commit().await?;
    books.changed([order_id]);
    Ok(response)
}

/// Puts holds on an order that is not promised yet, and is not settled meanwhile: the facts. Its head is kept in step.
pub(super) async fn put_on(
    conn: &mut PgConnection,
    head: &mut Head,
    holds: Vec<Hold>,
    now: OffsetDateTime,
) -> Result<Vec<NewEvent>, Error> {
    let order_id = head.order_id;
    let mut events = Vec::with_capacity(holds.len());
    for hold in &holds {
        head.standing.holds += 1;
        let fact = pb::OrderHeld { order_id: order_id.to_string(), hold: Some(convert::orders::hold(hold)) };
        let event = NewEvent::new(order_id, head.next_version(), &fact, now).of_journey(order_id);
        events.push(event.in_trace(head.traceparent.as_deref()));
    }
    if holds.is_empty() {
        return Ok(events);
    }
    store::hold::insert(conn, &holds.into_iter().map(|hold| (order_id, hold)).collect::<Vec<_>>()).await?;
    store::job::delete(conn, &[order_id]).await?;
    Ok(events)
}

/// A hold that goes.
pub(super) struct Lifting {
    /// The order.
    pub order_id: Uuid,
    /// The hold.
    pub hold_id: Uuid,
    /// How.
    pub release: pb::HoldRelease,
    /// Of whoever lifts it, or what lifted it.
    pub note: String,
}

/// Lifts holds of orders that are locked, whose heads these are. With its last one gone an order is settled again from
/// the start: those orders.
pub(super) async fn lift(
    conn: &mut PgConnection,
    heads: &mut HashMap<Uuid, Head>,
    liftings: &[Lifting],
    now: OffsetDateTime,
) -> Result<Vec<Uuid>, Error> {
    let mut events = Vec::with_capacity(liftings.len());
    let mut changed = BTreeSet::new();
    for lifting in liftings {
        let head = heads.get_mut(&lifting.order_id).ok_or(Error::Broken("a hold of an order that is not there"))?;
        head.standing.holds -= 1;
        changed.insert(lifting.order_id);
        let fact = pb::OrderHoldReleased {
            order_id: lifting.order_id.to_string(),
            hold_id: lifting.hold_id.to_string(),
            release: lifting.release.into(),
            note: lifting.note.clone(),
        };
        let event = NewEvent::new(head.order_id, head.next_version(), &fact, now).of_journey(head.order_id);
        events.push(event.in_trace(head.traceparent.as_deref()));
    }
    let written: Vec<&Head> = changed.iter().filter_map(|id| heads.get(id)).collect();
    let going_on: Vec<Uuid> = written.iter().filter(|head| head.standing.holds == 0).map(|h| h.order_id).collect();
    if !going_on.is_empty() {
        store::job::queue(conn, &going_on, now).await?;
    }
    store::order::write(conn, &written).await?;
    store::hold::delete(conn, &liftings.iter().map(|lifting| lifting.hold_id).collect::<Vec<_>>()).await?;
    pesan_feed::append(conn, &events).await?;
    Ok(going_on)
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
    let mut heads = store::order::heads(&mut tx, &[order_id]).await?;
    let holds = store::hold::of_orders(&mut tx, &[order_id]).await?.remove(&order_id).unwrap_or_default();
    let lifted: Vec<Lifting> = holds
        .iter()
        .map(|hold| hold.hold_id)
        .filter(|id| command.hold_id.is_none_or(|wanted| wanted == *id))
        .map(|hold_id| by_hand(order_id, hold_id, &command.note))
        .collect();
    if lifted.is_empty() {
        return Err(Error::HoldNotFound(command.request.hold_id));
    }
    let going_on = lift(&mut tx, &mut heads, &lifted, now).await?;
    let response = pb::ReleaseHoldResponse { order: Some(whole_order(&mut tx, order_id).await?) };
    answer(&mut tx, command.request_id, &response).await?;
    tx.commit().await?;
    books.changed([order_id]);
    if !going_on.is_empty() {
        saga.nudge();
    }
    Ok(response)
}

fn by_hand(order_id: Uuid, hold_id: Uuid, note: &str) -> Lifting {
    Lifting { order_id, hold_id, release: pb::HoldRelease::Hand, note: note.to_owned() }
}

/// Lifts holds of any orders, each that is there.
pub async fn release_many(
    books: &Books,
    saga: &Saga,
    command: ReleaseHolds,
) -> Result<pb::ReleaseHoldsResponse, Error> {
    let now = books.clock.now();
    let mut tx = store::begin(&books.pool).await?;
    // Where a hold belongs never changes; whether it is still there is asked again under the lock.
    let orders = store::hold::orders_of(&mut tx, &command.hold_ids).await?;
    let order_ids: BTreeSet<Uuid> = orders.values().copied().collect();
    pesan_feed::lock(&mut tx, order_ids.iter().copied()).await?;
    let method = "pesan.order.v1.ReleaseHoldsRequest";
    if let Some(earlier) = claim(&mut tx, command.request_id, method, &command.request).await? {
        return Ok(earlier);
    }
    let there = store::hold::orders_of(&mut tx, &command.hold_ids).await?;
    let mut heads = store::order::heads(&mut tx, &order_ids.iter().copied().collect::<Vec<_>>()).await?;
    let mut liftings = Vec::with_capacity(there.len());
    let mut seen = BTreeSet::new();
    let mut results = Vec::with_capacity(command.hold_ids.len());
    for hold_id in &command.hold_ids {
        let problem = match there.get(hold_id).filter(|order_id| heads.contains_key(order_id)) {
            Some(order_id) => {
                if seen.insert(*hold_id) {
                    liftings.push(by_hand(*order_id, *hold_id, &command.request.note));
                }
                None
            }
            None => Some(Error::HoldNotFound(hold_id.to_string()).into_problem()),
        };
        results.push(pb::ReleaseHoldResult { hold_id: hold_id.to_string(), problem });
    }
    let going_on = lift(&mut tx, &mut heads, &liftings, now).await?;
    let response = pb::ReleaseHoldsResponse { results };
    answer(&mut tx, command.request_id, &response).await?;
    tx.commit().await?;
    books.changed(order_ids);
    if !going_on.is_empty() {
        saga.nudge();
    }
    Ok(response)
}

/// A page of open holds, oldest first; true where it is the last.
pub async fn list(books: &Books, command: &ListHolds) -> Result<(Vec<HeldOrder>, bool), Error> {
    let mut conn = books.pool.acquire().await?;
    let rows = store::hold::page(&mut conn, &command.filter, command.after, command.size + 1).await?;
    Ok(page(rows, command.size))
}
