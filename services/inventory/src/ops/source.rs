//! What there is to choose from: kits as they are composed, and stock without what others wait for.

use super::{Inventory, in_order};
use crate::error::Error;
use crate::item::ItemId;
use crate::kit::{Kit, pieces};
use crate::network::Network;
use crate::reservation::Wanted;
use crate::sourcing::FreeStock;
use crate::store;
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

/// The items that some wants take out of stock, ascending, each once.
pub(super) fn items_of(wants: &[Wanted]) -> Vec<ItemId> {
    let lines = wants.iter().flat_map(|wanted| &wanted.lines).filter(|line| line.stocked);
    let mut items: Vec<ItemId> =
        lines.flat_map(|line| pieces(line.item, line.kit.as_deref())).map(|piece| piece.item).collect();
    items.sort_unstable();
    items.dedup();
    items
}

/// The stock of what is wanted, locked, without what waiting orders will get; and the network it stands in.
pub(super) async fn free_stock(
    inventory: &Inventory,
    conn: &mut PgConnection,
    wants: &[Wanted],
) -> Result<(FreeStock, Arc<Network>), Error> {
    let items = items_of(wants);
    let (shelves, version) =
        if items.is_empty() { (Vec::new(), None) } else { store::stock::lock_free(conn, &items).await? };
    let network = match version {
        Some(version) => inventory.network(conn, version).await?,
        None => inventory.network_now(conn).await?,
    };
    let mut stock = in_order(&network, shelves);
    keep_for_queue(conn, &network, &mut stock).await?;
    Ok((stock, network))
}

/// Takes out of the stock what waiting orders will get.
pub(super) async fn keep_for_queue(
    conn: &mut PgConnection,
    network: &Network,
    stock: &mut FreeStock,
) -> Result<(), Error> {
    let free: Vec<ItemId> = stock.items().filter(|item| stock.free(*item) > 0).collect();
    if free.is_empty() {
        return Ok(());
    }
    let waiting = store::reservation::waiting(conn, &free).await?;
    let kits = kits_that_wait(conn, &free, &waiting, network, stock).await?;
    for queued in waiting {
        let kit = queued.kit_version.map(|version| kits.get(&(queued.item, version)));
        if matches!(kit, Some(None)) {
            continue; // a kit of none of the items
        }
        let kit = kit.flatten().map(Arc::as_ref);
        let serves = |location| network.serves(location, queued.channel.as_deref());
        stock.keep_for_queue(queued.item, kit, queued.quantity, serves);
    }
    Ok(())
}

/// The kits that wait and hold some of the items; the stock of their other components is added to `stock`, only to see
/// how many can be completed: nobody else wants it here.
async fn kits_that_wait(
    conn: &mut PgConnection,
    items: &[ItemId],
    waiting: &[store::reservation::Queued],
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
