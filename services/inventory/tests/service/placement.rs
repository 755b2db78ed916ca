//! Where stock should stand, judged by where it went.

use crate::purchasing::id;
use crate::testing::{NOW, Service, all_or_nothing, start};
use crate::transfers::plan;
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use std::time::Duration;

const LONDON: (f64, f64) = (51.5, -0.1);
const MADRID: (f64, f64) = (40.4, -3.7);
const DAY: Duration = Duration::from_secs(86_400);

fn place(code: &str, rank: i32, (latitude, longitude): (f64, f64)) -> pb::Location {
    pb::Location { code: code.into(), rank, latitude, longitude, ..Default::default() }
}

impl Service {
    /// An order that left as it was reserved, at the tests' time.
    async fn sent(&mut self, sku: &str, quantity: i64, to: Option<(f64, f64)>, country: &str) {
        let destination =
            pb::Destination { latitude: to.map(|to| to.0), longitude: to.map(|to| to.1), country: country.into() };
        let order = pb::OrderDemand { destination: Some(destination), ..all_or_nothing(&[(sku, quantity)]) };
        let held = self.reserve(&order).await.unwrap();
        let fact = fulfilment::GoodsIssued {
            fulfilment_order_id: id(),
            order_id: order.order_id.clone(),
            location_id: held.lines[0].allocations[0].location_id.clone(),
            lines: vec![fulfilment::ShipmentLine { line_no: 1, sku: sku.into(), quantity, stocked: true }],
            ..Default::default()
        };
        self.fulfilment.tell_of(&fact.fulfilment_order_id.clone(), &order.order_id, &[fact]);
        self.fulfilment.applied().await;
    }

    async fn advised(&mut self, request: pb::AdvisePlacementRequest) -> Vec<pb::PlacementAdvice> {
        self.placement.advise_placement(request).await.unwrap().into_inner().advices
    }
}

#[sqlx::test(migrations = false)]
async fn stock_is_advised_to_stand_where_it_goes(pool: PgPool) {
    let mut service = start(&pool).await;
    let main = service.stocked(&[("MUG", 0), ("CUP", 5)]).await;
    service.place(place("MAIN", 0, LONDON)).await;
    let south = service.place(place("SOUTH", 1, MADRID)).await;
    service.receive("MUG", &main, 140).await;
    service.sent("MUG", 10, Some(LONDON), "GB").await;
    service.sent("MUG", 30, Some((41.4, 2.2)), "ES").await;
    service.sent("CUP", 1, None, "FR").await;
    service.clock.advance(DAY);

    let advices = service.advised(pb::AdvisePlacementRequest::default()).await;
    assert_eq!(advices.iter().map(|advice| advice.sku.as_str()).collect::<Vec<_>>(), ["MUG", "CUP"]);
    let mug = &advices[0];
    let shares: Vec<_> = mug
        .shares
        .iter()
        .map(|share| (share.code.as_str(), share.demand, share.demand_share, share.shipped, share.free, share.target))
        .collect();
    assert_eq!(shares, [("SOUTH", 30, 0.75, 0, 0, 75), ("MAIN", 10, 0.25, 40, 100, 25)]);
    let moved = &mug.moves[0];
    assert_eq!((mug.moves.len(), &moved.from_location_id, &moved.to_location_id), (1, &main, &south));
    assert_eq!(moved.quantity, 75);
    // Barcelona is 1,139 km from London and 505 km from Madrid.
    assert!((moved.kilometres_saved_each - 634.0).abs() < 15.0, "{moved:?}");
    assert!(moved.why.contains("MAIN has more than its share"), "{}", moved.why);
    assert!(mug.why[0].starts_with("75 % of what was shipped went to places nearest to SOUTH"), "{:?}", mug.why);
    // Without coordinates nothing is said but where it went.
    let cup = &advices[1];
    assert_eq!((cup.shipped, cup.moves.len()), (0, 0));
    assert_eq!(cup.elsewhere, [pb::CountryDemand { country: "FR".into(), quantity: 1 }]);

    // Carried out, the advice is silent while the goods are on their way.
    let transfer = service.planned(plan(&main, &south, &[("MUG", 75)])).await;
    service.ship(&transfer.number).await.unwrap();
    let mug = service.advised(pb::AdvisePlacementRequest { items: 1, ..Default::default() }).await.remove(0);
    assert_eq!((mug.shares[0].incoming, mug.moves), (75, vec![]));
}

#[sqlx::test(migrations = false)]
async fn only_the_window_counts(pool: PgPool) {
    let mut service = start(&pool).await;
    service.stocked(&[("MUG", 9)]).await;
    service.sent("MUG", 1, Some(LONDON), "").await;
    service.clock.advance(2 * DAY);
    let window = |from, to| pb::AdvisePlacementRequest {
        from: Some(to_timestamp(from)),
        to: Some(to_timestamp(to)),
        ..Default::default()
    };
    assert_eq!(service.advised(window(NOW, NOW + DAY)).await.len(), 1);
    assert_eq!(service.advised(window(NOW + DAY, NOW + 2 * DAY)).await, []);
    assert_eq!(service.advised(window(NOW - DAY, NOW)).await, [], "its end is not in it");
    for (wrong, field) in [
        (window(NOW, NOW), "from"),
        (window(NOW - 732 * DAY, NOW), "from"),
        (window(NOW, NOW + 9 * DAY), "to"),
        (pb::AdvisePlacementRequest { items: 201, ..Default::default() }, "items"),
    ] {
        let refused = service.placement.advise_placement(wrong).await.unwrap_err();
        let details = tonic_types::StatusExt::get_details_bad_request(&refused).unwrap();
        assert_eq!(details.field_violations[0].field, field);
    }
}
