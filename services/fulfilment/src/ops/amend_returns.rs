//! Goods that came back unannounced, and were set aside, are taken after all.

use crate::convert;
use crate::error::Error;
use crate::expected_return::Amendment;
use crate::id::{OrderId, ReturnId};
use crate::store;
use pesan_feed::{Event, NewEvent};
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// A return that an order's event amended.
pub struct Amended<'a> {
    pub event: &'a Event,
    pub return_id: ReturnId,
    pub order_id: OrderId,
    pub amendments: Vec<Amendment>,
}

/// Receives what returns are amended by, one after the other: people decide it, there are few. The facts of it.
pub async fn amend_returns(conn: &mut PgConnection, amended: Vec<Amended<'_>>) -> Result<Vec<NewEvent>, Error> {
    let mut facts = Vec::with_capacity(amended.len());
    for Amended { event, return_id, order_id, amendments } in amended {
        let lines: BTreeSet<_> = amendments.iter().map(|amendment| (order_id, amendment.line_no)).collect();
        let origins = store::expected_return::origins(conn, &lines).await?.remove(&order_id).unwrap_or_default();
        let mut expected = super::receive_return::load(conn, return_id).await?;
        let receipt = expected.amend(amendments, &origins, event.effective_at)?;
        store::expected_return::update(conn, &expected).await?;
        store::expected_return::insert_receipts(conn, std::slice::from_ref(&receipt)).await?;
        let fact = convert::return_received(&expected, &receipt);
        let fact = NewEvent::new(return_id.0, expected.version, &fact, event.effective_at).of_journey(order_id.0);
        facts.push(fact.in_trace(Some(&event.traceparent)));
    }
    Ok(facts)
}
