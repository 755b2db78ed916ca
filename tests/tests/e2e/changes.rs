//! Orders change on their way, in every way, and all houses still agree.

use e2e::*;
use pesan_api::billing::v1::GetOrderBillingRequest;
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::fulfilment::v1::FulfilmentState;
use pesan_api::order::v1 as order;
use pesan_api::order::v1::OrderState;
use pesan_api::order::v1::change::Kind;
use pesan_api::r#type::v1::Address;
use sqlx::PgPool;

async fn plan(suite: &Suite, name: &str, kinds: Vec<Kind>) -> order::ChangePlan {
    let changes = kinds.into_iter().map(|kind| order::Change { kind: Some(kind) }).collect();
    let request = order::PlanChangeRequest { name: name.into(), changes, ..Default::default() };
    suite.changes().plan_change(request).await.unwrap().into_inner().plan.unwrap()
}

/// Plans and commits, and plans again while facts of others come in between.
async fn change(suite: &Suite, name: &str, kinds: Vec<Kind>) -> order::CommitChangeResponse {
    eventually("the change", || async {
        let plan = plan(suite, name, kinds.clone()).await;
        let request = order::CommitChangeRequest {
            request_id: request_id(),
            plan_id: plan.id,
            order_version: plan.order_version,
            payment_token: "tok_ok".into(),
        };
        suite.changes().commit_change(request).await.map(tonic::Response::into_inner).map_err(|e| format!("{e:?}"))
    })
    .await
    .unwrap()
}

fn quantity(line_no: i32, quantity: i64) -> Kind {
    Kind::SetQuantity(order::SetQuantity { line_no, quantity })
}

fn add(sku: &str, quantity: i64) -> Kind {
    let line = order::NewOrderLine { sku: sku.into(), quantity, unit_price: eur(10, 0), ..Default::default() };
    Kind::AddLine(order::AddLine { line: Some(line) })
}

fn price(line_no: i32, units: i64) -> Kind {
    Kind::SetPrice(order::SetPrice { line_no, unit_price: eur(units, 0), ..Default::default() })
}

/// Ships and delivers what the warehouse is told, until nothing of the order is left: what waits comes later.
async fn complete(suite: &Suite, order_id: &str) {
    let request = fulfilment::ListFulfilmentOrdersRequest {
        order_id: order_id.into(),
        states: vec![FulfilmentState::Open.into()],
        ..Default::default()
    };
    eventually("the end of the order", || async {
        let answer = suite.fulfilment().list_fulfilment_orders(request.clone()).await.map_err(|e| e.to_string())?;
        for fulfilment::FulfilmentOrder { id: name, .. } in answer.into_inner().fulfilment_orders {
            let pick = fulfilment::PickRequest { request_id: request_id(), name: name.clone(), ..Default::default() };
            suite.fulfilment().pick(pick).await.unwrap();
            let pack = fulfilment::PackRequest { request_id: request_id(), name: name.clone(), ..Default::default() };
            suite.fulfilment().pack(pack).await.unwrap();
            let ship = fulfilment::ShipRequest { request_id: request_id(), name: name.clone(), effective_at: None };
            suite.fulfilment().ship(ship).await.unwrap();
            let delivery = fulfilment::ConfirmDeliveryRequest { request_id: request_id(), name, effective_at: None };
            suite.fulfilment().confirm_delivery(delivery).await.unwrap();
        }
        let order = suite.order(order_id).await.map_err(|e| e.to_string())?;
        if order.state() == OrderState::Completed {
            Ok(())
        } else {
            Err(format!("{:?} {:?}", order.state(), order.quantities))
        }
    })
    .await
    .unwrap();
}

#[sqlx::test(migrations = false)]
async fn a_confirmed_order_changes_in_every_way(pool: PgPool) {
    let suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 10))).await.unwrap();
    suite.item("TABLE", Some((&location, 4))).await.unwrap();
    let customer = suite.customer("C-1", Some(1000)).await.unwrap();
    for on_account in [true, false] {
        let wish = [("CHAIR", 4), ("TABLE", 2)];
        let wish = if on_account { account_order(&customer, &wish) } else { card_order(&wish) };
        let placed = suite.place(wish).await.unwrap();
        let elsewhere = Address { recipient: "Siti".into(), country: "SG".into(), ..Default::default() };
        // Less, more, dearer, new, elsewhere: all at once.
        let kinds = vec![
            quantity(1, 2),
            quantity(2, 3),
            price(1, 12),
            add("CHAIR", 1),
            Kind::SetAddress(order::SetAddress { ship_to: Some(elsewhere.clone()) }),
        ];
        let changed = change(&suite, &placed.id, kinds).await.order.unwrap();
        assert_eq!((changed.lines.len(), changed.ship_to.as_ref()), (4, Some(&elsewhere)));
        let q = changed.quantities.unwrap();
        assert_eq!((q.ordered, q.cancelled, q.reserved + q.backordered), (8, 2, 6));
        // A part of it becomes an order of its own.
        let split =
            order::SplitOff { lines: vec![order::CancelLine { line_no: 2, quantity: 1 }], ..Default::default() };
        let split = change(&suite, &placed.id, vec![Kind::SplitOff(split)]).await;
        assert_eq!(split.split_order_ids.len(), 1);
        complete(&suite, &placed.id).await;
        // What has left stays, and the order can still grow.
        let told = plan(&suite, &placed.id, vec![quantity(1, 1)]).await;
        assert_eq!(told.impossible[0].reason, "SHIPPED");
        change(&suite, &placed.id, vec![add("CHAIR", 1)]).await;
        change(&suite, &placed.id, vec![price(5, 7)]).await;
        complete(&suite, &placed.id).await;
        // 2 chairs at 12, 1 table, 1 table, 1 chair at 10, 1 chair at 7.
        eventually("the invoices", || async {
            let request = GetOrderBillingRequest { order_id: placed.id.clone() };
            let billing = suite.payments().get_order_billing(request).await.map_err(|e| e.to_string())?.into_inner();
            let billing = billing.billing.ok_or("none")?;
            let (invoiced, authorised) = (billing.invoiced.clone(), billing.authorised.clone());
            if invoiced == eur(61, 0) { Ok(()) } else { Err(format!("{invoiced:?} of {authorised:?}")) }
        })
        .await
        .unwrap();
        change(&suite, &split.split_order_ids[0], vec![Kind::CancelRest(order::CancelRest {})]).await;
    }
    verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}
