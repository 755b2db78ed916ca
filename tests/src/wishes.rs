//! What tests wish for: small requests with the rest filled in.

use crate::{Suite, eventually};
use pesan_api::billing::v1 as billing;
use pesan_api::inventory::v1 as inventory;
use pesan_api::inventory::v1::count_service_client::CountServiceClient;
use pesan_api::order::v1 as order;
use pesan_api::r#type::v1::{Address, Money};
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

/// So many euros and cents.
pub fn eur(units: i64, cents: i32) -> Option<Money> {
    Some(Money { currency_code: "EUR".into(), units, nanos: cents * 10_000_000 })
}

/// A fresh request id.
pub fn request_id() -> String {
    Uuid::now_v7().to_string()
}

/// So many pieces of an item are counted at a location. Approved, if the books say the same.
pub async fn count_stock(
    mut counts: CountServiceClient<Channel>,
    location_id: &str,
    sku: &str,
    quantity: i64,
) -> Result<inventory::Count, Status> {
    let request = inventory::CreateCountRequest {
        request_id: request_id(),
        location_id: location_id.into(),
        skus: vec![sku.into()],
        ..Default::default()
    };
    let count = counts.create_count(request).await?.into_inner().count.unwrap_or_default();
    let request = inventory::EnterCountRequest {
        request_id: request_id(),
        name: count.id,
        entries: vec![inventory::CountEntry { sku: sku.into(), quantity, ..Default::default() }],
        complete: true,
    };
    Ok(counts.enter_count(request).await?.into_inner().count.unwrap_or_default())
}

/// The approval of a count.
pub fn approval(count: &inventory::Count) -> inventory::ApproveCountRequest {
    inventory::ApproveCountRequest {
        request_id: request_id(),
        name: count.id.clone(),
        version: count.version,
        approved_by: "Siti".into(),
    }
}

impl Suite {
    /// A location, by code; its id.
    pub async fn location(&self, code: &str) -> anyhow::Result<String> {
        let location = inventory::Location { code: code.into(), name: code.into(), ..Default::default() };
        let request = inventory::UpsertLocationsRequest { locations: vec![location] };
        let answer = self.items().upsert_locations(request).await?.into_inner();
        match answer.results.into_iter().next().and_then(|r| r.outcome) {
            Some(inventory::upsert_location_result::Outcome::Location(location)) => Ok(location.id),
            other => anyhow::bail!("no location: {other:?}"),
        }
    }

    /// An item with a cost of 4 EUR, and so much of it at a location (none: the item alone).
    pub async fn item(&self, sku: &str, stock: Option<(&str, i64)>) -> anyhow::Result<()> {
        let item =
            inventory::Item { sku: sku.into(), name: sku.into(), standard_cost: eur(4, 0), ..Default::default() };
        let answer = self.items().upsert_items(inventory::UpsertItemsRequest { items: vec![item] }).await?.into_inner();
        let outcome = answer.results.into_iter().next().and_then(|r| r.outcome);
        anyhow::ensure!(matches!(outcome, Some(inventory::upsert_item_result::Outcome::Item(_))), "{outcome:?}");
        match stock {
            Some((location_id, quantity)) => self.receive(sku, location_id, quantity).await,
            None => Ok(()),
        }
    }

    /// Stock of an item comes in.
    pub async fn receive(&self, sku: &str, location_id: &str, quantity: i64) -> anyhow::Result<()> {
        let receipt = inventory::Receipt {
            request_id: request_id(),
            sku: sku.into(),
            location_id: location_id.into(),
            quantity,
            ..Default::default()
        };
        let request = inventory::ReceiveStockRequest { receipts: vec![receipt] };
        let answer = self.stock().receive_stock(request).await?.into_inner();
        let outcome = answer.results.into_iter().next().and_then(|r| r.outcome);
        anyhow::ensure!(matches!(outcome, Some(inventory::stock_change_result::Outcome::Stock(_))), "{outcome:?}");
        Ok(())
    }

    /// A customer with an account; none: without a limit. The customer's id.
    pub async fn customer(&self, external_id: &str, credit_limit: Option<i64>) -> anyhow::Result<String> {
        let customer =
            order::Customer { external_id: external_id.into(), name: external_id.into(), ..Default::default() };
        let request = order::UpsertCustomersRequest { customers: vec![customer] };
        let answer = self.customers().upsert_customers(request).await?.into_inner();
        let id = match answer.results.into_iter().next().and_then(|r| r.outcome) {
            Some(order::upsert_customer_result::Outcome::Customer(customer)) => customer.id,
            other => anyhow::bail!("no customer: {other:?}"),
        };
        let account = billing::Account {
            customer_id: id.clone(),
            currency_code: "EUR".into(),
            credit_limit: credit_limit.and_then(|limit| eur(limit, 0)),
            payment_terms_days: 30,
            ..Default::default()
        };
        let request = billing::UpsertAccountsRequest { accounts: vec![account] };
        let answer = self.accounts().upsert_accounts(request).await?.into_inner();
        let outcome = answer.results.into_iter().next().and_then(|r| r.outcome);
        anyhow::ensure!(matches!(outcome, Some(billing::upsert_account_result::Outcome::Account(_))), "{outcome:?}");
        Ok(id)
    }

    /// Places an order and waits for its promise.
    pub async fn place(&self, new: order::NewOrder) -> anyhow::Result<order::Order> {
        let request = order::PlaceOrderRequest { order: Some(new), wait: order::PlaceWait::Settled.into() };
        let answer = self.orders().place_order(request).await?.into_inner();
        answer.order.ok_or_else(|| anyhow::anyhow!("no order in the answer"))
    }

    /// Announces a return.
    pub async fn request_return(&self, new: order::NewReturn) -> anyhow::Result<order::Return> {
        let request = order::RequestReturnsRequest { returns: vec![new] };
        let outcome = self.returns().request_returns(request).await?.into_inner().results.pop().and_then(|r| r.outcome);
        match outcome {
            Some(order::request_return_result::Outcome::Return(rma)) => Ok(rma),
            other => anyhow::bail!("refused: {other:?}"),
        }
    }

    /// The order as it is now, by any of its names.
    pub async fn order(&self, name: &str) -> anyhow::Result<order::Order> {
        let request = order::GetOrderRequest { name: name.into(), view: order::OrderView::Full.into() };
        let answer = self.orders().get_order(request).await?.into_inner();
        answer.order.ok_or_else(|| anyhow::anyhow!("no order in the answer"))
    }

    /// Waits until the order is in a state.
    pub async fn order_in(&self, name: &str, state: order::OrderState) -> anyhow::Result<order::Order> {
        eventually(&format!("{state:?} of {name}"), || async {
            let order = self.order(name).await.map_err(|e| e.to_string())?;
            if order.state() == state { Ok(order) } else { Err(format!("{:?} {:?}", order.state(), order.quantities)) }
        })
        .await
    }
}

/// An order of lines (sku, quantity) at 10 EUR each, by card of a guest, warehouse work by hand, backorder what is not
/// there.
pub fn card_order(lines: &[(&str, i64)]) -> order::NewOrder {
    order::NewOrder {
        request_id: request_id(),
        channel: "web".into(),
        currency_code: "EUR".into(),
        lines: lines
            .iter()
            .map(|(sku, quantity)| order::NewOrderLine {
                sku: (*sku).into(),
                quantity: *quantity,
                unit_price: eur(10, 0),
                ..Default::default()
            })
            .collect(),
        ship_to: Some(Address {
            recipient: "A. Buyer".into(),
            lines: vec!["1 Quay Street".into()],
            city: "Bristol".into(),
            country: "GB".into(),
            ..Default::default()
        }),
        payment_method: order::PaymentMethod::Provider.into(),
        payment_token: "tok_ok".into(),
        ..Default::default()
    }
}

/// As [`card_order`], on the account of a customer.
pub fn account_order(customer_id: &str, lines: &[(&str, i64)]) -> order::NewOrder {
    order::NewOrder {
        customer_id: customer_id.into(),
        payment_method: order::PaymentMethod::OnAccount.into(),
        payment_token: String::new(),
        ..card_order(lines)
    }
}

/// The order shipped and delivered as soon as it is promised.
pub fn straight_through(new: order::NewOrder) -> order::NewOrder {
    order::NewOrder { fulfilment_policy: order::FulfilmentPolicy::StraightThrough.into(), ..new }
}

/// Runs `pesan verify` against the suite; an error when its answer is not `ok`, as expected. Its report.
pub async fn verify(suite: &Suite, ok: bool) -> anyhow::Result<serde_json::Value> {
    let settle = if ok { "20" } else { "2" };
    let output = tokio::process::Command::new(crate::pesan_binary()?)
        .args(["verify", "--output", "json", "--settle", settle])
        .envs(suite.environment())
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| anyhow::anyhow!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))?;
    anyhow::ensure!(report["ok"] == ok, "verify says {report:#}");
    anyhow::ensure!(output.status.code() == Some(if ok { 0 } else { 1 }), "exit code {:?}", output.status);
    Ok(report)
}

/// The paths of the fields that a refusal names.
pub fn violated(status: &tonic::Status) -> Vec<String> {
    use tonic_types::StatusExt as _;
    let details = status.get_details_bad_request().map(|d| d.field_violations).unwrap_or_default();
    details.into_iter().map(|v| v.field).collect()
}
