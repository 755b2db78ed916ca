//! The decision about new demands.

use super::{Part, Policy, Wishes};
use crate::item::ItemId;
use crate::kit::Kit;
use crate::location::LocationId;
use crate::network::Network;
use crate::sourcing::{Ask, AskLine, Explanation, FreeStock, Load, plan};
use std::sync::Arc;
use time::{Date, OffsetDateTime};

/// What an order wants, its SKUs and locations resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    pub policy: Policy,
    pub wishes: Wishes,
    /// The location that the wishes prefer.
    pub preferred: Option<LocationId>,
    pub lines: Vec<WantedLine>,
}

/// One line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedLine {
    pub line_no: i32,
    pub item: ItemId,
    /// False for service items, which are always there.
    pub stocked: bool,
    /// Of a kit, as it is composed now.
    pub kit: Option<Arc<Kit>>,
    /// Above zero.
    pub quantity: i64,
}

/// What locations are chosen by.
#[derive(Clone, Debug)]
pub struct Sourcing<'a> {
    pub network: &'a Network,
    /// Counts on as orders are promised.
    pub load: Load,
    pub now: OffsetDateTime,
}

/// What an order gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    Reserved(Granted),
    /// Nothing, because of these lines.
    Refused(Vec<Short>),
}

/// What is promised to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted {
    /// By line and location; nowhere comes first.
    pub parts: Vec<Part>,
    /// Why from there, where there was a choice.
    pub explanation: Option<Explanation>,
    /// The days that it takes capacity of, at locations that have a limit.
    pub days: Vec<(LocationId, Date)>,
}

/// A line that is not there in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Short {
    pub line_no: i32,
    pub item: ItemId,
    pub wanted: i64,
    pub available: i64,
}

/// What each of the wants gets from the stock that is free. They are served in the order given; one that is too large
/// for what is left does not block a smaller one behind it. Service lines go with the first goods of their order, or,
/// where there are none, from the network's home.
pub fn decide(stock: &mut FreeStock, sourcing: &mut Sourcing<'_>, wants: &[Wanted]) -> Vec<Decision> {
    wants.iter().map(|wanted| decide_one(stock, sourcing, wanted)).collect()
}

/// The same for one.
pub fn decide_one(stock: &mut FreeStock, sourcing: &mut Sourcing<'_>, wanted: &Wanted) -> Decision {
    let plan = plan(stock, sourcing.network, &sourcing.load, &wanted.ask(sourcing.now));
    let mut taken = plan.taken.into_iter();
    let taken: Vec<Vec<(LocationId, i64)>> = wanted
        .lines
        .iter()
        .map(|line| if line.stocked { taken.next().unwrap_or_default() } else { Vec::new() })
        .collect();
    let mut shorts = Vec::new();
    for (line, some) in wanted.lines.iter().zip(&taken).filter(|(line, _)| line.stocked) {
        let available: i64 = some.iter().map(|(_, quantity)| quantity).sum();
        if available < line.quantity {
            shorts.push(Short { line_no: line.line_no, item: line.item, wanted: line.quantity, available });
        }
    }

    let stocked_lines = wanted.lines.iter().filter(|line| line.stocked).count();
    let nothing_there = stocked_lines > 0 && taken.iter().all(Vec::is_empty);
    let refused = match wanted.policy {
        Policy::AllOrNothing => !shorts.is_empty(),
        Policy::WhatIsThere => nothing_there,
        Policy::Backorder => false,
    };
    if refused {
        for (line, some) in wanted.lines.iter().zip(&taken) {
            stock.put_back(line.item, line.kit.as_deref(), some);
        }
        return Decision::Refused(shorts);
    }
    let parts = parts(sourcing.network, wanted, taken);
    let days = book_days(sourcing, wanted, &parts);
    Decision::Reserved(Granted { parts, explanation: plan.explanation, days })
}

fn parts(network: &Network, wanted: &Wanted, taken: Vec<Vec<(LocationId, i64)>>) -> Vec<Part> {
    let service_from = taken.iter().flatten().next().map(|(location, _)| *location).or_else(|| network.home());
    let mut parts = Vec::with_capacity(wanted.lines.len());
    for (line, mut some) in wanted.lines.iter().zip(taken) {
        if let (false, Some(location)) = (line.stocked, service_from) {
            some.push((location, line.quantity));
        }
        let part =
            |location| Part { kit: line.kit.clone(), ..Part::empty(line.line_no, location, line.item, line.stocked) };
        let mut missing = line.quantity;
        for (location, quantity) in some {
            missing -= quantity;
            parts.push(Part { quantity, reserved: quantity, ..part(Some(location)) });
        }
        if missing > 0 {
            parts.push(match wanted.policy {
                Policy::Backorder => Part { quantity: missing, backordered: missing, ..part(None) },
                Policy::AllOrNothing | Policy::WhatIsThere => {
                    Part { quantity: missing, refused: missing, ..part(None) }
                }
            });
        }
    }
    parts.sort_unstable_by_key(|part| (part.line_no, part.location));
    parts
}

/// Takes an order's place in the days of the locations that ship it.
fn book_days(sourcing: &mut Sourcing<'_>, wanted: &Wanted, parts: &[Part]) -> Vec<(LocationId, Date)> {
    if sourcing.network.is_plain() {
        return Vec::new();
    }
    let from = wanted.wishes.not_before.map_or(sourcing.now, |at| at.max(sourcing.now));
    let mut locations: Vec<LocationId> =
        parts.iter().filter(|part| part.stocked).filter_map(|part| part.location).collect();
    locations.sort_unstable();
    locations.dedup();
    let mut days = Vec::new();
    for location in locations {
        let place = sourcing.network.place(location).filter(|place| place.location.daily_capacity > 0);
        let Some(ships) = place.and_then(|place| place.ship_day(from, &sourcing.load)) else { continue };
        sourcing.load.add(location, ships.day);
        days.push((location, ships.day));
    }
    days
}

impl Wanted {
    /// What of it is asked of stock.
    pub fn ask(&self, now: OffsetDateTime) -> Ask<'_> {
        let lines = self.lines.iter().filter(|line| line.stocked).map(|line| AskLine {
            line_no: line.line_no,
            item: line.item,
            kit: line.kit.as_deref(),
            quantity: line.quantity,
        });
        Ask {
            now,
            not_before: self.wishes.not_before,
            channel: self.wishes.channel.as_deref(),
            destination: self.wishes.destination,
            ship_complete: self.wishes.ship_complete,
            preferred: self.preferred,
            lines: lines.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::location::Location;
    use crate::sourcing::{Rules, Shelf};
    use proptest::prelude::*;
    use std::collections::HashMap;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn stock(shelves: &[(i64, i32, i64)]) -> FreeStock {
        let mut stock = FreeStock::default();
        for (item, location, free) in shelves {
            stock.add(ItemId(*item), Shelf { location: LocationId(*location), free: *free, since: None });
        }
        stock
    }

    /// By the default rules, at locations 1 to 3.
    fn decide_plainly(stock: &mut FreeStock, wants: &[Wanted]) -> Vec<Decision> {
        let locations = (1..4).map(|id| (LocationId(id), Location { code: format!("L{id}"), ..Location::default() }));
        let network = Network::new(1, Rules::default(), locations.collect());
        decide(stock, &mut Sourcing { network: &network, load: Load::default(), now: NOW }, wants)
    }

    fn wanted(policy: Policy, lines: &[(i64, bool, i64)]) -> Wanted {
        let line = |(line_no, (item, stocked, quantity)): (i32, &(i64, bool, i64))| WantedLine {
            line_no,
            item: ItemId(*item),
            stocked: *stocked,
            kit: None,
            quantity: *quantity,
        };
        Wanted { policy, wishes: Wishes::default(), preferred: None, lines: (1..).zip(lines).map(line).collect() }
    }

    /// Line, location or 0, reserved, backordered, refused.
    type Row = (i32, i32, i64, i64, i64);

    /// None when refused.
    fn outcome(decision: &Decision) -> Option<Vec<Row>> {
        let Decision::Reserved(Granted { parts, .. }) = decision else { return None };
        let row = |p: &Part| (p.line_no, p.location.map_or(0, |l| l.0), p.reserved, p.backordered, p.refused);
        Some(parts.iter().map(row).collect())
    }

    #[test]
    fn the_table_of_policies() {
        use Policy::{AllOrNothing, Backorder, WhatIsThere};
        // Item 1: 5 at location 1; item 2: 2 at location 1 and 3 at location 2; item 9 is a service.
        let shelves = [(1, 1, 5), (2, 1, 2), (2, 2, 3)];
        for (policy, lines, expected) in [
            (AllOrNothing, vec![(1, true, 5), (2, true, 3)], Some(vec![(1, 1, 5, 0, 0), (2, 2, 3, 0, 0)])),
            (AllOrNothing, vec![(1, true, 5), (2, true, 6)], None),
            (AllOrNothing, vec![(1, true, 3), (1, true, 3)], None),
            (AllOrNothing, vec![(2, true, 5)], Some(vec![(1, 1, 2, 0, 0), (1, 2, 3, 0, 0)])),
            (WhatIsThere, vec![(1, true, 7)], Some(vec![(1, 0, 0, 0, 2), (1, 1, 5, 0, 0)])),
            (
                WhatIsThere,
                vec![(1, true, 7), (3, true, 1)],
                Some(vec![(1, 0, 0, 0, 2), (1, 1, 5, 0, 0), (2, 0, 0, 0, 1)]),
            ),
            (WhatIsThere, vec![(3, true, 1)], None),
            (WhatIsThere, vec![(3, true, 1), (9, false, 1)], None),
            (Backorder, vec![(1, true, 7)], Some(vec![(1, 0, 0, 2, 0), (1, 1, 5, 0, 0)])),
            (Backorder, vec![(3, true, 4)], Some(vec![(1, 0, 0, 4, 0)])),
            (Backorder, vec![(9, false, 1)], Some(vec![(1, 1, 1, 0, 0)])),
            (AllOrNothing, vec![(9, false, 1), (2, true, 3)], Some(vec![(1, 2, 1, 0, 0), (2, 2, 3, 0, 0)])),
        ] {
            let mut stock = stock(&shelves);
            let decisions = decide_plainly(&mut stock, &[wanted(policy, &lines)]);
            assert_eq!(outcome(&decisions[0]), expected, "{policy:?} {lines:?}");
            if expected.is_none() {
                assert_eq!((stock.free(ItemId(1)), stock.free(ItemId(2))), (5, 5), "nothing is kept of a refusal");
            }
        }
    }

    #[test]
    fn one_too_large_does_not_block_a_smaller_one_behind_it() {
        let mut stock = stock(&[(1, 1, 5)]);
        let wants = [9, 4, 2, 1].map(|quantity| wanted(Policy::AllOrNothing, &[(1, true, quantity)]));
        let granted: Vec<bool> =
            decide_plainly(&mut stock, &wants).iter().map(|d| matches!(d, Decision::Reserved(_))).collect();
        assert_eq!(granted, [false, true, false, true]);
        let Decision::Refused(shorts) = &decide_plainly(&mut stock, &wants[..1])[0] else { panic!("nothing is left") };
        assert_eq!(shorts[..], [Short { line_no: 1, item: ItemId(1), wanted: 9, available: 0 }]);
    }

    fn any_policy() -> impl Strategy<Value = Policy> {
        prop_oneof![Just(Policy::AllOrNothing), Just(Policy::WhatIsThere), Just(Policy::Backorder)]
    }

    fn any_want() -> impl Strategy<Value = Wanted> {
        (any_policy(), prop::collection::vec((0i64..5, 1i64..30), 1..6)).prop_map(|(policy, lines)| {
            // Item 0 is a service.
            let lines: Vec<_> = lines.into_iter().map(|(item, quantity)| (item, item != 0, quantity)).collect();
            wanted(policy, &lines)
        })
    }

    proptest! {
        #[test]
        fn nothing_is_reserved_that_was_not_there_and_nothing_is_lost(
            shelves in prop::collection::btree_map((1i64..5, 1i32..4), 0i64..40, 0..12),
            wants in prop::collection::vec(any_want(), 1..12),
        ) {
            let rows: Vec<_> = shelves.iter().map(|((item, location), free)| (*item, *location, *free)).collect();
            let mut left = stock(&rows);
            let decisions = decide_plainly(&mut left, &wants);
            prop_assert_eq!(decisions.len(), wants.len());

            let mut reserved: HashMap<(i64, i32), i64> = HashMap::new();
            for (want, decision) in wants.iter().zip(&decisions) {
                let Decision::Reserved(Granted { parts, .. }) = decision else {
                    prop_assert!(want.policy != Policy::Backorder, "a backorder is never refused");
                    continue;
                };
                for line in &want.lines {
                    let of_line = || parts.iter().filter(|part| part.line_no == line.line_no);
                    prop_assert_eq!(of_line().map(|p| p.quantity).sum::<i64>(), line.quantity);
                    let held: i64 = of_line().map(|p| p.reserved).sum();
                    if want.policy == Policy::AllOrNothing || !line.stocked {
                        prop_assert_eq!(held, line.quantity, "all or nothing is all");
                    }
                }
                for part in parts {
                    prop_assert_eq!(part.quantity, part.reserved + part.backordered + part.refused);
                    prop_assert!(part.reserved >= 0 && part.backordered >= 0 && part.refused >= 0);
                    prop_assert_eq!(part.location.is_none(), part.reserved == 0);
                    if let (true, Some(location)) = (part.stocked, part.location) {
                        *reserved.entry((part.item.0, location.0)).or_default() += part.reserved;
                    }
                }
            }
            for (key, taken) in &reserved {
                prop_assert!(*taken <= shelves.get(key).copied().unwrap_or(0));
            }
            for item in 1..5 {
                let before: i64 = rows.iter().filter(|(i, _, _)| *i == item).map(|(_, _, free)| free).sum();
                let taken: i64 = reserved.iter().filter(|((i, _), _)| *i == item).map(|(_, q)| q).sum();
                prop_assert_eq!(left.free(ItemId(item)), before - taken);
            }
        }
    }
}
