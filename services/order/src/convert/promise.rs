//! Promises of orders that are not placed.

use crate::convert::place::draft;
use crate::convert::{location_text, money};
use crate::delivery::Dates;
use crate::draft::{Draft, PromiseToken, PromisedPrice, Ready};
use crate::error::Error;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{PaymentMethod, SupplySource};
use pesan_grpc::Violations;
use pesan_grpc::parse::{from_money, from_timestamp, to_timestamp};
use prost::Message as _;
use prost_types::Timestamp;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

const PREFIX: &str = "promise-";

/// A token as clients see it.
pub fn token_text(token: Uuid) -> String {
    format!("{PREFIX}{}", token.simple())
}

/// The token that a client's text is.
pub fn read_token(text: &str) -> Option<Uuid> {
    text.strip_prefix(PREFIX).and_then(|text| Uuid::try_parse(text).ok())
}

/// What an order says to redeem a promise; none where it says nothing.
pub fn redeems(order: &pb::NewOrder) -> Option<Box<PromiseToken>> {
    let text = order.promise_token.as_str();
    (!text.is_empty()).then(|| {
        Box::new(PromiseToken { token: read_token(text), wanted: wanted(order), prices: None, promised_at: None })
    })
}

/// As much of an order as has to be what was promised, encoded.
pub fn wanted(order: &pb::NewOrder) -> Vec<u8> {
    let kept = pb::NewOrder {
        request_id: String::new(),
        external_id: String::new(),
        payment_method: 0,
        payment_token: String::new(),
        placed_at: None,
        sales_rep: String::new(),
        promise_token: String::new(),
        ..order.clone()
    };
    kept.encode_to_vec()
}

/// An order as [`wanted`], without the unit prices that the promise was asked without: there the promised ones measure it.
pub fn without_new_prices(order: &[u8], promised: &[u8]) -> Option<Vec<u8>> {
    let promised = pb::NewOrder::decode(promised).ok()?;
    let mut order = pb::NewOrder::decode(order).ok()?;
    for (line, promised) in order.lines.iter_mut().zip(&promised.lines) {
        if promised.unit_price.is_none() {
            line.unit_price = None;
        }
    }
    Some(order.encode_to_vec())
}

/// What a promise says of the prices of its lines, for the order that is placed with it.
pub fn promised_prices(promise: &pb::OrderPromise) -> Vec<PromisedPrice> {
    let price = |line: &pb::PromisedLine| PromisedPrice {
        list_price: line.list_price.as_ref().and_then(|price| Some(from_money(price).ok()?.amount)),
        price_list: Some(line.price_list.as_str()).filter(|code| !code.is_empty()).map(Into::into),
    };
    promise.lines.iter().map(price).collect()
}

/// A promise that is asked for.
#[derive(Clone, Debug)]
pub struct PromiseOrder {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The order, as it would be placed.
    pub draft: Draft,
    /// Hold what is promised.
    pub hold_stock: bool,
    /// See [`wanted`].
    pub wanted: Vec<u8>,
    /// The request as it came, without its payment token.
    pub request: pb::PromiseOrderRequest,
}

impl PromiseOrder {
    /// Reads a request; paths start at it.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(
        mut request: pb::PromiseOrderRequest,
        now: OffsetDateTime,
        traceparent: Option<String>,
    ) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let Some(order) = &mut request.order else {
            v.add("order", "is required");
            return Err(v.into());
        };
        order.payment_token.clear();
        if !order.promise_token.is_empty() {
            v.add("order.promise_token", "must be empty: this asks for a promise");
        }
        let asked = order.clone();
        // How it is paid is not looked at: it is read as if somebody paid.
        let read = pb::NewOrder {
            request_id: if request_id.is_nil() { Uuid::max().to_string() } else { request_id.to_string() },
            payment_method: PaymentMethod::Provider.into(),
            payment_token: "none".to_owned(),
            ..asked.clone()
        };
        let draft = match draft(read, now, traceparent) {
            Ok(draft) => draft,
            Err(violations) => {
                for violation in violations.as_slice() {
                    v.add(format!("order.{}", violation.field), violation.description.clone());
                }
                return Err(v.into());
            }
        };
        let hold_stock = request.hold_stock;
        Ok(v.into_result(Self { request_id, draft, hold_stock, wanted: wanted(&asked), request })?)
    }
}

/// A promise that is let go.
#[derive(Clone, Debug)]
pub struct ReleasePromise {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// Of the promise.
    pub token: Uuid,
    /// The request as it came.
    pub request: pb::ReleasePromiseRequest,
}

impl TryFrom<pb::ReleasePromiseRequest> for ReleasePromise {
    type Error = Error;

    fn try_from(request: pb::ReleasePromiseRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let token = read_token(&request.token).unwrap_or_else(|| {
            v.add("token", "must be the token of a promise");
            Uuid::nil()
        });
        Ok(v.into_result(Self { request_id, token, request })?)
    }
}

/// What inventory promises, as the order's client sees it; `token` and the rest of the heading are filled in later.
pub fn promise(ready: &Ready<'_>, promised: &inventory::OrderPromise) -> pb::OrderPromise {
    let amount = |amount| money(ready.currency, amount);
    let is_complete = ready.draft.delivery.as_ref().is_some_and(|terms| terms.is_complete);
    let terms = ready.draft.delivery.as_deref().cloned().unwrap_or_default();
    let wishes: HashMap<i32, Dates> = terms.lines.iter().copied().collect();
    let by_line: HashMap<i32, &inventory::LinePromise> =
        promised.lines.iter().map(|line| (line.line_no, line)).collect();
    let whole = dates(promised.ship_at.as_ref(), promised.deliver_at.as_ref());
    let mut is_late = whole.are_later_than(&terms.requested);
    let lines = (1..).zip(ready.lines.iter()).map(|(line_no, line)| {
        let told = by_line.get(&line_no).copied().cloned().unwrap_or_default();
        let parts = parts(&told);
        let own = if is_complete { whole } else { last(&parts, told.undated) };
        let late = own.are_later_than(&wishes.get(&line_no).copied().unwrap_or_default().or(terms.requested));
        is_late |= late;
        pb::PromisedLine {
            line_no,
            sku: line.sku.clone(),
            quantity: line.quantity,
            unit_price: amount(line.unit_price),
            line_total: amount(line.line_total),
            discount: amount(line.discount),
            tax: amount(line.tax),
            price_list: line.price_list.as_deref().unwrap_or_default().to_owned(),
            parts,
            undated: told.undated,
            refused: told.refused,
            ship_at: own.ship_at.map(to_timestamp),
            deliver_at: own.deliver_at.map(to_timestamp),
            late,
            why: told.why,
            list_price: line.list_price.and_then(amount),
        }
    });
    let lines = lines.collect();
    let totals = &ready.totals;
    pb::OrderPromise {
        currency_code: ready.currency.code().to_owned(),
        gross: amount(totals.gross),
        discount: amount(totals.discount),
        tax: amount(totals.tax),
        total: amount(totals.gross - totals.discount + totals.tax),
        lines,
        ship_at: promised.ship_at,
        deliver_at: promised.deliver_at,
        refused: promised.refused,
        late: is_late,
        ..Default::default()
    }
}

fn parts(line: &inventory::LinePromise) -> Vec<pb::PromisedPart> {
    let there = line.sources.iter().map(|source| pb::PromisedPart {
        location_id: location_text(source.location_id.parse().unwrap_or_default()),
        quantity: source.quantity,
        ship_at: source.ship_at,
        deliver_at: source.deliver_at,
        supply: None,
    });
    let coming = line.supplies.iter().map(|supply| pb::PromisedPart {
        location_id: supply.location_id.clone(),
        quantity: supply.quantity,
        ship_at: supply.ship_at,
        deliver_at: supply.deliver_at,
        supply: Some(pb::AwaitedSupply {
            source: match supply.kind() {
                inventory::SupplyKind::PurchaseOrder => SupplySource::PurchaseOrder,
                inventory::SupplyKind::Transfer => SupplySource::Transfer,
                inventory::SupplyKind::Unspecified => SupplySource::Unspecified,
            }
            .into(),
            document_id: supply.document_id.clone(),
            number: supply.number.clone(),
            expected_at: supply.expected_at,
        }),
    });
    there.chain(coming).collect()
}

/// When the last part leaves and arrives; unknown where one of them is.
fn last(parts: &[pb::PromisedPart], undated: i64) -> Dates {
    if undated > 0 {
        return Dates::default();
    }
    let latest = |of: fn(&pb::PromisedPart) -> Option<&Timestamp>| {
        let all: Option<Vec<OffsetDateTime>> = parts.iter().map(|part| of(part).and_then(from_timestamp)).collect();
        all.and_then(|all| all.into_iter().max())
    };
    Dates { ship_at: latest(|part| part.ship_at.as_ref()), deliver_at: latest(|part| part.deliver_at.as_ref()) }
}

/// Dates as messages hold them.
pub fn dates(ship_at: Option<&Timestamp>, deliver_at: Option<&Timestamp>) -> Dates {
    Dates { ship_at: ship_at.and_then(from_timestamp), deliver_at: deliver_at.and_then(from_timestamp) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_dated_by_its_last_part_or_not_at_all() {
        let at = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let part = |ship_at, deliver_at| pb::PromisedPart { ship_at, deliver_at, ..Default::default() };
        let parts = [part(at(10), at(30)), part(at(20), None)];
        assert_eq!(last(&parts, 0), dates(at(20).as_ref(), None));
        assert_eq!(last(&parts[..1], 0), dates(at(10).as_ref(), at(30).as_ref()));
        assert_eq!(last(&parts[..1], 1), Dates::default());
        assert_eq!(last(&[], 0), Dates::default());
    }

    #[test]
    fn only_what_has_to_be_the_same_is_compared() {
        let order = pb::NewOrder { channel: "web".into(), ..Default::default() };
        let paid = pb::NewOrder {
            request_id: "r".into(),
            external_id: "e".into(),
            payment_token: "tok".into(),
            promise_token: "t".into(),
            ..order.clone()
        };
        assert_eq!(wanted(&order), wanted(&paid));
        assert_ne!(wanted(&order), wanted(&pb::NewOrder { priority: Some(1), ..order.clone() }));
        let token = Uuid::from_u128(7);
        let with_token = pb::NewOrder { promise_token: token_text(token), ..order };
        assert_eq!(redeems(&with_token).unwrap().token, Some(token));
        assert_eq!(redeems(&paid).unwrap().token, None);
    }
}
