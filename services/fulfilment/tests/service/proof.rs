//! The proof finds what is planted, and the digests tell what is there.

use crate::house::{House, NOW, refusal};
use crate::orders::{NORTH, Order, SOUTH, allocation};
use pesan_api::order::v1::ReturnHandling;
use pesan_api::proof::v1::{Digest, StreamDigestsRequest};
use sqlx::PgPool;
use std::collections::HashMap;
use tonic::Code;
use uuid::Uuid;

/// An open fulfilment order (1), a shipped one (2) and one that went straight through (3), of which 2 of 6 came back.
async fn some_work(house: &mut House) -> [Order; 3] {
    let (open, shipped) = (Order::standard(), Order::standard());
    let through = Order::straight_through(NOW - time::Duration::days(3));
    let allocations = || vec![allocation(1, NORTH, 6), allocation(2, NORTH, 1)];
    let facts = [open, shipped, through].map(|order| order.confirmed(allocations()));
    house.feed.apply(facts.into()).await;
    house.pick("FO-000002", &[(1, 5)]).await.unwrap();
    house.pack("FO-000002", &[]).await.unwrap();
    house.ship("FO-000002").await.unwrap();
    let (_, fact) = through.return_approved(ReturnHandling::StraightThrough, NOW, &[(1, 2, None)]);
    house.feed.apply(vec![fact]).await;
    [open, shipped, through]
}

/// What is found broken, by the invariant's name.
pub async fn broken(house: &mut House) -> HashMap<String, Vec<String>> {
    let results = house.check().await.results.into_iter();
    let found = results.map(|r| (r.name, r.violations.into_iter().map(|v| v.id).collect::<Vec<_>>()));
    found.filter(|(_, ids)| !ids.is_empty()).collect()
}

async fn plant(house: &House, sql: &'static str) {
    let done = sqlx::raw_sql(sql).execute(&house.pool).await.unwrap();
    assert!(done.rows_affected() > 0, "nothing planted");
}

#[sqlx::test(migrations = false)]
async fn a_house_in_order_is_proven_over_every_row(pool: PgPool) {
    let mut house = House::start(pool).await;
    some_work(&mut house).await;
    let checked: Vec<_> = house.check().await.results.into_iter().map(|r| (r.name, r.rows_checked)).collect();
    let expected = [
        ("fulfilment_lines_conserved", 6),
        ("shipped_orders_have_issued_everything_picked", 6),
        ("one_goods_issue_per_shipment", 3),
        ("returns_not_more_than_expected_and_shipped", 1),
        ("events_contiguous", 10),
        ("versions_match_events", 4),
    ];
    assert_eq!(checked, expected.map(|(name, rows)| (name.to_owned(), rows)));
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn units_that_come_from_nowhere_are_found(pool: PgPool) {
    let mut house = House::start(pool).await;
    some_work(&mut house).await;
    plant(
        &house,
        "update fulfilment_line set allocated = allocated + 1
                    where line_no = 2 and fulfilment_order_id = (select id from fulfilment_order where number = 1)",
    )
    .await;
    let found = broken(&mut house).await;
    assert_eq!(found, HashMap::from([("fulfilment_lines_conserved".into(), vec!["FO-000001".into()])]));
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn lines_without_a_fulfilment_order_and_the_other_way_round_are_found(pool: PgPool) {
    let mut house = House::start(pool).await;
    some_work(&mut house).await;
    let nowhere = Uuid::now_v7();
    sqlx::query(
        "insert into fulfilment_line (fulfilment_order_id, line_no, sku, stocked, allocated) values ($1, 1, 'X', true, 1)",
    )
    .bind(nowhere)
    .execute(&house.pool)
    .await
    .unwrap();
    plant(
        &house,
        "delete from fulfilment_line
                    where fulfilment_order_id = (select id from fulfilment_order where number = 1)",
    )
    .await;
    let mut found = broken(&mut house).await.remove("fulfilment_lines_conserved").unwrap();
    found.sort();
    let mut expected = vec!["FO-000001".to_owned(), nowhere.to_string()];
    expected.sort();
    assert_eq!(found, expected);
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn picked_goods_that_did_not_leave_are_found(pool: PgPool) {
    let mut house = House::start(pool).await;
    some_work(&mut house).await;
    plant(
        &house,
        "alter table fulfilment_line drop constraint fulfilment_line_ships_what_is_picked;
                   update fulfilment_line set shipped = picked - 1
                    where line_no = 1 and fulfilment_order_id = (select id from fulfilment_order where number = 2)",
    )
    .await;
    let found = broken(&mut house).await;
    assert_eq!(found["shipped_orders_have_issued_everything_picked"], ["FO-000002"]);
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_goods_issue_that_is_missing_or_told_twice_is_found(pool: PgPool) {
    let mut house = House::start(pool).await;
    some_work(&mut house).await;
    plant(
        &house,
        "delete from outbox where type = 'pesan.fulfilment.v1.GoodsIssued'
                      and aggregate_id = (select id from fulfilment_order where number = 2);
                   insert into outbox (event_id, aggregate_id, version, type, payload, effective_at)
                   select gen_random_uuid(), id, 4, 'pesan.fulfilment.v1.GoodsIssued', '', now()
                     from fulfilment_order where number = 3;
                   insert into outbox (event_id, aggregate_id, version, type, payload, effective_at)
                   select gen_random_uuid(), id, 2, 'pesan.fulfilment.v1.GoodsIssued', '', now()
                     from fulfilment_order where number = 1",
    )
    .await;
    let mut found = broken(&mut house).await.remove("one_goods_issue_per_shipment").unwrap();
    found.sort();
    assert_eq!(found, ["FO-000001", "FO-000002", "FO-000003"]);
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_return_of_more_than_expected_or_shipped_is_found(pool: PgPool) {
    let name = "returns_not_more_than_expected_and_shipped";
    let mut house = House::start(pool).await;
    let [_, _, through] = some_work(&mut house).await;
    plant(
        &house,
        "alter table expected_return_line drop constraint expected_return_line_not_exceeded;
                   alter table expected_return drop constraint expected_return_not_exceeded;
                   update expected_return_line set sellable = 3;
                   update return_receipt_line set sellable = 3;
                   update expected_return set received = 3",
    )
    .await;
    assert_eq!(broken(&mut house).await[name].len(), 1, "more than expected");
    plant(
        &house,
        "update expected_return_line set expected = 7, sellable = 7;
                   update return_receipt_line set sellable = 7;
                   update expected_return set expected = 7, received = 7",
    )
    .await;
    let found = house.check().await.results.into_iter().find(|r| r.name == name).unwrap().violations;
    assert_eq!(found[0].id, through.id.to_string());
    assert_eq!(found[0].what, "line 1: 7 came back of 6 shipped");
    plant(
        &house,
        "update expected_return_line set expected = 2, sellable = 2;
                   update expected_return set expected = 2, received = 2",
    )
    .await;
    assert_eq!(broken(&mut house).await[name].len(), 1, "receipts that say otherwise");
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_lost_event_is_found(pool: PgPool) {
    let mut house = House::start(pool).await;
    some_work(&mut house).await;
    plant(&house, "delete from outbox where type = 'pesan.fulfilment.v1.Packed'").await;
    let found = broken(&mut house).await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["events_contiguous"]);
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_change_without_an_event_is_found(pool: PgPool) {
    let mut house = House::start(pool).await;
    some_work(&mut house).await;
    plant(
        &house,
        "update fulfilment_order set version = version + 1 where number = 1;
                   update expected_return set version = 2",
    )
    .await;
    let found = broken(&mut house).await;
    assert_eq!(found.keys().collect::<Vec<_>>(), ["versions_match_events"]);
    let ids = &found["versions_match_events"];
    assert!(ids.len() == 2 && ids.contains(&"FO-000001".to_owned()) && ids.iter().any(|id| id.starts_with("RMA-")));
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn the_database_itself_refuses_what_breaks_its_laws(pool: PgPool) {
    let mut house = House::start(pool).await;
    some_work(&mut house).await;
    let laws = [
        ("fulfilment_order_conserved", "update fulfilment_order set withdrawn = 99 where number = 1"),
        (
            "fulfilment_order_picked_whole",
            "update fulfilment_order set short = short + 1, picked = picked - 1, picked_at = null where number = 2",
        ),
        ("fulfilment_order_ships_what_is_picked", "update fulfilment_order set shipped = 1 where number = 1"),
        ("fulfilment_order_steps_in_turn", "update fulfilment_order set delivered_at = now() where number = 1"),
        (
            "fulfilment_order_once_per_cause",
            "insert into fulfilment_order (id, number, order_id, location_id, order_version, version, allocated, created_at) select gen_random_uuid(), 99, order_id, location_id, order_version, 1, 1, now() from fulfilment_order where number = 1",
        ),
        ("fulfilment_line_conserved", "update fulfilment_line set withdrawn = -1"),
        ("fulfilment_line_ships_what_is_picked", "update fulfilment_line set shipped = picked + 1"),
        ("parcel_tracked_once", "update parcel set tracking_number = 'same'"),
        ("parcel_label_has_carrier", "update parcel set carrier = null"),
        ("expected_return_not_exceeded", "update expected_return set received = expected + 1"),
        ("expected_return_line_not_exceeded", "update expected_return_line set damaged = 1"),
        ("return_receipt_line_not_empty", "update return_receipt_line set sellable = 0"),
    ];
    for (law, sql) in laws {
        let refused = sqlx::raw_sql(sql).execute(&house.pool).await.unwrap_err();
        assert_eq!(refused.as_database_error().and_then(|error| error.constraint()), Some(law));
    }
    house.close().await;
}

async fn digests(house: &mut House, subjects: Vec<String>) -> Vec<Digest> {
    let mut stream = house.proof.stream_digests(StreamDigestsRequest { subjects }).await.unwrap().into_inner();
    let mut digests = Vec::new();
    while let Some(message) = stream.message().await.unwrap() {
        assert_eq!(message.measures, ["allocated", "shipped", "returned"]);
        assert!(message.digests.len() <= 500);
        digests.extend(message.digests);
    }
    digests
}

#[sqlx::test(migrations = false)]
async fn digests_tell_what_each_order_line_has_here(pool: PgPool) {
    let mut house = House::start(pool).await;
    let [open, shipped, through] = some_work(&mut house).await;
    let waiting = Order::standard();
    let version =
        house.feed.apply(vec![waiting.confirmed(vec![allocation(1, NORTH, 5), allocation(1, SOUTH, 4)])]).await;
    house.withdraw(waiting.id, version, &[(1, SOUTH, 1)]).await.unwrap();
    let nothing = Order::standard();
    house.feed.apply(vec![nothing.confirmed(vec![])]).await;

    let all = digests(&mut house, vec![]).await;
    let values = |order: Order| {
        let digest = all.iter().find(|digest| digest.subject == order.id.to_string()).unwrap();
        digest.parts.iter().map(|part| (part.part, part.values.clone())).collect::<Vec<_>>()
    };
    assert_eq!(values(open), [(1, vec![6, 0, 0]), (2, vec![1, 0, 0])]);
    assert_eq!(values(shipped), [(1, vec![0, 5, 0]), (2, vec![0, 1, 0])], "one was short");
    assert_eq!(values(through), [(1, vec![0, 6, 2]), (2, vec![0, 1, 0])]);
    assert_eq!(values(waiting), [(1, vec![8, 0, 0])], "of all locations");
    assert_eq!(values(nothing), []);
    assert!(all.windows(2).all(|pair| pair[0].subject < pair[1].subject), "ascending");

    let some = digests(&mut house, vec![through.id.to_string(), Uuid::now_v7().to_string()]).await;
    assert_eq!(some.iter().map(|digest| digest.subject.clone()).collect::<Vec<_>>(), [through.id.to_string()]);
    let request = StreamDigestsRequest { subjects: vec!["x".into()] };
    assert_eq!(refusal(&house.proof.stream_digests(request).await.unwrap_err()).0, Code::InvalidArgument);
    house.close().await;
}

#[sqlx::test(migrations = false)]
async fn digests_of_many_orders_come_in_pages(pool: PgPool) {
    let mut house = House::start(pool).await;
    let facts = (0..1001).map(|_| Order::straight_through(NOW).confirmed(vec![allocation(1, NORTH, 1)])).collect();
    house.feed.apply(facts).await;
    let all = digests(&mut house, vec![]).await;
    assert_eq!(all.len(), 1001);
    assert!(all.windows(2).all(|pair| pair[0].subject < pair[1].subject));
    assert!(all.iter().all(|digest| digest.parts[0].values == [0, 1, 0]));
    house.close().await;
}
