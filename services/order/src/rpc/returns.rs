//! ReturnService.

use crate::convert::orders::time_token;
use crate::convert::return_steps;
use crate::convert::returns::{ListReturns, request, return_name};
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use crate::ops::return_steps::Clerk;
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
    /// What people do with returns.
    pub clerk: Clerk,
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

    async fn approve_return(
        &self,
        request: Request<pb::ApproveReturnRequest>,
    ) -> Result<Response<pb::ApproveReturnResponse>, Status> {
        let (clerk, command) = (self.clerk.clone(), return_steps::approve(&request.into_inner())?);
        run::to_end(async move {
            Ok(Response::new(pb::ApproveReturnResponse { r#return: Some(clerk.approve(&command).await?) }))
        })
        .await
    }

    async fn reject_return(
        &self,
        request: Request<pb::RejectReturnRequest>,
    ) -> Result<Response<pb::RejectReturnResponse>, Status> {
        let (clerk, command) = (self.clerk.clone(), return_steps::reject(&request.into_inner())?);
        run::to_end(async move {
            Ok(Response::new(pb::RejectReturnResponse { r#return: Some(clerk.reject(&command).await?) }))
        })
        .await
    }

    async fn cancel_return(
        &self,
        request: Request<pb::CancelReturnRequest>,
    ) -> Result<Response<pb::CancelReturnResponse>, Status> {
        let (clerk, command) = (self.clerk.clone(), return_steps::cancel(&request.into_inner())?);
        run::to_end(async move {
            Ok(Response::new(pb::CancelReturnResponse { r#return: Some(clerk.close(&command, true).await?) }))
        })
        .await
    }

    async fn close_return(
        &self,
        request: Request<pb::CloseReturnRequest>,
    ) -> Result<Response<pb::CloseReturnResponse>, Status> {
        let (clerk, command) = (self.clerk.clone(), return_steps::close(&request.into_inner())?);
        run::to_end(async move {
            Ok(Response::new(pb::CloseReturnResponse { r#return: Some(clerk.close(&command, false).await?) }))
        })
        .await
    }

    async fn resolve_discrepancy(
        &self,
        request: Request<pb::ResolveDiscrepancyRequest>,
    ) -> Result<Response<pb::ResolveDiscrepancyResponse>, Status> {
        let (clerk, command) = (self.clerk.clone(), return_steps::resolve(&request.into_inner())?);
        run::to_end(async move {
            Ok(Response::new(pb::ResolveDiscrepancyResponse { r#return: Some(clerk.resolve(&command).await?) }))
        })
        .await
    }

    async fn record_repair_step(
        &self,
        request: Request<pb::RecordRepairStepRequest>,
    ) -> Result<Response<pb::RecordRepairStepResponse>, Status> {
        let (clerk, command) = (self.clerk.clone(), return_steps::repair(&request.into_inner())?);
        run::to_end(async move {
            Ok(Response::new(pb::RecordRepairStepResponse { r#return: Some(clerk.repair(&command).await?) }))
        })
        .await
    }
}
