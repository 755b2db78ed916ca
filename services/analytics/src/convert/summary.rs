//! One line for people about each event of an order. Amounts, quantities and numbers; never names or addresses.

use super::amount::text;
use super::summary_text::{count, list, some_units, units_in_lines};
use pesan_api::billing::v1 as billing;
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as order;
use pesan_feed::Event;

/// Longest text of others (reasons, notes) within a summary, in characters.
const LONGEST_QUOTE: usize = 200;

pub fn accepted(e: &order::OrderAccepted) -> String {
    let units = units_in_lines(e.lines.iter().map(|line| line.quantity));
    let who = if e.customer_id.is_empty() { " by a guest" } else { "" };
    format!("{} accepted on {}{who}: {units}, {} gross", e.number, e.channel, text(e.gross.as_ref()))
}

pub fn confirmed(e: &order::OrderConfirmed) -> String {
    let allocated: i64 = e.allocations.iter().map(|line| line.quantity).sum();
    let backordered = e.backordered.iter().map(|line| line.quantity).sum();
    let cancelled = e.cancelled.iter().map(|line| line.quantity).sum();
    let rest = [some_units(backordered, "backordered"), some_units(cancelled, "not there and cancelled")];
    list([Some(format!("confirmed: {} reserved", count(allocated, "unit")))].into_iter().chain(rest))
}

pub fn rejected(e: &order::OrderRejected) -> String {
    let reasons = list(e.rejections.iter().take(5).map(|rejection| Some(quote(&rejection.reason))));
    if reasons.is_empty() { "rejected".to_owned() } else { format!("rejected: {reasons}") }
}

pub fn cancelled(e: &order::OrderCancelled) -> String {
    let what = if e.whole { "the whole order".to_owned() } else { units_in_lines(e.lines.iter().map(|l| l.quantity)) };
    list([Some(format!("cancelled: {what}")), Some(quote(&e.reason)).filter(|reason| !reason.is_empty())])
}

pub fn held(e: &order::OrderHeld) -> String {
    let hold = e.hold.clone().unwrap_or_default();
    list([Some(format!("held: {}", quote(&hold.reason))), Some(quote(&hold.note)).filter(|note| !note.is_empty())])
}

pub fn reserved(e: &inventory::StockReserved) -> String {
    let reserved: i64 = e.lines.iter().flat_map(|line| &line.allocations).map(|at| at.quantity).sum();
    let backordered = e.lines.iter().map(|line| line.backordered).sum();
    let refused = e.lines.iter().map(|line| line.refused).sum();
    let rest = [some_units(backordered, "backordered"), some_units(refused, "refused")];
    list([Some(format!("{} reserved", count(reserved, "unit")))].into_iter().chain(rest))
}

pub fn shortage(e: &inventory::ShortageBooked) -> String {
    let rest = some_units(e.backordered, "wait for stock again");
    list([Some(format!("line {}: {} of {} not found", e.line_no, count(e.quantity, "unit"), quote(&e.sku))), rest])
}

pub fn goods_issued(e: &fulfilment::GoodsIssued) -> String {
    let tracking = list(e.parcels.iter().take(5).map(|parcel| {
        let parts = [&parcel.carrier, &parcel.tracking_number].map(|part| quote(part));
        Some(parts.join(" ").trim().to_owned()).filter(|text| !text.is_empty())
    }));
    let units = units_in_lines(e.lines.iter().map(|line| line.quantity));
    list([Some(format!("shipped: {units}")), Some(tracking).filter(|text| !text.is_empty())])
}

pub fn delivered(e: &fulfilment::Delivered) -> String {
    format!("delivered: {}", units_in_lines(e.lines.iter().map(|line| line.quantity)))
}

pub fn return_received(e: &fulfilment::ReturnReceived) -> String {
    let damaged = e.lines.iter().map(|line| line.damaged).sum();
    let units = units_in_lines(e.lines.iter().map(|line| line.sellable + line.damaged));
    list([Some(format!("{} received: {units}", e.number)), some_units(damaged, "damaged")])
}

pub fn invoice(invoice: &billing::Document) -> String {
    format!("{}: {} net, {} with tax", invoice.number, text(invoice.net.as_ref()), text(invoice.total.as_ref()))
}

pub fn credit_note(e: &billing::CreditNoteIssued) -> String {
    let note = e.document.clone().unwrap_or_default();
    let reason = Some(quote(&e.reason)).filter(|reason| !reason.is_empty());
    list([Some(format!("{}: {} net credited", note.number, text(note.net.as_ref()))), reason])
}

/// The events that change nothing here but belong to a journey. None: not to be told. OrderProgressed is not, because
/// it only repeats what the facts of the others say.
pub fn of_others(event: &Event) -> Result<Option<String>, prost::DecodeError> {
    Ok(Some(if let Some(e) = event.decode::<order::OrderLinesReady>()? {
        let units: i64 = e.allocations.iter().map(|line| line.quantity).sum();
        format!("{} that waited are reserved now", count(units, "unit"))
    } else if let Some(e) = event.decode::<order::ReturnApproved>()? {
        format!("return {} approved: {}", e.number, units_in_lines(e.lines.iter().map(|line| line.quantity)))
    } else if let Some(e) = event.decode::<inventory::StockRefused>()? {
        let (wanted, available) =
            e.lines.iter().fold((0, 0), |sums, line| (sums.0 + line.wanted, sums.1 + line.available));
        format!("refused for lack of stock: {} wanted, {available} available", count(wanted, "unit"))
    } else if event.is::<inventory::ReservationExpired>() {
        "the reservation was never confirmed and lapsed".to_owned()
    } else if let Some(e) = event.decode::<inventory::StockReleased>()? {
        let reserved = e.lines.iter().map(|line| line.reserved).sum();
        let backordered = e.lines.iter().map(|line| line.backordered).sum();
        let parts = list([some_units(reserved, "released"), some_units(backordered, "taken off the waiting list")]);
        if parts.is_empty() { "nothing was held".to_owned() } else { parts }
    } else if let Some(e) = event.decode::<inventory::BackordersFilled>()? {
        let units: i64 = e.lines.iter().map(|line| line.quantity).sum();
        format!("stock came for {}", count(units, "waiting unit"))
    } else if let Some(e) = event.decode::<inventory::ReservedStockMissing>()? {
        format!("a count did not find {} of {}", count(e.quantity, "unit"), e.sku)
    } else if let Some(e) = event.decode::<order::OrderStockMissing>()? {
        format!("missing of what is reserved: {}", units_in_lines(e.lines.iter().map(|l| l.quantity + l.withheld)))
    } else if let Some(e) = event.decode::<inventory::StockIssued>()? {
        let units = units_in_lines(e.lines.iter().map(|line| line.quantity));
        let cost = e.cost.as_ref().map(|cost| format!("cost {}", text(Some(cost))));
        list([Some(format!("taken off stock: {units}")), cost])
    } else if let Some(e) = event.decode::<inventory::StockReturned>()? {
        format!("back in stock: {}", units_in_lines(e.lines.iter().map(|line| line.sellable + line.damaged)))
    } else if let Some(e) = event.decode::<fulfilment::FulfilmentOrderCreated>()? {
        format!("{} created: {}", e.number, units_in_lines(e.lines.iter().map(|line| line.quantity)))
    } else if let Some(e) = event.decode::<fulfilment::Picked>()? {
        format!("picked: {}", units_in_lines(e.lines.iter().map(|line| line.quantity)))
    } else if let Some(e) = event.decode::<fulfilment::ShortPicked>()? {
        format!("not found in the warehouse: {}", units_in_lines(e.lines.iter().map(|line| line.quantity)))
    } else if let Some(e) = event.decode::<fulfilment::Packed>()? {
        let grams: i64 = e.parcels.iter().map(|parcel| parcel.weight_grams).sum();
        format!("packed: {}, {grams} g", count(e.parcels.len() as i64, "parcel"))
    } else if let Some(e) = event.decode::<fulfilment::LinesWithdrawn>()? {
        format!("withdrawn from the warehouse: {}", units_in_lines(e.lines.iter().map(|line| line.quantity)))
    } else if let Some(e) = event.decode::<billing::PaymentAuthorised>()? {
        let method =
            if e.method() == billing::AuthorisationMethod::Provider { "by the payment provider" } else { "on account" };
        format!("{} authorised {method}", text(e.amount.as_ref()))
    } else if let Some(e) = event.decode::<billing::AuthorisationDeclined>()? {
        format!("payment not authorised: {}", quote(&e.reason))
    } else if let Some(e) = event.decode::<billing::AuthorisationVoided>()? {
        format!("authorisation of {} let go", text(e.amount.as_ref()))
    } else if let Some(e) = event.decode::<billing::PaymentCaptured>()? {
        format!("{} captured", text(e.amount.as_ref()))
    } else if let Some(e) = event.decode::<billing::RefundMade>()? {
        format!("{} refunded", text(e.amount.as_ref()))
    } else if let Some(e) = event.decode::<billing::CostPosted>()? {
        format!("cost of goods {} posted", text(e.amount.as_ref()))
    } else {
        return Ok(None);
    }))
}

/// Text of others, cut to a bearable length.
fn quote(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pesan_api::r#type::v1::Money;
    use prost::{Message, Name};
    use time::OffsetDateTime;
    use uuid::Uuid;

    fn told<M: Message + Name>(fact: &M) -> Option<String> {
        let event = Event {
            event_id: Uuid::nil(),
            aggregate_id: Uuid::nil(),
            version: 1,
            kind: M::full_name(),
            payload: fact.encode_to_vec().into(),
            correlation_id: None,
            traceparent: String::new(),
            effective_at: OffsetDateTime::UNIX_EPOCH,
            recorded_at: OffsetDateTime::UNIX_EPOCH,
        };
        of_others(&event).unwrap()
    }

    fn eur(units: i64) -> Option<Money> {
        Some(Money { currency_code: "EUR".into(), units, nanos: 0 })
    }

    #[test]
    fn every_kind_of_event_is_told_in_a_line() {
        let shipped = |quantity| vec![fulfilment::ShipmentLine { quantity, ..Default::default() }];
        let parcel = fulfilment::Parcel { weight_grams: 800, ..Default::default() };
        let refused = inventory::RefusedLine { wanted: 5, available: 2, ..Default::default() };
        let released = inventory::ReleasedLine { reserved: 1, backordered: 2, ..Default::default() };
        let filled = inventory::FilledLine { quantity: 3, ..Default::default() };
        let issued = inventory::IssuedLine { quantity: 4, ..Default::default() };
        let returned = inventory::ReturnedLine { sellable: 1, damaged: 1, ..Default::default() };
        let by_provider = billing::AuthorisationMethod::Provider.into();
        for (summary, expected) in [
            (
                told(&order::OrderLinesReady {
                    allocations: vec![order::AllocatedLine { quantity: 2, ..Default::default() }],
                    ..Default::default()
                }),
                "2 units that waited are reserved now",
            ),
            (
                told(&order::ReturnApproved {
                    number: "RMA-1".into(),
                    lines: vec![order::ApprovedReturnLine { quantity: 1, ..Default::default() }],
                    ..Default::default()
                }),
                "return RMA-1 approved: 1 unit in 1 line",
            ),
            (
                told(&inventory::StockRefused { lines: vec![refused], ..Default::default() }),
                "refused for lack of stock: 5 units wanted, 2 available",
            ),
            (told(&inventory::ReservationExpired::default()), "the reservation was never confirmed and lapsed"),
            (
                told(&inventory::StockReleased { lines: vec![released], ..Default::default() }),
                "1 unit released, 2 units taken off the waiting list",
            ),
            (told(&inventory::StockReleased::default()), "nothing was held"),
            (
                told(&inventory::BackordersFilled { lines: vec![filled], ..Default::default() }),
                "stock came for 3 waiting units",
            ),
            (
                told(&inventory::StockIssued { lines: vec![issued], cost: eur(9), ..Default::default() }),
                "taken off stock: 4 units in 1 line, cost 9.00 EUR",
            ),
            (
                told(&inventory::StockReturned { lines: vec![returned], ..Default::default() }),
                "back in stock: 2 units in 1 line",
            ),
            (
                told(&fulfilment::FulfilmentOrderCreated {
                    number: "FO-1".into(),
                    lines: shipped(2),
                    ..Default::default()
                }),
                "FO-1 created: 2 units in 1 line",
            ),
            (told(&fulfilment::Picked { lines: shipped(2), ..Default::default() }), "picked: 2 units in 1 line"),
            (
                told(&fulfilment::ShortPicked { lines: shipped(1), ..Default::default() }),
                "not found in the warehouse: 1 unit in 1 line",
            ),
            (
                told(&inventory::ReservedStockMissing { sku: "TEA".into(), quantity: 2, ..Default::default() }),
                "a count did not find 2 units of TEA",
            ),
            (
                told(&order::OrderStockMissing {
                    lines: vec![order::MissingLine { quantity: 2, withheld: 1, ..Default::default() }],
                    ..Default::default()
                }),
                "missing of what is reserved: 3 units in 1 line",
            ),
            (told(&fulfilment::Packed { parcels: vec![parcel], ..Default::default() }), "packed: 1 parcel, 800 g"),
            (
                told(&fulfilment::LinesWithdrawn { lines: shipped(1), ..Default::default() }),
                "withdrawn from the warehouse: 1 unit in 1 line",
            ),
            (
                told(&billing::PaymentAuthorised { amount: eur(5), ..Default::default() }),
                "5.00 EUR authorised on account",
            ),
            (
                told(&billing::PaymentAuthorised { amount: eur(5), method: by_provider, ..Default::default() }),
                "5.00 EUR authorised by the payment provider",
            ),
            (
                told(&billing::AuthorisationDeclined { reason: "NO_ACCOUNT".into(), ..Default::default() }),
                "payment not authorised: NO_ACCOUNT",
            ),
            (
                told(&billing::AuthorisationVoided { amount: eur(5), ..Default::default() }),
                "authorisation of 5.00 EUR let go",
            ),
            (told(&billing::PaymentCaptured { amount: eur(5), ..Default::default() }), "5.00 EUR captured"),
            (told(&billing::RefundMade { amount: eur(5), ..Default::default() }), "5.00 EUR refunded"),
            (told(&billing::CostPosted { amount: eur(5), ..Default::default() }), "cost of goods 5.00 EUR posted"),
        ] {
            assert_eq!(summary.as_deref(), Some(expected));
        }
        assert_eq!(told(&order::OrderProgressed::default()), None, "it repeats what others tell");
    }

    #[test]
    fn text_of_others_has_an_end() {
        let held = order::OrderHeld {
            hold: Some(order::Hold { reason: "R".repeat(999), note: "n".repeat(999), ..Default::default() }),
            ..Default::default()
        };
        assert!(super::held(&held).len() < 500);
    }
}
