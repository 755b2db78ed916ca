//! What expressions read: an order, where it goes, who ordered it, and its lines.

use super::address;
use super::expression;
use crate::customer::Customer;
use crate::draft::Ready;
use crate::order::Order;
use cel::objects::{Key, Map};
use cel::{Context, Value};
use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, ReservationPolicy};
use pesan_api::r#type::v1::Address;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use std::collections::HashMap;
use std::sync::Arc;
use time::OffsetDateTime;

/// Every variable but `now`, with its fields; those of `lines` are its elements'.
pub const FIELDS: [(&str, &[&str]); 4] =
    [("order", &ORDER), ("ship_to", &SHIP_TO), ("customer", &CUSTOMER), ("lines", &LINE)];
const ORDER: [&str; 18] = [
    "channel",
    "external_id",
    "currency",
    "gross",
    "discount",
    "tax",
    "total",
    "units",
    "line_count",
    "priority",
    "sales_rep",
    "payment_method",
    "reservation_policy",
    "fulfilment_policy",
    "placed_at",
    "placed_hour",
    "placed_weekday",
    "tags",
];
const SHIP_TO: [&str; 9] =
    ["recipient", "lines", "city", "region", "postal_code", "country", "email", "phone", "problems"];
const CUSTOMER: [&str; 7] = ["known", "id", "external_id", "name", "email", "segment", "sales_rep"];
const LINE: [&str; 8] = ["line_no", "sku", "description", "quantity", "unit_price", "line_total", "discount", "tax"];

/// An order as rules see it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// Where it came from.
    pub channel: &'a str,
    /// Its id there; empty if none.
    pub external_id: &'a str,
    /// ISO 4217.
    pub currency: &'a str,
    /// Σ line totals.
    pub gross: Decimal,
    /// Σ discounts.
    pub discount: Decimal,
    /// Σ taxes.
    pub tax: Decimal,
    /// Σ quantities.
    pub units: i64,
    /// 0 to 9.
    pub priority: i32,
    /// Who looks after it.
    pub sales_rep: &'a str,
    /// How it is paid.
    pub payment_method: PaymentMethod,
    /// What to do about shortages.
    pub reservation_policy: ReservationPolicy,
    /// How it is shipped.
    pub fulfilment_policy: FulfilmentPolicy,
    /// When the customer placed it.
    pub placed_at: OffsetDateTime,
    /// Put on already.
    pub tags: &'a [String],
    /// Where it goes.
    pub ship_to: &'a Address,
    /// None for a guest.
    pub customer: Option<&'a Customer>,
    /// What is ordered, by number.
    pub lines: Vec<SubjectLine<'a>>,
    /// Now.
    pub now: OffsetDateTime,
}

/// A line as rules see it.
#[derive(Clone, Copy, Debug)]
pub struct SubjectLine<'a> {
    /// The item.
    pub sku: &'a str,
    /// For people.
    pub description: &'a str,
    /// Ordered.
    pub quantity: i64,
    /// Of one base unit.
    pub unit_price: Decimal,
    /// For all of it.
    pub line_total: Decimal,
    /// For all of it.
    pub discount: Decimal,
    /// For all of it.
    pub tax: Decimal,
}

impl<'a> Subject<'a> {
    /// An order that is about to be written.
    pub fn of_ready(ready: &'a Ready<'_>, customer: Option<&'a Customer>, now: OffsetDateTime) -> Self {
        let draft = ready.draft;
        let lines = ready.lines.iter().map(|line| SubjectLine {
            sku: &line.sku,
            description: &line.description,
            quantity: line.quantity,
            unit_price: line.unit_price,
            line_total: line.line_total,
            discount: line.discount,
            tax: line.tax,
        });
        Self {
            channel: &draft.channel,
            external_id: draft.external_id.as_deref().unwrap_or_default(),
            currency: ready.currency.code(),
            gross: ready.totals.gross,
            discount: ready.totals.discount,
            tax: ready.totals.tax,
            units: ready.totals.units,
            priority: ready.priority,
            sales_rep: &ready.sales_rep,
            payment_method: ready.payment_method,
            reservation_policy: ready.reservation_policy,
            fulfilment_policy: ready.fulfilment_policy,
            placed_at: ready.placed_at,
            tags: &[],
            ship_to: &ready.ship_to,
            customer,
            lines: lines.collect(),
            now,
        }
    }

    /// An order there is.
    pub fn of_order(order: &'a Order, customer: Option<&'a Customer>, now: OffsetDateTime) -> Self {
        let lines = order.lines.iter().map(|line| SubjectLine {
            sku: &line.sku,
            description: &line.description,
            quantity: line.line.quantities.ordered,
            unit_price: line.unit_price,
            line_total: line.line_total,
            discount: line.discount,
            tax: line.tax,
        });
        Self {
            channel: &order.channel,
            external_id: &order.external_id,
            currency: order.currency.code(),
            gross: order.gross,
            discount: order.discount,
            tax: order.tax,
            units: order.head.standing.quantities.ordered,
            priority: order.priority,
            sales_rep: &order.sales_rep,
            payment_method: order.payment_method,
            reservation_policy: order.reservation_policy,
            fulfilment_policy: order.head.fulfilment_policy,
            placed_at: order.head.placed_at,
            tags: &order.tags,
            ship_to: &order.ship_to,
            customer,
            lines: lines.collect(),
            now,
        }
    }

    /// True where it asks for nothing more than the other: no more units, no higher total, nowhere else.
    pub fn is_within(&self, other: &Self) -> bool {
        let total = |subject: &Self| subject.gross - subject.discount + subject.tax;
        self.units <= other.units && total(self) <= total(other) && self.ship_to == other.ship_to
    }

    /// The variables of expressions; `lines` only where some expression reads it.
    pub fn context(&self, with_lines: bool) -> Context<'static, 'static> {
        let mut context = expression::context();
        let short = |text: &str, prefix: &str| text.strip_prefix(prefix).unwrap_or(text).to_owned();
        let policy = short(self.reservation_policy.as_str_name(), "RESERVATION_POLICY_");
        let fulfilment = short(self.fulfilment_policy.as_str_name(), "FULFILMENT_POLICY_");
        let order: [Value; ORDER.len()] = [
            self.channel.into(),
            self.external_id.into(),
            self.currency.into(),
            number(self.gross),
            number(self.discount),
            number(self.tax),
            number(self.gross - self.discount + self.tax),
            self.units.into(),
            (self.lines.len() as i64).into(),
            i64::from(self.priority).into(),
            self.sales_rep.into(),
            short(self.payment_method.as_str_name(), "PAYMENT_METHOD_").into(),
            policy.into(),
            fulfilment.into(),
            self.placed_at.unix_timestamp().into(),
            i64::from(self.placed_at.to_offset(time::UtcOffset::UTC).hour()).into(),
            i64::from(self.placed_at.to_offset(time::UtcOffset::UTC).weekday().number_from_monday()).into(),
            self.tags.to_vec().into(),
        ];
        context.add_variable_from_value("order", map(&keys(&ORDER), order));
        let a = self.ship_to;
        let ship_to: [Value; SHIP_TO.len()] = [
            a.recipient.as_str().into(),
            a.lines.clone().into(),
            a.city.as_str().into(),
            a.region.as_str().into(),
            a.postal_code.as_str().into(),
            a.country.as_str().into(),
            a.email.as_str().into(),
            a.phone.as_str().into(),
            address::problems(a).into(),
        ];
        context.add_variable_from_value("ship_to", map(&keys(&SHIP_TO), ship_to));
        let details = self.customer.map(|customer| &customer.details);
        let text = |of: fn(&crate::customer::Details) -> &str| Value::from(details.map(of).unwrap_or_default());
        let customer: [Value; CUSTOMER.len()] = [
            details.is_some().into(),
            self.customer.map(|customer| customer.customer_id.to_string()).unwrap_or_default().into(),
            text(|d| &d.external_id),
            text(|d| &d.name),
            text(|d| &d.email),
            text(|d| &d.segment),
            text(|d| &d.sales_rep),
        ];
        context.add_variable_from_value("customer", map(&keys(&CUSTOMER), customer));
        context.add_variable_from_value("now", self.now.unix_timestamp());
        if with_lines {
            let keys = keys(&LINE);
            let lines = (1_i64..).zip(&self.lines).map(|(line_no, line)| {
                let values: [Value; LINE.len()] = [
                    line_no.into(),
                    line.sku.into(),
                    line.description.into(),
                    line.quantity.into(),
                    number(line.unit_price),
                    number(line.line_total),
                    number(line.discount),
                    number(line.tax),
                ];
                map(&keys, values)
            });
            context.add_variable_from_value("lines", lines.collect::<Vec<Value>>());
        }
        context
    }
}

fn keys<const N: usize>(names: &[&str; N]) -> [Key; N] {
    names.map(|name| Key::String(Arc::new(name.to_owned())))
}

fn map<const N: usize>(keys: &[Key; N], values: [Value; N]) -> Value {
    Value::Map(Map { map: Arc::new(keys.iter().cloned().zip(values).collect::<HashMap<_, _>>()) })
}

/// The nearest double: for comparing, not for adding up.
fn number(amount: Decimal) -> Value {
    amount.to_f64().unwrap_or(f64::NAN).into()
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::customer::Details;
    use std::sync::LazyLock;
    use uuid::Uuid;

    static SHIP_TO: LazyLock<Address> = LazyLock::new(|| Address {
        recipient: "Budi".into(),
        lines: vec!["Jl. Merdeka 1".into()],
        city: "Jakarta".into(),
        postal_code: "10110".into(),
        country: "ID".into(),
        ..Default::default()
    });
    static CUSTOMER: LazyLock<Customer> = LazyLock::new(|| Customer {
        customer_id: Uuid::nil(),
        version: 1,
        details: Details {
            external_id: "C1".into(),
            name: "Budi".into(),
            email: "budi@example.com".into(),
            segment: "wholesale".into(),
            sales_rep: String::new(),
            addresses: Vec::new(),
        },
    });

    /// Three knives and two packs of tea, on a Sunday.
    pub fn example() -> Subject<'static> {
        let line = |sku, quantity, cents| SubjectLine {
            sku,
            description: "",
            quantity,
            unit_price: Decimal::new(cents, 2),
            line_total: Decimal::new(cents * quantity, 2),
            discount: Decimal::ZERO,
            tax: Decimal::ZERO,
        };
        let placed_at = OffsetDateTime::from_unix_timestamp(1_795_318_500).unwrap();
        Subject {
            channel: "web",
            external_id: "",
            currency: "EUR",
            gross: Decimal::new(11_250, 2),
            discount: Decimal::ZERO,
            tax: Decimal::ZERO,
            units: 5,
            priority: 5,
            sales_rep: "",
            payment_method: PaymentMethod::Provider,
            reservation_policy: ReservationPolicy::Backorder,
            fulfilment_policy: FulfilmentPolicy::Standard,
            placed_at,
            tags: &[],
            ship_to: &SHIP_TO,
            customer: Some(&CUSTOMER),
            lines: vec![line("KNIFE-1", 3, 35_00), line("TEA", 2, 3_75)],
            now: placed_at + time::Duration::minutes(5),
        }
    }
}
