//! Rules about orders that are changed.

use crate::changing::{accepted, add, address, commit, commit_of, plan, quantity};
use crate::rules::{hold, refuse, when, write};
use crate::suite::{Suite, order, parts, reason, start};
use pesan_api::order::v1::change::Kind;
use pesan_api::order::v1::*;
use sqlx::PgPool;
use uuid::Uuid;

/// What a plan tells of holds and of a refusal.
fn told(plan: &ChangePlan) -> (Vec<&str>, Option<&str>) {
    let rules = plan.rules.as_ref().unwrap();
    let holds = rules.holds.iter().map(|hold| hold.reason.as_str()).collect();
    (holds, rules.refusal.as_ref().map(|refusal| refusal.reason.as_str()))
}

async fn committed(suite: &Suite, plan: &ChangePlan) -> CommitChangeResponse {
    commit(suite, commit_of(plan)).await.unwrap()
}

async fn with_rules(pool: PgPool) -> Suite {
    let suite = start(pool).await;
    let rules = [
        when("many", "order.units >= 10", hold("MANY_UNITS")),
        when("abroad", "ship_to.country == 'SG'", hold("ABROAD")),
        when("knives", "lines.exists(l, l.sku.startsWith('KNIFE'))", refuse("NOT_SOLD")),
    ];
    write(&suite, &rules).await.unwrap();
    suite
}

#[sqlx::test(migrations = false)]
async fn before_the_promise_a_change_is_held_or_refused_as_a_new_order_is(pool: PgPool) {
    let suite = with_rules(pool).await;
    let placed = accepted(&suite).await;
    let refused = plan(&suite, &placed.id, vec![add("KNIFE", 1), quantity(1, 20)]).await.unwrap();
    assert_eq!(told(&refused), (vec![], Some("NOT_SOLD")));
    assert_eq!(refused.impossible, []);
    let status = commit(&suite, commit_of(&refused)).await.unwrap_err();
    assert_eq!(reason(&status), "REFUSED_BY_RULE");
    assert!(status.message().contains("NOT_SOLD: we do not sell this"), "{}", status.message());
    assert_eq!(suite.get(&placed.id).await, placed, "nothing has changed");

    let more = plan(&suite, &placed.id, vec![quantity(1, 20)]).await.unwrap();
    assert_eq!(told(&more), (vec!["MANY_UNITS"], None));
    assert_eq!(suite.get(&placed.id).await, placed, "a plan only tells");
    let held = committed(&suite, &more).await.order.unwrap();
    assert_eq!((held.state(), held.holds.len()), (OrderState::OnHold, 1));
    assert_eq!((held.holds[0].rule.as_str(), held.holds[0].owner.as_str()), ("many", "Ani"));
    assert_eq!(suite.fact_names(&placed.id).await, ["OrderAccepted", "OrderAmended", "OrderHeld"]);
    // It is held for that already; for something else it is held for that, too.
    let both = plan(&suite, &placed.id, vec![quantity(1, 30), address()]).await.unwrap();
    assert_eq!(told(&both), (vec!["ABROAD", "MANY_UNITS"], None));
    let held = committed(&suite, &both).await.order.unwrap();
    let rules: Vec<&str> = held.holds.iter().map(|hold| hold.rule.as_str()).collect();
    assert_eq!(rules, ["many", "abroad"]);
    suite.assert_proven().await;

    *suite.peers.inventory.is_down.lock().unwrap() = false;
    let request_id = Uuid::now_v7().to_string();
    let all = ReleaseHoldRequest { request_id, name: placed.id.clone(), ..Default::default() };
    suite.orders.clone().release_hold(all).await.unwrap();
    let confirmed = suite.until(&placed.id, OrderState::Confirmed).await;
    assert_eq!(parts(&confirmed.quantities), [("ordered", 32), ("reserved", 32)]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn after_the_promise_a_rule_blocks_what_is_not_handed_over(pool: PgPool) {
    let suite = with_rules(pool).await;
    let placed = suite.place(order(&[("TEA", 4)])).await;
    let refused = plan(&suite, &placed.id, vec![add("KNIFE", 1)]).await.unwrap();
    assert_eq!(told(&refused), (vec![], Some("NOT_SOLD")));
    assert_eq!(reason(&commit(&suite, commit_of(&refused)).await.unwrap_err()), "REFUSED_BY_RULE");
    let reserved = suite.peers.inventory.reservations.lock().unwrap()[&placed.id].lines.len();
    assert_eq!(reserved, 1, "nobody was asked for anything");

    let more = plan(&suite, &placed.id, vec![add("CUP", 6)]).await.unwrap();
    assert_eq!(told(&more), (vec!["MANY_UNITS"], None));
    let [parcel] = more.parcels.as_slice() else { panic!("{more:?}") };
    assert_eq!(parcel.kept_back.as_ref().unwrap().block, "MANY_UNITS");
    let changed = committed(&suite, &more).await.order.unwrap();
    assert_eq!(changed.state(), OrderState::Confirmed);
    let delivery = changed.delivery.clone().unwrap();
    assert_eq!((delivery.block.as_str(), delivery.withheld), ("MANY_UNITS", 6), "4 TEA are fulfilment's already");
    let names = suite.fact_names(&placed.id).await;
    assert_eq!(names, ["OrderAccepted", "OrderConfirmed", "OrderAmended", "OrderDeliveryChanged"]);
    suite.assert_proven().await;

    // A block that is there stays.
    let both = plan(&suite, &placed.id, vec![address(), add("CUP", 1)]).await.unwrap();
    assert_eq!(told(&both), (vec!["ABROAD", "MANY_UNITS"], None));
    let changed = committed(&suite, &both).await.order.unwrap();
    let delivery = changed.delivery.unwrap();
    assert_eq!((delivery.block.as_str(), delivery.withheld), ("MANY_UNITS", 11));
    let lifted = ReleaseDeliveryRequest { request_id: Uuid::now_v7().to_string(), name: placed.id.clone() };
    suite.schedules.clone().release_delivery(lifted).await.unwrap();
    assert_eq!(suite.get(&placed.id).await.delivery, None);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_only_taken_away_is_not_decided_about_again(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 30), ("KNIFE", 2)])).await;
    let rules = [
        when("many", "order.units >= 10", hold("MANY_UNITS")),
        when("knives", "lines.exists(l, l.sku.startsWith('KNIFE'))", refuse("NOT_SOLD")),
        when("few", "order.units < 5", hold("FEW_UNITS")),
    ];
    write(&suite, &rules).await.unwrap();
    let less = plan(&suite, &placed.id, vec![quantity(1, 20)]).await.unwrap();
    assert_eq!(told(&less), (vec![], None), "both applied before");
    let changed = committed(&suite, &less).await.order.unwrap();
    assert_eq!((parts(&changed.quantities)[2], changed.delivery), (("cancelled", 10), None));
    let few = plan(&suite, &placed.id, vec![quantity(1, 1)]).await.unwrap();
    assert_eq!(told(&few), (vec!["FEW_UNITS"], None), "this one did not");
    let again = plan(&suite, &placed.id, vec![quantity(1, 21)]).await.unwrap();
    assert_eq!(told(&again), (vec![], Some("NOT_SOLD")), "cancelled units do not make room");
    let none = plan(&suite, &placed.id, vec![Kind::CancelRest(CancelRest {})]).await.unwrap();
    assert_eq!(told(&none), (vec![], None), "it can always be cancelled");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_split_off_elsewhere_is_held_by_itself(pool: PgPool) {
    let suite = with_rules(pool).await;
    let placed = suite.place(order(&[("TEA", 4)])).await;
    let split = |ship_to| {
        let lines = vec![CancelLine { line_no: 1, quantity: 1 }];
        Kind::SplitOff(SplitOff { lines, ship_to, ..Default::default() })
    };
    let here = plan(&suite, &placed.id, vec![split(None)]).await.unwrap();
    assert_eq!(told(&here), (vec![], None));
    let away = plan(&suite, &placed.id, vec![split(Some(crate::changing::elsewhere()))]).await.unwrap();
    assert_eq!(told(&away), (vec!["ABROAD"], None));
    let request = CommitChangeRequest { payment_token: "tok_ok".into(), ..commit_of(&away) };
    let done = commit(&suite, request).await.unwrap();
    assert_eq!(done.order.unwrap().delivery, None);
    let part = suite.get(&done.split_order_ids[0]).await;
    assert_eq!((part.state(), part.holds[0].rule.as_str()), (OrderState::OnHold, "abroad"));
    assert_eq!(suite.fact_names(&part.id).await, ["OrderAccepted", "OrderHeld"]);
    suite.assert_proven().await;
}
