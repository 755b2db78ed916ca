//! The five as processes of their own: one trace through all of them, and none of it lost when they are killed.

use e2e::*;
use pesan_api::order::v1::{self as order, OrderState};
use sqlx::PgPool;
use std::collections::BTreeSet;

#[sqlx::test(migrations = false)]
async fn one_trace_follows_an_order_through_all_five_services(pool: PgPool) {
    let (receiver, endpoint) = Receiver::start().await.unwrap();
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "200".to_owned()),
    ];
    let mut suite = Suite::start_processes(&pool, environment).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 10))).await.unwrap();

    // The client's own trace.
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let client_span = "b7ad6b7169203331";
    let mut request = tonic::Request::new(order::PlaceOrderRequest {
        order: Some(straight_through(card_order(&[("CHAIR", 1)]))),
        ..Default::default()
    });
    request.metadata_mut().insert("traceparent", format!("00-{trace_id}-{client_span}-01").parse().unwrap());
    let placed = suite.orders().place_order(request).await.unwrap().into_inner().order.unwrap();
    suite.order_in(&placed.number, OrderState::Completed).await.unwrap();

    let bytes = |hex: &str| {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect::<Vec<u8>>()
    };
    let trace = eventually("spans of all five services", || async {
        let trace = receiver.trace(&bytes(trace_id));
        let services: BTreeSet<_> = trace.iter().map(|r| r.service.clone()).collect();
        let all = SERVICES.iter().all(|s| services.iter().any(|name| name.ends_with(s)));
        // Effects of the last facts: analytics has read billing's feed.
        let last = trace.iter().any(|r| r.span.name == "analytics follows billing");
        // The call's own span may be exported after those of what followed from it.
        let called = trace.iter().any(|r| r.span.parent_span_id == bytes(client_span));
        if all && last && called { Ok(trace) } else { Err(format!("{services:?}")) }
    })
    .await
    .unwrap();

    // The call is the child of the client's span; every other span's parent is a span of this trace.
    let root: Vec<_> = trace.iter().filter(|r| r.span.parent_span_id == bytes(client_span)).collect();
    assert_eq!(root.len(), 1, "{root:?}");
    assert_eq!(root[0].span.name, "pesan.order.v1.OrderService/PlaceOrder");
    eventually("every parent", || async {
        let trace = receiver.trace(&bytes(trace_id));
        let ids: BTreeSet<_> = trace.iter().map(|r| r.span.span_id.clone()).collect();
        let lost =
            trace.iter().find(|r| r.span.parent_span_id != bytes(client_span) && !ids.contains(&r.span.parent_span_id));
        match lost {
            None => Ok(()),
            Some(lost) => Err(format!("{} of {} has no parent", lost.span.name, lost.service)),
        }
    })
    .await
    .unwrap();

    // A follower's batch has a trace of its own, linked to the journeys it serves.
    let linked = receiver
        .all()
        .into_iter()
        .find(|r| r.span.name == "follow" && r.span.links.iter().any(|link| link.trace_id == bytes(trace_id)));
    assert!(linked.is_some_and(|r| r.span.trace_id != bytes(trace_id)));

    // The journey tells the same trace.
    let request = pesan_api::analytics::v1::GetJourneyRequest { name: placed.number };
    let journey = suite.analytics().get_journey(request).await.unwrap().into_inner();
    let of_order: BTreeSet<_> = journey.entries.iter().map(|e| e.trace_id.as_str()).collect();
    assert_eq!(of_order, BTreeSet::from([trace_id]));
    for service in SERVICES {
        suite.stop(service).await.unwrap();
    }
}

#[sqlx::test(migrations = false)]
async fn nothing_is_lost_when_services_are_killed(pool: PgPool) {
    let mut suite = Suite::start_processes(&pool, vec![]).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 1_000_000))).await.unwrap();
    let mut numbers = Vec::new();
    for round in 0..2 {
        for service in ["inventory", "fulfilment", "billing", "analytics", "order"] {
            let orders = (0..40)
                .map(|i| {
                    let lines: Vec<(&str, i64)> = vec![("CHAIR", 1); 1 + i % 3];
                    let external_id = format!("{round}-{service}-{i}");
                    order::NewOrder { external_id, request_id: String::new(), ..straight_through(card_order(&lines)) }
                })
                .collect();
            let wait = order::PlaceWait::Durable.into();
            let request = order::PlaceOrdersRequest { orders, wait, ..Default::default() };
            let answer = suite.orders().place_orders(request).await.unwrap().into_inner();
            for result in answer.results {
                let Some(order::place_order_result::Outcome::Order(order)) = result.outcome else {
                    panic!("{result:?}")
                };
                numbers.push(order.number);
            }
            // In the middle of the work on them.
            suite.kill(service).await.unwrap();
            suite.start_again(service).await.unwrap();
            eventually("the service again", || async { suite.order(&numbers[0]).await.map_err(|e| e.to_string()) })
                .await
                .unwrap();
        }
    }
    for number in &numbers {
        suite.order_in(number, OrderState::Completed).await.unwrap();
    }
    verify(&suite, true).await.unwrap();
}
