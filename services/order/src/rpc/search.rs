//! SearchService.

use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use crate::rpc::answer_by;
use crate::search::meaning;
use pesan_api::billing::v1::account_service_client::AccountServiceClient;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::search_service_server::SearchService;
use pesan_grpc::Violations;
use pesan_grpc::channel::PeerChannel;
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// The longest a customer's balance is waited for: people look at the rest meanwhile.
const BALANCE: Duration = Duration::from_secs(2);

/// The service.
#[derive(Clone)]
pub struct Search {
    /// The books.
    pub books: Books,
    /// Tells balances.
    pub billing: AccountServiceClient<PeerChannel>,
}

/// How many of a kind; 0 means `default`.
fn limit(v: &mut Violations, asked: i32, default: i64) -> i64 {
    if asked == 0 { default } else { v.within("limit", asked, 1, 100).into() }
}

#[tonic::async_trait]
impl SearchService for Search {
    async fn search_orders(
        &self,
        request: Request<pb::SearchOrdersRequest>,
    ) -> Result<Response<pb::SearchOrdersResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let limit = limit(&mut v, request.limit, 20);
        let query = v.text("query", request.query.trim().to_owned(), 1, 200);
        v.into_result(()).map_err(Error::from)?;
        Ok(Response::new(ops::search::orders(&self.books, &meaning(&query), limit).await?))
    }

    async fn get_customer360(
        &self,
        request: Request<pb::GetCustomer360Request>,
    ) -> Result<Response<pb::GetCustomer360Response>, Status> {
        let patience = answer_by(&self.books, &request).duration_since(Instant::now()).min(BALANCE);
        let request = request.into_inner();
        let mut v = Violations::new();
        let limit = limit(&mut v, request.limit, 10);
        let id = v.optional_uuid("customer_id", &request.customer_id);
        let external_id = v.text("customer_external_id", request.customer_external_id, 0, 100);
        if request.customer_id.is_empty() == external_id.is_empty() {
            v.add("customer_id", "give either customer_id or customer_external_id");
        }
        v.into_result(()).map_err(Error::from)?;
        let customer = ops::customers::get(&self.books, id, &external_id).await?;
        let answer = ops::search::customer360(&self.books, &self.billing, patience, customer, limit).await?;
        Ok(Response::new(answer))
    }
}
