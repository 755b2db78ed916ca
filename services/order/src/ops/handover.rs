//! Handing reserved quantities to fulfilment, or keeping them back: for an order that ships complete, for its date, for a
//! block. What is kept back is offered again when whatever kept it back has gone: stock came or was cancelled, the date
//! came (a worker here), the block was lifted.

use crate::cancellation::Part;
use crate::convert;
use crate::delivery::ReadyPart;
use crate::error::Error;
use crate::ops::Books;
use crate::order::Head;
use crate::store;
use pesan_feed::NewEvent;
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Orders that a worker hands over at once.
const TAKE: i64 = 200;

/// Offers parts of a confirmed order, and all that is kept back of it already: what goes to fulfilment now. The head says
/// how the order stands, and is kept in step.
pub(super) async fn offer(
    conn: &mut PgConnection,
    head: &mut Head,
    parts: Vec<ReadyPart>,
    now: OffsetDateTime,
) -> Result<Vec<ReadyPart>, Error> {
    let order_id = head.order_id;
    if !head.delivery.withholds(head.standing.quantities.backordered, now) {
        if head.delivery.withheld == 0 {
            return Ok(parts);
        }
        head.delivery.withheld = 0;
        let kept = store::delivery::take_all(conn, &[order_id]).await?;
        return Ok(together(parts.into_iter().chain(kept.into_iter().map(|(_, part)| part))));
    }
    let kept: Vec<(Uuid, Part)> = parts.iter().map(|part| (order_id, part.as_part())).collect();
    store::delivery::keep(conn, &kept).await?;
    head.delivery.withheld += parts.iter().map(|part| part.quantity).sum::<i64>();
    if let Some(due_at) = head.delivery.due_at(now).filter(|_| head.delivery.withheld > 0) {
        store::delivery::fall_due(conn, &[(order_id, due_at)]).await?;
    }
    Ok(Vec::new())
}

/// Each line and place once.
fn together(parts: impl Iterator<Item = ReadyPart>) -> Vec<ReadyPart> {
    let mut sums: Vec<ReadyPart> = Vec::new();
    let mut places: HashMap<(i32, Uuid), usize> = HashMap::new();
    for part in parts {
        let place = *places.entry((part.line_no, part.location)).or_insert(sums.len());
        match sums.get_mut(place) {
            Some(sum) => sum.quantity += part.quantity,
            None => sums.push(part),
        }
    }
    sums
}

/// The fact that fulfilment can go on with these; the head counts it.
pub(super) async fn lines_ready(
    conn: &mut PgConnection,
    head: &mut Head,
    ready: &[ReadyPart],
    now: OffsetDateTime,
) -> Result<NewEvent, Error> {
    let keys: Vec<(Uuid, i32)> = ready.iter().map(|part| (head.order_id, part.line_no)).collect();
    let skus = store::line::skus_of(conn, &keys).await?;
    let fact = convert::events::lines_ready(head.order_id, ready, &skus);
    let event = NewEvent::new(head.order_id, head.next_version(), &fact, now).of_journey(head.order_id);
    Ok(event.in_trace(head.traceparent.as_deref()))
}

/// Hands over what was kept back until dates that have come; how many orders were looked at.
pub async fn hand_over_due(books: &Books) -> Result<usize, Error> {
    let now = books.clock.now();
    let mut tx = store::begin(&books.pool).await?;
    let ids = store::delivery::due(&mut tx, now, TAKE).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    pesan_feed::lock(&mut tx, ids.iter().copied()).await?;
    let mut heads = store::order::heads(&mut tx, &ids).await?;
    heads.retain(|_, head| {
        head.delivery.withheld > 0 && !head.delivery.withholds(head.standing.quantities.backordered, now)
    });
    let mut going: Vec<Uuid> = heads.keys().copied().collect();
    going.sort_unstable();
    let mut parts: HashMap<Uuid, Vec<ReadyPart>> = HashMap::new();
    for (order_id, part) in store::delivery::take_all(&mut tx, &going).await? {
        parts.entry(order_id).or_default().push(part);
    }
    let keys: Vec<(Uuid, i32)> =
        parts.iter().flat_map(|(id, parts)| parts.iter().map(|part| (*id, part.line_no))).collect();
    let skus = store::line::skus_of(&mut tx, &keys).await?;
    let mut events = Vec::with_capacity(going.len());
    for order_id in &going {
        let (Some(head), Some(parts)) = (heads.get_mut(order_id), parts.get(order_id)) else { continue };
        let fact = convert::events::lines_ready(*order_id, parts, &skus);
        let event = NewEvent::new(*order_id, head.next_version(), &fact, now).of_journey(*order_id);
        events.push(event.in_trace(head.traceparent.as_deref()));
    }
    store::order::write(&mut tx, &going.iter().filter_map(|id| heads.get(id)).collect::<Vec<_>>()).await?;
    store::delivery::no_longer_due(&mut tx, &ids, now).await?;
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    books.changed(going);
    Ok(ids.len())
}

/// Hands over what falls due, until `stop`.
pub async fn recover(books: Books, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match hand_over_due(&books).await {
            Ok(count) if count as i64 == TAKE => continue,
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what is due cannot be handed over; trying again"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(books.patience.look) => {}
        }
    }
}
