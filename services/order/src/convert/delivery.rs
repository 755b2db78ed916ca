//! When and how orders are to be delivered.

use crate::convert::place::known;
use crate::convert::reason;
use crate::delivery::{Dates, Terms};
use crate::order::{Order, OrderLine};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::DeliveryMode;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use prost_types::Timestamp;

fn dates(v: &mut Violations, path: &str, ship_at: Option<&Timestamp>, deliver_at: Option<&Timestamp>) -> Dates {
    let dates = Dates {
        ship_at: v.time(&format!("{path}requested_ship_at"), ship_at),
        deliver_at: v.time(&format!("{path}requested_delivery_at"), deliver_at),
    };
    if let (Some(ship_at), Some(deliver_at)) = (dates.ship_at, dates.deliver_at)
        && deliver_at < ship_at
    {
        v.add(format!("{path}requested_delivery_at"), "must not be before requested_ship_at");
    }
    dates
}

/// Reads what a new order says about its delivery; none where it says nothing.
pub fn terms(v: &mut Violations, delivery: Option<&pb::NewDelivery>, lines: &[pb::NewOrderLine]) -> Option<Box<Terms>> {
    let mut terms = Terms::default();
    if let Some(delivery) = delivery {
        terms.is_complete =
            known::<DeliveryMode>(v, "delivery.mode", delivery.mode) == Some(DeliveryMode::ShipComplete);
        let (ship_at, deliver_at) = (delivery.requested_ship_at.as_ref(), delivery.requested_delivery_at.as_ref());
        terms.requested = dates(v, "delivery.", ship_at, deliver_at);
        terms.not_before = v.time("delivery.not_before", delivery.not_before.as_ref());
        let block = reason(v, "delivery.block", delivery.block.clone(), 0);
        terms.block = Some(block).filter(|block| !block.is_empty());
    }
    for (i, (line_no, line)) in (1..).zip(lines).enumerate() {
        if line.requested_ship_at.is_some() || line.requested_delivery_at.is_some() {
            let (ship_at, deliver_at) = (line.requested_ship_at.as_ref(), line.requested_delivery_at.as_ref());
            terms.lines.push((line_no, dates(v, &format!("lines[{i}]."), ship_at, deliver_at)));
        }
    }
    (terms != Terms::default()).then(|| Box::new(terms))
}

/// What was asked for, as far as it is known.
pub fn asked(terms: &Terms) -> pb::NewDelivery {
    pb::NewDelivery {
        mode: mode(terms.is_complete),
        requested_ship_at: terms.requested.ship_at.map(to_timestamp),
        requested_delivery_at: terms.requested.deliver_at.map(to_timestamp),
        not_before: terms.not_before.map(to_timestamp),
        block: terms.block.clone().unwrap_or_default(),
    }
}

/// What was asked for, as far as the order that came of it tells.
pub fn placed(order: &pb::Order) -> pb::NewDelivery {
    let delivery = order.delivery.clone().unwrap_or_default();
    pb::NewDelivery {
        mode: mode(delivery.mode() == DeliveryMode::ShipComplete),
        requested_ship_at: delivery.requested_ship_at,
        requested_delivery_at: delivery.requested_delivery_at,
        not_before: order.not_before,
        block: delivery.block,
    }
}

fn mode(is_complete: bool) -> i32 {
    (if is_complete { DeliveryMode::ShipComplete } else { DeliveryMode::ShipAvailable }).into()
}

/// As clients see it; none where there is nothing to tell.
pub fn of_order(order: &Order) -> Option<pb::OrderDelivery> {
    let delivery = &order.head.delivery;
    let is_plain = !delivery.is_complete
        && !delivery.is_blocked
        && delivery.not_before.is_none()
        && delivery.withheld == 0
        && order.requested.is_empty()
        && order.promised.is_empty();
    (!is_plain).then(|| pb::OrderDelivery {
        mode: mode(delivery.is_complete),
        requested_ship_at: order.requested.ship_at.map(to_timestamp),
        requested_delivery_at: order.requested.deliver_at.map(to_timestamp),
        block: order.delivery_block.clone().unwrap_or_default(),
        withheld: delivery.withheld,
        promised_ship_at: order.promised.ship_at.map(to_timestamp),
        promised_delivery_at: order.promised.deliver_at.map(to_timestamp),
    })
}

/// As clients see it; none where there is nothing to tell.
pub fn of_line(line: &OrderLine) -> Option<pb::LineDates> {
    (!line.requested.is_empty() || !line.promised.is_empty()).then(|| pb::LineDates {
        requested_ship_at: line.requested.ship_at.map(to_timestamp),
        requested_delivery_at: line.requested.deliver_at.map(to_timestamp),
        promised_ship_at: line.promised.ship_at.map(to_timestamp),
        promised_delivery_at: line.promised.deliver_at.map(to_timestamp),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    #[test]
    fn an_order_that_says_nothing_has_no_terms() {
        let mut v = Violations::new();
        assert!(terms(&mut v, None, &[pb::NewOrderLine::default()]).is_none());
        assert!(terms(&mut v, Some(&pb::NewDelivery::default()), &[]).is_none());
        assert!(v.is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let mut v = Violations::new();
        let delivery = pb::NewDelivery {
            mode: 99,
            requested_ship_at: at(20),
            requested_delivery_at: at(10),
            block: "no capitals".into(),
            ..Default::default()
        };
        let line = pb::NewOrderLine { requested_ship_at: at(i64::MAX), ..Default::default() };
        terms(&mut v, Some(&delivery), &[pb::NewOrderLine::default(), line]);
        let fields: Vec<&str> = v.as_slice().iter().map(|violation| violation.field.as_str()).collect();
        let expected =
            ["delivery.mode", "delivery.requested_delivery_at", "delivery.block", "lines[1].requested_ship_at"];
        assert_eq!(fields, expected);
    }
}
