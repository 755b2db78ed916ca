//! Customers, accounts, items and opening stock: what must be there before the first order. All of it may be sent again.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use pesan_api::billing::v1::{Account, UpsertAccountsRequest};
use pesan_api::inventory::v1::stock_change_result::Outcome as StockOutcome;
use pesan_api::inventory::v1::upsert_item_result::Outcome as ItemOutcome;
use pesan_api::inventory::v1::upsert_location_result::Outcome as LocationOutcome;
use pesan_api::inventory::v1::{
    BaseUnit, Item, ItemKind, Location, Receipt, ReceiveStockRequest, UpsertItemsRequest, UpsertLocationsRequest,
};
use pesan_api::order::v1::upsert_customer_result::Outcome as CustomerOutcome;
use pesan_api::order::v1::{Customer, UpsertCustomersRequest};
use pesan_api::r#type::v1::Address;
use sha2::{Digest as _, Sha256};

use super::plan::{CURRENCY, Plan};
use crate::endpoints::Suite;
use crate::instant;
use crate::patience::Patience;
use crate::refusal::{from_problem, from_status};

const CUSTOMERS_A_CALL: usize = 1_000;
const ITEMS_A_CALL: usize = 2_000;
const LOCATION: &str = "ONLINE-RETAIL";

/// Customers by external id; the values are their ids.
pub type CustomerIds = HashMap<String, String>;

/// Customers, and an account without a limit for each.
pub async fn customers(suite: &Suite, patience: Patience, plan: &Plan) -> Result<CustomerIds> {
    let mut ids = CustomerIds::with_capacity(plan.customers.len());
    for chunk in plan.customers.chunks(CUSTOMERS_A_CALL) {
        let customers = chunk.iter().map(|customer| Customer {
            external_id: customer.external_id.clone(),
            name: format!("Customer {}", customer.external_id),
            addresses: vec![Address { country: customer.country.clone(), ..Address::default() }],
            ..Customer::default()
        });
        let request = UpsertCustomersRequest { customers: customers.collect() };
        let call = async || suite.customers().upsert_customers(request.clone()).await;
        let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
        for result in answer.results {
            match result.outcome.context("a result without an outcome")? {
                CustomerOutcome::Customer(customer) => _ = ids.insert(customer.external_id, customer.id),
                CustomerOutcome::Problem(problem) => return Err(from_problem(&problem).context("a customer")),
            }
        }
    }
    accounts(suite, patience, &ids).await?;
    Ok(ids)
}

async fn accounts(suite: &Suite, patience: Patience, ids: &CustomerIds) -> Result<()> {
    let mut customers: Vec<&String> = ids.values().collect();
    customers.sort();
    for chunk in customers.chunks(CUSTOMERS_A_CALL) {
        let accounts = chunk.iter().map(|id| Account {
            customer_id: (*id).clone(),
            currency_code: CURRENCY.to_owned(),
            payment_terms_days: 30,
            ..Account::default()
        });
        let request = UpsertAccountsRequest { accounts: accounts.collect() };
        let call = async || suite.accounts().upsert_accounts(request.clone()).await;
        let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
        for result in answer.results {
            if let Some(pesan_api::billing::v1::upsert_account_result::Outcome::Problem(problem)) = result.outcome {
                return Err(from_problem(&problem).context("an account"));
            }
        }
    }
    Ok(())
}

/// Everything that is sold.
pub async fn items(suite: &Suite, patience: Patience, plan: &Plan) -> Result<()> {
    for chunk in plan.items.chunks(ITEMS_A_CALL) {
        let items = chunk.iter().map(|item| Item {
            sku: item.sku.clone(),
            name: if item.name.is_empty() { item.sku.clone() } else { item.name.clone() },
            kind: if item.is_service { ItemKind::Service } else { ItemKind::Stocked }.into(),
            base_unit: BaseUnit::Each.into(),
            ..Item::default()
        });
        let request = UpsertItemsRequest { items: items.collect() };
        let call = async || suite.items().upsert_items(request.clone()).await;
        let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
        for result in answer.results {
            if let Some(ItemOutcome::Problem(problem)) = result.outcome {
                return Err(from_problem(&problem).context("an item"));
            }
        }
    }
    Ok(())
}

/// One location, and in it as much of each stocked item as the whole file sells.
pub async fn stock(suite: &Suite, patience: Patience, plan: &Plan) -> Result<()> {
    let location_id = location(suite, patience).await?;
    let stocked: Vec<_> = plan.items.iter().filter(|item| !item.is_service).collect();
    for chunk in stocked.chunks(ITEMS_A_CALL) {
        let receipts = chunk.iter().map(|item| Receipt {
            request_id: receipt_id(&item.sku, item.sold),
            sku: item.sku.clone(),
            location_id: location_id.clone(),
            quantity: item.sold,
            reference: "opening stock".to_owned(),
            effective_at: Some(instant::to_proto(plan.from)),
            ..Receipt::default()
        });
        let request = ReceiveStockRequest { receipts: receipts.collect() };
        let call = async || suite.stock().receive_stock(request.clone()).await;
        let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
        for result in answer.results {
            if let Some(StockOutcome::Problem(problem)) = result.outcome {
                return Err(from_problem(&problem).context("opening stock"));
            }
        }
    }
    Ok(())
}

async fn location(suite: &Suite, patience: Patience) -> Result<String> {
    let location = Location {
        code: LOCATION.to_owned(),
        name: "Online Retail's warehouse".to_owned(),
        latitude: 51.5,
        longitude: -0.12,
        ..Location::default()
    };
    let call =
        async || suite.items().upsert_locations(UpsertLocationsRequest { locations: vec![location.clone()] }).await;
    let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
    match answer.results.into_iter().next().and_then(|result| result.outcome) {
        Some(LocationOutcome::Location(location)) => Ok(location.id),
        Some(LocationOutcome::Problem(problem)) => Err(from_problem(&problem).context("the location")),
        None => bail!("no answer for the location"),
    }
}

/// The same receipt in every replay of the same file, so that only the first one adds stock.
fn receipt_id(sku: &str, quantity: i64) -> String {
    let hash = Sha256::digest(format!("pesan replay online-retail opening stock\n{sku}\n{quantity}"));
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_the_same_in_every_replay() {
        let id = receipt_id("85123A", 7);
        assert_eq!(id, receipt_id("85123A", 7));
        assert_ne!(id, receipt_id("85123a", 7));
        assert_eq!(id.parse::<uuid::Uuid>().unwrap().get_version_num(), 8);
    }
}
