use super::{at_most, checked};
use crate::ops::{Inventory, prove};
use crate::store::digest::MEASURES;
use pesan_api::proof::v1 as pb;
use pesan_api::proof::v1::proof_service_server::ProofService;
use pesan_grpc::Violations;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// `pesan.proof.v1.ProofService`.
#[derive(Clone)]
pub struct ProofRpc {
    inventory: Inventory,
}

impl ProofRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

#[tonic::async_trait]
impl ProofService for ProofRpc {
    async fn check_invariants(
        &self,
        _: Request<pb::CheckInvariantsRequest>,
    ) -> Result<Response<pb::CheckInvariantsResponse>, Status> {
        Ok(Response::new(prove::check(&self.inventory).await?))
    }

    type StreamDigestsStream = ReceiverStream<Result<pb::StreamDigestsResponse, Status>>;

    async fn stream_digests(
        &self,
        request: Request<pb::StreamDigestsRequest>,
    ) -> Result<Response<Self::StreamDigestsStream>, Status> {
        let subjects = request.into_inner().subjects;
        at_most("subjects", subjects.len(), 10_000)?;
        let mut violations = Violations::new();
        let subjects: Vec<Uuid> = subjects
            .iter()
            .enumerate()
            .map(|(i, subject)| violations.uuid(&format!("subjects[{i}]"), subject))
            .collect();
        let only = checked(violations, Some(subjects).filter(|subjects| !subjects.is_empty()))?;

        // A slow reader slows the reading down: two pages are kept at most.
        let (sender, receiver) = tokio::sync::mpsc::channel(2);
        let inventory = self.inventory.clone();
        tokio::spawn(async move {
            let mut after = Uuid::nil();
            loop {
                let page = prove::digests(&inventory, after, only.as_deref()).await;
                let digests = match page {
                    Ok(digests) => digests,
                    Err(error) => {
                        let _ = sender.send(Err(error.into())).await; // a reader that has gone needs no error
                        return;
                    }
                };
                let Some(last) = digests.last().and_then(|digest| digest.subject.parse().ok()) else { return };
                after = last;
                let measures = MEASURES.map(str::to_owned).to_vec();
                if sender.send(Ok(pb::StreamDigestsResponse { measures, digests })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
