//! HoldService.

use crate::convert;
use crate::convert::holds::{ListHolds, ReleaseHolds};
use crate::ops;
use crate::ops::Books;
use crate::ops::saga::Saga;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::hold_service_server::HoldService;
use pesan_grpc::{page, run};
use tonic::{Request, Response, Status};

/// The service.
#[derive(Clone)]
pub struct Holds {
    /// The books.
    pub books: Books,
    /// Settles what goes on.
    pub saga: Saga,
}

#[tonic::async_trait]
impl HoldService for Holds {
    async fn list_holds(
        &self,
        request: Request<pb::ListHoldsRequest>,
    ) -> Result<Response<pb::ListHoldsResponse>, Status> {
        let command = ListHolds::try_from(request.into_inner())?;
        let (holds, is_last) = ops::hold::list(&self.books, &command).await?;
        let next_page_token = match holds.last() {
            Some(last) if !is_last => page::token(&[&command.fingerprint, &last.hold.hold_id.to_string()]),
            _ => String::new(),
        };
        let holds = holds.iter().map(convert::holds::held).collect();
        Ok(Response::new(pb::ListHoldsResponse { holds, next_page_token }))
    }

    async fn release_holds(
        &self,
        request: Request<pb::ReleaseHoldsRequest>,
    ) -> Result<Response<pb::ReleaseHoldsResponse>, Status> {
        let (books, saga) = (self.books.clone(), self.saga.clone());
        let command = ReleaseHolds::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(ops::hold::release_many(&books, &saga, command).await?)) }).await
    }
}
