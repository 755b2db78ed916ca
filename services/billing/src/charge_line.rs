//! A line of a charge: what it comes to, piece by piece.
//!
//! Its pieces stand in a row. Invoices take from its bottom, cancellations from its top, credits again from the bottom of
//! what was invoiced; the amount of any range of pieces is a difference of rounded shares ([`crate::share`]), so that any
//! sequence of partial shipments, cancellations and returns sums to the line to the last minor unit.

use crate::share::between;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};

/// A line of a charge.
#[derive(Clone, Debug, PartialEq)]
pub struct ChargeLine {
    pub line_no: i32,
    pub sku: String,
    /// What was ordered and not refused.
    pub quantity: i64,
    /// For `quantity`: before discount and tax.
    pub line_total: Decimal,
    pub discount: Decimal,
    pub tax: Decimal,
    /// Quantity cancelled, invoiced, credited.
    pub voided: i64,
    pub invoiced: i64,
    pub credited: i64,
    /// Tax credited so far.
    pub credited_tax: Decimal,
    /// Pieces that left at former prices, from the first one on; `line_total`, `discount` and `tax` are those of all
    /// pieces after them.
    pub past: Vec<Past>,
}

/// Pieces that left at a former price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// How many.
    pub pieces: i64,
    /// Of so many that came to `net` and `tax`.
    pub of: i64,
    pub net: Decimal,
    pub tax: Decimal,
}

/// Net and tax of some pieces of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Portion {
    pub net: Decimal,
    pub tax: Decimal,
}

impl Portion {
    /// net + tax.
    pub fn total(self) -> Decimal {
        self.net + self.tax
    }
}

impl ChargeLine {
    /// After discount, before tax.
    pub fn net(&self) -> Decimal {
        self.line_total - self.discount
    }

    /// Neither invoiced nor voided.
    pub fn left(&self) -> i64 {
        self.quantity - self.invoiced - self.voided
    }

    fn pieces(&self, from: i64, upto: i64, exponent: u32) -> Portion {
        let mut portion = Portion::default();
        let mut first = 0;
        let now = Past { pieces: i64::MAX, of: self.quantity - self.kept(), net: self.net(), tax: self.tax };
        for part in self.past.iter().chain([&now]) {
            let within = |piece: i64| (piece - first).clamp(0, part.pieces);
            let (a, b) = (within(from), within(upto));
            if a < b {
                portion.net += between(part.net, a, b, part.of, exponent);
                portion.tax += between(part.tax, a, b, part.of, exponent);
            }
            first = first.saturating_add(part.pieces);
        }
        portion
    }

    /// Pieces that have former prices.
    fn kept(&self) -> i64 {
        self.past.iter().map(|past| past.pieces).sum()
    }

    /// What the pieces that are neither invoiced nor voided come to.
    pub fn open(&self, exponent: u32) -> Portion {
        self.pieces(self.invoiced, self.quantity - self.voided, exponent)
    }

    /// Gives all pieces after the first `kept` another price: together they come to `line_total`, `discount` and `tax`. By
    /// how much the line becomes dearer. None where some of them are invoiced, or none are left.
    pub fn reprice(&mut self, kept: i64, [line_total, discount, tax]: [Decimal; 3], exponent: u32) -> Option<Decimal> {
        let (before, left) = (self.kept(), self.quantity - self.voided - kept);
        if self.invoiced > kept || kept < before || left < 1 {
            return None;
        }
        let old = self.pieces(kept, kept + left, exponent);
        if kept > before {
            let of = self.quantity - before;
            self.past.push(Past { pieces: kept - before, of, net: self.net(), tax: self.tax });
        }
        self.quantity = kept + left;
        self.voided = 0;
        (self.line_total, self.discount, self.tax) = (line_total, discount, tax);
        Some(line_total - discount + tax - old.total())
    }

    /// Invoices the next `quantity` pieces. None where so many are not left.
    pub fn invoice(&mut self, quantity: i64, exponent: u32) -> Option<Portion> {
        if quantity < 1 || quantity > self.left() {
            return None;
        }
        let portion = self.pieces(self.invoiced, self.invoiced + quantity, exponent);
        self.invoiced += quantity;
        Some(portion)
    }

    /// Lets go of the last `quantity` pieces that are left, or of as many as there are.
    pub fn void(&mut self, quantity: i64, exponent: u32) -> Portion {
        let quantity = quantity.min(self.left()).max(0);
        let top = self.quantity - self.voided;
        self.voided += quantity;
        self.pieces(top - quantity, top, exponent)
    }

    /// Credits the next `quantity` invoiced pieces: their share, or `credit` (net) where somebody decided otherwise; its
    /// tax is in proportion to the line's. Tax is never credited beyond what was invoiced. None where fewer pieces are
    /// invoiced and not credited.
    pub fn credit(&mut self, quantity: i64, credit: Option<Decimal>, exponent: u32) -> Option<Portion> {
        if quantity < 1 || quantity > self.invoiced - self.credited {
            return None;
        }
        let share = self.pieces(self.credited, self.credited + quantity, exponent);
        let mut portion = match credit {
            None => share,
            Some(net) => Portion { net, tax: proportional(self.tax, net, self.net(), exponent).unwrap_or(share.tax) },
        };
        portion.tax = portion.tax.min(self.tax_left(exponent));
        self.credited += quantity;
        self.credited_tax += portion.tax;
        Some(portion)
    }

    /// Takes `amount`, with tax, off the price of what was invoiced; its tax is in proportion to the line's, and never beyond
    /// what was invoiced. No piece is credited by it.
    pub fn allow(&mut self, amount: Decimal, exponent: u32) -> Portion {
        let tax = proportional(self.tax, amount, self.net() + self.tax, exponent).unwrap_or_default();
        let tax = tax.min(self.tax_left(exponent));
        self.credited_tax += tax;
        Portion { net: amount - tax, tax }
    }

    /// Tax that was invoiced and not credited.
    fn tax_left(&self, exponent: u32) -> Decimal {
        self.pieces(0, self.invoiced, exponent).tax - self.credited_tax
    }
}

/// tax · net ÷ whole, half-even. None where the whole is nothing, or the product is beyond any tax there is.
fn proportional(tax: Decimal, net: Decimal, whole: Decimal, exponent: u32) -> Option<Decimal> {
    let exact = tax.checked_mul(net)?.checked_div(whole)?;
    Some(exact.round_dp_with_strategy(exponent, RoundingStrategy::MidpointNearestEven))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::dec;

    fn line(quantity: i64, line_total: Decimal, discount: Decimal, tax: Decimal) -> ChargeLine {
        let zero = Decimal::ZERO;
        ChargeLine {
            line_no: 1,
            sku: "A".into(),
            quantity,
            line_total,
            discount,
            tax,
            voided: 0,
            invoiced: 0,
            credited: 0,
            credited_tax: zero,
            past: Vec::new(),
        }
    }

    #[test]
    fn three_for_ten_are_invoiced_piece_by_piece() {
        let mut line = line(3, dec!(12), dec!(2), dec!(1));
        let nets: Vec<_> = (0..3).map(|_| line.invoice(1, 2).unwrap().net).collect();
        assert_eq!(nets, [dec!(3.33), dec!(3.34), dec!(3.33)]);
        assert_eq!(line.invoice(1, 2), None, "nothing is left");
        assert_eq!(line.void(5, 2), Portion::default());
    }

    #[test]
    fn a_new_price_is_for_what_has_not_left() {
        // 3 of 7 at 10.00 have left, 1 is cancelled; the other 3 cost 9.01 from now on.
        let mut line = line(7, dec!(10), dec!(0), dec!(2));
        let left = line.invoice(3, 2).unwrap();
        line.void(1, 2);
        assert_eq!(line.clone().reprice(2, [dec!(9.01), dec!(0), dec!(1)], 2), None, "one of them is invoiced");
        let open = line.open(2);
        let dearer = line.reprice(3, [dec!(9.01), dec!(0), dec!(1)], 2).unwrap();
        assert_eq!(dearer, dec!(10.01) - open.total());
        let mut net = Decimal::ZERO;
        for _ in 0..3 {
            net += line.invoice(1, 2).unwrap().net;
        }
        assert_eq!((net, line.invoice(1, 2)), (dec!(9.01), None));
        // What comes back is credited at the price at which it left.
        assert_eq!(line.credit(3, None, 2), Some(left));
        assert_eq!(line.credit(3, None, 2), Some(Portion { net: dec!(9.01), tax: dec!(1) }));
    }

    #[test]
    fn a_given_credit_replaces_the_share_and_takes_its_tax_along() {
        let mut line = line(4, dec!(100), dec!(0), dec!(20));
        line.invoice(4, 2).unwrap();
        assert_eq!(line.credit(1, Some(dec!(10)), 2), Some(Portion { net: dec!(10), tax: dec!(2) }));
        // More than was charged: the caller's word on the price, but the tax office's on the tax.
        assert_eq!(line.credit(1, Some(dec!(200)), 2), Some(Portion { net: dec!(200), tax: dec!(18) }));
        assert_eq!(line.credit(2, None, 2), Some(Portion { net: dec!(50), tax: dec!(0) }));
        assert_eq!(line.credit(1, None, 2), None, "all is credited");
    }

    #[test]
    fn an_allowance_takes_its_tax_along_and_credits_no_piece() {
        let mut line = line(4, dec!(100), dec!(0), dec!(20));
        line.invoice(4, 2).unwrap();
        assert_eq!(line.allow(dec!(12), 2), Portion { net: dec!(10), tax: dec!(2) });
        assert_eq!((line.credited, line.credited_tax), (0, dec!(2)));
        assert_eq!(
            line.credit(4, None, 2),
            Some(Portion { net: dec!(100), tax: dec!(18) }),
            "never more tax than there was"
        );
        assert_eq!(line.allow(dec!(6), 2), Portion { net: dec!(6), tax: dec!(0) });
    }

    #[test]
    fn a_gift_with_tax_on_it_can_be_credited() {
        let mut line = line(2, dec!(5), dec!(5), dec!(1));
        line.invoice(2, 2).unwrap();
        assert_eq!(line.credit(1, Some(dec!(3)), 2), Some(Portion { net: dec!(3), tax: dec!(0.5) }));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ship(i64),
        Cancel(i64),
        Return(i64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1..20i64).prop_map(Step::Ship),
            (1..20i64).prop_map(Step::Cancel),
            (1..20i64).prop_map(Step::Return),
        ];
        proptest::collection::vec(step, 0..30)
    }

    proptest! {
        /// Whatever happens to a line, its amounts are divided without a rest and nothing is taken twice.
        #[test]
        fn any_sequence_sums_exactly(
            quantity in 1..60i64, total in 0..1_000_000i64, discount in 0..1000i64, tax in 0..100_000i64,
            exponent in prop_oneof![Just(0u32), Just(2), Just(3)], steps in steps(),
        ) {
            let amount = |minor| Decimal::new(minor, exponent);
            let mut line = line(quantity, amount(total), amount(discount.min(total)), amount(tax));
            let (mut invoiced, mut voided, mut credited) = (Portion::default(), Portion::default(), Portion::default());
            let add = |sum: &mut Portion, p: Portion| {
                *sum = Portion { net: sum.net + p.net, tax: sum.tax + p.tax };
                p.net >= Decimal::ZERO && p.tax >= Decimal::ZERO
            };
            for step in steps {
                match step {
                    Step::Ship(n) => {
                        let before = line.left();
                        match line.invoice(n, exponent) {
                            Some(p) => prop_assert!(add(&mut invoiced, p)),
                            None => prop_assert!(n > before),
                        }
                    }
                    Step::Cancel(n) => { let p = line.void(n, exponent); prop_assert!(add(&mut voided, p)); }
                    Step::Return(n) => {
                        if let Some(p) = line.credit(n, None, exponent) { prop_assert!(add(&mut credited, p)); }
                    }
                }
                prop_assert!(credited.net <= invoiced.net && credited.tax <= invoiced.tax);
            }
            // What is left takes exactly the rest.
            let rest = line.left();
            if rest > 0 { add(&mut invoiced, line.invoice(rest, exponent).unwrap()); }
            prop_assert_eq!(invoiced.net + voided.net, line.net());
            prop_assert_eq!(invoiced.tax + voided.tax, line.tax);
            // And what comes back, all of it, is exactly what was invoiced.
            let back = line.invoiced - line.credited;
            if back > 0 { add(&mut credited, line.credit(back, None, exponent).unwrap()); }
            prop_assert_eq!(credited, invoiced);
        }

        /// Given credits are taken as they are; tax stays within what was invoiced.
        #[test]
        fn given_credits_never_give_back_more_tax_than_was_invoiced(
            quantity in 1..20i64, total in 0..100_000i64, tax in 0..10_000i64,
            credits in proptest::collection::vec((1..5i64, proptest::option::of(0..200_000i64)), 0..10),
        ) {
            let mut line = line(quantity, Decimal::new(total, 2), Decimal::ZERO, Decimal::new(tax, 2));
            line.invoice(quantity, 2).unwrap();
            let mut taxes = Decimal::ZERO;
            for (n, credit) in credits {
                let credit = credit.map(|minor| Decimal::new(minor, 2));
                if let Some(p) = line.credit(n, credit, 2) {
                    if let Some(credit) = credit { prop_assert_eq!(p.net, credit); }
                    prop_assert!(p.tax >= Decimal::ZERO);
                    taxes += p.tax;
                }
            }
            prop_assert!(taxes <= line.tax);
            prop_assert_eq!(taxes, line.credited_tax);
        }
    }
}
