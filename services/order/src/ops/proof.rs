//! The proof: every invariant in one snapshot, and digests for the comparison with other services.

use crate::error::Error;
use crate::ops::Books;
use crate::store;
use crate::store::proof::Digested;
use pesan_api::proof::v1 as pb;
use rust_decimal::prelude::ToPrimitive as _;
use uuid::Uuid;

/// Orders, and about so many lines, of a message.
const PAGE: i64 = 500;
const PAGE_LINES: i64 = 20_000;

/// What the values of every part of a digest are: nine quantities of a line, three figures of the whole order.
pub const MEASURES: [&str; 12] = [
    "ordered",
    "reserved",
    "allocated",
    "backordered",
    "cancelled",
    "shipped",
    "returned",
    "invoiced",
    "refunded",
    "units_ordered",
    "gross",
    "units_shipped",
];

/// Checks every invariant.
pub async fn check(books: &Books) -> Result<pb::CheckInvariantsResponse, Error> {
    let mut tx = store::begin_proof(&books.pool).await?;
    let results = vec![
        store::proof::lines_conserved(&mut tx).await?,
        store::proof::totals_are_sums(&mut tx).await?,
        store::proof::allocations_match(&mut tx).await?,
        store::proof::orders_wait_for_something(&mut tx).await?,
        store::proof::withheld_waits(&mut tx).await?,
        store::proof::returns_match(&mut tx).await?,
        pesan_feed::check_contiguous(&mut tx).await?,
        store::proof::versions_match(&mut tx).await?,
        store::proof::quotations_match(&mut tx).await?,
        store::proof::inquiries_match(&mut tx).await?,
    ];
    let followers = pesan_feed::cursors(&mut tx).await?;
    tx.commit().await?;
    Ok(pb::CheckInvariantsResponse { results, followers })
}

/// The digests of the next orders after an id; empty at the end.
pub async fn digests(books: &Books, subjects: &[Uuid], after: Uuid) -> Result<(Vec<pb::Digest>, Uuid), Error> {
    let mut conn = books.pool.acquire().await?;
    let page = store::proof::digests(&mut conn, subjects, after, PAGE, PAGE_LINES).await?;
    let last = page.last().map_or(after, |one| one.order_id);
    Ok((page.iter().map(digest).collect(), last))
}

fn digest(one: &Digested) -> pb::Digest {
    let Some(order) = &one.order else { return promised(one) };
    let standing = &order.head.standing;
    let minor_units = |amount: rust_decimal::Decimal| {
        let factor = rust_decimal::Decimal::from(10_i64.pow(order.currency.exponent()));
        amount.checked_mul(factor).and_then(|minor| minor.to_i64()).unwrap_or(i64::MAX)
    };
    let (units, gross) =
        if standing.rejected { (0, 0) } else { (standing.quantities.ordered, minor_units(order.gross)) };
    let whole = [0, 0, 0, 0, 0, 0, 0, 0, 0, units, gross, standing.quantities.shipped];
    let mut parts = vec![pb::Part { part: 0, values: whole.to_vec() }];
    parts.extend(one.lines.iter().map(|line| {
        let q = &line.quantities;
        let allocated = match standing.confirmed_at {
            Some(_) => q.reserved - one.withheld.get(&line.line_no).unwrap_or(&0),
            None => 0,
        };
        let values = [
            q.ordered,
            q.reserved,
            allocated,
            q.backordered,
            q.cancelled,
            q.shipped,
            q.returned,
            q.invoiced,
            q.refunded,
            0,
            0,
            0,
        ];
        pb::Part { part: line.line_no, values: values.to_vec() }
    }));
    pb::Digest { subject: one.order_id.to_string(), parts }
}

/// Of an order that is not placed yet there is only what is held for it.
fn promised(one: &Digested) -> pb::Digest {
    let part = |line: &crate::line::Line| {
        let q = &line.quantities;
        pb::Part { part: line.line_no, values: vec![0, q.reserved, 0, q.backordered, 0, 0, 0, 0, 0, 0, 0, 0] }
    };
    pb::Digest { subject: one.order_id.to_string(), parts: one.lines.iter().map(part).collect() }
}
