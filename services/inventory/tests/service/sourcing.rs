//! Rules, explanations, and simulations of other rules.

use crate::testing::{Service, all_or_nothing, gbp, item, start};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use time::Duration;
use uuid::Uuid;

const LONDON: (f64, f64) = (51.5074, -0.1278);
const BERLIN: (f64, f64) = (52.52, 13.405);

async fn two_cities(service: &mut Service) -> (String, String) {
    service.upsert_items(vec![item("MUG"), item("CUP")]).await;
    let mut make = async |code: &str, at: (f64, f64), rank| {
        let location = pb::Location { code: code.into(), latitude: at.0, longitude: at.1, rank, ..Default::default() };
        service.place(location).await
    };
    let (london, berlin) = (make("LONDON", LONDON, 0).await, make("BERLIN", BERLIN, 1).await);
    for location in [&london, &berlin] {
        service.receive("MUG", location, 50).await;
    }
    service.receive("CUP", &berlin, 50).await;
    (london, berlin)
}

fn to(at: (f64, f64), demand: pb::OrderDemand) -> pb::OrderDemand {
    let destination = pb::Destination { latitude: Some(at.0), longitude: Some(at.1), country: "DE".into() };
    pb::OrderDemand { destination: Some(destination), ..demand }
}

async fn set(service: &mut Service, rules: pb::SourcingRules, expected_version: i64) -> Result<i64, tonic::Status> {
    let request_id = Uuid::now_v7().to_string();
    let request = pb::SetSourcingRulesRequest { request_id, rules: Some(rules), expected_version };
    let answer = service.sourcing.set_sourcing_rules(request).await?.into_inner();
    Ok(answer.rules.unwrap().version)
}

async fn decision(service: &mut Service, order_id: &str) -> Result<pb::SourcingDecision, tonic::Status> {
    let request = pb::GetSourcingDecisionRequest { order_id: order_id.into() };
    Ok(service.sourcing.get_sourcing_decision(request).await?.into_inner().decision.unwrap())
}

async fn ships_from(service: &mut Service, demand: &pb::OrderDemand) -> Vec<String> {
    let lines = service.reserve(demand).await.unwrap().lines;
    lines.into_iter().flat_map(|line| line.allocations).map(|at| at.location_id).collect()
}

fn nearest() -> pb::SourcingRules {
    pb::SourcingRules { distance_weight: 1.0, ..pb::SourcingRules::default() }
}

#[sqlx::test(migrations = false)]
async fn rules_are_data_versioned_and_take_effect_at_once(pool: PgPool) {
    let mut service = start(&pool).await;
    let (london, berlin) = two_cities(&mut service).await;
    let request = pb::GetSourcingRulesRequest {};
    let rules = service.sourcing.get_sourcing_rules(request).await.unwrap().into_inner().rules.unwrap();
    assert_eq!((rules.version, rules.rank_weight, rules.transit.len()), (0, 1.0, 4));
    let order = to(BERLIN, all_or_nothing(&[("MUG", 1)]));
    assert_eq!(ships_from(&mut service, &order).await, std::slice::from_ref(&london));

    assert_eq!(set(&mut service, nearest(), 0).await.unwrap(), 1);
    let order = to(BERLIN, all_or_nothing(&[("MUG", 1)]));
    assert_eq!(ships_from(&mut service, &order).await, std::slice::from_ref(&berlin));
    let told = decision(&mut service, &order.order_id).await.unwrap();
    assert_eq!(told.rules.unwrap().version, 1);
    assert!(told.distance_known);
    let points: Vec<_> = told.candidates.iter().map(|c| (c.code.as_str(), c.distance_points.round())).collect();
    assert_eq!(points, [("BERLIN", 0.0), ("LONDON", 9.0)], "932 km");

    // Without coordinates distance cannot count, and the explanation says so.
    let order = all_or_nothing(&[("MUG", 1)]);
    assert_eq!(ships_from(&mut service, &order).await, [london]);
    assert!(!decision(&mut service, &order.order_id).await.unwrap().distance_known);

    // A change of a location takes effect at once, too.
    let moved = pb::Location { code: "LONDON".into(), latitude: BERLIN.0, longitude: BERLIN.1, ..Default::default() };
    let london = service.place(moved).await;
    let order = to(BERLIN, all_or_nothing(&[("MUG", 1)]));
    assert_eq!(ships_from(&mut service, &order).await, [london], "as near now, and of a better rank");

    let conflict = set(&mut service, nearest(), 7).await.unwrap_err();
    assert_eq!(conflict.code(), tonic::Code::Aborted);
    assert_eq!(set(&mut service, nearest(), 1).await.unwrap(), 2);
    let wrong = pb::SourcingRules {
        rank_weight: -1.0,
        max_locations: 101,
        transit: vec![pb::TransitStep { max_km: 5.0, days: 400 }, pb::TransitStep { max_km: 4.0, days: 1 }],
        cost_per_shipment: Some(gbp(1, 0)),
        cost_per_km: Some(pesan_api::r#type::v1::Money { currency_code: "EUR".into(), units: 1, nanos: 0 }),
        ..Default::default()
    };
    let refused = set(&mut service, wrong, 0).await.unwrap_err();
    let details = tonic_types::StatusExt::get_details_bad_request(&refused).unwrap();
    let fields: Vec<_> = details.field_violations.iter().map(|v| v.field.as_str()).collect();
    let expected =
        ["rules.rank_weight", "rules.max_locations", "rules.transit[0].days", "rules.cost_per_km.currency_code"];
    assert_eq!(fields, expected);
}

#[sqlx::test(migrations = false)]
async fn the_same_request_sets_the_rules_once(pool: PgPool) {
    let mut service = start(&pool).await;
    let request_id = Uuid::now_v7().to_string();
    let request = pb::SetSourcingRulesRequest { request_id, rules: Some(nearest()), expected_version: 0 };
    for _ in 0..2 {
        let answer = service.sourcing.set_sourcing_rules(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.rules.unwrap().version, 1);
    }
    let other = pb::SetSourcingRulesRequest { expected_version: 1, ..request };
    let refused = service.sourcing.set_sourcing_rules(other).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::AlreadyExists);
}

#[sqlx::test(migrations = false)]
async fn a_choice_is_explained_and_no_choice_is_not(pool: PgPool) {
    let mut service = start(&pool).await;
    let (london, berlin) = two_cities(&mut service).await;
    let split = all_or_nothing(&[("MUG", 1), ("CUP", 2)]);
    assert_eq!(ships_from(&mut service, &split).await, [london.clone(), berlin.clone()]);
    let told = decision(&mut service, &split.order_id).await.unwrap();
    let shelves =
        |c: &pb::SourcingCandidate| c.shelves.iter().map(|s| (s.line_no, s.free, s.taken)).collect::<Vec<_>>();
    let candidates: Vec<_> = told.candidates.iter().map(|c| (c.code.as_str(), c.verdict(), shelves(c))).collect();
    let chosen = pb::SourcingVerdict::Chosen;
    assert_eq!(candidates, [("LONDON", chosen, vec![(1, 1, 1)]), ("BERLIN", chosen, vec![(1, 1, 0), (2, 2, 2)])]);
    assert_eq!(told.lines.len(), 2);

    // One location may have it: there was nothing to choose.
    let single = all_or_nothing(&[("CUP", 1)]);
    assert_eq!(ships_from(&mut service, &single).await, std::slice::from_ref(&berlin));
    assert_eq!(decision(&mut service, &single.order_id).await.unwrap_err().code(), tonic::Code::NotFound);
    assert_eq!(decision(&mut service, "x").await.unwrap_err().code(), tonic::Code::InvalidArgument);

    // Wishes are honoured and told.
    let preferred = pb::OrderDemand { preferred_location_id: berlin.clone(), ..all_or_nothing(&[("MUG", 1)]) };
    assert_eq!(ships_from(&mut service, &preferred).await, std::slice::from_ref(&berlin));
    assert_eq!(decision(&mut service, &preferred.order_id).await.unwrap().preferred_location_id, berlin);
    let complete = pb::OrderDemand { ship_complete: true, ..all_or_nothing(&[("MUG", 1), ("CUP", 1)]) };
    assert_eq!(ships_from(&mut service, &complete).await, [berlin.clone(), berlin]);
    let nowhere = pb::OrderDemand { preferred_location_id: Uuid::now_v7().into(), ..all_or_nothing(&[("MUG", 1)]) };
    assert_eq!(service.reserve(&nowhere).await.unwrap_err().reason, "UNKNOWN_LOCATION");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_draft_is_compared_with_what_was_decided(pool: PgPool) {
    let mut service = start(&pool).await;
    let (london, berlin) = two_cities(&mut service).await;
    let orders = [
        to(BERLIN, all_or_nothing(&[("MUG", 1), ("CUP", 1)])),
        to(BERLIN, all_or_nothing(&[("MUG", 3)])),
        to(LONDON, all_or_nothing(&[("MUG", 2)])),
    ];
    for order in &orders {
        service.reserve(order).await.unwrap();
    }
    let draft = pb::SourcingRules {
        cost_per_shipment: Some(gbp(4, 0)),
        cost_per_km: Some(gbp(0, 10_000_000)),
        transit: vec![pb::TransitStep { max_km: 100.0, days: 1 }, pb::TransitStep { max_km: 0.0, days: 5 }],
        target_days: 2,
        ..nearest()
    };
    let now = service.clock.now();
    let range = pb::SimulateSourcingRequest {
        draft: Some(draft.clone()),
        from: Some(to_timestamp(now - Duration::days(1))),
        to: Some(to_timestamp(now + Duration::days(1))),
        ..Default::default()
    };
    let report = service.sourcing.simulate_sourcing(range.clone()).await.unwrap().into_inner();
    let (real, again) = (report.real.unwrap(), report.draft.unwrap());
    assert_eq!((real.orders, real.shipments, real.split_orders, real.short_units), (3, 4, 1, 0));
    assert_eq!((again.orders, again.shipments, again.split_orders, again.short_units), (3, 3, 0, 0));
    assert!(
        (real.total_km - 2.0 * 932.0).abs() < 10.0 && again.total_km < 0.001,
        "{} {}",
        real.total_km,
        again.total_km
    );
    assert_eq!((real.late_orders, real.late_days, again.late_orders), (2, 6, 0), "five days where two were meant");
    assert_eq!(again.cost, Some(gbp(12, 0)));
    assert_eq!(real.cost.unwrap().units, 34, "four shipments and 1,860 km");
    assert_eq!(report.changed_orders, 2);
    let changed = report.changed.iter().find(|changed| changed.order_id == orders[0].order_id).unwrap();
    let mut both = vec![london, berlin.clone()];
    both.sort_unstable();
    assert_eq!((&changed.real_locations, &changed.draft_locations), (&both, &vec![berlin]));

    // The rules in force against themselves change nothing; pages add up.
    let same = pb::SourcingRules { rank_weight: 1.0, ..Default::default() };
    let mut page = pb::SimulateSourcingRequest { draft: Some(same), page_size: 2, ..range.clone() };
    let mut seen = 0;
    loop {
        let report = service.sourcing.simulate_sourcing(page.clone()).await.unwrap().into_inner();
        assert_eq!(report.changed_orders, 0);
        assert_eq!(report.real, report.draft);
        seen += report.real.unwrap().orders;
        page.page_token = report.next_page_token;
        if page.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, 3);
    let order_ids = vec![orders[2].order_id.clone()];
    let some = pb::SimulateSourcingRequest { draft: Some(draft), order_ids, ..Default::default() };
    assert_eq!(service.sourcing.simulate_sourcing(some).await.unwrap().into_inner().real.unwrap().orders, 1);
    let nothing = service.sourcing.simulate_sourcing(pb::SimulateSourcingRequest::default()).await.unwrap_err();
    assert_eq!(nothing.code(), tonic::Code::InvalidArgument);
    service.assert_proven().await;
}
