//! Cycle counts: what is really there, and what becomes of the difference.

use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::stock::Level;
use time::OffsetDateTime;
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
    /// Whether a difference of an item needs nobody's approval.
    pub fn allows(self, book: i64, counted: i64) -> bool {
        let off = i128::from((counted - book).abs());
        off <= i128::from(self.units) && off * 100 <= i128::from(book.max(0)) * i128::from(self.percent)
            || counted == book
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
    pub outcome: Outcome,
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

/// Splits a difference over the stock there is now. What is missing is taken from free stock first, then from what is
/// reserved; what is not on the books any more cannot be taken off them.
pub fn settle(difference: i64, level: Level) -> Outcome {
    if difference >= 0 {
        return Outcome { booked: difference, ..Outcome::default() };
    }
    let missing = -difference;
    let free = (level.on_hand - level.reserved).clamp(0, missing);
    let short = level.reserved.min(missing - free);
    Outcome { booked: -free, short, moot: missing - free - short }
}

impl Count {
    fn expect(&self, stage: Stage) -> Result<(), Error> {
        if self.stage == stage {
            return Ok(());
        }
        Err(Error::WrongState { what: "the count", is: self.stage.name() })
    }

    /// Enters what was counted of items; one that is not listed yet is added.
    pub fn enter(&mut self, entries: &[(ItemId, Entry)]) -> Result<(), Error> {
        self.expect(Stage::Counting)?;
        for (item, entry) in entries {
            match self.lines.iter_mut().find(|line| line.item == *item) {
                Some(line) => line.entry = Some(*entry),
                None => self.lines.push(Line { item: *item, entry: Some(*entry), outcome: Outcome::default() }),
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
        let mut entries = self.lines.iter().filter_map(|line| line.entry);
        Ok(entries.all(|entry| self.threshold.allows(entry.book, entry.counted)))
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
                line.entry = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const AT: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn count(items: &[i64]) -> Count {
        let line = |item: &i64| Line { item: ItemId(*item), entry: None, outcome: Outcome::default() };
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
            lines: items.iter().map(line).collect(),
        }
    }

    fn entry(counted: i64, book: i64) -> Entry {
        Entry { counted, at: AT, book }
    }

    #[test]
    fn a_difference_must_be_within_both_bounds() {
        let threshold = Threshold { units: 5, percent: 10 };
        for (book, counted, allowed) in
            [(100, 95, true), (100, 94, false), (30, 27, true), (30, 26, false), (0, 0, true), (0, 1, false)]
        {
            assert_eq!(threshold.allows(book, counted), allowed, "{book} {counted}");
        }
        assert!(Threshold::default().allows(7, 7) && !Threshold::default().allows(7, 8));
    }

    #[test]
    fn a_count_is_over_when_everything_is_counted() {
        let mut counted = count(&[1, 2]);
        counted.enter(&[(ItemId(1), entry(9, 10))]).unwrap();
        assert!(matches!(counted.complete(AT), Err(Error::CountIncomplete(1))));
        counted.enter(&[(ItemId(1), entry(10, 10)), (ItemId(2), entry(5, 5)), (ItemId(3), entry(0, 0))]).unwrap();
        assert_eq!(counted.lines.len(), 3, "what was found is added");
        assert!(counted.complete(AT).unwrap());
        assert!(counted.enter(&[]).is_err() && counted.complete(AT).is_err());
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
            assert_eq!(settle(difference, level), Outcome { booked, short, moot }, "{difference}");
        }
    }

    proptest! {
        #[test]
        fn stock_stays_lawful_whatever_is_missing(
            difference in -1_000i64..1_000, reserved in 0i64..500, free in 0i64..500
        ) {
            let level = Level { on_hand: reserved + free, reserved, ..Level::default() };
            let outcome = settle(difference, level);
            prop_assert_eq!(outcome.booked - outcome.short - outcome.moot, difference);
            let (on_hand, reserved) = (level.on_hand + outcome.booked - outcome.short, reserved - outcome.short);
            prop_assert!(reserved >= 0 && on_hand >= reserved);
            prop_assert!(outcome.moot == 0 || on_hand == 0);
        }
    }
}
