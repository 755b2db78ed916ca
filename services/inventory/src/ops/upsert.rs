//! Creates or changes items and locations, each by itself. What is the same already is left as it is.

use super::{Inventory, insist};
use crate::convert::facts;
use crate::error::Error;
use crate::item::{self, Item, ItemKind, StoredItem, Upsert};
use crate::location::{self, Location};
use crate::store;
use crate::store::kit::NewKit;
use pesan_feed::NewEvent;
use std::collections::HashMap;

/// Creates or changes items by sku. One that comes twice is changed twice, in the order given.
pub async fn upsert_items(
    inventory: &Inventory,
    wanted: Vec<Result<Item, Error>>,
) -> Result<Vec<Result<Item, Error>>, Error> {
    insist(|| write_items(inventory, &wanted)).await
}

async fn write_items(inventory: &Inventory, wanted: &[Result<Item, Error>]) -> Result<Vec<Result<Item, Error>>, Error> {
    let now = inventory.clock.now();
    let items = || wanted.iter().flatten();
    let components = items().flat_map(|item| item.components.iter().map(|(sku, _)| sku.as_str()));
    let skus: Vec<&str> = items().map(|item| item.sku.as_str()).chain(components).collect();
    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, skus.iter().map(|sku| item::aggregate_of(sku))).await?;
    let stored = store::item::lock(&mut tx, &skus).await?;
    let mut stored: HashMap<String, StoredItem> = stored.into_iter().map(|s| (s.item.sku.clone(), s)).collect();
    let kit_versions: HashMap<String, Option<i64>> =
        stored.iter().map(|(sku, stored)| (sku.clone(), stored.kit_version)).collect();

    let barcodes: Vec<&str> =
        wanted.iter().flatten().flat_map(|item| &item.units).map(|u| u.barcode.as_str()).collect();
    let mut taken: HashMap<String, String> = HashMap::new();
    if !barcodes.is_empty() {
        let found = store::unit::by_barcode(&mut tx, &barcodes).await?;
        taken.extend(found.into_iter().map(|(sku, unit)| (unit.barcode, sku)));
    }

    let (outcomes, changed) = apply(wanted, |item| {
        let with_barcode = || item.units.iter().filter(|unit| !unit.barcode.is_empty());
        if let Some(unit) = with_barcode().find(|u| taken.get(&u.barcode).is_some_and(|sku| *sku != item.sku)) {
            return Err(Error::BarcodeInUse(unit.barcode.clone()));
        }
        let outcome = upsert_item(&mut stored, item)?;
        if let Upsert::Changed(_) = &outcome {
            taken.extend(with_barcode().map(|unit| (unit.barcode.clone(), item.sku.clone())));
        }
        Ok(outcome)
    });
    let events: Vec<NewEvent> = changed
        .iter()
        .map(|item| NewEvent::new(item::aggregate_of(&item.sku), item.version, &facts::item_changed(item), now))
        .collect();
    let latest: HashMap<&str, &Item> = changed.iter().map(|item| (item.sku.as_str(), item)).collect();
    let kit_version = |sku: &str| stored.get(sku).and_then(|stored| stored.kit_version);
    let latest: Vec<(&Item, Option<i64>)> =
        latest.into_values().map(|item| (item, kit_version(item.sku.as_str()))).collect();
    let kits = latest.iter().filter_map(|(item, version)| {
        let before = kit_versions.get(&item.sku).copied().flatten();
        let version = version.filter(|version| before != Some(*version))?;
        Some(NewKit { sku: &item.sku, version, components: &item.components })
    });
    let kits: Vec<NewKit<'_>> = kits.collect();
    if !latest.is_empty() {
        store::item::write(&mut tx, &latest).await?;
        store::kit::write(&mut tx, &kits).await?;
        pesan_feed::append(&mut tx, &events).await?;
    }
    tx.commit().await?;
    inventory.feed.wake();
    Ok(outcomes)
}

/// One item of the list, given what is stored after those before it.
fn upsert_item(stored: &mut HashMap<String, StoredItem>, wanted: &Item) -> Result<Upsert<Item>, Error> {
    let is_stocked = |sku: &String| stored.get(sku).is_some_and(|stored| stored.item.kind == ItemKind::Stocked);
    let unknown = wanted.components.iter().enumerate().filter(|(_, (sku, _))| !is_stocked(sku));
    let unknown: Vec<String> = unknown.map(|(i, _)| format!("components[{i}].sku")).collect();
    if !unknown.is_empty() {
        return Err(Error::UnknownComponent(unknown));
    }
    let before = stored.get(&wanted.sku);
    let used = before.is_some_and(|stored| stored.used);
    let outcome = item::upsert(before, wanted.clone())?;
    if let Upsert::Changed(changed) = &outcome {
        let same = before.filter(|before| before.item.components == changed.components);
        let composed = same.and_then(|before| before.kit_version).unwrap_or(changed.version);
        let kit_version = (changed.kind == ItemKind::Kit).then_some(composed);
        stored.insert(changed.sku.clone(), StoredItem { item: changed.clone(), kit_version, used });
        for (sku, _) in &changed.components {
            // A part of a kit stays stocked.
            if let Some(component) = stored.get_mut(sku) {
                component.used = true;
            }
        }
    }
    Ok(outcome)
}

/// Creates or changes locations by code. One that comes twice is changed twice, in the order given.
pub async fn upsert_locations(
    inventory: &Inventory,
    wanted: Vec<Result<Location, Error>>,
) -> Result<Vec<Result<Location, Error>>, Error> {
    insist(|| write_locations(inventory, &wanted)).await
}

async fn write_locations(
    inventory: &Inventory,
    wanted: &[Result<Location, Error>],
) -> Result<Vec<Result<Location, Error>>, Error> {
    let now = inventory.clock.now();
    let codes: Vec<&str> = wanted.iter().flatten().map(|location| location.code.as_str()).collect();
    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, codes.iter().map(|code| location::lock_of(code))).await?;
    let stored = store::location::find(&mut tx, &codes).await?;
    let mut stored: HashMap<String, Location> = stored.into_iter().map(|l| (l.code.clone(), l)).collect();

    let (outcomes, changed) = apply(wanted, |wanted| {
        let outcome = location::upsert(stored.get(&wanted.code), wanted.clone());
        if let Upsert::Changed(changed) = &outcome {
            stored.insert(changed.code.clone(), changed.clone());
        }
        Ok(outcome)
    });
    let events: Vec<NewEvent> = changed
        .iter()
        .map(|location| NewEvent::new(location.id, location.version, &facts::location_changed(location), now))
        .collect();
    let latest: HashMap<&str, &Location> = changed.iter().map(|l| (l.code.as_str(), l)).collect();
    let latest: Vec<&Location> = latest.into_values().collect();
    if !latest.is_empty() {
        store::location::write(&mut tx, &latest).await?;
        store::network::changed(&mut tx).await?;
        pesan_feed::append(&mut tx, &events).await?;
    }
    tx.commit().await?;
    inventory.feed.wake();
    if !latest.is_empty() {
        // A location that opens, or serves another channel, has stock for those who wait.
        inventory.filler.notify_one();
    }
    Ok(outcomes)
}

/// The outcome for each of the wanted, and those that changed, in order.
fn apply<T: Clone>(
    wanted: &[Result<T, Error>],
    mut upsert: impl FnMut(&T) -> Result<Upsert<T>, Error>,
) -> (Vec<Result<T, Error>>, Vec<T>) {
    let mut changed = Vec::new();
    let outcomes = wanted.iter().map(|wanted| {
        Ok(match upsert(wanted.as_ref().map_err(Error::clone)?)? {
            Upsert::Unchanged(same) => same,
            Upsert::Changed(new) => {
                changed.push(new.clone());
                new
            }
        })
    });
    (outcomes.collect(), changed)
}
