use super::{at_most, checked, cut};
use crate::convert::item as convert;
use crate::error::Error;
use crate::ops::{Inventory, look, units, upsert};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::item_service_server::ItemService;
use pesan_grpc::{Violations, page, run};
use tonic::{Request, Response, Status};

/// `pesan.inventory.v1.ItemService`.
#[derive(Clone)]
pub struct ItemRpc {
    inventory: Inventory,
}

impl ItemRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

#[tonic::async_trait]
impl ItemService for ItemRpc {
    async fn upsert_items(
        &self,
        request: Request<pb::UpsertItemsRequest>,
    ) -> Result<Response<pb::UpsertItemsResponse>, Status> {
        let items = request.into_inner().items;
        at_most("items", items.len(), 5_000)?;
        let wanted = items.into_iter().map(|item| convert::parse_item(item).map_err(Error::from)).collect();
        let inventory = self.inventory.clone();
        let outcomes = run::to_end(async move { Ok(upsert::upsert_items(&inventory, wanted).await?) }).await?;
        let result = |outcome: Result<_, Error>| pb::UpsertItemResult {
            outcome: Some(match outcome {
                Ok(item) => pb::upsert_item_result::Outcome::Item(convert::item(&item)),
                Err(error) => pb::upsert_item_result::Outcome::Problem(error.into()),
            }),
        };
        Ok(Response::new(pb::UpsertItemsResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn get_item(&self, request: Request<pb::GetItemRequest>) -> Result<Response<pb::GetItemResponse>, Status> {
        let mut violations = Violations::new();
        let sku = convert::sku(&mut violations, "sku", request.into_inner().sku);
        let sku = checked(violations, sku)?;
        let item = look::item(&self.inventory, &sku).await?;
        Ok(Response::new(pb::GetItemResponse { item: Some(convert::item(&item)) }))
    }

    async fn list_items(
        &self,
        request: Request<pb::ListItemsRequest>,
    ) -> Result<Response<pb::ListItemsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::new();
        let size = page::size(&mut violations, request.page_size);
        let after = page::key(&mut violations, &request.page_token, 1);
        let (size, after) = checked(violations, (size, after))?;
        let after = after.as_deref().and_then(|key| key.first()).map(String::as_str);
        let mut items = look::items(&self.inventory, after, size).await?;
        let more = cut(&mut items, size);
        let last = items.last().filter(|_| more);
        Ok(Response::new(pb::ListItemsResponse {
            next_page_token: last.map(|item| page::token(&[&item.sku])).unwrap_or_default(),
            items: items.iter().map(convert::item).collect(),
        }))
    }

    async fn convert_quantities(
        &self,
        request: Request<pb::ConvertQuantitiesRequest>,
    ) -> Result<Response<pb::ConvertQuantitiesResponse>, Status> {
        let conversions = request.into_inner().conversions;
        at_most("conversions", conversions.len(), 1_000)?;
        let known = units::read(&self.inventory, conversions.iter().map(|wanted| wanted.sku.clone()).collect()).await?;
        let result = |wanted: pb::QuantityConversion| {
            let outcome = convert::parse_conversion(wanted)
                .map_err(Error::from)
                .and_then(|wanted| known.convert(&wanted.sku, wanted.quantity, &wanted.from_unit, &wanted.to_unit));
            pb::ConvertQuantityResult {
                outcome: Some(match outcome {
                    Ok(quantity) => pb::convert_quantity_result::Outcome::Quantity(quantity),
                    Err(error) => pb::convert_quantity_result::Outcome::Problem(error.into()),
                }),
            }
        };
        Ok(Response::new(pb::ConvertQuantitiesResponse { results: conversions.into_iter().map(result).collect() }))
    }

    async fn find_barcode(
        &self,
        request: Request<pb::FindBarcodeRequest>,
    ) -> Result<Response<pb::FindBarcodeResponse>, Status> {
        let mut violations = Violations::new();
        let barcode = violations.text("barcode", request.into_inner().barcode, 1, 50);
        let barcode = checked(violations, barcode)?;
        let (sku, unit) = units::by_barcode(&self.inventory, &barcode).await?;
        Ok(Response::new(pb::FindBarcodeResponse { sku, unit: Some(convert::unit(&unit)) }))
    }

    async fn upsert_locations(
        &self,
        request: Request<pb::UpsertLocationsRequest>,
    ) -> Result<Response<pb::UpsertLocationsResponse>, Status> {
        let locations = request.into_inner().locations;
        at_most("locations", locations.len(), 1_000)?;
        let wanted = locations.into_iter().map(|l| convert::parse_location(l).map_err(Error::from)).collect();
        let inventory = self.inventory.clone();
        let outcomes = run::to_end(async move { Ok(upsert::upsert_locations(&inventory, wanted).await?) }).await?;
        let result = |outcome: Result<_, Error>| pb::UpsertLocationResult {
            outcome: Some(match outcome {
                Ok(location) => pb::upsert_location_result::Outcome::Location(convert::location(&location)),
                Err(error) => pb::upsert_location_result::Outcome::Problem(error.into()),
            }),
        };
        Ok(Response::new(pb::UpsertLocationsResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn list_locations(
        &self,
        _: Request<pb::ListLocationsRequest>,
    ) -> Result<Response<pb::ListLocationsResponse>, Status> {
        let locations = look::locations(&self.inventory).await?;
        Ok(Response::new(pb::ListLocationsResponse { locations: locations.iter().map(convert::location).collect() }))
    }
}
