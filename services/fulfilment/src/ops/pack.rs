//! What was picked goes into parcels.

use super::Ops;
use super::change::change;
use crate::convert::{self, Pack};
use crate::error::Error;
use pesan_api::fulfilment::v1 as pb;

/// Packs what was picked.
pub async fn pack(ops: &Ops, command: Pack) -> Result<pb::FulfilmentOrder, Error> {
    change(ops, command.name, &command.claim, |order, facts| {
        let at = order.pack(&command.weights, command.effective)?;
        let fact = convert::packed(order);
        facts.add(order, &fact, at);
        Ok(())
    })
    .await
}
