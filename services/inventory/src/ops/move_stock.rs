//! Books receipts and adjustments: a list in one transaction, each by itself, each once by its request id.

use super::{Inventory, insist};
use crate::convert::{facts, stock as shown};
use crate::cost::Costs;
use crate::error::Error;
use crate::item::ItemId;
use crate::stock::{self, Book, Buckets, Movement, MovementKind, StockChange, StockKey, What};
use crate::store;
use pesan_api::inventory::v1::StockLevel;
use pesan_feed::NewEvent;
use pesan_grpc::idempotency::{self, Claim, Claimed};
use pesan_money::Money;
use prost::Message as _;
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// A change that could be read, and the claim of its request id.
pub type Wanted = Result<(StockChange, Claim), Error>;
/// The level after the change.
pub type Outcome = Result<StockLevel, Error>;

/// Books each change by itself; one outcome for each, in order. The filler serves waiting orders right after it.
pub async fn move_stock(inventory: &Inventory, wanted: Vec<Wanted>) -> Result<Vec<Outcome>, Error> {
    let readable = || wanted.iter().filter_map(|wanted| wanted.as_ref().ok());
    inventory.learn_skus(readable().map(|(change, _)| change.sku.as_str()).collect()).await?;
    inventory.learn_locations(readable().map(|(change, _)| change.location_id).collect()).await?;

    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(wanted.len());
    let mut changes: Vec<(usize, StockKey, StockChange)> = Vec::with_capacity(wanted.len());
    let mut claims: Vec<Claim> = Vec::with_capacity(wanted.len());
    for (place, wanted) in wanted.into_iter().enumerate() {
        let resolved = wanted
            .and_then(|(change, claim)| Ok((inventory.stock_key(&change.sku, change.location_id)?, change, claim)));
        match resolved {
            Ok((key, change, claim)) => {
                changes.push((place, key, change));
                claims.push(claim);
                outcomes.push(None);
            }
            Err(error) => outcomes.push(Some(Err(error))),
        }
    }
    if !changes.is_empty() {
        let booked = insist(|| book(inventory, &changes, &claims)).await?;
        for ((place, _, _), outcome) in changes.iter().zip(booked) {
            outcomes[*place] = Some(outcome);
        }
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Error::Stopping))).collect())
}

async fn book(
    inventory: &Inventory,
    changes: &[(usize, StockKey, StockChange)],
    claims: &[Claim],
) -> Result<Vec<Outcome>, Error> {
    let mut tx = store::begin(&inventory.pool).await?;
    let claimed = idempotency::claim(&mut tx, claims).await?;
    let is_new = |claimed: &Claimed| *claimed == Claimed::New;
    let keys = changes.iter().zip(&claimed).filter(|(_, claimed)| is_new(claimed)).map(|((_, key, _), _)| *key);
    let mut keys: Vec<StockKey> = keys.collect();
    keys.sort_unstable();
    keys.dedup();
    let mut books = Books::lock(&mut tx, &keys).await?;

    let now = inventory.clock.now();
    let mut outcomes: Vec<Outcome> = Vec::with_capacity(changes.len());
    let mut answers: Vec<(Uuid, Vec<u8>)> = Vec::new();
    let mut given_up: Vec<Uuid> = Vec::new();
    for ((_, key, change), claimed) in changes.iter().zip(claimed) {
        let outcome = match claimed {
            Claimed::New => match books.apply(*key, change) {
                Ok(()) => {
                    let level = shown::level(&change.sku, change.location_id, books.book.level(*key));
                    answers.push((change.request_id, level.encode_to_vec()));
                    Ok(level)
                }
                Err(error) => {
                    given_up.push(change.request_id);
                    Err(error)
                }
            },
            Claimed::Answered(answer) => {
                StockLevel::decode(answer.as_slice()).map_err(|error| sqlx::Error::Decode(Box::new(error)).into())
            }
            Claimed::SameAs(place) => outcomes[place].clone(),
            Claimed::Reused(fields) => Err(Error::RequestIdReused(fields)),
        };
        outcomes.push(outcome);
    }
    let events: Vec<NewEvent> = {
        let known = inventory.known();
        let event = |m: &Movement| NewEvent::new(m.id, 1, &facts::moved(&known, m, now), m.effective_at);
        books.movements.iter().map(event).collect()
    };
    store::stock::write(&mut tx, &books.book).await?;
    store::movement::append(&mut tx, &books.movements).await?;
    store::cost::write(&mut tx, &books.costs).await?;
    idempotency::answer(&mut tx, &answers).await?;
    if !given_up.is_empty() {
        idempotency::give_up(&mut tx, &given_up).await?;
    }
    pesan_feed::append(&mut tx, &events).await?;
    tx.commit().await?;
    if !events.is_empty() {
        inventory.feed.wake();
        inventory.filler.notify_one();
    }
    Ok(outcomes)
}

/// What a movement costs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cost {
    /// Goods that were bought; at their standard cost where none is named.
    Paid(Option<Money>),
    /// Goods that bring the cost with them that they left another location with.
    Carried(Option<Money>),
    /// At the average.
    Average,
}

/// A movement that one of the service's own documents causes.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub key: StockKey,
    pub kind: MovementKind,
    pub quantity: i64,
    pub damaged: i64,
    pub reason: &'a str,
    pub reference: &'a str,
    pub cost: Cost,
    pub effective_at: OffsetDateTime,
}

/// The books that a list of changes is written into.
pub(super) struct Books {
    pub book: Book,
    pub costs: Costs,
    standard_costs: HashMap<ItemId, Money>,
    pub movements: Vec<Movement>,
}

impl Books {
    /// `keys` in key order, each once.
    pub async fn lock(conn: &mut PgConnection, keys: &[StockKey]) -> Result<Self, Error> {
        let mut items: Vec<ItemId> = keys.iter().map(|key| key.item).collect();
        items.dedup();
        store::stock::ensure(conn, keys).await?;
        let book = store::stock::lock(conn, keys).await?;
        let costs = store::cost::lock(conn, &items).await?;
        let standard_costs = store::item::standard_costs(conn, &items).await?.into_iter().collect();
        Ok(Self { book, costs, standard_costs, movements: Vec::new() })
    }

    /// Books a movement; its id. What is reserved cannot be taken away, nor what is not there.
    pub fn enter(&mut self, entry: Entry<'_>) -> Result<Uuid, Error> {
        let Entry { key, kind, quantity, damaged, reason, reference, cost, effective_at } = entry;
        let paid = match cost {
            Cost::Paid(named) => self.cost_of_receipt(key.item, named)?,
            Cost::Carried(cost) => cost,
            Cost::Average => None,
        };
        let change = Buckets { on_hand: quantity, damaged, quality_hold: 0 };
        stock::adjust(&mut self.book, key, change)?;
        let value = if quantity > 0 && paid.is_some() {
            self.costs.receive(key.item, paid, quantity)
        } else {
            self.costs.count(key.item, quantity)
        };
        let id = Uuid::now_v7();
        self.movements.push(Movement {
            id,
            key,
            quantity,
            damaged,
            quality_hold: 0,
            kind,
            reason: reason.to_owned(),
            reference: reference.to_owned(),
            unit_cost: paid.or_else(|| self.costs.unit_cost(key.item)),
            value,
            effective_at,
        });
        Ok(id)
    }

    /// Writes everything that was booked; the facts of its movements.
    pub async fn write(&self, conn: &mut PgConnection, inventory: &Inventory) -> Result<Vec<NewEvent>, Error> {
        let now = inventory.clock.now();
        store::stock::write(conn, &self.book).await?;
        store::movement::append(conn, &self.movements).await?;
        store::cost::write(conn, &self.costs).await?;
        let known = inventory.known();
        let event = |m: &Movement| NewEvent::new(m.id, 1, &facts::moved(&known, m, now), m.effective_at);
        Ok(self.movements.iter().map(event).collect())
    }

    fn apply(&mut self, key: StockKey, change: &StockChange) -> Result<(), Error> {
        let (kind, moved, reason, unit_cost, value) = match &change.what {
            What::Receipt { quantity, unit_cost } => {
                let cost = self.cost_of_receipt(key.item, *unit_cost)?;
                stock::receive(&mut self.book, key, *quantity)?;
                let value = self.costs.receive(key.item, cost, *quantity);
                let moved = Buckets { on_hand: *quantity, ..Buckets::default() };
                (MovementKind::Receipt, moved, "", cost.or_else(|| self.costs.unit_cost(key.item)), value)
            }
            What::Adjustment { change, reason } => {
                stock::adjust(&mut self.book, key, *change)?;
                let value = self.costs.count(key.item, change.valued());
                let held = change.quality_hold != 0 && change.valued() == 0 && change.damaged == 0;
                let kind = if held { MovementKind::Hold } else { MovementKind::Adjustment };
                (kind, *change, reason.as_str(), self.costs.unit_cost(key.item), value)
            }
        };
        self.movements.push(Movement {
            id: Uuid::now_v7(),
            key,
            quantity: moved.on_hand,
            damaged: moved.damaged,
            quality_hold: moved.quality_hold,
            kind,
            reason: reason.to_owned(),
            reference: change.reference.clone(),
            unit_cost,
            value,
            effective_at: change.effective_at,
        });
        Ok(())
    }

    /// What a receipt costs: what it names, else the item's standard cost. All costs of an item are in one currency.
    fn cost_of_receipt(&self, item: ItemId, named: Option<Money>) -> Result<Option<Money>, Error> {
        let expected = self.costs.expects(item);
        match (named, expected) {
            (Some(cost), Some(expected)) if cost.currency != expected => {
                Err(Error::CostCurrency { field: "unit_cost.currency_code", expected: expected.code() })
            }
            (Some(cost), _) => Ok(Some(cost)),
            (None, expected) => {
                let standard = self.standard_costs.get(&item).copied();
                Ok(standard.filter(|cost| expected.is_none_or(|expected| cost.currency == expected)))
            }
        }
    }
}
