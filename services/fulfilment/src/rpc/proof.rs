//! `pesan.proof.v1.ProofService`.

use crate::convert;
use crate::ops::{self, Digests};
use pesan_api::proof::v1 as pb;
use pesan_api::proof::v1::proof_service_server::ProofService;
use pesan_grpc::run;
use sqlx::PgPool;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// Proves that this service's house is in order.
pub struct ProofRpc(pub PgPool);

#[tonic::async_trait]
impl ProofService for ProofRpc {
    async fn check_invariants(
        &self,
        _: Request<pb::CheckInvariantsRequest>,
    ) -> Result<Response<pb::CheckInvariantsResponse>, Status> {
        let pool = self.0.clone();
        let response = run::to_end(async move { Ok(ops::check_invariants(&pool).await?) }).await?;
        Ok(Response::new(response))
    }

    type StreamDigestsStream = ReceiverStream<Result<pb::StreamDigestsResponse, Status>>;

    async fn stream_digests(
        &self,
        request: Request<pb::StreamDigestsRequest>,
    ) -> Result<Response<Self::StreamDigestsStream>, Status> {
        let mut digests = ops::digests(self.0.clone(), convert::subjects(&request.into_inner().subjects)?);
        // A slow reader holds back the pages: nothing gathers here.
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        tokio::spawn(async move {
            loop {
                let page = match digests.next_page().await {
                    Ok(page) if page.is_empty() => return,
                    Ok(page) => Ok(response(page)),
                    Err(error) => Err(Status::from(error)),
                };
                let failed = page.is_err();
                if sender.send(page).await.is_err() || failed {
                    return; // the reader has gone, or knows that it failed
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

fn response(digests: Vec<pb::Digest>) -> pb::StreamDigestsResponse {
    let measures = Digests::MEASURES.iter().map(|name| (*name).to_owned()).collect();
    pb::StreamDigestsResponse { measures, digests }
}
