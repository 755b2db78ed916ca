//! What is sent to customers once what they return is back.

use super::fold::Fold;
use crate::convert;
use crate::error::Error;
use crate::ops::linked;
use crate::store;
use pesan_feed::NewEvent;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use uuid::Uuid;

/// Places the orders of those returns whose goods are back now; the facts of it. `exchanged` and `closed` are the returns of
/// the batch that it may concern.
pub async fn place_due(
    conn: &mut PgConnection,
    fold: &mut Fold<'_>,
    exchanged: Vec<Uuid>,
    closed: Vec<Uuid>,
    now: OffsetDateTime,
) -> Result<Vec<NewEvent>, Error> {
    let ids: BTreeSet<Uuid> = exchanged.into_iter().chain(closed).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut events = Vec::new();
    for mut rma in store::rma::by_ids(conn, &ids.into_iter().collect::<Vec<_>>()).await? {
        if !rma.is_due() {
            continue;
        }
        let at = fold.last_of(rma.order_id).map_or(now, |event| event.effective_at);
        let (original, resolution) = (linked::original(conn, rma.order_id).await?, rma.resolution);
        events.push(linked::place(conn, &mut rma, &original, linked::Content::Wished(resolution), (at, now)).await?);
        rma.version += 1;
        store::rma::save(conn, &rma).await?;
        events.extend(fold.tell(rma.order_id, &convert::returns::progressed(&rma, original.currency)));
    }
    Ok(events)
}
