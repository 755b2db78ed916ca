//! ProofService.

use crate::ops;
use pesan_api::proof::v1 as pb;
use pesan_api::proof::v1::proof_service_server::ProofService;
use pesan_grpc::{Violations, refuse, run};
use pesan_host::Clock;
use sqlx::PgPool;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Proves that billing's house is in order.
pub struct Proof {
    pub pool: PgPool,
    pub clock: Clock,
}

#[tonic::async_trait]
impl ProofService for Proof {
    async fn check_invariants(
        &self,
        _: Request<pb::CheckInvariantsRequest>,
    ) -> Result<Response<pb::CheckInvariantsResponse>, Status> {
        let (pool, now) = (self.pool.clone(), self.clock.now());
        run::to_end(async move { Ok(Response::new(ops::proof::check(&pool, now).await?)) }).await
    }

    type StreamDigestsStream = ReceiverStream<Result<pb::StreamDigestsResponse, Status>>;

    async fn stream_digests(
        &self,
        request: Request<pb::StreamDigestsRequest>,
    ) -> Result<Response<Self::StreamDigestsStream>, Status> {
        let subjects = request.into_inner().subjects;
        let mut violations = Violations::new();
        violations.within("subjects", subjects.len(), 0, 10_000);
        let only: Vec<Uuid> =
            subjects.iter().enumerate().map(|(i, text)| violations.uuid(&format!("subjects[{i}]"), text)).collect();
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        // A slow reader holds the next page back, and no transaction.
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let only = (!only.is_empty()).then_some(only.as_slice());
            let mut after = Uuid::nil();
            loop {
                let page = match ops::proof::digests(&pool, after, only).await {
                    Ok(None) => return,
                    Ok(Some((digests, last))) => {
                        after = last;
                        let measures = ops::proof::MEASURES.map(str::to_owned).to_vec();
                        Ok(pb::StreamDigestsResponse { measures, digests })
                    }
                    Err(error) => Err(Status::from(error)),
                };
                let failed = page.is_err();
                if sender.send(page).await.is_err() || failed {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
