//! What the service remembers of items and locations: only what never changes once they are in use.

use crate::item::{ItemId, KnownItem};
use crate::location::LocationId;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// More items than this are not remembered at once.
const MOST: usize = 1_000_000;

/// Items by sku and by id, locations by id.
#[derive(Debug, Default)]
pub struct Known {
    by_sku: HashMap<Arc<str>, KnownItem>,
    by_id: HashMap<ItemId, Arc<str>>,
    kits: HashSet<ItemId>,
    locations: HashMap<LocationId, Uuid>,
    location_ids: HashMap<Uuid, LocationId>,
}

impl Known {
    /// Remembers items that are in use.
    pub fn add_items(&mut self, items: impl IntoIterator<Item = KnownItem>) {
        if self.by_sku.len() > MOST {
            self.by_sku.clear();
            self.by_id.clear();
            self.kits.clear();
        }
        for item in items {
            self.by_id.insert(item.id, item.sku.clone());
            if item.is_kit() {
                self.kits.insert(item.id);
            }
            self.by_sku.insert(item.sku.clone(), item);
        }
    }

    /// Remembers locations.
    pub fn add_locations(&mut self, locations: impl IntoIterator<Item = (LocationId, Uuid)>) {
        for (id, location_id) in locations {
            self.locations.insert(id, location_id);
            self.location_ids.insert(location_id, id);
        }
    }

    /// The item with this sku.
    pub fn item(&self, sku: &str) -> Option<&KnownItem> {
        self.by_sku.get(sku)
    }

    /// Whether the item's sku is remembered.
    pub fn knows(&self, item: ItemId) -> bool {
        self.by_id.contains_key(&item)
    }

    /// The item's sku; empty where it is not remembered, which callers have made sure of.
    pub fn sku(&self, item: ItemId) -> &str {
        self.by_id.get(&item).map_or("", |sku| sku)
    }

    /// Whether the item, which is remembered, is a kit.
    pub fn is_kit(&self, item: ItemId) -> bool {
        self.kits.contains(&item)
    }

    /// Whether the location is remembered.
    pub fn knows_location(&self, location: LocationId) -> bool {
        self.locations.contains_key(&location)
    }

    /// The location's id as others know it; nil where it is not remembered, which callers have made sure of.
    pub fn location_id(&self, location: LocationId) -> Uuid {
        self.locations.get(&location).copied().unwrap_or_default()
    }

    /// The location with the id that others know it by.
    pub fn location(&self, location_id: Uuid) -> Option<LocationId> {
        self.location_ids.get(&location_id).copied()
    }
}
