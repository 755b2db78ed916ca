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
use crate::charge::{Authorisation, Charge, ChargeLine, Decision, Intent, Method, NewCharge, State};
use crate::convert;
use crate::error::{Error, Refusal};
use crate::store;
use pesan_feed::NewEvent;
use sqlx::PgPool;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// Decides a batch of charges, in order: authorised, refused, or to be asked of the provider. One decision for each.
pub async fn decide(pool: &PgPool, charges: &[NewCharge], now: OffsetDateTime) -> Result<Vec<Decision>, Error> {
    let orders: Vec<Uuid> = charges.iter().map(|c| c.order_id).collect::<BTreeSet<_>>().into_iter().collect();
    let mut tx = pool.begin().await?;
    pesan_feed::lock(&mut tx, orders.iter().copied()).await?;
    store::plan_by_key(&mut tx).await?;
    let closed = store::charge::closed(&mut tx, &orders).await?;
    let known = store::charge::find(&mut tx, &orders).await?;
    let on_account = |c: &&NewCharge| {
        c.method == Method::OnAccount
            && !closed.contains(&c.order_id)
            && known.get(&c.order_id).is_none_or(|known| known.state == State::Refused)
    };
    let customers: Vec<Uuid> = charges.iter().filter(on_account).filter_map(|c| c.customer_id).collect();
    let mut accounts = store::account::lock(&mut tx, &customers).await?;

    let mut decided = Decided::default();
    let mut decisions = Vec::with_capacity(charges.len());
    for new in charges {
        let decision = if closed.contains(&new.order_id) {
            Decision::Refused(Refusal::OrderClosed)
        } else if let Some(earlier) = decided.decisions.get(&new.order_id) {
            earlier.clone()
        } else {
            let decision = match known.get(&new.order_id) {
                Some(known) if known.state == State::Authorised => Decision::Authorised(Authorisation::from(known)),
                Some(known) if known.state == State::Pending => Decision::Ask(intent(known, new)),
                known => decided.anew(known, new, &mut accounts, now)?,
            };
            decided.decisions.insert(new.order_id, decision.clone());
            decision
        };
        decisions.push(decision);
    }

    store::charge::put(&mut tx, &decided.charges.iter().collect::<Vec<_>>()).await?;
    store::charge::remove_lines(&mut tx, &decided.again).await?;
    store::charge::add_lines(&mut tx, &decided.lines).await?;
    store::account::change(&mut tx, &decided.changes).await?;
    pesan_feed::append(&mut tx, &decided.events).await?;
    tx.commit().await?;
    Ok(decisions)
}

/// What a batch comes to, before it is written.
#[derive(Default)]
struct Decided<'a> {
    decisions: HashMap<Uuid, Decision>,
    charges: Vec<Charge>,
    lines: Vec<(Uuid, &'a ChargeLine)>,
    /// Charges that were refused before: their lines are replaced.
    again: Vec<Uuid>,
    changes: BTreeMap<Uuid, Change>,
    events: Vec<NewEvent>,
}

impl<'a> Decided<'a> {
    fn anew(
        &mut self,
        known: Option<&Charge>,
        new: &'a NewCharge,
        accounts: &mut HashMap<Uuid, Account>,
        now: OffsetDateTime,
    ) -> Result<Decision, Error> {
        let mut charge = Charge::new(new, now);
        if let Some(known) = known {
            charge.version = known.version;
            // A decline is final under its key: the next question needs another one.
            charge.attempt = known.attempt + 1;
            self.again.push(new.order_id);
        }
        let decision = match new.method {
            Method::Provider => {
                charge.state = State::Pending;
                Decision::Ask(intent(&charge, new))
            }
            Method::OnAccount => {
                let account = new.customer_id.and_then(|id| accounts.get_mut(&id));
                let authorised = match account {
                    None => Err(Refusal::NoAccount { currency: new.currency }),
                    Some(account) => account.authorise(charge.money(charge.amount)),
                };
                match authorised {
                    Ok(()) => {
                        charge.state = State::Authorised;
                        if let Some(customer) = new.customer_id {
                            self.changes.entry(customer).or_default().authorised += charge.amount;
                        }
                        let version = charge.next_version();
                        let fact = convert::payment_authorised(&charge)?;
                        self.publish(new, NewEvent::new(new.order_id, version, &fact, new.placed_at));
                        Decision::Authorised(Authorisation::from(&charge))
                    }
                    Err(refusal) => {
                        let version = charge.next_version();
                        let fact = convert::authorisation_declined(new.order_id, &refusal);
                        self.publish(new, NewEvent::new(new.order_id, version, &fact, new.placed_at));
                        Decision::Refused(refusal)
                    }
                }
            }
        };
        if charge.state != State::Refused {
            self.lines.extend(new.lines.iter().map(|line| (new.order_id, line)));
        }
        self.charges.push(charge);
        Ok(decision)
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
    }
}

/// A span of this service in the journey of one order, of which a batch holds many: what its events are traced by.
pub fn own_trace(traceparent: &str) -> Option<String> {
    if traceparent.is_empty() {
        return None;
    }
    let span = tracing::info_span!("authorise", pesan.service = "billing");
    pesan_telemetry::set_parent(&span, traceparent);
    span.in_scope(pesan_telemetry::current_traceparent).or_else(|| Some(traceparent.to_owned()))
}
