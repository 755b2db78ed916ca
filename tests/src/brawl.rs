//! Many clients at the same few orders at once, who may be refused but never confused.

use crate::{Suite, account_order, approval, count_stock, eur, request_id};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::change::Kind;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why a client may be refused here, as the APIs' comments say.
const REFUSALS: &[&str] = &[
    "ALREADY_PICKED",
    "ALREADY_SHIPPED",
    "CANCELLATION_PENDING",
    "CANCELLATION_UNKNOWN",
    "CHANGE_UNKNOWN",
    "DATABASE_UNAVAILABLE",
    "LINE_INVOICED",
    "MORE_THAN_OPEN",
    "NOT_ALLOWED",
    "NOT_FOLLOWED_YET",
    "NOT_SHIPPED",
    "ORDER_CLOSED",
    "PEER_UNAVAILABLE",
    "PICKED",
    "PLAN_HAS_IMPOSSIBLE",
    "RETRY",
    "STOCK_GONE",
    "UNSETTLED",
    "VERSION_MISMATCH",
];

/// What clients did, and what they were told, by name.
pub type Tally = BTreeMap<String, u64>;

/// The ring: orders, items and a place.
pub struct Ring {
    pub suite: Suite,
    pub orders: Vec<String>,
    pub skus: Vec<String>,
    pub location_id: String,
}

impl Ring {
    /// So many orders of two lines over few items, of which there is not enough for all.
    pub async fn of(suite: Suite, orders: usize, skus: usize) -> anyhow::Result<Self> {
        let location_id = suite.location("R-1").await?;
        let skus: Vec<String> = (0..skus).map(|n| format!("RACE-{n}")).collect();
        for sku in &skus {
            suite.item(sku, Some((&location_id, 60))).await?;
        }
        let customer = suite.customer("RACER", None).await?;
        let mut ids = Vec::with_capacity(orders);
        for n in 0..orders {
            let lines = [(skus[n % skus.len()].as_str(), 6), (skus[(n + 1) % skus.len()].as_str(), 4)];
            ids.push(suite.place(account_order(&customer, &lines)).await?.id);
        }
        Ok(Self { suite, orders: ids, skus, location_id })
    }

    /// So many clients for so long. What they did.
    ///
    /// # Errors
    /// The first answer that is none of the documented refusals.
    pub async fn fight(self: &Arc<Self>, clients: u64, seed: u64, time: Duration) -> anyhow::Result<Tally> {
        let tally = Arc::new(Mutex::new(Tally::new()));
        let until = Instant::now() + time;
        let mut tasks = tokio::task::JoinSet::new();
        for client in 0..clients {
            let (ring, tally) = (self.clone(), tally.clone());
            tasks.spawn(async move {
                let hands = Hands::of(&ring.suite);
                let mut dice = StdRng::seed_from_u64(seed + client);
                while Instant::now() < until {
                    let (what, answer) = ring.strike(&hands, &mut dice).await;
                    let told = judge(what, answer)?;
                    *tally.lock().unwrap_or_else(PoisonError::into_inner).entry(told).or_default() += 1;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        let tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(tally.clone())
    }

    async fn strike(&self, hands: &Hands, dice: &mut StdRng) -> (&'static str, Result<(), Status>) {
        let id = self.orders[dice.random_range(0..self.orders.len())].clone();
        let sku = &self.skus[dice.random_range(0..self.skus.len())];
        let line_no = dice.random_range(1..=2);
        match dice.random_range(0..100) {
            0..10 => {
                let lines = vec![pb::CancelLine { line_no, quantity: dice.random_range(1..=3) }];
                let request =
                    pb::CancelOrderRequest { request_id: request_id(), name: id, lines, ..Default::default() };
                ("cancel", hands.orders.clone().cancel_order(request).await.map(drop))
            }
            10..38 => {
                let kind = match dice.random_range(0..10) {
                    0..4 => Kind::SetQuantity(pb::SetQuantity { line_no, quantity: dice.random_range(1..=9) }),
                    4..7 => {
                        let line = pb::NewOrderLine {
                            sku: sku.clone(),
                            quantity: dice.random_range(1..=3),
                            unit_price: eur(10, 0),
                            ..Default::default()
                        };
                        Kind::AddLine(pb::AddLine { line: Some(line) })
                    }
                    7..9 => {
                        let unit_price = eur(dice.random_range(1..30), 33);
                        Kind::SetPrice(pb::SetPrice { line_no, unit_price, ..Default::default() })
                    }
                    _ => Kind::RemoveLine(pb::RemoveLine { line_no }),
                };
                ("change", hands.change(id, kind).await)
            }
            38..45 => ("count", hands.count(&self.location_id, sku, dice).await),
            45..55 => {
                let received = self.suite.receive(sku, &self.location_id, dice.random_range(1..=4)).await;
                ("receive", received.map_err(|error| Status::internal(error.to_string())))
            }
            55..65 => ("return", hands.give_back(id, line_no, dice.random_range(1..=2)).await),
            _ => ("warehouse", hands.work(id, dice).await),
        }
    }
}

struct Hands {
    counts: inventory::count_service_client::CountServiceClient<tonic::transport::Channel>,
    stock: inventory::stock_service_client::StockServiceClient<tonic::transport::Channel>,
    orders: pb::order_service_client::OrderServiceClient<tonic::transport::Channel>,
    changes: pb::change_service_client::ChangeServiceClient<tonic::transport::Channel>,
    returns: pb::return_service_client::ReturnServiceClient<tonic::transport::Channel>,
    warehouse: fulfilment::fulfilment_service_client::FulfilmentServiceClient<tonic::transport::Channel>,
}

impl Hands {
    fn of(suite: &Suite) -> Self {
        Self {
            counts: suite.counts(),
            stock: suite.stock(),
            orders: suite.orders(),
            changes: suite.changes(),
            returns: suite.returns(),
            warehouse: suite.fulfilment(),
        }
    }

    /// Somebody finds a few pieces more or fewer than there should be.
    async fn count(&self, location_id: &str, sku: &str, dice: &mut StdRng) -> Result<(), Status> {
        let request = inventory::GetAvailabilityRequest { skus: vec![sku.into()], ..Default::default() };
        let there = self.stock.clone().get_availability(request).await?.into_inner().availabilities;
        let on_hand = there.iter().flat_map(|item| &item.locations).map(|level| level.on_hand).sum::<i64>();
        let counted = (on_hand + dice.random_range(-4..=2)).max(0);
        let count = count_stock(self.counts.clone(), location_id, sku, counted).await?;
        if count.state() == inventory::CountState::Approved {
            return Ok(());
        }
        self.counts.clone().approve_count(approval(&count)).await.map(drop)
    }

    async fn change(&self, name: String, kind: Kind) -> Result<(), Status> {
        let changes = vec![pb::Change { kind: Some(kind) }];
        let request = pb::PlanChangeRequest { name, changes, ..Default::default() };
        let plan = self.changes.clone().plan_change(request).await?.into_inner().plan.unwrap_or_default();
        let request = pb::CommitChangeRequest {
            request_id: request_id(),
            plan_id: plan.id,
            order_version: plan.order_version,
            payment_token: String::new(),
        };
        self.changes.clone().commit_change(request).await.map(drop)
    }

    async fn give_back(&self, order_name: String, line_no: i32, quantity: i64) -> Result<(), Status> {
        let line = pb::NewReturnLine { line_no, quantity, reason: "CHANGED_MIND".into(), ..Default::default() };
        let new = pb::NewReturn {
            order_name,
            external_id: request_id(),
            lines: vec![line],
            handling: pb::ReturnHandling::StraightThrough.into(),
            ..Default::default()
        };
        let request = pb::RequestReturnsRequest { returns: vec![new] };
        let mut results = self.returns.clone().request_returns(request).await?.into_inner().results;
        match results.pop().and_then(|result| result.outcome) {
            Some(pb::request_return_result::Outcome::Return(_)) => Ok(()),
            Some(pb::request_return_result::Outcome::Problem(problem)) if problem.reason == "NOT_SHIPPED" => {
                Err(Status::failed_precondition("NOT_SHIPPED"))
            }
            other => Err(Status::internal(format!("{other:?}"))),
        }
    }

    /// The next step of one of the order's fulfilment orders; now and then less is found than there should be.
    async fn work(&self, order_id: String, dice: &mut StdRng) -> Result<(), Status> {
        use fulfilment::FulfilmentAction::{ConfirmDelivery, Pack, Pick, Ship};
        let request = fulfilment::ListFulfilmentOrdersRequest { order_id, ..Default::default() };
        let mut hands = self.warehouse.clone();
        let mut open = hands.list_fulfilment_orders(request).await?.into_inner().fulfilment_orders;
        open.retain(|order| {
            order.allowed_actions().any(|action| [Pick, Pack, Ship, ConfirmDelivery].contains(&action))
        });
        if open.is_empty() {
            return Ok(());
        }
        let order = open.swap_remove(dice.random_range(0..open.len()));
        let (request_id, name, effective_at) = (request_id(), order.id.clone(), None);
        let can = |wanted| order.allowed_actions().any(|action| action == wanted);
        if can(Pick) {
            let mut lines = Vec::new();
            if let Some(line) = order.lines.first().filter(|_| dice.random_bool(0.1)) {
                let there = line.allocated - line.withdrawn - line.short - line.picked;
                lines.push(fulfilment::PickedLine { line_no: line.line_no, quantity: (there - 1).max(0) });
            }
            return hands.pick(fulfilment::PickRequest { request_id, name, lines, effective_at }).await.map(drop);
        }
        if can(Pack) {
            let request = fulfilment::PackRequest { request_id, name, parcels: Vec::new(), effective_at };
            return hands.pack(request).await.map(drop);
        }
        if can(Ship) {
            return hands.ship(fulfilment::ShipRequest { request_id, name, effective_at }).await.map(drop);
        }
        hands.confirm_delivery(fulfilment::ConfirmDeliveryRequest { request_id, name, effective_at }).await.map(drop)
    }
}

/// "cancel: done", "change: VERSION_MISMATCH".
fn judge(what: &str, answer: Result<(), Status>) -> anyhow::Result<String> {
    let Err(status) = answer else { return Ok(format!("{what}: done")) };
    let details = status.get_details_error_info();
    let reason = details.map_or_else(|| status.message().to_owned(), |info| info.reason);
    let is_refusal = matches!(status.code(), Code::FailedPrecondition | Code::Aborted | Code::Unavailable);
    // What a plan cannot is told by its commit; a line that a change took away is not there for the next.
    let is_documented = is_refusal && REFUSALS.contains(&reason.as_str());
    anyhow::ensure!(is_documented, "{what}: {:?} {reason}: {}", status.code(), status.message());
    Ok(format!("{what}: {reason}"))
}
