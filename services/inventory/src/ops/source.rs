//! What there is to choose from: kits as they are composed, and stock without what others wait for.

use super::{Inventory, in_order};
use crate::error::Error;
use crate::item::ItemId;
use crate::kit::Kit;
use crate::network::Network;
use crate::promise::items_of;
use crate::reservation::Wanted;
use crate::sourcing::FreeStock;
use crate::store;
use crate::store::backorder::Queued;
use crate::store::kit::KitVersion;
use sqlx::PgConnection;
use std::collections::HashMap;
use std::sync::Arc;

/// Composes the kits that are wanted, as they are now.
pub(super) async fn compose(inventory: &Inventory, conn: &mut PgConnection, wants: &mut [Wanted]) -> Result<(), Error> {
    let items = wants.iter().flat_map(|wanted| &wanted.lines).map(|line| line.item);
    let kits = inventory.compositions(conn, items).await?;
    if kits.is_empty() {
        return Ok(());
    }
    for line in wants.iter_mut().flat_map(|wanted| &mut wanted.lines) {
        line.kit = kits.get(&line.item).cloned();
    }
    Ok(())
}

/// The stock of what is wanted, locked, without what waiting orders will get; and the network it stands in.
pub(super) async fn free_stock(
    inventory: &Inventory,
    conn: &mut PgConnection,
    wants: &[Wanted],
) -> Result<(FreeStock, Arc<Network>), Error> {
    let items: Vec<ItemId> = items_of(wants).into_iter().collect();
    let (shelves, version) =
        if items.is_empty() { (Vec::new(), None) } else { store::stock::lock_free(conn, &items).await? };
    let network = match version {
        Some(version) => inventory.network(conn, version).await?,
        None => inventory.network_now(conn).await?,
    };
    let mut stock = in_order(&network, shelves);
    keep_for_queue(inventory, conn, &network, &mut stock).await?;
    Ok((stock, network))
}

/// Takes out of the stock what waiting orders will get of it.
async fn keep_for_queue(
    inventory: &Inventory,
    conn: &mut PgConnection,
    network: &Network,
    stock: &mut FreeStock,
) -> Result<(), Error> {
    let free: Vec<ItemId> = stock.items().filter(|item| stock.free(*item) > 0).collect();
    if free.is_empty() {
        return Ok(());
    }
    let mut waiting = store::backorder::waiting(conn, &free, inventory.clock.now(), &[]).await?;
    waiting.retain(|queued| queued.in_turn);
    for (queued, kit) in with_kits(conn, &free, waiting, network, stock).await? {
        let serves = |location| network.serves(location, queued.channel.as_deref());
        stock.keep_for_queue(queued.item, kit.as_deref(), queued.quantity, serves);
    }
    Ok(())
}

/// What waits, kits with what they are made of; those that hold none of the items are left out.
pub(super) async fn with_kits(
    conn: &mut PgConnection,
    items: &[ItemId],
    waiting: Vec<Queued>,
    network: &Network,
    stock: &mut FreeStock,
) -> Result<Vec<(Queued, Option<Arc<Kit>>)>, Error> {
    let kits = kits_that_wait(conn, items, &waiting, network, stock).await?;
    let composed = |queued: Queued| match queued.kit_version {
        None => Some((queued, None)),
        Some(version) => {
            let kit = kits.get(&(queued.item, version))?.clone();
            Some((queued, Some(kit)))
        }
    };
    Ok(waiting.into_iter().filter_map(composed).collect())
}

/// The kits that wait and hold some of the items; the stock of their other components is added to `stock`, only to see
/// how many can be completed: nobody else wants it here.
async fn kits_that_wait(
    conn: &mut PgConnection,
    items: &[ItemId],
    waiting: &[Queued],
    network: &Network,
    stock: &mut FreeStock,
) -> Result<HashMap<KitVersion, Arc<Kit>>, Error> {
    let wanted: Vec<KitVersion> =
        waiting.iter().filter_map(|queued| Some((queued.item, queued.kit_version?))).collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let mut kits = store::kit::versions(conn, &wanted).await?;
    kits.retain(|_, kit| kit.components.iter().any(|component| items.contains(&component.item)));
    let components = kits.values().flat_map(|kit| &kit.components).map(|component| component.item);
    let mut others: Vec<ItemId> = components.filter(|item| stock.shelves(*item).is_empty()).collect();
    others.sort_unstable();
    others.dedup();
    if !others.is_empty() {
        let mut shelves = store::stock::free(conn, &others).await?;
        shelves.sort_by_key(|(_, shelf)| network.order(shelf.location));
        for (item, shelf) in shelves {
            stock.add(item, shelf);
        }
    }
    Ok(kits)
}
