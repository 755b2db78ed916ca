//! ReturnService.

use crate::convert::orders::time_token;
use crate::convert::returns::{ListReturns, request, return_name};
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::request_return_result::Outcome;
use pesan_api::order::v1::return_service_server::ReturnService;
use pesan_grpc::{page, run};
use tonic::{Request, Response, Status};

/// Most returns, and lines of them together, of a call.
const MOST: usize = 500;
const MOST_LINES: usize = 50_000;

/// The service.
#[derive(Clone)]
pub struct Returns {
    /// The books.
    pub books: Books,
}

#[tonic::async_trait]
impl ReturnService for Returns {
    async fn request_returns(
        &self,
        asked: Request<pb::RequestReturnsRequest>,
    ) -> Result<Response<pb::RequestReturnsResponse>, Status> {
        let returns = asked.into_inner().returns;
        let lines: usize = returns.iter().map(|new| new.lines.len()).sum();
        if returns.is_empty() || returns.len() > MOST || lines > MOST_LINES {
            let bounds = format!("must have 1 to {MOST} entries with at most {MOST_LINES} lines together");
            return Err(Error::invalid("returns", &bounds).into());
        }
        let books = self.books.clone();
        run::to_end(async move {
            let now = books.clock.now();
            let mut sound = Vec::with_capacity(returns.len());
            let read: Vec<_> = returns
                .into_iter()
                .map(|new| {
                    let name = new.order_name.clone();
                    request(new, now).map(|request| sound.push((request, name))).err()
                })
                .collect();
            let mut outcomes = ops::returns::request(&books, &sound).await?.into_iter();
            let results = read.into_iter().map(|violations| {
                let outcome = match violations {
                    Some(violations) => Err(Error::Invalid(violations)),
                    None => outcomes.next().unwrap_or(Err(Error::NotWritten)),
                };
                match outcome {
                    Ok((rma, already_existed)) => {
                        pb::RequestReturnResult { outcome: Some(Outcome::Return(rma)), already_existed }
                    }
                    Err(error) => pb::RequestReturnResult {
                        outcome: Some(Outcome::Problem(error.into_problem())),
                        already_existed: false,
                    },
                }
            });
            Ok(Response::new(pb::RequestReturnsResponse { results: results.collect() }))
        })
        .await
    }

    async fn get_return(
        &self,
        request: Request<pb::GetReturnRequest>,
    ) -> Result<Response<pb::GetReturnResponse>, Status> {
        let text = request.into_inner().name;
        let found = ops::returns::get(&self.books, return_name(&text)?, &text).await?;
        Ok(Response::new(pb::GetReturnResponse { r#return: Some(found) }))
    }

    async fn list_returns(
        &self,
        request: Request<pb::ListReturnsRequest>,
    ) -> Result<Response<pb::ListReturnsResponse>, Status> {
        let command = ListReturns::try_from(request.into_inner())?;
        let (returns, last) = ops::returns::list(&self.books, &command).await?;
        let next_page_token = last.map(|(at, id)| page::token(&[&time_token(at), &id.to_string()])).unwrap_or_default();
        Ok(Response::new(pb::ListReturnsResponse { returns, next_page_token }))
    }
}
