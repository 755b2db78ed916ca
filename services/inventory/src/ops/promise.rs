//! What orders would be promised, and when: reads in one snapshot, writes nothing, locks nothing. A constant number of
//! statements for any number of demands.

use super::reserve::wanted;
use super::{Inventory, in_order, source};
use crate::error::Error;
use crate::item::ItemId;
use crate::known::Known;
use crate::network::Network;
use crate::promise::{self, OrderPromise, Supplies};
use crate::reservation::{Demand, Reservation, Sourcing, State, Wanted};
use crate::sourcing::{FreeStock, Load, Shelf};
use crate::store;
use sqlx::PgConnection;
use std::sync::Arc;
use uuid::Uuid;

/// The promises in the order of the demands, and the names in them.
pub struct Promised {
    pub promises: Vec<Result<OrderPromise, Error>>,
    pub network: Arc<Network>,
}

/// What each demand would get, served in the order given.
pub async fn promise(inventory: &Inventory, demands: &[Demand]) -> Result<Promised, Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let known = known(&mut tx, demands).await?;
    let version = store::network::version(&mut tx).await?;
    let network = inventory.network(&mut tx, version).await?;
    let orders: Vec<Uuid> = demands.iter().map(|demand| demand.order_id).collect();
    let mut reservations = store::reservation::headers(&mut tx, &orders).await?;
    store::reservation::read_parts(&mut tx, &mut reservations, &orders, None).await?;

    let mut wants: Vec<Result<Wanted, Error>> = Vec::with_capacity(demands.len());
    for demand in demands {
        let closed = reservations.get(&demand.order_id).is_some_and(|r| r.state == State::Closed);
        wants.push(if closed { Err(Error::OrderClosed) } else { wanted(&known, demand) });
    }
    compose(&mut tx, &known, &mut wants).await?;
    let readable: Vec<Wanted> = wants.iter().flatten().cloned().collect();
    let items: Vec<ItemId> = promise::items_of(&readable).into_iter().collect();
    let now = inventory.clock.now();
    let mut stock = in_order(&network, store::stock::free(&mut tx, &items).await?);
    let mut supplies = Supplies::new(store::supply::to_come(&mut tx, &items).await?, now);
    let load = load(&mut tx, &network, now).await?;
    serve_queue(inventory, &mut tx, &network, &items, &orders, &mut stock, &mut supplies).await?;
    tx.commit().await?;

    let mut sourcing = Sourcing { network: &network, load, now };
    let promises = wants.into_iter().zip(demands).map(|(wanted, demand)| {
        let wanted = wanted?;
        if let Some(held) = reservations.remove(&demand.order_id) {
            let_go(&network, &held, &mut stock);
        }
        Ok(promise::promise(&mut stock, &mut supplies, &mut sourcing, &wanted))
    });
    let promises = promises.collect();
    Ok(Promised { promises, network })
}

/// What the demands name, as it is now; nothing of it is remembered, for nothing is put to use.
async fn known(conn: &mut PgConnection, demands: &[Demand]) -> Result<Known, Error> {
    let mut skus: Vec<&str> = demands.iter().flat_map(|demand| &demand.lines).map(|line| line.sku.as_str()).collect();
    skus.sort_unstable();
    skus.dedup();
    let mut known = Known::default();
    known.add_items(store::item::look_up(conn, &skus).await?);
    if demands.iter().any(|demand| demand.wishes.preferred.is_some()) {
        known.add_locations(store::location::ids(conn).await?);
    }
    Ok(known)
}

async fn compose(conn: &mut PgConnection, known: &Known, wants: &mut [Result<Wanted, Error>]) -> Result<(), Error> {
    let lines = wants.iter().flatten().flat_map(|wanted| &wanted.lines);
    let kits: Vec<ItemId> = lines.map(|line| line.item).filter(|item| known.is_kit(*item)).collect();
    if kits.is_empty() {
        return Ok(());
    }
    let kits = store::kit::current(conn, &kits).await?;
    for line in wants.iter_mut().flatten().flat_map(|wanted| &mut wanted.lines) {
        line.kit = kits.get(&line.item).cloned();
    }
    Ok(())
}

async fn load(conn: &mut PgConnection, network: &Network, now: time::OffsetDateTime) -> Result<Load, Error> {
    let limited = network.limited();
    if limited.is_empty() {
        return Ok(Load::default());
    }
    Ok(store::capacity::read(conn, &limited, now.date() - time::Duration::days(1)).await?)
}

/// Those who wait are served before: from what is free, then from what arrives; those who are passed over now, from what
/// arrives. The demands' own orders do not stand in their own way.
async fn serve_queue(
    inventory: &Inventory,
    conn: &mut PgConnection,
    network: &Network,
    items: &[ItemId],
    own: &[Uuid],
    stock: &mut FreeStock,
    supplies: &mut Supplies,
) -> Result<(), Error> {
    if items.is_empty() {
        return Ok(());
    }
    let waiting = store::backorder::waiting(conn, items, inventory.clock.now(), own).await?;
    for (queued, kit) in source::with_kits(conn, items, waiting, network, stock).await? {
        let serves = |location| network.serves(location, queued.channel.as_deref());
        if queued.in_turn {
            let kept = stock.keep_for_queue(queued.item, kit.as_deref(), queued.quantity, serves);
            supplies.take(stock, queued.item, kit.as_deref(), queued.quantity - kept, serves);
        } else {
            supplies.take(&mut FreeStock::default(), queued.item, kit.as_deref(), queued.quantity, serves);
        }
    }
    Ok(())
}

/// What an order holds is free for itself.
fn let_go(network: &Network, held: &Reservation, stock: &mut FreeStock) {
    for part in held.parts.iter().filter(|part| part.stocked && part.reserved > 0) {
        let Some(location) = part.location else { continue };
        for piece in part.pieces() {
            let free = part.reserved * piece.quantity;
            let order = |at| network.order(at);
            stock.add_to(piece.item, Shelf { location, free, since: None }, order);
        }
    }
}
