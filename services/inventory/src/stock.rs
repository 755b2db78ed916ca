//! Stock by item and location, and the ledger of its movements.

use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::lot::LotChange;
use crate::lot::LotQuantity;
use pesan_money::Money;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Most that one item may have at one location, on hand or damaged.
pub const MOST: i64 = 1_000_000_000_000_000;

/// An item at a location. The order of keys is the order of locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StockKey {
    pub item: ItemId,
    pub location: LocationId,
}

/// How much there is, or a signed change of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Sellable and there, reserved or not.
    pub on_hand: i64,
    /// Of it, promised.
    pub reserved: i64,
    /// There, but not to be sold.
    pub damaged: i64,
    /// There, but not to be sold until its quality is found good.
    pub quality_hold: i64,
    /// Of on_hand, what is never promised; may be more than there is.
    pub safety: i64,
}

impl Level {
    /// What can still be promised.
    pub fn free(self) -> i64 {
        (self.on_hand - self.reserved - self.safety).max(0)
    }

    /// What nobody was promised: what is kept back may still leave, break or be sent elsewhere.
    pub fn unreserved(self) -> i64 {
        self.on_hand - self.reserved
    }

    fn minus(self, other: Level) -> Level {
        Level {
            on_hand: self.on_hand - other.on_hand,
            reserved: self.reserved - other.reserved,
            damaged: self.damaged - other.damaged,
            quality_hold: self.quality_hold - other.quality_hold,
            safety: self.safety - other.safety,
        }
    }

    fn plus(self, change: Level) -> Level {
        Level {
            on_hand: self.on_hand + change.on_hand,
            reserved: self.reserved + change.reserved,
            damaged: self.damaged + change.damaged,
            quality_hold: self.quality_hold + change.quality_hold,
            safety: self.safety + change.safety,
        }
    }
}

/// The stock that a transaction has locked, and how it changes it: each row is written once, whatever happened to it.
#[derive(Debug, Default)]
pub struct Book {
    rows: BTreeMap<StockKey, (Level, Level)>,
}

impl Book {
    /// Of the levels locked.
    pub fn new(levels: impl IntoIterator<Item = (StockKey, Level)>) -> Self {
        Self { rows: levels.into_iter().map(|(key, level)| (key, (level, Level::default()))).collect() }
    }

    /// As it is now, with all changes so far; zeros where there is no row.
    pub fn level(&self, key: StockKey) -> Level {
        self.rows.get(&key).map(|(level, _)| *level).unwrap_or_default()
    }

    /// Changes a level. The caller has made sure that it stays lawful; the database checks it again.
    pub fn change(&mut self, key: StockKey, by: Level) {
        let (level, change) = self.rows.entry(key).or_default();
        *level = level.plus(by);
        *change = change.plus(by);
    }

    /// Changes what is reserved of a level.
    pub fn reserve(&mut self, key: StockKey, quantity: i64) {
        self.change(key, Level { reserved: quantity, ..Level::default() });
    }

    /// Takes changes of a level back.
    pub fn restore(&mut self, key: StockKey, before: Level) {
        if let Some((level, change)) = self.rows.get_mut(&key) {
            *change = change.plus(before.minus(*level));
            *level = before;
        }
    }

    /// What changed, in key order.
    pub fn changes(&self) -> impl Iterator<Item = (StockKey, Level)> + '_ {
        let changed = self.rows.iter().filter(|(_, (_, change))| *change != Level::default());
        changed.map(|(key, (_, change))| (*key, *change))
    }
}

/// Why stock moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MovementKind {
    Receipt,
    Adjustment,
    Issue,
    Return,
    ShortPick,
    TransferOut,
    TransferIn,
    Count,
    /// Into quality hold, or out of it.
    Hold,
    /// Its lot expired: out of sale, into quality hold.
    Expired,
}

impl MovementKind {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::Receipt => 1,
            Self::Adjustment => 2,
            Self::Issue => 3,
            Self::Return => 4,
            Self::ShortPick => 5,
            Self::TransferOut => 6,
            Self::TransferIn => 7,
            Self::Count => 8,
            Self::Hold => 9,
            Self::Expired => 10,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        let all = [
            Self::Receipt,
            Self::Adjustment,
            Self::Issue,
            Self::Return,
            Self::ShortPick,
            Self::TransferOut,
            Self::TransferIn,
            Self::Count,
            Self::Hold,
            Self::Expired,
        ];
        all.into_iter().find(|kind| kind.code() == code)
    }
}

/// One entry of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Movement {
    pub id: Uuid,
    pub key: StockKey,
    /// Signed change of on_hand.
    pub quantity: i64,
    /// Signed change of damaged.
    pub damaged: i64,
    /// Signed change of quality_hold.
    pub quality_hold: i64,
    pub kind: MovementKind,
    pub reason: String,
    pub reference: String,
    /// Cost of one base unit, where one is known.
    pub unit_cost: Option<Money>,
    /// By how much it changed the value of the inventory, to 9 decimals, where a cost is known.
    pub value: Option<Money>,
    pub effective_at: OffsetDateTime,
    /// Of a tracked item: what it changed of which lots.
    pub lots: Vec<LotChange>,
    /// The order that got the goods or sent them back.
    pub order_id: Option<Uuid>,
}

/// A movement as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedMovement {
    /// Its place in the ledger.
    pub seq: i64,
    pub id: Uuid,
    pub sku: String,
    pub location_id: Uuid,
    pub quantity: i64,
    pub damaged: i64,
    pub quality_hold: i64,
    pub kind: MovementKind,
    pub reason: String,
    pub reference: String,
    pub unit_cost: Option<Money>,
    pub value: Option<Money>,
    pub effective_at: OffsetDateTime,
    pub recorded_at: OffsetDateTime,
}

/// A level with the names that others know.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedLevel {
    pub sku: String,
    pub location_id: Uuid,
    pub level: Level,
    /// Still to come of purchase orders that were sent.
    pub incoming: i64,
    /// On its way here from other locations.
    pub in_transfer: i64,
}

/// What there is of an item.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ItemStock {
    pub is_service: bool,
    /// Waiting in the backorder queue.
    pub waiting: i64,
    /// By location.
    pub levels: Vec<NamedLevel>,
}

/// A receipt or adjustment that somebody wants to be booked.
#[derive(Clone, Debug, PartialEq)]
pub struct StockChange {
    pub request_id: Uuid,
    pub sku: String,
    pub location_id: Uuid,
    pub what: What,
    /// The caller's.
    pub reference: String,
    pub effective_at: OffsetDateTime,
    /// The unit that its quantities count; empty: the base unit.
    pub unit: String,
    /// Of a tracked item.
    pub lots: Vec<LotQuantity>,
}

/// How much of an item at a location is never to be promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyStock {
    pub sku: String,
    pub location_id: Uuid,
    pub quantity: i64,
}

/// What is to be booked.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Goods came. Without a cost they cost the item's standard cost.
    Receipt { quantity: i64, unit_cost: Option<Money> },
    /// The books were wrong, or goods changed their state: signed changes.
    Adjustment { change: Buckets, reason: String },
}

/// Signed changes of what is there: sellable, damaged, under quality hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    pub on_hand: i64,
    pub damaged: i64,
    pub quality_hold: i64,
}

impl Buckets {
    /// By how much that changes what is valued: damaged goods are not worth their cost any more.
    pub fn valued(self) -> i64 {
        self.on_hand + self.quality_hold
    }

    /// The same so many times.
    pub fn times(self, quantity: i64) -> Self {
        Self {
            on_hand: self.on_hand * quantity,
            damaged: self.damaged * quantity,
            quality_hold: self.quality_hold * quantity,
        }
    }

    /// Nothing moves.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

impl From<Buckets> for Level {
    fn from(buckets: Buckets) -> Self {
        let Buckets { on_hand, damaged, quality_hold } = buckets;
        Self { on_hand, damaged, quality_hold, ..Self::default() }
    }
}

impl StockChange {
    /// The same in base units, of which there are `factor` in its unit.
    pub fn in_base_units(mut self, factor: i64) -> Result<Self, Error> {
        let times = |quantity: i64, field| {
            let quantity = quantity.checked_mul(factor);
            quantity.filter(|quantity| (-MOST..=MOST).contains(quantity)).ok_or(Error::StockLimit(field))
        };
        match &mut self.what {
            What::Receipt { quantity, .. } => *quantity = times(*quantity, "quantity")?,
            What::Adjustment { change, .. } => {
                change.on_hand = times(change.on_hand, "quantity")?;
                change.damaged = times(change.damaged, "damaged")?;
                change.quality_hold = times(change.quality_hold, "quality_hold")?;
            }
        }
        for lot in &mut self.lots {
            lot.quantity = times(lot.quantity, "lots")?;
        }
        Ok(self)
    }

    /// What it changes.
    pub fn buckets(&self) -> Buckets {
        match &self.what {
            What::Receipt { quantity, .. } => Buckets { on_hand: *quantity, ..Buckets::default() },
            What::Adjustment { change, .. } => *change,
        }
    }
}

/// Books a receipt of `quantity`, which is above zero.
pub fn receive(book: &mut Book, key: StockKey, quantity: i64) -> Result<(), Error> {
    if book.level(key).on_hand > MOST - quantity {
        return Err(Error::StockLimit("quantity"));
    }
    book.change(key, Level { on_hand: quantity, ..Level::default() });
    Ok(())
}

/// Corrects a level by signed changes. What is reserved cannot be taken away, nor what is not there.
pub fn adjust(book: &mut Book, key: StockKey, change: Buckets) -> Result<(), Error> {
    let level = book.level(key);
    let buckets = [
        ("quantity", level.unreserved(), level.on_hand, change.on_hand),
        ("damaged", level.damaged, level.damaged, change.damaged),
        ("quality_hold", level.quality_hold, level.quality_hold, change.quality_hold),
    ];
    for (field, there, _, change) in buckets {
        if there + change < 0 {
            return Err(Error::InsufficientStock { field, there });
        }
    }
    for (field, _, before, change) in buckets {
        if before + change > MOST {
            return Err(Error::StockLimit(field));
        }
    }
    book.change(key, change.into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: StockKey = StockKey { item: ItemId(1), location: LocationId(1) };

    fn book(level: Level) -> Book {
        Book::new([(KEY, level)])
    }

    #[test]
    fn what_is_reserved_or_not_there_cannot_be_adjusted_away() {
        for (on_hand, damaged, quality_hold, lawful) in [
            (-6, 0, 0, true),
            (-7, 0, 0, false),
            (0, -2, 0, true),
            (0, -3, 0, false),
            (0, 0, -1, true),
            (0, 0, -2, false),
            (-3, 3, 0, true),
            (-3, 0, 3, true),
            (1, 0, -1, true),
            (3, -2, 0, true),
            (MOST, 0, 0, false),
            (MOST - 10, 0, 0, true),
            (0, MOST, 0, false),
            (0, 0, MOST, false),
        ] {
            // What is kept back may be adjusted away: it is only never promised.
            let before = Level { on_hand: 10, reserved: 4, damaged: 2, quality_hold: 1, safety: 5 };
            let mut book = book(before);
            let change = Buckets { on_hand, damaged, quality_hold };
            match adjust(&mut book, KEY, change) {
                Ok(()) => {
                    assert!(lawful, "{change:?}");
                    assert_eq!(book.level(KEY), before.plus(change.into()));
                }
                Err(_) => {
                    assert!(!lawful, "{change:?}");
                    assert_eq!(book.level(KEY), before);
                    assert_eq!(book.changes().count(), 0);
                }
            }
        }
    }

    #[test]
    fn what_is_kept_back_is_not_free() {
        for (on_hand, reserved, safety, free) in [(10, 4, 0, 6), (10, 4, 5, 1), (10, 4, 6, 0), (10, 4, 50, 0)] {
            let level = Level { on_hand, reserved, safety, ..Level::default() };
            assert_eq!((level.free(), level.unreserved()), (free, 6));
        }
    }

    #[test]
    fn a_receipt_stops_at_the_limit() {
        let mut book = book(Level { on_hand: 10, ..Level::default() });
        assert!(matches!(receive(&mut book, KEY, MOST), Err(Error::StockLimit("quantity"))));
        receive(&mut book, KEY, MOST - 10).unwrap();
        assert_eq!(book.level(KEY).on_hand, MOST);
    }

    #[test]
    fn changes_of_one_row_are_written_once() {
        let mut book = book(Level { on_hand: 10, ..Level::default() });
        book.change(KEY, Level { on_hand: 5, ..Level::default() });
        book.change(KEY, Level { on_hand: -2, reserved: 3, ..Level::default() });
        let change = Level { on_hand: 3, reserved: 3, ..Level::default() };
        assert_eq!(book.changes().collect::<Vec<_>>(), [(KEY, change)]);
        book.change(KEY, Level { on_hand: -3, reserved: -3, ..Level::default() });
        assert_eq!(book.changes().count(), 0, "what cancels out is no change");
    }

    #[test]
    fn every_kind_survives_the_way_there_and_back() {
        for code in 1..=10 {
            assert_eq!(MovementKind::from_code(code).map(MovementKind::code), Some(code));
        }
        assert_eq!(MovementKind::from_code(99), None);
    }
}
