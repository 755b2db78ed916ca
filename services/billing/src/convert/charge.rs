//! Charges and what became of them.

use super::{method, money};
use crate::amendment::{Amendment, Repriced};
use crate::charge::{Authorisation, Charge, Method, NewCharge, PaymentToken};
use crate::charge_line::ChargeLine;
use crate::error::{Error, Refusal};
use crate::share::{MOST, MOST_UNITS};
use pesan_api::billing::v1 as pb;
use pesan_api::r#type::v1::Problem;
use pesan_grpc::Violations;
use pesan_money::Currency;
use rust_decimal::Decimal;
use std::collections::HashSet;
use time::OffsetDateTime;

/// An order to be authorised; paths start at the charge.
pub fn parse_charge(charge: pb::OrderCharge, now: OffsetDateTime) -> Result<NewCharge, Problem> {
    let mut v = Violations::new();
    let order_id = v.uuid("order_id", &charge.order_id);
    let order_number = v.text("order_number", charge.order_number, 0, 100);
    let customer_id = v.optional_uuid("customer_id", &charge.customer_id);
    let currency = v.currency("currency_code", &charge.currency_code);
    v.within("lines", charge.lines.len(), 1, 10_000);
    let method = match pb::AuthorisationMethod::try_from(charge.method) {
        Ok(pb::AuthorisationMethod::OnAccount) => {
            if customer_id.is_none() && charge.customer_id.is_empty() {
                v.add("customer_id", "is required on account");
            }
            Some(Method::OnAccount)
        }
        Ok(pb::AuthorisationMethod::Provider) => {
            let is_free = |line: &pb::ChargeLine| {
                [&line.line_total, &line.tax].into_iter().flatten().all(|money| money.units == 0 && money.nanos == 0)
            };
            if charge.payment_token.is_empty() && !charge.lines.iter().all(is_free) {
                v.add("payment_token", "is required with the payment provider");
            }
            Some(Method::Provider)
        }
        Ok(pb::AuthorisationMethod::Unspecified) | Err(_) => {
            v.add("method", "must be ON_ACCOUNT or PROVIDER");
            None
        }
    };
    v.text("payment_token", charge.payment_token.clone(), 0, 500);
    v.text("traceparent", charge.traceparent.clone(), 0, 100);
    v.within("order_version", charge.order_version, 0, i64::MAX);
    v.within("promise_version", charge.promise_version, 0, i64::MAX);
    let placed_at = v.past_time("placed_at", charge.placed_at.as_ref(), now);
    let (Some(currency), Some(method)) = (currency, method) else { return Err(v.into_problem()) };
    let mut line_nos = HashSet::with_capacity(charge.lines.len());
    let mut lines = Vec::with_capacity(charge.lines.len());
    for (i, line) in charge.lines.into_iter().enumerate() {
        if !line_nos.insert(line.line_no) {
            v.add(format!("lines[{i}].line_no"), "is there twice");
        }
        lines.extend(parse_line(&mut v, i, line, currency));
    }
    lines.sort_unstable_by_key(|line| line.line_no);
    let new = NewCharge {
        order_id,
        order_number,
        customer_id,
        currency,
        lines,
        method,
        token: PaymentToken::new(charge.payment_token),
        placed_at,
        traceparent: charge.traceparent,
        order_version: charge.order_version,
        promise_version: charge.promise_version,
    };
    v.into_result(new).map_err(Violations::into_problem)
}

/// A change of an order's charge; paths start at the charge.
pub fn parse_amendment(
    charge: &pb::OrderCharge,
    wanted: pb::ChargeAmendment,
    now: OffsetDateTime,
) -> Result<Amendment, Problem> {
    let mut v = Violations::new();
    let order_id = v.uuid("order_id", &charge.order_id);
    let currency = v.currency("currency_code", &charge.currency_code);
    v.within("lines", charge.lines.len(), 0, 0);
    v.within("amendment.revision", wanted.revision, 1, i64::MAX);
    v.text("traceparent", charge.traceparent.clone(), 0, 100);
    let placed_at = v.past_time("placed_at", charge.placed_at.as_ref(), now);
    let Some(currency) = currency else { return Err(v.into_problem()) };
    let mut added = Vec::with_capacity(wanted.added.len());
    for (i, line) in wanted.added.into_iter().enumerate() {
        added.extend(parse_line(&mut v, i, line, currency));
    }
    let mut repriced = Vec::with_capacity(wanted.repriced.len());
    for (i, line) in wanted.repriced.into_iter().enumerate() {
        let at = |field: &str| format!("amendment.repriced[{i}].{field}");
        let kept = v.within(&at("kept"), line.kept, 0, MOST_UNITS);
        let left = v.within(&at("left"), line.left, 1, MOST_UNITS);
        let amounts = [
            v.amount_or_zero(&at("line_total"), line.line_total.as_ref(), currency),
            v.amount_or_zero(&at("discount"), line.discount.as_ref(), currency),
            v.amount_or_zero(&at("tax"), line.tax.as_ref(), currency),
        ];
        if amounts[1] > amounts[0] {
            v.add(at("discount"), "must not be more than line_total");
        }
        repriced.push(Repriced { line_no: line.line_no, kept, left, amounts });
    }
    let mut reduced = Vec::with_capacity(wanted.reduced.len());
    for (i, line) in wanted.reduced.into_iter().enumerate() {
        let quantity = v.within(&format!("amendment.reduced[{i}].quantity"), line.quantity, 1, MOST_UNITS);
        reduced.push((line.line_no, quantity));
    }
    let (revision, traceparent) = (wanted.revision, charge.traceparent.clone());
    let amendment = Amendment { order_id, revision, currency, added, repriced, reduced, traceparent, placed_at };
    v.into_result(amendment).map_err(Violations::into_problem)
}

/// A line; none for one of which nothing is wanted any more.
fn parse_line(v: &mut Violations, i: usize, line: pb::ChargeLine, currency: Currency) -> Option<ChargeLine> {
    let at = |field: &str| format!("lines[{i}].{field}");
    let line_no = line.line_no;
    // The paths are made only where something is wrong: orders have thousands of lines.
    if line_no < 1 {
        v.within(&at("line_no"), line_no, 1, i32::MAX);
    }
    if line.sku.is_empty() || line.sku.len() > 100 {
        v.text(&at("sku"), line.sku.clone(), 1, 100);
    }
    if !(0..=MOST_UNITS).contains(&line.quantity) {
        v.within(&at("quantity"), line.quantity, 0, MOST_UNITS);
    }
    let most = Decimal::from(MOST);
    let mut amount = |field: &str, money: Option<&pesan_api::r#type::v1::Money>| {
        let Some(money) = money else { return Decimal::ZERO };
        let path = at(field);
        let amount = v.amount_or_zero(&path, Some(money), currency);
        if amount > most {
            v.add(path, format!("must be at most {MOST}"));
        }
        amount
    };
    let line_total = amount("line_total", line.line_total.as_ref());
    let discount = amount("discount", line.discount.as_ref());
    let tax = amount("tax", line.tax.as_ref());
    if discount > line_total {
        v.add(at("discount"), "must not be more than line_total");
    }
    if line.quantity == 0 {
        if !(line_total.is_zero() && tax.is_zero()) {
            v.add(at("quantity"), "must be at least 1 where there is an amount");
        }
        return None;
    }
    Some(ChargeLine {
        line_no,
        sku: line.sku,
        quantity: line.quantity,
        line_total,
        discount,
        tax,
        voided: 0,
        invoiced: 0,
        credited: 0,
        credited_tax: Decimal::ZERO,
        past: Vec::new(),
    })
}

/// What the caller is told about one charge.
pub fn authorise_result(result: Result<Authorisation, Refusal>) -> Result<pb::AuthoriseResult, Error> {
    use pb::authorise_result::Outcome;
    let outcome = match result {
        Err(refusal) => Outcome::Problem(refusal.into()),
        Ok(authorisation) => Outcome::Authorisation(pb::Authorisation {
            order_id: authorisation.order_id.to_string(),
            amount: money(authorisation.amount)?,
            method: method(authorisation.method).into(),
            provider_reference: authorisation.provider_reference.unwrap_or_default(),
        }),
    };
    Ok(pb::AuthoriseResult { outcome: Some(outcome) })
}

/// What billing holds about an order.
pub fn order_billing(charge: &Charge) -> Result<pb::OrderBilling, Error> {
    let amount = |amount| money(charge.money(amount));
    Ok(pb::OrderBilling {
        order_id: charge.order_id.to_string(),
        method: method(charge.method).into(),
        authorised: amount(charge.authorised())?,
        invoiced: amount(charge.invoiced)?,
        captured: amount(charge.captured)?,
        credited: amount(charge.credited)?,
        refunded: amount(charge.refunded)?,
        version: charge.version,
    })
}
