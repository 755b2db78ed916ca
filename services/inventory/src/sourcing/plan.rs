//! The choice for one order.

use super::{Candidate, Explanation, FreeStock, PlanKind, PlanTold, Rules, ShelfTold, Verdict};
use crate::calendar::ShipDay;
use crate::item::ItemId;
use crate::kit::{Kit, pieces};
use crate::location::LocationId;
use crate::network::{Network, Place};
use std::collections::{BTreeSet, HashMap, HashSet};
use time::{Date, OffsetDateTime};

/// The most that the age of stock counts, in steps of 30 days.
const OLDEST: f64 = 12.0;

/// What an order wants of stock, and how.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    pub now: OffsetDateTime,
    /// Not to be shipped earlier.
    pub not_before: Option<OffsetDateTime>,
    pub channel: Option<&'a str>,
    /// Degrees.
    pub destination: Option<(f64, f64)>,
    /// One location that has it all is preferred.
    pub ship_complete: bool,
    /// Asked first.
    pub preferred: Option<LocationId>,
    pub lines: Vec<AskLine<'a>>,
}

/// A line of it; of stocked items only.
#[derive(Clone, Copy, Debug)]
pub struct AskLine<'a> {
    pub line_no: i32,
    pub item: ItemId,
    pub kit: Option<&'a Kit>,
    pub quantity: i64,
}

impl Ask<'_> {
    /// The earliest that it may ship.
    pub fn from(&self) -> OffsetDateTime {
        self.not_before.map_or(self.now, |at| at.max(self.now))
    }
}

/// How many orders ship on which day, from locations that can only ship so many.
#[derive(Clone, Debug, Default)]
pub struct Load {
    orders: HashMap<(LocationId, Date), i32>,
}

impl Load {
    /// Of counts by location and day.
    pub fn new(counts: impl IntoIterator<Item = (LocationId, Date, i32)>) -> Self {
        Self { orders: counts.into_iter().map(|(location, day, orders)| ((location, day), orders)).collect() }
    }

    /// Orders of one day.
    pub fn orders(&self, location: LocationId, day: Date) -> i32 {
        self.orders.get(&(location, day)).copied().unwrap_or(0)
    }

    /// Whether no further order fits into the day; a capacity of 0 is no limit.
    pub fn is_full(&self, location: LocationId, day: Date, capacity: i32) -> bool {
        capacity > 0 && self.orders(location, day) >= capacity
    }

    /// Counts one order more.
    pub fn add(&mut self, location: LocationId, day: Date) {
        *self.orders.entry((location, day)).or_default() += 1;
    }
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// For each line asked for, what was taken from where.
    pub taken: Vec<Vec<(LocationId, i64)>>,
    /// Where there was a choice.
    pub explanation: Option<Explanation>,
}

/// Takes what an order gets from stock, up to what it wants.
pub fn plan(stock: &mut FreeStock, network: &Network, load: &Load, ask: &Ask<'_>) -> Plan {
    if network.is_plain() && has_one_location(stock, ask) {
        let take = |line: &AskLine<'_>| stock.take_where(line.item, line.kit, line.quantity, |_| true);
        return Plan { taken: ask.lines.iter().map(take).collect(), explanation: None };
    }
    let candidates = candidates(stock, network, load, ask);
    let Choice { taken, candidates, plans } = choose(stock, &network.rules, ask, candidates);
    let no_choice = network.rules.version == 0
        && matches!(&candidates[..], [] | [Candidate { verdict: Verdict::Chosen | Verdict::NoStock, .. }]);
    let explanation =
        (!no_choice).then(|| Explanation { distance_known: ask.destination.is_some(), candidates, plans });
    Plan { taken, explanation }
}

/// A choice among candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// For each line asked for, what was taken from where.
    pub taken: Vec<Vec<(LocationId, i64)>>,
    /// In the order in which they were asked, with what became of them.
    pub candidates: Vec<Candidate>,
    /// The one that was taken first.
    pub plans: Vec<PlanTold>,
}

/// Chooses by rules, and takes what is chosen from stock. Of the candidates' verdicts only rejections count.
pub fn choose(stock: &mut FreeStock, rules: &Rules, ask: &Ask<'_>, mut candidates: Vec<Candidate>) -> Choice {
    for candidate in &mut candidates {
        let is_late = rules.max_ship_delay_days > 0 && candidate.delay_days > rules.max_ship_delay_days;
        candidate.verdict = match candidate.verdict {
            rejected @ (Verdict::Closed | Verdict::ChannelNotServed) => rejected,
            _ if candidate.full => Verdict::NoCapacity,
            _ if is_late => Verdict::TooLate,
            _ => Verdict::NotNeeded,
        };
    }
    sort(&mut candidates, rules);
    let asked = Asked::new(&candidates, rules);
    let mut drafts = drafts(stock, rules, ask, &asked);
    let points = |draft: &Draft| draft.told.points;
    drafts.sort_by(|a, b| a.misses.cmp(&b.misses).then(points(a).total_cmp(&points(b))));
    let plans: Vec<PlanTold> = drafts.iter().map(|draft| draft.told).collect();
    let taken = drafts.into_iter().next().map(|draft| draft.taken).unwrap_or_default();
    for (line, some) in ask.lines.iter().zip(&taken) {
        for (location, quantity) in some {
            stock.take_at(line.item, line.kit, *location, *quantity);
        }
    }
    note(&mut candidates, ask, &taken);
    Choice { taken, candidates, plans }
}

/// Whether all there is of what is wanted stands at one location, or there is nothing.
fn has_one_location(stock: &FreeStock, ask: &Ask<'_>) -> bool {
    let items = ask.lines.iter().flat_map(|line| pieces(line.item, line.kit));
    let mut locations = items.flat_map(|piece| stock.shelves(piece.item)).map(|shelf| shelf.location);
    let first = locations.next();
    locations.all(|location| Some(location) == first)
}

fn candidates(stock: &FreeStock, network: &Network, load: &Load, ask: &Ask<'_>) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    let items = ask.lines.iter().flat_map(|line| pieces(line.item, line.kit));
    let locations = items.flat_map(|piece| stock.shelves(piece.item)).map(|shelf| shelf.location);
    let locations: Vec<LocationId> = locations.filter(|location| seen.insert(*location)).collect();
    locations.into_iter().filter_map(|at| Some(candidate(stock, network, load, ask, network.place(at)?))).collect()
}

fn candidate(stock: &FreeStock, network: &Network, load: &Load, ask: &Ask<'_>, place: &Place) -> Candidate {
    let from = ask.from();
    let opens = place.open_day(from);
    let ships = place.ship_day(from, load);
    let verdict = if place.location.closed || ships.is_none() {
        Verdict::Closed
    } else if !place.serves(ask.channel) {
        Verdict::ChannelNotServed
    } else {
        Verdict::NotNeeded
    };
    let at = place.key;
    let shelf = |line: &AskLine<'_>| {
        let of_item: i64 = ask.lines.iter().filter(|other| other.item == line.item).map(|other| other.quantity).sum();
        let free = stock.free_at(line.item, line.kit, at).min(of_item);
        (free > 0).then_some(ShelfTold { line_no: line.line_no, free, taken: 0 })
    };
    let capacity = place.location.daily_capacity;
    let share = |open: ShipDay| (f64::from(load.orders(at, open.day)) / f64::from(capacity)).min(1.0);
    let since = ask.lines.iter().filter_map(|line| stock.since(line.item, line.kit, at)).min();
    let steps = |since: OffsetDateTime| ((ask.now - since).as_seconds_f64() / 86_400.0 / 30.0).clamp(0.0, OLDEST);
    let days = |ships: ShipDay| place.local_day(from).map(|today| (ships.day - today).whole_days());
    Candidate {
        location: at,
        verdict,
        preferred: ask.preferred == Some(at),
        order: network.order(at),
        rank: place.location.rank,
        distance_km: place.distance_km(ask.destination),
        fullness: opens.filter(|_| capacity > 0).map_or(0.0, share),
        full: opens.map(|open| open.day) != ships.map(|ships| ships.day),
        age_steps: since.map_or(0.0, steps),
        delay_days: ships.and_then(days).unwrap_or(0),
        ship_at: ships.map(|ships| ships.at),
        shelves: ask.lines.iter().filter_map(shelf).collect(),
    }
}

/// Rejected ones go last, those passed over before them; the preferred one first, else by points, rank and code.
fn sort(candidates: &mut [Candidate], rules: &Rules) {
    let class = |verdict: Verdict| match verdict {
        Verdict::Chosen | Verdict::NotNeeded | Verdict::NoStock => 0,
        Verdict::NoCapacity | Verdict::TooLate => 1,
        Verdict::Closed | Verdict::ChannelNotServed => 2,
    };
    candidates.sort_by(|a, b| {
        let key = |c: &Candidate| (class(c.verdict), !c.preferred);
        let points = |c: &Candidate| c.points(rules);
        key(a).cmp(&key(b)).then(points(a).total_cmp(&points(b))).then(a.order.cmp(&b.order))
    });
}

/// The locations that are asked, in order.
struct Asked {
    /// Without reservations.
    first: Vec<LocationId>,
    /// Only for what no other has: full, or too late.
    then: Vec<LocationId>,
    all: Vec<LocationId>,
    points: HashMap<LocationId, f64>,
    preferred: Option<LocationId>,
}

impl Asked {
    fn new(candidates: &[Candidate], rules: &Rules) -> Self {
        let of = |wanted: fn(Verdict) -> bool| {
            let some = candidates.iter().filter(|candidate| wanted(candidate.verdict));
            some.map(|candidate| candidate.location).collect::<Vec<_>>()
        };
        let first = of(|verdict| verdict == Verdict::NotNeeded);
        let then = of(|verdict| matches!(verdict, Verdict::NoCapacity | Verdict::TooLate));
        let all = first.iter().chain(&then).copied().collect();
        let points = candidates.iter().map(|candidate| (candidate.location, candidate.points(rules))).collect();
        let preferred = candidates.iter().find(|candidate| candidate.preferred).map(|candidate| candidate.location);
        Self { first, then, all, points, preferred }
    }
}

/// A plan, not taken yet.
struct Draft {
    taken: Vec<Vec<(LocationId, i64)>>,
    told: PlanTold,
    /// What is compared before the points, lower first: what is short, how many locations are full or late, whether the
    /// preferred one is passed over, whether it is split where it should not be.
    misses: (i64, usize, bool, bool),
}

fn drafts(stock: &mut FreeStock, rules: &Rules, ask: &Ask<'_>, asked: &Asked) -> Vec<Draft> {
    let mut drafts = vec![draft(stock, rules, ask, asked, PlanKind::BestForEachLine, best_for_each_line)];
    if !ask.ship_complete && !rules.compares_plans() {
        return drafts;
    }
    if rules.max_locations > 0 {
        drafts.retain(|draft| draft.told.locations <= rules.max_locations);
    }
    let singles = asked.all.iter().map(|location| {
        let take = |stock: &mut FreeStock, ask: &Ask<'_>, _: &Asked| take_all_from(stock, ask, *location);
        draft(stock, rules, ask, asked, PlanKind::SingleLocation, take)
    });
    let best = singles.min_by(|a, b| a.misses.cmp(&b.misses).then(a.told.points.total_cmp(&b.told.points)));
    drafts.extend(best);
    let most = if rules.max_locations == 0 { usize::MAX } else { rules.max_locations };
    let take = |stock: &mut FreeStock, ask: &Ask<'_>, asked: &Asked| fewest_locations(stock, ask, asked, most);
    drafts.push(draft(stock, rules, ask, asked, PlanKind::FewestLocations, take));
    drafts
}

/// Tries a way, and puts everything back.
fn draft(
    stock: &mut FreeStock,
    rules: &Rules,
    ask: &Ask<'_>,
    asked: &Asked,
    kind: PlanKind,
    take: impl Fn(&mut FreeStock, &Ask<'_>, &Asked) -> Vec<Vec<(LocationId, i64)>>,
) -> Draft {
    let taken = take(stock, ask, asked);
    let mut short = 0;
    let mut locations = BTreeSet::new();
    for (line, some) in ask.lines.iter().zip(&taken) {
        short += line.quantity - some.iter().map(|(_, quantity)| quantity).sum::<i64>();
        locations.extend(some.iter().map(|(location, _)| *location));
        stock.put_back(line.item, line.kit, some);
    }
    let splits = u32::try_from(locations.len().saturating_sub(1)).unwrap_or(u32::MAX);
    let of_locations: f64 = locations.iter().filter_map(|location| asked.points.get(location)).sum();
    let points = of_locations + rules.split_weight * f64::from(splits);
    let late = locations.iter().filter(|location| asked.then.contains(location)).count();
    let passed_over = asked.preferred.is_some_and(|preferred| !locations.contains(&preferred));
    let split = (ask.ship_complete || rules.whole_order_first) && splits > 0;
    let told = PlanTold { kind, locations: locations.len(), short, points };
    Draft { taken, told, misses: (short, late, passed_over, split) }
}

fn best_for_each_line(stock: &mut FreeStock, ask: &Ask<'_>, asked: &Asked) -> Vec<Vec<(LocationId, i64)>> {
    let take = |line: &AskLine<'_>| {
        let mut taken = stock.take_in_order(line.item, line.kit, line.quantity, &asked.first);
        let missing = line.quantity - taken.iter().map(|(_, quantity)| quantity).sum::<i64>();
        if missing > 0 {
            taken.extend(stock.take_in_order(line.item, line.kit, missing, &asked.then));
        }
        taken
    };
    ask.lines.iter().map(take).collect()
}

fn take_all_from(stock: &mut FreeStock, ask: &Ask<'_>, location: LocationId) -> Vec<Vec<(LocationId, i64)>> {
    let take = |line: &AskLine<'_>| {
        let some = stock.take_at(line.item, line.kit, location, line.quantity);
        if some > 0 { vec![(location, some)] } else { Vec::new() }
    };
    ask.lines.iter().map(take).collect()
}

/// Again and again the location that has the most of the rest; of equal ones the one that is asked earlier.
fn fewest_locations(stock: &mut FreeStock, ask: &Ask<'_>, asked: &Asked, most: usize) -> Vec<Vec<(LocationId, i64)>> {
    let mut taken: Vec<Vec<(LocationId, i64)>> = vec![Vec::new(); ask.lines.len()];
    let mut missing: Vec<i64> = ask.lines.iter().map(|line| line.quantity).collect();
    let mut left = asked.all.clone();
    for _ in 0..most.min(asked.all.len()) {
        let mut best: Option<(usize, i64)> = None;
        for (place, location) in left.iter().enumerate() {
            let of_line =
                |(line, missing): (&AskLine<'_>, &i64)| stock.free_at(line.item, line.kit, *location).min(*missing);
            let covers: i64 = ask.lines.iter().zip(&missing).map(of_line).sum();
            if covers > best.map_or(0, |(_, most)| most) {
                best = Some((place, covers));
            }
        }
        let Some((place, _)) = best else { break };
        let location = left.remove(place);
        for ((line, missing), taken) in ask.lines.iter().zip(&mut missing).zip(&mut taken) {
            let some = stock.take_at(line.item, line.kit, location, *missing);
            if some > 0 {
                *missing -= some;
                taken.push((location, some));
            }
        }
    }
    taken
}

/// Notes in the candidates what was taken, and so what became of them.
fn note(candidates: &mut [Candidate], ask: &Ask<'_>, taken: &[Vec<(LocationId, i64)>]) {
    let mut by_place: HashMap<(LocationId, i32), i64> = HashMap::new();
    for (line, some) in ask.lines.iter().zip(taken) {
        for (location, quantity) in some {
            *by_place.entry((*location, line.line_no)).or_default() += quantity;
        }
    }
    for candidate in candidates {
        for shelf in &mut candidate.shelves {
            shelf.taken = by_place.get(&(candidate.location, shelf.line_no)).copied().unwrap_or(0);
        }
        if candidate.shelves.iter().any(|shelf| shelf.taken > 0) {
            candidate.verdict = Verdict::Chosen;
        } else if candidate.verdict == Verdict::NotNeeded && candidate.shelves.is_empty() {
            candidate.verdict = Verdict::NoStock;
        }
    }
}
