//! Goods of a batch of fulfilment's facts that are tracked by lot or serial number, or valued first in, first out: which
//! lots move, and what comes back costs. Nothing here costs a statement where a batch has no such goods.

use super::Inventory;
use crate::cost::{self, Costs};
use crate::error::Error;
use crate::item::{ItemId, Tracking, Valuation};
use crate::lot::{self, Bucket, LotChange, LotQuantity, Lots, UNBOOKED};
use crate::stock::{Buckets, Movement, StockKey};
use crate::store;
use pesan_money::Money;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// By order and item.
type OfOrders<T> = HashMap<(Uuid, ItemId), T>;

/// What is special about the goods of a batch.
#[derive(Debug)]
pub(super) struct Special {
    fifo: Vec<ItemId>,
    tracked: HashMap<ItemId, Tracking>,
    lots: Lots,
    /// Lots that orders have, and how much of each: what they got last first.
    with_orders: OfOrders<Vec<(String, i64)>>,
    /// What first-in-first-out goods cost when they went to orders that send some back: billionths, and how many.
    issued_at: OfOrders<(i128, i64)>,
}

impl Special {
    /// Reads what is needed of items whose stock and costs are locked, and completes their costs. `returns` tells whether
    /// goods come back.
    pub async fn read(
        inventory: &Inventory,
        conn: &mut PgConnection,
        items: &[ItemId],
        costs: &mut Costs,
        orders: &[Uuid],
        moves: &[(StockKey, i64)],
        returns: bool,
    ) -> Result<Self, Error> {
        inventory.learn(conn, items.to_vec(), Vec::new()).await?;
        let today = inventory.clock.now().date();
        let mut special = Self {
            fifo: Vec::new(),
            tracked: HashMap::new(),
            lots: Lots::new(today, []),
            with_orders: HashMap::new(),
            issued_at: HashMap::new(),
        };
        {
            let known = inventory.known();
            for item in items {
                let Some(rules) = known.item(known.sku(*item)) else { continue };
                if rules.valuation == Valuation::Fifo {
                    special.fifo.push(*item);
                }
                if rules.tracking != Tracking::None {
                    special.tracked.insert(*item, rules.tracking);
                }
            }
        }
        store::cost::add_layers(conn, costs, &special.fifo).await?;
        if returns && !special.fifo.is_empty() {
            special.issued_at = store::movement::issue_costs(conn, orders, &special.fifo).await?;
        }
        if special.tracked.is_empty() {
            return Ok(special);
        }
        if returns {
            let items: Vec<ItemId> = special.tracked.keys().copied().collect();
            special.with_orders = store::lot::with_orders(conn, orders, &items).await?;
        }
        let mut needs: BTreeMap<StockKey, i64> = BTreeMap::new();
        let mut named: BTreeSet<(ItemId, &str)> = special.tracked.keys().map(|item| (*item, UNBOOKED)).collect();
        for (key, quantity) in moves.iter().filter(|(key, _)| special.tracked.contains_key(&key.item)) {
            *needs.entry(*key).or_default() += quantity;
        }
        for ((_, item), lots) in &special.with_orders {
            named.extend(lots.iter().map(|(code, _)| (*item, code.as_str())));
        }
        let named: Vec<(ItemId, &str)> = named.into_iter().collect();
        let needs: Vec<_> = needs.into_iter().map(|(key, quantity)| (key, Bucket::OnHand, quantity)).collect();
        special.lots = store::lot::read(conn, today, &named, &needs).await?;
        Ok(special)
    }

    /// Writes the lots.
    pub async fn write(&self, conn: &mut PgConnection, movements: &[Movement]) -> Result<(), Error> {
        Ok(store::lot::write(conn, &self.lots, movements).await?)
    }

    /// Goods left with an order: notes what they cost, and the lots: those that expire first.
    pub fn issue(&mut self, order_id: Uuid, movement: &mut Movement) {
        let (key, quantity) = (movement.key, -movement.quantity);
        if self.fifo.contains(&key.item)
            && let Some(value) = movement.value
        {
            let at = self.issued_at.entry((order_id, key.item)).or_default();
            *at = (at.0 - cost::nanos(value), at.1 + quantity);
        }
        if !self.tracked.contains_key(&key.item) {
            return;
        }
        self.take(movement, quantity);
        let got = movement.lots.iter().map(|lot| (lot.code.clone(), lot.moved()));
        self.with_orders.entry((order_id, key.item)).or_default().splice(0..0, got);
    }

    /// What was not found: of the lots that expire first.
    pub fn lose(&mut self, movement: &mut Movement) {
        self.take(movement, -movement.quantity);
    }

    fn take(&mut self, movement: &mut Movement, quantity: i64) {
        if !self.tracked.contains_key(&movement.key.item) {
            return;
        }
        for lot in self.lots.first_to_expire(movement.key, Bucket::OnHand, quantity) {
            let change = Buckets { on_hand: -lot.quantity, ..Buckets::default() };
            movement.lots.push(self.change(movement.key, &lot.code, change));
        }
    }

    /// What was found that the books did not know of: of a lot that nobody knows.
    pub fn find(&mut self, movement: &mut Movement) {
        if self.tracked.contains_key(&movement.key.item) {
            let change = Buckets { on_hand: movement.quantity, ..Buckets::default() };
            movement.lots.push(self.change(movement.key, UNBOOKED, change));
        }
    }

    /// Goods came back from an order: the lots that it got last, first what can be sold, then what is damaged.
    pub fn take_back(&mut self, order_id: Uuid, movement: &mut Movement) {
        let key = movement.key;
        if !self.tracked.contains_key(&key.item) {
            return;
        }
        let mut with_order = self.with_orders.remove(&(order_id, key.item)).unwrap_or_default();
        for (quantity, one) in [
            (movement.quantity, Buckets { on_hand: 1, ..Buckets::default() }),
            (movement.damaged, Buckets { damaged: 1, ..Buckets::default() }),
        ] {
            let mut left = quantity;
            for (code, there) in with_order.iter_mut().filter(|(_, there)| *there > 0) {
                let some = left.min(*there);
                if some > 0 {
                    *there -= some;
                    left -= some;
                    movement.lots.push(self.change(key, code, one.times(some)));
                }
            }
            if left > 0 {
                movement.lots.push(self.change(key, UNBOOKED, one.times(left)));
            }
        }
        self.with_orders.insert((order_id, key.item), with_order);
    }

    /// What a piece of a first-in-first-out item cost when it went to an order; none where that is not known.
    pub fn cost_of_issue(&self, order_id: Uuid, item: ItemId, costs: &Costs) -> Option<Money> {
        let (nanos, quantity) = self.issued_at.get(&(order_id, item)).filter(|(_, quantity)| *quantity > 0)?;
        Some(Money::new(costs.expects(item)?, cost::per_unit(*nanos, *quantity)))
    }

    fn change(&mut self, key: StockKey, code: &str, change: Buckets) -> LotChange {
        let serial = self.tracked.get(&key.item).is_some_and(|tracking| lot::is_serial(*tracking, code));
        let lot = LotQuantity { code: code.to_owned(), quantity: lot::largest(change), expires_on: None };
        self.lots.change(key, serial, &lot, change)
    }
}
