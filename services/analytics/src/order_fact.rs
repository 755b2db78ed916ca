//! What is known of one order. Facts come from four feeds in any order between them, so every change here gives the same
//! result whichever comes first: sums, minima, maxima, sets and flags that are only ever raised.

use crate::dims::{Dims, slot};
use time::OffsetDateTime;
use uuid::Uuid;

/// One thing that the feeds tell. Amounts are minor units of the order's currency.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Accepted(Accepted),
    /// `cancelled`: units that were not there and were therefore cancelled.
    Confirmed {
        order_id: Uuid,
        at: OffsetDateTime,
        cancelled: i64,
    },
    Rejected {
        order_id: Uuid,
    },
    /// Its lines are these now.
    Amended {
        order_id: Uuid,
        lines: Vec<Line>,
    },
    Cancelled {
        order_id: Uuid,
        units: i64,
        whole: bool,
    },
    Held {
        order_id: Uuid,
        hold_id: String,
        at: OffsetDateTime,
    },
    HoldReleased {
        order_id: Uuid,
        hold_id: String,
        at: OffsetDateTime,
    },
    /// Lines that wait for stock.
    Backordered {
        order_id: Uuid,
        line_nos: Vec<i32>,
    },
    Shipped(Goods),
    Delivered {
        order_id: Uuid,
        at: OffsetDateTime,
        units: i64,
    },
    Returned(Goods),
    Documented(Document),
}

/// An order as it was accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    pub order_id: Uuid,
    pub number: String,
    pub external_id: String,
    /// None for a guest.
    pub customer_id: Option<Uuid>,
    pub dims: Dims,
    pub placed_at: OffsetDateTime,
    pub lines: Vec<Line>,
}

/// A line of an accepted order.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub line_no: i32,
    pub sku: String,
    pub units: i64,
    pub gross: i64,
    pub discount: i64,
}

/// Goods that left or came back.
#[derive(Clone, Debug, PartialEq)]
pub struct Goods {
    pub event_id: Uuid,
    pub order_id: Uuid,
    pub at: OffsetDateTime,
    /// Units by sku.
    pub lines: Vec<(String, i64)>,
}

impl Goods {
    /// Of all lines.
    pub fn units(&self) -> i64 {
        self.lines.iter().map(|(_, units)| units).sum()
    }
}

/// An invoice or a credit note.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    pub document_id: Uuid,
    /// None for a stand-alone credit note.
    pub order_id: Option<Uuid>,
    pub credit: bool,
    pub issued_at: OffsetDateTime,
    /// Its own, for a stand-alone note; else its order's, once that is known.
    pub dims: Option<Dims>,
    /// Of `dims`, or of the order's; none while the order's acceptance is not read.
    pub dims_id: Option<Uuid>,
    /// Without tax; positive for both kinds.
    pub net: i64,
    /// Net by sku.
    pub lines: Vec<(String, i64)>,
}

/// What is known of an order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderFact {
    pub order_id: Uuid,
    pub dims_id: Option<Uuid>,
    pub customer_id: Option<Uuid>,
    /// None while the order's acceptance is not read.
    pub placed_at: Option<OffsetDateTime>,
    pub confirmed_at: Option<OffsetDateTime>,
    pub first_shipped_at: Option<OffsetDateTime>,
    pub first_delivered_at: Option<OffsetDateTime>,
    pub last_delivered_at: Option<OffsetDateTime>,
    pub first_invoiced_at: Option<OffsetDateTime>,
    pub lines: i32,
    pub units: i64,
    pub gross: i64,
    pub discount: i64,
    pub shipped_units: i64,
    pub delivered_units: i64,
    pub returned_units: i64,
    pub cancelled_units: i64,
    pub invoiced: i64,
    pub credited: i64,
    /// Ascending, each once.
    pub backordered_lines: Vec<i32>,
    pub rejected: bool,
    pub cancelled: bool,
}

/// What an order adds to the sales of its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sales {
    pub orders: i64,
    pub lines: i64,
    pub units: i64,
    pub gross: i64,
    pub discount: i64,
    pub cancelled: i64,
    pub backordered_lines: i64,
}

impl OrderFact {
    /// Of an order of which nothing is known yet.
    pub fn new(order_id: Uuid) -> Self {
        Self { order_id, ..Self::default() }
    }

    /// Its figures are those of these lines.
    fn count(&mut self, lines: &[Line]) {
        // Lists of lines are bounded far below 2³¹ by the order service.
        self.lines = lines.len() as i32;
        self.units = lines.iter().map(|line| line.units).sum();
        self.gross = lines.iter().map(|line| line.gross).sum();
        self.discount = lines.iter().map(|line| line.discount).sum();
    }

    /// Takes note of one fact about this order.
    pub fn apply(&mut self, fact: &Fact) {
        match fact {
            Fact::Accepted(accepted) => {
                self.dims_id = Some(accepted.dims.id());
                self.customer_id = accepted.customer_id;
                self.placed_at = Some(accepted.placed_at);
                self.count(&accepted.lines);
            }
            Fact::Confirmed { at, cancelled, .. } => {
                earliest(&mut self.confirmed_at, *at);
                self.cancelled_units += cancelled;
            }
            Fact::Rejected { .. } => self.rejected = true,
            Fact::Amended { lines, .. } => self.count(lines),
            Fact::Cancelled { units, whole, .. } => {
                self.cancelled_units += units;
                self.cancelled |= whole;
            }
            // Kept apart: they are read only for processing times.
            Fact::Held { .. } | Fact::HoldReleased { .. } => {}
            Fact::Backordered { line_nos, .. } => {
                self.backordered_lines.extend(line_nos);
                self.backordered_lines.sort_unstable();
                self.backordered_lines.dedup();
            }
            Fact::Shipped(goods) => {
                earliest(&mut self.first_shipped_at, goods.at);
                self.shipped_units += goods.units();
            }
            Fact::Delivered { at, units, .. } => {
                earliest(&mut self.first_delivered_at, *at);
                self.last_delivered_at = self.last_delivered_at.max(Some(*at));
                self.delivered_units += units;
            }
            Fact::Returned(goods) => self.returned_units += goods.units(),
            Fact::Documented(document) if document.credit => self.credited += document.net,
            Fact::Documented(document) => {
                earliest(&mut self.first_invoiced_at, document.issued_at);
                self.invoiced += document.net;
            }
        }
    }

    /// Where and what this order adds to the sales rollup: an order counts when it was accepted and not rejected.
    pub fn sales(&self) -> Option<((OffsetDateTime, Uuid), Sales)> {
        let (Some(placed_at), Some(dims_id), false) = (self.placed_at, self.dims_id, self.rejected) else {
            return None;
        };
        let sales = Sales {
            orders: 1,
            lines: i64::from(self.lines),
            units: self.units,
            gross: self.gross,
            discount: self.discount,
            cancelled: i64::from(self.cancelled),
            backordered_lines: self.backordered_lines.len() as i64,
        };
        Some(((slot(placed_at), dims_id), sales))
    }
}

fn earliest(time: &mut Option<OffsetDateTime>, at: OffsetDateTime) {
    *time = Some(time.map_or(at, |known| known.min(at)));
}

impl Fact {
    /// The order it is about; none for a stand-alone credit note.
    pub fn order_id(&self) -> Option<Uuid> {
        match self {
            Fact::Accepted(accepted) => Some(accepted.order_id),
            Fact::Shipped(goods) | Fact::Returned(goods) => Some(goods.order_id),
            Fact::Documented(document) => document.order_id,
            Fact::Confirmed { order_id, .. }
            | Fact::Rejected { order_id }
            | Fact::Amended { order_id, .. }
            | Fact::Cancelled { order_id, .. }
            | Fact::Held { order_id, .. }
            | Fact::HoldReleased { order_id, .. }
            | Fact::Backordered { order_id, .. }
            | Fact::Delivered { order_id, .. } => Some(*order_id),
        }
    }
}
