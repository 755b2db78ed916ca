use super::{before, checked, next_before, writing};
use crate::convert::count as convert;
use crate::ops::{Inventory, count};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::count_service_server::CountService;
use pesan_grpc::{Violations, run};
use tonic::{Request, Response, Status};

/// `pesan.inventory.v1.CountService`.
#[derive(Clone)]
pub struct CountRpc {
    inventory: Inventory,
}

impl CountRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

#[tonic::async_trait]
impl CountService for CountRpc {
    async fn create_count(
        &self,
        request: Request<pb::CreateCountRequest>,
    ) -> Result<Response<pb::CreateCountResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.CreateCountRequest", &request.request_id, &request);
        let wanted = convert::parse_wanted(request, &mut v);
        let (claim, wanted) = checked(v, (claim, wanted))?;
        let inventory = self.inventory.clone();
        let count = run::to_end(async move { Ok(count::create(&inventory, claim, wanted).await?) }).await?;
        Ok(Response::new(pb::CreateCountResponse { count: Some(count) }))
    }

    async fn enter_count(
        &self,
        request: Request<pb::EnterCountRequest>,
    ) -> Result<Response<pb::EnterCountResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.EnterCountRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let complete = request.complete;
        let entries = convert::parse_entries(&mut v, request.entries, self.inventory.clock.now());
        let (claim, name, entries) = checked(v, (claim, name, entries))?;
        let inventory = self.inventory.clone();
        let work = async move { Ok(count::enter(&inventory, claim, &name, entries, complete).await?) };
        Ok(Response::new(pb::EnterCountResponse { count: Some(run::to_end(work).await?) }))
    }

    async fn approve_count(
        &self,
        request: Request<pb::ApproveCountRequest>,
    ) -> Result<Response<pb::ApproveCountResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.ApproveCountRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let version = v.within("version", request.version, 1, i64::MAX);
        let by = v.text("approved_by", request.approved_by, 1, 100);
        let (claim, name, by) = checked(v, (claim, name, by))?;
        let inventory = self.inventory.clone();
        let count =
            run::to_end(async move { Ok(count::approve(&inventory, claim, &name, version, by).await?) }).await?;
        Ok(Response::new(pb::ApproveCountResponse { count: Some(count) }))
    }

    async fn reject_count(
        &self,
        request: Request<pb::RejectCountRequest>,
    ) -> Result<Response<pb::RejectCountResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.RejectCountRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let version = v.within("version", request.version, 1, i64::MAX);
        let by = v.text("rejected_by", request.rejected_by, 1, 100);
        let (claim, name, by) = checked(v, (claim, name, by))?;
        let (inventory, recount) = (self.inventory.clone(), request.recount);
        let work = async move { Ok(count::reject(&inventory, claim, &name, version, by, recount).await?) };
        Ok(Response::new(pb::RejectCountResponse { count: Some(run::to_end(work).await?) }))
    }

    async fn get_count(&self, request: Request<pb::GetCountRequest>) -> Result<Response<pb::GetCountResponse>, Status> {
        let mut v = Violations::new();
        let name = v.text("name", request.into_inner().name, 1, 40);
        let count = count::get(&self.inventory, &checked(v, name)?).await?;
        Ok(Response::new(pb::GetCountResponse { count: Some(count) }))
    }

    async fn list_counts(
        &self,
        request: Request<pb::ListCountsRequest>,
    ) -> Result<Response<pb::ListCountsResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let (size, before) = before(&mut v, request.page_size, &request.page_token);
        let stage = convert::parse_state(&mut v, request.state);
        let location = v.optional_uuid("location_id", &request.location_id);
        checked(v, ())?;
        let mut found = count::list(&self.inventory, before, stage, location, size).await?;
        let next_page_token = next_before(&mut found, size, |count| count.number);
        let known = self.inventory.known();
        Ok(Response::new(pb::ListCountsResponse {
            counts: found.iter().map(|count| convert::count(&known, count)).collect(),
            next_page_token,
        }))
    }
}
