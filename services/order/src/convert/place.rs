//! Reading orders to be placed.

use crate::convert::{address, delivery, promise};
use crate::delivery::Dates;
use crate::draft::{Buyer, Discount, Draft, DraftLine, PaymentToken};
use crate::price;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, ReservationPolicy};
use pesan_grpc::parse::{from_money, to_money};
use pesan_grpc::{Violations, json};
use pesan_money::Currency;
use prost::{Message as _, Name as _};
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
pub fn draft(mut order: pb::NewOrder, now: OffsetDateTime, traceparent: Option<String>) -> Result<Draft, Violations> {
    let mut v = Violations::new();
    let request_id = v.optional_uuid("request_id", &order.request_id);
    if order.request_id.is_empty() && order.external_id.is_empty() {
        v.add("request_id", "is required where external_id is not given: it makes a repeat safe");
    }
    // Without the request's id: the same order may be sent again under its external id alone.
    order.request_id.clear();
    let request_hash = Sha256::digest(order.encode_to_vec()).into();
    let redeems = promise::redeems(&order);
    let external_id =
        Some(v.text("external_id", std::mem::take(&mut order.external_id), 0, 100)).filter(|text| !text.is_empty());
    channel(&mut v, "channel", &order.channel);
    let buyer = match (order.customer_id.as_str(), order.customer_external_id.as_str()) {
        ("", "") => Buyer::Guest,
        ("", external) => Buyer::External(v.text("customer_external_id", external.to_owned(), 1, 100)),
        (id, "") => Buyer::Id(v.uuid("customer_id", id)),
        (_, _) => {
            v.add("customer_external_id", "must be empty where customer_id is given");
            Buyer::Guest
        }
    };
    let currency_is_given = !order.currency_code.is_empty();
    let currency = if currency_is_given {
        v.currency("currency_code", &order.currency_code)
    } else {
        currency_of_amounts(&mut v, &order)
    };
    let can_judge_amounts = currency.is_some() || !currency_is_given;
    let terms = delivery::terms(&mut v, order.delivery.as_ref(), &order.lines);
    let lines = lines(&mut v, order.lines, currency, can_judge_amounts);
    let order_discount = match currency {
        Some(currency) => {
            let asked = (order.order_discount.as_ref(), order.order_discount_basis_points);
            discount(&mut v, "order_discount", asked, currency)
        }
        None => basis_points(&mut v, "order_discount", order.order_discount_basis_points),
    };
    let ship_to = order.ship_to.map(|ship_to| address(&mut v, "ship_to", ship_to));
    if ship_to.is_none() && buyer == Buyer::Guest {
        v.add("ship_to", "is required for a guest");
    }
    let payment_method = given(PaymentMethod::Unspecified, known(&mut v, "payment_method", order.payment_method));
    if payment_method == Some(PaymentMethod::OnAccount) && buyer == Buyer::Guest {
        v.add("payment_method", "must be PAYMENT_METHOD_PROVIDER for a guest");
    }
    let payment_token = Some(v.text("payment_token", order.payment_token, 0, 500)).filter(|token| !token.is_empty());
    if let Some(method) = payment_method {
        payment_token_fits(&mut v, method, payment_token.is_some());
    }
    let reservation_policy = known(&mut v, "reservation_policy", order.reservation_policy);
    let fulfilment_policy = known(&mut v, "fulfilment_policy", order.fulfilment_policy);
    let placed_at = order.placed_at.as_ref().map(|placed_at| v.past_time("placed_at", Some(placed_at), now));
    let priority = order.priority.map(|priority| v.within("priority", priority, 0, 9));
    let sales_rep = v.text("sales_rep", order.sales_rep, 0, 100);
    let preferred_location_id = v.optional_uuid("preferred_location_id", &order.preferred_location_id);
    if let Err(amiss) = price::totals(&lines) {
        v.add(amiss.field(), amiss.to_string());
    }
    v.into_result(Draft {
        order_id: Uuid::now_v7(),
        request_id,
        request_hash,
        channel: order.channel,
        external_id,
        buyer,
        currency,
        currency_is_given,
        lines,
        order_discount,
        ship_to,
        payment_method,
        payment_token: payment_token.map(PaymentToken),
        reservation_policy: given(ReservationPolicy::Unspecified, reservation_policy),
        fulfilment_policy: given(FulfilmentPolicy::Unspecified, fulfilment_policy),
        placed_at,
        priority,
        preferred_location_id,
        sales_rep,
        traceparent,
        delivery: terms,
        promise: redeems,
    })
}

/// An enum value that says something.
pub(super) fn given<E: PartialEq>(unspecified: E, value: Option<E>) -> Option<E> {
    value.filter(|value| *value != unspecified)
}

/// The currency of the first amount there is.
fn currency_of_amounts(v: &mut Violations, order: &pb::NewOrder) -> Option<Currency> {
    let amounts = order.lines.iter().enumerate().flat_map(|(i, line)| {
        [("unit_price", &line.unit_price), ("discount", &line.discount), ("tax", &line.tax)]
            .into_iter()
            .filter_map(move |(field, amount)| Some((Some(i), field, amount.as_ref()?)))
    });
    let off_the_order = order.order_discount.iter().map(|amount| (None, "order_discount", amount));
    let (i, field, amount) = amounts.chain(off_the_order).next()?;
    let field = i.map_or_else(|| field.to_owned(), |i| format!("lines[{i}].{field}"));
    v.currency(&format!("{field}.currency_code"), &amount.currency_code)
}

/// The name of a channel.
pub fn channel(v: &mut Violations, field: &str, channel: &str) {
    let is_name = channel.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_name || channel.is_empty() || channel.len() > 40 {
        v.add(field, "must have 1 to 40 lower-case letters, digits and dashes");
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

/// A payment provider needs a token, and nobody else may have one.
pub fn payment_token_fits(v: &mut Violations, method: PaymentMethod, is_there: bool) {
    match (method, is_there) {
        (PaymentMethod::Provider, false) => v.add("payment_token", "is required"),
        (PaymentMethod::OnAccount | PaymentMethod::Unspecified, true) => {
            v.add("payment_token", "must be empty unless payment_method is PAYMENT_METHOD_PROVIDER");
        }
        (PaymentMethod::Provider, true) | (PaymentMethod::OnAccount | PaymentMethod::Unspecified, false) => {}
    }
}

/// A discount, as an amount or as a share.
fn discount(
    v: &mut Violations,
    field: &str,
    asked: (Option<&pesan_api::r#type::v1::Money>, i32),
    currency: Currency,
) -> Discount {
    let (amount, share) = asked;
    match (amount, basis_points(v, field, share)) {
        (None, share) => share,
        (Some(_), Discount::BasisPoints(_)) => {
            v.add(format!("{field}_basis_points"), format!("must be 0 where {field} is given"));
            Discount::None
        }
        (amount, _) => {
            let amount = v.amount_or_zero(field, amount, currency);
            if amount.is_zero() { Discount::None } else { Discount::Amount(amount) }
        }
    }
}

fn basis_points(v: &mut Violations, field: &str, share: i32) -> Discount {
    if share == 0 {
        return Discount::None;
    }
    Discount::BasisPoints(v.within(&format!("{field}_basis_points"), share, 1, 10_000))
}

fn lines(
    v: &mut Violations,
    lines: Vec<pb::NewOrderLine>,
    currency: Option<Currency>,
    can_judge_amounts: bool,
) -> Vec<DraftLine> {
    if lines.is_empty() || lines.len() > MOST_LINES {
        v.add("lines", format!("must have 1 to {MOST_LINES} entries, not {}", lines.len()));
        return Vec::new();
    }
    let read = |(i, line)| read_line(v, i, line, currency, can_judge_amounts);
    lines.into_iter().enumerate().map(read).collect()
}

pub(super) fn read_line(
    v: &mut Violations,
    i: usize,
    line: pb::NewOrderLine,
    currency: Option<Currency>,
    can_judge_amounts: bool,
) -> DraftLine {
    // Most lines are right: paths are made only for those that are not.
    let mut own = Violations::new();
    let sku = own.text("sku", line.sku, 1, 100);
    let description = own.text("description", line.description, 0, 500);
    let quantity = own.within("quantity", line.quantity, 1, MOST_UNITS);
    let is_priced = line.unit_price.is_some();
    let mut draft = DraftLine { sku, description, quantity, is_priced, ..DraftLine::default() };
    match currency {
        Some(currency) => {
            let asked = (line.discount.as_ref(), line.discount_basis_points);
            draft.asked_discount = discount(&mut own, "discount", asked, currency);
            if is_priced {
                draft.unit_price = own.price("unit_price", line.unit_price.as_ref(), currency).unwrap_or_default();
            }
            draft.tax = own.amount_or_zero("tax", line.tax.as_ref(), currency);
            if is_priced
                && own.is_empty()
                && let Err(amiss) = price::complete_line(currency, &mut draft)
            {
                own.add(amiss.field(), amiss.to_string());
            }
        }
        // Amounts cannot be judged without the currency; but there may be none.
        None if can_judge_amounts => {
            draft.asked_discount = basis_points(&mut own, "discount", line.discount_basis_points);
        }
        None => {}
    }
    for violation in own.as_slice() {
        v.add(format!("lines[{i}].{}", violation.field), violation.description.clone());
    }
    draft
}

/// The fields in which a draft asks for something else than the order there is. Fields that the draft leaves to be filled
/// in are taken to agree. None where it asks for the same in other words: its customer by the other id.
pub fn differing_fields(draft: &Draft, order: &pb::Order) -> Vec<String> {
    let given = |text: &str, known: &str| if text.is_empty() { known.to_owned() } else { text.to_owned() };
    let currency = draft.currency.map_or_else(|| order.currency_code.clone(), |currency| currency.code().to_owned());
    let lines = draft.lines.iter().enumerate().map(|(i, line)| {
        let mut asked = asked_line(draft, line, order.lines.get(i));
        let of_line = |(line_no, _): &&(i32, Dates)| usize::try_from(*line_no).is_ok_and(|line_no| line_no == i + 1);
        if let Some((_, dates)) = draft.delivery.as_ref().and_then(|terms| terms.lines.iter().find(of_line)) {
            asked.requested_ship_at = dates.ship_at.map(pesan_grpc::parse::to_timestamp);
            asked.requested_delivery_at = dates.deliver_at.map(pesan_grpc::parse::to_timestamp);
        }
        asked
    });
    let (customer_id, customer_external_id) = match &draft.buyer {
        Buyer::Guest => (String::new(), String::new()),
        Buyer::Id(id) => (id.to_string(), order.customer_external_id.clone()),
        Buyer::External(external_id) => (order.customer_id.clone(), external_id.clone()),
    };
    let order_discount = match (draft.order_discount, draft.currency) {
        (Discount::Amount(amount), Some(currency)) => super::money(currency, amount),
        (Discount::Amount(_) | Discount::BasisPoints(_), _) => order.order_discount.clone(),
        (Discount::None, _) => None,
    };
    let terms = draft.delivery.as_deref().cloned().unwrap_or_default();
    let asked = pb::NewOrder {
        delivery: Some(delivery::asked(&terms)),
        channel: draft.channel.clone(),
        external_id: draft.external_id.clone().unwrap_or_default(),
        customer_id,
        customer_external_id,
        currency_code: currency,
        lines: lines.collect(),
        ship_to: draft.ship_to.clone().or_else(|| order.ship_to.clone()),
        payment_method: draft.payment_method.map_or(order.payment_method, i32::from),
        reservation_policy: draft.reservation_policy.map_or(order.reservation_policy, i32::from),
        fulfilment_policy: draft.fulfilment_policy.map_or(order.fulfilment_policy, i32::from),
        placed_at: draft.placed_at.map(pesan_grpc::parse::to_timestamp).or(order.placed_at),
        priority: Some(draft.priority.unwrap_or(order.priority)),
        sales_rep: given(&draft.sales_rep, &order.sales_rep),
        order_discount: not_nothing(order_discount),
        preferred_location_id: draft
            .preferred_location_id
            .map_or_else(|| order.preferred_location_id.clone(), |id| id.to_string()),
        ..pb::NewOrder::default()
    };
    // Set by others since it was placed, perhaps.
    let mut placed = delivery::placed(order);
    placed.not_before = terms.not_before.map(pesan_grpc::parse::to_timestamp);
    placed.block = terms.block.clone().unwrap_or_default();
    let there = pb::NewOrder {
        delivery: Some(placed),
        channel: order.channel.clone(),
        external_id: order.external_id.clone(),
        customer_id: order.customer_id.clone(),
        customer_external_id: order.customer_external_id.clone(),
        currency_code: order.currency_code.clone(),
        lines: order.lines.iter().map(placed_line).collect(),
        ship_to: order.ship_to.clone(),
        payment_method: order.payment_method,
        reservation_policy: order.reservation_policy,
        fulfilment_policy: order.fulfilment_policy,
        placed_at: order.placed_at,
        priority: Some(order.priority),
        sales_rep: order.sales_rep.clone(),
        order_discount: not_nothing(order.order_discount.clone()),
        preferred_location_id: order.preferred_location_id.clone(),
        ..pb::NewOrder::default()
    };
    let name = pb::NewOrder::full_name();
    let mut fields = json::differing_fields(&name, &there.encode_to_vec(), &asked.encode_to_vec());
    if fields.is_empty() && draft.payment_token.is_some() {
        // The bodies differ, but not in what is kept of them.
        fields.push("payment_token".to_owned());
    }
    fields
}

fn asked_line(draft: &Draft, line: &DraftLine, placed: Option<&pb::OrderLine>) -> pb::NewOrderLine {
    let placed = placed.map(placed_line).unwrap_or_default();
    let amount = |amount| draft.currency.and_then(|currency| super::money(currency, amount));
    pb::NewOrderLine {
        sku: line.sku.clone(),
        description: line.description.clone(),
        quantity: line.quantity,
        unit_price: if line.is_priced { amount(line.unit_price) } else { placed.unit_price },
        discount: match line.asked_discount {
            Discount::None => None,
            Discount::Amount(discount) => not_nothing(amount(discount)),
            Discount::BasisPoints(_) if line.is_priced => not_nothing(amount(line.discount)),
            Discount::BasisPoints(_) => placed.discount,
        },
        tax: not_nothing(amount(line.tax)),
        discount_basis_points: 0,
        ..pb::NewOrderLine::default()
    }
}

/// What was asked for, as far as the line that came of it tells.
fn placed_line(line: &pb::OrderLine) -> pb::NewOrderLine {
    let own_discount = match (&line.discount, &line.order_discount) {
        (Some(discount), Some(part)) => {
            let own = from_money(discount).and_then(|discount| discount.checked_sub(from_money(part)?));
            own.ok().and_then(|own| to_money(&own))
        }
        (discount, _) => discount.clone(),
    };
    pb::NewOrderLine {
        sku: line.sku.clone(),
        description: line.description.clone(),
        quantity: line.quantities.as_ref().map_or(0, |q| q.ordered),
        unit_price: line.unit_price.clone(),
        discount: not_nothing(own_discount),
        tax: not_nothing(line.tax.clone()),
        discount_basis_points: 0,
        requested_ship_at: line.dates.as_ref().and_then(|dates| dates.requested_ship_at),
        requested_delivery_at: line.dates.as_ref().and_then(|dates| dates.requested_delivery_at),
    }
}

/// An amount; none for zero, so that both ways to say nothing are the same.
fn not_nothing(money: Option<pesan_api::r#type::v1::Money>) -> Option<pesan_api::r#type::v1::Money> {
    money.filter(|money| money.units != 0 || money.nanos != 0)
}
