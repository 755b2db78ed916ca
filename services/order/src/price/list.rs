//! Price lists, and which of them holds.
//!
//! A list holds for an order in its currency, of one of its channels and for one of its customer segments (none named:
//! any), placed within its validity. Of those that hold, the first that has the item for the line's quantity gives the
//! price; first is the lower rank, then the list that is made for fewer (channel and segment, segment, channel, all), then
//! the one that began later, then the code. Within a list, the entry with the highest minimum that the quantity reaches.

use pesan_money::Currency;
use rust_decimal::Decimal;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;
use time::OffsetDateTime;

/// What a list is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For people.
    pub name: String,
    /// Of its prices.
    pub currency: Currency,
    /// Empty: all.
    pub channels: Vec<String>,
    /// Of customers; empty: all, and guests.
    pub segments: Vec<String>,
    /// None: since ever.
    pub valid_from: Option<OffsetDateTime>,
    /// Not within; none: for ever.
    pub valid_until: Option<OffsetDateTime>,
    /// Lower goes first.
    pub rank: i32,
    /// Out of use.
    pub retired: bool,
}

/// A list without its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList {
    /// Its name for programs.
    pub code: Arc<str>,
    /// Counts the changes of the list and its entries.
    pub version: i64,
    /// What it is for.
    pub terms: Terms,
    /// How many entries it has.
    pub entry_count: i32,
}

/// A price from a quantity on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The item.
    pub sku: String,
    /// From so many pieces of a line on: 1 or more.
    pub min_quantity: i32,
    /// Of one base unit.
    pub unit_price: Decimal,
}

/// The entries of a list, by item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table(HashMap<Box<str>, Vec<(i32, Decimal)>>);

impl Table {
    /// Of these, in any order.
    pub fn of(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut table: HashMap<Box<str>, Vec<(i32, Decimal)>> = HashMap::new();
        for entry in entries {
            match table.get_mut(entry.sku.as_str()) {
                Some(steps) => steps.push((entry.min_quantity, entry.unit_price)),
                None => drop(table.insert(entry.sku.into(), vec![(entry.min_quantity, entry.unit_price)])),
            }
        }
        for steps in table.values_mut() {
            steps.sort_by_key(|(min_quantity, _)| *min_quantity);
            steps.shrink_to_fit();
        }
        Self(table)
    }

    /// The step that a quantity reaches: its minimum and price.
    fn step(&self, sku: &str, quantity: i64) -> Option<(i32, Decimal)> {
        let steps = self.0.get(sku)?;
        let reached = steps.partition_point(|(min_quantity, _)| i64::from(*min_quantity) <= quantity);
        steps.get(reached.checked_sub(1)?).copied()
    }

    /// The smallest quantity there is a price for.
    fn smallest(&self, sku: &str) -> Option<i32> {
        self.0.get(sku)?.first().map(|(min_quantity, _)| *min_quantity)
    }
}

/// A list with its entries.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is for.
    pub list: PriceList,
    /// What it says.
    pub table: Table,
}

/// What decides which lists hold.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// Of the order.
    pub currency: Currency,
    /// Where the order comes from.
    pub channel: &'a str,
    /// Of the customer; empty: none, or a guest.
    pub segment: &'a str,
    /// When the order was placed.
    pub at: OffsetDateTime,
}

/// Why a list gave the price of a line, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It gave it.
    Applied,
    /// An earlier one gave it.
    Outranked,
    /// It is in another currency.
    OtherCurrency,
    /// It is for other channels.
    OtherChannel,
    /// It is for other customers.
    OtherSegment,
    /// It begins later.
    NotYetValid,
    /// It has ended.
    NoLongerValid,
    /// It does not have the item.
    NotListed,
    /// It has the item for so many pieces or more.
    BelowSmallest(i32),
}

impl Terms {
    /// Why it does not hold; none where it does.
    fn objection(&self, order: &Circumstances<'_>) -> Option<Verdict> {
        let is_for = |those: &[String], one: &str| those.is_empty() || those.iter().any(|each| each == one);
        if self.currency != order.currency {
            Some(Verdict::OtherCurrency)
        } else if !is_for(&self.channels, order.channel) {
            Some(Verdict::OtherChannel)
        } else if !is_for(&self.segments, order.segment) {
            Some(Verdict::OtherSegment)
        } else if self.valid_from.is_some_and(|from| order.at < from) {
            Some(Verdict::NotYetValid)
        } else if self.valid_until.is_some_and(|until| order.at >= until) {
            Some(Verdict::NoLongerValid)
        } else {
            None
        }
    }
}

/// A price that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// In this list.
    pub list: &'a PriceList,
    /// From so many pieces on.
    pub min_quantity: i32,
    /// Of one base unit.
    pub unit_price: Decimal,
}

/// The price of a line, given the lists that hold for its order in their order.
pub fn find<'a>(lists: &[&'a Listed], sku: &str, quantity: i64) -> Option<Found<'a>> {
    lists.iter().find_map(|listed| {
        let (min_quantity, unit_price) = listed.table.step(sku, quantity)?;
        Some(Found { list: &listed.list, min_quantity, unit_price })
    })
}

/// All lists that are in use, first things first.
#[derive(Clone, Debug, Default)]
pub struct PriceBook(Vec<Arc<Listed>>);

impl PriceBook {
    /// Of these, in any order.
    pub fn of(mut lists: Vec<Arc<Listed>>) -> Self {
        lists.sort_by(|a, b| precedence(&a.list).cmp(&precedence(&b.list)));
        Self(lists)
    }

    /// A list in the version that is asked for.
    pub fn get(&self, code: &str, version: i64) -> Option<&Arc<Listed>> {
        self.0.iter().find(|listed| &*listed.list.code == code && listed.list.version == version)
    }

    /// The lists that hold for an order, in their order.
    pub fn lists_for(&self, order: &Circumstances<'_>) -> Vec<&Listed> {
        self.0.iter().map(Arc::as_ref).filter(|listed| listed.list.terms.objection(order).is_none()).collect()
    }

    /// What every list says of a line, in their order.
    pub fn explain(&self, order: &Circumstances<'_>, sku: &str, quantity: i64) -> Vec<(&PriceList, Verdict)> {
        let mut is_found = false;
        let verdict = |listed: &Listed| {
            if let Some(objection) = listed.list.terms.objection(order) {
                return objection;
            }
            match (listed.table.step(sku, quantity), listed.table.smallest(sku)) {
                (Some(_), _) if is_found => Verdict::Outranked,
                (Some(_), _) => {
                    is_found = true;
                    Verdict::Applied
                }
                (None, Some(smallest)) => Verdict::BelowSmallest(smallest),
                (None, None) => Verdict::NotListed,
            }
        };
        let mut verdict = verdict;
        self.0.iter().map(|listed| (&listed.list, verdict(listed))).collect()
    }
}

type Precedence<'a> = (i32, Reverse<(bool, bool)>, Reverse<Option<OffsetDateTime>>, &'a str);

fn precedence(list: &PriceList) -> Precedence<'_> {
    let made_for = (!list.terms.segments.is_empty(), !list.terms.channels.is_empty());
    (list.terms.rank, Reverse(made_for), Reverse(list.terms.valid_from), &list.code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::dec;
    use time::macros::datetime;

    fn terms() -> Terms {
        Terms {
            name: String::new(),
            currency: "EUR".parse().unwrap(),
            channels: vec![],
            segments: vec![],
            valid_from: None,
            valid_until: None,
            rank: 100,
            retired: false,
        }
    }

    fn listed(code: &str, terms: Terms, entries: &[(&str, i32, Decimal)]) -> Arc<Listed> {
        let list = PriceList { code: code.into(), version: 1, terms, entry_count: 0 };
        let entries = entries.iter().map(|(sku, min_quantity, unit_price)| Entry {
            sku: (*sku).into(),
            min_quantity: *min_quantity,
            unit_price: *unit_price,
        });
        Arc::new(Listed { list, table: Table::of(entries) })
    }

    fn book() -> PriceBook {
        let one = |price| [("TEA", 1, price)];
        let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        PriceBook::of(vec![
            listed("all", terms(), &[("TEA", 1, dec!(10)), ("TEA", 10, dec!(9)), ("TEA", 100, dec!(7.5))]),
            listed("web", Terms { channels: strings(&["web"]), ..terms() }, &one(dec!(8))),
            listed("wholesale", Terms { segments: strings(&["wholesale"]), ..terms() }, &[("TEA", 50, dec!(5))]),
            listed(
                "sale",
                Terms {
                    rank: 1,
                    valid_from: Some(datetime!(2026-07-01 0:00 UTC)),
                    valid_until: Some(datetime!(2026-07-08 0:00 UTC)),
                    ..terms()
                },
                &one(dec!(6)),
            ),
            listed("yen", Terms { currency: "JPY".parse().unwrap(), ..terms() }, &one(dec!(1500))),
        ])
    }

    fn order<'a>(channel: &'a str, segment: &'a str, at: OffsetDateTime) -> Circumstances<'a> {
        Circumstances { currency: "EUR".parse().unwrap(), channel, segment, at }
    }

    #[test]
    fn the_list_made_for_the_buyer_gives_the_price_of_the_quantity() {
        let (june, july) = (datetime!(2026-06-30 23:59 UTC), datetime!(2026-07-01 0:00 UTC));
        let after = datetime!(2026-07-08 0:00 UTC);
        for (channel, segment, at, quantity, expected) in [
            ("store", "", june, 1, ("all", 1, dec!(10))),
            ("store", "", june, 9, ("all", 1, dec!(10))),
            ("store", "", june, 10, ("all", 10, dec!(9))),
            ("store", "", june, 1_000_000_000, ("all", 100, dec!(7.5))),
            ("web", "", june, 100, ("web", 1, dec!(8))),
            ("web", "wholesale", june, 49, ("web", 1, dec!(8))),
            ("web", "wholesale", june, 50, ("wholesale", 50, dec!(5))),
            ("web", "wholesale", july, 50, ("sale", 1, dec!(6))),
            ("web", "wholesale", after, 50, ("wholesale", 50, dec!(5))),
        ] {
            let book = book();
            let found = find(&book.lists_for(&order(channel, segment, at)), "TEA", quantity).unwrap();
            let case = format!("{channel} {segment} {at} {quantity}");
            assert_eq!((&*found.list.code, found.min_quantity, found.unit_price), expected, "{case}");
        }
        assert!(find(&book().lists_for(&order("web", "", june)), "CUP", 1).is_none());
    }

    #[test]
    fn every_list_says_why() {
        use Verdict::*;
        let book = book();
        let said = |channel, segment, at, quantity| -> Vec<(String, Verdict)> {
            let all = book.explain(&order(channel, segment, at), "TEA", quantity);
            all.into_iter().map(|(list, verdict)| (list.code.to_string(), verdict)).collect()
        };
        let expect =
            |verdicts: [(&str, Verdict); 5]| verdicts.map(|(code, verdict)| (code.to_owned(), verdict)).to_vec();
        assert_eq!(
            said("web", "wholesale", datetime!(2026-01-01 0:00 UTC), 5),
            expect([
                ("sale", NotYetValid),
                ("wholesale", BelowSmallest(50)),
                ("web", Applied),
                ("all", Outranked),
                ("yen", OtherCurrency),
            ])
        );
        assert_eq!(
            said("phone", "retail", datetime!(2026-12-01 0:00 UTC), 5),
            expect([
                ("sale", NoLongerValid),
                ("wholesale", OtherSegment),
                ("web", OtherChannel),
                ("all", Applied),
                ("yen", OtherCurrency),
            ])
        );
    }

    proptest! {
        /// Whatever the steps and whatever their order, the price is that of the highest step reached.
        #[test]
        fn a_quantity_gets_the_highest_step_it_reaches(
            steps in prop::collection::hash_map(1..1000i32, 0..100_000i64, 0..8), quantity in 1..1200i64,
        ) {
            let entries = steps.iter().map(|(min_quantity, cents)| Entry {
                sku: "A".into(), min_quantity: *min_quantity, unit_price: Decimal::new(*cents, 2),
            });
            let expected = steps.iter().filter(|(min, _)| i64::from(**min) <= quantity).max_by_key(|(min, _)| **min);
            let expected = expected.map(|(min, cents)| (*min, Decimal::new(*cents, 2)));
            prop_assert_eq!(Table::of(entries).step("A", quantity), expected);
        }
    }
}
