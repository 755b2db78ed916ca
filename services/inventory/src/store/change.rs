//! Changes of orders.

use sqlx::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

/// Which revisions of an order are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// The newest.
    pub revision: i64,
    /// The newest that was dropped.
    pub dropped: i64,
}

/// What is known of some orders' changes; of most there are none.
pub async fn known(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Known>> {
    let rows: Vec<(Uuid, i64, i64)> =
        sqlx::query_as("select order_id, revision, dropped from reservation_change where order_id = any($1)")
            .bind(orders)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|(order_id, revision, dropped)| (order_id, Known { revision, dropped })).collect())
}

/// Notes revisions.
pub async fn note(conn: &mut PgConnection, changes: &[(Uuid, Known)]) -> sqlx::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into reservation_change (order_id, revision, dropped)
         select * from unnest($1::uuid[], $2::int8[], $3::int8[])
         on conflict (order_id) do update
            set revision = greatest(reservation_change.revision, excluded.revision),
                dropped = greatest(reservation_change.dropped, excluded.dropped)",
    )
    .bind(changes.iter().map(|(order_id, _)| *order_id).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, known)| known.revision).collect::<Vec<_>>())
    .bind(changes.iter().map(|(_, known)| known.dropped).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
