use crate::location::LocationId;
use crate::sourcing::Load;
use sqlx::PgConnection;
use time::Date;
use uuid::Uuid;

/// The days of locations that can only ship so many orders, from a day on. Locks the locations in the order of their
/// keys: who counts, counts alone. Taken after the stock.
pub async fn lock(conn: &mut PgConnection, locations: &[LocationId], from: Date) -> sqlx::Result<Load> {
    let ids: Vec<i32> = locations.iter().map(|location| location.0).collect();
    sqlx::query("select from location where id = any($1) order by id for no key update")
        .bind(&ids)
        .execute(&mut *conn)
        .await?;
    read(conn, locations, from).await
}

/// The same without the lock, for a look.
pub async fn read(conn: &mut PgConnection, locations: &[LocationId], from: Date) -> sqlx::Result<Load> {
    let ids: Vec<i32> = locations.iter().map(|location| location.0).collect();
    let rows: Vec<(i32, Date, i32)> =
        sqlx::query_as("select location, day, orders from capacity_day where location = any($1) and day >= $2")
            .bind(ids)
            .bind(from)
            .fetch_all(conn)
            .await?;
    Ok(Load::new(rows.into_iter().map(|(location, day, orders)| (LocationId(location), day, orders))))
}

/// A day of a location that an order takes capacity of.
pub type Use = (Uuid, LocationId, Date);

/// Takes capacity for orders that had none at these locations.
pub async fn take(conn: &mut PgConnection, uses: &[Use]) -> sqlx::Result<()> {
    if uses.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with taken as (
             insert into capacity_use (order_id, location, day)
             select * from unnest($1::uuid[], $2::int4[], $3::date[])
             on conflict (order_id, location) do nothing
             returning location, day
         )
         insert into capacity_day (location, day, orders)
         select location, day, count(*)::int4 from taken group by location, day order by location, day
         on conflict (location, day) do update set orders = capacity_day.orders + excluded.orders",
    )
    .bind(uses.iter().map(|(order, ..)| *order).collect::<Vec<_>>())
    .bind(uses.iter().map(|(_, location, _)| location.0).collect::<Vec<_>>())
    .bind(uses.iter().map(|(_, _, day)| *day).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives back what orders took at locations where they hold nothing any more and nothing of theirs was shipped. Ask it
/// after their reservations are written.
pub async fn give_back(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "with given as (
             delete from capacity_use u
              where u.order_id = any($1)
                and not exists (select from reservation_part p
                                 where p.order_id = u.order_id and p.location = u.location
                                   and p.stocked and p.reserved + p.issued > 0)
             returning location, day
         ), counted as (
             select location, day, count(*)::int4 as orders from given group by location, day
         )
         update capacity_day d set orders = d.orders - c.orders
           from counted c where d.location = c.location and d.day = c.day",
    )
    .bind(orders)
    .execute(conn)
    .await?;
    Ok(())
}
