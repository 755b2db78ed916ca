//! Placing orders. A batch gathers what many callers ask for; its orders, lines, jobs and events are one transaction of
//! a handful of statements. What is new is handed to the saga as soon as it is durable.

use crate::convert;
use crate::draft::{Draft, Ready};
use crate::error::Error;
use crate::ops::Books;
use crate::ops::ready::{Customers, customers_of, make_ready};
use crate::ops::redeem::redeem;
use crate::ops::saga::{Job, Saga};
use crate::ops::verify::verify;
use crate::settlement::{Destination, Work, WorkLine};
use crate::store;
use crate::store::place::Known;
use futures::FutureExt as _;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::FulfilmentPolicy;
use pesan_batch::{Coalescer, Limits};
use pesan_feed::NewEvent;
use prost::Message as _;
use sqlx::PgConnection;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// Orders and lines of a transaction, orders that wait for one, transactions at the same time.
const LIMITS: Limits = Limits { items: 256, weight: 20_000, queue: 4096, workers: 2 };

/// An order that is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The order.
    pub order_id: Uuid,
    /// N of "SO-N".
    pub number: i64,
    /// It was there before.
    pub existed: bool,
}

/// Takes orders from all callers.
pub type Intake = Coalescer<Draft, Result<Placed, Error>>;

/// Starts the workers that write what is placed; `running` counts their transactions.
pub fn intake(books: Books, saga: Saga, running: TaskTracker) -> Intake {
    Coalescer::spawn(LIMITS, move |drafts: Vec<Draft>| {
        let (books, saga, token) = (books.clone(), saga.clone(), running.token());
        async move {
            if drafts.len() == LIMITS.items {
                saga.pouring_in();
            }
            // A worker that panics takes its own batch with it, not those that come after.
            let placed = AssertUnwindSafe(place(&books, &saga, &drafts)).catch_unwind().await;
            drop(token);
            placed.unwrap_or_else(|_| {
                tracing::error!(orders = drafts.len(), "placing a batch of orders panicked");
                drafts.iter().map(|_| Err(Error::NotWritten)).collect()
            })
        }
    })
}

/// Places a batch; one outcome for each draft, in order.
async fn place(books: &Books, saga: &Saga, drafts: &[Draft]) -> Vec<Result<Placed, Error>> {
    let error = match write(books, saga, drafts).await {
        Ok(outcomes) => return outcomes,
        Err(error) => error,
    };
    if drafts.len() > 1 && (error.is_about_data() || matches!(error, Error::Contention)) {
        // One of them is to blame: alone it touches no other.
        let mut outcomes = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let alone = write(books, saga, std::slice::from_ref(draft)).await;
            outcomes.push(alone.and_then(|mut one| one.pop().unwrap_or(Err(Error::NotWritten))));
        }
        return outcomes;
    }
    if drafts.len() == 1 {
        return vec![Err(error)];
    }
    tracing::error!(%error, orders = drafts.len(), "a batch of orders could not be written");
    drafts.iter().map(|_| Err(Error::NotWritten)).collect()
}

async fn write(books: &Books, saga: &Saga, drafts: &[Draft]) -> Result<Vec<Result<Placed, Error>>, Error> {
    let now = books.clock.now();
    let mut tx = store::begin(&books.pool).await?;
    let (drafts, mut redemption) = redeem(&mut tx, drafts, now).await?;
    let drafts: &[Draft] = &drafts;
    let settings = books.settings.current(&mut tx).await?;
    let customers = customers_of(&mut tx, drafts).await?;
    let mut outcomes: Vec<Option<Result<Placed, Error>>> = Vec::with_capacity(drafts.len());
    let mut ready = Vec::with_capacity(drafts.len());
    for draft in drafts {
        if let Some(refusal) = redemption.refused.remove(&draft.order_id) {
            outcomes.push(Some(Err(refusal)));
            continue;
        }
        match make_ready(draft, &customers, &settings, now) {
            Ok(one) => {
                ready.push(one);
                outcomes.push(None);
            }
            Err(error) => outcomes.push(Some(Err(error))),
        }
    }
    // Two batches that share orders then wait for each other in the same order.
    ready.sort_by_key(|r| (r.draft.channel.as_str(), r.draft.external_id.as_deref(), r.draft.request_id));

    let numbers = store::place::insert_orders(&mut tx, &ready, now).await?;
    let (mut new, old): (Vec<Ready<'_>>, Vec<Ready<'_>>) =
        ready.into_iter().partition(|r| numbers.contains_key(&r.draft.order_id));
    verify(&mut tx, &settings.rules, &mut new, &numbers, |ready| customers.of(&ready.draft.buyer), now).await?;
    let (jobs, waits_in_database) = write_new(&mut tx, books, saga, &new, &numbers, &customers, now).await?;
    redemption.write(&mut tx, &new, now).await?;
    // Also those that would be refused today: the order may be there since before the settings were such.
    let refused = drafts.iter().zip(&outcomes).filter(|(_, outcome)| outcome.is_some()).map(|(draft, _)| draft);
    let mut known = match_known(&mut tx, old.iter().map(|r| r.draft).chain(refused).collect()).await?;
    tx.commit().await?;
    // Those that wait for a decision or are refused are settled already.
    books.changed(new.iter().filter(|ready| !ready.goes_on()).map(|ready| ready.draft.order_id));
    if waits_in_database {
        saga.nudge();
    }
    saga.hand_over(jobs);

    Ok(drafts
        .iter()
        .zip(outcomes)
        .map(|(draft, outcome)| match (outcome, numbers.get(&draft.order_id)) {
            (Some(refused), _) => known.remove(&draft.order_id).filter(is_known).unwrap_or(refused),
            (None, Some(number)) => Ok(Placed { order_id: draft.order_id, number: *number, existed: false }),
            (None, None) => known.remove(&draft.order_id).unwrap_or(Err(Error::Contention)),
        })
        .collect())
}

/// Writes lines, holds, jobs and events of new orders; the jobs that this process takes itself, and whether there are
/// others.
async fn write_new(
    conn: &mut PgConnection,
    books: &Books,
    saga: &Saga,
    new: &[Ready<'_>],
    numbers: &HashMap<Uuid, i64>,
    customers: &Customers,
    now: OffsetDateTime,
) -> Result<(Vec<Job>, bool), Error> {
    if new.is_empty() {
        return Ok((Vec::new(), false));
    }
    store::place::insert_lines(conn, new).await?;
    store::place::insert_agreed_prices(conn, new).await?;
    let mut events = Vec::with_capacity(new.len());
    let (mut holds, mut rejections) = (Vec::new(), Vec::new());
    let mut jobs = Vec::with_capacity(new.len());
    let mut due_at = Vec::with_capacity(new.len());
    for ready in new {
        let draft = ready.draft;
        let number = numbers.get(&draft.order_id).copied().unwrap_or_default();
        let (external_id, segment) = customers
            .of(&draft.buyer)
            .map(|c| (c.details.external_id.as_str(), c.details.segment.as_str()))
            .unwrap_or_default();
        let fact = convert::events::accepted(ready, number, external_id, segment);
        let event = NewEvent::new(draft.order_id, 1, &fact, ready.placed_at).of_journey(draft.order_id);
        events.push(event.in_trace(draft.traceparent.as_deref()));
        if let Some(rejection) = &ready.verdict.rejection {
            let fact = pb::OrderRejected {
                order_id: draft.order_id.to_string(),
                rejections: vec![convert::orders::rejection(rejection)],
            };
            let event = NewEvent::new(draft.order_id, 2, &fact, decided_at(ready, now)).of_journey(draft.order_id);
            events.push(event.in_trace(draft.traceparent.as_deref()));
            rejections.push((draft.order_id, vec![rejection.clone()]));
        }
        for (version, hold) in (2..).zip(&ready.holds) {
            let fact = pb::OrderHeld { order_id: draft.order_id.to_string(), hold: Some(convert::orders::hold(hold)) };
            let decided_at = decided_at(ready, now);
            let event = NewEvent::new(draft.order_id, version, &fact, decided_at).of_journey(draft.order_id);
            events.push(event.in_trace(draft.traceparent.as_deref()));
            holds.push((draft.order_id, hold.clone()));
        }
        if !ready.goes_on() {
            continue; // lifting the last hold starts it
        }
        let room = saga.room(draft.lines.len());
        due_at.push(if room.is_some() { now + books.patience.lease } else { now });
        jobs.push((work(ready, number), room));
    }
    store::rule::apply(conn, &new.iter().filter(|ready| !ready.verdict.is_empty()).collect::<Vec<_>>()).await?;
    store::hold::insert(conn, &holds).await?;
    store::hold::insert_rejections(conn, &rejections).await?;
    if !jobs.is_empty() {
        store::place::insert_jobs(conn, &jobs.iter().map(|(work, _)| work).collect::<Vec<_>>(), &due_at).await?;
    }
    pesan_feed::append(conn, &events).await?;
    let waits_in_database = jobs.iter().any(|(_, room)| room.is_none());
    let jobs = jobs.into_iter().filter_map(|(work, room)| Some(Job { work, _room: Some(room?) })).collect();
    Ok((jobs, waits_in_database))
}

/// When a new order was held or refused: replayed history when it was placed.
fn decided_at(ready: &Ready<'_>, now: OffsetDateTime) -> OffsetDateTime {
    if ready.fulfilment_policy == FulfilmentPolicy::StraightThrough { ready.placed_at } else { now }
}

/// What settling an order that was just placed needs.
pub(super) fn work(ready: &Ready<'_>, number: i64) -> Work {
    let draft = ready.draft;
    let lines = (1..).zip(ready.lines.iter()).map(|(line_no, line)| WorkLine {
        line_no,
        sku: line.sku.clone(),
        quantity: line.quantity,
        line_total: line.line_total,
        discount: line.discount,
        tax: line.tax,
    });
    Work {
        order_id: draft.order_id,
        number,
        customer_id: ready.customer_id,
        currency: ready.currency,
        payment_method: ready.payment_method,
        payment_token: draft.payment_token.clone(),
        reservation_policy: ready.reservation_policy,
        fulfilment_policy: ready.fulfilment_policy,
        priority: ready.priority,
        placed_at: ready.placed_at,
        traceparent: draft.traceparent.clone(),
        ship_to: ready.ship_to.encode_to_vec(),
        amendments: 0,
        destination: Destination::of(&ready.ship_to),
        ship_complete: draft.delivery.as_ref().is_some_and(|terms| terms.is_complete),
        not_before: draft.delivery.as_ref().and_then(|terms| terms.not_before),
        promised_at: draft.promise.as_ref().and_then(|promise| promise.promised_at),
        channel: draft.channel.clone(),
        preferred_location_id: ready.preferred_location_id,
        lines: lines.collect(),
        attempts: 0,
    }
}

/// True where an order was there, or was not to be asked for in this way.
fn is_known(outcome: &Result<Placed, Error>) -> bool {
    !matches!(outcome, Err(Error::Contention))
}

/// Places orders that come out of another one, in its transaction; the jobs of those that nothing holds are due at once.
/// Their ids are new.
pub async fn split_off(
    conn: &mut PgConnection,
    ready: &[Ready<'_>],
    split_from: Uuid,
    not_before: &[Option<OffsetDateTime>],
    now: OffsetDateTime,
) -> Result<(), Error> {
    let buyers: Vec<Draft> = ready.iter().map(|ready| ready.draft.clone()).collect();
    let customers = customers_of(conn, &buyers).await?;
    let numbers = store::place::insert_orders(conn, ready, now).await?;
    store::place::insert_lines(conn, ready).await?;
    let mut events = Vec::with_capacity(ready.len());
    let mut holds = Vec::new();
    for (ready, not_before) in ready.iter().zip(not_before) {
        let draft = ready.draft;
        let number = numbers.get(&draft.order_id).copied().ok_or(Error::Contention)?;
        let (external_id, segment) = customers
            .of(&draft.buyer)
            .map(|c| (c.details.external_id.as_str(), c.details.segment.as_str()))
            .unwrap_or_default();
        let fact = convert::events::accepted(ready, number, external_id, segment);
        let event = NewEvent::new(draft.order_id, 1, &fact, ready.placed_at).of_journey(draft.order_id);
        events.push(event.in_trace(draft.traceparent.as_deref()));
        for (version, hold) in (2..).zip(&ready.holds) {
            let fact = pb::OrderHeld { order_id: draft.order_id.to_string(), hold: Some(convert::orders::hold(hold)) };
            let event = NewEvent::new(draft.order_id, version, &fact, now).of_journey(draft.order_id);
            events.push(event.in_trace(draft.traceparent.as_deref()));
            holds.push((draft.order_id, hold.clone()));
        }
        store::change::link(conn, draft.order_id, split_from, *not_before).await?;
    }
    store::hold::insert(conn, &holds).await?;
    let going_on = ready.iter().filter(|ready| ready.goes_on()).map(|ready| ready.draft.order_id);
    store::job::queue(conn, &going_on.collect::<Vec<_>>(), now).await?;
    pesan_feed::append(conn, &events).await?;
    Ok(())
}

/// Finds the orders there are for drafts that are not new, by the ids the drafts would have had.
async fn match_known(
    conn: &mut PgConnection,
    drafts: Vec<&Draft>,
) -> Result<HashMap<Uuid, Result<Placed, Error>>, Error> {
    if drafts.is_empty() {
        return Ok(HashMap::new());
    }
    let known = store::place::find_known(conn, &drafts).await?;
    let by_request: HashMap<Uuid, &Known> = known.iter().filter_map(|k| Some((k.request_id?, k))).collect();
    let by_external: HashMap<(&str, &str), &Known> =
        known.iter().filter_map(|k| Some(((k.channel.as_str(), k.external_id.as_deref()?), k))).collect();
    let mut matches = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let same_request = draft.request_id.and_then(|id| by_request.get(&id).copied());
        let same_external =
            draft.external_id.as_deref().and_then(|id| by_external.get(&(draft.channel.as_str(), id)).copied());
        matches.push((draft, same_request.is_some(), same_request.or(same_external)));
    }
    // Whoever asks for something else is told in which fields: the orders there are, read all at once.
    let is_other = |draft: &Draft, known: &Known| known.request_hash != draft.request_hash;
    let others: Vec<Uuid> = matches
        .iter()
        .filter_map(|(draft, _, known)| known.filter(|k| is_other(draft, k)).map(|k| k.order_id))
        .collect();
    let orders = if others.is_empty() { HashMap::new() } else { store::read::orders(conn, &others, true).await? };
    let differing = |draft: &Draft, known: &Known| {
        let order = orders.get(&known.order_id).map(convert::orders::order);
        order.map(|order| convert::place::differing_fields(draft, &order)).unwrap_or_default()
    };
    let outcome = |draft: &Draft, by_request: bool, known: Option<&Known>| {
        let known = known.ok_or(Error::Contention)?;
        let fields = if is_other(draft, known) { differing(draft, known) } else { Vec::new() };
        match (fields.is_empty(), by_request) {
            (true, _) => Ok(Placed { order_id: known.order_id, number: known.number, existed: true }),
            (false, true) => Err(Error::RequestIdReused(fields)),
            (false, false) => Err(Error::ExternalIdReused(fields)),
        }
    };
    Ok(matches.into_iter().map(|(draft, by, known)| (draft.order_id, outcome(draft, by, known))).collect())
}
