//! Channels.

use crate::channel::{Channel, Details};
use crate::error::Error;
use crate::store::{currency, small, stored_enum};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

fn optional_enum<E: TryFrom<i32>>(number: Option<i16>) -> Result<Option<E>, Error> {
    number.map(stored_enum).transpose()
}

fn channel(row: &PgRow) -> Result<Channel, Error> {
    Ok(Channel {
        code: row.try_get(0)?,
        version: row.try_get(1)?,
        details: Details {
            name: row.try_get(2)?,
            kind: stored_enum(row.try_get(3)?)?,
            closed: row.try_get(4)?,
            priority: row.try_get::<Option<i16>, _>(5)?.map(i32::from),
            reservation_policy: optional_enum(row.try_get(6)?)?,
            fulfilment_policy: optional_enum(row.try_get(7)?)?,
            payment_method: optional_enum(row.try_get(8)?)?,
            currency: row.try_get::<Option<&str>, _>(9)?.map(currency).transpose()?,
            preferred_location_id: row.try_get(10)?,
            price_deviation: stored_enum(row.try_get(11)?)?,
            price_tolerance: row.try_get(12)?,
        },
    })
}

/// All of them: at most a few hundred.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Channel>, Error> {
    page(conn, None, i64::MAX).await
}

/// Up to `limit` channels after a code, ascending.
pub async fn page(conn: &mut PgConnection, after: Option<&str>, limit: i64) -> Result<Vec<Channel>, Error> {
    let rows = sqlx::query(
        "select code, version, name, kind, closed, priority, reservation_policy, fulfilment_policy, payment_method,
                currency, preferred_location_id, price_deviation, price_tolerance
           from channel
          where $1::text is null or code > $1
          order by code
          limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(channel).collect()
}

/// Those with one of these codes.
pub async fn find(conn: &mut PgConnection, codes: &[&str]) -> Result<Vec<Channel>, Error> {
    let rows = sqlx::query(
        "select code, version, name, kind, closed, priority, reservation_policy, fulfilment_policy, payment_method,
                currency, preferred_location_id, price_deviation, price_tolerance
           from channel where code = any($1)",
    )
    .bind(codes)
    .fetch_all(conn)
    .await?;
    rows.iter().map(channel).collect()
}

/// Writes channels: new ones and new versions of known ones.
pub async fn write(conn: &mut PgConnection, channels: &[&Channel]) -> Result<(), Error> {
    if channels.is_empty() {
        return Ok(());
    }
    let texts = |of: fn(&Channel) -> &str| channels.iter().map(|c| of(c)).collect::<Vec<_>>();
    let numbers = |of: fn(&Details) -> Option<i32>| {
        channels.iter().map(|c| of(&c.details).map(small)).collect::<Vec<Option<i16>>>()
    };
    sqlx::query(
        "insert into channel (code, version, name, kind, closed, priority, reservation_policy, fulfilment_policy,
                              payment_method, currency, preferred_location_id, price_deviation, price_tolerance)
         select * from unnest($1::text[], $2::int8[], $3::text[], $4::int2[], $5::bool[], $6::int2[], $7::int2[],
                              $8::int2[], $9::int2[], $10::text[], $11::uuid[], $12::int2[], $13::int4[])
         on conflict (code) do update
            set version = excluded.version, name = excluded.name, kind = excluded.kind, closed = excluded.closed,
                priority = excluded.priority, reservation_policy = excluded.reservation_policy,
                fulfilment_policy = excluded.fulfilment_policy, payment_method = excluded.payment_method,
                currency = excluded.currency, preferred_location_id = excluded.preferred_location_id,
                price_deviation = excluded.price_deviation, price_tolerance = excluded.price_tolerance",
    )
    .bind(texts(|c| &c.code))
    .bind(channels.iter().map(|c| c.version).collect::<Vec<_>>())
    .bind(texts(|c| &c.details.name))
    .bind(numbers(|d| Some(d.kind.into())))
    .bind(channels.iter().map(|c| c.details.closed).collect::<Vec<_>>())
    .bind(numbers(|d| d.priority))
    .bind(numbers(|d| d.reservation_policy.map(Into::into)))
    .bind(numbers(|d| d.fulfilment_policy.map(Into::into)))
    .bind(numbers(|d| d.payment_method.map(Into::into)))
    .bind(channels.iter().map(|c| c.details.currency.map(pesan_money::Currency::code)).collect::<Vec<_>>())
    .bind(channels.iter().map(|c| c.details.preferred_location_id).collect::<Vec<_>>())
    .bind(numbers(|d| Some(d.price_deviation.into())))
    .bind(channels.iter().map(|c| c.details.price_tolerance).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
