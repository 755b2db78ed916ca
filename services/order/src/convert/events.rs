//! The facts of this service.

use crate::change::Amendment;
use crate::convert::delivery;
use crate::convert::{location_text, money, quantities};
use crate::delivery::ReadyPart;
use crate::draft::{DraftLine, NewLinked, Ready};
use crate::line::{Line, LinePromise};
use crate::name::order_number;
use crate::order::{Head, Order, OrderLine};
use crate::settlement::{Promise, Work};
use pesan_api::order::v1 as pb;
use pesan_api::r#type::v1::Address;
use pesan_grpc::parse::to_timestamp;
use std::collections::HashMap;
use uuid::Uuid;

/// Of an order that was placed.
pub fn accepted(ready: &Ready<'_>, number: i64, customer_external_id: &str, segment: &str) -> pb::OrderAccepted {
    let draft = ready.draft;
    let amount = |amount| money(ready.currency, amount);
    pb::OrderAccepted {
        order_id: draft.order_id.to_string(),
        number: order_number(number),
        channel: draft.channel.clone(),
        external_id: draft.external_id.clone().unwrap_or_default(),
        customer_id: ready.customer_id.map(|id| id.to_string()).unwrap_or_default(),
        customer_external_id: customer_external_id.to_owned(),
        segment: segment.to_owned(),
        sales_rep: ready.sales_rep.clone(),
        country: ready.ship_to.country.clone(),
        currency_code: ready.currency.code().to_owned(),
        lines: (1..)
            .zip(ready.lines.iter())
            .map(|(line_no, line)| pb::AcceptedLine {
                line_no,
                sku: line.sku.clone(),
                quantity: line.quantity,
                line_total: amount(line.line_total),
                discount: amount(line.discount),
            })
            .collect(),
        gross: amount(ready.totals.gross),
        discount: amount(ready.totals.discount),
        tax: amount(ready.totals.tax),
        tags: ready.verdict.tags.iter().cloned().collect(),
        route: ready.verdict.route.as_ref().map(|route| route.name.clone()).unwrap_or_default(),
        return_id: String::new(),
    }
}

/// Of an order whose promise is settled; where it `is_withheld` fulfilment gets nothing yet.
pub fn confirmed(work: &Work, promise: &Promise, ship_to: Address, is_withheld: bool) -> pb::OrderConfirmed {
    let quantities = |of: fn(&LinePromise) -> i64| {
        let some = promise.lines.iter().filter(|line| of(line) > 0);
        some.map(|line| pb::LineQuantity { line_no: line.line_no, quantity: of(line) }).collect()
    };
    let handed_over = promise.lines.iter().zip(&work.lines).filter(|_| !is_withheld);
    let allocations = handed_over.flat_map(|(promise, line)| {
        promise.reserved.iter().map(|(location, quantity)| pb::AllocatedLine {
            line_no: line.line_no,
            sku: line.sku.clone(),
            location_id: location_text(*location),
            quantity: *quantity,
            stocked: promise.stocked,
        })
    });
    pb::OrderConfirmed {
        order_id: work.order_id.to_string(),
        number: order_number(work.number),
        allocations: allocations.collect(),
        backordered: quantities(|line| line.backordered),
        cancelled: quantities(|line| line.refused),
        ship_to: Some(ship_to),
        fulfilment_policy: work.fulfilment_policy.into(),
        reservation_policy: work.reservation_policy.into(),
        not_before: work.not_before.map(to_timestamp),
    }
}

/// Of an order that took note of what others did.
pub fn progressed(head: &Head) -> pb::OrderProgressed {
    pb::OrderProgressed {
        order_id: head.order_id.to_string(),
        state: head.state().into(),
        quantities: Some(quantities(&head.standing.quantities)),
    }
}

/// Of an order that was cancelled as a whole before its promise was settled: what was held for it meanwhile goes.
pub fn cancelled_unpromised(head: &Head, lines: &[Line], reason: &str) -> pb::OrderCancelled {
    let lines = lines.iter().map(|line| pb::CancelledLine {
        line_no: line.line_no,
        quantity: line.quantities.ordered,
        reserved: reserved_by_location(line.allocations.iter().map(|a| (a.location, a.reserved))),
        backordered: line.quantities.backordered,
    });
    pb::OrderCancelled {
        order_id: head.order_id.to_string(),
        lines: lines.collect(),
        whole: true,
        reason: reason.to_owned(),
        revision: 0,
    }
}

/// Of an order that was changed, as it is now.
pub fn amended(order: &Order, amendment: &Amendment, allocations: Vec<pb::AllocatedLine>) -> pb::OrderAmended {
    let amount = |amount| money(order.currency, amount);
    let line = |line: &OrderLine| pb::AcceptedLine {
        line_no: line.line.line_no,
        sku: line.sku.clone(),
        quantity: line.line.quantities.ordered,
        line_total: amount(line.line_total),
        discount: amount(line.discount),
    };
    pb::OrderAmended {
        order_id: order.head.order_id.to_string(),
        revision: order.head.amendments.into(),
        promised: amendment.promised,
        lines: order.lines.iter().map(line).collect(),
        gross: amount(order.gross),
        discount: amount(order.discount),
        tax: amount(order.tax),
        allocations,
        ship_to: amendment.ship_to.is_some().then(|| order.ship_to.clone()),
        rescheduled: amendment.rescheduled,
        not_before: amendment.not_before.map(to_timestamp),
    }
}

/// Quantities by location, without zeros.
pub fn reserved_by_location(parts: impl Iterator<Item = (Uuid, i64)>) -> Vec<pb::LocationQuantity> {
    parts
        .filter(|(_, quantity)| *quantity > 0)
        .map(|(location, quantity)| pb::LocationQuantity { location_id: location_text(location), quantity })
        .collect()
}

/// Of an order whose delivery was blocked or released.
pub fn delivery_changed(order: &Order) -> pb::OrderDeliveryChanged {
    pb::OrderDeliveryChanged { order_id: order.head.order_id.to_string(), delivery: delivery::of_order(order) }
}

/// Quantities of an order that fulfilment can go on with.
pub fn lines_ready(order_id: Uuid, ready: &[ReadyPart], skus: &HashMap<(Uuid, i32), String>) -> pb::OrderLinesReady {
    let allocations = ready.iter().map(|part| pb::AllocatedLine {
        line_no: part.line_no,
        sku: skus.get(&(order_id, part.line_no)).cloned().unwrap_or_default(),
        location_id: location_text(part.location),
        quantity: part.quantity,
        stocked: part.stocked,
    });
    pb::OrderLinesReady { order_id: order_id.to_string(), allocations: allocations.collect() }
}

/// Of an order that was placed for a return of `original`.
pub fn accepted_for_return(new: &NewLinked<'_>, number: i64, original: &Order, segment: &str) -> pb::OrderAccepted {
    let amount = |amount| money(original.currency, amount);
    let line = |(line_no, line): (i32, &DraftLine)| pb::AcceptedLine {
        line_no,
        sku: line.sku.clone(),
        quantity: line.quantity,
        line_total: amount(line.line_total),
        discount: amount(line.discount),
    };
    pb::OrderAccepted {
        order_id: new.order_id.to_string(),
        number: order_number(number),
        channel: original.channel.clone(),
        external_id: String::new(),
        customer_id: original.customer_id.map(|id| id.to_string()).unwrap_or_default(),
        customer_external_id: original.customer_external_id.clone(),
        segment: segment.to_owned(),
        sales_rep: original.sales_rep.clone(),
        country: original.ship_to.country.clone(),
        currency_code: original.currency.code().to_owned(),
        lines: (1..).zip(new.lines).map(line).collect(),
        gross: amount(new.totals.gross),
        discount: amount(new.totals.discount),
        tax: amount(new.totals.tax),
        return_id: new.return_id.to_string(),
        ..Default::default()
    }
}
