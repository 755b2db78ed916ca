//! What becomes of orders in the hands of inventory, fulfilment and billing. A batch of their facts is folded into the
//! lines it touches: each line and each order is read once and written once, however many facts tell of it.

mod due;
mod fact;
mod fold;
mod missing;
mod promises;

use crate::ops::Books;
use crate::store;
use fact::Fact;
use fold::Fold;
use pesan_feed::{Event, Handle};
use sqlx::PgConnection;
use std::sync::{Mutex, PoisonError};
use tracing::debug;
use uuid::Uuid;

/// The same for all three feeds: a fact's type tells what it is.
pub struct Follow {
    books: Books,
    /// Orders that the last batch changed.
    changed: Mutex<Vec<Uuid>>,
}

impl Follow {
    /// Adds facts to these books.
    pub fn new(books: Books) -> Self {
        Self { books, changed: Mutex::new(Vec::new()) }
    }
}

impl Handle for Follow {
    fn types(&self) -> Vec<String> {
        Fact::types()
    }

    async fn apply(&self, conn: &mut PgConnection, events: &[Event]) -> anyhow::Result<()> {
        let mut facts = Vec::with_capacity(events.len());
        for event in events {
            if let (Some(order_id), Some(fact)) = (event.correlation_id, Fact::read(event)?) {
                facts.push((order_id, event, fact));
            }
        }
        if facts.is_empty() {
            return Ok(());
        }
        let mut ids: Vec<Uuid> = facts.iter().map(|(order_id, ..)| *order_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut keys: Vec<(Uuid, i32)> =
            facts.iter().flat_map(|(id, _, fact)| fact.line_nos().into_iter().map(|line_no| (*id, line_no))).collect();
        keys.sort_unstable();
        keys.dedup();
        let heads = store::order::heads(conn, &ids).await?;
        let mut lines = store::line::load(conn, &keys).await?;
        for (order_id, _, fact) in &facts {
            if fact.is_about_all_lines() {
                let all = store::line::of_order(conn, *order_id).await?;
                lines.extend(all.into_iter().map(|line| ((*order_id, line.line_no), line)));
            }
        }

        // Few lines are ever changed, and only inventory's facts about single lines have to mind.
        let minding: Vec<Uuid> =
            facts.iter().filter(|(_, _, fact)| fact.minds_changes()).map(|(order_id, ..)| *order_id).collect();
        let (marks, passed) = match minding.as_slice() {
            [] => Default::default(),
            ids => (store::change::marks(conn, ids).await?, store::change::passed(conn, ids).await?),
        };
        let mut fold = Fold::new(heads, lines, marks, passed);
        let mut unknown = Vec::new();
        for (order_id, event, fact) in &facts {
            if !fold.apply(*order_id, event, fact)? {
                if fact.is_of_inventory() {
                    unknown.push((*order_id, *event, fact));
                }
                debug!(%order_id, kind = event.kind, "a fact about an order that is not there was passed over");
            }
        }
        store::search::track(conn, &tracking_numbers(&facts, &fold)).await?;
        promises::apply(conn, &unknown).await?;
        let now = self.books.clock.now();
        let free = fold.no_longer_withheld(now);
        if !free.is_empty() {
            let parts = store::delivery::take_all(conn, &free).await?;
            let keys: Vec<(Uuid, i32)> = parts.iter().map(|(order_id, part)| (*order_id, part.line_no)).collect();
            let skus = store::line::skus_of(conn, &keys).await?;
            fold.release(parts, skus);
        }
        let mut events = fold.publish(now);
        store::delivery::keep(conn, fold.kept_back()).await?;
        store::delivery::fall_due(conn, fold.due()).await?;
        events.extend(missing::tell(conn, &mut fold).await?);
        let exchanged = store::rma::receive(conn, &fold.received()).await?;
        store::rma::add_discrepancies(conn, fold.discrepancies()).await?;
        let closed = store::rma::release(conn, &fold.released()).await?;
        store::goodwill::credited(conn, fold.allowed()).await?;
        events.extend(due::place_due(conn, &mut fold, exchanged, closed, self.books.clock.now()).await?);
        store::line::write(conn, &fold.changed_lines()).await?;
        store::order::write(conn, &fold.changed_heads()).await?;
        for (order_id, passed) in fold.passed() {
            store::change::keep_passed(conn, order_id, passed).await?;
        }
        pesan_feed::append(conn, &events).await?;
        *self.changed.lock().unwrap_or_else(PoisonError::into_inner) = fold.changed_orders();
        Ok(())
    }

    fn applied(&self) {
        let changed = std::mem::take(&mut *self.changed.lock().unwrap_or_else(PoisonError::into_inner));
        if !changed.is_empty() {
            self.books.changed(changed);
        }
    }
}

/// The parcels that left, by their tracking numbers; an order is found by them.
fn tracking_numbers<'a>(facts: &'a [(Uuid, &Event, Fact)], fold: &Fold<'_>) -> Vec<(&'a str, Uuid)> {
    let issued = facts.iter().filter_map(|(order_id, _, fact)| match fact {
        Fact::Issued(fact) if fold.knows(*order_id) => Some((*order_id, &fact.parcels)),
        _ => None,
    });
    let numbers = issued
        .flat_map(|(order_id, parcels)| parcels.iter().map(move |parcel| (parcel.tracking_number.as_str(), order_id)));
    numbers.filter(|(number, _)| !number.is_empty()).collect()
}
