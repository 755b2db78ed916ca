use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// An explanation as it is kept: the order, when it was decided, and the encoded decision.
pub type Kept = (Uuid, OffsetDateTime, Vec<u8>);

/// Keeps explanations; those of an earlier decision about the same orders are replaced.
pub async fn write(conn: &mut PgConnection, kept: &[Kept]) -> sqlx::Result<()> {
    if kept.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into sourcing_decision (order_id, decided_at, explanation)
         select * from unnest($1::uuid[], $2::timestamptz[], $3::bytea[])
         on conflict (order_id) do update
            set decided_at = excluded.decided_at, explanation = excluded.explanation",
    )
    .bind(kept.iter().map(|(order, ..)| *order).collect::<Vec<_>>())
    .bind(kept.iter().map(|(_, at, _)| *at).collect::<Vec<_>>())
    .bind(kept.iter().map(|(_, _, bytes)| bytes.as_slice()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The explanation of one order.
pub async fn find(conn: &mut PgConnection, order_id: Uuid) -> sqlx::Result<Option<Vec<u8>>> {
    sqlx::query_scalar("select explanation from sourcing_decision where order_id = $1")
        .bind(order_id)
        .fetch_optional(conn)
        .await
}

/// Explanations of some orders, after one, ascending by order.
pub async fn of_orders(conn: &mut PgConnection, orders: &[Uuid], after: Uuid, size: i64) -> sqlx::Result<Vec<Kept>> {
    sqlx::query_as(
        "select order_id, decided_at, explanation from sourcing_decision
          where order_id = any($1) and order_id > $2 order by order_id limit $3",
    )
    .bind(orders)
    .bind(after)
    .bind(size)
    .fetch_all(conn)
    .await
}

/// Explanations of a range of time, after one, oldest first.
pub async fn of_time(
    conn: &mut PgConnection,
    from: OffsetDateTime,
    to: OffsetDateTime,
    after: (OffsetDateTime, Uuid),
    size: i64,
) -> sqlx::Result<Vec<Kept>> {
    sqlx::query_as(
        "select order_id, decided_at, explanation from sourcing_decision
          where decided_at >= $1 and decided_at < $2 and (decided_at, order_id) > ($3, $4)
          order by decided_at, order_id limit $5",
    )
    .bind(from)
    .bind(to)
    .bind(after.0)
    .bind(after.1)
    .bind(size)
    .fetch_all(conn)
    .await
}
