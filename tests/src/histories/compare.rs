//! What the suite says, beside what the model says.

use super::History;
use super::course::{CHANNEL, Clients};
use super::model::{Fate, Line, Order, Slice};
use pesan_api::billing::v1 as billing;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as pb;
use pesan_api::r#type::v1::Money;
use std::collections::HashMap;

const PAGE: i32 = 1000;

/// Stock that is not as it must be: the first few.
pub async fn stock(clients: &Clients, histories: &[History]) -> anyhow::Result<Vec<String>> {
    let mut different = Vec::new();
    let all: Vec<(&History, usize)> =
        histories.iter().flat_map(|history| (0..history.skus.len()).map(move |sku| (history, sku))).collect();
    for some in all.chunks(1000) {
        let skus = some.iter().map(|(history, sku)| history.skus[*sku].clone()).collect();
        let request = inventory::GetAvailabilityRequest { skus, ..Default::default() };
        let answer = clients.stock.clone().get_availability(request).await?.into_inner().availabilities;
        anyhow::ensure!(answer.len() == some.len(), "{} answers", answer.len());
        for ((history, sku), found) in some.iter().zip(&answer) {
            let world = &history.world;
            let on_hand: i64 = found.locations.iter().map(|level| level.on_hand).sum();
            let reserved: i64 = found.locations.iter().map(|level| level.reserved).sum();
            let expected = [world.on_hand[*sku], world.reserved(*sku), world.free(*sku), world.backordered(*sku)];
            let found = [on_hand, reserved, found.available, found.backordered];
            if expected != found {
                let names = format!("[on hand, reserved, free, backordered] of item {sku}: ");
                different.push(history.tell(&format!("{names}{expected:?}"), &format!("{found:?}")));
            }
        }
    }
    Ok(different)
}

/// Orders, their lines, quantities and amounts, and their invoices and credit notes, that are not as they must be.
pub async fn orders(clients: &Clients, histories: &[History]) -> anyhow::Result<Vec<String>> {
    let mut expected: HashMap<&str, (&History, &Order)> = HashMap::new();
    for history in histories {
        for (id, order) in history.ids.iter().zip(&history.world.orders) {
            if !id.is_empty() {
                expected.insert(id, (history, order));
            }
        }
    }
    let count = expected.len();
    let mut documents = documents(clients).await?;
    let mut different = Vec::new();
    let mut request = pb::ListOrdersRequest { page_size: PAGE, channel: CHANNEL.into(), ..Default::default() };
    request.view = pb::OrderView::Full.into();
    loop {
        let page = clients.orders.clone().list_orders(request.clone()).await?.into_inner();
        for found in page.orders {
            let Some((history, order)) = expected.remove(found.id.as_str()) else {
                different.push(format!("an order that nobody placed: {found:?}"));
                continue;
            };
            let [invoiced, credited] = documents.remove(found.id.as_str()).unwrap_or_default();
            let (want, have) = (rows(order), rows_found(&found, invoiced, credited));
            if want != have {
                different.push(history.tell(&format!("{}: {want}", found.number), &have));
            }
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    different.extend(expected.values().map(|(history, order)| history.tell(&format!("{order:?}"), "no such order")));
    different.extend(documents.keys().map(|id| format!("documents of an order that nobody placed: {id}")));
    anyhow::ensure!(count > 0, "no orders were placed");
    Ok(different)
}

/// Invoiced and credited, by order.
async fn documents(clients: &Clients) -> anyhow::Result<HashMap<String, [Slice; 2]>> {
    let mut sums: HashMap<String, [Slice; 2]> = HashMap::new();
    let mut request = billing::ListDocumentsRequest { page_size: PAGE, ..Default::default() };
    loop {
        let page = clients.documents.clone().list_documents(request.clone()).await?.into_inner();
        for document in page.documents {
            let kind = usize::from(document.kind() == billing::DocumentKind::CreditNote);
            let sum = &mut sums.entry(document.order_id).or_default()[kind];
            sum.net += cents(document.net.as_ref());
            sum.tax += cents(document.tax.as_ref());
        }
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(sums);
        }
    }
}

fn state(order: &Order) -> pb::OrderState {
    let sum = |of: fn(&Line) -> i64| order.lines.iter().map(of).sum::<i64>();
    let (open, waits, left) = (sum(Line::open), sum(|line| line.backordered), sum(|line| line.shipped));
    match (order.fate, left > 0, open > 0) {
        (Fate::Rejected, ..) => pb::OrderState::Rejected,
        (_, true, true) => pb::OrderState::PartiallyShipped,
        (_, true, false) => pb::OrderState::Completed,
        (_, false, false) => pb::OrderState::Cancelled,
        (_, false, true) if waits > 0 => pb::OrderState::Backordered,
        (_, false, true) => pb::OrderState::Confirmed,
    }
}

/// An order as it must be, in words. What leaves is delivered and invoiced at once, what comes back is refunded at once.
fn rows(order: &Order) -> String {
    let amounts = order.amounts();
    let gross = amounts.line_total;
    let lines = order.lines.iter().map(|line| {
        let Line { ordered, reserved, backordered, cancelled, shipped, returned, .. } = *line;
        let quantities = [ordered, reserved, backordered, cancelled, shipped, shipped, returned, shipped, returned];
        let amounts = [line.amounts.line_total, line.amounts.discount, line.amounts.tax];
        format!("{quantities:?} {amounts:?}")
    });
    let lines: Vec<String> = lines.collect();
    let total = gross - amounts.discount + amounts.tax;
    told(state(order), gross, total, &lines, order.invoiced(), order.credited())
}

fn rows_found(order: &pb::Order, invoiced: Slice, credited: Slice) -> String {
    let lines = order.lines.iter().map(|line| {
        let q = line.quantities.unwrap_or_default();
        let quantities = [
            q.ordered,
            q.reserved,
            q.backordered,
            q.cancelled,
            q.shipped,
            q.delivered,
            q.returned,
            q.invoiced,
            q.refunded,
        ];
        let amounts = [&line.line_total, &line.discount, &line.tax].map(|amount| cents(amount.as_ref()));
        format!("{quantities:?} {amounts:?}")
    });
    let lines: Vec<String> = lines.collect();
    told(order.state(), cents(order.gross.as_ref()), cents(order.total.as_ref()), &lines, invoiced, credited)
}

fn told(state: pb::OrderState, gross: i64, total: i64, lines: &[String], invoiced: Slice, credited: Slice) -> String {
    let lines = lines.join(" | ");
    format!("{state:?} gross {gross} total {total} lines {lines} invoiced {invoiced:?} credited {credited:?}")
}

fn cents(money: Option<&Money>) -> i64 {
    money.map_or(0, |money| money.units * 100 + i64::from(money.nanos) / 10_000_000)
}
