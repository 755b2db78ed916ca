//! Looking at holds again: one that has expired goes, or takes its order with it; one whose rule says that it can go, goes.
//! A hold is due when it expires, every few minutes while its rule can lift it, and at once when its rule, its order or
//! its customer changes.

use crate::convert::orders::CancelOrder;
use crate::customer::Customer;
use crate::error::Error;
use crate::name::OrderName;
use crate::ops::Books;
use crate::ops::cancel::Canceller;
use crate::ops::hold::{Lifting, lift};
use crate::ops::saga::Saga;
use crate::order::{Hold, Order};
use crate::rule::subject::Subject;
use crate::rule::{REVIEW_EVERY, Rules, due_at};
use crate::store;
use pesan_api::order::v1 as pb;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

/// Most holds of a look.
const TAKE: i64 = 100;
/// When a cancellation that did not come about is tried again.
const TRY_AGAIN: time::Duration = time::Duration::minutes(1);
/// How long a cancellation may take; a held order's asks nobody.
const CANCEL: Duration = Duration::from_secs(5);

/// What looks at holds again.
#[derive(Clone)]
pub struct Reviewer {
    /// The service's books.
    pub books: Books,
    /// Settles what goes on.
    pub saga: Saga,
    /// Cancels what expires so.
    pub canceller: Canceller,
}

/// What becomes of a hold now.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    /// It goes.
    Lift(pb::HoldRelease),
    /// It takes its order with it.
    Cancel,
    /// It stays, and is looked at again then.
    Stay(Option<OffsetDateTime>),
}

impl Reviewer {
    /// Looks at holds that are due; how many orders they were of.
    pub async fn run_once(&self) -> Result<usize, Error> {
        let now = self.books.clock.now();
        let order_ids: BTreeSet<Uuid> = {
            let mut conn = self.books.pool.acquire().await?;
            store::hold::due(&mut conn, now, TAKE).await?.into_iter().collect()
        };
        if order_ids.is_empty() {
            return Ok(0);
        }
        for (order_id, hold) in self.review(&order_ids, now).await? {
            if let Err(error) = self.cancel(order_id, &hold).await {
                warn!(%error, %order_id, "an order whose hold expired was not cancelled; trying again");
            }
        }
        Ok(order_ids.len())
    }

    /// Lifts what can go and postpones the rest; the holds whose orders are to be cancelled.
    async fn review(&self, order_ids: &BTreeSet<Uuid>, now: OffsetDateTime) -> Result<Vec<(Uuid, Hold)>, Error> {
        let ids: Vec<Uuid> = order_ids.iter().copied().collect();
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, ids.iter().copied()).await?;
        let settings = self.books.settings.current(&mut tx).await?;
        let holds: BTreeMap<Uuid, Vec<Hold>> = store::hold::of_orders(&mut tx, &ids).await?.into_iter().collect();
        let is_due = |hold: &&Hold| hold.due_at.is_some_and(|due_at| due_at <= now);
        let asks = |hold: &Hold| hold.rule.as_deref().and_then(|name| settings.rules.get(name)).is_some();
        let asked = |of: &[Hold]| of.iter().filter(is_due).any(asks);
        let asked: Vec<Uuid> = holds.iter().filter(|(_, of)| asked(of)).map(|(id, _)| *id).collect();
        let orders = if asked.is_empty() { HashMap::new() } else { store::read::orders(&mut tx, &asked, true).await? };
        let customer_ids: Vec<Uuid> = orders.values().filter_map(|order| order.customer_id).collect();
        let customers: HashMap<Uuid, Customer> = if customer_ids.is_empty() {
            HashMap::new()
        } else {
            let found = store::customer::find(&mut tx, &customer_ids, &[]).await?;
            found.into_iter().map(|customer| (customer.customer_id, customer)).collect()
        };
        let (mut liftings, mut postponed, mut cancelled) = (Vec::new(), Vec::new(), Vec::new());
        for (order_id, of) in &holds {
            for hold in of.iter().filter(is_due) {
                let order = orders.get(order_id);
                let customer = order.and_then(|order| customers.get(&order.customer_id?));
                match fate(hold, &settings.rules, order, customer, now) {
                    Fate::Lift(release) => liftings.push(Lifting {
                        order_id: *order_id,
                        hold_id: hold.hold_id,
                        release,
                        note: hold.rule.clone().unwrap_or_default(),
                    }),
                    Fate::Cancel => {
                        postponed.push((hold.hold_id, Some(now + TRY_AGAIN)));
                        cancelled.push((*order_id, hold.clone()));
                    }
                    Fate::Stay(due_at) => postponed.push((hold.hold_id, due_at)),
                }
            }
        }
        let mut heads = store::order::heads(&mut tx, &ids).await?;
        let going_on = lift(&mut tx, &mut heads, &liftings, now).await?;
        store::hold::postpone(&mut tx, &postponed).await?;
        tx.commit().await?;
        self.books.changed(liftings.iter().map(|lifting| lifting.order_id));
        if !going_on.is_empty() {
            self.saga.nudge();
        }
        Ok(cancelled)
    }

    async fn cancel(&self, order_id: Uuid, hold: &Hold) -> Result<(), Error> {
        let request = pb::CancelOrderRequest {
            // The hold's own id: however often it is tried, it is one cancellation.
            request_id: hold.hold_id.to_string(),
            name: order_id.to_string(),
            reason: format!("hold {} expired", hold.reason),
            ..Default::default()
        };
        let command = CancelOrder {
            request_id: hold.hold_id,
            name: OrderName::Id(order_id),
            lines: BTreeMap::new(),
            reason: request.reason.clone(),
            expected_version: 0,
            request,
        };
        self.canceller.cancel(&command, Instant::now() + CANCEL).await.map(drop)
    }

    /// Looks at what is due, until `stop`.
    pub async fn recover(self, stop: CancellationToken) {
        let mut is_failing = false;
        while !stop.is_cancelled() {
            match self.run_once().await {
                Ok(0) => is_failing = false,
                Ok(_) => {
                    is_failing = false;
                    continue;
                }
                Err(error) => {
                    if !is_failing {
                        warn!(%error, "holds cannot be looked at; trying again");
                    }
                    is_failing = true;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.books.patience.look) => {}
            }
        }
    }
}

/// What becomes of a hold that is due.
fn fate(hold: &Hold, rules: &Rules, order: Option<&Order>, customer: Option<&Customer>, now: OffsetDateTime) -> Fate {
    let rule = hold.rule.as_deref().and_then(|name| rules.get(name));
    // A hold for a rule that failed is for people, whatever the rule says by now.
    let rule = rule.filter(|rule| rule.can_release() && hold.reason != crate::rule::RULE_FAILED);
    if let Some((rule, order)) = rule.zip(order) {
        match rule.releases(&Subject::of_order(order, customer, now)) {
            Ok(true) => return Fate::Lift(pb::HoldRelease::Rule),
            Ok(false) => {}
            Err(error) => warn!(rule = rule.name, error, "whether a hold can go cannot be said"),
        }
    }
    match (hold.expires_at.filter(|at| *at <= now), hold.on_expiry) {
        (Some(_), pb::HoldExpiry::Cancel) => Fate::Cancel,
        (Some(_), pb::HoldExpiry::Release | pb::HoldExpiry::Unspecified) => Fate::Lift(pb::HoldRelease::Expiry),
        (None, _) => Fate::Stay(due_at(hold.expires_at, rule.map(|_| now + REVIEW_EVERY))),
    }
}
