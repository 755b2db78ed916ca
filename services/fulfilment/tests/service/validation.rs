//! Requests that cannot be carried out as they are.

use crate::house::{House, NOW, fields, id, refusal};
use crate::orders::{NORTH, Order, allocation};
use pesan_api::fulfilment::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

#[sqlx::test(migrations = false)]
async fn all_that_is_wrong_is_told_with_paths(pool: PgPool) {
    let mut house = House::start(pool).await;
    let later = Some(to_timestamp(NOW + time::Duration::hours(1)));

    let line = |line_no, quantity| pb::PickedLine { line_no, quantity };
    let pick = pb::PickRequest {
        request_id: String::new(),
        name: "SO-000001".into(),
        lines: vec![line(1, -1), line(1, 1)],
        effective_at: later,
    };
    let refused = house.orders.pick(pick).await.unwrap_err();
    assert_eq!(fields(&refused), ["request_id", "name", "lines[1].line_no", "lines[0].quantity", "effective_at"]);

    let parcels = vec![pb::PackedParcel { weight_grams: -1 }];
    let pack = pb::PackRequest { request_id: "1".into(), name: "FO-x".into(), parcels, effective_at: later };
    let refused = house.orders.pack(pack).await.unwrap_err();
    assert_eq!(fields(&refused), ["request_id", "name", "parcels[0].weight_grams", "effective_at"]);
    let refused = house.pack("FO-000001", &[1; 1001]).await.unwrap_err();
    assert_eq!(fields(&refused), ["parcels"]);

    let ship = pb::ShipRequest { request_id: id(), name: String::new(), effective_at: later };
    assert_eq!(fields(&house.orders.ship(ship).await.unwrap_err()), ["name", "effective_at"]);
    let deliver = pb::ConfirmDeliveryRequest { request_id: "x".into(), name: "FO-".into(), effective_at: None };
    assert_eq!(fields(&house.orders.confirm_delivery(deliver).await.unwrap_err()), ["request_id", "name"]);

    let line = |line_no, quantity| pb::WithdrawnLine { line_no, location_id: NORTH.to_string(), quantity };
    let withdraw = pb::WithdrawLinesRequest {
        request_id: "x".into(),
        order_id: "y".into(),
        order_version: 0,
        lines: vec![line(1, 0), line(1, 1), pb::WithdrawnLine { location_id: "z".into(), ..line(2, 1) }],
    };
    let refused = house.orders.withdraw_lines(withdraw).await.unwrap_err();
    let expected =
        ["request_id", "order_id", "order_version", "lines[0].quantity", "lines[1].line_no", "lines[2].location_id"];
    assert_eq!(fields(&refused), expected);
    assert_eq!(fields(&house.withdraw(Uuid::now_v7(), 1, &[]).await.unwrap_err()), ["lines"]);

    let list = pb::ListFulfilmentOrdersRequest {
        page_size: 1001,
        page_token: "?".into(),
        order_id: "x".into(),
        location_id: "y".into(),
        states: vec![1, 0, 7],
    };
    let refused = house.orders.list_fulfilment_orders(list).await.unwrap_err();
    assert_eq!(fields(&refused), ["page_size", "page_token", "order_id", "location_id", "states[1]", "states[2]"]);
    let list = pb::ListExpectedReturnsRequest { page_size: -1, page_token: "?".into(), open_only: true };
    let refused = house.returns.list_expected_returns(list).await.unwrap_err();
    assert_eq!(fields(&refused), ["page_size", "page_token"]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn what_does_not_exist_is_not_found(pool: PgPool) {
    let mut house = House::start(pool).await;
    let not_found = (Code::NotFound, "FULFILMENT_ORDER_NOT_FOUND".to_owned());
    for name in ["FO-000099".to_owned(), Uuid::now_v7().to_string()] {
        let request = pb::GetFulfilmentOrderRequest { name: name.clone() };
        assert_eq!(refusal(&house.orders.get_fulfilment_order(request).await.unwrap_err()), not_found);
        assert_eq!(refusal(&house.pick(&name, &[]).await.unwrap_err()), not_found);
        assert_eq!(refusal(&house.pack(&name, &[]).await.unwrap_err()), not_found);
        assert_eq!(refusal(&house.ship(&name).await.unwrap_err()), not_found);
        assert_eq!(refusal(&house.deliver(&name).await.unwrap_err()), not_found);
    }
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn lines_of_other_fulfilment_orders_are_no_lines_of_this_one(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    house.feed.apply(vec![order.confirmed(vec![allocation(1, NORTH, 2), allocation(2, NORTH, 2)])]).await;
    let refused = house.pick("FO-000001", &[(2, 1), (3, 1)]).await.unwrap_err();
    assert_eq!(fields(&refused), ["lines[1].line_no"]);
    assert_eq!(house.get("FO-000001").await.state(), pb::FulfilmentState::Open);
    house.close().await;
}
