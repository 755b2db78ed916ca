//! Goods come back and are inspected.

use super::{Ops, claim, look};
use crate::convert::{self, Receive};
use crate::error::Error;
use crate::expected_return::ExpectedReturn;
use crate::id::{OrderId, ReturnId};
use crate::store;
use pesan_api::fulfilment::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::idempotency;
use prost::Message as _;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// Books what came back, all of it or nothing. The answer, which is kept with the request.
pub async fn receive_return(ops: &Ops, command: Receive) -> Result<pb::ExpectedReturn, Error> {
    let (id, order_id) = look::find_return(&ops.pool, &command.name).await?;
    let mut tx = pesan_feed::begin(&ops.pool, [order_id.0]).await?;
    if let Some(answer) = claim(&mut tx, &command.claim).await? {
        return pb::ExpectedReturn::decode(answer.as_slice())
            .map_err(|error| Error::Broken(format!("an answer cannot be read: {error}")));
    }
    let mut expected = load(&mut tx, id).await?;
    let inspected = command.inspected.iter().map(|line| line.line_no);
    let lines: BTreeSet<(OrderId, i32)> =
        expected.lines.iter().map(|line| line.line_no).chain(inspected).map(|line_no| (order_id, line_no)).collect();
    let origins = store::expected_return::origins(&mut tx, &lines).await?.remove(&order_id).unwrap_or_default();
    let Receive { inspected, other_goods, location, effective, .. } = command;
    let receipt = if command.accepts_discrepancies {
        expected.receive_as_found(inspected, other_goods, location, &origins, effective)?
    } else {
        expected.receive(inspected, location, &origins, effective)?
    };
    store::expected_return::update(&mut tx, &expected).await?;
    store::expected_return::insert_receipts(&mut tx, std::slice::from_ref(&receipt)).await?;
    let fact = convert::return_received(&expected, &receipt);
    let event = NewEvent::new(id.0, expected.version, &fact, receipt.received_at).of_journey(order_id.0);
    pesan_feed::append(&mut tx, &[event]).await?;
    let answer = pb::ExpectedReturn::from(expected);
    idempotency::answer(&mut tx, &[(command.claim.request_id, answer.encode_to_vec())]).await?;
    tx.commit().await?;
    ops.feed.wake();
    Ok(answer)
}

/// The return with this id, which is there.
pub(super) async fn load(conn: &mut PgConnection, id: ReturnId) -> Result<ExpectedReturn, Error> {
    let expected = store::expected_return::load(conn, &[id]).await?.pop();
    expected.ok_or_else(|| Error::Broken(format!("return {} has gone", id.0)))
}
