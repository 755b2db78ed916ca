//! ChangeService.

use crate::convert::change::{CommitChange, PlanChange};
use crate::ops::change::Changer;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::change_service_server::ChangeService;
use pesan_grpc::{deadline, run};
use std::time::Duration;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// The service.
#[derive(Clone)]
pub struct Changes {
    /// Does it.
    pub changer: Changer,
    /// How long a call without a deadline waits for its outcome.
    pub wait: Duration,
}

#[tonic::async_trait]
impl ChangeService for Changes {
    async fn plan_change(
        &self,
        request: Request<pb::PlanChangeRequest>,
    ) -> Result<Response<pb::PlanChangeResponse>, Status> {
        let command = PlanChange::try_from(request.into_inner())?;
        let plan = self.changer.plan(&command).await?;
        Ok(Response::new(pb::PlanChangeResponse { plan: Some(plan) }))
    }

    async fn commit_change(
        &self,
        request: Request<pb::CommitChangeRequest>,
    ) -> Result<Response<pb::CommitChangeResponse>, Status> {
        let time = deadline::timeout(request.metadata()).unwrap_or(self.wait);
        let margin = (time / 5).min(Duration::from_millis(250));
        let until = Instant::now() + (time - margin).min(Duration::from_secs(300));
        let changer = self.changer.clone();
        let command = CommitChange::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(changer.commit(&command, until).await?)) }).await
    }
}
