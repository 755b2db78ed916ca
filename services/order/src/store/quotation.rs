//! Quotations, and acceptances whose orders are being placed.

use crate::error::Error;
use crate::name::PresalesName;
use crate::quotation::{At, Filter, Quotation, Revision};
use crate::store::{currency, small, stored_enum};
use pesan_api::order::v1::QuotationTerms;
use prost::Message as _;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

const SELECT: &str = "select q.quotation_id, q.number, q.inquiry_id, q.customer_id, coalesce(c.external_id, ''),
       q.channel, q.sales_rep, q.state, q.revision, q.valid_until, q.created_at, q.sent_at, q.decided_at, q.decided_by,
       q.decision_note, q.order_id, q.version, r.revision, r.terms, r.currency, r.gross, r.discount, r.tax,
       r.valid_until, r.revised_at, r.revised_by
  from quotation q join quotation_revision r using (quotation_id) left join customer c using (customer_id)
 where ";

fn at(row: &PgRow) -> Result<At, Error> {
    let quotation = Quotation {
        quotation_id: row.try_get(0)?,
        number: row.try_get(1)?,
        inquiry_id: row.try_get(2)?,
        customer_id: row.try_get(3)?,
        customer_external_id: row.try_get(4)?,
        channel: row.try_get(5)?,
        sales_rep: row.try_get(6)?,
        state: stored_enum(row.try_get(7)?)?,
        revision: row.try_get(8)?,
        valid_until: row.try_get(9)?,
        created_at: row.try_get(10)?,
        sent_at: row.try_get(11)?,
        decided_at: row.try_get(12)?,
        decided_by: row.try_get(13)?,
        decision_note: row.try_get(14)?,
        order_id: row.try_get(15)?,
        version: row.try_get(16)?,
    };
    let terms: Vec<u8> = row.try_get(18)?;
    let revision = Revision {
        revision: row.try_get(17)?,
        terms: QuotationTerms::decode(terms.as_slice()).map_err(|_| Error::Broken("stored terms"))?,
        currency: currency(row.try_get(19)?)?,
        gross: row.try_get(20)?,
        discount: row.try_get(21)?,
        tax: row.try_get(22)?,
        valid_until: row.try_get(23)?,
        revised_at: row.try_get(24)?,
        revised_by: row.try_get(25)?,
    };
    Ok((quotation, revision))
}

/// The id of the quotation with this name.
pub async fn id_of(conn: &mut PgConnection, name: PresalesName) -> Result<Option<Uuid>, Error> {
    let (id, number) = name.id_and_number();
    Ok(sqlx::query_scalar(
        "select quotation_id from quotation where quotation_id = $1
         union all select quotation_id from quotation where number = $2",
    )
    .bind(id)
    .bind(number)
    .fetch_optional(conn)
    .await?)
}

/// A quotation at a revision; 0: the newest.
pub async fn get(conn: &mut PgConnection, quotation_id: Uuid, revision: i32) -> Result<Option<At>, Error> {
    let mut query = QueryBuilder::new(SELECT);
    query.push("q.quotation_id = ").push_bind(quotation_id);
    query.push(" and r.revision = coalesce(nullif(").push_bind(revision).push(", 0), q.revision)");
    query.build().fetch_optional(conn).await?.as_ref().map(at).transpose()
}

/// Up to `limit` quotations at their newest revisions, newest first, after the one created at that time with that id.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    now: OffsetDateTime,
    after: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<At>, Error> {
    let mut query: QueryBuilder<Postgres> = QueryBuilder::new(SELECT);
    query.push("r.revision = q.revision");
    if !filter.states.is_empty() {
        // As Quotation::state_at says: 1 is a draft, 2 is sent, 6 is expired.
        query.push(" and case when q.state in (1, 2) and q.valid_until <= ").push_bind(now);
        let states: Vec<i16> = filter.states.iter().map(|state| small((*state).into())).collect();
        query.push(" then 6 else q.state end = any(").push_bind(states).push(")");
    }
    if let Some(customer_id) = filter.customer_id {
        query.push(" and q.customer_id = ").push_bind(customer_id);
    }
    if let Some(inquiry_id) = filter.inquiry_id {
        query.push(" and q.inquiry_id = ").push_bind(inquiry_id);
    }
    if let Some(from) = filter.created_from {
        query.push(" and q.created_at >= ").push_bind(from);
    }
    if let Some(to) = filter.created_to {
        query.push(" and q.created_at < ").push_bind(to);
    }
    if let Some((time, id)) = after {
        query.push(" and (q.created_at, q.quotation_id) < (").push_bind(time).push(", ").push_bind(id).push(")");
    }
    query.push(" order by q.created_at desc, q.quotation_id desc limit ").push_bind(limit);
    query.build().fetch_all(conn).await?.iter().map(at).collect()
}

/// Writes a new quotation; its number.
pub async fn insert(conn: &mut PgConnection, quotation: &Quotation) -> Result<i64, Error> {
    Ok(sqlx::query_scalar(
        "insert into quotation (quotation_id, inquiry_id, customer_id, channel, sales_rep, state, revision, valid_until,
                                created_at, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         returning number",
    )
    .bind(quotation.quotation_id)
    .bind(quotation.inquiry_id)
    .bind(quotation.customer_id)
    .bind(&quotation.channel)
    .bind(&quotation.sales_rep)
    .bind(small(quotation.state.into()))
    .bind(quotation.revision)
    .bind(quotation.valid_until)
    .bind(quotation.created_at)
    .bind(quotation.version)
    .fetch_one(conn)
    .await?)
}

/// Writes another revision.
pub async fn insert_revision(conn: &mut PgConnection, quotation_id: Uuid, revision: &Revision) -> Result<(), Error> {
    sqlx::query(
        "insert into quotation_revision (quotation_id, revision, terms, currency, gross, discount, tax, valid_until,
                                         revised_at, revised_by)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(quotation_id)
    .bind(revision.revision)
    .bind(revision.terms.encode_to_vec())
    .bind(revision.currency.code())
    .bind(revision.gross)
    .bind(revision.discount)
    .bind(revision.tax)
    .bind(revision.valid_until)
    .bind(revision.revised_at)
    .bind(&revision.revised_by)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a known quotation back.
pub async fn write(conn: &mut PgConnection, quotation: &Quotation) -> Result<(), Error> {
    sqlx::query(
        "update quotation
            set customer_id = $2, state = $3, revision = $4, valid_until = $5, sent_at = $6, decided_at = $7,
                decided_by = $8, decision_note = $9, order_id = $10, version = $11
          where quotation_id = $1",
    )
    .bind(quotation.quotation_id)
    .bind(quotation.customer_id)
    .bind(small(quotation.state.into()))
    .bind(quotation.revision)
    .bind(quotation.valid_until)
    .bind(quotation.sent_at)
    .bind(quotation.decided_at)
    .bind(&quotation.decided_by)
    .bind(&quotation.decision_note)
    .bind(quotation.order_id)
    .bind(quotation.version)
    .execute(conn)
    .await?;
    Ok(())
}

/// An acceptance whose order is being placed.
#[derive(Clone, Debug)]
pub struct Acceptance {
    /// Of what.
    pub quotation_id: Uuid,
    /// Encoded pesan.order.v1.NewOrder: what is placed again must be what was placed before.
    pub new_order: Vec<u8>,
    /// Who said yes.
    pub accepted_by: String,
    /// When.
    pub accepted_at: OffsetDateTime,
    /// The trace of the call.
    pub traceparent: Option<String>,
}

fn acceptance(row: &PgRow) -> Result<Acceptance, Error> {
    Ok(Acceptance {
        quotation_id: row.try_get(0)?,
        new_order: row.try_get(1)?,
        accepted_by: row.try_get(2)?,
        accepted_at: row.try_get(3)?,
        traceparent: row.try_get(4)?,
    })
}

/// The one of a quotation, if there is one.
pub async fn acceptance_of(conn: &mut PgConnection, quotation_id: Uuid) -> Result<Option<Acceptance>, Error> {
    let row = sqlx::query(
        "select quotation_id, new_order, accepted_by, accepted_at, traceparent from acceptance where quotation_id = $1",
    )
    .bind(quotation_id)
    .fetch_optional(conn)
    .await?;
    row.as_ref().map(acceptance).transpose()
}

/// Writes one: a worker takes it up at `due_at`, unless it is done by then.
pub async fn insert_acceptance(
    conn: &mut PgConnection,
    acceptance: &Acceptance,
    due_at: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query(
        "insert into acceptance (quotation_id, new_order, accepted_by, accepted_at, traceparent, due_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(acceptance.quotation_id)
    .bind(&acceptance.new_order)
    .bind(&acceptance.accepted_by)
    .bind(acceptance.accepted_at)
    .bind(&acceptance.traceparent)
    .bind(due_at)
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends one.
pub async fn delete_acceptance(conn: &mut PgConnection, quotation_id: Uuid) -> Result<(), Error> {
    sqlx::query("delete from acceptance where quotation_id = $1").bind(quotation_id).execute(conn).await?;
    Ok(())
}

/// Takes up to `limit` that are due, until `lease_until`; those another worker takes right now are passed over.
pub async fn take_acceptances(
    conn: &mut PgConnection,
    now: OffsetDateTime,
    lease_until: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Acceptance>, Error> {
    // No index: there are as many rows as acceptances under way.
    let rows = sqlx::query(
        "update acceptance a set due_at = $2, attempts = a.attempts + 1
           from (select quotation_id from acceptance where due_at <= $1 order by due_at limit $3 for update skip locked) due
          where a.quotation_id = due.quotation_id
         returning a.quotation_id, a.new_order, a.accepted_by, a.accepted_at, a.traceparent",
    )
    .bind(now)
    .bind(lease_until)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(acceptance).collect()
}

/// The request id an order was placed with.
pub async fn request_of_order(conn: &mut PgConnection, order_id: Uuid) -> Result<Option<Uuid>, Error> {
    let found: Option<Option<Uuid>> = sqlx::query_scalar("select request_id from orders where order_id = $1")
        .bind(order_id)
        .fetch_optional(conn)
        .await?;
    Ok(found.flatten())
}
