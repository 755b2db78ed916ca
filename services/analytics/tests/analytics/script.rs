//! Events as the four services would write them.

use pesan_api::billing::v1 as billing;
use pesan_api::feed::v1 as feed;
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as order;
use pesan_api::r#type::v1::Money;
use pesan_grpc::parse::to_timestamp;
use prost::{Message, Name};
use std::collections::HashMap;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Which feed: the place in this list.
pub const SOURCES: [&str; 4] = ["order", "inventory", "fulfilment", "billing"];

/// Events in the order in which they happened, each with the feed it is in.
#[derive(Default)]
pub struct Script {
    pub events: Vec<(usize, feed::Event)>,
    versions: HashMap<(usize, Uuid), i64>,
}

/// An order to be accepted. Amounts are cents.
pub struct NewOrder<'a> {
    pub number: u32,
    pub at: OffsetDateTime,
    pub customer: Option<u32>,
    pub channel: &'a str,
    pub country: &'a str,
    pub segment: &'a str,
    pub sales_rep: &'a str,
    pub currency: &'a str,
    /// Sku, quantity, line total, discount.
    pub lines: &'a [(&'a str, i64, i64, i64)],
}

/// Ids are the same in every run.
pub fn order_id(number: u32) -> Uuid {
    Uuid::from_u128((0x0a << 120) + u128::from(number))
}

pub fn customer_id(number: u32) -> Uuid {
    Uuid::from_u128((0x0c << 120) + u128::from(number))
}

pub fn document_id(number: u32) -> Uuid {
    Uuid::from_u128((0x0d << 120) + u128::from(number))
}

pub fn money(currency: &str, cents: i64) -> Option<Money> {
    let nanos = (cents % 100) * 10_000_000;
    Some(Money { currency_code: currency.into(), units: cents / 100, nanos: nanos as i32 })
}

impl Script {
    /// Appends a fact with its version, a fixed id and a fixed time of recording.
    pub fn fact<M: Message + Name>(
        &mut self,
        source: usize,
        aggregate: Uuid,
        journey: Option<Uuid>,
        at: OffsetDateTime,
        fact: &M,
    ) {
        let version = self.versions.entry((source, aggregate)).or_default();
        *version += 1;
        let number = self.events.len() as u128 + 1;
        let recorded_at = OffsetDateTime::UNIX_EPOCH + Duration::days(20_000) + Duration::seconds(number as i64);
        let event = feed::Event {
            event_id: Uuid::from_u128((0x0e << 120) + number).to_string(),
            aggregate_id: aggregate.to_string(),
            version: *version,
            r#type: M::full_name(),
            payload: fact.encode_to_vec().into(),
            correlation_id: journey.map(|id| id.to_string()).unwrap_or_default(),
            traceparent: String::new(),
            effective_at: Some(to_timestamp(at)),
            recorded_at: Some(to_timestamp(recorded_at)),
        };
        self.events.push((source, event));
    }

    fn of_order<M: Message + Name>(&mut self, source: usize, number: u32, at: OffsetDateTime, fact: &M) {
        self.fact(source, order_id(number), Some(order_id(number)), at, fact);
    }

    pub fn accept(&mut self, new: &NewOrder) {
        let lines: Vec<_> = (1..)
            .zip(new.lines)
            .map(|(line_no, (sku, quantity, total, discount))| order::AcceptedLine {
                line_no,
                sku: (*sku).into(),
                quantity: *quantity,
                line_total: money(new.currency, *total),
                discount: money(new.currency, *discount),
            })
            .collect();
        let accepted = order::OrderAccepted {
            order_id: order_id(new.number).to_string(),
            number: format!("SO-{:06}", new.number),
            channel: new.channel.into(),
            external_id: format!("{}", 1000 + new.number),
            customer_id: new.customer.map(|c| customer_id(c).to_string()).unwrap_or_default(),
            customer_external_id: String::new(),
            segment: new.segment.into(),
            sales_rep: new.sales_rep.into(),
            country: new.country.into(),
            currency_code: new.currency.into(),
            lines,
            gross: money(new.currency, new.lines.iter().map(|line| line.2).sum()),
            discount: money(new.currency, new.lines.iter().map(|line| line.3).sum()),
            tax: None,
            ..Default::default()
        };
        self.of_order(0, new.number, new.at, &accepted);
    }

    pub fn confirm(&mut self, number: u32, at: OffsetDateTime) {
        let confirmed = order::OrderConfirmed { order_id: order_id(number).to_string(), ..Default::default() };
        self.of_order(0, number, at, &confirmed);
    }

    pub fn reject(&mut self, number: u32, at: OffsetDateTime) {
        let rejection =
            order::Rejection { field: String::new(), reason: "PAYMENT_DECLINED".into(), message: String::new() };
        let rejected = order::OrderRejected { order_id: order_id(number).to_string(), rejections: vec![rejection] };
        self.of_order(0, number, at, &rejected);
    }

    pub fn cancel(&mut self, number: u32, at: OffsetDateTime, lines: &[(i32, i64)], whole: bool) {
        let lines = lines
            .iter()
            .map(|(line_no, quantity)| order::CancelledLine {
                line_no: *line_no,
                quantity: *quantity,
                ..Default::default()
            })
            .collect();
        let cancelled = order::OrderCancelled {
            order_id: order_id(number).to_string(),
            lines,
            whole,
            reason: "CHANGED_MIND".into(),
            ..Default::default()
        };
        self.of_order(0, number, at, &cancelled);
    }

    pub fn hold(&mut self, number: u32, hold: &str, from: OffsetDateTime, to: OffsetDateTime) {
        let held = order::OrderHeld {
            order_id: order_id(number).to_string(),
            hold: Some(order::Hold { id: hold.into(), reason: "MANUAL".into(), ..Default::default() }),
        };
        self.of_order(0, number, from, &held);
        let released = order::OrderHoldReleased {
            order_id: order_id(number).to_string(),
            hold_id: hold.into(),
            ..Default::default()
        };
        self.of_order(0, number, to, &released);
    }

    /// `lines`: line number, sku, reserved, backordered.
    pub fn reserve(&mut self, number: u32, at: OffsetDateTime, lines: &[(i32, &str, i64, i64)]) {
        let lines = lines
            .iter()
            .map(|(line_no, sku, reserved, backordered)| inventory::ReservedLine {
                line_no: *line_no,
                sku: (*sku).into(),
                allocations: vec![inventory::ReservedAt { location_id: String::new(), quantity: *reserved }],
                backordered: *backordered,
                refused: 0,
            })
            .collect();
        let reserved = inventory::StockReserved { order_id: order_id(number).to_string(), lines, expires_at: None };
        self.of_order(1, number, at, &reserved);
    }

    /// `backordered` of `quantity` wait for stock again.
    pub fn shortage(
        &mut self,
        number: u32,
        at: OffsetDateTime,
        line_no: i32,
        sku: &str,
        quantity: i64,
        backordered: i64,
    ) {
        let shortage = inventory::ShortageBooked {
            order_id: order_id(number).to_string(),
            line_no,
            sku: sku.into(),
            location_id: String::new(),
            quantity,
            backordered,
        };
        self.of_order(1, number, at, &shortage);
    }

    fn shipment_lines(lines: &[(&str, i64)]) -> Vec<fulfilment::ShipmentLine> {
        (1..)
            .zip(lines)
            .map(|(line_no, (sku, quantity))| fulfilment::ShipmentLine {
                line_no,
                sku: (*sku).into(),
                quantity: *quantity,
                stocked: true,
            })
            .collect()
    }

    /// The shipment is the `part`-th of the order.
    pub fn ship(&mut self, number: u32, part: u32, at: OffsetDateTime, lines: &[(&str, i64)]) {
        let fulfilment_order = Uuid::from_u128((0x0f << 120) + u128::from(number * 100 + part));
        let issued = fulfilment::GoodsIssued {
            fulfilment_order_id: fulfilment_order.to_string(),
            order_id: order_id(number).to_string(),
            location_id: String::new(),
            lines: Self::shipment_lines(lines),
            parcels: vec![fulfilment::Parcel {
                parcel_no: 1,
                weight_grams: 500,
                tracking_number: format!("T{number}-{part}"),
                carrier: "simulated".into(),
            }],
        };
        self.fact(2, fulfilment_order, Some(order_id(number)), at, &issued);
    }

    pub fn deliver(&mut self, number: u32, part: u32, at: OffsetDateTime, lines: &[(&str, i64)]) {
        let fulfilment_order = Uuid::from_u128((0x0f << 120) + u128::from(number * 100 + part));
        let delivered = fulfilment::Delivered {
            fulfilment_order_id: fulfilment_order.to_string(),
            order_id: order_id(number).to_string(),
            lines: Self::shipment_lines(lines),
        };
        self.fact(2, fulfilment_order, Some(order_id(number)), at, &delivered);
    }

    pub fn take_back(&mut self, number: u32, at: OffsetDateTime, sku: &str, sellable: i64, damaged: i64) {
        let return_id = Uuid::from_u128((0x1f << 120) + u128::from(number));
        let received = fulfilment::ReturnReceived {
            return_id: return_id.to_string(),
            number: format!("RMA-{number}"),
            order_id: order_id(number).to_string(),
            lines: vec![fulfilment::ReturnReceivedLine {
                line_no: 1,
                sku: sku.into(),
                sellable,
                damaged,
                ..Default::default()
            }],
            received_at: Some(to_timestamp(at)),
            discrepancies: vec![],
        };
        self.fact(2, return_id, Some(order_id(number)), at, &received);
    }

    fn document(
        id: u32,
        kind: billing::DocumentKind,
        number: Option<u32>,
        at: OffsetDateTime,
        lines: &[(&str, i64)],
    ) -> billing::Document {
        let net = lines.iter().map(|(_, net)| net).sum();
        billing::Document {
            id: document_id(id).to_string(),
            kind: kind.into(),
            number: format!("DOC-{id}"),
            order_id: number.map(|number| order_id(number).to_string()).unwrap_or_default(),
            lines: (1..)
                .zip(lines)
                .map(|(line_no, (sku, net))| billing::DocumentLine {
                    line_no,
                    sku: (*sku).into(),
                    quantity: 1,
                    net: money("GBP", *net),
                    tax: None,
                })
                .collect(),
            net: money("GBP", net),
            total: money("GBP", net),
            issued_at: Some(to_timestamp(at)),
            ..Default::default()
        }
    }

    /// Net cents by sku.
    pub fn invoice(&mut self, id: u32, number: u32, at: OffsetDateTime, lines: &[(&str, i64)]) {
        let document = Self::document(id, billing::DocumentKind::Invoice, Some(number), at, lines);
        self.of_order(3, number, at, &billing::InvoiceIssued { document: Some(document) });
    }

    pub fn credit(&mut self, id: u32, number: u32, at: OffsetDateTime, lines: &[(&str, i64)]) {
        let document = Self::document(id, billing::DocumentKind::CreditNote, Some(number), at, lines);
        let note = billing::CreditNoteIssued { document: Some(document), ..Default::default() };
        self.of_order(3, number, at, &note);
    }

    /// Without an order.
    pub fn credit_alone(&mut self, id: u32, at: OffsetDateTime, lines: &[(&str, i64)], channel: &str, country: &str) {
        let note = billing::CreditNoteIssued {
            document: Some(Self::document(id, billing::DocumentKind::CreditNote, None, at, lines)),
            return_id: String::new(),
            reason: "RETURN_WITHOUT_ORDER".into(),
            country: country.into(),
            channel: channel.into(),
            goodwill_id: String::new(),
        };
        self.fact(3, document_id(id), None, at, &note);
    }

    /// An event of a type that does not exist yet, and one that concerns nobody here.
    pub fn noise(&mut self) {
        let at = OffsetDateTime::UNIX_EPOCH;
        self.fact(1, Uuid::from_u128(77), None, at, &inventory::ItemChanged { sku: "P1".into(), ..Default::default() });
        self.fact(0, order_id(1), Some(order_id(1)), at, &order::OrderProgressed::default());
        self.fact(2, Uuid::from_u128(78), Some(order_id(1)), at, &inventory::ItemChanged::default());
        if let Some((_, event)) = self.events.last_mut() {
            event.r#type = "pesan.fulfilment.v9.Teleported".into();
        }
    }
}
