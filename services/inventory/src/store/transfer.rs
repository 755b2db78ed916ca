use super::{money, unexpected};
use crate::item::ItemId;
use crate::location::LocationId;
use crate::transfer::{Line, LotOnItsWay, Stage, Transfer};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

fn header(row: &PgRow) -> sqlx::Result<Transfer> {
    Ok(Transfer {
        id: row.try_get("id")?,
        number: row.try_get("number")?,
        source: LocationId(row.try_get("source")?),
        destination: LocationId(row.try_get("destination")?),
        stage: Stage::from_code(row.try_get("stage")?).ok_or_else(|| unexpected("stage"))?,
        reference: row.try_get("reference")?,
        ship_at: row.try_get("ship_at")?,
        expected_at: row.try_get("expected_at")?,
        created_at: row.try_get("created_at")?,
        shipped_at: row.try_get("shipped_at")?,
        closed_at: row.try_get("closed_at")?,
        version: row.try_get("version")?,
        facts: row.try_get("facts")?,
        lines: Vec::new(),
    })
}

/// A transfer with its lines.
pub async fn find(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Transfer>> {
    let row = sqlx::query("select * from transfer where id = $1").bind(id).fetch_optional(&mut *conn).await?;
    let Some(row) = row else { return Ok(None) };
    let mut transfers = vec![header(&row)?];
    read_lines(conn, &mut transfers).await?;
    Ok(transfers.pop())
}

/// Transfers before a number, newest first, with their lines.
pub async fn page(
    conn: &mut PgConnection,
    before: Option<i64>,
    stage: Option<Stage>,
    part_received: Option<bool>,
    location: Option<Uuid>,
    size: i64,
) -> sqlx::Result<Vec<Transfer>> {
    let rows = sqlx::query(
        "select t.* from transfer t
          where ($1::int8 is null or t.number < $1) and ($2::int2 is null or t.stage = $2)
            and ($3::bool is null or $3 = exists (select from transfer_line l
                                                   where l.transfer = t.id and l.received + l.damaged + l.lost > 0))
            and ($4::uuid is null or (select id from location where location_id = $4) in (t.source, t.destination))
          order by t.number desc
          limit $5",
    )
    .bind(before)
    .bind(stage.map(Stage::code))
    .bind(part_received)
    .bind(location)
    .bind(size)
    .fetch_all(&mut *conn)
    .await?;
    let mut transfers = rows.iter().map(header).collect::<sqlx::Result<Vec<_>>>()?;
    read_lines(conn, &mut transfers).await?;
    Ok(transfers)
}

async fn read_lines(conn: &mut PgConnection, transfers: &mut [Transfer]) -> sqlx::Result<()> {
    let ids: Vec<Uuid> = transfers.iter().map(|transfer| transfer.id).collect();
    let rows = sqlx::query(
        "select transfer, line_no, item, quantity, shipped, received, damaged, lost, unit_cost, currency
           from transfer_line where transfer = any($1) order by transfer, line_no",
    )
    .bind(&ids)
    .fetch_all(&mut *conn)
    .await?;
    let lots = sqlx::query(
        "select transfer, line_no, code, shipped, received, damaged, lost
           from transfer_lot where transfer = any($1) order by transfer, line_no, place",
    )
    .bind(&ids)
    .fetch_all(conn)
    .await?;
    let mut lots_of: HashMap<(Uuid, i32), Vec<LotOnItsWay>> = HashMap::new();
    for row in lots {
        lots_of.entry((row.try_get(0)?, row.try_get(1)?)).or_default().push(LotOnItsWay {
            code: row.try_get(2)?,
            shipped: row.try_get(3)?,
            received: row.try_get(4)?,
            damaged: row.try_get(5)?,
            lost: row.try_get(6)?,
        });
    }
    let mut lines: HashMap<Uuid, Vec<Line>> = HashMap::new();
    for row in rows {
        lines.entry(row.try_get(0)?).or_default().push(Line {
            line_no: row.try_get(1)?,
            item: ItemId(row.try_get(2)?),
            quantity: row.try_get(3)?,
            shipped: row.try_get(4)?,
            received: row.try_get(5)?,
            damaged: row.try_get(6)?,
            lost: row.try_get(7)?,
            unit_cost: money(row.try_get(8)?, row.try_get(9)?)?,
            lots: lots_of.remove(&(row.try_get(0)?, row.try_get(1)?)).unwrap_or_default(),
        });
    }
    for transfer in transfers {
        transfer.lines = lines.remove(&transfer.id).unwrap_or_default();
    }
    Ok(())
}

/// Writes a transfer whose lock the caller holds, or a new one, which gets its number.
pub async fn save(conn: &mut PgConnection, transfer: &mut Transfer) -> sqlx::Result<()> {
    transfer.number = sqlx::query_scalar(
        "insert into transfer as t (id, number, source, destination, stage, reference, ship_at, expected_at, created_at,
                                    shipped_at, closed_at, version, facts)
         values ($1, case when $2 = 0 then nextval('transfer_number') else $2 end, $3, $4, $5, $6, $7, $8, $9, $10, $11,
                 $12, $13)
         on conflict (id) do update
            set stage = excluded.stage, shipped_at = excluded.shipped_at, closed_at = excluded.closed_at,
                version = excluded.version, facts = excluded.facts
         returning number",
    )
    .bind(transfer.id)
    .bind(transfer.number)
    .bind(transfer.source.0)
    .bind(transfer.destination.0)
    .bind(transfer.stage.code())
    .bind(&transfer.reference)
    .bind(transfer.ship_at)
    .bind(transfer.expected_at)
    .bind(transfer.created_at)
    .bind(transfer.shipped_at)
    .bind(transfer.closed_at)
    .bind(transfer.version)
    .bind(transfer.facts)
    .fetch_one(&mut *conn)
    .await?;
    let column = |value: fn(&Line) -> i64| transfer.lines.iter().map(value).collect::<Vec<_>>();
    sqlx::query(
        "insert into transfer_line (transfer, line_no, item, quantity, shipped, received, damaged, lost, unit_cost,
                                    currency)
         select $1, * from unnest($2::int4[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[], $8::int8[],
                                  $9::numeric[], $10::text[])
         on conflict (transfer, line_no) do update
            set shipped = excluded.shipped, received = excluded.received, damaged = excluded.damaged,
                lost = excluded.lost, unit_cost = excluded.unit_cost, currency = excluded.currency",
    )
    .bind(transfer.id)
    .bind(transfer.lines.iter().map(|line| line.line_no).collect::<Vec<_>>())
    .bind(column(|line| line.item.0))
    .bind(column(|line| line.quantity))
    .bind(column(|line| line.shipped))
    .bind(column(|line| line.received))
    .bind(column(|line| line.damaged))
    .bind(column(|line| line.lost))
    .bind(transfer.lines.iter().map(|line| line.unit_cost.map(|cost| cost.amount)).collect::<Vec<_>>())
    .bind(transfer.lines.iter().map(|line| line.unit_cost.map(|cost| cost.currency.code())).collect::<Vec<_>>())
    .execute(&mut *conn)
    .await?;
    save_lots(conn, transfer).await
}

async fn save_lots(conn: &mut PgConnection, transfer: &Transfer) -> sqlx::Result<()> {
    let lots: Vec<(i32, i32, &LotOnItsWay)> = transfer
        .lines
        .iter()
        .flat_map(|line| (0..).zip(&line.lots).map(move |(place, lot)| (line.line_no, place, lot)))
        .collect();
    if lots.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&LotOnItsWay) -> i64| lots.iter().map(|(.., lot)| value(lot)).collect::<Vec<_>>();
    sqlx::query(
        "insert into transfer_lot (transfer, line_no, place, code, shipped, received, damaged, lost)
         select $1, * from unnest($2::int4[], $3::int4[], $4::text[], $5::int8[], $6::int8[], $7::int8[], $8::int8[])
         on conflict (transfer, line_no, code) do update
            set received = excluded.received, damaged = excluded.damaged, lost = excluded.lost",
    )
    .bind(transfer.id)
    .bind(lots.iter().map(|(line_no, ..)| *line_no).collect::<Vec<_>>())
    .bind(lots.iter().map(|(_, place, _)| *place).collect::<Vec<_>>())
    .bind(lots.iter().map(|(.., lot)| lot.code.as_str()).collect::<Vec<_>>())
    .bind(column(|lot| lot.shipped))
    .bind(column(|lot| lot.received))
    .bind(column(|lot| lot.damaged))
    .bind(column(|lot| lot.lost))
    .execute(conn)
    .await?;
    Ok(())
}

/// What is planned to leave: item, from where, when, how much.
pub async fn planned(
    conn: &mut PgConnection,
    items: &[ItemId],
) -> sqlx::Result<Vec<(ItemId, LocationId, OffsetDateTime, i64)>> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows: Vec<(i64, i32, OffsetDateTime, i64)> = sqlx::query_as(
        "select l.item, t.source, t.ship_at, l.quantity
           from transfer t join transfer_line l on l.transfer = t.id
          where t.stage = 1 and l.item = any($1)",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|(item, source, at, quantity)| (ItemId(item), LocationId(source), at, quantity)).collect())
}
