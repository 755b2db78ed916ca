use super::item;
use super::purchase::{LARGEST, MOST_LINES, difference_reason, line_numbers};
use super::stock::lots;
use crate::document::DocumentKind;
use crate::known::Known;
use crate::ops::transfer::Plan;
use crate::transfer::{Arrival, LotOnItsWay, Shipment, Stage, Transfer};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use time::OffsetDateTime;

const KIND: DocumentKind = DocumentKind::Transfer;

/// What a transfer is to be.
pub fn parse_plan(request: pb::CreateTransferRequest, now: OffsetDateTime, v: &mut Violations) -> Plan {
    line_numbers(v, request.lines.iter().map(|line| line.line_no), "lines");
    let mut lines = Vec::with_capacity(request.lines.len().min(MOST_LINES));
    for (i, line) in request.lines.into_iter().take(MOST_LINES).enumerate() {
        let sku = item::sku(v, &format!("lines[{i}].sku"), line.sku);
        let quantity = v.within(&format!("lines[{i}].quantity"), line.quantity, 1, LARGEST);
        lines.push((line.line_no, sku, quantity));
    }
    let source = v.uuid("source_location_id", &request.source_location_id);
    let destination = v.uuid("destination_location_id", &request.destination_location_id);
    if source == destination {
        v.add("destination_location_id", "must not be the source");
    }
    let ship_at = v.time("ship_at", request.ship_at.as_ref()).unwrap_or(now);
    let expected_at = v.time("expected_at", request.expected_at.as_ref()).unwrap_or(ship_at);
    if expected_at < ship_at {
        v.add("expected_at", "must not be before ship_at");
    }
    let reference = v.text("reference", request.reference, 0, 100);
    Plan { source, destination, lines, reference, ship_at, expected_at }
}

/// What leaves, where it is not everything.
pub fn parse_shipped(v: &mut Violations, lines: Vec<pb::ShippedLine>) -> Vec<Shipment> {
    if !lines.is_empty() {
        line_numbers(v, lines.iter().map(|line| line.line_no), "lines");
    }
    let mut shipped = Vec::with_capacity(lines.len().min(MOST_LINES));
    for (i, line) in lines.into_iter().take(MOST_LINES).enumerate() {
        shipped.push(Shipment {
            line_no: line.line_no,
            quantity: v.within(&format!("lines[{i}].quantity"), line.quantity, 0, LARGEST),
            lots: lots(v, &format!("lines[{i}].lots"), line.lots),
        });
    }
    shipped
}

/// What arrived of the lines.
pub fn parse_arrivals(v: &mut Violations, lines: Vec<pb::ArrivedLine>) -> Vec<Arrival> {
    line_numbers(v, lines.iter().map(|line| line.line_no), "lines");
    let mut arrivals = Vec::with_capacity(lines.len().min(MOST_LINES));
    for (i, line) in lines.into_iter().take(MOST_LINES).enumerate() {
        let field = |name: &str| format!("lines[{i}].{name}");
        let received = v.within(&field("received"), line.received, 0, LARGEST);
        let damaged = v.within(&field("damaged"), line.damaged, 0, LARGEST);
        let lost = v.within(&field("lost"), line.lost, 0, LARGEST);
        if received == 0 && damaged == 0 && lost == 0 {
            v.add(field("received"), "must not be 0 where nothing is damaged or lost: leave the line out");
        }
        let reason = difference_reason(v, &field("reason"), line.reason, lost > 0);
        arrivals.push(Arrival {
            line_no: line.line_no,
            received,
            damaged,
            lost,
            reason,
            lots: lots(v, &field("lots"), line.lots),
            damaged_lots: lots(v, &field("damaged_lots"), line.damaged_lots),
            lost_lots: lots(v, &field("lost_lots"), line.lost_lots),
        });
    }
    arrivals
}

/// The stage that a list is of, and, of shipped ones, whether something arrived.
pub fn parse_state(violations: &mut Violations, state: i32) -> (Option<Stage>, Option<bool>) {
    match pb::TransferState::try_from(state) {
        Ok(pb::TransferState::Unspecified) => (None, None),
        Ok(pb::TransferState::Planned) => (Some(Stage::Planned), None),
        Ok(pb::TransferState::Shipped) => (Some(Stage::Shipped), Some(false)),
        Ok(pb::TransferState::PartReceived) => (Some(Stage::Shipped), Some(true)),
        Ok(pb::TransferState::Received) => (Some(Stage::Received), None),
        Ok(pb::TransferState::Cancelled) => (Some(Stage::Cancelled), None),
        Err(_) => {
            violations.add("state", format!("must be a known state, not {state}"));
            (None, None)
        }
    }
}

/// A transfer as it is shown. Its items and locations are known.
pub fn transfer(known: &Known, transfer: &Transfer) -> pb::Transfer {
    let state = match transfer.stage {
        Stage::Planned => pb::TransferState::Planned,
        Stage::Shipped if transfer.is_part_received() => pb::TransferState::PartReceived,
        Stage::Shipped => pb::TransferState::Shipped,
        Stage::Received => pb::TransferState::Received,
        Stage::Cancelled => pb::TransferState::Cancelled,
    };
    let lot = |lot: &LotOnItsWay| pb::TransferLot {
        lot: lot.code.clone(),
        shipped: lot.shipped,
        received: lot.received,
        damaged: lot.damaged,
        lost: lot.lost,
    };
    let lines = transfer.lines.iter().map(|line| pb::TransferLine {
        line_no: line.line_no,
        sku: known.sku(line.item).to_owned(),
        quantity: line.quantity,
        shipped: line.shipped,
        received: line.received,
        damaged: line.damaged,
        lost: line.lost,
        in_transfer: line.in_transfer(),
        lots: line.lots.iter().map(lot).collect(),
    });
    pb::Transfer {
        id: transfer.id.to_string(),
        number: KIND.number(transfer.number),
        state: state.into(),
        source_location_id: known.location_id(transfer.source).to_string(),
        destination_location_id: known.location_id(transfer.destination).to_string(),
        lines: lines.collect(),
        reference: transfer.reference.clone(),
        ship_at: Some(to_timestamp(transfer.ship_at)),
        expected_at: Some(to_timestamp(transfer.expected_at)),
        created_at: Some(to_timestamp(transfer.created_at)),
        shipped_at: transfer.shipped_at.map(to_timestamp),
        closed_at: transfer.closed_at.map(to_timestamp),
        version: transfer.version,
    }
}

/// The fact that it left.
pub fn shipped(known: &Known, transfer: &Transfer) -> pb::TransferShipped {
    let lines = transfer.lines.iter().filter(|line| line.shipped > 0).map(|line| pb::TransferShippedLine {
        line_no: line.line_no,
        sku: known.sku(line.item).to_owned(),
        quantity: line.shipped,
    });
    pb::TransferShipped {
        transfer_id: transfer.id.to_string(),
        number: KIND.number(transfer.number),
        source_location_id: known.location_id(transfer.source).to_string(),
        destination_location_id: known.location_id(transfer.destination).to_string(),
        lines: lines.collect(),
        expected_at: Some(to_timestamp(transfer.expected_at)),
    }
}

/// The fact that goods arrived.
pub fn received(known: &Known, transfer: &Transfer, arrivals: &[Arrival]) -> pb::TransferReceived {
    let lines = arrivals.iter().map(|arrival| {
        let line = transfer.lines.iter().find(|line| line.line_no == arrival.line_no);
        pb::TransferReceivedLine {
            line_no: arrival.line_no,
            sku: line.map(|line| known.sku(line.item).to_owned()).unwrap_or_default(),
            received: arrival.received,
            damaged: arrival.damaged,
            lost: arrival.lost,
            reason: arrival.reason.clone(),
        }
    });
    pb::TransferReceived {
        transfer_id: transfer.id.to_string(),
        number: KIND.number(transfer.number),
        destination_location_id: known.location_id(transfer.destination).to_string(),
        lines: lines.collect(),
        closed: transfer.stage == Stage::Received,
    }
}
