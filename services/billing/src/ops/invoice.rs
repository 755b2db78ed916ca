//! Goods have left: invoices are issued, money on account becomes owed, money at the provider is to be captured.
//!
//! One transaction for a batch of shipments; statements: charges, lines, accounts read; lines, charges, jobs, accounts,
//! documents, events written. Locked, in this order: the orders (by the follower), accounts, series.

use crate::account::Change;
use crate::charge::Method;
use crate::charge_line::ChargeLine;
use crate::convert;
use crate::document::{self, Document, DocumentLine, Kind};
use crate::error::Error;
use crate::job::{Job, JobKind};
use crate::{ops, store};
use pesan_feed::Event;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// Goods of an order that left.
#[derive(Debug)]
pub struct Shipment<'a> {
    pub event: &'a Event,
    pub order_id: Uuid,
    /// The fulfilment order.
    pub reference: String,
    /// Quantity by line.
    pub lines: BTreeMap<i32, i64>,
}

/// Invoices shipments, in order.
pub async fn invoice(conn: &mut PgConnection, shipments: &[Shipment<'_>], now: OffsetDateTime) -> Result<(), Error> {
    if shipments.is_empty() {
        return Ok(());
    }
    let mut orders: Vec<Uuid> = shipments.iter().map(|s| s.order_id).collect();
    orders.sort_unstable();
    orders.dedup();
    let mut charges = store::charge::find(conn, &orders).await?;
    let mut lines = store::charge_line::find(conn, &orders).await?;

    let mut documents = Vec::with_capacity(shipments.len());
    let mut versions = Vec::with_capacity(shipments.len());
    let mut moved: BTreeSet<(Uuid, i32)> = BTreeSet::new();
    let mut changes: BTreeMap<Uuid, Change> = BTreeMap::new();
    let mut jobs = Vec::new();
    for shipment in shipments {
        let unlawful = |what: &str| {
            Error::Contradiction(format!("shipment {} of order {}: {what}", shipment.reference, shipment.order_id))
        };
        let charge = charges.get_mut(&shipment.order_id).ok_or_else(|| unlawful("the order was never authorised"))?;
        let exponent = charge.currency.exponent();
        let mut portions = Vec::with_capacity(shipment.lines.len());
        let of_order = lines.entry(shipment.order_id).or_default();
        for (line_no, quantity) in &shipment.lines {
            let line = find(of_order, *line_no).ok_or_else(|| unlawful("a line that was not authorised"))?;
            let portion = line
                .invoice(*quantity, exponent)
                .ok_or_else(|| unlawful(&format!("{quantity} of line {line_no} are more than is left")))?;
            portions.push(DocumentLine {
                line_no: *line_no,
                sku: line.sku.clone(),
                quantity: *quantity,
                net: portion.net,
                tax: portion.tax,
            });
            moved.insert((shipment.order_id, *line_no));
        }
        let sum = document::sum(&portions);
        charge.invoiced += sum.total();
        let issued_at = shipment.event.effective_at;
        let document = Document {
            id: Uuid::now_v7(),
            kind: Kind::Invoice,
            series: document::series(Kind::Invoice, issued_at),
            number: 0,
            order_id: Some(shipment.order_id),
            customer_id: charge.customer_id,
            on_account: charge.account().is_some(),
            currency: charge.currency,
            lines: portions,
            net: sum.net,
            tax: sum.tax,
            open: sum.total(),
            issued_at,
            due_at: issued_at,
            reference: shipment.reference.clone(),
            allowance: false,
        };
        if let Some(customer) = charge.account() {
            let change = changes.entry(customer).or_default();
            change.receivable += document.total();
            change.authorised -= document.total();
        }
        if charge.method == Method::Provider && !document.total().is_zero() {
            jobs.push(Job::new(
                JobKind::Capture,
                charge,
                Some(document.id),
                document.total(),
                issued_at,
                &shipment.event.traceparent,
            ));
        }
        versions.push(charge.next_version());
        documents.push(document);
    }

    store::charge_line::advance(conn, &pick(&lines, moved.iter())).await?;
    store::charge::advance(conn, charges.values()).await?;
    store::job::add(conn, &jobs, now).await?;
    let customers: Vec<Uuid> = changes.keys().copied().collect();
    let accounts = store::account::lock(conn, &customers).await?;
    store::account::change(conn, &changes).await?;
    for document in documents.iter_mut().filter(|document| document.on_account) {
        if let Some(account) = document.customer_id.and_then(|id| accounts.get(&id)) {
            document.due_at = account.due_at(document.issued_at);
        }
    }
    let documents = ops::issue::documents(conn, documents, now).await?;
    let mut events = Vec::with_capacity(documents.len());
    for ((shipment, document), version) in shipments.iter().zip(&documents).zip(versions) {
        let fact = convert::invoice_issued(document)?;
        events.push(shipment.event.follow_up(shipment.order_id, version, &fact));
    }
    pesan_feed::append(conn, &events).await?;
    Ok(())
}

/// The line with this number among lines that ascend by number.
pub fn find(lines: &mut [ChargeLine], line_no: i32) -> Option<&mut ChargeLine> {
    let place = lines.binary_search_by_key(&line_no, |line| line.line_no).ok()?;
    lines.get_mut(place)
}

/// The lines with these keys.
pub fn pick<'a>(
    lines: &'a HashMap<Uuid, Vec<ChargeLine>>,
    keys: impl Iterator<Item = &'a (Uuid, i32)>,
) -> Vec<(Uuid, &'a ChargeLine)> {
    keys.filter_map(|(order_id, line_no)| {
        let of_order = lines.get(order_id)?;
        let place = of_order.binary_search_by_key(line_no, |line| line.line_no).ok()?;
        Some((*order_id, &of_order[place]))
    })
    .collect()
}
