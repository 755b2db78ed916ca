//! What is promised, as it is shown.

use crate::network::Network;
use crate::promise::{LinePromise, OrderPromise, Source, SupplyKind};
use crate::reservation::Demand;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;

/// Most demands and most lines of one call.
pub const MOST_DEMANDS: usize = 500;
pub const MOST_LINES: usize = 20_000;

/// The promise to one demand.
pub fn promise(network: &Network, demand: &Demand, promise: OrderPromise) -> pb::OrderPromise {
    let lines = promise.lines.into_iter().zip(&demand.lines).map(|(told, asked)| line(network, &asked.sku, told));
    pb::OrderPromise {
        order_id: demand.order_id.to_string(),
        lines: lines.collect(),
        ship_at: promise.when.map(|when| to_timestamp(when.ship_at)),
        deliver_at: promise.when.map(|when| to_timestamp(when.deliver_at)),
        refused: promise.refused,
    }
}

fn line(network: &Network, sku: &str, line: LinePromise) -> pb::LinePromise {
    let id = |location| network.place(location).map(|place| place.id().to_string()).unwrap_or_default();
    let source = |source: Source| pb::PromisedFrom {
        location_id: id(source.location),
        quantity: source.quantity,
        ship_at: Some(to_timestamp(source.when.ship_at)),
        deliver_at: Some(to_timestamp(source.when.deliver_at)),
    };
    let supplies = line.supplies.into_iter().map(|(awaited, when)| pb::PromisedSupply {
        location_id: id(awaited.supply.location),
        quantity: awaited.quantity,
        kind: supply_kind(awaited.supply.kind).into(),
        document_id: awaited.supply.document_id.to_string(),
        number: awaited.supply.number,
        expected_at: Some(to_timestamp(awaited.supply.expected_at)),
        ship_at: Some(to_timestamp(when.ship_at)),
        deliver_at: Some(to_timestamp(when.deliver_at)),
    });
    pb::LinePromise {
        line_no: line.line_no,
        sku: sku.to_owned(),
        quantity: line.quantity,
        sources: line.sources.into_iter().map(source).collect(),
        supplies: supplies.collect(),
        undated: line.undated,
        refused: line.refused,
        why: line.why,
    }
}

/// By what goods arrive.
pub fn supply_kind(kind: SupplyKind) -> pb::SupplyKind {
    match kind {
        SupplyKind::PurchaseOrder => pb::SupplyKind::PurchaseOrder,
        SupplyKind::Transfer => pb::SupplyKind::Transfer,
    }
}
