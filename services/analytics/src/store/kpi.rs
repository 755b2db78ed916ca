//! The figures of KPIs, by bucket and segment. Sums come from the rollups wherever these can tell them; what they cannot
//! tell (distinct customers, several products of one order, borders within a slot) is counted from the facts.
//!
//! Statements are put together from the literals of this file; everything a caller says is bound. All of them have $1 the
//! lower ends of the buckets, $2 the end of the period, $3 and $4 the dims that count with their segment; those that look
//! at products also $5 the skus that count (null: all) and $6 whether to split by sku.

use crate::kpi::{BuyerFigures, CohortFigures, DocumentFigures, FirstOrderFigures, RetentionFigures, SalesFigures};
use rust_decimal::Decimal;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

/// Most rows of one group of figures; one more shows that there were too many.
pub const MAX_ROWS: usize = 200_000;

/// What to look at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Ascending.
    pub lower_ends: Vec<OffsetDateTime>,
    pub to: OffsetDateTime,
    /// The dims that count.
    pub dims_ids: Vec<Uuid>,
    /// The segment of each of them.
    pub segments: Vec<String>,
    /// None: orders as a whole.
    pub products: Option<Products>,
}

/// Orders seen through their lines of products.
#[derive(Clone, Debug)]
pub struct Products {
    /// None: all.
    pub skus: Option<Vec<String>>,
    /// The segment is the sku.
    pub split: bool,
}

/// Figures of a bucket (from 0) and segment.
pub type Rows<T> = Vec<(usize, String, T)>;

const DIMS: &str = "unnest($3::uuid[], $4::text[]) as d (dims_id, segment)";

/// The orders of the period that count: one row for each, or for each and product.
const SOLD_ORDERS: &str = "
    select f.order_id, f.placed_at, f.customer_id, d.segment, f.lines::int8 as lines, f.units, f.gross, f.discount,
           f.cancelled, cardinality(f.backordered_lines)::int8 as backordered_lines
      from order_fact f
      join unnest($3::uuid[], $4::text[]) as d (dims_id, segment) using (dims_id)
     where f.placed_at >= ($1::timestamptz[])[1] and f.placed_at < $2 and not f.rejected";
const SOLD_PRODUCTS: &str = "
    select f.order_id, f.placed_at, f.customer_id, case when $6 then l.sku else d.segment end as segment,
           count(*)::int8 as lines, sum(l.units)::int8 as units, sum(l.gross)::int8 as gross,
           sum(l.discount)::int8 as discount, f.cancelled,
           count(*) filter (where l.line_no = any(f.backordered_lines)) as backordered_lines
      from order_fact f
      join unnest($3::uuid[], $4::text[]) as d (dims_id, segment) using (dims_id)
      join order_lines o using (order_id)
     cross join lateral unnest(o.line_nos, o.skus, o.units, o.gross, o.discounts)
           as l (line_no, sku, units, gross, discount)
     where f.placed_at >= ($1::timestamptz[])[1] and f.placed_at < $2 and not f.rejected
       and ($5::text[] is null or l.sku = any($5))
     group by f.order_id, 4";

impl Scope {
    /// The subquery of the orders that count.
    pub(super) fn sold(&self) -> &'static str {
        if self.products.is_some() { SOLD_PRODUCTS } else { SOLD_ORDERS }
    }

    pub(super) fn bind<'q>(&'q self, query: Query<'q, Postgres, PgArguments>) -> Query<'q, Postgres, PgArguments> {
        let query = query.bind(&self.lower_ends).bind(self.to).bind(&self.dims_ids).bind(&self.segments);
        match &self.products {
            Some(products) => query.bind(&products.skus).bind(products.split),
            None => query,
        }
    }

    /// Runs such a statement over a rollup: by slots first, whatever the planner believes of a table that has just grown.
    async fn fetch_sums<T>(
        &self,
        conn: &mut PgConnection,
        statement: String,
        read: fn(&PgRow) -> sqlx::Result<T>,
    ) -> sqlx::Result<Rows<T>> {
        sqlx::query("set local enable_nestloop = off").execute(&mut *conn).await?;
        let rows = self.fetch(&mut *conn, statement, read).await?;
        sqlx::query("set local enable_nestloop = on").execute(conn).await?;
        Ok(rows)
    }

    /// Runs a statement that answers bucket (from 1), segment, and figures.
    pub(super) async fn fetch<T>(
        &self,
        conn: &mut PgConnection,
        statement: String,
        read: fn(&PgRow) -> sqlx::Result<T>,
    ) -> sqlx::Result<Rows<T>> {
        let statement = format!("{statement} limit {}", MAX_ROWS + 1);
        let rows = self.bind(sqlx::query(AssertSqlSafe(statement))).fetch_all(conn).await?;
        rows.iter().map(|row| Ok((bucket(row)?, row.try_get(1)?, read(row)?))).collect()
    }
}

fn bucket(row: &PgRow) -> sqlx::Result<usize> {
    let number: i32 = row.try_get(0)?;
    Ok(usize::try_from(number - 1).unwrap_or_default())
}

/// The last slot that has sales.
pub async fn last_slot(conn: &mut PgConnection) -> sqlx::Result<Option<OffsetDateTime>> {
    sqlx::query_scalar("select max(slot) from sales_slot").fetch_one(conn).await
}

fn read_sales(row: &PgRow) -> sqlx::Result<SalesFigures> {
    Ok(SalesFigures {
        orders: row.try_get(2)?,
        lines: row.try_get(3)?,
        units: row.try_get(4)?,
        gross: row.try_get(5)?,
        discount: row.try_get(6)?,
        cancelled: row.try_get(7)?,
        backordered_lines: row.try_get(8)?,
    })
}

/// Sales from the rollup: of all products, borders between slots.
pub async fn sales_of_slots(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<SalesFigures>> {
    let statement = format!(
        "select width_bucket(s.slot, $1::timestamptz[]), d.segment, sum(s.orders)::numeric, sum(s.lines)::numeric,
                sum(s.units)::numeric, sum(s.gross)::numeric, sum(s.discount)::numeric, sum(s.cancelled)::numeric,
                sum(s.backordered_lines)::numeric
           from sales_slot s
           join {DIMS} using (dims_id)
          where s.slot >= ($1::timestamptz[])[1] and s.slot < $2
          group by 1, 2"
    );
    scope.fetch_sums(conn, statement, read_sales).await
}

/// Sales of products from their rollup: borders between slots. It does not know of whole orders: `cancelled` and
/// `backordered_lines` are 0, and `orders` is right only for one product at a time.
pub async fn sales_of_product_slots(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<SalesFigures>> {
    let statement = format!(
        "select width_bucket(s.slot, $1::timestamptz[]), case when $6 then s.sku else d.segment end,
                sum(s.orders)::numeric, sum(s.lines)::numeric, sum(s.units)::numeric, sum(s.gross)::numeric,
                sum(s.discount)::numeric, 0::numeric, 0::numeric
           from product_slot s
           join {DIMS} using (dims_id)
          where s.slot >= ($1::timestamptz[])[1] and s.slot < $2 and ($5::text[] is null or s.sku = any($5))
          group by 1, 2"
    );
    scope.fetch_sums(conn, statement, read_sales).await
}

/// Sales from the facts: of whole orders or of products, any borders.
pub async fn sales_of_orders(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<SalesFigures>> {
    let statement = format!(
        "select width_bucket(s.placed_at, $1::timestamptz[]), s.segment, count(*)::numeric, sum(s.lines)::numeric,
                sum(s.units)::numeric, sum(s.gross)::numeric, sum(s.discount)::numeric,
                (count(*) filter (where s.cancelled))::numeric, sum(s.backordered_lines)::numeric
           from ({sold}) s
          group by 1, 2",
        sold = scope.sold()
    );
    scope.fetch(conn, statement, read_sales).await
}

fn read_documents(row: &PgRow) -> sqlx::Result<DocumentFigures> {
    Ok(DocumentFigures { invoiced: row.try_get(2)?, credited: row.try_get(3)? })
}

/// Documents from the rollup: of all products, borders between slots.
pub async fn documents_of_slots(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<DocumentFigures>> {
    let statement = format!(
        "select width_bucket(s.slot, $1::timestamptz[]), d.segment, sum(s.invoiced)::numeric, sum(s.credited)::numeric
           from document_slot s
           join {DIMS} using (dims_id)
          where s.slot >= ($1::timestamptz[])[1] and s.slot < $2
          group by 1, 2"
    );
    scope.fetch_sums(conn, statement, read_documents).await
}

/// Documents from the facts: as a whole or by their lines, any borders.
pub async fn documents(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<DocumentFigures>> {
    let (segment, net, lines) = match scope.products {
        None => ("d.segment", "x.net", ""),
        Some(_) => (
            "case when $6 then l.sku else d.segment end",
            "l.net",
            "cross join lateral unnest(x.skus, x.nets) as l (sku, net)",
        ),
    };
    let skus = if scope.products.is_some() { "and ($5::text[] is null or l.sku = any($5))" } else { "" };
    let statement = format!(
        "select width_bucket(x.issued_at, $1::timestamptz[]), {segment},
                coalesce(sum({net}) filter (where not x.credit), 0)::numeric,
                coalesce(sum({net}) filter (where x.credit), 0)::numeric
           from document_fact x
           join {DIMS} using (dims_id)
           {lines}
          where x.issued_at >= ($1::timestamptz[])[1] and x.issued_at < $2 {skus}
          group by 1, 2"
    );
    scope.fetch(conn, statement, read_documents).await
}

/// Identified customers who ordered in a bucket.
pub async fn buyers(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<BuyerFigures>> {
    let statement = format!(
        "select bucket, segment, count(*)::numeric, (count(*) filter (where orders > 1))::numeric, sum(gross)::numeric
           from (select width_bucket(s.placed_at, $1::timestamptz[]) as bucket, s.segment, s.customer_id,
                        count(*) as orders, sum(s.gross) as gross
                   from ({sold}) s
                  where s.customer_id is not null
                  group by 1, 2, 3) b
          group by 1, 2",
        sold = scope.sold()
    );
    scope
        .fetch(conn, statement, |row| {
            Ok(BuyerFigures { buyers: row.try_get(2)?, repeat_buyers: row.try_get(3)?, gross: row.try_get(4)? })
        })
        .await
}

/// Customers' first orders, where they were placed in a bucket and count.
pub async fn first_orders(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<FirstOrderFigures>> {
    let statement = format!(
        "select width_bucket(s.placed_at, $1::timestamptz[]), s.segment, count(*)::numeric, sum(s.gross)::numeric
           from customer_fact c
           join ({sold}) s on s.order_id = c.first_order_id
          where c.first_placed_at >= ($1::timestamptz[])[1] and c.first_placed_at < $2
          group by 1, 2",
        sold = scope.sold()
    );
    scope
        .fetch(conn, statement, |row| Ok(FirstOrderFigures { customers: row.try_get(2)?, gross: row.try_get(3)? }))
        .await
}

/// Customers active in the bucket before and in the bucket. Here the scope's first lower end is that of the bucket before
/// the first one, so that the figures of its bucket n are those of bucket n − 1 kept in bucket n.
pub async fn retention(
    conn: &mut PgConnection,
    scope: &Scope,
    preceding_ends: OffsetDateTime,
) -> sqlx::Result<Rows<RetentionFigures>> {
    let preceding_ends_at = if scope.products.is_some() { "$7" } else { "$5" };
    // A first bucket that is cut short leaves a gap between it and the preceding one.
    let statement = format!(
        "with active as (
            select distinct width_bucket(s.placed_at, $1::timestamptz[]) as bucket, s.segment, s.customer_id
              from ({sold}) s
             where s.customer_id is not null
               and (s.placed_at < {preceding_ends_at} or s.placed_at >= ($1::timestamptz[])[2]))
         select before.bucket, before.segment, count(*)::numeric, count(now.customer_id)::numeric
           from active before
           left join active now
             on now.bucket = before.bucket + 1 and now.segment = before.segment and now.customer_id = before.customer_id
          where before.bucket < cardinality($1::timestamptz[])
          group by 1, 2
          limit {limit}",
        sold = scope.sold(),
        limit = MAX_ROWS + 1
    );
    let rows = scope.bind(sqlx::query(AssertSqlSafe(statement))).bind(preceding_ends).fetch_all(conn).await?;
    rows.iter()
        .map(|row| {
            let (before, kept): (Decimal, Decimal) = (row.try_get(2)?, row.try_get(3)?);
            Ok((bucket(row)?, row.try_get(1)?, RetentionFigures { before, kept }))
        })
        .collect()
}

/// Units shipped and returned of the orders first shipped in a bucket.
pub async fn cohort(conn: &mut PgConnection, scope: &Scope) -> sqlx::Result<Rows<CohortFigures>> {
    let orders = format!(
        "select f.order_id, f.first_shipped_at, f.shipped_units, f.returned_units, d.segment
           from order_fact f
           join {DIMS} using (dims_id)
          where f.order_id in (select order_id from shipment_fact where shipped_at >= ($1::timestamptz[])[1] and shipped_at < $2)
            and f.first_shipped_at >= ($1::timestamptz[])[1] and f.first_shipped_at < $2 and not f.rejected"
    );
    let statement = if scope.products.is_none() {
        format!(
            "select width_bucket(f.first_shipped_at, $1::timestamptz[]), f.segment, sum(f.shipped_units)::numeric,
                    sum(f.returned_units)::numeric
               from ({orders}) f
              group by 1, 2"
        )
    } else {
        format!(
            "with f as ({orders}),
             moved as (
                select f.first_shipped_at, f.segment, l.sku, l.units as shipped, 0 as returned
                  from f join shipment_fact x using (order_id) cross join lateral unnest(x.skus, x.units) as l (sku, units)
                 union all
                select f.first_shipped_at, f.segment, l.sku, 0, l.units
                  from f join return_fact x using (order_id) cross join lateral unnest(x.skus, x.units) as l (sku, units))
             select width_bucket(first_shipped_at, $1::timestamptz[]), case when $6 then sku else segment end,
                    sum(shipped)::numeric, sum(returned)::numeric
               from moved
              where $5::text[] is null or sku = any($5)
              group by 1, 2"
        )
    };
    scope.fetch(conn, statement, |row| Ok(CohortFigures { shipped: row.try_get(2)?, returned: row.try_get(3)? })).await
}
