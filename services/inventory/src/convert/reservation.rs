use crate::convert::item::sku;
use crate::known::Known;
use crate::ops::amend::Change;
use crate::reservation::{Demand, DemandLine, Part, Policy, Reservation, Wishes};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use std::collections::HashSet;
use time::OffsetDateTime;

/// Most demands and most lines of one call.
pub const MOST_DEMANDS: usize = 1_000;
pub const MOST_LINES: usize = 50_000;

/// How a demand changes what is held.
pub fn change(demand: &pb::OrderDemand) -> Change {
    Change { revision: demand.revision, in_addition: demand.in_addition, dry_run: demand.dry_run }
}

/// Reads one order's demand.
pub fn parse_demand(demand: pb::OrderDemand, now: OffsetDateTime) -> Result<Demand, Violations> {
    let mut v = Violations::new();
    let order_id = v.uuid("order_id", &demand.order_id);
    if demand.lines.is_empty() || demand.lines.len() > 10_000 {
        v.add("lines", format!("must be 1 to 10000 lines, not {}", demand.lines.len()));
    }
    let policy = match pb::ShortagePolicy::try_from(demand.policy) {
        Ok(pb::ShortagePolicy::Unspecified | pb::ShortagePolicy::Backorder) => Policy::Backorder,
        Ok(pb::ShortagePolicy::AllOrNothing) => Policy::AllOrNothing,
        Ok(pb::ShortagePolicy::WhatIsThere) => Policy::WhatIsThere,
        Err(_) => {
            v.add("policy", format!("must be a known policy, not {}", demand.policy));
            Policy::Backorder
        }
    };
    let priority = v.within("priority", demand.priority, 0, 9);
    let placed_at = v.past_time("placed_at", demand.placed_at.as_ref(), now);
    let mut lines = Vec::with_capacity(demand.lines.len());
    let mut numbers = HashSet::with_capacity(demand.lines.len());
    for (i, line) in demand.lines.into_iter().take(10_000).enumerate() {
        // Paths are made only for what is wrong: this is the hot way in.
        if !(1..=10_000).contains(&line.line_no) {
            v.add(format!("lines[{i}].line_no"), format!("must be 1 to 10000, not {}", line.line_no));
        } else if !numbers.insert(line.line_no) {
            v.add(format!("lines[{i}].line_no"), "must be unique in the order");
        }
        if !(1..=1_000_000_000).contains(&line.quantity) {
            v.add(format!("lines[{i}].quantity"), format!("must be 1 to 1000000000, not {}", line.quantity));
        }
        let sku = if is_plain(&line.sku) { line.sku } else { sku(&mut v, &format!("lines[{i}].sku"), line.sku) };
        lines.push(DemandLine { line_no: line.line_no, sku, quantity: line.quantity });
    }
    let traceparent = Some(demand.traceparent).filter(|text| !text.is_empty());
    // Checked to be 0 to 9 above.
    let priority = i16::try_from(priority).unwrap_or(9);
    let wishes = Wishes {
        channel: Some(v.text("channel", demand.channel, 0, 60)).filter(|channel| !channel.is_empty()),
        destination: demand.destination.as_ref().and_then(|to| destination(&mut v, to)),
        country: demand.destination.and_then(|to| country(to.country)),
        ship_complete: demand.ship_complete,
        preferred: v.optional_uuid("preferred_location_id", &demand.preferred_location_id),
        not_before: demand.not_before.as_ref().and_then(|at| v.time("not_before", Some(at))),
        promised_at: demand.promised_at.as_ref().and_then(|at| v.time("promised_at", Some(at))),
    };
    v.into_result(Demand { order_id, lines, policy, priority, placed_at, traceparent, wishes })
}

fn destination(violations: &mut Violations, to: &pb::Destination) -> Option<(f64, f64)> {
    if to.latitude.is_some() != to.longitude.is_some() {
        violations.add("destination.longitude", "latitude and longitude must be given together, or none");
    }
    let (latitude, longitude) = to.latitude.zip(to.longitude)?;
    for (field, value, most) in [("latitude", latitude, 90.0), ("longitude", longitude, 180.0)] {
        if !(-most..=most).contains(&value) {
            violations.add(format!("destination.{field}"), format!("must be -{most} to {most} degrees"));
        }
    }
    Some((latitude, longitude))
}

/// For information: what is no code is not known.
fn country(code: String) -> Option<String> {
    (code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())).then_some(code)
}

fn is_plain(sku: &str) -> bool {
    !sku.is_empty() && sku.len() <= 100 && sku.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

/// A reservation as it is shown. All its items and locations are known.
pub fn reservation(known: &Known, reservation: &Reservation) -> pb::Reservation {
    pb::Reservation {
        order_id: reservation.order_id.to_string(),
        lines: reservation.lines().map(|parts| line(known, parts)).collect(),
        expires_at: reservation.expires_at.map(to_timestamp),
        version: reservation.version,
    }
}

fn line(known: &Known, parts: &[Part]) -> pb::ReservationLine {
    let first = &parts[0]; // a chunk is never empty
    let allocations = parts.iter().filter_map(|part| {
        let location = part.location.filter(|_| part.reserved + part.issued > 0)?;
        let location_id = known.location_id(location).to_string();
        Some(pb::LineAllocation { location_id, reserved: part.reserved, issued: part.issued })
    });
    pb::ReservationLine {
        line_no: first.line_no,
        sku: known.sku(first.item).to_owned(),
        quantity: parts.iter().map(|part| part.quantity).sum(),
        allocations: allocations.collect(),
        backordered: parts.iter().map(|part| part.backordered).sum(),
        refused: parts.iter().map(|part| part.refused).sum(),
        stocked: first.stocked,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    #[test]
    fn every_wrong_field_is_named() {
        let line = |line_no, sku: &str, quantity| pb::DemandLine { line_no, sku: sku.into(), quantity };
        let demand = pb::OrderDemand {
            order_id: "x".into(),
            lines: vec![line(1, "A", 1), line(1, "", 0), line(10_001, "B\u{7}", 1_000_000_001)],
            policy: 7,
            priority: 10,
            placed_at: Some(to_timestamp(NOW + time::Duration::days(1))),
            traceparent: String::new(),
            destination: Some(pb::Destination { latitude: Some(91.0), longitude: Some(181.0), ..Default::default() }),
            channel: "x".repeat(61),
            preferred_location_id: "x".into(),
            not_before: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
            promised_at: Some(prost_types::Timestamp { seconds: i64::MIN, nanos: 0 }),
            ..pb::OrderDemand::default()
        };
        let violations = parse_demand(demand, NOW).unwrap_err();
        let mut fields: Vec<_> = violations.as_slice().iter().map(|v| v.field.as_str()).collect();
        fields.sort_unstable();
        let expected = [
            "channel",
            "destination.latitude",
            "destination.longitude",
            "lines[1].line_no",
            "lines[1].quantity",
            "lines[1].sku",
            "lines[2].line_no",
            "lines[2].quantity",
            "lines[2].sku",
            "not_before",
            "order_id",
            "placed_at",
            "policy",
            "preferred_location_id",
            "priority",
            "promised_at",
        ];
        assert_eq!(fields, expected);
        assert_eq!(parse_demand(pb::OrderDemand::default(), NOW).unwrap_err().as_slice()[1].field, "lines");
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_the_proto() {
        let demand = pb::OrderDemand {
            order_id: uuid::Uuid::now_v7().to_string(),
            lines: vec![pb::DemandLine { line_no: 3, sku: "Tasse grün".into(), quantity: 2 }],
            ..pb::OrderDemand::default()
        };
        let parsed = parse_demand(demand, NOW).unwrap();
        assert_eq!((parsed.policy, parsed.priority, parsed.placed_at), (Policy::Backorder, 0, NOW));
        assert_eq!((parsed.traceparent, parsed.wishes), (None, Wishes::default()));
    }
}
