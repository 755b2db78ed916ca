//! The use cases, one file each: lock, decide, write, publish.

pub mod amend;
pub mod backorders;
pub mod count;
mod document;
pub mod expire;
pub mod expire_lots;
pub mod fill;
pub mod follow_fulfilment;
pub mod follow_order;
pub mod keep_back;
pub mod look;
pub mod move_stock;
mod once;
pub mod placement;
pub mod plan;
pub mod promise;
pub mod prove;
pub mod purchase;
pub mod reserve;
pub mod source;
pub mod sourcing;
pub mod suppliers;
pub mod trace;
mod tracked;
pub mod transfer;
pub mod units;
pub mod upsert;
pub mod value;

use crate::error::Error;
use crate::item::ItemId;
use crate::kit::Kit;
use crate::known::Known;
use crate::location::LocationId;
use crate::network::Network;
use crate::sourcing::{FreeStock, Shelf};
use crate::stock::StockKey;
use crate::store;
use pesan_feed::Feed;
use pesan_host::Clock;
use sqlx::{PgConnection, PgPool};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;
use uuid::Uuid;

/// What every use case needs. Clones share everything.
#[derive(Clone)]
pub struct Inventory {
    pub pool: PgPool,
    pub clock: Clock,
    pub feed: Feed,
    /// Wakes the worker that serves the backorder queue.
    pub filler: fill::Bell,
    /// How long a reservation waits for its order's confirmation.
    pub reservation_lives: Duration,
    known: Arc<RwLock<Known>>,
    network: Arc<RwLock<Arc<Network>>>,
}

impl Inventory {
    /// With nothing remembered yet.
    pub fn new(pool: PgPool, clock: Clock, feed: Feed, reservation_lives: Duration) -> Self {
        Self {
            pool,
            clock,
            feed,
            filler: fill::Bell::default(),
            reservation_lives,
            known: Arc::default(),
            network: Arc::default(),
        }
    }

    /// Locations and rules as of this version or a later one: what is remembered, or else what is there now.
    async fn network(&self, conn: &mut PgConnection, version: i64) -> Result<Arc<Network>, Error> {
        let remembered = self.network.read().unwrap_or_else(PoisonError::into_inner).clone();
        if remembered.version >= version {
            return Ok(remembered);
        }
        let read = Arc::new(sourcing::read_network(conn).await?);
        let mut remembered = self.network.write().unwrap_or_else(PoisonError::into_inner);
        if remembered.version < read.version {
            *remembered = read.clone();
        }
        Ok(read)
    }

    /// Locations and rules as they are now.
    async fn network_now(&self, conn: &mut PgConnection) -> Result<Arc<Network>, Error> {
        let version = store::network::version(&mut *conn).await?;
        self.network(conn, version).await
    }

    /// How these kits are composed now; of items that are remembered.
    async fn compositions(
        &self,
        conn: &mut PgConnection,
        items: impl Iterator<Item = ItemId>,
    ) -> Result<HashMap<ItemId, Arc<Kit>>, Error> {
        let mut kits: Vec<ItemId> = {
            let known = self.known();
            items.filter(|item| known.is_kit(*item)).collect()
        };
        kits.sort_unstable();
        kits.dedup();
        if kits.is_empty() {
            return Ok(HashMap::new());
        }
        Ok(store::kit::current(conn, &kits).await?)
    }

    /// What is remembered of items and locations. Not to be held over an await.
    pub fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn remember(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The key of an item's stock at a location; both have been learnt before, if they exist.
    fn stock_key(&self, sku: &str, location_id: Uuid) -> Result<StockKey, Error> {
        let known = self.known();
        let item = known.item(sku).ok_or_else(|| Error::UnknownSku(vec!["sku".to_owned()]))?;
        if !item.is_stocked() {
            return Err(Error::NotStocked);
        }
        let location = known.location(location_id).ok_or(Error::UnknownLocation)?;
        Ok(StockKey { item: item.id, location })
    }

    /// Puts the items with these SKUs to use and remembers them; outside the caller's transaction, so that what is
    /// remembered is true whatever becomes of it. Those that do not exist stay unknown.
    async fn learn_skus(&self, mut missing: Vec<&str>) -> Result<(), Error> {
        {
            let known = self.known();
            missing.retain(|sku| known.item(sku).is_none());
        }
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let mut tx = store::begin(&self.pool).await?;
        let items = store::item::put_to_use(&mut tx, &missing).await?;
        tx.commit().await?;
        self.remember().add_items(items);
        Ok(())
    }

    /// The same for who holds a connection already, and must not wait for another one that may be waiting for him: of
    /// items that are in use. Others are left to [`Inventory::learn_skus`].
    async fn learn_used(&self, conn: &mut PgConnection, mut missing: Vec<&str>) -> Result<(), Error> {
        {
            let known = self.known();
            missing.retain(|sku| known.item(sku).is_none());
        }
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            let items = store::item::used(conn, &missing).await?;
            self.remember().add_items(items);
        }
        Ok(())
    }

    /// Makes sure that the names of these items and locations are remembered.
    async fn learn(
        &self,
        conn: &mut PgConnection,
        mut missing: Vec<ItemId>,
        locations: Vec<LocationId>,
    ) -> Result<(), Error> {
        let unknown_location = {
            let known = self.known();
            missing.retain(|item| !known.knows(*item));
            locations.into_iter().any(|location| !known.knows_location(location))
        };
        if !missing.is_empty() {
            missing.sort_unstable();
            missing.dedup();
            let items = store::item::known_by_id(conn, &missing).await?;
            self.remember().add_items(items);
        }
        if unknown_location {
            let locations = store::location::ids(conn).await?;
            self.remember().add_locations(locations);
        }
        Ok(())
    }

    /// A stocked item that [`Inventory::learn_skus`] was asked for; `path` names the field that names it.
    fn stocked_item(&self, sku: &str, path: &str) -> Result<ItemId, Error> {
        let known = self.known();
        let wrong = match known.item(sku) {
            Some(item) if item.is_stocked() => return Ok(item.id),
            Some(_) => Error::NotStocked,
            None => Error::UnknownSku(vec![path.to_owned()]),
        };
        Err(Error::At { path: path.to_owned(), error: Box::new(wrong) })
    }

    /// Makes sure that these locations are remembered, as far as they exist. Not for who holds a connection already.
    async fn learn_locations(&self, ids: Vec<Uuid>) -> Result<(), Error> {
        if self.knows_locations(&ids) {
            return Ok(());
        }
        let mut conn = self.pool.acquire().await?;
        self.learn_locations_on(&mut conn, ids).await
    }

    /// The same on a connection that the caller holds.
    async fn learn_locations_on(&self, conn: &mut PgConnection, ids: Vec<Uuid>) -> Result<(), Error> {
        if !self.knows_locations(&ids) {
            let locations = store::location::ids(conn).await?;
            self.remember().add_locations(locations);
        }
        Ok(())
    }

    fn knows_locations(&self, ids: &[Uuid]) -> bool {
        let known = self.known();
        ids.iter().all(|id| known.location(*id).is_some())
    }
}

/// Runs `work` again, a few times, where others changed the same rows at the same time.
async fn insist<T, F>(mut work: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for _ in 0..3 {
        match work().await {
            Err(Error::Contention) => {}
            done => return done,
        }
    }
    work().await
}

/// Shelves in the order in which the network's locations are asked.
fn in_order(network: &Network, mut shelves: Vec<(ItemId, Shelf)>) -> FreeStock {
    shelves.sort_by_key(|(_, shelf)| network.order(shelf.location));
    let mut stock = FreeStock::default();
    for (item, shelf) in shelves {
        stock.add(item, shelf);
    }
    stock
}
