//! Items and locations.

use crate::testing::{gbp, item, service_item, start};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::refuse::reason;
use sqlx::{ConnectOptions as _, PgPool};
use tonic::Code;

#[sqlx::test(migrations = false)]
async fn an_item_is_created_changed_and_left_alone(pool: PgPool) {
    let mut service = start(&pool).await;
    let mug = pb::Item { standard_cost: Some(gbp(2, 550_000_000)), weight_grams: 300, ..item("MUG") };
    let first = service.upsert_items(vec![mug.clone(), item(""), mug.clone(), item("CUP")]).await;
    let stored = first[0].clone().unwrap();
    assert_eq!((stored.version, stored.kind, stored.base_unit), (1, 1, 1));
    let problem = first[1].clone().unwrap_err();
    assert_eq!((problem.reason.as_str(), problem.violations[0].field.as_str()), ("INVALID_ARGUMENT", "sku"));
    assert_eq!(first[2].clone().unwrap(), stored, "the same again is no change");
    assert_eq!(first[3].clone().unwrap().version, 1);

    let again = service.upsert_items(vec![mug.clone(), pb::Item { name: "Big mug".into(), ..mug.clone() }]).await;
    assert_eq!(again[0].clone().unwrap(), stored);
    assert_eq!(again[1].clone().unwrap().version, 2);
    let got = service.items.get_item(pb::GetItemRequest { sku: "MUG".into() }).await.unwrap().into_inner();
    assert_eq!(got.item, again[1].clone().ok());

    let told = service.facts::<pb::ItemChanged>().await;
    let names: Vec<_> = told.iter().map(|(event, fact)| (fact.name.as_str(), event.version)).collect();
    assert_eq!(names, [("mug", 1), ("cup", 1), ("Big mug", 2)]);
    assert_eq!(told[0].0.aggregate_id, told[2].0.aggregate_id);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn kind_and_unit_of_an_item_in_use_stay(pool: PgPool) {
    let mut service = start(&pool).await;
    service.upsert_items(vec![item("A")]).await;
    assert!(service.upsert_items(vec![service_item("A")]).await[0].is_ok(), "nothing moved yet");
    service.upsert_items(vec![item("A")]).await;
    let location = service.location("MAIN", 0).await;
    service.receive("A", &location, 1).await;
    let grams = pb::Item { base_unit: pb::BaseUnit::Gram.into(), ..item("A") };
    for changed in [service_item("A"), grams] {
        let problem = service.upsert_items(vec![changed]).await[0].clone().unwrap_err();
        assert_eq!(problem.reason, "ITEM_IN_USE");
    }
    assert!(service.upsert_items(vec![pb::Item { name: "new".into(), ..item("A") }]).await[0].is_ok());
}

#[sqlx::test(migrations = false)]
async fn items_are_listed_by_sku_page_by_page(pool: PgPool) {
    let mut service = start(&pool).await;
    let skus = ["B", "a", "A", "Ä", "10", "9"];
    service.upsert_items(skus.map(item).to_vec()).await;
    let mut listed = Vec::new();
    let mut request = pb::ListItemsRequest { page_size: 4, page_token: String::new() };
    loop {
        let page = service.items.list_items(request.clone()).await.unwrap().into_inner();
        listed.extend(page.items.into_iter().map(|item| item.sku));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(listed, ["10", "9", "A", "B", "a", "Ä"]);

    let nonsense = pb::ListItemsRequest { page_size: 1001, page_token: "?".into() };
    let status = service.items.list_items(nonsense).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let status = service.items.get_item(pb::GetItemRequest { sku: "none".into() }).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "ITEM_NOT_FOUND"));
    let many = pb::UpsertItemsRequest { items: vec![item("A"); 5001] };
    assert_eq!(service.items.upsert_items(many).await.unwrap_err().code(), Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn a_location_keeps_its_id(pool: PgPool) {
    let mut service = start(&pool).await;
    let first = service.location("B", 5).await;
    let other = service.location("A", 5).await;
    assert_eq!(service.location("B", 7).await, first);
    assert_ne!(first, other);
    let listed = service.items.list_locations(pb::ListLocationsRequest {}).await.unwrap().into_inner().locations;
    let shown: Vec<_> = listed.iter().map(|l| (l.code.as_str(), l.rank, l.version)).collect();
    assert_eq!(shown, [("A", 5, 1), ("B", 7, 2)]);
    assert_eq!(service.facts::<pb::LocationChanged>().await.len(), 3);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn the_service_ends_when_it_is_told_to(pool: PgPool) {
    let url = pool.connect_options().to_url_lossy();
    let config = pesan_inventory::Config::for_database(([127, 0, 0, 1], 0).into(), url);
    let application = pesan_inventory::Application::build(config).await.unwrap();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(application.run_until_stopped(stop.clone()));
    stop.cancel();
    running.await.unwrap().unwrap();
}
