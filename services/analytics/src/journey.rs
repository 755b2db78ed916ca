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

/// How an order counts in the KPIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub placed_at: OffsetDateTime,
    pub rejected: bool,
    pub channel: String,
    pub country: String,
    pub units: i64,
    /// With its currency: "23.85 GBP".
    pub gross: String,
}

/// What this service itself has to tell of an order: on which day and where it counts. Told from what is known now, not
/// kept: its trace is that of the acceptance, and it was recorded with the newest fact it takes into account.
pub fn counted(standing: &Standing, facts: &[Entry]) -> Option<Entry> {
    let accepted = facts.iter().find(|entry| entry.kind == "OrderAccepted")?;
    let recorded_at = facts.iter().map(|entry| entry.recorded_at).max()?;
    let Standing { placed_at, channel, country, units, gross, .. } = standing;
    let day = placed_at.date();
    let place = if country.is_empty() { channel.clone() } else { format!("{channel}, {country}") };
    let (kind, summary) = if standing.rejected {
        ("OrderNotCounted", format!("counted nowhere: rejected ({place}, {day})"))
    } else {
        ("OrderCounted", format!("counted in the sales of {day} ({place}): {units} units, {gross} gross"))
    };
    Some(Entry {
        service: "analytics".to_owned(),
        kind: kind.to_owned(),
        effective_at: *placed_at,
        recorded_at,
        summary,
        ..accepted.clone()
    })
}

/// The facts of an order in the order in which one leads to the next.
const CAUSAL_ORDER: [&str; 33] = [
    "OrderAccepted",
    "OrderCounted",
    "OrderNotCounted",
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
    "ReservedStockMissing",
    "OrderStockMissing",
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
    fn an_order_counts_on_the_day_it_was_placed_unless_it_was_rejected() {
        let facts = [entry("OrderAccepted", 0, 1), entry("Delivered", 60, 9)];
        let mut standing = Standing {
            placed_at: facts[0].effective_at,
            rejected: false,
            channel: "web".into(),
            country: "GB".into(),
            units: 3,
            gross: "23.85 GBP".into(),
        };
        let told = counted(&standing, &facts).unwrap();
        assert_eq!(told.summary, "counted in the sales of 2011-01-05 (web, GB): 3 units, 23.85 GBP gross");
        assert_eq!((told.service.as_str(), told.recorded_at), ("analytics", facts[1].recorded_at));
        standing.rejected = true;
        assert_eq!(counted(&standing, &facts).unwrap().kind, "OrderNotCounted");
        assert_eq!(counted(&standing, &facts[1..]), None);
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
