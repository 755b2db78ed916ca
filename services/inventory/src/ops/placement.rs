//! Where stock should stand: reads what left and what there is, in one snapshot and in bounded pages, and writes nothing.

use super::Inventory;
use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::network::Network;
use crate::placement::{Advice, Cell, Site, advise};
use crate::store;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use time::OffsetDateTime;

/// Shipments that are read at a time, and at all.
const PAGE: usize = 10_000;
const MOST: usize = 1_000_000;

/// What is advised for an item.
#[derive(Clone, Debug, Default)]
pub struct ItemAdvice {
    pub sku: String,
    /// Left for places with coordinates.
    pub shipped: i64,
    /// Left for places without, by country, most first; empty: not known.
    pub elsewhere: Vec<(String, i64)>,
    /// Left for places with coordinates, by where from.
    pub shipped_from: HashMap<LocationId, i64>,
    pub advice: Advice,
}

/// The advice for all items, and the names in it.
pub struct Advised {
    /// Most shipped units first.
    pub items: Vec<ItemAdvice>,
    pub network: Arc<Network>,
    /// Not all shipments were looked at.
    pub truncated: bool,
}

/// Where an item went.
#[derive(Default)]
struct Went {
    cells: BTreeMap<Cell, i64>,
    from: HashMap<LocationId, i64>,
    elsewhere: HashMap<String, i64>,
}

/// Advice for the `most` items of which most units left in `[from, to)`.
pub async fn placement(
    inventory: &Inventory,
    from: OffsetDateTime,
    to: OffsetDateTime,
    most: i64,
) -> Result<Advised, Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let network = inventory.network_now(&mut tx).await?;
    let items = store::placement::most_shipped(&mut tx, from, to, most).await?;
    let ids: Vec<ItemId> = items.iter().map(|(item, _)| *item).collect();

    let mut went: HashMap<ItemId, Went> = HashMap::new();
    let (mut after, mut read, mut more) = (0, 0, !ids.is_empty());
    while more && read < MOST {
        let size = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let page = store::placement::shipped(&mut tx, &ids, from, to, after, size).await?;
        more = page.len() == PAGE;
        read += page.len();
        after = page.last().map_or(after, |last| last.seq);
        for shipment in page {
            let went = went.entry(shipment.item).or_default();
            match shipment.wishes.destination {
                Some(at) => {
                    *went.cells.entry(Cell::of(at)).or_default() += shipment.quantity;
                    *went.from.entry(shipment.from).or_default() += shipment.quantity;
                }
                None => {
                    let country = shipment.wishes.country.unwrap_or_default();
                    *went.elsewhere.entry(country).or_default() += shipment.quantity;
                }
            }
        }
    }
    let mut has: HashMap<(ItemId, LocationId), (i64, i64)> = HashMap::new();
    for (item, shelf) in store::stock::free(&mut tx, &ids).await? {
        has.entry((item, shelf.location)).or_default().0 += shelf.free;
    }
    for supply in store::supply::to_come(&mut tx, &ids).await? {
        has.entry((supply.item, supply.location)).or_default().1 += supply.quantity;
    }
    tx.commit().await?;

    let places = network.clone();
    // Many destinations times many locations take a while: not on the threads that serve others.
    let advised = tokio::task::spawn_blocking(move || {
        let one = |(item, sku)| item_advice(&places, item, sku, went.remove(&item).unwrap_or_default(), &has);
        items.into_iter().map(one).collect()
    });
    let items = advised.await.map_err(|_| Error::Stopping)?;
    Ok(Advised { items, network, truncated: more })
}

fn item_advice(
    network: &Network,
    item: ItemId,
    sku: String,
    went: Went,
    has: &HashMap<(ItemId, LocationId), (i64, i64)>,
) -> ItemAdvice {
    let sites: Vec<Site> = network
        .places()
        .iter()
        .map(|place| {
            let (free, incoming) = has.get(&(item, place.key)).copied().unwrap_or_default();
            let at = (place.location.latitude, place.location.longitude);
            Site { location: place.key, at, closed: place.location.closed, free, incoming }
        })
        .collect();
    let mut elsewhere: Vec<(String, i64)> = went.elsewhere.into_iter().collect();
    elsewhere.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ItemAdvice {
        sku,
        shipped: went.cells.values().sum(),
        elsewhere,
        shipped_from: went.from,
        advice: advise(&went.cells, &sites),
    }
}
