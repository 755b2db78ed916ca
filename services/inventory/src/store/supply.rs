use super::unexpected;
use crate::document::DocumentKind;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::promise::{Supply, SupplyKind};
use sqlx::{PgConnection, Row as _};
use time::OffsetDateTime;
use uuid::Uuid;

/// What is still to come of a line of a purchase order or transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coming {
    pub line_no: i32,
    pub item: ItemId,
    pub location: LocationId,
    pub expected_at: OffsetDateTime,
    pub quantity: i64,
}

/// Writes what is to come of a document, whose lock the caller holds: all its lines, those of which nothing comes any
/// more with quantity 0.
pub async fn write(
    conn: &mut PgConnection,
    kind: DocumentKind,
    document_id: Uuid,
    number: i64,
    lines: &[Coming],
) -> sqlx::Result<()> {
    let (open, done): (Vec<Coming>, Vec<Coming>) = lines.iter().partition(|line| line.quantity > 0);
    if !done.is_empty() {
        sqlx::query("delete from supply where document_id = $1 and line_no = any($2)")
            .bind(document_id)
            .bind(done.iter().map(|line| line.line_no).collect::<Vec<_>>())
            .execute(&mut *conn)
            .await?;
    }
    if open.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into supply (kind, document_id, number, line_no, item, location, expected_at, quantity)
         select $1, $2, $3, * from unnest($4::int4[], $5::int8[], $6::int4[], $7::timestamptz[], $8::int8[])
         on conflict on constraint supply_of_a_line do update
            set expected_at = excluded.expected_at, quantity = excluded.quantity",
    )
    .bind(kind.code())
    .bind(document_id)
    .bind(kind.number(number))
    .bind(open.iter().map(|line| line.line_no).collect::<Vec<_>>())
    .bind(open.iter().map(|line| line.item.0).collect::<Vec<_>>())
    .bind(open.iter().map(|line| line.location.0).collect::<Vec<_>>())
    .bind(open.iter().map(|line| line.expected_at).collect::<Vec<_>>())
    .bind(open.iter().map(|line| line.quantity).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes which movements a document has caused: the movement, and the line (of a count: the item) it belongs to.
pub async fn note_movements(
    conn: &mut PgConnection,
    kind: DocumentKind,
    document_id: Uuid,
    movements: &[(Uuid, i64)],
) -> sqlx::Result<()> {
    if movements.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into document_movement (movement_id, kind, document_id, line_no)
         select movement_id, $1, $2, line_no from unnest($3::uuid[], $4::int8[]) m (movement_id, line_no)",
    )
    .bind(kind.code())
    .bind(document_id)
    .bind(movements.iter().map(|(id, _)| *id).collect::<Vec<_>>())
    .bind(movements.iter().map(|(_, line)| *line).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// What of some items comes where: purchase orders and transfers by what is expected first.
pub async fn coming(
    conn: &mut PgConnection,
    items: &[ItemId],
    location: Option<LocationId>,
) -> sqlx::Result<Vec<(String, Coming)>> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows: Vec<(String, i32, i64, i32, OffsetDateTime, i64)> = sqlx::query_as(
        "select number, line_no, item, location, expected_at, quantity
           from supply
          where item = any($1) and quantity > 0 and ($2::int4 is null or location = $2)
          order by item, expected_at, number, line_no",
    )
    .bind(ids)
    .bind(location.map(|location| location.0))
    .fetch_all(conn)
    .await?;
    let coming = |(number, line_no, item, location, expected_at, quantity)| {
        let (item, location) = (ItemId(item), LocationId(location));
        (number, Coming { line_no, item, location, expected_at, quantity })
    };
    Ok(rows.into_iter().map(coming).collect())
}

/// What is on its way of some items; at most 100,000 lines, those expected first.
pub async fn to_come(conn: &mut PgConnection, items: &[ItemId]) -> sqlx::Result<Vec<Supply>> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows = sqlx::query(
        "select kind, document_id, number, item, location, expected_at, quantity from supply
          where item = any($1) and quantity > 0
          order by expected_at, id limit 100000",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    let mut supplies = Vec::with_capacity(rows.len());
    for row in rows {
        supplies.push(Supply {
            kind: SupplyKind::from_code(row.try_get(0)?).ok_or_else(|| unexpected("kind of supply"))?,
            document_id: row.try_get(1)?,
            number: row.try_get(2)?,
            item: ItemId(row.try_get(3)?),
            location: LocationId(row.try_get(4)?),
            expected_at: row.try_get(5)?,
            quantity: row.try_get(6)?,
        });
    }
    Ok(supplies)
}
