//! Customers.

use crate::customer::{Customer, Details};
use crate::error::Error;
use crate::store::address;
use prost::Message as _;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

fn customer(row: &PgRow) -> Result<Customer, Error> {
    let addresses: Vec<Vec<u8>> = row.try_get(7)?;
    Ok(Customer {
        customer_id: row.try_get(0)?,
        version: row.try_get(1)?,
        details: Details {
            external_id: row.try_get(2)?,
            name: row.try_get(3)?,
            email: row.try_get(4)?,
            segment: row.try_get(5)?,
            sales_rep: row.try_get(6)?,
            addresses: addresses.iter().map(|bytes| address(bytes)).collect::<Result<_, _>>()?,
        },
    })
}

/// Customers with one of these ids or external ids.
pub async fn find(conn: &mut PgConnection, ids: &[Uuid], external_ids: &[&str]) -> Result<Vec<Customer>, Error> {
    let rows = sqlx::query(
        "select customer_id, version, external_id, name, email, segment, sales_rep, addresses
           from customer where customer_id = any($1)
         union all
         select customer_id, version, external_id, name, email, segment, sales_rep, addresses
           from customer where external_id = any($2)",
    )
    .bind(ids)
    .bind(external_ids)
    .fetch_all(conn)
    .await?;
    rows.iter().map(customer).collect()
}

/// Up to `limit` customers after an external id, ascending.
pub async fn page(conn: &mut PgConnection, after: Option<&str>, limit: i64) -> Result<Vec<Customer>, Error> {
    let rows = sqlx::query(
        "select customer_id, version, external_id, name, email, segment, sales_rep, addresses
           from customer
          where $1::text is null or external_id > $1
          order by external_id
          limit $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.iter().map(customer).collect()
}

/// Writes customers: new ones and new versions of known ones, whose external ids the caller has locked.
pub async fn write(conn: &mut PgConnection, customers: &[&Customer]) -> Result<(), Error> {
    if customers.is_empty() {
        return Ok(());
    }
    // Arrays of arrays cannot be given: all addresses in one, and where each customer's part begins and ends.
    let (mut addresses, mut firsts, mut lasts) = (Vec::new(), Vec::<i32>::new(), Vec::<i32>::new());
    for customer in customers {
        firsts.push(super::column(addresses.len() as i64 + 1)?);
        addresses.extend(customer.details.addresses.iter().map(|address| address.encode_to_vec()));
        lasts.push(super::column(addresses.len() as i64)?);
    }
    sqlx::query(
        "insert into customer (customer_id, version, external_id, name, email, segment, sales_rep, addresses)
         select customer_id, version, external_id, name, email, segment, sales_rep, ($8::bytea[])[first:last]
           from unnest($1::uuid[], $2::int8[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $9::int4[],
                       $10::int4[])
                as c (customer_id, version, external_id, name, email, segment, sales_rep, first, last)
         on conflict (customer_id) do update
            set version = excluded.version, name = excluded.name, email = excluded.email, segment = excluded.segment,
                sales_rep = excluded.sales_rep, addresses = excluded.addresses",
    )
    .bind(customers.iter().map(|c| c.customer_id).collect::<Vec<_>>())
    .bind(customers.iter().map(|c| c.version).collect::<Vec<_>>())
    .bind(customers.iter().map(|c| c.details.external_id.as_str()).collect::<Vec<_>>())
    .bind(customers.iter().map(|c| c.details.name.as_str()).collect::<Vec<_>>())
    .bind(customers.iter().map(|c| c.details.email.as_str()).collect::<Vec<_>>())
    .bind(customers.iter().map(|c| c.details.segment.as_str()).collect::<Vec<_>>())
    .bind(customers.iter().map(|c| c.details.sales_rep.as_str()).collect::<Vec<_>>())
    .bind(addresses)
    .bind(firsts)
    .bind(lasts)
    .execute(conn)
    .await?;
    Ok(())
}
