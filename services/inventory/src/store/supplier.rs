use super::unexpected;
use crate::item::ItemId;
use crate::supplier::{KnownOffer, LeadTime, Offer, Supplier, SupplierId};
use pesan_money::Currency;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

fn currency(row: &PgRow, column: &str) -> sqlx::Result<Currency> {
    row.try_get::<String, _>(column)?.parse().map_err(|_| unexpected("currency"))
}

fn supplier(row: &PgRow) -> sqlx::Result<Supplier> {
    Ok(Supplier {
        id: row.try_get("supplier_id")?,
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        currency: currency(row, "currency")?,
        lead_time: LeadTime { mean: row.try_get("lead_days")?, std: row.try_get("lead_days_std")? },
        inactive: row.try_get("inactive")?,
        version: row.try_get("version")?,
    })
}

/// Suppliers by code, with their keys.
pub async fn find(conn: &mut PgConnection, codes: &[&str]) -> sqlx::Result<Vec<(SupplierId, Supplier)>> {
    let rows = sqlx::query(
        "select id, supplier_id, code, name, currency, lead_days, lead_days_std, inactive, version
           from supplier where code = any($1)",
    )
    .bind(codes)
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| Ok((SupplierId(row.try_get("id")?), supplier(row)?))).collect()
}

/// Suppliers after a code, ascending.
pub async fn page(conn: &mut PgConnection, after: Option<&str>, size: i64) -> sqlx::Result<Vec<Supplier>> {
    let rows = sqlx::query(
        "select supplier_id, code, name, currency, lead_days, lead_days_std, inactive, version
           from supplier where $1::text is null or code > $1 order by code limit $2",
    )
    .bind(after)
    .bind(size)
    .fetch_all(conn)
    .await?;
    rows.iter().map(supplier).collect()
}

/// Creates or overwrites suppliers, each code once.
pub async fn write(conn: &mut PgConnection, suppliers: &[&Supplier]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into supplier (supplier_id, code, name, currency, lead_days, lead_days_std, inactive, version)
         select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::float8[], $6::float8[], $7::bool[],
                              $8::int8[])
         on conflict (code) do update
            set name = excluded.name, currency = excluded.currency, lead_days = excluded.lead_days,
                lead_days_std = excluded.lead_days_std, inactive = excluded.inactive, version = excluded.version",
    )
    .bind(suppliers.iter().map(|s| s.id).collect::<Vec<_>>())
    .bind(suppliers.iter().map(|s| s.code.as_str()).collect::<Vec<_>>())
    .bind(suppliers.iter().map(|s| s.name.as_str()).collect::<Vec<_>>())
    .bind(suppliers.iter().map(|s| s.currency.code()).collect::<Vec<_>>())
    .bind(suppliers.iter().map(|s| s.lead_time.mean).collect::<Vec<_>>())
    .bind(suppliers.iter().map(|s| s.lead_time.std).collect::<Vec<_>>())
    .bind(suppliers.iter().map(|s| s.inactive).collect::<Vec<_>>())
    .bind(suppliers.iter().map(|s| s.version).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Creates or overwrites offers, each of a supplier and item once.
pub async fn write_offers(conn: &mut PgConnection, offers: &[(SupplierId, ItemId, &Offer)]) -> sqlx::Result<()> {
    sqlx::query(
        "insert into supplier_item (item, supplier, price, min_quantity, pack_size, rank, lead_days, lead_days_std,
                                    supplier_sku)
         select * from unnest($1::int8[], $2::int4[], $3::numeric[], $4::int8[], $5::int8[], $6::int4[], $7::float8[],
                              $8::float8[], $9::text[])
         on conflict (item, supplier) do update
            set price = excluded.price, min_quantity = excluded.min_quantity, pack_size = excluded.pack_size,
                rank = excluded.rank, lead_days = excluded.lead_days, lead_days_std = excluded.lead_days_std,
                supplier_sku = excluded.supplier_sku",
    )
    .bind(offers.iter().map(|(_, item, _)| item.0).collect::<Vec<_>>())
    .bind(offers.iter().map(|(supplier, _, _)| supplier.0).collect::<Vec<_>>())
    .bind(offers.iter().map(|(_, _, o)| o.price).collect::<Vec<_>>())
    .bind(offers.iter().map(|(_, _, o)| o.min_quantity).collect::<Vec<_>>())
    .bind(offers.iter().map(|(_, _, o)| o.pack_size).collect::<Vec<_>>())
    .bind(offers.iter().map(|(_, _, o)| o.rank).collect::<Vec<_>>())
    .bind(offers.iter().map(|(_, _, o)| o.lead_days).collect::<Vec<_>>())
    .bind(offers.iter().map(|(_, _, o)| o.lead_days_std).collect::<Vec<_>>())
    .bind(offers.iter().map(|(_, _, o)| o.supplier_sku.as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Offers after a sku and supplier, ascending, of one item or supplier or of all.
pub async fn offers_page(
    conn: &mut PgConnection,
    after: Option<(&str, &str)>,
    sku: Option<&str>,
    supplier: Option<&str>,
    size: i64,
) -> sqlx::Result<Vec<Offer>> {
    let rows = sqlx::query(
        "select s.code, i.sku, o.price, s.currency, o.min_quantity, o.pack_size, o.rank, o.lead_days, o.lead_days_std,
                o.supplier_sku
           from supplier_item o join item i on i.id = o.item join supplier s on s.id = o.supplier
          where ($1::text is null or (i.sku, s.code) > ($1, $2))
            and ($3::text is null or i.sku = $3) and ($4::text is null or s.code = $4)
          order by i.sku, s.code
          limit $5",
    )
    .bind(after.map(|(sku, _)| sku))
    .bind(after.map(|(_, supplier)| supplier))
    .bind(sku)
    .bind(supplier)
    .bind(size)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Offer {
                supplier_code: row.try_get("code")?,
                sku: row.try_get("sku")?,
                price: row.try_get("price")?,
                currency: currency(row, "currency")?,
                min_quantity: row.try_get("min_quantity")?,
                pack_size: row.try_get("pack_size")?,
                rank: row.try_get("rank")?,
                lead_days: row.try_get("lead_days")?,
                lead_days_std: row.try_get("lead_days_std")?,
                supplier_sku: row.try_get("supplier_sku")?,
            })
        })
        .collect()
}

/// What active suppliers offer for some items, the preferred first: by rank, price, code.
pub async fn offers_of(conn: &mut PgConnection, items: &[ItemId]) -> sqlx::Result<Vec<KnownOffer>> {
    let ids: Vec<i64> = items.iter().map(|item| item.0).collect();
    let rows = sqlx::query(
        "select o.item, s.id, s.code, s.currency, o.price, o.min_quantity, o.pack_size,
                coalesce(o.lead_days, s.lead_days) as lead_days, coalesce(o.lead_days_std, s.lead_days_std) as lead_days_std
           from supplier_item o join supplier s on s.id = o.supplier
          where o.item = any($1) and not s.inactive
          order by o.item, o.rank, o.price, s.code",
    )
    .bind(ids)
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(KnownOffer {
                item: ItemId(row.try_get(0)?),
                supplier: SupplierId(row.try_get(1)?),
                supplier_code: row.try_get(2)?,
                currency: currency(row, "currency")?,
                price: row.try_get(4)?,
                min_quantity: row.try_get(5)?,
                pack_size: row.try_get(6)?,
                lead_time: LeadTime { mean: row.try_get(7)?, std: row.try_get(8)? },
            })
        })
        .collect()
}
