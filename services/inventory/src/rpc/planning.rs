use super::{at_most, checked, cut, writing};
use crate::convert::{item, planning as convert};
use crate::error::Error;
use crate::ops::{Inventory, plan};
use crate::store::planning::Filter;
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::planning_service_server::PlanningService;
use pesan_grpc::{Violations, page, run};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// `pesan.inventory.v1.PlanningService`.
#[derive(Clone)]
pub struct PlanningRpc {
    inventory: Inventory,
}

impl PlanningRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

/// The sku and location that a page begins after.
fn after(v: &mut Violations, token: &str) -> Option<(String, Uuid)> {
    match page::key(v, token, 2)?.as_slice() {
        [sku, location] => Some((sku.clone(), v.uuid("page_token", location))),
        _ => None,
    }
}

fn borrowed(after: Option<&(String, Uuid)>) -> Option<(&str, Uuid)> {
    after.map(|(sku, location)| (sku.as_str(), *location))
}

#[tonic::async_trait]
impl PlanningService for PlanningRpc {
    async fn set_reorder_policies(
        &self,
        request: Request<pb::SetReorderPoliciesRequest>,
    ) -> Result<Response<pb::SetReorderPoliciesResponse>, Status> {
        let wanted = request.into_inner().policies;
        at_most("policies", wanted.len(), 1_000)?;
        let wanted = wanted.into_iter().map(|policy| convert::parse_policy(policy).map_err(Error::from)).collect();
        let inventory = self.inventory.clone();
        let outcomes = run::to_end(async move { Ok(plan::set_policies(&inventory, wanted).await?) }).await?;
        let result = |outcome: Result<_, Error>| pb::SetReorderPolicyResult {
            outcome: Some(match outcome {
                Ok(policy) => pb::set_reorder_policy_result::Outcome::Policy(convert::policy(&policy)),
                Err(error) => pb::set_reorder_policy_result::Outcome::Problem(error.into()),
            }),
        };
        Ok(Response::new(pb::SetReorderPoliciesResponse { results: outcomes.into_iter().map(result).collect() }))
    }

    async fn list_reorder_policies(
        &self,
        request: Request<pb::ListReorderPoliciesRequest>,
    ) -> Result<Response<pb::ListReorderPoliciesResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let after = after(&mut v, &request.page_token);
        let sku = v.text("sku", request.sku, 0, 100);
        let location = v.optional_uuid("location_id", &request.location_id);
        checked(v, ())?;
        let sku = Some(sku.as_str()).filter(|sku| !sku.is_empty());
        let filter = Filter { sku, location, active: false };
        let mut found = plan::policies(&self.inventory, borrowed(after.as_ref()), filter, size).await?;
        let more = cut(&mut found, size);
        let last = found.last().filter(|_| more);
        let token = last.map(|named| page::token(&[&named.sku, &named.location_id.to_string()]));
        Ok(Response::new(pb::ListReorderPoliciesResponse {
            policies: found.iter().map(convert::policy).collect(),
            next_page_token: token.unwrap_or_default(),
        }))
    }

    async fn get_available_to_promise(
        &self,
        request: Request<pb::GetAvailableToPromiseRequest>,
    ) -> Result<Response<pb::GetAvailableToPromiseResponse>, Status> {
        let request = request.into_inner();
        let now = self.inventory.clock.now();
        let mut v = Violations::new();
        let sku = item::sku(&mut v, "sku", request.sku);
        let location = v.optional_uuid("location_id", &request.location_id);
        let horizon = convert::parse_horizon(&mut v, request.buckets, 30, request.bucket_size, now);
        let sku = checked(v, sku)?;
        let promised = plan::promised(&self.inventory, &sku, location, horizon).await?;
        Ok(Response::new(convert::promised(sku, location, promised, now)))
    }

    async fn suggest_purchases(
        &self,
        request: Request<pb::SuggestPurchasesRequest>,
    ) -> Result<Response<pb::SuggestPurchasesResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = request
            .create_drafts
            .then(|| writing(&mut v, "pesan.inventory.v1.SuggestPurchasesRequest", &request.request_id, &request));
        let size = page::size(&mut v, request.page_size);
        let after = after(&mut v, &request.page_token);
        let sku = v.text("sku", request.sku, 0, 100);
        let location = v.optional_uuid("location_id", &request.location_id);
        let claim = checked(v, claim)?;
        let (inventory, include_satisfied) = (self.inventory.clone(), request.include_satisfied);
        let work = async move {
            let sku = Some(sku.as_str()).filter(|sku| !sku.is_empty());
            let filter = Filter { sku, location, active: true };
            let after = borrowed(after.as_ref());
            Ok(plan::suggest(&inventory, claim, after, filter, size, include_satisfied).await?)
        };
        Ok(Response::new(run::to_end(work).await?))
    }

    type ExportRequirementsStream = ReceiverStream<Result<pb::ExportRequirementsResponse, Status>>;

    async fn export_requirements(
        &self,
        request: Request<pb::ExportRequirementsRequest>,
    ) -> Result<Response<Self::ExportRequirementsStream>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let sku = v.text("sku", request.sku, 0, 100);
        let location = v.optional_uuid("location_id", &request.location_id);
        let now = self.inventory.clock.now();
        let horizon = convert::parse_horizon(&mut v, request.buckets, 12, request.bucket_size, now);
        let sku = checked(v, sku)?;
        if let Some(location) = location {
            plan::expect_location(&self.inventory, location).await?;
        }
        // A slow reader slows the reading down: two pages are kept at most.
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let inventory = self.inventory.clone();
        tokio::spawn(async move {
            let sku = Some(sku.as_str()).filter(|sku| !sku.is_empty());
            let filter = Filter { sku, location, active: true };
            let mut after: Option<(String, Uuid)> = None;
            loop {
                let page = plan::requirements(&inventory, borrowed(after.as_ref()), filter, horizon).await;
                let records = match page {
                    Ok(records) => records,
                    Err(error) => {
                        let _ = sender.send(Err(error.into())).await; // a reader that has gone needs no error
                        return;
                    }
                };
                let Some(last) = records.last() else { return };
                after = Some((last.policy.sku.clone(), last.policy.location_id));
                let records = records.into_iter().map(|record| convert::record(&horizon, record)).collect();
                if sender.send(Ok(pb::ExportRequirementsResponse { records })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
