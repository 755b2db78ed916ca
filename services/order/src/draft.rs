//! An order that is well formed and about to be placed.

use crate::delivery::Terms;
use crate::order::Hold;
use crate::rule::Verdict;
use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, ReservationPolicy};
use pesan_api::r#type::v1::Address;
use pesan_money::Currency;
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// Who orders, as the caller says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Buyer {
    /// Nobody known.
    Guest,
    /// By Pesan's id.
    Id(Uuid),
    /// By the CRM's id.
    External(String),
}

/// The payment provider's token: never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PaymentToken(pub String);

impl std::fmt::Debug for PaymentToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PaymentToken(…)")
    }
}

/// An order to be placed.
#[derive(Clone, Debug)]
pub struct Draft {
    /// What its id will be, if it is not there yet.
    pub order_id: Uuid,
    /// The caller's id of the request.
    pub request_id: Option<Uuid>,
    /// SHA-256 of the request without its id: tells a repeat from another order.
    pub request_hash: [u8; 32],
    /// Where it comes from.
    pub channel: String,
    /// Its id there.
    pub external_id: Option<String>,
    /// Who orders.
    pub buyer: Buyer,
    /// Of all its amounts; none: it has no amounts, and the channel's holds.
    pub currency: Option<Currency>,
    /// The caller named the currency; else it is the amounts', and must be the channel's.
    pub currency_is_given: bool,
    /// 1 to 10,000.
    pub lines: Vec<DraftLine>,
    /// Off the order as a whole.
    pub order_discount: Discount,
    /// Where it goes; none: the customer's first address.
    pub ship_to: Option<Address>,
    /// None: the channel's, else on account.
    pub payment_method: Option<PaymentMethod>,
    /// For a payment provider.
    pub payment_token: Option<PaymentToken>,
    /// What to do about shortages; none: the channel's, else backorder.
    pub reservation_policy: Option<ReservationPolicy>,
    /// How it is shipped; none: the channel's, else standard.
    pub fulfilment_policy: Option<FulfilmentPolicy>,
    /// None: when it is recorded.
    pub placed_at: Option<OffsetDateTime>,
    /// 0 to 9; none: the channel's, else 5.
    pub priority: Option<i32>,
    /// From where to ship; none: the channel's, else from anywhere.
    pub preferred_location_id: Option<Uuid>,
    /// Empty: the customer's.
    pub sales_rep: String,
    /// The trace it is placed in.
    pub traceparent: Option<String>,
    /// What it says about its delivery; none: nothing.
    pub delivery: Option<Box<Terms>>,
    /// The promise that it redeems.
    pub promise: Option<Box<PromiseToken>>,
}

/// What an order says to get what was promised to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromiseToken {
    /// Of the promise; none: it cannot be one.
    pub token: Option<Uuid>,
    /// Encoded pesan.order.v1.NewOrder: as much of the order as has to be what was promised.
    pub wanted: Vec<u8>,
    /// What was promised, by line, once the promise is found; none before.
    pub prices: Option<Vec<PromisedPrice>>,
    /// When it was promised to leave, or else to arrive, once the promise is found.
    pub promised_at: Option<OffsetDateTime>,
}

/// What the price lists said of a line when it was promised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromisedPrice {
    /// Of one unit; none: nothing, or they were not asked.
    pub list_price: Option<Decimal>,
    /// The list that the promised price is of; none: the price was given.
    pub price_list: Option<Arc<str>>,
}

/// What is taken off an amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discount {
    /// Nothing.
    #[default]
    None,
    /// So much, in whole minor units.
    Amount(Decimal),
    /// So many hundredths of a percent of it, rounded half-even to the minor unit: 1 to 10,000.
    BasisPoints(i32),
}

/// A line to be placed; its number is its place, from 1.
#[derive(Default, Clone, Debug)]
pub struct DraftLine {
    /// The item.
    pub sku: String,
    /// For people.
    pub description: String,
    /// 1 to 1,000,000,000.
    pub quantity: i64,
    /// The price was given; else it is to be found in the price lists, and the amounts follow from it.
    pub is_priced: bool,
    /// Of one base unit.
    pub unit_price: Decimal,
    /// unit_price × quantity, rounded half-even to the minor unit, once.
    pub line_total: Decimal,
    /// As it was asked for.
    pub asked_discount: Discount,
    /// 0 to line_total: what was asked for, and the line's part of the order's discount.
    pub discount: Decimal,
    /// Of `discount`, the line's part of the order's.
    pub order_discount: Decimal,
    /// The list its price is of; none: it was given.
    pub price_list: Option<Arc<str>>,
    /// What the lists say of one unit, where they were asked.
    pub list_price: Option<Decimal>,
    /// Not negative.
    pub tax: Decimal,
}

/// Sums over lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Σ quantities.
    pub units: i64,
    /// Σ line totals.
    pub gross: Decimal,
    /// Σ discounts.
    pub discount: Decimal,
    /// Σ taxes.
    pub tax: Decimal,
}

impl Totals {
    /// Of these lines; none where they do not fit an amount.
    pub fn of(lines: &[DraftLine]) -> Option<Self> {
        lines.iter().try_fold(Self::default(), |sum, line| {
            Some(Self {
                units: sum.units.checked_add(line.quantity)?,
                gross: sum.gross.checked_add(line.line_total)?,
                discount: sum.discount.checked_add(line.discount)?,
                tax: sum.tax.checked_add(line.tax)?,
            })
        })
    }
}

/// A draft with all that it left open decided: ready to be measured by rules, and written.
#[derive(Clone, Debug)]
pub struct Ready<'a> {
    /// What was asked for.
    pub draft: &'a Draft,
    /// None for a guest.
    pub customer_id: Option<Uuid>,
    /// Of all amounts.
    pub currency: Currency,
    /// The draft's, with every price and every discount.
    pub lines: Cow<'a, [DraftLine]>,
    /// Sums over the lines.
    pub totals: Totals,
    /// Of the discount, what is off the order as a whole.
    pub order_discount: Decimal,
    /// The draft's or the customer's.
    pub ship_to: Address,
    /// Decided.
    pub payment_method: PaymentMethod,
    /// Decided.
    pub reservation_policy: ReservationPolicy,
    /// Decided.
    pub fulfilment_policy: FulfilmentPolicy,
    /// Decided.
    pub priority: i32,
    /// The draft's or the channel's.
    pub preferred_location_id: Option<Uuid>,
    /// The draft's or the customer's.
    pub sales_rep: String,
    /// The draft's or now.
    pub placed_at: OffsetDateTime,
    /// Why it must wait. One with holds is not settled until the last one is lifted.
    pub holds: Vec<Hold>,
    /// What the rules said, once they were asked: their holds are among `holds` then, and of a refused order nothing is.
    pub verdict: Verdict,
}

impl Ready<'_> {
    /// Of the newest event of the order once it is written: accepted, and each hold or the refusal.
    pub fn version(&self) -> i64 {
        1 + self.holds.len() as i64 + i64::from(self.verdict.rejection.is_some())
    }

    /// True where nothing holds it and nothing refuses it: it is settled at once.
    pub fn goes_on(&self) -> bool {
        self.holds.is_empty() && self.verdict.rejection.is_none()
    }
}

/// An order that is to be placed for a return.
#[derive(Clone, Debug)]
pub struct NewLinked<'a> {
    /// UUIDv7.
    pub order_id: Uuid,
    /// The return.
    pub return_id: Uuid,
    /// The order that the goods came from.
    pub original: Uuid,
    /// Numbered by place, from 1.
    pub lines: &'a [DraftLine],
    /// Sums over the lines.
    pub totals: Totals,
    /// The payment provider's; empty where nothing is to be paid or it is paid on account.
    pub payment_token: &'a str,
    /// When it counts as placed.
    pub placed_at: OffsetDateTime,
    /// When it is recorded.
    pub recorded_at: OffsetDateTime,
}
