use super::{at_most, checked};
use crate::convert::sourcing as convert;
use crate::ops::Inventory;
use crate::ops::sourcing::{self, Page, Which};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::sourcing_service_server::SourcingService;
use pesan_grpc::idempotency::Claim;
use pesan_grpc::{Violations, page, run};
use prost::Message as _;
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Changed decisions told of one page.
const MOST_CHANGED: usize = 100;

/// `pesan.inventory.v1.SourcingService`.
#[derive(Clone)]
pub struct SourcingRpc {
    inventory: Inventory,
}

impl SourcingRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

/// Violations of the rules, with their paths.
fn nested(v: &mut Violations, field: &str, inner: &Violations) {
    for violation in inner.as_slice() {
        v.add(format!("{field}.{}", violation.field), violation.description.clone());
    }
}

fn rules(v: &mut Violations, field: &str, rules: Option<&pb::SourcingRules>) -> crate::sourcing::Rules {
    let Some(rules) = rules else {
        v.add(field, "must be given");
        return crate::sourcing::Rules::default();
    };
    convert::rules_from(rules).unwrap_or_else(|inner| {
        nested(v, field, &inner);
        crate::sourcing::Rules::default()
    })
}

/// The place after which a page begins: a time in nanoseconds and an order.
fn place(v: &mut Violations, token: &str) -> Option<(OffsetDateTime, Uuid)> {
    let key = page::key(v, token, 2)?;
    let at = key.first().and_then(|nanos| nanos.parse().ok());
    let at = at.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
    let order = key.get(1).and_then(|id| id.parse().ok());
    let place = at.zip(order);
    if place.is_none() {
        v.add("page_token", "must be a token of an earlier answer");
    }
    place
}

fn which(v: &mut Violations, request: &pb::SimulateSourcingRequest) -> Which {
    let after = place(v, &request.page_token).unwrap_or((OffsetDateTime::UNIX_EPOCH, Uuid::nil()));
    let (from, to) = (request.from.as_ref(), request.to.as_ref());
    if !request.order_ids.is_empty() {
        if from.is_some() || to.is_some() {
            v.add("from", "must be absent where order_ids are given");
        }
        let ids = request.order_ids.iter().enumerate();
        let ids = ids.map(|(i, id)| v.uuid(&format!("order_ids[{i}]"), id)).collect();
        return Which::Orders(ids, after.1);
    }
    let (Some(_), Some(_)) = (from, to) else {
        v.add("from", "from and to, or order_ids, must be given");
        return Which::Orders(Vec::new(), after.1);
    };
    let epoch = OffsetDateTime::UNIX_EPOCH;
    let from = v.time("from", from).unwrap_or(epoch);
    let to = v.time("to", to).unwrap_or(epoch);
    if to <= from {
        v.add("to", "must be after from");
    }
    Which::Time { from, to, after }
}

#[tonic::async_trait]
impl SourcingService for SourcingRpc {
    async fn get_sourcing_rules(
        &self,
        _: Request<pb::GetSourcingRulesRequest>,
    ) -> Result<Response<pb::GetSourcingRulesResponse>, Status> {
        let rules = sourcing::rules(&self.inventory).await?;
        Ok(Response::new(pb::GetSourcingRulesResponse { rules: Some(convert::rules_to(&rules)) }))
    }

    async fn set_sourcing_rules(
        &self,
        request: Request<pb::SetSourcingRulesRequest>,
    ) -> Result<Response<pb::SetSourcingRulesResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        let wanted = rules(&mut v, "rules", request.rules.as_ref());
        let expected = v.within("expected_version", request.expected_version, 0, i64::MAX);
        checked(v, ())?;
        let method = "pesan.inventory.v1.SetSourcingRulesRequest";
        let claim = Claim { request_id, method, body: request.encode_to_vec() };
        let inventory = self.inventory.clone();
        let rules =
            run::to_end(async move { Ok(sourcing::set_rules(&inventory, wanted, expected, claim).await?) }).await?;
        Ok(Response::new(pb::SetSourcingRulesResponse { rules: Some(rules) }))
    }

    async fn get_sourcing_decision(
        &self,
        request: Request<pb::GetSourcingDecisionRequest>,
    ) -> Result<Response<pb::GetSourcingDecisionResponse>, Status> {
        let mut v = Violations::new();
        let order_id = v.uuid("order_id", &request.into_inner().order_id);
        let order_id = checked(v, order_id)?;
        let decision = sourcing::decision(&self.inventory, order_id).await?;
        Ok(Response::new(pb::GetSourcingDecisionResponse { decision: Some(decision) }))
    }

    async fn simulate_sourcing(
        &self,
        request: Request<pb::SimulateSourcingRequest>,
    ) -> Result<Response<pb::SimulateSourcingResponse>, Status> {
        let request = request.into_inner();
        at_most("order_ids", request.order_ids.len(), 1_000)?;
        let mut v = Violations::new();
        let draft = rules(&mut v, "draft", request.draft.as_ref());
        let size = match v.within("page_size", request.page_size, 0, 1_000) {
            0 => 500,
            size => size.into(),
        };
        let which = which(&mut v, &request);
        checked(v, ())?;
        let Page { report, next } = sourcing::simulation(&self.inventory, draft.clone(), which, size).await?;
        let changed = report.changed.iter().take(MOST_CHANGED).map(|changed| pb::ChangedDecision {
            order_id: changed.order_id.clone(),
            real_locations: changed.real.clone(),
            draft_locations: changed.draft.clone(),
        });
        let token = |(at, order): (OffsetDateTime, Uuid)| {
            page::token(&[&at.unix_timestamp_nanos().to_string(), &order.to_string()])
        };
        Ok(Response::new(pb::SimulateSourcingResponse {
            real: Some(convert::side(&report.real, &draft)),
            draft: Some(convert::side(&report.draft, &draft)),
            changed: changed.collect(),
            changed_orders: i64::try_from(report.changed.len()).unwrap_or(i64::MAX),
            next_page_token: next.map(token).unwrap_or_default(),
        }))
    }
}
