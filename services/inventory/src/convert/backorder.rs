//! The backorder queue as it is shown.

use crate::backorder::InQueue;
use crate::convert::promise::supply_kind;
use crate::known::Known;
use crate::promise::Supply;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;

/// A line that waits, with what is on its way for it.
pub fn backorder(known: &Known, line: &InQueue, covered: &[(&Supply, i64)]) -> pb::Backorder {
    let supply = |(supply, quantity): &(&Supply, i64)| pb::BackorderSupply {
        kind: supply_kind(supply.kind).into(),
        document_id: supply.document_id.to_string(),
        number: supply.number.clone(),
        location_id: known.location_id(supply.location).to_string(),
        expected_at: Some(to_timestamp(supply.expected_at)),
        quantity: *quantity,
    };
    pb::Backorder {
        sku: line.sku.clone(),
        order_id: line.order_id.to_string(),
        line_no: line.line_no,
        quantity: line.quantity,
        position: line.position,
        quantity_up_to: line.quantity_up_to,
        priority: line.priority.into(),
        promised_at: line.promised_at.map(to_timestamp),
        placed_at: Some(to_timestamp(line.placed_at)),
        ship_complete: line.ship_complete,
        confirmed: line.confirmed,
        supplies: covered.iter().map(supply).collect(),
    }
}
