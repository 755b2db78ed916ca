//! The work list of holds, and holds that end by themselves.

use crate::peers;
use crate::rules::{hold, rules, when, write};
use crate::suite::{Suite, order, order_of, reason, start, start_at};
use pesan_api::order::v1::hold_service_client::HoldServiceClient;
use pesan_api::order::v1::rule::Action;
use pesan_api::order::v1::*;
use pesan_host::Clock;
use sqlx::PgPool;
use std::time::Duration;
use time::OffsetDateTime;
use tonic::transport::Channel;
use uuid::Uuid;

fn holds(suite: &Suite) -> HoldServiceClient<Channel> {
    HoldServiceClient::new(suite.channel.clone())
}

fn expiring(reason: &str, seconds: i64, on_expiry: HoldExpiry) -> Action {
    Action::Hold(HoldAction {
        reason: reason.into(),
        expires_after: Some(prost_types::Duration { seconds, nanos: 0 }),
        on_expiry: on_expiry.into(),
        ..Default::default()
    })
}

async fn at_noon(pool: PgPool) -> (Suite, Clock) {
    let clock = Clock::manual(OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap());
    let peers = peers::start().await;
    (start_at(pool, peers, clock.clone()).await, clock)
}

#[sqlx::test(migrations = false)]
async fn a_hold_ends_when_it_expires_and_may_take_its_order_with_it(pool: PgPool) {
    let (suite, clock) = at_noon(pool).await;
    let all = [
        when("wait", "order.units == 1", expiring("WAIT", 3600, HoldExpiry::Release)),
        when("doubt", "order.units == 2", expiring("DOUBT", 7200, HoldExpiry::Cancel)),
    ];
    write(&suite, &all).await.unwrap();
    let waits = suite.place(order(&[("TEA", 1)])).await;
    let doubted = suite.place(order(&[("TEA", 2)])).await;
    assert_eq!((waits.state(), doubted.state()), (OrderState::OnHold, OrderState::OnHold));
    assert_eq!(waits.holds[0].expires_at.as_ref().unwrap().seconds, 1_800_000_000 + 3600);
    clock.advance(Duration::from_secs(3600));
    let confirmed = suite.until(&waits.id, OrderState::Confirmed).await;
    assert_eq!(confirmed.holds, []);
    let released: OrderHoldReleased = suite.fact(&waits.id).await;
    assert_eq!((released.release(), released.note.as_str()), (HoldRelease::Expiry, "wait"));
    assert_eq!(suite.get(&doubted.id).await.state(), OrderState::OnHold, "not yet");
    clock.advance(Duration::from_secs(3600));
    suite.until(&doubted.id, OrderState::Cancelled).await;
    let cancelled: OrderCancelled = suite.fact(&doubted.id).await;
    assert_eq!((cancelled.whole, cancelled.reason.as_str()), (true, "hold DOUBT expired"));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_hold_by_hand_expires_too(pool: PgPool) {
    let (suite, clock) = at_noon(pool).await;
    *suite.peers.inventory.is_down.lock().unwrap() = true;
    let place = PlaceOrderRequest { order: Some(order(&[("TEA", 2)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(place).await.unwrap().into_inner().order.unwrap();
    let at = |seconds: i64| Some(prost_types::Timestamp { seconds: 1_800_000_000 + seconds, nanos: 0 });
    let request = HoldOrderRequest {
        request_id: Uuid::now_v7().to_string(),
        name: placed.id.clone(),
        reason: "MANUAL".into(),
        expires_at: at(60),
        ..Default::default()
    };
    let past = HoldOrderRequest { expires_at: at(0), ..request.clone() };
    assert_eq!(suite.orders.clone().hold_order(past).await.unwrap_err().code(), tonic::Code::InvalidArgument);
    suite.orders.clone().hold_order(request).await.unwrap();
    *suite.peers.inventory.is_down.lock().unwrap() = false;
    clock.advance(Duration::from_secs(60));
    suite.until(&placed.id, OrderState::Confirmed).await;
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_rule_lifts_its_hold_when_the_customer_or_the_rule_changes_or_with_time(pool: PgPool) {
    let (suite, clock) = at_noon(pool).await;
    let customer = suite.customer("C1").await;
    let rule = |units: i64, release_when: &str| Rule {
        release_when: release_when.into(),
        ..when(&format!("units-{units}"), &format!("order.units == {units}"), hold("CHECK"))
    };
    let all = [
        rule(1, "customer.segment == 'verified'"),
        rule(2, "customer.segment == 'never'"),
        rule(3, "now >= order.placed_at + 3600"),
        rule(4, "lines[9].quantity > 0"),
    ];
    write(&suite, &all).await.unwrap();
    let mut placed = Vec::new();
    for units in 1..=4 {
        let order = suite.place(order_of(&customer, &[("TEA", units)])).await;
        assert_eq!(order.state(), OrderState::OnHold);
        placed.push(order.id);
    }
    let verified = Customer { segment: "verified".into(), ..customer.clone() };
    let upsert = UpsertCustomersRequest { customers: vec![verified] };
    suite.customers.clone().upsert_customers(upsert).await.unwrap();
    suite.until(&placed[0], OrderState::Confirmed).await;
    let released: OrderHoldReleased = suite.fact(&placed[0]).await;
    assert_eq!((released.release(), released.note.as_str()), (HoldRelease::Rule, "units-1"));

    write(&suite, &[rule(2, "customer.segment != 'never'")]).await.unwrap();
    suite.until(&placed[1], OrderState::Confirmed).await;
    assert_eq!(suite.get(&placed[2]).await.state(), OrderState::OnHold);
    clock.advance(Duration::from_secs(3600));
    suite.until(&placed[2], OrderState::Confirmed).await;
    assert_eq!(suite.get(&placed[3]).await.state(), OrderState::OnHold, "what fails lifts nothing");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_hold_outlives_its_rule(pool: PgPool) {
    let (suite, clock) = at_noon(pool).await;
    let rule = Rule { release_when: "true".into(), ..when("r", "true", expiring("R", 60, HoldExpiry::Release)) };
    let held = {
        let first = Rule { release_when: "false".into(), ..rule.clone() };
        write(&suite, &[first]).await.unwrap();
        suite.place(order(&[("TEA", 1)])).await
    };
    let delete = DeleteRuleRequest { request_id: Uuid::now_v7().to_string(), name: "r".into() };
    rules(&suite).delete_rule(delete).await.unwrap();
    assert_eq!(suite.get(&held.id).await.state(), OrderState::OnHold);
    clock.advance(Duration::from_secs(60));
    suite.until(&held.id, OrderState::Confirmed).await;
}

#[sqlx::test(migrations = false)]
async fn holds_are_a_work_list_and_many_are_lifted_at_once(pool: PgPool) {
    let suite = start(pool).await;
    let owned = |owner: &str| {
        Action::Hold(HoldAction { reason: format!("FOR_{owner}"), owner: owner.into(), ..Default::default() })
    };
    write(&suite, &[when("a", "true", owned("ANI")), when("b", "order.units > 2", owned("BUDI"))]).await.unwrap();
    let customer = suite.customer("C1").await;
    let mut placed = Vec::new();
    for units in [1, 2, 3, 4] {
        placed.push(suite.place(order_of(&customer, &[("TEA", units)])).await);
    }
    let list = async |owner: &str, reason: &str, page_size| {
        let (mut all, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = ListHoldsRequest {
                page_size,
                page_token,
                owner: owner.into(),
                reason: reason.into(),
                ..Default::default()
            };
            let page = holds(&suite).list_holds(request).await.unwrap().into_inner();
            assert!(page.holds.len() <= usize::try_from(page_size).unwrap());
            all.extend(page.holds);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return all;
            }
        }
    };
    let all = list("", "", 2).await;
    let numbers: Vec<_> = all.iter().map(|held| held.order_number.as_str()).collect();
    let expected: Vec<_> = [0, 1, 2, 2, 3, 3].map(|at: usize| placed[at].number.as_str()).to_vec();
    assert_eq!(numbers, expected, "oldest first");
    let budis = list("BUDI", "", 1).await;
    assert_eq!(budis.len(), 2);
    assert_eq!(list("", "FOR_BUDI", 10).await, budis);
    assert_eq!(list("BUDI", "FOR_ANI", 10).await, []);
    let first = &budis[0];
    assert_eq!((first.customer_name.as_str(), first.order_holds, first.channel.as_str()), ("Budi", 2, "web"));
    assert_eq!(first.total, placed[2].total);

    let unknown = Uuid::now_v7().to_string();
    let mut hold_ids: Vec<String> = all.iter().map(|held| held.hold.as_ref().unwrap().id.clone()).collect();
    let kept = hold_ids.pop().unwrap();
    hold_ids.push(unknown.clone());
    let request = ReleaseHoldsRequest { request_id: Uuid::now_v7().to_string(), hold_ids, note: "checked".into() };
    let answer = holds(&suite).release_holds(request.clone()).await.unwrap().into_inner();
    let problems: Vec<_> = answer.results.iter().filter(|result| result.problem.is_some()).collect();
    assert_eq!((problems.len(), &problems[0].hold_id), (1, &unknown));
    assert_eq!(problems[0].problem.as_ref().unwrap().reason, "HOLD_NOT_FOUND");
    assert_eq!(holds(&suite).release_holds(request.clone()).await.unwrap().into_inner(), answer, "again");
    let other = ReleaseHoldsRequest { note: "other".into(), ..request };
    assert_eq!(reason(&holds(&suite).release_holds(other).await.unwrap_err()), "REQUEST_ID_REUSED");
    for order in &placed[..3] {
        suite.until(&order.id, OrderState::Confirmed).await;
    }
    let released: OrderHoldReleased = suite.fact(&placed[0].id).await;
    assert_eq!((released.release(), released.note.as_str()), (HoldRelease::Hand, "checked"));
    let left = suite.get(&placed[3].id).await;
    assert_eq!((left.state(), left.holds[0].id == kept), (OrderState::OnHold, true));
    suite.assert_proven().await;
}
