//! Changes of charges.

use rust_decimal::Decimal;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// What became of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// The provider is being asked to hold so much more.
    Pending(Decimal),
    Agreed,
    /// Why not.
    Declined(String),
}

/// What became of a change; none: it was never asked for.
pub async fn find(conn: &mut PgConnection, order_id: Uuid, revision: i64) -> sqlx::Result<Option<Progress>> {
    let row = sqlx::query("select state, increase, reason from charge_amendment where order_id = $1 and revision = $2")
        .bind(order_id)
        .bind(revision)
        .fetch_optional(conn)
        .await?;
    row.map(|row| {
        Ok(match row.try_get(0)? {
            "pending" => Progress::Pending(row.try_get(1)?),
            "agreed" => Progress::Agreed,
            "declined" => Progress::Declined(row.try_get(2)?),
            word => return Err(super::unknown(word)),
        })
    })
    .transpose()
}

/// Writes what became of a change.
pub async fn put(conn: &mut PgConnection, order_id: Uuid, revision: i64, progress: &Progress) -> sqlx::Result<()> {
    let (state, increase, reason) = match progress {
        Progress::Pending(increase) => ("pending", *increase, ""),
        Progress::Agreed => ("agreed", Decimal::ZERO, ""),
        Progress::Declined(reason) => ("declined", Decimal::ZERO, reason.as_str()),
    };
    sqlx::query(
        "insert into charge_amendment (order_id, revision, state, increase, reason) values ($1, $2, $3, $4, $5)
         on conflict (order_id, revision) do update set state = excluded.state, reason = excluded.reason",
    )
    .bind(order_id)
    .bind(revision)
    .bind(state)
    .bind(increase)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes what a charge comes to.
pub async fn set_amount(conn: &mut PgConnection, order_id: Uuid, amount: Decimal) -> sqlx::Result<()> {
    sqlx::query("update charge set amount = $2 where order_id = $1").bind(order_id).bind(amount).execute(conn).await?;
    Ok(())
}
