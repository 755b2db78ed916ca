use super::item;
use super::stock::lots;
use crate::counting::{Count, CountedLot, Stage, Threshold};
use crate::document::DocumentKind;
use crate::known::Known;
use crate::ops::count::{Counted, MOST_ITEMS, Wanted};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use time::OffsetDateTime;

const KIND: DocumentKind = DocumentKind::Count;
/// Most that can be counted of an item.
const LARGEST: i64 = 1_000_000_000_000;

/// What is to be counted.
pub fn parse_wanted(request: pb::CreateCountRequest, v: &mut Violations) -> Wanted {
    if request.skus.len() > MOST_ITEMS {
        v.add("skus", format!("must be at most {MOST_ITEMS}, not {}", request.skus.len()));
    }
    let threshold = request.threshold.unwrap_or_default();
    let mut skus = Vec::with_capacity(request.skus.len().min(MOST_ITEMS));
    for (i, sku) in request.skus.into_iter().take(MOST_ITEMS).enumerate() {
        skus.push(item::sku(v, &format!("skus[{i}]"), sku));
    }
    Wanted {
        location_id: v.uuid("location_id", &request.location_id),
        skus,
        threshold: Threshold {
            units: v.within("threshold.units", threshold.units, 0, LARGEST),
            percent: v.within("threshold.percent", threshold.percent, 0, 100),
        },
        note: v.text("note", request.note, 0, 200),
    }
}

/// What was counted.
pub fn parse_entries(v: &mut Violations, entries: Vec<pb::CountEntry>, now: OffsetDateTime) -> Vec<Counted> {
    if entries.len() > MOST_ITEMS {
        v.add("entries", format!("must be at most {MOST_ITEMS}, not {}", entries.len()));
    }
    let mut counted = Vec::with_capacity(entries.len().min(MOST_ITEMS));
    for (i, entry) in entries.into_iter().take(MOST_ITEMS).enumerate() {
        let field = |name: &str| format!("entries[{i}].{name}");
        let at = entry.counted_at.as_ref().map(|at| v.past_time(&field("counted_at"), Some(at), now));
        counted.push(Counted {
            sku: item::sku(v, &field("sku"), entry.sku),
            quantity: v.within(&field("quantity"), entry.quantity, 0, LARGEST),
            at,
            lots: lots(v, &field("lots"), entry.lots),
        });
    }
    counted
}

/// The stage that a list is of.
pub fn parse_state(violations: &mut Violations, state: i32) -> Option<Stage> {
    match pb::CountState::try_from(state) {
        Ok(pb::CountState::Unspecified) => None,
        Ok(pb::CountState::Counting) => Some(Stage::Counting),
        Ok(pb::CountState::Counted) => Some(Stage::Counted),
        Ok(pb::CountState::Approved) => Some(Stage::Approved),
        Ok(pb::CountState::Rejected) => Some(Stage::Rejected),
        Err(_) => {
            violations.add("state", format!("must be a known state, not {state}"));
            None
        }
    }
}

/// A count as it is shown: blind until it is complete. Its items and location are known.
pub fn count(known: &Known, count: &Count) -> pb::Count {
    let state = match count.stage {
        Stage::Counting => pb::CountState::Counting,
        Stage::Counted => pb::CountState::Counted,
        Stage::Approved => pb::CountState::Approved,
        Stage::Rejected => pb::CountState::Rejected,
    };
    let blind = count.stage == Stage::Counting;
    let lot = |lot: &CountedLot| pb::CountLot {
        lot: lot.code.clone(),
        counted: lot.counted,
        book: (!blind).then_some(lot.book),
        difference: (!blind).then_some(lot.counted - lot.book),
    };
    let line = |line: &crate::counting::Line| pb::CountLine {
        sku: known.sku(line.item).to_owned(),
        counted: line.entry.map(|entry| entry.counted),
        counted_at: line.entry.map(|entry| to_timestamp(entry.at)),
        book: line.entry.filter(|_| !blind).map(|entry| entry.book),
        difference: line.entry.filter(|_| !blind).map(|entry| entry.counted - entry.book),
        booked: line.outcome.booked,
        short: line.outcome.short,
        moot: line.outcome.moot,
        lots: line.lots.iter().filter(|lot| !blind || lot.counted > 0).map(lot).collect(),
    };
    let mut lines: Vec<pb::CountLine> = count.lines.iter().map(line).collect();
    lines.sort_by(|a, b| a.sku.cmp(&b.sku));
    let threshold = pb::ApprovalThreshold { units: count.threshold.units, percent: count.threshold.percent };
    pb::Count {
        id: count.id.to_string(),
        number: KIND.number(count.number),
        state: state.into(),
        location_id: known.location_id(count.location).to_string(),
        lines,
        threshold: Some(threshold),
        created_at: Some(to_timestamp(count.created_at)),
        counted_at: count.counted_at.map(to_timestamp),
        decided_at: count.decided_at.map(to_timestamp),
        decided_by: count.decided_by.clone(),
        note: count.note.clone(),
        version: count.version,
    }
}

/// The fact that it was approved.
pub fn counted(known: &Known, count: &Count) -> pb::StockCounted {
    let lines = count.lines.iter().filter_map(|line| {
        let entry = line.entry?;
        Some(pb::CountedLine {
            sku: known.sku(line.item).to_owned(),
            counted: entry.counted,
            book: entry.book,
            booked: line.outcome.booked,
            short: line.outcome.short,
        })
    });
    pb::StockCounted {
        count_id: count.id.to_string(),
        number: KIND.number(count.number),
        location_id: known.location_id(count.location).to_string(),
        lines: lines.collect(),
    }
}
