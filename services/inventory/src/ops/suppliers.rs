//! Suppliers and what they offer: created and changed, each by itself.

use super::{Inventory, insist};
use crate::error::Error;
use crate::item::{Upsert, derived};
use crate::store;
use crate::supplier::{self, Offer, Supplier, SupplierId};
use pesan_grpc::Violations;
use std::collections::{BTreeMap, HashMap};

/// Creates or changes suppliers by code. One that comes twice is changed twice, in the order given.
pub async fn upsert(
    inventory: &Inventory,
    wanted: Vec<Result<Supplier, Error>>,
) -> Result<Vec<Result<Supplier, Error>>, Error> {
    insist(|| write(inventory, &wanted)).await
}

async fn write(
    inventory: &Inventory,
    wanted: &[Result<Supplier, Error>],
) -> Result<Vec<Result<Supplier, Error>>, Error> {
    let codes: Vec<&str> = wanted.iter().flatten().map(|supplier| supplier.code.as_str()).collect();
    let mut tx = store::begin(&inventory.pool).await?;
    // Their ids are not known before they exist.
    pesan_feed::lock(&mut tx, codes.iter().map(|code| derived("pesan.inventory.supplier", code))).await?;
    let stored = store::supplier::find(&mut tx, &codes).await?;
    let mut stored: HashMap<String, Supplier> = stored.into_iter().map(|(_, s)| (s.code.clone(), s)).collect();
    let mut changed: BTreeMap<String, Supplier> = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        outcomes.push(match wanted {
            Err(error) => Err(error.clone()),
            Ok(wanted) => Ok(match supplier::upsert(stored.get(&wanted.code), wanted.clone()) {
                Upsert::Unchanged(same) => same,
                Upsert::Changed(new) => {
                    stored.insert(new.code.clone(), new.clone());
                    changed.insert(new.code.clone(), new.clone());
                    new
                }
            }),
        });
    }
    if !changed.is_empty() {
        store::supplier::write(&mut tx, &changed.values().collect::<Vec<_>>()).await?;
    }
    tx.commit().await?;
    Ok(outcomes)
}

/// Creates or changes offers by supplier and sku. Of one that comes twice the last counts.
pub async fn upsert_offers(
    inventory: &Inventory,
    wanted: Vec<Result<Offer, Error>>,
) -> Result<Vec<Result<Offer, Error>>, Error> {
    inventory.learn_skus(wanted.iter().flatten().map(|offer| offer.sku.as_str()).collect()).await?;
    let codes: Vec<&str> = wanted.iter().flatten().map(|offer| offer.supplier_code.as_str()).collect();
    let mut tx = store::begin(&inventory.pool).await?;
    let suppliers = store::supplier::find(&mut tx, &codes).await?;
    let suppliers: HashMap<String, (SupplierId, Supplier)> =
        suppliers.into_iter().map(|(id, supplier)| (supplier.code.clone(), (id, supplier))).collect();
    let mut rows = BTreeMap::new();
    let mut outcomes = Vec::with_capacity(wanted.len());
    for offer in &wanted {
        let resolved = offer.as_ref().map_err(Error::clone).and_then(|offer| resolve(inventory, &suppliers, offer));
        outcomes.push(resolved.map(|(supplier, item, offer)| {
            rows.insert((item, supplier), (supplier, item, offer));
            offer.clone()
        }));
    }
    if !rows.is_empty() {
        store::supplier::write_offers(&mut tx, &rows.into_values().collect::<Vec<_>>()).await?;
    }
    tx.commit().await?;
    Ok(outcomes)
}

fn resolve<'a>(
    inventory: &Inventory,
    suppliers: &HashMap<String, (SupplierId, Supplier)>,
    offer: &'a Offer,
) -> Result<(SupplierId, crate::item::ItemId, &'a Offer), Error> {
    let (supplier, of) = suppliers.get(&offer.supplier_code).ok_or(Error::UnknownSupplier("supplier_code"))?;
    if of.currency != offer.currency {
        let mut violations = Violations::new();
        violations.add("price.currency_code", format!("must be {} like all prices of the supplier", of.currency));
        return Err(violations.into());
    }
    let item = inventory.stocked_item(&offer.sku, "sku")?;
    Ok((*supplier, item, offer))
}

/// The supplier with this code.
pub async fn get(inventory: &Inventory, code: &str) -> Result<Supplier, Error> {
    let mut conn = inventory.pool.acquire().await?;
    let found = store::supplier::find(&mut conn, &[code]).await?.pop();
    found.map(|(_, supplier)| supplier).ok_or_else(|| Error::SupplierNotFound(code.to_owned()))
}

/// Suppliers after a code, ascending; one more than `size` where there are more.
pub async fn list(inventory: &Inventory, after: Option<&str>, size: i64) -> Result<Vec<Supplier>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    Ok(store::supplier::page(&mut conn, after, size + 1).await?)
}

/// Offers after a sku and supplier, ascending; one more than `size` where there are more.
pub async fn list_offers(
    inventory: &Inventory,
    after: Option<(&str, &str)>,
    sku: Option<&str>,
    supplier: Option<&str>,
    size: i64,
) -> Result<Vec<Offer>, Error> {
    let mut conn = inventory.pool.acquire().await?;
    Ok(store::supplier::offers_page(&mut conn, after, sku, supplier, size + 1).await?)
}
