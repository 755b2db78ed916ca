use super::{checked, cut};
use crate::convert::item::sku;
use crate::convert::pb_money;
use crate::ops::{Inventory, value};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::valuation_service_server::ValuationService;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::{Violations, page};
use tonic::{Request, Response, Status};

/// `pesan.inventory.v1.ValuationService`.
#[derive(Clone)]
pub struct ValuationRpc {
    inventory: Inventory,
}

impl ValuationRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

#[tonic::async_trait]
impl ValuationService for ValuationRpc {
    async fn get_inventory_value(
        &self,
        request: Request<pb::GetInventoryValueRequest>,
    ) -> Result<Response<pb::GetInventoryValueResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let as_of = v.past_time("as_of", request.as_of.as_ref(), self.inventory.clock.now());
        let sku = Some(v.text("sku", request.sku, 0, 100)).filter(|sku| !sku.is_empty());
        let location_id = v.optional_uuid("location_id", &request.location_id);
        let (as_of, sku, location_id) = checked(v, (as_of, sku, location_id))?;
        let (values, quantity) = value::total(&self.inventory, as_of, sku.as_deref(), location_id).await?;
        Ok(Response::new(pb::GetInventoryValueResponse {
            values: values.into_iter().filter_map(|value| pb_money(Some(value))).collect(),
            quantity,
        }))
    }

    async fn list_inventory_values(
        &self,
        request: Request<pb::ListInventoryValuesRequest>,
    ) -> Result<Response<pb::ListInventoryValuesResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let as_of = v.past_time("as_of", request.as_of.as_ref(), self.inventory.clock.now());
        let location_id = v.optional_uuid("location_id", &request.location_id);
        let size = page::size(&mut v, request.page_size);
        let key = page::key(&mut v, &request.page_token, 1).and_then(|mut key| key.pop());
        let (as_of, location_id, size, key) = checked(v, (as_of, location_id, size, key))?;
        let (values, next) = value::by_item(&self.inventory, as_of, location_id, key.as_deref(), size).await?;
        let value = |value: value::Value| pb::InventoryValue {
            sku: value.sku,
            location_id: value.location_id.to_string(),
            quantity: value.quantity,
            value: pb_money(value.value),
        };
        Ok(Response::new(pb::ListInventoryValuesResponse {
            values: values.into_iter().map(value).collect(),
            next_page_token: next.map(|sku| page::token(&[&sku])).unwrap_or_default(),
        }))
    }

    async fn list_cost_layers(
        &self,
        request: Request<pb::ListCostLayersRequest>,
    ) -> Result<Response<pb::ListCostLayersResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let sku = sku(&mut v, "sku", request.sku);
        let size = page::size(&mut v, request.page_size);
        let key = page::key(&mut v, &request.page_token, 1).and_then(|mut key| key.pop());
        let after = key.map(|key| key.parse::<i64>().unwrap_or(-1));
        if after.is_some_and(|after| after < 0) {
            v.add("page_token", "must come from the answer to the same request");
        }
        let (sku, size, after) = checked(v, (sku, size, after.unwrap_or(0)))?;
        let mut layers = value::layers(&self.inventory, &sku, after, size).await?;
        let more = cut(&mut layers, size);
        let token = layers.last().filter(|_| more).map(|last| page::token(&[&last.seq.to_string()]));
        let layer = |layer: value::ShownLayer| pb::CostLayer {
            quantity: layer.quantity,
            unit_cost: pb_money(Some(layer.unit_cost)),
            received_at: layer.received_at.map(to_timestamp),
        };
        Ok(Response::new(pb::ListCostLayersResponse {
            layers: layers.into_iter().map(layer).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }
}
