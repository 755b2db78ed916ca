//! Getting, listing, watching.

use crate::following::issue;
use crate::peers::HALL;
use crate::suite::{LONG, Suite, order, order_of, reason, start};
use pesan_api::order::v1::*;
use prost_types::Timestamp;
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

async fn page(suite: &Suite, request: ListOrdersRequest) -> ListOrdersResponse {
    suite.orders.clone().list_orders(request).await.unwrap().into_inner()
}

/// The external ids of all orders that a filter leaves, page by page.
async fn all(suite: &Suite, filter: ListOrdersRequest) -> Vec<String> {
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let page = page(suite, ListOrdersRequest { page_token: token, ..filter.clone() }).await;
        seen.extend(page.orders.into_iter().map(|order| order.external_id));
        token = page.next_page_token;
        if token.is_empty() {
            return seen;
        }
    }
}

#[sqlx::test(migrations = false)]
async fn an_order_is_found_by_each_of_its_names(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(NewOrder { external_id: "A/7".into(), ..order(&[("TEA", 1)]) }).await;
    for name in [placed.id.as_str(), placed.number.as_str(), "web/A/7"] {
        assert_eq!(suite.get(name).await, placed);
    }
    let request = GetOrderRequest { name: placed.id.clone(), view: OrderView::Basic.into() };
    let basic = suite.orders.clone().get_order(request).await.unwrap().into_inner().order.unwrap();
    assert_eq!(basic, Order { lines: vec![], ..placed });
    for (name, code, why) in [
        ("SO-999999", Code::NotFound, "ORDER_NOT_FOUND"),
        ("web/none", Code::NotFound, "ORDER_NOT_FOUND"),
        ("018f0000-0000-7000-8000-00000000dead", Code::NotFound, "ORDER_NOT_FOUND"),
        ("", Code::InvalidArgument, ""),
    ] {
        let request = GetOrderRequest { name: name.into(), view: 0 };
        let status = suite.orders.clone().get_order(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, why), "{name:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn pages_are_stable_and_filters_filter(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    for n in 0..6 {
        let base = if n % 2 == 0 { order(&[("TEA", 1)]) } else { order_of(&customer, &[("UNKNOWN", 1)]) };
        let channel = if n < 4 { "web" } else { "edi" };
        let new = NewOrder {
            external_id: n.to_string(),
            channel: channel.into(),
            placed_at: at(1_000_000_000 + i64::from(n / 2)), // two at each time
            ..base
        };
        suite.place(new).await;
    }
    let by_twos = ListOrdersRequest { page_size: 2, ..Default::default() };
    assert_eq!(all(&suite, by_twos.clone()).await, ["5", "4", "3", "2", "1", "0"]);
    for (filter, expected) in [
        (ListOrdersRequest { states: vec![OrderState::Rejected.into()], ..by_twos.clone() }, vec!["5", "3", "1"]),
        (ListOrdersRequest { customer_id: customer.id.clone(), ..by_twos.clone() }, vec!["5", "3", "1"]),
        (ListOrdersRequest { channel: "edi".into(), ..by_twos.clone() }, vec!["5", "4"]),
        (ListOrdersRequest { placed_from: at(1_000_000_001), ..by_twos.clone() }, vec!["5", "4", "3", "2"]),
        (ListOrdersRequest { placed_to: at(1_000_000_001), ..by_twos.clone() }, vec!["1", "0"]),
        (ListOrdersRequest { states: vec![OrderState::OnHold.into()], ..by_twos.clone() }, vec![]),
    ] {
        assert_eq!(all(&suite, filter.clone()).await, expected, "{filter:?}");
    }
    // An order placed between two pages shifts nothing.
    let first = page(&suite, by_twos.clone()).await;
    suite.place(NewOrder { external_id: "new".into(), ..order(&[("TEA", 1)]) }).await;
    let second = ListOrdersRequest { page_token: first.next_page_token.clone(), ..by_twos.clone() };
    let seen: Vec<_> = page(&suite, second.clone()).await.orders.into_iter().map(|order| order.external_id).collect();
    assert_eq!(seen, ["3", "2"]);
    // A token belongs to its request.
    let other = ListOrdersRequest { channel: "web".into(), ..second };
    assert_eq!(suite.orders.clone().list_orders(other).await.unwrap_err().code(), Code::InvalidArgument);
    let wrong = ListOrdersRequest { page_size: 1001, ..Default::default() };
    assert_eq!(suite.orders.clone().list_orders(wrong).await.unwrap_err().code(), Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn a_watch_shows_each_state_and_resumes(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 2)])).await;
    let watch = |after_version| {
        let request = WatchOrderRequest { name: placed.number.clone(), after_version };
        let mut client = suite.orders.clone();
        async move { client.watch_order(request).await.unwrap().into_inner() }
    };
    let next = async |states: &mut tonic::Streaming<WatchOrderResponse>| {
        tokio::time::timeout(LONG, states.message()).await.unwrap().unwrap().unwrap().order.unwrap()
    };
    let mut states = watch(0).await;
    assert_eq!(next(&mut states).await, placed, "as it is");
    issue(&suite, &placed.id, Uuid::now_v7(), HALL, &[(1, 1)]);
    let shipped = next(&mut states).await;
    assert_eq!((shipped.version, shipped.state()), (3, OrderState::PartiallyShipped));
    drop(states);
    // Nothing is newer yet; the next change is the next message.
    let mut states = watch(3).await;
    issue(&suite, &placed.id, Uuid::now_v7(), HALL, &[(1, 1)]);
    assert_eq!(next(&mut states).await.version, 4);

    let request = WatchOrderRequest { name: "SO-999999".into(), after_version: 0 };
    assert_eq!(suite.orders.clone().watch_order(request).await.unwrap_err().code(), Code::NotFound);
    // A stop ends the watch, and says so.
    let stopped = tokio::spawn(async move { states.message().await });
    suite.stop().await;
    let status = stopped.await.unwrap().unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "SHUTTING_DOWN"));
}
