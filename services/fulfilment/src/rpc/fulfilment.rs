//! `pesan.fulfilment.v1.FulfilmentService`.

use crate::convert;
use crate::ops::{self, Ops};
use pesan_api::fulfilment::v1 as pb;
use pesan_api::fulfilment::v1::fulfilment_service_server::FulfilmentService;
use pesan_grpc::{page, run};
use tonic::{Request, Response, Status};

/// Fulfilment orders and what is done with them.
pub struct FulfilmentRpc(pub Ops);

#[tonic::async_trait]
impl FulfilmentService for FulfilmentRpc {
    async fn get_fulfilment_order(
        &self,
        request: Request<pb::GetFulfilmentOrderRequest>,
    ) -> Result<Response<pb::GetFulfilmentOrderResponse>, Status> {
        let name = convert::order_name(&request.into_inner().name)?;
        let pool = self.0.pool.clone();
        let order = run::to_end(async move { Ok(ops::get_order(&pool, name).await?) }).await?;
        Ok(Response::new(pb::GetFulfilmentOrderResponse { fulfilment_order: Some(order.into()) }))
    }

    async fn list_fulfilment_orders(
        &self,
        request: Request<pb::ListFulfilmentOrdersRequest>,
    ) -> Result<Response<pb::ListFulfilmentOrdersResponse>, Status> {
        let query = convert::list_orders(request.into_inner())?;
        let pool = self.0.pool.clone();
        let (orders, more) = run::to_end(async move { Ok(ops::list_orders(&pool, query).await?) }).await?;
        let last = orders.last().filter(|_| more).map(|order| page::token(&[&order.id.0.to_string()]));
        let fulfilment_orders = orders.into_iter().map(Into::into).collect();
        let next_page_token = last.unwrap_or_default();
        Ok(Response::new(pb::ListFulfilmentOrdersResponse { fulfilment_orders, next_page_token }))
    }

    async fn pick(&self, request: Request<pb::PickRequest>) -> Result<Response<pb::PickResponse>, Status> {
        let command = convert::pick(request.into_inner(), self.0.clock.now())?;
        let ops = self.0.clone();
        let order = run::to_end(async move { Ok(ops::pick(&ops, command).await?) }).await?;
        Ok(Response::new(pb::PickResponse { fulfilment_order: Some(order) }))
    }

    async fn pack(&self, request: Request<pb::PackRequest>) -> Result<Response<pb::PackResponse>, Status> {
        let command = convert::pack(request.into_inner(), self.0.clock.now())?;
        let ops = self.0.clone();
        let order = run::to_end(async move { Ok(ops::pack(&ops, command).await?) }).await?;
        Ok(Response::new(pb::PackResponse { fulfilment_order: Some(order) }))
    }

    async fn ship(&self, request: Request<pb::ShipRequest>) -> Result<Response<pb::ShipResponse>, Status> {
        let command = convert::ship(request.into_inner(), self.0.clock.now())?;
        let ops = self.0.clone();
        let order = run::to_end(async move { Ok(ops::ship(&ops, command).await?) }).await?;
        Ok(Response::new(pb::ShipResponse { fulfilment_order: Some(order) }))
    }

    async fn confirm_delivery(
        &self,
        request: Request<pb::ConfirmDeliveryRequest>,
    ) -> Result<Response<pb::ConfirmDeliveryResponse>, Status> {
        let command = convert::deliver(request.into_inner(), self.0.clock.now())?;
        let ops = self.0.clone();
        let order = run::to_end(async move { Ok(ops::confirm_delivery(&ops, command).await?) }).await?;
        Ok(Response::new(pb::ConfirmDeliveryResponse { fulfilment_order: Some(order) }))
    }

    async fn withdraw_lines(
        &self,
        request: Request<pb::WithdrawLinesRequest>,
    ) -> Result<Response<pb::WithdrawLinesResponse>, Status> {
        let command = convert::withdraw(request.into_inner())?;
        let ops = self.0.clone();
        run::to_end(async move { Ok(ops::withdraw(&ops, command).await?) }).await?;
        Ok(Response::new(pb::WithdrawLinesResponse {}))
    }
}
