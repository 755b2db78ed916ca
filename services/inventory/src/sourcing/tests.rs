use super::{Ask, AskLine, Explanation, FreeStock, Load, PlanKind, Rules, Shelf, Verdict, distance_km, plan};
use crate::calendar::Calendar;
use crate::item::ItemId;
use crate::location::{Location, LocationId};
use crate::network::Network;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use time::macros::{date, datetime};
use time::{Duration, OffsetDateTime};

/// A Sunday.
const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const LONDON: (f64, f64) = (51.5074, -0.1278);
const BERLIN: (f64, f64) = (52.52, 13.405);
const JAKARTA: (f64, f64) = (-6.2, 106.8167);

fn location(id: i32, at: (f64, f64), rank: i32) -> (LocationId, Location) {
    let code = format!("L{id}");
    (LocationId(id), Location { code, latitude: at.0, longitude: at.1, rank, ..Location::default() })
}

fn stock(rows: &[(i64, i32, i64)]) -> FreeStock {
    let mut stock = FreeStock::default();
    for (item, location, free) in rows {
        stock.add(ItemId(*item), Shelf { location: LocationId(*location), free: *free, since: None });
    }
    stock
}

fn ask<'a>(lines: &[(i64, i64)]) -> Ask<'a> {
    let line = |(line_no, (item, quantity)): (i32, &(i64, i64))| AskLine {
        line_no,
        item: ItemId(*item),
        kit: None,
        quantity: *quantity,
    };
    Ask {
        now: NOW,
        not_before: None,
        channel: None,
        destination: None,
        ship_complete: false,
        preferred: None,
        lines: (1..).zip(lines).map(line).collect(),
    }
}

/// Item 1 at London and Berlin, item 2 at Berlin and Jakarta, by rank 0, 1, 2.
fn world(rules: Rules) -> (Network, FreeStock) {
    let locations = vec![location(1, LONDON, 0), location(2, BERLIN, 1), location(3, JAKARTA, 2)];
    (Network::new(1, rules, locations), stock(&[(1, 1, 5), (1, 2, 5), (2, 2, 5), (2, 3, 5)]))
}

/// (line, location, quantity), and the explanation.
fn chosen(network: &Network, stock: &FreeStock, load: &Load, ask: &Ask<'_>) -> (Vec<(i32, i32, i64)>, Explanation) {
    let plan = plan(&mut stock.clone(), network, load, ask);
    let lines = ask.lines.iter().zip(&plan.taken);
    let taken = lines.flat_map(|(line, some)| some.iter().map(|(at, quantity)| (line.line_no, at.0, *quantity)));
    (taken.collect(), plan.explanation.unwrap())
}

fn verdict(explanation: &Explanation, location: i32) -> Verdict {
    explanation.candidates.iter().find(|candidate| candidate.location.0 == location).unwrap().verdict
}

#[test]
fn distances_are_great_circles() {
    for (from, to, km) in [(LONDON, BERLIN, 932.0), (LONDON, JAKARTA, 11_713.0), (LONDON, LONDON, 0.0)] {
        assert!((distance_km(from, to) - km).abs() < km / 200.0 + 0.1, "{from:?} {to:?} {}", distance_km(from, to));
    }
    assert!((distance_km((0.0, 179.5), (0.0, -179.5)) - 111.2).abs() < 0.5, "over the date line");
}

#[test]
fn by_default_rank_and_code_decide_line_by_line() {
    let (network, stock) = world(Rules::default());
    let mut order = ask(&[(1, 2), (2, 2)]);
    order.destination = Some(JAKARTA);
    let (taken, explanation) = chosen(&network, &stock, &Load::default(), &order);
    assert_eq!(taken, [(1, 1, 2), (2, 2, 2)]);
    assert!(explanation.distance_known);
    assert_eq!(verdict(&explanation, 3), Verdict::NotNeeded);
}

#[test]
fn one_location_alone_is_no_choice() {
    let (network, stock) = world(Rules::default());
    let only = stock_of(&stock, 1);
    let plan = plan(&mut only.clone(), &network, &Load::default(), &ask(&[(1, 7)]));
    assert_eq!((plan.taken, plan.explanation), (vec![vec![(LocationId(1), 5)]], None));
}

fn stock_of(stock: &FreeStock, location: i32) -> FreeStock {
    let mut only = FreeStock::default();
    for item in stock.items() {
        for shelf in stock.shelves(item).iter().filter(|shelf| shelf.location.0 == location) {
            only.add(item, *shelf);
        }
    }
    only
}

#[test]
fn the_table_of_rules() {
    let near = Rules { version: 1, distance_weight: 1.0, rank_weight: 0.0, ..Rules::default() };
    let whole = Rules { version: 1, whole_order_first: true, ..Rules::default() };
    let unsplit = Rules { version: 1, split_weight: 10.0, ..Rules::default() };
    let cheap_split = Rules { version: 1, split_weight: 0.1, rank_weight: 10.0, ..Rules::default() };
    let one_only = Rules { version: 1, max_locations: 1, ..Rules::default() };
    for (name, rules, lines, expected, kind) in [
        ("near", near, vec![(1, 2), (2, 2)], vec![(1, 2, 2), (2, 3, 2)], PlanKind::BestForEachLine),
        ("whole", whole, vec![(1, 2), (2, 2)], vec![(1, 2, 2), (2, 2, 2)], PlanKind::SingleLocation),
        ("unsplit", unsplit, vec![(1, 2), (2, 2)], vec![(1, 2, 2), (2, 2, 2)], PlanKind::SingleLocation),
        // Berlin alone costs 10, London and Berlin 10.1.
        ("cheap", cheap_split, vec![(1, 2), (2, 2)], vec![(1, 2, 2), (2, 2, 2)], PlanKind::SingleLocation),
        // Nobody has it all: as much as one has.
        ("one only", one_only, vec![(1, 8), (2, 8)], vec![(1, 2, 5), (2, 2, 5)], PlanKind::SingleLocation),
    ] {
        let (network, stock) = world(rules);
        let mut order = ask(&lines);
        order.destination = Some(JAKARTA);
        let (taken, explanation) = chosen(&network, &stock, &Load::default(), &order);
        assert_eq!(taken, expected, "{name}");
        assert_eq!(explanation.plans[0].kind, kind, "{name}");
    }
}

#[test]
fn old_stock_goes_first_where_age_counts() {
    let rules = Rules { version: 1, age_weight: 1.0, ..Rules::default() };
    let (network, _) = world(rules);
    let mut stock = FreeStock::default();
    let shelf = |location, since| Shelf { location: LocationId(location), free: 5, since: Some(since) };
    stock.add(ItemId(1), shelf(1, NOW - Duration::days(1)));
    stock.add(ItemId(1), shelf(2, NOW - Duration::days(90)));
    let (taken, explanation) = chosen(&network, &stock, &Load::default(), &ask(&[(1, 2)]));
    assert_eq!(taken, [(1, 2, 2)], "three steps of age outweigh one of rank");
    assert!((explanation.candidates[0].points(&network.rules) - (1.0 - 3.0)).abs() < 1e-9);
}

#[test]
fn wishes_are_honoured() {
    let (network, stock) = world(Rules::default());
    let preferred = Ask { preferred: Some(LocationId(2)), ..ask(&[(1, 2)]) };
    let (taken, explanation) = chosen(&network, &stock, &Load::default(), &preferred);
    assert_eq!(taken, [(1, 2, 2)]);
    assert!(explanation.candidates[0].preferred);
    let complete = Ask { ship_complete: true, ..ask(&[(1, 2), (2, 2)]) };
    assert_eq!(chosen(&network, &stock, &Load::default(), &complete).0, [(1, 2, 2), (2, 2, 2)]);
}

#[test]
fn locations_that_must_not_or_cannot_ship_are_rejected_with_the_reason() {
    let (_, stock) = world(Rules::default());
    let with = |change: fn(&mut Location)| {
        let mut locations = vec![location(1, LONDON, 0), location(2, BERLIN, 1), location(3, JAKARTA, 2)];
        change(&mut locations[0].1);
        Network::new(1, Rules { version: 1, max_ship_delay_days: 1, ..Rules::default() }, locations)
    };
    let load = Load::new([(LocationId(1), date!(2026 - 11 - 22), 2)]);
    let weekdays = |l: &mut Location| {
        l.calendar =
            Calendar { working_days: 0b001_1111, holidays: [date!(2026 - 11 - 23)].into(), ..Calendar::default() };
    };
    for (change, expected, soft) in [
        ((|l: &mut Location| l.closed = true) as fn(&mut Location), Verdict::Closed, false),
        (|l: &mut Location| l.channels = ["pos".to_owned()].into(), Verdict::ChannelNotServed, false),
        (|l: &mut Location| l.daily_capacity = 2, Verdict::NoCapacity, true),
        (weekdays, Verdict::TooLate, true),
    ] {
        let network = with(change);
        let order = Ask { channel: Some("web"), ..ask(&[(1, 5)]) };
        let (taken, explanation) = chosen(&network, &stock, &load, &order);
        assert_eq!((taken, verdict(&explanation, 1)), (vec![(1, 2, 5)], expected));
        // What no other has is taken from those only passed over, and never from those rejected.
        let order = Ask { channel: Some("web"), ..ask(&[(1, 7)]) };
        let (taken, _) = chosen(&network, &stock, &load, &order);
        assert_eq!(taken.len(), if soft { 2 } else { 1 }, "{expected:?}");
    }
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let weight = 0.0..20.0f64;
    (weight.clone(), weight.clone(), weight.clone(), weight, any::<bool>(), 0..4usize, 0..3i64).prop_map(
        |(rank, distance, split, capacity, whole_order_first, max_locations, max_ship_delay_days)| Rules {
            version: 1,
            rank_weight: rank,
            distance_weight: distance,
            split_weight: split,
            capacity_weight: capacity,
            whole_order_first,
            max_locations,
            max_ship_delay_days,
            ..Rules::default()
        },
    )
}

fn any_location(id: i32) -> impl Strategy<Value = (LocationId, Location)> {
    let point = (-90.0..90.0f64, -180.0..180.0f64);
    (point, 0..3i32, prop::bool::weighted(0.2), 0..3i32, prop::bool::weighted(0.2), 1..128i16).prop_map(
        move |(at, rank, closed, daily_capacity, pos_only, working_days)| {
            let (key, mut location) = location(id, at, rank);
            location.closed = closed;
            location.daily_capacity = daily_capacity;
            location.channels = if pos_only { ["pos".to_owned()].into() } else { BTreeSet::new() };
            location.calendar.working_days = working_days;
            (key, location)
        },
    )
}

proptest! {
    #[test]
    fn nothing_is_oversold_and_every_candidate_is_explained(
        rules in any_rules(),
        locations in (any_location(1), any_location(2), any_location(3), any_location(4)),
        shelves in prop::collection::btree_map((1i64..4, 1i32..5), 0i64..20, 0..10),
        lines in prop::collection::vec((1i64..4, 1i64..25), 1..5),
        loads in prop::collection::vec((1i32..5, 0i64..3, 0..4i32), 0..6),
        wishes in (any::<bool>(), prop::option::of(1i32..5), any::<bool>(), any::<bool>()),
    ) {
        let max_locations = rules.max_locations;
        let network = Network::new(1, rules, vec![locations.0, locations.1, locations.2, locations.3]);
        let rows: Vec<_> = shelves.iter().map(|((item, at), free)| (*item, *at, *free)).collect();
        let load = Load::new(loads.iter().map(|(at, day, orders)| (LocationId(*at), NOW.date() + Duration::days(*day), *orders)));
        let (ship_complete, preferred, to_berlin, web) = wishes;
        let order = Ask {
            ship_complete,
            preferred: preferred.map(LocationId),
            destination: to_berlin.then_some(BERLIN),
            channel: web.then_some("web"),
            ..ask(&lines)
        };
        let mut left = stock(&rows);
        let plan = plan(&mut left, &network, &load, &order);

        let mut used: BTreeMap<(i64, i32), i64> = BTreeMap::new();
        let mut places = BTreeSet::new();
        for (line, some) in order.lines.iter().zip(&plan.taken) {
            prop_assert!(some.iter().map(|(_, quantity)| quantity).sum::<i64>() <= line.quantity);
            for (at, quantity) in some {
                prop_assert!(*quantity > 0);
                let place = network.place(*at).unwrap();
                prop_assert!(!place.location.closed && place.serves(order.channel), "rejected ones ship nothing");
                *used.entry((line.item.0, at.0)).or_default() += quantity;
                places.insert(*at);
            }
        }
        for ((item, at), free) in &shelves {
            let taken = used.remove(&(*item, *at)).unwrap_or(0);
            prop_assert!(taken <= *free, "nothing is taken that was not there");
            prop_assert_eq!(left.free_at(ItemId(*item), None, LocationId(*at)), free - taken, "nothing is lost");
        }
        prop_assert!(used.is_empty());
        prop_assert!(max_locations == 0 || places.len() <= max_locations);

        let explanation = plan.explanation.unwrap();
        prop_assert_eq!(explanation.distance_known, to_berlin);
        let wanted: BTreeSet<i64> = lines.iter().map(|(item, _)| *item).collect();
        let standing: BTreeSet<i32> = shelves.keys().filter(|(item, _)| wanted.contains(item)).map(|(_, at)| *at).collect();
        let told: BTreeSet<i32> = explanation.candidates.iter().map(|candidate| candidate.location.0).collect();
        prop_assert_eq!(told, standing, "every location with a shelf is a candidate");
        for candidate in &explanation.candidates {
            let chosen = candidate.shelves.iter().any(|shelf| shelf.taken > 0);
            prop_assert_eq!(candidate.verdict == Verdict::Chosen, chosen);
            prop_assert_eq!(chosen, places.contains(&candidate.location));
        }
    }
}
