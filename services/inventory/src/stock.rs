//! Stock by item and location, and the ledger of its movements.

use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
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
}

impl Level {
    /// What can still be promised.
    pub fn free(self) -> i64 {
        self.on_hand - self.reserved
    }

    fn plus(self, change: Level) -> Level {
        Level {
            on_hand: self.on_hand + change.on_hand,
            reserved: self.reserved + change.reserved,
            damaged: self.damaged + change.damaged,
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
    pub kind: MovementKind,
    pub reason: String,
    pub reference: String,
    /// Cost of one base unit, where one is known.
    pub unit_cost: Option<Money>,
    pub effective_at: OffsetDateTime,
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
    pub kind: MovementKind,
    pub reason: String,
    pub reference: String,
    pub unit_cost: Option<Money>,
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
}

/// What is to be booked.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Goods came. Without a cost they cost the item's standard cost.
    Receipt { quantity: i64, unit_cost: Option<Money> },
    /// The books were wrong, or goods changed their state: signed changes.
    Adjustment { quantity: i64, damaged: i64, reason: String },
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
pub fn adjust(book: &mut Book, key: StockKey, quantity: i64, damaged: i64) -> Result<(), Error> {
    let level = book.level(key);
    if level.free() + quantity < 0 {
        return Err(Error::InsufficientStock { field: "quantity", there: level.free() });
    }
    if level.damaged + damaged < 0 {
        return Err(Error::InsufficientStock { field: "damaged", there: level.damaged });
    }
    if level.on_hand + quantity > MOST {
        return Err(Error::StockLimit("quantity"));
    }
    if level.damaged + damaged > MOST {
        return Err(Error::StockLimit("damaged"));
    }
    book.change(key, Level { on_hand: quantity, reserved: 0, damaged });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: StockKey = StockKey { item: ItemId(1), location: LocationId(1) };

    fn book(on_hand: i64, reserved: i64, damaged: i64) -> Book {
        Book::new([(KEY, Level { on_hand, reserved, damaged })])
    }

    #[test]
    fn what_is_reserved_or_not_there_cannot_be_adjusted_away() {
        for (quantity, damaged, lawful) in [
            (-6, 0, true),
            (-7, 0, false),
            (0, -2, true),
            (0, -3, false),
            (-3, 3, true),
            (3, -2, true),
            (MOST, 0, false),
            (MOST - 10, 0, true),
            (0, MOST, false),
        ] {
            let mut book = book(10, 4, 2);
            let before = book.level(KEY);
            match adjust(&mut book, KEY, quantity, damaged) {
                Ok(()) => {
                    assert!(lawful, "{quantity} {damaged}");
                    let after = before.plus(Level { on_hand: quantity, reserved: 0, damaged });
                    assert_eq!(book.level(KEY), after);
                }
                Err(_) => {
                    assert!(!lawful, "{quantity} {damaged}");
                    assert_eq!(book.level(KEY), before);
                    assert_eq!(book.changes().count(), 0);
                }
            }
        }
    }

    #[test]
    fn a_receipt_stops_at_the_limit() {
        let mut book = book(10, 0, 0);
        assert!(matches!(receive(&mut book, KEY, MOST), Err(Error::StockLimit("quantity"))));
        receive(&mut book, KEY, MOST - 10).unwrap();
        assert_eq!(book.level(KEY).on_hand, MOST);
    }

    #[test]
    fn changes_of_one_row_are_written_once() {
        let mut book = book(10, 0, 0);
        book.change(KEY, Level { on_hand: 5, ..Level::default() });
        book.change(KEY, Level { on_hand: -2, reserved: 3, damaged: 0 });
        assert_eq!(book.changes().collect::<Vec<_>>(), [(KEY, Level { on_hand: 3, reserved: 3, damaged: 0 })]);
        book.change(KEY, Level { on_hand: -3, reserved: -3, damaged: 0 });
        assert_eq!(book.changes().count(), 0, "what cancels out is no change");
    }
}
