//! The facts of this service as its events tell them, and the order service's approved return.

use crate::expected_return::{ExpectedReturn, Receipt, ReturnLine};
use crate::fulfilment_order::{FulfilmentOrder, Moved, display_number};
use crate::id::{OrderId, ReturnId};
use anyhow::Context as _;
use pesan_api::fulfilment::v1 as pb;
use pesan_api::order::v1 as order_pb;
use pesan_feed::Event;
use pesan_grpc::parse::{from_money, from_timestamp, to_money, to_timestamp};
use std::collections::BTreeMap;

fn lines(moved: Vec<Moved>) -> Vec<pb::ShipmentLine> {
    moved
        .into_iter()
        .map(|Moved { line_no, sku, quantity, stocked }| pb::ShipmentLine { line_no, sku, quantity, stocked })
        .collect()
}

fn parcels(order: &FulfilmentOrder) -> Vec<pb::Parcel> {
    order.parcels.iter().cloned().map(Into::into).collect()
}

/// The warehouse has work.
pub fn created(order: &FulfilmentOrder) -> pb::FulfilmentOrderCreated {
    pb::FulfilmentOrderCreated {
        fulfilment_order_id: order.id.0.to_string(),
        number: display_number(order.number),
        order_id: order.order_id.0.to_string(),
        location_id: order.location_id.to_string(),
        lines: lines(order.allocated()),
    }
}

/// What was picked is picked.
pub fn picked(order: &FulfilmentOrder, picked: Vec<Moved>) -> pb::Picked {
    pb::Picked {
        fulfilment_order_id: order.id.0.to_string(),
        order_id: order.order_id.0.to_string(),
        lines: lines(picked),
    }
}

/// Less was found than was promised.
pub fn short_picked(order: &FulfilmentOrder, short: Vec<Moved>) -> pb::ShortPicked {
    pb::ShortPicked {
        fulfilment_order_id: order.id.0.to_string(),
        order_id: order.order_id.0.to_string(),
        location_id: order.location_id.to_string(),
        lines: lines(short),
    }
}

/// It is in parcels.
pub fn packed(order: &FulfilmentOrder) -> pb::Packed {
    pb::Packed {
        fulfilment_order_id: order.id.0.to_string(),
        order_id: order.order_id.0.to_string(),
        parcels: parcels(order),
    }
}

/// The goods have left.
pub fn goods_issued(order: &FulfilmentOrder) -> pb::GoodsIssued {
    pb::GoodsIssued {
        fulfilment_order_id: order.id.0.to_string(),
        order_id: order.order_id.0.to_string(),
        location_id: order.location_id.to_string(),
        lines: lines(order.shipped()),
        parcels: parcels(order),
    }
}

/// The customer has them.
pub fn delivered(order: &FulfilmentOrder) -> pb::Delivered {
    pb::Delivered {
        fulfilment_order_id: order.id.0.to_string(),
        order_id: order.order_id.0.to_string(),
        lines: lines(order.shipped()),
    }
}

/// The order took quantities back.
pub fn lines_withdrawn(order: &FulfilmentOrder, withdrawn: Vec<Moved>) -> pb::LinesWithdrawn {
    pb::LinesWithdrawn {
        fulfilment_order_id: order.id.0.to_string(),
        order_id: order.order_id.0.to_string(),
        lines: lines(withdrawn),
    }
}

/// Goods came back.
pub fn return_received(expected: &ExpectedReturn, receipt: &Receipt) -> pb::ReturnReceived {
    let line = |line: &crate::expected_return::ReceiptLine| pb::ReturnReceivedLine {
        line_no: line.line_no,
        sku: line.sku.clone(),
        location_id: line.location_id.to_string(),
        sellable: line.sellable,
        damaged: line.damaged,
        reason: line.reason.clone(),
        credit: line.credit.as_ref().and_then(to_money),
        stocked: line.stocked,
    };
    pb::ReturnReceived {
        return_id: expected.id.0.to_string(),
        number: expected.number.clone(),
        order_id: expected.order_id.0.to_string(),
        lines: receipt.lines.iter().map(line).collect(),
        received_at: Some(to_timestamp(receipt.received_at)),
    }
}

/// The return that an order's event approved. A line that is named twice is one line.
pub fn return_approved(event: &Event, approved: order_pb::ReturnApproved) -> anyhow::Result<ExpectedReturn> {
    let mut lines: BTreeMap<i32, ReturnLine> = BTreeMap::new();
    for line in approved.lines {
        let credit = line.credit.as_ref().map(from_money).transpose()?;
        match lines.get_mut(&line.line_no) {
            None => {
                let new = ReturnLine {
                    line_no: line.line_no,
                    sku: line.sku,
                    reason: line.reason,
                    expected: line.quantity,
                    sellable: 0,
                    damaged: 0,
                    credit,
                };
                lines.insert(line.line_no, new);
            }
            Some(earlier) => {
                earlier.expected += line.quantity;
                earlier.credit = match (earlier.credit, credit) {
                    (None, None) => None,
                    (Some(one), Some(other)) => Some(one.checked_add(other)?),
                    (Some(_), None) | (None, Some(_)) => {
                        anyhow::bail!("return {} credits a part of line {} only", approved.number, line.line_no)
                    }
                };
            }
        }
    }
    Ok(ExpectedReturn {
        id: ReturnId(approved.return_id.parse().context("return_id")?),
        number: approved.number,
        order_id: OrderId(approved.order_id.parse().context("order_id")?),
        requested_at: approved.requested_at.as_ref().and_then(from_timestamp).unwrap_or(event.effective_at),
        version: 0,
        lines: lines.into_values().collect(),
    })
}
