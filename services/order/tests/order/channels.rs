//! Channels: their defaults, their doors, and that a repeat is a repeat whatever they say today.

use crate::peers::HALL;
use crate::suite::{Suite, eur, order, order_of, reason, start};
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::Problem;
use sqlx::PgPool;
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

pub fn channel(code: &str) -> Channel {
    Channel { code: code.into(), price_deviation_policy: PriceDeviationPolicy::Accept.into(), ..Channel::default() }
}

pub async fn define(suite: &Suite, channels: Vec<Channel>) -> Vec<Channel> {
    let request = UpsertChannelsRequest { request_id: String::new(), channels };
    suite.channels.clone().upsert_channels(request).await.unwrap().into_inner().channels
}

/// One outcome of placing, durable.
pub async fn try_place(suite: &Suite, order: NewOrder) -> Result<(Order, bool), Problem> {
    let request = PlaceOrdersRequest { orders: vec![order], wait: PlaceWait::Durable.into(), view: 0 };
    let mut results = suite.orders.clone().place_orders(request).await.unwrap().into_inner().results;
    let result = results.remove(0);
    match result.outcome.unwrap() {
        place_order_result::Outcome::Order(order) => Ok((order, result.already_existed)),
        place_order_result::Outcome::Problem(problem) => Err(problem),
    }
}

pub fn fields(problem: &Problem) -> Vec<&str> {
    problem.violations.iter().map(|violation| violation.field.as_str()).collect()
}

#[sqlx::test(migrations = false)]
async fn an_order_that_does_not_say_means_what_its_channel_says(pool: PgPool) {
    let suite = start(pool).await;
    let kiosk = Channel {
        kind: ChannelKind::Kiosk.into(),
        priority: Some(2),
        reservation_policy: ReservationPolicy::AllOrNothing.into(),
        fulfilment_policy: FulfilmentPolicy::StraightThrough.into(),
        payment_method: PaymentMethod::Provider.into(),
        currency_code: "EUR".into(),
        preferred_location_id: HALL.into(),
        ..channel("kiosk")
    };
    assert_eq!(define(&suite, vec![kiosk.clone()]).await, [Channel { version: 1, ..kiosk.clone() }]);
    let silent =
        NewOrder { channel: "kiosk".into(), currency_code: String::new(), payment_method: 0, ..order(&[("TEA", 2)]) };
    let placed = suite.place(silent.clone()).await;
    assert_eq!(
        (placed.priority, placed.reservation_policy(), placed.fulfilment_policy(), placed.payment_method()),
        (2, ReservationPolicy::AllOrNothing, FulfilmentPolicy::StraightThrough, PaymentMethod::Provider)
    );
    assert_eq!((placed.currency_code.as_str(), placed.preferred_location_id.as_str()), ("EUR", HALL));
    let demand = suite.peers.inventory.calls.lock().unwrap().concat().remove(0);
    assert_eq!((demand.channel.as_str(), demand.preferred_location_id.as_str(), demand.priority), ("kiosk", HALL, 2));

    // What it says itself goes first.
    let elsewhere = Uuid::now_v7().to_string();
    let loud = NewOrder {
        channel: "kiosk".into(),
        priority: Some(7),
        reservation_policy: ReservationPolicy::WhatIsThere.into(),
        fulfilment_policy: FulfilmentPolicy::Standard.into(),
        preferred_location_id: elsewhere.clone(),
        ..order(&[("TEA", 2)])
    };
    let (placed, _) = try_place(&suite, loud).await.unwrap();
    assert_eq!(
        (placed.priority, placed.reservation_policy(), placed.fulfilment_policy(), placed.preferred_location_id),
        (7, ReservationPolicy::WhatIsThere, FulfilmentPolicy::Standard, elsewhere)
    );
    // A channel that nobody defined has the house's defaults, and no currency.
    let (placed, _) = try_place(&suite, NewOrder { channel: "edi".into(), ..order(&[("TEA", 2)]) }).await.unwrap();
    assert_eq!((placed.priority, placed.reservation_policy()), (5, ReservationPolicy::Backorder));
    let again = NewOrder { channel: "edi".into(), request_id: Uuid::now_v7().to_string(), ..silent.clone() };
    let problem = try_place(&suite, NewOrder { payment_method: 2, ..again.clone() }).await.unwrap_err();
    assert_eq!(fields(&problem), ["currency_code"]);
    assert_eq!(fields(&try_place(&suite, again).await.unwrap_err()), ["payment_method"]);
    // Amounts in another currency than the channel's have to be meant.
    let mut dollars = NewOrder { request_id: Uuid::now_v7().to_string(), ..silent };
    dollars.lines[0].unit_price.as_mut().unwrap().currency_code = "USD".into();
    assert_eq!(fields(&try_place(&suite, dollars.clone()).await.unwrap_err()), ["currency_code"]);
    dollars.currency_code = "USD".into();
    assert_eq!(try_place(&suite, dollars).await.unwrap().0.currency_code, "USD");
}

#[sqlx::test(migrations = false)]
async fn a_closed_channel_takes_nothing_new_and_knows_what_it_took(pool: PgPool) {
    let suite = start(pool).await;
    let known = NewOrder { external_id: "1".into(), request_id: String::new(), ..order(&[("TEA", 1)]) };
    let (placed, _) = try_place(&suite, known.clone()).await.unwrap();
    define(&suite, vec![Channel { closed: true, ..channel("web") }]).await;
    let problem = try_place(&suite, order(&[("TEA", 1)])).await.unwrap_err();
    assert_eq!((problem.reason.as_str(), problem.retryable), ("CHANNEL_CLOSED", false));
    let request = PlaceOrderRequest { order: Some(order(&[("TEA", 1)])), wait: 0 };
    let status = suite.orders.clone().place_order(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "CHANNEL_CLOSED"));
    let (again, existed) = try_place(&suite, known).await.unwrap();
    assert_eq!((again.id, existed), (placed.id, true));
    define(&suite, vec![channel("web")]).await;
    try_place(&suite, order(&[("TEA", 1)])).await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn channels_are_kept_listed_and_checked(pool: PgPool) {
    let suite = start(pool).await;
    let codes = ["crm", "edi", "email", "kiosk", "marketplace", "phone", "store", "web"];
    let defined = define(&suite, codes.map(channel).to_vec()).await;
    assert!(defined.iter().all(|channel| channel.version == 1));
    // The same again changes nothing; another name does.
    let named = Channel { name: "The shop".into(), ..channel("web") };
    let request_id = Uuid::now_v7().to_string();
    let request = UpsertChannelsRequest { request_id, channels: vec![named.clone(), channel("crm")] };
    let mut client = suite.channels.clone();
    let answer = client.upsert_channels(request.clone()).await.unwrap().into_inner();
    assert_eq!(answer.channels.iter().map(|c| c.version).collect::<Vec<_>>(), [2, 1]);
    define(&suite, vec![Channel { name: "Later".into(), ..channel("web") }]).await;
    assert_eq!(client.upsert_channels(request.clone()).await.unwrap().into_inner(), answer, "the same request");
    let other = UpsertChannelsRequest { channels: vec![channel("crm")], ..request };
    assert_eq!(reason(&client.upsert_channels(other).await.unwrap_err()), "REQUEST_ID_REUSED");

    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListChannelsRequest { page_size: 3, page_token };
        let page = client.list_channels(request).await.unwrap().into_inner();
        listed.extend(page.channels.into_iter().map(|channel| channel.code));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, codes);
    let get = |code: &str| GetChannelRequest { code: code.into() };
    assert_eq!(client.get_channel(get("web")).await.unwrap().into_inner().channel.unwrap().name, "Later");
    let status = client.get_channel(get("fax")).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "CHANNEL_NOT_FOUND"));

    let wrong = Channel { priority: Some(10), currency_code: "EURO".into(), kind: 77, ..channel("Web") };
    let wrong = Channel { price_tolerance_basis_points: 10_001, preferred_location_id: "hall".into(), ..wrong };
    let request = UpsertChannelsRequest { request_id: String::new(), channels: vec![channel("fax"), wrong] };
    let status = client.upsert_channels(request).await.unwrap_err();
    let named: Vec<_> = status.get_details_bad_request().unwrap().field_violations;
    let named: Vec<_> = named.iter().map(|violation| violation.field.strip_prefix("channels[1].").unwrap()).collect();
    let expected =
        ["code", "kind", "priority", "currency_code", "preferred_location_id", "price_tolerance_basis_points"];
    assert_eq!(named, expected);
    assert_eq!(client.get_channel(get("fax")).await.unwrap_err().code(), Code::NotFound, "all or none");
}

#[sqlx::test(migrations = false)]
async fn another_order_under_a_known_external_id_is_told_what_differs(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let first = NewOrder {
        external_id: "E-1".into(),
        request_id: String::new(),
        order_discount: Some(eur(50)),
        ..order_of(&customer, &[("TEA", 2), ("CUP", 1)])
    };
    let (placed, _) = try_place(&suite, first.clone()).await.unwrap();
    let same = NewOrder { request_id: Uuid::now_v7().to_string(), ..first.clone() };
    let by_crm_id = NewOrder { customer_id: String::new(), customer_external_id: "C-1".into(), ..first.clone() };
    for repeat in [first.clone(), same, by_crm_id] {
        let (again, existed) = try_place(&suite, repeat).await.unwrap();
        assert_eq!((again.id, existed), (placed.id.clone(), true));
    }
    let differing = |change: fn(&mut NewOrder)| {
        let mut other = first.clone();
        change(&mut other);
        other
    };
    for (other, expected) in [
        (differing(|o| o.lines[1].quantity = 7), &["lines[1].quantity"][..]),
        (
            differing(|o| o.lines[0].unit_price = Some(eur(9))),
            &["lines[0].unit_price.units", "lines[0].unit_price.nanos"],
        ),
        (differing(|o| o.order_discount = Some(eur(40))), &["order_discount.nanos"]),
        (differing(|o| o.order_discount = None), &["order_discount"]),
        (differing(|o| drop(o.lines.pop())), &["lines"]),
        (differing(|o| o.priority = Some(1)), &["priority"]),
    ] {
        let problem = try_place(&suite, other).await.unwrap_err();
        assert_eq!((problem.reason.as_str(), fields(&problem)), ("EXTERNAL_ID_REUSED", expected.to_vec()));
    }
    let request = PlaceOrderRequest { order: Some(differing(|o| o.priority = Some(1))), wait: 0 };
    assert_eq!(suite.orders.clone().place_order(request).await.unwrap_err().code(), Code::AlreadyExists);
    let count: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&suite.pool).await.unwrap();
    assert_eq!(count, 1);
}
