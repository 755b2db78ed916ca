//! How a quantity is divided, and the laws it obeys.

use std::iter::Sum;
use std::ops::{AddAssign, Sub};

/// A line's ordered quantity (or the sum over an order's lines) and where it stands, in base units of the item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quantities {
    /// What the customer asked for. Never changes.
    pub ordered: i64,
    /// Held in stock for the order.
    pub reserved: i64,
    /// Waits for stock.
    pub backordered: i64,
    /// Will never be shipped.
    pub cancelled: i64,
    /// Has left.
    pub shipped: i64,
    /// Of the shipped: has arrived.
    pub delivered: i64,
    /// Of the shipped: came back.
    pub returned: i64,
    /// Is on an invoice. May be read before the shipment it is for.
    pub invoiced: i64,
    /// Is on a credit note.
    pub refunded: i64,
}

impl Quantities {
    /// A fresh quantity of which nothing is decided.
    pub fn of(ordered: i64) -> Self {
        Self { ordered, ..Self::default() }
    }

    /// What is divided so far: reserved + backordered + cancelled + shipped.
    pub fn divided(&self) -> i64 {
        self.reserved + self.backordered + self.cancelled + self.shipped
    }

    /// What neither has left nor is cancelled, once the promise is settled: reserved + backordered.
    pub fn open(&self) -> i64 {
        self.reserved + self.backordered
    }

    /// True where all of it is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled == self.ordered
    }

    /// True when every law holds: nothing is negative, no more is divided than was ordered, no more is delivered or
    /// returned than was shipped, no more is invoiced or refunded than was ordered.
    pub fn is_lawful(&self) -> bool {
        let parts = [
            self.ordered,
            self.reserved,
            self.backordered,
            self.cancelled,
            self.shipped,
            self.delivered,
            self.returned,
            self.invoiced,
            self.refunded,
        ];
        parts.iter().all(|part| *part >= 0)
            && self.divided() <= self.ordered
            && self.delivered <= self.shipped
            && self.returned <= self.shipped
            && self.invoiced <= self.ordered
            && self.refunded <= self.ordered
    }
}

impl AddAssign for Quantities {
    fn add_assign(&mut self, other: Self) {
        self.ordered += other.ordered;
        self.reserved += other.reserved;
        self.backordered += other.backordered;
        self.cancelled += other.cancelled;
        self.shipped += other.shipped;
        self.delivered += other.delivered;
        self.returned += other.returned;
        self.invoiced += other.invoiced;
        self.refunded += other.refunded;
    }
}

impl Sub for Quantities {
    type Output = Self;

    /// The change from `other` to `self`; parts of a change may be negative.
    fn sub(self, other: Self) -> Self {
        Self {
            ordered: self.ordered - other.ordered,
            reserved: self.reserved - other.reserved,
            backordered: self.backordered - other.backordered,
            cancelled: self.cancelled - other.cancelled,
            shipped: self.shipped - other.shipped,
            delivered: self.delivered - other.delivered,
            returned: self.returned - other.returned,
            invoiced: self.invoiced - other.invoiced,
            refunded: self.refunded - other.refunded,
        }
    }
}

impl Sum for Quantities {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        let mut total = Self::default();
        parts.for_each(|part| total += part);
        total
    }
}
