//! Channels.

use crate::channel::{Channel, Details};
use crate::convert::place::{channel as channel_code, given, known};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{FulfilmentPolicy, PaymentMethod, PriceDeviationPolicy, ReservationPolicy};
use pesan_grpc::Violations;

/// Reads a channel; paths start at `at`.
pub fn read(v: &mut Violations, at: &str, channel: pb::Channel) -> (String, Details) {
    let mut own = Violations::new();
    channel_code(&mut own, "code", &channel.code);
    let reservation_policy = known(&mut own, "reservation_policy", channel.reservation_policy);
    let fulfilment_policy = known(&mut own, "fulfilment_policy", channel.fulfilment_policy);
    let payment_method = known(&mut own, "payment_method", channel.payment_method);
    let currency = Some(channel.currency_code).filter(|code| !code.is_empty());
    let deviation = known(&mut own, "price_deviation_policy", channel.price_deviation_policy);
    let details = Details {
        name: own.text("name", channel.name, 0, 100),
        kind: known(&mut own, "kind", channel.kind).unwrap_or(pb::ChannelKind::Unspecified),
        closed: channel.closed,
        priority: channel.priority.map(|priority| own.within("priority", priority, 0, 9)),
        reservation_policy: given(ReservationPolicy::Unspecified, reservation_policy),
        fulfilment_policy: given(FulfilmentPolicy::Unspecified, fulfilment_policy),
        payment_method: given(PaymentMethod::Unspecified, payment_method),
        currency: currency.and_then(|code| own.currency("currency_code", &code)),
        preferred_location_id: own.optional_uuid("preferred_location_id", &channel.preferred_location_id),
        price_deviation: given(PriceDeviationPolicy::Unspecified, deviation).unwrap_or(PriceDeviationPolicy::Accept),
        price_tolerance: own.within("price_tolerance_basis_points", channel.price_tolerance_basis_points, 0, 10_000),
    };
    for violation in own.as_slice() {
        v.add(format!("{at}.{}", violation.field), violation.description.clone());
    }
    (channel.code, details)
}

/// A channel as clients see it.
pub fn channel(channel: Channel) -> pb::Channel {
    let details = channel.details;
    pb::Channel {
        code: channel.code,
        name: details.name,
        kind: details.kind.into(),
        closed: details.closed,
        priority: details.priority,
        reservation_policy: details.reservation_policy.map_or(0, Into::into),
        fulfilment_policy: details.fulfilment_policy.map_or(0, Into::into),
        payment_method: details.payment_method.map_or(0, Into::into),
        currency_code: details.currency.map(|currency| currency.code().to_owned()).unwrap_or_default(),
        preferred_location_id: details.preferred_location_id.map(|id| id.to_string()).unwrap_or_default(),
        price_deviation_policy: details.price_deviation.into(),
        price_tolerance_basis_points: details.price_tolerance,
        version: channel.version,
    }
}
