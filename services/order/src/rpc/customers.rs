//! CustomerService.

use crate::convert;
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use crate::rpc::{next_token, page_after};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::customer_service_server::CustomerService;
use pesan_api::order::v1::upsert_customer_result::Outcome;
use pesan_grpc::{Violations, run};
use tonic::{Request, Response, Status};

/// Most customers of a call.
const MOST: usize = 1000;

/// The service.
#[derive(Clone)]
pub struct Customers {
    /// The books.
    pub books: Books,
}

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn upsert_customers(
        &self,
        request: Request<pb::UpsertCustomersRequest>,
    ) -> Result<Response<pb::UpsertCustomersResponse>, Status> {
        let customers = request.into_inner().customers;
        if customers.is_empty() || customers.len() > MOST {
            let asked = format!("must have 1 to {MOST} entries, not {}", customers.len());
            return Err(Error::invalid("customers", &asked).into());
        }
        let books = self.books.clone();
        run::to_end(async move {
            let mut sound = Vec::with_capacity(customers.len());
            let read: Vec<Option<Violations>> = customers
                .into_iter()
                .map(|customer| convert::customers::details(customer).map(|details| sound.push(details)).err())
                .collect();
            let mut written = ops::customers::upsert(&books, sound).await?.into_iter();
            let results = read.into_iter().map(|violations| pb::UpsertCustomerResult {
                outcome: match violations {
                    Some(violations) => Some(Outcome::Problem(violations.into_problem())),
                    None => written.next().map(convert::customers::customer).map(Outcome::Customer),
                },
            });
            Ok(Response::new(pb::UpsertCustomersResponse { results: results.collect() }))
        })
        .await
    }

    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::GetCustomerResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let id = v.optional_uuid("id", &request.id);
        let external_id = v.text("external_id", request.external_id, 0, 100);
        if request.id.is_empty() == external_id.is_empty() {
            v.add("id", "give either id or external_id");
        }
        v.into_result(()).map_err(Error::from)?;
        let customer = ops::customers::get(&self.books, id, &external_id).await?;
        Ok(Response::new(pb::GetCustomerResponse { customer: Some(convert::customers::customer(customer)) }))
    }

    async fn list_customers(
        &self,
        request: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        let request = request.into_inner();
        let (size, after) = page_after(request.page_size, &request.page_token)?;
        let (customers, is_last) = ops::customers::list(&self.books, after.as_deref(), size).await?;
        let next_page_token = next_token(customers.last().map(|last| last.details.external_id.as_str()), is_last);
        let customers = customers.into_iter().map(convert::customers::customer).collect();
        Ok(Response::new(pb::ListCustomersResponse { customers, next_page_token }))
    }
}
