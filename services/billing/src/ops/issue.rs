//! Issuing documents: their lines, what they post, and last of all their numbers.

use crate::document::{self, Document};
use crate::error::Error;
use crate::ledger::Posting;
use crate::store;
use sqlx::PgConnection;
use time::OffsetDateTime;

/// Writes documents and their postings, and numbers them in their order without a gap. To be called last before the
/// events: from the first number on, everybody else who wants one waits for this transaction.
pub async fn documents(
    conn: &mut PgConnection,
    mut documents: Vec<Document>,
    now: OffsetDateTime,
) -> Result<Vec<Document>, Error> {
    if documents.is_empty() {
        return Ok(documents);
    }
    store::document::add_lines(conn, &documents).await?;
    let postings: Vec<Posting> = documents.iter().filter_map(|document| Posting::of_document(document, now)).collect();
    store::ledger::add(conn, &postings).await?;
    let last = store::document::take_numbers(conn, &document::wanted(&documents)).await?;
    document::number(&mut documents, &last);
    store::document::add(conn, &documents, now).await?;
    Ok(documents)
}
