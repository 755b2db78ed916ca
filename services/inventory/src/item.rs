//! What can be ordered.

use crate::error::Error;
use pesan_money::Money;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use uuid::Uuid;

/// Short key of an item inside this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ItemId(pub i64);

/// Whether an item stands in stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// Counted, reserved, moved.
    Stocked,
    /// Priced and always there, never stocked.
    Service,
    /// Sold as one, stocked as its components.
    Kit,
}

impl ItemKind {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::Stocked => 1,
            Self::Service => 2,
            Self::Kit => 3,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Stocked, Self::Service, Self::Kit].into_iter().find(|kind| kind.code() == code)
    }
}

/// In what quantities of an item are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseUnit {
    Each,
    Gram,
    Millilitre,
    Millimetre,
}

impl BaseUnit {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::Each => 1,
            Self::Gram => 2,
            Self::Millilitre => 3,
            Self::Millimetre => 4,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Each, Self::Gram, Self::Millilitre, Self::Millimetre].into_iter().find(|unit| unit.code() == code)
    }
}

/// Whether stock of an item is told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracking {
    #[default]
    None,
    /// By lots, which may expire.
    Lot,
    /// Each piece by its own number.
    Serial,
}

impl Tracking {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::None => 1,
            Self::Lot => 2,
            Self::Serial => 3,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::None, Self::Lot, Self::Serial].into_iter().find(|tracking| tracking.code() == code)
    }
}

/// What goods that leave cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Valuation {
    #[default]
    MovingAverage,
    /// First in, first out.
    Fifo,
}

impl Valuation {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::MovingAverage => 1,
            Self::Fifo => 2,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::MovingAverage, Self::Fifo].into_iter().find(|valuation| valuation.code() == code)
    }
}

/// A unit in which an item is also bought or counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    pub code: String,
    /// Base units in one, above zero.
    pub quantity: i64,
    /// Empty: none.
    pub barcode: String,
}

/// An item as its keeper describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub sku: String,
    pub name: String,
    pub kind: ItemKind,
    pub base_unit: BaseUnit,
    /// Of one base unit; 0: unknown.
    pub weight_grams: i64,
    pub length_mm: i64,
    pub width_mm: i64,
    pub height_mm: i64,
    /// Cost of one base unit, for receipts that name none.
    pub standard_cost: Option<Money>,
    /// Of a kit: SKUs and how much of each makes one, ascending by SKU.
    pub components: Vec<(String, i64)>,
    pub tracking: Tracking,
    pub valuation: Valuation,
    /// Ascending by code.
    pub units: Vec<Unit>,
    /// Counts the changes, from 1.
    pub version: i64,
}

/// What the service knows of an item that is in use: nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownItem {
    pub id: ItemId,
    pub sku: Arc<str>,
    pub kind: ItemKind,
    pub tracking: Tracking,
    pub valuation: Valuation,
}

impl KnownItem {
    /// Whether it stands in stock.
    pub fn is_stocked(&self) -> bool {
        self.kind == ItemKind::Stocked
    }

    /// Whether it is sold as one and stocked as its components.
    pub fn is_kit(&self) -> bool {
        self.kind == ItemKind::Kit
    }

    /// Whether it takes stock, its own or its components'.
    pub fn takes_stock(&self) -> bool {
        self.kind != ItemKind::Service
    }
}

/// An item as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredItem {
    pub item: Item,
    /// The version that brought the composition in force.
    pub kit_version: Option<i64>,
    /// Reserved or moved at least once.
    pub used: bool,
}

/// What an upsert does with one item.
#[derive(Clone, Debug, PartialEq)]
pub enum Upsert<T> {
    /// The same already.
    Unchanged(T),
    /// To be written, with its next version.
    Changed(T),
}

/// What becomes of `stored` (none: there is no such item yet) when its keeper now describes it as `wanted`.
pub fn upsert(stored: Option<&StoredItem>, wanted: Item) -> Result<Upsert<Item>, Error> {
    let Some(stored) = stored else { return Ok(Upsert::Changed(Item { version: 1, ..wanted })) };
    let (old, version) = (&stored.item, stored.item.version);
    let fixed = |item: &Item| (item.kind, item.base_unit, item.tracking, item.valuation);
    if stored.used && fixed(old) != fixed(&wanted) {
        return Err(Error::ItemInUse(wanted.sku));
    }
    let wanted = Item { version, ..wanted };
    if *old == wanted {
        return Ok(Upsert::Unchanged(wanted));
    }
    Ok(Upsert::Changed(Item { version: version + 1, ..wanted }))
}

/// The aggregate of an item's events: the same for the same sku, everywhere.
pub fn aggregate_of(sku: &str) -> Uuid {
    derived("pesan.inventory.item", sku)
}

/// A UUID that stands for a name within a space of names (version 8: SHA-256 of both).
pub fn derived(space: &str, name: &str) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(space.as_bytes());
    hash.update([0]);
    hash.update(name.as_bytes());
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mug() -> Item {
        Item {
            sku: "MUG".into(),
            name: "Mug".into(),
            kind: ItemKind::Stocked,
            base_unit: BaseUnit::Each,
            weight_grams: 300,
            length_mm: 0,
            width_mm: 0,
            height_mm: 0,
            standard_cost: None,
            components: Vec::new(),
            tracking: Tracking::None,
            valuation: Valuation::MovingAverage,
            units: Vec::new(),
            version: 0,
        }
    }

    #[test]
    fn a_change_counts_and_a_repetition_does_not() {
        let Ok(Upsert::Changed(first)) = upsert(None, mug()) else { panic!("a new item is a change") };
        assert_eq!(first.version, 1);
        let stored = StoredItem { item: first.clone(), kit_version: None, used: false };
        assert_eq!(upsert(Some(&stored), mug()).unwrap(), Upsert::Unchanged(first));
        let renamed = Item { name: "Cup".into(), ..mug() };
        assert_eq!(upsert(Some(&stored), renamed.clone()).unwrap(), Upsert::Changed(Item { version: 2, ..renamed }));
    }

    #[test]
    fn kind_and_unit_are_fixed_once_in_use() {
        let mut stored = StoredItem { item: Item { version: 1, ..mug() }, kit_version: None, used: false };
        for changed in [
            Item { kind: ItemKind::Service, ..mug() },
            Item { base_unit: BaseUnit::Gram, ..mug() },
            Item { tracking: Tracking::Lot, ..mug() },
            Item { valuation: Valuation::Fifo, ..mug() },
        ] {
            stored.used = false;
            assert!(matches!(upsert(Some(&stored), changed.clone()), Ok(Upsert::Changed(_))));
            stored.used = true;
            assert!(matches!(upsert(Some(&stored), changed), Err(Error::ItemInUse(_))));
        }
        assert!(matches!(upsert(Some(&stored), Item { name: "Cup".into(), ..mug() }), Ok(Upsert::Changed(_))));
    }

    #[test]
    fn an_aggregate_is_derived_from_the_sku_alone() {
        assert_eq!(aggregate_of("MUG"), aggregate_of("MUG"));
        assert_ne!(aggregate_of("MUG"), aggregate_of("mug"));
        assert_eq!(aggregate_of("MUG").get_version_num(), 8);
    }
}
