//! Fulfilment orders: the part of an order that leaves one location together.

mod create;
mod state;
mod steps;
#[cfg(test)]
mod tests;
mod withdraw;

pub use create::{Allocation, Cause, ConfirmedOrder, create};
pub use state::{Action, State};
pub use steps::{PickedLine, Picking};
pub use withdraw::{Wanted, miss, withdraw};

use crate::error::Error;
use crate::id::{FulfilmentOrderId, LocationId, OrderId};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// As people see a number: "FO-000123".
pub fn display_number(number: i64) -> String {
    format!("FO-{number:06}")
}

/// What has to leave a location for an order. Its state follows from what happened to it.
#[derive(Clone, Debug, PartialEq)]
pub struct FulfilmentOrder {
    pub id: FulfilmentOrderId,
    pub number: i64,
    pub order_id: OrderId,
    pub order_number: String,
    pub ship_to: Option<Address>,
    pub location_id: LocationId,
    /// The version of the order's event that asked for it.
    pub order_version: i64,
    /// Counts its events.
    pub version: i64,
    pub created_at: OffsetDateTime,
    pub picked_at: Option<OffsetDateTime>,
    pub packed_at: Option<OffsetDateTime>,
    pub shipped_at: Option<OffsetDateTime>,
    pub delivered_at: Option<OffsetDateTime>,
    /// Ascending by line number; at least one.
    pub lines: Vec<Line>,
    /// None before it is packed.
    pub parcels: Vec<Parcel>,
}

/// A part of an order line. allocated = withdrawn + short + open + picked, in base units of the item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The order line's number.
    pub line_no: i32,
    pub sku: String,
    /// False for services.
    pub stocked: bool,
    pub allocated: i64,
    /// Cancelled by the order before it was picked.
    pub withdrawn: i64,
    /// Not found, by the picker or by a count before.
    pub short: i64,
    pub picked: i64,
    /// Gone: 0, or what was picked.
    pub shipped: i64,
}

/// A box on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// From 1.
    pub parcel_no: i32,
    /// 0: unknown.
    pub weight_grams: i64,
    /// Who was asked for its label.
    pub carrier: Option<String>,
    /// Once the label is there.
    pub tracking_number: Option<String>,
}

/// Where it goes, as the order says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    pub recipient: String,
    pub lines: Vec<String>,
    pub city: String,
    pub region: String,
    pub postal_code: String,
    pub country: String,
    pub email: String,
    pub phone: String,
}

/// A quantity of one line, for events: what was picked, found short, shipped or withdrawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub line_no: i32,
    pub sku: String,
    pub quantity: i64,
    pub stocked: bool,
}

impl Line {
    /// What is still to be picked.
    pub fn open(&self) -> i64 {
        self.allocated - self.withdrawn - self.short - self.picked
    }

    fn moved(&self, quantity: i64) -> Moved {
        Moved { line_no: self.line_no, sku: self.sku.clone(), quantity, stocked: self.stocked }
    }
}

impl FulfilmentOrder {
    /// Where it stands. The database derives the same from the same facts.
    pub fn state(&self) -> State {
        if self.lines.iter().all(|line| line.withdrawn + line.short == line.allocated) {
            State::Cancelled
        } else if self.delivered_at.is_some() {
            State::Delivered
        } else if self.shipped_at.is_some() {
            State::Shipped
        } else if self.packed_at.is_some() {
            State::Packed
        } else if self.picked_at.is_some() {
            State::Picked
        } else {
            State::Open
        }
    }

    /// What was promised of each line at the start.
    pub fn allocated(&self) -> Vec<Moved> {
        self.lines.iter().map(|line| line.moved(line.allocated)).collect()
    }

    /// What has left, of each line that has.
    pub fn shipped(&self) -> Vec<Moved> {
        self.lines.iter().filter(|line| line.shipped > 0).map(|line| line.moved(line.shipped)).collect()
    }

    fn require(&self, action: Action) -> Result<(), Error> {
        let state = self.state();
        if state.allows(action) { Ok(()) } else { Err(Error::NotAllowed { number: self.number, action, state }) }
    }
}
