//! The double-entry ledger: postings made of pairs, so that none can be out of balance.

use crate::document::{Document, Kind};
use pesan_money::Currency;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// An account of the chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LedgerAccount {
    /// Asset: owed to us, by customers on account and, until it is captured, by those who pay through the provider.
    Receivables,
    /// Asset: captured by the payment provider.
    ProviderClearing,
    /// Asset.
    Bank,
    /// Asset: goods in stock.
    Inventory,
    /// Income, net of tax.
    Revenue,
    /// Contra income: credit notes, net of tax.
    SalesReturns,
    /// Contra income: credits without goods, net of tax.
    SalesAllowances,
    /// Liability.
    Tax,
    /// Expense.
    CostOfGoods,
}

/// Why something is posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Invoice,
    Capture,
    Payment,
    CreditNote,
    Refund,
    CostOfGoods,
    CostOfReturn,
}

/// One amount, from the account that is credited to the one that is debited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    pub debit: LedgerAccount,
    pub credit: LedgerAccount,
    /// Positive.
    pub amount: Decimal,
}

/// One balanced entry in one currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Posting {
    pub id: Uuid,
    pub cause: Cause,
    /// The document, order or payment.
    pub reference: Uuid,
    pub currency: Currency,
    pub pairs: Vec<Pair>,
    pub effective_at: OffsetDateTime,
    pub recorded_at: OffsetDateTime,
}

impl Posting {
    /// Debits `debit` and credits `credit`. None where there is nothing to post.
    pub fn simple(
        cause: Cause,
        reference: Uuid,
        (debit, credit): (LedgerAccount, LedgerAccount),
        (currency, amount): (Currency, Decimal),
        effective_at: OffsetDateTime,
        recorded_at: OffsetDateTime,
    ) -> Option<Self> {
        let pairs = pairs([Pair { debit, credit, amount }]);
        (!pairs.is_empty()).then(|| Self {
            id: Uuid::now_v7(),
            cause,
            reference,
            currency,
            pairs,
            effective_at,
            recorded_at,
        })
    }

    /// What issuing a document posts. None for a document over nothing.
    pub fn of_document(document: &Document, recorded_at: OffsetDateTime) -> Option<Self> {
        use LedgerAccount::{Receivables, Revenue, SalesAllowances, SalesReturns, Tax};
        let (cause, pairs) = match document.kind {
            Kind::Invoice => (
                Cause::Invoice,
                pairs([
                    Pair { debit: Receivables, credit: Revenue, amount: document.net },
                    Pair { debit: Receivables, credit: Tax, amount: document.tax },
                ]),
            ),
            Kind::CreditNote => (
                Cause::CreditNote,
                pairs([
                    Pair {
                        debit: if document.allowance { SalesAllowances } else { SalesReturns },
                        credit: Receivables,
                        amount: document.net,
                    },
                    Pair { debit: Tax, credit: Receivables, amount: document.tax },
                ]),
            ),
        };
        (!pairs.is_empty()).then(|| Self {
            id: Uuid::now_v7(),
            cause,
            reference: document.id,
            currency: document.currency,
            pairs,
            effective_at: document.issued_at,
            recorded_at,
        })
    }

    /// What goods that left stock, or with a negative cost came back, cost. None for no cost.
    pub fn of_cost(
        order_id: Uuid,
        currency: Currency,
        cost: Decimal,
        effective_at: OffsetDateTime,
        recorded_at: OffsetDateTime,
    ) -> Option<Self> {
        use LedgerAccount::{CostOfGoods, Inventory};
        let (cause, accounts) = if cost.is_sign_negative() {
            (Cause::CostOfReturn, (Inventory, CostOfGoods))
        } else {
            (Cause::CostOfGoods, (CostOfGoods, Inventory))
        };
        Self::simple(cause, order_id, accounts, (currency, cost.abs()), effective_at, recorded_at)
    }

    /// As a ledger shows it: one amount for each account, debits positive, credits negative; they sum to zero.
    pub fn entries(&self) -> BTreeMap<LedgerAccount, Decimal> {
        let mut entries = BTreeMap::new();
        for pair in &self.pairs {
            *entries.entry(pair.debit).or_default() += pair.amount;
            *entries.entry(pair.credit).or_default() -= pair.amount;
        }
        entries
    }
}

fn pairs<const N: usize>(pairs: [Pair; N]) -> Vec<Pair> {
    pairs.into_iter().filter(|pair| !pair.amount.is_zero()).collect()
}

/// Debits and credits of an account in a currency over a period.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialBalanceRow {
    pub account: LedgerAccount,
    pub currency: Currency,
    pub debit: Decimal,
    pub credit: Decimal,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rust_decimal::dec;

    const AT: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn an_invoice_debits_receivables_with_net_and_tax() {
        use LedgerAccount::{Receivables, Revenue, Tax};
        let receivable = |credit, amount| Pair { debit: Receivables, credit, amount };
        let posting = Posting {
            id: Uuid::now_v7(),
            cause: Cause::Invoice,
            reference: Uuid::now_v7(),
            currency: "EUR".parse().unwrap(),
            pairs: pairs([receivable(Revenue, dec!(10)), receivable(Tax, dec!(2)), receivable(Tax, dec!(0))]),
            effective_at: AT,
            recorded_at: AT,
        };
        let entries = posting.entries();
        assert_eq!(entries.values().sum::<Decimal>(), dec!(0));
        assert_eq!(
            entries.into_iter().collect::<Vec<_>>(),
            [(Receivables, dec!(12)), (Revenue, dec!(-10)), (Tax, dec!(-2))]
        );
    }

    #[test]
    fn a_cost_that_comes_back_is_turned_round_and_none_is_not_posted() {
        let of_cost = |cost| Posting::of_cost(Uuid::nil(), "EUR".parse().unwrap(), cost, AT, AT);
        assert_eq!(of_cost(dec!(0)), None);
        assert_eq!(
            of_cost(dec!(3)).map(|p| (p.cause, p.pairs[0].debit)),
            Some((Cause::CostOfGoods, LedgerAccount::CostOfGoods))
        );
        let back = of_cost(dec!(-3)).unwrap();
        assert_eq!(
            (back.cause, back.pairs[0]),
            (
                Cause::CostOfReturn,
                Pair { debit: LedgerAccount::Inventory, credit: LedgerAccount::CostOfGoods, amount: dec!(3) }
            )
        );
    }
}
