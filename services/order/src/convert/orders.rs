//! Orders and the requests about them.

use crate::convert::{delivery, location_text, money, place::known, quantities, reason};
use crate::error::Error;
use crate::name::{OrderName, order_number};
use crate::order::{Hold, Order, OrderLine, Rejection};
use pesan_api::order::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// An order as clients see it.
pub fn order(order: &Order) -> pb::Order {
    let amount = |amount| money(order.currency, amount);
    pb::Order {
        id: order.head.order_id.to_string(),
        number: order_number(order.number),
        channel: order.channel.clone(),
        external_id: order.external_id.clone(),
        customer_id: order.customer_id.map(|id| id.to_string()).unwrap_or_default(),
        customer_external_id: order.customer_external_id.clone(),
        currency_code: order.currency.code().to_owned(),
        lines: order.lines.iter().map(|line| order_line(order, line)).collect(),
        ship_to: Some(order.ship_to.clone()),
        payment_method: order.payment_method.into(),
        reservation_policy: order.reservation_policy.into(),
        fulfilment_policy: order.head.fulfilment_policy.into(),
        state: order.head.state().into(),
        holds: order.holds.iter().map(hold).collect(),
        rejections: order.rejections.iter().map(rejection).collect(),
        gross: amount(order.gross),
        total: amount(order.gross - order.discount + order.tax),
        version: order.head.version,
        placed_at: Some(to_timestamp(order.head.placed_at)),
        recorded_at: Some(to_timestamp(order.recorded_at)),
        priority: order.priority,
        sales_rep: order.sales_rep.clone(),
        quantities: Some(quantities(&order.head.standing.quantities)),
        order_discount: amount(order.order_discount),
        preferred_location_id: order.preferred_location_id.map(|id| id.to_string()).unwrap_or_default(),
        tags: order.tags.clone(),
        route: order.route.clone(),
        not_before: order.not_before.map(to_timestamp),
        split_from: order.split_from.map(|id| id.to_string()).unwrap_or_default(),
        return_id: order.return_id.map(|id| id.to_string()).unwrap_or_default(),
        goodwill: amount(order.goodwill),
        delivery: delivery::of_order(order),
    }
}

fn order_line(order: &Order, line: &OrderLine) -> pb::OrderLine {
    let amount = |amount| money(order.currency, amount);
    pb::OrderLine {
        line_no: line.line.line_no,
        sku: line.sku.clone(),
        description: line.description.clone(),
        unit_price: amount(line.unit_price),
        line_total: amount(line.line_total),
        discount: amount(line.discount),
        tax: amount(line.tax),
        quantities: Some(quantities(&line.line.quantities)),
        allocations: line
            .line
            .allocations
            .iter()
            .map(|allocation| pb::Allocation {
                location_id: location_text(allocation.location),
                reserved: allocation.reserved,
                shipped: allocation.shipped,
            })
            .collect(),
        order_discount: amount(line.agreed.order_discount),
        price_list: line.agreed.price_list.clone().unwrap_or_default(),
        list_price: line.agreed.list_price.and_then(amount),
        dates: delivery::of_line(line),
    }
}

/// A hold as clients see it.
pub fn hold(hold: &Hold) -> pb::Hold {
    pb::Hold {
        id: hold.hold_id.to_string(),
        reason: hold.reason.clone(),
        note: hold.note.clone(),
        owner: hold.owner.clone(),
        placed_at: Some(to_timestamp(hold.placed_at)),
        expires_at: hold.expires_at.map(to_timestamp),
        on_expiry: hold.on_expiry.into(),
        rule: hold.rule.clone().unwrap_or_default(),
    }
}

/// A rejection as clients see it.
pub fn rejection(rejection: &Rejection) -> pb::Rejection {
    pb::Rejection {
        field: rejection.field.clone(),
        reason: rejection.reason.clone(),
        message: rejection.message.clone(),
    }
}

/// True unless only a basic view is asked for; `default` where nothing is.
pub fn is_full(v: &mut Violations, view: i32, default: pb::OrderView) -> bool {
    match known::<pb::OrderView>(v, "view", view) {
        Some(pb::OrderView::Unspecified) | None => default == pb::OrderView::Full,
        Some(view) => view == pb::OrderView::Full,
    }
}

/// The name of an order.
pub fn order_name(v: &mut Violations, field: &str, text: &str) -> OrderName {
    OrderName::parse(text).unwrap_or_else(|| {
        v.add(field, "must be an order's id, its number (\"SO-000123\") or \"channel/external_id\"");
        OrderName::Number(0)
    })
}

/// A time in microseconds since 1970 and an id, as page tokens hold them.
pub(super) fn time_and_id(micros: &str, id: &str) -> Option<(OffsetDateTime, Uuid)> {
    let micros: i128 = micros.parse().ok()?;
    let time = OffsetDateTime::from_unix_timestamp_nanos(micros.checked_mul(1000)?).ok()?;
    Some((time, Uuid::try_parse(id).ok()?))
}

/// As [`time_and_id`], back.
pub fn time_token(time: OffsetDateTime) -> String {
    (time.unix_timestamp_nanos() / 1000).to_string()
}

/// A cancellation that is asked for.
#[derive(Clone, Debug)]
pub struct CancelOrder {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The order.
    pub name: OrderName,
    /// Quantities by line; none: everything.
    pub lines: BTreeMap<i32, i64>,
    /// Kept with the order.
    pub reason: String,
    /// 0: any.
    pub expected_version: i64,
    /// The request as it came.
    pub request: pb::CancelOrderRequest,
}

impl TryFrom<pb::CancelOrderRequest> for CancelOrder {
    type Error = Error;

    fn try_from(request: pb::CancelOrderRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let name = order_name(&mut v, "name", &request.name);
        if request.lines.len() > crate::convert::place::MOST_LINES {
            v.add("lines", "must have at most 10000 entries");
        }
        let mut lines = BTreeMap::new();
        for (i, line) in request.lines.iter().enumerate() {
            let quantity =
                v.within(&format!("lines[{i}].quantity"), line.quantity, 1, crate::convert::place::MOST_UNITS);
            if line.line_no < 1 {
                v.add(format!("lines[{i}].line_no"), "must be 1 or more");
            }
            if lines.insert(line.line_no, quantity).is_some() {
                v.add(format!("lines[{i}].line_no"), "is named twice");
            }
        }
        let reason = v.text("reason", request.reason.clone(), 0, 500);
        v.within("expected_version", request.expected_version, 0, i64::MAX);
        let expected_version = request.expected_version;
        Ok(v.into_result(Self { request_id, name, lines, reason, expected_version, request })?)
    }
}

/// What becomes of an order when a hold expires.
pub fn on_expiry(v: &mut Violations, field: &str, number: i32) -> pb::HoldExpiry {
    match known::<pb::HoldExpiry>(v, field, number) {
        Some(pb::HoldExpiry::Unspecified) | None => pb::HoldExpiry::Release,
        Some(expiry) => expiry,
    }
}

/// A hold that is asked for.
#[derive(Clone, Debug)]
pub struct HoldOrder {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The order.
    pub name: OrderName,
    /// For programs.
    pub reason: String,
    /// For people.
    pub note: String,
    /// Who has to decide.
    pub owner: String,
    /// None: never.
    pub expires_at: Option<OffsetDateTime>,
    /// What becomes of the order then.
    pub on_expiry: pb::HoldExpiry,
    /// The request as it came.
    pub request: pb::HoldOrderRequest,
}

impl TryFrom<pb::HoldOrderRequest> for HoldOrder {
    type Error = Error;

    fn try_from(request: pb::HoldOrderRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let held = Self {
            request_id: v.uuid("request_id", &request.request_id),
            name: order_name(&mut v, "name", &request.name),
            reason: reason(&mut v, "reason", request.reason.clone(), 1),
            note: v.text("note", request.note.clone(), 0, 500),
            owner: v.text("owner", request.owner.clone(), 0, 100),
            expires_at: v.time("expires_at", request.expires_at.as_ref()),
            on_expiry: on_expiry(&mut v, "on_expiry", request.on_expiry),
            request,
        };
        Ok(v.into_result(held)?)
    }
}

/// A hold that shall be lifted.
#[derive(Clone, Debug)]
pub struct ReleaseHold {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The order.
    pub name: OrderName,
    /// None: all holds.
    pub hold_id: Option<Uuid>,
    /// Of whoever lifts it.
    pub note: String,
    /// The request as it came.
    pub request: pb::ReleaseHoldRequest,
}

impl TryFrom<pb::ReleaseHoldRequest> for ReleaseHold {
    type Error = Error;

    fn try_from(request: pb::ReleaseHoldRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let release = Self {
            request_id: v.uuid("request_id", &request.request_id),
            name: order_name(&mut v, "name", &request.name),
            hold_id: v.optional_uuid("hold_id", &request.hold_id),
            note: v.text("note", request.note.clone(), 0, 500),
            request,
        };
        Ok(v.into_result(release)?)
    }
}
