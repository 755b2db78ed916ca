use super::{checked, cut};
use crate::convert::item::sku;
use crate::convert::stock::{date, movement_kind, shown_date};
use crate::ops::{Inventory, trace};
use crate::store::lot::{Filter, NamedLot, NamedLotMovement};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::lot_service_server::LotService;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::{Violations, page};
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// `pesan.inventory.v1.LotService`.
#[derive(Clone)]
pub struct LotRpc {
    inventory: Inventory,
}

impl LotRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

fn stock(lot: &NamedLot) -> pb::LotStock {
    pb::LotStock {
        sku: lot.sku.clone(),
        lot: lot.code.clone(),
        location_id: lot.location_id.to_string(),
        expires_on: shown_date(lot.expires_on),
        on_hand: lot.there.on_hand,
        damaged: lot.there.damaged,
        quality_hold: lot.there.quality_hold,
    }
}

fn movement(moved: &NamedLotMovement) -> pb::LotMovement {
    pb::LotMovement {
        movement_id: moved.movement.to_string(),
        location_id: moved.location_id.to_string(),
        kind: movement_kind(moved.kind).into(),
        quantity: moved.change.on_hand,
        damaged: moved.change.damaged,
        quality_hold: moved.change.quality_hold,
        reference: moved.reference.clone(),
        order_id: moved.order_id.map(|id| id.to_string()).unwrap_or_default(),
        effective_at: Some(to_timestamp(moved.effective_at)),
    }
}

/// The sku and lot that a request names, and its page.
fn lot_page(
    sku_text: String,
    lot: String,
    size: i32,
    token: &str,
) -> Result<(String, String, i64, Option<String>), Status> {
    let mut v = Violations::new();
    let sku = sku(&mut v, "sku", sku_text);
    let lot = v.text("lot", lot, 1, 60);
    let size = page::size(&mut v, size);
    let key = page::key(&mut v, token, 1).and_then(|mut key| key.pop());
    checked(v, (sku, lot, size, key))
}

#[tonic::async_trait]
impl LotService for LotRpc {
    async fn list_lots(&self, request: Request<pb::ListLotsRequest>) -> Result<Response<pb::ListLotsResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let filter = Filter {
            sku: Some(v.text("sku", request.sku, 0, 100)).filter(|sku| !sku.is_empty()),
            location_id: v.optional_uuid("location_id", &request.location_id),
            expires_by: date(&mut v, "expires_by", &request.expires_by),
            code: None,
        };
        let key = page::key(&mut v, &request.page_token, 3);
        let after = key.as_deref().and_then(|key| match key {
            [sku, lot, location] => Some((sku.clone(), lot.clone(), v.uuid("page_token", location))),
            _ => None,
        });
        let (size, filter, after) = checked(v, (size, filter, after))?;
        let mut lots = trace::lots(&self.inventory, after.as_ref(), &filter, size).await?;
        let more = cut(&mut lots, size);
        let token = lots.last().filter(|_| more).map(|l| page::token(&[&l.sku, &l.code, &l.location_id.to_string()]));
        Ok(Response::new(pb::ListLotsResponse {
            lots: lots.iter().map(stock).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }

    async fn trace_lot(&self, request: Request<pb::TraceLotRequest>) -> Result<Response<pb::TraceLotResponse>, Status> {
        let pb::TraceLotRequest { sku, lot, page_size, page_token } = request.into_inner();
        let (sku, lot, size, key) = lot_page(sku, lot, page_size, &page_token)?;
        let mut v = Violations::new();
        let after = key.map(|key| key.parse::<i64>().unwrap_or(-1));
        if after.is_some_and(|after| after < 0) {
            v.add("page_token", "must come from the answer to the same request");
        }
        let after = checked(v, after.unwrap_or(0))?;
        let (there, mut movements) = trace::lot(&self.inventory, &sku, &lot, after, size).await?;
        let more = cut(&mut movements, size);
        let token = movements.last().filter(|_| more).map(|last| page::token(&[&last.seq.to_string()]));
        Ok(Response::new(pb::TraceLotResponse {
            stock: there.iter().map(stock).collect(),
            movements: movements.iter().map(movement).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }

    async fn list_lot_orders(
        &self,
        request: Request<pb::ListLotOrdersRequest>,
    ) -> Result<Response<pb::ListLotOrdersResponse>, Status> {
        let pb::ListLotOrdersRequest { sku, lot, page_size, page_token } = request.into_inner();
        let (sku, lot, size, key) = lot_page(sku, lot, page_size, &page_token)?;
        let mut v = Violations::new();
        let after = key.map_or(Uuid::nil(), |key| v.uuid("page_token", &key));
        let after = checked(v, after)?;
        let mut orders = trace::lot_orders(&self.inventory, &sku, &lot, after, size).await?;
        let more = cut(&mut orders, size);
        let token = orders.last().filter(|_| more).map(|last| page::token(&[&last.0.to_string()]));
        let order = |(order_id, shipped, returned, at): &(Uuid, i64, i64, time::OffsetDateTime)| pb::LotOrder {
            order_id: order_id.to_string(),
            shipped: *shipped,
            returned: *returned,
            first_shipped_at: Some(to_timestamp(*at)),
        };
        Ok(Response::new(pb::ListLotOrdersResponse {
            orders: orders.iter().map(order).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }
}
