//! Settling a promise: what an order needs from its peers, what their answers come to, and what to do about it when the
//! order may have moved on meanwhile.

use crate::draft::PaymentToken;
use crate::line::LinePromise;
use crate::order::{Action, Rejection, Standing, allows};
use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, ReservationPolicy};
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// A reserve answer older than this is not confirmed any more: inventory lets unconfirmed promises lapse.
pub const STALE_AFTER: Duration = Duration::from_secs(60);

/// An order that waits to be settled, with all that its peers ask for.
#[derive(Clone, Debug)]
pub struct Work {
    /// The order.
    pub order_id: Uuid,
    /// N of "SO-N".
    pub number: i64,
    /// None for a guest.
    pub customer_id: Option<Uuid>,
    /// Of the amounts.
    pub currency: Currency,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// For a payment provider.
    pub payment_token: Option<PaymentToken>,
    /// What to do about shortages.
    pub reservation_policy: ReservationPolicy,
    /// How it is shipped.
    pub fulfilment_policy: FulfilmentPolicy,
    /// Place in the backorder queue.
    pub priority: i32,
    /// When the customer placed it.
    pub placed_at: OffsetDateTime,
    /// The trace it was placed in.
    pub traceparent: Option<String>,
    /// Encoded address.
    pub ship_to: Vec<u8>,
    /// What is ordered, by line number.
    pub lines: Vec<WorkLine>,
    /// Tries that failed.
    pub attempts: i32,
}

/// A line to be settled.
#[derive(Clone, Debug)]
pub struct WorkLine {
    /// From 1.
    pub line_no: i32,
    /// The item.
    pub sku: String,
    /// What is ordered.
    pub quantity: i64,
    /// For all of it.
    pub line_total: Decimal,
    /// For all of it.
    pub discount: Decimal,
    /// For all of it.
    pub tax: Decimal,
}

impl WorkLine {
    /// Line total, discount and tax for `quantity` of what is ordered: the shares that, with those of the rest, sum
    /// exactly.
    pub fn amounts_for(&self, currency: Currency, quantity: i64) -> [Decimal; 3] {
        let amounts = [self.line_total, self.discount, self.tax];
        if quantity == self.quantity {
            return amounts;
        }
        let weights = [Decimal::from(quantity), Decimal::from(self.quantity - quantity)];
        amounts
            .map(|amount| Money::new(currency, amount).allocate(&weights).first().map_or(Decimal::ZERO, |m| m.amount))
    }
}

/// What inventory promises an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Version of inventory's newest fact about the order that the promise includes.
    pub version: i64,
    /// One for each line of the order, by number.
    pub lines: Vec<LinePromise>,
}

impl Promise {
    /// True when it covers exactly the lines and quantities that were asked for.
    pub fn answers(&self, lines: &[WorkLine]) -> bool {
        self.lines.len() == lines.len()
            && self.lines.iter().zip(lines).all(|(promise, line)| {
                promise.line_no == line.line_no
                    && promise.backordered >= 0
                    && promise.refused >= 0
                    && promise.reserved.iter().all(|(_, quantity)| *quantity > 0)
                    && promise.reserved_in_all() + promise.backordered + promise.refused == line.quantity
            })
    }
}

/// What the peers' answers come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Stock and payment are there.
    Confirm(Promise),
    /// Stock is there, but somebody must decide.
    Hold {
        /// What inventory holds meanwhile.
        promise: Promise,
        /// For programs.
        reason: String,
        /// For people.
        note: String,
    },
    /// It cannot be.
    Reject(Vec<Rejection>),
    /// Not known yet: ask again.
    Retry,
}

/// What to do about a fate now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The order moved on: the job has nothing left to do.
    Drop,
    /// Ask again from the start.
    Again,
    /// Write it down.
    Confirm(Promise),
    /// A person holds the order: only remember what inventory holds for it.
    Remember(Promise),
    /// Hold it.
    Hold {
        /// What inventory holds meanwhile.
        promise: Promise,
        /// For programs.
        reason: String,
        /// For people.
        note: String,
    },
    /// Refuse it.
    Reject(Vec<Rejection>),
}

/// What to do about `fate`, learned `age` ago, with an order that stands so now and has read inventory's facts about it
/// up to `inventory_version`.
pub fn step(standing: &Standing, inventory_version: i64, fate: Fate, age: Duration) -> Step {
    if allows(standing.state(), Action::Settle).is_err() {
        return Step::Drop;
    }
    // A promise that inventory has changed since (filled, lapsed) would be written down without the change.
    let is_stale = |promise: &Promise| age > STALE_AFTER || promise.version < inventory_version;
    let is_held = standing.holds > 0;
    match fate {
        Fate::Retry if is_held => Step::Drop, // lifting the hold starts it again
        Fate::Retry => Step::Again,
        Fate::Confirm(promise) | Fate::Hold { promise, .. } if is_stale(&promise) => {
            if is_held {
                Step::Drop
            } else {
                Step::Again
            }
        }
        Fate::Confirm(promise) if is_held => Step::Remember(promise),
        Fate::Confirm(promise) => Step::Confirm(promise),
        Fate::Hold { promise, reason, note } => Step::Hold { promise, reason, note },
        Fate::Reject(rejections) => Step::Reject(rejections),
    }
}
