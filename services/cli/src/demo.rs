//! `pesan demo`: a guided order through all services.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use pesan_api::billing::v1::{
    Account, Document, DocumentKind, GetAccountRequest, ListDocumentsRequest, UpsertAccountsRequest,
};
use pesan_api::fulfilment::v1::{
    ConfirmDeliveryRequest, FulfilmentOrder, GetExpectedReturnRequest, InspectedLine, ListFulfilmentOrdersRequest,
    PackRequest, PickRequest, ReceiveReturnRequest, ShipRequest,
};
use pesan_api::inventory::v1::upsert_location_result::Outcome as LocationOutcome;
use pesan_api::inventory::v1::{
    Item, ItemKind, Location, Receipt, ReceiveStockRequest, UpsertItemsRequest, UpsertLocationsRequest,
};
use pesan_api::order::v1::request_return_result::Outcome as ReturnOutcome;
use pesan_api::order::v1::upsert_customer_result::Outcome as CustomerOutcome;
use pesan_api::order::v1::{
    Customer, NewOrder, NewOrderLine, NewReturn, NewReturnLine, Order, OrderState, PaymentMethod, PlaceOrderRequest,
    RequestReturnsRequest, Return, UpsertCustomersRequest,
};
use pesan_api::r#type::v1::Address;
use serde::Serialize;
use tonic::Code;
use uuid::Uuid;

use crate::endpoints::{Endpoints, Suite};
use crate::output::{self, GREEN, Output};
use crate::refusal::{answer, from_problem};
use crate::{amount, instant};

const SKU: &str = "DEMO-MUG";
const CUSTOMER: &str = "DEMO-1";
const CURRENCY: &str = "GBP";
/// How long one service may take to read what another one did.
const FOLLOW_BOUND: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A guided order through all services, printing each step
///
/// Works as often as you like; each run places two new orders.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pesan demo")]
pub struct Demo {}

/// What was done, for programs.
#[derive(Serialize)]
struct Step {
    service: &'static str,
    what: String,
}

struct Guide {
    suite: Suite,
    output: Output,
    steps: Vec<Step>,
}

impl Demo {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let suite = endpoints.connect(Duration::from_secs(30))?;
        let mut guide = Guide { suite, output, steps: Vec::new() };
        let customer_id = guide.prepare().await?;

        let by_card = guide.place(None, "tok_ok", 2).await?;
        guide.fulfil(&by_card).await?;
        guide.document(&by_card, DocumentKind::Invoice).await?;

        let on_account = guide.place(Some(CUSTOMER), "", 3).await?;
        guide.fulfil(&on_account).await?;
        guide.document(&on_account, DocumentKind::Invoice).await?;
        guide.send_back(&on_account).await?;
        guide.document(&on_account, DocumentKind::CreditNote).await?;
        guide.account(&customer_id).await?;

        if output == Output::Json {
            return output::json_line(&guide.steps);
        }
        output::line("Its whole way, through all services:")?;
        output::line(&format!("  pesan journey {}", on_account.number))
    }
}

impl Guide {
    fn tell(&mut self, service: &'static str, what: String) -> Result<()> {
        if self.output == Output::Table {
            output::line(&format!("{} {service:<11} {what}", output::coloured("✓", GREEN)))?;
        }
        self.steps.push(Step { service, what });
        Ok(())
    }

    /// An item with stock, and a customer with an account; the customer's id.
    async fn prepare(&mut self) -> Result<String> {
        let mug = Item {
            sku: SKU.to_owned(),
            name: "Mug, white".to_owned(),
            kind: ItemKind::Stocked.into(),
            weight_grams: 350,
            standard_cost: Some(amount::parse("3.20", CURRENCY)?),
            ..Item::default()
        };
        answer(self.suite.items().upsert_items(UpsertItemsRequest { items: vec![mug] }).await)?;
        let location = Location { code: "DEMO".to_owned(), name: "Demo warehouse".to_owned(), ..Location::default() };
        let request = UpsertLocationsRequest { locations: vec![location] };
        let located = answer(self.suite.items().upsert_locations(request).await)?;
        let location = match located.results.into_iter().next().and_then(|result| result.outcome) {
            Some(LocationOutcome::Location(location)) => location,
            Some(LocationOutcome::Problem(problem)) => return Err(from_problem(&problem)),
            None => bail!("no location"),
        };
        self.tell("inventory", format!("item {SKU} at location {}", location.code))?;

        let receipt = Receipt {
            request_id: Uuid::now_v7().to_string(),
            sku: SKU.to_owned(),
            location_id: location.id,
            quantity: 10,
            reference: "demo delivery".to_owned(),
            ..Receipt::default()
        };
        answer(self.suite.stock().receive_stock(ReceiveStockRequest { receipts: vec![receipt] }).await)?;
        self.tell("inventory", "10 pieces received".to_owned())?;

        let customer = Customer {
            external_id: CUSTOMER.to_owned(),
            name: "Demo Ltd".to_owned(),
            segment: "wholesale".to_owned(),
            addresses: vec![address()],
            ..Customer::default()
        };
        let request = UpsertCustomersRequest { customers: vec![customer] };
        let known = answer(self.suite.customers().upsert_customers(request).await)?;
        let customer = match known.results.into_iter().next().and_then(|result| result.outcome) {
            Some(CustomerOutcome::Customer(customer)) => customer,
            Some(CustomerOutcome::Problem(problem)) => return Err(from_problem(&problem)),
            None => bail!("no customer"),
        };
        self.tell("order", format!("customer {} ({})", customer.external_id, customer.name))?;

        let account = Account {
            customer_id: customer.id.clone(),
            currency_code: CURRENCY.to_owned(),
            payment_terms_days: 30,
            ..Account::default()
        };
        answer(self.suite.accounts().upsert_accounts(UpsertAccountsRequest { accounts: vec![account] }).await)?;
        self.tell("billing", "an account, 30 days".to_owned())?;
        Ok(customer.id)
    }

    async fn place(&mut self, customer: Option<&str>, token: &str, quantity: i64) -> Result<Order> {
        let method = if customer.is_some() { PaymentMethod::OnAccount } else { PaymentMethod::Provider };
        let line = NewOrderLine {
            sku: SKU.to_owned(),
            description: "Mug, white".to_owned(),
            quantity,
            unit_price: Some(amount::parse("7.95", CURRENCY)?),
            ..NewOrderLine::default()
        };
        let order = NewOrder {
            request_id: Uuid::now_v7().to_string(),
            channel: "demo".to_owned(),
            customer_external_id: customer.unwrap_or_default().to_owned(),
            currency_code: CURRENCY.to_owned(),
            lines: vec![line],
            ship_to: Some(address()),
            payment_method: method.into(),
            payment_token: token.to_owned(),
            ..NewOrder::default()
        };
        let request = PlaceOrderRequest { order: Some(order), ..PlaceOrderRequest::default() };
        let order = answer(self.suite.orders().place_order(request).await)?.order.context("no order")?;
        if order.state() != OrderState::Confirmed {
            bail!("order {} is not confirmed but {}", order.number, order.state().as_str_name());
        }
        let total = amount::text(amount::decimal(order.total.as_ref()));
        let how = if customer.is_some() { "on account" } else { "by card" };
        self.tell("order", format!("{} placed {how}: {quantity} × {SKU}, {total} {CURRENCY}", order.number))?;
        self.tell("inventory", format!("{quantity} pieces reserved for {}", order.number))?;
        self.tell("billing", format!("{total} {CURRENCY} authorised {how}"))?;
        Ok(order)
    }

    async fn fulfil(&mut self, order: &Order) -> Result<()> {
        let mut fulfilment = self.suite.fulfilment();
        let request =
            ListFulfilmentOrdersRequest { order_id: order.id.clone(), ..ListFulfilmentOrdersRequest::default() };
        let found = eventually("the fulfilment order", async || {
            let answer = answer(self.suite.fulfilment().list_fulfilment_orders(request.clone()).await)?;
            Ok(answer.fulfilment_orders.into_iter().next())
        })
        .await?;
        let FulfilmentOrder { number: name, .. } = found;
        self.tell("fulfilment", format!("{name} for {}", order.number))?;

        let id = || Uuid::now_v7().to_string();
        let request = PickRequest { request_id: id(), name: name.clone(), ..PickRequest::default() };
        answer(fulfilment.pick(request).await)?;
        self.tell("fulfilment", format!("{name} picked"))?;
        let request = PackRequest { request_id: id(), name: name.clone(), ..PackRequest::default() };
        answer(fulfilment.pack(request).await)?;
        self.tell("fulfilment", format!("{name} packed"))?;
        let request = ShipRequest { request_id: id(), name: name.clone(), ..ShipRequest::default() };
        let shipped = answer(fulfilment.ship(request).await)?.fulfilment_order.unwrap_or_default();
        let tracking = shipped.parcels.into_iter().map(|parcel| parcel.tracking_number).collect::<Vec<_>>().join(", ");
        self.tell("fulfilment", format!("{name} shipped, tracking {tracking}"))?;
        let request =
            ConfirmDeliveryRequest { request_id: id(), name: name.clone(), ..ConfirmDeliveryRequest::default() };
        answer(fulfilment.confirm_delivery(request).await)?;
        self.tell("fulfilment", format!("{name} delivered"))
    }

    async fn send_back(&mut self, order: &Order) -> Result<()> {
        let line = NewReturnLine { line_no: 1, quantity: 1, reason: "DAMAGED".to_owned(), ..Default::default() };
        let asked = NewReturn { order_name: order.number.clone(), lines: vec![line], ..NewReturn::default() };
        // The order service knows of the shipment when it has read fulfilment's feed.
        let permitted: Return = eventually("the permission to return", async || {
            let request = RequestReturnsRequest { returns: vec![asked.clone()] };
            let results = answer(self.suite.returns().request_returns(request).await)?.results;
            match results.into_iter().next().and_then(|result| result.outcome) {
                Some(ReturnOutcome::Return(permitted)) => Ok(Some(permitted)),
                Some(ReturnOutcome::Problem(problem)) if problem.reason == "NOT_SHIPPED" => Ok(None),
                Some(ReturnOutcome::Problem(problem)) => Err(from_problem(&problem)),
                None => bail!("no return"),
            }
        })
        .await?;
        self.tell("order", format!("return {} of 1 piece permitted", permitted.number))?;
        eventually("the expected return", async || {
            let request = GetExpectedReturnRequest { name: permitted.number.clone() };
            match self.suite.return_receipts().get_expected_return(request).await {
                Err(status) if status.code() == Code::NotFound => Ok(None),
                response => answer(response).map(Some),
            }
        })
        .await?;
        let line = InspectedLine { line_no: 1, sellable: 0, damaged: 1, note: "handle broken".to_owned() };
        let request = ReceiveReturnRequest {
            request_id: Uuid::now_v7().to_string(),
            name: permitted.number.clone(),
            lines: vec![line],
            effective_at: Some(instant::now()),
            ..ReceiveReturnRequest::default()
        };
        answer(self.suite.return_receipts().receive_return(request).await)?;
        self.tell("fulfilment", format!("{} received and inspected: damaged", permitted.number))
    }

    async fn document(&mut self, order: &Order, kind: DocumentKind) -> Result<()> {
        let request =
            ListDocumentsRequest { kind: kind.into(), order_id: order.id.clone(), ..ListDocumentsRequest::default() };
        let document: Document = eventually("the document", async || {
            Ok(answer(self.suite.documents().list_documents(request.clone()).await)?.documents.into_iter().next())
        })
        .await?;
        let name = if kind == DocumentKind::Invoice { "invoice" } else { "credit note" };
        let total = amount::text(amount::decimal(document.total.as_ref()));
        self.tell("billing", format!("{name} {} over {total} {CURRENCY} for {}", document.number, order.number))
    }

    async fn account(&mut self, customer_id: &str) -> Result<()> {
        let request = GetAccountRequest { customer_id: customer_id.to_owned() };
        let account = answer(self.suite.accounts().get_account(request).await)?.account.context("no account")?;
        let owed = amount::text(amount::decimal(account.receivable.as_ref()));
        self.tell("billing", format!("{CUSTOMER} now owes {owed} {CURRENCY}"))
    }
}

fn address() -> Address {
    Address {
        recipient: "Demo Ltd".to_owned(),
        lines: vec!["1 Demo Street".to_owned()],
        city: "London".to_owned(),
        postal_code: "N1 1AA".to_owned(),
        country: "GB".to_owned(),
        ..Address::default()
    }
}

/// Asks until there is something.
async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Result<Option<T>>) -> Result<T> {
    let started = Instant::now();
    loop {
        if let Some(found) = ask().await? {
            return Ok(found);
        }
        if started.elapsed() > FOLLOW_BOUND {
            bail!("{what} did not appear within {} s", FOLLOW_BOUND.as_secs());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
