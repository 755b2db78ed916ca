use super::unexpected;
use crate::counting::{Count, CountedLot, Entry, Line, Outcome, Stage, Threshold};
use crate::item::ItemId;
use crate::location::LocationId;
use crate::stock::StockKey;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

fn header(row: &PgRow) -> sqlx::Result<Count> {
    Ok(Count {
        id: row.try_get("id")?,
        number: row.try_get("number")?,
        location: LocationId(row.try_get("location")?),
        stage: Stage::from_code(row.try_get("stage")?).ok_or_else(|| unexpected("stage"))?,
        threshold: Threshold { units: row.try_get("threshold_units")?, percent: row.try_get("threshold_percent")? },
        note: row.try_get("note")?,
        since: row.try_get("since")?,
        created_at: row.try_get("created_at")?,
        counted_at: row.try_get("counted_at")?,
        decided_at: row.try_get("decided_at")?,
        decided_by: row.try_get("decided_by")?,
        version: row.try_get("version")?,
        facts: row.try_get("facts")?,
        lines: Vec::new(),
    })
}

/// A count with its lines.
pub async fn find(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Count>> {
    let row = sqlx::query("select * from stock_count where id = $1").bind(id).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(None) };
    let mut count = header(&row)?;
    let rows = sqlx::query(
        "select item, counted, counted_at, book, booked, short, moot from stock_count_line where count = $1 order by item",
    )
    .bind(id)
    .fetch_all(&mut *conn)
    .await?;
    let counted: Vec<(i64, String, Option<Date>, i64, i64)> = sqlx::query_as(
        "select item, code, expires_on, counted, book from stock_count_lot where count = $1 order by item, code",
    )
    .bind(id)
    .fetch_all(conn)
    .await?;
    let mut lots: HashMap<ItemId, Vec<CountedLot>> = HashMap::new();
    for (item, code, expires_on, counted, book) in counted {
        lots.entry(ItemId(item)).or_default().push(CountedLot { code, expires_on, counted, book });
    }
    for row in rows {
        let entry = match (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?) {
            (Some(counted), Some(at), Some(book)) => Some(Entry { counted, at, book }),
            _ => None,
        };
        let outcome = Outcome { booked: row.try_get(4)?, short: row.try_get(5)?, moot: row.try_get(6)? };
        let item = ItemId(row.try_get(0)?);
        count.lines.push(Line { item, entry, lots: lots.remove(&item).unwrap_or_default(), outcome });
    }
    Ok(Some(count))
}

/// Counts before a number, newest first, without their lines.
pub async fn page(
    conn: &mut PgConnection,
    before: Option<i64>,
    stage: Option<Stage>,
    location: Option<Uuid>,
    size: i64,
) -> sqlx::Result<Vec<Count>> {
    let rows = sqlx::query(
        "select c.* from stock_count c
          where ($1::int8 is null or c.number < $1) and ($2::int2 is null or c.stage = $2)
            and ($3::uuid is null or c.location = (select id from location where location_id = $3))
          order by c.number desc
          limit $4",
    )
    .bind(before)
    .bind(stage.map(Stage::code))
    .bind(location)
    .bind(size)
    .fetch_all(conn)
    .await?;
    rows.iter().map(header).collect()
}

/// Writes a count whose lock the caller holds, or a new one, which gets its number.
pub async fn save(conn: &mut PgConnection, count: &mut Count) -> sqlx::Result<()> {
    count.number = sqlx::query_scalar(
        "insert into stock_count (id, number, location, stage, threshold_units, threshold_percent, note, since, created_at,
                                  counted_at, decided_at, decided_by, version, facts)
         values ($1, case when $2 = 0 then nextval('count_number') else $2 end, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                 $13, $14)
         on conflict (id) do update
            set stage = excluded.stage, counted_at = excluded.counted_at, decided_at = excluded.decided_at,
                decided_by = excluded.decided_by, version = excluded.version, facts = excluded.facts
         returning number",
    )
    .bind(count.id)
    .bind(count.number)
    .bind(count.location.0)
    .bind(count.stage.code())
    .bind(count.threshold.units)
    .bind(count.threshold.percent)
    .bind(&count.note)
    .bind(count.since)
    .bind(count.created_at)
    .bind(count.counted_at)
    .bind(count.decided_at)
    .bind(&count.decided_by)
    .bind(count.version)
    .bind(count.facts)
    .fetch_one(&mut *conn)
    .await?;
    let column = |value: fn(&Line) -> i64| count.lines.iter().map(value).collect::<Vec<_>>();
    let entries = |value: fn(Entry) -> i64| count.lines.iter().map(|l| l.entry.map(value)).collect::<Vec<_>>();
    sqlx::query(
        "insert into stock_count_line (count, item, counted, counted_at, book, booked, short, moot)
         select $1, * from unnest($2::int8[], $3::int8[], $4::timestamptz[], $5::int8[], $6::int8[], $7::int8[],
                                  $8::int8[])
         on conflict (count, item) do update
            set counted = excluded.counted, counted_at = excluded.counted_at, book = excluded.book,
                booked = excluded.booked, short = excluded.short, moot = excluded.moot",
    )
    .bind(count.id)
    .bind(column(|line| line.item.0))
    .bind(entries(|entry| entry.counted))
    .bind(count.lines.iter().map(|line| line.entry.map(|entry| entry.at)).collect::<Vec<_>>())
    .bind(entries(|entry| entry.book))
    .bind(column(|line| line.outcome.booked))
    .bind(column(|line| line.outcome.short))
    .bind(column(|line| line.outcome.moot))
    .execute(&mut *conn)
    .await?;
    save_lots(conn, count).await
}

/// Writes the lots of a count that can still change, in place of those it had.
async fn save_lots(conn: &mut PgConnection, count: &Count) -> sqlx::Result<()> {
    let lots: Vec<(i64, &CountedLot)> =
        count.lines.iter().flat_map(|line| line.lots.iter().map(|lot| (line.item.0, lot))).collect();
    sqlx::query("delete from stock_count_lot where count = $1").bind(count.id).execute(&mut *conn).await?;
    if lots.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into stock_count_lot (count, item, code, expires_on, counted, book)
         select $1, * from unnest($2::int8[], $3::text[], $4::date[], $5::int8[], $6::int8[])",
    )
    .bind(count.id)
    .bind(lots.iter().map(|(item, _)| *item).collect::<Vec<_>>())
    .bind(lots.iter().map(|(_, lot)| lot.code.as_str()).collect::<Vec<_>>())
    .bind(lots.iter().map(|(_, lot)| lot.expires_on).collect::<Vec<_>>())
    .bind(lots.iter().map(|(_, lot)| lot.counted).collect::<Vec<_>>())
    .bind(lots.iter().map(|(_, lot)| lot.book).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// What the books said of the lots of some items at a location, each at a time since the count began: what is there now
/// without what moved since. Read it after the stock is locked.
pub async fn lots_at(
    conn: &mut PgConnection,
    location: LocationId,
    since: i64,
    items: &[(ItemId, OffsetDateTime)],
    most: i64,
) -> sqlx::Result<Vec<(ItemId, String, i64)>> {
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(
        "with wanted as (select * from unnest($1::int8[], $2::timestamptz[]) w (item, at)),
         parts as (
             select l.item, l.code, l.on_hand as quantity
               from wanted w join stock_lot l on l.item = w.item and l.location = $4
              where l.on_hand <> 0
             union all
             select w.item, l.code, -l.quantity
               from wanted w
               join movement m on m.item = w.item and m.seq > $3 and m.location = $4 and m.effective_at > w.at
               join lot_movement l on l.movement = m.id
         )
         select item, code, sum(quantity)::int8 from parts
          group by item, code having sum(quantity) <> 0 order by item, code limit $5",
    )
    .bind(items.iter().map(|(item, _)| item.0).collect::<Vec<_>>())
    .bind(items.iter().map(|(_, at)| *at).collect::<Vec<_>>())
    .bind(since)
    .bind(location.0)
    .bind(most)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(item, code, book)| (ItemId(item), code, book)).collect())
}

/// The items that a location has or had stock of; at most `most`.
pub async fn items_at(conn: &mut PgConnection, location: LocationId, most: i64) -> sqlx::Result<Vec<ItemId>> {
    let ids: Vec<i64> = sqlx::query_scalar("select item from stock where location = $1 order by item limit $2")
        .bind(location.0)
        .bind(most)
        .fetch_all(conn)
        .await?;
    Ok(ids.into_iter().map(ItemId).collect())
}

/// The end of the ledger. Read it after the stock is locked: what moves that stock later has a higher place.
pub async fn end_of_ledger(conn: &mut PgConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select coalesce(max(seq), 0) from movement").fetch_one(conn).await
}

/// How much of a location's stock moved since a time, by movements past a place in the ledger. Read it after the stock
/// is locked.
pub async fn moved_since(
    conn: &mut PgConnection,
    location: LocationId,
    since: i64,
    entries: &[(ItemId, OffsetDateTime)],
) -> sqlx::Result<Vec<(ItemId, i64)>> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "select e.item, sum(m.quantity)::int8
           from unnest($1::int8[], $2::timestamptz[]) e (item, at)
           join movement m on m.item = e.item and m.seq > $3 and m.location = $4 and m.effective_at > e.at
          group by e.item",
    )
    .bind(entries.iter().map(|(item, _)| item.0).collect::<Vec<_>>())
    .bind(entries.iter().map(|(_, at)| *at).collect::<Vec<_>>())
    .bind(since)
    .bind(location.0)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(item, quantity)| (ItemId(item), quantity)).collect())
}

/// A part of an order's line that holds stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    pub order_id: Uuid,
    pub line_no: i32,
    pub key: StockKey,
    /// And not missing already.
    pub reserved: i64,
}

/// Which confirmed orders hold some stock, those first who would be served last: others may still be rejected, and their
/// promises not known to anybody yet. Reads all parts of reservations: there is no index by
/// what they hold, because every promise and every goods issue would have to keep it up. Asked only when reserved stock
/// is missing.
pub async fn holdings(conn: &mut PgConnection, keys: &[StockKey]) -> sqlx::Result<Vec<Holding>> {
    let (items, locations): (Vec<i64>, Vec<i32>) = keys.iter().map(|key| (key.item.0, key.location.0)).unzip();
    let rows: Vec<(Uuid, i32, i64, i32, i64)> = sqlx::query_as(
        "select p.order_id, p.line_no, p.item, p.location, p.reserved - p.missing
           from reservation_part p join reservation r using (order_id)
          where p.reserved > p.missing and p.stocked and r.confirmed and r.state = 1
            and (p.item, p.location) in (select * from unnest($1::int8[], $2::int4[]))
          order by p.item, p.location, p.priority desc, p.promised_at desc, p.placed_at desc, p.order_id desc, p.line_no desc",
    )
    .bind(items)
    .bind(locations)
    .fetch_all(conn)
    .await?;
    let holding = |(order_id, line_no, item, location, reserved)| Holding {
        order_id,
        line_no,
        key: StockKey { item: ItemId(item), location: LocationId(location) },
        reserved,
    };
    Ok(rows.into_iter().map(holding).collect())
}
