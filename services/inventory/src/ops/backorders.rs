//! The backorder queue as people see it, and how they change it.

use super::{Inventory, insist, once};
use crate::backorder::{self, InQueue};
use crate::convert::{backorder as shown, facts};
use crate::error::Error;
use crate::item::ItemId;
use crate::kit::Kit;
use crate::promise::Supply;
use crate::reservation::State;
use crate::store;
use crate::store::backorder::{Place, Which};
use crate::store::kit::KitVersion;
use pesan_api::inventory::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::idempotency::Claim;
use sqlx::PgConnection;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// Most lines in the answer to a change.
const MOST_ANSWERED: i64 = 1_000;

/// Who waits, after a place; and the place of the last where there are more.
pub async fn list(
    inventory: &Inventory,
    which: &Which,
    after: Option<&Place>,
    size: i64,
) -> Result<(Vec<pb::Backorder>, Option<Place>), Error> {
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let mut queue = store::backorder::page(&mut tx, which, after, size + 1).await?;
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    let more = queue.len() > size;
    queue.truncate(size);
    let next = queue.last().filter(|_| more).map(|last| Place {
        sku: last.sku.clone(),
        priority: last.priority,
        promised_at: last.promised_at,
        placed_at: last.placed_at,
        order_id: last.order_id,
        line_no: last.line_no,
    });
    let backorders = with_supplies(inventory, &mut tx, queue).await?;
    tx.commit().await?;
    Ok((backorders, next))
}

/// Lines that wait, with what is on its way for them.
async fn with_supplies(
    inventory: &Inventory,
    conn: &mut PgConnection,
    queue: Vec<InQueue>,
) -> Result<Vec<pb::Backorder>, Error> {
    let versions: BTreeSet<KitVersion> = queue.iter().filter_map(|line| Some((line.item, line.kit_version?))).collect();
    let kits: HashMap<KitVersion, Arc<Kit>> = if versions.is_empty() {
        HashMap::new()
    } else {
        store::kit::versions(conn, &versions.into_iter().collect::<Vec<_>>()).await?
    };
    let components = kits.values().flat_map(|kit| kit.components.iter().map(|component| component.item));
    let items: BTreeSet<ItemId> = queue.iter().map(|line| line.item).chain(components).collect();
    let items: Vec<ItemId> = items.into_iter().collect();
    let mut free: HashMap<ItemId, i64> = HashMap::new();
    for (item, shelf) in store::stock::free(conn, &items).await? {
        *free.entry(item).or_default() += shelf.free;
    }
    let supplies = store::supply::to_come(conn, &items).await?;
    let mut by_item: HashMap<ItemId, Vec<&Supply>> = HashMap::new();
    for supply in &supplies {
        by_item.entry(supply.item).or_default().push(supply);
    }
    inventory.learn(conn, Vec::new(), supplies.iter().map(|supply| supply.location).collect()).await?;

    let known = inventory.known();
    let free = |item: ItemId| free.get(&item).copied().unwrap_or(0);
    let told = queue.into_iter().map(|line| {
        let kit = line.kit_version.and_then(|version| kits.get(&(line.item, version)));
        let covered = match kit {
            Some(kit) => {
                let last = backorder::completes(kit, line.quantity_up_to, free, &supplies);
                last.map(|supply| (supply, line.quantity)).into_iter().collect()
            }
            None => {
                let arriving = by_item.get(&line.item).into_iter().flatten().copied();
                backorder::cover(line.quantity_up_to - line.quantity, line.quantity, free(line.item), arriving)
            }
        };
        shown::backorder(&known, &line, &covered)
    });
    Ok(told.collect())
}

/// Another place in the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub order_id: Uuid,
    /// None: as it is.
    pub priority: Option<i16>,
    /// None: as it is; none in it: nothing is promised any more.
    pub promised_at: Option<Option<OffsetDateTime>>,
}

/// Moves all that an order waits for to another place in the queues.
pub async fn reprioritise(
    inventory: &Inventory,
    claim: Claim,
    wanted: Move,
) -> Result<pb::ReprioritiseBackorderResponse, Error> {
    let answer = insist(|| try_reprioritise(inventory, &claim, wanted)).await?;
    // What was kept for it may be somebody else's now, or the other way round.
    inventory.filler.notify_one();
    Ok(answer)
}

async fn try_reprioritise(
    inventory: &Inventory,
    claim: &Claim,
    wanted: Move,
) -> Result<pb::ReprioritiseBackorderResponse, Error> {
    let order_id = wanted.order_id;
    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, [order_id]).await?;
    if let Some(answer) = once::answered(&mut tx, claim).await? {
        return Ok(answer);
    }
    let mut reservations = store::reservation::headers(&mut tx, &[order_id]).await?;
    store::reservation::read_parts(&mut tx, &mut reservations, &[order_id], None).await?;
    let mut reservation = reservations.remove(&order_id).ok_or(Error::ReservationNotFound(order_id))?;
    let waits = reservation.state == State::Held && reservation.parts.iter().any(|part| part.backordered > 0);
    if !waits {
        return Err(Error::NothingWaits(order_id));
    }
    let former = (reservation.priority, reservation.wishes.promised_at);
    reservation.priority = wanted.priority.unwrap_or(former.0);
    reservation.wishes.promised_at = wanted.promised_at.unwrap_or(former.1);
    let now_is = (reservation.priority, reservation.wishes.promised_at);
    if now_is != former {
        let fact = facts::reprioritised(order_id, now_is, former);
        let now = inventory.clock.now();
        let event = NewEvent::new(order_id, reservation.next_version(), &fact, now).of_journey(order_id);
        store::reservation::save(&mut tx, &[&reservation]).await?;
        store::backorder::move_order(&mut tx, order_id, now_is.0, now_is.1).await?;
        pesan_feed::append(&mut tx, &[event]).await?;
    }
    let which = Which { order_id: Some(order_id), ..Which::default() };
    let queue = store::backorder::page(&mut tx, &which, None, MOST_ANSWERED).await?;
    let backorders = with_supplies(inventory, &mut tx, queue).await?;
    let answer = pb::ReprioritiseBackorderResponse { backorders };
    once::keep(&mut tx, claim, &answer).await?;
    tx.commit().await?;
    inventory.feed.wake();
    Ok(answer)
}
