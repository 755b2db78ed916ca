//! Payments that come in.

use super::{amount, parse_name};
use crate::document;
use crate::error::Error;
use crate::payment::{Application, NewPayment};
use pesan_api::billing::v1 as pb;
use pesan_grpc::Violations;
use pesan_money::{Currency, Money};
use prost::Message as _;
use rust_decimal::Decimal;
use time::OffsetDateTime;

/// A payment to be booked.
pub fn parse_payment(request: &pb::ApplyPaymentRequest, now: OffsetDateTime) -> Result<NewPayment, Error> {
    let mut v = Violations::new();
    let request_id = v.uuid("request_id", &request.request_id);
    let customer_id = v.uuid("customer_id", &request.customer_id);
    let reference = v.text("reference", request.reference.clone(), 0, 100);
    let effective_at = v.past_time("effective_at", request.effective_at.as_ref(), now);
    v.within("invoices", request.invoices.len(), 0, 1000);
    let mut invoices = Vec::with_capacity(request.invoices.len());
    for (i, invoice) in request.invoices.iter().enumerate() {
        match parse_name(invoice) {
            Some(name) => invoices.push((invoice.clone(), name)),
            None => v.add(format!("invoices[{i}]"), "must be an id or a number such as INV-2026-000045"),
        }
    }
    let paid = match &request.amount {
        None => {
            v.add("amount", "is required");
            None
        }
        Some(money) => v.currency("amount.currency_code", &money.currency_code).map(|currency| {
            let paid = v.amount_or_zero("amount", Some(money), currency);
            if paid <= Decimal::ZERO {
                v.add("amount", "must be more than zero");
            }
            Money::new(currency, paid)
        }),
    };
    let Some(paid) = paid else { return Err(Error::Invalid(v)) };
    v.into_result(NewPayment { request_id, customer_id, amount: paid, reference, invoices, effective_at })
        .map_err(Error::Invalid)
}

/// What of a payment went where.
pub(super) fn applications(
    currency: Currency,
    applications: &[Application],
) -> Result<Vec<pb::PaymentApplication>, Error> {
    applications
        .iter()
        .map(|application| {
            Ok(pb::PaymentApplication {
                invoice_id: application.invoice_id.to_string(),
                invoice_number: document::number_text(&application.series, application.number),
                amount: amount(currency, application.amount)?,
            })
        })
        .collect()
}

/// The answer to a payment, encoded, to be given again.
pub fn apply_payment_answer(currency: Currency, parts: &[Application]) -> Result<Vec<u8>, Error> {
    Ok(apply_payment_response(currency, parts)?.encode_to_vec())
}

/// The answer to a payment.
pub fn apply_payment_response(currency: Currency, parts: &[Application]) -> Result<pb::ApplyPaymentResponse, Error> {
    Ok(pb::ApplyPaymentResponse { applications: applications(currency, parts)? })
}
