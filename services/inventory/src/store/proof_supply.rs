use pesan_api::proof::v1::{InvariantResult, Violation};
use sqlx::PgConnection;

/// Checks the invariants of purchase orders, transfers and counts, in the snapshot of the caller's transaction.
pub async fn check(conn: &mut PgConnection) -> sqlx::Result<Vec<InvariantResult>> {
    Ok(vec![
        supply_is_what_is_to_come(conn).await?,
        purchases_are_their_movements(conn).await?,
        transfers_are_their_movements(conn).await?,
        counts_are_their_movements(conn).await?,
        document_lots_are_their_movements(conn).await?,
        document_versions_match_events(conn).await?,
    ])
}

fn result(name: &str, rows_checked: i64, violations: Vec<(String, String)>) -> InvariantResult {
    let violations = violations.into_iter().map(|(id, what)| Violation { id, what }).collect();
    InvariantResult { name: name.to_owned(), rows_checked, violations }
}

/// The rows of `supply` are the open lines of purchase orders that were sent and of transfers that were shipped.
async fn supply_is_what_is_to_come(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows =
        sqlx::query_scalar("select (select count(*) from purchase_order_line) + (select count(*) from transfer_line)")
            .fetch_one(&mut *conn)
            .await?;
    let violations = sqlx::query_as(
        "with open as (
             select 1::int2 as kind, o.id as document_id, l.line_no, l.item, o.location,
                    greatest(l.quantity - l.dropped - l.received, 0) as quantity
               from purchase_order o join purchase_order_line l on l.purchase_order = o.id
              where o.stage = 2
             union all
             select 2, t.id, l.line_no, l.item, t.destination, l.shipped - l.received - l.damaged - l.lost
               from transfer t join transfer_line l on l.transfer = t.id
              where t.stage = 2
         ), expected as (select * from open where quantity <> 0)
         select coalesce(s.number, document_id::text) || ' line ' || line_no,
                format('%s of item %s expected at location %s, but %s of item %s at location %s are open',
                       coalesce(s.quantity, 0), s.item, s.location, coalesce(e.quantity, 0), e.item, e.location)
           from supply s full join expected e using (kind, document_id, line_no)
          where (s.quantity, s.item, s.location) is distinct from (e.quantity, e.item, e.location)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("supply_is_what_is_to_come", rows, violations))
}

/// What came of a purchase order's line is the sum of its receipts, and of the movements it has caused.
async fn purchases_are_their_movements(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from purchase_order_line").fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(
        "with moved as (
             select d.document_id, d.line_no, sum(m.quantity + m.damaged) as came, sum(m.damaged) as damaged,
                    bool_or(m.kind <> 1) as strange, min(m.item) as item
               from document_movement d join movement m on m.id = d.movement_id
              where d.kind = 1 group by 1, 2
         ), noted as (
             select purchase_order as document_id, line_no, sum(received + damaged) as came, sum(damaged) as damaged,
                    sum(missing) as missing
               from purchase_receipt_line group by 1, 2
         )
         select 'PO-' || lpad(o.number::text, 6, '0') || ' line ' || l.line_no,
                format('%s received, %s of it damaged, but receipts say %s and %s, and movements %s and %s', l.received,
                       l.damaged, coalesce(n.came, 0), coalesce(n.damaged, 0), coalesce(m.came, 0),
                       coalesce(m.damaged, 0))
           from purchase_order_line l join purchase_order o on o.id = l.purchase_order
           left join moved m on m.document_id = o.id and m.line_no = l.line_no
           left join noted n on n.document_id = o.id and n.line_no = l.line_no
          where (l.received, l.damaged) <> (coalesce(m.came, 0), coalesce(m.damaged, 0))
             or (l.received, l.damaged) <> (coalesce(n.came, 0), coalesce(n.damaged, 0))
             or coalesce(n.missing, 0) > l.dropped or coalesce(m.strange, false) or coalesce(m.item, l.item) <> l.item
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("purchases_are_their_movements", rows, violations))
}

/// shipped = received + damaged + lost + in transfer, each side the sum of its movements; nothing is on its way of a
/// transfer that is not shipped.
async fn transfers_are_their_movements(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from transfer_line").fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(
        "with moved as (
             select d.document_id, d.line_no,
                    -sum(m.quantity + m.damaged) filter (where m.kind = 6) as shipped,
                    sum(m.quantity + m.damaged) filter (where m.kind = 7) as arrived,
                    -sum(m.quantity) filter (where m.kind = 2) as lost,
                    sum(m.damaged) as damaged
               from document_movement d join movement m on m.id = d.movement_id
              where d.kind = 2 group by 1, 2
         )
         select 'TR-' || lpad(t.number::text, 6, '0') || ' line ' || l.line_no,
                format('%s shipped, %s received, %s damaged, %s lost in stage %s, but movements took %s and brought %s, %s '
                       'of them damaged and %s lost', l.shipped, l.received, l.damaged, l.lost, t.stage,
                       coalesce(m.shipped, 0), coalesce(m.arrived, 0), coalesce(m.damaged, 0), coalesce(m.lost, 0))
           from transfer_line l join transfer t on t.id = l.transfer
           left join moved m on m.document_id = t.id and m.line_no = l.line_no
          where l.shipped <> coalesce(m.shipped, 0) or l.received + l.damaged + l.lost <> coalesce(m.arrived, 0)
             or l.damaged <> coalesce(m.damaged, 0) or l.lost <> coalesce(m.lost, 0)
             or l.received + l.damaged + l.lost > l.shipped
             or (t.stage <> 2 and l.shipped <> l.received + l.damaged + l.lost)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("transfers_are_their_movements", rows, violations))
}

/// An approved count's differences were booked, fell short or were moot, and what was booked is its movements.
async fn counts_are_their_movements(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar("select count(*) from stock_count_line").fetch_one(&mut *conn).await?;
    let violations = sqlx::query_as(
        "with moved as (
             select d.document_id, d.line_no, coalesce(sum(m.quantity) filter (where m.kind = 8), 0) as booked,
                    -coalesce(sum(m.quantity) filter (where m.kind = 5), 0) as short
               from document_movement d join movement m on m.id = d.movement_id
              where d.kind = 3 group by 1, 2
         )
         select 'CC-' || lpad(c.number::text, 6, '0') || ' ' || i.sku,
                format('%s counted where the books said %s: %s booked, %s short, %s moot; movements say %s and %s',
                       l.counted, l.book, l.booked, l.short, l.moot, coalesce(m.booked, 0), coalesce(m.short, 0))
           from stock_count_line l join stock_count c on c.id = l.count join item i on i.id = l.item
           left join moved m on m.document_id = c.id and m.line_no = l.item
          where l.booked <> coalesce(m.booked, 0) or l.short <> coalesce(m.short, 0)
             or (c.stage = 3 and l.counted - l.book is distinct from l.booked - l.short - l.moot)
             or (c.stage <> 3 and (l.booked, l.short, l.moot) <> (0, 0, 0))
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("counts_are_their_movements", rows, violations))
}

/// The lots of a document's line are those of the movements it has caused, and sum to the line.
async fn document_lots_are_their_movements(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar(
        "select (select count(*) from purchase_receipt_lot) + (select count(*) from transfer_lot)
                + (select count(*) from stock_count_lot)",
    )
    .fetch_one(&mut *conn)
    .await?;
    let violations = sqlx::query_as(
        "with moved as (
             select d.kind, d.document_id, d.line_no, l.code,
                    array[coalesce(sum(l.quantity) filter (where l.kind = 1), 0),
                          coalesce(sum(l.damaged) filter (where l.kind in (1, 7)), 0),
                          -coalesce(sum(l.quantity) filter (where l.kind = 6), 0),
                          coalesce(sum(l.quantity) filter (where l.kind = 7), 0),
                          -coalesce(sum(l.quantity) filter (where l.kind = 2), 0)] as quantities,
                    coalesce(sum(l.quantity) filter (where l.kind in (5, 8)), 0) as counted
               from document_movement d join lot_movement l on l.movement = d.movement_id
              group by 1, 2, 3, 4
         ), kept as (
             select 1::int2 as kind, purchase_order as document_id, line_no::int8 as line_no, code,
                    array[sum(received), sum(damaged), 0, 0, 0] as quantities, 0::int8 as difference
               from purchase_receipt_lot group by 2, 3, 4
             union all
             select 2, transfer, line_no, code, array[0, damaged, shipped, received + lost, lost], 0
               from transfer_lot
             union all
             select 3, l.count, l.item, l.code, array[0, 0, 0, 0, 0],
                    case when c.stage = 3 then l.counted - l.book else 0 end
               from stock_count_lot l join stock_count c on c.id = l.count
         )
         select document_id || ' line ' || line_no || ' lot ' || code, 'is not what its movements moved'
           from moved m full join kept k using (kind, document_id, line_no, code)
          where coalesce(m.quantities, '{0,0,0,0,0}') <> coalesce(k.quantities, '{0,0,0,0,0}')
             or coalesce(m.counted, 0) not between least(coalesce(k.difference, 0), 0) and greatest(k.difference, 0)
             or (k.difference > 0 and coalesce(m.counted, 0) <> k.difference)
         union all
         select l.transfer || ' line ' || l.line_no, 'is not the sum of its lots'
           from transfer_line l
           join (select transfer, line_no, sum(shipped) as shipped, sum(received) as received, sum(damaged) as damaged,
                        sum(lost) as lost
                   from transfer_lot group by transfer, line_no) s using (transfer, line_no)
          where (l.shipped, l.received, l.damaged, l.lost) <> (s.shipped, s.received, s.damaged, s.lost)
         union all
         select l.count || ' item ' || l.item, 'is not the sum of its lots'
           from stock_count_line l
           join (select count, item, sum(counted) as counted, sum(book) as book
                   from stock_count_lot group by count, item) s using (count, item)
          where (l.counted, l.book) is distinct from (s.counted, s.book)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("document_lots_are_their_movements", rows, violations))
}

async fn document_versions_match_events(conn: &mut PgConnection) -> sqlx::Result<InvariantResult> {
    let rows = sqlx::query_scalar(
        "select (select count(*) from purchase_order) + (select count(*) from transfer) + (select count(*) from stock_count)",
    )
    .fetch_one(&mut *conn)
    .await?;
    let violations = sqlx::query_as(
        "with kept as (
             select 'PO-' || lpad(number::text, 6, '0') as name, id, facts from purchase_order
             union all
             select 'TR-' || lpad(number::text, 6, '0'), id, facts from transfer
             union all
             select 'CC-' || lpad(number::text, 6, '0'), id, facts from stock_count
         ), told as (
             select aggregate_id, max(version) as version from outbox group by aggregate_id
         )
         select name, format('has told %s facts, but its last event is %s', kept.facts, coalesce(told.version, 0))
           from kept left join told on told.aggregate_id = kept.id
          where kept.facts <> coalesce(told.version, 0)
          order by 1 limit 100",
    )
    .fetch_all(conn)
    .await?;
    Ok(result("document_versions_match_events", rows, violations))
}
