use super::{before, checked, next_before, writing};
use crate::convert::transfer as convert;
use crate::ops::{Inventory, transfer};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::transfer_service_server::TransferService;
use pesan_grpc::{Violations, run};
use tonic::{Request, Response, Status};

/// `pesan.inventory.v1.TransferService`.
#[derive(Clone)]
pub struct TransferRpc {
    inventory: Inventory,
}

impl TransferRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

#[tonic::async_trait]
impl TransferService for TransferRpc {
    async fn create_transfer(
        &self,
        request: Request<pb::CreateTransferRequest>,
    ) -> Result<Response<pb::CreateTransferResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.CreateTransferRequest", &request.request_id, &request);
        let plan = convert::parse_plan(request, self.inventory.clock.now(), &mut v);
        let (claim, plan) = checked(v, (claim, plan))?;
        let inventory = self.inventory.clone();
        let transfer = run::to_end(async move { Ok(transfer::create(&inventory, claim, plan).await?) }).await?;
        Ok(Response::new(pb::CreateTransferResponse { transfer: Some(transfer) }))
    }

    async fn ship_transfer(
        &self,
        request: Request<pb::ShipTransferRequest>,
    ) -> Result<Response<pb::ShipTransferResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.ShipTransferRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let shipments = convert::parse_shipped(&mut v, request.lines);
        let at = v.past_time("shipped_at", request.shipped_at.as_ref(), self.inventory.clock.now());
        let (claim, name, shipments) = checked(v, (claim, name, shipments))?;
        let inventory = self.inventory.clone();
        let work = async move { Ok(transfer::ship(&inventory, claim, &name, shipments, at).await?) };
        Ok(Response::new(pb::ShipTransferResponse { transfer: Some(run::to_end(work).await?) }))
    }

    async fn receive_transfer(
        &self,
        request: Request<pb::ReceiveTransferRequest>,
    ) -> Result<Response<pb::ReceiveTransferResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.ReceiveTransferRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let arrivals = convert::parse_arrivals(&mut v, request.lines);
        let at = v.past_time("received_at", request.received_at.as_ref(), self.inventory.clock.now());
        let (claim, name, arrivals) = checked(v, (claim, name, arrivals))?;
        let inventory = self.inventory.clone();
        let work = async move { Ok(transfer::receive(&inventory, claim, &name, arrivals, at).await?) };
        Ok(Response::new(pb::ReceiveTransferResponse { transfer: Some(run::to_end(work).await?) }))
    }

    async fn cancel_transfer(
        &self,
        request: Request<pb::CancelTransferRequest>,
    ) -> Result<Response<pb::CancelTransferResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let claim = writing(&mut v, "pesan.inventory.v1.CancelTransferRequest", &request.request_id, &request);
        let name = v.text("name", request.name, 1, 40);
        let (claim, name) = checked(v, (claim, name))?;
        let inventory = self.inventory.clone();
        let transfer = run::to_end(async move { Ok(transfer::cancel(&inventory, claim, &name).await?) }).await?;
        Ok(Response::new(pb::CancelTransferResponse { transfer: Some(transfer) }))
    }

    async fn get_transfer(
        &self,
        request: Request<pb::GetTransferRequest>,
    ) -> Result<Response<pb::GetTransferResponse>, Status> {
        let mut v = Violations::new();
        let name = v.text("name", request.into_inner().name, 1, 40);
        let transfer = transfer::get(&self.inventory, &checked(v, name)?).await?;
        Ok(Response::new(pb::GetTransferResponse { transfer: Some(transfer) }))
    }

    async fn list_transfers(
        &self,
        request: Request<pb::ListTransfersRequest>,
    ) -> Result<Response<pb::ListTransfersResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let (size, before) = before(&mut v, request.page_size, &request.page_token);
        let (stage, part_received) = convert::parse_state(&mut v, request.state);
        let location = v.optional_uuid("location_id", &request.location_id);
        checked(v, ())?;
        let mut found = transfer::list(&self.inventory, before, stage, part_received, location, size).await?;
        let next_page_token = next_before(&mut found, size, |transfer| transfer.number);
        let known = self.inventory.known();
        Ok(Response::new(pb::ListTransfersResponse {
            transfers: found.iter().map(|transfer| convert::transfer(&known, transfer)).collect(),
            next_page_token,
        }))
    }
}
