//! Rules and checks that new orders are verified by.

use crate::suite::{LONG, Suite, line, order, order_of, reason, start, start_at, start_with};
use pesan_api::order::v1::rule::{Action, Condition};
use pesan_api::order::v1::rule_service_client::RuleServiceClient;
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::Address;
use pesan_host::Clock;
use sqlx::PgPool;
use std::time::Duration;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use uuid::Uuid;

pub fn rules(suite: &Suite) -> RuleServiceClient<Channel> {
    RuleServiceClient::new(suite.channel.clone())
}

pub fn when(name: &str, when: &str, action: Action) -> Rule {
    Rule {
        name: name.into(),
        enabled: true,
        condition: Some(Condition::When(when.into())),
        action: Some(action),
        ..Default::default()
    }
}

pub fn hold(reason: &str) -> Action {
    Action::Hold(HoldAction { reason: reason.into(), owner: "Ani".into(), ..Default::default() })
}

pub fn refuse(reason: &str) -> Action {
    Action::Refuse(RefuseAction { reason: reason.into(), message: "we do not sell this".into() })
}

pub async fn write(suite: &Suite, all: &[Rule]) -> Result<Vec<Rule>, Status> {
    let request = UpsertRulesRequest { rules: all.to_vec() };
    Ok(rules(suite).upsert_rules(request).await?.into_inner().rules)
}

async fn switch_on(suite: &Suite, name: &str, channel: &str) {
    let request = GetRuleRequest { name: name.into(), version: 0 };
    let rule = rules(suite).get_rule(request).await.unwrap().into_inner().rule.unwrap();
    assert!(!rule.enabled, "it comes switched off");
    write(suite, &[Rule { enabled: true, channels: vec![channel.into()], ..rule }]).await.unwrap();
}

async fn release(suite: &Suite, name: &str) {
    let request_id = Uuid::now_v7().to_string();
    let request = ReleaseHoldRequest { request_id, name: name.into(), ..Default::default() };
    suite.orders.clone().release_hold(request).await.unwrap();
}

fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    details.bad_request().unwrap().field_violations.iter().map(|v| v.field.clone()).collect()
}

#[sqlx::test(migrations = false)]
async fn rules_hold_tag_route_and_refuse_new_orders(pool: PgPool) {
    let suite = start(pool).await;
    let before = suite.place(order(&[("TEA", 2)])).await;
    assert_eq!(before.state(), OrderState::Confirmed, "without rules");
    let location = Uuid::now_v7().to_string();
    let route = Action::Route(RouteAction {
        route: "night-shift".into(),
        preferred_location_id: location.clone(),
        fulfilment_policy: FulfilmentPolicy::StraightThrough.into(),
    });
    let tag = Action::Tag(TagAction { tags: vec!["gift".into(), "big".into()] });
    let all = [
        when("many", "order.units >= 10", hold("MANY_UNITS")),
        when("big", "lines.exists(l, l.quantity > 4)", tag),
        when("night", "'big' in order.tags || order.units > 4", route),
        when("guests", "!customer.known && order.units > 20", hold("GUEST")),
        when("knives", "lines.exists(l, l.sku.startsWith('KNIFE'))", refuse("NOT_SOLD")),
        Rule { channels: vec!["edi".into()], ..when("edi", "true", refuse("EDI_IS_CLOSED")) },
    ];
    assert!(write(&suite, &all).await.unwrap().iter().all(|rule| rule.version == 1));

    assert_eq!(suite.place(order(&[("TEA", 2)])).await.state(), OrderState::Confirmed, "none applies");
    let routed = suite.place(order(&[("TEA", 5)])).await;
    assert_eq!((routed.state(), routed.route.as_str()), (OrderState::Confirmed, "night-shift"));
    assert_eq!(
        (routed.tags.as_slice(), &routed.preferred_location_id),
        (&["big".to_owned(), "gift".into()][..], &location)
    );
    assert_eq!(routed.fulfilment_policy(), FulfilmentPolicy::StraightThrough);
    let accepted: OrderAccepted = suite.fact(&routed.id).await;
    assert_eq!((accepted.tags, accepted.route.as_str()), (routed.tags, "night-shift"));
    let confirmed: OrderConfirmed = suite.fact(&routed.id).await;
    assert_eq!(confirmed.fulfilment_policy(), FulfilmentPolicy::StraightThrough);

    let demands = suite.peers.inventory.calls.lock().unwrap().concat();
    let demand = demands.iter().find(|demand| demand.order_id == routed.id).unwrap();
    assert_eq!(demand.preferred_location_id, location);

    let held = suite.place(order(&[("TEA", 21)])).await;
    assert_eq!(held.state(), OrderState::OnHold);
    let reasons: Vec<_> = held.holds.iter().map(|hold| (hold.reason.as_str(), hold.rule.as_str())).collect();
    assert_eq!(reasons, [("GUEST", "guests"), ("MANY_UNITS", "many")], "by rank, then name");
    assert_eq!(held.holds[0].owner, "Ani");
    assert_eq!(suite.fact_names(&held.id).await, ["OrderAccepted", "OrderHeld", "OrderHeld"]);
    assert_eq!(held.version, 3);

    let asked = order(&[("KNIFE", 21)]);
    let refused = suite.place(asked.clone()).await;
    assert_eq!((refused.state(), refused.holds.len()), (OrderState::Rejected, 0));
    assert_eq!((refused.rejections[0].reason.as_str(), refused.rejections.len()), ("NOT_SOLD", 1));
    assert_eq!(suite.place(asked).await, refused, "the same request again");
    assert_eq!(suite.fact_names(&refused.id).await, ["OrderAccepted", "OrderRejected"]);
    let edi = suite.place(NewOrder { channel: "edi".into(), ..order(&[("TEA", 1)]) }).await;
    assert_eq!(edi.rejections[0].reason, "EDI_IS_CLOSED");
    suite.assert_proven().await;

    release(&suite, &held.id).await;
    suite.until(&held.id, OrderState::Confirmed).await;
    let other = start_with(suite.pool.clone(), suite.peers.clone()).await;
    assert_eq!(other.place(order(&[("KNIFE", 1)])).await.state(), OrderState::Rejected, "in every process");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_wrong_with_rules_is_told_with_its_place(pool: PgPool) {
    let suite = start(pool).await;
    let all = [
        when("fine", "true", hold("FINE")),
        when("typo", "order.totl > 5.0", hold("A")),
        when("open", "order.total >", hold("A")),
        Rule { release_when: "nobody".into(), ..when("release", "true", hold("A")) },
        Rule { release_when: "true".into(), ..when("no-hold", "true", refuse("A")) },
        when("Bad Name", "true", hold("not a reason")),
        Rule { condition: None, action: None, ..when("empty", "", hold("A")) },
        when("fine", "true", hold("FINE")),
    ];
    let status = write(&suite, &all).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(
        fields(&status),
        [
            "rules[1].when",
            "rules[2].when",
            "rules[3].release_when",
            "rules[4].release_when",
            "rules[5].name",
            "rules[5].hold.reason",
            "rules[6].when",
            "rules[6].hold",
            "rules[7].name",
        ]
    );
    let details = status.get_error_details();
    let typo = &details.bad_request().unwrap().field_violations[0].description;
    assert!(typo.starts_with("line 1, column 6: order has no \"totl\""), "{typo}");
    assert_eq!(suite.place(order(&[("TEA", 1)])).await.state(), OrderState::Confirmed, "none was written");
}

#[sqlx::test(migrations = false)]
async fn rules_have_versions(pool: PgPool) {
    let suite = start(pool).await;
    let first = write(&suite, &[when("r", "true", hold("ONE"))]).await.unwrap().remove(0);
    let same = write(&suite, std::slice::from_ref(&first)).await.unwrap().remove(0);
    assert_eq!((first.version, &same), (1, &first), "the same is left as it is");
    let second = write(&suite, &[Rule { action: Some(hold("TWO")), ..first.clone() }]).await.unwrap().remove(0);
    assert_eq!(second.version, 2);
    let status = write(&suite, &[Rule { action: Some(hold("THREE")), ..first.clone() }]).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "VERSION_MISMATCH"));

    let get = async |version| {
        let request = GetRuleRequest { name: "r".into(), version };
        rules(&suite).get_rule(request).await.map(|answer| answer.into_inner().rule.unwrap())
    };
    assert_eq!((get(0).await.unwrap(), get(1).await.unwrap()), (second.clone(), first));
    let mut names = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListRulesRequest { page_size: 2, page_token };
        let page = rules(&suite).list_rules(request).await.unwrap().into_inner();
        names.extend(page.rules.into_iter().map(|rule| rule.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["r", "address-check", "duplicate-order-check"]);

    let delete = DeleteRuleRequest { request_id: Uuid::now_v7().to_string(), name: "r".into() };
    rules(&suite).delete_rule(delete.clone()).await.unwrap();
    rules(&suite).delete_rule(delete.clone()).await.unwrap();
    let again = DeleteRuleRequest { request_id: Uuid::now_v7().to_string(), ..delete };
    assert_eq!(reason(&rules(&suite).delete_rule(again).await.unwrap_err()), "RULE_NOT_FOUND");
    assert_eq!(reason(&get(0).await.unwrap_err()), "RULE_NOT_FOUND");
    assert_eq!(get(2).await.unwrap(), second, "what held orders once can still be read");
    assert_eq!(suite.place(order(&[("TEA", 1)])).await.state(), OrderState::Confirmed);
    let third = write(&suite, &[when("r", "true", hold("ONE"))]).await.unwrap().remove(0);
    assert_eq!(third.version, 3, "it goes on counting");
}

#[sqlx::test(migrations = false)]
async fn a_rule_that_fails_holds_the_order(pool: PgPool) {
    let suite = start(pool).await;
    write(&suite, &[when("broken", "lines[1].quantity > 3", refuse("NEVER"))]).await.unwrap();
    let held = suite.place(order(&[("TEA", 9)])).await;
    assert_eq!((held.state(), held.holds.len()), (OrderState::OnHold, 1));
    let hold = &held.holds[0];
    assert_eq!((hold.reason.as_str(), hold.rule.as_str()), ("RULE_FAILED", "broken"));
    assert!(hold.note.starts_with("rule broken: "), "{}", hold.note);
    // What was accepted once and cannot be read any more loses no order either.
    let body = prost::Message::encode_to_vec(&when("broken", "this is not ( CEL", refuse("NEVER")));
    sqlx::query("update rule set body = $1 where name = 'broken'").bind(body).execute(&suite.pool).await.unwrap();
    sqlx::query("update setting set version = version + 1").execute(&suite.pool).await.unwrap();
    let held = suite.place(order(&[("TEA", 9), ("TEA", 1)])).await;
    assert_eq!(held.holds[0].reason, "RULE_FAILED");
    release(&suite, &held.id).await;
    suite.until(&held.id, OrderState::Confirmed).await;
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn the_address_check_holds_what_cannot_be_right(pool: PgPool) {
    let suite = start(pool).await;
    let to = |postal_code: &str| {
        let ship_to = Address {
            recipient: "Ann".into(),
            lines: vec!["1 High Street".into()],
            country: "GB".into(),
            postal_code: postal_code.into(),
            ..Default::default()
        };
        NewOrder { ship_to: Some(ship_to), ..order(&[("TEA", 1)]) }
    };
    assert_eq!(suite.place(to("")).await.state(), OrderState::Confirmed, "switched off");
    switch_on(&suite, "address-check", "web").await;
    let held = suite.place(to("90210")).await;
    assert_eq!(held.state(), OrderState::OnHold);
    let hold = &held.holds[0];
    assert_eq!((hold.reason.as_str(), hold.rule.as_str()), ("ADDRESS_CHECK", "address-check"));
    assert_eq!(hold.note, "postal_code: is no postal code of GB");
    assert_eq!(suite.place(to("SW1A 1AA")).await.state(), OrderState::Confirmed);
    let elsewhere = NewOrder { channel: "edi".into(), ..to("90210") };
    assert_eq!(suite.place(elsewhere).await.state(), OrderState::Confirmed, "not of that channel");
}

#[sqlx::test(migrations = false)]
async fn the_same_order_twice_is_held_and_names_the_other(pool: PgPool) {
    let suite = start(pool).await;
    switch_on(&suite, "duplicate-order-check", "web").await;
    let customer = suite.customer("C1").await;
    let of_customer = || order_of(&customer, &[("TEA", 2), ("CUP", 1)]);
    let first = suite.place(of_customer()).await;
    assert_eq!(first.state(), OrderState::Confirmed);
    let lines = vec![line("CUP", 1), line("TEA", 2)];
    let second = suite.place(NewOrder { lines, ..of_customer() }).await;
    assert_eq!((second.state(), second.holds[0].reason.as_str()), (OrderState::OnHold, "DUPLICATE_ORDER"));
    assert_eq!(second.holds[0].note, format!("the same as {}", first.number));
    assert_eq!(suite.place(order_of(&customer, &[("TEA", 3), ("CUP", 1)])).await.state(), OrderState::Confirmed);
    let early = suite.get(&first.id).await.placed_at.unwrap();
    let early = prost_types::Timestamp { seconds: early.seconds - 25 * 3600, ..early };
    let day_before = NewOrder { placed_at: Some(early), ..of_customer() };
    assert_eq!(suite.place(day_before).await.state(), OrderState::Confirmed, "too far apart");
    let elsewhere = NewOrder { channel: "edi".into(), ..of_customer() };
    assert_eq!(suite.place(elsewhere).await.state(), OrderState::Confirmed, "not of that channel");

    // Guests, by e-mail, in one batch; one without is never compared.
    let guest = |email: &str| {
        let ship_to = Address { email: email.into(), ..crate::suite::address() };
        NewOrder { ship_to: Some(ship_to), ..order(&[("TEA", 7)]) }
    };
    let orders = vec![guest("a@b.example"), guest("A@B.example"), guest(""), guest("")];
    let request = PlaceOrdersRequest { orders, wait: PlaceWait::Settled.into(), view: 0 };
    let placed = suite.orders.clone().place_orders(request).await.unwrap().into_inner().results;
    let states: Vec<OrderState> = placed
        .into_iter()
        .map(|result| match result.outcome.unwrap() {
            place_order_result::Outcome::Order(order) => order.state(),
            place_order_result::Outcome::Problem(problem) => panic!("{problem:?}"),
        })
        .collect();
    assert_eq!(states.iter().filter(|state| **state == OrderState::OnHold).count(), 1, "{states:?}");

    // What was cancelled is not the same any more.
    let one = suite.place(order_of(&customer, &[("TEA", 1)])).await;
    let cancel = CancelOrderRequest { request_id: Uuid::now_v7().to_string(), name: one.id, ..Default::default() };
    suite.orders.clone().cancel_order(cancel).await.unwrap();
    assert_eq!(suite.place(order_of(&customer, &[("TEA", 1)])).await.state(), OrderState::Confirmed);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn of_ten_that_are_the_same_at_once_nine_are_held(pool: PgPool) {
    let suite = start(pool).await;
    switch_on(&suite, "duplicate-order-check", "web").await;
    let other = start_with(suite.pool.clone(), suite.peers.clone()).await;
    let customer = suite.customer("C1").await;
    let places = (0..10).map(|i| if i % 2 == 0 { &suite } else { &other }.place(order_of(&customer, &[("TEA", 1)])));
    let placed = futures::future::join_all(places).await;
    assert_eq!(placed.iter().filter(|order| order.state() == OrderState::OnHold).count(), 9);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn rules_can_be_tried_out(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C1").await;
    let stored = suite.place(order_of(&customer, &[("TEA", 9)])).await;
    let draft = Rule {
        enabled: false,
        release_when: "customer.segment == 'wholesale'".into(),
        ..when("draft", "order.units > 5", hold("MANY"))
    };
    let broken = when("broken", "lines[5].quantity > 1", refuse("NO"));
    let ask = TestRulesRequest {
        rules: vec![draft, broken],
        orders: vec![order(&[("TEA", 1)]), order(&[])],
        names: vec![stored.number.clone()],
    };
    let facts = suite.facts().await.len();
    let results = rules(&suite).test_rules(ask.clone()).await.unwrap().into_inner().results;
    let seen = |at: usize| -> Vec<(&str, bool, bool, bool)> {
        let each = results[at].outcomes.iter();
        each.map(|o| (o.rule.as_str(), o.fired, !o.error.is_empty(), o.releases)).collect()
    };
    assert_eq!(seen(0), [("broken", false, true, false), ("draft", false, false, false)]);
    assert_eq!(results[1].problem.as_ref().unwrap().violations[0].field, "lines");
    assert_eq!(seen(2), [("broken", false, true, false), ("draft", true, false, true)]);
    assert_eq!(suite.facts().await.len(), facts, "nothing was written");
    let unknown = TestRulesRequest { names: vec!["SO-999999".into()], ..ask };
    assert_eq!(reason(&rules(&suite).test_rules(unknown).await.unwrap_err()), "ORDER_NOT_FOUND");
}

#[sqlx::test(migrations = false)]
async fn what_orders_are_compared_by_is_forgotten_after_the_longest_window(pool: PgPool) {
    let clock = Clock::manual(Clock::System.now());
    let suite = start_at(pool, crate::peers::start().await, clock.clone()).await;
    switch_on(&suite, "duplicate-order-check", "web").await;
    let remembered = async || -> Vec<i32> {
        sqlx::query_scalar("select o.line_count from order_fingerprint f join orders o using (order_id) order by 1")
            .fetch_all(&suite.pool)
            .await
            .unwrap()
    };
    let customer = suite.customer("C1").await;
    suite.place(order_of(&customer, &[("TEA", 2)])).await;
    clock.advance(Duration::from_secs(29 * 24 * 3600));
    suite.place(order_of(&customer, &[("TEA", 2), ("CUP", 1)])).await;
    assert_eq!(remembered().await, [1, 2]);
    clock.advance(Duration::from_secs(24 * 3600 + 1));
    let wait = async {
        while remembered().await != [2] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap();
    let twin = suite.place(order_of(&customer, &[("TEA", 2), ("CUP", 1)])).await;
    assert_eq!(twin.state(), OrderState::Confirmed, "it is more than a day apart");
    assert_eq!(remembered().await, [2, 2]);
    suite.assert_proven().await;
}
