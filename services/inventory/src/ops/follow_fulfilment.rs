//! What fulfilment's facts do to stock: goods issued leave it, what a picker did not find is off the books, returned
//! goods come back. A batch of any size is a few statements.

use super::Inventory;
use super::tracked::Special;
use crate::convert::facts::{self, Issued};
use crate::cost::{self, Costs};
use crate::error::Error;
use crate::item::ItemId;
use crate::reservation::{Goods, Reservation, State};
use crate::stock::{Book, Movement, MovementKind, StockKey};
use crate::store;
use pesan_api::inventory::v1 as pb;
use pesan_feed::{Event, NewEvent};
use pesan_money::Money;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

/// A fact about goods of an order, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
pub enum GoodsFact {
    /// Goods left.
    Issued { fulfilment_order_id: String, lines: Vec<GoodsLine> },
    /// Less was found than was promised: the lines are what was not found.
    ShortPicked { lines: Vec<GoodsLine> },
    /// Goods came back.
    Returned { return_id: String, lines: Vec<GoodsLine> },
}

impl GoodsFact {
    fn lines(&self) -> &[GoodsLine] {
        match self {
            Self::Issued { lines, .. } | Self::ShortPicked { lines } | Self::Returned { lines, .. } => lines,
        }
    }
}

/// A line of it.
#[derive(Clone, Debug, PartialEq)]
pub struct GoodsLine {
    pub line_no: i32,
    pub sku: String,
    pub location_id: Uuid,
    /// False for service items.
    pub stocked: bool,
    /// Issued, not found, or returned in a state to be sold.
    pub quantity: i64,
    /// Returned, but not to be sold.
    pub damaged: i64,
}

/// Applies facts in order, in the caller's transaction, which holds the orders' locks. True when stock may have come
/// free, or somebody waits anew.
pub async fn apply(
    inventory: &Inventory,
    conn: &mut PgConnection,
    facts: &[(&Event, Uuid, GoodsFact)],
) -> Result<bool, Error> {
    let lines = || facts.iter().flat_map(|(_, _, fact)| fact.lines());
    inventory.learn_used(conn, lines().map(|line| line.sku.as_str()).collect()).await?;
    inventory.learn_skus(lines().map(|line| line.sku.as_str()).collect()).await?; // what was never promised, but left
    inventory.learn_locations_on(conn, lines().map(|line| line.location_id).collect()).await?;

    let mut orders: Vec<Uuid> = facts.iter().map(|(_, order_id, _)| *order_id).collect();
    orders.sort_unstable();
    orders.dedup();
    let mut reservations = store::reservation::headers(conn, &orders).await?;
    store::reservation::read_parts(conn, &mut reservations, &orders, None).await?;
    let mut resolved: Vec<Vec<Goods>> = {
        let resolve = |fact: &GoodsFact| fact.lines().iter().map(|line| goods(inventory, line)).collect();
        facts.iter().map(|(_, _, fact)| resolve(fact)).collect::<Result<_, Error>>()?
    };
    // Kits move as they were promised, or, where nothing was promised, as they are composed now.
    let kits = inventory.compositions(conn, resolved.iter().flatten().map(|goods| goods.item)).await?;
    for ((_, order_id, _), goods) in facts.iter().zip(&mut resolved).filter(|_| !kits.is_empty()) {
        for goods in goods {
            let promised = reservations.get(order_id).and_then(|reservation| reservation.kit_of(goods.line_no));
            goods.kit = promised.or(kits.get(&goods.item)).cloned();
        }
    }
    let mut keys: Vec<StockKey> = resolved.iter().flatten().flat_map(Goods::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut items: Vec<ItemId> = keys.iter().map(|key| key.item).collect();
    items.dedup();
    store::stock::ensure(conn, &keys).await?;

    let book = store::stock::lock(conn, &keys).await?;
    let mut costs = store::cost::lock(conn, &items).await?;
    let returns = facts.iter().any(|(_, _, fact)| matches!(fact, GoodsFact::Returned { .. }));
    let moves: Vec<(StockKey, i64)> =
        lines().zip(resolved.iter().flatten()).flat_map(|(line, goods)| moves(line, goods)).collect();
    let special = Special::read(inventory, conn, &items, &mut costs, &orders, &moves, returns).await?;
    let mut books = Books {
        book,
        costs,
        special,
        movements: Vec::new(),
        events: Vec::new(),
        recorded_at: inventory.clock.now(),
        wakes: false,
    };
    for ((event, order_id, fact), goods) in facts.iter().zip(&resolved) {
        let unknown = || Reservation::unknown(*order_id, State::Held, event.effective_at);
        let reservation = reservations.entry(*order_id).or_insert_with(unknown);
        match fact {
            GoodsFact::Issued { fulfilment_order_id, lines } => {
                books.issue(inventory, reservation, event, fulfilment_order_id, lines, goods);
            }
            GoodsFact::ShortPicked { lines } => books.short_pick(inventory, reservation, event, lines, goods),
            GoodsFact::Returned { return_id, lines } => books.take_back(reservation, event, return_id, lines, goods),
        }
    }
    store::stock::write(conn, &books.book).await?;
    store::movement::append(conn, &books.movements).await?;
    books.special.write(conn, &books.movements).await?;
    store::cost::write(conn, &books.costs).await?;
    store::reservation::save(conn, &reservations.values().collect::<Vec<_>>()).await?;
    let short = facts.iter().filter(|(_, _, fact)| matches!(fact, GoodsFact::ShortPicked { .. }));
    store::capacity::give_back(conn, &short.map(|(_, order_id, _)| *order_id).collect::<Vec<_>>()).await?;
    pesan_feed::append(conn, &books.events).await?;
    Ok(books.wakes)
}

fn goods(inventory: &Inventory, line: &GoodsLine) -> Result<Goods, Error> {
    let known = inventory.known();
    let item = known.item(&line.sku).ok_or_else(|| Error::ItemNotFound(line.sku.clone()))?;
    let location = known.location(line.location_id).ok_or(Error::UnknownLocation)?;
    Ok(Goods { line_no: line.line_no, item: item.id, stocked: line.stocked && item.takes_stock(), location, kit: None })
}

/// What of a line may leave a location.
fn moves(line: &GoodsLine, goods: &Goods) -> Vec<(StockKey, i64)> {
    let piece = |item, quantity| (StockKey { item, location: goods.location }, line.quantity * quantity);
    goods.pieces().map(|each| piece(each.item, each.quantity)).collect()
}

/// The books that a batch is written into.
struct Books {
    book: Book,
    costs: Costs,
    special: Special,
    movements: Vec<Movement>,
    events: Vec<NewEvent>,
    recorded_at: OffsetDateTime,
    wakes: bool,
}

impl Books {
    fn issue(
        &mut self,
        inventory: &Inventory,
        reservation: &mut Reservation,
        event: &Event,
        fulfilment_order_id: &str,
        lines: &[GoodsLine],
        goods: &[Goods],
    ) {
        let order_id = reservation.order_id;
        let mut issued = Vec::with_capacity(lines.len());
        let mut costs: Vec<Money> = Vec::with_capacity(lines.len());
        for (line, goods) in lines.iter().zip(goods) {
            let mut parts: Vec<Money> = Vec::with_capacity(1);
            let mut lots = Vec::new();
            for issue in reservation.issue(goods, line.quantity, &mut self.book) {
                if issue.unbooked > 0 {
                    tracing::warn!(%order_id, sku = line.sku, issue.unbooked, "more left than the books knew of");
                    self.find(inventory, order_id, event, issue.key, issue.unbooked);
                }
                parts.extend(self.costs.of(issue.key.item, issue.quantity));
                self.movement(order_id, event, issue.key, MovementKind::Issue, -issue.quantity, 0);
                if let Some(movement) = self.movements.last_mut() {
                    self.special.issue(order_id, movement);
                    lots.extend_from_slice(&movement.lots);
                }
            }
            let cost = cost::sum(&parts);
            costs.extend(cost);
            issued.push(Issued {
                line_no: line.line_no,
                sku: line.sku.clone(),
                location_id: line.location_id.to_string(),
                quantity: line.quantity,
                cost,
                lots,
            });
        }
        let fact = facts::issued(order_id, fulfilment_order_id.to_owned(), issued, cost::sum(&costs));
        self.events.push(event.follow_up(order_id, reservation.next_version(), &fact));
    }

    /// The books were wrong: what left was there.
    fn find(&mut self, inventory: &Inventory, order_id: Uuid, event: &Event, key: StockKey, quantity: i64) {
        let movement = self.movement(order_id, event, key, MovementKind::Adjustment, quantity, 0);
        movement.reason = "UNBOOKED".to_owned();
        if let Some(movement) = self.movements.last_mut() {
            self.special.find(movement);
        }
        self.publish_last(inventory, order_id, event);
    }

    fn short_pick(
        &mut self,
        inventory: &Inventory,
        reservation: &mut Reservation,
        event: &Event,
        lines: &[GoodsLine],
        goods: &[Goods],
    ) {
        let order_id = reservation.order_id;
        for (line, goods) in lines.iter().zip(goods) {
            let shortage = reservation.short_pick(line.line_no, goods.location, line.quantity, &mut self.book);
            if shortage.quantity < line.quantity {
                tracing::warn!(%order_id, sku = line.sku, "less was held than was not found");
            }
            if shortage.quantity == 0 {
                continue;
            }
            let off_now = shortage.quantity - shortage.counted_off;
            for piece in goods.pieces().filter(|_| off_now > 0) {
                let off = -off_now * piece.quantity;
                let key = StockKey { item: piece.item, location: goods.location };
                self.movement(order_id, event, key, MovementKind::ShortPick, off, 0);
                if let Some(movement) = self.movements.last_mut() {
                    self.special.lose(movement);
                }
                self.publish_last(inventory, order_id, event);
            }
            let known = inventory.known();
            let fact = facts::shortage(&known, order_id, goods.line_no, goods.item, goods.location, shortage);
            self.events.push(event.follow_up(order_id, reservation.next_version(), &fact));
            self.wakes = true;
        }
    }

    fn take_back(
        &mut self,
        reservation: &mut Reservation,
        event: &Event,
        return_id: &str,
        lines: &[GoodsLine],
        goods: &[Goods],
    ) {
        let mut returned = Vec::with_capacity(lines.len());
        let mut costs: Vec<Money> = Vec::new();
        for (line, goods) in lines.iter().zip(goods) {
            let mut lots = Vec::new();
            reservation.take_back(goods, line.quantity, line.damaged, &mut self.book);
            for piece in goods.pieces().filter(|_| line.quantity > 0 || line.damaged > 0) {
                let (sellable, damaged) = (line.quantity * piece.quantity, line.damaged * piece.quantity);
                let key = StockKey { item: piece.item, location: goods.location };
                // What cannot be sold is not worth its cost any more: it stays in the cost of goods.
                let order_id = reservation.order_id;
                let paid = self.special.cost_of_issue(order_id, piece.item, &self.costs);
                costs.extend(match paid {
                    Some(paid) => Money::line_total(paid.currency, paid.amount, sellable).ok(),
                    None => self.costs.of(piece.item, sellable),
                });
                self.movement_at(paid, order_id, event, key, MovementKind::Return, [sellable, damaged]);
                if let Some(movement) = self.movements.last_mut() {
                    movement.reference = return_id.to_owned();
                    self.special.take_back(order_id, movement);
                    lots.extend(facts::lots(&movement.lots));
                }
            }
            returned.push(pb::ReturnedLine {
                line_no: line.line_no,
                sku: line.sku.clone(),
                location_id: line.location_id.to_string(),
                sellable: line.quantity,
                damaged: line.damaged,
                lots,
            });
        }
        let order_id = reservation.order_id;
        let fact = facts::returned(order_id, return_id.to_owned(), returned, cost::sum(&costs));
        self.events.push(event.follow_up(order_id, reservation.next_version(), &fact));
        self.wakes = true;
    }

    /// Writes a movement into the ledger, at the item's cost.
    fn movement(
        &mut self,
        order_id: Uuid,
        event: &Event,
        key: StockKey,
        kind: MovementKind,
        quantity: i64,
        damaged: i64,
    ) -> &mut Movement {
        self.movement_at(None, order_id, event, key, kind, [quantity, damaged])
    }

    /// The same for goods that come back at what they cost when they left, where that is known. `moved`: the signed
    /// changes of on_hand and damaged.
    fn movement_at(
        &mut self,
        paid: Option<Money>,
        order_id: Uuid,
        event: &Event,
        key: StockKey,
        kind: MovementKind,
        moved: [i64; 2],
    ) -> &mut Movement {
        let [quantity, damaged] = moved;
        let value = match paid {
            Some(paid) if quantity > 0 => self.costs.receive(key.item, Some(paid), quantity),
            _ => self.costs.count(key.item, quantity),
        };
        let mut unit_cost = self.costs.unit_cost(key.item);
        if let Some(value) = value.filter(|_| self.costs.is_fifo(key.item) && quantity != 0) {
            let each = cost::per_unit(cost::nanos(value).saturating_abs(), quantity.abs());
            unit_cost = Some(Money::new(value.currency, each));
        }
        self.movements.push(Movement {
            id: Uuid::now_v7(),
            key,
            quantity,
            damaged,
            quality_hold: 0,
            value,
            kind,
            reason: String::new(),
            reference: order_id.to_string(),
            unit_cost,
            effective_at: event.effective_at,
            lots: Vec::new(),
            order_id: Some(order_id),
        });
        let last = self.movements.len() - 1;
        &mut self.movements[last]
    }

    /// Tells of the last movement.
    fn publish_last(&mut self, inventory: &Inventory, order_id: Uuid, event: &Event) {
        if let Some(movement) = self.movements.last() {
            let fact = facts::moved(&inventory.known(), movement, self.recorded_at);
            self.events.push(event.follow_up(movement.id, 1, &fact).of_journey(order_id));
        }
    }
}
