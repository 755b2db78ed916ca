//! Placing orders. A batch gathers what many callers ask for; its orders, lines, jobs and events are one transaction of
//! a handful of statements. What is new is handed to the saga as soon as it is durable.

use crate::convert;
use crate::customer::Customer;
use crate::draft::{Buyer, Draft, Ready};
use crate::error::Error;
use crate::ops::Books;
use crate::ops::saga::{Job, Saga};
use crate::settlement::{Work, WorkLine};
use crate::store;
use crate::store::place::Known;
use futures::FutureExt as _;
use pesan_api::order::v1::PaymentMethod;
use pesan_batch::{Coalescer, Limits};
use pesan_feed::NewEvent;
use prost::Message as _;
use sqlx::PgConnection;
use std::collections::{HashMap, HashSet};
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
    let customers = customers_of(&mut tx, drafts).await?;
    let mut outcomes: Vec<Option<Result<Placed, Error>>> = Vec::with_capacity(drafts.len());
    let mut ready = Vec::with_capacity(drafts.len());
    for draft in drafts {
        match make_ready(draft, &customers, now) {
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
    let (new, old): (Vec<Ready<'_>>, Vec<Ready<'_>>) =
        ready.into_iter().partition(|r| numbers.contains_key(&r.draft.order_id));
    let jobs = write_new(&mut tx, books, saga, &new, &numbers, &customers, now).await?;
    let mut known = match_known(&mut tx, &old).await?;
    tx.commit().await?;
    books.feed.wake();
    if jobs.len() < new.len() {
        saga.nudge();
    }
    saga.hand_over(jobs);

    Ok(drafts
        .iter()
        .zip(outcomes)
        .map(|(draft, outcome)| match outcome {
            Some(refused) => refused,
            None if numbers.contains_key(&draft.order_id) => Ok(Placed { order_id: draft.order_id, existed: false }),
            None => known.remove(&draft.order_id).unwrap_or(Err(Error::Contention)),
        })
        .collect())
}

/// The customers that drafts name, by both of their ids.
struct Customers {
    by_id: HashMap<Uuid, Customer>,
    ids: HashMap<String, Uuid>,
}

impl Customers {
    fn of(&self, buyer: &Buyer) -> Option<&Customer> {
        match buyer {
            Buyer::Guest => None,
            Buyer::Id(id) => self.by_id.get(id),
            Buyer::External(external_id) => self.by_id.get(self.ids.get(external_id)?),
        }
    }
}

async fn customers_of(conn: &mut PgConnection, drafts: &[Draft]) -> Result<Customers, Error> {
    let (mut ids, mut external_ids) = (HashSet::new(), HashSet::new());
    for draft in drafts {
        match &draft.buyer {
            Buyer::Guest => {}
            Buyer::Id(id) => drop(ids.insert(*id)),
            Buyer::External(external_id) => drop(external_ids.insert(external_id.as_str())),
        }
    }
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let external_ids: Vec<&str> = external_ids.into_iter().collect();
    let found = if ids.is_empty() && external_ids.is_empty() {
        Vec::new()
    } else {
        store::customer::find(conn, &ids, &external_ids).await?
    };
    let ids = found.iter().map(|c| (c.details.external_id.clone(), c.customer_id)).collect();
    Ok(Customers { by_id: found.into_iter().map(|c| (c.customer_id, c)).collect(), ids })
}

/// Completes a draft with what its customer's record says.
fn make_ready<'a>(draft: &'a Draft, customers: &Customers, now: OffsetDateTime) -> Result<Ready<'a>, Error> {
    let customer = customers.of(&draft.buyer);
    match &draft.buyer {
        Buyer::Guest => {}
        Buyer::Id(_) if customer.is_none() => return Err(Error::invalid("customer_id", "is no customer")),
        Buyer::External(_) if customer.is_none() => {
            return Err(Error::invalid("customer_external_id", "is no customer: upsert the customer first"));
        }
        Buyer::Id(_) | Buyer::External(_) => {}
    }
    let first_address = || customer.and_then(|c| c.details.addresses.first().cloned());
    let Some(ship_to) = draft.ship_to.clone().or_else(first_address) else {
        return Err(Error::invalid("ship_to", "is required: the customer has no address"));
    };
    let sales_rep = match draft.sales_rep.as_str() {
        "" => customer.map(|c| c.details.sales_rep.clone()).unwrap_or_default(),
        own => own.to_owned(),
    };
    Ok(Ready {
        draft,
        customer_id: customer.map(|c| c.customer_id),
        ship_to,
        payment_method: draft.payment_method.unwrap_or(PaymentMethod::OnAccount),
        sales_rep,
        placed_at: draft.placed_at.unwrap_or(now),
    })
}

/// Writes lines, jobs and events of new orders; the jobs that this process takes itself.
async fn write_new(
    conn: &mut PgConnection,
    books: &Books,
    saga: &Saga,
    new: &[Ready<'_>],
    numbers: &HashMap<Uuid, i64>,
    customers: &Customers,
    now: OffsetDateTime,
) -> Result<Vec<Job>, Error> {
    if new.is_empty() {
        return Ok(Vec::new());
    }
    let drafts: Vec<&Draft> = new.iter().map(|r| r.draft).collect();
    store::place::insert_lines(conn, &drafts).await?;
    let mut events = Vec::with_capacity(new.len());
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
        let room = saga.room(draft.lines.len());
        due_at.push(if room.is_some() { now + books.patience.lease } else { now });
        jobs.push((work(ready, number), room));
    }
    store::place::insert_jobs(conn, &jobs.iter().map(|(work, _)| work).collect::<Vec<_>>(), &due_at).await?;
    pesan_feed::append(conn, &events).await?;
    Ok(jobs.into_iter().filter_map(|(work, room)| Some(Job { work, _room: Some(room?) })).collect())
}

fn work(ready: &Ready<'_>, number: i64) -> Work {
    let draft = ready.draft;
    let lines = (1..).zip(&draft.lines).map(|(line_no, line)| WorkLine {
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
        currency: draft.currency,
        payment_method: ready.payment_method,
        payment_token: draft.payment_token.clone(),
        reservation_policy: draft.reservation_policy,
        fulfilment_policy: draft.fulfilment_policy,
        priority: draft.priority,
        placed_at: ready.placed_at,
        traceparent: draft.traceparent.clone(),
        ship_to: ready.ship_to.encode_to_vec(),
        lines: lines.collect(),
        attempts: 0,
    }
}

/// Finds the orders there are for drafts that are not new, by the ids the drafts would have had.
async fn match_known(
    conn: &mut PgConnection,
    old: &[Ready<'_>],
) -> Result<HashMap<Uuid, Result<Placed, Error>>, Error> {
    if old.is_empty() {
        return Ok(HashMap::new());
    }
    let drafts: Vec<&Draft> = old.iter().map(|r| r.draft).collect();
    let known = store::place::find_known(conn, &drafts).await?;
    let by_request: HashMap<Uuid, &Known> = known.iter().filter_map(|k| Some((k.request_id?, k))).collect();
    let by_external: HashMap<(&str, &str), &Known> =
        known.iter().filter_map(|k| Some(((k.channel.as_str(), k.external_id.as_deref()?), k))).collect();
    let mut outcomes = HashMap::with_capacity(old.len());
    for draft in drafts {
        let same_request = draft.request_id.and_then(|id| by_request.get(&id));
        let same_external = draft.external_id.as_deref().and_then(|id| by_external.get(&(draft.channel.as_str(), id)));
        let outcome = match (same_request, same_external) {
            (Some(known), _) if known.request_hash != draft.request_hash => {
                let order = super::whole_order(conn, known.order_id).await?;
                Err(Error::RequestIdReused(convert::place::differing_fields(draft, &order)))
            }
            (Some(known), _) | (None, Some(known)) => Ok(Placed { order_id: known.order_id, existed: true }),
            (None, None) => Err(Error::Contention),
        };
        outcomes.insert(draft.order_id, outcome);
    }
    Ok(outcomes)
}
