//! The rules of sourcing and its explanations, from and to protos.

use super::pb_money;
use crate::location::LocationId;
use crate::network::Network;
use crate::reservation::{Demand, Wanted};
use crate::simulation::{PastDecision, Side};
use crate::sourcing::{Candidate, Explanation, PlanKind, Rules, ShelfTold, TransitStep, Verdict};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::parse::{from_timestamp, to_timestamp};
use pesan_money::Money;
use prost::{DecodeError, Message as _};
use rust_decimal::Decimal;
use time::OffsetDateTime;

/// Candidates of one explanation.
const MOST_CANDIDATES: usize = 100;
/// The largest weight.
const MOST_POINTS: f64 = 1_000_000.0;

/// Rules as they are shown and kept.
pub fn rules_to(rules: &Rules) -> pb::SourcingRules {
    let step = |step: &TransitStep| pb::TransitStep { max_km: step.max_km, days: days(step.days) };
    pb::SourcingRules {
        version: rules.version,
        rank_weight: rules.rank_weight,
        distance_weight: rules.distance_weight,
        split_weight: rules.split_weight,
        capacity_weight: rules.capacity_weight,
        age_weight: rules.age_weight,
        whole_order_first: rules.whole_order_first,
        max_locations: i32::try_from(rules.max_locations).unwrap_or(i32::MAX),
        max_ship_delay_days: days(rules.max_ship_delay_days),
        transit: rules.transit.iter().map(step).collect(),
        unknown_transit_days: days(rules.unknown_transit_days),
        cost_per_shipment: pb_money(rules.cost_per_shipment),
        cost_per_km: pb_money(rules.cost_per_km),
        target_days: days(rules.target_days),
    }
}

fn days(days: i64) -> i32 {
    i32::try_from(days).unwrap_or(i32::MAX)
}

/// Rules somebody wants; their version is ignored.
pub fn rules_from(wanted: &pb::SourcingRules) -> Result<Rules, Violations> {
    let mut v = Violations::new();
    let defaults = Rules::default();
    let mut weight = |field: &str, value: f64| v.within(field, value, 0.0, MOST_POINTS);
    let rank_weight = weight("rank_weight", wanted.rank_weight);
    let distance_weight = weight("distance_weight", wanted.distance_weight);
    let split_weight = weight("split_weight", wanted.split_weight);
    let capacity_weight = weight("capacity_weight", wanted.capacity_weight);
    let age_weight = weight("age_weight", wanted.age_weight);
    let or_default = |days: i32, default: i64| if days == 0 { default } else { i64::from(days) };
    let mut bounded = |field: &str, value: i32, most: i32| v.within(field, value, 0, most);
    let max_locations = usize::try_from(bounded("max_locations", wanted.max_locations, 100)).unwrap_or(0);
    let max_ship_delay_days = bounded("max_ship_delay_days", wanted.max_ship_delay_days, 366).into();
    let unknown_transit_days = bounded("unknown_transit_days", wanted.unknown_transit_days, 366);
    let target_days = bounded("target_days", wanted.target_days, 366);
    let transit = transit(&mut v, &wanted.transit);
    let cost_per_shipment = super::unit_cost(&mut v, "cost_per_shipment", wanted.cost_per_shipment.as_ref());
    let cost_per_km = super::unit_cost(&mut v, "cost_per_km", wanted.cost_per_km.as_ref());
    let currency = |cost: Option<Money>| cost.map(|cost| cost.currency);
    if currency(cost_per_shipment).zip(currency(cost_per_km)).is_some_and(|(a, b)| a != b) {
        v.add("cost_per_km.currency_code", "must be that of cost_per_shipment");
    }
    v.into_result(Rules {
        version: 0,
        rank_weight,
        distance_weight,
        split_weight,
        capacity_weight,
        age_weight,
        whole_order_first: wanted.whole_order_first,
        max_locations,
        max_ship_delay_days,
        transit: if transit.is_empty() { defaults.transit } else { transit },
        unknown_transit_days: or_default(unknown_transit_days, defaults.unknown_transit_days),
        cost_per_shipment,
        cost_per_km,
        target_days: or_default(target_days, defaults.target_days),
    })
}

fn transit(v: &mut Violations, steps: &[pb::TransitStep]) -> Vec<TransitStep> {
    if steps.len() > 100 {
        v.add("transit", format!("must be at most 100 steps, not {}", steps.len()));
    }
    let mut before = 0.0;
    let mut parsed = Vec::new();
    for (i, step) in steps.iter().enumerate().take(100) {
        let is_last = i + 1 == steps.len();
        if !is_last && (step.max_km.is_nan() || step.max_km <= before) {
            v.add(format!("transit[{i}].max_km"), "must be above that of the step before");
        }
        before = step.max_km;
        let days = v.within(&format!("transit[{i}].days"), step.days, 0, 366).into();
        parsed.push(TransitStep { max_km: if is_last { f64::INFINITY } else { step.max_km }, days });
    }
    parsed
}

/// A decision as it is kept. Codes are those of the moment.
pub fn kept(
    network: &Network,
    demand: &Demand,
    wanted: &Wanted,
    explanation: &Explanation,
    now: OffsetDateTime,
) -> Vec<u8> {
    let line = |l: &crate::reservation::DemandLine| pb::SourcingLine {
        line_no: l.line_no,
        sku: l.sku.clone(),
        quantity: l.quantity,
    };
    let lines = demand.lines.iter().zip(&wanted.lines);
    let stocked = lines.filter(|(_, wanted)| wanted.stocked).map(|(line, _)| line);
    let plan = |plan: &crate::sourcing::PlanTold| pb::SourcingPlan {
        kind: match plan.kind {
            PlanKind::BestForEachLine => pb::SourcingPlanKind::BestForEachLine,
            PlanKind::SingleLocation => pb::SourcingPlanKind::SingleLocation,
            PlanKind::FewestLocations => pb::SourcingPlanKind::FewestLocations,
        }
        .into(),
        locations: i32::try_from(plan.locations).unwrap_or(i32::MAX),
        short: plan.short,
        points: plan.points,
    };
    let candidates = explanation.candidates.iter().take(MOST_CANDIDATES);
    let decision = pb::SourcingDecision {
        order_id: demand.order_id.to_string(),
        decided_at: Some(to_timestamp(now)),
        rules: Some(rules_to(&network.rules)),
        distance_known: explanation.distance_known,
        candidates: candidates.map(|candidate| candidate_to(network, candidate)).collect(),
        more_candidates: i32::try_from(explanation.candidates.len().saturating_sub(MOST_CANDIDATES)).unwrap_or(0),
        plans: explanation.plans.iter().map(plan).collect(),
        lines: stocked.map(line).collect(),
        channel: demand.wishes.channel.clone().unwrap_or_default(),
        ship_complete: demand.wishes.ship_complete,
        preferred_location_id: demand.wishes.preferred.map(|id| id.to_string()).unwrap_or_default(),
        not_before: demand.wishes.not_before.map(to_timestamp),
        placed_at: Some(to_timestamp(demand.placed_at)),
    };
    decision.encode_to_vec()
}

fn candidate_to(network: &Network, candidate: &Candidate) -> pb::SourcingCandidate {
    let place = network.place(candidate.location);
    let [rank_points, distance_points, capacity_points, age_points] = candidate.points_for(&network.rules);
    let shelf = |shelf: &crate::sourcing::ShelfTold| pb::SourcingShelf {
        line_no: shelf.line_no,
        free: shelf.free,
        taken: shelf.taken,
    };
    let (verdict, why) = match candidate.verdict {
        Verdict::Chosen if candidate.preferred => (pb::SourcingVerdict::Chosen, "preferred by the order"),
        Verdict::Chosen => (pb::SourcingVerdict::Chosen, ""),
        Verdict::NotNeeded => (pb::SourcingVerdict::NotNeeded, "others were better"),
        Verdict::NoStock => (pb::SourcingVerdict::NoStock, "has nothing of it free"),
        Verdict::ChannelNotServed => (pb::SourcingVerdict::ChannelNotServed, "does not serve the order's channel"),
        Verdict::Closed => (pb::SourcingVerdict::Closed, "is closed, or has no open day with room within a year"),
        Verdict::NoCapacity => {
            (pb::SourcingVerdict::NoCapacity, "its next open day is full: only for what no other has")
        }
        Verdict::TooLate => {
            (pb::SourcingVerdict::TooLate, "ships later than the rules want: only for what no other has")
        }
    };
    pb::SourcingCandidate {
        location_id: place.map(|place| place.id().to_string()).unwrap_or_default(),
        code: place.map(|place| place.location.code.clone()).unwrap_or_default(),
        verdict: verdict.into(),
        why: why.to_owned(),
        distance_km: candidate.distance_km,
        rank_points,
        distance_points,
        capacity_points,
        age_points,
        points: candidate.points(&network.rules),
        ship_at: candidate.ship_at.map(to_timestamp),
        shelves: candidate.shelves.iter().map(shelf).collect(),
        rank: candidate.rank,
        fullness: candidate.fullness,
        age_steps: candidate.age_steps,
        delay_days: days(candidate.delay_days),
        full: candidate.full,
    }
}

/// A kept decision, read back for a simulation: what was asked, among which candidates, and what was taken. Locations
/// are numbered by their place in the decision.
pub fn past(bytes: &[u8]) -> Result<PastDecision, DecodeError> {
    let decision = pb::SourcingDecision::decode(bytes)?;
    let mut by_rank: Vec<usize> = (0..decision.candidates.len()).collect();
    by_rank.sort_by_key(|i| (decision.candidates[*i].rank, &decision.candidates[*i].code));
    let mut candidates = Vec::with_capacity(decision.candidates.len());
    let mut ids = Vec::with_capacity(decision.candidates.len());
    for (i, kept) in decision.candidates.iter().enumerate() {
        let verdict = match kept.verdict() {
            pb::SourcingVerdict::Closed => Verdict::Closed,
            pb::SourcingVerdict::ChannelNotServed => Verdict::ChannelNotServed,
            pb::SourcingVerdict::Chosen => Verdict::Chosen,
            _ => Verdict::NotNeeded,
        };
        let shelf = |s: &pb::SourcingShelf| ShelfTold { line_no: s.line_no, free: s.free, taken: s.taken };
        candidates.push(Candidate {
            location: LocationId(i32::try_from(i + 1).unwrap_or(i32::MAX)),
            verdict,
            preferred: !kept.location_id.is_empty() && kept.location_id == decision.preferred_location_id,
            order: by_rank.iter().position(|place| *place == i).unwrap_or(i),
            rank: kept.rank,
            distance_km: kept.distance_km,
            fullness: kept.fullness,
            full: kept.full,
            age_steps: kept.age_steps,
            delay_days: kept.delay_days.into(),
            ship_at: kept.ship_at.as_ref().and_then(from_timestamp),
            shelves: kept.shelves.iter().map(shelf).collect(),
        });
        ids.push(kept.location_id.clone());
    }
    let at = |at: Option<&prost_types::Timestamp>| at.and_then(from_timestamp);
    let decided_at = at(decision.decided_at.as_ref()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(PastDecision {
        order_id: decision.order_id,
        placed_at: at(decision.placed_at.as_ref()).unwrap_or(decided_at),
        ship_complete: decision.ship_complete,
        lines: decision.lines.into_iter().map(|line| (line.line_no, line.sku, line.quantity)).collect(),
        candidates,
        location_ids: ids,
    })
}

/// One side of a comparison as it is shown.
pub fn side(side: &Side, costs: &Rules) -> pb::SimulatedSide {
    let per = |cost: Option<Money>| cost.map(|cost| cost.amount).unwrap_or_default();
    let km = Decimal::from_f64_retain(side.total_km).unwrap_or_default().round_dp(3);
    let amount = per(costs.cost_per_shipment) * Decimal::from(side.shipments) + per(costs.cost_per_km) * km;
    let currency = costs.cost_per_shipment.or(costs.cost_per_km).map(|cost| cost.currency);
    let cost = currency.map(|currency| Money::new(currency, amount).round());
    let with_distance = f64::from(u32::try_from(side.shipments_with_distance).unwrap_or(u32::MAX));
    pb::SimulatedSide {
        orders: side.orders,
        shipments: side.shipments,
        split_orders: side.split_orders,
        short_units: side.short_units,
        total_km: side.total_km,
        shipments_with_distance: side.shipments_with_distance,
        mean_km: if with_distance > 0.0 { side.total_km / with_distance } else { 0.0 },
        cost: pb_money(cost),
        late_days: side.late_days,
        late_orders: side.late_orders,
    }
}
