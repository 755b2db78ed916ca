//! Goods came back, or a price was lowered: credit notes are issued and set against what is still open of the order's invoices; what the provider
//! took is to be given back.
//!
//! One transaction for a batch of receipts. Locked, in this order: the orders (by the follower), accounts, documents,
//! series.

use crate::account::Change;
use crate::charge::{Charge, Method};
use crate::charge_line::ChargeLine;
use crate::convert::{self, CreditCause};
use crate::document::{self, Document, DocumentLine, Kind, Open};
use crate::error::Error;
use crate::job::{Job, JobKind};
use crate::ops::invoice::{find, pick};
use crate::{ops, store};
use pesan_feed::Event;
use pesan_money::Currency;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// A reason to credit something of an order.
#[derive(Debug)]
pub struct Receipt<'a> {
    pub event: &'a Event,
    pub order_id: Uuid,
    pub cause: CreditCause,
    pub reason: String,
    pub credit: Credit,
}

/// What is credited.
#[derive(Debug)]
pub enum Credit {
    /// Goods that came back, by line.
    Goods(BTreeMap<i32, Returned>),
    /// A part of the price, with tax, by line.
    Price(BTreeMap<i32, (Currency, Decimal)>),
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
    let mut sources = Vec::with_capacity(receipts.len());
    let mut moved: BTreeSet<(Uuid, i32)> = BTreeSet::new();
    let mut changes: BTreeMap<Uuid, Change> = BTreeMap::new();
    let mut jobs = Vec::new();
    // Orders whose price was lowered by this batch.
    let mut allowed = HashSet::new();
    for receipt in receipts {
        let charge =
            charges.get_mut(&receipt.order_id).ok_or_else(|| unlawful(receipt, "the order was never authorised"))?;
        let of_order = lines.entry(receipt.order_id).or_default();
        let mut portions = portions(receipt, charge, of_order)?;
        moved.extend(portions.iter().map(|line| (receipt.order_id, line.line_no)));

        let is_allowance = matches!(receipt.credit, Credit::Price(_));
        let excess = charge.credited + document::sum(&portions).total() - charge.invoiced;
        // Once a price was lowered, no more is credited than is left of what was invoiced.
        if excess > Decimal::ZERO
            && (is_allowance
                || allowed.contains(&receipt.order_id)
                || store::document::has_allowance(conn, receipt.order_id).await?)
        {
            cut(&mut portions, excess, of_order, charge.currency);
        }
        let sum = document::sum(&portions);
        if is_allowance {
            if sum.total() <= Decimal::ZERO {
                continue;
            }
            allowed.insert(receipt.order_id);
        }
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
            reference: match &receipt.cause {
                CreditCause::Return(id) | CreditCause::Goodwill(id) => id.clone(),
                CreditCause::Alone => String::new(),
            },
            allowance: is_allowance,
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
        sources.push((receipt, charge.next_version()));
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
    for ((receipt, version), document) in sources.into_iter().zip(&documents) {
        let fact = convert::credit_note_issued(document, &receipt.cause, &receipt.reason, "", "")?;
        events.push(receipt.event.follow_up(receipt.order_id, version, &fact));
    }
    pesan_feed::append(conn, &events).await?;
    Ok(())
}

fn unlawful(receipt: &Receipt<'_>, what: &str) -> Error {
    Error::Contradiction(format!("{:?} of order {}: {what}", receipt.cause, receipt.order_id))
}

/// The lines of a receipt's credit note.
fn portions(receipt: &Receipt<'_>, charge: &Charge, of_order: &mut [ChargeLine]) -> Result<Vec<DocumentLine>, Error> {
    let exponent = charge.currency.exponent();
    let same_currency = |money: Option<(Currency, Decimal)>| match money {
        Some((currency, _)) if currency != charge.currency => {
            Err(unlawful(receipt, "its credit is in another currency"))
        }
        money => Ok(money.map(|(_, amount)| amount)),
    };
    let mut portions = Vec::new();
    let mut line_of = |line_no: i32, quantity: i64, credit: &mut dyn FnMut(&mut ChargeLine) -> Result<_, Error>| {
        let line = find(of_order, line_no).ok_or_else(|| unlawful(receipt, "a line that was not authorised"))?;
        let portion: crate::charge_line::Portion = credit(line)?;
        portions.push(DocumentLine { line_no, sku: line.sku.clone(), quantity, net: portion.net, tax: portion.tax });
        Ok::<_, Error>(())
    };
    match &receipt.credit {
        Credit::Goods(lines) => {
            for (line_no, returned) in lines {
                let amount = same_currency(returned.credit)?;
                line_of(*line_no, returned.quantity, &mut |line| {
                    line.credit(returned.quantity, amount, exponent).ok_or_else(|| {
                        let what = format!("{} of line {line_no} are more than was invoiced", returned.quantity);
                        unlawful(receipt, &what)
                    })
                })?;
            }
        }
        Credit::Price(lines) => {
            for (line_no, amount) in lines {
                let amount = same_currency(Some(*amount))?.unwrap_or_default();
                line_of(*line_no, 0, &mut |line| Ok(line.allow(amount, exponent)))?;
            }
        }
    }
    Ok(portions)
}

/// Takes what is too much off a note, and what it took of the lines' tax with it.
fn cut(portions: &mut [DocumentLine], excess: Decimal, of_order: &mut [ChargeLine], currency: Currency) {
    let before: Vec<Decimal> = portions.iter().map(|line| line.tax).collect();
    document::shrink(portions, excess, currency.exponent());
    for (portion, before) in portions.iter().zip(before) {
        if let Some(line) = find(of_order, portion.line_no) {
            line.credited_tax -= before - portion.tax;
        }
    }
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
