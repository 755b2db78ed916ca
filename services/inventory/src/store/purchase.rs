use super::unexpected;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::lot::LotQuantity;
use crate::purchase::{Line, PurchaseOrder, Receipt, ReceiptLine, Stage};
use crate::supplier::SupplierId;
use pesan_money::Money;
use rust_decimal::Decimal;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::Date;
use uuid::Uuid;

fn header(row: &PgRow) -> sqlx::Result<PurchaseOrder> {
    Ok(PurchaseOrder {
        id: row.try_get("id")?,
        number: row.try_get("number")?,
        supplier: SupplierId(row.try_get("supplier")?),
        supplier_code: row.try_get("code")?,
        location: LocationId(row.try_get("location")?),
        currency: row.try_get::<String, _>("currency")?.parse().map_err(|_| unexpected("currency"))?,
        stage: Stage::from_code(row.try_get("stage")?).ok_or_else(|| unexpected("stage"))?,
        reference: row.try_get("reference")?,
        over_percent: row.try_get("over_percent")?,
        created_at: row.try_get("created_at")?,
        sent_at: row.try_get("sent_at")?,
        closed_at: row.try_get("closed_at")?,
        closing_reason: row.try_get("closing_reason")?,
        receipts: row.try_get("receipts")?,
        version: row.try_get("version")?,
        facts: row.try_get("facts")?,
        lines: Vec::new(),
    })
}

/// A purchase order with its lines.
pub async fn find(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<PurchaseOrder>> {
    let row =
        sqlx::query("select p.*, s.code from purchase_order p join supplier s on s.id = p.supplier where p.id = $1")
            .bind(id)
            .fetch_optional(&mut *conn)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let mut orders = vec![header(&row)?];
    read_lines(conn, &mut orders).await?;
    Ok(orders.pop())
}

/// What a list shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    pub stage: Option<Stage>,
    /// Of sent ones: only those of which something came, or nothing.
    pub part_received: Option<bool>,
    pub supplier: Option<&'a str>,
    pub location: Option<Uuid>,
}

/// Purchase orders before a number, newest first, with their lines.
pub async fn page(
    conn: &mut PgConnection,
    before: Option<i64>,
    filter: Filter<'_>,
    size: i64,
) -> sqlx::Result<Vec<PurchaseOrder>> {
    let rows = sqlx::query(
        "select p.*, s.code from purchase_order p join supplier s on s.id = p.supplier
          where ($1::int8 is null or p.number < $1) and ($2::int2 is null or p.stage = $2)
            and ($3::bool is null or $3 = exists (select from purchase_order_line l
                                                   where l.purchase_order = p.id and l.received > 0))
            and ($4::text is null or s.code = $4)
            and ($5::uuid is null or p.location = (select id from location where location_id = $5))
          order by p.number desc
          limit $6",
    )
    .bind(before)
    .bind(filter.stage.map(Stage::code))
    .bind(filter.part_received)
    .bind(filter.supplier)
    .bind(filter.location)
    .bind(size)
    .fetch_all(&mut *conn)
    .await?;
    let mut orders = rows.iter().map(header).collect::<sqlx::Result<Vec<_>>>()?;
    read_lines(conn, &mut orders).await?;
    Ok(orders)
}

async fn read_lines(conn: &mut PgConnection, orders: &mut [PurchaseOrder]) -> sqlx::Result<()> {
    let rows = sqlx::query(
        "select purchase_order, line_no, item, quantity, unit_price, expected_at, received, damaged, dropped
           from purchase_order_line where purchase_order = any($1) order by purchase_order, line_no",
    )
    .bind(orders.iter().map(|order| order.id).collect::<Vec<_>>())
    .fetch_all(conn)
    .await?;
    let mut lines: HashMap<Uuid, Vec<Line>> = HashMap::new();
    for row in rows {
        lines.entry(row.try_get(0)?).or_default().push(Line {
            line_no: row.try_get(1)?,
            item: ItemId(row.try_get(2)?),
            quantity: row.try_get(3)?,
            unit_price: row.try_get::<Decimal, _>(4)?.normalize(),
            expected_at: row.try_get(5)?,
            received: row.try_get(6)?,
            damaged: row.try_get(7)?,
            dropped: row.try_get(8)?,
        });
    }
    for order in orders {
        order.lines = lines.remove(&order.id).unwrap_or_default();
    }
    Ok(())
}

/// Writes purchase orders: new ones, which get their numbers, and those whose locks the caller holds. Lines that they do
/// not have any more are forgotten: drafts'.
pub async fn save(conn: &mut PgConnection, orders: &mut [PurchaseOrder]) -> sqlx::Result<()> {
    let numbers: Vec<(Uuid, i64)> = sqlx::query_as(
        "insert into purchase_order (id, number, supplier, location, currency, stage, reference, over_percent, created_at,
                                     sent_at, closed_at, closing_reason, receipts, version, facts)
         select id, case when number = 0 then nextval('purchase_order_number') else number end, supplier, location,
                currency, stage, reference, over_percent, created_at, sent_at, closed_at, closing_reason, receipts,
                version, facts
           from unnest($1::uuid[], $2::int8[], $3::int4[], $4::int4[], $5::text[], $6::int2[], $7::text[], $8::int4[],
                       $9::timestamptz[], $10::timestamptz[], $11::timestamptz[], $12::text[], $13::int4[], $14::int8[],
                       $15::int8[])
                o (id, number, supplier, location, currency, stage, reference, over_percent, created_at, sent_at,
                   closed_at, closing_reason, receipts, version, facts)
         on conflict (id) do update
            set supplier = excluded.supplier, location = excluded.location, currency = excluded.currency,
                stage = excluded.stage, reference = excluded.reference, over_percent = excluded.over_percent,
                sent_at = excluded.sent_at, closed_at = excluded.closed_at, closing_reason = excluded.closing_reason,
                receipts = excluded.receipts, version = excluded.version, facts = excluded.facts
         returning id, number",
    )
    .bind(orders.iter().map(|o| o.id).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.number).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.supplier.0).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.location.0).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.currency.code()).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.stage.code()).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.reference.as_str()).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.over_percent).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.created_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.sent_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.closed_at).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.closing_reason.as_str()).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.receipts).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.version).collect::<Vec<_>>())
    .bind(orders.iter().map(|o| o.facts).collect::<Vec<_>>())
    .fetch_all(&mut *conn)
    .await?;
    let numbers: HashMap<Uuid, i64> = numbers.into_iter().collect();
    for order in orders.iter_mut() {
        order.number = numbers.get(&order.id).copied().unwrap_or(order.number);
    }
    write_lines(conn, orders).await
}

async fn write_lines(conn: &mut PgConnection, orders: &[PurchaseOrder]) -> sqlx::Result<()> {
    let lines: Vec<(Uuid, &Line)> =
        orders.iter().flat_map(|order| order.lines.iter().map(move |line| (order.id, line))).collect();
    let places: (Vec<Uuid>, Vec<i32>) = lines.iter().map(|(order, line)| (*order, line.line_no)).unzip();
    sqlx::query(
        "delete from purchase_order_line
          where purchase_order = any($1) and (purchase_order, line_no) not in (select * from unnest($1, $2::int4[]))",
    )
    .bind(&places.0)
    .bind(&places.1)
    .execute(&mut *conn)
    .await?;
    let column = |value: fn(&Line) -> i64| lines.iter().map(|(_, line)| value(line)).collect::<Vec<_>>();
    sqlx::query(
        "insert into purchase_order_line (purchase_order, line_no, item, quantity, unit_price, expected_at, received,
                                          damaged, dropped)
         select * from unnest($1::uuid[], $2::int4[], $3::int8[], $4::int8[], $5::numeric[], $6::timestamptz[],
                              $7::int8[], $8::int8[], $9::int8[])
         on conflict (purchase_order, line_no) do update
            set item = excluded.item, quantity = excluded.quantity, unit_price = excluded.unit_price,
                expected_at = excluded.expected_at, received = excluded.received, damaged = excluded.damaged,
                dropped = excluded.dropped",
    )
    .bind(places.0)
    .bind(places.1)
    .bind(column(|line| line.item.0))
    .bind(column(|line| line.quantity))
    .bind(lines.iter().map(|(_, line)| line.unit_price).collect::<Vec<_>>())
    .bind(lines.iter().map(|(_, line)| line.expected_at).collect::<Vec<_>>())
    .bind(column(|line| line.received))
    .bind(column(|line| line.damaged))
    .bind(column(|line| line.dropped))
    .execute(conn)
    .await?;
    Ok(())
}

/// Adds a receipt.
pub async fn add_receipt(conn: &mut PgConnection, order_id: Uuid, receipt: &Receipt) -> sqlx::Result<()> {
    sqlx::query(
        "insert into purchase_receipt (purchase_order, number, delivery_note, received_at) values ($1, $2, $3, $4)",
    )
    .bind(order_id)
    .bind(receipt.number)
    .bind(&receipt.delivery_note)
    .bind(receipt.received_at)
    .execute(&mut *conn)
    .await?;
    let column = |value: fn(&ReceiptLine) -> i64| receipt.lines.iter().map(value).collect::<Vec<_>>();
    sqlx::query(
        "insert into purchase_receipt_line (purchase_order, number, line_no, received, damaged, missing, over, reason,
                                            unit_cost, currency)
         select $1, $2, * from unnest($3::int4[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::text[],
                                      $9::numeric[], $10::text[])",
    )
    .bind(order_id)
    .bind(receipt.number)
    .bind(receipt.lines.iter().map(|line| line.line_no).collect::<Vec<_>>())
    .bind(column(|line| line.received))
    .bind(column(|line| line.damaged))
    .bind(column(|line| line.missing))
    .bind(column(|line| line.over))
    .bind(receipt.lines.iter().map(|line| line.reason.as_str()).collect::<Vec<_>>())
    .bind(receipt.lines.iter().map(|line| line.unit_cost.amount).collect::<Vec<_>>())
    .bind(receipt.lines.iter().map(|line| line.unit_cost.currency.code()).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    add_lots(conn, order_id, receipt).await
}

async fn add_lots(conn: &mut PgConnection, order_id: Uuid, receipt: &Receipt) -> sqlx::Result<()> {
    // Line, lot, what can be sold of it, what cannot.
    let mut lots: Vec<(i32, &LotQuantity, i64, i64)> = Vec::new();
    for line in &receipt.lines {
        lots.extend(line.lots.iter().map(|lot| (line.line_no, lot, lot.quantity, 0)));
        lots.extend(line.damaged_lots.iter().map(|lot| (line.line_no, lot, 0, lot.quantity)));
    }
    if lots.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into purchase_receipt_lot (purchase_order, number, line_no, code, expires_on, received, damaged)
         select $1, $2, line_no, code, max(expires_on), sum(received)::int8, sum(damaged)::int8
           from unnest($3::int4[], $4::text[], $5::date[], $6::int8[], $7::int8[])
                l (line_no, code, expires_on, received, damaged)
          group by line_no, code",
    )
    .bind(order_id)
    .bind(receipt.number)
    .bind(lots.iter().map(|(line_no, ..)| *line_no).collect::<Vec<_>>())
    .bind(lots.iter().map(|(_, lot, ..)| lot.code.as_str()).collect::<Vec<_>>())
    .bind(lots.iter().map(|(_, lot, ..)| lot.expires_on).collect::<Vec<_>>())
    .bind(lots.iter().map(|(_, _, received, _)| *received).collect::<Vec<_>>())
    .bind(lots.iter().map(|(.., damaged)| *damaged).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The receipts of a purchase order, oldest first.
pub async fn receipts(conn: &mut PgConnection, order_id: Uuid) -> sqlx::Result<Vec<Receipt>> {
    let rows = sqlx::query(
        "select r.number, r.delivery_note, r.received_at, l.line_no, o.item, l.received, l.damaged, l.missing, l.over,
                l.reason, l.unit_cost, l.currency
           from purchase_receipt r
           join purchase_receipt_line l using (purchase_order, number)
           join purchase_order_line o using (purchase_order, line_no)
          where r.purchase_order = $1
          order by r.number, l.line_no",
    )
    .bind(order_id)
    .fetch_all(&mut *conn)
    .await?;
    let mut receipts: Vec<Receipt> = Vec::new();
    for row in rows {
        let number: i32 = row.try_get(0)?;
        if receipts.last().is_none_or(|last| last.number != number) {
            let (delivery_note, received_at) = (row.try_get(1)?, row.try_get(2)?);
            receipts.push(Receipt { number, delivery_note, received_at, lines: Vec::new() });
        }
        let currency = row.try_get::<String, _>(11)?.parse().map_err(|_| unexpected("currency"))?;
        let line = ReceiptLine {
            line_no: row.try_get(3)?,
            item: ItemId(row.try_get(4)?),
            received: row.try_get(5)?,
            damaged: row.try_get(6)?,
            missing: row.try_get(7)?,
            over: row.try_get(8)?,
            reason: row.try_get(9)?,
            unit_cost: Money::new(currency, row.try_get::<Decimal, _>(10)?.normalize()),
            lots: Vec::new(),
            damaged_lots: Vec::new(),
        };
        if let Some(last) = receipts.last_mut() {
            last.lines.push(line);
        }
    }
    let lots: Vec<(i32, i32, String, Option<Date>, i64, i64)> = sqlx::query_as(
        "select number, line_no, code, expires_on, received, damaged from purchase_receipt_lot
          where purchase_order = $1 order by number, line_no, code",
    )
    .bind(order_id)
    .fetch_all(conn)
    .await?;
    for (number, line_no, code, expires_on, received, damaged) in lots {
        let lines = receipts.iter_mut().filter(|receipt| receipt.number == number).flat_map(|r| &mut r.lines);
        for line in lines.filter(|line| line.line_no == line_no) {
            for (lots, quantity) in [(&mut line.lots, received), (&mut line.damaged_lots, damaged)] {
                if quantity > 0 {
                    lots.push(LotQuantity { code: code.clone(), quantity, expires_on });
                }
            }
        }
    }
    Ok(receipts)
}
