//! A customer's account: credit and what is owed.

use crate::error::Refusal;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// A customer's account.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    /// The order service's customer id.
    pub customer_id: Uuid,
    /// All its amounts are in it.
    pub currency: Currency,
    /// Most that may be owed and authorised at once; none: no limit.
    pub credit_limit: Option<Decimal>,
    /// Days from invoice to due date.
    pub payment_terms_days: i32,
    /// Σ of open invoices less credits; negative where we owe the customer.
    pub receivable: Decimal,
    /// Authorised for orders and not yet invoiced.
    pub authorised: Decimal,
    /// Counts upserts.
    pub version: i64,
    /// Counts the events whose aggregate is the customer.
    pub events: i64,
}

impl Account {
    /// Takes `amount` from the credit that is left, or says why not.
    pub fn authorise(&mut self, amount: Money) -> Result<(), Refusal> {
        if amount.currency != self.currency {
            return Err(Refusal::NoAccount { currency: amount.currency });
        }
        let wanted = self.receivable + self.authorised + amount.amount;
        if let Some(limit) = self.credit_limit
            && wanted > limit
        {
            let limit = Money::new(self.currency, limit);
            return Err(Refusal::CreditLimitExceeded { wanted: Money::new(self.currency, wanted), limit });
        }
        self.authorised += amount.amount;
        Ok(())
    }

    /// When an invoice issued at `issued_at` is due.
    pub fn due_at(&self, issued_at: OffsetDateTime) -> OffsetDateTime {
        issued_at.saturating_add(Duration::days(i64::from(self.payment_terms_days)))
    }
}

/// What a transaction adds to an account's figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Change {
    /// To what is owed.
    pub receivable: Decimal,
    /// To what is authorised.
    pub authorised: Decimal,
    /// To the number of events.
    pub events: i64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::dec;

    fn account(limit: Option<Decimal>) -> Account {
        Account {
            customer_id: Uuid::from_u128(1),
            currency: "EUR".parse().unwrap(),
            credit_limit: limit,
            payment_terms_days: 30,
            receivable: dec!(40),
            authorised: dec!(10),
            version: 1,
            events: 0,
        }
    }

    fn eur(amount: Decimal) -> Money {
        Money::new("EUR".parse().unwrap(), amount)
    }

    #[test]
    fn what_is_owed_and_authorised_counts_against_the_limit() {
        let mut limited = account(Some(dec!(100)));
        assert!(matches!(limited.authorise(eur(dec!(50.01))), Err(Refusal::CreditLimitExceeded { .. })));
        assert_eq!(limited.authorised, dec!(10), "a refusal takes nothing");
        assert_eq!(limited.authorise(eur(dec!(50))), Ok(()));
        assert!(limited.authorise(eur(dec!(0.01))).is_err(), "the last cent is gone");
        assert_eq!(account(None).authorise(eur(dec!(1_000_000_000))), Ok(()));
    }

    #[test]
    fn another_currency_is_no_account() {
        let usd = Money::new("USD".parse().unwrap(), dec!(1));
        assert_eq!(account(None).authorise(usd), Err(Refusal::NoAccount { currency: usd.currency }));
    }

    #[test]
    fn credits_give_room() {
        let mut owed = Account { receivable: dec!(-20), ..account(Some(dec!(0))) };
        assert_eq!(owed.authorise(eur(dec!(10))), Ok(()));
        assert!(owed.authorise(eur(dec!(0.01))).is_err());
    }
}
