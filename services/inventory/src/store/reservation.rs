use super::kit::KitVersion;
use super::unexpected;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::reservation::{Fill, Part, Policy, Reservation, State, Wishes};
use pesan_api::inventory::v1 as pb;
use pesan_grpc::parse::{from_timestamp, to_timestamp};
use prost::Message as _;
use sqlx::{PgConnection, Row as _};
use std::collections::{BTreeMap, HashMap};
use time::OffsetDateTime;
use uuid::Uuid;

/// Reservations by order, without their parts. The caller holds the orders' locks.
pub async fn headers(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<BTreeMap<Uuid, Reservation>> {
    let rows = sqlx::query(
        "select order_id, version, state, confirmed, policy, priority, placed_at, expires_at, units, channel, wishes
           from reservation where order_id = any($1)",
    )
    .bind(orders)
    .fetch_all(conn)
    .await?;
    let mut found = BTreeMap::new();
    for row in rows {
        let order_id = row.try_get(0)?;
        let reservation = Reservation {
            order_id,
            version: row.try_get(1)?,
            state: State::from_code(row.try_get(2)?).ok_or_else(|| unexpected("reservation state"))?,
            confirmed: row.try_get(3)?,
            policy: Policy::from_code(row.try_get(4)?).ok_or_else(|| unexpected("policy"))?,
            priority: row.try_get(5)?,
            placed_at: row.try_get(6)?,
            expires_at: row.try_get(7)?,
            units: row.try_get(8)?,
            wishes: wishes(row.try_get(9)?, row.try_get(10)?)?,
            parts: Vec::new(),
            changed: false,
        };
        found.insert(order_id, reservation);
    }
    Ok(found)
}

/// Wishes beyond the channel as they are kept: none where there are none.
fn encoded(wishes: &Wishes) -> Option<Vec<u8>> {
    let Wishes { channel: _, destination, country, ship_complete, preferred, not_before, promised_at } = wishes;
    let destination = (destination.is_some() || country.is_some()).then(|| pb::Destination {
        latitude: destination.map(|(latitude, _)| latitude),
        longitude: destination.map(|(_, longitude)| longitude),
        country: country.clone().unwrap_or_default(),
    });
    let kept = pb::OrderDemand {
        destination,
        ship_complete: *ship_complete,
        preferred_location_id: preferred.map(|id| id.to_string()).unwrap_or_default(),
        not_before: not_before.map(to_timestamp),
        promised_at: promised_at.map(to_timestamp),
        ..pb::OrderDemand::default()
    };
    Some(kept.encode_to_vec()).filter(|bytes| !bytes.is_empty())
}

/// Wishes from what is kept of them.
pub(super) fn wishes(channel: Option<String>, bytes: Option<Vec<u8>>) -> sqlx::Result<Wishes> {
    let kept = pb::OrderDemand::decode(bytes.unwrap_or_default().as_slice());
    let kept = kept.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(Wishes {
        channel,
        destination: kept.destination.as_ref().and_then(|to| to.latitude.zip(to.longitude)),
        country: kept.destination.map(|to| to.country).filter(|country| !country.is_empty()),
        ship_complete: kept.ship_complete,
        preferred: kept.preferred_location_id.parse().ok(),
        not_before: kept.not_before.as_ref().and_then(from_timestamp),
        promised_at: kept.promised_at.as_ref().and_then(from_timestamp),
    })
}

/// Reads the parts of some of these reservations, of all items or of a few.
pub async fn read_parts(
    conn: &mut PgConnection,
    reservations: &mut BTreeMap<Uuid, Reservation>,
    orders: &[Uuid],
    items: Option<&[ItemId]>,
) -> sqlx::Result<()> {
    if orders.is_empty() {
        return Ok(());
    }
    let mut kits: Vec<KitVersion> = Vec::new();
    let items: Option<Vec<i64>> = items.map(|items| items.iter().map(|item| item.0).collect());
    let rows = sqlx::query(
        "select order_id, line_no, location, item, stocked, quantity, reserved, issued, returned, backordered, refused,
                released, kit_version, missing
           from reservation_part
          where order_id = any($1) and ($2::int8[] is null or item = any($2))
          order by order_id, line_no, location",
    )
    .bind(orders)
    .bind(items)
    .fetch_all(&mut *conn)
    .await?;
    for row in &rows {
        if let Some(version) = row.try_get::<Option<i64>, _>(12)? {
            kits.push((ItemId(row.try_get(3)?), version));
        }
    }
    let kits = if kits.is_empty() { HashMap::new() } else { super::kit::versions(conn, &kits).await? };
    for row in rows {
        let Some(reservation) = reservations.get_mut(&row.try_get::<Uuid, _>(0)?) else { continue };
        let location = Some(row.try_get::<i32, _>(2)?).filter(|id| *id != LocationId::NOWHERE).map(LocationId);
        reservation.parts.push(Part {
            line_no: row.try_get(1)?,
            location,
            item: ItemId(row.try_get(3)?),
            stocked: row.try_get(4)?,
            kit: match row.try_get::<Option<i64>, _>(12)? {
                Some(version) => {
                    let kit = kits.get(&(ItemId(row.try_get(3)?), version)).cloned();
                    Some(kit.ok_or_else(|| unexpected("composition of a kit"))?)
                }
                None => None,
            },
            quantity: row.try_get(5)?,
            reserved: row.try_get(6)?,
            issued: row.try_get(7)?,
            returned: row.try_get(8)?,
            backordered: row.try_get(9)?,
            refused: row.try_get(10)?,
            released: row.try_get(11)?,
            missing: row.try_get(13)?,
            changed: false,
        });
    }
    Ok(())
}

/// Writes reservations of which nothing is stored yet. Row by row half the work of [`save`], which must look for each
/// first: this is the hot way in.
pub async fn insert(conn: &mut PgConnection, reservations: &[&Reservation]) -> sqlx::Result<()> {
    let header =
        "insert into reservation (order_id, version, state, confirmed, policy, priority, placed_at, expires_at,
                                           units, channel, wishes)
                  select * from unnest($1::uuid[], $2::int8[], $3::int2[], $4::bool[], $5::int2[], $6::int2[],
                                       $7::timestamptz[], $8::timestamptz[], $9::int8[], $10::text[], $11::bytea[])";
    let part =
        "insert into reservation_part (order_id, line_no, location, item, stocked, priority, placed_at, quantity,
                                              reserved, issued, returned, backordered, refused, released,
                                              kit_version, promised_at, ship_complete, missing)
                select * from unnest($1::uuid[], $2::int4[], $3::int4[], $4::int8[], $5::bool[], $6::int2[],
                                     $7::timestamptz[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[],
                                     $13::int8[], $14::int8[], $15::int8[], $16::timestamptz[], $17::bool[],
                                     $18::int8[])";
    write_headers(conn, header, reservations).await?;
    write_parts(conn, part, reservations).await
}

/// Writes the reservations and parts that changed, stored already or not.
pub async fn save(conn: &mut PgConnection, reservations: &[&Reservation]) -> sqlx::Result<()> {
    let header =
        "insert into reservation (order_id, version, state, confirmed, policy, priority, placed_at, expires_at,
                                           units, channel, wishes)
                  select * from unnest($1::uuid[], $2::int8[], $3::int2[], $4::bool[], $5::int2[], $6::int2[],
                                       $7::timestamptz[], $8::timestamptz[], $9::int8[], $10::text[], $11::bytea[])
                  on conflict (order_id) do update
                     set version = excluded.version, state = excluded.state, confirmed = excluded.confirmed,
                         policy = excluded.policy, priority = excluded.priority, placed_at = excluded.placed_at,
                         expires_at = excluded.expires_at, units = excluded.units,
                         channel = excluded.channel, wishes = excluded.wishes";
    let part =
        "insert into reservation_part (order_id, line_no, location, item, stocked, priority, placed_at, quantity,
                                              reserved, issued, returned, backordered, refused, released,
                                              kit_version, promised_at, ship_complete, missing)
                select * from unnest($1::uuid[], $2::int4[], $3::int4[], $4::int8[], $5::bool[], $6::int2[],
                                     $7::timestamptz[], $8::int8[], $9::int8[], $10::int8[], $11::int8[], $12::int8[],
                                     $13::int8[], $14::int8[], $15::int8[], $16::timestamptz[], $17::bool[],
                                     $18::int8[])
                on conflict (order_id, line_no, location) do update
                   set quantity = excluded.quantity, reserved = excluded.reserved, issued = excluded.issued,
                       returned = excluded.returned, backordered = excluded.backordered, refused = excluded.refused,
                       released = excluded.released, missing = excluded.missing";
    write_headers(conn, header, reservations).await?;
    write_parts(conn, part, reservations).await
}

async fn write_headers(conn: &mut PgConnection, sql: &'static str, all: &[&Reservation]) -> sqlx::Result<()> {
    let changed: Vec<&Reservation> = all.iter().copied().filter(|r| r.changed).collect();
    if changed.is_empty() {
        return Ok(());
    }
    sqlx::query(sql)
        .bind(changed.iter().map(|r| r.order_id).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.version).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.state.code()).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.confirmed).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.policy.code()).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.priority).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.placed_at).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.expires_at).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.units).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| r.wishes.channel.as_deref()).collect::<Vec<_>>())
        .bind(changed.iter().map(|r| encoded(&r.wishes)).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    Ok(())
}

async fn write_parts(conn: &mut PgConnection, sql: &'static str, all: &[&Reservation]) -> sqlx::Result<()> {
    let parts: Vec<(&Reservation, &Part)> =
        all.iter().flat_map(|r| r.parts.iter().filter(|part| part.changed).map(move |part| (*r, part))).collect();
    if parts.is_empty() {
        return Ok(());
    }
    let column = |value: fn(&Part) -> i64| parts.iter().map(|(_, part)| value(part)).collect::<Vec<_>>();
    sqlx::query(sql)
        .bind(parts.iter().map(|(r, _)| r.order_id).collect::<Vec<_>>())
        .bind(parts.iter().map(|(_, p)| p.line_no).collect::<Vec<_>>())
        .bind(parts.iter().map(|(_, p)| p.location.map_or(LocationId::NOWHERE, |l| l.0)).collect::<Vec<_>>())
        .bind(column(|p| p.item.0))
        .bind(parts.iter().map(|(_, p)| p.stocked).collect::<Vec<_>>())
        .bind(parts.iter().map(|(r, _)| r.priority).collect::<Vec<_>>())
        .bind(parts.iter().map(|(r, _)| r.placed_at).collect::<Vec<_>>())
        .bind(column(|p| p.quantity))
        .bind(column(|p| p.reserved))
        .bind(column(|p| p.issued))
        .bind(column(|p| p.returned))
        .bind(column(|p| p.backordered))
        .bind(column(|p| p.refused))
        .bind(column(|p| p.released))
        .bind(parts.iter().map(|(_, p)| p.kit.as_ref().map(|kit| kit.version)).collect::<Vec<_>>())
        .bind(parts.iter().map(|(r, _)| r.wishes.promised_at).collect::<Vec<_>>())
        .bind(parts.iter().map(|(r, _)| r.wishes.ship_complete).collect::<Vec<_>>())
        .bind(column(|p| p.missing))
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets the parts of lapsed reservations, before the orders are promised something anew.
pub async fn forget_parts(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<()> {
    sqlx::query("delete from reservation_part where order_id = any($1)").bind(orders).execute(&mut *conn).await?;
    sqlx::query("delete from reservation_fill where order_id = any($1)").bind(orders).execute(conn).await?;
    Ok(())
}

/// Fills of some orders that were not taken back, in the order of their versions.
pub async fn fills(conn: &mut PgConnection, orders: &[Uuid]) -> sqlx::Result<HashMap<Uuid, Vec<Fill>>> {
    let rows: Vec<(Uuid, i64, i32, i32, i64)> = sqlx::query_as(
        "select order_id, version, line_no, location, quantity from reservation_fill
          where order_id = any($1) and quantity > 0
          order by order_id, version, line_no, location",
    )
    .bind(orders)
    .fetch_all(conn)
    .await?;
    let mut found: HashMap<Uuid, Vec<Fill>> = HashMap::new();
    for (order_id, version, line_no, location, quantity) in rows {
        let fill = Fill { order_id, version, line_no, location: LocationId(location), quantity, changed: false };
        found.entry(order_id).or_default().push(fill);
    }
    Ok(found)
}

/// Writes fills that are new or changed.
pub async fn save_fills(conn: &mut PgConnection, fills: &[Fill]) -> sqlx::Result<()> {
    if fills.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into reservation_fill (order_id, version, line_no, location, quantity)
         select * from unnest($1::uuid[], $2::int8[], $3::int4[], $4::int4[], $5::int8[])
         on conflict (order_id, version, line_no, location) do update set quantity = excluded.quantity",
    )
    .bind(fills.iter().map(|f| f.order_id).collect::<Vec<_>>())
    .bind(fills.iter().map(|f| f.version).collect::<Vec<_>>())
    .bind(fills.iter().map(|f| f.line_no).collect::<Vec<_>>())
    .bind(fills.iter().map(|f| f.location.0).collect::<Vec<_>>())
    .bind(fills.iter().map(|f| f.quantity).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Orders whose reservations lapse at `until` or before, oldest first; at most 500.
pub async fn lapsing(conn: &mut PgConnection, until: OffsetDateTime) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar("select order_id from reservation where expires_at <= $1 order by expires_at limit 500")
        .bind(until)
        .fetch_all(conn)
        .await
}
