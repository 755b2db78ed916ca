//! What the peers are asked for a change of a promised order, and what they say.

use super::Changer;
use crate::change::{Amendment, Amounts, PlannedLine};
use crate::convert::{self, location, money};
use crate::error::Error;
use crate::line::LinePromise;
use crate::name::order_number;
use crate::order::Order;
use crate::settlement::{Destination, Promise};
use crate::store;
use crate::store::change::Underway;
use pesan_api::billing::v1 as billing;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1::{PaymentMethod, ReservationPolicy};
use pesan_api::r#type::v1::Problem;
use pesan_grpc::parse::to_timestamp;
use pesan_money::Currency;
use prost::Message as _;

/// What a peer said.
pub(super) enum Said<T> {
    Yes(T),
    /// Definite: nothing of it is held.
    No(Error),
    /// Ask again.
    Unknown,
}

/// What a change needs of inventory, wanted as the order is. One that does not wait gets its new lines in full or not at all.
pub(super) fn demand(order: &Order, amendment: &Amendment, revision: i32) -> inventory::OrderDemand {
    let policy = match order.reservation_policy {
        ReservationPolicy::AllOrNothing | ReservationPolicy::WhatIsThere => inventory::ShortagePolicy::AllOrNothing,
        ReservationPolicy::Backorder | ReservationPolicy::Unspecified => inventory::ShortagePolicy::Backorder,
    };
    let changed = amendment.ship_to.as_ref().and_then(|bytes| store::address(bytes).ok());
    let ship_to = changed.unwrap_or_else(|| order.ship_to.clone());
    let not_before = if amendment.rescheduled { amendment.not_before } else { order.not_before };
    let line = |line: &PlannedLine| inventory::DemandLine {
        line_no: line.line_no,
        sku: line.sku.clone(),
        quantity: line.quantity,
    };
    inventory::OrderDemand {
        order_id: order.head.order_id.to_string(),
        lines: amendment.added.iter().map(line).collect(),
        policy: policy.into(),
        priority: order.priority,
        placed_at: Some(to_timestamp(order.head.placed_at)),
        traceparent: order.head.traceparent.clone().unwrap_or_default(),
        channel: order.channel.clone(),
        preferred_location_id: order.preferred_location_id.map(|id| id.to_string()).unwrap_or_default(),
        not_before: not_before.map(to_timestamp),
        promised_at: order.promised.ship_at.or(order.promised.deliver_at).map(to_timestamp),
        revision: revision.into(),
        in_addition: true,
        destination: Destination::of(&ship_to).as_ref().map(convert::settle::destination),
        ship_complete: order.head.delivery.is_complete,
        ..Default::default()
    }
}

/// What an encoded reservation promises for the new lines of a change.
pub(super) fn promise_of(reservation: &[u8], amendment: &Amendment) -> Result<Promise, Error> {
    let broken = || Error::Broken("a reservation that is not what was asked for");
    let reservation = inventory::Reservation::decode(reservation).map_err(|_| broken())?;
    let mut lines = Vec::with_capacity(amendment.added.len());
    for wanted in &amendment.added {
        let is_it = |line: &&inventory::ReservationLine| line.line_no == wanted.line_no && line.sku == wanted.sku;
        let line = reservation.lines.iter().find(is_it).ok_or_else(broken)?;
        let mut reserved = Vec::with_capacity(line.allocations.len());
        for allocation in line.allocations.iter().filter(|allocation| allocation.reserved > 0) {
            reserved.push((location(&allocation.location_id).ok_or_else(broken)?, allocation.reserved));
        }
        let promise = LinePromise {
            line_no: line.line_no,
            stocked: line.stocked,
            reserved,
            backordered: line.backordered,
            refused: line.refused,
        };
        if promise.reserved_in_all() + promise.backordered != wanted.quantity || promise.refused != 0 {
            return Err(broken());
        }
        lines.push(promise);
    }
    Ok(Promise { version: reservation.version, lines })
}

/// What a change needs of billing.
pub(super) fn charge(order: &Order, amendment: &Amendment, revision: i32) -> billing::OrderCharge {
    let currency = order.currency;
    let method = match order.payment_method {
        PaymentMethod::Provider => billing::AuthorisationMethod::Provider,
        PaymentMethod::OnAccount | PaymentMethod::Unspecified => billing::AuthorisationMethod::OnAccount,
    };
    let added = amendment.added.iter().map(|line| charge_line(currency, line));
    let repriced = amendment.repriced.iter().map(|line| {
        let Amounts { line_total, discount, tax, .. } = line.open;
        billing::RepricedLine {
            line_no: line.line_no,
            kept: line.kept,
            left: line.left,
            line_total: money(currency, line_total),
            discount: money(currency, discount),
            tax: money(currency, tax),
        }
    });
    let reduced = amendment.reduced.iter();
    billing::OrderCharge {
        order_id: order.head.order_id.to_string(),
        order_number: order_number(order.number),
        customer_id: order.customer_id.map(|id| id.to_string()).unwrap_or_default(),
        currency_code: currency.code().to_owned(),
        method: method.into(),
        placed_at: Some(to_timestamp(order.head.placed_at)),
        traceparent: order.head.traceparent.clone().unwrap_or_default(),
        amendment: Some(billing::ChargeAmendment {
            revision: revision.into(),
            added: added.collect(),
            repriced: repriced.collect(),
            reduced: reduced
                .map(|(line_no, quantity)| billing::ReducedLine { line_no: *line_no, quantity: *quantity })
                .collect(),
        }),
        ..Default::default()
    }
}

fn charge_line(currency: Currency, line: &PlannedLine) -> billing::ChargeLine {
    billing::ChargeLine {
        line_no: line.line_no,
        sku: line.sku.clone(),
        quantity: line.quantity,
        line_total: money(currency, line.amounts.line_total),
        discount: money(currency, line.amounts.discount),
        tax: money(currency, line.amounts.tax),
    }
}

impl Changer {
    /// Asks inventory; its encoded reservation.
    pub(super) async fn ask_inventory(&self, demand: inventory::OrderDemand, change: &Underway) -> Said<Vec<u8>> {
        use inventory::reserve_result::Outcome;
        let answer = self.inventory.clone().reserve(inventory::ReserveRequest { demands: vec![demand] }).await;
        match answer.map(|answer| answer.into_inner().results.pop().and_then(|result| result.outcome)) {
            Ok(Some(Outcome::Reservation(reservation))) => {
                let bytes = reservation.encode_to_vec();
                match promise_of(&bytes, &change.course.amendment) {
                    Ok(_) => Said::Yes(bytes),
                    Err(error) => {
                        tracing::error!(order_id = %change.intent.order_id, %error, "inventory did not reserve what was asked for");
                        Said::Unknown
                    }
                }
            }
            Ok(Some(Outcome::Problem(problem))) if !problem.retryable => Said::No(refusal(problem)),
            Ok(_) => Said::Unknown,
            Err(status) => {
                tracing::info!(code = ?status.code(), "inventory did not answer about a change");
                Said::Unknown
            }
        }
    }

    /// Asks billing.
    pub(super) async fn ask_billing(&self, charge: billing::OrderCharge) -> Said<()> {
        use billing::authorise_result::Outcome;
        let answer = self.billing.clone().authorise(billing::AuthoriseRequest { charges: vec![charge] }).await;
        match answer.map(|answer| answer.into_inner().results.pop().and_then(|result| result.outcome)) {
            Ok(Some(Outcome::Authorisation(_))) => Said::Yes(()),
            Ok(Some(Outcome::Problem(problem))) if !problem.retryable => Said::No(refusal(problem)),
            Ok(_) => Said::Unknown,
            Err(status) => {
                tracing::info!(code = ?status.code(), "billing did not answer about a change");
                Said::Unknown
            }
        }
    }
}

fn refusal(problem: Problem) -> Error {
    let reason = match problem.reason.as_str() {
        "OUT_OF_STOCK" => "STOCK_GONE",
        "UNKNOWN_SKU" => "UNKNOWN_SKU",
        "CREDIT_LIMIT_EXCEEDED" => "CREDIT_LIMIT_EXCEEDED",
        "NO_ACCOUNT" => "NO_ACCOUNT",
        "PAYMENT_DECLINED" => "PAYMENT_DECLINED",
        "LINE_INVOICED" => "LINE_INVOICED",
        _ => "CHANGE_REFUSED",
    };
    Error::ChangeRefused(reason, problem.message)
}
