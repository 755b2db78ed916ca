use super::{item, pb_money, unit_cost};
use crate::item::ItemId;
use crate::location::LocationId;
use crate::ops::plan::{Advice, Promised, Record, WantedPolicy};
use crate::planning::policy::{NamedPolicy, Policy};
use crate::planning::reorder::Figure;
use crate::planning::{Bucket, Horizon};
use crate::stock::StockKey;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::page;
use pesan_grpc::parse::to_timestamp;
use pesan_money::Money;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Largest quantity of a policy.
const LARGEST: i64 = 1_000_000_000;

/// A policy as its keeper wants it.
pub fn parse_policy(policy: pb::ReorderPolicy) -> Result<WantedPolicy, Violations> {
    let mut v = Violations::new();
    let sku = item::sku(&mut v, "sku", policy.sku);
    let location_id = v.uuid("location_id", &policy.location_id);
    let supplier_code = v.text("supplier_code", policy.supplier_code, 0, 40);
    let (mut minimum, mut maximum, mut days_of_cover) = (0, 0, 0);
    let rule = match pb::ReorderRule::try_from(policy.rule) {
        Ok(pb::ReorderRule::MinMax) => {
            minimum = v.within("min", policy.min, 0, LARGEST);
            maximum = v.within("max", policy.max, 1, LARGEST);
            if maximum <= minimum {
                v.add("max", "must be more than min");
            }
            1
        }
        Ok(pb::ReorderRule::ReorderPoint) => 2,
        Ok(pb::ReorderRule::DaysOfCover) => {
            days_of_cover = v.within("days_of_cover", policy.days_of_cover, 1, 1000);
            3
        }
        Ok(pb::ReorderRule::Unspecified) | Err(_) => {
            v.add("rule", "must be a known rule");
            1
        }
    };
    let service_level = if policy.service_level == 0.0 { 0.95 } else { policy.service_level };
    if !(0.5..=0.9999).contains(&service_level) {
        v.add("service_level", format!("must be 0.5 to 0.9999, not {service_level}"));
    }
    let window_days = if policy.window_days == 0 { 90 } else { v.within("window_days", policy.window_days, 7, 730) };
    let holding_percent = if policy.holding_percent == 0.0 { 20.0 } else { policy.holding_percent };
    if !(0.0..=1000.0).contains(&holding_percent) {
        v.add("holding_percent", format!("must be 0 to 1000, not {holding_percent}"));
    }
    let order_cost = unit_cost(&mut v, "order_cost", policy.order_cost.as_ref());
    v.into_result(WantedPolicy {
        sku,
        location_id,
        supplier_code,
        policy: Policy {
            key: StockKey { item: ItemId(0), location: LocationId(LocationId::NOWHERE) },
            rule,
            minimum,
            maximum,
            days_of_cover,
            service_level,
            window_days,
            order_cost,
            holding_percent,
            supplier: None,
            inactive: policy.inactive,
        },
    })
}

fn rule(code: i16) -> pb::ReorderRule {
    match code {
        1 => pb::ReorderRule::MinMax,
        2 => pb::ReorderRule::ReorderPoint,
        _ => pb::ReorderRule::DaysOfCover,
    }
}

/// A policy as it is shown.
pub fn policy(named: &NamedPolicy) -> pb::ReorderPolicy {
    let policy = &named.policy;
    pb::ReorderPolicy {
        sku: named.sku.clone(),
        location_id: named.location_id.to_string(),
        rule: rule(policy.rule).into(),
        min: policy.minimum,
        max: policy.maximum,
        days_of_cover: policy.days_of_cover,
        service_level: policy.service_level,
        window_days: policy.window_days,
        order_cost: pb_money(policy.order_cost),
        holding_percent: policy.holding_percent,
        supplier_code: named.supplier_code.clone(),
        inactive: policy.inactive,
    }
}

/// Consecutive buckets from today on; `usual` of them where the request says none.
pub fn parse_horizon(v: &mut Violations, buckets: i32, usual: i32, size: i32, now: OffsetDateTime) -> Horizon {
    let buckets = if buckets == 0 { usual } else { v.within("buckets", buckets, 1, 400) };
    let bucket = match pb::BucketSize::try_from(size) {
        Ok(pb::BucketSize::Unspecified | pb::BucketSize::Day) => Bucket::Day,
        Ok(pb::BucketSize::Week) => Bucket::Week,
        Err(_) => {
            v.add("bucket_size", format!("must be a known size, not {size}"));
            Bucket::Day
        }
    };
    Horizon::from_today(now, bucket, usize::try_from(buckets).unwrap_or(1))
}

/// What can be promised over time, as it is shown.
pub fn promised(
    sku: String,
    location_id: Option<Uuid>,
    promised: Promised,
    now: OffsetDateTime,
) -> pb::GetAvailableToPromiseResponse {
    let Promised { there, horizon, coming, going, promises, supplies } = promised;
    let mut buckets: Vec<pb::PromiseBucket> = promises
        .iter()
        .enumerate()
        .map(|(bucket, promise)| pb::PromiseBucket {
            starts_at: Some(to_timestamp(horizon.starts_at(bucket))),
            incoming: coming[bucket],
            outgoing: going[bucket],
            projected: promise.projected,
            available_to_promise: promise.available,
            new_to_promise: promise.new,
            supplies: Vec::new(),
        })
        .collect();
    for (bucket, number, supply) in supplies {
        buckets[bucket].supplies.push(pb::ExpectedSupply {
            number,
            expected_at: Some(to_timestamp(supply.expected_at)),
            quantity: supply.quantity,
            overdue: supply.expected_at < now,
        });
    }
    pb::GetAvailableToPromiseResponse {
        sku,
        location_id: location_id.map(|id| id.to_string()).unwrap_or_default(),
        on_hand: there.on_hand,
        reserved: there.reserved,
        safety: there.safety,
        waiting: there.waiting,
        buckets,
    }
}

/// A page of suggestions as it is shown.
pub fn suggestions(
    now: OffsetDateTime,
    advice: &[Advice],
    include_satisfied: bool,
    drafts: Vec<pb::PurchaseOrder>,
    more: bool,
) -> pb::SuggestPurchasesResponse {
    let wanted = advice.iter().filter(|advice| include_satisfied || advice.suggestion.quantity > 0);
    let last = advice.last().filter(|_| more);
    let token = last.map(|last| page::token(&[&last.policy.sku, &last.policy.location_id.to_string()]));
    pb::SuggestPurchasesResponse {
        suggestions: wanted.map(|advice| suggestion(now, advice)).collect(),
        drafts,
        next_page_token: token.unwrap_or_default(),
    }
}

fn suggestion(now: OffsetDateTime, advice: &Advice) -> pb::PurchaseSuggestion {
    let Advice { policy, offer, suggestion } = advice;
    let offer = offer.as_ref();
    let price = offer.map(|offer| Money::new(offer.currency, offer.price.normalize()));
    let cost = price.and_then(|p| Money::line_total(p.currency, p.amount, suggestion.quantity).ok());
    pb::PurchaseSuggestion {
        sku: policy.sku.clone(),
        location_id: policy.location_id.to_string(),
        rule: rule(policy.policy.rule).into(),
        supplier_code: offer.map(|offer| offer.supplier_code.clone()).unwrap_or_default(),
        quantity: suggestion.quantity,
        unit_price: pb_money(price),
        cost: pb_money(cost),
        expected_at: offer.map(|offer| to_timestamp(now + Duration::days(1) * offer.lead_time.mean)),
        reason: suggestion.reason.clone(),
        arithmetic: suggestion.arithmetic.iter().map(figure).collect(),
    }
}

fn figure(figure: &Figure) -> pb::Figure {
    pb::Figure {
        name: figure.name.to_owned(),
        value: figure.value,
        formula: figure.formula.to_owned(),
        calculation: figure.calculation.clone(),
        source: figure.source.to_owned(),
        unit: figure.unit.to_owned(),
    }
}

/// A material requirements record as it is shown.
pub fn record(horizon: &Horizon, record: Record) -> pb::RequirementsRecord {
    let buckets = record.plan.iter().enumerate().map(|(bucket, requirement)| pb::RequirementsBucket {
        starts_at: Some(to_timestamp(horizon.starts_at(bucket))),
        gross_requirements: requirement.gross,
        scheduled_receipts: requirement.scheduled,
        projected_on_hand: requirement.projected,
        net_requirements: requirement.net,
        planned_order_receipts: requirement.planned_receipts,
        planned_order_releases: requirement.planned_releases,
        overdue_releases: requirement.overdue_releases,
    });
    pb::RequirementsRecord {
        sku: record.policy.sku.clone(),
        location_id: record.policy.location_id.to_string(),
        on_hand: record.needs.on_hand,
        safety_stock: record.needs.safety_stock,
        lead_time_buckets: i32::try_from(record.needs.lead_time).unwrap_or(i32::MAX),
        min_quantity: record.needs.min_quantity,
        pack_size: record.needs.pack_size,
        supplier_code: record.supplier_code.clone(),
        demand_per_day: record.demand.mean,
        buckets: buckets.collect(),
    }
}
