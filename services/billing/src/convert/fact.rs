//! Facts of other services, as what they mean to billing.

use super::CreditCause;
use crate::ops::cost::Cost;
use crate::ops::credit::{Credit, Receipt, Returned};
use crate::ops::invoice::Shipment;
use crate::ops::void::{Gone, What};
use anyhow::Context as _;
use pesan_api::{fulfilment, inventory, order};
use pesan_feed::Event;
use pesan_grpc::parse::from_money;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use uuid::Uuid;

fn order_id(event: &Event, text: &str) -> anyhow::Result<Uuid> {
    Uuid::try_parse(text).with_context(|| format!("event {} names the order {text:?}", event.event_id))
}

/// Goods that left, in the order of the events.
pub fn shipments(events: &[Event]) -> anyhow::Result<Vec<Shipment<'_>>> {
    let mut shipments = Vec::new();
    for event in events {
        let Some(fact) = event.decode::<fulfilment::v1::GoodsIssued>()? else { continue };
        let mut lines = BTreeMap::new();
        for line in &fact.lines {
            *lines.entry(line.line_no).or_default() += line.quantity;
        }
        let order_id = order_id(event, &fact.order_id)?;
        shipments.push(Shipment { event, order_id, reference: fact.fulfilment_order_id, lines });
    }
    Ok(shipments)
}

/// Goods that came back, in the order of the events. The note's reason is that of its first line.
pub fn receipts(events: &[Event]) -> anyhow::Result<Vec<Receipt<'_>>> {
    let mut receipts = Vec::new();
    for event in events {
        let Some(fact) = event.decode::<fulfilment::v1::ReturnReceived>()? else { continue };
        let mut lines: BTreeMap<i32, Returned> = BTreeMap::new();
        for line in &fact.lines {
            let quantity = line.sellable + line.damaged - line.uncredited;
            if quantity == 0 {
                continue;
            }
            let returned = lines.entry(line.line_no).or_default();
            returned.quantity += quantity;
            if let Some(credit) = &line.credit {
                let credit = from_money(credit)?;
                let before = returned.credit.map(|(_, amount)| amount).unwrap_or_default();
                returned.credit = Some((credit.currency, before + credit.amount));
            }
        }
        if lines.is_empty() {
            continue;
        }
        let reason = fact.lines.first().map(|line| line.reason.clone()).unwrap_or_default();
        let order_id = order_id(event, &fact.order_id)?;
        let cause = CreditCause::Return(fact.return_id);
        receipts.push(Receipt { event, order_id, cause, reason, credit: Credit::Goods(lines) });
    }
    Ok(receipts)
}

/// Credits that the order service granted: for goods that came back earlier, and without goods. In the order of the events.
pub fn granted(events: &[Event]) -> anyhow::Result<Vec<Receipt<'_>>> {
    let mut granted = Vec::new();
    for event in events {
        if let Some(fact) = event.decode::<order::v1::ReturnCredited>()? {
            let mut lines: BTreeMap<i32, Returned> = BTreeMap::new();
            for line in fact.lines.iter().filter(|line| line.quantity > 0) {
                let returned = lines.entry(line.line_no).or_default();
                returned.quantity += line.quantity;
                if let Some(credit) = &line.credit {
                    let credit = from_money(credit)?;
                    let before = returned.credit.map(|(_, amount)| amount).unwrap_or_default();
                    returned.credit = Some((credit.currency, before + credit.amount));
                }
            }
            if lines.is_empty() {
                continue;
            }
            let order_id = order_id(event, &fact.order_id)?;
            let cause = CreditCause::Return(fact.return_id);
            granted.push(Receipt { event, order_id, cause, reason: fact.reason, credit: Credit::Goods(lines) });
        } else if let Some(fact) = event.decode::<order::v1::GoodwillGranted>()? {
            let goodwill = fact.goodwill.context("a goodwill without its content")?;
            let mut lines = BTreeMap::new();
            for line in &goodwill.lines {
                let amount = from_money(line.amount.as_ref().context("a line without its amount")?)?;
                let before: &mut (Currency, Decimal) =
                    lines.entry(line.line_no).or_insert((amount.currency, Decimal::ZERO));
                before.1 += amount.amount;
            }
            let order_id = order_id(event, &fact.order_id)?;
            let cause = CreditCause::Goodwill(goodwill.id);
            granted.push(Receipt { event, order_id, cause, reason: goodwill.reason, credit: Credit::Price(lines) });
        }
    }
    Ok(granted)
}

/// What of orders will not be, in the order of the events.
pub fn gone(events: &[Event]) -> anyhow::Result<Vec<Gone<'_>>> {
    let mut gone = Vec::new();
    for event in events {
        let (text, what) = if let Some(fact) = event.decode::<order::v1::OrderCancelled>()? {
            let mut lines = BTreeMap::new();
            // The charge is less what a change cancelled since billing agreed to the change.
            for line in fact.lines.iter().filter(|_| fact.revision == 0) {
                *lines.entry(line.line_no).or_default() += line.quantity;
            }
            (fact.order_id, if fact.whole { What::Whole("cancelled") } else { What::Lines(lines) })
        } else if let Some(fact) = event.decode::<order::v1::OrderRejected>()? {
            (fact.order_id, What::Whole("rejected"))
        } else {
            continue;
        };
        gone.push(Gone { event, order_id: order_id(event, &text)?, what });
    }
    Ok(gone)
}

/// What goods of orders cost, in the order of the events.
pub fn costs(events: &[Event]) -> anyhow::Result<Vec<Cost<'_>>> {
    let mut costs = Vec::new();
    for event in events {
        let (text, cost) = if let Some(fact) = event.decode::<inventory::v1::StockIssued>()? {
            (fact.order_id, fact.cost.map(|cost| from_money(&cost)).transpose()?)
        } else if let Some(fact) = event.decode::<inventory::v1::StockReturned>()? {
            (fact.order_id, fact.cost.map(|cost| from_money(&cost)).transpose()?.map(|cost| -cost))
        } else {
            continue;
        };
        let Some(amount) = cost.filter(|cost: &Money| cost.amount != Decimal::ZERO) else { continue };
        costs.push(Cost { event, order_id: order_id(event, &text)?, amount });
    }
    Ok(costs)
}
