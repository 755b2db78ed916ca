//! Nothing more of a return is expected.

use super::{Ops, claim, look, receive_return};
use crate::convert::{self, Close};
use crate::error::Error;
use crate::store;
use pesan_api::fulfilment::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::idempotency;
use prost::Message as _;

/// Lets go of what did not come back. The answer, which is kept with the request.
pub async fn close_return(ops: &Ops, command: Close) -> Result<pb::ExpectedReturn, Error> {
    let (id, order_id) = look::find_return(&ops.pool, &command.name).await?;
    let mut tx = pesan_feed::begin(&ops.pool, [order_id.0]).await?;
    if let Some(answer) = claim(&mut tx, &command.claim).await? {
        return pb::ExpectedReturn::decode(answer.as_slice())
            .map_err(|error| Error::Broken(format!("an answer cannot be read: {error}")));
    }
    let mut expected = receive_return::load(&mut tx, id).await?;
    let now = ops.clock.now();
    if let Some(released) = expected.close(command.only_if_untouched, now)? {
        store::expected_return::update(&mut tx, &expected).await?;
        let fact = convert::return_closed(&expected, &released);
        let event = NewEvent::new(id.0, expected.version, &fact, now).of_journey(order_id.0);
        pesan_feed::append(&mut tx, &[event]).await?;
    }
    let answer = pb::ExpectedReturn::from(expected);
    idempotency::answer(&mut tx, &[(command.claim.request_id, answer.encode_to_vec())]).await?;
    tx.commit().await?;
    ops.feed.wake();
    Ok(answer)
}
