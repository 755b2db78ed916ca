//! What proves that the books are right, and what tells others about them.

use crate::error::Error;
use crate::line::Line;
use crate::order::Order;
use crate::store::{delivery, line, promise, read};
use pesan_api::proof::v1::{InvariantResult, Violation};
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use uuid::Uuid;

/// An invariant: how many rows it is about, and which of them break it, and how.
async fn check(
    conn: &mut PgConnection,
    name: &str,
    count: &'static str,
    broken: &'static str,
) -> Result<InvariantResult, Error> {
    let rows_checked: i64 = sqlx::query_scalar(count).fetch_one(&mut *conn).await?;
    let rows: Vec<(String, String)> = sqlx::query_as(broken).fetch_all(conn).await?;
    let violations = rows.into_iter().map(|(id, what)| Violation { id, what }).collect();
    Ok(InvariantResult { name: name.to_owned(), rows_checked, violations })
}

/// No more is divided than was ordered, and all of it once the promise is settled; nothing of a rejected order.
pub async fn lines_conserved(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "order_lines_conserved",
        "select count(*) from order_line",
        "select coalesce('SO-' || o.number, l.order_id::text) || ' line ' || l.line_no,
                format('ordered %s: reserved %s, backordered %s, cancelled %s, shipped %s, delivered %s, returned %s, invoiced %s, refunded %s',
                       l.ordered, l.reserved, l.backordered, l.cancelled, l.shipped, l.delivered, l.returned, l.invoiced,
                       l.refunded)
           from order_line l left join orders o using (order_id)
          where o.order_id is null
             or least(l.reserved, l.backordered, l.cancelled, l.shipped, l.delivered, l.returned, l.invoiced, l.refunded) < 0
             or l.reserved::bigint + l.backordered + l.cancelled + l.shipped > l.ordered
             or l.delivered > l.shipped or l.returned > l.shipped or l.invoiced > l.ordered or l.refunded > l.ordered
             or (o.confirmed_at is not null and l.reserved::bigint + l.backordered + l.cancelled + l.shipped <> l.ordered)
             or (o.rejected and l.reserved::bigint + l.backordered + l.cancelled + l.shipped > 0)
          limit 100",
    )
    .await
}

/// An order's row is the sum of its lines.
pub async fn totals_are_sums(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "order_totals_are_sums_of_lines",
        "select count(*) from orders",
        "select 'SO-' || o.number,
                format('the order says (lines, gross, discount, tax, ordered, reserved, backordered, cancelled, shipped, delivered, returned, invoiced, refunded) %s, its lines say %s',
                       (o.line_count, o.gross, o.discount, o.tax, o.ordered, o.reserved, o.backordered, o.cancelled,
                        o.shipped, o.delivered, o.returned, o.invoiced, o.refunded)::text,
                       (l.lines, l.gross, l.discount, l.tax, l.ordered, l.reserved, l.backordered, l.cancelled,
                        l.shipped, l.delivered, l.returned, l.invoiced, l.refunded)::text)
           from orders o
           left join (select order_id, count(*) as lines, sum(line_total) as gross, sum(discount) as discount,
                             sum(tax) as tax, sum(ordered) as ordered, sum(reserved) as reserved,
                             sum(backordered) as backordered, sum(cancelled) as cancelled, sum(shipped) as shipped,
                             sum(delivered) as delivered, sum(returned) as returned, sum(invoiced) as invoiced,
                             sum(refunded) as refunded
                        from order_line group by order_id) l using (order_id)
          where l.order_id is null
             or (o.line_count, o.gross, o.discount, o.tax, o.ordered, o.reserved, o.backordered, o.cancelled, o.shipped,
                 o.delivered, o.returned, o.invoiced, o.refunded)
             <> (l.lines, l.gross, l.discount, l.tax, l.ordered, l.reserved, l.backordered, l.cancelled, l.shipped,
                 l.delivered, l.returned, l.invoiced, l.refunded)
          limit 100",
    )
    .await
}

/// What is reserved and shipped of a line is reserved at and shipped from its locations.
pub async fn allocations_match(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "allocations_match_lines",
        "select count(*) from order_line",
        "select l.order_id || ' line ' || l.line_no,
                format('reserved %s, shipped %s; by location %s: reserved %s, shipped %s', l.reserved, l.shipped,
                       l.alloc_location::text, l.alloc_reserved::text, l.alloc_shipped::text)
           from order_line l
          where l.reserved <> coalesce((select sum(q) from unnest(l.alloc_reserved) q), 0)
             or l.shipped <> coalesce((select sum(q) from unnest(l.alloc_shipped) q), 0)
             or 0 > any (l.alloc_reserved) or 0 > any (l.alloc_shipped)
             or cardinality(l.alloc_location) <> (select count(distinct place) from unnest(l.alloc_location) place)
          limit 100",
    )
    .await
}

/// No order is stuck: it is over, or the saga works on it, or a person, the warehouse, the carrier, billing or a
/// supplier has it.
pub async fn orders_wait_for_something(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "orders_are_waiting_for_something_named",
        "select count(*) from orders",
        "select 'SO-' || o.number,
                format('state %s with %s holds (%s of them known) and %s jobs waits for nothing', o.state, o.holds,
                       o.known, o.jobs)
           from (select o.*, coalesce(h.known, 0) as known, coalesce(j.jobs, 0) as jobs
                   from orders o
                   left join (select order_id, count(*) as known from hold group by order_id) h using (order_id)
                   left join (select order_id, count(*) as jobs from saga_job group by order_id) j using (order_id)) o
          where o.holds <> o.known
             or case when o.state in (5, 6) or o.confirmed_at is not null then o.jobs > 0 or o.holds > 0
                     else o.jobs = 0 and o.holds = 0
                end
             or (o.confirmed_at is not null and o.state not in (6, 9)
                 and o.reserved = 0 and o.backordered = 0 and o.shipped = o.delivered and o.shipped <= o.invoiced)
          limit 100",
    )
    .await
}

/// What is kept back from fulfilment is reserved, for a reason that ends some time.
pub async fn withheld_waits(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "withheld_is_reserved_and_waits_for_something_named",
        "select (select count(*) from withheld) + (select count(*) from orders where withheld > 0)",
        "select * from (
         select coalesce('SO-' || o.number, w.order_id::text) as id,
                format('the order keeps back %s, its lines %s', coalesce(o.withheld, 0), coalesce(w.quantity, 0)) as what
           from (select order_id, number, withheld from orders where withheld > 0) o
           full join (select order_id, sum(quantity) as quantity from withheld group by order_id) w using (order_id)
          where o.withheld is distinct from w.quantity
         union all
         select w.order_id || ' line ' || w.line_no,
                format('keeps back %s at %s, reserved there %s', w.quantity, w.location, coalesce(l.here, 0))
           from withheld w
           left join (select order_id, line_no, location, here
                        from order_line, unnest(alloc_location, alloc_reserved) as a (location, here)
                       where order_id in (select order_id from withheld)) l using (order_id, line_no, location)
          where w.quantity > coalesce(l.here, 0)
         union all
         select 'SO-' || o.number, format('keeps back %s for no reason', o.withheld)
           from orders o
          where o.withheld > 0
            and not (o.delivery_block is not null or (o.ship_complete and o.backordered > 0)
                     or exists (select from hand_over_due d where d.order_id = o.order_id))) broken
          limit 100",
    )
    .await
}

/// What came back of a line came back on its returns.
pub async fn returns_match(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "returns_match_lines",
        "select (select count(*) from rma_line) + (select count(*) from order_line where returned > 0)",
        "select coalesce(l.order_id, r.order_id) || ' line ' || coalesce(l.line_no, r.line_no),
                format('returned %s, received on returns %s', coalesce(l.returned, 0), coalesce(r.received, 0))
           from (select order_id, line_no, returned from order_line where returned > 0) l
           full join (select order_id, line_no, sum(received) as received
                        from rma join rma_line using (return_id)
                       group by order_id, line_no having sum(received) > 0) r
             on r.order_id = l.order_id and r.line_no = l.line_no
          where coalesce(l.returned, 0) <> coalesce(r.received, 0)
          limit 100",
    )
    .await
}

/// An accepted quotation is one order, and what is offered is written down.
pub async fn quotations_match(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "accepted_quotations_are_orders",
        "select count(*) from quotation",
        "select 'QU-' || q.number,
                case when r.quotation_id is null then format('there is no revision %s', q.revision)
                     when a.quotation_id is not null then 'accepted, and still being accepted'
                     else format('its order %s is not there', q.order_id) end
           from quotation q
           left join quotation_revision r using (quotation_id, revision)
           left join orders o on o.order_id = q.order_id
           left join acceptance a on a.quotation_id = q.quotation_id
          where r.quotation_id is null
             or (q.order_id is not null and (o.order_id is null or a.quotation_id is not null))
          limit 100",
    )
    .await
}

/// An inquiry is where its moves led it, and was answered first when its responses say.
pub async fn inquiries_match(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "inquiries_match_their_history",
        "select count(*) from inquiry",
        "select 'INQ-' || i.number,
                format('the inquiry says (stage, moves, responses, first response) %s, its history says %s',
                       (i.stage, i.stage_changes, i.responses, i.first_response_at)::text,
                       (c.stage, coalesce(c.moves, 0), coalesce(r.responses, 0), r.first)::text)
           from inquiry i
           left join (select inquiry_id, count(*) as moves, (array_agg(to_stage order by change_no desc))[1] as stage
                        from inquiry_stage_change group by inquiry_id) c using (inquiry_id)
           left join (select inquiry_id, count(*) as responses, min(responded_at) as first
                        from inquiry_response group by inquiry_id) r using (inquiry_id)
          where i.stage is distinct from c.stage or i.stage_changes <> coalesce(c.moves, 0)
             or i.responses <> coalesce(r.responses, 0) or i.first_response_at is distinct from r.first
          limit 100",
    )
    .await
}

/// The version of an order or customer is that of its newest event.
pub async fn versions_match(conn: &mut PgConnection) -> Result<InvariantResult, Error> {
    check(
        conn,
        "versions_match_events",
        "select (select count(*) from orders) + (select count(*) from customer) + (select count(*) from inquiry)
                + (select count(*) from quotation)",
        "select coalesce(a.id, e.aggregate_id)::text,
                format('version %s, newest event %s', coalesce(a.version, 0), coalesce(e.version, 0))
           from (select order_id as id, version from orders union all select customer_id, version from customer
                 union all select inquiry_id, version from inquiry
                 union all select quotation_id, version from quotation) a
           full join (select aggregate_id, max(version) as version from outbox
                       -- Of an order that was never placed.
                       where type <> 'pesan.order.v1.PromiseReleased' group by aggregate_id) e
             on e.aggregate_id = a.id
          where a.version is distinct from e.version
          limit 100",
    )
    .await
}

/// An order, or what is held for one that is not placed yet, as others compare it.
pub struct Digested {
    /// Its id.
    pub order_id: Uuid,
    /// Its head and amounts; none: it is not placed yet.
    pub order: Option<Order>,
    /// Its lines.
    pub lines: Vec<Line>,
    /// What is kept back of its lines from fulfilment.
    pub withheld: HashMap<i32, i64>,
}

/// Up to `limit` orders after an id, ascending, and about `most_lines` lines of them; only of `subjects` where there are
/// any.
pub async fn digests(
    conn: &mut PgConnection,
    subjects: &[Uuid],
    after: Uuid,
    limit: i64,
    most_lines: i64,
) -> Result<Vec<Digested>, Error> {
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select order_id
           from (select order_id, sum(line_count) over (order by order_id) - line_count as lines_before
                   from (select order_id, line_count
                           from (select order_id, line_count from orders
                                 union all
                                 select order_id, line_count from promise
                                  where held is not null and redeemed_at is null) both_kinds
                          where order_id > $2 and (cardinality($1::uuid[]) = 0 or order_id = any($1))
                          order by order_id
                          limit $3) page) counted
          where lines_before < $4
          order by order_id",
    )
    .bind(subjects)
    .bind(after)
    .bind(limit)
    .bind(most_lines)
    .fetch_all(&mut *conn)
    .await?;
    let mut orders = read::orders(&mut *conn, &ids, false).await?;
    let mut digested: Vec<Digested> = ids
        .iter()
        .map(|id| Digested { order_id: *id, order: orders.remove(id), lines: Vec::new(), withheld: HashMap::new() })
        .collect();
    let promised: Vec<Uuid> = digested.iter().filter(|one| one.order.is_none()).map(|one| one.order_id).collect();
    if !promised.is_empty() {
        for kept in promise::of_orders(&mut *conn, &promised).await? {
            let lines = kept.held.iter().flatten().map(Line::promised).collect::<Result<Vec<Line>, _>>()?;
            digested
                .iter_mut()
                .filter(|one| one.order_id == kept.order_id)
                .for_each(|one| one.lines.clone_from(&lines));
        }
    }
    let is_withheld = |one: &&Digested| one.order.as_ref().is_some_and(|order| order.head.delivery.withheld > 0);
    let withheld: Vec<Uuid> = digested.iter().filter(is_withheld).map(|one| one.order_id).collect();
    if !withheld.is_empty() {
        for (order_id, part) in delivery::withheld(&mut *conn, &withheld).await? {
            for one in digested.iter_mut().filter(|one| one.order_id == order_id) {
                *one.withheld.entry(part.line_no).or_default() += part.quantity;
            }
        }
    }
    let rows = sqlx::query(
        "select order_id, line_no, ordered, reserved, backordered, cancelled, shipped, delivered, returned, invoiced,
                refunded, stocked, alloc_location, alloc_reserved, alloc_shipped
           from order_line
          where order_id = any($1)
          order by order_id, line_no",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let mut at = 0;
    for row in rows {
        let order_id: Uuid = row.try_get(0)?;
        while digested.get(at).is_some_and(|one| one.order_id != order_id) {
            at += 1;
        }
        if let Some(one) = digested.get_mut(at) {
            one.lines.push(line::line(&row, 1)?);
        }
    }
    Ok(digested)
}
