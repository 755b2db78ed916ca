//! Other units than the base unit: conversions, and barcodes.

use super::Inventory;
use crate::convert::item::base_unit_name;
use crate::error::Error;
use crate::item::{BaseUnit, Unit};
use crate::store;
use std::collections::HashMap;

/// The units of some items.
#[derive(Debug, Default)]
pub struct Units {
    by_sku: HashMap<String, (BaseUnit, Vec<Unit>)>,
}

impl Units {
    /// Base units in one; none where the item has no such unit. The empty name and the base unit's own are the base unit.
    pub fn factor(&self, sku: &str, unit: &str) -> Option<i64> {
        if unit.is_empty() {
            return Some(1);
        }
        let (base, units) = self.by_sku.get(sku)?;
        let named = units.iter().find(|known| known.code == unit).map(|known| known.quantity);
        named.or((unit == base_unit_name(*base)).then_some(1))
    }

    /// A quantity of one unit in another, exactly.
    pub fn convert(&self, sku: &str, quantity: i64, from: &str, to: &str) -> Result<i64, Error> {
        if !self.by_sku.contains_key(sku) {
            return Err(Error::UnknownSku(vec!["sku".to_owned()]));
        }
        let from = self.factor(sku, from).ok_or(Error::UnknownUnit("from_unit"))?;
        let to = self.factor(sku, to).ok_or(Error::UnknownUnit("to_unit"))?;
        let base = i128::from(quantity) * i128::from(from);
        if base % i128::from(to) != 0 {
            return Err(Error::NotAWholeUnit);
        }
        i64::try_from(base / i128::from(to)).map_err(|_| Error::StockLimit("quantity"))
    }
}

/// The units of items; those that do not exist are missing.
pub async fn read(inventory: &Inventory, skus: Vec<String>) -> Result<Units, Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let bases = store::unit::base_units(&mut tx, &skus).await?;
    let mut units = store::unit::of_items(&mut tx, &skus).await?;
    tx.commit().await?;
    let by_sku = bases.into_iter().map(|(sku, base)| {
        let units = units.remove(&sku).unwrap_or_default();
        (sku, (base, units))
    });
    Ok(Units { by_sku: by_sku.collect() })
}

/// The item and unit that carry a barcode.
pub async fn by_barcode(inventory: &Inventory, barcode: &str) -> Result<(String, Unit), Error> {
    let mut conn = inventory.pool.acquire().await?;
    let found = store::unit::by_barcode(&mut conn, &[barcode]).await?.into_iter().next();
    found.ok_or_else(|| Error::BarcodeNotFound(barcode.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_are_exact_or_refused() {
        let unit = |code: &str, quantity| Unit { code: code.into(), quantity, barcode: String::new() };
        let units = (BaseUnit::Each, vec![unit("CASE", 12), unit("PALLET", 480)]);
        let units = Units { by_sku: HashMap::from([("MUG".to_owned(), units)]) };
        for (quantity, from, to, expected) in [
            (3, "CASE", "", Ok(36)),
            (3, "CASE", "EACH", Ok(36)),
            (480, "", "PALLET", Ok(1)),
            (2, "PALLET", "CASE", Ok(80)),
            (0, "EACH", "CASE", Ok(0)),
            (40, "CASE", "PALLET", Ok(1)),
            (41, "CASE", "PALLET", Err("NOT_A_WHOLE_UNIT")),
            (13, "", "CASE", Err("NOT_A_WHOLE_UNIT")),
            (1, "BOX", "", Err("UNKNOWN_UNIT")),
            (1, "", "GRAM", Err("UNKNOWN_UNIT")),
            (i64::MAX, "CASE", "", Err("STOCK_LIMIT")),
        ] {
            let outcome = units.convert("MUG", quantity, from, to);
            let outcome = outcome.map_err(|error| pesan_api::r#type::v1::Problem::from(error).reason);
            assert_eq!(outcome, expected.map_err(str::to_owned), "{quantity} {from} in {to}");
        }
        assert!(matches!(units.convert("CUP", 1, "", ""), Err(Error::UnknownSku(_))));
    }
}
