//! PromiseService.

use crate::convert::promise::{PromiseOrder, ReleasePromise};
use crate::ops::promise::Promiser;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::promise_service_server::PromiseService;
use pesan_grpc::run;
use tonic::{Request, Response, Status};

/// The service.
#[derive(Clone)]
pub struct Promises {
    /// Does it.
    pub promiser: Promiser,
}

#[tonic::async_trait]
impl PromiseService for Promises {
    async fn promise_order(
        &self,
        request: Request<pb::PromiseOrderRequest>,
    ) -> Result<Response<pb::PromiseOrderResponse>, Status> {
        let promiser = self.promiser.clone();
        let now = promiser.books.clock.now();
        let trace = pesan_telemetry::current_traceparent();
        let command = PromiseOrder::read(request.into_inner(), now, trace)?;
        run::to_end(async move {
            let promise = Some(promiser.promise(&command).await?);
            Ok(Response::new(pb::PromiseOrderResponse { promise }))
        })
        .await
    }

    async fn release_promise(
        &self,
        request: Request<pb::ReleasePromiseRequest>,
    ) -> Result<Response<pb::ReleasePromiseResponse>, Status> {
        let promiser = self.promiser.clone();
        let command = ReleasePromise::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(promiser.release(&command).await?)) }).await
    }
}
