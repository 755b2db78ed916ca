//! Changes of an order: what is asked for, what it comes to, and what cannot be. Pure.
//!
//! Before its promise is settled an order's lines are rewritten. After it a line stays as it is, but for its price: what is
//! less is cancelled, what is more is a new line. So no house has to change what it has promised, picked or invoiced.

mod amounts;
mod course;
mod plan;

pub use amounts::share;
pub use course::{Parts, parts};
pub use plan::plan;

use pesan_api::r#type::v1::Address;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Highest number of a line.
pub const LAST_LINE: i32 = 10_000;

/// One change that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// One more line.
    Add {
        /// The item.
        sku: String,
        /// For people.
        description: String,
        /// Above 0.
        quantity: i64,
        /// Its price and amounts.
        amounts: Amounts,
    },
    /// All of a line that has not left goes.
    Remove(i32),
    /// What the customer is to get of a line in all.
    SetQuantity(i32, i64),
    /// Another price for what has not left.
    SetPrice {
        /// The line.
        line_no: i32,
        /// Of one base unit.
        unit_price: Decimal,
        /// For what has not left; none: as it was.
        discount: Option<Decimal>,
        /// For what has not left; none: in propart.
        tax: Option<Decimal>,
    },
    /// Another address.
    SetAddress(Box<Address>),
    /// Another date; none: as soon as possible.
    SetShipDate(Option<OffsetDateTime>),
    /// Quantities become an order of their own.
    SplitOff {
        /// By line.
        lines: BTreeMap<i32, i64>,
        /// None: as here.
        ship_to: Option<Box<Address>>,
        /// None: as here.
        not_before: Option<OffsetDateTime>,
    },
    /// All that has not left goes.
    CancelRest,
}

/// What a quantity of a line comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Of one base unit.
    pub unit_price: Decimal,
    /// unit_price × quantity, rounded to the minor unit.
    pub line_total: Decimal,
    /// Taken off.
    pub discount: Decimal,
    /// Put on.
    pub tax: Decimal,
}

impl Amounts {
    /// line_total − discount + tax.
    pub fn due(&self) -> Decimal {
        self.line_total - self.discount + self.tax
    }
}

/// A line as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedLine {
    /// Its number.
    pub line_no: i32,
    /// The item.
    pub sku: String,
    /// For people.
    pub description: String,
    /// Above 0.
    pub quantity: i64,
    /// What it comes to.
    pub amounts: Amounts,
    /// The change that it comes from.
    pub change: usize,
}

/// A line whose price changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repriced {
    /// The line.
    pub line_no: i32,
    /// Pieces that keep their price: they have left.
    pub kept: i64,
    /// Pieces that are left.
    pub left: i64,
    /// What they come to.
    pub open: Amounts,
    /// What the whole line comes to.
    pub whole: Amounts,
}

/// An order that is split off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Its lines, numbered from 1 in its own order.
    pub lines: Vec<PlannedLine>,
    /// The lines it comes from: number, quantity.
    pub from: Vec<(i32, i64)>,
    /// Encoded address; none: as the order's.
    pub ship_to: Option<Vec<u8>>,
    /// Not to be shipped earlier.
    pub not_before: Option<OffsetDateTime>,
}

/// All that is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// The promise was settled when it was planned.
    pub promised: bool,
    /// An order that is not promised yet goes as a whole.
    pub cancel_all: bool,
    /// Of an order that is not promised yet: all its lines as they are to be, where any changes.
    pub rewritten: Option<Vec<PlannedLine>>,
    /// New lines of an order that is promised.
    pub added: Vec<PlannedLine>,
    /// What is planned to be reserved at least, by new line.
    pub expected: BTreeMap<i32, i64>,
    /// Quantities of an order that is promised that go, by line.
    pub reduced: BTreeMap<i32, i64>,
    /// Lines of an order that is promised whose price changes.
    pub repriced: Vec<Repriced>,
    /// Encoded address, where it changes.
    pub ship_to: Option<Vec<u8>>,
    /// True: `not_before` is the new date.
    pub rescheduled: bool,
    /// Not to be shipped earlier.
    pub not_before: Option<OffsetDateTime>,
    /// Orders that are split off.
    pub splits: Vec<Split>,
    /// Kept with what is cancelled.
    pub reason: String,
}

impl Amendment {
    /// True where more than quantities go.
    pub fn amends(&self) -> bool {
        !self.added.is_empty() || !self.repriced.is_empty() || self.moves() || self.rewritten.is_some()
    }

    /// True where all that has not left has to be handed over again.
    pub fn moves(&self) -> bool {
        self.ship_to.is_some() || self.rescheduled
    }

    /// True where billing has a say.
    pub fn needs_money(&self) -> bool {
        !self.added.is_empty() || !self.repriced.is_empty()
    }
}

/// A change of a promised order on its way through the houses: decided when it begins, and the same to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Course {
    /// The plan.
    pub plan_id: Uuid,
    /// What is to be done.
    pub amendment: Amendment,
    /// Counts the order's changes: the key under which inventory and billing know it.
    pub revision: i32,
    /// What goes, and what is handed over again.
    pub parts: Parts,
}

/// A change that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Impossible {
    /// Which of the changes.
    pub change: usize,
    /// 0: the order as a whole.
    pub line_no: i32,
    /// Why.
    pub reason: Reason,
}

/// Why a change cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The order has no such line.
    NoSuchLine,
    /// It has left.
    Shipped,
    /// The warehouse has it in hand.
    Picked,
    /// Nothing is left of it.
    NothingLeft,
    /// Another change of the same kind names the line.
    NamedTwice,
    /// Inventory has no such item.
    UnknownSku,
    /// Not enough is there, and the order does not wait.
    OutOfStock,
    /// With others, before the promise.
    NotPromisedYet,
    /// More than an order can hold.
    TooMuch,
    /// Nothing would remain of the order.
    NothingRemains,
}

impl Reason {
    /// For programs, and for people.
    pub fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::NoSuchLine => ("NO_SUCH_LINE", "the order has no such line"),
            Self::Shipped => ("SHIPPED", "it has left: have it returned"),
            Self::Picked => ("PICKED", "the warehouse has it in hand"),
            Self::NothingLeft => ("NOTHING_LEFT", "nothing is left of it"),
            Self::NamedTwice => ("NAMED_TWICE", "another change of the same kind names the line"),
            Self::UnknownSku => ("UNKNOWN_SKU", "inventory has no such item"),
            Self::OutOfStock => ("OUT_OF_STOCK", "not enough is there, and the order does not wait"),
            Self::NotPromisedYet => {
                ("NOT_PROMISED_YET", "before the promise the whole order is cancelled alone, without other changes")
            }
            Self::TooMuch => ("TOO_MUCH", "it is more than an order can hold"),
            Self::NothingRemains => ("NOTHING_REMAINS", "nothing would remain: cancel the order instead"),
        }
    }
}
