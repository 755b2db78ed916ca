//! Lots and serial numbers of tracked items: of each item at each location they sum to its stock, bucket by bucket.

use crate::error::Error;
use crate::item::Tracking;
use crate::stock::{Buckets, StockKey};
use std::collections::{BTreeMap, BTreeSet};
use time::Date;

/// A lot that somebody names, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotQuantity {
    pub code: String,
    /// Above zero.
    pub quantity: i64,
    /// None: it does not expire, or is known already.
    pub expires_on: Option<Date>,
}

/// The lot of what is there without anybody knowing of which lot it is, or with which serial number.
pub const UNBOOKED: &str = "UNBOOKED";

/// Whether a code is one piece's serial number.
pub fn is_serial(tracking: Tracking, code: &str) -> bool {
    tracking == Tracking::Serial && code != UNBOOKED
}

/// Makes sure that lots named for a quantity of a tracked item sum to it, each once, each piece its own serial number.
pub fn expect_sum(tracking: Tracking, quantity: i64, lots: &[LotQuantity]) -> Result<(), Error> {
    let codes: BTreeSet<&str> = lots.iter().map(|lot| lot.code.as_str()).collect();
    let pieces = lots.iter().all(|lot| lot.quantity == 1 || !is_serial(tracking, &lot.code));
    let sum = lots.iter().map(|lot| lot.quantity).fold(0, i64::saturating_add);
    if sum == quantity && codes.len() == lots.len() && pieces { Ok(()) } else { Err(Error::LotQuantity) }
}

/// Takes `quantity` from the front of a list of lots, or what there is of it.
pub fn take(lots: &mut Vec<LotQuantity>, mut quantity: i64) -> Vec<LotQuantity> {
    let mut taken = Vec::new();
    for lot in lots.iter_mut() {
        let some = lot.quantity.min(quantity);
        if some > 0 {
            taken.push(LotQuantity { quantity: some, ..lot.clone() });
            lot.quantity -= some;
            quantity -= some;
        }
    }
    lots.retain(|lot| lot.quantity > 0);
    taken
}

/// What a movement changed of a lot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotChange {
    pub code: String,
    pub change: Buckets,
}

impl LotChange {
    /// How much of it moved.
    pub fn moved(&self) -> i64 {
        largest(self.change)
    }
}

/// A lot at a location, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLot {
    pub key: StockKey,
    pub code: String,
    pub expires_on: Option<Date>,
    pub there: Buckets,
}

/// The lots that a transaction has locked, by way of their rows of stock, and how it changes them.
#[derive(Debug)]
pub struct Lots {
    /// What expired before this day is taken last.
    today: Date,
    rows: BTreeMap<(StockKey, String), Row>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    serial: bool,
    expires_on: Option<Date>,
    there: Buckets,
    changed: bool,
}

/// One bucket of three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    OnHand,
    Damaged,
    QualityHold,
}

impl Bucket {
    fn of(self, buckets: Buckets) -> i64 {
        match self {
            Self::OnHand => buckets.on_hand,
            Self::Damaged => buckets.damaged,
            Self::QualityHold => buckets.quality_hold,
        }
    }

    /// The one that a change takes from; none: it takes from nowhere.
    pub fn taken_from(change: Buckets) -> Option<Self> {
        [Self::OnHand, Self::Damaged, Self::QualityHold].into_iter().find(|bucket| bucket.of(change) < 0)
    }

    /// As statements know it.
    pub fn code(self) -> i16 {
        match self {
            Self::OnHand => 1,
            Self::Damaged => 2,
            Self::QualityHold => 3,
        }
    }
}

/// The largest of the changes of a movement, without its sign.
pub fn largest(change: Buckets) -> i64 {
    change.on_hand.abs().max(change.damaged.abs()).max(change.quality_hold.abs())
}

fn times(change: Buckets, quantity: i64) -> Buckets {
    Buckets {
        on_hand: change.on_hand.signum() * quantity,
        damaged: change.damaged.signum() * quantity,
        quality_hold: change.quality_hold.signum() * quantity,
    }
}

fn plus(a: Buckets, b: Buckets) -> Buckets {
    Buckets {
        on_hand: a.on_hand + b.on_hand,
        damaged: a.damaged + b.damaged,
        quality_hold: a.quality_hold + b.quality_hold,
    }
}

impl Lots {
    /// Of the lots read.
    pub fn new(today: Date, stored: impl IntoIterator<Item = StoredLot>) -> Self {
        let row = |lot: StoredLot| {
            let row = Row { expires_on: lot.expires_on, there: lot.there, ..Row::default() };
            ((lot.key, lot.code), row)
        };
        Self { today, rows: stored.into_iter().map(row).collect() }
    }

    /// A movement of a tracked item at a location: of the lots named, which must sum to it, or, where it takes something
    /// away and none is named, of those that expire first. One quantity comes, goes, or moves between two buckets.
    pub fn book(
        &mut self,
        key: StockKey,
        tracking: Tracking,
        change: Buckets,
        named: &[LotQuantity],
    ) -> Result<Vec<LotChange>, Error> {
        let quantity = largest(change);
        let parts = [change.on_hand, change.damaged, change.quality_hold];
        let comes = parts.iter().filter(|part| **part > 0).count();
        let goes = parts.iter().filter(|part| **part < 0).count();
        if parts.iter().any(|part| *part != 0 && part.abs() != quantity) || comes > 1 || goes > 1 {
            return Err(Error::LotQuantity);
        }
        let taken;
        let lots: &[LotQuantity] = match Bucket::taken_from(change) {
            _ if !named.is_empty() => named,
            None if tracking == Tracking::Serial => return Err(Error::SerialRequired),
            None => return Err(Error::LotRequired),
            Some(bucket) => {
                taken = self.first_to_expire(key, bucket, quantity);
                &taken
            }
        };
        expect_sum(tracking, quantity, lots)?;
        // All of them, before any is changed.
        for lot in lots {
            self.check(key, is_serial(tracking, &lot.code), lot, times(change, lot.quantity))?;
        }
        let book =
            |lot: &LotQuantity| self.change(key, is_serial(tracking, &lot.code), lot, times(change, lot.quantity));
        Ok(lots.iter().map(book).collect())
    }

    fn check(&self, key: StockKey, serial: bool, lot: &LotQuantity, change: Buckets) -> Result<(), Error> {
        let there = self.rows.get(&(key, lot.code.clone())).map(|row| row.there).unwrap_or_default();
        if let Some(bucket) = Bucket::taken_from(change)
            && bucket.of(there) + bucket.of(change) < 0
        {
            return Err(Error::InsufficientStock { field: "lots", there: bucket.of(there) });
        }
        let elsewhere = || self.rows.iter().filter(|((at, code), _)| at.item == key.item && *code == lot.code);
        let comes_in = Bucket::taken_from(change).is_none();
        if comes_in && serial && elsewhere().any(|(_, row)| !row.there.is_nothing()) {
            return Err(Error::SerialInStock(lot.code.clone()));
        }
        let differs = |row: &Row| lot.expires_on.is_some() && row.expires_on != lot.expires_on;
        if elsewhere().any(|(_, row)| differs(row)) {
            return Err(Error::LotExpiry(lot.code.clone()));
        }
        Ok(())
    }

    /// Changes a lot as a fact demands it.
    pub fn change(&mut self, key: StockKey, serial: bool, lot: &LotQuantity, change: Buckets) -> LotChange {
        let known = self.rows.iter().find(|((at, code), _)| at.item == key.item && *code == lot.code);
        let expires_on = lot.expires_on.or_else(|| known.and_then(|(_, row)| row.expires_on));
        let row = self.rows.entry((key, lot.code.clone())).or_insert(Row { expires_on, ..Row::default() });
        row.there = plus(row.there, change);
        row.serial = serial;
        row.changed = true;
        LotChange { code: lot.code.clone(), change }
    }

    /// Up to `quantity` of a bucket: what expires first, then what does not expire, then what has expired already.
    pub fn first_to_expire(&self, key: StockKey, bucket: Bucket, quantity: i64) -> Vec<LotQuantity> {
        let first = (key, String::new());
        let here = self.rows.range(first..).take_while(|((at, _), _)| *at == key);
        let mut there: Vec<(&str, &Row)> =
            here.filter(|(_, row)| bucket.of(row.there) > 0).map(|((_, code), row)| (code.as_str(), row)).collect();
        let expired = |date: Option<Date>| date.is_some_and(|date| date < self.today);
        there.sort_by_key(|(code, row)| (expired(row.expires_on), row.expires_on.is_none(), row.expires_on, *code));
        let mut wanted = quantity;
        let mut taken = Vec::new();
        for (code, row) in there {
            if wanted == 0 {
                break;
            }
            let some = bucket.of(row.there).min(wanted);
            wanted -= some;
            taken.push(LotQuantity { code: code.to_owned(), quantity: some, expires_on: None });
        }
        taken
    }

    /// How much there is of a lot in a bucket at a location.
    pub fn there(&self, key: StockKey, code: &str, bucket: Bucket) -> i64 {
        self.rows.get(&(key, code.to_owned())).map_or(0, |row| bucket.of(row.there))
    }

    /// What is to be written: key, code, whether it is a serial number, expiry, what is there now.
    pub fn changes(&self) -> impl Iterator<Item = (StockKey, &str, bool, Option<Date>, Buckets)> {
        let changed = self.rows.iter().filter(|(_, row)| row.changed);
        changed.map(|((key, code), row)| (*key, code.as_str(), row.serial, row.expires_on, row.there))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::ItemId;
    use crate::location::LocationId;
    use proptest::prelude::*;
    use time::macros::date;

    const HERE: StockKey = StockKey { item: ItemId(1), location: LocationId(1) };
    const THERE: StockKey = StockKey { item: ItemId(1), location: LocationId(2) };
    const TODAY: Date = date!(2026 - 11 - 22);

    fn lot(code: &str, quantity: i64) -> LotQuantity {
        LotQuantity { code: code.into(), quantity, expires_on: None }
    }

    fn on_hand(quantity: i64) -> Buckets {
        Buckets { on_hand: quantity, ..Buckets::default() }
    }

    fn stored(code: &str, expires_on: Option<Date>, quantity: i64) -> StoredLot {
        StoredLot { key: HERE, code: code.into(), expires_on, there: on_hand(quantity) }
    }

    fn taken(changes: &[LotChange]) -> Vec<(&str, i64)> {
        changes.iter().map(|lot| (lot.code.as_str(), lot.moved())).collect()
    }

    #[test]
    fn what_expires_first_leaves_first_and_what_has_expired_last() {
        let mut lots = Lots::new(
            TODAY,
            [
                stored("A", None, 5),
                stored("B", Some(date!(2027 - 01 - 31)), 5),
                stored("C", Some(date!(2026 - 11 - 22)), 5),
                stored("D", Some(date!(2026 - 11 - 21)), 5),
            ],
        );
        let changes = lots.book(HERE, Tracking::Lot, on_hand(-17), &[]).unwrap();
        assert_eq!(taken(&changes), [("C", 5), ("B", 5), ("A", 5), ("D", 2)]);
        assert!(matches!(lots.book(HERE, Tracking::Lot, on_hand(-4), &[]), Err(Error::LotQuantity)));
        assert_eq!(lots.changes().map(|(.., there)| there.on_hand).sum::<i64>(), 3);
    }

    #[test]
    fn what_comes_must_be_named_and_sum_up() {
        let mut lots = Lots::new(TODAY, [stored("A", Some(date!(2027 - 01 - 31)), 5)]);
        let mut book = |tracking, quantity, named: &[LotQuantity]| lots.book(HERE, tracking, on_hand(quantity), named);
        assert!(matches!(book(Tracking::Lot, 1, &[]), Err(Error::LotRequired)));
        assert!(matches!(book(Tracking::Serial, 1, &[]), Err(Error::SerialRequired)));
        assert!(matches!(book(Tracking::Lot, 3, &[lot("B", 2)]), Err(Error::LotQuantity)));
        assert!(matches!(book(Tracking::Lot, 4, &[lot("B", 2), lot("B", 2)]), Err(Error::LotQuantity)));
        assert!(matches!(book(Tracking::Serial, 2, &[lot("S", 2)]), Err(Error::LotQuantity)));
        let other = LotQuantity { expires_on: Some(date!(2027 - 02 - 01)), ..lot("A", 1) };
        assert!(matches!(book(Tracking::Lot, 1, &[other]), Err(Error::LotExpiry(_))));
        assert!(matches!(book(Tracking::Lot, -6, &[lot("A", 6)]), Err(Error::InsufficientStock { field: "lots", .. })));
        assert!(book(Tracking::Lot, 3, &[lot("A", 1), lot("B", 2)]).is_ok());
        assert_eq!(lots.there(HERE, "A", Bucket::OnHand), 6);
    }

    #[test]
    fn a_serial_number_is_in_stock_once() {
        let mut lots = Lots::new(TODAY, []);
        lots.book(HERE, Tracking::Serial, on_hand(1), &[lot("S1", 1)]).unwrap();
        for key in [HERE, THERE] {
            let again = lots.book(key, Tracking::Serial, on_hand(1), &[lot("S1", 1)]);
            assert!(matches!(again, Err(Error::SerialInStock(_))));
        }
        let held = Buckets { on_hand: -1, quality_hold: 1, damaged: 0 };
        lots.book(HERE, Tracking::Serial, held, &[]).unwrap();
        assert_eq!(lots.there(HERE, "S1", Bucket::QualityHold), 1);
        let gone = Buckets { quality_hold: -1, ..Buckets::default() };
        lots.book(HERE, Tracking::Serial, gone, &[]).unwrap();
        lots.book(THERE, Tracking::Serial, on_hand(1), &[lot("S1", 1)]).unwrap();
    }

    #[test]
    fn one_quantity_moves_at_a_time() {
        let mut lots = Lots::new(TODAY, [stored("A", None, 9)]);
        for change in [
            Buckets { on_hand: -3, damaged: 2, quality_hold: 0 },
            Buckets { on_hand: 3, damaged: 3, quality_hold: 0 },
            Buckets { on_hand: -3, damaged: 3, quality_hold: 3 },
        ] {
            assert!(matches!(lots.book(HERE, Tracking::Lot, change, &[lot("A", 3)]), Err(Error::LotQuantity)));
        }
    }

    proptest! {
        #[test]
        fn lots_sum_to_stock(steps in prop::collection::vec((0usize..4, 1i64..9, -20i64..20), 1..40)) {
            let mut lots = Lots::new(TODAY, []);
            let mut stock = 0;
            for (code, parts, quantity) in steps {
                let named = [lot(["A", "B", "C", "D"][code], quantity.abs())];
                let named = if quantity > 0 || parts < 3 { &named[..] } else { &[] };
                if lots.book(HERE, Tracking::Lot, on_hand(quantity), named).is_ok() {
                    stock += quantity;
                }
                prop_assert_eq!(lots.changes().map(|(.., there)| there.on_hand).sum::<i64>(), stock);
                prop_assert!(lots.changes().all(|(.., there)| there.on_hand >= 0));
            }
        }
    }
}
