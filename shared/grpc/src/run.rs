//! Work that outlives its caller.

use std::future::Future;
use tonic::Status;
use tracing::Instrument as _;

/// Runs `work` in a task of its own and waits for it. A caller that goes away (a dropped gRPC future) must not leave a
/// pooled connection inside a transaction: the work goes on to its end without it.
pub async fn to_end<T, F>(work: F) -> Result<T, Status>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Status>> + Send + 'static,
{
    match tokio::spawn(work.in_current_span()).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(%error, "a request's task failed");
            Err(Status::internal("internal error"))
        }
    }
}
