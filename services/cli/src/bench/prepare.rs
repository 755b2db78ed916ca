//! What the load needs to be there.

use anyhow::{Context, Result, bail};
use pesan_api::billing::v1::{Account, UpsertAccountsRequest};
use pesan_api::inventory::v1::stock_change_result::Outcome as StockOutcome;
use pesan_api::inventory::v1::upsert_location_result::Outcome as LocationOutcome;
use pesan_api::inventory::v1::{
    GetAvailabilityRequest, Item, ItemKind, Location, Receipt, ReceiveStockRequest, UpsertItemsRequest,
    UpsertLocationsRequest,
};
use pesan_api::order::v1::upsert_customer_result::Outcome as CustomerOutcome;
use pesan_api::order::v1::{Customer, UpsertCustomersRequest};
use uuid::Uuid;

use crate::endpoints::Suite;
use crate::refusal::{answer, from_problem};

/// Customers that orders are spread over.
pub const CUSTOMERS: u32 = 100;
pub const CURRENCY: &str = "GBP";
/// Of each item, more than any run can take.
const STOCK: i64 = 1_000_000_000;
/// Below this, stock is filled up.
const LOW: i64 = STOCK / 2;
const ROWS_A_CALL: usize = 1_000;

/// Item number n.
pub fn sku(number: u32) -> String {
    format!("BENCH-{number:06}")
}

/// Customer number n, by its external id.
pub fn customer(number: u32) -> String {
    format!("BENCH-{number:03}")
}

/// Makes items with stock, and customers with accounts, or finds them.
pub async fn prepare(suite: &Suite, skus: u32) -> Result<()> {
    let location_id = location(suite).await?;
    let all: Vec<String> = (0..skus).map(sku).collect();
    for some in all.chunks(ROWS_A_CALL) {
        stock(suite, some, &location_id).await?;
    }
    customers(suite, (0..CUSTOMERS).map(customer)).await
}

/// The same for a few items and a customer of other names.
pub async fn others(suite: &Suite, skus: &[&str], customer: &str) -> Result<()> {
    let skus: Vec<String> = skus.iter().map(|sku| (*sku).to_owned()).collect();
    stock(suite, &skus, &location(suite).await?).await?;
    customers(suite, std::iter::once(customer.to_owned())).await
}

async fn location(suite: &Suite) -> Result<String> {
    let location = Location { code: "BENCH".to_owned(), name: "Bench".to_owned(), ..Location::default() };
    let request = UpsertLocationsRequest { locations: vec![location] };
    let located = answer(suite.items().upsert_locations(request).await)?;
    match located.results.into_iter().next().and_then(|result| result.outcome) {
        Some(LocationOutcome::Location(location)) => Ok(location.id),
        Some(LocationOutcome::Problem(problem)) => Err(from_problem(&problem)),
        None => bail!("no location"),
    }
}

async fn stock(suite: &Suite, skus: &[String], location_id: &str) -> Result<()> {
    let items = skus.iter().map(|sku| Item {
        sku: sku.clone(),
        name: sku.clone(),
        kind: ItemKind::Stocked.into(),
        ..Item::default()
    });
    answer(suite.items().upsert_items(UpsertItemsRequest { items: items.collect() }).await)?;
    let request = GetAvailabilityRequest { skus: skus.to_vec(), ..Default::default() };
    let there = answer(suite.stock().get_availability(request).await)?.availabilities;
    let low = there.into_iter().filter(|item| item.available < LOW).map(|item| Receipt {
        request_id: Uuid::now_v7().to_string(),
        sku: item.sku,
        location_id: location_id.to_owned(),
        quantity: STOCK,
        reference: "bench".to_owned(),
        ..Receipt::default()
    });
    let receipts: Vec<Receipt> = low.collect();
    if receipts.is_empty() {
        return Ok(());
    }
    for result in answer(suite.stock().receive_stock(ReceiveStockRequest { receipts }).await)?.results {
        if let StockOutcome::Problem(problem) = result.outcome.context("no stock")? {
            return Err(from_problem(&problem));
        }
    }
    Ok(())
}

async fn customers(suite: &Suite, external_ids: impl Iterator<Item = String>) -> Result<()> {
    let customers = external_ids.map(|external_id| Customer {
        name: external_id.clone(),
        external_id,
        segment: "bench".to_owned(),
        ..Customer::default()
    });
    let request = UpsertCustomersRequest { customers: customers.collect() };
    let mut accounts = Vec::new();
    for result in answer(suite.customers().upsert_customers(request).await)?.results {
        match result.outcome.context("no customer")? {
            CustomerOutcome::Customer(customer) => accounts.push(Account {
                customer_id: customer.id,
                currency_code: CURRENCY.to_owned(),
                payment_terms_days: 30,
                ..Account::default()
            }),
            CustomerOutcome::Problem(problem) => return Err(from_problem(&problem)),
        }
    }
    answer(suite.accounts().upsert_accounts(UpsertAccountsRequest { accounts }).await)?;
    Ok(())
}
