//! Whatever happens to a reservation, in whatever order: nothing is lost, and the books stay lawful.

use super::{
    Decision, Fill, Goods, Granted, Part, Policy, Reservation, Sourcing, State, Wanted, WantedLine, Wishes, decide,
};
use crate::item::ItemId;
use crate::kit::{Component, Kit};
use crate::location::{Location, LocationId};
use crate::network::Network;
use crate::sourcing::{FreeStock, Load, Rules, Shelf};
use crate::stock::{Book, Level, StockKey};
use proptest::prelude::*;
use std::sync::Arc;
use time::macros::datetime;
use uuid::Uuid;

const AT: time::OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const LOCATIONS: [LocationId; 2] = [LocationId(1), LocationId(2)];

/// Line 1 is of item 1, line 2 of item 2, line 3 of a service, line 4 of a kit of one of item 1 and two of item 2.
fn goods(line_no: i32, location: LocationId) -> Goods {
    Goods { line_no, item: ItemId(line_no.into()), stocked: line_no != 3, location, kit: kit(line_no) }
}

fn kit(line_no: i32) -> Option<Arc<Kit>> {
    let component = |item, quantity| Component { item: ItemId(item), quantity };
    (line_no == 4).then(|| Arc::new(Kit { version: 1, components: vec![component(1, 1), component(2, 2)] }))
}

#[derive(Clone, Debug)]
enum Step {
    Cancel { line: i32, at: usize, reserved: i64, backordered: i64 },
    Issue { line: i32, at: usize, quantity: i64 },
    ShortPick { line: i32, at: usize, quantity: i64 },
    Miss { line: i32, at: usize, quantity: i64 },
    GiveUp { line: i32, at: usize, quantity: i64 },
    TakeBack { line: i32, at: usize, sellable: i64, damaged: i64 },
    Fill { line: i32, at: usize, quantity: i64 },
    Confirm { line: i32, at: usize, quantity: i64 },
    Expire,
    Close,
}

fn any_step() -> impl Strategy<Value = Step> {
    let (line, at, quantity) = (1..=4i32, 0..2usize, 1..8i64);
    prop_oneof![
        4 => (line.clone(), at.clone(), 0..5i64, 0..5i64)
            .prop_map(|(line, at, reserved, backordered)| Step::Cancel { line, at, reserved, backordered }),
        4 => (line.clone(), at.clone(), quantity.clone())
            .prop_map(|(line, at, quantity)| Step::Issue { line, at, quantity }),
        3 => (line.clone(), at.clone(), quantity.clone())
            .prop_map(|(line, at, quantity)| Step::ShortPick { line, at, quantity }),
        3 => (line.clone(), at.clone(), quantity.clone())
            .prop_map(|(line, at, quantity)| Step::Miss { line, at, quantity }),
        1 => (line.clone(), at.clone(), quantity.clone())
            .prop_map(|(line, at, quantity)| Step::GiveUp { line, at, quantity }),
        2 => (line.clone(), at.clone(), 0..5i64, 0..5i64)
            .prop_map(|(line, at, sellable, damaged)| Step::TakeBack { line, at, sellable, damaged }),
        4 => (line.clone(), at.clone(), quantity.clone())
            .prop_map(|(line, at, quantity)| Step::Fill { line, at, quantity }),
        2 => (line, at, quantity).prop_map(|(line, at, quantity)| Step::Confirm { line, at, quantity }),
        1 => Just(Step::Expire),
        1 => Just(Step::Close),
    ]
}

/// What left of a key, and of it the quantity that the books did not know of and that was found.
type Left = Vec<(StockKey, i64, i64)>;

/// Does a step as its use case would; what left.
fn take(step: &Step, reservation: &mut Reservation, fills: &mut Vec<Fill>, book: &mut Book) -> Left {
    match *step {
        Step::Cancel { line, at, reserved, backordered } => {
            reservation.release_line(line, &[(LOCATIONS[at], reserved)], backordered, fills, book);
        }
        Step::Issue { line, at, quantity } => {
            let issues = reservation.issue(&goods(line, LOCATIONS[at]), quantity, book);
            return issues.iter().map(|issue| (issue.key, issue.quantity, issue.unbooked)).collect();
        }
        Step::ShortPick { line, at, quantity } => {
            reservation.short_pick(line, LOCATIONS[at], quantity, book);
        }
        Step::Miss { line, at, quantity } => {
            reservation.miss(line, LOCATIONS[at], quantity, book);
        }
        Step::GiveUp { line, at, quantity } => {
            reservation.give_up(line, LOCATIONS[at], quantity, book);
        }
        Step::TakeBack { line, at, sellable, damaged } => {
            // More than left cannot come back.
            let of_line = || reservation.parts.iter().filter(|part| part.line_no == line);
            let out: i64 = of_line().map(|part| part.issued - part.returned).sum();
            let sellable = sellable.min(out);
            reservation.take_back(&goods(line, LOCATIONS[at]), sellable, damaged.min(out - sellable), book);
        }
        Step::Fill { line, at, quantity } => {
            let Goods { item, location, .. } = goods(line, LOCATIONS[at]);
            let waiting =
                reservation.parts.iter().filter(|part| part.line_no == line).map(|part| part.backordered).sum();
            let here = Part { kit: kit(line), ..Part::empty(line, Some(location), item, line != 3) };
            let quantity = quantity.min(here.free(book)).min(waiting);
            if quantity > 0 {
                reservation.fill(line, item, location, quantity, book);
                let (order_id, version) = (reservation.order_id, reservation.next_version());
                fills.push(Fill { order_id, version, line_no: line, location, quantity, changed: true });
            }
        }
        Step::Confirm { line, at, quantity } => {
            reservation.confirm(&[(line, LOCATIONS[at], quantity)], &[(line, 1)], book)
        }
        Step::Expire if reservation.state == State::Held && !reservation.confirmed => {
            reservation.expire(book);
        }
        Step::Expire => {}
        Step::Close => drop(reservation.close(book)),
    }
    Vec::new()
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_oversold(
        on_hand in prop::array::uniform4(0i64..12),
        wanted in prop::array::uniform4(1i64..12),
        backorders: bool,
        steps in prop::collection::vec(any_step(), 0..40),
    ) {
        let keys = [(1, 1), (1, 2), (2, 1), (2, 2)]
            .map(|(item, location)| StockKey { item: ItemId(item), location: LocationId(location) });
        let mut book = Book::new(keys.into_iter().zip(on_hand).map(|(key, on_hand)| (key, Level { on_hand, ..Level::default() })));
        let mut free = FreeStock::default();
        for (key, on_hand) in keys.into_iter().zip(on_hand) {
            free.add(key.item, Shelf { location: key.location, free: on_hand, since: None });
        }
        let lines = (1..=4i32).zip(wanted).map(|(line_no, quantity)| {
            WantedLine { line_no, item: ItemId(line_no.into()), stocked: line_no != 3, kit: kit(line_no), quantity }
        });
        let policy = if backorders { Policy::Backorder } else { Policy::WhatIsThere };
        let locations = LOCATIONS.map(|id| (id, Location { code: format!("L{}", id.0), ..Location::default() }));
        let network = Network::new(1, Rules::default(), locations.into());
        let mut sourcing = Sourcing { network: &network, load: Load::default(), now: AT };
        let wanted_lines = Wanted { policy, wishes: Wishes::default(), preferred: None, lines: lines.collect() };
        let decision = decide(&mut free, &mut sourcing, &[wanted_lines]).remove(0);
        let Decision::Reserved(Granted { parts, .. }) = decision else { return Ok(()) };
        let mut reservation = Reservation { policy, parts, confirmed: false, ..Reservation::unknown(Uuid::nil(), State::Held, AT) };
        reservation.units = wanted.iter().sum();
        for part in &reservation.parts {
            part.book_reserved(part.reserved, &mut book);
        }

        let mut fills = Vec::new();
        for step in &steps {
            let before = keys.map(|key| book.level(key));
            let left = take(step, &mut reservation, &mut fills, &mut book);
            let line_of = |part: &super::Part| part.reserved + part.issued + part.backordered + part.refused + part.released;
            for part in &reservation.parts {
                prop_assert_eq!(part.quantity, line_of(part), "{:?} {:?}", step, part);
                let least = [part.reserved, part.issued, part.returned, part.backordered, part.refused, part.released];
                prop_assert!(least.iter().all(|quantity| *quantity >= 0), "{:?} {:?}", step, part);
                prop_assert!((0..=part.reserved).contains(&part.missing), "{:?} {:?}", step, part);
                prop_assert!(part.location.is_some() || part.reserved + part.issued == 0);
                prop_assert!(part.location.is_none() || part.backordered + part.refused == 0);
            }
            prop_assert_eq!(reservation.parts.iter().map(|part| part.quantity).sum::<i64>(), reservation.units);
            for (key, before) in keys.into_iter().zip(before) {
                let level = book.level(key);
                prop_assert!(level.reserved >= 0 && level.reserved <= level.on_hand && level.damaged >= 0, "{:?}", step);
                let here = reservation.parts.iter().filter(|part| part.stocked && part.location == Some(key.location));
                let of_part = |part: &Part| {
                    part.pieces().filter(|piece| piece.item == key.item).map(|piece| piece.quantity * part.there()).sum::<i64>()
                };
                prop_assert_eq!(level.reserved, here.map(of_part).sum::<i64>(), "{:?}", step);
                for (_, quantity, found) in left.iter().filter(|(of, ..)| *of == key) {
                    prop_assert_eq!(before.on_hand + found - quantity, level.on_hand);
                }
            }
            if reservation.state != State::Held {
                prop_assert_eq!(reservation.parts.iter().map(|part| part.reserved + part.backordered).sum::<i64>(), 0, "{:?}", step);
            }
        }
    }
}
