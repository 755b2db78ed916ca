//! An order line: what is promised of it, and what becomes of the promise. Every transition keeps the laws of
//! [`Quantities`] and the allocations in step with them, or refuses.

use crate::quantities::Quantities;
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
#[derive(Clone, Debug, PartialEq, Eq)]
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
