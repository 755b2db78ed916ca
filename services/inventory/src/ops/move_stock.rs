//! Books receipts and adjustments: a list in one transaction, each by itself, each once by its request id.

use super::{Inventory, insist};
use crate::convert::{facts, stock as shown};
use crate::cost::Costs;
use crate::error::Error;
use crate::item::{ItemId, Tracking, Valuation};
use crate::lot::{self, Bucket, LotQuantity, Lots};
use crate::stock::{self, Book, Buckets, Movement, MovementKind, StockChange, StockKey, What};
use crate::store;
use crate::store::item::Rules;
use pesan_api::inventory::v1::StockLevel;
use pesan_feed::NewEvent;
use pesan_grpc::idempotency::{self, Claim, Claimed};
use pesan_money::Money;
use prost::Message as _;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::{Date, OffsetDateTime};
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
    in_base_units(inventory, &mut changes, &mut outcomes, &mut claims).await?;
    if !changes.is_empty() {
        let booked = insist(|| book(inventory, &changes, &claims)).await?;
        for ((place, _, _), outcome) in changes.iter().zip(booked) {
            outcomes[*place] = Some(outcome);
        }
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Err(Error::Stopping))).collect())
}

/// Makes quantities in other units ones in base units; what has no such unit is refused.
async fn in_base_units(
    inventory: &Inventory,
    changes: &mut Vec<(usize, StockKey, StockChange)>,
    outcomes: &mut [Option<Outcome>],
    claims: &mut Vec<Claim>,
) -> Result<(), Error> {
    let skus: BTreeSet<String> =
        changes.iter().filter(|(.., change)| !change.unit.is_empty()).map(|(.., change)| change.sku.clone()).collect();
    if skus.is_empty() {
        return Ok(());
    }
    let units = super::units::read(inventory, skus.into_iter().collect()).await?;
    let all = std::mem::take(changes).into_iter().zip(std::mem::take(claims));
    for ((place, key, change), claim) in all {
        let factor = units.factor(&change.sku, &change.unit).ok_or(Error::UnknownUnit("unit"));
        match factor.and_then(|factor| change.in_base_units(factor)) {
            Ok(change) => {
                changes.push((place, key, change));
                claims.push(claim);
            }
            Err(error) => outcomes[place] = Some(Err(error)),
        }
    }
    Ok(())
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
    let mut books = Books::lock_rows(&mut tx, &keys).await?;
    let wanted = changes.iter().map(|(_, key, change)| (*key, change.buckets(), change.lots.as_slice()));
    books.read_lots(&mut tx, inventory.clock.now().date(), &wanted.collect::<Vec<_>>()).await?;

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
    store::lot::write(&mut tx, &books.lots, &books.movements).await?;
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
    rules: HashMap<ItemId, Rules>,
    /// Of the tracked items, as far as they were read.
    pub lots: Lots,
    pub movements: Vec<Movement>,
}

impl Books {
    /// For changes, each of the lots that it names, or, where it takes something away and names none, of those that expire
    /// first.
    pub async fn lock(
        conn: &mut PgConnection,
        today: Date,
        changes: &[(StockKey, Buckets, &[LotQuantity])],
    ) -> Result<Self, Error> {
        let mut keys: Vec<StockKey> = changes.iter().map(|(key, ..)| *key).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut books = Self::lock_rows(conn, &keys).await?;
        books.read_lots(conn, today, changes).await?;
        Ok(books)
    }

    /// `keys` in key order, each once, without lots.
    pub async fn lock_rows(conn: &mut PgConnection, keys: &[StockKey]) -> Result<Self, Error> {
        let mut items: Vec<ItemId> = keys.iter().map(|key| key.item).collect();
        items.dedup();
        store::stock::ensure(conn, keys).await?;
        let book = store::stock::lock(conn, keys).await?;
        let rules = store::item::rules(conn, &items).await?;
        let mut costs = store::cost::lock(conn, &items).await?;
        items.retain(|item| rules.get(item).is_some_and(|rules| rules.valuation == Valuation::Fifo));
        store::cost::add_layers(conn, &mut costs, &items).await?;
        Ok(Self { book, costs, rules, lots: Lots::new(Date::MIN, []), movements: Vec::new() })
    }

    /// Reads the lots that changes of tracked items are about; no statement where there is none.
    async fn read_lots(
        &mut self,
        conn: &mut PgConnection,
        today: Date,
        changes: &[(StockKey, Buckets, &[LotQuantity])],
    ) -> Result<(), Error> {
        let tracked = || changes.iter().filter(|(key, ..)| self.tracking(key.item) != Tracking::None);
        let code = |(key, _, lots): &(StockKey, Buckets, &'_ [LotQuantity])| {
            let item = key.item;
            lots.iter().map(move |lot| (item, lot.code.clone())).collect::<Vec<_>>()
        };
        let named: BTreeSet<(ItemId, String)> = tracked().flat_map(code).collect();
        let named: Vec<(ItemId, &str)> = named.iter().map(|(item, code)| (*item, code.as_str())).collect();
        let mut needs: BTreeMap<(StockKey, i16), (Bucket, i64)> = BTreeMap::new();
        for (key, change, _) in tracked().filter(|(.., lots)| lots.is_empty()) {
            if let Some(bucket) = Bucket::taken_from(*change) {
                let need = needs.entry((*key, bucket.code())).or_insert((bucket, 0));
                need.1 = need.1.saturating_add(lot::largest(*change));
            }
        }
        let needs: Vec<_> = needs.into_iter().map(|((key, _), (bucket, quantity))| (key, bucket, quantity)).collect();
        self.lots = store::lot::read(conn, today, &named, &needs).await?;
        Ok(())
    }

    fn tracking(&self, item: ItemId) -> Tracking {
        self.rules.get(&item).map(|rules| rules.tracking).unwrap_or_default()
    }

    /// Books goods that come, to be sold or not, each of the lots named; of a tracked item as two movements.
    pub fn enter_arrival(
        &mut self,
        entry: Entry<'_>,
        lots: &[LotQuantity],
        damaged_lots: &[LotQuantity],
    ) -> Result<Vec<Uuid>, Error> {
        if self.tracking(entry.key.item) == Tracking::None {
            return Ok(vec![self.enter_lots(entry, 0, &[lots, damaged_lots].concat())?]);
        }
        let sellable = Entry { damaged: 0, ..entry.clone() };
        let damaged = Entry { quantity: 0, ..entry };
        let mut ids = Vec::with_capacity(2);
        for (part, lots) in [(sellable, lots), (damaged, damaged_lots)] {
            if part.quantity + part.damaged > 0 {
                ids.push(self.enter_lots(part, 0, lots)?);
            } else if !lots.is_empty() {
                return Err(Error::LotQuantity);
            }
        }
        Ok(ids)
    }

    /// Books a movement with a signed change of quality hold, of the lots named; its id. What is reserved cannot be taken
    /// away, nor what is not there.
    pub fn enter_lots(&mut self, entry: Entry<'_>, quality_hold: i64, named: &[LotQuantity]) -> Result<Uuid, Error> {
        let Entry { key, kind, quantity, damaged, reason, reference, cost, effective_at } = entry;
        let paid = match cost {
            Cost::Paid(named) => self.cost_of_receipt(key.item, named)?,
            Cost::Carried(cost) => cost,
            Cost::Average => None,
        };
        let change = Buckets { on_hand: quantity, damaged, quality_hold };
        let before = self.book.level(key);
        stock::adjust(&mut self.book, key, change)?;
        let tracking = self.tracking(key.item);
        let lots = match tracking {
            Tracking::None if named.is_empty() => Ok(Vec::new()),
            Tracking::None => Err(Error::NotTracked),
            Tracking::Lot | Tracking::Serial => self.lots.book(key, tracking, change, named),
        };
        let lots = match lots {
            Ok(lots) => lots,
            Err(error) => {
                self.book.restore(key, before);
                return Err(error);
            }
        };
        let value = if quantity > 0 && paid.is_some() {
            self.costs.receive(key.item, paid, quantity)
        } else {
            self.costs.count(key.item, change.valued())
        };
        let id = Uuid::now_v7();
        self.movements.push(Movement {
            id,
            key,
            quantity,
            damaged,
            quality_hold,
            kind,
            reason: reason.to_owned(),
            reference: reference.to_owned(),
            unit_cost: paid.or_else(|| self.costs.unit_cost(key.item)),
            value,
            effective_at,
            lots,
            order_id: None,
        });
        Ok(id)
    }

    /// Writes everything that was booked; the facts of its movements.
    pub async fn write(&self, conn: &mut PgConnection, inventory: &Inventory) -> Result<Vec<NewEvent>, Error> {
        let now = inventory.clock.now();
        store::stock::write(conn, &self.book).await?;
        store::movement::append(conn, &self.movements).await?;
        store::lot::write(conn, &self.lots, &self.movements).await?;
        store::cost::write(conn, &self.costs).await?;
        let known = inventory.known();
        let event = |m: &Movement| NewEvent::new(m.id, 1, &facts::moved(&known, m, now), m.effective_at);
        Ok(self.movements.iter().map(event).collect())
    }

    fn apply(&mut self, key: StockKey, change: &StockChange) -> Result<(), Error> {
        let Buckets { on_hand, damaged, quality_hold } = change.buckets();
        let (kind, reason, cost) = match &change.what {
            What::Receipt { unit_cost, .. } => (MovementKind::Receipt, "", Cost::Paid(*unit_cost)),
            What::Adjustment { change, reason } => {
                let held = change.quality_hold != 0 && change.valued() == 0 && change.damaged == 0;
                let kind = if held { MovementKind::Hold } else { MovementKind::Adjustment };
                (kind, reason.as_str(), Cost::Average)
            }
        };
        let entry = Entry {
            key,
            kind,
            quantity: on_hand,
            damaged,
            reason,
            reference: &change.reference,
            cost,
            effective_at: change.effective_at,
        };
        self.enter_lots(entry, quality_hold, &change.lots).map(|_| ())
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
                let standard = self.rules.get(&item).and_then(|rules| rules.standard_cost);
                Ok(standard.filter(|cost| expected.is_none_or(|expected| cost.currency == expected)))
            }
        }
    }
}
