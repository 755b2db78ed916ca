//! The book of the simulated payment provider. These statements stand for what happens at the provider's own place: they
//! run in transactions of their own, never in one of billing's.

use pesan_money::Money;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool, Row as _};
use uuid::Uuid;

/// What the book holds under a key: approved with a reference, or refused with a reason.
pub type Entry = Result<String, String>;

/// Books an authorisation, or a decline, unless the key is known; what the book then holds under the key.
pub async fn authorise(
    pool: &PgPool,
    key: &str,
    order_id: Uuid,
    amount: Money,
    declined: Option<&str>,
) -> sqlx::Result<Entry> {
    sqlx::query(
        "insert into provider_book_authorisation (key, order_id, reference, approved, reason, currency, amount)
         values ($1, $2, $3, $4, $5, $6, $7) on conflict (key) do nothing",
    )
    .bind(key)
    .bind(order_id)
    .bind(format!("SIM-{}", Uuid::now_v7().simple()))
    .bind(declined.is_none())
    .bind(declined.unwrap_or_default())
    .bind(amount.currency.code())
    .bind(amount.amount)
    .execute(pool)
    .await?;
    find(pool, key).await?.ok_or(sqlx::Error::RowNotFound)
}

/// What the book does with the amounts of an authorisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Capture,
    Refund,
    Void,
    Increase,
}

/// Books an operation on an authorisation unless the key is known; what the book then holds under the key.
pub async fn operate(
    pool: &PgPool,
    key: &str,
    reference: &str,
    operation: Operation,
    amount: Decimal,
) -> sqlx::Result<Entry> {
    let mut tx = pool.begin().await?;
    let kind = match operation {
        Operation::Capture => "capture",
        Operation::Refund => "refund",
        Operation::Void => "void",
        Operation::Increase => "increase",
    };
    let new = sqlx::query(
        "insert into provider_book_operation (key, reference, kind, amount) values ($1, $2, $3, $4)
         on conflict (key) do nothing",
    )
    .bind(key)
    .bind(reference)
    .bind(kind)
    .bind(amount)
    .execute(&mut *tx)
    .await?;
    if new.rows_affected() == 1 && !move_amount(&mut tx, reference, operation, amount).await? {
        sqlx::query("update provider_book_operation set refused = 'more than there is' where key = $1")
            .bind(key)
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    find(pool, key).await?.ok_or(sqlx::Error::RowNotFound)
}

async fn move_amount(
    conn: &mut PgConnection,
    reference: &str,
    operation: Operation,
    amount: Decimal,
) -> sqlx::Result<bool> {
    let query = match operation {
        Operation::Capture => sqlx::query(
            "update provider_book_authorisation set captured = captured + $2
              where reference = $1 and approved and voided + captured + $2 <= amount",
        ),
        Operation::Refund => sqlx::query(
            "update provider_book_authorisation set refunded = refunded + $2
              where reference = $1 and approved and refunded + $2 <= captured",
        ),
        Operation::Void => sqlx::query(
            "update provider_book_authorisation set voided = voided + $2
              where reference = $1 and approved and voided + captured + $2 <= amount",
        ),
        Operation::Increase => {
            sqlx::query("update provider_book_authorisation set amount = amount + $2 where reference = $1 and approved")
        }
    };
    Ok(query.bind(reference).bind(amount).execute(conn).await?.rows_affected() == 1)
}

/// What the book holds under a key.
pub async fn find(pool: &PgPool, key: &str) -> sqlx::Result<Option<Entry>> {
    let row = sqlx::query(
        "select approved, reference, reason from provider_book_authorisation where key = $1
         union all
         select refused is null, reference, coalesce(refused, '') from provider_book_operation where key = $1",
    )
    .bind(key)
    .fetch_optional(pool)
    .await?;
    row.map(|row| Ok(if row.try_get(0)? { Ok(row.try_get(1)?) } else { Err(row.try_get(2)?) })).transpose()
}
