use crate::location::{Location, LocationId};
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
        version: row.try_get("version")?,
    })
}

/// Locations by code.
pub async fn find(conn: &mut PgConnection, codes: &[&str]) -> sqlx::Result<Vec<Location>> {
    let rows = sqlx::query(
        "select location_id, code, name, latitude, longitude, rank, version from location where code = any($1)",
    )
    .bind(codes)
    .fetch_all(conn)
    .await?;
    rows.iter().map(location).collect()
}

/// All of them, ascending by code.
pub async fn all(conn: &mut PgConnection) -> sqlx::Result<Vec<Location>> {
    let rows =
        sqlx::query("select location_id, code, name, latitude, longitude, rank, version from location order by code")
            .fetch_all(conn)
            .await?;
    rows.iter().map(location).collect()
}

/// Keys and ids of all of them; there are at most some thousands.
pub async fn ids(conn: &mut PgConnection) -> sqlx::Result<Vec<(LocationId, Uuid)>> {
    let rows: Vec<(i32, Uuid)> = sqlx::query_as("select id, location_id from location").fetch_all(conn).await?;
    Ok(rows.into_iter().map(|(id, location_id)| (LocationId(id), location_id)).collect())
}

/// The one that is asked first.
pub async fn first(conn: &mut PgConnection) -> sqlx::Result<Option<LocationId>> {
    let id: Option<i32> =
        sqlx::query_scalar("select id from location order by rank, code limit 1").fetch_optional(conn).await?;
    Ok(id.map(LocationId))
}

/// Creates or overwrites locations, each code once.
pub async fn write(conn: &mut PgConnection, locations: &[&Location]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into location (location_id, code, name, latitude, longitude, rank, version)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::float8[], $5::float8[], $6::int4[], $7::int8[])
         on conflict (code) do update
            set name = excluded.name, latitude = excluded.latitude, longitude = excluded.longitude,
                rank = excluded.rank, version = excluded.version",
    )
    .bind(locations.iter().map(|l| l.id).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.code.as_str()).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.name.as_str()).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.latitude).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.longitude).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.rank).collect::<Vec<_>>())
    .bind(locations.iter().map(|l| l.version).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
