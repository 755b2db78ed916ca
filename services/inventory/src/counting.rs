//! Cycle counts: what is really there, and what becomes of the difference.

use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::lot::{Bucket, LotQuantity, Lots};
use crate::stock::{Level, StockKey};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// Who approves a count whose differences are within its threshold.
pub const THRESHOLD: &str = "threshold";

/// Where a count stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Counting,
    /// Complete, and waits for approval.
    Counted,
    Approved,
    Rejected,
}

impl Stage {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::Counting => 1,
            Self::Counted => 2,
            Self::Approved => 3,
            Self::Rejected => 4,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Counting, Self::Counted, Self::Approved, Self::Rejected].into_iter().find(|stage| stage.code() == code)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Counting => "not counted to the end",
            Self::Counted => "counted to the end",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

/// A difference within both bounds needs no approval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Threshold {
    pub units: i64,
    /// Of what the books said.
    pub percent: i32,
}

impl Threshold {
    /// Whether being `off` so many from what the books said of an item needs nobody's approval.
    pub fn allows(self, book: i64, off: i64) -> bool {
        let off = i128::from(off);
        off <= i128::from(self.units) && off * 100 <= i128::from(book.max(0)) * i128::from(self.percent) || off == 0
    }
}

/// A count with its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    pub id: Uuid,
    pub number: i64,
    pub location: LocationId,
    pub stage: Stage,
    pub threshold: Threshold,
    pub note: String,
    /// The ledger's place when it began: what moved later has a higher one.
    pub since: i64,
    pub created_at: OffsetDateTime,
    pub counted_at: Option<OffsetDateTime>,
    pub decided_at: Option<OffsetDateTime>,
    pub decided_by: String,
    /// Counts the changes.
    pub version: i64,
    /// Counts the facts told of it.
    pub facts: i64,
    /// By item.
    pub lines: Vec<Line>,
}

/// An item of a count.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub item: ItemId,
    pub entry: Option<Entry>,
    /// Of a tracked item, by code: those found, and those that the books knew. They sum to the entry.
    pub lots: Vec<CountedLot>,
    pub outcome: Outcome,
}

/// What was counted of a lot, and what the books said then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedLot {
    pub code: String,
    /// As whoever counted it says.
    pub expires_on: Option<Date>,
    pub counted: i64,
    pub book: i64,
}

impl Line {
    /// Not counted yet.
    pub fn new(item: ItemId) -> Self {
        Self { item, entry: None, lots: Vec::new(), outcome: Outcome::default() }
    }

    /// What was found beyond the books, and what is missing of them; of a tracked item both can be.
    pub fn difference(&self) -> (i64, i64) {
        if self.lots.is_empty() {
            let difference = self.entry.map_or(0, |entry| entry.counted - entry.book);
            return (difference.max(0), (-difference).max(0));
        }
        let differences = || self.lots.iter().map(|lot| lot.counted - lot.book);
        (differences().filter(|off| *off > 0).sum(), -differences().filter(|off| *off < 0).sum::<i64>())
    }

    /// Whether anything of it is not as the books said.
    pub fn differs(&self) -> bool {
        self.difference() != (0, 0)
    }

    /// The lots found beyond the books, with how much of each.
    pub fn found(&self) -> Vec<LotQuantity> {
        let found = self.lots.iter().filter(|lot| lot.counted > lot.book);
        found
            .map(|lot| LotQuantity {
                code: lot.code.clone(),
                quantity: lot.counted - lot.book,
                expires_on: lot.expires_on,
            })
            .collect()
    }

    /// The lots missing of the books, with how much of each is still there to be taken off them.
    pub fn missing(&self, location: LocationId, there: &Lots) -> Vec<LotQuantity> {
        let key = StockKey { item: self.item, location };
        let missing = self.lots.iter().filter(|lot| lot.counted < lot.book).map(|lot| LotQuantity {
            code: lot.code.clone(),
            quantity: there.there(key, &lot.code, Bucket::OnHand).min(lot.book - lot.counted),
            expires_on: None,
        });
        missing.filter(|lot| lot.quantity > 0).collect()
    }

    /// What becomes of its difference, given the stock and the lots that there are now.
    pub fn settle(&self, location: LocationId, level: Level, there: &Lots) -> Outcome {
        let (found, missing) = self.difference();
        if self.lots.is_empty() {
            return settle(found, missing, level);
        }
        let to_take = self.missing(location, there).iter().map(|lot| lot.quantity).sum();
        let outcome = settle(found, to_take, level);
        Outcome { moot: outcome.moot + missing - to_take, ..outcome }
    }
}

/// What was counted, when, and what the books said then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub counted: i64,
    pub at: OffsetDateTime,
    pub book: i64,
}

/// What becomes of a difference: counted − book = booked − short − moot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// On free stock, signed.
    pub booked: i64,
    /// Missing of reserved stock: orders fall short of it.
    pub short: i64,
    /// Gone already: there is no stock left to take it from.
    pub moot: i64,
}

/// Splits a difference over the stock there is now. What is missing is taken from free stock first, with what was found,
/// then from what is reserved; what is not on the books any more cannot be taken off them.
pub fn settle(found: i64, missing: i64, level: Level) -> Outcome {
    let free = (level.on_hand + found - level.reserved).clamp(0, missing);
    let short = level.reserved.min(missing - free);
    Outcome { booked: found - free, short, moot: missing - free - short }
}

impl Count {
    fn expect(&self, stage: Stage) -> Result<(), Error> {
        if self.stage == stage {
            return Ok(());
        }
        Err(Error::WrongState { what: "the count", is: self.stage.name() })
    }

    /// Enters what was counted of items; one that is not listed yet is added.
    pub fn enter(&mut self, entries: Vec<(ItemId, Entry, Vec<CountedLot>)>) -> Result<(), Error> {
        self.expect(Stage::Counting)?;
        for (item, entry, lots) in entries {
            let counted = Line { entry: Some(entry), lots, ..Line::new(item) };
            match self.lines.iter_mut().find(|line| line.item == item) {
                Some(line) => *line = counted,
                None => self.lines.push(counted),
            }
        }
        self.version += 1;
        Ok(())
    }

    /// The counting is over. True when every difference is within the threshold, so that nobody needs to approve.
    pub fn complete(&mut self, at: OffsetDateTime) -> Result<bool, Error> {
        self.expect(Stage::Counting)?;
        let left = self.lines.iter().filter(|line| line.entry.is_none()).count();
        if left > 0 {
            return Err(Error::CountIncomplete(left));
        }
        self.stage = Stage::Counted;
        self.counted_at = Some(at);
        let allows = |line: &Line| {
            let (found, missing) = line.difference();
            self.threshold.allows(line.entry.map_or(0, |entry| entry.book), found.max(missing))
        };
        Ok(self.lines.iter().all(allows))
    }

    /// Makes sure that it can be decided, and is as the decider saw it.
    pub fn expect_decidable(&self, version: i64) -> Result<(), Error> {
        self.expect(Stage::Counted)?;
        if self.version != version { Err(Error::VersionConflict(self.version)) } else { Ok(()) }
    }

    /// It is approved; the outcomes are set by whoever books them.
    pub fn approve(&mut self, by: &str, at: OffsetDateTime) {
        self.stage = Stage::Approved;
        self.decided_by = by.to_owned();
        self.decided_at = Some(at);
        self.version += 1;
    }

    /// It is rejected: for good, or to be counted again.
    pub fn reject(&mut self, by: &str, recount: bool, at: OffsetDateTime) {
        self.stage = if recount { Stage::Counting } else { Stage::Rejected };
        self.decided_by = by.to_owned();
        self.decided_at = Some(at);
        self.version += 1;
        if recount {
            self.counted_at = None;
            for line in &mut self.lines {
                *line = Line::new(line.item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lot::StoredLot;
    use crate::stock::Buckets;
    use proptest::prelude::*;
    use time::macros::datetime;

    const AT: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn count(items: &[i64]) -> Count {
        Count {
            id: Uuid::now_v7(),
            number: 1,
            location: LocationId(1),
            stage: Stage::Counting,
            threshold: Threshold { units: 5, percent: 10 },
            note: String::new(),
            since: 0,
            created_at: AT,
            counted_at: None,
            decided_at: None,
            decided_by: String::new(),
            version: 1,
            facts: 0,
            lines: items.iter().map(|item| Line::new(ItemId(*item))).collect(),
        }
    }

    fn entry(item: i64, counted: i64, book: i64) -> (ItemId, Entry, Vec<CountedLot>) {
        (ItemId(item), Entry { counted, at: AT, book }, Vec::new())
    }

    /// Code, counted, book.
    fn of_lots(lots: &[(&str, i64, i64)]) -> Line {
        let lot = |(code, counted, book): &(&str, i64, i64)| CountedLot {
            code: (*code).into(),
            expires_on: None,
            counted: *counted,
            book: *book,
        };
        let lots: Vec<CountedLot> = lots.iter().map(lot).collect();
        let (counted, book) = (lots.iter().map(|l| l.counted).sum(), lots.iter().map(|l| l.book).sum());
        Line { entry: Some(Entry { counted, at: AT, book }), lots, ..Line::new(ItemId(1)) }
    }

    /// What is there now, by code.
    fn there(lots: &[(&str, i64)]) -> Lots {
        let stored = |(code, on_hand): &(&str, i64)| StoredLot {
            key: StockKey { item: ItemId(1), location: LocationId(1) },
            code: (*code).into(),
            expires_on: None,
            there: Buckets { on_hand: *on_hand, ..Buckets::default() },
        };
        Lots::new(Date::MIN, lots.iter().map(stored))
    }

    #[test]
    fn another_lot_than_the_books_knew_makes_up_for_the_one_that_is_missing() {
        let line = of_lots(&[("A", 2, 5), ("B", 3, 0)]);
        assert_eq!((line.difference(), line.entry.map(|e| e.counted - e.book)), ((3, 3), Some(0)));
        let level = Level { on_hand: 5, reserved: 5, ..Level::default() };
        let outcome = line.settle(LocationId(1), level, &there(&[("A", 5)]));
        assert_eq!(outcome, Outcome::default(), "nobody falls short: what was found is there instead");
        assert_eq!((line.found()[0].quantity, line.missing(LocationId(1), &there(&[("A", 5)]))[0].quantity), (3, 3));
        let mut count = count(&[]);
        count.threshold = Threshold { units: 2, percent: 100 };
        count.lines = vec![line];
        assert!(!count.complete(AT).unwrap(), "three of another lot are off by three");
    }

    #[test]
    fn what_of_a_missing_lot_has_left_meanwhile_is_moot() {
        let line = of_lots(&[("A", 1, 5), ("B", 4, 4)]);
        let level = Level { on_hand: 6, reserved: 5, ..Level::default() };
        let outcome = line.settle(LocationId(1), level, &there(&[("A", 2), ("B", 4)]));
        assert_eq!(outcome, Outcome { booked: -1, short: 1, moot: 2 });
    }

    #[test]
    fn a_difference_must_be_within_both_bounds() {
        let threshold = Threshold { units: 5, percent: 10 };
        for (book, counted, allowed) in
            [(100, 95, true), (100, 94, false), (30, 27, true), (30, 26, false), (0, 0, true), (0, 1, false)]
        {
            assert_eq!(threshold.allows(book, (counted - book).abs()), allowed, "{book} {counted}");
        }
        assert!(Threshold::default().allows(7, 0) && !Threshold::default().allows(7, 1));
    }

    #[test]
    fn a_count_is_over_when_everything_is_counted() {
        let mut counted = count(&[1, 2]);
        counted.enter(vec![entry(1, 9, 10)]).unwrap();
        assert!(matches!(counted.complete(AT), Err(Error::CountIncomplete(1))));
        counted.enter(vec![entry(1, 10, 10), entry(2, 5, 5), entry(3, 0, 0)]).unwrap();
        assert_eq!(counted.lines.len(), 3, "what was found is added");
        assert!(counted.complete(AT).unwrap());
        assert!(counted.enter(vec![]).is_err() && counted.complete(AT).is_err());
        assert!(matches!(counted.expect_decidable(1), Err(Error::VersionConflict(3))));
        counted.expect_decidable(3).unwrap();
        counted.reject("kim", true, AT);
        assert_eq!((counted.stage, counted.lines[0].entry), (Stage::Counting, None));
        assert!(counted.expect_decidable(counted.version).is_err());
    }

    #[test]
    fn free_stock_goes_first_then_what_is_reserved() {
        let level = Level { on_hand: 10, reserved: 8, ..Level::default() };
        for (difference, booked, short, moot) in
            [(3, 3, 0, 0), (0, 0, 0, 0), (-2, -2, 0, 0), (-5, -2, 3, 0), (-10, -2, 8, 0), (-12, -2, 8, 2)]
        {
            assert_eq!(
                settle(difference.max(0), (-difference).max(0), level),
                Outcome { booked, short, moot },
                "{difference}"
            );
        }
    }

    proptest! {
        #[test]
        fn stock_stays_lawful_whatever_is_missing(
            difference in -1_000i64..1_000, reserved in 0i64..500, free in 0i64..500
        ) {
            let level = Level { on_hand: reserved + free, reserved, ..Level::default() };
            let outcome = settle(difference.max(0), (-difference).max(0), level);
            prop_assert_eq!(outcome.booked - outcome.short - outcome.moot, difference);
            let (on_hand, reserved) = (level.on_hand + outcome.booked - outcome.short, reserved - outcome.short);
            prop_assert!(reserved >= 0 && on_hand >= reserved);
            prop_assert!(outcome.moot == 0 || on_hand == 0);
        }
    }
}
