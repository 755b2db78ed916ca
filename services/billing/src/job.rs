//! What is to be asked of the payment provider after goods or orders moved, and when it is tried again.

use crate::charge::Charge;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobKind {
    /// Take the money of an invoice.
    Capture,
    /// Give back the money of a credit note.
    Refund,
    /// Let go of authorised money.
    Void,
}

/// One thing to be asked; its id is the provider's idempotency key.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Ascending in the order in which the jobs of an order are to be done.
    pub id: Uuid,
    pub order_id: Uuid,
    pub kind: JobKind,
    /// Of the authorisation, at the provider.
    pub reference: String,
    /// The invoice or credit note; none for a void.
    pub document_id: Option<Uuid>,
    pub currency: Currency,
    pub amount: Decimal,
    /// That of its cause.
    pub effective_at: OffsetDateTime,
    /// Of the order's journey.
    pub traceparent: String,
    /// Times it was begun.
    pub attempts: i32,
}

impl Job {
    /// Its amount in its currency.
    pub fn money(&self, amount: Decimal) -> Money {
        Money::new(self.currency, amount)
    }

    /// A job on the authorisation that a charge has now.
    pub fn new(
        kind: JobKind,
        charge: &Charge,
        document_id: Option<Uuid>,
        amount: Decimal,
        effective_at: OffsetDateTime,
        traceparent: &str,
    ) -> Self {
        Self {
            id: Uuid::now_v7(),
            order_id: charge.order_id,
            kind,
            reference: charge.provider_reference.clone().unwrap_or_default(),
            document_id,
            currency: charge.currency,
            amount,
            effective_at,
            traceparent: traceparent.to_owned(),
            attempts: 0,
        }
    }
}

/// How often a job is begun before a person has to look: with [`pause`], about two days.
pub const MOST_ATTEMPTS: i32 = 100;

/// The pause after the `attempts`-th failure: a random part (`jitter`, 0 to 1) of 0.2 s doubled each time, at most
/// 30 minutes. Full jitter, so that what failed together is not tried again together.
pub fn pause(attempts: i32, jitter: f64) -> Duration {
    let ceiling = 0.2 * 2f64.powi(attempts.clamp(1, 30) - 1);
    Duration::from_secs_f64(ceiling.min(1800.0) * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_half_an_hour_and_are_spread() {
        assert_eq!(pause(1, 1.0), Duration::from_millis(200));
        assert_eq!(pause(3, 1.0), Duration::from_millis(800));
        assert_eq!(pause(3, 0.5), Duration::from_millis(400));
        assert_eq!(pause(i32::MAX, 1.0), Duration::from_secs(1800));
        assert_eq!(pause(9, 0.0), Duration::ZERO);
        let all: Duration = (1..MOST_ATTEMPTS).map(|n| pause(n, 0.5)).sum();
        assert!(all > Duration::from_secs(20 * 3600), "a provider may be away for most of a day: {all:?}");
    }
}
