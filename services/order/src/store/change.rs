//! Changes of orders: their plans, those under way, and what they do to orders and lines.

use crate::cancellation::Part;
use crate::change::{Amendment, Amounts, Course, PlannedLine};
use crate::error::Error;
use crate::line::Line;
use crate::passed::Passed;
use crate::store::cancellation::Intent;
use crate::store::column;
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// A plan as it is kept.
#[derive(Clone, Debug)]
pub struct KeptPlan {
    /// Its id.
    pub plan_id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// The version of the order that it is for.
    pub order_version: i64,
    /// Encoded pesan.order.v1.ChangePlan.
    pub plan: Vec<u8>,
    /// What is to be done.
    pub amendment: Amendment,
    /// When it is forgotten.
    pub expires_at: OffsetDateTime,
}

/// Keeps a plan.
pub async fn keep_plan(conn: &mut PgConnection, plan: &KeptPlan) -> Result<(), Error> {
    sqlx::query(
        "insert into change_plan (plan_id, order_id, order_version, plan, amendment, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(plan.plan_id)
    .bind(plan.order_id)
    .bind(plan.order_version)
    .bind(&plan.plan)
    .bind(Json(&plan.amendment))
    .bind(plan.expires_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// A plan, expired or not, as long as it is not forgotten.
pub async fn plan(conn: &mut PgConnection, plan_id: Uuid) -> Result<Option<KeptPlan>, Error> {
    let row = sqlx::query(
        "select plan_id, order_id, order_version, plan, amendment, expires_at from change_plan where plan_id = $1",
    )
    .bind(plan_id)
    .fetch_optional(conn)
    .await?;
    let plan = |row: PgRow| {
        Ok(KeptPlan {
            plan_id: row.try_get(0)?,
            order_id: row.try_get(1)?,
            order_version: row.try_get(2)?,
            plan: row.try_get(3)?,
            amendment: row.try_get::<Json<Amendment>, _>(4)?.0,
            expires_at: row.try_get(5)?,
        })
    };
    row.map(plan).transpose()
}

/// Forgets up to 1,000 plans that expired before a time.
pub async fn forget_plans(conn: &mut PgConnection, before: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "delete from change_plan where plan_id in (
             select plan_id from change_plan where expires_at < $1 order by expires_at limit 1000)",
    )
    .bind(before)
    .execute(conn)
    .await?;
    Ok(())
}

/// A change under way.
#[derive(Clone, Debug)]
pub struct Underway {
    /// What it has in common with a cancellation; its request is an encoded pesan.order.v1.CommitChangeRequest.
    pub intent: Intent,
    /// What is to be done.
    pub course: Course,
    /// Encoded pesan.inventory.v1.Reservation, once inventory has reserved.
    pub reserved: Option<Vec<u8>>,
    /// Billing has agreed.
    pub charged: bool,
}

fn underway(row: &PgRow) -> Result<Option<Underway>, Error> {
    let Some(Json(course)) = row.try_get::<Option<Json<Course>>, _>(7)? else { return Ok(None) };
    Ok(Some(Underway {
        intent: Intent {
            order_id: row.try_get(0)?,
            request_id: row.try_get(1)?,
            request: row.try_get(2)?,
            ask: row.try_get(3)?,
            granted: row.try_get(4)?,
            due_at: row.try_get(5)?,
            attempts: row.try_get(6)?,
        },
        course,
        reserved: row.try_get(8)?,
        charged: row.try_get(9)?,
    }))
}

/// What is under way for an order: a change, or (none) a cancellation.
pub async fn of_order(conn: &mut PgConnection, order_id: Uuid) -> Result<Option<Option<Underway>>, Error> {
    let row = sqlx::query(
        "select order_id, request_id, request, ask, granted, due_at, attempts, course, reserved, charged
           from cancellation where order_id = $1",
    )
    .bind(order_id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(underway).transpose()
}

/// Begins a change.
pub async fn begin(conn: &mut PgConnection, change: &Underway) -> Result<(), Error> {
    let intent = &change.intent;
    sqlx::query(
        "insert into cancellation (order_id, request_id, request, ask, granted, due_at, attempts, course)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(intent.order_id)
    .bind(intent.request_id)
    .bind(&intent.request)
    .bind(&intent.ask)
    .bind(&intent.granted)
    .bind(intent.due_at)
    .bind(intent.attempts)
    .bind(Json(&change.course))
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes what inventory reserved, and that billing agreed.
pub async fn note(conn: &mut PgConnection, change: &Underway) -> Result<(), Error> {
    sqlx::query("update cancellation set reserved = $2, charged = $3 where order_id = $1")
        .bind(change.intent.order_id)
        .bind(&change.reserved)
        .bind(change.charged)
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes up to `limit` changes that are due, until `lease_until`; those another worker takes right now are passed over.
pub async fn take(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    lease_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Underway>, Error> {
    // No index: there are as many rows as changes and cancellations under way.
    let rows = sqlx::query(
        "update cancellation c set due_at = $2
           from (select order_id from cancellation where due_at <= $1 and course is not null
                  order by due_at limit $3 for update skip locked) due
          where c.order_id = due.order_id
         returning c.order_id, c.request_id, c.request, c.ask, c.granted, c.due_at, c.attempts, c.course, c.reserved,
                   c.charged",
    )
    .bind(now)
    .bind(lease_until)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().filter_map(|row| underway(row).transpose()).collect()
}

/// What has to be known of a line that was, or is being, changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Waiting quantity that stock must not be taken for.
    pub claimed: i64,
    /// Facts of inventory up to this version are in its quantities.
    pub inventory_version: i64,
}

/// The marks of some orders' lines.
pub async fn marks(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<HashMap<(Uuid, i32), Mark>, Error> {
    let rows: Vec<(Uuid, i32, i32, i64)> =
        sqlx::query_as("select order_id, line_no, claimed, inventory_version from line_mark where order_id = any($1)")
            .bind(order_ids)
            .fetch_all(conn)
            .await?;
    let mark = |(order_id, line_no, claimed, inventory_version): (Uuid, i32, i32, i64)| {
        ((order_id, line_no), Mark { claimed: claimed.into(), inventory_version })
    };
    Ok(rows.into_iter().map(mark).collect())
}

/// Writes marks of lines of an order.
pub async fn mark(conn: &mut PgConnection, order_id: Uuid, marks: &[(i32, Mark)]) -> Result<(), Error> {
    if marks.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into line_mark (order_id, line_no, claimed, inventory_version)
         select $1, * from unnest($2::int4[], $3::int4[], $4::int8[])
         on conflict (order_id, line_no) do update
            set claimed = excluded.claimed, inventory_version = excluded.inventory_version",
    )
    .bind(order_id)
    .bind(marks.iter().map(|(line_no, _)| *line_no).collect::<Vec<_>>())
    .bind(marks.iter().map(|(_, mark)| column(mark.claimed)).collect::<Result<Vec<_>, _>>()?)
    .bind(marks.iter().map(|(_, mark)| mark.inventory_version).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The highest number that a line of the order has, or has had.
pub async fn last_line(conn: &mut PgConnection, order_id: Uuid) -> Result<i32, Error> {
    Ok(sqlx::query_scalar(
        "select greatest((select max(line_no) from order_line where order_id = $1),
                         (select max(line_no) from line_mark where order_id = $1))",
    )
    .bind(order_id)
    .fetch_one(conn)
    .await?)
}

/// What is passed over of some orders; those of which nothing is are left out.
pub async fn passed(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<HashMap<Uuid, Passed>, Error> {
    let rows: Vec<(Uuid, i32, Uuid, i32)> = sqlx::query_as(
        "select order_id, line_no, location, quantity from passed_fill where order_id = any($1) order by order_id, place",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    let mut parts: HashMap<Uuid, Vec<Part>> = HashMap::new();
    for (order_id, line_no, location, quantity) in rows {
        parts.entry(order_id).or_default().push(Part { line_no, location, quantity: quantity.into() });
    }
    Ok(parts.into_iter().map(|(order_id, parts)| (order_id, Passed::of(parts))).collect())
}

/// Keeps what is passed over of an order, in place of what was.
pub async fn keep_passed(conn: &mut PgConnection, order_id: Uuid, passed: &Passed) -> Result<(), Error> {
    let parts = passed.parts();
    sqlx::query("delete from passed_fill where order_id = $1").bind(order_id).execute(&mut *conn).await?;
    if parts.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into passed_fill (order_id, line_no, location, quantity, place)
         select $1, * from unnest($2::int4[], $3::uuid[], $4::int4[]) with ordinality",
    )
    .bind(order_id)
    .bind(parts.iter().map(|part| part.line_no).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| part.location).collect::<Vec<_>>())
    .bind(parts.iter().map(|part| column(part.quantity)).collect::<Result<Vec<_>, _>>()?)
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes all lines of an order away, for [`add_lines`] to write others.
pub async fn remove_lines(conn: &mut PgConnection, order_id: Uuid) -> Result<(), Error> {
    sqlx::query("delete from order_line where order_id = $1").bind(order_id).execute(conn).await?;
    Ok(())
}

/// Writes lines of an order that are new; their quantities are still to be divided.
pub async fn add_lines(conn: &mut PgConnection, order_id: Uuid, lines: &[PlannedLine]) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into order_line (order_id, line_no, sku, description, unit_price, line_total, discount, tax, ordered)
         select $1, * from unnest($2::int4[], $3::text[], $4::text[], $5::numeric[], $6::numeric[], $7::numeric[],
                                  $8::numeric[], $9::int4[])",
    )
    .bind(order_id)
    .bind(lines.iter().map(|line| line.line_no).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.sku.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.description.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.amounts.unit_price).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.amounts.line_total).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.amounts.discount).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| line.amounts.tax).collect::<Vec<_>>())
    .bind(lines.iter().map(|line| column(line.quantity)).collect::<Result<Vec<_>, _>>()?)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what lines of an order come to.
pub async fn reprice(conn: &mut PgConnection, order_id: Uuid, lines: &[(i32, Amounts)]) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&Amounts) -> Decimal| lines.iter().map(|(_, a)| of(a)).collect::<Vec<_>>();
    let done = sqlx::query(
        "update order_line l
            set unit_price = n.unit_price, line_total = n.line_total, discount = n.discount, tax = n.tax
           from unnest($2::int4[], $3::numeric[], $4::numeric[], $5::numeric[], $6::numeric[])
                as n (line_no, unit_price, line_total, discount, tax)
          where l.order_id = $1 and l.line_no = n.line_no",
    )
    .bind(order_id)
    .bind(lines.iter().map(|(line_no, _)| *line_no).collect::<Vec<_>>())
    .bind(column(|a| a.unit_price))
    .bind(column(|a| a.line_total))
    .bind(column(|a| a.discount))
    .bind(column(|a| a.tax))
    .execute(conn)
    .await?;
    if done.rows_affected() == lines.len() as u64 {
        Ok(())
    } else {
        Err(Error::Broken("lines that were to be repriced"))
    }
}

/// Brings an order's sums in line with its lines, and sets what a change sets.
pub async fn amend(
    conn: &mut PgConnection,
    order_id: Uuid,
    revision: i32,
    ship_to: Option<&[u8]>,
    not_before: Option<Option<OffsetDateTime>>,
) -> Result<(), Error> {
    let known = ship_to.map(crate::store::address).transpose()?;
    sqlx::query(
        "update orders o
            set amendments = $2, ship_to = coalesce($3, o.ship_to), country = coalesce($6, o.country),
                ship_email = case when $3 is null then o.ship_email else $7 end,
                order_discount = least(o.order_discount, l.discount),
                not_before = case when $4 then $5 else o.not_before end,
                line_count = l.lines, gross = l.gross, discount = l.discount, tax = l.tax, ordered = l.ordered,
                reserved = l.reserved, backordered = l.backordered, cancelled = l.cancelled
           from (select count(*) as lines, sum(line_total) as gross, sum(discount) as discount, sum(tax) as tax,
                        sum(ordered) as ordered, sum(reserved) as reserved, sum(backordered) as backordered,
                        sum(cancelled) as cancelled
                   from order_line where order_id = $1) l
          where o.order_id = $1",
    )
    .bind(order_id)
    .bind(revision)
    .bind(ship_to)
    .bind(not_before.is_some())
    .bind(not_before.flatten())
    .bind(known.as_ref().map(|address| address.country.as_str()))
    .bind(known.as_ref().and_then(|address| crate::search::email(&address.email)))
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts a change that was dropped: its revision is never used again.
pub async fn skip_revision(conn: &mut PgConnection, order_id: Uuid, revision: i32) -> Result<(), Error> {
    sqlx::query("update orders set amendments = $2 where order_id = $1")
        .bind(order_id)
        .bind(revision)
        .execute(conn)
        .await?;
    Ok(())
}

/// Links an order to the one it was split off from, whose terms of delivery it has but for when it may go.
pub async fn link(
    conn: &mut PgConnection,
    order_id: Uuid,
    split_from: Uuid,
    not_before: Option<OffsetDateTime>,
) -> Result<(), Error> {
    sqlx::query(
        "update orders o
            set split_from = p.order_id, not_before = $3, ship_complete = p.ship_complete,
                delivery_block = p.delivery_block
           from orders p
          where o.order_id = $1 and p.order_id = $2",
    )
    .bind(order_id)
    .bind(split_from)
    .bind(not_before)
    .execute(conn)
    .await?;
    Ok(())
}

/// The token of an order that is not settled yet.
pub async fn payment_token(conn: &mut PgConnection, order_id: Uuid) -> Result<Option<String>, Error> {
    Ok(sqlx::query_scalar("select payment_token from orders where order_id = $1")
        .bind(order_id)
        .fetch_one(conn)
        .await?)
}

/// Writes lines of one order back.
pub async fn write_lines(conn: &mut PgConnection, order_id: Uuid, lines: &[Line]) -> Result<(), Error> {
    let lines: Vec<(Uuid, &Line)> = lines.iter().map(|line| (order_id, line)).collect();
    crate::store::line::write(conn, &lines).await
}
