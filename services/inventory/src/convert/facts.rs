//! The facts of this service. All items and locations in them are known.

use super::{item, pb_money, stock};
use crate::item::{Item, ItemId};
use crate::known::Known;
use crate::location::{Location, LocationId};
use crate::lot::LotChange;
use crate::reservation::{Released, Reservation, Short, Shortage};
use crate::stock::Movement;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use pesan_money::Money;
use time::OffsetDateTime;
use uuid::Uuid;

pub fn item_changed(changed: &Item) -> pb::ItemChanged {
    pb::ItemChanged { sku: changed.sku.clone(), name: changed.name.clone(), kind: item::kind(changed.kind).into() }
}

pub fn location_changed(changed: &Location) -> pb::LocationChanged {
    pb::LocationChanged { location_id: changed.id.to_string(), code: changed.code.clone(), name: changed.name.clone() }
}

pub fn moved(known: &Known, movement: &Movement, recorded_at: OffsetDateTime) -> pb::StockMoved {
    pb::StockMoved {
        movement: Some(pb::Movement {
            id: movement.id.to_string(),
            sku: known.sku(movement.key.item).to_owned(),
            location_id: known.location_id(movement.key.location).to_string(),
            quantity: movement.quantity,
            damaged: movement.damaged,
            quality_hold: movement.quality_hold,
            value: pb_money(movement.value),
            lots: lots(&movement.lots),
            kind: stock::kind(movement.kind).into(),
            reason: movement.reason.clone(),
            reference: movement.reference.clone(),
            unit_cost: pb_money(movement.unit_cost),
            effective_at: Some(to_timestamp(movement.effective_at)),
            recorded_at: Some(to_timestamp(recorded_at)),
        }),
    }
}

/// Lots and how much of each moved.
pub fn lots(changes: &[LotChange]) -> Vec<pb::LotQuantity> {
    let lot =
        |lot: &LotChange| pb::LotQuantity { lot: lot.code.clone(), quantity: lot.moved(), expires_on: String::new() };
    changes.iter().map(lot).collect()
}

pub fn reserved(known: &Known, reservation: &Reservation) -> pb::StockReserved {
    let lines = reservation.lines().map(|parts| {
        let at = |location: LocationId| known.location_id(location).to_string();
        let held = parts.iter().filter_map(|p| p.location.map(|location| (at(location), p.reserved)));
        pb::ReservedLine {
            line_no: parts[0].line_no, // a chunk is never empty
            sku: known.sku(parts[0].item).to_owned(),
            allocations: held.map(|(location_id, quantity)| pb::ReservedAt { location_id, quantity }).collect(),
            backordered: parts.iter().map(|part| part.backordered).sum(),
            refused: parts.iter().map(|part| part.refused).sum(),
        }
    });
    pb::StockReserved {
        order_id: reservation.order_id.to_string(),
        lines: lines.collect(),
        expires_at: reservation.expires_at.map(to_timestamp),
    }
}

pub fn refused(known: &Known, order_id: Uuid, shorts: &[Short]) -> pb::StockRefused {
    let line = |short: &Short| pb::RefusedLine {
        line_no: short.line_no,
        sku: known.sku(short.item).to_owned(),
        wanted: short.wanted,
        available: short.available,
    };
    pb::StockRefused { order_id: order_id.to_string(), lines: shorts.iter().map(line).collect() }
}

/// Priority and promised date, as they are now and as they were.
pub fn reprioritised(
    order_id: Uuid,
    now_is: (i16, Option<OffsetDateTime>),
    former: (i16, Option<OffsetDateTime>),
) -> pb::BackorderReprioritised {
    pb::BackorderReprioritised {
        order_id: order_id.to_string(),
        priority: now_is.0.into(),
        promised_at: now_is.1.map(to_timestamp),
        former_priority: former.0.into(),
        former_promised_at: former.1.map(to_timestamp),
    }
}

pub fn expired(order_id: Uuid) -> pb::ReservationExpired {
    pb::ReservationExpired { order_id: order_id.to_string() }
}

pub fn released(known: &Known, order_id: Uuid, lines: &[Released]) -> pb::StockReleased {
    let line = |released: &Released| pb::ReleasedLine {
        line_no: released.line_no,
        sku: known.sku(released.item).to_owned(),
        reserved: released.reserved,
        backordered: released.backordered,
        taken_back: released
            .taken_back
            .iter()
            .map(|(location, quantity)| pb::ReservedAt {
                location_id: known.location_id(*location).to_string(),
                quantity: *quantity,
            })
            .collect(),
    };
    pb::StockReleased { order_id: order_id.to_string(), lines: lines.iter().map(line).collect() }
}

/// Waiting quantity of a line that got stock.
#[derive(Clone, Copy, Debug)]
pub struct Filled {
    pub line_no: i32,
    pub item: ItemId,
    pub location: LocationId,
    pub quantity: i64,
}

pub fn filled(known: &Known, order_id: Uuid, lines: &[Filled]) -> pb::BackordersFilled {
    let line = |filled: &Filled| pb::FilledLine {
        line_no: filled.line_no,
        sku: known.sku(filled.item).to_owned(),
        location_id: known.location_id(filled.location).to_string(),
        quantity: filled.quantity,
    };
    pb::BackordersFilled { order_id: order_id.to_string(), lines: lines.iter().map(line).collect() }
}

/// A line of goods that left, and what they cost.
#[derive(Clone, Debug)]
pub struct Issued {
    pub line_no: i32,
    pub sku: String,
    pub location_id: String,
    pub quantity: i64,
    pub cost: Option<Money>,
    pub lots: Vec<LotChange>,
}

pub fn issued(order_id: Uuid, fulfilment_order_id: String, lines: Vec<Issued>, cost: Option<Money>) -> pb::StockIssued {
    let line = |issued: Issued| pb::IssuedLine {
        line_no: issued.line_no,
        sku: issued.sku,
        location_id: issued.location_id,
        quantity: issued.quantity,
        cost: pb_money(issued.cost),
        lots: lots(&issued.lots),
    };
    pb::StockIssued {
        order_id: order_id.to_string(),
        fulfilment_order_id,
        lines: lines.into_iter().map(line).collect(),
        cost: pb_money(cost),
    }
}

pub fn returned(
    order_id: Uuid,
    return_id: String,
    lines: Vec<pb::ReturnedLine>,
    cost: Option<Money>,
) -> pb::StockReturned {
    pb::StockReturned { order_id: order_id.to_string(), return_id, lines, cost: pb_money(cost) }
}

pub fn missing(
    known: &Known,
    order_id: Uuid,
    line_no: i32,
    item: ItemId,
    location: LocationId,
    quantity: i64,
) -> pb::ReservedStockMissing {
    pb::ReservedStockMissing {
        order_id: order_id.to_string(),
        line_no,
        sku: known.sku(item).to_owned(),
        location_id: known.location_id(location).to_string(),
        quantity,
    }
}

pub fn shortage(
    known: &Known,
    order_id: Uuid,
    line_no: i32,
    item: ItemId,
    location: LocationId,
    shortage: Shortage,
) -> pb::ShortageBooked {
    pb::ShortageBooked {
        order_id: order_id.to_string(),
        line_no,
        sku: known.sku(item).to_owned(),
        location_id: known.location_id(location).to_string(),
        quantity: shortage.quantity,
        backordered: shortage.backordered,
    }
}
