//! What an order comes to: prices of lines that give none, discounts of lines and of the order, and given prices measured
//! by the lists.

use crate::draft::{Discount, Draft, DraftLine, PromisedPrice, Totals};
use crate::price::list::{Listed, find};
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::sync::Arc;

/// An amount that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Amiss {
    /// Price times quantity.
    #[error("makes the line total too large")]
    LineTooLarge,
    /// A line's discount.
    #[error("must not be more than the line total, {0}")]
    DiscountTooLarge(Decimal),
    /// The order's discount.
    #[error("must not be more than the lines come to after their own discounts, {0}")]
    OrderDiscountTooLarge(Decimal),
    /// All lines together.
    #[error("add up to more than an amount can hold")]
    SumTooLarge,
}

impl Amiss {
    /// The field to blame: of a line, or of the order.
    pub fn field(self) -> &'static str {
        match self {
            Self::LineTooLarge => "quantity",
            Self::DiscountTooLarge(_) => "discount",
            Self::OrderDiscountTooLarge(_) => "order_discount",
            Self::SumTooLarge => "lines",
        }
    }
}

/// Computes the total and the own discount of a line that has its price.
///
/// # Errors
/// Where they cannot be.
pub fn complete_line(currency: Currency, line: &mut DraftLine) -> Result<(), Amiss> {
    let total = Money::line_total(currency, line.unit_price, line.quantity).ok();
    let total = total.filter(|total| total.to_units_nanos().is_ok()).ok_or(Amiss::LineTooLarge)?;
    line.line_total = total.amount;
    line.discount =
        off(line.asked_discount, total).filter(|d| *d <= total.amount).ok_or(Amiss::DiscountTooLarge(total.amount))?;
    Ok(())
}

/// What a discount takes off an amount.
fn off(discount: Discount, amount: Money) -> Option<Decimal> {
    match discount {
        Discount::None => Some(Decimal::ZERO),
        Discount::Amount(off) => Some(off),
        Discount::BasisPoints(share) => amount.times(Decimal::new(share.into(), 4)).ok().map(|off| off.amount),
    }
}

/// Sums that fit their proto form, and so every share of them does.
///
/// # Errors
/// Where they do not.
pub fn totals(lines: &[DraftLine]) -> Result<Totals, Amiss> {
    let most = Decimal::from(i64::MAX);
    Totals::of(lines).filter(|totals| totals.gross + totals.tax < most).ok_or(Amiss::SumTooLarge)
}

/// A given price that is too far from the lists'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deviation {
    /// Of the line, from 0.
    pub place: usize,
    /// What was given.
    pub given: Decimal,
    /// What the lists say.
    pub listed: Decimal,
    /// The list that says so.
    pub list: Arc<str>,
}

/// What an order comes to.
#[derive(Clone, Debug)]
pub struct Agreed<'a> {
    /// With all amounts.
    pub lines: Cow<'a, [DraftLine]>,
    /// Sums over them.
    pub totals: Totals,
    /// Off the order as a whole, and in the lines' discounts already.
    pub order_discount: Decimal,
    /// Lines whose given price deviates.
    pub deviations: Vec<Deviation>,
}

/// Why an order comes to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// Lines, from 0, that give no price and are in no list.
    NoPrice(Vec<usize>),
    /// An amount of a line, from 0, or of the order cannot be.
    Amiss(Option<usize>, Amiss),
}

/// What says what a unit costs.
#[derive(Clone, Copy, Debug)]
pub enum Prices<'a> {
    /// The lists that hold for the order, in their order.
    Lists(&'a [&'a Listed]),
    /// What was promised of each line.
    Promised(&'a [PromisedPrice]),
}

impl Prices<'_> {
    /// The price of a unit of a line, and what says so.
    fn of(&self, place: usize, line: &DraftLine) -> Option<(Decimal, Arc<str>)> {
        match self {
            Self::Lists(lists) => {
                find(lists, &line.sku, line.quantity).map(|found| (found.unit_price, found.list.code.clone()))
            }
            Self::Promised(prices) => {
                let promised = prices.get(place)?;
                let said_by = promised.price_list.clone().unwrap_or_else(|| "as promised".into());
                Some((promised.list_price?, said_by))
            }
        }
    }
}

/// Prices the lines that give no price, measures those that do if there is a `tolerance` (hundredths of a percent of what
/// `prices` say), and spreads the order's discount over the lines
/// in proportion to what they come to after their own discounts, exactly.
///
/// # Errors
/// See [`Disagreement`].
pub fn agree<'a>(
    draft: &'a Draft,
    currency: Currency,
    prices: Prices<'_>,
    tolerance: Option<i32>,
) -> Result<Agreed<'a>, Disagreement> {
    let is_measured = tolerance.is_some() && !matches!(prices, Prices::Lists([]));
    let is_complete = draft.lines.iter().all(|line| line.is_priced);
    let whole = |amiss| Disagreement::Amiss(None, amiss);
    if is_complete && !is_measured && draft.order_discount == Discount::None {
        let totals = totals(&draft.lines).map_err(whole)?;
        let lines = Cow::Borrowed(draft.lines.as_slice());
        return Ok(Agreed { lines, totals, order_discount: Decimal::ZERO, deviations: Vec::new() });
    }
    let mut lines = draft.lines.clone();
    let (mut deviations, mut without) = (Vec::new(), Vec::new());
    for (place, line) in lines.iter_mut().enumerate() {
        if line.is_priced && !is_measured {
            continue;
        }
        let Some((unit_price, said_by)) = prices.of(place, line) else {
            if !line.is_priced {
                without.push(place);
            }
            continue; // nothing to measure a given price by
        };
        line.list_price = Some(unit_price);
        if !line.is_priced {
            line.unit_price = unit_price;
            line.price_list = Some(said_by);
            complete_line(currency, line).map_err(|amiss| Disagreement::Amiss(Some(place), amiss))?;
        } else if tolerance.is_some_and(|tolerance| deviates(line.unit_price, unit_price, tolerance)) {
            deviations.push(Deviation { place, given: line.unit_price, listed: unit_price, list: said_by });
        }
    }
    if !without.is_empty() {
        return Err(Disagreement::NoPrice(without));
    }
    totals(&lines).map_err(whole)?;
    let order_discount = spread(currency, &mut lines, draft.order_discount).map_err(whole)?;
    let totals = totals(&lines).map_err(whole)?;
    Ok(Agreed { lines: Cow::Owned(lines), totals, order_discount, deviations })
}

fn deviates(given: Decimal, listed: Decimal, tolerance: i32) -> bool {
    let tolerated = listed.checked_mul(Decimal::new(tolerance.into(), 4));
    tolerated.is_none_or(|tolerated| (given - listed).abs() > tolerated)
}

/// Spreads the order's discount over its lines: what it is. No line gets more than it comes to, because the whole is not
/// more than all lines come to, and a part is the exact share rounded up at most.
fn spread(currency: Currency, lines: &mut [DraftLine], discount: Discount) -> Result<Decimal, Amiss> {
    if discount == Discount::None {
        return Ok(Decimal::ZERO);
    }
    let nets: Vec<Decimal> = lines.iter().map(|line| line.line_total - line.discount).collect();
    let net: Decimal = nets.iter().sum();
    let off =
        off(discount, Money::new(currency, net)).filter(|off| *off <= net).ok_or(Amiss::OrderDiscountTooLarge(net))?;
    for (line, part) in lines.iter_mut().zip(Money::new(currency, off).allocate(&nets)) {
        line.order_discount = part.amount;
        line.discount += part.amount;
    }
    Ok(off)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::Buyer;
    use crate::price::list::{Entry, PriceList, Table, Terms};
    use pesan_money::slice;
    use proptest::prelude::*;
    use rust_decimal::dec;
    use uuid::Uuid;

    fn eur() -> Currency {
        "EUR".parse().unwrap()
    }

    fn draft(lines: Vec<DraftLine>, order_discount: Discount) -> Draft {
        Draft {
            order_id: Uuid::nil(),
            request_id: None,
            request_hash: [0; 32],
            channel: "web".into(),
            external_id: None,
            buyer: Buyer::Guest,
            currency: Some(eur()),
            currency_is_given: true,
            lines,
            order_discount,
            ship_to: None,
            payment_method: None,
            payment_token: None,
            reservation_policy: None,
            fulfilment_policy: None,
            placed_at: None,
            priority: None,
            preferred_location_id: None,
            sales_rep: String::new(),
            traceparent: None,
            delivery: None,
            promise: None,
        }
    }

    /// A line as it is read: with its amounts if it has a price.
    fn line(sku: &str, quantity: i64, unit_price: Option<Decimal>, asked_discount: Discount) -> DraftLine {
        let mut line = DraftLine { sku: sku.into(), quantity, asked_discount, ..DraftLine::default() };
        if let Some(unit_price) = unit_price {
            (line.is_priced, line.unit_price) = (true, unit_price);
            complete_line(eur(), &mut line).unwrap();
        }
        line
    }

    fn list() -> Listed {
        let terms = Terms {
            name: String::new(),
            currency: eur(),
            channels: vec![],
            segments: vec![],
            valid_from: None,
            valid_until: None,
            rank: 0,
            retired: false,
        };
        let entry = |sku: &str, unit_price| Entry { sku: sku.into(), min_quantity: 1, unit_price };
        Listed {
            list: PriceList { code: "EUR".into(), version: 1, terms, entry_count: 2 },
            table: Table::of([entry("TEA", dec!(10)), entry("CUP", dec!(0.333))]),
        }
    }

    #[test]
    fn lines_without_a_price_get_the_lists_and_their_discounts_follow() {
        let asked = draft(
            vec![
                line("TEA", 2, None, Discount::BasisPoints(1_250)),
                line("CUP", 3, None, Discount::Amount(dec!(0.10))),
                line("POT", 1, Some(dec!(5)), Discount::None),
            ],
            Discount::None,
        );
        let list = list();
        let agreed = agree(&asked, eur(), Prices::Lists(&[&list]), None).unwrap();
        let amounts: Vec<_> =
            agreed.lines.iter().map(|l| (l.line_total, l.discount, l.price_list.as_deref())).collect();
        let expected =
            [(dec!(20), dec!(2.50), Some("EUR")), (dec!(1.00), dec!(0.10), Some("EUR")), (dec!(5), dec!(0), None)];
        assert_eq!(amounts, expected);
        assert_eq!(agreed.lines[2].list_price, None, "a given price is not measured unless asked");
        assert_eq!((agreed.totals.gross, agreed.totals.discount), (dec!(26), dec!(2.60)));
        assert_eq!(agree(&asked, eur(), Prices::Lists(&[]), None).unwrap_err(), Disagreement::NoPrice(vec![0, 1]));
        let too_much = draft(vec![line("CUP", 1, None, Discount::Amount(dec!(0.34)))], Discount::None);
        let refused = agree(&too_much, eur(), Prices::Lists(&[&list]), None).unwrap_err();
        assert_eq!(refused, Disagreement::Amiss(Some(0), Amiss::DiscountTooLarge(dec!(0.33))));
    }

    #[test]
    fn a_given_price_deviates_beyond_the_tolerance_either_way() {
        let list = list();
        for (given, tolerance, is_deviation) in [
            (dec!(10), 0, false),
            (dec!(10.000001), 0, true),
            (dec!(9.75), 250, false),
            (dec!(10.25), 250, false),
            (dec!(9.7499), 250, true),
            (dec!(10.2501), 250, true),
            (dec!(0), 10_000, false),
            (dec!(20.01), 10_000, true),
        ] {
            let asked = draft(vec![line("TEA", 1, Some(given), Discount::None)], Discount::None);
            let agreed = agree(&asked, eur(), Prices::Lists(&[&list]), Some(tolerance)).unwrap();
            assert_eq!(!agreed.deviations.is_empty(), is_deviation, "{given} {tolerance}");
            assert_eq!(agreed.lines[0].list_price, Some(dec!(10)));
            assert_eq!(agreed.lines[0].price_list, None, "the price stays the given one");
        }
        let unlisted = draft(vec![line("POT", 1, Some(dec!(3)), Discount::None)], Discount::None);
        assert!(agree(&unlisted, eur(), Prices::Lists(&[&list]), Some(0)).unwrap().deviations.is_empty());
    }

    #[test]
    fn an_order_discount_is_at_most_what_is_left_to_pay() {
        let half = Discount::BasisPoints(5_000);
        let lines = vec![line("A", 1, Some(dec!(10)), half), line("B", 1, Some(dec!(5)), Discount::None)];
        let all = draft(lines.clone(), Discount::Amount(dec!(10)));
        let agreed = agree(&all, eur(), Prices::Lists(&[]), None).unwrap();
        assert_eq!((agreed.order_discount, agreed.totals.discount), (dec!(10), dec!(15)));
        let more = draft(lines, Discount::Amount(dec!(10.01)));
        let refused = agree(&more, eur(), Prices::Lists(&[]), None).unwrap_err();
        assert_eq!(refused, Disagreement::Amiss(None, Amiss::OrderDiscountTooLarge(dec!(10))));
    }

    proptest! {
        /// The parts of an order's discount sum to it, no line pays less than nothing, and however the units of a line are
        /// then divided, their slices of its discount sum to the line's discount.
        #[test]
        fn a_discount_is_spread_and_sliced_without_a_rest(
            lines in prop::collection::vec((1..50i64, 0..100_000i64, 0..=10_000i32), 1..12),
            share in 1..=10_000i32, as_amount: bool, cuts in prop::collection::vec(0..50i64, 0..5),
        ) {
            let lines = lines.iter().map(|(quantity, mills, share)| {
                let own = if *share == 0 { Discount::None } else { Discount::BasisPoints(*share) };
                line("A", *quantity, Some(Decimal::new(*mills, 3)), own)
            });
            let lines: Vec<_> = lines.collect();
            let net: Decimal = lines.iter().map(|line| line.line_total - line.discount).sum();
            let asked = if as_amount {
                let amount = Money::new(eur(), net).times(Decimal::new(share.into(), 4)).unwrap();
                Discount::Amount(amount.amount)
            } else {
                Discount::BasisPoints(share)
            };
            let before: Decimal = lines.iter().map(|line| line.discount).sum();
            let asked = draft(lines, asked);
            let agreed = agree(&asked, eur(), Prices::Lists(&[]), None).unwrap();
            let parts: Decimal = agreed.lines.iter().map(|line| line.order_discount).sum();
            prop_assert_eq!(parts, agreed.order_discount);
            prop_assert_eq!(agreed.totals.discount, before + parts);
            for line in agreed.lines.iter() {
                prop_assert!(line.discount >= Decimal::ZERO && line.discount <= line.line_total);
                let mut ends: Vec<i64> = cuts.iter().map(|cut| cut % (line.quantity + 1)).collect();
                ends.extend([0, line.quantity]);
                ends.sort_unstable();
                let slices: Decimal =
                    ends.windows(2).map(|w| slice::between(line.discount, w[0], w[1], line.quantity, 2)).sum();
                prop_assert_eq!(slices, line.discount);
            }
        }
    }
}
