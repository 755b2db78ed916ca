//! Requests, read: all that is wrong is told at once.

use crate::effective::Effective;
use crate::error::Error;
use crate::expected_return::{Inspected, OtherGoods};
use crate::fulfilment_order::{PickedLine, State, Wanted};
use crate::id::{FulfilmentOrderId, LocationId, OrderId, ReturnId};
use pesan_api::fulfilment::v1 as pb;
use pesan_grpc::idempotency::Claim;
use pesan_grpc::{Violations, page};
use prost::Message;
use prost_types::Timestamp;
use std::collections::HashSet;
use time::OffsetDateTime;
use uuid::Uuid;

/// Most lines of a request; the largest orders have some thousands.
const MAX_LINES: usize = 10_000;
/// Most of any quantity, in base units: far below where sums overflow.
const MAX_QUANTITY: i64 = 1_000_000_000_000;
/// Most parcels of one fulfilment order.
const MAX_PARCELS: usize = 1_000;
/// Most goods of a receipt that the order never had.
const MAX_OTHER_GOODS: usize = 1_000;
/// Most subjects of a question for digests.
const MAX_SUBJECTS: usize = 10_000;

/// What a caller calls a fulfilment order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Id(FulfilmentOrderId),
    Number(i64),
}

/// What a caller calls a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReturnName {
    Id(ReturnId),
    Number(String),
}

/// Pick it.
pub struct Pick {
    pub claim: Claim,
    pub name: Name,
    pub found: Vec<PickedLine>,
    pub effective: Effective,
}

/// Pack it.
pub struct Pack {
    pub claim: Claim,
    pub name: Name,
    /// Of each parcel, in grams.
    pub weights: Vec<i64>,
    pub effective: Effective,
}

/// Ship it.
pub struct Ship {
    pub claim: Claim,
    pub name: Name,
    pub effective: Effective,
}

/// It is delivered.
pub struct Deliver {
    pub claim: Claim,
    pub name: Name,
    pub effective: Effective,
}

/// Give quantities back to the order.
pub struct Withdraw {
    pub claim: Claim,
    pub order_id: OrderId,
    pub order_version: i64,
    pub wanted: Wanted,
}

/// Goods came back.
pub struct Receive {
    pub claim: Claim,
    pub name: ReturnName,
    pub location: Option<LocationId>,
    pub inspected: Vec<Inspected>,
    /// What is too much, or was never announced, is set aside.
    pub accepts_discrepancies: bool,
    pub other_goods: Vec<OtherGoods>,
    pub effective: Effective,
}

/// The end of a return.
pub struct Close {
    pub claim: Claim,
    pub name: ReturnName,
    pub only_if_untouched: bool,
}

/// Which fulfilment orders.
pub struct ListOrders {
    pub limit: i64,
    pub after: Option<FulfilmentOrderId>,
    pub order_id: Option<OrderId>,
    pub location_id: Option<LocationId>,
    /// Empty: all.
    pub states: Vec<State>,
}

/// Which returns.
pub struct ListReturns {
    pub limit: i64,
    pub after: Option<ReturnId>,
    pub open_only: bool,
}

/// An id or a number of a fulfilment order.
pub fn order_name(text: &str) -> Result<Name, Error> {
    let mut v = Violations::new();
    let name = name_of(&mut v, text);
    v.into_result(name).map_err(Error::Invalid)
}

/// An id or a number of a return.
pub fn return_name(text: &str) -> Result<ReturnName, Error> {
    let mut v = Violations::new();
    let name = return_name_of(&mut v, text);
    v.into_result(name).map_err(Error::Invalid)
}

fn name_of(v: &mut Violations, text: &str) -> Name {
    let number = text.strip_prefix("FO-").filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    if let Some(number) = number.and_then(|digits| digits.parse().ok()) {
        return Name::Number(number);
    }
    match Uuid::try_parse(text) {
        Ok(id) => Name::Id(FulfilmentOrderId(id)),
        Err(_) => {
            v.add("name", "must be the id or the number (\"FO-000123\") of a fulfilment order");
            Name::Number(0)
        }
    }
}

fn return_name_of(v: &mut Violations, text: &str) -> ReturnName {
    match Uuid::try_parse(text) {
        Ok(id) => ReturnName::Id(ReturnId(id)),
        Err(_) => ReturnName::Number(v.text("name", text.to_owned(), 1, 40)),
    }
}

fn claim<M: Message + prost::Name>(v: &mut Violations, method: &'static str, request: &M, request_id: &str) -> Claim {
    debug_assert_eq!(method, M::full_name());
    Claim { request_id: v.uuid("request_id", request_id), method, body: request.encode_to_vec() }
}

fn effective(v: &mut Violations, said: Option<&Timestamp>, now: OffsetDateTime) -> Effective {
    let time = v.past_time("effective_at", said, now);
    Effective { said: said.map(|_| time), now }
}

/// At most so many, and none twice.
fn line_numbers(v: &mut Violations, numbers: impl ExactSizeIterator<Item = i32>) {
    if numbers.len() > MAX_LINES {
        v.add("lines", format!("must be at most {MAX_LINES}, not {}", numbers.len()));
    }
    let mut seen = HashSet::with_capacity(numbers.len());
    for (i, number) in numbers.enumerate() {
        if !seen.insert(number) {
            v.add(format!("lines[{i}].line_no"), "is there twice");
        }
    }
}

pub fn pick(request: pb::PickRequest, now: OffsetDateTime) -> Result<Pick, Error> {
    let mut v = Violations::new();
    let claim = claim(&mut v, "pesan.fulfilment.v1.PickRequest", &request, &request.request_id);
    let name = name_of(&mut v, &request.name);
    line_numbers(&mut v, request.lines.iter().map(|line| line.line_no));
    let mut found = Vec::with_capacity(request.lines.len());
    for (i, line) in request.lines.iter().enumerate() {
        let quantity = v.within(&format!("lines[{i}].quantity"), line.quantity, 0, MAX_QUANTITY);
        found.push(PickedLine { line_no: line.line_no, quantity });
    }
    let effective = effective(&mut v, request.effective_at.as_ref(), now);
    v.into_result(Pick { claim, name, found, effective }).map_err(Error::Invalid)
}

pub fn pack(request: pb::PackRequest, now: OffsetDateTime) -> Result<Pack, Error> {
    let mut v = Violations::new();
    let claim = claim(&mut v, "pesan.fulfilment.v1.PackRequest", &request, &request.request_id);
    let name = name_of(&mut v, &request.name);
    if request.parcels.len() > MAX_PARCELS {
        v.add("parcels", format!("must be at most {MAX_PARCELS}, not {}", request.parcels.len()));
    }
    let mut weights = Vec::with_capacity(request.parcels.len());
    for (i, parcel) in request.parcels.iter().enumerate() {
        weights.push(v.within(&format!("parcels[{i}].weight_grams"), parcel.weight_grams, 0, MAX_QUANTITY));
    }
    let effective = effective(&mut v, request.effective_at.as_ref(), now);
    v.into_result(Pack { claim, name, weights, effective }).map_err(Error::Invalid)
}

pub fn ship(request: pb::ShipRequest, now: OffsetDateTime) -> Result<Ship, Error> {
    let mut v = Violations::new();
    let claim = claim(&mut v, "pesan.fulfilment.v1.ShipRequest", &request, &request.request_id);
    let name = name_of(&mut v, &request.name);
    let effective = effective(&mut v, request.effective_at.as_ref(), now);
    v.into_result(Ship { claim, name, effective }).map_err(Error::Invalid)
}

pub fn deliver(request: pb::ConfirmDeliveryRequest, now: OffsetDateTime) -> Result<Deliver, Error> {
    let mut v = Violations::new();
    let claim = claim(&mut v, "pesan.fulfilment.v1.ConfirmDeliveryRequest", &request, &request.request_id);
    let name = name_of(&mut v, &request.name);
    let effective = effective(&mut v, request.effective_at.as_ref(), now);
    v.into_result(Deliver { claim, name, effective }).map_err(Error::Invalid)
}

pub fn withdraw(request: pb::WithdrawLinesRequest) -> Result<Withdraw, Error> {
    let mut v = Violations::new();
    let claim = claim(&mut v, "pesan.fulfilment.v1.WithdrawLinesRequest", &request, &request.request_id);
    let order_id = OrderId(v.uuid("order_id", &request.order_id));
    let order_version = v.within("order_version", request.order_version, 1, i64::MAX);
    if request.lines.is_empty() || request.lines.len() > MAX_LINES {
        v.add("lines", format!("must be 1 to {MAX_LINES}, not {}", request.lines.len()));
    }
    let mut wanted = Wanted::new();
    for (i, line) in request.lines.iter().enumerate() {
        // Empty: a service that is tied to no place.
        let location = v.optional_uuid(&format!("lines[{i}].location_id"), &line.location_id).unwrap_or_default();
        let quantity = v.within(&format!("lines[{i}].quantity"), line.quantity, 1, MAX_QUANTITY);
        if wanted.insert((line.line_no, LocationId(location)), quantity).is_some() {
            v.add(format!("lines[{i}].line_no"), "is there twice for this location");
        }
    }
    v.into_result(Withdraw { claim, order_id, order_version, wanted }).map_err(Error::Invalid)
}

pub fn receive(request: pb::ReceiveReturnRequest, now: OffsetDateTime) -> Result<Receive, Error> {
    let mut v = Violations::new();
    let claim = claim(&mut v, "pesan.fulfilment.v1.ReceiveReturnRequest", &request, &request.request_id);
    let name = return_name_of(&mut v, &request.name);
    let location = v.optional_uuid("location_id", &request.location_id).map(LocationId);
    if request.lines.is_empty() && request.other_goods.is_empty() {
        v.add("lines", "is required: what came back");
    }
    if request.other_goods.len() > MAX_OTHER_GOODS {
        v.add("other_goods", format!("must have at most {MAX_OTHER_GOODS} entries"));
    }
    if !request.other_goods.is_empty() && !request.accept_discrepancies {
        v.add("other_goods", "need accept_discrepancies");
    }
    let mut other_goods = Vec::with_capacity(request.other_goods.len().min(MAX_OTHER_GOODS));
    for (i, goods) in request.other_goods.into_iter().take(MAX_OTHER_GOODS).enumerate() {
        let at = |field: &str| format!("other_goods[{i}].{field}");
        if goods.sellable == 0 && goods.damaged == 0 {
            v.add(format!("other_goods[{i}]"), "must say what came back: sellable, damaged or both");
        }
        other_goods.push(OtherGoods {
            sku: v.text(&at("sku"), goods.sku, 1, 100),
            sellable: v.within(&at("sellable"), goods.sellable, 0, MAX_QUANTITY),
            damaged: v.within(&at("damaged"), goods.damaged, 0, MAX_QUANTITY),
            note: v.text(&at("note"), goods.note, 0, 1000),
        });
    }
    line_numbers(&mut v, request.lines.iter().map(|line| line.line_no));
    let effective = effective(&mut v, request.effective_at.as_ref(), now);
    let mut inspected = Vec::with_capacity(request.lines.len());
    for (i, line) in request.lines.into_iter().enumerate() {
        let sellable = v.within(&format!("lines[{i}].sellable"), line.sellable, 0, MAX_QUANTITY);
        let damaged = v.within(&format!("lines[{i}].damaged"), line.damaged, 0, MAX_QUANTITY);
        if sellable == 0 && damaged == 0 {
            v.add(format!("lines[{i}]"), "must say what came back: sellable, damaged or both");
        }
        let note = v.text(&format!("lines[{i}].note"), line.note, 0, 1000);
        inspected.push(Inspected { line_no: line.line_no, sellable, damaged, note });
    }
    let accepts_discrepancies = request.accept_discrepancies;
    v.into_result(Receive { claim, name, location, inspected, accepts_discrepancies, other_goods, effective })
        .map_err(Error::Invalid)
}

pub fn close(request: pb::CloseExpectedReturnRequest) -> Result<Close, Error> {
    let mut v = Violations::new();
    let claim = claim(&mut v, "pesan.fulfilment.v1.CloseExpectedReturnRequest", &request, &request.request_id);
    let name = return_name_of(&mut v, &request.name);
    v.into_result(Close { claim, name, only_if_untouched: request.only_if_untouched }).map_err(Error::Invalid)
}

pub fn list_orders(request: pb::ListFulfilmentOrdersRequest) -> Result<ListOrders, Error> {
    let mut v = Violations::new();
    let limit = page::size(&mut v, request.page_size);
    let after = after(&mut v, &request.page_token).map(FulfilmentOrderId);
    let order_id = v.optional_uuid("order_id", &request.order_id).map(OrderId);
    let location_id = v.optional_uuid("location_id", &request.location_id).map(LocationId);
    let mut states = Vec::with_capacity(State::ALL.len());
    for (i, number) in request.states.iter().take(100).enumerate() {
        match State::ALL.into_iter().find(|state| *state as i32 == *number) {
            Some(state) => states.push(state),
            None => v.add(format!("states[{i}]"), "must be a state of fulfilment orders"),
        }
    }
    v.into_result(ListOrders { limit, after, order_id, location_id, states }).map_err(Error::Invalid)
}

pub fn list_returns(request: pb::ListExpectedReturnsRequest) -> Result<ListReturns, Error> {
    let mut v = Violations::new();
    let limit = page::size(&mut v, request.page_size);
    let after = after(&mut v, &request.page_token).map(ReturnId);
    v.into_result(ListReturns { limit, after, open_only: request.open_only }).map_err(Error::Invalid)
}

/// The id in a page token.
fn after(v: &mut Violations, token: &str) -> Option<Uuid> {
    let key = page::key(v, token, 1)?;
    let id = key.first().and_then(|text| Uuid::try_parse(text).ok());
    if id.is_none() {
        v.add("page_token", "must come from the answer to the same request");
    }
    id
}

/// The orders whose digests are asked for; none: all.
pub fn subjects(texts: &[String]) -> Result<Vec<OrderId>, Error> {
    let mut v = Violations::new();
    if texts.len() > MAX_SUBJECTS {
        v.add("subjects", format!("must be at most {MAX_SUBJECTS}, not {}", texts.len()));
    }
    let ids = texts.iter().take(MAX_SUBJECTS).enumerate();
    let ids = ids.map(|(i, text)| OrderId(v.uuid(&format!("subjects[{i}]"), text))).collect();
    v.into_result(ids).map_err(Error::Invalid)
}
