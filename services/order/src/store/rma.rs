//! Returns.

use crate::error::Error;
use crate::name::ReturnName;
use crate::rma::{Decision, Discrepancy, Rma, RmaLine, Step};
use crate::store::{column, small, stored_enum};
use pesan_api::order::v1::ExchangeWish;
use prost::Message as _;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

async fn with_lines(conn: &mut PgConnection, rows: Vec<sqlx::postgres::PgRow>) -> Result<Vec<Rma>, Error> {
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.push(Rma {
            return_id: row.try_get(0)?,
            number: row.try_get(1)?,
            order_id: row.try_get(2)?,
            external_id: row.try_get::<Option<String>, _>(3)?.unwrap_or_default(),
            handling: stored_enum(row.try_get(4)?)?,
            requested_at: row.try_get(5)?,
            version: row.try_get(6)?,
            stage: stored_enum(row.try_get(7)?)?,
            resolution: stored_enum(row.try_get(8)?)?,
            wish: row
                .try_get::<Option<Vec<u8>>, _>(9)?
                .map(|bytes| ExchangeWish::decode(bytes.as_slice()).map_err(|_| Error::Broken("a stored wish")))
                .transpose()?,
            advance: row.try_get(10)?,
            service_sku: row.try_get(11)?,
            lines: Vec::new(),
            linked: Vec::new(),
            discrepancies: Vec::new(),
            history: Vec::new(),
        });
    }
    let rows = sqlx::query(
        "select return_id, line_no, quantity, received, reason, credit, released, condition, fee, serial, claim
           from rma_line where return_id = any($1) order by return_id, line_no",
    )
    .bind(found.iter().map(|rma| rma.return_id).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let mut lines: HashMap<Uuid, Vec<RmaLine>> = HashMap::new();
    for row in rows {
        lines.entry(row.try_get(0)?).or_default().push(RmaLine {
            line_no: row.try_get(1)?,
            quantity: row.try_get::<i32, _>(2)?.into(),
            received: row.try_get::<i32, _>(3)?.into(),
            reason: row.try_get(4)?,
            credit: row.try_get(5)?,
            released: row.try_get::<i32, _>(6)?.into(),
            condition: stored_enum(row.try_get(7)?)?,
            fee: row.try_get(8)?,
            serial: row.try_get(9)?,
            claim: row.try_get(10)?,
        });
    }
    for rma in &mut found {
        rma.lines = lines.remove(&rma.return_id).unwrap_or_default();
    }
    Ok(found)
}

/// All returns of these orders.
pub async fn of_orders(conn: &mut PgConnection, order_ids: &[Uuid]) -> Result<Vec<Rma>, Error> {
    let rows = sqlx::query(
        "select return_id, number, order_id, external_id, handling, requested_at, version, stage,
                resolution, wish, advance, service_sku
           from rma where order_id = any($1) order by return_id",
    )
    .bind(order_ids)
    .fetch_all(&mut *conn)
    .await?;
    with_lines(conn, rows).await
}

/// One return by its name.
pub async fn find(conn: &mut PgConnection, name: ReturnName) -> Result<Option<Rma>, Error> {
    let (id, number) = match name {
        ReturnName::Id(id) => (Some(id), None),
        ReturnName::Number(number) => (None, Some(number)),
    };
    let rows = sqlx::query(
        "select return_id, number, order_id, external_id, handling, requested_at, version, stage,
                resolution, wish, advance, service_sku
           from rma where return_id = $1
         union all
         select return_id, number, order_id, external_id, handling, requested_at, version, stage,
                resolution, wish, advance, service_sku
           from rma where number = $2",
    )
    .bind(id)
    .bind(number)
    .fetch_all(&mut *conn)
    .await?;
    let mut found = with_lines(conn, rows).await?;
    complete(conn, &mut found).await?;
    Ok(found.pop())
}

/// Up to `limit` returns, newest first, after the one requested at that time with that id.
pub async fn page(
    conn: &mut PgConnection,
    order_id: Option<Uuid>,
    after: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Rma>, Error> {
    let (after_time, after_id) = after.unzip();
    let rows = sqlx::query(
        "select return_id, number, order_id, external_id, handling, requested_at, version, stage,
                resolution, wish, advance, service_sku
           from rma
          where ($1::uuid is null or order_id = $1)
            and ($2::timestamptz is null or (requested_at, return_id) < ($2, $3))
          order by requested_at desc, return_id desc
          limit $4",
    )
    .bind(order_id)
    .bind(after_time)
    .bind(after_id)
    .bind(limit)
    .fetch_all(&mut *conn)
    .await?;
    let mut found = with_lines(conn, rows).await?;
    complete(conn, &mut found).await?;
    Ok(found)
}

/// Writes new returns; their numbers by id.
pub async fn insert(conn: &mut PgConnection, returns: &[&Rma]) -> Result<HashMap<Uuid, i64>, Error> {
    let rows = sqlx::query(
        "insert into rma (return_id, order_id, external_id, handling, requested_at, version, stage, resolution, wish,
                          advance, service_sku)
         select return_id, order_id, nullif(external_id, ''), handling, requested_at, version, stage, resolution, wish,
                advance, service_sku
           from unnest($1::uuid[], $2::uuid[], $3::text[], $4::int2[], $5::timestamptz[], $6::int8[], $7::int2[],
                       $8::int2[], $9::bytea[], $10::bool[], $11::text[]) with ordinality
                as r (return_id, order_id, external_id, handling, requested_at, version, stage, resolution, wish, advance,
                      service_sku, place)
          order by place
         returning return_id, number",
    )
    .bind(returns.iter().map(|rma| rma.return_id).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.order_id).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.external_id.as_str()).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| small(rma.handling.into())).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.requested_at).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.version).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| small(rma.stage.into())).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| small(rma.resolution.into())).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.wish.as_ref().map(ExchangeWish::encode_to_vec)).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.advance).collect::<Vec<_>>())
    .bind(returns.iter().map(|rma| rma.service_sku.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let lines: Vec<(Uuid, &RmaLine)> =
        returns.iter().flat_map(|rma| rma.lines.iter().map(|line| (rma.return_id, line))).collect();
    sqlx::query(
        "insert into rma_line (return_id, line_no, quantity, reason, credit, condition, fee, serial, claim)
         select * from unnest($1::uuid[], $2::int4[], $3::int4[], $4::text[], $5::numeric[], $6::int2[], $7::numeric[],
                              $8::text[], $9::text[])",
    )
    .bind(lines.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.line_no).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| column(line.quantity)).collect::<Result<Vec<_>, _>>()?)
    .bind(lines.iter().map(|(_, line)| line.reason.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.credit).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| small(line.condition.into())).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.fee).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.serial.as_str()).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.claim.as_str()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    for rma in returns {
        add_steps(conn, rma).await?;
    }
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Counts what came back: (return, line number, quantity), each line once. Those of the returns that wait for an exchange or
/// a replacement.
pub async fn receive(conn: &mut PgConnection, received: &[(Uuid, i32, i64)]) -> Result<Vec<Uuid>, Error> {
    if received.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = received.iter().map(|line| line.0).collect();
    sqlx::query(
        "update rma_line l set received = l.received + n.quantity
           from unnest($1::uuid[], $2::int4[], $3::int4[]) as n (return_id, line_no, quantity)
          where l.return_id = n.return_id and l.line_no = n.line_no",
    )
    .bind(&ids)
    .bind(received.iter().map(|line| line.1).collect::<Vec<_>>())
    .bind(received.iter().map(|line| column(line.2)).collect::<Result<Vec<_>, _>>()?)
    .execute(&mut *conn)
    .await?;
    let changed: Vec<(Uuid, bool)> = sqlx::query_as(
        "update rma set version = version + 1 where return_id = any($1) returning return_id, resolution in (2, 4)",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    Ok(changed.into_iter().filter(|(_, exchanges)| *exchanges).map(|(id, _)| id).collect())
}

/// Counts what will not come back, which may be counted already: (return, line number, quantity in all). The returns that
/// changed.
pub async fn release(conn: &mut PgConnection, released: &[(Uuid, i32, i64)]) -> Result<Vec<Uuid>, Error> {
    if released.is_empty() {
        return Ok(Vec::new());
    }
    let mut changed: Vec<Uuid> = sqlx::query_scalar(
        "update rma_line l set released = n.quantity
           from unnest($1::uuid[], $2::int4[], $3::int4[]) as n (return_id, line_no, quantity)
          where l.return_id = n.return_id and l.line_no = n.line_no and l.released < n.quantity
         returning l.return_id",
    )
    .bind(released.iter().map(|line| line.0).collect::<Vec<_>>())
    .bind(released.iter().map(|line| line.1).collect::<Vec<_>>())
    .bind(released.iter().map(|line| column(line.2)).collect::<Result<Vec<_>, _>>()?)
    .fetch_all(&mut *conn)
    .await?;
    changed.sort_unstable();
    changed.dedup();
    sqlx::query("update rma set version = version + 1 where return_id = any($1)").bind(&changed).execute(conn).await?;
    Ok(changed)
}

/// Writes what came back and was not as announced, with its return.
pub async fn add_discrepancies(conn: &mut PgConnection, found: &[(Uuid, Discrepancy)]) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into rma_discrepancy
                (discrepancy_id, return_id, kind, line_no, sku, sellable, damaged, note, received_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::int2[], $4::int4[], $5::text[], $6::int8[], $7::int8[],
                              $8::text[], $9::timestamptz[])",
    )
    .bind(found.iter().map(|(_, one)| one.id).collect::<Vec<_>>())
    .bind(found.iter().map(|(return_id, _)| *return_id).collect::<Vec<_>>())
    .bind(found.iter().map(|(_, one)| small(one.kind.into())).collect::<Vec<_>>())
    .bind(found.iter().map(|(_, one)| one.line_no).collect::<Vec<_>>())
    .bind(found.iter().map(|(_, one)| one.sku.as_str()).collect::<Vec<_>>())
    .bind(found.iter().map(|(_, one)| one.sellable).collect::<Vec<_>>())
    .bind(found.iter().map(|(_, one)| one.damaged).collect::<Vec<_>>())
    .bind(found.iter().map(|(_, one)| one.note.as_str()).collect::<Vec<_>>())
    .bind(found.iter().map(|(_, one)| one.received_at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Returns by their ids, with everything.
pub async fn by_ids(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Rma>, Error> {
    let rows = sqlx::query(
        "select return_id, number, order_id, external_id, handling, requested_at, version, stage,
                resolution, wish, advance, service_sku
           from rma where return_id = any($1) order by return_id",
    )
    .bind(ids)
    .fetch_all(&mut *conn)
    .await?;
    let mut found = with_lines(conn, rows).await?;
    complete(conn, &mut found).await?;
    Ok(found)
}

/// Reads what people did, what was not as announced and what was placed for returns.
pub async fn complete(conn: &mut PgConnection, returns: &mut [Rma]) -> Result<(), Error> {
    let ids: Vec<Uuid> = returns.iter().map(|rma| rma.return_id).collect();
    let linked: Vec<(Uuid, Uuid)> =
        sqlx::query_as("select return_id, order_id from orders where return_id = any($1) order by order_id")
            .bind(&ids)
            .fetch_all(&mut *conn)
            .await?;
    let mut steps: HashMap<Uuid, Vec<Step>> = HashMap::new();
    let rows = sqlx::query(
        "select return_id, at, state, by_whom, note from rma_step
          where return_id = any($1) order by return_id, step_no",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    for row in rows {
        steps.entry(row.try_get(0)?).or_default().push(Step {
            at: row.try_get(1)?,
            state: stored_enum(row.try_get(2)?)?,
            by: row.try_get(3)?,
            note: row.try_get(4)?,
        });
    }
    let mut discrepancies: HashMap<Uuid, Vec<Discrepancy>> = HashMap::new();
    let rows = sqlx::query(
        "select return_id, discrepancy_id, kind, line_no, sku, sellable, damaged, note, received_at, decision,
                decided_by, decision_note, decided_at
           from rma_discrepancy where return_id = any($1) order by discrepancy_id",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    for row in rows {
        let decision = match row.try_get::<Option<OffsetDateTime>, _>(12)? {
            Some(at) => {
                Some(Decision { what: stored_enum(row.try_get(9)?)?, by: row.try_get(10)?, note: row.try_get(11)?, at })
            }
            None => None,
        };
        discrepancies.entry(row.try_get(0)?).or_default().push(Discrepancy {
            id: row.try_get(1)?,
            kind: stored_enum(row.try_get(2)?)?,
            line_no: row.try_get(3)?,
            sku: row.try_get(4)?,
            sellable: row.try_get(5)?,
            damaged: row.try_get(6)?,
            note: row.try_get(7)?,
            received_at: row.try_get(8)?,
            decision,
        });
    }
    for rma in returns {
        rma.linked = linked.iter().filter(|(of, _)| *of == rma.return_id).map(|(_, order_id)| *order_id).collect();
        rma.history = steps.remove(&rma.return_id).unwrap_or_default();
        rma.discrepancies = discrepancies.remove(&rma.return_id).unwrap_or_default();
    }
    Ok(())
}

async fn add_steps(conn: &mut PgConnection, rma: &Rma) -> Result<(), Error> {
    if rma.history.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into rma_step (return_id, step_no, at, state, by_whom, note)
         select $1, step_no, at, state, by_whom, note
           from unnest($2::timestamptz[], $3::int2[], $4::text[], $5::text[]) with ordinality
                as s (at, state, by_whom, note, step_no)
         on conflict (return_id, step_no) do nothing",
    )
    .bind(rma.return_id)
    .bind(rma.history.iter().map(|step| step.at).collect::<Vec<_>>())
    .bind(rma.history.iter().map(|step| small(step.state.into())).collect::<Vec<_>>())
    .bind(rma.history.iter().map(|step| step.by.as_str()).collect::<Vec<_>>())
    .bind(rma.history.iter().map(|step| step.note.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what people did with a return, read with everything, as its next version.
pub async fn save(conn: &mut PgConnection, rma: &Rma) -> Result<(), Error> {
    sqlx::query("update rma set version = $2, stage = $3, wish = $4 where return_id = $1")
        .bind(rma.return_id)
        .bind(rma.version)
        .bind(small(rma.stage.into()))
        .bind(rma.wish.as_ref().map(ExchangeWish::encode_to_vec))
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "insert into rma_line as l (return_id, line_no, quantity, released, reason)
         select $1, * from unnest($2::int4[], $3::int4[], $4::int4[], $5::text[])
         on conflict (return_id, line_no) do update set quantity = excluded.quantity, released = excluded.released
          where (l.quantity, l.released) is distinct from (excluded.quantity, excluded.released)",
    )
    .bind(rma.return_id)
    .bind(rma.lines.iter().map(|line| line.line_no).collect::<Vec<_>>())
    .bind(rma.lines.iter().map(|line| column(line.quantity)).collect::<Result<Vec<_>, _>>()?)
    .bind(rma.lines.iter().map(|line| column(line.released)).collect::<Result<Vec<_>, _>>()?)
    .bind(rma.lines.iter().map(|line| line.reason.as_str()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    add_steps(conn, rma).await?;
    let decided: Vec<(Uuid, &Decision)> =
        rma.discrepancies.iter().filter_map(|one| Some((one.id, one.decision.as_ref()?))).collect();
    if decided.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update rma_discrepancy d
            set decision = n.decision, decided_by = n.decided_by, decision_note = n.note, decided_at = n.decided_at
           from unnest($1::uuid[], $2::int2[], $3::text[], $4::text[], $5::timestamptz[])
                as n (id, decision, decided_by, note, decided_at)
          where d.discrepancy_id = n.id and d.decision = 0",
    )
    .bind(decided.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(decided.iter().map(|(_, decision)| small(decision.what.into())).collect::<Vec<_>>())
    .bind(decided.iter().map(|(_, decision)| decision.by.as_str()).collect::<Vec<_>>())
    .bind(decided.iter().map(|(_, decision)| decision.note.as_str()).collect::<Vec<_>>())
    .bind(decided.iter().map(|(_, decision)| decision.at).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
