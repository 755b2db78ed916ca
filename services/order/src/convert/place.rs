//! Reading orders to be placed.

use crate::convert::address;
use crate::draft::{Buyer, Draft, DraftLine, PaymentToken, Totals};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, ReservationPolicy};
use pesan_grpc::{Violations, json};
use pesan_money::{Currency, Money};
use prost::{Message as _, Name as _};
use rust_decimal::Decimal;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// Most lines of an order.
pub const MOST_LINES: usize = 10_000;
/// Most base units of a line.
pub const MOST_UNITS: i64 = 1_000_000_000;

/// Reads an order to be placed; paths start at the order. `now` is only what `placed_at` must not be after.
///
/// # Errors
/// All that is wrong with it.
pub fn draft(order: pb::NewOrder, now: OffsetDateTime, traceparent: Option<String>) -> Result<Draft, Violations> {
    let mut v = Violations::new();
    let request_hash = Sha256::digest(order.encode_to_vec()).into();
    let request_id = v.optional_uuid("request_id", &order.request_id);
    channel(&mut v, &order.channel);
    let external_id = Some(v.text("external_id", order.external_id, 0, 100)).filter(|text| !text.is_empty());
    if order.request_id.is_empty() && external_id.is_none() {
        v.add("request_id", "is required where external_id is not given: it makes a repeat safe");
    }
    let buyer = match (order.customer_id.as_str(), order.customer_external_id.as_str()) {
        ("", "") => Buyer::Guest,
        ("", external) => Buyer::External(v.text("customer_external_id", external.to_owned(), 1, 100)),
        (id, "") => Buyer::Id(v.uuid("customer_id", id)),
        (_, _) => {
            v.add("customer_external_id", "must be empty where customer_id is given");
            Buyer::Guest
        }
    };
    let currency = v.currency("currency_code", &order.currency_code);
    let lines = lines(&mut v, order.lines, currency);
    let ship_to = order.ship_to.map(|ship_to| address(&mut v, "ship_to", ship_to));
    if ship_to.is_none() && buyer == Buyer::Guest {
        v.add("ship_to", "is required for a guest");
    }
    let payment_method = payment_method(&mut v, order.payment_method, &buyer);
    let payment_token = payment_token(&mut v, order.payment_token, payment_method);
    let reservation_policy = match known::<ReservationPolicy>(&mut v, "reservation_policy", order.reservation_policy) {
        Some(ReservationPolicy::Unspecified) | None => ReservationPolicy::Backorder,
        Some(policy) => policy,
    };
    let fulfilment_policy = match known::<FulfilmentPolicy>(&mut v, "fulfilment_policy", order.fulfilment_policy) {
        Some(FulfilmentPolicy::Unspecified) | None => FulfilmentPolicy::Standard,
        Some(policy) => policy,
    };
    let placed_at = order.placed_at.as_ref().map(|placed_at| v.past_time("placed_at", Some(placed_at), now));
    let priority = v.within("priority", order.priority.unwrap_or(5), 0, 9);
    let sales_rep = v.text("sales_rep", order.sales_rep, 0, 100);
    let totals = totals(&mut v, &lines);
    let Some(currency) = currency else { return Err(v) };
    v.into_result(Draft {
        order_id: Uuid::now_v7(),
        request_id,
        request_hash,
        channel: order.channel,
        external_id,
        buyer,
        currency,
        lines,
        ship_to,
        payment_method,
        payment_token,
        reservation_policy,
        fulfilment_policy,
        placed_at,
        priority,
        sales_rep,
        traceparent,
        totals,
    })
}

fn channel(v: &mut Violations, channel: &str) {
    let is_name = channel.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_name || channel.is_empty() || channel.len() > 40 {
        v.add("channel", "must have 1 to 40 lower-case letters, digits and dashes");
    }
}

/// An enum value that we know; a violation where the caller's is newer than we are.
pub fn known<E: TryFrom<i32>>(v: &mut Violations, field: &str, number: i32) -> Option<E> {
    let value = E::try_from(number).ok();
    if value.is_none() {
        v.add(field, format!("{number} is not a value of this enum"));
    }
    value
}

fn payment_method(v: &mut Violations, number: i32, buyer: &Buyer) -> Option<PaymentMethod> {
    let is_guest = *buyer == Buyer::Guest;
    match known::<PaymentMethod>(v, "payment_method", number)? {
        PaymentMethod::Unspecified | PaymentMethod::OnAccount if is_guest => {
            v.add("payment_method", "must be PAYMENT_METHOD_PROVIDER for a guest");
            None
        }
        PaymentMethod::Unspecified => Some(PaymentMethod::OnAccount),
        method => Some(method),
    }
}

fn payment_token(v: &mut Violations, token: String, method: Option<PaymentMethod>) -> Option<PaymentToken> {
    match method {
        Some(PaymentMethod::Provider) => Some(PaymentToken(v.text("payment_token", token, 1, 500))),
        None => None, // the method is wrong already
        Some(_) if token.is_empty() => None,
        Some(_) => {
            v.add("payment_token", "must be empty unless payment_method is PAYMENT_METHOD_PROVIDER");
            None
        }
    }
}

fn lines(v: &mut Violations, lines: Vec<pb::NewOrderLine>, currency: Option<Currency>) -> Vec<DraftLine> {
    if lines.is_empty() || lines.len() > MOST_LINES {
        v.add("lines", format!("must have 1 to {MOST_LINES} entries, not {}", lines.len()));
        return Vec::new();
    }
    lines.into_iter().enumerate().map(|(i, line)| read_line(v, i, line, currency)).collect()
}

fn read_line(v: &mut Violations, i: usize, line: pb::NewOrderLine, currency: Option<Currency>) -> DraftLine {
    // Most lines are right: paths are made only for those that are not.
    let mut own = Violations::new();
    let sku = own.text("sku", line.sku, 1, 100);
    let description = own.text("description", line.description, 0, 500);
    let quantity = own.within("quantity", line.quantity, 1, MOST_UNITS);
    let mut draft = DraftLine { sku, description, quantity, ..DraftLine::default() };
    // Amounts cannot be judged without the currency.
    if let Some(currency) = currency {
        let unit_price = own.price("unit_price", line.unit_price.as_ref(), currency).unwrap_or_default();
        let line_total =
            if own.is_empty() { line_total(&mut own, currency, unit_price, quantity) } else { Decimal::ZERO };
        let discount = own.amount_or_zero("discount", line.discount.as_ref(), currency);
        if discount > line_total && own.is_empty() {
            own.add("discount", format!("must not be more than the line total, {line_total}"));
        }
        let tax = own.amount_or_zero("tax", line.tax.as_ref(), currency);
        draft = DraftLine { unit_price, line_total, discount, tax, ..draft };
    }
    for violation in own.as_slice() {
        v.add(format!("lines[{i}].{}", violation.field), violation.description.clone());
    }
    draft
}

fn line_total(v: &mut Violations, currency: Currency, unit_price: Decimal, quantity: i64) -> Decimal {
    let total = Money::line_total(currency, unit_price, quantity);
    match total.and_then(|total| total.to_units_nanos().map(|_| total.amount)) {
        Ok(amount) => amount,
        Err(_) => {
            v.add("quantity", "makes the line total too large");
            Decimal::ZERO
        }
    }
}

/// Sums that fit their proto form, and so every share of them does.
fn totals(v: &mut Violations, lines: &[DraftLine]) -> Totals {
    let most = Decimal::from(i64::MAX);
    match Totals::of(lines).filter(|totals| totals.gross + totals.tax < most) {
        Some(totals) => totals,
        None => {
            v.add("lines", "add up to more than an amount can hold");
            Totals::default()
        }
    }
}

/// The fields in which a draft asks for something else than the order there is. Fields the draft leaves to be filled in
/// are taken to agree.
pub fn differing_fields(draft: &Draft, order: &pb::Order) -> Vec<String> {
    let given = |text: &str, known: &str| if text.is_empty() { known.to_owned() } else { text.to_owned() };
    let line = |line: &DraftLine| pb::NewOrderLine {
        sku: line.sku.clone(),
        description: line.description.clone(),
        quantity: line.quantity,
        unit_price: super::money(draft.currency, line.unit_price),
        discount: super::money(draft.currency, line.discount),
        tax: super::money(draft.currency, line.tax),
    };
    let (customer_id, customer_external_id) = match &draft.buyer {
        Buyer::Guest => (String::new(), String::new()),
        Buyer::Id(id) => (id.to_string(), order.customer_external_id.clone()),
        Buyer::External(external_id) => (order.customer_id.clone(), external_id.clone()),
    };
    let asked = pb::NewOrder {
        request_id: String::new(),
        channel: draft.channel.clone(),
        external_id: draft.external_id.clone().unwrap_or_default(),
        customer_id,
        customer_external_id,
        currency_code: draft.currency.code().to_owned(),
        lines: draft.lines.iter().map(line).collect(),
        ship_to: draft.ship_to.clone().or_else(|| order.ship_to.clone()),
        payment_method: draft.payment_method.map_or(order.payment_method, i32::from),
        payment_token: String::new(),
        reservation_policy: draft.reservation_policy.into(),
        fulfilment_policy: draft.fulfilment_policy.into(),
        placed_at: draft.placed_at.map(pesan_grpc::parse::to_timestamp).or(order.placed_at),
        priority: Some(draft.priority),
        sales_rep: given(&draft.sales_rep, &order.sales_rep),
    };
    let there = pb::NewOrder {
        request_id: String::new(),
        channel: order.channel.clone(),
        external_id: order.external_id.clone(),
        customer_id: order.customer_id.clone(),
        customer_external_id: order.customer_external_id.clone(),
        currency_code: order.currency_code.clone(),
        lines: order.lines.iter().map(placed_line).collect(),
        ship_to: order.ship_to.clone(),
        payment_method: order.payment_method,
        payment_token: String::new(),
        reservation_policy: order.reservation_policy,
        fulfilment_policy: order.fulfilment_policy,
        placed_at: order.placed_at,
        priority: Some(order.priority),
        sales_rep: order.sales_rep.clone(),
    };
    let name = pb::NewOrder::full_name();
    let mut fields = json::differing_fields(&name, &there.encode_to_vec(), &asked.encode_to_vec());
    if fields.is_empty() {
        // The bodies differ, but not in what is kept of them.
        fields.push("payment_token".to_owned());
    }
    fields
}

fn placed_line(line: &pb::OrderLine) -> pb::NewOrderLine {
    pb::NewOrderLine {
        sku: line.sku.clone(),
        description: line.description.clone(),
        quantity: line.quantities.as_ref().map_or(0, |q| q.ordered),
        unit_price: line.unit_price.clone(),
        discount: line.discount.clone(),
        tax: line.tax.clone(),
    }
}
