use super::{item, pb_money, unit_cost};
use crate::lot::LotQuantity;
use crate::stock::{
    Buckets, ItemStock, Level, MovementKind, NamedLevel, NamedMovement, SafetyStock, StockChange, What,
};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::idempotency::Claim;
use pesan_grpc::parse::to_timestamp;
use prost::Message as _;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// Most receipts or adjustments of one call.
pub const MOST_CHANGES: usize = 5_000;
/// Largest receipt or adjustment.
const LARGEST: i64 = 1_000_000_000_000;

/// Reads a receipt, and the claim of its request id.
pub fn parse_receipt(receipt: pb::Receipt, now: OffsetDateTime) -> Result<(StockChange, Claim), Violations> {
    let mut v = Violations::new();
    let body = receipt.encode_to_vec();
    let request_id = v.uuid("request_id", &receipt.request_id);
    let change = StockChange {
        request_id,
        sku: item::sku(&mut v, "sku", receipt.sku),
        location_id: v.uuid("location_id", &receipt.location_id),
        what: What::Receipt {
            quantity: v.within("quantity", receipt.quantity, 1, LARGEST),
            unit_cost: unit_cost(&mut v, "unit_cost", receipt.unit_cost.as_ref()),
        },
        reference: v.text("reference", receipt.reference, 0, 100),
        effective_at: v.past_time("effective_at", receipt.effective_at.as_ref(), now),
        unit: item::named_unit(&mut v, "unit", receipt.unit),
        lots: lots(&mut v, "lots", receipt.lots),
    };
    v.into_result((change, Claim { request_id, method: "pesan.inventory.v1.Receipt", body }))
}

/// Reads an adjustment, and the claim of its request id.
pub fn parse_adjustment(adjustment: pb::Adjustment, now: OffsetDateTime) -> Result<(StockChange, Claim), Violations> {
    let mut v = Violations::new();
    let body = adjustment.encode_to_vec();
    let request_id = v.uuid("request_id", &adjustment.request_id);
    let quantity = v.within("quantity", adjustment.quantity, -LARGEST, LARGEST);
    let damaged = v.within("damaged", adjustment.damaged, -LARGEST, LARGEST);
    let quality_hold = v.within("quality_hold", adjustment.quality_hold, -LARGEST, LARGEST);
    let change = Buckets { on_hand: quantity, damaged, quality_hold };
    if change.is_nothing() {
        v.add("quantity", "must not be 0 unless `damaged` or `quality_hold` is not");
    }
    let change = StockChange {
        request_id,
        sku: item::sku(&mut v, "sku", adjustment.sku),
        location_id: v.uuid("location_id", &adjustment.location_id),
        what: What::Adjustment { change, reason: reason(&mut v, adjustment.reason) },
        reference: v.text("reference", adjustment.reference, 0, 100),
        effective_at: v.past_time("effective_at", adjustment.effective_at.as_ref(), now),
        unit: item::named_unit(&mut v, "unit", adjustment.unit),
        lots: lots(&mut v, "lots", adjustment.lots),
    };
    v.into_result((change, Claim { request_id, method: "pesan.inventory.v1.Adjustment", body }))
}

/// Reads the lots named in a field, at most 10,000.
pub fn lots(v: &mut Violations, field: &str, lots: Vec<pb::LotQuantity>) -> Vec<LotQuantity> {
    if lots.len() > 10_000 {
        v.add(field, format!("must be at most 10000, not {}", lots.len()));
    }
    let lot = |(i, lot): (usize, pb::LotQuantity)| LotQuantity {
        code: v.text(&format!("{field}[{i}].lot"), lot.lot, 1, 60),
        quantity: if lot.quantity == 0 {
            1
        } else {
            v.within(&format!("{field}[{i}].quantity"), lot.quantity, 1, LARGEST)
        },
        expires_on: date(v, &format!("{field}[{i}].expires_on"), &lot.expires_on),
    };
    lots.into_iter().take(10_000).enumerate().map(lot).collect()
}

/// Lots as they are shown.
pub fn shown_lots(lots: &[LotQuantity]) -> Vec<pb::LotQuantity> {
    let lot = |lot: &LotQuantity| pb::LotQuantity {
        lot: lot.code.clone(),
        quantity: lot.quantity,
        expires_on: shown_date(lot.expires_on),
    };
    lots.iter().map(lot).collect()
}

const DATE: &[BorrowedFormatItem<'static>] = format_description!("[year]-[month]-[day]");

/// A day as 2027-01-31; none where it is empty.
pub fn date(violations: &mut Violations, field: &str, text: &str) -> Option<Date> {
    if text.is_empty() {
        return None;
    }
    let date = Date::parse(text, DATE).ok().filter(|date| (1900..=9999).contains(&date.year()));
    if date.is_none() {
        violations.add(field, format!("must be a day such as 2027-01-31, not {text:?}"));
    }
    date
}

/// A day as it is shown; empty where there is none.
pub fn shown_date(date: Option<Date>) -> String {
    date.and_then(|date| date.format(DATE).ok()).unwrap_or_default()
}

/// Reads how much of an item at a location is to be kept back.
pub fn parse_safety(entry: pb::SafetyStock) -> Result<SafetyStock, Violations> {
    let mut v = Violations::new();
    let safety = SafetyStock {
        sku: item::sku(&mut v, "sku", entry.sku),
        location_id: v.uuid("location_id", &entry.location_id),
        quantity: v.within("quantity", entry.quantity, 0, LARGEST),
    };
    v.into_result(safety)
}

fn reason(violations: &mut Violations, text: String) -> String {
    let fits = (1..=60).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if !fits {
        violations.add("reason", "must be 1 to 60 capitals and underscores, such as COUNT or BREAKAGE");
    }
    text
}

/// A level as it is shown.
pub fn level(sku: &str, location_id: Uuid, level: Level) -> pb::StockLevel {
    pb::StockLevel {
        sku: sku.to_owned(),
        location_id: location_id.to_string(),
        on_hand: level.on_hand,
        reserved: level.reserved,
        damaged: level.damaged,
        quality_hold: level.quality_hold,
        safety: level.safety,
        free: level.free(),
        ..pb::StockLevel::default()
    }
}

/// A level as it is shown.
pub fn named_level(named: &NamedLevel) -> pb::StockLevel {
    pb::StockLevel {
        incoming: Some(named.incoming),
        in_transfer: Some(named.in_transfer),
        ..level(&named.sku, named.location_id, named.level)
    }
}

/// A movement as it is shown.
pub fn movement(movement: NamedMovement) -> pb::Movement {
    pb::Movement {
        id: movement.id.to_string(),
        sku: movement.sku,
        location_id: movement.location_id.to_string(),
        quantity: movement.quantity,
        damaged: movement.damaged,
        quality_hold: movement.quality_hold,
        value: pb_money(movement.value),
        lots: Vec::new(),
        kind: kind(movement.kind).into(),
        reason: movement.reason,
        reference: movement.reference,
        unit_cost: pb_money(movement.unit_cost),
        effective_at: Some(to_timestamp(movement.effective_at)),
        recorded_at: Some(to_timestamp(movement.recorded_at)),
    }
}

/// A kind as it is shown.
pub fn kind(kind: MovementKind) -> pb::MovementKind {
    match kind {
        MovementKind::Receipt => pb::MovementKind::Receipt,
        MovementKind::Adjustment => pb::MovementKind::Adjustment,
        MovementKind::Issue => pb::MovementKind::Issue,
        MovementKind::Return => pb::MovementKind::Return,
        MovementKind::ShortPick => pb::MovementKind::ShortPick,
        MovementKind::TransferOut => pb::MovementKind::TransferOut,
        MovementKind::TransferIn => pb::MovementKind::TransferIn,
        MovementKind::Count => pb::MovementKind::Count,
        MovementKind::Hold => pb::MovementKind::Hold,
        MovementKind::Expired => pb::MovementKind::Expired,
    }
}

/// A kind as it is shown, from the database's code.
pub fn movement_kind(code: i16) -> pb::MovementKind {
    MovementKind::from_code(code).map_or(pb::MovementKind::Unspecified, kind)
}

/// What could be promised of an item; none: there is no such item.
///
/// `factor`: base units in the unit that it is to be told in too.
pub fn availability(sku: String, stock: Option<&ItemStock>, factor: Option<i64>) -> pb::Availability {
    let Some(stock) = stock else { return pb::Availability { sku, ..pb::Availability::default() } };
    let free = || stock.levels.iter().map(|named| named.level.free()).fold(0, i64::saturating_add);
    pb::Availability {
        sku,
        known: true,
        available: if stock.is_service { i64::MAX } else { free() },
        backordered: stock.waiting,
        locations: stock.levels.iter().map(named_level).collect(),
        units_available: factor.filter(|_| !stock.is_service).map(|factor| free() / factor),
        left_over: factor.filter(|_| !stock.is_service).map(|factor| free() % factor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn fields(violations: &Violations) -> Vec<&str> {
        violations.as_slice().iter().map(|v| v.field.as_str()).collect()
    }

    #[test]
    fn every_wrong_field_is_named() {
        let receipt = pb::Receipt {
            quantity: 1_000_000_000_001,
            reference: "x".repeat(101),
            unit_cost: Some(pesan_api::r#type::v1::Money { currency_code: "GBP".into(), units: -1, nanos: 0 }),
            effective_at: Some(to_timestamp(NOW + time::Duration::hours(1))),
            ..pb::Receipt::default()
        };
        let violations = parse_receipt(receipt, NOW).unwrap_err();
        let expected = ["request_id", "sku", "location_id", "quantity", "unit_cost", "reference", "effective_at"];
        assert_eq!(fields(&violations), expected);

        let violations = parse_adjustment(pb::Adjustment::default(), NOW).unwrap_err();
        assert_eq!(fields(&violations), ["request_id", "quantity", "sku", "location_id", "reason"]);
        for reason in ["count", "COUNT 1", &"X".repeat(61)] {
            let adjustment = pb::Adjustment { quantity: 1, reason: reason.to_owned(), ..pb::Adjustment::default() };
            let violations = parse_adjustment(adjustment, NOW).unwrap_err();
            assert_eq!(fields(&violations).last(), Some(&"reason"), "{reason}");
        }
    }
}
