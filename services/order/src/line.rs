//! An order line: what is promised of it, and what becomes of the promise. Every transition keeps the laws of
//! [`Quantities`] and the allocations in step with them, or refuses.

use crate::quantities::Quantities;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A quantity of a line at one location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// Where.
    pub location: Uuid,
    /// Reserved there and not yet shipped.
    pub reserved: i64,
    /// Shipped from there.
    pub shipped: i64,
}

/// The part of a line that changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1.
    pub line_no: i32,
    /// Where its quantity stands.
    pub quantities: Quantities,
    /// False for service items: nothing to pick.
    pub stocked: bool,
    /// Where it is reserved and where it left from; Σ reserved and Σ shipped are those of the quantities.
    pub allocations: Vec<Allocation>,
}

/// What inventory promises for a line: the three parts make up what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinePromise {
    /// Of the line.
    pub line_no: i32,
    /// False for service items.
    pub stocked: bool,
    /// Reserved, by location.
    pub reserved: Vec<(Uuid, i64)>,
    /// Waits for stock.
    pub backordered: i64,
    /// Not there, and not waited for.
    pub refused: i64,
}

impl LinePromise {
    /// Σ reserved over the locations.
    pub fn reserved_in_all(&self) -> i64 {
        self.reserved.iter().map(|(_, quantity)| quantity).sum()
    }
}

/// A fact that the line cannot have: some service's books are wrong, and going on would make these wrong as well.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line_no}: {what} {quantity} does not fit {quantities:?}")]
pub struct Unlawful {
    line_no: i32,
    what: &'static str,
    quantity: i64,
    quantities: Quantities,
}

impl Line {
    /// A line of which nothing is promised yet.
    pub fn fresh(line_no: i32, ordered: i64) -> Self {
        Self { line_no, quantities: Quantities::of(ordered), stocked: true, allocations: Vec::new() }
    }

    /// A line of which this is promised, and nothing has happened since.
    ///
    /// # Errors
    /// When a part is negative.
    pub fn promised(promise: &LinePromise) -> Result<Self, Unlawful> {
        let ordered = promise.reserved_in_all() + promise.backordered + promise.refused;
        let mut line = Self::fresh(promise.line_no, ordered);
        line.promise(promise)?;
        Ok(line)
    }

    /// What is promised of it.
    pub fn as_promise(&self) -> LinePromise {
        LinePromise {
            line_no: self.line_no,
            stocked: self.stocked,
            reserved: self.allocations.iter().map(|a| (a.location, a.reserved)).collect(),
            backordered: self.quantities.backordered,
            refused: self.quantities.cancelled,
        }
    }

    fn unlawful(&self, what: &'static str, quantity: i64) -> Unlawful {
        Unlawful { line_no: self.line_no, what, quantity, quantities: self.quantities }
    }

    /// Records a promise, in place of an earlier one. Only before anything has left.
    ///
    /// # Errors
    /// When the parts are not exactly what was ordered, or something has left already.
    pub fn promise(&mut self, promise: &LinePromise) -> Result<(), Unlawful> {
        let reserved = promise.reserved_in_all();
        let parts_are_possible = promise.backordered >= 0
            && promise.refused >= 0
            && promise.reserved.iter().all(|(_, quantity)| *quantity > 0)
            && reserved + promise.backordered + promise.refused == self.quantities.ordered;
        if !parts_are_possible || self.quantities.shipped > 0 {
            return Err(self.unlawful("a promise of", reserved));
        }
        self.stocked = promise.stocked;
        self.quantities.reserved = reserved;
        self.quantities.backordered = promise.backordered;
        self.quantities.cancelled = promise.refused;
        self.allocations.clear();
        for (location, quantity) in &promise.reserved {
            self.at(*location).reserved += quantity;
        }
        Ok(())
    }

    /// The promise lapsed before it was confirmed: nothing is decided any more.
    pub fn lapse(&mut self) {
        self.quantities.reserved = 0;
        self.quantities.backordered = 0;
        self.quantities.cancelled = 0;
        self.allocations.clear();
    }

    /// Waiting quantity got stock at a location. How much of it is taken: at most what still waits, because the rest was
    /// cancelled meanwhile and inventory lets go of it when it reads that.
    pub fn fill(&mut self, location: Uuid, quantity: i64) -> i64 {
        let taken = quantity.clamp(0, self.quantities.backordered);
        if taken > 0 {
            self.quantities.backordered -= taken;
            self.quantities.reserved += taken;
            self.at(location).reserved += taken;
        }
        taken
    }

    /// A picker did not find `quantity`: `backordered` of it waits again, the rest is cancelled.
    ///
    /// # Errors
    /// When less is reserved at the location.
    pub fn fall_short(&mut self, location: Uuid, quantity: i64, backordered: i64) -> Result<(), Unlawful> {
        if !(0..=quantity).contains(&backordered) {
            return Err(self.unlawful("a shortage of", quantity));
        }
        self.unreserve("a shortage of", location, quantity)?;
        self.quantities.backordered += backordered;
        self.quantities.cancelled += quantity - backordered;
        Ok(())
    }

    /// Goods left.
    ///
    /// # Errors
    /// When less is reserved at the location.
    pub fn ship(&mut self, location: Uuid, quantity: i64) -> Result<(), Unlawful> {
        self.unreserve("a shipment of", location, quantity)?;
        self.quantities.shipped += quantity;
        self.at(location).shipped += quantity;
        Ok(())
    }

    /// Goods arrived.
    ///
    /// # Errors
    /// When more would have arrived than left.
    pub fn deliver(&mut self, quantity: i64) -> Result<(), Unlawful> {
        self.quantities.delivered += quantity;
        self.keep_lawful("a delivery of", quantity)
    }

    /// Goods came back.
    ///
    /// # Errors
    /// When more would have come back than left.
    pub fn take_back(&mut self, quantity: i64) -> Result<(), Unlawful> {
        self.quantities.returned += quantity;
        self.keep_lawful("a return of", quantity)
    }

    /// Goods were put on an invoice.
    ///
    /// # Errors
    /// When more would be invoiced than was ordered.
    pub fn invoice(&mut self, quantity: i64) -> Result<(), Unlawful> {
        self.quantities.invoiced += quantity;
        self.keep_lawful("an invoice of", quantity)
    }

    /// Goods were credited.
    ///
    /// # Errors
    /// When more would be credited than was ordered.
    pub fn refund(&mut self, quantity: i64) -> Result<(), Unlawful> {
        self.quantities.refunded += quantity;
        self.keep_lawful("a credit of", quantity)
    }

    /// Gives up what is not promised yet: all of it.
    pub fn cancel_unpromised(&mut self) {
        self.lapse();
        self.quantities.cancelled = self.quantities.ordered;
    }

    /// Gives up waiting quantity.
    ///
    /// # Errors
    /// When less waits.
    pub fn cancel_backordered(&mut self, quantity: i64) -> Result<(), Unlawful> {
        if !(0..=self.quantities.backordered).contains(&quantity) {
            return Err(self.unlawful("a cancellation of waiting", quantity));
        }
        self.quantities.backordered -= quantity;
        self.quantities.cancelled += quantity;
        Ok(())
    }

    /// Gives up what is reserved at a location.
    ///
    /// # Errors
    /// When less is reserved there.
    pub fn cancel_reserved(&mut self, location: Uuid, quantity: i64) -> Result<(), Unlawful> {
        self.unreserve("a cancellation of reserved", location, quantity)?;
        self.quantities.cancelled += quantity;
        Ok(())
    }

    fn at(&mut self, location: Uuid) -> &mut Allocation {
        let place = self.allocations.iter().position(|a| a.location == location).unwrap_or_else(|| {
            self.allocations.push(Allocation { location, reserved: 0, shipped: 0 });
            self.allocations.len() - 1
        });
        &mut self.allocations[place]
    }

    fn unreserve(&mut self, what: &'static str, location: Uuid, quantity: i64) -> Result<(), Unlawful> {
        let place = self.allocations.iter().position(|a| a.location == location && a.reserved >= quantity);
        let Some(place) = place.filter(|_| quantity > 0) else { return Err(self.unlawful(what, quantity)) };
        self.allocations[place].reserved -= quantity;
        if self.allocations[place].reserved == 0 && self.allocations[place].shipped == 0 {
            self.allocations.remove(place);
        }
        self.quantities.reserved -= quantity;
        Ok(())
    }

    fn keep_lawful(&self, what: &'static str, quantity: i64) -> Result<(), Unlawful> {
        if quantity > 0 && self.quantities.is_lawful() { Ok(()) } else { Err(self.unlawful(what, quantity)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    fn promised(reserved: &[(u128, i64)], backordered: i64, refused: i64) -> Line {
        let reserved: Vec<_> = reserved.iter().map(|(n, quantity)| (place(*n), *quantity)).collect();
        let promise = LinePromise { line_no: 1, stocked: true, reserved, backordered, refused };
        let mut line = Line::fresh(1, promise.reserved_in_all() + backordered + refused);
        line.promise(&promise).unwrap();
        line
    }

    /// Every law, and the allocations in step.
    fn assert_sound(line: &Line) {
        assert!(line.quantities.is_lawful(), "{line:?}");
        let sum = |of: fn(&Allocation) -> i64| line.allocations.iter().map(of).sum::<i64>();
        assert_eq!((sum(|a| a.reserved), sum(|a| a.shipped)), (line.quantities.reserved, line.quantities.shipped));
        assert!(line.allocations.iter().all(|a| a.reserved >= 0 && a.shipped >= 0 && a.reserved + a.shipped > 0));
    }

    #[test]
    fn a_promise_must_be_all_of_what_was_ordered() {
        for (reserved, backordered, refused, ok) in [
            (vec![(place(1), 3)], 1, 1, true),
            (vec![(place(1), 2), (place(2), 3)], 0, 0, true),
            (vec![], 5, 0, true),
            (vec![(place(1), 3)], 1, 0, false),
            (vec![(place(1), 6)], 0, 0, false),
            (vec![(place(1), 6), (place(2), -1)], 0, 0, false),
            (vec![(place(1), 6)], -1, 0, false),
        ] {
            let promise = LinePromise { line_no: 1, stocked: true, reserved, backordered, refused };
            let mut line = Line::fresh(1, 5);
            assert_eq!(line.promise(&promise).is_ok(), ok, "{promise:?}");
            assert_sound(&line);
        }
    }

    #[test]
    fn what_left_cannot_be_promised_again() {
        let mut line = promised(&[(1, 5)], 0, 0);
        line.ship(place(1), 5).unwrap();
        let again =
            LinePromise { line_no: 1, stocked: true, reserved: vec![(place(1), 5)], backordered: 0, refused: 0 };
        assert!(line.promise(&again).is_err());
    }

    #[test]
    fn a_fill_beyond_what_waits_is_left_to_inventory() {
        let mut line = promised(&[(1, 1)], 2, 0);
        assert_eq!(line.fill(place(2), 5), 2);
        assert_eq!(line.fill(place(2), 5), 0);
        assert_eq!(line.quantities.reserved, 3);
        assert_sound(&line);
    }

    #[test]
    fn goods_leave_only_from_where_they_are() {
        let mut line = promised(&[(1, 2), (2, 3)], 0, 0);
        assert!(line.ship(place(1), 3).is_err());
        assert!(line.ship(place(3), 1).is_err());
        assert!(line.ship(place(2), 0).is_err());
        line.ship(place(2), 3).unwrap();
        assert!(line.deliver(4).is_err());
        assert_sound(&promised(&[(1, 2), (2, 3)], 0, 0));
    }

    #[test]
    fn a_shortage_waits_again_or_is_lost() {
        let mut line = promised(&[(1, 5)], 0, 0);
        line.fall_short(place(1), 2, 2).unwrap();
        line.fall_short(place(1), 2, 0).unwrap();
        let q = line.quantities;
        assert_eq!((q.reserved, q.backordered, q.cancelled), (1, 2, 2));
        assert!(line.fall_short(place(1), 1, 2).is_err());
        assert_sound(&line);
    }

    #[derive(Clone, Debug)]
    enum Deed {
        Fill(u128, i64),
        Short(u128, i64, i64),
        Ship(u128, i64),
        Deliver(i64),
        TakeBack(i64),
        Invoice(i64),
        Refund(i64),
        CancelWaiting(i64),
        CancelReserved(u128, i64),
        Lapse,
    }

    fn any_deed() -> impl Strategy<Value = Deed> {
        let (place, quantity) = (1u128..4, -1i64..8);
        prop_oneof![
            (place.clone(), quantity.clone()).prop_map(|(p, q)| Deed::Fill(p, q)),
            (place.clone(), quantity.clone(), -1i64..5).prop_map(|(p, q, b)| Deed::Short(p, q, b)),
            (place.clone(), quantity.clone()).prop_map(|(p, q)| Deed::Ship(p, q)),
            quantity.clone().prop_map(Deed::Deliver),
            quantity.clone().prop_map(Deed::TakeBack),
            quantity.clone().prop_map(Deed::Invoice),
            quantity.clone().prop_map(Deed::Refund),
            quantity.clone().prop_map(Deed::CancelWaiting),
            (place, quantity).prop_map(|(p, q)| Deed::CancelReserved(p, q)),
            Just(Deed::Lapse),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_nothing_is_lost_and_nothing_is_made(
            reserved in prop::collection::vec((1u128..4, 1i64..6), 0..4),
            backordered in 0i64..6,
            refused in 0i64..3,
            deeds in prop::collection::vec(any_deed(), 0..30),
        ) {
            prop_assume!(reserved.iter().map(|(_, q)| q).sum::<i64>() + backordered + refused > 0);
            let mut line = promised(&reserved, backordered, refused);
            for deed in deeds {
                let before = line.clone();
                let done = match deed {
                    Deed::Fill(p, q) => {
                        line.fill(place(p), q);
                        Ok(())
                    }
                    Deed::Short(p, q, b) => line.fall_short(place(p), q, b),
                    Deed::Ship(p, q) => line.ship(place(p), q),
                    Deed::Deliver(q) => line.deliver(q),
                    Deed::TakeBack(q) => line.take_back(q),
                    Deed::Invoice(q) => line.invoice(q),
                    Deed::Refund(q) => line.refund(q),
                    Deed::CancelWaiting(q) => line.cancel_backordered(q),
                    Deed::CancelReserved(p, q) => line.cancel_reserved(place(p), q),
                    Deed::Lapse if line.quantities.shipped == 0 => {
                        line.lapse();
                        break; // nothing is decided any more
                    }
                    Deed::Lapse => Ok(()),
                };
                if done.is_err() {
                    line = before; // a refused fact stops the feed: nothing of it is kept
                }
                assert_sound(&line);
                prop_assert_eq!(line.quantities.divided(), line.quantities.ordered);
            }
        }
    }
}
