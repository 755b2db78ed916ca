//! Returns and the requests about them.

use crate::convert::{money, orders::order_name, orders::time_and_id, place::known, reason};
use crate::draft::DraftLine;
use crate::error::Error;
use crate::name::{ReturnName, return_number};
use crate::rma::{Discrepancy, ReturnRequest, ReturnRequestLine, Rma, Step, WindowOverride};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{ReturnHandling, ReturnResolution};
use pesan_api::r#type::v1::Money;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::{Violations, page};
use pesan_money::Currency;
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// Reads a return that is asked for; paths start at it.
///
/// # Errors
/// All that is wrong with it.
pub fn request(new: pb::NewReturn, now: OffsetDateTime) -> Result<ReturnRequest, Violations> {
    let mut v = Violations::new();
    let most = crate::convert::place::MOST_LINES;
    if new.lines.is_empty() || new.lines.len() > most {
        v.add("lines", format!("must have 1 to {most} entries, not {}", new.lines.len()));
    }
    let order = order_name(&mut v, "order_name", &new.order_name);
    let external_id = v.text("external_id", new.external_id, 0, 100);
    let handling = match known::<ReturnHandling>(&mut v, "handling", new.handling) {
        Some(ReturnHandling::Unspecified) | None => ReturnHandling::Inspect,
        Some(handling) => handling,
    };
    let requested_at = v.past_time("requested_at", new.requested_at.as_ref(), now);
    let resolution = match known::<ReturnResolution>(&mut v, "resolution", new.resolution) {
        Some(ReturnResolution::Unspecified) | None => ReturnResolution::Refund,
        Some(resolution) => resolution,
    };
    let wants_goods = matches!(resolution, ReturnResolution::Exchange | ReturnResolution::Replacement);
    if new.exchange.is_some() && !wants_goods {
        v.add("exchange", "is for EXCHANGE and REPLACEMENT");
    }
    if let Some(wish) = &new.exchange {
        if wish.lines.len() > 500 {
            v.add("exchange.lines", "must have at most 500 entries");
        }
        v.text("exchange.payment_token", wish.payment_token.clone(), 0, 500);
    }
    let window_override = new.window_override.map(|window| WindowOverride {
        by: v.text("window_override.by", window.by, 1, 100),
        note: v.text("window_override.note", window.note, 1, 500),
    });
    let mut seen = HashSet::new();
    let mut lines = Vec::with_capacity(new.lines.len().min(most));
    for (i, line) in new.lines.into_iter().take(most).enumerate() {
        if !seen.insert(line.line_no) {
            v.add(format!("lines[{i}].line_no"), "is named twice");
        }
        lines.push(ReturnRequestLine {
            line_no: line.line_no,
            quantity: v.within(&format!("lines[{i}].quantity"), line.quantity, 1, crate::convert::place::MOST_UNITS),
            reason: reason(&mut v, &format!("lines[{i}].reason"), line.reason, 0),
            credit: line.credit,
            condition: known(&mut v, &format!("lines[{i}].condition"), line.condition).unwrap_or_default(),
            serial: v.text(&format!("lines[{i}].serial"), line.serial, 0, 100),
            claim: v.text(&format!("lines[{i}].claim"), line.claim, 0, 1000),
        });
    }
    let wish = new.exchange.filter(|_| wants_goods);
    v.into_result(ReturnRequest {
        order,
        external_id,
        lines,
        handling,
        requested_at,
        resolution,
        wish,
        window_override,
    })
}

/// The lines that a customer wants instead; paths start at the return.
///
/// # Errors
/// All that is wrong with them.
pub fn wished_lines(
    wish: &pb::ExchangeWish,
    resolution: ReturnResolution,
    currency: Currency,
) -> Result<Vec<DraftLine>, Violations> {
    let mut v = Violations::new();
    let mut lines = Vec::with_capacity(wish.lines.len());
    for (i, line) in wish.lines.iter().enumerate() {
        let at = |field: &str| format!("exchange.lines[{i}].{field}");
        let mut read = DraftLine {
            sku: v.text(&at("sku"), line.sku.clone(), 1, 100),
            description: v.text(&at("description"), line.description.clone(), 0, 500),
            quantity: v.within(&at("quantity"), line.quantity, 1, crate::convert::place::MOST_UNITS),
            ..DraftLine::default()
        };
        if resolution == ReturnResolution::Replacement {
            let is_free = |money: &Option<Money>| money.as_ref().is_none_or(|m| m.units == 0 && m.nanos == 0);
            if !is_free(&line.unit_price) || !is_free(&line.discount) || !is_free(&line.tax) {
                v.add(at("unit_price"), "must be zero: a replacement is free of charge");
            }
        } else {
            read.unit_price = v.price(&at("unit_price"), line.unit_price.as_ref(), currency).unwrap_or_default();
            let total = pesan_money::Money::line_total(currency, read.unit_price, read.quantity);
            match total.and_then(|total| total.to_units_nanos().map(|_| total.amount)) {
                Ok(amount) => read.line_total = amount,
                Err(_) => v.add(at("quantity"), "makes the line total too large"),
            }
            read.discount = v.amount_or_zero(&at("discount"), line.discount.as_ref(), currency);
            if read.discount > read.line_total {
                v.add(at("discount"), "must not be more than the line total");
            }
            read.tax = v.amount_or_zero(&at("tax"), line.tax.as_ref(), currency);
        }
        lines.push(read);
    }
    v.into_result(lines)
}

/// A return as clients see it; amounts are in the order's currency.
pub fn rma(rma: &Rma, currency: Currency) -> pb::Return {
    let lines = rma.lines.iter().map(|line| pb::ReturnLine {
        line_no: line.line_no,
        quantity: line.quantity,
        received: line.received,
        reason: line.reason.clone(),
        credit: line.credit.and_then(|credit| money(currency, credit)),
        released: line.released,
        condition: line.condition.into(),
        restocking_fee: line.fee.and_then(|fee| money(currency, fee)),
        serial: line.serial.clone(),
        claim: line.claim.clone(),
    });
    pb::Return {
        id: rma.return_id.to_string(),
        number: return_number(rma.number),
        order_id: rma.order_id.to_string(),
        external_id: rma.external_id.clone(),
        lines: lines.collect(),
        handling: rma.handling.into(),
        requested_at: Some(to_timestamp(rma.requested_at)),
        version: rma.version,
        state: rma.state().into(),
        resolution: rma.resolution.into(),
        linked_order_ids: rma.linked.iter().map(Uuid::to_string).collect(),
        discrepancies: rma.discrepancies.iter().map(shown_discrepancy).collect(),
        history: rma.history.iter().map(step).collect(),
    }
}

fn shown_discrepancy(one: &Discrepancy) -> pb::Discrepancy {
    let decision = one.decision.as_ref();
    pb::Discrepancy {
        id: one.id.to_string(),
        kind: one.kind.into(),
        line_no: one.line_no,
        sku: one.sku.clone(),
        sellable: one.sellable,
        damaged: one.damaged,
        note: one.note.clone(),
        received_at: Some(to_timestamp(one.received_at)),
        decision: decision.map_or(0, |decision| decision.what.into()),
        decided_by: decision.map(|decision| decision.by.clone()).unwrap_or_default(),
        decision_note: decision.map(|decision| decision.note.clone()).unwrap_or_default(),
        decided_at: decision.map(|decision| to_timestamp(decision.at)),
    }
}

fn step(step: &Step) -> pb::ReturnStep {
    pb::ReturnStep {
        at: Some(to_timestamp(step.at)),
        state: step.state.into(),
        by: step.by.clone(),
        note: step.note.clone(),
    }
}

/// Goods of a receipt that were not as announced. None for a kind that is newer than we are.
pub fn discrepancy(fact: &fulfilment::ReturnDiscrepancy, received_at: OffsetDateTime) -> Option<Discrepancy> {
    use fulfilment::ReturnDiscrepancyKind;
    Some(Discrepancy {
        id: fact.id.parse().ok()?,
        kind: match fact.kind() {
            ReturnDiscrepancyKind::Unspecified => return None,
            ReturnDiscrepancyKind::More => pb::DiscrepancyKind::More,
            ReturnDiscrepancyKind::OtherLine => pb::DiscrepancyKind::OtherLine,
            ReturnDiscrepancyKind::OtherGoods => pb::DiscrepancyKind::OtherGoods,
            ReturnDiscrepancyKind::Condition => pb::DiscrepancyKind::Condition,
        },
        line_no: fact.line_no,
        sku: fact.sku.clone(),
        sellable: fact.sellable,
        damaged: fact.damaged,
        note: fact.note.clone(),
        received_at,
        decision: None,
    })
}

/// The fact that something was done with a return.
pub fn progressed(rma: &Rma, currency: Currency) -> pb::ReturnProgressed {
    pb::ReturnProgressed { order_id: rma.order_id.to_string(), r#return: Some(self::rma(rma, currency)) }
}

/// The fact that a return was approved.
pub fn approved(rma: &Rma, currency: Currency, skus: &HashMap<(Uuid, i32), String>) -> pb::ReturnApproved {
    let lines = rma.lines.iter().map(|line| pb::ApprovedReturnLine {
        line_no: line.line_no,
        sku: skus.get(&(rma.order_id, line.line_no)).cloned().unwrap_or_default(),
        quantity: line.quantity,
        reason: line.reason.clone(),
        credit: line.credit.and_then(|credit| money(currency, credit)),
        condition: line.condition.into(),
    });
    pb::ReturnApproved {
        order_id: rma.order_id.to_string(),
        return_id: rma.return_id.to_string(),
        number: return_number(rma.number),
        lines: lines.collect(),
        handling: rma.handling.into(),
        requested_at: Some(to_timestamp(rma.requested_at)),
        resolution: rma.resolution.into(),
    }
}

/// The name of a return.
pub fn return_name(text: &str) -> Result<ReturnName, Error> {
    ReturnName::parse(text)
        .ok_or_else(|| Error::invalid("name", "must be a return's id or its number (\"RMA-000012\")"))
}

/// A page of returns that is asked for.
#[derive(Clone, Debug)]
pub struct ListReturns {
    /// Only of this order.
    pub order_id: Option<Uuid>,
    /// After this one.
    pub after: Option<(OffsetDateTime, Uuid)>,
    /// How many.
    pub size: i64,
}

impl TryFrom<pb::ListReturnsRequest> for ListReturns {
    type Error = Error;

    fn try_from(request: pb::ListReturnsRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let order_id = v.optional_uuid("order_id", &request.order_id);
        let after = page::key(&mut v, &request.page_token, 2).and_then(|key| {
            let after = time_and_id(&key[0], &key[1]);
            if after.is_none() {
                v.add("page_token", "must come from the answer to the same request");
            }
            after
        });
        Ok(v.into_result(Self { order_id, after, size })?)
    }
}
