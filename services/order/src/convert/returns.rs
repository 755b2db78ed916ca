//! Returns and the requests about them.

use crate::convert::{money, orders::order_name, orders::time_and_id, place::known, reason};
use crate::error::Error;
use crate::name::{ReturnName, return_number};
use crate::rma::{ReturnRequest, ReturnRequestLine, Rma};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::ReturnHandling;
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
        });
    }
    v.into_result(ReturnRequest { order, external_id, lines, handling, requested_at })
}

/// A return as clients see it; amounts are in the order's currency.
pub fn rma(rma: &Rma, currency: Currency) -> pb::Return {
    let lines = rma.lines.iter().map(|line| pb::ReturnLine {
        line_no: line.line_no,
        quantity: line.quantity,
        received: line.received,
        reason: line.reason.clone(),
        credit: line.credit.and_then(|credit| money(currency, credit)),
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
    }
}

/// The fact that a return was approved.
pub fn approved(rma: &Rma, currency: Currency, skus: &HashMap<(Uuid, i32), String>) -> pb::ReturnApproved {
    let lines = rma.lines.iter().map(|line| pb::ApprovedReturnLine {
        line_no: line.line_no,
        sku: skus.get(&(rma.order_id, line.line_no)).cloned().unwrap_or_default(),
        quantity: line.quantity,
        reason: line.reason.clone(),
        credit: line.credit.and_then(|credit| money(currency, credit)),
    });
    pb::ReturnApproved {
        order_id: rma.order_id.to_string(),
        return_id: rma.return_id.to_string(),
        number: return_number(rma.number),
        lines: lines.collect(),
        handling: rma.handling.into(),
        requested_at: Some(to_timestamp(rma.requested_at)),
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
