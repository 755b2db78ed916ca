//! The way of a fulfilment order through the warehouse.

use crate::house::{House, NOW, id, refusal, says};
use crate::orders::{NORTH, Order, SOUTH, allocation, service};
use pesan_api::fulfilment::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use std::time::Duration;
use tonic::Code;

/// An order of 5 and 2 from one location, with postage; the number of its fulfilment order.
async fn one(house: &House) -> (Order, String) {
    let order = Order::standard();
    let allocations = vec![allocation(1, NORTH, 5), allocation(2, NORTH, 2)];
    house.feed.apply(vec![order.accepted(), order.confirmed(allocations)]).await;
    (order, "FO-000001".to_owned())
}

#[sqlx::test(migrations = false)]
async fn pick_pack_ship_deliver(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (order, name) = one(&house).await;
    use pb::{FulfilmentAction as Action, FulfilmentState as State};

    let open = house.get(&name).await;
    assert_eq!(open.allowed_actions().collect::<Vec<_>>(), [Action::Pick, Action::Withdraw]);
    house.clock.advance(Duration::from_secs(60));
    let picked = house.pick(&name, &[]).await.unwrap();
    assert_eq!((picked.state(), picked.version), (State::Picked, 2));
    assert_eq!(picked.allowed_actions().collect::<Vec<_>>(), [Action::Pack]);
    house.clock.advance(Duration::from_secs(60));
    let packed = house.pack(&name, &[1200, 0]).await.unwrap();
    assert_eq!((packed.state(), packed.version), (State::Packed, 3));
    let weights: Vec<_> = packed.parcels.iter().map(|p| (p.parcel_no, p.weight_grams)).collect();
    assert_eq!(weights, [(1, 1200), (2, 0)]);
    assert_eq!(packed.lines[0].shipped, 0, "nothing has left");
    house.clock.advance(Duration::from_secs(60));
    let shipped = house.ship(&name).await.unwrap();
    assert_eq!((shipped.state(), shipped.version), (State::Shipped, 4));
    assert_eq!(shipped.lines.iter().map(|l| l.shipped).collect::<Vec<_>>(), [5, 2]);
    assert!(shipped.parcels.iter().all(|p| p.carrier == "simulated" && p.tracking_number.starts_with("SIM")));
    assert_ne!(shipped.parcels[0].tracking_number, shipped.parcels[1].tracking_number);
    house.clock.advance(Duration::from_secs(60));
    let delivered = house.deliver(&name).await.unwrap();
    assert_eq!((delivered.state(), delivered.version), (State::Delivered, 5));
    assert!(delivered.allowed_actions.is_empty());
    assert_eq!(house.get(&name).await, delivered, "what was answered is what is stored");

    let events = house.events().await;
    let told: Vec<_> = events.iter().map(|e| (e.name(), e.version)).collect();
    let expected = [("FulfilmentOrderCreated", 1), ("Picked", 2), ("Packed", 3), ("GoodsIssued", 4), ("Delivered", 5)];
    assert_eq!(told, expected);
    let minutes: Vec<_> = events[1..].iter().map(|e| (e.effective_at - NOW).whole_minutes()).collect();
    assert_eq!(minutes, [1, 2, 3, 4]);
    assert!(events.iter().all(|e| e.correlation_id == Some(order.id)));
    let issued: pb::GoodsIssued = events[3].read();
    assert_eq!(issued.lines.iter().map(|l| (l.line_no, l.quantity)).collect::<Vec<_>>(), [(1, 5), (2, 2)]);
    assert_eq!(issued.parcels, shipped.parcels);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_not_found_leaves_the_fulfilment_order(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (order, name) = one(&house).await;
    let picked = house.pick(&name, &[(1, 3), (2, 0)]).await.unwrap();
    assert_eq!(picked.state(), pb::FulfilmentState::Picked);
    let lines: Vec<_> = picked.lines.iter().map(|l| (l.picked, l.short)).collect();
    assert_eq!(lines, [(3, 2), (0, 2)]);

    house.pack(&name, &[]).await.unwrap();
    let shipped = house.ship(&name).await.unwrap();
    assert_eq!(shipped.lines.iter().map(|l| l.shipped).collect::<Vec<_>>(), [3, 0]);
    assert_eq!(shipped.parcels.len(), 1, "none named: one parcel");

    let events = house.events().await;
    let short: pb::ShortPicked = events[2].read();
    assert_eq!((short.order_id, short.location_id), (order.id.to_string(), NORTH.to_string()));
    assert_eq!(short.lines.iter().map(|l| (l.line_no, l.quantity)).collect::<Vec<_>>(), [(1, 2), (2, 2)]);
    let issued: pb::GoodsIssued = events[4].read();
    assert_eq!(issued.lines.iter().map(|l| (l.line_no, l.quantity)).collect::<Vec<_>>(), [(1, 3)]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn nothing_found_closes_it(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, name) = one(&house).await;
    let closed = house.pick(&name, &[(1, 0), (2, 0)]).await.unwrap();
    assert_eq!((closed.state(), closed.version), (pb::FulfilmentState::Cancelled, 2));
    assert!(closed.allowed_actions.is_empty());
    assert_eq!(house.event_names().await, ["FulfilmentOrderCreated", "ShortPicked"]);
    let refused = house.pack(&name, &[]).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::FailedPrecondition, "NOT_ALLOWED".into()));
    assert_eq!(says(&refused, "state"), "CANCELLED");
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn services_are_picked_without_a_shelf(pool: PgPool) {
    let mut house = House::start(pool).await;
    let order = Order::standard();
    house.feed.apply(vec![order.confirmed(vec![service(1, 1)])]).await;
    let name = &house.of_order(order.id).await[0].number.clone();
    house.pick(name, &[]).await.unwrap();
    house.pack(name, &[]).await.unwrap();
    let shipped = house.ship(name).await.unwrap();
    assert_eq!((shipped.lines[0].shipped, shipped.lines[0].stocked), (1, false));
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn a_step_out_of_turn_is_refused_and_says_what_may_be_done(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, name) = one(&house).await;
    for refused in [house.pack(&name, &[]).await, house.ship(&name).await, house.deliver(&name).await] {
        let refused = refused.unwrap_err();
        assert_eq!(refusal(&refused), (Code::FailedPrecondition, "NOT_ALLOWED".into()));
        assert_eq!((says(&refused, "state"), says(&refused, "allowed")), ("OPEN".into(), "PICK,WITHDRAW".into()));
    }
    let more = house.pick(&name, &[(1, 6), (2, 2)]).await.unwrap_err();
    assert_eq!(refusal(&more), (Code::FailedPrecondition, "MORE_THAN_OPEN".into()));
    assert_eq!(says(&more, "lines"), "1");
    house.pick(&name, &[]).await.unwrap();
    assert_eq!(refusal(&house.pick(&name, &[]).await.unwrap_err()).1, "NOT_ALLOWED");
    assert_eq!(house.event_names().await, ["FulfilmentOrderCreated", "Picked"]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn the_same_request_gets_the_same_answer_and_the_same_id_serves_one_request(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, name) = one(&house).await;
    let pick = pb::PickRequest { request_id: id(), name: name.clone(), ..Default::default() };
    let first = house.orders.pick(pick.clone()).await.unwrap().into_inner();
    let pack = pb::PackRequest { request_id: id(), name: name.clone(), ..Default::default() };
    let packed = house.orders.pack(pack.clone()).await.unwrap().into_inner();
    let ship = pb::ShipRequest { request_id: id(), name: name.clone(), ..Default::default() };
    let shipped = house.orders.ship(ship.clone()).await.unwrap().into_inner();
    let deliver = pb::ConfirmDeliveryRequest { request_id: id(), name: name.clone(), ..Default::default() };
    let delivered = house.orders.confirm_delivery(deliver.clone()).await.unwrap().into_inner();

    // Long after: each gets the answer it got then.
    assert_eq!(house.orders.pick(pick.clone()).await.unwrap().into_inner(), first);
    assert_eq!(house.orders.pack(pack.clone()).await.unwrap().into_inner(), packed);
    assert_eq!(house.orders.ship(ship.clone()).await.unwrap().into_inner(), shipped);
    assert_eq!(house.orders.confirm_delivery(deliver).await.unwrap().into_inner(), delivered);
    assert_eq!(house.events().await.len(), 5, "nothing happened twice");

    let other = pb::PickRequest { lines: vec![pb::PickedLine { line_no: 1, quantity: 1 }], ..pick.clone() };
    let refused = house.orders.pick(other).await.unwrap_err();
    assert_eq!(refusal(&refused), (Code::AlreadyExists, "REQUEST_ID_REUSED".into()));
    assert_eq!(says(&refused, "fields"), "lines");
    let other_kind = pb::ShipRequest { request_id: pick.request_id, name, ..Default::default() };
    assert_eq!(refusal(&house.orders.ship(other_kind).await.unwrap_err()).1, "REQUEST_ID_REUSED");
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn a_refused_request_may_be_sent_again(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, name) = one(&house).await;
    let pack = pb::PackRequest { request_id: id(), name: name.clone(), ..Default::default() };
    assert_eq!(refusal(&house.orders.pack(pack.clone()).await.unwrap_err()).1, "NOT_ALLOWED");
    house.pick(&name, &[]).await.unwrap();
    house.orders.pack(pack).await.unwrap();
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn steps_take_effect_when_their_caller_says_but_not_before_the_step_before(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (order, name) = one(&house).await;
    let at = |minutes: i64| Some(to_timestamp(order.at + time::Duration::minutes(minutes)));
    let pick = |effective_at| pb::PickRequest { request_id: id(), name: name.clone(), lines: vec![], effective_at };
    for wrong in [-1, 100] {
        let refused = house.orders.pick(pick(at(wrong))).await.unwrap_err();
        assert_eq!(crate::house::fields(&refused), ["effective_at"], "before it was created; in the future");
    }
    house.orders.pick(pick(at(10))).await.unwrap();
    let pack = |effective_at| pb::PackRequest { request_id: id(), name: name.clone(), parcels: vec![], effective_at };
    assert_eq!(crate::house::fields(&house.orders.pack(pack(at(9))).await.unwrap_err()), ["effective_at"]);
    house.orders.pack(pack(at(10))).await.unwrap();
    let ship = |effective_at| pb::ShipRequest { request_id: id(), name: name.clone(), effective_at };
    assert_eq!(crate::house::fields(&house.orders.ship(ship(at(9))).await.unwrap_err()), ["effective_at"]);
    let shipped = house.orders.ship(ship(at(30))).await.unwrap().into_inner().fulfilment_order.unwrap();
    assert_eq!(shipped.shipped_at, at(30));
    let deliver = |effective_at| pb::ConfirmDeliveryRequest { request_id: id(), name: name.clone(), effective_at };
    assert_eq!(
        crate::house::fields(&house.orders.confirm_delivery(deliver(at(29))).await.unwrap_err()),
        ["effective_at"]
    );
    let delivered = house.orders.confirm_delivery(deliver(at(31))).await.unwrap().into_inner();
    assert_eq!(delivered.fulfilment_order.unwrap().delivered_at, at(31));
    let minutes: Vec<_> = house.events().await.iter().map(|e| (e.effective_at - order.at).whole_minutes()).collect();
    assert_eq!(minutes, [0, 10, 10, 30, 31]);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn the_work_list_is_paged_and_filtered(pool: PgPool) {
    let mut house = House::start(pool).await;
    let orders: Vec<Order> = (0..5).map(|_| Order::standard()).collect();
    let both = || vec![allocation(1, NORTH, 1), allocation(2, SOUTH, 1)];
    house.feed.apply(orders.iter().map(|o| o.confirmed(both())).collect()).await;
    house.pick("FO-000003", &[]).await.unwrap();
    house.pick("FO-000005", &[]).await.unwrap();
    house.pack("FO-000005", &[]).await.unwrap();
    house.ship("FO-000005").await.unwrap();

    for (page_size, pages) in [(3, 4), (5, 2), (10, 1), (1000, 1)] {
        let mut request = pb::ListFulfilmentOrdersRequest { page_size, ..Default::default() };
        let mut seen = Vec::new();
        for page_no in 1..=pages {
            let page = house.orders.list_fulfilment_orders(request.clone()).await.unwrap().into_inner();
            seen.extend(page.fulfilment_orders.into_iter().map(|o| o.number));
            assert_eq!(page.next_page_token.is_empty(), page_no == pages, "page {page_no} of {pages}");
            request.page_token = page.next_page_token;
        }
        assert_eq!(seen, (1..=10).map(|n| format!("FO-{n:06}")).collect::<Vec<_>>(), "oldest first, each once");
    }

    use pb::FulfilmentState as State;
    let mut numbers = async |location: &str, states: &[State]| {
        let states = states.iter().map(|state| *state as i32).collect();
        let request = pb::ListFulfilmentOrdersRequest { location_id: location.into(), states, ..Default::default() };
        house.list(request).await.into_iter().map(|o| o.number).collect::<Vec<_>>()
    };
    let north = NORTH.to_string();
    assert_eq!(numbers(&north, &[State::Open]).await, ["FO-000001", "FO-000007", "FO-000009"]);
    assert_eq!(numbers(&north, &[State::Picked, State::Shipped]).await, ["FO-000003", "FO-000005"]);
    assert_eq!(numbers("", &[State::Shipped]).await, ["FO-000005"]);
    assert_eq!(numbers(&SOUTH.to_string(), &[]).await.len(), 5);
    assert_eq!(numbers("", &[State::Cancelled]).await, Vec::<String>::new());
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn of_two_who_pick_at_once_one_does(pool: PgPool) {
    let mut house = House::start(pool).await;
    let (_, name) = one(&house).await;
    let pickers = (0..8).map(|_| {
        let (mut orders, name) = (house.orders.clone(), name.clone());
        tokio::spawn(async move { orders.pick(pb::PickRequest { request_id: id(), name, ..Default::default() }).await })
    });
    let outcomes = futures::future::join_all(pickers.collect::<Vec<_>>()).await;
    let picked = outcomes.iter().filter(|outcome| outcome.as_ref().unwrap().is_ok()).count();
    assert_eq!(picked, 1);
    assert_eq!(house.get(&name).await.version, 2);
    house.close().await;
}
