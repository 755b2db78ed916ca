//! What warehouses, carriers and billing do, read from their feeds.

use crate::peers::{ANNEX, HALL};
use crate::suite::{Suite, order, parts, start, start_with};
use pesan_api::billing::v1::{CreditNoteIssued, Document, DocumentLine, InvoiceIssued};
use pesan_api::fulfilment::v1::{Delivered, GoodsIssued, Parcel, ShipmentLine};
use pesan_api::inventory::v1::{
    BackordersFilled, FilledLine, ReservationExpired, ReservedStockMissing, ShortageBooked,
};
use pesan_api::order::v1::*;
use sqlx::PgPool;
use uuid::Uuid;

fn shipment(lines: &[(i32, i64)]) -> Vec<ShipmentLine> {
    let line = |(line_no, quantity): &(i32, i64)| ShipmentLine {
        line_no: *line_no,
        sku: "TEA".into(),
        quantity: *quantity,
        stocked: true,
    };
    lines.iter().map(line).collect()
}

pub fn issue(suite: &Suite, order_id: &str, shipment_id: Uuid, location: &str, lines: &[(i32, i64)]) {
    let fact = GoodsIssued {
        fulfilment_order_id: shipment_id.to_string(),
        order_id: order_id.into(),
        location_id: location.into(),
        lines: shipment(lines),
        parcels: vec![],
    };
    suite.peers.fulfilment.feed.tell_of(shipment_id, order_id.parse().unwrap(), &fact);
}

/// Goods leave in one parcel for each tracking number.
pub fn ship_in_parcels(suite: &Suite, order_id: &str, location: &str, lines: &[(i32, i64)], numbers: &[&str]) {
    let shipment_id = Uuid::now_v7();
    let parcels = (1..).zip(numbers).map(|(parcel_no, number)| Parcel {
        parcel_no,
        tracking_number: (*number).into(),
        ..Default::default()
    });
    let fact = GoodsIssued {
        fulfilment_order_id: shipment_id.to_string(),
        order_id: order_id.into(),
        location_id: location.into(),
        lines: shipment(lines),
        parcels: parcels.collect(),
    };
    suite.peers.fulfilment.feed.tell_of(shipment_id, order_id.parse().unwrap(), &fact);
}

pub fn deliver(suite: &Suite, order_id: &str, shipment_id: Uuid, lines: &[(i32, i64)]) {
    let fact =
        Delivered { fulfilment_order_id: shipment_id.to_string(), order_id: order_id.into(), lines: shipment(lines) };
    suite.peers.fulfilment.feed.tell_of(shipment_id, order_id.parse().unwrap(), &fact);
}

fn document(order_id: &str, lines: &[(i32, i64)]) -> Option<Document> {
    let line = |(line_no, quantity): &(i32, i64)| DocumentLine {
        line_no: *line_no,
        quantity: *quantity,
        ..Default::default()
    };
    Some(Document { order_id: order_id.into(), lines: lines.iter().map(line).collect(), ..Default::default() })
}

pub fn invoice(suite: &Suite, order_id: &str, lines: &[(i32, i64)]) {
    suite.peers.billing.feed.tell(order_id, &InvoiceIssued { document: document(order_id, lines) });
}

#[sqlx::test(migrations = false)]
async fn an_order_is_complete_when_it_is_delivered_and_invoiced(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 3), ("CUP", 2)])).await;
    let shipment = Uuid::now_v7();
    issue(&suite, &placed.id, shipment, HALL, &[(1, 2)]);
    let some = suite.until(&placed.id, OrderState::PartiallyShipped).await;
    assert_eq!(parts(&some.lines[0].quantities), [("ordered", 3), ("reserved", 1), ("shipped", 2)]);
    assert_eq!(some.lines[0].allocations, [Allocation { location_id: HALL.into(), reserved: 1, shipped: 2 }]);

    let rest = Uuid::now_v7();
    issue(&suite, &placed.id, rest, HALL, &[(1, 1), (2, 2)]);
    deliver(&suite, &placed.id, rest, &[(1, 1), (2, 2)]);
    suite.until(&placed.id, OrderState::Shipped).await;
    invoice(&suite, &placed.id, &[(1, 3), (2, 2)]);
    deliver(&suite, &placed.id, shipment, &[(1, 2)]);
    let complete = suite.until(&placed.id, OrderState::Completed).await;
    assert_eq!(parts(&complete.quantities), [("ordered", 5), ("shipped", 5), ("delivered", 5), ("invoiced", 5)]);
    let last: OrderProgressed = suite.fact(&placed.id).await;
    assert_eq!((last.state(), last.quantities), (OrderState::Completed, complete.quantities));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn facts_that_come_together_are_one_change(pool: PgPool) {
    let suite = start(pool).await;
    let orders: Vec<Order> =
        vec![suite.place(order(&[("TEA", 3)])).await, suite.place(order(&[("TEA", 1), ("TEA", 1)])).await];
    let (pool, peers) = suite.stop().await;
    // While nobody reads: everything of both orders, in one page of each feed.
    let suite = {
        let shipments = [Uuid::now_v7(), Uuid::now_v7()];
        let quiet = peers.clone();
        for (order, shipment_id) in orders.iter().zip(shipments) {
            let lines: Vec<(i32, i64)> =
                order.lines.iter().map(|l| (l.line_no, l.quantities.as_ref().unwrap().ordered)).collect();
            let order_id: Uuid = order.id.parse().unwrap();
            let issued = GoodsIssued {
                order_id: order.id.clone(),
                location_id: HALL.into(),
                lines: shipment(&lines),
                ..Default::default()
            };
            let delivered = Delivered { order_id: order.id.clone(), lines: shipment(&lines), ..Default::default() };
            quiet.fulfilment.feed.tell_of(shipment_id, order_id, &issued);
            quiet.fulfilment.feed.tell_of(shipment_id, order_id, &delivered);
            quiet.billing.feed.tell(&order.id, &InvoiceIssued { document: document(&order.id, &lines) });
        }
        start_with(pool, peers).await
    };
    for order in &orders {
        let complete = suite.until(&order.id, OrderState::Completed).await;
        assert_eq!(complete.version, 4, "placed, confirmed, shipped and delivered at once, invoiced");
    }
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn an_invoice_read_before_its_shipment_is_kept(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 3)])).await;
    invoice(&suite, &placed.id, &[(1, 3)]);
    let early = suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().invoiced == 3).await;
    assert_eq!(early.state(), OrderState::Confirmed);
    let shipment = Uuid::now_v7();
    issue(&suite, &placed.id, shipment, HALL, &[(1, 3)]);
    deliver(&suite, &placed.id, shipment, &[(1, 3)]);
    suite.until(&placed.id, OrderState::Completed).await;
}

#[sqlx::test(migrations = false)]
async fn a_filled_backorder_is_handed_to_fulfilment(pool: PgPool) {
    let suite = start(pool).await;
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 1);
    let placed = suite.place(order(&[("TEA", 5)])).await;
    let fill =
        |quantity, location: &str| FilledLine { line_no: 1, sku: "TEA".into(), location_id: location.into(), quantity };
    let fact = BackordersFilled { order_id: placed.id.clone(), lines: vec![fill(1, HALL), fill(2, ANNEX)] };
    suite.peers.inventory.feed.tell(&placed.id, &fact);
    let some = suite.until_it(&placed.id, |order| order.version == 3).await;
    assert_eq!(parts(&some.quantities), [("ordered", 5), ("reserved", 4), ("backordered", 1)]);
    let ready: OrderLinesReady = suite.fact(&placed.id).await;
    let allocations: Vec<_> =
        ready.allocations.iter().map(|a| (a.line_no, a.sku.as_str(), a.location_id.as_str(), a.quantity)).collect();
    assert_eq!(allocations, [(1, "TEA", HALL, 1), (1, "TEA", ANNEX, 2)]);

    // More than waits: the excess is left to inventory.
    let fact = BackordersFilled { order_id: placed.id.clone(), lines: vec![fill(4, HALL)] };
    suite.peers.inventory.feed.tell(&placed.id, &fact);
    let all = suite.until(&placed.id, OrderState::Confirmed).await;
    assert_eq!(parts(&all.quantities), [("ordered", 5), ("reserved", 5)]);
    let ready: OrderLinesReady = suite.fact(&placed.id).await;
    assert_eq!(ready.allocations[0].quantity, 1);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_shortage_waits_again_or_is_cancelled(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    let short = |quantity, backordered| ShortageBooked {
        order_id: placed.id.clone(),
        line_no: 1,
        sku: "TEA".into(),
        location_id: HALL.into(),
        quantity,
        backordered,
    };
    suite.peers.inventory.feed.tell(&placed.id, &short(2, 2));
    let waiting = suite.until(&placed.id, OrderState::Backordered).await;
    assert_eq!(parts(&waiting.quantities), [("ordered", 5), ("reserved", 3), ("backordered", 2)]);
    suite.peers.inventory.feed.tell(&placed.id, &short(3, 0));
    let lost = suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().cancelled == 3).await;
    assert_eq!(parts(&lost.quantities), [("ordered", 5), ("backordered", 2), ("cancelled", 3)]);
    let fact: OrderCancelled = suite.fact(&placed.id).await;
    assert_eq!((fact.whole, fact.lines[0].quantity, fact.lines[0].backordered), (false, 3, 0));
    assert!(fact.lines[0].reserved.is_empty(), "inventory has let go of it already");
    suite.assert_proven().await;
}

pub fn stock_is_missing(suite: &Suite, placed: &Order, location: &str, quantity: i64) {
    let fact = ReservedStockMissing {
        order_id: placed.id.clone(),
        line_no: 1,
        sku: "TEA".into(),
        location_id: location.into(),
        quantity,
    };
    suite.peers.inventory.feed.tell(&placed.id, &fact);
}

#[sqlx::test(migrations = false)]
async fn fulfilment_is_told_what_a_count_did_not_find(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    stock_is_missing(&suite, &placed, HALL, 2);
    let told = suite.until_it(&placed.id, |order| order.version == 3).await;
    assert_eq!(parts(&told.quantities), [("ordered", 5), ("reserved", 5)], "it may be picked");
    let fact: OrderStockMissing = suite.fact(&placed.id).await;
    let line = MissingLine { line_no: 1, location_id: HALL.into(), quantity: 2, withheld: 0 };
    assert_eq!((fact.order_id.as_str(), fact.lines), (placed.id.as_str(), vec![line]));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_promise_that_lapses_while_somebody_thinks_is_made_anew(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    *suite.peers.billing.refuses.lock().unwrap() = Some("NO_ACCOUNT");
    let held = suite.place(crate::suite::order_of(&customer, &[("TEA", 3)])).await;
    assert_eq!(parts(&held.quantities), [("ordered", 3), ("reserved", 3)]);
    suite.peers.inventory.reservations.lock().unwrap().clear();
    suite.peers.inventory.feed.tell(&held.id, &ReservationExpired { order_id: held.id.clone() });
    let lapsed = suite.until_it(&held.id, |order| order.quantities.as_ref().unwrap().reserved == 0).await;
    assert_eq!((lapsed.state(), parts(&lapsed.quantities)), (OrderState::OnHold, vec![("ordered", 3)]));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn facts_of_no_concern_are_passed_over(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 1)])).await;
    let stranger = Uuid::now_v7();
    issue(&suite, &stranger.to_string(), Uuid::now_v7(), HALL, &[(1, 1)]);
    let alone = CreditNoteIssued { document: document("", &[(1, 1)]), ..Default::default() };
    suite.peers.billing.feed.tell(&stranger.to_string(), &alone);
    let shipment = Uuid::now_v7();
    issue(&suite, &placed.id, shipment, HALL, &[(1, 1)]);
    suite.until(&placed.id, OrderState::Shipped).await;
    invoice(&suite, &placed.id, &[(1, 1)]);
    deliver(&suite, &placed.id, shipment, &[(1, 1)]);
    suite.until(&placed.id, OrderState::Completed).await;
    suite.assert_proven().await;
}
