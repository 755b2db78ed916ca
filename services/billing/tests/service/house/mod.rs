//! Billing as its clients see it: the real service on a real Postgres, and feeds of the others that a test writes.
#![allow(clippy::unwrap_used)]

pub mod feed;
pub mod provider;

use feed::FakeFeed;
use pesan_api::billing::v1::account_service_client::AccountServiceClient;
use pesan_api::billing::v1::document_service_client::DocumentServiceClient;
use pesan_api::billing::v1::payment_service_client::PaymentServiceClient;
use pesan_api::billing::v1::{self as pb, authorise_result, upsert_account_result};
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::feed::v1::{Event, PullRequest};
use pesan_api::fulfilment::v1::{GoodsIssued, ReturnReceived, ReturnReceivedLine, ShipmentLine};
use pesan_api::proof::v1::proof_service_client::ProofServiceClient;
use pesan_api::proof::v1::{CheckInvariantsRequest, Digest, StreamDigestsRequest, Violation};
use pesan_api::r#type::v1::{Money, Problem};
use pesan_billing::ops::provider::PaymentProvider;
use pesan_billing::{Application, Config};
use pesan_host::Clock;
use rust_decimal::Decimal;
use sqlx::{ConnectOptions as _, PgPool};
use std::sync::Arc;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use uuid::Uuid;

/// When the tests' clock begins.
pub const START: OffsetDateTime = datetime!(2026-03-02 10:00 UTC);

pub struct House {
    pub pool: PgPool,
    pub clock: Clock,
    pub accounts: AccountServiceClient<Channel>,
    pub payments: PaymentServiceClient<Channel>,
    pub documents: DocumentServiceClient<Channel>,
    pub proof: ProofServiceClient<Channel>,
    pub feed: FeedServiceClient<Channel>,
    pub order: FakeFeed,
    pub inventory: FakeFeed,
    pub fulfilment: FakeFeed,
    stop: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
}

fn config(pool: &PgPool, (order, inventory, fulfilment): (&FakeFeed, &FakeFeed, &FakeFeed)) -> Config {
    let url = pool.connect_options().to_url_lossy().to_string();
    Config {
        connections: 8,
        order_endpoint: order.endpoint(),
        inventory_endpoint: inventory.endpoint(),
        fulfilment_endpoint: fulfilment.endpoint(),
        provider_timeout_ms: 500,
        provider_late_ms: 1500,
        clock: Clock::manual(START),
        ..Config::for_database("127.0.0.1:0".parse().unwrap(), url)
    }
}

/// Billing with the simulated provider.
pub async fn start(pool: PgPool) -> House {
    start_with(pool, None).await
}

/// Billing with another provider.
pub async fn start_with(pool: PgPool, provider: Option<Arc<dyn PaymentProvider>>) -> House {
    let (order, inventory, fulfilment) = (FakeFeed::start().await, FakeFeed::start().await, FakeFeed::start().await);
    let config = config(&pool, (&order, &inventory, &fulfilment));
    let clock = config.clock.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let application = match provider {
        None => Application::build_on(config, listener).await.unwrap(),
        Some(provider) => Application::build_with(config, listener, provider).await.unwrap(),
    };
    let channel = Channel::from_shared(format!("http://{}", application.address())).unwrap().connect_lazy();
    let stop = CancellationToken::new();
    let running = tokio::spawn(application.run_until_stopped(stop.clone()));
    House {
        pool,
        clock,
        accounts: AccountServiceClient::new(channel.clone()),
        payments: PaymentServiceClient::new(channel.clone()),
        documents: DocumentServiceClient::new(channel.clone()),
        proof: ProofServiceClient::new(channel.clone()),
        feed: FeedServiceClient::new(channel),
        order,
        inventory,
        fulfilment,
        stop,
        running,
    }
}

pub fn money(code: &str, amount: &str) -> Money {
    let amount: Decimal = amount.parse().unwrap();
    let money = pesan_money::Money::new(code.parse().unwrap(), amount);
    pesan_grpc::parse::to_money(&money).unwrap()
}

pub fn eur(amount: &str) -> Money {
    money("EUR", amount)
}

/// "12.34" of some money; "-" where there is none.
pub fn shown(money: &Option<Money>) -> String {
    match money {
        None => "-".to_owned(),
        Some(money) => {
            let text = pesan_grpc::parse::from_money(money).unwrap().to_string();
            text.split(' ').next().unwrap().to_owned()
        }
    }
}

/// A line of `quantity` that costs `total` before tax.
pub fn line(line_no: i32, quantity: i64, total: &str, tax: &str) -> pb::ChargeLine {
    pb::ChargeLine {
        line_no,
        sku: format!("SKU-{line_no}"),
        quantity,
        line_total: Some(eur(total)),
        discount: None,
        tax: Some(eur(tax)),
    }
}

pub fn on_account(order: Uuid, customer: Uuid, lines: Vec<pb::ChargeLine>) -> pb::OrderCharge {
    pb::OrderCharge {
        order_id: order.to_string(),
        order_number: "SO-000001".into(),
        customer_id: customer.to_string(),
        currency_code: "EUR".into(),
        lines,
        method: pb::AuthorisationMethod::OnAccount.into(),
        payment_token: String::new(),
        placed_at: None,
        traceparent: String::new(),
        order_version: 0,
        promise_version: 0,
        ..Default::default()
    }
}

pub fn by_token(order: Uuid, token: &str, lines: Vec<pb::ChargeLine>) -> pb::OrderCharge {
    pb::OrderCharge {
        customer_id: String::new(),
        method: pb::AuthorisationMethod::Provider.into(),
        payment_token: token.into(),
        ..on_account(order, Uuid::nil(), lines)
    }
}

pub fn shipped(order: Uuid, lines: &[(i32, i64)]) -> GoodsIssued {
    let line = |&(line_no, quantity): &(i32, i64)| ShipmentLine {
        line_no,
        sku: format!("SKU-{line_no}"),
        quantity,
        stocked: true,
    };
    GoodsIssued {
        fulfilment_order_id: Uuid::now_v7().to_string(),
        order_id: order.to_string(),
        location_id: Uuid::now_v7().to_string(),
        lines: lines.iter().map(line).collect(),
        parcels: vec![],
    }
}

pub fn returned(order: Uuid, lines: &[(i32, i64, Option<Money>)]) -> ReturnReceived {
    let line = |(line_no, quantity, credit): &(i32, i64, Option<Money>)| ReturnReceivedLine {
        line_no: *line_no,
        sku: format!("SKU-{line_no}"),
        location_id: Uuid::now_v7().to_string(),
        sellable: quantity - 1,
        damaged: 1,
        reason: "DAMAGED".into(),
        credit: credit.clone(),
        stocked: true,
        uncredited: 0,
    };
    ReturnReceived {
        return_id: Uuid::now_v7().to_string(),
        number: "RMA-000001".into(),
        order_id: order.to_string(),
        lines: lines.iter().map(line).collect(),
        received_at: None,
        discrepancies: vec![],
    }
}

impl House {
    /// An account without a limit, or with one, due in 30 days.
    pub async fn account(&mut self, limit: Option<&str>) -> Uuid {
        let customer = Uuid::now_v7();
        let account = pb::Account {
            customer_id: customer.to_string(),
            currency_code: "EUR".into(),
            credit_limit: limit.map(eur),
            payment_terms_days: 30,
            ..Default::default()
        };
        let mut results = self.upsert(vec![account]).await;
        results.pop().unwrap().unwrap();
        customer
    }

    pub async fn upsert(&mut self, accounts: Vec<pb::Account>) -> Vec<Result<pb::Account, Problem>> {
        let response = self.accounts.upsert_accounts(pb::UpsertAccountsRequest { accounts }).await.unwrap();
        let outcome = |result: pb::UpsertAccountResult| match result.outcome.unwrap() {
            upsert_account_result::Outcome::Account(account) => Ok(account),
            upsert_account_result::Outcome::Problem(problem) => Err(problem),
        };
        response.into_inner().results.into_iter().map(outcome).collect()
    }

    /// "receivable/authorised" of an account.
    pub async fn owed(&mut self, customer: Uuid) -> String {
        let request = pb::GetAccountRequest { customer_id: customer.to_string() };
        let account = self.accounts.get_account(request).await.unwrap().into_inner().account.unwrap();
        format!("{}/{}", shown(&account.receivable), shown(&account.authorised))
    }

    pub async fn authorise_all(&mut self, charges: Vec<pb::OrderCharge>) -> Vec<Result<pb::Authorisation, Problem>> {
        let response = self.payments.authorise(pb::AuthoriseRequest { charges }).await.unwrap();
        let outcome = |result: pb::AuthoriseResult| match result.outcome.unwrap() {
            authorise_result::Outcome::Authorisation(authorisation) => Ok(authorisation),
            authorise_result::Outcome::Problem(problem) => Err(problem),
        };
        response.into_inner().results.into_iter().map(outcome).collect()
    }

    pub async fn authorise(&mut self, charge: pb::OrderCharge) -> Result<pb::Authorisation, Problem> {
        self.authorise_all(vec![charge]).await.pop().unwrap()
    }

    /// "authorised invoiced captured credited refunded" of an order.
    pub async fn billing(&mut self, order: Uuid) -> String {
        let request = pb::GetOrderBillingRequest { order_id: order.to_string() };
        let billing = self.payments.get_order_billing(request).await.unwrap().into_inner().billing.unwrap();
        [billing.authorised, billing.invoiced, billing.captured, billing.credited, billing.refunded]
            .map(|m| shown(&m))
            .join(" ")
    }

    /// The documents of an order.
    pub async fn documents_of(&mut self, order: Uuid) -> Vec<pb::Document> {
        let request = pb::ListDocumentsRequest { order_id: order.to_string(), ..Default::default() };
        self.documents.list_documents(request).await.unwrap().into_inner().documents
    }

    /// All events so far. They appear in the feed when every transaction of the server that is older has ended, those
    /// of other tests too.
    pub async fn events(&mut self) -> Vec<Event> {
        let written: i64 = sqlx::query_scalar("select count(*) from outbox").fetch_one(&self.pool).await.unwrap();
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let request = PullRequest { follower: "test".into(), max_events: 5000, ..Default::default() };
            let events = self.feed.pull(request).await.unwrap().into_inner().events;
            if events.len() as i64 >= written {
                return events;
            }
            assert!(tokio::time::Instant::now() < deadline, "{} of {written} events", events.len());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    /// The events of an order, or another aggregate, by the last part of their type, checked to be numbered from 1.
    pub async fn story(&mut self, aggregate: Uuid) -> Vec<String> {
        let events: Vec<Event> =
            self.events().await.into_iter().filter(|e| e.aggregate_id == aggregate.to_string()).collect();
        let versions: Vec<i64> = events.iter().map(|e| e.version).collect();
        assert_eq!(versions, (1..=events.len() as i64).collect::<Vec<_>>());
        events.iter().map(|e| e.r#type.rsplit('.').next().unwrap().to_owned()).collect()
    }

    /// Waits until an order's sums are `wanted`: for what workers of the service do by themselves.
    pub async fn until(&mut self, order: Uuid, wanted: &str) {
        eventually(async || match self.billing(order).await {
            billing if billing == wanted => Ok(()),
            billing => Err(format!("the order is at {billing}, not {wanted}")),
        })
        .await;
    }

    /// (invariant, violation) of all invariants, after checking that every one is told.
    pub async fn violations(&mut self) -> Vec<(String, Violation)> {
        let response = self.proof.check_invariants(CheckInvariantsRequest {}).await.unwrap().into_inner();
        assert_eq!(response.results.len(), 13);
        let each = response.results.into_iter();
        each.flat_map(|r| r.violations.into_iter().map(move |v| (r.name.clone(), v))).collect()
    }

    /// That nothing breaks an invariant.
    pub async fn is_in_order(&mut self) {
        assert_eq!(self.violations().await, []);
    }

    pub async fn digests(&mut self, subjects: &[Uuid]) -> Vec<Digest> {
        let request = StreamDigestsRequest { subjects: subjects.iter().map(Uuid::to_string).collect() };
        let mut stream = self.proof.stream_digests(request).await.unwrap().into_inner();
        let mut digests = Vec::new();
        while let Some(message) = stream.message().await.unwrap() {
            assert_eq!(message.measures, ["invoiced", "refunded", "invoiced_amount", "credited_amount"]);
            digests.extend(message.digests);
        }
        digests
    }

    /// Stops the service and waits for its end.
    pub async fn stop(self) -> PgPool {
        self.stop.cancel();
        self.running.await.unwrap().unwrap();
        self.pool
    }
}

/// Asks again until the answer is good, 20 seconds at most; what was last wrong is then told.
pub async fn eventually(mut asked: impl AsyncFnMut() -> Result<(), String>) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while let Err(wrong) = asked().await {
        assert!(tokio::time::Instant::now() < deadline, "{wrong}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
