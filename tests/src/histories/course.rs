//! Rounds of all histories: the steps of each through the suite, in lists where the API takes lists.

use super::step::Step;
use super::{History, ask, compare};
use crate::{Suite, Watch, verify};
use pesan_api::billing::v1 as billing;
use pesan_api::billing::v1::document_service_client::DocumentServiceClient;
use pesan_api::inventory::v1 as inventory;
use pesan_api::inventory::v1::count_service_client::CountServiceClient;
use pesan_api::inventory::v1::reservation_service_client::ReservationServiceClient;
use pesan_api::inventory::v1::stock_service_client::StockServiceClient;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::change_service_client::ChangeServiceClient;
use pesan_api::order::v1::order_service_client::OrderServiceClient;
use pesan_api::order::v1::return_service_client::ReturnServiceClient;
use pesan_host::Clock;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

/// The channel of all orders here.
pub const CHANNEL: &str = "histories";
const ROUNDS: usize = 9;
/// In these rounds time passes, and nothing else happens.
const LAPSES: [usize; 2] = [4, 8];
/// Longer than reservations wait for their confirmation.
const AGES: Duration = Duration::from_secs(3600);
/// Histories that are told of when they fail.
const TOLD: usize = 5;
/// How long what was done because of facts may take once all are read.
pub const REST: Duration = Duration::from_secs(60);

/// Clients with a connection each.
pub struct Clients {
    pub orders: OrderServiceClient<Channel>,
    pub returns: ReturnServiceClient<Channel>,
    pub stock: StockServiceClient<Channel>,
    pub reservations: ReservationServiceClient<Channel>,
    pub changes: ChangeServiceClient<Channel>,
    pub counts: CountServiceClient<Channel>,
    pub documents: DocumentServiceClient<Channel>,
}

/// All histories on their way.
pub struct Course<'a> {
    suite: &'a Suite,
    clock: Clock,
    pub(super) clients: Clients,
    watch: Watch,
    pub(super) location_id: String,
    pub(super) started_at: i64,
    pub(super) histories: Vec<History>,
}

impl<'a> Course<'a> {
    /// So many histories, with seeds from `seed` on, and all that they need.
    pub async fn prepare(suite: &'a Suite, clock: Clock, seed: u64, count: usize) -> anyhow::Result<Self> {
        let clients = Clients {
            orders: suite.orders(),
            returns: suite.returns(),
            stock: suite.stock(),
            reservations: suite.reservations(),
            changes: suite.changes(),
            counts: suite.counts(),
            documents: suite.documents(),
        };
        let watch = Watch::of(suite).await?;
        let location_id = suite.location("H-1").await?;
        let started_at = clock.now().unix_timestamp();
        let mut histories: Vec<History> = (seed..).take(count).map(History::new).collect();
        for some in histories.chunks_mut(500) {
            items(suite, some).await?;
            customers(suite, some).await?;
        }
        Ok(Self { suite, clock, clients, watch, location_id, started_at, histories })
    }

    /// All rounds, and all comparisons. The number of steps that did something.
    ///
    /// # Errors
    /// When anything is not as it must be, with the histories that show it.
    pub async fn run(mut self) -> anyhow::Result<usize> {
        for round in 0..ROUNDS {
            let started = Instant::now();
            let lapses = LAPSES.contains(&round);
            for history in &mut self.histories {
                history.go_on(lapses);
            }
            self.lists(round).await?;
            self.calls(round).await?;
            if lapses {
                self.clock.advance(AGES);
            }
            let asked = started.elapsed();
            self.watch.quiet().await?;
            let quiet = started.elapsed();
            self.same_stock(round).await?;
            println!("round {round}: asked {asked:?}, quiet {quiet:?}, compared {:?}", started.elapsed());
        }
        let started = Instant::now();
        agree(&compare::orders(&self.clients, &self.histories).await?)?;
        println!("orders compared in {:?}", started.elapsed());
        verify(self.suite, true).await?;
        self.watch.end().await;
        println!("verified in {:?}", started.elapsed());
        let steps = self.histories.iter().flat_map(|history| &history.steps);
        Ok(steps.filter(|step| !matches!(step, Step::Rest | Step::Lapse)).count())
    }

    /// Stock comes free, and lapses, a moment after the facts are read.
    async fn same_stock(&self, round: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let different = compare::stock(&self.clients, &self.histories).await?;
            if different.is_empty() {
                return self.watch.quiet().await;
            }
            if started.elapsed() > REST {
                println!("after round {round}");
                return agree(&different);
            }
            self.watch.quiet().await?;
        }
    }
}

fn agree(different: &[String]) -> anyhow::Result<()> {
    let some: Vec<&str> = different.iter().take(TOLD).map(String::as_str).collect();
    anyhow::ensure!(different.is_empty(), "{} are not as they must be:\n{}", different.len(), some.join("\n"));
    Ok(())
}

async fn items(suite: &Suite, histories: &[History]) -> anyhow::Result<()> {
    let skus = histories.iter().flat_map(|history| &history.skus);
    let item = |sku: &String| inventory::Item {
        sku: sku.clone(),
        name: sku.clone(),
        standard_cost: Some(ask::euros(4_000_000)),
        ..Default::default()
    };
    let request = inventory::UpsertItemsRequest { items: skus.map(item).collect() };
    let results = suite.items().upsert_items(request).await?.into_inner().results;
    let is_item = |result: &inventory::UpsertItemResult| {
        matches!(result.outcome, Some(inventory::upsert_item_result::Outcome::Item(_)))
    };
    anyhow::ensure!(results.iter().all(is_item), "items are refused");
    Ok(())
}

async fn customers(suite: &Suite, histories: &mut [History]) -> anyhow::Result<()> {
    let customer = |history: &History| {
        let name = format!("H{}", history.seed);
        pb::Customer { external_id: name.clone(), name, ..Default::default() }
    };
    let request = pb::UpsertCustomersRequest { customers: histories.iter().map(customer).collect() };
    let results = suite.customers().upsert_customers(request).await?.into_inner().results;
    for (history, result) in histories.iter_mut().zip(results) {
        let Some(pb::upsert_customer_result::Outcome::Customer(customer)) = result.outcome else {
            anyhow::bail!("a customer is refused");
        };
        history.customer_id = customer.id;
    }
    let account = |history: &History| billing::Account {
        customer_id: history.customer_id.clone(),
        currency_code: "EUR".into(),
        payment_terms_days: 30,
        ..Default::default()
    };
    let request = billing::UpsertAccountsRequest { accounts: histories.iter().map(account).collect() };
    let results = suite.accounts().upsert_accounts(request).await?.into_inner().results;
    let is_account = |result: &billing::UpsertAccountResult| {
        matches!(result.outcome, Some(billing::upsert_account_result::Outcome::Account(_)))
    };
    anyhow::ensure!(results.iter().all(is_account), "accounts are refused");
    Ok(())
}
