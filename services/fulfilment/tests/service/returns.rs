//! Goods that come back.

use crate::house::{House, NOW, fields, receive, refusal, says};
use crate::orders::{NORTH, Order, Return, SOUTH, allocation, euros};
use pesan_api::fulfilment::v1 as pb;
use pesan_api::order::v1::ReturnHandling;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use time::macros::datetime;
use tonic::Code;
use uuid::Uuid;

/// A shipped order (line 1: 3 from the north and 7 from the south, line 2: 4 from the north) and a return of it that is to
/// be inspected.
async fn expected(house: &House, lines: &[(i32, i64, Option<i64>)]) -> (Order, Return) {
    let order = Order::straight_through(NOW - time::Duration::days(2));
    let allocations = vec![allocation(1, NORTH, 3), allocation(1, SOUTH, 7), allocation(2, NORTH, 4)];
    house.feed.apply(vec![order.accepted(), order.confirmed(allocations)]).await;
    let requested_at = NOW - time::Duration::days(1);
    let (expected, fact) = order.return_approved(ReturnHandling::Inspect, requested_at, lines);
    house.feed.apply(vec![fact]).await;
    (order, expected)
}

#[sqlx::test(migrations = false)]
async fn a_return_comes_back_in_parts_and_its_credit_is_shared_out_exactly(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (order, return_) = expected(&house, &[(1, 3, Some(1000)), (2, 4, None)]).await;
    let request = pb::GetExpectedReturnRequest { name: return_.number.clone() };
    let waiting = house.returns.get_expected_return(request).await.unwrap().into_inner().expected_return.unwrap();
    assert_eq!((waiting.return_id, waiting.version), (return_.id.to_string(), 0));

    house.receive(&return_.number, &[(1, 1, 0)]).await.unwrap();
    house.receive(&return_.id.to_string(), &[(1, 0, 1), (2, 3, 1)]).await.unwrap();
    let done = house.receive(&return_.number, &[(1, 1, 0)]).await.unwrap();
    let lines: Vec<_> = done.lines.iter().map(|l| (l.expected, l.sellable, l.damaged)).collect();
    assert_eq!((lines, done.version), (vec![(3, 2, 1), (4, 3, 1)], 3));

    let events: Vec<_> = house.events().await.into_iter().filter(|e| e.name() == "ReturnReceived").collect();
    assert!(events.iter().all(|e| e.aggregate_id == return_.id && e.correlation_id == Some(order.id)));
    assert_eq!(events.iter().map(|e| e.version).collect::<Vec<_>>(), [1, 2, 3]);
    let facts: Vec<pb::ReturnReceived> = events.iter().map(|e| e.read()).collect();
    let credits: Vec<_> = facts.iter().flat_map(|f| &f.lines).map(|l| (l.line_no, l.credit.clone())).collect();
    let expected = [(1, Some(euros(333))), (1, Some(euros(334))), (2, None), (1, Some(euros(333)))];
    assert_eq!(credits, expected, "a third each, and together ten euros");
    let line = facts[1].lines[1].clone();
    assert_eq!((line.sellable, line.damaged, line.reason.as_str(), line.stocked), (3, 1, "DAMAGED", true));
    assert_eq!((facts[0].number.clone(), facts[0].received_at), (return_.number, Some(to_timestamp(NOW))));
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn goods_go_where_most_of_them_left_from_unless_told_otherwise(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, return_) = expected(&house, &[(1, 5, None), (2, 1, None)]).await;
    house.receive(&return_.number, &[(1, 1, 0), (2, 1, 0)]).await.unwrap();
    let elsewhere = Uuid::now_v7().to_string();
    let request = pb::ReceiveReturnRequest { location_id: elsewhere.clone(), ..receive(&return_.number, &[(1, 1, 0)]) };
    house.returns.receive_return(request).await.unwrap();
    let facts: Vec<pb::ReturnReceived> =
        house.events().await.iter().filter(|e| e.name() == "ReturnReceived").map(|e| e.read()).collect();
    let places: Vec<_> = facts.iter().flat_map(|f| &f.lines).map(|l| l.location_id.clone()).collect();
    assert_eq!(places, [SOUTH.to_string(), NORTH.to_string(), elsewhere]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn more_than_expected_is_refused_as_a_whole(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, return_) = expected(&house, &[(1, 3, None), (2, 1, None)]).await;
    house.receive(&return_.number, &[(1, 2, 0)]).await.unwrap();
    let refused = house.receive(&return_.number, &[(1, 1, 1), (2, 1, 0)]).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::FailedPrecondition, "MORE_THAN_EXPECTED".into()));
    assert_eq!(says(&refused, "lines"), "1");
    let rest = house.receive(&return_.number, &[(1, 0, 1), (2, 1, 0)]).await.unwrap();
    assert_eq!(rest.version, 2);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn straight_through_is_received_when_it_was_requested(pool: PgPool) {
    let house = House::start(pool).await;
    let (order, _) = expected(&house, &[(2, 1, None)]).await;
    let requested_at = datetime!(2011-12-09 12:50 UTC);
    // Requested before the order was: history is told as it is.
    let at_once = ReturnHandling::StraightThrough;
    let (return_, fact) = order.return_approved(at_once, requested_at, &[(1, 10, Some(1695)), (2, 2, None)]);
    house.feed.apply(vec![fact]).await;

    let event = house.events().await.pop().unwrap();
    let fact: pb::ReturnReceived = event.read();
    assert_eq!((event.aggregate_id, event.version, event.effective_at), (return_.id, 1, requested_at));
    assert_eq!((event.correlation_id, fact.received_at), (Some(order.id), Some(to_timestamp(requested_at))));
    let lines: Vec<_> = fact.lines.iter().map(|l| (l.sellable, l.damaged, l.location_id.clone())).collect();
    assert_eq!(lines, [(10, 0, SOUTH.to_string()), (2, 0, NORTH.to_string())]);
    assert_eq!([&fact.lines[0].credit, &fact.lines[1].credit], [&Some(euros(1695)), &None]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn an_order_and_its_return_may_come_in_one_batch(pool: PgPool) {
    let house = House::start(pool).await;
    let order = Order::straight_through(NOW - time::Duration::days(1));
    let (_, fact) = order.return_approved(ReturnHandling::StraightThrough, NOW, &[(1, 2, None)]);
    house.feed.apply(vec![order.confirmed(vec![allocation(1, SOUTH, 2)]), fact]).await;
    let names = house.event_names().await;
    assert_eq!(names, ["FulfilmentOrderCreated", "GoodsIssued", "Delivered", "ReturnReceived"]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn the_same_receipt_is_booked_once(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, return_) = expected(&house, &[(1, 3, None)]).await;
    let request = receive(&return_.number, &[(1, 1, 0)]);
    let first = house.returns.receive_return(request.clone()).await.unwrap().into_inner();
    house.receive(&return_.number, &[(1, 1, 0)]).await.unwrap();
    let again = house.returns.receive_return(request.clone()).await.unwrap().into_inner();
    assert_eq!(again, first);
    let mut other = request;
    other.lines[0].damaged = 1;
    let refused = house.returns.receive_return(other).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
    assert_eq!(says(&refused, "fields"), "lines[0].damaged");
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn returns_are_listed_and_those_still_to_come_by_themselves(pool: PgPool) {
    let mut house = House::start(pool).await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        numbers.push(expected(&house, &[(1, 1, None)]).await.1.number);
    }
    house.receive(&numbers[1], &[(1, 1, 0)]).await.unwrap();
    let mut list = async |request| {
        let page = house.returns.list_expected_returns(request).await.unwrap().into_inner();
        (page.expected_returns.into_iter().map(|r| r.number).collect::<Vec<_>>(), page.next_page_token)
    };
    let all = pb::ListExpectedReturnsRequest { page_size: 2, ..Default::default() };
    let (first, token) = list(all.clone()).await;
    let (second, end) = list(pb::ListExpectedReturnsRequest { page_token: token, ..all }).await;
    assert_eq!(([first, second].concat(), end), (numbers.clone(), String::new()));
    let open = pb::ListExpectedReturnsRequest { open_only: true, ..Default::default() };
    assert_eq!(list(open).await.0, [numbers[0].clone(), numbers[2].clone()]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn a_receipt_that_makes_no_sense_is_refused_with_paths(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, return_) = expected(&house, &[(1, 3, None)]).await;
    let mut wrong = receive(&return_.number, &[(1, 0, 0), (2, -1, 1), (2, 1, 0)]);
    wrong.request_id = "x".into();
    wrong.location_id = "y".into();
    wrong.lines[2].note = "\u{7}".into();
    wrong.effective_at = Some(to_timestamp(NOW + time::Duration::hours(1)));
    let refused = house.returns.receive_return(wrong).await.unwrap_err();
    let expected = [
        "request_id",
        "location_id",
        "lines[2].line_no",
        "effective_at",
        "lines[0]",
        "lines[1].sellable",
        "lines[2].note",
    ];
    assert_eq!(fields(&refused), expected);
    assert_eq!(fields(&house.receive(&return_.number, &[]).await.unwrap_err()), ["lines"]);
    assert_eq!(
        fields(&house.receive(&return_.number, &[(1, 1, 0), (9, 1, 0)]).await.unwrap_err()),
        ["lines[1].line_no"]
    );
    let early = pb::ReceiveReturnRequest {
        effective_at: Some(to_timestamp(NOW - time::Duration::days(3))),
        ..receive(&return_.number, &[(1, 1, 0)])
    };
    assert_eq!(fields(&house.returns.receive_return(early).await.unwrap_err()), ["effective_at"], "before requested");
    let missing = house.receive("RMA-999999", &[(1, 1, 0)]).await.unwrap_err();
    assert_eq!(refusal(&missing), (Code::NotFound, "RETURN_NOT_FOUND".into()));
    let request = pb::GetExpectedReturnRequest { name: Uuid::now_v7().to_string() };
    let missing = house.returns.get_expected_return(request).await.unwrap_err();
    assert_eq!(refusal(&missing), (Code::NotFound, "RETURN_NOT_FOUND".into()));
    house.close().await;
}
