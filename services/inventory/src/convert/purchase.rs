use super::stock::{lots, shown_lots};
use super::{item, pb_money, unit_cost};
use crate::document::DocumentKind;
use crate::known::Known;
use crate::ops::purchase::{Draft, DraftLine};
use crate::purchase::{Arrival, PurchaseOrder, Receipt, Stage};
use crate::supplier::{LeadTime, Offer, Supplier};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use pesan_money::Money;
use std::collections::HashSet;
use uuid::Uuid;

const KIND: DocumentKind = DocumentKind::PurchaseOrder;
/// Most lines of a purchase order, transfer, or receipt of one.
pub const MOST_LINES: usize = 1_000;
/// Largest quantity of one line.
pub const LARGEST: i64 = 1_000_000_000;

/// A supplier's code: 1 to 40 characters.
pub fn code(violations: &mut Violations, field: &str, text: String) -> String {
    violations.text(field, text, 1, 40)
}

/// What the keeper of a supplier says of it.
pub fn parse_supplier(supplier: pb::Supplier) -> Result<Supplier, Violations> {
    let mut v = Violations::new();
    let code = code(&mut v, "code", supplier.code);
    let name = v.text("name", supplier.name, 0, 300);
    let currency = v.currency("currency_code", &supplier.currency_code);
    let lead_time = LeadTime {
        mean: days(&mut v, "lead_time_days", supplier.lead_time_days),
        std: days(&mut v, "lead_time_std_days", supplier.lead_time_std_days),
    };
    match currency {
        Some(currency) if v.is_empty() => {
            Ok(Supplier { id: Uuid::nil(), code, name, currency, lead_time, inactive: supplier.inactive, version: 0 })
        }
        _ => Err(v),
    }
}

fn days(violations: &mut Violations, field: &str, days: f64) -> f64 {
    if !(0.0..=1000.0).contains(&days) {
        violations.add(field, format!("must be 0 to 1000 days, not {days}"));
    }
    days
}

/// A supplier as it is shown.
pub fn supplier(supplier: &Supplier) -> pb::Supplier {
    pb::Supplier {
        id: supplier.id.to_string(),
        code: supplier.code.clone(),
        name: supplier.name.clone(),
        currency_code: supplier.currency.code().to_owned(),
        lead_time_days: supplier.lead_time.mean,
        lead_time_std_days: supplier.lead_time.std,
        inactive: supplier.inactive,
        version: supplier.version,
    }
}

/// What a supplier asks for an item.
pub fn parse_offer(offer: pb::SupplierItem) -> Result<Offer, Violations> {
    let mut v = Violations::new();
    let supplier_code = code(&mut v, "supplier_code", offer.supplier_code);
    let sku = item::sku(&mut v, "sku", offer.sku);
    if offer.price.is_none() {
        v.add("price", "is required");
    }
    let price = unit_cost(&mut v, "price", offer.price.as_ref());
    let min_quantity = v.within("min_quantity", offer.min_quantity, 0, LARGEST).max(1);
    let pack_size = v.within("pack_size", offer.pack_size, 0, LARGEST).max(1);
    let rank = v.within("rank", offer.rank, 0, 1000);
    let lead_days = offer.lead_time_days.map(|d| days(&mut v, "lead_time_days", d));
    let lead_days_std = offer.lead_time_std_days.map(|d| days(&mut v, "lead_time_std_days", d));
    let supplier_sku = v.text("supplier_sku", offer.supplier_sku, 0, 100);
    match price {
        Some(Money { currency, amount: price }) if v.is_empty() => Ok(Offer {
            supplier_code,
            sku,
            price,
            currency,
            min_quantity,
            pack_size,
            rank,
            lead_days,
            lead_days_std,
            supplier_sku,
        }),
        _ => Err(v),
    }
}

/// An offer as it is shown.
pub fn offer(offer: &Offer) -> pb::SupplierItem {
    pb::SupplierItem {
        supplier_code: offer.supplier_code.clone(),
        sku: offer.sku.clone(),
        price: pb_money(Some(Money::new(offer.currency, offer.price.normalize()))),
        min_quantity: offer.min_quantity,
        pack_size: offer.pack_size,
        rank: offer.rank,
        lead_time_days: offer.lead_days,
        lead_time_std_days: offer.lead_days_std,
        supplier_sku: offer.supplier_sku.clone(),
    }
}

/// Refuses a list of lines that is empty, too long, or has a number twice.
pub fn line_numbers(violations: &mut Violations, numbers: impl ExactSizeIterator<Item = i32>, path: &str) {
    if numbers.len() == 0 || numbers.len() > MOST_LINES {
        violations.add(path, format!("must be 1 to {MOST_LINES} lines, not {}", numbers.len()));
    }
    let mut seen = HashSet::new();
    for (i, number) in numbers.enumerate().take(MOST_LINES) {
        if !(1..=1_000).contains(&number) {
            violations.add(format!("{path}[{i}].line_no"), format!("must be 1 to 1000, not {number}"));
        } else if !seen.insert(number) {
            violations.add(format!("{path}[{i}].line_no"), "must be unique");
        }
    }
}

/// What a draft is to say.
pub fn parse_draft(violations: &mut Violations, draft: Option<pb::NewPurchaseOrder>) -> Draft {
    if draft.is_none() {
        violations.add("purchase_order", "is required");
    }
    let draft = draft.unwrap_or_default();
    let path = "purchase_order.lines";
    line_numbers(violations, draft.lines.iter().map(|line| line.line_no), path);
    let mut lines = Vec::with_capacity(draft.lines.len().min(MOST_LINES));
    for (i, line) in draft.lines.into_iter().take(MOST_LINES).enumerate() {
        let field = |name: &str| format!("{path}[{i}].{name}");
        lines.push(DraftLine {
            line_no: line.line_no,
            sku: item::sku(violations, &field("sku"), line.sku),
            quantity: violations.within(&field("quantity"), line.quantity, 1, LARGEST),
            unit_price: unit_cost(violations, &field("unit_price"), line.unit_price.as_ref()),
            expected_at: violations.time(&field("expected_at"), line.expected_at.as_ref()),
        });
    }
    let percent = draft.over_tolerance_percent;
    Draft {
        supplier_code: code(violations, "purchase_order.supplier_code", draft.supplier_code),
        location_id: violations.uuid("purchase_order.location_id", &draft.location_id),
        reference: violations.text("purchase_order.reference", draft.reference, 0, 100),
        over_percent: violations.within("purchase_order.over_tolerance_percent", percent, 0, 100),
        lines,
    }
}

/// A reason in capitals, such as SHORT_SHIPPED; empty where it is not `needed`.
pub fn difference_reason(violations: &mut Violations, field: &str, text: String, needed: bool) -> String {
    let fits = text.len() <= 60 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if !fits || needed && text.is_empty() {
        violations.add(field, "must be 1 to 60 capitals and underscores, such as SHORT_SHIPPED");
    }
    text
}

/// What came of the lines.
pub fn parse_arrivals(violations: &mut Violations, lines: Vec<pb::ReceivedLine>) -> Vec<Arrival> {
    line_numbers(violations, lines.iter().map(|line| line.line_no), "lines");
    let mut arrivals = Vec::with_capacity(lines.len().min(MOST_LINES));
    for (i, line) in lines.into_iter().take(MOST_LINES).enumerate() {
        let field = |name: &str| format!("lines[{i}].{name}");
        let received = violations.within(&field("received"), line.received, 0, LARGEST);
        let damaged = violations.within(&field("damaged"), line.damaged, 0, LARGEST);
        let missing = violations.within(&field("missing"), line.missing, 0, LARGEST);
        if received == 0 && damaged == 0 && missing == 0 {
            violations.add(field("received"), "must not be 0 where nothing is damaged or missing: leave the line out");
        }
        let needed = damaged > 0 || missing > 0;
        arrivals.push(Arrival {
            line_no: line.line_no,
            received,
            damaged,
            missing,
            reason: difference_reason(violations, &field("reason"), line.reason, needed),
            unit_cost: unit_cost(violations, &field("unit_cost"), line.unit_cost.as_ref()),
            lots: lots(violations, &field("lots"), line.lots),
            damaged_lots: lots(violations, &field("damaged_lots"), line.damaged_lots),
        });
    }
    arrivals
}

/// The stage that a list is of, and, of sent ones, whether something came.
pub fn parse_state(violations: &mut Violations, state: i32) -> (Option<Stage>, Option<bool>) {
    match pb::PurchaseOrderState::try_from(state) {
        Ok(pb::PurchaseOrderState::Unspecified) => (None, None),
        Ok(pb::PurchaseOrderState::Draft) => (Some(Stage::Draft), None),
        Ok(pb::PurchaseOrderState::Sent) => (Some(Stage::Sent), Some(false)),
        Ok(pb::PurchaseOrderState::PartReceived) => (Some(Stage::Sent), Some(true)),
        Ok(pb::PurchaseOrderState::Closed) => (Some(Stage::Closed), None),
        Ok(pb::PurchaseOrderState::Cancelled) => (Some(Stage::Cancelled), None),
        Err(_) => {
            violations.add("state", format!("must be a known state, not {state}"));
            (None, None)
        }
    }
}

/// A purchase order as it is shown. Its items and location are known.
pub fn order(known: &Known, order: &PurchaseOrder, receipts: &[Receipt]) -> pb::PurchaseOrder {
    let state = match order.stage {
        Stage::Draft => pb::PurchaseOrderState::Draft,
        Stage::Sent if order.is_part_received() => pb::PurchaseOrderState::PartReceived,
        Stage::Sent => pb::PurchaseOrderState::Sent,
        Stage::Closed => pb::PurchaseOrderState::Closed,
        Stage::Cancelled => pb::PurchaseOrderState::Cancelled,
    };
    let totals = order.lines.iter().map(|l| Money::line_total(order.currency, l.unit_price, l.quantity));
    let total = totals.collect::<Result<Vec<_>, _>>().and_then(|totals| Money::sum(order.currency, totals)).ok();
    let lines = order.lines.iter().map(|line| pb::PurchaseOrderLine {
        line_no: line.line_no,
        sku: known.sku(line.item).to_owned(),
        quantity: line.quantity,
        unit_price: pb_money(Some(Money::new(order.currency, line.unit_price.normalize()))),
        expected_at: line.expected_at.map(to_timestamp),
        received: line.received - line.damaged,
        damaged: line.damaged,
        dropped: line.dropped,
        expected: if order.stage == Stage::Sent { line.expected() } else { 0 },
    });
    pb::PurchaseOrder {
        id: order.id.to_string(),
        number: KIND.number(order.number),
        state: state.into(),
        supplier_code: order.supplier_code.clone(),
        location_id: known.location_id(order.location).to_string(),
        currency_code: order.currency.code().to_owned(),
        lines: lines.collect(),
        total: pb_money(total),
        reference: order.reference.clone(),
        over_tolerance_percent: order.over_percent,
        created_at: Some(to_timestamp(order.created_at)),
        sent_at: order.sent_at.map(to_timestamp),
        closed_at: order.closed_at.map(to_timestamp),
        closing_reason: order.closing_reason.clone(),
        receipts: receipts.iter().map(receipt).collect(),
        version: order.version,
    }
}

fn receipt(receipt: &Receipt) -> pb::PurchaseReceipt {
    let lines = receipt.lines.iter().map(|line| pb::PurchaseReceiptLine {
        line_no: line.line_no,
        received: line.received,
        damaged: line.damaged,
        missing: line.missing,
        over: line.over,
        reason: line.reason.clone(),
        unit_cost: pb_money(Some(line.unit_cost)),
        lots: shown_lots(&line.lots),
        damaged_lots: shown_lots(&line.damaged_lots),
    });
    pb::PurchaseReceipt {
        number: receipt.number,
        delivery_note: receipt.delivery_note.clone(),
        received_at: Some(to_timestamp(receipt.received_at)),
        lines: lines.collect(),
    }
}

/// The fact that it was sent.
pub fn sent(known: &Known, order: &PurchaseOrder) -> pb::PurchaseOrderSent {
    let lines = order.lines.iter().map(|line| pb::ExpectedLine {
        line_no: line.line_no,
        sku: known.sku(line.item).to_owned(),
        quantity: line.quantity,
        expected_at: line.expected_at.map(to_timestamp),
        unit_price: pb_money(Some(Money::new(order.currency, line.unit_price))),
    });
    pb::PurchaseOrderSent {
        purchase_order_id: order.id.to_string(),
        number: KIND.number(order.number),
        supplier_code: order.supplier_code.clone(),
        location_id: known.location_id(order.location).to_string(),
        lines: lines.collect(),
    }
}

/// The fact that goods of it came.
pub fn received(known: &Known, order: &PurchaseOrder, receipt: &Receipt) -> pb::PurchaseOrderReceived {
    let lines = receipt.lines.iter().map(|line| pb::PurchaseOrderReceivedLine {
        line_no: line.line_no,
        sku: known.sku(line.item).to_owned(),
        received: line.received,
        damaged: line.damaged,
        missing: line.missing,
        over: line.over,
        reason: line.reason.clone(),
    });
    pb::PurchaseOrderReceived {
        purchase_order_id: order.id.to_string(),
        number: KIND.number(order.number),
        location_id: known.location_id(order.location).to_string(),
        lines: lines.collect(),
        closed: order.stage == Stage::Closed,
    }
}
