//! What every command on one fulfilment order has in common: lock, claim, decide, write, publish.

use super::{Ops, claim, look};
use crate::convert::Name;
use crate::error::Error;
use crate::fulfilment_order::FulfilmentOrder;
use crate::id::FulfilmentOrderId;
use crate::store;
use pesan_api::fulfilment::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::idempotency::{self, Claim};
use prost::{Message, Name as MessageName};
use sqlx::PgConnection;
use time::OffsetDateTime;

/// The facts of one change.
#[derive(Default)]
pub(super) struct Facts(pub Vec<NewEvent>);

impl Facts {
    /// Adds the fulfilment order's next fact.
    pub fn add<M: Message + MessageName>(&mut self, order: &mut FulfilmentOrder, fact: &M, at: OffsetDateTime) {
        order.version += 1;
        self.0.push(NewEvent::new(order.id.0, order.version, fact, at).of_journey(order.order_id.0));
    }
}

/// Carries out `decide` on the fulfilment order called `name`, unless the same request was carried out before. The answer,
/// which is kept with the request.
pub(super) async fn change(
    ops: &Ops,
    name: Name,
    request: &Claim,
    decide: impl FnOnce(&mut FulfilmentOrder, &mut Facts) -> Result<(), Error> + Send,
) -> Result<pb::FulfilmentOrder, Error> {
    let (id, order_id) = look::find_order(&ops.pool, name).await?;
    let mut tx = pesan_feed::begin(&ops.pool, [order_id.0]).await?;
    if let Some(answer) = claim(&mut tx, request).await? {
        return answered(&answer);
    }
    let mut order = load(&mut tx, id).await?;
    let before = order.version;
    let mut facts = Facts::default();
    decide(&mut order, &mut facts)?;
    let orders = std::slice::from_ref(&order);
    store::fulfilment_order::update_lines(&mut tx, orders).await?;
    store::fulfilment_order::write_parcels(&mut tx, orders).await?;
    store::fulfilment_order::update(&mut tx, orders, &[before]).await?;
    pesan_feed::append(&mut tx, &facts.0).await?;
    let answer = pb::FulfilmentOrder::from(order);
    idempotency::answer(&mut tx, &[(request.request_id, answer.encode_to_vec())]).await?;
    tx.commit().await?;
    ops.feed.wake();
    Ok(answer)
}

/// The answer that was given to a request.
pub(super) fn answered(answer: &[u8]) -> Result<pb::FulfilmentOrder, Error> {
    pb::FulfilmentOrder::decode(answer).map_err(|error| Error::Broken(format!("an answer cannot be read: {error}")))
}

/// The fulfilment order with this id, which is there.
pub(super) async fn load(conn: &mut PgConnection, id: FulfilmentOrderId) -> Result<FulfilmentOrder, Error> {
    let order = store::fulfilment_order::load(conn, &[id]).await?.pop();
    order.ok_or_else(|| Error::Broken(format!("fulfilment order {} has gone", id.0)))
}
