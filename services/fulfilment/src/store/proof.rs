//! What the proof reads. Each check gives how many rows it looked at, and who breaks it how: at most 100.

use crate::fulfilment_order::display_number;
use crate::id::OrderId;
use sqlx::PgConnection;
use uuid::Uuid;

/// Rows looked at, and who breaks the invariant how.
pub type Checked = (i64, Vec<(String, String)>);

/// A fulfilment order (its number, or the id where it does not exist) and what is wrong with it.
type Broken = (Option<i64>, Option<Uuid>, String);

/// The same with the number of a return in front.
type BrokenVersion = (Option<String>, Option<i64>, Option<Uuid>, String);

fn name(number: Option<i64>, id: Option<Uuid>) -> String {
    number.map_or_else(|| id.unwrap_or_default().to_string(), display_number)
}

fn named(rows: Vec<Broken>) -> Vec<(String, String)> {
    rows.into_iter().map(|(number, id, what)| (name(number, id), what)).collect()
}

async fn count_lines(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from fulfilment_line").fetch_one(conn).await
}

/// allocated = withdrawn + short + open + picked in every line, nothing open after picking and nothing picked before, and
/// each fulfilment order holds the sums of its lines.
pub async fn lines_conserved(conn: &mut PgConnection) -> sqlx::Result<Checked> {
    let lines = count_lines(&mut *conn).await?;
    let rows: Vec<Broken> = sqlx::query_as(
        "select f.number, coalesce(f.id, l.id),
                format('lines: allocated %s, withdrawn %s, short %s, picked %s, shipped %s, %s of them broken; '
                       'fulfilment order: %s, %s, %s, %s, %s, picked at %s',
                       l.allocated, l.withdrawn, l.short, l.picked, l.shipped, l.broken,
                       f.allocated, f.withdrawn, f.short, f.picked, f.shipped, f.picked_at)
           from fulfilment_order f
           full join (select fulfilment_order_id as id, sum(allocated) as allocated, sum(withdrawn) as withdrawn,
                             sum(short) as short, sum(picked) as picked, sum(shipped) as shipped,
                             count(*) filter (where withdrawn < 0 or short < 0 or picked < 0 or shipped < 0
                                                 or withdrawn + short + picked > allocated) as broken
                        from fulfilment_line group by fulfilment_order_id) l on l.id = f.id
          where f.id is null or l.id is null or l.broken > 0
             or f.allocated <> l.allocated or f.withdrawn <> l.withdrawn or f.short <> l.short
             or f.picked <> l.picked or f.shipped <> l.shipped
             or case when f.picked_at is null then l.picked > 0
                     else l.withdrawn + l.short + l.picked <> l.allocated end
          limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok((lines, named(rows)))
}

/// Every line of what is shipped has issued all that was picked of it; nothing has left of what is not shipped.
pub async fn issued_is_picked(conn: &mut PgConnection) -> sqlx::Result<Checked> {
    let lines = count_lines(&mut *conn).await?;
    let rows: Vec<Broken> = sqlx::query_as(
        "select f.number, f.id,
                format('line %s: picked %s, shipped %s, shipped at %s', l.line_no, l.picked, l.shipped, f.shipped_at)
           from fulfilment_line l
           join fulfilment_order f on f.id = l.fulfilment_order_id
          where l.shipped <> case when f.shipped_at is null then 0 else l.picked end
          limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok((lines, named(rows)))
}

/// One GoodsIssued for what is shipped, none for what is not.
pub async fn one_goods_issue(conn: &mut PgConnection) -> sqlx::Result<Checked> {
    let orders: i64 = sqlx::query_scalar("select count(*) from fulfilment_order").fetch_one(&mut *conn).await?;
    let rows: Vec<Broken> = sqlx::query_as(
        "select f.number, coalesce(f.id, g.id),
                format('%s goods issues in the outbox, shipped at %s', coalesce(g.issues, 0), f.shipped_at)
           from fulfilment_order f
           full join (select aggregate_id as id, count(*) as issues from outbox
                       where type = 'pesan.fulfilment.v1.GoodsIssued' group by aggregate_id) g on g.id = f.id
          where f.id is null or coalesce(g.issues, 0) <> case when f.shipped_at is null then 0 else 1 end
          limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok((orders, named(rows)))
}

/// No return line got more than expected, its receipts say what it says, and no order line came back more often than it
/// left.
pub async fn returns_bounded(conn: &mut PgConnection) -> sqlx::Result<Checked> {
    let lines: i64 = sqlx::query_scalar("select count(*) from expected_return_line").fetch_one(&mut *conn).await?;
    let mut broken: Vec<(String, String)> = sqlx::query_as(
        "select r.number,
                format('line %s: expected %s, sellable %s, damaged %s; receipts: sellable %s, damaged %s', l.line_no,
                       l.expected, l.sellable, l.damaged, coalesce(c.sellable, 0), coalesce(c.damaged, 0))
           from expected_return r
           join expected_return_line l using (return_id)
           left join (select return_id, line_no, sum(sellable) as sellable, sum(damaged) as damaged
                        from return_receipt_line group by return_id, line_no) c using (return_id, line_no)
          where l.sellable + l.damaged + l.released > l.expected
             or l.sellable <> coalesce(c.sellable, 0) or l.damaged <> coalesce(c.damaged, 0)
          limit 100",
    )
    .fetch_all(&mut *conn)
    .await?;
    let sums: Vec<(String, String)> = sqlx::query_as(
        "select r.number,
                format('expected %s, received %s, released %s; lines: %s, %s, %s', r.expected, r.received, r.released,
                       l.expected, l.received, l.released)
           from expected_return r
           left join (select return_id, sum(expected) as expected, sum(sellable + damaged) as received,
                             sum(released) as released
                        from expected_return_line group by return_id) l using (return_id)
          where (r.expected, r.received, r.released) is distinct from (l.expected, l.received, l.released)
          limit 100",
    )
    .fetch_all(&mut *conn)
    .await?;
    let beyond: Vec<(String, String)> = sqlx::query_as(
        "select b.order_id::text, format('line %s: %s came back of %s shipped', b.line_no, b.received, coalesce(s.shipped, 0))
           from (select r.order_id, l.line_no, sum(l.sellable + l.damaged) as received
                   from expected_return r join expected_return_line l using (return_id)
                  group by r.order_id, l.line_no) b
           left join (select f.order_id, l.line_no, sum(l.shipped) as shipped
                        from fulfilment_order f join fulfilment_line l on l.fulfilment_order_id = f.id
                       where f.order_id in (select order_id from expected_return)
                       group by f.order_id, l.line_no) s using (order_id, line_no)
          where b.received > coalesce(s.shipped, 0)
          limit 100",
    )
    .fetch_all(conn)
    .await?;
    broken.extend(sums);
    broken.extend(beyond);
    broken.truncate(100);
    Ok((lines, broken))
}

/// The version of every fulfilment order and return is that of its newest event, and no event is of anything else.
pub async fn versions_match(conn: &mut PgConnection) -> sqlx::Result<Checked> {
    let aggregates: i64 =
        sqlx::query_scalar("select (select count(*) from fulfilment_order) + (select count(*) from expected_return)")
            .fetch_one(&mut *conn)
            .await?;
    let rows: Vec<BrokenVersion> = sqlx::query_as(
        "select a.name, a.number, coalesce(a.id, e.id),
                format('version %s, newest event %s', a.version, coalesce(e.version, 0))
           from (select id, version, number, null as name from fulfilment_order
                 union all
                 select return_id, version, null, number from expected_return) a
           full join (select aggregate_id as id, max(version) as version from outbox group by aggregate_id) e on e.id = a.id
          where a.id is null or a.version <> coalesce(e.version, 0)
          limit 100",
    )
    .fetch_all(conn)
    .await?;
    let broken = rows.into_iter().map(|(returned, number, id, what)| match returned {
        Some(returned) => (returned, what),
        None => (name(number, id), what),
    });
    Ok((aggregates, broken.collect()))
}

/// A page of confirmed orders, ascending; `only` these where it is not empty.
pub async fn subjects(
    conn: &mut PgConnection,
    after: Option<OrderId>,
    only: &[Uuid],
    limit: i64,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar(
        "select order_id from confirmed_order
          where order_id > $1 and (cardinality($2::uuid[]) = 0 or order_id = any($2))
          order by order_id limit $3",
    )
    .bind(after.map_or(Uuid::nil(), |id| id.0))
    .bind(only)
    .bind(limit)
    .fetch_all(conn)
    .await
}

/// Of each line of these orders: order, line number, handed to fulfilment and not yet shipped, shipped, returned.
pub async fn quantities(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<Vec<(Uuid, i32, i64, i64, i64)>> {
    sqlx::query_as(
        "select order_id, line_no, sum(allocated)::int8, sum(shipped)::int8, sum(returned)::int8
           from (select f.order_id, l.line_no, l.allocated - l.withdrawn - l.short - l.shipped as allocated, l.shipped,
                        0 as returned
                   from fulfilment_order f join fulfilment_line l on l.fulfilment_order_id = f.id
                  where f.order_id = any($1)
                 union all
                 select r.order_id, l.line_no, 0, 0, l.sellable + l.damaged
                   from expected_return r join expected_return_line l using (return_id)
                  where r.order_id = any($1)) parts
          group by order_id, line_no
          order by order_id, line_no",
    )
    .bind(orders)
    .fetch_all(conn)
    .await
}
