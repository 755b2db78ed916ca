//! The laws between the tables, and digests for the comparison with other services.

use pesan_api::proof::v1::{InvariantResult, Violation};
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// One law: how many rows it looks at, and the rows that break it (id, what), at most 100.
struct Law {
    name: &'static str,
    rows: &'static str,
    breaches: &'static str,
}

const LAWS: [Law; 9] = [
    Law {
        name: "sales_rollup_matches_order_facts",
        rows: "select count(*) from sales_slot",
        breaches: "
            with facts as (
                select to_timestamp(floor(extract(epoch from placed_at) / 900) * 900) as slot, dims_id, count(*) as orders,
                       sum(lines) as lines, sum(units) as units, sum(gross) as gross, sum(discount) as discount,
                       count(*) filter (where cancelled) as cancelled, sum(cardinality(backordered_lines)) as backordered
                  from order_fact
                 where placed_at is not null and not rejected
                 group by 1, 2)
            select concat(slot, ' ', dims_id),
                   format('rollup: %s orders, %s lines, %s units, gross %s, discount %s, %s cancelled, %s lines backordered; facts: %s, %s, %s, %s, %s, %s, %s',
                          r.orders, r.lines, r.units, r.gross, r.discount, r.cancelled, r.backordered_lines,
                          f.orders, f.lines, f.units, f.gross, f.discount, f.cancelled, f.backordered)
              from sales_slot r
              full join facts f using (slot, dims_id)
             where (r.orders, r.lines, r.units, r.gross, r.discount, r.cancelled, r.backordered_lines)
                   is distinct from (f.orders, f.lines, f.units, f.gross, f.discount, f.cancelled, f.backordered)
             order by slot limit 100",
    },
    Law {
        name: "product_rollup_matches_order_lines",
        rows: "select count(*) from product_slot",
        breaches: "
            with facts as (
                select to_timestamp(floor(extract(epoch from f.placed_at) / 900) * 900) as slot, l.sku, f.dims_id,
                       count(distinct f.order_id) as orders, count(*) as lines, sum(l.units) as units,
                       sum(l.gross) as gross, sum(l.discount) as discount
                  from order_fact f
                  join order_lines o using (order_id)
                 cross join lateral unnest(o.skus, o.units, o.gross, o.discounts) as l (sku, units, gross, discount)
                 where f.placed_at is not null and not f.rejected
                 group by 1, 2, 3)
            select concat(sku, ' ', slot, ' ', dims_id),
                   format('rollup: %s orders, %s lines, %s units, gross %s, discount %s; lines: %s, %s, %s, %s, %s',
                          r.orders, r.lines, r.units, r.gross, r.discount, f.orders, f.lines, f.units, f.gross, f.discount)
              from product_slot r
              full join facts f using (slot, sku, dims_id)
             where (r.orders, r.lines, r.units, r.gross, r.discount)
                   is distinct from (f.orders, f.lines, f.units, f.gross, f.discount)
             order by slot, sku limit 100",
    },
    Law {
        name: "documents_rollup_matches_documents",
        rows: "select count(*) from document_slot",
        breaches: "
            with facts as (
                select to_timestamp(floor(extract(epoch from issued_at) / 900) * 900) as slot, dims_id,
                       count(*) filter (where not credit) as invoices, count(*) filter (where credit) as credit_notes,
                       coalesce(sum(net) filter (where not credit), 0) as invoiced,
                       coalesce(sum(net) filter (where credit), 0) as credited
                  from document_fact
                 where dims_id is not null
                 group by 1, 2)
            select concat(slot, ' ', dims_id),
                   format('rollup: %s invoices, %s credit notes, invoiced %s, credited %s; documents: %s, %s, %s, %s',
                          r.invoices, r.credit_notes, r.invoiced, r.credited, f.invoices, f.credit_notes, f.invoiced, f.credited)
              from document_slot r
              full join facts f using (slot, dims_id)
             where (r.invoices, r.credit_notes, r.invoiced, r.credited)
                   is distinct from (f.invoices, f.credit_notes, f.invoiced, f.credited)
             order by slot limit 100",
    },
    Law {
        name: "order_facts_match_lines",
        rows: "select count(*) from order_fact where placed_at is not null",
        breaches: "
            select f.order_id::text,
                   format('order: %s lines, %s units, gross %s, discount %s; its lines: %s, %s, %s, %s',
                          f.lines, f.units, f.gross, f.discount, l.lines, l.units, l.gross, l.discount)
              from order_fact f
              left join order_lines o using (order_id)
             cross join lateral (
                   select count(*) as lines, coalesce(sum(units), 0) as units, coalesce(sum(gross), 0) as gross,
                          coalesce(sum(discount), 0) as discount
                     from unnest(o.units, o.gross, o.discounts) as l (units, gross, discount)) l
             where f.placed_at is not null
               and (f.lines, f.units, f.gross, f.discount) is distinct from (l.lines, l.units, l.gross, l.discount)
             order by f.order_id limit 100",
    },
    Law {
        name: "order_facts_match_goods",
        rows: "select (select count(*) from shipment_fact) + (select count(*) from return_fact)",
        breaches: "
            with moved as (
                select order_id, sum(shipped) as shipped, sum(returned) as returned
                  from (select order_id, (select sum(u) from unnest(units) u) as shipped, 0 as returned from shipment_fact
                        union all
                        select order_id, 0, (select sum(u) from unnest(units) u) from return_fact) m
                 group by order_id)
            select coalesce(f.order_id, m.order_id)::text,
                   format('order: %s shipped, %s returned; its goods: %s, %s', f.shipped_units, f.returned_units, m.shipped, m.returned)
              from order_fact f
              full join moved m using (order_id)
             where (f.shipped_units, f.returned_units) is distinct from (coalesce(m.shipped, 0), coalesce(m.returned, 0))
             order by 1 limit 100",
    },
    Law {
        name: "order_facts_match_documents",
        rows: "select count(*) from document_fact",
        breaches: "
            with documents as (
                select order_id, coalesce(sum(net) filter (where not credit), 0) as invoiced,
                       coalesce(sum(net) filter (where credit), 0) as credited
                  from document_fact
                 where order_id is not null
                 group by order_id)
            select coalesce(f.order_id, d.order_id)::text,
                   format('order: invoiced %s, credited %s; its documents: %s, %s', f.invoiced, f.credited, d.invoiced, d.credited)
              from order_fact f
              full join documents d using (order_id)
             where (f.invoiced, f.credited) is distinct from (coalesce(d.invoiced, 0), coalesce(d.credited, 0))
             order by 1 limit 100",
    },
    Law {
        name: "customers_match_order_facts",
        rows: "select count(*) from customer_fact",
        breaches: r#"
            with firsts as (
                select distinct on (f.customer_id) f.customer_id, f.order_id, f.placed_at
                  from order_fact f
                  join order_name n using (order_id)
                 where f.customer_id is not null and not f.rejected
                 order by f.customer_id, f.placed_at, n.external_id collate "C", n.number collate "C")
            select coalesce(c.customer_id, f.customer_id)::text,
                   format('first order noted: %s at %s; by the orders: %s at %s', c.first_order_id, c.first_placed_at, f.order_id, f.placed_at)
              from customer_fact c
              full join firsts f using (customer_id)
             where (c.first_order_id, c.first_placed_at) is distinct from (f.order_id, f.placed_at)
             order by 1 limit 100"#,
    },
    Law {
        name: "journeys_complete",
        rows: "select count(*) from order_fact where placed_at is not null",
        breaches: "
            select coalesce(n.number, f.order_id::text),
                   format('%s entries OrderAccepted, %s names', e.accepted, count(n.order_id))
              from order_fact f
              left join order_name n using (order_id)
             cross join lateral (
                   select count(*) as accepted from journey_entry j
                    where j.order_id = f.order_id and j.type = 'OrderAccepted') e
             where f.placed_at is not null
             group by f.order_id, n.number, e.accepted
            having e.accepted <> 1 or count(n.order_id) <> 1
             order by f.order_id limit 100",
    },
    Law {
        name: "no_negative_rollups",
        rows: "select (select count(*) from sales_slot) + (select count(*) from product_slot) + (select count(*) from document_slot)",
        breaches: "
            select * from (
                select concat('sales ', slot, ' ', dims_id) as id,
                       format('%s orders, %s lines, %s units, gross %s, discount %s, %s cancelled, %s lines backordered',
                              orders, lines, units, gross, discount, cancelled, backordered_lines)
                  from sales_slot
                 where least(orders, lines, units, gross, discount, cancelled, backordered_lines) < 0
                union all
                select concat('product ', sku, ' ', slot, ' ', dims_id),
                       format('%s orders, %s lines, %s units, gross %s, discount %s', orders, lines, units, gross, discount)
                  from product_slot
                 where least(orders, lines, units, gross, discount) < 0
                union all
                select concat('documents ', slot, ' ', dims_id),
                       format('%s invoices, %s credit notes, invoiced %s, credited %s', invoices, credit_notes, invoiced, credited)
                  from document_slot
                 where least(invoices, credit_notes, invoiced, credited) < 0) negative
             order by id limit 100",
    },
];

/// Checks every law in the caller's snapshot.
pub async fn check_all(conn: &mut PgConnection) -> sqlx::Result<Vec<InvariantResult>> {
    let mut results = Vec::with_capacity(LAWS.len() + 1);
    for law in &LAWS {
        let rows_checked: i64 = sqlx::query_scalar(law.rows).fetch_one(&mut *conn).await?;
        let rows: Vec<(String, String)> = sqlx::query_as(law.breaches).fetch_all(&mut *conn).await?;
        let violations = rows.into_iter().map(|(id, what)| Violation { id, what }).collect();
        results.push(InvariantResult { name: law.name.to_owned(), rows_checked, violations });
    }
    Ok(results)
}

/// The figures of one order as a whole, or of a credit note that belongs to none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderDigest {
    pub subject: Uuid,
    /// 0 for rejected orders.
    pub units_ordered: i64,
    /// 0 for rejected orders.
    pub gross: i64,
    pub units_shipped: i64,
    pub invoiced: i64,
    pub credited: i64,
}

/// The next `limit` digests after a subject, ascending; of `only` these, if given.
pub async fn digests(
    conn: &mut PgConnection,
    after: Uuid,
    only: Option<&[Uuid]>,
    limit: i64,
) -> sqlx::Result<Vec<OrderDigest>> {
    let rows = sqlx::query(
        "(select order_id as subject, case when rejected then 0 else units end, case when rejected then 0 else gross end,
                 shipped_units, invoiced, credited
            from order_fact
           where order_id > $1 and ($2::uuid[] is null or order_id = any($2))
           order by order_id limit $3)
         union all
         (select document_id, 0, 0, 0, 0, net
            from document_fact
           where order_id is null and document_id > $1 and ($2::uuid[] is null or document_id = any($2))
           order by document_id limit $3)
          order by subject limit $3",
    )
    .bind(after)
    .bind(only)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(OrderDigest {
                subject: row.try_get(0)?,
                units_ordered: row.try_get(1)?,
                gross: row.try_get(2)?,
                units_shipped: row.try_get(3)?,
                invoiced: row.try_get(4)?,
                credited: row.try_get(5)?,
            })
        })
        .collect()
}
