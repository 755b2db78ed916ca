//! An order's way through all services.

use crate::script::order_id;
use crate::story::story;
use crate::world::start;
use pesan_api::analytics::v1 as pb;
use pesan_grpc::refuse;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn a_journey_is_told_in_business_order_whatever_the_name(pool: PgPool) {
    let world = start(&pool).await;
    world.play(&story().events).await;
    for name in [order_id(1).to_string(), "SO-000001".to_owned(), "web/1001".to_owned()] {
        let request = pb::GetJourneyRequest { name: name.clone() };
        let journey = world.analytics.clone().get_journey(request).await.unwrap().into_inner();
        assert_eq!(journey.order_id, order_id(1).to_string(), "{name}");
        assert_eq!(journey.number, "SO-000001");
        let told: Vec<_> =
            journey.entries.iter().map(|e| format!("{} {}: {}", e.service, e.r#type, e.summary)).collect();
        assert_eq!(
            told,
            [
                "order OrderAccepted: SO-000001 accepted on web: 3 units in 2 lines, 25.00 GBP gross",
                "analytics OrderCounted: counted in the sales of 2011-01-05 (web, GB): 3 units, 25.00 GBP gross",
                "inventory StockReserved: 3 units reserved",
                "order OrderConfirmed: confirmed: 0 units reserved",
                "fulfilment GoodsIssued: shipped: 3 units in 2 lines, simulated T1-1",
                "billing InvoiceIssued: DOC-1: 23.00 GBP net, 23.00 GBP with tax",
                "fulfilment Delivered: delivered: 3 units in 2 lines",
                "fulfilment ReturnReceived: RMA-1 received: 1 unit in 1 line, 1 unit damaged",
                "billing CreditNoteIssued: DOC-6: 9.00 GBP net credited",
            ],
            "OrderProgressed and unknown types are not told"
        );
    }
}

#[sqlx::test(migrations = false)]
async fn an_order_that_is_not_there_is_told_so(pool: PgPool) {
    let world = start(&pool).await;
    world.play(&story().events).await;
    for name in ["SO-999999", "web/", "web/9", "edi/1001", "00000000-0000-0000-0000-000000000001"] {
        let request = pb::GetJourneyRequest { name: name.into() };
        let refused = world.analytics.clone().get_journey(request).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::NotFound, "{name}");
        assert_eq!(refuse::reason(&refused), "ORDER_NOT_FOUND");
    }
    let nameless = world.analytics.clone().get_journey(pb::GetJourneyRequest::default()).await.unwrap_err();
    assert_eq!(nameless.code(), tonic::Code::InvalidArgument);
}
