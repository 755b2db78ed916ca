//! The facts of others that change an order.

use pesan_api::billing::v1::{CreditNoteIssued, DocumentLine, InvoiceIssued};
use pesan_api::fulfilment::v1::{Delivered, ExpectedReturnClosed, GoodsIssued, ReturnReceived};
use pesan_api::inventory::v1::{
    BackordersFilled, ReleasedLine, ReservationExpired, ReservedStockMissing, ShortageBooked, StockReleased,
};
use pesan_feed::Event;
use prost::Name as _;

/// One of them.
pub enum Fact {
    /// Waiting quantities got stock.
    Filled(BackordersFilled),
    /// A picker or a count found less.
    Short(ShortageBooked),
    /// A count found less than is reserved; the warehouse, or this service of what it keeps back, lets go of it.
    Missing(ReservedStockMissing),
    /// Stock that had come for what was cancelled was taken back.
    TakenBack(Vec<ReleasedLine>),
    /// An unconfirmed promise lapsed.
    Expired,
    /// Goods left.
    Issued(GoodsIssued),
    /// Goods arrived.
    Delivered(Delivered),
    /// Goods came back.
    Returned(ReturnReceived),
    /// An invoice was written.
    Invoiced(Vec<DocumentLine>),
    /// A credit note was written.
    Credited(Vec<DocumentLine>),
    /// A credit note without goods was written.
    Allowed(Box<CreditNoteIssued>),
    /// Nothing more of a return comes back.
    Closed(ExpectedReturnClosed),
}

impl Fact {
    /// The full names of what [`Fact::read`] reads.
    pub fn types() -> Vec<String> {
        vec![
            GoodsIssued::full_name(),
            Delivered::full_name(),
            InvoiceIssued::full_name(),
            ReturnReceived::full_name(),
            CreditNoteIssued::full_name(),
            ExpectedReturnClosed::full_name(),
            BackordersFilled::full_name(),
            ShortageBooked::full_name(),
            ReservedStockMissing::full_name(),
            StockReleased::full_name(),
            ReservationExpired::full_name(),
        ]
    }

    /// What an event tells; none for what is of no concern here.
    pub fn read(event: &Event) -> anyhow::Result<Option<Self>> {
        if let Some(fact) = event.decode::<GoodsIssued>()? {
            Ok(Some(Self::Issued(fact)))
        } else if let Some(fact) = event.decode::<Delivered>()? {
            Ok(Some(Self::Delivered(fact)))
        } else if let Some(fact) = event.decode::<InvoiceIssued>()? {
            Ok(fact.document.map(|document| Self::Invoiced(document.lines)))
        } else if let Some(fact) = event.decode::<ReturnReceived>()? {
            Ok(Some(Self::Returned(fact)))
        } else if let Some(fact) = event.decode::<CreditNoteIssued>()? {
            if !fact.goodwill_id.is_empty() {
                return Ok(Some(Self::Allowed(Box::new(fact))));
            }
            let document = fact.document.filter(|document| !document.order_id.is_empty());
            Ok(document.map(|document| Self::Credited(document.lines)))
        } else if let Some(fact) = event.decode::<ExpectedReturnClosed>()? {
            Ok(Some(Self::Closed(fact)))
        } else if let Some(fact) = event.decode::<BackordersFilled>()? {
            Ok(Some(Self::Filled(fact)))
        } else if let Some(fact) = event.decode::<ShortageBooked>()? {
            Ok(Some(Self::Short(fact)))
        } else if let Some(fact) = event.decode::<ReservedStockMissing>()? {
            Ok(Some(Self::Missing(fact)))
        } else if let Some(mut fact) = event.decode::<StockReleased>()? {
            fact.lines.retain(|line| !line.taken_back.is_empty());
            Ok(Some(fact.lines).filter(|lines| !lines.is_empty()).map(Self::TakenBack))
        } else {
            Ok(event.is::<ReservationExpired>().then_some(Self::Expired))
        }
    }

    /// The lines it changes.
    pub fn line_nos(&self) -> Vec<i32> {
        match self {
            Self::Filled(fact) => fact.lines.iter().map(|line| line.line_no).collect(),
            Self::Short(fact) => vec![fact.line_no],
            Self::TakenBack(_) | Self::Expired | Self::Missing(_) | Self::Allowed(_) | Self::Closed(_) => Vec::new(),
            Self::Issued(fact) => fact.lines.iter().map(|line| line.line_no).collect(),
            Self::Delivered(fact) => fact.lines.iter().map(|line| line.line_no).collect(),
            Self::Returned(fact) => fact.lines.iter().map(|line| line.line_no).collect(),
            Self::Invoiced(lines) | Self::Credited(lines) => lines.iter().map(|line| line.line_no).collect(),
        }
    }

    /// True where it changes all lines of the order.
    pub fn is_about_all_lines(&self) -> bool {
        matches!(self, Self::Expired)
    }

    /// True where it depends on changes and cancellations what it means for a line.
    pub fn minds_changes(&self) -> bool {
        matches!(self, Self::Filled(_) | Self::Short(_) | Self::TakenBack(_))
    }

    /// True for facts of inventory: the order remembers which of them its quantities include.
    pub fn is_of_inventory(&self) -> bool {
        self.minds_changes() || matches!(self, Self::Missing(_) | Self::Expired)
    }
}
