//! What comes back: an exchange, goods that nobody announced, a credit without goods; and five houses that agree about it.

use e2e::*;
use pesan_api::billing::v1::{GetOrderBillingRequest, ListDocumentsRequest};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::order::v1::goodwill_service_client::GoodwillServiceClient;
use pesan_api::order::v1::{self as order, DiscrepancyDecision, OrderState, ReturnResolution, ReturnState};
use sqlx::PgPool;
use tonic::transport::Endpoint;

async fn return_in(suite: &Suite, name: &str, state: ReturnState) -> order::Return {
    eventually(&format!("{state:?} of {name}"), || async {
        let request = order::GetReturnRequest { name: name.into() };
        let answer = suite.returns().get_return(request).await.map_err(|e| e.to_string())?;
        let rma = answer.into_inner().r#return.ok_or("none")?;
        if rma.state() == state { Ok(rma) } else { Err(format!("{rma:?}")) }
    })
    .await
    .unwrap()
}

#[sqlx::test(migrations = false)]
async fn goods_are_exchanged_and_houses_agree(pool: PgPool) {
    let suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 10))).await.unwrap();
    suite.item("TABLE", Some((&location, 5))).await.unwrap();
    let customer = suite.customer("C-1", None).await.unwrap();
    let placed = suite.place(straight_through(account_order(&customer, &[("CHAIR", 4)]))).await.unwrap();
    suite.order_in(&placed.id, OrderState::Completed).await.unwrap();

    // Two chairs are to be exchanged for a table; three come, and a hat.
    let new = order::NewReturn {
        order_name: placed.number.clone(),
        lines: vec![order::NewReturnLine { line_no: 1, quantity: 2, reason: "TOO_SMALL".into(), ..Default::default() }],
        resolution: ReturnResolution::Exchange.into(),
        exchange: Some(order::ExchangeWish {
            lines: vec![order::NewOrderLine {
                sku: "TABLE".into(),
                quantity: 1,
                unit_price: eur(30, 0),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let rma = suite.request_return(new).await.unwrap();
    let receive = fulfilment::ReceiveReturnRequest {
        request_id: request_id(),
        name: rma.number.clone(),
        lines: vec![fulfilment::InspectedLine { line_no: 1, sellable: 3, ..Default::default() }],
        accept_discrepancies: true,
        other_goods: vec![fulfilment::OtherGoods { sku: "HAT".into(), sellable: 1, ..Default::default() }],
        ..Default::default()
    };
    eventually("the return is expected", || async {
        suite.return_receipts().receive_return(receive.clone()).await.map_err(|e| e.to_string())
    })
    .await
    .unwrap();
    let odd = return_in(&suite, &rma.number, ReturnState::Discrepancy).await;
    for (one, decision) in odd.discrepancies.iter().zip([DiscrepancyDecision::Accept, DiscrepancyDecision::Reject]) {
        let request = order::ResolveDiscrepancyRequest {
            request_id: request_id(),
            name: rma.number.clone(),
            discrepancy_id: one.id.clone(),
            decision: decision.into(),
            by: "Siti".into(),
            ..Default::default()
        };
        suite.returns().resolve_discrepancy(request).await.unwrap();
    }
    let done = return_in(&suite, &rma.number, ReturnState::Received).await;
    assert_eq!(done.lines[0].received, 3);
    let linked = suite.order_in(&done.linked_order_ids[0], OrderState::Completed).await.unwrap();
    assert_eq!((linked.return_id.as_str(), linked.total.clone()), (rma.id.as_str(), eur(30, 0)));

    // And five euros for the trouble.
    let channel = Endpoint::from_shared(suite.endpoint("order")).unwrap().connect_lazy();
    let grant = order::GrantGoodwillRequest {
        request_id: request_id(),
        order_name: placed.id.clone(),
        amount: eur(5, 0),
        reason: "TROUBLE".into(),
        owner: "Siti".into(),
        ..Default::default()
    };
    eventually("the goodwill", || async {
        GoodwillServiceClient::new(channel.clone()).grant_goodwill(grant.clone()).await.map_err(|e| e.to_string())
    })
    .await
    .unwrap();
    eventually("the credits", || async {
        let request = GetOrderBillingRequest { order_id: placed.id.clone() };
        let billing = suite.payments().get_order_billing(request).await.map_err(|e| e.to_string())?.into_inner();
        let billing = billing.billing.ok_or("none")?;
        if (&billing.invoiced, &billing.credited) == (&eur(40, 0), &eur(35, 0)) {
            Ok(())
        } else {
            Err(format!("{billing:?}"))
        }
    })
    .await
    .unwrap();
    let request = ListDocumentsRequest { order_id: placed.id.clone(), ..Default::default() };
    let documents = suite.documents().list_documents(request).await.unwrap().into_inner().documents;
    assert_eq!(documents.len(), 4, "an invoice, two receipts and the goodwill: {documents:?}");
    let now = suite.order(&placed.id).await.unwrap();
    assert_eq!(now.goodwill, eur(5, 0));
    verify(&suite, true).await.unwrap();
    suite.end().await.unwrap();
}
