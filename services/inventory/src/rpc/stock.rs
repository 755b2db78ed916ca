use super::{at_most, checked, cut};
use crate::convert::{item, stock as convert};
use crate::error::Error;
use crate::ops::keep_back::set_safety;
use crate::ops::move_stock::{Outcome, move_stock};
use crate::ops::units::{self, Units};
use crate::ops::{Inventory, look};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::stock_service_server::StockService;
use pesan_grpc::{Violations, page, refuse, run};
use tonic::{Request, Response, Status};

/// `pesan.inventory.v1.StockService`.
#[derive(Clone)]
pub struct StockRpc {
    inventory: Inventory,
}

impl StockRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

fn result(outcome: Outcome) -> pb::StockChangeResult {
    pb::StockChangeResult {
        outcome: Some(match outcome {
            Ok(level) => pb::stock_change_result::Outcome::Stock(level),
            Err(error) => pb::stock_change_result::Outcome::Problem(error.into()),
        }),
    }
}

#[tonic::async_trait]
impl StockService for StockRpc {
    async fn receive_stock(
        &self,
        request: Request<pb::ReceiveStockRequest>,
    ) -> Result<Response<pb::ReceiveStockResponse>, Status> {
        let receipts = request.into_inner().receipts;
        at_most("receipts", receipts.len(), convert::MOST_CHANGES)?;
        let now = self.inventory.clock.now();
        let wanted = receipts.into_iter().map(|r| convert::parse_receipt(r, now).map_err(Error::from)).collect();
        let inventory = self.inventory.clone();
        let outcomes = run::to_end(async move { Ok(move_stock(&inventory, wanted).await?) }).await?;
        Ok(Response::new(pb::ReceiveStockResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn adjust_stock(
        &self,
        request: Request<pb::AdjustStockRequest>,
    ) -> Result<Response<pb::AdjustStockResponse>, Status> {
        let adjustments = request.into_inner().adjustments;
        at_most("adjustments", adjustments.len(), convert::MOST_CHANGES)?;
        let now = self.inventory.clock.now();
        let wanted = adjustments.into_iter().map(|a| convert::parse_adjustment(a, now).map_err(Error::from)).collect();
        let inventory = self.inventory.clone();
        let outcomes = run::to_end(async move { Ok(move_stock(&inventory, wanted).await?) }).await?;
        Ok(Response::new(pb::AdjustStockResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn set_safety_stock(
        &self,
        request: Request<pb::SetSafetyStockRequest>,
    ) -> Result<Response<pb::SetSafetyStockResponse>, Status> {
        let entries = request.into_inner().safety_stocks;
        at_most("safety_stocks", entries.len(), convert::MOST_CHANGES)?;
        let wanted = entries.into_iter().map(|entry| convert::parse_safety(entry).map_err(Error::from)).collect();
        let inventory = self.inventory.clone();
        let outcomes = run::to_end(async move { Ok(set_safety(&inventory, wanted).await?) }).await?;
        Ok(Response::new(pb::SetSafetyStockResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn get_availability(
        &self,
        request: Request<pb::GetAvailabilityRequest>,
    ) -> Result<Response<pb::GetAvailabilityResponse>, Status> {
        let pb::GetAvailabilityRequest { skus, unit } = request.into_inner();
        at_most("skus", skus.len(), 1_000)?;
        let mut violations = Violations::new();
        let unit = item::named_unit(&mut violations, "unit", unit);
        for (i, sku) in skus.iter().enumerate() {
            item::sku(&mut violations, &format!("skus[{i}]"), sku.clone());
        }
        let unit = checked(violations, unit)?;
        let units = if unit.is_empty() { Units::default() } else { units::read(&self.inventory, skus.clone()).await? };
        let stock = look::stock_of(&self.inventory, &skus).await?;
        let availability = |sku: String| {
            let stock = stock.get(&sku);
            let factor = units.factor(&sku, &unit).filter(|_| !unit.is_empty());
            convert::availability(sku, stock, factor)
        };
        let availabilities = skus.into_iter().map(availability).collect();
        Ok(Response::new(pb::GetAvailabilityResponse { availabilities }))
    }

    async fn list_stock(
        &self,
        request: Request<pb::ListStockRequest>,
    ) -> Result<Response<pb::ListStockResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::new();
        let size = page::size(&mut violations, request.page_size);
        let location_id = violations.optional_uuid("location_id", &request.location_id);
        let key = page::key(&mut violations, &request.page_token, 2);
        let after = key.as_deref().and_then(|key| match key {
            [sku, location] => Some((sku.as_str(), violations.uuid("page_token", location))),
            _ => None,
        });
        let (size, after) = checked(violations, (size, after))?;
        let mut stock = look::stock(&self.inventory, after, location_id, size).await?;
        let more = cut(&mut stock, size);
        let last = stock.last().filter(|_| more);
        let token = last.map(|named| page::token(&[&named.sku, &named.location_id.to_string()]));
        Ok(Response::new(pb::ListStockResponse {
            stock: stock.iter().map(convert::named_level).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }

    async fn list_movements(
        &self,
        request: Request<pb::ListMovementsRequest>,
    ) -> Result<Response<pb::ListMovementsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::new();
        let size = page::size(&mut violations, request.page_size);
        let sku = violations.text("sku", request.sku, 0, 100);
        let reference = violations.text("reference", request.reference, 0, 100);
        let key = page::key(&mut violations, &request.page_token, 1);
        let (size, key) = checked(violations, (size, key))?;
        let before = match key.as_deref().and_then(|key| key.first()).map(|text| text.parse::<i64>()) {
            None => None,
            Some(Ok(before)) => Some(before),
            Some(Err(_)) => {
                return Err(refuse::invalid_field("page_token", "must come from the answer to the same request"));
            }
        };
        let sku = Some(sku.as_str()).filter(|sku| !sku.is_empty());
        let reference = Some(reference.as_str()).filter(|reference| !reference.is_empty());
        let mut movements = look::movements(&self.inventory, before, sku, reference, size).await?;
        let more = cut(&mut movements, size);
        let token = movements.last().filter(|_| more).map(|last| page::token(&[&last.seq.to_string()]));
        Ok(Response::new(pb::ListMovementsResponse {
            movements: movements.into_iter().map(convert::movement).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }
}
