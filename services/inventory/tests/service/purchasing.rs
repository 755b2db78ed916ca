//! Suppliers, and purchase orders from the draft to the last receipt.

use crate::testing::{Service, backorder, gbp, item, service_item, start};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::refuse;
use sqlx::PgPool;
use tonic::{Code, Status};
use uuid::Uuid;

pub fn id() -> String {
    Uuid::now_v7().to_string()
}

pub fn supplier(code: &str) -> pb::Supplier {
    pb::Supplier {
        code: code.into(),
        name: "Acme".into(),
        currency_code: "GBP".into(),
        lead_time_days: 10.0,
        lead_time_std_days: 2.0,
        ..Default::default()
    }
}

pub fn offer(supplier: &str, sku: &str, pounds: i64) -> pb::SupplierItem {
    let price = Some(gbp(pounds, 0));
    pb::SupplierItem { supplier_code: supplier.into(), sku: sku.into(), price, ..Default::default() }
}

pub fn draft(location: &str, lines: &[(&str, i64)]) -> pb::NewPurchaseOrder {
    let line = |(line_no, (sku, quantity)): (i32, &(&str, i64))| pb::NewPurchaseOrderLine {
        line_no,
        sku: (*sku).into(),
        quantity: *quantity,
        ..Default::default()
    };
    pb::NewPurchaseOrder {
        supplier_code: "ACME".into(),
        location_id: location.into(),
        lines: (1..).zip(lines).map(line).collect(),
        ..Default::default()
    }
}

pub fn arrived(line_no: i32, received: i64, damaged: i64, missing: i64, reason: &str) -> pb::ReceivedLine {
    pb::ReceivedLine { line_no, received, damaged, missing, reason: reason.into(), ..Default::default() }
}

impl Service {
    /// A supplier that offers these items, in pounds.
    pub async fn supplied(&mut self, offers: &[(&str, i64)]) {
        let request = pb::UpsertSuppliersRequest { suppliers: vec![supplier("ACME")] };
        self.supply.upsert_suppliers(request).await.unwrap();
        let items = offers.iter().map(|(sku, pounds)| offer("ACME", sku, *pounds)).collect();
        let response = self.supply.upsert_supplier_items(pb::UpsertSupplierItemsRequest { items }).await.unwrap();
        for result in response.into_inner().results {
            assert!(matches!(result.outcome, Some(pb::upsert_supplier_item_result::Outcome::Item(_))), "{result:?}");
        }
    }

    pub async fn order(&mut self, draft: pb::NewPurchaseOrder) -> Result<pb::PurchaseOrder, Status> {
        let request = pb::CreatePurchaseOrderRequest { request_id: id(), purchase_order: Some(draft) };
        Ok(self.supply.create_purchase_order(request).await?.into_inner().purchase_order.unwrap())
    }

    pub async fn send(&mut self, name: &str) -> Result<pb::PurchaseOrder, Status> {
        let request = pb::SendPurchaseOrderRequest { request_id: id(), name: name.into(), sent_at: None };
        Ok(self.supply.send_purchase_order(request).await?.into_inner().purchase_order.unwrap())
    }

    /// Orders and sends.
    pub async fn bought(&mut self, location: &str, lines: &[(&str, i64)]) -> pb::PurchaseOrder {
        let order = self.order(draft(location, lines)).await.unwrap();
        self.send(&order.number).await.unwrap()
    }

    pub async fn arrive(&mut self, name: &str, lines: Vec<pb::ReceivedLine>) -> Result<pb::PurchaseOrder, Status> {
        let request =
            pb::ReceivePurchaseOrderRequest { request_id: id(), name: name.into(), lines, ..Default::default() };
        Ok(self.supply.receive_purchase_order(request).await?.into_inner().purchase_order.unwrap())
    }

    async fn coming(&mut self, sku: &str) -> (Option<i64>, Option<i64>) {
        let levels = self.availability(sku).await.locations;
        let sum = |value: fn(&pb::StockLevel) -> Option<i64>| levels.iter().map(value).sum();
        (sum(|level| level.incoming), sum(|level| level.in_transfer))
    }
}

#[sqlx::test(migrations = false)]
async fn suppliers_and_offers_are_kept_each_by_itself(pool: PgPool) {
    let mut service = start(&pool).await;
    service.upsert_items(vec![item("MUG"), service_item("POSTAGE")]).await;
    let suppliers =
        vec![supplier("ACME"), pb::Supplier { currency_code: "X".into(), ..supplier("B") }, supplier("ACME")];
    let results = service.supply.upsert_suppliers(pb::UpsertSuppliersRequest { suppliers }).await.unwrap().into_inner();
    let versions: Vec<_> = results
        .results
        .into_iter()
        .map(|result| match result.outcome.unwrap() {
            pb::upsert_supplier_result::Outcome::Supplier(supplier) => supplier.version,
            pb::upsert_supplier_result::Outcome::Problem(problem) => {
                assert_eq!(problem.violations[0].field, "currency_code");
                0
            }
        })
        .collect();
    assert_eq!(versions, [1, 0, 1], "the same again changes nothing");
    let euros = pesan_api::r#type::v1::Money { currency_code: "EUR".into(), units: 1, nanos: 0 };
    let items = vec![
        offer("ACME", "MUG", 2),
        offer("NOBODY", "MUG", 2),
        offer("ACME", "NONE", 2),
        offer("ACME", "POSTAGE", 2),
        pb::SupplierItem { price: Some(euros), ..offer("ACME", "MUG", 1) },
        pb::SupplierItem { pack_size: -1, price: None, ..offer("ACME", "MUG", 1) },
    ];
    let results = service.supply.upsert_supplier_items(pb::UpsertSupplierItemsRequest { items }).await.unwrap();
    let reasons: Vec<_> = results
        .into_inner()
        .results
        .into_iter()
        .map(|result| match result.outcome.unwrap() {
            pb::upsert_supplier_item_result::Outcome::Item(item) => item.sku,
            pb::upsert_supplier_item_result::Outcome::Problem(problem) => problem.reason,
        })
        .collect();
    let expected = ["MUG", "UNKNOWN_SUPPLIER", "UNKNOWN_SKU", "NOT_STOCKED", "INVALID_ARGUMENT", "INVALID_ARGUMENT"];
    assert_eq!(reasons, expected);
    let listed =
        service.supply.list_supplier_items(pb::ListSupplierItemsRequest::default()).await.unwrap().into_inner();
    assert_eq!(listed.items.len(), 1);
    assert_eq!((listed.items[0].min_quantity, listed.items[0].pack_size), (1, 1));
    let request = pb::GetSupplierRequest { code: "NOBODY".into() };
    assert_eq!(refuse::reason(&service.supply.get_supplier(request).await.unwrap_err()), "SUPPLIER_NOT_FOUND");
    for code in ["B", "C"] {
        let request = pb::UpsertSuppliersRequest { suppliers: vec![supplier(code)] };
        service.supply.upsert_suppliers(request).await.unwrap();
    }
    let mut codes = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = pb::ListSuppliersRequest { page_size: 2, page_token };
        let page = service.supply.list_suppliers(request).await.unwrap().into_inner();
        codes.extend(page.suppliers.into_iter().map(|supplier| supplier.code));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(codes, ["ACME", "B", "C"]);
}

#[sqlx::test(migrations = false)]
async fn a_draft_is_edited_by_who_saw_it_and_not_once_it_is_sent(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0), ("CUP", 0)]).await;
    service.supplied(&[("MUG", 2)]).await;
    let refused = service.order(draft(&location, &[("CUP", 1)])).await.unwrap_err();
    assert_eq!((refused.code(), refuse::reason(&refused).as_str()), (Code::FailedPrecondition, "NO_PRICE"));
    let unknown = service.order(draft(&location, &[("NONE", 1)])).await.unwrap_err();
    assert_eq!(refuse::reason(&unknown), "UNKNOWN_SKU");
    assert!(unknown.message().contains("purchase_order.lines[0].sku"), "{}", unknown.message());

    let order = service.order(draft(&location, &[("MUG", 5)])).await.unwrap();
    assert_eq!((order.number.as_str(), order.state(), order.version), ("PO-000001", pb::PurchaseOrderState::Draft, 1));
    assert_eq!(order.total, Some(gbp(10, 0)));
    assert_eq!(service.coming("MUG").await.0.unwrap_or(0), 0, "a draft is not expected");
    let update = |version| pb::UpdatePurchaseOrderRequest {
        request_id: id(),
        name: order.id.clone(),
        version,
        purchase_order: Some(draft(&location, &[("MUG", 7)])),
    };
    let changed = service.supply.update_purchase_order(update(1)).await.unwrap().into_inner().purchase_order.unwrap();
    assert_eq!((changed.lines[0].quantity, changed.version, &changed.number), (7, 2, &order.number));
    let stale = service.supply.update_purchase_order(update(1)).await.unwrap_err();
    assert_eq!((stale.code(), refuse::reason(&stale).as_str()), (Code::Aborted, "VERSION_CONFLICT"));
    let sent = service.send("PO-000001").await.unwrap();
    assert_eq!(sent.state(), pb::PurchaseOrderState::Sent);
    let expected = crate::testing::NOW + time::Duration::days(10);
    assert_eq!(sent.lines[0].expected_at, Some(to_timestamp(expected)), "the supplier's lead time");
    assert_eq!(service.coming("MUG").await.0, Some(7));
    let late = service.supply.update_purchase_order(update(3)).await.unwrap_err();
    assert_eq!(refuse::reason(&late), "WRONG_STATE");
    assert_eq!(service.facts::<pb::PurchaseOrderSent>().await.len(), 1);
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn receipts_with_differences_fill_backorders_and_close_the_order(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0), ("CUP", 0)]).await;
    service.supplied(&[("MUG", 2), ("CUP", 3)]).await;
    let waits = backorder(&[("MUG", 4)]);
    service.reserve(&waits).await.unwrap();
    let ten_percent =
        pb::NewPurchaseOrder { over_tolerance_percent: 10, ..draft(&location, &[("MUG", 10), ("CUP", 5)]) };
    let order = service.order(ten_percent).await.unwrap();
    let name = order.number.clone();
    let early = service.arrive(&name, vec![arrived(1, 1, 0, 0, "")]).await.unwrap_err();
    assert_eq!(refuse::reason(&early), "WRONG_STATE");
    service.send(&name).await.unwrap();

    let request = pb::ReceivePurchaseOrderRequest {
        request_id: id(),
        name: name.clone(),
        lines: vec![arrived(1, 6, 1, 0, "WET"), arrived(2, 2, 0, 3, "SHORT_SHIPPED")],
        delivery_note: "DN-1".into(),
        received_at: None,
    };
    let first = service.supply.receive_purchase_order(request.clone()).await.unwrap().into_inner();
    let again = service.supply.receive_purchase_order(request).await.unwrap().into_inner();
    assert_eq!(first, again, "the same request again gives the same answer");
    let order = first.purchase_order.unwrap();
    assert_eq!(order.state(), pb::PurchaseOrderState::PartReceived);
    let shown: Vec<_> = order.lines.iter().map(|l| (l.received, l.damaged, l.dropped, l.expected)).collect();
    assert_eq!(shown, [(6, 1, 0, 3), (2, 0, 3, 0)]);
    service.fill().await;
    assert_eq!(service.levels("MUG").await, (6, 4, 1));
    assert_eq!(service.reservation(&waits.order_id).await.lines[0].backordered, 0, "filled at once");
    assert_eq!(service.coming("MUG").await.0, Some(3));
    let movement = service.movements("MUG").await.remove(0);
    assert_eq!((movement.kind(), movement.quantity, movement.damaged), (pb::MovementKind::Receipt, 6, 1));
    assert_eq!((movement.reference.as_str(), movement.unit_cost), (name.as_str(), Some(gbp(2, 0))));

    // Eleven in all is the most that ten and ten percent allow.
    let many = service.arrive(&name, vec![arrived(1, 5, 0, 0, "GIFT")]).await.unwrap_err();
    assert_eq!(refuse::reason(&many), "OVER_DELIVERY");
    let silent = service.arrive(&name, vec![arrived(1, 4, 0, 0, "")]).await.unwrap_err();
    assert_eq!(refuse::reason(&silent), "REASON_NEEDED");
    let nameless = service.arrive(&name, vec![arrived(9, 1, 0, 0, "")]).await.unwrap_err();
    assert_eq!(refuse::reason(&nameless), "UNKNOWN_LINE");
    let euros = pesan_api::r#type::v1::Money { currency_code: "EUR".into(), units: 2, nanos: 0 };
    let strange = pb::ReceivedLine { unit_cost: Some(euros), ..arrived(1, 1, 0, 0, "") };
    assert_eq!(refuse::reason(&service.arrive(&name, vec![strange]).await.unwrap_err()), "COST_CURRENCY");
    let closed = service.arrive(&name, vec![arrived(1, 4, 0, 0, "GIFT")]).await.unwrap();
    assert_eq!((closed.state(), closed.receipts.len()), (pb::PurchaseOrderState::Closed, 2));
    assert_eq!(closed.receipts[1].lines[0].over, 1);
    assert_eq!(service.coming("MUG").await.0, Some(0));
    let told = service.facts::<pb::PurchaseOrderReceived>().await;
    assert_eq!(
        told.iter().map(|(event, fact)| (event.version, fact.closed)).collect::<Vec<_>>(),
        [(2, false), (3, true)]
    );
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn the_rest_is_closed_and_what_did_not_come_is_cancelled(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    service.supplied(&[("MUG", 2)]).await;
    let part = service.bought(&location, &[("MUG", 10)]).await;
    let whole = service.bought(&location, &[("MUG", 20)]).await;
    service.arrive(&part.number, vec![arrived(1, 4, 0, 0, "")]).await.unwrap();
    assert_eq!(service.coming("MUG").await.0, Some(26));
    let cancel =
        |name: &str| pb::CancelPurchaseOrderRequest { request_id: id(), name: name.into(), reason: "x".into() };
    let refused = service.supply.cancel_purchase_order(cancel(&part.number)).await.unwrap_err();
    assert_eq!(refuse::reason(&refused), "WRONG_STATE");
    let close = pb::ClosePurchaseOrderRequest { request_id: id(), name: part.id.clone(), reason: "enough".into() };
    let closed = service.supply.close_purchase_order(close).await.unwrap().into_inner().purchase_order.unwrap();
    assert_eq!((closed.state(), closed.lines[0].dropped), (pb::PurchaseOrderState::Closed, 6));
    service.supply.cancel_purchase_order(cancel(&whole.number)).await.unwrap();
    assert_eq!(service.coming("MUG").await.0, Some(0));
    assert_eq!(service.facts::<pb::PurchaseOrderClosed>().await.len(), 1);
    assert_eq!(service.facts::<pb::PurchaseOrderCancelled>().await.len(), 1);
    let list =
        |state: pb::PurchaseOrderState| pb::ListPurchaseOrdersRequest { state: state.into(), ..Default::default() };
    let listed =
        service.supply.list_purchase_orders(list(pb::PurchaseOrderState::Cancelled)).await.unwrap().into_inner();
    assert_eq!(listed.purchase_orders.iter().map(|o| o.number.as_str()).collect::<Vec<_>>(), [whole.number.as_str()]);
    let request = pb::GetPurchaseOrderRequest { name: "PO-000099".into() };
    let missing = service.supply.get_purchase_order(request).await.unwrap_err();
    assert_eq!(refuse::reason(&missing), "PURCHASE_ORDER_NOT_FOUND");
    service.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn every_wrong_field_of_a_draft_is_named(pool: PgPool) {
    let mut service = start(&pool).await;
    let line = pb::NewPurchaseOrderLine { line_no: 1, sku: String::new(), quantity: 0, ..Default::default() };
    let lines = vec![line.clone(), line];
    let draft = pb::NewPurchaseOrder { lines, over_tolerance_percent: 101, ..Default::default() };
    let status = service.order(draft).await.unwrap_err();
    let details = tonic_types::StatusExt::get_details_bad_request(&status).unwrap();
    let mut fields: Vec<_> = details.field_violations.iter().map(|v| v.field.as_str()).collect();
    fields.sort_unstable();
    let expected = [
        "purchase_order.lines[0].quantity",
        "purchase_order.lines[0].sku",
        "purchase_order.lines[1].line_no",
        "purchase_order.lines[1].quantity",
        "purchase_order.lines[1].sku",
        "purchase_order.location_id",
        "purchase_order.over_tolerance_percent",
        "purchase_order.supplier_code",
    ];
    assert_eq!(fields, expected);
}

#[sqlx::test(migrations = false)]
async fn a_purchase_that_its_movements_and_supply_contradict_is_found(pool: PgPool) {
    let mut service = start(&pool).await;
    let location = service.stocked(&[("MUG", 0)]).await;
    service.supplied(&[("MUG", 2)]).await;
    let order = service.bought(&location, &[("MUG", 10)]).await;
    service.arrive(&order.number, vec![arrived(1, 4, 0, 0, "")]).await.unwrap();
    service.assert_proven().await;
    for (plant, undo, name) in [
        ("update supply set quantity = 7", "update supply set quantity = 6", "supply_is_what_is_to_come"),
        (
            "update purchase_order_line set received = 5, quantity = 11",
            "update purchase_order_line set received = 4, quantity = 10",
            "purchases_are_their_movements",
        ),
        (
            "update document_movement set line_no = 2",
            "update document_movement set line_no = 1",
            "purchases_are_their_movements",
        ),
        (
            "update purchase_order set facts = 9",
            "update purchase_order set facts = 2",
            "document_versions_match_events",
        ),
    ] {
        sqlx::query(plant).execute(&pool).await.unwrap();
        let found: Vec<String> =
            service.check().await.into_iter().filter(|r| !r.violations.is_empty()).map(|r| r.name).collect();
        assert_eq!(found, [name], "{plant}");
        sqlx::query(undo).execute(&pool).await.unwrap();
    }
    service.assert_proven().await;
}
