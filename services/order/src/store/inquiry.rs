//! Inquiries.

use crate::error::Error;
use crate::inquiry::{Details, Filter, Inquiry, PipelineRow, Probabilities, Response, StageChange};
use crate::name::PresalesName;
use crate::store::{currency, small, stored_enum};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Postgres, QueryBuilder, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

const SELECT: &str = "select i.inquiry_id, i.number, i.external_id, i.title, i.description, i.source, i.owner,
       i.customer_id, coalesce(c.external_id, ''), i.contact_name, i.contact_email, i.contact_phone, i.currency,
       i.estimated_value, i.expected_close_at, i.stage, i.opened_at, i.first_response_at, i.closed_at, i.lost_reason,
       i.responses, i.stage_changes, i.version
  from inquiry i left join customer c using (customer_id)
 where true";

fn inquiry(row: &PgRow) -> Result<Inquiry, Error> {
    Ok(Inquiry {
        inquiry_id: row.try_get(0)?,
        number: row.try_get(1)?,
        external_id: row.try_get(2)?,
        details: Details {
            title: row.try_get(3)?,
            description: row.try_get(4)?,
            source: row.try_get(5)?,
            owner: row.try_get(6)?,
            customer_id: row.try_get(7)?,
            customer_external_id: row.try_get(8)?,
            contact_name: row.try_get(9)?,
            contact_email: row.try_get(10)?,
            contact_phone: row.try_get(11)?,
            currency: currency(row.try_get(12)?)?,
            estimated_value: row.try_get(13)?,
            expected_close_at: row.try_get(14)?,
        },
        stage: stored_enum(row.try_get(15)?)?,
        opened_at: row.try_get(16)?,
        first_response_at: row.try_get(17)?,
        closed_at: row.try_get(18)?,
        lost_reason: row.try_get(19)?,
        responses: row.try_get(20)?,
        stage_changes: row.try_get(21)?,
        version: row.try_get(22)?,
    })
}

async fn one(conn: &mut PgConnection, mut query: QueryBuilder<Postgres>) -> Result<Option<Inquiry>, Error> {
    query.build().fetch_optional(conn).await?.as_ref().map(inquiry).transpose()
}

/// The id of the inquiry with this name.
pub async fn id_of(conn: &mut PgConnection, name: PresalesName) -> Result<Option<Uuid>, Error> {
    let (id, number) = name.id_and_number();
    let found = sqlx::query_scalar(
        "select inquiry_id from inquiry where inquiry_id = $1
         union all select inquiry_id from inquiry where number = $2",
    )
    .bind(id)
    .bind(number)
    .fetch_optional(conn)
    .await?;
    Ok(found)
}

/// One inquiry.
pub async fn get(conn: &mut PgConnection, inquiry_id: Uuid) -> Result<Option<Inquiry>, Error> {
    let mut query = QueryBuilder::new(SELECT);
    query.push(" and i.inquiry_id = ").push_bind(inquiry_id);
    one(conn, query).await
}

/// The inquiry that has this id in its source.
pub async fn by_external_id(
    conn: &mut PgConnection,
    source: &str,
    external_id: &str,
) -> Result<Option<Inquiry>, Error> {
    let mut query = QueryBuilder::new(SELECT);
    query.push(" and i.source = ").push_bind(source.to_owned());
    query.push(" and i.external_id = ").push_bind(external_id.to_owned());
    one(conn, query).await
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter) {
    if !filter.owner.is_empty() {
        query.push(" and i.owner = ").push_bind(filter.owner.clone());
    }
    if !filter.stages.is_empty() {
        let stages: Vec<i16> = filter.stages.iter().map(|stage| small((*stage).into())).collect();
        query.push(" and i.stage = any(").push_bind(stages).push(")");
    }
    if !filter.source.is_empty() {
        query.push(" and i.source = ").push_bind(filter.source.clone());
    }
    if let Some(customer_id) = filter.customer_id {
        query.push(" and i.customer_id = ").push_bind(customer_id);
    }
    if let Some(from) = filter.opened_from {
        query.push(" and i.opened_at >= ").push_bind(from);
    }
    if let Some(to) = filter.opened_to {
        query.push(" and i.opened_at < ").push_bind(to);
    }
}

/// Up to `limit` inquiries, newest first, after the one opened at that time with that id.
pub async fn page(
    conn: &mut PgConnection,
    filter: &Filter,
    after: Option<(OffsetDateTime, Uuid)>,
    limit: i64,
) -> Result<Vec<Inquiry>, Error> {
    let mut query = QueryBuilder::new(SELECT);
    push_filter(&mut query, filter);
    if let Some((time, id)) = after {
        query.push(" and (i.opened_at, i.inquiry_id) < (").push_bind(time).push(", ").push_bind(id).push(")");
    }
    query.push(" order by i.opened_at desc, i.inquiry_id desc limit ").push_bind(limit);
    query.build().fetch_all(conn).await?.iter().map(inquiry).collect()
}

/// Counts and values by stage, owner and currency.
pub async fn pipeline(conn: &mut PgConnection, filter: &Filter) -> Result<Vec<PipelineRow>, Error> {
    let mut query = QueryBuilder::new(
        "select i.stage, i.owner, i.currency, count(*), sum(i.estimated_value) from inquiry i where true",
    );
    push_filter(&mut query, filter);
    query.push(" group by i.stage, i.owner, i.currency order by i.stage, i.owner, i.currency");
    let rows = query.build().fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            Ok(PipelineRow {
                stage: stored_enum(row.try_get(0)?)?,
                owner: row.try_get(1)?,
                currency: currency(row.try_get(2)?)?,
                count: row.try_get(3)?,
                value: row.try_get(4)?,
            })
        })
        .collect()
}

/// Writes a new inquiry; its number.
pub async fn insert(conn: &mut PgConnection, inquiry: &Inquiry) -> Result<i64, Error> {
    let details = &inquiry.details;
    Ok(sqlx::query_scalar(
        "insert into inquiry (inquiry_id, source, external_id, title, description, owner, customer_id, contact_name,
                              contact_email, contact_phone, currency, estimated_value, expected_close_at, stage,
                              opened_at, version)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
         returning number",
    )
    .bind(inquiry.inquiry_id)
    .bind(&details.source)
    .bind(&inquiry.external_id)
    .bind(&details.title)
    .bind(&details.description)
    .bind(&details.owner)
    .bind(details.customer_id)
    .bind(&details.contact_name)
    .bind(&details.contact_email)
    .bind(&details.contact_phone)
    .bind(details.currency.code())
    .bind(details.estimated_value)
    .bind(details.expected_close_at)
    .bind(small(inquiry.stage.into()))
    .bind(inquiry.opened_at)
    .bind(inquiry.version)
    .fetch_one(conn)
    .await?)
}

/// Writes a known inquiry back; source, external id, number and opening never change.
pub async fn write(conn: &mut PgConnection, inquiry: &Inquiry) -> Result<(), Error> {
    let details = &inquiry.details;
    sqlx::query(
        "update inquiry
            set title = $2, description = $3, owner = $4, customer_id = $5, contact_name = $6, contact_email = $7,
                contact_phone = $8, currency = $9, estimated_value = $10, expected_close_at = $11, stage = $12,
                first_response_at = $13, closed_at = $14, lost_reason = $15, responses = $16, stage_changes = $17,
                version = $18
          where inquiry_id = $1",
    )
    .bind(inquiry.inquiry_id)
    .bind(&details.title)
    .bind(&details.description)
    .bind(&details.owner)
    .bind(details.customer_id)
    .bind(&details.contact_name)
    .bind(&details.contact_email)
    .bind(&details.contact_phone)
    .bind(details.currency.code())
    .bind(details.estimated_value)
    .bind(details.expected_close_at)
    .bind(small(inquiry.stage.into()))
    .bind(inquiry.first_response_at)
    .bind(inquiry.closed_at)
    .bind(&inquiry.lost_reason)
    .bind(inquiry.responses)
    .bind(inquiry.stage_changes)
    .bind(inquiry.version)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes a move.
pub async fn insert_change(conn: &mut PgConnection, inquiry_id: Uuid, change: &StageChange) -> Result<(), Error> {
    sqlx::query(
        "insert into inquiry_stage_change (inquiry_id, change_no, from_stage, to_stage, changed_at, changed_by, note)
         values ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(inquiry_id)
    .bind(change.change_no)
    .bind(small(change.from.into()))
    .bind(small(change.to.into()))
    .bind(change.changed_at)
    .bind(&change.changed_by)
    .bind(&change.note)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes an answer.
pub async fn insert_response(conn: &mut PgConnection, inquiry_id: Uuid, response: &Response) -> Result<(), Error> {
    sqlx::query(
        "insert into inquiry_response (inquiry_id, response_no, responder, responded_at, text)
         values ($1, $2, $3, $4, $5)",
    )
    .bind(inquiry_id)
    .bind(response.response_no)
    .bind(&response.responder)
    .bind(response.responded_at)
    .bind(&response.text)
    .execute(conn)
    .await?;
    Ok(())
}

/// All answers of an inquiry, by time.
pub async fn responses(conn: &mut PgConnection, inquiry_id: Uuid) -> Result<Vec<Response>, Error> {
    let rows = sqlx::query(
        "select response_no, responder, responded_at, text
           from inquiry_response where inquiry_id = $1 order by responded_at, response_no",
    )
    .bind(inquiry_id)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Response {
                response_no: row.try_get(0)?,
                responder: row.try_get(1)?,
                responded_at: row.try_get(2)?,
                text: row.try_get(3)?,
            })
        })
        .collect()
}

/// All moves of an inquiry, from the first.
pub async fn changes(conn: &mut PgConnection, inquiry_id: Uuid) -> Result<Vec<StageChange>, Error> {
    let rows = sqlx::query(
        "select change_no, from_stage, to_stage, changed_at, changed_by, note
           from inquiry_stage_change where inquiry_id = $1 order by change_no",
    )
    .bind(inquiry_id)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(StageChange {
                change_no: row.try_get(0)?,
                from: stored_enum(row.try_get(1)?)?,
                to: stored_enum(row.try_get(2)?)?,
                changed_at: row.try_get(3)?,
                changed_by: row.try_get(4)?,
                note: row.try_get(5)?,
            })
        })
        .collect()
}

/// How likely inquiries are won.
pub async fn probabilities(conn: &mut PgConnection) -> Result<Probabilities, Error> {
    let row = sqlx::query("select qualification, proposal, negotiation, version from stage_probability")
        .fetch_one(conn)
        .await?;
    Ok(Probabilities {
        qualification: row.try_get(0)?,
        proposal: row.try_get(1)?,
        negotiation: row.try_get(2)?,
        version: row.try_get(3)?,
    })
}

/// Writes the next version of how likely inquiries are won; false where the one before is not there any more.
pub async fn write_probabilities(conn: &mut PgConnection, next: &Probabilities) -> Result<bool, Error> {
    let done = sqlx::query(
        "update stage_probability set qualification = $1, proposal = $2, negotiation = $3, version = $4
          where version = $4 - 1",
    )
    .bind(next.qualification)
    .bind(next.proposal)
    .bind(next.negotiation)
    .bind(next.version)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}
