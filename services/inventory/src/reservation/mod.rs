//! Promises of stock to orders.
//!
//! A reservation consists of parts: what of a line is held at one location, or, nowhere, what waits in the backorder
//! queue or was refused. Quantities only move between the fields of parts, so that each part always sums to its
//! quantity, and the parts to what was asked for.

#[cfg(test)]
mod conservation;
mod decide;
mod hold;

pub use decide::{Decision, Granted, Short, Sourcing, Wanted, WantedLine, decide, decide_one};
pub use hold::{Goods, Issue, Released, Shortage};

use crate::item::ItemId;
use crate::kit::{Component, Kit, pieces};
use crate::location::LocationId;
use crate::stock::{Book, StockKey};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// What to do with what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// All lines in full, or nothing.
    AllOrNothing,
    /// What is there; the rest is refused.
    WhatIsThere,
    /// What is there; the rest waits.
    Backorder,
}

impl Policy {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::AllOrNothing => 1,
            Self::WhatIsThere => 2,
            Self::Backorder => 3,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::AllOrNothing, Self::WhatIsThere, Self::Backorder].into_iter().find(|policy| policy.code() == code)
    }
}

/// Where a reservation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its quantities are promised, or waiting.
    Held,
    /// It was asked for and not to be had. May be asked for again.
    Refused,
    /// It lapsed unconfirmed. May be asked for again.
    Expired,
    /// The order was cancelled or rejected: never again.
    Closed,
}

impl State {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::Held => 1,
            Self::Refused => 2,
            Self::Expired => 3,
            Self::Closed => 4,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Held, Self::Refused, Self::Expired, Self::Closed].into_iter().find(|state| state.code() == code)
    }
}

/// What an order asked for, checked but for its SKUs.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    pub order_id: Uuid,
    /// At least one.
    pub lines: Vec<DemandLine>,
    pub policy: Policy,
    /// Place in the backorder queue: lower first, 0 to 9.
    pub priority: i16,
    /// The age in the queue, and the effective time of the facts.
    pub placed_at: OffsetDateTime,
    /// The trace in which the facts belong.
    pub traceparent: Option<String>,
    pub wishes: Wishes,
}

/// How an order is to be shipped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wishes {
    /// Only locations that serve it are asked; none: all.
    pub channel: Option<String>,
    /// Degrees, WGS 84; none: distance does not count.
    pub destination: Option<(f64, f64)>,
    /// Where it goes, ISO 3166-1 alpha-2; for where stock should stand.
    pub country: Option<String>,
    /// All of it together.
    pub ship_complete: bool,
    /// The location that is asked first.
    pub preferred: Option<Uuid>,
    /// Not to be shipped earlier.
    pub not_before: Option<OffsetDateTime>,
    /// What was promised to the customer: the place in the backorder queue.
    pub promised_at: Option<OffsetDateTime>,
}

/// One line of a demand.
#[derive(Clone, Debug, PartialEq)]
pub struct DemandLine {
    pub line_no: i32,
    pub sku: String,
    /// Above zero.
    pub quantity: i64,
}

/// What is held of a line at one location, or, nowhere, what waits or was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    pub line_no: i32,
    /// None: nowhere.
    pub location: Option<LocationId>,
    pub item: ItemId,
    /// False for service items: promised without stock.
    pub stocked: bool,
    /// Of a kit, as it was composed when it was promised: quantities count kits, stock is held of its components.
    pub kit: Option<Arc<Kit>>,
    /// The sum of `reserved`, `issued`, `backordered`, `refused` and `released`.
    pub quantity: i64,
    pub reserved: i64,
    /// Of the reserved, what a count did not find: off the stock's books already, and the order's until the warehouse, or
    /// the order, lets go of it. What leaves all the same was there.
    pub missing: i64,
    pub issued: i64,
    /// Of the issued, what came back.
    pub returned: i64,
    pub backordered: i64,
    pub refused: i64,
    pub released: i64,
    /// Not as it was read.
    pub changed: bool,
}

impl Part {
    /// An empty part, to be filled.
    pub fn empty(line_no: i32, location: Option<LocationId>, item: ItemId, stocked: bool) -> Self {
        Self {
            line_no,
            location,
            item,
            stocked,
            kit: None,
            quantity: 0,
            reserved: 0,
            missing: 0,
            issued: 0,
            returned: 0,
            backordered: 0,
            refused: 0,
            released: 0,
            changed: true,
        }
    }

    /// What one unit of it takes out of stock.
    pub fn pieces(&self) -> impl Iterator<Item = Component> + '_ {
        pieces(self.item, self.kit.as_deref())
    }

    /// The stock it is held of at its location; none for services and for what is nowhere.
    pub fn keys(&self) -> impl Iterator<Item = StockKey> + '_ {
        let location = self.location.filter(|_| self.stocked);
        location
            .into_iter()
            .flat_map(|location| self.pieces().map(move |piece| StockKey { item: piece.item, location }))
    }

    /// How much of it is free at its location; of a kit, as many as its scarcest component allows.
    pub fn free(&self, book: &Book) -> i64 {
        if !self.stocked {
            return i64::MAX;
        }
        let Some(location) = self.location else { return 0 };
        let free = |piece: Component| book.level(StockKey { item: piece.item, location }).free() / piece.quantity;
        self.pieces().map(free).min().unwrap_or(0)
    }

    /// What of it is reserved and, as far as is known, there: what stock books as reserved.
    pub fn there(&self) -> i64 {
        self.reserved - self.missing
    }

    /// Books `quantity` of it as reserved; a negative one as not reserved any more.
    pub fn book_reserved(&self, quantity: i64, book: &mut Book) {
        let Some(location) = self.location.filter(|_| self.stocked && quantity != 0) else { return };
        for piece in self.pieces() {
            book.reserve(StockKey { item: piece.item, location }, quantity * piece.quantity);
        }
    }
}

/// The promise to an order, or the memory that there must be none.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    pub order_id: Uuid,
    /// Facts about the order so far.
    pub version: i64,
    pub state: State,
    pub confirmed: bool,
    pub policy: Policy,
    pub priority: i16,
    pub placed_at: OffsetDateTime,
    /// None: it does not lapse any more.
    pub expires_at: Option<OffsetDateTime>,
    pub wishes: Wishes,
    /// The sum of the parts' quantities.
    pub units: i64,
    /// By line and location; nowhere comes first.
    pub parts: Vec<Part>,
    /// Not as it was read, apart from its parts.
    pub changed: bool,
}

impl Reservation {
    /// Of an order about which nothing is known: version 0, no parts.
    pub fn unknown(order_id: Uuid, state: State, at: OffsetDateTime) -> Self {
        Self {
            order_id,
            version: 0,
            state,
            confirmed: state == State::Held,
            policy: Policy::WhatIsThere,
            priority: 9,
            placed_at: at,
            expires_at: None,
            wishes: Wishes::default(),
            units: 0,
            parts: Vec::new(),
            changed: true,
        }
    }

    /// Counts one more fact about it.
    pub fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.changed = true;
        self.version
    }

    /// How the kit of a line is composed; none where it is no kit, or the line is not known.
    pub fn kit_of(&self, line_no: i32) -> Option<&Arc<Kit>> {
        self.parts.iter().find(|part| part.line_no == line_no)?.kit.as_ref()
    }

    /// The part of a line at a location (none: nowhere), made when there is none yet.
    fn part(&mut self, line_no: i32, location: Option<LocationId>, item: ItemId, stocked: bool) -> &mut Part {
        let place = self.parts.binary_search_by_key(&(line_no, location), |part| (part.line_no, part.location));
        let at = place.unwrap_or_else(|at| {
            let kit = self.kit_of(line_no).cloned();
            self.parts.insert(at, Part { kit, ..Part::empty(line_no, location, item, stocked) });
            at
        });
        let part = &mut self.parts[at];
        part.changed = true;
        part
    }

    /// The lines, each with its parts.
    pub fn lines(&self) -> impl Iterator<Item = &[Part]> {
        self.parts.chunk_by(|a, b| a.line_no == b.line_no)
    }
}

/// A waiting quantity that got stock, for the order in which it is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    pub order_id: Uuid,
    /// Of the event that told of it.
    pub version: i64,
    pub line_no: i32,
    pub location: LocationId,
    /// Not taken back.
    pub quantity: i64,
    /// Not as it was read.
    pub changed: bool,
}
