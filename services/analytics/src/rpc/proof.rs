//! ProofService.

use crate::ops;
use crate::store::invariant::OrderDigest;
use pesan_api::proof::v1 as pb;
use pesan_api::proof::v1::proof_service_server::ProofService;
use pesan_grpc::{Violations, refuse, run};
use sqlx::PgPool;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

const MEASURES: [&str; 5] = ["units_ordered", "gross", "units_shipped", "invoiced_amount", "credited_amount"];
const MAX_SUBJECTS: usize = 10_000;

/// Answers ProofService.
pub struct ProofRpc {
    pub pool: PgPool,
}

#[tonic::async_trait]
impl ProofService for ProofRpc {
    async fn check_invariants(
        &self,
        _: Request<pb::CheckInvariantsRequest>,
    ) -> Result<Response<pb::CheckInvariantsResponse>, Status> {
        let pool = self.pool.clone();
        let response = run::to_end(async move { Ok(ops::prove::check(&pool).await?) }).await?;
        Ok(Response::new(response))
    }

    type StreamDigestsStream = ReceiverStream<Result<pb::StreamDigestsResponse, Status>>;

    async fn stream_digests(
        &self,
        request: Request<pb::StreamDigestsRequest>,
    ) -> Result<Response<Self::StreamDigestsStream>, Status> {
        let only = subjects(&request.into_inner().subjects).map_err(|violations| refuse::invalid(&violations))?;
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let mut after = Uuid::nil();
            while let Some(message) = page(&pool, &mut after, only.as_deref()).await.transpose() {
                let failed = message.is_err();
                if sender.send(message).await.is_err() || failed {
                    return; // the caller went away, or knows
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

/// The next message, and `after` moved behind it; none at the end.
async fn page(
    pool: &PgPool,
    after: &mut Uuid,
    only: Option<&[Uuid]>,
) -> Result<Option<pb::StreamDigestsResponse>, Status> {
    let digests = ops::digest::page(pool, *after, only).await?;
    let Some(last) = digests.last() else { return Ok(None) };
    *after = last.subject;
    let measures = MEASURES.map(str::to_owned).to_vec();
    Ok(Some(pb::StreamDigestsResponse { measures, digests: digests.into_iter().map(digest).collect() }))
}

fn digest(order: OrderDigest) -> pb::Digest {
    let values = vec![order.units_ordered, order.gross, order.units_shipped, order.invoiced, order.credited];
    pb::Digest { subject: order.subject.to_string(), parts: vec![pb::Part { part: 0, values }] }
}

fn subjects(texts: &[String]) -> Result<Option<Vec<Uuid>>, Violations> {
    let mut violations = Violations::new();
    if texts.len() > MAX_SUBJECTS {
        violations.add("subjects", format!("must have at most {MAX_SUBJECTS} ids, not {}", texts.len()));
        return Err(violations);
    }
    let ids: Vec<Uuid> =
        texts.iter().enumerate().map(|(place, text)| violations.uuid(&format!("subjects[{place}]"), text)).collect();
    violations.into_result(if ids.is_empty() { None } else { Some(ids) })
}
