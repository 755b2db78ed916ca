//! Which location gives which quantity.

use crate::item::ItemId;
use crate::location::LocationId;
use std::collections::HashMap;

/// What one location can give of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shelf {
    pub location: LocationId,
    pub free: i64,
}

/// The free stock of some items; the shelves of each are in the order in which they are asked: by rank, then code.
#[derive(Clone, Debug, Default)]
pub struct FreeStock {
    shelves: HashMap<ItemId, Vec<Shelf>>,
}

impl FreeStock {
    /// Adds a shelf behind those the item has.
    pub fn add(&mut self, item: ItemId, shelf: Shelf) {
        self.shelves.entry(item).or_default().push(shelf);
    }

    /// All that is free of an item.
    pub fn free(&self, item: ItemId) -> i64 {
        self.shelves.get(&item).map_or(0, |shelves| shelves.iter().map(|shelf| shelf.free).sum())
    }

    /// The items, in no order.
    pub fn items(&self) -> impl Iterator<Item = ItemId> + '_ {
        self.shelves.keys().copied()
    }

    /// Takes up to `quantity` of an item: all from the first location that has it all, else from one after another.
    /// Gives what was taken from where.
    pub fn take(&mut self, item: ItemId, quantity: i64) -> Vec<(LocationId, i64)> {
        let Some(shelves) = self.shelves.get_mut(&item) else { return Vec::new() };
        if let Some(shelf) = shelves.iter_mut().find(|shelf| shelf.free >= quantity) {
            shelf.free -= quantity;
            return vec![(shelf.location, quantity)];
        }
        let mut wanted = quantity;
        let mut taken = Vec::new();
        for shelf in shelves.iter_mut() {
            let some = shelf.free.min(wanted);
            if some > 0 {
                shelf.free -= some;
                wanted -= some;
                taken.push((shelf.location, some));
            }
        }
        taken
    }

    /// Puts back what was taken.
    pub fn put_back(&mut self, item: ItemId, taken: &[(LocationId, i64)]) {
        let Some(shelves) = self.shelves.get_mut(&item) else { return };
        for (location, quantity) in taken {
            if let Some(shelf) = shelves.iter_mut().find(|shelf| shelf.location == *location) {
                shelf.free += quantity;
            }
        }
    }

    /// Keeps back what waiting orders will get, so that nobody gets it before them.
    pub fn keep_for_queue(&mut self, item: ItemId, waiting: i64) {
        self.take(item, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUG: ItemId = ItemId(1);

    fn stock(free: [i64; 3]) -> FreeStock {
        let mut stock = FreeStock::default();
        for (location, free) in (1..).zip(free) {
            stock.add(MUG, Shelf { location: LocationId(location), free });
        }
        stock
    }

    #[test]
    fn one_location_that_has_it_all_is_preferred() {
        for (free, quantity, expected) in [
            ([5, 9, 9], 5, vec![(1, 5)]),
            ([5, 9, 9], 6, vec![(2, 6)]),
            ([5, 4, 9], 9, vec![(3, 9)]),
            ([5, 4, 9], 10, vec![(1, 5), (2, 4), (3, 1)]),
            ([0, 4, 0], 10, vec![(2, 4)]),
            ([0, 0, 0], 10, vec![]),
        ] {
            let mut stock = stock(free);
            let taken = stock.take(MUG, quantity);
            assert_eq!(taken.iter().map(|(l, q)| (l.0, *q)).collect::<Vec<_>>(), expected, "{free:?} {quantity}");
            let sum: i64 = taken.iter().map(|(_, q)| q).sum();
            assert_eq!(stock.free(MUG), free.iter().sum::<i64>() - sum);
            stock.put_back(MUG, &taken);
            assert_eq!(stock.free(MUG), free.iter().sum::<i64>());
        }
        assert!(stock([1, 1, 1]).take(ItemId(2), 1).is_empty());
    }

    #[test]
    fn what_waiting_orders_will_get_is_not_free() {
        let mut stock = stock([5, 5, 0]);
        stock.keep_for_queue(MUG, 7);
        assert_eq!(stock.free(MUG), 3);
        stock.keep_for_queue(MUG, 100);
        assert_eq!(stock.free(MUG), 0);
    }
}
