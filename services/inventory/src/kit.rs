//! Bundles: sold as one, held as parts.

use crate::item::ItemId;

/// How a kit was composed when something was promised of it. Never changes: a changed kit is another version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kit {
    /// The item's version that brought it.
    pub version: i64,
    /// At least one, each item once, by item.
    pub components: Vec<Component>,
}

/// So much of an item makes one kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    pub item: ItemId,
    /// Above zero.
    pub quantity: i64,
}

/// What one unit of a line takes out of stock: the components of a kit, or the item itself.
pub fn pieces(item: ItemId, kit: Option<&Kit>) -> impl Iterator<Item = Component> + '_ {
    let itself = kit.is_none().then_some(Component { item, quantity: 1 });
    itself.into_iter().chain(kit.into_iter().flat_map(|kit| kit.components.iter().copied()))
}
