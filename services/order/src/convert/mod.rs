//! Protos to what the use cases take, and back.

pub mod change;
pub mod channels;
pub mod customers;
pub mod delivery;
pub mod events;
pub mod goodwill;
pub mod holds;
pub mod inquiries;
pub mod listing;
pub mod orders;
pub mod place;
pub mod prices;
pub mod promise;
pub mod quotation_page;
pub mod quotations;
pub mod return_policies;
pub mod return_steps;
pub mod returns;
pub mod rules;
pub mod schedule;
pub mod settle;

use crate::quantities::Quantities;
use pesan_api::order::v1 as pb;
use pesan_api::r#type::v1::{Address, Money};
use pesan_grpc::Violations;
use pesan_grpc::parse::amount_to_money;
use pesan_money::Currency;
use rust_decimal::Decimal;
use uuid::Uuid;

/// An amount as its proto form. What we keep was read from protos or is a bounded sum of it, and so has one.
pub fn money(currency: Currency, amount: Decimal) -> Option<Money> {
    amount_to_money(currency, amount)
}

/// Quantities as their proto form.
pub fn quantities(q: &Quantities) -> pb::Quantities {
    pb::Quantities {
        ordered: q.ordered,
        reserved: q.reserved,
        backordered: q.backordered,
        cancelled: q.cancelled,
        shipped: q.shipped,
        delivered: q.delivered,
        returned: q.returned,
        invoiced: q.invoiced,
        refunded: q.refunded,
    }
}

/// An address with every field within its bounds; a country is required.
pub fn address(v: &mut Violations, field: &str, address: Address) -> Address {
    if address.lines.len() > 5 {
        v.add(format!("{field}.lines"), format!("must have at most 5 entries, not {}", address.lines.len()));
    }
    if address.latitude.is_some() != address.longitude.is_some() {
        v.add(format!("{field}.longitude"), "latitude and longitude must be given together, or none");
    }
    let mut degrees = |name: &str, value: Option<f64>, most: f64| {
        if value.is_some_and(|value| !(-most..=most).contains(&value)) {
            v.add(format!("{field}.{name}"), format!("must be -{most} to {most} degrees"));
        }
        value
    };
    let latitude = degrees("latitude", address.latitude, 90.0);
    let longitude = degrees("longitude", address.longitude, 180.0);
    let mut text = |name: &str, text: String, min| v.text(&format!("{field}.{name}"), text, min, 300);
    Address {
        recipient: text("recipient", address.recipient, 0),
        city: text("city", address.city, 0),
        region: text("region", address.region, 0),
        postal_code: text("postal_code", address.postal_code, 0),
        country: text("country", address.country, 1),
        email: text("email", address.email, 0),
        phone: text("phone", address.phone, 0),
        lines: address
            .lines
            .into_iter()
            .take(6)
            .enumerate()
            .map(|(i, line)| text(&format!("lines[{i}]"), line, 0))
            .collect(),
        latitude,
        longitude,
    }
}

/// A location as peers write it: none for what is at no place (service items).
pub fn location(text: &str) -> Option<Uuid> {
    if text.is_empty() { Some(Uuid::nil()) } else { Uuid::try_parse(text).ok() }
}

/// As [`location`], back.
pub fn location_text(location: Uuid) -> String {
    if location.is_nil() { String::new() } else { location.to_string() }
}

/// Text of capitals and underscores, for programs.
pub fn reason(v: &mut Violations, field: &str, text: String, min: usize) -> String {
    let is_code = text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if !is_code {
        v.add(field, "must be capitals and underscores");
    }
    v.text(field, text, min, 60)
}
