//! Settling a promise: what an order needs from its peers, what their answers come to, and what to do about it when the
//! order may have moved on meanwhile.

use crate::draft::PaymentToken;
use crate::line::LinePromise;
use crate::order::{Action, Rejection, Standing, allows};
use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, ReservationPolicy};
use pesan_api::r#type::v1::Address;
use pesan_money::{Currency, slice};
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
    /// Counts the changes of what is wanted; the round is for this one.
    pub amendments: i32,
    /// Where it goes, where the address tells.
    pub destination: Option<Destination>,
    /// All of it leaves together.
    pub ship_complete: bool,
    /// Not to be shipped earlier.
    pub not_before: Option<OffsetDateTime>,
    /// When it is promised to leave, or else to arrive: the place in the backorder queue among those of its priority.
    pub promised_at: Option<OffsetDateTime>,
    /// Where it came from.
    pub channel: String,
    /// From where to ship, if it can be.
    pub preferred_location_id: Option<Uuid>,
    /// What is ordered, by line number.
    pub lines: Vec<WorkLine>,
    /// Tries that failed.
    pub attempts: i32,
}

/// A place on earth.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// Degrees, WGS 84.
    pub latitude: f64,
    /// Degrees, WGS 84.
    pub longitude: f64,
    /// For information.
    pub country: String,
}

impl Destination {
    /// Of an address that tells its coordinates: without them distance does not count.
    pub fn of(address: &Address) -> Option<Self> {
        let (latitude, longitude) = (address.latitude?, address.longitude?);
        Some(Self { latitude, longitude, country: address.country.clone() })
    }
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
    /// Line total, discount and tax of the first `quantity` units of what is ordered; with the slices of the others they
    /// sum exactly.
    pub fn amounts_for(&self, currency: Currency, quantity: i64) -> [Decimal; 3] {
        [self.line_total, self.discount, self.tax]
            .map(|amount| slice::cumulative(amount, quantity, self.quantity, currency.exponent()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantities::Quantities;

    fn standing(holds: i32) -> Standing {
        Standing { confirmed_at: None, rejected: false, holds, quantities: Quantities::of(5) }
    }

    fn promise(version: i64) -> Promise {
        let line = LinePromise { line_no: 1, stocked: true, reserved: vec![], backordered: 5, refused: 0 };
        Promise { version, lines: vec![line] }
    }

    fn rejection() -> Vec<Rejection> {
        vec![Rejection { field: String::new(), reason: "OUT_OF_STOCK".into(), message: String::new() }]
    }

    #[test]
    fn a_fate_is_written_down_only_where_the_order_still_waits_for_it() {
        let confirmed = Standing { confirmed_at: Some(OffsetDateTime::UNIX_EPOCH), ..standing(0) };
        let rejected = Standing { rejected: true, ..standing(0) };
        let cancelled = Standing { quantities: Quantities { cancelled: 5, ..Quantities::of(5) }, ..standing(0) };
        let hold = || Fate::Hold { promise: promise(3), reason: "R".into(), note: "N".into() };
        let held = || Step::Hold { promise: promise(3), reason: "R".into(), note: "N".into() };
        let (soon, late) = (Duration::from_secs(1), STALE_AFTER + Duration::from_secs(1));
        for (standing, inventory_version, fate, age, expected) in [
            (standing(0), 0, Fate::Confirm(promise(3)), soon, Step::Confirm(promise(3))),
            (standing(0), 3, Fate::Confirm(promise(3)), soon, Step::Confirm(promise(3))),
            // Inventory changed the promise, and the order has read that already.
            (standing(0), 4, Fate::Confirm(promise(3)), soon, Step::Again),
            (standing(0), 0, Fate::Confirm(promise(3)), late, Step::Again),
            (standing(0), 0, hold(), soon, held()),
            (standing(0), 0, hold(), late, Step::Again),
            (standing(0), 0, Fate::Reject(rejection()), late, Step::Reject(rejection())),
            (standing(0), 0, Fate::Retry, soon, Step::Again),
            (standing(1), 0, Fate::Confirm(promise(3)), soon, Step::Remember(promise(3))),
            (standing(1), 4, Fate::Confirm(promise(3)), soon, Step::Drop),
            (standing(1), 0, hold(), soon, held()),
            (standing(1), 0, Fate::Reject(rejection()), soon, Step::Reject(rejection())),
            (standing(1), 0, Fate::Retry, soon, Step::Drop),
            (confirmed, 0, Fate::Confirm(promise(3)), soon, Step::Drop),
            (confirmed, 0, Fate::Reject(rejection()), soon, Step::Drop),
            (rejected, 0, Fate::Confirm(promise(3)), soon, Step::Drop),
            (cancelled, 0, Fate::Confirm(promise(3)), soon, Step::Drop),
        ] {
            let case = format!("{standing:?} {fate:?} {age:?}");
            assert_eq!(step(&standing, inventory_version, fate, age), expected, "{case}");
        }
    }

    #[test]
    fn only_an_exact_promise_is_an_answer() {
        let line = |line_no, quantity| WorkLine {
            line_no,
            sku: "TEA".into(),
            quantity,
            line_total: Decimal::new(10_00, 2),
            discount: Decimal::ZERO,
            tax: Decimal::ZERO,
        };
        assert!(promise(1).answers(&[line(1, 5)]));
        assert!(!promise(1).answers(&[line(1, 6)]));
        assert!(!promise(1).answers(&[line(2, 5)]));
        assert!(!promise(1).answers(&[line(1, 5), line(2, 1)]));
        let eur = "EUR".parse().unwrap();
        let [third, ..] = line(1, 3).amounts_for(eur, 1);
        let [rest, ..] = line(1, 3).amounts_for(eur, 2);
        assert_eq!(third + rest, Decimal::new(10_00, 2), "shares sum to the whole");
    }
}
