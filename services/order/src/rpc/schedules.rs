//! ScheduleService.

use crate::convert::schedule::ChangeBlock;
use crate::ops::{Books, schedule};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::schedule_service_server::ScheduleService;
use pesan_grpc::run;
use tonic::{Request, Response, Status};

/// The service.
#[derive(Clone)]
pub struct Schedules {
    /// The service's books.
    pub books: Books,
}

#[tonic::async_trait]
impl ScheduleService for Schedules {
    async fn block_delivery(
        &self,
        request: Request<pb::BlockDeliveryRequest>,
    ) -> Result<Response<pb::BlockDeliveryResponse>, Status> {
        let books = self.books.clone();
        let command = ChangeBlock::try_from(request.into_inner())?;
        run::to_end(async move {
            let order = Some(schedule::change_block(&books, &command).await?);
            Ok(Response::new(pb::BlockDeliveryResponse { order }))
        })
        .await
    }

    async fn release_delivery(
        &self,
        request: Request<pb::ReleaseDeliveryRequest>,
    ) -> Result<Response<pb::ReleaseDeliveryResponse>, Status> {
        let books = self.books.clone();
        let command = ChangeBlock::try_from(request.into_inner())?;
        run::to_end(async move {
            let order = Some(schedule::change_block(&books, &command).await?);
            Ok(Response::new(pb::ReleaseDeliveryResponse { order }))
        })
        .await
    }
}
