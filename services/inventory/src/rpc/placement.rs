use super::checked;
use crate::convert::placement as convert;
use crate::ops::{Inventory, placement};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::placement_service_server::PlacementService;
use pesan_grpc::Violations;
use time::Duration;
use tonic::{Request, Response, Status};

/// `pesan.inventory.v1.PlacementService`.
#[derive(Clone)]
pub struct PlacementRpc {
    inventory: Inventory,
}

impl PlacementRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

#[tonic::async_trait]
impl PlacementService for PlacementRpc {
    async fn advise_placement(
        &self,
        request: Request<pb::AdvisePlacementRequest>,
    ) -> Result<Response<pb::AdvisePlacementResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let to = v.past_time("to", request.to.as_ref(), self.inventory.clock.now());
        let from = request.from.as_ref().and_then(|from| v.time("from", Some(from)));
        let from = from.unwrap_or_else(|| to.saturating_sub(Duration::days(90)));
        if from >= to {
            v.add("from", "must be before to");
        } else if to - from > Duration::days(731) {
            v.add("from", "must be at most 731 days before to");
        }
        let items = match v.within("items", request.items, 0, 200) {
            0 => 20,
            items => items.into(),
        };
        checked(v, ())?;
        let advised = placement::placement(&self.inventory, from, to, items).await?;
        let advices = advised.items.iter().map(|told| convert::advice(&advised.network, told)).collect();
        Ok(Response::new(pb::AdvisePlacementResponse { advices, truncated: advised.truncated }))
    }
}
