//! An order that is well formed and about to be placed.

use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, ReservationPolicy};
use pesan_api::r#type::v1::Address;
use pesan_money::Currency;
use rust_decimal::Decimal;
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
    /// SHA-256 of the request.
    pub request_hash: [u8; 32],
    /// Where it comes from.
    pub channel: String,
    /// Its id there.
    pub external_id: Option<String>,
    /// Who orders.
    pub buyer: Buyer,
    /// Of all its amounts.
    pub currency: Currency,
    /// 1 to 10,000.
    pub lines: Vec<DraftLine>,
    /// Where it goes; none: the customer's first address.
    pub ship_to: Option<Address>,
    /// None: on account.
    pub payment_method: Option<PaymentMethod>,
    /// For a payment provider.
    pub payment_token: Option<PaymentToken>,
    /// What to do about shortages.
    pub reservation_policy: ReservationPolicy,
    /// How it is shipped.
    pub fulfilment_policy: FulfilmentPolicy,
    /// None: when it is recorded.
    pub placed_at: Option<OffsetDateTime>,
    /// 0 to 9.
    pub priority: i32,
    /// Empty: the customer's.
    pub sales_rep: String,
    /// The trace it is placed in.
    pub traceparent: Option<String>,
    /// Sums over the lines.
    pub totals: Totals,
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
    /// Of one base unit.
    pub unit_price: Decimal,
    /// unit_price × quantity, rounded half-even to the minor unit, once.
    pub line_total: Decimal,
    /// 0 to line_total.
    pub discount: Decimal,
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

/// A draft whose customer is known: ready to be written.
#[derive(Clone, Debug)]
pub struct Ready<'a> {
    /// What was asked for.
    pub draft: &'a Draft,
    /// None for a guest.
    pub customer_id: Option<Uuid>,
    /// The draft's or the customer's.
    pub ship_to: Address,
    /// Decided.
    pub payment_method: PaymentMethod,
    /// The draft's or the customer's.
    pub sales_rep: String,
    /// The draft's or now.
    pub placed_at: OffsetDateTime,
}
