//! One order's way through all five services, by hand, to the last cent.

use e2e::*;
use pesan_api::analytics::v1::GetJourneyRequest;
use pesan_api::billing::v1::{GetOrderBillingRequest, GetTrialBalanceRequest, LedgerAccount, ListDocumentsRequest};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1::{GetAvailabilityRequest, StockLevel};
use pesan_api::order::v1::{self as order, OrderState, Quantities};
use pesan_api::r#type::v1::Money;
use sqlx::PgPool;

async fn stock_of(suite: &Suite, sku: &str) -> StockLevel {
    let request = GetAvailabilityRequest { skus: vec![sku.into()], ..Default::default() };
    let answer = suite.stock().get_availability(request).await.unwrap().into_inner();
    answer.availabilities[0].locations[0].clone()
}

/// Inventory follows by itself: waits until an item's stock is (on hand, reserved, damaged).
async fn stock_becomes(suite: &Suite, sku: &str, expected: (i64, i64, i64)) {
    eventually(&format!("{expected:?} of {sku}"), || async {
        let stock = stock_of(suite, sku).await;
        if (stock.on_hand, stock.reserved, stock.damaged) == expected { Ok(()) } else { Err(format!("{stock:?}")) }
    })
    .await
    .unwrap();
}

async fn fulfilment_orders(suite: &Suite, order_id: &str, count: usize) -> Vec<fulfilment::FulfilmentOrder> {
    let request = fulfilment::ListFulfilmentOrdersRequest { order_id: order_id.into(), ..Default::default() };
    eventually("fulfilment orders", || async {
        let answer = suite.fulfilment().list_fulfilment_orders(request.clone()).await.map_err(|e| e.to_string())?;
        let orders = answer.into_inner().fulfilment_orders;
        if orders.len() == count { Ok(orders) } else { Err(format!("{orders:?}")) }
    })
    .await
    .unwrap()
}

async fn ship(suite: &Suite, name: &str) {
    let (name, effective_at) = (name.to_owned(), None);
    let pick = fulfilment::PickRequest { request_id: request_id(), name: name.clone(), lines: vec![], effective_at };
    suite.fulfilment().pick(pick).await.unwrap();
    let pack = fulfilment::PackRequest { request_id: request_id(), name: name.clone(), parcels: vec![], effective_at };
    suite.fulfilment().pack(pack).await.unwrap();
    let ship = fulfilment::ShipRequest { request_id: request_id(), name: name.clone(), effective_at };
    let shipped = suite.fulfilment().ship(ship).await.unwrap().into_inner().fulfilment_order.unwrap();
    assert!(!shipped.parcels[0].tracking_number.is_empty());
    let delivery = fulfilment::ConfirmDeliveryRequest { request_id: request_id(), name, effective_at };
    suite.fulfilment().confirm_delivery(delivery).await.unwrap();
}

fn units(money: &Option<Money>) -> i64 {
    money.as_ref().map(|m| m.units).unwrap_or_default()
}

#[sqlx::test(migrations = false)]
async fn an_order_goes_from_wish_to_ledger_and_back(pool: PgPool) {
    let suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 10))).await.unwrap();
    suite.item("TABLE", Some((&location, 2))).await.unwrap();

    // 4 chairs are there, of 5 tables only 2: the order is promised in part, the rest waits.
    let placed = suite.place(card_order(&[("CHAIR", 4), ("TABLE", 5)])).await.unwrap();
    assert_eq!(placed.state(), OrderState::Backordered, "{:?}", placed.rejections);
    assert_eq!(units(&placed.gross), 90);
    let table = placed.lines[1].quantities.unwrap();
    assert_eq!((table.reserved, table.backordered), (2, 3));

    let first = fulfilment_orders(&suite, &placed.id, 1).await.remove(0);
    ship(&suite, &first.number).await;
    suite.order_in(&placed.number, OrderState::PartiallyShipped).await.unwrap();

    // Supply comes: the rest goes out by itself to the warehouse.
    suite.receive("TABLE", &location, 3).await.unwrap();
    let second = fulfilment_orders(&suite, &placed.id, 2).await.into_iter().find(|f| f.id != first.id).unwrap();
    ship(&suite, &second.id).await;
    let done = suite.order_in(&placed.id, OrderState::Completed).await.unwrap();
    assert_eq!(
        done.quantities.unwrap(),
        Quantities { ordered: 9, shipped: 9, delivered: 9, invoiced: 9, ..Default::default() }
    );
    stock_becomes(&suite, "CHAIR", (6, 0, 0)).await;

    // One chair comes back, broken.
    let line = order::NewReturnLine { line_no: 1, quantity: 1, reason: "DAMAGED".into(), ..Default::default() };
    let new = order::NewReturn { order_name: placed.number.clone(), lines: vec![line], ..Default::default() };
    let rma = suite.request_return(new).await.unwrap();
    let receive = fulfilment::ReceiveReturnRequest {
        request_id: request_id(),
        name: rma.number.clone(),
        lines: vec![fulfilment::InspectedLine { line_no: 1, damaged: 1, ..Default::default() }],
        ..Default::default()
    };
    eventually("the return is expected", || async {
        suite.return_receipts().receive_return(receive.clone()).await.map_err(|e| e.to_string())
    })
    .await
    .unwrap();
    eventually("the refund", || async {
        let request = GetOrderBillingRequest { order_id: placed.id.clone() };
        let billing = suite.payments().get_order_billing(request).await.map_err(|e| e.to_string())?.into_inner();
        let billing = billing.billing.ok_or("none")?;
        let figures = [&billing.invoiced, &billing.captured, &billing.credited, &billing.refunded].map(units);
        if figures == [90, 90, 10, 10] { Ok(()) } else { Err(format!("{figures:?}")) }
    })
    .await
    .unwrap();
    stock_becomes(&suite, "CHAIR", (6, 0, 1)).await;

    let request = ListDocumentsRequest { order_id: placed.id.clone(), ..Default::default() };
    let documents = suite.documents().list_documents(request).await.unwrap().into_inner().documents;
    let mut totals: Vec<_> = documents.iter().map(|d| (d.number[..3].to_owned(), units(&d.total))).collect();
    totals.sort();
    assert_eq!(totals, [("CN-".into(), 10), ("INV".into(), 30), ("INV".into(), 60)]);

    // Revenue 90, returns 10, cost of 9 pieces at 4 EUR (what came back broken brings no cost back).
    let balance = |account: LedgerAccount| {
        let suite = &suite;
        async move {
            let rows = suite.documents().get_trial_balance(GetTrialBalanceRequest::default()).await.unwrap();
            let rows = rows.into_inner().rows;
            assert_eq!(
                rows.iter().map(|r| units(&r.debit)).sum::<i64>(),
                rows.iter().map(|r| units(&r.credit)).sum::<i64>()
            );
            rows.iter().find(|r| r.account() == account).map(|r| units(&r.debit) - units(&r.credit)).unwrap_or_default()
        }
    };
    assert_eq!(balance(LedgerAccount::Revenue).await, -90);
    assert_eq!(balance(LedgerAccount::SalesReturns).await, 10);
    assert_eq!(balance(LedgerAccount::Receivables).await, 0);
    assert_eq!(balance(LedgerAccount::ProviderClearing).await, 80);
    eventually("the cost of goods", || async {
        let cost = balance(LedgerAccount::CostOfGoods).await;
        if cost == 36 { Ok(()) } else { Err(cost.to_string()) }
    })
    .await
    .unwrap();

    let journey = eventually("the whole journey", || async {
        let request = GetJourneyRequest { name: placed.number.clone() };
        let journey = suite.analytics().get_journey(request).await.map_err(|e| e.to_string())?.into_inner();
        let types: Vec<_> = journey.entries.iter().map(|e| e.r#type.clone()).collect();
        if types.iter().any(|t| t == "RefundMade") { Ok(journey) } else { Err(format!("{types:?}")) }
    })
    .await
    .unwrap();
    for service in SERVICES {
        assert!(journey.entries.iter().any(|e| e.service == service), "{service} is not in the journey");
    }
    assert_eq!(journey.entries[0].r#type, "OrderAccepted");
    assert!(journey.entries.iter().all(|e| !e.summary.is_empty()));

    e2e::verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn what_is_refused_says_why(pool: PgPool) {
    let suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 10))).await.unwrap();
    let poor = suite.customer("C-1", Some(50)).await.unwrap();

    let unknown = suite.place(card_order(&[("CHAIR", 1), ("NO-SUCH", 1)])).await.unwrap();
    assert_eq!(unknown.state(), OrderState::Rejected);
    assert_eq!(
        (unknown.rejections[0].field.as_str(), unknown.rejections[0].reason.as_str()),
        ("lines[1].sku", "UNKNOWN_SKU")
    );

    let mut all = card_order(&[("CHAIR", 11)]);
    all.reservation_policy = order::ReservationPolicy::AllOrNothing.into();
    let refused = suite.place(all).await.unwrap();
    assert_eq!((refused.state(), refused.rejections[0].reason.as_str()), (OrderState::Rejected, "OUT_OF_STOCK"));

    let mut declined = card_order(&[("CHAIR", 2)]);
    declined.payment_token = "tok_decline".into();
    let declined = suite.place(declined).await.unwrap();
    assert_eq!((declined.state(), declined.rejections[0].reason.as_str()), (OrderState::Rejected, "PAYMENT_DECLINED"));

    let held = suite.place(account_order(&poor, &[("CHAIR", 6)])).await.unwrap();
    assert_eq!((held.state(), held.holds[0].reason.as_str()), (OrderState::OnHold, "CREDIT_LIMIT_EXCEEDED"));
    suite.customer("C-1", Some(100)).await.unwrap();
    let release =
        order::ReleaseHoldRequest { request_id: request_id(), name: held.number.clone(), ..Default::default() };
    suite.orders().release_hold(release).await.unwrap();
    suite.order_in(&held.number, OrderState::Confirmed).await.unwrap();

    // Everything that was refused let go of its stock.
    stock_becomes(&suite, "CHAIR", (10, 6, 0)).await;

    let mut bad = card_order(&[("CHAIR", 0), ("", 1)]);
    bad.currency_code = "EURO".into();
    bad.channel = "Web Shop".into();
    let request = order::PlaceOrderRequest { order: Some(bad), ..Default::default() };
    let status = suite.orders().place_order(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let fields = violated(&status);
    for field in ["order.channel", "order.currency_code", "order.lines[0].quantity", "order.lines[1].sku"] {
        assert!(fields.iter().any(|f| f == field), "{field} is not in {fields:?}");
    }
    e2e::verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_cancellation_frees_what_it_took_until_it_is_too_late(pool: PgPool) {
    let suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 10))).await.unwrap();
    let customer = suite.customer("C-1", Some(1000)).await.unwrap();
    let placed = suite.place(account_order(&customer, &[("CHAIR", 12)])).await.unwrap();

    // 2 wait and 10 are reserved: of 5 cancelled, the waiting ones go first.
    let cancel = |quantity: i64| order::CancelOrderRequest {
        request_id: request_id(),
        name: placed.number.clone(),
        lines: vec![order::CancelLine { line_no: 1, quantity }],
        ..Default::default()
    };
    let five = cancel(5);
    let after = suite.orders().cancel_order(five.clone()).await.unwrap().into_inner().order.unwrap();
    let quantities = after.quantities.unwrap();
    assert_eq!((quantities.reserved, quantities.backordered, quantities.cancelled), (7, 0, 5));
    let again = suite.orders().cancel_order(five.clone()).await.unwrap().into_inner().order.unwrap();
    assert_eq!(again.quantities.unwrap().cancelled, 5, "the same request again cancels nothing more");
    let other = order::CancelOrderRequest { reason: "other".into(), ..five };
    let status = suite.orders().cancel_order(other).await.unwrap_err();
    assert_eq!(
        (status.code(), pesan_grpc::refuse::reason(&status).as_str()),
        (tonic::Code::AlreadyExists, "REQUEST_ID_REUSED")
    );

    let shipment = fulfilment_orders(&suite, &placed.id, 1).await.remove(0);
    ship(&suite, &shipment.id).await;
    let status = suite.orders().cancel_order(cancel(1)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{status:?}");
    let done = suite.order_in(&placed.number, OrderState::Completed).await.unwrap();
    assert_eq!(done.quantities.unwrap().shipped, 7);
    stock_becomes(&suite, "CHAIR", (3, 0, 0)).await;
    e2e::verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}
