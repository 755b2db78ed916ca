//! Goodwill.

use crate::convert::orders::order_name;
use crate::convert::{money, reason, return_policies};
use crate::error::Error;
use crate::goodwill::Goodwill;
use crate::name::OrderName;
use pesan_api::order::v1 as pb;
use pesan_api::r#type::v1::Money;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use pesan_money::Currency;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A goodwill that is to be granted.
#[derive(Clone, Debug)]
pub struct GrantGoodwill {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The order.
    pub name: OrderName,
    /// How much.
    pub wish: Wish,
    /// Whose price it takes off; empty: all lines.
    pub line_nos: BTreeSet<i32>,
    /// For programs.
    pub reason: String,
    /// Who grants it.
    pub owner: String,
    /// For people.
    pub note: String,
    /// The request as it came.
    pub request: pb::GrantGoodwillRequest,
}

/// How much is to be granted.
#[derive(Clone, Debug)]
pub enum Wish {
    /// With tax: checked when the order's currency is known.
    Amount(Money),
    /// Of what was invoiced.
    Percent(Decimal),
}

impl TryFrom<pb::GrantGoodwillRequest> for GrantGoodwill {
    type Error = Error;

    fn try_from(request: pb::GrantGoodwillRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        if request.line_nos.len() > crate::convert::place::MOST_LINES {
            v.add("line_nos", "must have at most 10000 entries");
        }
        let percent = return_policies::percent(&mut v, "percent", &request.percent);
        let wish = match (&request.amount, request.percent.is_empty()) {
            (Some(amount), true) => Wish::Amount(amount.clone()),
            (None, false) => {
                if percent.is_zero() && v.is_empty() {
                    v.add("percent", "must be more than 0");
                }
                Wish::Percent(percent)
            }
            (Some(_), false) | (None, true) => {
                v.add("amount", "give either amount or percent");
                Wish::Percent(percent)
            }
        };
        let grant = Self {
            request_id: v.uuid("request_id", &request.request_id),
            name: order_name(&mut v, "order_name", &request.order_name),
            wish,
            line_nos: request.line_nos.iter().copied().collect(),
            reason: reason(&mut v, "reason", request.reason.clone(), 1),
            owner: v.text("owner", request.owner.clone(), 1, 100),
            note: v.text("note", request.note.clone(), 0, 500),
            request,
        };
        Ok(v.into_result(grant)?)
    }
}

/// A goodwill as clients see it.
pub fn goodwill(goodwill: &Goodwill, currency: Currency) -> pb::Goodwill {
    let line =
        |(line_no, amount): &(i32, Decimal)| pb::GoodwillLine { line_no: *line_no, amount: money(currency, *amount) };
    pb::Goodwill {
        id: goodwill.goodwill_id.to_string(),
        order_id: goodwill.order_id.to_string(),
        amount: money(currency, goodwill.amount),
        reason: goodwill.reason.clone(),
        owner: goodwill.owner.clone(),
        note: goodwill.note.clone(),
        granted_at: Some(to_timestamp(goodwill.granted_at)),
        lines: goodwill.lines.iter().map(line).collect(),
        credited: goodwill.credited.and_then(|credited| money(currency, credited)),
        document_id: goodwill.document_id.map(|id| id.to_string()).unwrap_or_default(),
    }
}
