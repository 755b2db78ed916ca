use pesan_api::proof::v1::{Digest, Part};
use sqlx::PgConnection;
use uuid::Uuid;

/// The measures of every part, in the order of its values.
pub const MEASURES: [&str; 4] = ["reserved", "backordered", "shipped", "returned"];

/// What is held of the orders after one, ascending, by line.
pub async fn page(conn: &mut PgConnection, after: Uuid, only: Option<&[Uuid]>, size: i64) -> sqlx::Result<Vec<Digest>> {
    let orders: Vec<Uuid> = sqlx::query_scalar(
        "select order_id from reservation
          where order_id > $1 and ($2::uuid[] is null or order_id = any($2))
          order by order_id limit $3",
    )
    .bind(after)
    .bind(only)
    .bind(size)
    .fetch_all(&mut *conn)
    .await?;
    let rows: Vec<(Uuid, i32, i64, i64, i64, i64)> = sqlx::query_as(
        "select order_id, line_no, sum(reserved)::int8, sum(backordered)::int8, sum(issued)::int8, sum(returned)::int8
           from reservation_part
          where order_id = any($1)
          group by order_id, line_no
         having sum(reserved + backordered + issued + returned) > 0
          order by order_id, line_no",
    )
    .bind(&orders)
    .fetch_all(conn)
    .await?;
    let mut rows = rows.into_iter().peekable();
    let mut digests = Vec::with_capacity(orders.len());
    for order_id in orders {
        let mut parts = Vec::new();
        while let Some((_, part, reserved, backordered, shipped, returned)) = rows.next_if(|row| row.0 == order_id) {
            parts.push(Part { part, values: vec![reserved, backordered, shipped, returned] });
        }
        digests.push(Digest { subject: order_id.to_string(), parts });
    }
    Ok(digests)
}
