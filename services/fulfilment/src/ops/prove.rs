//! The proof that this service's house is in order, and what it tells for the comparison with others.

use crate::error::Error;
use crate::id::OrderId;
use crate::store;
use crate::store::proof::Checked;
use pesan_api::proof::v1::{CheckInvariantsResponse, Digest, InvariantResult, Part, Violation};
use sqlx::PgPool;
use uuid::Uuid;

/// Orders of one page of digests.
const PAGE: i64 = 500;

/// Checks every invariant in one snapshot.
pub async fn check_invariants(pool: &PgPool) -> Result<CheckInvariantsResponse, Error> {
    let mut snapshot = store::snapshot(pool).await?;
    let results = vec![
        result("fulfilment_lines_conserved", store::proof::lines_conserved(&mut snapshot).await?),
        result("shipped_orders_have_issued_everything_picked", store::proof::issued_is_picked(&mut snapshot).await?),
        result("one_goods_issue_per_shipment", store::proof::one_goods_issue(&mut snapshot).await?),
        result("returns_not_more_than_expected_and_shipped", store::proof::returns_bounded(&mut snapshot).await?),
        pesan_feed::check_contiguous(&mut snapshot).await?,
        result("versions_match_events", store::proof::versions_match(&mut snapshot).await?),
    ];
    let followers = pesan_feed::cursors(&mut snapshot).await?;
    Ok(CheckInvariantsResponse { results, followers })
}

fn result(name: &str, (rows_checked, broken): Checked) -> InvariantResult {
    let violations = broken.into_iter().map(|(id, what)| Violation { id, what }).collect();
    InvariantResult { name: name.to_owned(), rows_checked, violations }
}

/// The digests of all orders or of some, page by page, ascending.
pub struct Digests {
    pool: PgPool,
    only: Vec<Uuid>,
    after: Option<OrderId>,
    done: bool,
}

/// The digests of these orders; of all where none is named.
pub fn digests(pool: PgPool, only: Vec<OrderId>) -> Digests {
    Digests { pool, only: only.into_iter().map(|id| id.0).collect(), after: None, done: false }
}

impl Digests {
    /// The names of the values.
    pub const MEASURES: [&'static str; 3] = ["allocated", "shipped", "returned"];

    /// The next page; empty at the end.
    pub async fn next_page(&mut self) -> Result<Vec<Digest>, Error> {
        if self.done {
            return Ok(Vec::new());
        }
        let mut conn = self.pool.acquire().await?;
        let subjects = store::proof::subjects(&mut conn, self.after, &self.only, PAGE).await?;
        self.done = (subjects.len() as i64) < PAGE;
        self.after = subjects.last().copied().map(OrderId).or(self.after);
        let mut quantities = store::proof::quantities(&mut conn, &subjects).await?.into_iter().peekable();
        let mut digests = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let mut parts = Vec::new();
            while let Some((_, part, allocated, shipped, returned)) = quantities.next_if(|row| row.0 == subject) {
                parts.push(Part { part, values: vec![allocated, shipped, returned] });
            }
            digests.push(Digest { subject: subject.to_string(), parts });
        }
        Ok(digests)
    }
}
