//! Changes of orders: what is asked for, and what it would do.

use crate::change::{Amounts, Change, Impossible};
use crate::convert::address;
use crate::convert::orders::order_name;
use crate::convert::place::{MOST_LINES, MOST_UNITS, read_line};
use crate::error::Error;
use crate::name::OrderName;
use pesan_api::order::v1 as pb;
use pesan_grpc::Violations;
use pesan_money::Currency;
use std::collections::BTreeMap;
use uuid::Uuid;

/// Most changes of a plan.
const MOST_CHANGES: usize = 1_000;

/// A plan that is asked for. Its changes are read once the order's currency is known.
#[derive(Clone, Debug)]
pub struct PlanChange {
    /// The order.
    pub name: OrderName,
    /// 0: any.
    pub expected_version: i64,
    /// Kept with what is cancelled.
    pub reason: String,
    /// The request as it came.
    pub request: pb::PlanChangeRequest,
}

impl TryFrom<pb::PlanChangeRequest> for PlanChange {
    type Error = Error;

    fn try_from(request: pb::PlanChangeRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let name = order_name(&mut v, "name", &request.name);
        if request.changes.is_empty() || request.changes.len() > MOST_CHANGES {
            v.add("changes", format!("must have 1 to {MOST_CHANGES} entries, not {}", request.changes.len()));
        }
        v.within("expected_version", request.expected_version, 0, i64::MAX);
        let reason = v.text("reason", request.reason.clone(), 0, 500);
        let expected_version = request.expected_version;
        Ok(v.into_result(Self { name, expected_version, reason, request })?)
    }
}

/// A plan that is to be carried out.
#[derive(Clone)]
pub struct CommitChange {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The plan.
    pub plan_id: Uuid,
    /// The plan's version of the order.
    pub order_version: i64,
    /// The request as it came.
    pub request: pb::CommitChangeRequest,
}

impl TryFrom<pb::CommitChangeRequest> for CommitChange {
    type Error = Error;

    fn try_from(request: pb::CommitChangeRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let plan_id = v.uuid("plan_id", &request.plan_id);
        let order_version = v.within("order_version", request.order_version, 1, i64::MAX);
        v.text("payment_token", request.payment_token.clone(), 0, 500);
        Ok(v.into_result(Self { request_id, plan_id, order_version, request })?)
    }
}

/// Reads changes of an order in a currency.
///
/// # Errors
/// All that is wrong with them.
pub fn changes(changes: &[pb::Change], currency: Currency) -> Result<Vec<Change>, Violations> {
    let mut v = Violations::new();
    let read: Vec<Change> = changes
        .iter()
        .enumerate()
        .filter_map(|(i, change)| {
            let path = format!("changes[{i}]");
            let Some(kind) = &change.kind else {
                v.add(path, "must be one of the kinds");
                return None;
            };
            one(&mut v, &path, kind, currency)
        })
        .collect();
    v.into_result(read)
}

fn one(v: &mut Violations, path: &str, kind: &pb::change::Kind, currency: Currency) -> Option<Change> {
    use pb::change::Kind;
    Some(match kind {
        Kind::AddLine(add) => {
            let Some(line) = add.line.clone() else {
                v.add(format!("{path}.add_line.line"), "is required");
                return None;
            };
            let mut own = Violations::new();
            let line = read_line(&mut own, 0, line, Some(currency), true);
            if !line.is_priced {
                own.add("lines[0].unit_price", "is required: price lists are for new orders");
            }
            for violation in own.as_slice() {
                let field = violation.field.trim_start_matches("lines[0].");
                v.add(format!("{path}.add_line.line.{field}"), violation.description.clone());
            }
            let (unit_price, line_total, discount, tax) = (line.unit_price, line.line_total, line.discount, line.tax);
            let amounts = Amounts { unit_price, line_total, discount, tax };
            Change::Add { sku: line.sku, description: line.description, quantity: line.quantity, amounts }
        }
        Kind::RemoveLine(remove) => Change::Remove(line_no(v, &format!("{path}.remove_line.line_no"), remove.line_no)),
        Kind::SetQuantity(set) => {
            let line_no = line_no(v, &format!("{path}.set_quantity.line_no"), set.line_no);
            let quantity = v.within(&format!("{path}.set_quantity.quantity"), set.quantity, 0, MOST_UNITS);
            Change::SetQuantity(line_no, quantity)
        }
        Kind::SetPrice(set) => {
            let field = |name: &str| format!("{path}.set_price.{name}");
            let line_no = line_no(v, &field("line_no"), set.line_no);
            let unit_price = v.price(&field("unit_price"), set.unit_price.as_ref(), currency).unwrap_or_default();
            let mut amount = |name: &str, money: &Option<_>| {
                money.as_ref().map(|money| v.amount_or_zero(&field(name), Some(money), currency))
            };
            let (discount, tax) = (amount("discount", &set.discount), amount("tax", &set.tax));
            Change::SetPrice { line_no, unit_price, discount, tax }
        }
        Kind::SetAddress(set) => match set.ship_to.clone() {
            Some(ship_to) => Change::SetAddress(Box::new(address(v, &format!("{path}.set_address.ship_to"), ship_to))),
            None => {
                v.add(format!("{path}.set_address.ship_to"), "is required");
                return None;
            }
        },
        Kind::SetShipDate(set) => {
            Change::SetShipDate(v.time(&format!("{path}.set_ship_date.not_before"), set.not_before.as_ref()))
        }
        Kind::SplitOff(split) => {
            let field = |name: &str| format!("{path}.split_off.{name}");
            if split.lines.is_empty() || split.lines.len() > MOST_LINES {
                v.add(field("lines"), format!("must have 1 to {MOST_LINES} entries, not {}", split.lines.len()));
            }
            let mut lines = BTreeMap::new();
            for (i, line) in split.lines.iter().take(MOST_LINES).enumerate() {
                let quantity = v.within(&field(&format!("lines[{i}].quantity")), line.quantity, 1, MOST_UNITS);
                if lines.insert(line.line_no, quantity).is_some() {
                    v.add(field(&format!("lines[{i}].line_no")), "is named twice");
                }
            }
            let ship_to = split.ship_to.clone().map(|to| Box::new(address(v, &field("ship_to"), to)));
            let not_before = v.time(&field("not_before"), split.not_before.as_ref());
            Change::SplitOff { lines, ship_to, not_before }
        }
        Kind::CancelRest(_) => Change::CancelRest,
    })
}

fn line_no(v: &mut Violations, field: &str, line_no: i32) -> i32 {
    v.within(field, line_no, 1, i32::MAX)
}

/// What cannot be, as it is told.
pub fn impossible(one: &Impossible) -> pb::Impossible {
    let (reason, message) = one.reason.text();
    pb::Impossible {
        change: i32::try_from(one.change).unwrap_or(i32::MAX),
        line_no: one.line_no,
        reason: reason.to_owned(),
        message: message.to_owned(),
    }
}
