//! Orders of the past, decided again by other rules: each by itself, with the stock that its own decision saw.

use crate::item::ItemId;
use crate::location::LocationId;
use crate::sourcing::{Ask, AskLine, Candidate, FreeStock, Rules, Shelf, Verdict, choose};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::OffsetDateTime;

/// A decision that was taken, and all it was based on.
#[derive(Clone, Debug, PartialEq)]
pub struct PastDecision {
    pub order_id: String,
    pub placed_at: OffsetDateTime,
    pub ship_complete: bool,
    /// Number, SKU and quantity.
    pub lines: Vec<(i32, String, i64)>,
    /// Their locations are numbered from 1, by their place in this list.
    pub candidates: Vec<Candidate>,
    /// As others know them, by their place in the list.
    pub location_ids: Vec<String>,
}

/// What came of some orders.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Side {
    pub orders: i64,
    pub shipments: i64,
    pub split_orders: i64,
    pub short_units: i64,
    pub total_km: f64,
    pub shipments_with_distance: i64,
    pub late_days: i64,
    pub late_orders: i64,
}

/// An order that would ship from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    pub order_id: String,
    /// Location ids, ascending.
    pub real: Vec<String>,
    pub draft: Vec<String>,
}

/// What the orders came to, and what they would have come to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub real: Side,
    pub draft: Side,
    pub changed: Vec<Changed>,
}

/// Decides orders again by draft rules and compares.
pub fn simulate(past: &[PastDecision], draft: &Rules) -> Report {
    let mut report = Report::default();
    for decision in past {
        let real = taken(&decision.candidates);
        let again = decide_again(decision, draft);
        count(&mut report.real, decision, &real, draft);
        count(&mut report.draft, decision, &again, draft);
        if real != again {
            let ids = |of: &Taken| {
                let locations: BTreeSet<LocationId> = of.keys().map(|(location, _)| *location).collect();
                let mut ids: Vec<String> = locations.iter().filter_map(|at| decision.id(*at)).collect();
                ids.sort_unstable();
                ids
            };
            report.changed.push(Changed { order_id: decision.order_id.clone(), real: ids(&real), draft: ids(&again) });
        }
    }
    report
}

/// Quantities by location and line.
type Taken = BTreeMap<(LocationId, i32), i64>;

impl PastDecision {
    fn candidate(&self, location: LocationId) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.location == location)
    }

    fn id(&self, location: LocationId) -> Option<String> {
        let place = usize::try_from(location.0).ok()?.checked_sub(1)?;
        self.location_ids.get(place).cloned()
    }
}

fn taken(candidates: &[Candidate]) -> Taken {
    let shelves = candidates.iter().flat_map(|c| c.shelves.iter().map(move |shelf| (c.location, shelf)));
    let some = shelves.filter(|(_, shelf)| shelf.taken > 0);
    some.map(|(location, shelf)| ((location, shelf.line_no), shelf.taken)).collect()
}

fn decide_again(decision: &PastDecision, draft: &Rules) -> Taken {
    // Lines of one SKU share its stock: to each of them all of it was told.
    let mut items: HashMap<&str, ItemId> = HashMap::new();
    let mut lines = Vec::with_capacity(decision.lines.len());
    for (line_no, sku, quantity) in &decision.lines {
        let next = ItemId(i64::try_from(items.len()).unwrap_or(i64::MAX));
        let item = *items.entry(sku).or_insert(next);
        lines.push(AskLine { line_no: *line_no, item, kit: None, quantity: *quantity });
    }
    let item_of: HashMap<i32, ItemId> = lines.iter().map(|line| (line.line_no, line.item)).collect();
    let mut stock = FreeStock::default();
    let mut candidates = decision.candidates.clone();
    candidates.sort_by_key(|candidate| candidate.order);
    for candidate in &mut candidates {
        if candidate.verdict == Verdict::Chosen {
            candidate.verdict = Verdict::NotNeeded;
        }
        let mut seen = BTreeSet::new();
        for shelf in &candidate.shelves {
            if let Some(item) = item_of.get(&shelf.line_no).filter(|item| seen.insert(**item)) {
                stock.add(*item, Shelf { location: candidate.location, free: shelf.free, since: None });
            }
        }
    }
    let preferred = candidates.iter().find(|candidate| candidate.preferred).map(|candidate| candidate.location);
    let ask = Ask {
        now: decision.placed_at,
        not_before: None,
        channel: None, // rejections are kept in the verdicts
        destination: None,
        ship_complete: decision.ship_complete,
        preferred,
        lines,
    };
    taken(&choose(&mut stock, draft, &ask, candidates).candidates)
}

fn count(side: &mut Side, decision: &PastDecision, taken: &Taken, draft: &Rules) {
    let wanted: i64 = decision.lines.iter().map(|(_, _, quantity)| quantity).sum();
    let locations: BTreeSet<LocationId> = taken.keys().map(|(location, _)| *location).collect();
    side.orders += 1;
    side.shipments += i64::try_from(locations.len()).unwrap_or(i64::MAX);
    side.split_orders += i64::from(locations.len() > 1);
    side.short_units += wanted - taken.values().sum::<i64>();
    let mut late = 0;
    for candidate in locations.iter().filter_map(|location| decision.candidate(*location)) {
        if let Some(km) = candidate.distance_km {
            side.total_km += km;
            side.shipments_with_distance += 1;
        }
        let arrives = candidate.ship_at.and_then(|at| at.checked_add(draft.transit(candidate.distance_km)));
        let days = arrives.map_or(0, |at| (at - decision.placed_at).whole_days());
        late = late.max(days - draft.target_days);
    }
    side.late_days += late;
    side.late_orders += i64::from(late > 0);
}
