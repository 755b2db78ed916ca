//! Events of the four feeds as what they mean here: facts about orders, and entries of their journeys.

use super::amount::{currency, minor_units};
use super::summary;
use crate::dims::Dims;
use crate::journey::Entry;
use crate::order_fact::{Accepted, Document, Fact, Goods, Line};
use anyhow::Context as _;
use pesan_api::billing::v1 as billing;
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as order;
use pesan_feed::Event;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a batch of events says.
#[derive(Debug, Default)]
pub struct Batch {
    pub facts: Vec<Fact>,
    pub entries: Vec<Entry>,
}

/// Reads events in the order given. What is of no interest here is passed over; what should be readable and is not is an
/// error, which stops the feed loudly.
pub fn read(events: &[Event]) -> anyhow::Result<Batch> {
    let mut batch = Batch::default();
    for event in events {
        read_one(event, &mut batch).with_context(|| format!("{} {}", event.kind, event.event_id))?;
    }
    Ok(batch)
}

fn read_one(event: &Event, batch: &mut Batch) -> anyhow::Result<()> {
    let facts = &mut batch.facts;
    let summary = if let Some(e) = event.decode::<order::OrderAccepted>()? {
        let text = summary::accepted(&e);
        facts.push(Fact::Accepted(accepted(event, e)?));
        text
    } else if let Some(e) = event.decode::<order::OrderConfirmed>()? {
        let cancelled = e.cancelled.iter().map(|line| line.quantity).sum();
        facts.push(Fact::Confirmed { order_id: id(&e.order_id)?, at: event.effective_at, cancelled });
        summary::confirmed(&e)
    } else if let Some(e) = event.decode::<order::OrderRejected>()? {
        facts.push(Fact::Rejected { order_id: id(&e.order_id)? });
        summary::rejected(&e)
    } else if let Some(e) = event.decode::<order::OrderAmended>()? {
        let text = format!("changed: {} lines now", e.lines.len());
        facts.push(Fact::Amended { order_id: id(&e.order_id)?, lines: lines(e.lines)? });
        text
    } else if let Some(e) = event.decode::<order::OrderCancelled>()? {
        let units = e.lines.iter().map(|line| line.quantity).sum();
        facts.push(Fact::Cancelled { order_id: id(&e.order_id)?, units, whole: e.whole });
        summary::cancelled(&e)
    } else if let Some(e) = event.decode::<order::OrderHeld>()? {
        let text = summary::held(&e);
        let hold_id = e.hold.unwrap_or_default().id;
        facts.push(Fact::Held { order_id: id(&e.order_id)?, hold_id, at: event.effective_at });
        text
    } else if let Some(e) = event.decode::<order::OrderHoldReleased>()? {
        let order_id = id(&e.order_id)?;
        facts.push(Fact::HoldReleased { order_id, hold_id: e.hold_id, at: event.effective_at });
        "a hold was lifted".to_owned()
    } else if let Some(e) = event.decode::<inventory::StockReserved>()? {
        let line_nos: Vec<i32> = e.lines.iter().filter(|line| line.backordered > 0).map(|line| line.line_no).collect();
        if !line_nos.is_empty() {
            facts.push(Fact::Backordered { order_id: id(&e.order_id)?, line_nos });
        }
        summary::reserved(&e)
    } else if let Some(e) = event.decode::<inventory::ShortageBooked>()? {
        // What does not wait again is cancelled by the order service.
        if e.backordered > 0 {
            facts.push(Fact::Backordered { order_id: id(&e.order_id)?, line_nos: vec![e.line_no] });
        }
        summary::shortage(&e)
    } else if let Some(e) = event.decode::<fulfilment::GoodsIssued>()? {
        let text = summary::goods_issued(&e);
        let lines = by_sku(e.lines.into_iter().map(|line| (line.sku, line.quantity)));
        facts.push(Fact::Shipped(goods(event, &e.order_id, lines)?));
        text
    } else if let Some(e) = event.decode::<fulfilment::Delivered>()? {
        let units = e.lines.iter().map(|line| line.quantity).sum();
        facts.push(Fact::Delivered { order_id: id(&e.order_id)?, at: event.effective_at, units });
        summary::delivered(&e)
    } else if let Some(e) = event.decode::<fulfilment::ReturnReceived>()? {
        let text = summary::return_received(&e);
        let lines = by_sku(e.lines.into_iter().map(|line| (line.sku, line.sellable + line.damaged)));
        facts.push(Fact::Returned(goods(event, &e.order_id, lines)?));
        text
    } else if let Some(e) = event.decode::<billing::InvoiceIssued>()? {
        let invoice = e.document.context("an invoice without its document")?;
        let text = summary::invoice(&invoice);
        facts.push(Fact::Documented(document(event, invoice, false)?));
        text
    } else if let Some(e) = event.decode::<billing::CreditNoteIssued>()? {
        let text = summary::credit_note(&e);
        facts.push(Fact::Documented(credit_note(event, e)?));
        text
    } else if let Some(text) = summary::of_others(event)? {
        text
    } else {
        return Ok(());
    };
    if let Some(order_id) = event.correlation_id {
        batch.entries.push(entry(event, order_id, summary));
    }
    Ok(())
}

fn entry(event: &Event, order_id: Uuid, summary: String) -> Entry {
    let mut parts = event.kind.split('.');
    Entry {
        order_id,
        event_id: event.event_id,
        service: parts.nth(1).unwrap_or_default().to_owned(),
        kind: parts.next_back().unwrap_or_default().to_owned(),
        effective_at: event.effective_at,
        recorded_at: event.recorded_at,
        trace_id: pesan_telemetry::trace_id(&event.traceparent).unwrap_or_default().to_owned(),
        summary,
    }
}

fn lines(lines: Vec<order::AcceptedLine>) -> anyhow::Result<Vec<Line>> {
    lines
        .into_iter()
        .map(|line| {
            Ok(Line {
                line_no: line.line_no,
                units: line.quantity,
                gross: minor_units(line.line_total.as_ref())?,
                discount: minor_units(line.discount.as_ref())?,
                sku: line.sku,
            })
        })
        .collect()
}

fn accepted(event: &Event, e: order::OrderAccepted) -> anyhow::Result<Accepted> {
    let decimals = currency(&e.currency_code)?.exponent();
    let lines = lines(e.lines)?;
    Ok(Accepted {
        order_id: id(&e.order_id)?,
        number: e.number,
        external_id: e.external_id,
        customer_id: optional_id(&e.customer_id)?,
        dims: Dims {
            channel: e.channel,
            country: e.country,
            segment: e.segment,
            sales_rep: e.sales_rep,
            currency: e.currency_code,
            decimals: i16::try_from(decimals)?,
        },
        placed_at: event.effective_at,
        lines,
    })
}

fn document(event: &Event, document: billing::Document, credit: bool) -> anyhow::Result<Document> {
    let mut lines = Vec::with_capacity(document.lines.len());
    for line in document.lines {
        lines.push((line.sku, minor_units(line.net.as_ref())?));
    }
    Ok(Document {
        document_id: id(&document.id)?,
        order_id: optional_id(&document.order_id)?,
        credit,
        issued_at: event.effective_at,
        dims: None,
        dims_id: None,
        net: minor_units(document.net.as_ref())?,
        lines: by_sku(lines),
    })
}

/// A note without an order has dims of its own: those it was issued with.
fn credit_note(event: &Event, e: billing::CreditNoteIssued) -> anyhow::Result<Document> {
    let note = e.document.context("a credit note without its document")?;
    let currency_code =
        note.net.as_ref().map(|net| net.currency_code.clone()).context("a credit note without its net")?;
    let mut document = document(event, note, true)?;
    if document.order_id.is_none() {
        document.dims = Some(Dims {
            channel: e.channel,
            country: e.country,
            segment: String::new(),
            sales_rep: String::new(),
            decimals: i16::try_from(currency(&currency_code)?.exponent())?,
            currency: currency_code,
        });
    }
    Ok(document)
}

fn goods(event: &Event, order_id: &str, lines: Vec<(String, i64)>) -> anyhow::Result<Goods> {
    Ok(Goods { event_id: event.event_id, order_id: id(order_id)?, at: event.effective_at, lines })
}

/// Sums by sku, ascending.
fn by_sku(lines: impl IntoIterator<Item = (String, i64)>) -> Vec<(String, i64)> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for (sku, quantity) in lines {
        *sums.entry(sku).or_default() += quantity;
    }
    sums.into_iter().collect()
}

fn id(text: &str) -> anyhow::Result<Uuid> {
    Uuid::try_parse(text).with_context(|| format!("{text:?} is no id"))
}

fn optional_id(text: &str) -> anyhow::Result<Option<Uuid>> {
    if text.is_empty() { Ok(None) } else { id(text).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::{Message, Name};
    use time::macros::datetime;

    fn event<M: Message + Name>(fact: &M) -> Event {
        Event {
            event_id: Uuid::from_u128(1),
            aggregate_id: Uuid::from_u128(2),
            version: 1,
            kind: M::full_name(),
            payload: fact.encode_to_vec().into(),
            correlation_id: Some(Uuid::from_u128(2)),
            traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
            effective_at: datetime!(2011-01-05 10:00 UTC),
            recorded_at: datetime!(2011-01-06 10:00 UTC),
        }
    }

    #[test]
    fn an_entry_tells_service_kind_trace_and_both_times() {
        let batch = read(&[event(&inventory::ReservationExpired::default())]).unwrap();
        let [entry] = batch.entries.as_slice() else { panic!("{batch:?}") };
        assert_eq!((entry.service.as_str(), entry.kind.as_str()), ("inventory", "ReservationExpired"));
        assert_eq!(entry.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(entry.effective_at, datetime!(2011-01-05 10:00 UTC));
        assert_eq!(entry.recorded_at, datetime!(2011-01-06 10:00 UTC));
        assert_eq!(batch.facts, []);
    }

    #[test]
    fn what_cannot_be_read_stops_the_feed_and_what_is_not_known_does_not() {
        let mut unknown = event(&order::OrderAccepted::default());
        unknown.kind = "pesan.order.v1.OrderBeamedUp".into();
        let batch = read(&[unknown]).unwrap();
        assert!(batch.facts.is_empty() && batch.entries.is_empty());

        let nameless = event(&order::OrderRejected { order_id: "x".into(), rejections: Vec::new() });
        let error = read(&[nameless]).unwrap_err();
        assert!(format!("{error:#}").contains("pesan.order.v1.OrderRejected"), "{error:#}");
        let mut broken = event(&order::OrderAccepted::default());
        broken.payload = vec![0xff; 3].into();
        assert!(read(&[broken]).is_err());
    }

    #[test]
    fn quantities_of_one_sku_are_summed() {
        let line = |sku: &str, quantity| fulfilment::ShipmentLine { sku: sku.into(), quantity, ..Default::default() };
        let issued = fulfilment::GoodsIssued {
            order_id: Uuid::from_u128(2).to_string(),
            lines: vec![line("B", 1), line("A", 2), line("B", 4)],
            ..Default::default()
        };
        let batch = read(&[event(&issued)]).unwrap();
        let [Fact::Shipped(goods)] = batch.facts.as_slice() else { panic!("{batch:?}") };
        assert_eq!(goods.lines, [("A".to_owned(), 2), ("B".to_owned(), 5)]);
        assert_eq!(goods.units(), 7);
    }
}
