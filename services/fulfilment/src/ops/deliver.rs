//! The customer has it.

use super::Ops;
use super::change::change;
use crate::convert::{self, Deliver};
use crate::error::Error;
use pesan_api::fulfilment::v1 as pb;

/// Notes that what was shipped has arrived.
pub async fn confirm_delivery(ops: &Ops, command: Deliver) -> Result<pb::FulfilmentOrder, Error> {
    change(ops, command.name, &command.claim, |order, facts| {
        let at = order.confirm_delivery(command.effective)?;
        let fact = convert::delivered(order);
        facts.add(order, &fact, at);
        Ok(())
    })
    .await
}
