//! The proof finds what is wrong, and digests say what the books hold.

use crate::following::{invoice, issue};
use crate::peers::HALL;
use crate::suite::{Suite, order, start};
use pesan_api::order::v1::*;
use pesan_api::proof::v1::{Digest, StreamDigestsRequest};
use sqlx::PgPool;
use uuid::Uuid;

pub async fn digests(suite: &Suite, subjects: Vec<String>) -> (Vec<String>, Vec<Digest>) {
    let mut stream = suite.proof.clone().stream_digests(StreamDigestsRequest { subjects }).await.unwrap().into_inner();
    let (mut measures, mut digests) = (Vec::new(), Vec::new());
    while let Some(message) = stream.message().await.unwrap() {
        assert!(measures.is_empty() || measures == message.measures, "the same in every message");
        measures = message.measures;
        digests.extend(message.digests);
    }
    (measures, digests)
}

pub fn value(measures: &[String], digest: &Digest, part: i32, measure: &str) -> i64 {
    let at = measures.iter().position(|name| name == measure).unwrap();
    digest.parts.iter().find(|p| p.part == part).map_or(0, |p| p.values[at])
}

/// Which invariants are broken.
pub async fn broken(suite: &Suite) -> Vec<String> {
    suite.invariants().await.into_iter().filter(|r| !r.violations.is_empty()).map(|r| r.name).collect()
}

/// Two orders in all their parts: one with a shipment, an invoice and a return; one that is backordered.
async fn busy(suite: &Suite) -> (Order, Order) {
    let first = suite.place(order(&[("TEA", 5), ("CUP", 2)])).await;
    issue(suite, &first.id, Uuid::now_v7(), HALL, &[(1, 4)]);
    suite.until(&first.id, OrderState::PartiallyShipped).await;
    invoice(suite, &first.id, &[(1, 4)]);
    suite.until_it(&first.id, |order| order.quantities.as_ref().unwrap().invoiced == 4).await;
    suite.peers.inventory.stock.lock().unwrap().insert("POT".into(), 1);
    let second = suite.place(order(&[("POT", 3)])).await;
    (first, second)
}

#[sqlx::test(migrations = false)]
async fn each_invariant_finds_its_violation(pool: PgPool) {
    let suite = start(pool).await;
    let (first, second) = busy(&suite).await;
    let results = suite.invariants().await;
    let names: Vec<&str> = results.iter().map(|result| result.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "order_lines_conserved",
            "order_totals_are_sums_of_lines",
            "allocations_match_lines",
            "orders_are_waiting_for_something_named",
            "withheld_is_reserved_and_waits_for_something_named",
            "returns_match_lines",
            "events_contiguous",
            "versions_match_events",
            "accepted_quotations_are_orders",
            "inquiries_match_their_history"
        ]
    );
    suite.assert_proven().await;
    let empty = [
        "returns_match_lines",
        "withheld_is_reserved_and_waits_for_something_named",
        "accepted_quotations_are_orders",
        "inquiries_match_their_history",
    ];
    assert!(results.iter().filter(|r| !empty.contains(&r.name.as_str())).all(|r| r.rows_checked > 0));

    // Laws that the database itself holds have to be taken away before they can be broken.
    let unlock = "alter table order_line drop constraint order_line_quantities_conserved;
                  alter table orders drop constraint orders_quantities_conserved;";
    sqlx::raw_sql(unlock).execute(&suite.pool).await.unwrap();
    for (plant, undo, expected) in [
        (
            "update order_line set cancelled = cancelled + 9 where sku = 'POT';
             update orders set cancelled = cancelled + 9 where backordered > 0;",
            "update order_line set cancelled = cancelled - 9 where sku = 'POT';
             update orders set cancelled = cancelled - 9 where backordered > 0;",
            vec!["order_lines_conserved"],
        ),
        (
            "update order_line set backordered = backordered - 1 where sku = 'POT';
             update orders set backordered = backordered - 1 where backordered > 0;",
            "update order_line set backordered = backordered + 1 where sku = 'POT';
             update orders set backordered = backordered + 1 where backordered > 0;",
            vec!["order_lines_conserved"], // promised, but not all of it divided
        ),
        (
            "update orders set gross = gross + 1",
            "update orders set gross = gross - 1",
            vec!["order_totals_are_sums_of_lines"],
        ),
        (
            "update orders set delivered = delivered + 1 where shipped > 0",
            "update orders set delivered = delivered - 1 where shipped > 0",
            vec!["order_totals_are_sums_of_lines"],
        ),
        (
            "update order_line set alloc_shipped = array[3] where sku = 'TEA'",
            "update order_line set alloc_shipped = array[4] where sku = 'TEA'",
            vec!["allocations_match_lines"],
        ),
        (
            "update order_line set alloc_reserved = '{}', alloc_shipped = '{}', alloc_location = '{}' where sku = 'CUP'",
            "update order_line o set alloc_reserved = array[2], alloc_shipped = array[0], alloc_location = t.alloc_location
               from order_line t where o.sku = 'CUP' and t.sku = 'TEA'",
            vec!["allocations_match_lines"],
        ),
        (
            "insert into saga_job (order_id, due_at) select order_id, now() + interval '1 day' from orders where shipped > 0",
            "delete from saga_job",
            vec!["orders_are_waiting_for_something_named"],
        ),
        (
            "update orders set holds = 1 where backordered > 0",
            "update orders set holds = 0 where backordered > 0",
            vec!["orders_are_waiting_for_something_named"],
        ),
        (
            "update order_line set returned = 1 where sku = 'TEA'; update orders set returned = 1 where shipped > 0;",
            "update order_line set returned = 0 where sku = 'TEA'; update orders set returned = 0 where shipped > 0;",
            vec!["returns_match_lines"],
        ),
        (
            "update outbox set version = 77 where type = 'pesan.order.v1.OrderAccepted'",
            "update outbox set version = 1 where type = 'pesan.order.v1.OrderAccepted'",
            vec!["events_contiguous", "versions_match_events"],
        ),
        (
            "update orders set version = version + 1",
            "update orders set version = version - 1",
            vec!["versions_match_events"],
        ),
    ] {
        sqlx::raw_sql(plant).execute(&suite.pool).await.unwrap();
        assert_eq!(broken(&suite).await, expected, "{plant}");
        sqlx::raw_sql(undo).execute(&suite.pool).await.unwrap();
        assert_eq!(broken(&suite).await, [""; 0], "{undo}");
    }
    let violation = {
        sqlx::raw_sql("update orders set version = version + 1 where backordered > 0")
            .execute(&suite.pool)
            .await
            .unwrap();
        let results = suite.invariants().await;
        results.into_iter().find(|r| !r.violations.is_empty()).unwrap().violations.remove(0)
    };
    assert_eq!((violation.id, violation.what.as_str()), (second.id, "version 3, newest event 2"));
    assert!(!first.id.is_empty());
}

#[sqlx::test(migrations = false)]
async fn an_accepted_order_that_nobody_works_on_is_found(pool: PgPool) {
    let suite = start(pool).await;
    *suite.peers.inventory.is_down.lock().unwrap() = true;
    let place = PlaceOrderRequest { order: Some(order(&[("TEA", 2)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(place).await.unwrap().into_inner().order.unwrap();
    suite.assert_proven().await;
    sqlx::query("delete from saga_job").execute(&suite.pool).await.unwrap();
    let results = suite.invariants().await;
    let found = results.iter().find(|r| r.name == "orders_are_waiting_for_something_named").unwrap();
    assert!(placed.number.ends_with(found.violations[0].id.strip_prefix("SO-").unwrap()));
}

#[sqlx::test(migrations = false)]
async fn the_database_refuses_what_breaks_its_laws(pool: PgPool) {
    let suite = start(pool).await;
    busy(&suite).await;
    for (plant, constraint) in [
        ("update order_line set reserved = reserved + 1", "order_line_quantities_conserved"),
        ("update order_line set delivered = shipped + 1", "order_line_quantities_conserved"),
        ("update order_line set returned = -1", "order_line_quantities_not_negative"),
        ("update order_line set discount = line_total + 1", "order_line_amounts_possible"),
        ("update order_line set alloc_shipped = '{}' where sku = 'TEA'", "order_line_allocations_even"),
        ("update orders set invoiced = ordered + 1", "orders_quantities_conserved"),
        ("update orders set rejected = true", "orders_rejected_holds_nothing"),
        ("update orders set priority = 10", "orders_priority_bounded"),
    ] {
        let error = sqlx::raw_sql(plant).execute(&suite.pool).await.unwrap_err();
        assert_eq!(error.as_database_error().unwrap().constraint(), Some(constraint), "{plant}");
    }
}

#[sqlx::test(migrations = false)]
async fn digests_say_what_the_books_hold(pool: PgPool) {
    let suite = start(pool).await;
    let (first, second) = busy(&suite).await;
    let rejected = suite.place(order(&[("UNKNOWN", 4)])).await;
    let (measures, all) = digests(&suite, vec![]).await;
    let subjects: Vec<&String> = all.iter().map(|digest| &digest.subject).collect();
    assert_eq!(subjects, [&first.id, &second.id, &rejected.id], "ascending");
    let of = |at: usize, part, measure: &str| value(&measures, &all[at], part, measure);
    assert_eq!([of(0, 0, "units_ordered"), of(0, 0, "gross"), of(0, 0, "units_shipped")], [7, 8_75, 4]);
    assert_eq!([of(0, 1, "ordered"), of(0, 1, "reserved"), of(0, 1, "allocated"), of(0, 1, "shipped")], [5, 1, 1, 4]);
    assert_eq!([of(0, 1, "invoiced"), of(0, 2, "reserved"), of(0, 2, "shipped")], [4, 2, 0]);
    assert_eq!([of(1, 1, "reserved"), of(1, 1, "backordered"), of(1, 1, "cancelled")], [1, 2, 0]);
    assert_eq!([of(2, 0, "units_ordered"), of(2, 0, "gross")], [0, 0], "a rejected order is nothing");
    let (_, some) = digests(&suite, vec![second.id.clone()]).await;
    assert_eq!(some, [all[1].clone()]);
}

#[sqlx::test(migrations = false)]
async fn digests_come_in_pages_without_gaps(pool: PgPool) {
    let suite = start(pool).await;
    for _ in 0..3 {
        let orders = (0..400).map(|_| order(&[("TEA", 1)])).collect();
        let request = PlaceOrdersRequest { orders, wait: PlaceWait::Durable.into(), view: OrderView::Basic.into() };
        suite.orders.clone().place_orders(request).await.unwrap();
    }
    let (_, all) = digests(&suite, vec![]).await;
    assert_eq!(all.len(), 1200);
    assert!(all.is_sorted_by(|a, b| a.subject < b.subject));
}
