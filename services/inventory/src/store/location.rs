use super::unexpected;
use crate::calendar::Calendar;
use crate::location::{Location, LocationId, LocationKind};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

fn location(row: &PgRow) -> sqlx::Result<Location> {
    Ok(Location {
        id: row.try_get("location_id")?,
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        latitude: row.try_get("latitude")?,
        longitude: row.try_get("longitude")?,
        rank: row.try_get("rank")?,
        kind: LocationKind::from_code(row.try_get("kind")?).ok_or_else(|| unexpected("location kind"))?,
        closed: row.try_get("closed")?,
        daily_capacity: row.try_get("daily_capacity")?,
        calendar: Calendar {
            time_zone: row.try_get("time_zone")?,
            cut_off: row.try_get("cut_off")?,
            working_days: row.try_get("working_days")?,
            holidays: row.try_get::<Vec<time::Date>, _>("holidays")?.into_iter().collect(),
        },
        channels: row.try_get::<Vec<String>, _>("channels")?.into_iter().collect(),
        version: row.try_get("version")?,
    })
}

/// Locations by code.
pub async fn find(conn: &mut PgConnection, codes: &[&str]) -> sqlx::Result<Vec<Location>> {
    let rows = sqlx::query(
        "select location_id, code, name, latitude, longitude, rank, kind, closed, daily_capacity, time_zone, cut_off,
                working_days, holidays, channels, version
           from location where code = any($1)",
    )
    .bind(codes)
    .fetch_all(conn)
    .await?;
    rows.iter().map(location).collect()
}

/// All of them, ascending by code.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<Location>> {
    let rows = sqlx::query(
        "select location_id, code, name, latitude, longitude, rank, kind, closed, daily_capacity, time_zone, cut_off,
                working_days, holidays, channels, version
           from location order by code",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(location).collect()
}

/// All of them with their keys, by rank, then code.
pub async fn by_rank(conn: &mut PgConnection) -> sqlx::Result<Vec<(LocationId, Location)>> {
    let rows = sqlx::query(
        "select id, location_id, code, name, latitude, longitude, rank, kind, closed, daily_capacity, time_zone,
                cut_off, working_days, holidays, channels, version
           from location order by rank, code",
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((LocationId(row.try_get(0)?), location(row)?))).collect()
}

/// Keys and ids of all of them; there are at most some thousands.
pub async fn ids(conn: &mut PgConnection) -> sqlx::Result<Vec<(LocationId, Uuid)>> {
    let rows: Vec<(i32, Uuid)> = sqlx::query_as("select id, location_id from location").fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(id, location_id)| (LocationId(id), location_id)).collect())
}

/// Creates or overwrites locations, each code once.
pub async fn write(conn: &mut PgConnection, locations: &[&Location]) -> sqlx::Result<()> {
    // Ragged lists do not fit into unnest: holidays and channels travel as text, which PostgreSQL casts back.
    let holidays = locations.iter().map(|l| array(l.calendar.holidays.iter().map(time::Date::to_string)));
    let channels = locations.iter().map(|l| array(l.channels.iter().cloned()));
    sqlx::query(
        "insert into location (location_id, code, name, latitude, longitude, rank, version, kind, closed,
                               daily_capacity, time_zone, cut_off, working_days, holidays, channels)
         select location_id, code, name, latitude, longitude, rank, version, kind, closed, daily_capacity, time_zone,
                cut_off, working_days, holidays::date[], channels::text[]
           from unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::int4[], $7::int8[],
                       $8::int2[], $9::bool[], $10::int4[], $11::text[], $12::int2[], $13::int2[], $14::text[],
                       $15::text[])
                l (location_id, code, name, latitude, longitude, rank, version, kind, closed, daily_capacity,
                   time_zone, cut_off, working_days, holidays, channels)
         on conflict (code) do update
            set name = excluded.name, latitude = excluded.latitude, longitude = excluded.longitude,
                rank = excluded.rank, version = excluded.version, kind = excluded.kind, closed = excluded.closed,
                daily_capacity = excluded.daily_capacity, time_zone = excluded.time_zone,
                cut_off = excluded.cut_off, working_days = excluded.working_days, holidays = excluded.holidays,
                channels = excluded.channels",
    )
    .bind(locations.iter().map(|l| l.id).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.code.as_str()).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.name.as_str()).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.latitude).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.longitude).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.rank).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.version).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.kind.code()).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.closed).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.daily_capacity).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.calendar.time_zone.as_str()).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.calendar.cut_off).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.calendar.working_days).collect::<Vec<_>>())
    .bind(holidays.collect::<Vec<_>>())
    .bind(channels.collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// The literal of an array of texts.
fn array(values: impl Iterator<Item = String>) -> String {
    let quoted = values.map(|value| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}
