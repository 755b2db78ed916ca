//! What the saga asks its peers, and what their answers come to.

use crate::convert::{location, money};
use crate::draft::PaymentToken;
use crate::line::LinePromise;
use crate::name::order_number;
use crate::order::Rejection;
use crate::settlement::{Destination, Fate, Promise, Work};
use pesan_api::billing::v1 as billing;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1::{PaymentMethod, ReservationPolicy};
use pesan_api::r#type::v1::Problem;
use pesan_grpc::parse::to_timestamp;
use tracing::{error, warn};

/// What an order needs of inventory; `traceparent` is that of the order's own journey.
pub fn demand(work: &Work, traceparent: &str) -> inventory::OrderDemand {
    let policy = match work.reservation_policy {
        ReservationPolicy::AllOrNothing => inventory::ShortagePolicy::AllOrNothing,
        ReservationPolicy::WhatIsThere => inventory::ShortagePolicy::WhatIsThere,
        ReservationPolicy::Backorder | ReservationPolicy::Unspecified => inventory::ShortagePolicy::Backorder,
    };
    let lines = work.lines.iter().map(|line| inventory::DemandLine {
        line_no: line.line_no,
        sku: line.sku.clone(),
        quantity: line.quantity,
    });
    inventory::OrderDemand {
        order_id: work.order_id.to_string(),
        lines: lines.collect(),
        policy: policy.into(),
        priority: work.priority,
        placed_at: Some(to_timestamp(work.placed_at)),
        traceparent: traceparent.to_owned(),
        revision: work.amendments.into(),
        not_before: work.not_before.map(to_timestamp),
        promised_at: work.promised_at.map(to_timestamp),
        destination: work.destination.as_ref().map(destination),
        ship_complete: work.ship_complete,
        channel: work.channel.clone(),
        preferred_location_id: work.preferred_location_id.map(|id| id.to_string()).unwrap_or_default(),
        ..inventory::OrderDemand::default()
    }
}

/// Where an order goes.
pub fn destination(place: &Destination) -> inventory::Destination {
    inventory::Destination {
        latitude: Some(place.latitude),
        longitude: Some(place.longitude),
        country: place.country.clone(),
    }
}

/// What an order needs of billing, given what inventory promises: only what will be delivered is charged.
pub fn charge(work: &Work, promise: &Promise, traceparent: &str) -> billing::OrderCharge {
    let method = match work.payment_method {
        PaymentMethod::Provider => billing::AuthorisationMethod::Provider,
        PaymentMethod::OnAccount | PaymentMethod::Unspecified => billing::AuthorisationMethod::OnAccount,
    };
    let lines = work.lines.iter().zip(&promise.lines).filter(|(line, promise)| line.quantity > promise.refused);
    let lines = lines.map(|(line, promise)| {
        let quantity = line.quantity - promise.refused;
        let [line_total, discount, tax] = line.amounts_for(work.currency, quantity);
        billing::ChargeLine {
            line_no: line.line_no,
            sku: line.sku.clone(),
            quantity,
            line_total: money(work.currency, line_total),
            discount: money(work.currency, discount),
            tax: money(work.currency, tax),
        }
    });
    billing::OrderCharge {
        order_id: work.order_id.to_string(),
        order_number: order_number(work.number),
        customer_id: work.customer_id.map(|id| id.to_string()).unwrap_or_default(),
        currency_code: work.currency.code().to_owned(),
        lines: lines.collect(),
        method: method.into(),
        payment_token: work.payment_token.as_ref().map(|PaymentToken(token)| token.clone()).unwrap_or_default(),
        placed_at: Some(to_timestamp(work.placed_at)),
        traceparent: traceparent.to_owned(),
        // Before the promise an order is cancelled as a whole or not at all.
        order_version: 0,
        promise_version: promise.version,
        amendment: None,
    }
}

/// What inventory's answer comes to: its promise, or the order's fate.
pub fn promise(work: &Work, result: inventory::ReserveResult) -> Result<Promise, Fate> {
    match result.outcome {
        Some(inventory::reserve_result::Outcome::Reservation(reservation)) => {
            match read_reservation(reservation).filter(|promise| promise.answers(&work.lines)) {
                Some(promise) => Ok(promise),
                None => {
                    error!(order_id = %work.order_id, "inventory's promise is not what was asked for");
                    Err(Fate::Retry)
                }
            }
        }
        Some(inventory::reserve_result::Outcome::Problem(problem)) => Err(refusal(work, problem)),
        None => Err(Fate::Retry),
    }
}

/// What inventory holds for an order that it was asked for before.
pub fn held(reservation: inventory::Reservation) -> Option<Promise> {
    read_reservation(reservation)
}

fn read_reservation(reservation: inventory::Reservation) -> Option<Promise> {
    let mut lines = Vec::with_capacity(reservation.lines.len());
    for line in reservation.lines {
        let mut reserved = Vec::with_capacity(line.allocations.len());
        for allocation in line.allocations {
            if allocation.reserved > 0 {
                reserved.push((location(&allocation.location_id)?, allocation.reserved));
            }
        }
        lines.push(LinePromise {
            line_no: line.line_no,
            stocked: line.stocked,
            reserved,
            backordered: line.backordered,
            refused: line.refused,
        });
    }
    lines.sort_by_key(|line| line.line_no);
    Some(Promise { version: reservation.version, lines })
}

/// What billing's answer comes to, given inventory's promise.
pub fn fate(work: &Work, promise: Promise, result: billing::AuthoriseResult) -> Fate {
    match result.outcome {
        Some(billing::authorise_result::Outcome::Authorisation(_)) => Fate::Confirm(promise),
        Some(billing::authorise_result::Outcome::Problem(problem)) => match problem.reason.as_str() {
            // A person can change these.
            "CREDIT_LIMIT_EXCEEDED" | "NO_ACCOUNT" => {
                Fate::Hold { promise, reason: problem.reason, note: problem.message }
            }
            _ => refusal(work, problem),
        },
        None => Fate::Retry,
    }
}

fn refusal(work: &Work, problem: Problem) -> Fate {
    if problem.retryable {
        warn!(order_id = %work.order_id, reason = problem.reason, "a peer asks to try again");
        return Fate::Retry;
    }
    let whole = Rejection { field: String::new(), reason: problem.reason.clone(), message: problem.message };
    let by_field = problem.violations.into_iter().map(|violation| Rejection {
        field: violation.field,
        reason: problem.reason.clone(),
        message: violation.description,
    });
    let by_field: Vec<Rejection> = by_field.collect();
    Fate::Reject(if by_field.is_empty() { vec![whole] } else { by_field })
}
