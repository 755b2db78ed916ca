//! The sums by slot. Rows are written in key order and tables in the same order everywhere, so that the followers of
//! different feeds cannot deadlock.

use crate::batch::{Documents, ProductSales};
use crate::order_fact::Sales;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

type BySlot<T> = BTreeMap<(OffsetDateTime, Uuid), T>;
type ByProduct<T> = BTreeMap<(OffsetDateTime, String, Uuid), T>;

/// Adds to the sales of slots, and takes from them; a row that nothing is left of goes.
pub async fn change_sales(conn: &mut PgConnection, added: &BySlot<Sales>, taken: &BySlot<Sales>) -> sqlx::Result<()> {
    if !taken.is_empty() {
        // Two statements follow: all their rows at once, in key order.
        let mut keys: Vec<_> = added.keys().chain(taken.keys()).collect();
        keys.sort_unstable();
        keys.dedup();
        sqlx::query(
            "select from sales_slot s
               join unnest($1::timestamptz[], $2::uuid[]) as k (slot, dims_id) using (slot, dims_id)
              order by slot, dims_id
                for update of s",
        )
        .bind(keys.iter().map(|(slot, _)| *slot).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, dims_id)| *dims_id).collect::<Vec<_>>())
        .execute(&mut *conn)
        .await?;
    }
    if !added.is_empty() {
        let statement = sqlx::query(
            "insert into sales_slot (slot, dims_id, orders, lines, units, gross, discount, cancelled, backordered_lines)
             select * from unnest($1::timestamptz[], $2::uuid[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
                                  $8::int8[], $9::int8[])
             on conflict (slot, dims_id) do update
                set orders = sales_slot.orders + excluded.orders, lines = sales_slot.lines + excluded.lines,
                    units = sales_slot.units + excluded.units, gross = sales_slot.gross + excluded.gross,
                    discount = sales_slot.discount + excluded.discount,
                    cancelled = sales_slot.cancelled + excluded.cancelled,
                    backordered_lines = sales_slot.backordered_lines + excluded.backordered_lines",
        );
        bind_sales(statement, added).execute(&mut *conn).await?;
    }
    if !taken.is_empty() {
        // Not by the statement above: a negative row would break the table's law before it met the row it belongs to.
        let statement = sqlx::query(
            "update sales_slot s
                set orders = s.orders - t.orders, lines = s.lines - t.lines, units = s.units - t.units,
                    gross = s.gross - t.gross, discount = s.discount - t.discount, cancelled = s.cancelled - t.cancelled,
                    backordered_lines = s.backordered_lines - t.backordered_lines
               from unnest($1::timestamptz[], $2::uuid[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
                           $8::int8[], $9::int8[])
                    as t (slot, dims_id, orders, lines, units, gross, discount, cancelled, backordered_lines)
              where s.slot = t.slot and s.dims_id = t.dims_id",
        );
        bind_sales(statement, taken).execute(&mut *conn).await?;
        sqlx::query(
            "delete from sales_slot
              where orders = 0 and (slot, dims_id) in (select * from unnest($1::timestamptz[], $2::uuid[]))",
        )
        .bind(taken.keys().map(|(slot, _)| *slot).collect::<Vec<_>>())
        .bind(taken.keys().map(|(_, dims_id)| *dims_id).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    }
    Ok(())
}

type Statement<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

fn bind_sales<'q>(statement: Statement<'q>, rows: &BySlot<Sales>) -> Statement<'q> {
    statement
        .bind(rows.keys().map(|(slot, _)| *slot).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, dims_id)| *dims_id).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.orders).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.lines).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.units).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.gross).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.discount).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.cancelled).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.backordered_lines).collect::<Vec<_>>())
}

/// Adds to the sales of products, and takes from them; a row that nothing is left of goes. Only the order feed's follower
/// writes here.
pub async fn change_products(
    conn: &mut PgConnection,
    added: &ByProduct<ProductSales>,
    taken: &ByProduct<ProductSales>,
) -> sqlx::Result<()> {
    if !added.is_empty() {
        let statement = sqlx::query(
            "insert into product_slot (slot, sku, dims_id, orders, lines, units, gross, discount)
             select * from unnest($1::timestamptz[], $2::text[], $3::uuid[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
                                  $8::int8[])
             on conflict (slot, sku, dims_id) do update
                set orders = product_slot.orders + excluded.orders, lines = product_slot.lines + excluded.lines,
                    units = product_slot.units + excluded.units, gross = product_slot.gross + excluded.gross,
                    discount = product_slot.discount + excluded.discount",
        );
        bind_products(statement, added).execute(&mut *conn).await?;
    }
    if !taken.is_empty() {
        let statement = sqlx::query(
            "update product_slot s
                set orders = s.orders - t.orders, lines = s.lines - t.lines, units = s.units - t.units,
                    gross = s.gross - t.gross, discount = s.discount - t.discount
               from unnest($1::timestamptz[], $2::text[], $3::uuid[], $4::int8[], $5::int8[], $6::int8[], $7::int8[],
                           $8::int8[]) as t (slot, sku, dims_id, orders, lines, units, gross, discount)
              where s.slot = t.slot and s.sku = t.sku and s.dims_id = t.dims_id",
        );
        bind_products(statement, taken).execute(&mut *conn).await?;
        sqlx::query(
            "delete from product_slot
              where orders = 0
                and (slot, sku, dims_id) in (select * from unnest($1::timestamptz[], $2::text[], $3::uuid[]))",
        )
        .bind(taken.keys().map(|(slot, _, _)| *slot).collect::<Vec<_>>())
        .bind(taken.keys().map(|(_, sku, _)| sku.as_str()).collect::<Vec<_>>())
        .bind(taken.keys().map(|(_, _, dims_id)| *dims_id).collect::<Vec<_>>())
        .execute(conn)
        .await?;
    }
    Ok(())
}

fn bind_products<'q>(statement: Statement<'q>, rows: &ByProduct<ProductSales>) -> Statement<'q> {
    statement
        .bind(rows.keys().map(|(slot, _, _)| *slot).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, sku, _)| sku.clone()).collect::<Vec<_>>())
        .bind(rows.keys().map(|(_, _, dims_id)| *dims_id).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.orders).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.lines).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.units).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.gross).collect::<Vec<_>>())
        .bind(rows.values().map(|s| s.discount).collect::<Vec<_>>())
}

/// Adds to the documents of slots.
pub async fn add_documents(conn: &mut PgConnection, added: &BySlot<Documents>) -> sqlx::Result<()> {
    if added.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "insert into document_slot (slot, dims_id, invoices, credit_notes, invoiced, credited)
         select * from unnest($1::timestamptz[], $2::uuid[], $3::int8[], $4::int8[], $5::int8[], $6::int8[])
         on conflict (slot, dims_id) do update
            set invoices = document_slot.invoices + excluded.invoices,
                credit_notes = document_slot.credit_notes + excluded.credit_notes,
                invoiced = document_slot.invoiced + excluded.invoiced,
                credited = document_slot.credited + excluded.credited",
    )
    .bind(added.keys().map(|(slot, _)| *slot).collect::<Vec<_>>())
    .bind(added.keys().map(|(_, dims_id)| *dims_id).collect::<Vec<_>>())
    .bind(added.values().map(|d| d.invoices).collect::<Vec<_>>())
    .bind(added.values().map(|d| d.credit_notes).collect::<Vec<_>>())
    .bind(added.values().map(|d| d.invoiced).collect::<Vec<_>>())
    .bind(added.values().map(|d| d.credited).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}
