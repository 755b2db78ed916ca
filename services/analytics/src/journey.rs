//! An order's way through all services.

use time::OffsetDateTime;
use uuid::Uuid;

/// One fact of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub order_id: Uuid,
    pub event_id: Uuid,
    /// "order".
    pub service: String,
    /// "OrderAccepted".
    pub kind: String,
    pub effective_at: OffsetDateTime,
    pub recorded_at: OffsetDateTime,
    /// May be empty.
    pub trace_id: String,
    /// One line for people.
    pub summary: String,
}

/// The facts of an order in the order in which one leads to the next.
const CAUSAL_ORDER: [&str; 29] = [
    "OrderAccepted",
    "StockReserved",
    "StockRefused",
    "PaymentAuthorised",
    "AuthorisationDeclined",
    "OrderHeld",
    "OrderHoldReleased",
    "OrderConfirmed",
    "OrderRejected",
    "ReservationExpired",
    "BackordersFilled",
    "OrderLinesReady",
    "FulfilmentOrderCreated",
    "OrderCancelled",
    "LinesWithdrawn",
    "StockReleased",
    "AuthorisationVoided",
    "Picked",
    "ShortPicked",
    "ShortageBooked",
    "Packed",
    "GoodsIssued",
    "StockIssued",
    "InvoiceIssued",
    "CostPosted",
    "PaymentCaptured",
    "Delivered",
    "ReturnApproved",
    "ReturnReceived",
];

/// Sorts into business order: by effective time; of the same time, causes before effects; of the same kind, by when it
/// was recorded.
pub fn sort(entries: &mut [Entry]) {
    entries.sort_by(|a, b| {
        let key = |entry: &Entry| (entry.effective_at, rank(&entry.kind), entry.recorded_at, entry.event_id);
        key(a).cmp(&key(b))
    });
}

fn rank(kind: &str) -> usize {
    // What follows a return (StockReturned, CreditNoteIssued, RefundMade) comes last, as recorded.
    CAUSAL_ORDER.iter().position(|known| *known == kind).unwrap_or(CAUSAL_ORDER.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;
    use time::macros::datetime;

    fn entry(kind: &str, minutes: i64, recorded: i64) -> Entry {
        let at = datetime!(2011-01-05 09:00 UTC);
        Entry {
            order_id: Uuid::nil(),
            event_id: Uuid::now_v7(),
            service: String::new(),
            kind: kind.into(),
            effective_at: at + Duration::minutes(minutes),
            recorded_at: at + Duration::seconds(recorded),
            trace_id: String::new(),
            summary: String::new(),
        }
    }

    #[test]
    fn time_goes_before_cause_and_cause_before_recording() {
        let mut entries = vec![
            entry("RefundMade", 0, 9),
            entry("CreditNoteIssued", 0, 8),
            entry("Delivered", 0, 1),
            entry("GoodsIssued", 0, 2),
            entry("OrderAccepted", 0, 7),
            entry("OrderCancelled", 60, 0),
            entry("OrderConfirmed", -1, 6),
        ];
        sort(&mut entries);
        let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "OrderConfirmed",
                "OrderAccepted",
                "GoodsIssued",
                "Delivered",
                "CreditNoteIssued",
                "RefundMade",
                "OrderCancelled"
            ]
        );
    }
}
