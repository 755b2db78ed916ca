//! Who goods are bought from, and what they ask for them.

use crate::item::{ItemId, Upsert};
use pesan_money::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

/// Short key of a supplier inside this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SupplierId(pub i32);

/// A duration that varies: its mean and standard deviation, in days.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LeadTime {
    pub mean: f64,
    pub std: f64,
}

/// A supplier as its keeper describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Supplier {
    /// Made when it is first written.
    pub id: Uuid,
    pub code: String,
    pub name: String,
    /// Of its prices.
    pub currency: Currency,
    /// From the sending of a purchase order to its arrival.
    pub lead_time: LeadTime,
    /// Not to be ordered from any more.
    pub inactive: bool,
    /// Counts the changes, from 1.
    pub version: i64,
}

/// What becomes of `stored` (none: there is no such supplier yet) when its keeper now describes it as `wanted`.
pub fn upsert(stored: Option<&Supplier>, wanted: Supplier) -> Upsert<Supplier> {
    let Some(stored) = stored else { return Upsert::Changed(Supplier { id: Uuid::now_v7(), version: 1, ..wanted }) };
    let wanted = Supplier { id: stored.id, version: stored.version, ..wanted };
    if *stored == wanted {
        return Upsert::Unchanged(wanted);
    }
    Upsert::Changed(Supplier { version: wanted.version + 1, ..wanted })
}

/// What a supplier asks for an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    pub supplier_code: String,
    pub sku: String,
    /// Of one base unit, in the supplier's currency.
    pub price: Decimal,
    pub currency: Currency,
    /// Least that can be ordered, from 1.
    pub min_quantity: i64,
    /// Ordered in multiples of it, from 1.
    pub pack_size: i64,
    /// Lower is preferred.
    pub rank: i32,
    /// None: the supplier's.
    pub lead_days: Option<f64>,
    pub lead_days_std: Option<f64>,
    pub supplier_sku: String,
}

/// An offer as planning and buying need it, with its supplier's keys.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownOffer {
    pub item: ItemId,
    pub supplier: SupplierId,
    pub supplier_code: String,
    pub currency: Currency,
    pub price: Decimal,
    pub min_quantity: i64,
    pub pack_size: i64,
    /// The offer's own, else the supplier's.
    pub lead_time: LeadTime,
}

/// The least whole number of packs that is at least `quantity` and at least the minimum; 0 for nothing.
pub fn in_packs(quantity: i64, min_quantity: i64, pack_size: i64) -> i64 {
    if quantity <= 0 {
        return 0;
    }
    let (least, pack) = (quantity.max(min_quantity), pack_size.max(1));
    let packs = least / pack + i64::from(least % pack != 0);
    packs.saturating_mul(pack)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn whole_packs_and_never_below_the_minimum() {
        for (quantity, min, pack, ordered) in [
            (0, 10, 6, 0),
            (-5, 1, 1, 0),
            (1, 1, 1, 1),
            (1, 10, 6, 12),
            (12, 10, 6, 12),
            (13, 10, 6, 18),
            (7, 50, 1, 50),
        ] {
            assert_eq!(in_packs(quantity, min, pack), ordered, "{quantity} {min} {pack}");
        }
    }

    proptest! {
        #[test]
        fn packs_cover_the_need_with_less_than_a_pack_to_spare(
            quantity in 1i64..1_000_000_000, min in 1i64..10_000, pack in 1i64..10_000
        ) {
            let ordered = in_packs(quantity, min, pack);
            prop_assert_eq!(ordered % pack, 0);
            prop_assert!(ordered >= quantity.max(min) && ordered < quantity.max(min) + pack);
        }
    }
}
