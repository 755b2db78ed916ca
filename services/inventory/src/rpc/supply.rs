use super::{at_most, before, checked, cut, next_before, writing};
use crate::convert::purchase as convert;
use crate::error::Error;
use crate::ops::{Inventory, purchase, suppliers};
use crate::store::purchase::Filter;
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::supply_service_server::SupplyService;
use pesan_grpc::{Violations, page, run};
use tonic::{Request, Response, Status};

/// `pesan.inventory.v1.SupplyService`.
#[derive(Clone)]
pub struct SupplyRpc {
    inventory: Inventory,
}

impl SupplyRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

#[tonic::async_trait]
impl SupplyService for SupplyRpc {
    async fn upsert_suppliers(
        &self,
        request: Request<pb::UpsertSuppliersRequest>,
    ) -> Result<Response<pb::UpsertSuppliersResponse>, Status> {
        let wanted = request.into_inner().suppliers;
        at_most("suppliers", wanted.len(), 1_000)?;
        let wanted = wanted.into_iter().map(|s| convert::parse_supplier(s).map_err(Error::from)).collect();
        let inventory = self.inventory.clone();
        let outcomes = run::to_end(async move { Ok(suppliers::upsert(&inventory, wanted).await?) }).await?;
        let result = |outcome: Result<_, Error>| pb::UpsertSupplierResult {
            outcome: Some(match outcome {
                Ok(supplier) => pb::upsert_supplier_result::Outcome::Supplier(convert::supplier(&supplier)),
                Err(error) => pb::upsert_supplier_result::Outcome::Problem(error.into()),
            }),
        };
        Ok(Response::new(pb::UpsertSuppliersResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn get_supplier(
        &self,
        request: Request<pb::GetSupplierRequest>,
    ) -> Result<Response<pb::GetSupplierResponse>, Status> {
        let mut v = Violations::new();
        let code = convert::code(&mut v, "code", request.into_inner().code);
        let supplier = suppliers::get(&self.inventory, &checked(v, code)?).await?;
        Ok(Response::new(pb::GetSupplierResponse { supplier: Some(convert::supplier(&supplier)) }))
    }

    async fn list_suppliers(
        &self,
        request: Request<pb::ListSuppliersRequest>,
    ) -> Result<Response<pb::ListSuppliersResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let key = page::key(&mut v, &request.page_token, 1);
        let (size, key) = checked(v, (size, key))?;
        let after = key.as_deref().and_then(|key| key.first()).map(String::as_str);
        let mut found = suppliers::list(&self.inventory, after, size).await?;
        let more = cut(&mut found, size);
        let token = found.last().filter(|_| more).map(|last| page::token(&[&last.code]));
        Ok(Response::new(pb::ListSuppliersResponse {
            suppliers: found.iter().map(convert::supplier).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }

    async fn upsert_supplier_items(
        &self,
        request: Request<pb::UpsertSupplierItemsRequest>,
    ) -> Result<Response<pb::UpsertSupplierItemsResponse>, Status> {
        let wanted = request.into_inner().items;
        at_most("items", wanted.len(), 5_000)?;
        let wanted = wanted.into_iter().map(|offer| convert::parse_offer(offer).map_err(Error::from)).collect();
        let inventory = self.inventory.clone();
        let outcomes = run::to_end(async move { Ok(suppliers::upsert_offers(&inventory, wanted).await?) }).await?;
        let result = |outcome: Result<_, Error>| pb::UpsertSupplierItemResult {
            outcome: Some(match outcome {
                Ok(offer) => pb::upsert_supplier_item_result::Outcome::Item(convert::offer(&offer)),
                Err(error) => pb::upsert_supplier_item_result::Outcome::Problem(error.into()),
            }),
        };
        Ok(Response::new(pb::UpsertSupplierItemsResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn list_supplier_items(
        &self,
        request: Request<pb::ListSupplierItemsRequest>,
    ) -> Result<Response<pb::ListSupplierItemsResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let sku = v.text("sku", request.sku, 0, 100);
        let supplier = v.text("supplier_code", request.supplier_code, 0, 40);
        let key = page::key(&mut v, &request.page_token, 2);
        let (size, key) = checked(v, (size, key))?;
        let after = match key.as_deref() {
            Some([sku, supplier]) => Some((sku.as_str(), supplier.as_str())),
            _ => None,
        };
        let sku = Some(sku.as_str()).filter(|sku| !sku.is_empty());
        let supplier = Some(supplier.as_str()).filter(|code| !code.is_empty());
        let mut found = suppliers::list_offers(&self.inventory, after, sku, supplier, size).await?;
        let more = cut(&mut found, size);
        let token = found.last().filter(|_| more).map(|last| page::token(&[&last.sku, &last.supplier_code]));
        Ok(Response::new(pb::ListSupplierItemsResponse {
            items: found.iter().map(convert::offer).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }

    async fn create_purchase_order(
        &self,
        request: Request<pb::CreatePurchaseOrderRequest>,
    ) -> Result<Response<pb::CreatePurchaseOrderResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.CreatePurchaseOrderRequest", &request.request_id, &request);
        let draft = convert::parse_draft(&mut v, request.purchase_order);
        let (claim, draft) = checked(v, (claim, draft))?;
        let inventory = self.inventory.clone();
        let order = run::to_end(async move { Ok(purchase::create(&inventory, claim, draft).await?) }).await?;
        Ok(Response::new(pb::CreatePurchaseOrderResponse { purchase_order: Some(order) }))
    }

    async fn update_purchase_order(
        &self,
        request: Request<pb::UpdatePurchaseOrderRequest>,
    ) -> Result<Response<pb::UpdatePurchaseOrderResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.UpdatePurchaseOrderRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let version = v.within("version", request.version, 1, i64::MAX);
        let draft = convert::parse_draft(&mut v, request.purchase_order);
        let (claim, name, draft) = checked(v, (claim, name, draft))?;
        let inventory = self.inventory.clone();
        let work = async move { Ok(purchase::update(&inventory, claim, &name, version, draft).await?) };
        let order = run::to_end(work).await?;
        Ok(Response::new(pb::UpdatePurchaseOrderResponse { purchase_order: Some(order) }))
    }

    async fn send_purchase_order(
        &self,
        request: Request<pb::SendPurchaseOrderRequest>,
    ) -> Result<Response<pb::SendPurchaseOrderResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.SendPurchaseOrderRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let at = v.past_time("sent_at", request.sent_at.as_ref(), self.inventory.clock.now());
        let (claim, name) = checked(v, (claim, name))?;
        let inventory = self.inventory.clone();
        let order = run::to_end(async move { Ok(purchase::send(&inventory, claim, &name, at).await?) }).await?;
        Ok(Response::new(pb::SendPurchaseOrderResponse { purchase_order: Some(order) }))
    }

    async fn receive_purchase_order(
        &self,
        request: Request<pb::ReceivePurchaseOrderRequest>,
    ) -> Result<Response<pb::ReceivePurchaseOrderResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.ReceivePurchaseOrderRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let arrivals = convert::parse_arrivals(&mut v, request.lines);
        let note = v.text("delivery_note", request.delivery_note, 0, 100);
        let at = v.past_time("received_at", request.received_at.as_ref(), self.inventory.clock.now());
        let (claim, name, arrivals, note) = checked(v, (claim, name, arrivals, note))?;
        let inventory = self.inventory.clone();
        let work = async move { Ok(purchase::receive(&inventory, claim, &name, arrivals, note, at).await?) };
        let order = run::to_end(work).await?;
        Ok(Response::new(pb::ReceivePurchaseOrderResponse { purchase_order: Some(order) }))
    }

    async fn close_purchase_order(
        &self,
        request: Request<pb::ClosePurchaseOrderRequest>,
    ) -> Result<Response<pb::ClosePurchaseOrderResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.ClosePurchaseOrderRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let reason = v.text("reason", request.reason, 1, 200);
        let (claim, name, reason) = checked(v, (claim, name, reason))?;
        let inventory = self.inventory.clone();
        let order = run::to_end(async move { Ok(purchase::close(&inventory, claim, &name, reason).await?) }).await?;
        Ok(Response::new(pb::ClosePurchaseOrderResponse { purchase_order: Some(order) }))
    }

    async fn cancel_purchase_order(
        &self,
        request: Request<pb::CancelPurchaseOrderRequest>,
    ) -> Result<Response<pb::CancelPurchaseOrderResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.CancelPurchaseOrderRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let reason = v.text("reason", request.reason, 1, 200);
        let (claim, name, reason) = checked(v, (claim, name, reason))?;
        let inventory = self.inventory.clone();
        let order = run::to_end(async move { Ok(purchase::cancel(&inventory, claim, &name, reason).await?) }).await?;
        Ok(Response::new(pb::CancelPurchaseOrderResponse { purchase_order: Some(order) }))
    }

    async fn get_purchase_order(
        &self,
        request: Request<pb::GetPurchaseOrderRequest>,
    ) -> Result<Response<pb::GetPurchaseOrderResponse>, Status> {
        let mut v = Violations::new();
        let name = v.text("name", request.into_inner().name, 1, 40);
        let order = purchase::get(&self.inventory, &checked(v, name)?).await?;
        Ok(Response::new(pb::GetPurchaseOrderResponse { purchase_order: Some(order) }))
    }

    async fn list_purchase_orders(
        &self,
        request: Request<pb::ListPurchaseOrdersRequest>,
    ) -> Result<Response<pb::ListPurchaseOrdersResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let (size, before) = before(&mut v, request.page_size, &request.page_token);
        let (stage, part_received) = convert::parse_state(&mut v, request.state);
        let supplier = v.text("supplier_code", request.supplier_code, 0, 40);
        let location = v.optional_uuid("location_id", &request.location_id);
        checked(v, ())?;
        let supplier = Some(supplier.as_str()).filter(|code| !code.is_empty());
        let filter = Filter { stage, part_received, supplier, location };
        let mut found = purchase::list(&self.inventory, before, filter, size).await?;
        let next_page_token = next_before(&mut found, size, |order| order.number);
        let known = self.inventory.known();
        Ok(Response::new(pb::ListPurchaseOrdersResponse {
            purchase_orders: found.iter().map(|order| convert::order(&known, order, &[])).collect(),
            next_page_token,
        }))
    }
}
