//! Goods came back: credit notes are issued and set against what is still open of the order's invoices; what the provider
//! took is to be given back.
//!
//! One transaction for a batch of receipts. Locked, in this order: the orders (by the follower), accounts, documents,
//! series.

use crate::account::Change;
use crate::charge::Method;
use crate::convert;
use crate::document::{self, Document, DocumentLine, Kind, Open};
use crate::error::Error;
use crate::job::{Job, JobKind};
use crate::ops::invoice::{find, pick};
use crate::{ops, store};
use pesan_feed::Event;
use pesan_money::Currency;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// Goods of an order that came back.
#[derive(Debug)]
pub struct Receipt<'a> {
    pub event: &'a Event,
    pub order_id: Uuid,
    pub return_id: String,
    pub reason: String,
    pub lines: BTreeMap<i32, Returned>,
}

/// What came back of a line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Returned {
    pub quantity: i64,
    /// What to credit for it, without tax, where that was decided; else its share of what was invoiced.
    pub credit: Option<(Currency, Decimal)>,
}

/// Credits receipts, in order.
pub async fn credit(conn: &mut PgConnection, receipts: &[Receipt<'_>], now: OffsetDateTime) -> Result<(), Error> {
    if receipts.is_empty() {
        return Ok(());
    }
    let orders: Vec<Uuid> = receipts.iter().map(|r| r.order_id).collect::<BTreeSet<_>>().into_iter().collect();
    let mut charges = store::charge::find(conn, &orders).await?;
    let mut lines = store::charge_line::find(conn, &orders).await?;

    let mut documents = Vec::with_capacity(receipts.len());
    let mut versions = Vec::with_capacity(receipts.len());
    let mut moved: BTreeSet<(Uuid, i32)> = BTreeSet::new();
    let mut changes: BTreeMap<Uuid, Change> = BTreeMap::new();
    let mut jobs = Vec::new();
    for receipt in receipts {
        let unlawful = |what: &str| {
            Error::Contradiction(format!("return {} of order {}: {what}", receipt.return_id, receipt.order_id))
        };
        let charge = charges.get_mut(&receipt.order_id).ok_or_else(|| unlawful("the order was never authorised"))?;
        let of_order = lines.entry(receipt.order_id).or_default();
        let mut portions = Vec::with_capacity(receipt.lines.len());
        for (line_no, returned) in &receipt.lines {
            let line = find(of_order, *line_no).ok_or_else(|| unlawful("a line that was not authorised"))?;
            let credit = match returned.credit {
                Some((currency, _)) if currency != charge.currency => {
                    return Err(unlawful("its credit is in another currency"));
                }
                credit => credit.map(|(_, amount)| amount),
            };
            let portion = line.credit(returned.quantity, credit, charge.currency.exponent()).ok_or_else(|| {
                unlawful(&format!("{} of line {line_no} are more than was invoiced", returned.quantity))
            })?;
            portions.push(DocumentLine {
                line_no: *line_no,
                sku: line.sku.clone(),
                quantity: returned.quantity,
                net: portion.net,
                tax: portion.tax,
            });
            moved.insert((receipt.order_id, *line_no));
        }
        let sum = document::sum(&portions);
        charge.credited += sum.total();
        let issued_at = receipt.event.effective_at;
        let document = Document {
            id: Uuid::now_v7(),
            kind: Kind::CreditNote,
            series: document::series(Kind::CreditNote, issued_at),
            number: 0,
            order_id: Some(receipt.order_id),
            customer_id: charge.customer_id,
            on_account: charge.account().is_some(),
            currency: charge.currency,
            lines: portions,
            net: sum.net,
            tax: sum.tax,
            open: sum.total(),
            issued_at,
            due_at: issued_at,
            reference: receipt.return_id.clone(),
        };
        if let Some(customer) = charge.account() {
            changes.entry(customer).or_default().receivable -= document.total();
        }
        if charge.method == Method::Provider && !document.total().is_zero() {
            jobs.push(Job::new(
                JobKind::Refund,
                charge,
                Some(document.id),
                document.total(),
                issued_at,
                &receipt.event.traceparent,
            ));
        }
        versions.push(charge.next_version());
        documents.push(document);
    }

    store::charge_line::advance(conn, &pick(&lines, moved.iter())).await?;
    store::charge::advance(conn, charges.values()).await?;
    store::job::add(conn, &jobs, now).await?;
    let customers: Vec<Uuid> = changes.keys().copied().collect();
    store::account::lock(conn, &customers).await?;
    store::account::change(conn, &changes).await?;
    set_against_invoices(conn, &mut documents).await?;
    let documents = ops::issue::documents(conn, documents, now).await?;
    let mut events = Vec::with_capacity(documents.len());
    for ((receipt, document), version) in receipts.iter().zip(&documents).zip(versions) {
        let fact = convert::credit_note_issued(document, Some(&receipt.return_id), &receipt.reason, "", "")?;
        events.push(receipt.event.follow_up(receipt.order_id, version, &fact));
    }
    pesan_feed::append(conn, &events).await?;
    Ok(())
}

/// Sets credit notes on account against what is open of the invoices of their own orders, oldest first. What is left of a
/// note stays open: we owe it. (What the provider took is given back instead.)
async fn set_against_invoices(conn: &mut PgConnection, notes: &mut [Document]) -> Result<(), Error> {
    let orders: Vec<Uuid> = notes.iter().filter(|n| n.on_account).filter_map(|n| n.order_id).collect();
    let mut open: HashMap<Uuid, Vec<Open>> = HashMap::new();
    for invoice in store::document::open_of_orders(conn, &orders).await? {
        open.entry(invoice.order_id.unwrap_or_default()).or_default().push(invoice);
    }
    let mut taken: BTreeMap<Uuid, Decimal> = BTreeMap::new();
    for note in notes.iter_mut().filter(|note| note.on_account) {
        let Some(invoices) = note.order_id.and_then(|order_id| open.get_mut(&order_id)) else { continue };
        let (parts, left) = document::settle(note.open, invoices);
        note.open = left;
        for (invoice, part) in parts {
            *taken.entry(invoice).or_default() += part;
        }
    }
    store::document::settle(conn, &taken.into_iter().collect::<Vec<_>>()).await?;
    Ok(())
}
