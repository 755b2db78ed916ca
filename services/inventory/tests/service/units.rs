//! Other units than the base unit.

use crate::testing::{Service, adjustment, item, receipt, start};
use pesan_api::inventory::v1 as pb;
use sqlx::PgPool;
use tonic::Code;

fn mug() -> pb::Item {
    let unit =
        |unit: &str, quantity, barcode: &str| pb::ItemUnit { unit: unit.into(), quantity, barcode: barcode.into() };
    pb::Item { units: vec![unit("CASE", 12, "4006381333931"), unit("PALLET", 480, "")], ..item("MUG") }
}

async fn started(pool: &PgPool) -> (Service, String) {
    let mut service = start(pool).await;
    let stored = service.upsert_items(vec![mug()]).await.remove(0).unwrap();
    assert_eq!(stored.units, mug().units);
    let location = service.location("MAIN", 0).await;
    (service, location)
}

#[sqlx::test(migrations = false)]
async fn receipts_and_adjustments_name_a_unit_and_stock_counts_base_units(pool: PgPool) {
    let (mut service, location) = started(&pool).await;
    let receipts = [(2, "CASE"), (1, "PALLET"), (3, "EACH"), (1, "BOX"), (1, "case")];
    let receipts = receipts.map(|(q, unit)| pb::Receipt { unit: unit.into(), ..receipt("MUG", &location, q) });
    let outcomes = service.receive_all(receipts.to_vec()).await;
    let shown: Vec<_> = outcomes.into_iter().map(|o| o.map(|l| l.on_hand).map_err(|p| p.reason)).collect();
    let refused = |reason: &str| Err(reason.to_owned());
    assert_eq!(shown, [Ok(24), Ok(504), Ok(507), refused("UNKNOWN_UNIT"), refused("INVALID_ARGUMENT")]);
    let broken = pb::Adjustment { unit: "CASE".into(), ..adjustment("MUG", &location, -1, 1) };
    let level = service.adjust(broken).await.unwrap();
    assert_eq!((level.on_hand, level.damaged), (495, 12));

    let request = pb::GetAvailabilityRequest { skus: vec!["MUG".into()], unit: "CASE".into() };
    let shown = service.stock.get_availability(request).await.unwrap().into_inner().availabilities.remove(0);
    assert_eq!((shown.available, shown.units_available, shown.left_over), (495, Some(41), Some(3)));
    let none = service.availability("MUG").await;
    assert_eq!((none.units_available, none.left_over), (None, None));
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn conversions_are_exact_and_barcodes_belong_to_one_unit(pool: PgPool) {
    let (mut service, _) = started(&pool).await;
    let wanted = |sku: &str, quantity, from: &str, to: &str| pb::QuantityConversion {
        sku: sku.into(),
        quantity,
        from_unit: from.into(),
        to_unit: to.into(),
    };
    let conversions = vec![
        wanted("MUG", 2, "PALLET", "CASE"),
        wanted("MUG", 13, "", "CASE"),
        wanted("MUG", 1, "BOX", ""),
        wanted("CUP", 1, "", ""),
    ];
    let request = pb::ConvertQuantitiesRequest { conversions };
    let results = service.items.convert_quantities(request).await.unwrap().into_inner().results;
    let shown: Vec<_> = results
        .into_iter()
        .map(|result| match result.outcome.unwrap() {
            pb::convert_quantity_result::Outcome::Quantity(quantity) => quantity.to_string(),
            pb::convert_quantity_result::Outcome::Problem(problem) => problem.reason,
        })
        .collect();
    assert_eq!(shown, ["80", "NOT_A_WHOLE_UNIT", "UNKNOWN_UNIT", "UNKNOWN_SKU"]);

    let request = pb::FindBarcodeRequest { barcode: "4006381333931".into() };
    let found = service.items.find_barcode(request).await.unwrap().into_inner();
    assert_eq!((found.sku.as_str(), found.unit.unwrap().unit.as_str()), ("MUG", "CASE"));
    let request = pb::FindBarcodeRequest { barcode: "1".into() };
    assert_eq!(service.items.find_barcode(request).await.unwrap_err().code(), Code::NotFound);
    let thief = pb::Item { units: mug().units, ..item("CUP") };
    let outcomes = service.upsert_items(vec![thief.clone(), item("CUP")]).await;
    assert_eq!(outcomes[0].as_ref().unwrap_err().reason, "BARCODE_IN_USE");
    // Given up, it is anybody's.
    assert_eq!(service.upsert_items(vec![item("MUG")]).await[0].as_ref().unwrap().units, []);
    assert_eq!(service.upsert_items(vec![thief]).await[0].as_ref().unwrap().units.len(), 2);
}
