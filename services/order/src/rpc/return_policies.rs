//! ReturnPolicyService.

use crate::convert;
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::return_policy_service_server::ReturnPolicyService;
use pesan_api::order::v1::upsert_return_policy_result::Outcome;
use pesan_grpc::run;
use tonic::{Request, Response, Status};

/// Most policies of a call.
const MOST: usize = 100;

/// The service.
#[derive(Clone)]
pub struct ReturnPolicies {
    /// The books.
    pub books: Books,
}

#[tonic::async_trait]
impl ReturnPolicyService for ReturnPolicies {
    async fn upsert_return_policies(
        &self,
        request: Request<pb::UpsertReturnPoliciesRequest>,
    ) -> Result<Response<pb::UpsertReturnPoliciesResponse>, Status> {
        let policies = request.into_inner().policies;
        if policies.is_empty() || policies.len() > MOST {
            let asked = format!("must have 1 to {MOST} entries, not {}", policies.len());
            return Err(Error::invalid("policies", &asked).into());
        }
        let books = self.books.clone();
        run::to_end(async move {
            let read: Vec<_> = policies.into_iter().map(convert::return_policies::policy).collect();
            let sound: Vec<_> = read.iter().flatten().cloned().collect();
            if !sound.is_empty() {
                ops::return_policies::upsert(&books, &sound).await?;
            }
            let results = read.into_iter().map(|policy| pb::UpsertReturnPolicyResult {
                outcome: Some(match policy {
                    Ok(policy) => Outcome::Policy(convert::return_policies::shown(&policy)),
                    Err(violations) => Outcome::Problem(violations.into_problem()),
                }),
            });
            Ok(Response::new(pb::UpsertReturnPoliciesResponse { results: results.collect() }))
        })
        .await
    }

    async fn list_return_policies(
        &self,
        _: Request<pb::ListReturnPoliciesRequest>,
    ) -> Result<Response<pb::ListReturnPoliciesResponse>, Status> {
        let policies = ops::return_policies::list(&self.books).await?;
        Ok(Response::new(pb::ListReturnPoliciesResponse { policies }))
    }

    async fn delete_return_policy(
        &self,
        request: Request<pb::DeleteReturnPolicyRequest>,
    ) -> Result<Response<pb::DeleteReturnPolicyResponse>, Status> {
        let (books, name) = (self.books.clone(), request.into_inner().name);
        run::to_end(async move {
            ops::return_policies::delete(&books, &name).await?;
            Ok(Response::new(pb::DeleteReturnPolicyResponse {}))
        })
        .await
    }
}
