//! Approved returns are expected, or, straight through, taken as received.

use crate::convert;
use crate::effective::Effective;
use crate::error::Error;
use crate::expected_return::ExpectedReturn;
use crate::id::OrderId;
use crate::store;
use pesan_feed::{Event, NewEvent};
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};

/// A return that an order's event approved.
pub struct Approved<'a> {
    pub event: &'a Event,
    pub expected: ExpectedReturn,
    /// All of it came back in sellable condition when it was requested.
    pub straight_through: bool,
}

/// Expects a batch of returns. The facts of it, for the caller to publish.
pub async fn expect_returns(conn: &mut PgConnection, approved: Vec<Approved<'_>>) -> Result<Vec<NewEvent>, Error> {
    let received = approved.iter().filter(|approved| approved.straight_through).map(|approved| &approved.expected);
    let lines: BTreeSet<(OrderId, i32)> =
        received.flat_map(|expected| expected.lines.iter().map(|line| (expected.order_id, line.line_no))).collect();
    let origins = if lines.is_empty() { HashMap::new() } else { store::expected_return::origins(conn, &lines).await? };
    let nowhere = HashMap::new();
    let mut returns = Vec::with_capacity(approved.len());
    let mut receipts = Vec::new();
    let mut facts = Vec::new();
    for Approved { event, mut expected, straight_through } in approved {
        if straight_through {
            let at = expected.requested_at;
            let origins = origins.get(&expected.order_id).unwrap_or(&nowhere);
            let inspected = expected.all_sellable();
            let receipt = expected.receive(inspected, None, origins, Effective { said: Some(at), now: at })?;
            let fact = convert::return_received(&expected, &receipt);
            let event = NewEvent::new(expected.id.0, expected.version, &fact, at)
                .of_journey(expected.order_id.0)
                .in_trace(Some(&event.traceparent));
            facts.push(event);
            receipts.push(receipt);
        }
        returns.push(expected);
    }
    store::expected_return::insert(conn, &returns).await?;
    store::expected_return::insert_receipts(conn, &receipts).await?;
    Ok(facts)
}
