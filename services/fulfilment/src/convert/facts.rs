//! The facts of this service as its events tell them, and the order service's approved return.

use crate::expected_return::{Amendment, ExpectedReturn, Receipt, ReceiptLine, ReturnLine, SetAside};
use crate::fulfilment_order::{FulfilmentOrder, Moved, display_number};
use crate::id::{OrderId, ReturnId};
use anyhow::Context as _;
use pesan_api::fulfilment::v1 as pb;
use pesan_api::order::v1 as order_pb;
use pesan_feed::Event;
use pesan_grpc::parse::{from_money, from_timestamp, to_money, to_timestamp};
use std::collections::BTreeMap;
use uuid::Uuid;

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
        uncredited: line.uncredited,
    };
    let known = |line_no: i32| expected.lines.iter().any(|line| line.line_no == line_no);
    let aside = |aside: &SetAside| pb::ReturnDiscrepancy {
        id: aside.id.to_string(),
        kind: match aside.line_no {
            None => pb::ReturnDiscrepancyKind::OtherGoods,
            Some(line_no) if known(line_no) => pb::ReturnDiscrepancyKind::More,
            Some(_) => pb::ReturnDiscrepancyKind::OtherLine,
        }
        .into(),
        line_no: aside.line_no.unwrap_or(0),
        sku: aside.sku.clone(),
        sellable: aside.sellable,
        damaged: aside.damaged,
        note: aside.note.clone(),
    };
    let worse = |line: &ReceiptLine| pb::ReturnDiscrepancy {
        id: Uuid::now_v7().to_string(),
        kind: pb::ReturnDiscrepancyKind::Condition.into(),
        line_no: line.line_no,
        sku: line.sku.clone(),
        sellable: 0,
        damaged: line.withheld,
        note: line.note.clone(),
    };
    let worse = receipt.lines.iter().filter(|line| line.withheld > 0).map(worse);
    pb::ReturnReceived {
        return_id: expected.id.0.to_string(),
        number: expected.number.clone(),
        order_id: expected.order_id.0.to_string(),
        lines: receipt.lines.iter().map(line).collect(),
        received_at: Some(to_timestamp(receipt.received_at)),
        discrepancies: receipt.set_aside.iter().map(aside).chain(worse).collect(),
    }
}

/// Nothing more comes back.
pub fn return_closed(expected: &ExpectedReturn, released: &[(i32, i64)]) -> pb::ExpectedReturnClosed {
    let line = |(line_no, released): &(i32, i64)| pb::ClosedReturnLine { line_no: *line_no, released: *released };
    pb::ExpectedReturnClosed {
        return_id: expected.id.0.to_string(),
        number: expected.number.clone(),
        order_id: expected.order_id.0.to_string(),
        lines: released.iter().map(line).collect(),
    }
}

/// The return that an order's event amended, and how.
pub fn return_amended(amended: order_pb::ReturnAmended) -> anyhow::Result<(ReturnId, OrderId, Vec<Amendment>)> {
    let mut amendments = Vec::with_capacity(amended.lines.len());
    for line in amended.lines {
        amendments.push(Amendment {
            set_aside: line.discrepancy_id.parse().context("discrepancy_id")?,
            line_no: line.line_no,
            sku: line.sku,
            sellable: line.sellable,
            damaged: line.damaged,
            reason: line.reason,
            uncredited: line.uncredited,
            credit: line.credit.as_ref().map(from_money).transpose()?,
        });
    }
    let id = ReturnId(amended.return_id.parse().context("return_id")?);
    Ok((id, OrderId(amended.order_id.parse().context("order_id")?), amendments))
}

/// The return that an order's event approved. A line that is named twice is one line.
pub fn return_approved(event: &Event, approved: order_pb::ReturnApproved) -> anyhow::Result<ExpectedReturn> {
    let resolution = match approved.resolution() {
        order_pb::ReturnResolution::Unspecified => order_pb::ReturnResolution::Refund,
        resolution => resolution,
    };
    let mut lines: BTreeMap<i32, ReturnLine> = BTreeMap::new();
    for line in approved.lines {
        let condition = line.condition();
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
                    released: 0,
                    condition,
                    withheld: 0,
                    amended: 0,
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
        resolution,
        closed_at: None,
        lines: lines.into_values().collect(),
        set_aside: Vec::new(),
    })
}
