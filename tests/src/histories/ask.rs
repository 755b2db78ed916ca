//! The model's wishes as the API wants them.

use super::History;
use super::course::CHANNEL;
use super::model::{Edit, NewOrder, Policy, Wish};
use crate::request_id;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::change::Kind;
use pesan_api::r#type::v1::{Address, Money};
use uuid::Uuid;

/// From millionths.
pub fn euros(micros: i64) -> Money {
    let nanos = i32::try_from(micros % 1_000_000 * 1000).unwrap_or(0);
    Money { currency_code: "EUR".into(), units: micros / 1_000_000, nanos }
}

fn cents(cents: i64) -> Money {
    euros(cents * 10_000)
}

/// Days ago, in the model's order.
pub fn placed_at(new: &NewOrder, started_at: i64) -> Option<prost_types::Timestamp> {
    Some(prost_types::Timestamp { seconds: started_at - 86_400 + new.placed_at, nanos: 0 })
}

pub fn order(history: &History, new: &NewOrder, started_at: i64) -> pb::NewOrder {
    let lines = new.lines.iter().map(|wish| line(history, wish));
    let (method, token) = match (new.by_card, new.declined) {
        (_, true) => (pb::PaymentMethod::Provider, "tok_decline"),
        (true, _) => (pb::PaymentMethod::Provider, "tok_ok"),
        (false, _) => (pb::PaymentMethod::OnAccount, ""),
    };
    let fulfilment = if new.straight { pb::FulfilmentPolicy::StraightThrough } else { pb::FulfilmentPolicy::Standard };
    let policy = match new.policy {
        Policy::AllOrNothing => pb::ReservationPolicy::AllOrNothing,
        Policy::WhatIsThere => pb::ReservationPolicy::WhatIsThere,
        Policy::Backorder => pb::ReservationPolicy::Backorder,
    };
    pb::NewOrder {
        request_id: request_id(),
        channel: CHANNEL.into(),
        customer_id: history.customer_id.clone(),
        currency_code: "EUR".into(),
        lines: lines.collect(),
        ship_to: Some(Address { recipient: "A. Buyer".into(), country: "GB".into(), ..Default::default() }),
        payment_method: method.into(),
        payment_token: token.into(),
        reservation_policy: policy.into(),
        fulfilment_policy: fulfilment.into(),
        placed_at: placed_at(new, started_at),
        priority: Some(new.priority),
        ..Default::default()
    }
}

pub fn demand(history: &History, new: &NewOrder, started_at: i64) -> inventory::OrderDemand {
    let lines = (1..).zip(&new.lines).map(|(line_no, wish)| inventory::DemandLine {
        line_no,
        sku: history.skus[wish.sku].clone(),
        quantity: wish.quantity,
    });
    let policy = match new.policy {
        Policy::AllOrNothing => inventory::ShortagePolicy::AllOrNothing,
        Policy::WhatIsThere => inventory::ShortagePolicy::WhatIsThere,
        Policy::Backorder => inventory::ShortagePolicy::Backorder,
    };
    inventory::OrderDemand {
        order_id: Uuid::now_v7().to_string(),
        lines: lines.collect(),
        policy: policy.into(),
        priority: new.priority,
        placed_at: placed_at(new, started_at),
        ..Default::default()
    }
}

fn line(history: &History, wish: &Wish) -> pb::NewOrderLine {
    pb::NewOrderLine {
        sku: history.skus[wish.sku].clone(),
        quantity: wish.quantity,
        unit_price: Some(euros(wish.price)),
        discount: Some(cents(wish.discount)),
        tax: Some(cents(wish.tax)),
        ..Default::default()
    }
}

pub fn change(history: &History, edit: &Edit) -> Kind {
    match edit {
        Edit::Quantity { line, quantity } => {
            Kind::SetQuantity(pb::SetQuantity { line_no: line_no(*line), quantity: *quantity })
        }
        Edit::Remove { line } => Kind::RemoveLine(pb::RemoveLine { line_no: line_no(*line) }),
        Edit::Add(wish) => Kind::AddLine(pb::AddLine { line: Some(line(history, wish)) }),
        Edit::Price { line, price, discount, tax } => Kind::SetPrice(pb::SetPrice {
            line_no: line_no(*line),
            unit_price: Some(euros(*price)),
            discount: discount.map(cents),
            tax: tax.map(cents),
        }),
        Edit::Address => {
            let ship_to = Address { recipient: "Siti".into(), country: "SG".into(), ..Default::default() };
            Kind::SetAddress(pb::SetAddress { ship_to: Some(ship_to) })
        }
        Edit::Rest => Kind::CancelRest(pb::CancelRest {}),
    }
}

/// Lines of the API count from 1.
pub fn line_no(line: usize) -> i32 {
    i32::try_from(line + 1).unwrap_or(i32::MAX)
}

pub fn cancel_lines(lines: &[(usize, i64)]) -> Vec<pb::CancelLine> {
    lines.iter().map(|(line, quantity)| pb::CancelLine { line_no: line_no(*line), quantity: *quantity }).collect()
}

pub fn give_back(id: &str, lines: &[(usize, i64)]) -> pb::NewReturn {
    let lines = lines.iter().map(|(line, quantity)| pb::NewReturnLine {
        line_no: line_no(*line),
        quantity: *quantity,
        reason: "CHANGED_MIND".into(),
        ..Default::default()
    });
    pb::NewReturn {
        order_name: id.into(),
        external_id: request_id(),
        lines: lines.collect(),
        handling: pb::ReturnHandling::StraightThrough.into(),
        ..Default::default()
    }
}
