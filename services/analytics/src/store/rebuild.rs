//! Reading the feeds again from the beginning.

use sqlx::PgConnection;
use uuid::Uuid;

/// Sends all followers back to the first event and empties what they built. As many events as were applied before must
/// be applied again until the rebuild is done.
pub async fn begin(conn: &mut PgConnection, rebuild_id: Uuid) -> sqlx::Result<()> {
    sqlx::query("set local lock_timeout = '10s'").execute(&mut *conn).await?;
    // The cursors' rows first: a follower holds its own before it touches a table, so that none is in the middle of a
    // batch once all are locked here, and those that wait find their cursor moved.
    pesan_feed::reset(&mut *conn).await?;
    sqlx::query("update feed_progress set target = greatest(target, events), events = 0").execute(&mut *conn).await?;
    // dims first: every reader of several tables holds it from its beginning.
    sqlx::query(
        "truncate dims, order_fact, order_name, order_lines, customer_fact, shipment_fact, return_fact, hold_fact,
                  document_fact, sales_slot, product_slot, document_slot, journey_entry",
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query("insert into rebuild (rebuild_id) values ($1)").bind(rebuild_id).execute(conn).await?;
    Ok(())
}

/// Counts events of a feed as applied. True when this batch brought the feed to where it was when a rebuild began.
pub async fn count(conn: &mut PgConnection, source: &str, events: i64) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "insert into feed_progress (source, events) values ($1, $2)
         on conflict (source) do update set events = feed_progress.events + excluded.events
         returning events >= target and events - $2 < target",
    )
    .bind(source)
    .bind(events)
    .fetch_one(conn)
    .await
}

/// Ends the rebuilds that are done: all feeds are applied as far as they were before. Their ids, and the events applied.
pub async fn finish(conn: &mut PgConnection) -> sqlx::Result<(Vec<Uuid>, i64)> {
    // Of two followers that arrive together the second must see the first one's count.
    sqlx::query("select pg_advisory_xact_lock(hashtext(current_schema()), -1)").execute(&mut *conn).await?;
    let done: bool = sqlx::query_scalar("select coalesce(bool_and(events >= target), true) from feed_progress")
        .fetch_one(&mut *conn)
        .await?;
    if !done {
        return Ok((Vec::new(), 0));
    }
    let finished =
        sqlx::query_scalar("update rebuild set finished_at = now() where finished_at is null returning rebuild_id")
            .fetch_all(&mut *conn)
            .await?;
    let events: i64 =
        sqlx::query_scalar("select coalesce(sum(events), 0)::int8 from feed_progress").fetch_one(conn).await?;
    Ok((finished, events))
}
