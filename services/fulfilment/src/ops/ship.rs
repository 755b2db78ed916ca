//! Goods issue, in three phases, because a carrier is not asked inside a transaction: write down that it is asked, ask,
//! write down what it answered. If the process ends in between, the same request asks the carrier again with the same key,
//! and gets the same labels; nothing has left until the last phase commits.

use super::change::{answered, change, load};
use super::{Ops, claim, look};
use crate::carrier::{CarrierError, Consignment};
use crate::convert::{self, Ship};
use crate::error::Error;
use crate::store;
use pesan_api::fulfilment::v1 as pb;
use pesan_grpc::idempotency;
use std::time::Duration;

/// How long a carrier may take for an answer.
const CARRIER_TIMEOUT: Duration = Duration::from_secs(20);

/// Ships what is packed.
pub async fn ship(ops: &Ops, command: Ship) -> Result<pb::FulfilmentOrder, Error> {
    let consignment = match intend(ops, &command).await? {
        Intent::Shipped(answer) => return Ok(*answer),
        Intent::Ask(consignment) => consignment,
    };
    let labels = tokio::time::timeout(CARRIER_TIMEOUT, ops.carrier.book(&consignment))
        .await
        .map_err(|_| CarrierError::Unavailable(format!("no answer within {} s", CARRIER_TIMEOUT.as_secs())))??;
    change(ops, command.name, &command.claim, |order, facts| {
        let at = order.ship(labels, command.effective)?;
        let fact = convert::goods_issued(order);
        facts.add(order, &fact, at);
        Ok(())
    })
    .await
}

enum Intent {
    /// The same request was carried out before.
    Shipped(Box<pb::FulfilmentOrder>),
    Ask(Consignment),
}

/// Checks that it may be shipped and writes down which carrier is about to be asked.
async fn intend(ops: &Ops, command: &Ship) -> Result<Intent, Error> {
    let (id, order_id) = look::find_order(&ops.pool, command.name).await?;
    let mut tx = pesan_feed::begin(&ops.pool, [order_id.0]).await?;
    if let Some(answer) = claim(&mut tx, &command.claim).await? {
        return Ok(Intent::Shipped(Box::new(answered(&answer)?)));
    }
    let mut order = load(&mut tx, id).await?;
    order.may_ship(command.effective)?;
    let now = command.effective.said.unwrap_or(command.effective.now);
    let not_before = store::followed_order::not_before(&mut tx, order_id).await?;
    if let Some(not_before) = not_before.filter(|not_before| now < *not_before) {
        return Err(Error::NotBefore { number: order.number, not_before });
    }
    let carrier = ops.carrier.name();
    for parcel in &mut order.parcels {
        let asked = parcel.carrier.get_or_insert_with(|| carrier.to_owned());
        if asked != carrier {
            return Err(Error::OtherCarrier { number: order.number, carrier: asked.clone() });
        }
    }
    store::fulfilment_order::write_parcels(&mut tx, std::slice::from_ref(&order)).await?;
    // The id is claimed for good where goods leave.
    idempotency::give_up(&mut tx, &[command.claim.request_id]).await?;
    tx.commit().await?;
    let weights = order.parcels.iter().map(|parcel| parcel.weight_grams).collect();
    Ok(Intent::Ask(Consignment { key: order.id, number: order.number, weights }))
}
