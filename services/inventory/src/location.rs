//! Where stock stands.

use crate::calendar::Calendar;
use crate::item::{Upsert, derived};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Short key of a location inside this service, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocationId(pub i32);

impl LocationId {
    /// As `reservation_part` keeps "nowhere".
    pub const NOWHERE: i32 = 0;
}

/// What a location is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LocationKind {
    #[default]
    Warehouse,
    /// A shop that also ships.
    Store,
    /// A supplier ships.
    DropShip,
}

impl LocationKind {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::Warehouse => 1,
            Self::Store => 2,
            Self::DropShip => 3,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Warehouse, Self::Store, Self::DropShip].into_iter().find(|kind| kind.code() == code)
    }
}

/// A location as its keeper describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Location {
    /// Made when it is first written.
    pub id: Uuid,
    pub code: String,
    pub name: String,
    /// Degrees, WGS 84.
    pub latitude: f64,
    pub longitude: f64,
    /// Lower is asked first, 0 to 1,000.
    pub rank: i32,
    pub kind: LocationKind,
    /// Nothing is promised from it.
    pub closed: bool,
    /// Orders shipped a day; 0: not limited.
    pub daily_capacity: i32,
    pub calendar: Calendar,
    /// Served sales channels; empty: all.
    pub channels: BTreeSet<String>,
    /// Counts the changes, from 1.
    pub version: i64,
}

/// What becomes of `stored` (none: there is no such location yet) when its keeper now describes it as `wanted`.
pub fn upsert(stored: Option<&Location>, wanted: Location) -> Upsert<Location> {
    let Some(stored) = stored else { return Upsert::Changed(Location { id: Uuid::now_v7(), version: 1, ..wanted }) };
    let wanted = Location { id: stored.id, version: stored.version, ..wanted };
    if *stored == wanted {
        return Upsert::Unchanged(wanted);
    }
    Upsert::Changed(Location { version: wanted.version + 1, ..wanted })
}

/// What is locked while the location with this code is written: its id is not known before it exists.
pub fn lock_of(code: &str) -> Uuid {
    derived("pesan.inventory.location", code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_keeps_its_id_and_counts_its_changes() {
        let wanted = |name: &str| Location {
            id: Uuid::nil(),
            code: "L1".into(),
            name: name.into(),
            latitude: 51.5,
            longitude: -0.1,
            ..Location::default()
        };
        let Upsert::Changed(first) = upsert(None, wanted("London")) else { panic!("a new one is a change") };
        assert!(!first.id.is_nil() && first.version == 1);
        assert_eq!(upsert(Some(&first), wanted("London")), Upsert::Unchanged(first.clone()));
        let Upsert::Changed(second) = upsert(Some(&first), wanted("Londinium")) else {
            panic!("a new name is a change")
        };
        assert_eq!((second.id, second.version), (first.id, 2));
    }
}
