//! Applies a batch of events of one feed: load what is known of its orders, work out what changes, write each row once.
//!
//! The number of statements does not depend on the size of the batch. The caller holds the locks of all journeys in the
//! batch, so that nobody else changes the rows of these orders; rows of the rollups, which many orders share, are written
//! in key order, table after table.

use crate::batch::{self, Known};
use crate::convert::facts;
use crate::journey::Entry;
use crate::order_fact::Fact;
use crate::store;
use pesan_api::analytics::v1::Rebuilt;
use pesan_feed::{Event, NewEvent};
use sqlx::PgConnection;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use uuid::Uuid;

/// Applies events of `source` in the caller's transaction.
pub async fn apply(conn: &mut PgConnection, source: &str, events: &[Event], now: OffsetDateTime) -> anyhow::Result<()> {
    let batch = facts::read(events)?;
    write(&mut *conn, batch.facts, &batch.entries).await?;
    if store::rebuild::count(&mut *conn, source, i64::try_from(events.len())?).await? {
        finish_rebuild(conn, now).await?;
    }
    Ok(())
}

async fn write(conn: &mut PgConnection, facts: Vec<Fact>, entries: &[Entry]) -> sqlx::Result<()> {
    let known = load(&mut *conn, &facts).await?;
    let writes = batch::fold(known, facts);
    store::dims::write(&mut *conn, &writes.dims).await?;
    store::order_fact::write(&mut *conn, &writes.orders).await?;
    store::order_fact::name(&mut *conn, &writes.accepted).await?;
    store::lines::write(&mut *conn, &writes.accepted).await?;
    store::lines::rewrite(&mut *conn, &writes.amended).await?;
    store::order_fact::find_first_orders(&mut *conn, &writes.customers, writes.rejections).await?;
    store::goods::write_holds(&mut *conn, &writes.holds).await?;
    store::goods::release_holds(&mut *conn, &writes.releases).await?;
    store::goods::write_shipments(&mut *conn, &writes.shipments).await?;
    store::goods::write_returns(&mut *conn, &writes.returns).await?;
    store::document::write(&mut *conn, &writes.documents).await?;
    store::document::settle(&mut *conn, &writes.settled).await?;
    store::rollup::change_sales(&mut *conn, &writes.sales_added, &writes.sales_taken).await?;
    store::rollup::change_products(&mut *conn, &writes.products_added, &writes.products_taken).await?;
    store::rollup::add_documents(&mut *conn, &writes.document_slots).await?;
    store::journey::write(conn, entries).await
}

async fn load(conn: &mut PgConnection, facts: &[Fact]) -> sqlx::Result<Known> {
    let order_ids: BTreeSet<Uuid> = facts.iter().filter_map(Fact::order_id).collect();
    let order_ids: Vec<Uuid> = order_ids.into_iter().collect();
    let orders = store::order_fact::load(&mut *conn, &order_ids).await?;
    let mut rejected = Vec::new();
    let mut met_before = Vec::new();
    for fact in facts {
        match fact {
            // Their lines have been counted, and are now to be taken away.
            Fact::Rejected { order_id } if orders.get(order_id).is_some_and(|order| order.sales().is_some()) => {
                rejected.push(*order_id);
            }
            Fact::Amended { order_id, .. } if orders.contains_key(order_id) => rejected.push(*order_id),
            // Another feed was faster: documents may wait for it.
            Fact::Accepted(accepted) if orders.contains_key(&accepted.order_id) => met_before.push(accepted.order_id),
            _ => {}
        }
    }
    let lines = store::lines::load(&mut *conn, &rejected).await?;
    let waiting = store::document::waiting(conn, &met_before).await?;
    Ok(Known { orders, lines, waiting })
}

/// Ends the rebuild that is running, if all feeds are applied again, and tells of it.
pub async fn finish_rebuild(conn: &mut PgConnection, now: OffsetDateTime) -> sqlx::Result<()> {
    let (finished, events) = store::rebuild::finish(&mut *conn).await?;
    let facts: Vec<NewEvent> =
        finished.into_iter().map(|rebuild_id| NewEvent::new(rebuild_id, 1, &Rebuilt { events }, now)).collect();
    pesan_feed::append(conn, &facts).await
}
