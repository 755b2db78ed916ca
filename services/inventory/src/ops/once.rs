//! One request, carried out once: its id is claimed in the transaction of its effect, after the locks.

use crate::error::Error;
use pesan_grpc::idempotency::{self, Claim, Claimed};
use prost::Message;
use sqlx::PgConnection;

/// The answer that was given when the request was carried out; none: it is new, and its answer is to be kept by
/// [`keep`] in the same transaction.
pub(super) async fn answered<M: Message + Default>(conn: &mut PgConnection, claim: &Claim) -> Result<Option<M>, Error> {
    match idempotency::claim(conn, std::slice::from_ref(claim)).await?.pop() {
        Some(Claimed::Answered(answer)) => {
            let answer = M::decode(answer.as_slice()).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
            Ok(Some(answer))
        }
        Some(Claimed::Reused(fields)) => Err(Error::RequestIdReused(fields)),
        Some(Claimed::New | Claimed::SameAs(_)) | None => Ok(None),
    }
}

/// Keeps the answer to a request that is carried out.
pub(super) async fn keep<M: Message>(conn: &mut PgConnection, claim: &Claim, answer: &M) -> Result<(), Error> {
    Ok(idempotency::answer(conn, &[(claim.request_id, answer.encode_to_vec())]).await?)
}
