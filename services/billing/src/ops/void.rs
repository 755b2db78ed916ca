//! Orders, or lines of them, were cancelled or rejected: what is authorised for them is let go. An order that is gone as
//! a whole is closed for ever: a late request to authorise it finds that.

use crate::account::Change;
use crate::charge::{Method, State};
use crate::charge_line::Portion;
use crate::convert;
use crate::error::Error;
use crate::job::{Job, JobKind};
use crate::ops::invoice::pick;
use crate::store;
use pesan_feed::Event;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// Something of an order that will not be.
#[derive(Debug)]
pub struct Gone<'a> {
    pub event: &'a Event,
    pub order_id: Uuid,
    pub what: What,
}

/// How much of it.
#[derive(Debug)]
pub enum What {
    /// All of it, and why: "cancelled", "rejected".
    Whole(&'static str),
    /// Quantity by line.
    Lines(BTreeMap<i32, i64>),
}

/// Lets go of what is authorised, in order.
pub async fn void(conn: &mut PgConnection, gone: &[Gone<'_>], now: OffsetDateTime) -> Result<(), Error> {
    if gone.is_empty() {
        return Ok(());
    }
    let orders: Vec<Uuid> = gone.iter().map(|g| g.order_id).collect::<BTreeSet<_>>().into_iter().collect();
    let mut charges = store::charge::find(conn, &orders).await?;
    charges.retain(|_, charge| charge.state != State::Refused);
    let held: Vec<Uuid> = charges.keys().copied().collect();
    let mut lines = store::charge_line::find(conn, &held).await?;

    let mut closed = Vec::new();
    let mut moved: BTreeSet<(Uuid, i32)> = BTreeSet::new();
    let mut changes: BTreeMap<Uuid, Change> = BTreeMap::new();
    let (mut jobs, mut events) = (Vec::new(), Vec::new());
    for gone in gone {
        if let What::Whole(reason) = gone.what {
            closed.push((gone.order_id, reason, gone.event.effective_at));
        }
        let Some(charge) = charges.get_mut(&gone.order_id) else { continue };
        let exponent = charge.currency.exponent();
        let mut portion = Portion::default();
        for line in lines.entry(gone.order_id).or_default() {
            let quantity = match &gone.what {
                What::Whole(_) => line.left(),
                // What was cancelled before the charge was asked for is not in it.
                What::Lines(_) if gone.event.version <= charge.order_version => 0,
                What::Lines(quantities) => quantities.get(&line.line_no).copied().unwrap_or_default(),
            };
            if quantity.min(line.left()) > 0 {
                let part = line.void(quantity, exponent);
                portion = Portion { net: portion.net + part.net, tax: portion.tax + part.tax };
                moved.insert((gone.order_id, line.line_no));
            }
        }
        let amount = portion.total();
        charge.voided += amount;
        // While the provider is still being asked nothing is held: `settle` lets go of it when the answer comes.
        if charge.state != State::Authorised || amount == Decimal::ZERO {
            continue;
        }
        if let Some(customer) = charge.account() {
            changes.entry(customer).or_default().authorised -= amount;
        }
        if charge.method == Method::Provider {
            let event = gone.event;
            jobs.push(Job::new(JobKind::Void, charge, None, amount, event.effective_at, &event.traceparent));
        }
        let fact = convert::authorisation_voided(gone.order_id, charge.money(amount))?;
        events.push(gone.event.follow_up(gone.order_id, charge.next_version(), &fact));
    }

    store::charge::close(conn, &closed).await?;
    store::charge_line::advance(conn, &pick(&lines, moved.iter())).await?;
    store::charge::advance(conn, charges.values()).await?;
    store::job::add(conn, &jobs, now).await?;
    let customers: Vec<Uuid> = changes.keys().copied().collect();
    store::account::lock(conn, &customers).await?;
    store::account::change(conn, &changes).await?;
    pesan_feed::append(conn, &events).await?;
    Ok(())
}
