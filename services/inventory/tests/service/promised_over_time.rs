//! Available-to-promise over time.

use crate::purchasing::id;
use crate::testing::{NOW, Service, backorder, service_item, start};
use crate::transfers::plan;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::refuse;
use sqlx::PgPool;
use std::time::Duration;

impl Service {
    async fn promised(&mut self, location: &str, buckets: i32) -> pb::GetAvailableToPromiseResponse {
        let request = pb::GetAvailableToPromiseRequest {
            sku: "MUG".into(),
            location_id: location.into(),
            buckets,
            bucket_size: pb::BucketSize::Day.into(),
        };
        self.planning.get_available_to_promise(request).await.unwrap().into_inner()
    }
}

fn available(answer: &pb::GetAvailableToPromiseResponse) -> Vec<i64> {
    answer.buckets.iter().map(|bucket| bucket.available_to_promise).collect()
}

/// Twenty at MAIN, fifty coming there in ten days, fifteen to leave for the shop in five.
async fn house(pool: &PgPool) -> (Service, String, String) {
    let mut service = start(pool).await;
    let main = service.stocked(&[("MUG", 20)]).await;
    let shop = service.location("SHOP", 1).await;
    service.supplied(&[("MUG", 2)]).await;
    service.bought(&main, &[("MUG", 50)]).await;
    let in_five_days = Some(to_timestamp(NOW + time::Duration::days(5)));
    let transfer = pb::CreateTransferRequest { ship_at: in_five_days, ..plan(&main, &shop, &[("MUG", 15)]) };
    service.planned(transfer).await;
    (service, main, shop)
}

#[sqlx::test(migrations = false)]
async fn an_early_promise_does_not_starve_a_later_need(pool: PgPool) {
    let (mut service, main, _) = house(&pool).await;
    let answer = service.promised(&main, 12).await;
    assert_eq!(available(&answer), [5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 55, 55]);
    assert_eq!((answer.buckets[0].projected, answer.buckets[5].outgoing), (20, 15));
    assert_eq!((answer.buckets[10].incoming, answer.buckets[10].new_to_promise), (50, 50));
    let supply = &answer.buckets[10].supplies[0];
    assert_eq!((supply.number.as_str(), supply.quantity, supply.overdue), ("PO-000001", 50, false));
    // Between locations nothing is lost.
    assert_eq!(available(&service.promised("", 12).await), [20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 70, 70]);
    let weeks = pb::GetAvailableToPromiseRequest {
        sku: "MUG".into(),
        buckets: 3,
        bucket_size: pb::BucketSize::Week.into(),
        ..Default::default()
    };
    let weeks = service.planning.get_available_to_promise(weeks).await.unwrap().into_inner();
    assert_eq!(available(&weeks), [20, 70, 70]);
}

#[sqlx::test(migrations = false)]
async fn who_waits_is_served_first_and_what_is_kept_back_is_not_promised(pool: PgPool) {
    let (mut service, main, _) = house(&pool).await;
    sqlx::query("update stock set safety = 3 where on_hand > 0").execute(&pool).await.unwrap();
    assert_eq!(available(&service.promised(&main, 11).await), [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 52]);
    // 17 are reserved and 20 wait: of the 50 that come 15 leave at once, and 12 fewer are missing than there were.
    service.reserve(&backorder(&[("MUG", 37)])).await.unwrap();
    let answer = service.promised(&main, 11).await;
    assert_eq!((answer.on_hand, answer.reserved, answer.safety, answer.waiting), (20, 17, 3, 20));
    assert_eq!(available(&answer), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15]);
    assert_eq!(answer.buckets[0].projected, -20);
}

#[sqlx::test(migrations = false)]
async fn what_is_overdue_is_not_promised_for_today(pool: PgPool) {
    let (mut service, main, shop) = house(&pool).await;
    service.clock.advance(Duration::from_secs(12 * 24 * 3600));
    let answer = service.promised(&main, 3).await;
    assert_eq!(available(&answer), [5, 55, 55]);
    assert!(answer.buckets[1].supplies[0].overdue);
    // What was shipped is on its way to the shop.
    let shipped = service.ship("TR-000001").await.unwrap();
    assert_eq!(shipped.lines[0].in_transfer, 15);
    assert_eq!(available(&service.promised(&main, 3).await), [5, 55, 55]);
    assert_eq!(available(&service.promised(&shop, 3).await), [0, 15, 15]);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_cannot_be_told_is_refused(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 1)]).await;
    service.upsert_items(vec![service_item("POSTAGE")]).await;
    let ask = |sku: &str, location_id: String, buckets| pb::GetAvailableToPromiseRequest {
        sku: sku.into(),
        location_id,
        buckets,
        ..Default::default()
    };
    for (request, reason) in [
        (ask("NONE", String::new(), 0), "UNKNOWN_SKU"),
        (ask("POSTAGE", String::new(), 0), "NOT_STOCKED"),
        (ask("MUG", id(), 0), "UNKNOWN_LOCATION"),
        (ask("MUG", String::new(), 401), ""),
    ] {
        let refused = service.planning.get_available_to_promise(request).await.unwrap_err();
        assert_eq!(refuse::reason(&refused), reason);
    }
    let answer = service.promised("", 0).await;
    assert_eq!(available(&answer), [1; 30]);
}
