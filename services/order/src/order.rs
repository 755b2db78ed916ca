//! An order: what it is, where it stands, and what may be done with it there.

use crate::delivery::{Dates, Delivery};
use crate::line::Line;
use crate::quantities::Quantities;
use pesan_api::order::v1::{FulfilmentPolicy, HoldExpiry, OrderState, PaymentMethod, ReservationPolicy};
use pesan_api::r#type::v1::Address;
use pesan_money::Currency;
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// All that an order's state is derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// When the promise was settled; none before.
    pub confirmed_at: Option<OffsetDateTime>,
    /// Refused, for good.
    pub rejected: bool,
    /// How many holds there are; only before the promise.
    pub holds: i32,
    /// Σ of the lines'.
    pub quantities: Quantities,
}

impl Standing {
    /// The state. The database derives it by the same rule (column `orders.state`).
    pub fn state(&self) -> OrderState {
        let q = &self.quantities;
        if self.rejected {
            OrderState::Rejected
        } else if q.is_cancelled() {
            OrderState::Cancelled
        } else if self.holds > 0 {
            OrderState::OnHold
        } else if self.confirmed_at.is_none() {
            OrderState::Accepted
        } else if q.shipped > 0 && q.shipped + q.cancelled == q.ordered {
            if q.delivered == q.shipped && q.invoiced >= q.shipped {
                OrderState::Completed
            } else {
                OrderState::Shipped
            }
        } else if q.shipped > 0 {
            OrderState::PartiallyShipped
        } else if q.backordered > 0 {
            OrderState::Backordered
        } else {
            OrderState::Confirmed
        }
    }

    /// True once stock and payment are decided, or a person has to decide: PlaceOrder need not wait longer.
    pub fn is_settled(&self) -> bool {
        self.state() != OrderState::Accepted
    }
}

/// What somebody may want to do with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Settle the promise: reserve, authorise, confirm.
    Settle,
    /// Put a hold on it.
    Hold,
    /// Cancel all that has not left.
    CancelAll,
    /// Cancel some of it.
    CancelPart,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The order was rejected or cancelled: it is over.
    Closed,
    /// The promise is settled: too late to hold, nothing to settle.
    AlreadyPromised,
    /// The promise is not settled: too early to divide it.
    PromisePending,
    /// Everything that is not cancelled has left.
    AlreadyShipped,
}

/// Whether an order in `state` allows `action`.
///
/// # Errors
/// The reason why not.
pub fn allows(state: OrderState, action: Action) -> Result<(), Refusal> {
    use Action::{CancelAll, CancelPart, Hold, Settle};
    use OrderState::{
        Accepted, Backordered, Cancelled, Completed, Confirmed, OnHold, PartiallyShipped, Rejected, Shipped,
        Unspecified,
    };
    match (state, action) {
        (Unspecified | Rejected | Cancelled, _) => Err(Refusal::Closed),
        (Accepted | OnHold, Settle | Hold | CancelAll) => Ok(()),
        (Accepted | OnHold, CancelPart) => Err(Refusal::PromisePending),
        (Confirmed | Backordered | PartiallyShipped | Shipped | Completed, Settle | Hold) => {
            Err(Refusal::AlreadyPromised)
        }
        (Confirmed | Backordered | PartiallyShipped, CancelAll | CancelPart) => Ok(()),
        (Shipped | Completed, CancelAll | CancelPart) => Err(Refusal::AlreadyShipped),
    }
}

/// The part of an order that changes, and the little that every change needs to know. One row.
#[derive(Clone, Debug)]
pub struct Head {
    /// Of the order.
    pub order_id: Uuid,
    /// When the customer placed it.
    pub placed_at: OffsetDateTime,
    /// The trace it was placed in.
    pub traceparent: Option<String>,
    /// How it is shipped.
    pub fulfilment_policy: FulfilmentPolicy,
    /// Of its newest event.
    pub version: i64,
    /// Of inventory's newest fact that the quantities include.
    pub inventory_version: i64,
    /// Counts the changes of what is wanted.
    pub amendments: i32,
    /// When the last shipment left.
    pub shipped_at: Option<OffsetDateTime>,
    /// When the last delivery arrived.
    pub delivered_at: Option<OffsetDateTime>,
    /// What keeps it back.
    pub delivery: Delivery,
    /// Where it stands.
    pub standing: Standing,
}

impl Head {
    /// The state it is in.
    pub fn state(&self) -> OrderState {
        self.standing.state()
    }

    /// Counts one more event: its version.
    pub fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }
}

/// An order as clients see it.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its changing part.
    pub head: Head,
    /// N of "SO-N".
    pub number: i64,
    /// Where it came from.
    pub channel: String,
    /// Its id there; empty if none.
    pub external_id: String,
    /// None for a guest.
    pub customer_id: Option<Uuid>,
    /// The customer's id in the CRM; empty for a guest.
    pub customer_external_id: String,
    /// Of all its amounts.
    pub currency: Currency,
    /// Where it goes.
    pub ship_to: Address,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// What to do about shortages.
    pub reservation_policy: ReservationPolicy,
    /// Place in the backorder queue.
    pub priority: i32,
    /// Who looks after it.
    pub sales_rep: String,
    /// When Pesan learned of it.
    pub recorded_at: OffsetDateTime,
    /// Σ line totals.
    pub gross: Decimal,
    /// Σ discounts.
    pub discount: Decimal,
    /// Σ taxes.
    pub tax: Decimal,
    /// Of the discounts, what was off the order as a whole.
    pub order_discount: Decimal,
    /// From where to ship, if it can be.
    pub preferred_location_id: Option<Uuid>,
    /// Put on by rules; sorted.
    pub tags: Vec<String>,
    /// Given by a rule; empty: none.
    pub route: String,
    /// Its lines, by number; empty in a basic view.
    pub lines: Vec<OrderLine>,
    /// Why it waits.
    pub holds: Vec<Hold>,
    /// Why it was refused.
    pub rejections: Vec<Rejection>,
    /// Not to be shipped earlier.
    pub not_before: Option<OffsetDateTime>,
    /// Why nothing more of it is handed to fulfilment; none: there is no block.
    pub delivery_block: Option<String>,
    /// When it was wished for.
    pub requested: Dates,
    /// When it was promised, where it was placed with a promise.
    pub promised: Dates,
    /// The order it was split off from.
    pub split_from: Option<Uuid>,
    /// The return it was placed for.
    pub return_id: Option<Uuid>,
    /// Σ of the goodwill granted on it, with tax.
    pub goodwill: Decimal,
}

/// A line as clients see it.
#[derive(Clone, Debug)]
pub struct OrderLine {
    /// Its changing part.
    pub line: Line,
    /// The item.
    pub sku: String,
    /// For people.
    pub description: String,
    /// Of one base unit.
    pub unit_price: Decimal,
    /// unit_price × ordered, rounded to the minor unit.
    pub line_total: Decimal,
    /// Taken off.
    pub discount: Decimal,
    /// Put on.
    pub tax: Decimal,
    /// How its price came about.
    pub agreed: AgreedPrice,
    /// When it was wished for.
    pub requested: Dates,
    /// When it was promised, where the order was placed with a promise.
    pub promised: Dates,
}

/// How the price of a line came about, as it was when the order was placed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgreedPrice {
    /// The list it is of; none: it was given.
    pub price_list: Option<String>,
    /// What the lists said of one unit, where they were asked.
    pub list_price: Option<Decimal>,
    /// Of the line's discount, its part of the order's.
    pub order_discount: Decimal,
}

/// A reason to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// UUIDv7.
    pub hold_id: Uuid,
    /// For programs.
    pub reason: String,
    /// For people.
    pub note: String,
    /// Who has to decide.
    pub owner: String,
    /// Since when.
    pub placed_at: OffsetDateTime,
    /// When it ends by itself; none: never.
    pub expires_at: Option<OffsetDateTime>,
    /// What becomes of the order then.
    pub on_expiry: HoldExpiry,
    /// The rule that placed it, if one did.
    pub rule: Option<String>,
    /// When it is looked at next, to let it expire or to ask its rule; none: never.
    pub due_at: Option<OffsetDateTime>,
}

impl Hold {
    /// One that stays until a hand lifts it.
    pub fn new(
        reason: impl Into<String>,
        note: impl Into<String>,
        owner: impl Into<String>,
        placed_at: OffsetDateTime,
    ) -> Self {
        Self {
            hold_id: Uuid::now_v7(),
            reason: reason.into(),
            note: note.into(),
            owner: owner.into(),
            placed_at,
            expires_at: None,
            on_expiry: HoldExpiry::Release,
            rule: None,
            due_at: None,
        }
    }
}

/// A reason why an order was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Path in the order; empty: the order as a whole.
    pub field: String,
    /// For programs.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// What a list of orders is limited to; empty or none: not at all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Any of these.
    pub states: Vec<OrderState>,
    /// Of this customer.
    pub customer_id: Option<Uuid>,
    /// From this channel.
    pub channel: Option<String>,
    /// Placed at or after.
    pub placed_from: Option<OffsetDateTime>,
    /// Placed before.
    pub placed_to: Option<OffsetDateTime>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn standing(quantities: Quantities) -> Standing {
        Standing { confirmed_at: Some(OffsetDateTime::UNIX_EPOCH), rejected: false, holds: 0, quantities }
    }

    #[test]
    fn the_state_follows_from_where_the_order_stands() {
        use OrderState::*;
        let q = |reserved, backordered, cancelled, shipped, delivered, invoiced| Quantities {
            ordered: 10,
            reserved,
            backordered,
            cancelled,
            shipped,
            delivered,
            invoiced,
            ..Quantities::default()
        };
        for (quantities, state) in [
            (q(10, 0, 0, 0, 0, 0), Confirmed),
            (q(8, 2, 0, 0, 0, 0), Backordered),
            (q(8, 0, 2, 0, 0, 0), Confirmed),
            (q(0, 0, 10, 0, 0, 0), Cancelled),
            (q(6, 0, 0, 4, 0, 0), PartiallyShipped),
            (q(0, 6, 0, 4, 4, 4), PartiallyShipped),
            (q(0, 0, 0, 10, 0, 0), Shipped),
            (q(0, 0, 6, 4, 4, 0), Shipped),
            (q(0, 0, 6, 4, 3, 4), Shipped),
            (q(0, 0, 6, 4, 4, 4), Completed),
            (q(0, 0, 0, 10, 10, 10), Completed),
        ] {
            assert_eq!(standing(quantities).state(), state, "{quantities:?}");
        }
        let fresh = Standing { confirmed_at: None, ..standing(q(0, 0, 0, 0, 0, 0)) };
        assert_eq!(fresh.state(), Accepted);
        assert_eq!(Standing { holds: 1, ..fresh }.state(), OnHold);
        assert_eq!(Standing { holds: 1, rejected: true, ..fresh }.state(), Rejected);
        assert!(!fresh.is_settled() && Standing { holds: 1, ..fresh }.is_settled());
    }

    #[test]
    fn every_state_answers_every_action() {
        use Action::*;
        use OrderState::*;
        use Refusal::*;
        let closed = [Err(Closed); 4];
        let open = [Ok(()), Ok(()), Ok(()), Err(PromisePending)];
        let promised = [Err(AlreadyPromised), Err(AlreadyPromised), Ok(()), Ok(())];
        let gone = [Err(AlreadyPromised), Err(AlreadyPromised), Err(AlreadyShipped), Err(AlreadyShipped)];
        for (state, answers) in [
            (Unspecified, closed),
            (Rejected, closed),
            (Cancelled, closed),
            (Accepted, open),
            (OnHold, open),
            (Confirmed, promised),
            (Backordered, promised),
            (PartiallyShipped, promised),
            (Shipped, gone),
            (Completed, gone),
        ] {
            assert_eq!([Settle, Hold, CancelAll, CancelPart].map(|action| allows(state, action)), answers, "{state:?}");
        }
    }

    proptest! {
        #[test]
        fn an_order_that_is_not_over_waits_for_something_that_has_a_name(
            parts in prop::array::uniform4(0i64..4), delivered in 0i64..4, invoiced in 0i64..16,
        ) {
            let [reserved, backordered, cancelled, shipped] = parts;
            let ordered = reserved + backordered + cancelled + shipped;
            prop_assume!(ordered > 0);
            let delivered = delivered.min(shipped);
            let invoiced = invoiced.min(ordered);
            let quantities = Quantities {
                ordered, reserved, backordered, cancelled, shipped, delivered, invoiced, ..Quantities::default()
            };
            let is_over = matches!(standing(quantities).state(), OrderState::Completed | OrderState::Cancelled);
            let waits = reserved > 0 || backordered > 0 || shipped > delivered || shipped > invoiced;
            prop_assert_eq!(is_over, !waits);
        }
    }
}
