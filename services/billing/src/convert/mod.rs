//! Protos to the domain's types and back. A proto that is wrong becomes field violations with paths.

mod account;
mod charge;
mod document;
mod fact;
mod payment;

pub use account::{account, parse_accounts};
pub use charge::{authorise_result, order_billing, parse_amendment, parse_charge};
pub use document::{document, parse_filter, parse_name, parse_note, posting, trial_balance_row};
pub use fact::{costs, gone, granted, receipts, shipments};
pub use payment::{apply_payment_answer, apply_payment_response, parse_payment};

use crate::charge::{Charge, Method};
use crate::document::Document;
use crate::error::{Error, Refusal};
use crate::payment::{Application, NewPayment};
use pesan_api::billing::v1 as pb;
use pesan_api::r#type::v1 as types;
use pesan_grpc::parse::to_money;
use pesan_money::{Currency, Money, MoneyError};
use rust_decimal::Decimal;
use uuid::Uuid;

/// An amount as its proto form; an error beyond 9.2 × 10¹⁸ units.
fn money(money: Money) -> Result<Option<types::Money>, Error> {
    to_money(&money).map(Some).ok_or(Error::Money(MoneyError::Overflow))
}

fn amount(currency: Currency, amount: Decimal) -> Result<Option<types::Money>, Error> {
    money(Money::new(currency, amount))
}

fn text(id: Option<Uuid>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn method(method: Method) -> pb::AuthorisationMethod {
    match method {
        Method::OnAccount => pb::AuthorisationMethod::OnAccount,
        Method::Provider => pb::AuthorisationMethod::Provider,
    }
}

/// The fact that money is secured for an order.
pub fn payment_authorised(charge: &Charge) -> Result<pb::PaymentAuthorised, Error> {
    Ok(pb::PaymentAuthorised {
        order_id: charge.order_id.to_string(),
        amount: money(charge.money(charge.amount))?,
        method: method(charge.method).into(),
    })
}

/// The fact that it is not.
pub fn authorisation_declined(order_id: Uuid, refusal: &Refusal) -> pb::AuthorisationDeclined {
    pb::AuthorisationDeclined { order_id: order_id.to_string(), reason: refusal.reason().to_owned() }
}

/// The fact that secured money was let go.
pub fn authorisation_voided(order_id: Uuid, voided: Money) -> Result<pb::AuthorisationVoided, Error> {
    Ok(pb::AuthorisationVoided { order_id: order_id.to_string(), amount: money(voided)? })
}

/// The fact that an invoice was issued.
pub fn invoice_issued(invoice: &Document) -> Result<pb::InvoiceIssued, Error> {
    Ok(pb::InvoiceIssued { document: Some(document(invoice)?) })
}

/// What a credit note is issued for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreditCause {
    /// No order.
    Alone,
    /// The return with this id.
    Return(String),
    /// The goodwill with this id.
    Goodwill(String),
}

/// The fact that a credit note was issued.
pub fn credit_note_issued(
    note: &Document,
    cause: &CreditCause,
    reason: &str,
    country: &str,
    channel: &str,
) -> Result<pb::CreditNoteIssued, Error> {
    Ok(pb::CreditNoteIssued {
        document: Some(document(note)?),
        return_id: if let CreditCause::Return(id) = cause { id.clone() } else { String::new() },
        reason: reason.to_owned(),
        country: country.to_owned(),
        channel: channel.to_owned(),
        goodwill_id: if let CreditCause::Goodwill(id) = cause { id.clone() } else { String::new() },
    })
}

/// The fact that the provider took the money of an invoice.
pub fn payment_captured(order_id: Uuid, document_id: Uuid, captured: Money) -> Result<pb::PaymentCaptured, Error> {
    let amount = money(captured)?;
    Ok(pb::PaymentCaptured { order_id: order_id.to_string(), document_id: document_id.to_string(), amount })
}

/// The fact that the provider gave money back.
pub fn refund_made(order_id: Uuid, document_id: Uuid, refunded: Money) -> Result<pb::RefundMade, Error> {
    let amount = money(refunded)?;
    Ok(pb::RefundMade { order_id: order_id.to_string(), document_id: document_id.to_string(), amount })
}

/// The fact that the cost of goods was posted.
pub fn cost_posted(order_id: Uuid, cost: Money) -> Result<pb::CostPosted, Error> {
    Ok(pb::CostPosted { order_id: order_id.to_string(), amount: money(cost)? })
}

/// The fact that a payment came in.
pub fn payment_applied(new: &NewPayment, applications: &[Application]) -> Result<pb::PaymentApplied, Error> {
    Ok(pb::PaymentApplied {
        customer_id: new.customer_id.to_string(),
        applications: payment::applications(new.amount.currency, applications)?,
        reference: new.reference.clone(),
    })
}
