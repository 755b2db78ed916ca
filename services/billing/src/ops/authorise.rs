//! Securing the money for orders before they are promised.
//!
//! Orders on account are decided in one transaction with the accounts locked. Orders that pay through the provider take
//! three steps, so that no transaction waits for it:
//! 1. one transaction: the charge is written down as pending, with the key under which the provider will know it;
//! 2. no transaction: the provider is asked, many orders at a time;
//! 3. one transaction ([`crate::ops::settle`]): what it said is written down.
//!
//! After a crash between any two of them the order is still pending under the same key, and is asked about again with it.

use crate::account::{Account, Change};
use crate::charge::{Authorisation, Charge, Decision, Intent, Method, NewCharge, State};
use crate::charge_line::ChargeLine;
use crate::convert;
use crate::error::{Error, Refusal};
use crate::job::{Job, JobKind};
use crate::store;
use pesan_feed::NewEvent;
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// Decides a batch of charges, in order: authorised, refused, or to be asked of the provider. One decision for each.
pub async fn decide(pool: &PgPool, charges: &[NewCharge], now: OffsetDateTime) -> Result<Vec<Decision>, Error> {
    let orders: Vec<Uuid> = charges.iter().map(|c| c.order_id).collect::<BTreeSet<_>>().into_iter().collect();
    let mut tx = pesan_feed::begin(pool, orders.iter().copied()).await?;
    let closed = store::charge::closed(&mut tx, &orders).await?;
    let known = store::charge::find(&mut tx, &orders).await?;
    let outdated = outdated(&mut tx, charges, &known).await?;
    let customers: Vec<Uuid> = charges
        .iter()
        .filter(|c| c.method == Method::OnAccount && !closed.contains(&c.order_id))
        .filter(|c| {
            let is_settled = |known: &Charge| known.state != State::Refused && !outdated.contains(&c.order_id);
            !known.get(&c.order_id).is_some_and(is_settled)
        })
        .filter_map(|c| c.customer_id)
        .collect();
    let accounts = store::account::lock(&mut tx, &customers).await?;

    let mut decided = Decided::new(now, accounts);
    let mut decisions = Vec::with_capacity(charges.len());
    for new in charges {
        let decision = if closed.contains(&new.order_id) {
            Decision::Refused(Refusal::OrderClosed)
        } else if let Some(earlier) = decided.decisions.get(&new.order_id) {
            earlier.clone()
        } else {
            let is_outdated = outdated.contains(&new.order_id);
            let decision = match known.get(&new.order_id) {
                Some(known) if known.state == State::Pending => {
                    Decision::Ask(Intent { is_outdated, ..intent(known, new) })
                }
                Some(known) if known.state == State::Authorised && !is_outdated => {
                    Decision::Authorised(Authorisation::from(known))
                }
                Some(known) => decided.again(known, new)?,
                None => decided.anew(Charge::new(new, now), new)?,
            };
            decided.decisions.insert(new.order_id, decision.clone());
            decision
        };
        decisions.push(decision);
    }

    store::charge::put(&mut tx, &decided.charges.iter().collect::<Vec<_>>()).await?;
    store::charge_line::remove(&mut tx, &decided.replaced).await?;
    store::charge_line::add(&mut tx, &decided.lines).await?;
    store::account::change(&mut tx, &decided.changes).await?;
    store::job::add(&mut tx, &decided.jobs, now).await?;
    pesan_feed::append(&mut tx, &decided.events).await?;
    tx.commit().await?;
    Ok(decisions)
}

/// The orders whose charge was made for an earlier promise with other lines.
async fn outdated(
    conn: &mut PgConnection,
    charges: &[NewCharge],
    known: &HashMap<Uuid, Charge>,
) -> Result<HashSet<Uuid>, Error> {
    let later = charges.iter().filter_map(|new| Some((new, known.get(&new.order_id)?)));
    let later: Vec<(&NewCharge, &Charge)> = later
        .filter(|(new, known)| known.state != State::Refused && new.promise_version > known.promise_version)
        .collect();
    if later.is_empty() {
        return Ok(HashSet::new());
    }
    let orders: Vec<Uuid> = later.iter().map(|(new, _)| new.order_id).collect();
    let lines = store::charge_line::find(conn, &orders).await?;
    let lines_of = |order_id| lines.get(&order_id).map(Vec::as_slice).unwrap_or_default();
    let outdated = later.into_iter().filter(|(new, known)| known.is_outdated_by(new, lines_of(new.order_id)));
    Ok(outdated.map(|(new, _)| new.order_id).collect())
}

/// What a batch comes to, before it is written.
struct Decided<'a> {
    now: OffsetDateTime,
    /// Locked; as they are after what was decided so far.
    accounts: HashMap<Uuid, Account>,
    decisions: HashMap<Uuid, Decision>,
    charges: Vec<Charge>,
    lines: Vec<(Uuid, &'a ChargeLine)>,
    /// Charges whose lines go before others come.
    replaced: Vec<Uuid>,
    changes: BTreeMap<Uuid, Change>,
    jobs: Vec<Job>,
    events: Vec<NewEvent>,
}

impl<'a> Decided<'a> {
    fn new(now: OffsetDateTime, accounts: HashMap<Uuid, Account>) -> Self {
        Self {
            now,
            accounts,
            decisions: HashMap::new(),
            charges: Vec::new(),
            lines: Vec::new(),
            replaced: Vec::new(),
            changes: BTreeMap::new(),
            jobs: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Decides an order again, after a refusal or for a later promise: what is held for it is let go first.
    fn again(&mut self, known: &Charge, new: &'a NewCharge) -> Result<Decision, Error> {
        let mut charge = Charge::new(new, self.now);
        charge.version = known.version;
        // What the provider decided is final under its key: the next question needs another one.
        charge.attempt = known.attempt + 1;
        self.replaced.push(new.order_id);
        if known.state == State::Authorised {
            let fact = convert::authorisation_voided(new.order_id, known.money(known.amount))?;
            let event = NewEvent::new(new.order_id, charge.next_version(), &fact, new.placed_at);
            self.publish(new, event);
            if let Some(customer) = known.account() {
                self.changes.entry(customer).or_default().authorised -= known.amount;
                if let Some(account) = self.accounts.get_mut(&customer) {
                    account.authorised -= known.amount;
                }
            }
            if known.method == Method::Provider && !known.amount.is_zero() {
                let trace = &new.traceparent;
                self.jobs.push(Job::new(JobKind::Void, known, None, known.amount, new.placed_at, trace));
            }
        }
        self.anew(charge, new)
    }

    fn anew(&mut self, mut charge: Charge, new: &'a NewCharge) -> Result<Decision, Error> {
        let decision = match new.method {
            // What costs nothing, and comes with no token, is asked of nobody: replacements, repaired goods.
            Method::Provider | Method::OnAccount if charge.amount.is_zero() && new.token.reveal().is_empty() => {
                self.for_nothing(&mut charge, new)?
            }
            Method::Provider => {
                charge.state = State::Pending;
                Decision::Ask(intent(&charge, new))
            }
            Method::OnAccount => self.on_account(&mut charge, new)?,
        };
        if charge.state != State::Refused {
            self.lines.extend(new.lines.iter().map(|line| (new.order_id, line)));
        }
        self.charges.push(charge);
        Ok(decision)
    }

    fn for_nothing(&mut self, charge: &mut Charge, new: &NewCharge) -> Result<Decision, Error> {
        charge.state = State::Authorised;
        let version = charge.next_version();
        let fact = convert::payment_authorised(charge)?;
        self.publish(new, NewEvent::new(new.order_id, version, &fact, new.placed_at));
        Ok(Decision::Authorised(Authorisation::from(&*charge)))
    }

    fn on_account(&mut self, charge: &mut Charge, new: &NewCharge) -> Result<Decision, Error> {
        let account = new.customer_id.and_then(|id| self.accounts.get_mut(&id));
        let authorised = match account {
            None => Err(Refusal::NoAccount { currency: new.currency }),
            Some(account) => account.authorise(charge.money(charge.amount)),
        };
        let version = charge.next_version();
        match authorised {
            Ok(()) => {
                charge.state = State::Authorised;
                if let Some(customer) = new.customer_id {
                    self.changes.entry(customer).or_default().authorised += charge.amount;
                }
                let fact = convert::payment_authorised(charge)?;
                self.publish(new, NewEvent::new(new.order_id, version, &fact, new.placed_at));
                Ok(Decision::Authorised(Authorisation::from(&*charge)))
            }
            Err(refusal) => {
                let fact = convert::authorisation_declined(new.order_id, &refusal);
                self.publish(new, NewEvent::new(new.order_id, version, &fact, new.placed_at));
                Ok(Decision::Refused(refusal))
            }
        }
    }

    fn publish(&mut self, new: &NewCharge, event: NewEvent) {
        let trace = own_trace(&new.traceparent);
        self.events.push(event.of_journey(new.order_id).in_trace(trace.as_deref()));
    }
}

fn intent(charge: &Charge, new: &NewCharge) -> Intent {
    Intent {
        order_id: charge.order_id,
        attempt: charge.attempt,
        amount: charge.money(charge.amount),
        token: new.token.clone(),
        traceparent: new.traceparent.clone(),
        is_outdated: false,
    }
}

/// A span of this service in the journey of one order, of which a batch holds many: what its events are traced by.
pub fn own_trace(traceparent: &str) -> Option<String> {
    if traceparent.is_empty() {
        return None;
    }
    Some(pesan_telemetry::step(traceparent, || tracing::info_span!("authorise", pesan.service = "billing")).1)
}
