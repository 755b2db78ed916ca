//! ProofService.

use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use pesan_api::proof::v1 as pb;
use pesan_api::proof::v1::proof_service_server::ProofService;
use pesan_grpc::{Violations, run};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Most subjects of a call.
const MOST: usize = 10_000;

/// The service.
#[derive(Clone)]
pub struct Proof {
    /// The books.
    pub books: Books,
}

#[tonic::async_trait]
impl ProofService for Proof {
    async fn check_invariants(
        &self,
        _: Request<pb::CheckInvariantsRequest>,
    ) -> Result<Response<pb::CheckInvariantsResponse>, Status> {
        let books = self.books.clone();
        run::to_end(async move { Ok(Response::new(ops::proof::check(&books).await?)) }).await
    }

    type StreamDigestsStream = ReceiverStream<Result<pb::StreamDigestsResponse, Status>>;

    async fn stream_digests(
        &self,
        request: Request<pb::StreamDigestsRequest>,
    ) -> Result<Response<Self::StreamDigestsStream>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        if request.subjects.len() > MOST {
            v.add("subjects", format!("must have at most {MOST} entries, not {}", request.subjects.len()));
        }
        let subjects: Vec<Uuid> = request
            .subjects
            .iter()
            .take(MOST)
            .enumerate()
            .map(|(i, subject)| v.uuid(&format!("subjects[{i}]"), subject))
            .collect();
        v.into_result(()).map_err(Error::from)?;
        let (sender, receiver) = mpsc::channel(2);
        let books = self.books.clone();
        tokio::spawn(async move {
            let mut after = Uuid::nil();
            loop {
                let page = match ops::proof::digests(&books, &subjects, after).await {
                    Ok((digests, _)) if digests.is_empty() => return,
                    Ok((digests, last)) => {
                        after = last;
                        let measures = ops::proof::MEASURES.map(str::to_owned).to_vec();
                        Ok(pb::StreamDigestsResponse { measures, digests })
                    }
                    Err(error) => Err(Status::from(error)),
                };
                let is_over = page.is_err();
                if sender.send(page).await.is_err() || is_over {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
