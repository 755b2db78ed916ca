//! Lots and serial numbers in purchase orders, transfers and counts.

use crate::counts;
use crate::lots::{lot, receive, shown, started};
use crate::purchasing::{arrived, id};
use crate::testing::{NOW, Service, all_or_nothing};
use crate::transfers::{self, plan};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::refuse;
use sqlx::PgPool;
use tonic::Status;

/// Lot, location, on hand, damaged.
async fn standing(service: &mut Service, sku: &str) -> Vec<(String, String, i64, i64)> {
    let request = pb::ListLotsRequest { sku: sku.into(), ..Default::default() };
    let lots = service.lots.list_lots(request).await.unwrap().into_inner().lots;
    lots.into_iter().map(|lot| (lot.lot, lot.location_id, lot.on_hand, lot.damaged)).collect()
}

fn named(lots: &[pb::LotQuantity]) -> Vec<(&str, i64)> {
    lots.iter().map(|lot| (lot.lot.as_str(), lot.quantity)).collect()
}

async fn ship(service: &mut Service, name: &str, lines: Vec<pb::ShippedLine>) -> Result<pb::Transfer, Status> {
    let request = pb::ShipTransferRequest { request_id: id(), name: name.into(), lines, shipped_at: None };
    Ok(service.transfers.ship_transfer(request).await?.into_inner().transfer.unwrap())
}

/// What became of the lots of a transfer's first line: lot, shipped, received, damaged, lost.
fn became(transfer: &pb::Transfer) -> Vec<(&str, i64, i64, i64, i64)> {
    let lots = &transfer.lines[0].lots;
    lots.iter().map(|lot| (lot.lot.as_str(), lot.shipped, lot.received, lot.damaged, lot.lost)).collect()
}

#[sqlx::test(migrations = false)]
async fn receipts_of_a_purchase_order_name_what_came(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    service.supplied(&[("MILK", 2), ("PHONE", 300), ("MUG", 4)]).await;
    let order = service.bought(&main, &[("MILK", 10), ("PHONE", 2), ("MUG", 5)]).await;
    let name = order.number.as_str();

    for (line, reason) in [
        (arrived(1, 4, 0, 0, ""), "LOT_REQUIRED"),
        (arrived(1, 3, 1, 0, "WET"), "LOT_REQUIRED"),
        (arrived(2, 1, 0, 0, ""), "SERIAL_REQUIRED"),
        (pb::ReceivedLine { lots: vec![lot("A", 1, "")], ..arrived(3, 1, 0, 0, "") }, "NOT_TRACKED"),
        (pb::ReceivedLine { lots: vec![lot("A", 3, "")], ..arrived(1, 4, 0, 0, "") }, "LOT_QUANTITY"),
        (pb::ReceivedLine { lots: vec![lot("A", 1, "")], ..arrived(1, 0, 1, 0, "WET") }, "LOT_QUANTITY"),
        (pb::ReceivedLine { lots: vec![lot("S1", 2, "")], ..arrived(2, 2, 0, 0, "") }, "LOT_QUANTITY"),
    ] {
        let refused = service.arrive(name, vec![line.clone()]).await.unwrap_err();
        assert_eq!(refuse::reason(&refused), reason, "{line:?}");
    }
    // Two lots, some of one wet, and one of two phones; then the rest, of a lot that is known, and less than announced.
    let milk = pb::ReceivedLine {
        lots: vec![lot("A", 3, "2027-01-31"), lot("B", 2, "2027-02-28")],
        damaged_lots: vec![lot("A", 1, "2027-01-31")],
        ..arrived(1, 5, 1, 0, "WET")
    };
    let phone = pb::ReceivedLine { lots: vec![lot("S1", 0, "")], ..arrived(2, 1, 0, 0, "") };
    let order = service.arrive(name, vec![milk, phone, arrived(3, 5, 0, 0, "")]).await.unwrap();
    assert_eq!(order.state(), pb::PurchaseOrderState::PartReceived);
    let lines = &order.receipts[0].lines;
    assert_eq!(named(&lines[0].lots), [("A", 3), ("B", 2)]);
    assert_eq!((named(&lines[0].damaged_lots), lines[0].lots[1].expires_on.as_str()), (vec![("A", 1)], "2027-02-28"));
    assert_eq!((named(&lines[1].lots), lines[2].lots.len()), (vec![("S1", 1)], 0));

    let other_expiry = pb::ReceivedLine { lots: vec![lot("A", 1, "2028-01-01")], ..arrived(1, 1, 0, 0, "") };
    let refused = service.arrive(name, vec![other_expiry]).await.unwrap_err();
    assert_eq!(refuse::reason(&refused), "LOT_EXPIRY");
    let twice = pb::ReceivedLine { lots: vec![lot("S1", 1, "")], ..arrived(2, 1, 0, 0, "") };
    assert_eq!(refuse::reason(&service.arrive(name, vec![twice]).await.unwrap_err()), "SERIAL_IN_STOCK");
    let milk = pb::ReceivedLine { lots: vec![lot("B", 3, "")], ..arrived(1, 3, 0, 1, "SHORT_SHIPPED") };
    let phone = pb::ReceivedLine { damaged_lots: vec![lot("S2", 1, "")], ..arrived(2, 0, 1, 0, "BROKEN") };
    let order = service.arrive(name, vec![milk, phone]).await.unwrap();
    assert_eq!((order.state(), order.receipts.len()), (pb::PurchaseOrderState::Closed, 2));
    assert_eq!(shown(&mut service, "MILK").await, [("A".into(), 3, 1, 0), ("B".into(), 5, 0, 0)]);
    assert_eq!(shown(&mut service, "PHONE").await, [("S1".into(), 1, 0, 0), ("S2".into(), 0, 1, 0)]);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn lots_arrive_as_they_left_or_are_lost(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    let shop = service.location("SHOP", 1).await;
    let lots = vec![lot("LATE", 6, "2027-03-31"), lot("SOON", 4, "2027-01-31")];
    receive(&mut service, "MILK", &main, 10, lots).await.unwrap();
    let transfer = service.planned(plan(&main, &shop, &[("MILK", 7)])).await;
    let transfer = service.ship(&transfer.number).await.unwrap();
    assert_eq!(became(&transfer), [("SOON", 4, 0, 0, 0), ("LATE", 3, 0, 0, 0)], "what expires first leaves first");
    assert_eq!(standing(&mut service, "MILK").await, [("LATE".into(), main.clone(), 3, 0)]);

    let name = transfer.number.as_str();
    let unknown = pb::ArrivedLine { lots: vec![lot("OTHER", 1, "")], ..transfers::arrived(1, 0, 0, "") };
    assert_eq!(refuse::reason(&service.unload(name, unknown).await.unwrap_err()), "OVER_DELIVERY");
    let uneven = pb::ArrivedLine { lots: vec![lot("SOON", 1, "")], ..transfers::arrived(2, 0, 0, "") };
    assert_eq!(refuse::reason(&service.unload(name, uneven).await.unwrap_err()), "LOT_QUANTITY");
    // Some of the later lot first, one of it damaged; then the rest, of which two are gone.
    let named = pb::ArrivedLine {
        lots: vec![lot("LATE", 1, "")],
        damaged_lots: vec![lot("LATE", 1, "")],
        ..transfers::arrived(1, 1, 0, "WET")
    };
    let transfer = service.unload(name, named).await.unwrap();
    assert_eq!(became(&transfer), [("SOON", 4, 0, 0, 0), ("LATE", 3, 1, 1, 0)]);
    let transfer = service.unload(name, transfers::arrived(3, 0, 2, "STOLEN_ON_THE_WAY")).await.unwrap();
    assert_eq!(became(&transfer), [("SOON", 4, 3, 0, 1), ("LATE", 3, 1, 1, 1)]);
    assert_eq!(transfer.state(), pb::TransferState::Received);
    let there = standing(&mut service, "MILK").await;
    let mut expected =
        vec![("LATE".to_owned(), main, 3, 0), ("LATE".to_owned(), shop.clone(), 1, 1), ("SOON".to_owned(), shop, 3, 0)];
    expected.sort();
    assert_eq!(there, expected);
    // They are the same lots: they expire when they did.
    let request = pb::ListLotsRequest { sku: "MILK".into(), expires_by: "2027-01-31".into(), ..Default::default() };
    let soon = service.lots.list_lots(request).await.unwrap().into_inner().lots;
    assert_eq!((soon.len(), soon[0].lot.as_str(), soon[0].on_hand), (1, "SOON", 3));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn named_serial_numbers_move_and_are_nowhere_on_the_way(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    let shop = service.location("SHOP", 1).await;
    receive(&mut service, "PHONE", &main, 3, ["S1", "S2", "S3"].map(|s| lot(s, 1, "")).to_vec()).await.unwrap();
    receive(&mut service, "MUG", &main, 3, vec![]).await.unwrap();
    let transfer = service.planned(plan(&main, &shop, &[("PHONE", 2), ("MUG", 1)])).await;
    let leaves = |lots: &[&str], quantity| pb::ShippedLine {
        line_no: 1,
        quantity,
        lots: lots.iter().map(|code| lot(code, 1, "")).collect(),
    };
    let mug = pb::ShippedLine { line_no: 2, quantity: 1, lots: vec![lot("S1", 1, "")] };
    for (lines, reason) in [
        (vec![leaves(&["S1"], 2)], "LOT_QUANTITY"),
        (vec![leaves(&["S1", "S9"], 2)], "INSUFFICIENT_STOCK"),
        (vec![mug], "NOT_TRACKED"),
    ] {
        assert_eq!(refuse::reason(&ship(&mut service, &transfer.number, lines).await.unwrap_err()), reason);
    }
    let shipped = ship(&mut service, &transfer.number, vec![leaves(&["S3", "S1"], 2)]).await.unwrap();
    assert_eq!(became(&shipped), [("S3", 1, 0, 0, 0), ("S1", 1, 0, 0, 0)]);
    assert_eq!(shown(&mut service, "PHONE").await, [("S2".into(), 1, 0, 0)]);
    // An order takes what stays; what is on its way serves those who wait at its destination.
    let order = all_or_nothing(&[("PHONE", 2)]);
    assert_eq!(service.reserve(&order).await.unwrap_err().reason, "OUT_OF_STOCK");
    let arrives = pb::ArrivedLine {
        damaged_lots: vec![lot("S3", 0, "")],
        lots: vec![lot("S1", 1, "")],
        ..transfers::arrived(1, 1, 0, "BROKEN")
    };
    let mug = pb::ArrivedLine { line_no: 2, received: 1, ..Default::default() };
    let request = pb::ReceiveTransferRequest {
        request_id: id(),
        name: transfer.number,
        lines: vec![arrives, mug],
        received_at: Some(to_timestamp(NOW)),
    };
    let done = service.transfers.receive_transfer(request).await.unwrap().into_inner().transfer.unwrap();
    assert_eq!((done.state(), done.lines[1].lots.len()), (pb::TransferState::Received, 0));
    let there: Vec<_> = standing(&mut service, "PHONE").await;
    assert_eq!(
        there,
        [("S1".to_owned(), shop.clone(), 1, 0), ("S2".to_owned(), main, 1, 0), ("S3".to_owned(), shop, 0, 1),]
    );
    service.assert_proven().await;
}

fn counted(sku: &str, quantity: i64, lots: Vec<pb::LotQuantity>) -> pb::CountEntry {
    pb::CountEntry { lots, ..counts::entry(sku, quantity) }
}

#[sqlx::test(migrations = false)]
async fn a_count_finds_another_lot_than_the_books_know(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    let lots = vec![lot("A", 5, "2027-01-31"), lot("B", 2, "2027-02-28")];
    receive(&mut service, "MILK", &main, 7, lots).await.unwrap();
    receive(&mut service, "PHONE", &main, 2, vec![lot("S1", 1, ""), lot("S2", 1, "")]).await.unwrap();
    service.reserve(&all_or_nothing(&[("MILK", 7)])).await.unwrap();
    let loose = pb::ApprovalThreshold { units: 2, percent: 100 };
    let count = service.count(&main, Some(loose)).await;
    let name = count.number.as_str();
    for (entry, reason) in [
        (counted("MILK", 7, vec![]), "LOT_REQUIRED"),
        (counted("PHONE", 1, vec![]), "SERIAL_REQUIRED"),
        (counted("MILK", 7, vec![lot("A", 6, "")]), "LOT_QUANTITY"),
        (counted("PHONE", 2, vec![lot("S1", 2, "")]), "LOT_QUANTITY"),
    ] {
        let refused = service.enter(name, vec![entry], false).await.unwrap_err();
        assert_eq!(refuse::reason(&refused), reason);
    }
    // Three of A are a lot that nobody knew, and another phone than S2 is there: no quantity differs.
    let milk = counted("MILK", 7, vec![lot("A", 2, ""), lot("B", 2, ""), lot("C", 3, "2027-05-31")]);
    let phone = counted("PHONE", 2, vec![lot("S1", 1, ""), lot("S9", 1, "")]);
    let blind = service.enter(name, vec![milk, phone], false).await.unwrap();
    assert!(blind.lines.iter().flat_map(|line| &line.lots).all(|lot| lot.book.is_none() && lot.counted > 0));
    let count = service.enter(name, vec![], true).await.unwrap();
    assert_eq!(count.state(), pb::CountState::Counted, "three are off, two may be");
    let differences = |line: &pb::CountLine| -> Vec<(String, i64)> {
        line.lots.iter().map(|lot| (lot.lot.clone(), lot.difference.unwrap())).collect()
    };
    assert_eq!(differences(&count.lines[0]), [("A".into(), -3), ("B".into(), 0), ("C".into(), 3)]);
    let approved = service.approve(&count).await.unwrap();
    let milk = &approved.lines[0];
    assert_eq!((milk.difference, milk.booked, milk.short, milk.moot), (Some(0), 0, 0, 0), "nobody falls short");
    assert_eq!(
        shown(&mut service, "MILK").await,
        [("A".into(), 2, 0, 0), ("B".into(), 2, 0, 0), ("C".into(), 3, 0, 0)]
    );
    assert_eq!(shown(&mut service, "PHONE").await, [("S1".into(), 1, 0, 0), ("S9".into(), 1, 0, 0)]);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_lot_that_left_after_it_was_counted_is_not_missed_twice(pool: PgPool) {
    let (mut service, main) = started(&pool).await;
    let shop = service.location("SHOP", 1).await;
    receive(&mut service, "MILK", &main, 8, vec![lot("A", 5, "2027-01-31"), lot("B", 3, "2027-02-28")]).await.unwrap();
    let count = service.count(&main, None).await;
    let name = count.number.as_str();
    // One of A and one of B are not there; then four of A leave.
    service.enter(name, vec![counted("MILK", 6, vec![lot("A", 4, ""), lot("B", 2, "")])], false).await.unwrap();
    let count = service.enter(name, vec![], true).await.unwrap();
    let transfer = service.planned(plan(&main, &shop, &[("MILK", 5)])).await;
    service.ship(&transfer.number).await.unwrap();
    let approved = service.approve(&count).await.unwrap();
    let line = &approved.lines[0];
    assert_eq!((line.difference, line.booked, line.short, line.moot), (Some(-2), -1, 0, 1));
    assert_eq!(shown(&mut service, "MILK").await, [("B".into(), 2, 0, 0)]);
    service.assert_proven().await;

    // Counted an hour ago, before what came since: the books of then are what counts.
    let count = service.count(&main, None).await;
    let an_hour_ago = to_timestamp(NOW);
    service.clock.advance(std::time::Duration::from_secs(3600));
    let more = pb::Receipt { lots: vec![lot("B", 4, "")], ..crate::testing::receipt("MILK", &main, 4) };
    service.receive_all(vec![more]).await.remove(0).unwrap();
    let entry = pb::CountEntry { counted_at: Some(an_hour_ago), ..counted("MILK", 1, vec![lot("B", 1, "")]) };
    service.enter(&count.number, vec![entry], false).await.unwrap();
    let count = service.enter(&count.number, vec![], true).await.unwrap();
    assert_eq!((count.lines[0].book, count.lines[0].lots[0].book), (Some(2), Some(2)));
    service.approve(&count).await.unwrap();
    assert_eq!(shown(&mut service, "MILK").await, [("B".into(), 5, 0, 0)]);
    service.assert_proven().await;
}
