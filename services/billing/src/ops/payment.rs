//! Money came in: it is set against invoices on account.

use crate::account::Change;
use crate::convert;
use crate::document::{self, Open};
use crate::error::Error;
use crate::ledger::{Cause, LedgerAccount, Posting};
use crate::payment::{Application, DocumentName, NewPayment};
use crate::store;
use pesan_feed::NewEvent;
use pesan_grpc::Violations;
use pesan_grpc::idempotency::{self, Claim, Claimed};
use pesan_money::Money;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// What a payment came to: done now, or the encoded answer of the first time.
#[derive(Debug)]
pub enum Applied {
    Now(Vec<Application>),
    Before(Vec<u8>),
}

/// Books a payment. What is open of a customer's invoices on account changes only under the lock of the account, so the
/// orders behind them need no lock here: none of their events is written.
pub async fn apply(pool: &PgPool, payment: &NewPayment, claim: Claim, now: OffsetDateTime) -> Result<Applied, Error> {
    let customer_id = payment.customer_id;
    let mut tx = pesan_feed::begin(pool, [customer_id]).await?;
    match idempotency::claim(&mut tx, &[claim]).await?.pop() {
        Some(Claimed::Answered(answer)) => return Ok(Applied::Before(answer)),
        Some(Claimed::Reused(fields)) => return Err(Error::RequestIdReused(fields)),
        Some(Claimed::New | Claimed::SameAs(_)) | None => {}
    }
    let account = store::account::lock(&mut tx, &[customer_id]).await?.remove(&customer_id);
    let account = account.ok_or(Error::AccountNotFound(customer_id))?;
    if account.currency != payment.amount.currency {
        let mut violations = Violations::new();
        violations.add("amount.currency_code", format!("must be {}, the account's", account.currency));
        return Err(Error::Invalid(violations));
    }
    let mut open = candidates(&mut tx, payment).await?;
    let total: Decimal = open.iter().map(|invoice| invoice.open).sum();
    let (parts, left) = document::settle(payment.amount.amount, &mut open);
    if !left.is_zero() {
        let open = Money::new(account.currency, total);
        return Err(Error::MoreThanOpen { amount: payment.amount, open });
    }
    let by_id: HashMap<Uuid, &Open> = open.iter().map(|invoice| (invoice.id, invoice)).collect();
    let applications: Vec<Application> = parts
        .iter()
        .filter_map(|(id, amount)| by_id.get(id).map(|invoice| (invoice, *amount)))
        .map(|(invoice, amount)| Application {
            invoice_id: invoice.id,
            series: invoice.series.clone(),
            number: invoice.number,
            amount,
        })
        .collect();

    let payment_id = Uuid::now_v7();
    store::document::settle(&mut tx, &parts).await?;
    let change = Change { receivable: -payment.amount.amount, authorised: Decimal::ZERO, events: 1 };
    store::account::change(&mut tx, &BTreeMap::from([(customer_id, change)])).await?;
    store::payment::add(&mut tx, payment_id, payment, &applications, now).await?;
    let accounts = (LedgerAccount::Bank, LedgerAccount::Receivables);
    let amount = (account.currency, payment.amount.amount);
    let posting = Posting::simple(Cause::Payment, payment_id, accounts, amount, payment.effective_at, now);
    store::ledger::add(&mut tx, &posting.into_iter().collect::<Vec<_>>()).await?;
    let fact = convert::payment_applied(payment, &applications)?;
    let event = NewEvent::new(customer_id, account.events + 1, &fact, payment.effective_at);
    pesan_feed::append(&mut tx, &[event]).await?;
    let answer = convert::apply_payment_answer(account.currency, &applications)?;
    idempotency::answer(&mut tx, &[(payment.request_id, answer)]).await?;
    tx.commit().await?;
    Ok(Applied::Now(applications))
}

/// The invoices a payment may pay, in the order in which it does: those named, or all that are open, oldest first.
async fn candidates(conn: &mut PgConnection, payment: &NewPayment) -> Result<Vec<Open>, Error> {
    if payment.invoices.is_empty() {
        return Ok(store::document::open_of_customer(conn, payment.customer_id).await?);
    }
    let names: Vec<DocumentName> = payment.invoices.iter().map(|(_, name)| name.clone()).collect();
    let mut named = store::document::named_invoices(conn, payment.customer_id, &names).await?;
    let mut in_order = Vec::with_capacity(names.len());
    for (text, name) in &payment.invoices {
        let is_it = |invoice: &Open| match name {
            DocumentName::Id(id) => invoice.id == *id,
            DocumentName::Number(series, number) => invoice.series == *series && invoice.number == *number,
        };
        if let Some(place) = named.iter().position(is_it) {
            in_order.push(named.swap_remove(place));
        } else if !in_order.iter().any(is_it) {
            return Err(Error::InvoiceNotFound(text.clone()));
        }
    }
    Ok(in_order)
}
