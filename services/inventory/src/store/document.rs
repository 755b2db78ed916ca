use crate::document::{DocumentKind, DocumentName};
use sqlx::PgConnection;
use uuid::Uuid;

/// The id of a document; none: there is no such one.
pub async fn id(conn: &mut PgConnection, kind: DocumentKind, name: DocumentName) -> sqlx::Result<Option<Uuid>> {
    let (id, number) = match name {
        DocumentName::Id(id) => (Some(id), None),
        DocumentName::Number(number) => (None, Some(number)),
    };
    let found = match kind {
        DocumentKind::PurchaseOrder => sqlx::query_scalar("select id from purchase_order where id = $1 or number = $2"),
        DocumentKind::Transfer => sqlx::query_scalar("select id from transfer where id = $1 or number = $2"),
        DocumentKind::Count => sqlx::query_scalar("select id from stock_count where id = $1 or number = $2"),
    };
    found.bind(id).bind(number).fetch_optional(conn).await
}
