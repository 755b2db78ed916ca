//! When an order would ship and arrive, and what it would wait for: the dry run of a reservation.

use crate::calendar::{NO_CUT_OFF, ShipDay};
use crate::item::ItemId;
use crate::kit::{Kit, pieces};
use crate::location::LocationId;
use crate::network::{Network, Place};
use crate::reservation::{Decision, Granted, Policy, Sourcing, Wanted, WantedLine, decide_one};
use crate::sourcing::FreeStock;
use std::collections::BTreeSet;
use time::{Date, OffsetDateTime};
use uuid::Uuid;

/// By what goods arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SupplyKind {
    PurchaseOrder,
    Transfer,
}

impl SupplyKind {
    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        match code {
            1 => Some(Self::PurchaseOrder),
            2 => Some(Self::Transfer),
            _ => None,
        }
    }
}

/// What is on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Supply {
    pub kind: SupplyKind,
    pub document_id: Uuid,
    pub number: String,
    pub item: ItemId,
    /// Where it arrives.
    pub location: LocationId,
    pub expected_at: OffsetDateTime,
    /// Not promised yet.
    pub quantity: i64,
}

/// All that is on its way of some items.
#[derive(Clone, Debug, Default)]
pub struct Supplies {
    /// By the time they are expected.
    all: Vec<Supply>,
}

/// A quantity that waits for a supply: of a kit, for the one that completes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Awaited {
    pub supply: Supply,
    pub quantity: i64,
}

impl Supplies {
    /// In any order; what is overdue is expected `now`.
    pub fn new(mut all: Vec<Supply>, now: OffsetDateTime) -> Self {
        for supply in &mut all {
            supply.expected_at = supply.expected_at.max(now);
        }
        all.sort_by_key(|supply| supply.expected_at);
        Self { all }
    }

    /// Takes up to `quantity` from what arrives, the earliest first, at locations that serve. Of a kit, as many as can
    /// be completed with what is free there already.
    pub fn take(
        &mut self,
        stock: &mut FreeStock,
        item: ItemId,
        kit: Option<&Kit>,
        quantity: i64,
        serves: impl Fn(LocationId) -> bool,
    ) -> Vec<Awaited> {
        let mut missing = quantity;
        let mut awaited = Vec::new();
        let wants = |of: ItemId| pieces(item, kit).any(|piece| piece.item == of);
        for i in 0..self.all.len() {
            if missing == 0 {
                break;
            }
            let arriving = &self.all[i];
            let (location, until) = (arriving.location, i);
            if !wants(arriving.item) || !serves(location) {
                continue;
            }
            let there = |of: ItemId| {
                let arrived =
                    self.all[..=until].iter().filter(|supply| supply.item == of && supply.location == location);
                let on_its_way: i64 = arrived.map(|supply| supply.quantity).sum();
                stock.free_at(of, None, location) + on_its_way
            };
            let possible = pieces(item, kit).map(|piece| there(piece.item) / piece.quantity).min().unwrap_or(0);
            let some = possible.min(missing);
            if some == 0 {
                continue;
            }
            missing -= some;
            awaited.push(Awaited { supply: self.all[i].clone(), quantity: some });
            for piece in pieces(item, kit) {
                self.consume(stock, piece.item, location, some * piece.quantity, until);
            }
        }
        awaited
    }

    /// Takes what is free first, then what arrives first.
    fn consume(&mut self, stock: &mut FreeStock, item: ItemId, location: LocationId, quantity: i64, until: usize) {
        let mut left = quantity - stock.take_at(item, None, location, quantity);
        let of = self.all[..=until].iter_mut().filter(|supply| supply.item == item && supply.location == location);
        for supply in of {
            let some = supply.quantity.min(left);
            supply.quantity -= some;
            left -= some;
        }
    }
}

/// What an order would get, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderPromise {
    /// In the order of the demand.
    pub lines: Vec<LinePromise>,
    /// None where a part of it cannot be dated.
    pub when: Option<When>,
    /// Nothing would be reserved: the policy asks for more than is there.
    pub refused: bool,
}

/// The same of a line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LinePromise {
    pub line_no: i32,
    pub quantity: i64,
    pub sources: Vec<Source>,
    pub supplies: Vec<(Awaited, When)>,
    pub undated: i64,
    pub refused: i64,
    /// For people.
    pub why: Vec<String>,
}

/// A quantity that is there now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    pub location: LocationId,
    pub quantity: i64,
    pub when: When,
}

/// When goods leave and arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    pub ship_at: OffsetDateTime,
    pub deliver_at: OffsetDateTime,
}

/// What one order would get if it were reserved now; takes it out of stock and supplies, unless it would be refused.
pub fn promise(
    stock: &mut FreeStock,
    supplies: &mut Supplies,
    sourcing: &mut Sourcing<'_>,
    wanted: &Wanted,
) -> OrderPromise {
    match decide_one(stock, sourcing, wanted) {
        Decision::Reserved(granted) => told(stock, supplies, sourcing, wanted, &granted, false),
        Decision::Refused(_) => {
            // What it would get if it waited, for whoever has to talk to the customer; nothing of it is taken.
            let patient = Wanted { policy: Policy::Backorder, ..wanted.clone() };
            let (mut stock, mut supplies, mut sourcing) = (stock.clone(), supplies.clone(), sourcing.clone());
            match decide_one(&mut stock, &mut sourcing, &patient) {
                Decision::Reserved(granted) => told(&mut stock, &mut supplies, &sourcing, &patient, &granted, true),
                Decision::Refused(_) => OrderPromise { lines: Vec::new(), when: None, refused: true },
            }
        }
    }
}

fn told(
    stock: &mut FreeStock,
    supplies: &mut Supplies,
    sourcing: &Sourcing<'_>,
    wanted: &Wanted,
    granted: &Granted,
    refused: bool,
) -> OrderPromise {
    let dates = Dates { sourcing, wanted, days: &granted.days };
    let mut lines: Vec<LinePromise> =
        wanted.lines.iter().map(|line| line_promise(stock, supplies, &dates, line, granted)).collect();
    let undated = lines.iter().any(|line| line.undated > 0);
    let mut when = if undated { None } else { latest(&lines) };
    if let (true, Some(last)) = (wanted.wishes.ship_complete, when) {
        for line in &mut lines {
            for source in &mut line.sources {
                source.when = dates.together(source.location, dates.from(), last).unwrap_or(source.when);
            }
            for (awaited, when) in &mut line.supplies {
                let ready = awaited.supply.expected_at.max(dates.from());
                *when = dates.together(awaited.supply.location, ready, last).unwrap_or(*when);
            }
            line.why.push(format!("leaves together with the rest of the order on {}", last.ship_at.date()));
        }
        when = latest(&lines);
    }
    OrderPromise { lines, when, refused }
}

fn latest(lines: &[LinePromise]) -> Option<When> {
    let sources = lines.iter().flat_map(|line| line.sources.iter().map(|source| source.when));
    let supplies = lines.iter().flat_map(|line| line.supplies.iter().map(|(_, when)| *when));
    sources
        .chain(supplies)
        .reduce(|a, b| When { ship_at: a.ship_at.max(b.ship_at), deliver_at: a.deliver_at.max(b.deliver_at) })
}

fn line_promise(
    stock: &mut FreeStock,
    supplies: &mut Supplies,
    dates: &Dates<'_>,
    line: &WantedLine,
    granted: &Granted,
) -> LinePromise {
    let network = dates.sourcing.network;
    let mut told = LinePromise { line_no: line.line_no, quantity: line.quantity, ..LinePromise::default() };
    for part in granted.parts.iter().filter(|part| part.line_no == line.line_no) {
        told.refused += part.refused;
        if let Some(location) = part.location.filter(|_| part.reserved > 0) {
            match dates.of(location, dates.from()) {
                Some(when) => {
                    told.why.push(dates.why(location, part.reserved, when));
                    told.sources.push(Source { location, quantity: part.reserved, when });
                }
                None => {
                    told.why.push(format!("{} are at a location without an open day", part.reserved));
                    told.undated += part.reserved;
                }
            }
        }
        if part.backordered > 0 {
            let serves = |location| network.serves(location, dates.wanted.wishes.channel.as_deref());
            let awaited = supplies.take(stock, line.item, line.kit.as_deref(), part.backordered, serves);
            let mut missing = part.backordered;
            for awaited in awaited {
                let supply = &awaited.supply;
                let Some(when) = dates.of(supply.location, supply.expected_at.max(dates.from())) else { continue };
                missing -= awaited.quantity;
                told.why.push(format!(
                    "{} wait for {} {}, expected at {} on {}, and ship on {}",
                    awaited.quantity,
                    match supply.kind {
                        SupplyKind::PurchaseOrder => "purchase order",
                        SupplyKind::Transfer => "transfer",
                    },
                    supply.number,
                    dates.code(supply.location),
                    supply.expected_at.date(),
                    when.ship_at.date(),
                ));
                told.supplies.push((awaited, when));
            }
            if missing > 0 {
                told.why.push(format!("{missing} wait, and nothing that others leave is on its way"));
                told.undated += missing;
            }
        }
    }
    if told.refused > 0 {
        told.why.push(format!("{} are not there, and the order does not wait", told.refused));
    }
    told
}

/// When what leaves from where.
struct Dates<'a> {
    sourcing: &'a Sourcing<'a>,
    wanted: &'a Wanted,
    days: &'a [(LocationId, Date)],
}

impl Dates<'_> {
    fn network(&self) -> &Network {
        self.sourcing.network
    }

    fn from(&self) -> OffsetDateTime {
        self.wanted.wishes.not_before.map_or(self.sourcing.now, |at| at.max(self.sourcing.now))
    }

    fn of(&self, location: LocationId, from: OffsetDateTime) -> Option<When> {
        let place = self.network().place(location)?;
        self.when(place, self.ships(place, from)?)
    }

    /// What is ready at a moment, but leaves on the day of the order's last goods.
    fn together(&self, location: LocationId, ready: OffsetDateTime, last: When) -> Option<When> {
        let place = self.network().place(location)?;
        let day = place.local_day(last.ship_at)?;
        let mut ships = place.ship_day_not_before(ready, day, &self.sourcing.load)?;
        if place.location.calendar.cut_off == NO_CUT_OFF {
            ships.at = ships.at.max(last.ship_at);
        }
        self.when(place, ships)
    }

    fn when(&self, place: &Place, ships: ShipDay) -> Option<When> {
        let distance = place.distance_km(self.wanted.wishes.destination);
        let deliver_at = ships.at.checked_add(self.network().rules.transit(distance))?;
        Some(When { ship_at: ships.at, deliver_at })
    }

    /// The day whose capacity the order took already, unless it comes too early.
    fn ships(&self, place: &Place, from: OffsetDateTime) -> Option<ShipDay> {
        let taken = self.days.iter().find(|(location, _)| *location == place.key).map(|(_, day)| *day);
        let on_that_day = taken.and_then(|day| place.ship_day_on(from, day));
        on_that_day.or_else(|| place.ship_day(from, &self.sourcing.load))
    }

    fn code(&self, location: LocationId) -> &str {
        self.network().place(location).map_or("", |place| &place.location.code)
    }

    fn why(&self, location: LocationId, quantity: i64, when: When) -> String {
        let place = self.network().place(location);
        let today = place.and_then(|place| place.local_day(self.from()));
        let ship_day = place.and_then(|place| place.local_day(when.ship_at));
        let later = if today < ship_day { ", the next open day with room" } else { "" };
        let distance = place.and_then(|place| place.distance_km(self.wanted.wishes.destination));
        let distance = distance.map_or("distance not known".to_owned(), |km| format!("{km:.0} km"));
        let transit = (when.deliver_at - when.ship_at).whole_days();
        let day = when.ship_at.date();
        format!(
            "{quantity} from {}: there now, ship on {day}{later}; {transit} days on the way ({distance})",
            self.code(location)
        )
    }
}

/// The items that some wants take, kits as their components.
pub fn items_of(wants: &[Wanted]) -> BTreeSet<ItemId> {
    let lines = wants.iter().flat_map(|wanted| &wanted.lines).filter(|line| line.stocked);
    lines.flat_map(|line| pieces(line.item, line.kit.as_deref())).map(|piece| piece.item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;
    use crate::kit::Component;
    use crate::location::Location;
    use crate::reservation::Wishes;
    use crate::sourcing::{Load, Rules, Shelf};
    use std::sync::Arc;
    use time::Duration;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
    const HERE: LocationId = LocationId(1);
    const THERE: LocationId = LocationId(2);

    fn network() -> Network {
        let here = Location { code: "HERE".into(), ..Location::default() };
        let calendar = Calendar { cut_off: 600, ..Calendar::default() };
        let there = Location { code: "THERE".into(), rank: 1, longitude: 5.0, calendar, ..Location::default() };
        Network::new(1, Rules::default(), vec![(HERE, here), (THERE, there)])
    }

    fn stock(rows: &[(i64, LocationId, i64)]) -> FreeStock {
        let mut stock = FreeStock::default();
        for (item, location, free) in rows {
            stock.add(ItemId(*item), Shelf { location: *location, free: *free, since: None });
        }
        stock
    }

    fn supply(item: i64, location: LocationId, days: i64, quantity: i64) -> Supply {
        Supply {
            kind: SupplyKind::PurchaseOrder,
            document_id: Uuid::nil(),
            number: format!("PO-{days}"),
            item: ItemId(item),
            location,
            expected_at: NOW + Duration::days(days),
            quantity,
        }
    }

    fn wanted(policy: Policy, item: i64, kit: Option<Arc<Kit>>, quantity: i64) -> Wanted {
        let line = WantedLine { line_no: 1, item: ItemId(item), stocked: true, kit, quantity };
        let wishes = Wishes { destination: Some((0.0, 0.0)), ..Wishes::default() };
        Wanted { policy, wishes, preferred: None, lines: vec![line] }
    }

    fn promised(stock: &mut FreeStock, supplies: &mut Supplies, wanted: &Wanted) -> OrderPromise {
        let network = network();
        let mut sourcing = Sourcing { network: &network, load: Load::default(), now: NOW };
        promise(stock, supplies, &mut sourcing, wanted)
    }

    #[test]
    fn what_is_there_ships_by_the_calendar_and_the_rest_waits_for_supply() {
        let mut stock = stock(&[(1, HERE, 2), (1, THERE, 3)]);
        let mut supplies =
            Supplies::new(vec![supply(1, HERE, 9, 4), supply(1, HERE, 5, 1), supply(1, HERE, -3, 1)], NOW);
        let told = promised(&mut stock, &mut supplies, &wanted(Policy::Backorder, 1, None, 9));
        let line = &told.lines[0];
        let sources: Vec<_> = line.sources.iter().map(|s| (s.location, s.quantity, s.when.ship_at)).collect();
        // There it is past the cut-off at 10:00.
        assert_eq!(sources, [(HERE, 2, NOW), (THERE, 3, datetime!(2026-11-23 10:00 UTC))]);
        assert_eq!(line.sources[1].when.deliver_at, datetime!(2026-11-25 10:00 UTC), "556 km: two days");
        let waits: Vec<_> = line.supplies.iter().map(|(a, when)| (a.quantity, when.ship_at)).collect();
        assert_eq!(waits, [(1, NOW), (1, NOW + Duration::days(5)), (2, NOW + Duration::days(9))], "overdue: now");
        assert_eq!((line.undated, line.refused, told.refused), (0, 0, false));
        assert_eq!(told.when.unwrap().ship_at, NOW + Duration::days(9));
        // Two are left of the last supply, and then nothing is known.
        let next = promised(&mut stock, &mut supplies, &wanted(Policy::Backorder, 1, None, 3));
        assert_eq!((next.lines[0].supplies[0].0.quantity, next.lines[0].undated, next.when), (2, 1, None));
    }

    #[test]
    fn a_refusal_takes_nothing_and_still_tells() {
        let mut stock = stock(&[(1, HERE, 2)]);
        let mut supplies = Supplies::new(vec![supply(1, HERE, 5, 9)], NOW);
        let told = promised(&mut stock, &mut supplies, &wanted(Policy::AllOrNothing, 1, None, 3));
        assert!(told.refused && told.lines[0].sources[0].quantity == 2 && told.lines[0].supplies[0].0.quantity == 1);
        assert_eq!((stock.free(ItemId(1)), supplies.all[0].quantity), (2, 9));
        let told = promised(&mut stock, &mut supplies, &wanted(Policy::WhatIsThere, 1, None, 3));
        assert_eq!((told.refused, told.lines[0].refused, told.lines[0].supplies.len()), (false, 1, 0));
    }

    #[test]
    fn a_kit_waits_for_the_component_that_completes_it() {
        let component = |item, quantity| Component { item: ItemId(item), quantity };
        let kit = Arc::new(Kit { version: 1, components: vec![component(1, 2), component(2, 1)] });
        let mut stock = stock(&[(1, HERE, 3), (2, HERE, 1)]);
        let mut supplies =
            Supplies::new(vec![supply(2, HERE, 2, 5), supply(1, HERE, 4, 3), supply(1, THERE, 1, 50)], NOW);
        let told = promised(&mut stock, &mut supplies, &wanted(Policy::Backorder, 9, Some(kit), 4));
        let line = &told.lines[0];
        assert_eq!(line.sources.iter().map(|s| s.quantity).sum::<i64>(), 1);
        // 1 + 3 of the first make two more on day 4; nothing completes the fourth.
        let waits: Vec<_> = line.supplies.iter().map(|(a, _)| (a.quantity, a.supply.number.as_str())).collect();
        assert_eq!((waits, line.undated), (vec![(2, "PO-4")], 1));
    }

    #[test]
    fn what_ships_complete_leaves_with_its_last_line() {
        let mut stock = stock(&[(1, HERE, 1)]);
        let mut supplies = Supplies::new(vec![supply(1, HERE, 5, 1)], NOW);
        let mut order = wanted(Policy::Backorder, 1, None, 2);
        order.wishes.ship_complete = true;
        let told = promised(&mut stock, &mut supplies, &order);
        assert_eq!(told.lines[0].sources[0].when.ship_at, NOW + Duration::days(5));
        order.wishes.not_before = Some(NOW + Duration::days(30));
        let mut supplies = Supplies::new(vec![supply(1, HERE, 5, 2)], NOW);
        let told = promised(&mut stock, &mut supplies, &order);
        assert_eq!(told.when.unwrap().ship_at, NOW + Duration::days(30));
    }
}
