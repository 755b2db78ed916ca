//! What there is to give.

use crate::item::ItemId;
use crate::kit::{Kit, pieces};
use crate::location::LocationId;
use std::collections::HashMap;
use time::OffsetDateTime;

/// What one location can give of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shelf {
    pub location: LocationId,
    pub free: i64,
    /// Since when it has the item without a break.
    pub since: Option<OffsetDateTime>,
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

    /// Adds to a location's shelf, or puts a new one into its place in the `order` of locations.
    pub fn add_to(&mut self, item: ItemId, more: Shelf, order: impl Fn(LocationId) -> usize) {
        let shelves = self.shelves.entry(item).or_default();
        match shelves.iter_mut().find(|shelf| shelf.location == more.location) {
            Some(shelf) => shelf.free += more.free,
            None => {
                let at = shelves.partition_point(|shelf| order(shelf.location) <= order(more.location));
                shelves.insert(at, more);
            }
        }
    }

    /// All that is free of an item.
    pub fn free(&self, item: ItemId) -> i64 {
        self.shelves(item).iter().map(|shelf| shelf.free.max(0)).sum()
    }

    /// The items, in no order.
    pub fn items(&self) -> impl Iterator<Item = ItemId> + '_ {
        self.shelves.keys().copied()
    }

    /// The shelves of an item, in their order.
    pub fn shelves(&self, item: ItemId) -> &[Shelf] {
        self.shelves.get(&item).map_or(&[], Vec::as_slice)
    }

    fn shelf(&self, item: ItemId, location: LocationId) -> Option<&Shelf> {
        self.shelves(item).iter().find(|shelf| shelf.location == location)
    }

    /// The locations with a shelf for an item, or for each component of a kit, in their order.
    pub fn locations<'a>(&'a self, item: ItemId, kit: Option<&'a Kit>) -> impl Iterator<Item = LocationId> + 'a {
        let first = pieces(item, kit).next().map_or(item, |piece| piece.item);
        let all = move |at: &LocationId| pieces(item, kit).all(|piece| self.shelf(piece.item, *at).is_some());
        self.shelves(first).iter().map(|shelf| shelf.location).filter(all)
    }

    /// What a location can give: of a kit, as many as its scarcest component allows.
    pub fn free_at(&self, item: ItemId, kit: Option<&Kit>, location: LocationId) -> i64 {
        let free = |item| self.shelf(item, location).map_or(0, |shelf| shelf.free.max(0));
        pieces(item, kit).map(|piece| free(piece.item) / piece.quantity).min().unwrap_or(0)
    }

    /// Since when a location has the item; of a kit, its oldest component.
    pub fn since(&self, item: ItemId, kit: Option<&Kit>, location: LocationId) -> Option<OffsetDateTime> {
        pieces(item, kit).filter_map(|piece| self.shelf(piece.item, location)?.since).min()
    }

    /// Takes up to `quantity` at one location. Gives how much it was.
    pub fn take_at(&mut self, item: ItemId, kit: Option<&Kit>, location: LocationId, quantity: i64) -> i64 {
        let some = self.free_at(item, kit, location).min(quantity);
        if some > 0 {
            self.give_back(item, kit, location, -some);
        }
        some
    }

    fn give_back(&mut self, item: ItemId, kit: Option<&Kit>, location: LocationId, quantity: i64) {
        for piece in pieces(item, kit) {
            let shelves = self.shelves.get_mut(&piece.item).into_iter().flatten();
            for shelf in shelves.filter(|shelf| shelf.location == location) {
                shelf.free += quantity * piece.quantity;
            }
        }
    }

    /// Takes up to `quantity` from the locations in the order given: all from the first that has it all, else from one
    /// after another. Gives what was taken from where.
    pub fn take_in_order(
        &mut self,
        item: ItemId,
        kit: Option<&Kit>,
        quantity: i64,
        locations: &[LocationId],
    ) -> Vec<(LocationId, i64)> {
        if let Some(one) = locations.iter().find(|location| self.free_at(item, kit, **location) >= quantity) {
            self.take_at(item, kit, *one, quantity);
            return vec![(*one, quantity)];
        }
        let mut wanted = quantity;
        let mut taken = Vec::new();
        for location in locations {
            let some = self.take_at(item, kit, *location, wanted);
            if some > 0 {
                wanted -= some;
                taken.push((*location, some));
            }
        }
        taken
    }

    /// The same from all locations in the order of the shelves that are `allowed`.
    pub fn take_where(
        &mut self,
        item: ItemId,
        kit: Option<&Kit>,
        quantity: i64,
        allowed: impl Fn(LocationId) -> bool,
    ) -> Vec<(LocationId, i64)> {
        let locations: Vec<LocationId> = self.locations(item, kit).filter(|location| allowed(*location)).collect();
        self.take_in_order(item, kit, quantity, &locations)
    }

    /// Puts back what was taken.
    pub fn put_back(&mut self, item: ItemId, kit: Option<&Kit>, taken: &[(LocationId, i64)]) {
        for (location, quantity) in taken {
            self.give_back(item, kit, *location, *quantity);
        }
    }

    /// Keeps back what waiting orders will get, so that nobody gets it before them, and gives how much it was. Kits that
    /// cannot be completed yet keep nothing back.
    pub fn keep_for_queue(
        &mut self,
        item: ItemId,
        kit: Option<&Kit>,
        waiting: i64,
        allowed: impl Fn(LocationId) -> bool,
    ) -> i64 {
        self.take_where(item, kit, waiting, allowed).iter().map(|(_, quantity)| quantity).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::Component;

    const MUG: ItemId = ItemId(1);
    const SAUCER: ItemId = ItemId(2);
    const SET: ItemId = ItemId(9);

    fn shelf(location: i32, free: i64) -> Shelf {
        Shelf { location: LocationId(location), free, since: None }
    }

    fn stock(free: [i64; 3]) -> FreeStock {
        let mut stock = FreeStock::default();
        for (location, free) in (1..).zip(free) {
            stock.add(MUG, shelf(location, free));
        }
        stock
    }

    fn anywhere(_: LocationId) -> bool {
        true
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
            let taken = stock.take_where(MUG, None, quantity, anywhere);
            assert_eq!(taken.iter().map(|(l, q)| (l.0, *q)).collect::<Vec<_>>(), expected, "{free:?} {quantity}");
            let sum: i64 = taken.iter().map(|(_, q)| q).sum();
            assert_eq!(stock.free(MUG), free.iter().sum::<i64>() - sum);
            stock.put_back(MUG, None, &taken);
            assert_eq!(stock.free(MUG), free.iter().sum::<i64>());
        }
        assert!(stock([1, 1, 1]).take_where(ItemId(2), None, 1, anywhere).is_empty());
    }

    #[test]
    fn what_waiting_orders_will_get_is_not_free() {
        let mut stock = stock([5, 5, 0]);
        stock.keep_for_queue(MUG, None, 3, |location| location != LocationId(1));
        assert_eq!((stock.free_at(MUG, None, LocationId(1)), stock.free(MUG)), (5, 7));
        stock.keep_for_queue(MUG, None, 4, anywhere);
        assert_eq!(stock.free(MUG), 3);
        stock.keep_for_queue(MUG, None, 100, anywhere);
        assert_eq!(stock.free(MUG), 0);
    }

    #[test]
    fn of_a_kit_there_are_as_many_as_its_scarcest_component_allows() {
        let component = |item, quantity| Component { item, quantity };
        let kit = Kit { version: 1, components: vec![component(MUG, 2), component(SAUCER, 1)] };
        let mut stock = stock([5, 4, 9]);
        stock.add(SAUCER, shelf(1, 9));
        stock.add(SAUCER, shelf(2, 1));
        let free = |stock: &FreeStock| [1, 2, 3].map(|at| stock.free_at(SET, Some(&kit), LocationId(at)));
        assert_eq!(free(&stock), [2, 1, 0]);
        let taken = stock.take_where(SET, Some(&kit), 3, anywhere);
        assert_eq!(taken, [(LocationId(1), 2), (LocationId(2), 1)]);
        assert_eq!((stock.free(MUG), stock.free(SAUCER)), (18 - 6, 10 - 3));
        stock.put_back(SET, Some(&kit), &taken);
        assert_eq!((stock.free(MUG), stock.free(SAUCER)), (18, 10));
        // 9 mugs at the third location make no set: they are free for others.
        stock.keep_for_queue(SET, Some(&kit), 100, anywhere);
        assert_eq!((stock.free(MUG), stock.free(SAUCER)), (12, 7));
    }
}
