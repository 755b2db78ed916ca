//! How long orders took, from the facts: percentiles cannot be summed up.

use super::kpi::{Rows, Scope};
use crate::kpi::{Spread, TimeFigures};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

/// The spans, each null for an order that did not come that far. An order comes to a stage with its first event of it.
/// The cycle ends with the last delivery, when all that was not cancelled is delivered. Time on hold counts once where
/// holds overlap, and only before the goods left.
const SPANS: &str = "
    select case when f.shipped_units > 0 and f.delivered_units >= f.shipped_units
                     and f.shipped_units + f.cancelled_units >= f.units
                then extract(epoch from f.last_delivered_at - f.placed_at) end as cycle,
           extract(epoch from f.first_shipped_at - f.placed_at) - coalesce(on_hold.seconds, 0) as processing,
           extract(epoch from f.confirmed_at - f.placed_at) as accepted_confirmed,
           extract(epoch from f.first_shipped_at - f.confirmed_at) as confirmed_shipped,
           extract(epoch from f.first_delivered_at - f.first_shipped_at) as shipped_delivered,
           extract(epoch from f.first_invoiced_at - f.first_shipped_at) as shipped_invoiced
      from (select sum(extract(epoch from upper(span) - lower(span))) as seconds
              from (select unnest(range_agg(tstzrange(h.held_at, greatest(h.held_at, coalesce(h.released_at, 'infinity'))))
                                  * tstzmultirange(tstzrange(f.placed_at, greatest(f.placed_at, f.first_shipped_at))))
                           as span
                      from hold_fact h
                     where h.order_id = f.order_id) spans) on_hold";

/// How long the orders placed in a bucket took.
pub async fn times(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<TimeFigures>> {
    let statement = format!(
        "select width_bucket(s.placed_at, $1::timestamptz[]), s.segment,
                count(t.cycle)::numeric, sum(t.cycle),
                percentile_cont(0.5) within group (order by t.cycle::float8)::numeric,
                percentile_cont(0.9) within group (order by t.cycle::float8)::numeric,
                count(t.processing)::numeric, sum(t.processing),
                percentile_cont(0.5) within group (order by t.processing::float8)::numeric,
                percentile_cont(0.9) within group (order by t.processing::float8)::numeric,
                count(t.accepted_confirmed)::numeric, sum(t.accepted_confirmed),
                count(t.confirmed_shipped)::numeric, sum(t.confirmed_shipped),
                count(t.shipped_delivered)::numeric, sum(t.shipped_delivered),
                count(t.shipped_invoiced)::numeric, sum(t.shipped_invoiced)
           from ({sold}) s
           join order_fact f using (order_id)
          cross join lateral ({SPANS}) t
          group by 1, 2",
        sold = scope.sold()
    );
    scope
        .fetch(conn, statement, |row| {
            Ok(TimeFigures {
                cycle: Spread { median: row.try_get(4)?, p90: row.try_get(5)?, ..spread(row, 2)? },
                processing: Spread { median: row.try_get(8)?, p90: row.try_get(9)?, ..spread(row, 6)? },
                accepted_confirmed: spread(row, 10)?,
                confirmed_shipped: spread(row, 12)?,
                shipped_delivered: spread(row, 14)?,
                shipped_invoiced: spread(row, 16)?,
            })
        })
        .await
}

fn spread(row: &PgRow, column: usize) -> sqlx::Result<Spread> {
    let sum: Option<_> = row.try_get(column + 1)?;
    Ok(Spread { count: row.try_get(column)?, sum: sum.unwrap_or_default(), ..Spread::default() })
}
