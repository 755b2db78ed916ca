//! Invoices and credit notes.

use crate::order_fact::Document;
use sqlx::{PgConnection, Row as _};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Writes documents, one row each.
pub async fn write(conn: &mut PgConnection, documents: &[Document]) -> sqlx::Result<()> {
    if documents.is_empty() {
        return Ok(());
    }
    let lines = || (1_i64..).zip(documents).flat_map(|(place, d)| d.lines.iter().map(move |line| (place, line)));
    sqlx::query(
        "insert into document_fact (document_id, order_id, credit, issued_at, dims_id, net, skus, nets)
         select d.document_id, d.order_id, d.credit, d.issued_at, d.dims_id, d.net, coalesce(l.skus, '{}'),
                coalesce(l.nets, '{}')
           from unnest($1::uuid[], $2::uuid[], $3::bool[], $4::timestamptz[], $5::uuid[], $6::int8[]) with ordinality
                as d (document_id, order_id, credit, issued_at, dims_id, net, place)
           left join (select place, array_agg(sku order by sku) as skus, array_agg(net order by sku) as nets
                        from unnest($7::int8[], $8::text[], $9::int8[]) as l (place, sku, net)
                       group by place) l using (place)",
    )
    .bind(documents.iter().map(|d| d.document_id).collect::<Vec<_>>())
    .bind(documents.iter().map(|d| d.order_id).collect::<Vec<_>>())
    .bind(documents.iter().map(|d| d.credit).collect::<Vec<_>>())
    .bind(documents.iter().map(|d| d.issued_at).collect::<Vec<_>>())
    .bind(documents.iter().map(|d| d.dims_id).collect::<Vec<_>>())
    .bind(documents.iter().map(|d| d.net).collect::<Vec<_>>())
    .bind(lines().map(|(place, _)| place).collect::<Vec<_>>())
    .bind(lines().map(|(_, (sku, _))| sku.as_str()).collect::<Vec<_>>())
    .bind(lines().map(|(_, (_, net))| *net).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The documents of orders whose acceptance was not read when they came. Without their lines, which are not needed.
pub async fn waiting(conn: &mut PgConnection, order_ids: &[Uuid]) -> sqlx::Result<Vec<Document>> {
    if order_ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select document_id, order_id, credit, issued_at, net
           from document_fact
          where order_id = any($1) and dims_id is null",
    )
    .bind(order_ids)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Document {
                document_id: row.try_get(0)?,
                order_id: row.try_get(1)?,
                credit: row.try_get(2)?,
                issued_at: row.try_get(3)?,
                dims: None,
                dims_id: None,
                net: row.try_get(4)?,
                lines: Vec::new(),
            })
        })
        .collect()
}

/// Notes the dims of documents whose order is known now.
pub async fn settle(conn: &mut PgConnection, settled: &BTreeMap<Uuid, Uuid>) -> sqlx::Result<()> {
    if settled.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "update document_fact d
            set dims_id = s.dims_id
           from unnest($1::uuid[], $2::uuid[]) as s (document_id, dims_id)
          where d.document_id = s.document_id",
    )
    .bind(settled.keys().copied().collect::<Vec<_>>())
    .bind(settled.values().copied().collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
