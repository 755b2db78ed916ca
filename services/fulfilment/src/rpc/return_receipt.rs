//! `pesan.fulfilment.v1.ReturnReceiptService`.

use crate::convert;
use crate::ops::{self, Ops};
use pesan_api::fulfilment::v1 as pb;
use pesan_api::fulfilment::v1::return_receipt_service_server::ReturnReceiptService;
use pesan_grpc::{page, run};
use tonic::{Request, Response, Status};

/// Goods that come back.
pub struct ReturnReceiptRpc(pub Ops);

#[tonic::async_trait]
impl ReturnReceiptService for ReturnReceiptRpc {
    async fn get_expected_return(
        &self,
        request: Request<pb::GetExpectedReturnRequest>,
    ) -> Result<Response<pb::GetExpectedReturnResponse>, Status> {
        let name = convert::return_name(&request.into_inner().name)?;
        let pool = self.0.pool.clone();
        let expected = run::to_end(async move { Ok(ops::get_return(&pool, &name).await?) }).await?;
        Ok(Response::new(pb::GetExpectedReturnResponse { expected_return: Some(expected.into()) }))
    }

    async fn list_expected_returns(
        &self,
        request: Request<pb::ListExpectedReturnsRequest>,
    ) -> Result<Response<pb::ListExpectedReturnsResponse>, Status> {
        let query = convert::list_returns(request.into_inner())?;
        let pool = self.0.pool.clone();
        let (returns, more) = run::to_end(async move { Ok(ops::list_returns(&pool, query).await?) }).await?;
        let last = returns.last().filter(|_| more).map(|expected| page::token(&[&expected.id.0.to_string()]));
        let expected_returns = returns.into_iter().map(Into::into).collect();
        let next_page_token = last.unwrap_or_default();
        Ok(Response::new(pb::ListExpectedReturnsResponse { expected_returns, next_page_token }))
    }

    async fn receive_return(
        &self,
        request: Request<pb::ReceiveReturnRequest>,
    ) -> Result<Response<pb::ReceiveReturnResponse>, Status> {
        let command = convert::receive(request.into_inner(), self.0.clock.now())?;
        let ops = self.0.clone();
        let expected = run::to_end(async move { Ok(ops::receive_return(&ops, command).await?) }).await?;
        Ok(Response::new(pb::ReceiveReturnResponse { expected_return: Some(expected) }))
    }

    async fn close_expected_return(
        &self,
        request: Request<pb::CloseExpectedReturnRequest>,
    ) -> Result<Response<pb::CloseExpectedReturnResponse>, Status> {
        let command = convert::close(request.into_inner())?;
        let ops = self.0.clone();
        let expected = run::to_end(async move { Ok(ops::close_return(&ops, command).await?) }).await?;
        Ok(Response::new(pb::CloseExpectedReturnResponse { expected_return: Some(expected) }))
    }
}
