//! The charge of an order: what may be taken for it, and what was.

use crate::charge_line::ChargeLine;
use crate::error::Refusal;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use std::fmt;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// How long whoever asks the provider has the answer to himself. After that a worker finds out what became of it, because
/// the asker may have crashed.
pub const PATIENCE: Duration = Duration::seconds(30);

/// How an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Against the credit limit of the customer's account.
    OnAccount,
    /// Through the payment provider.
    Provider,
}

/// What the authorisation came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The provider was, or is being, asked.
    Pending,
    Authorised,
    /// Nothing is held; asked again, it is decided anew.
    Refused,
}

/// A provider's token for a payment. Its text is never shown and never stored.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct PaymentToken(String);

impl PaymentToken {
    pub fn new(token: String) -> Self {
        Self(token)
    }

    /// The token itself: for the provider only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PaymentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentToken")
    }
}

/// An order that asks to be authorised.
#[derive(Clone, Debug)]
pub struct NewCharge {
    pub order_id: Uuid,
    pub order_number: String,
    /// None: a guest.
    pub customer_id: Option<Uuid>,
    pub currency: Currency,
    pub lines: Vec<ChargeLine>,
    pub method: Method,
    pub token: PaymentToken,
    /// When the customer ordered: the authorisation is effective then.
    pub placed_at: OffsetDateTime,
    /// Of the order's journey; may be empty.
    pub traceparent: String,
    /// Cancellations up to this version of the order are left out of the lines.
    pub order_version: i64,
    /// The promise of stock that the lines follow from.
    pub promise_version: i64,
}

impl NewCharge {
    /// Σ of what its lines' invoices will come to, tax included.
    pub fn amount(&self) -> Decimal {
        self.lines.iter().map(|line| line.net() + line.tax).sum()
    }
}

/// What billing holds about an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    pub order_id: Uuid,
    pub order_number: String,
    /// None: a guest.
    pub customer_id: Option<Uuid>,
    pub currency: Currency,
    pub method: Method,
    pub state: State,
    /// What was asked for, tax included, as all amounts here; authorised where the state says so.
    pub amount: Decimal,
    pub voided: Decimal,
    pub invoiced: Decimal,
    pub captured: Decimal,
    pub credited: Decimal,
    pub refunded: Decimal,
    pub provider_reference: Option<String>,
    /// Counts the times the provider was asked anew after a decline.
    pub attempt: i32,
    /// Cancellations up to this version of the order are left out of the lines.
    pub order_version: i64,
    /// The promise of stock that the lines follow from.
    pub promise_version: i64,
    /// When it was asked for.
    pub asked_at: OffsetDateTime,
    pub placed_at: OffsetDateTime,
    /// Counts the events whose aggregate is the order.
    pub version: i64,
}

impl Charge {
    /// A charge that nothing was decided about.
    pub fn new(new: &NewCharge, now: OffsetDateTime) -> Self {
        Self {
            order_id: new.order_id,
            order_number: new.order_number.clone(),
            customer_id: new.customer_id,
            currency: new.currency,
            method: new.method,
            state: State::Refused,
            amount: new.amount(),
            voided: Decimal::ZERO,
            invoiced: Decimal::ZERO,
            captured: Decimal::ZERO,
            credited: Decimal::ZERO,
            refunded: Decimal::ZERO,
            provider_reference: None,
            attempt: 1,
            order_version: new.order_version,
            promise_version: new.promise_version,
            asked_at: now,
            placed_at: new.placed_at,
            version: 0,
        }
    }

    /// The key under which the provider knows this authorisation: the same however often it is asked.
    pub fn key(&self) -> String {
        authorisation_key(self.order_id, self.attempt)
    }

    /// The account it counts in.
    pub fn account(&self) -> Option<Uuid> {
        self.customer_id.filter(|_| self.method == Method::OnAccount)
    }

    /// Now authorised: what was authorised less what was voided.
    pub fn authorised(&self) -> Decimal {
        if self.state == State::Authorised { self.amount - self.voided } else { Decimal::ZERO }
    }

    /// True where `new` asks for another promise than this charge, which has `lines`, was made for: it has to be decided
    /// anew, as long as nothing came of it.
    pub fn is_outdated_by(&self, new: &NewCharge, lines: &[ChargeLine]) -> bool {
        let same = |(a, b): (&ChargeLine, &ChargeLine)| {
            (a.line_no, a.quantity, a.line_total, a.discount, a.tax)
                == (b.line_no, b.quantity, b.line_total, b.discount, b.tax)
        };
        let untouched = self.invoiced.is_zero() && self.voided.is_zero();
        let is_same = lines.len() == new.lines.len() && lines.iter().zip(&new.lines).all(same);
        new.promise_version > self.promise_version && untouched && !is_same
    }

    /// The number of the next event of the order.
    pub fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }

    pub fn money(&self, amount: Decimal) -> Money {
        Money::new(self.currency, amount)
    }
}

/// The provider's key of the `attempt`-th authorisation of an order.
pub fn authorisation_key(order_id: Uuid, attempt: i32) -> String {
    format!("{order_id}/{attempt}")
}

/// What asking for an authorisation came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Authorised(Authorisation),
    Refused(Refusal),
    /// The provider has to be asked, outside of any transaction.
    Ask(Intent),
}

/// Money that is secured for an order.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorisation {
    pub order_id: Uuid,
    pub amount: Money,
    pub method: Method,
    pub provider_reference: Option<String>,
}

impl From<&Charge> for Authorisation {
    fn from(charge: &Charge) -> Self {
        Self {
            order_id: charge.order_id,
            amount: charge.money(charge.amount),
            method: charge.method,
            provider_reference: charge.provider_reference.clone(),
        }
    }
}

/// What the provider is to be asked. It is durable before the provider is: whatever happens then, its key tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    pub order_id: Uuid,
    pub attempt: i32,
    pub amount: Money,
    pub token: PaymentToken,
    pub traceparent: String,
    /// The provider is still being asked for an earlier promise: that has to be known before the later one is decided.
    pub is_outdated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_nothing() {
        assert_eq!(format!("{:?}", PaymentToken::new("tok_secret".into())), "PaymentToken");
    }
}
