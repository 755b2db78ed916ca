//! AccountService.

use crate::{convert, ops};
use pesan_api::billing::v1 as pb;
use pesan_api::billing::v1::account_service_server::AccountService;
use pesan_api::billing::v1::upsert_account_result::Outcome;
use pesan_grpc::{Violations, refuse, run};
use sqlx::PgPool;
use tonic::{Request, Response, Status};

/// Customers' accounts.
pub struct Accounts {
    pub pool: PgPool,
}

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn upsert_accounts(
        &self,
        request: Request<pb::UpsertAccountsRequest>,
    ) -> Result<Response<pb::UpsertAccountsResponse>, Status> {
        let parsed = convert::parse_accounts(request.into_inner())?;
        let pool = self.pool.clone();
        run::to_end(async move {
            let wanted: Vec<_> = parsed.iter().filter_map(|account| account.as_ref().ok().cloned()).collect();
            let mut done = ops::accounts::upsert(&pool, &wanted).await?.into_iter();
            let mut results = Vec::with_capacity(parsed.len());
            for account in parsed {
                let outcome = match account.map(|_| done.next()) {
                    Err(problem) => Outcome::Problem(problem),
                    Ok(Some(Ok(account))) => Outcome::Account(convert::account(&account)?),
                    Ok(Some(Err(refusal))) => Outcome::Problem(refusal.into()),
                    Ok(None) => return Err(Status::internal("internal error")),
                };
                results.push(pb::UpsertAccountResult { outcome: Some(outcome) });
            }
            Ok(Response::new(pb::UpsertAccountsResponse { results }))
        })
        .await
    }

    async fn get_account(
        &self,
        request: Request<pb::GetAccountRequest>,
    ) -> Result<Response<pb::GetAccountResponse>, Status> {
        let mut violations = Violations::new();
        let customer_id = violations.uuid("customer_id", &request.into_inner().customer_id);
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        let account = ops::accounts::get(&self.pool, customer_id).await?;
        Ok(Response::new(pb::GetAccountResponse { account: Some(convert::account(&account)?) }))
    }
}
