//! Somebody went along the shelves.

use super::Ops;
use super::change::change;
use crate::convert::{self, Pick};
use crate::error::Error;
use pesan_api::fulfilment::v1 as pb;

/// Picks what is open. What was not found leaves the fulfilment order, and inventory is told.
pub async fn pick(ops: &Ops, command: Pick) -> Result<pb::FulfilmentOrder, Error> {
    change(ops, command.name, &command.claim, |order, facts| {
        let picking = order.pick(&command.found, command.effective)?;
        if !picking.picked.is_empty() {
            let fact = convert::picked(order, picking.picked);
            facts.add(order, &fact, picking.at);
        }
        if !picking.short.is_empty() {
            let fact = convert::short_picked(order, picking.short);
            facts.add(order, &fact, picking.at);
        }
        Ok(())
    })
    .await
}
