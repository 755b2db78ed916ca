//! Whatever happens to a reservation, in whatever order: nothing is lost, and the books stay lawful.

use super::{Decision, Fill, Goods, Policy, Reservation, State, Wanted, WantedLine, decide};
use crate::item::ItemId;
use crate::location::LocationId;
use crate::sourcing::{FreeStock, Shelf};
use crate::stock::{Book, Level, StockKey};
use proptest::prelude::*;
use time::macros::datetime;
use uuid::Uuid;

const AT: time::OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
const LOCATIONS: [LocationId; 2] = [LocationId(1), LocationId(2)];

/// Line 1 is of item 1, line 2 of item 2, line 3 of a service.
fn goods(line_no: i32, location: LocationId) -> Goods {
    Goods { line_no, item: ItemId(line_no.into()), stocked: line_no < 3, location }
}

#[derive(Clone, Debug)]
enum Step {
    Cancel { line: i32, at: usize, reserved: i64, backordered: i64 },
    Issue { line: i32, at: usize, quantity: i64 },
    ShortPick { line: i32, at: usize, quantity: i64 },
    TakeBack { line: i32, at: usize, sellable: i64, damaged: i64 },
    Fill { line: i32, at: usize, quantity: i64 },
    Confirm { line: i32, at: usize, quantity: i64 },
    Expire,
    Close,
}

fn any_step() -> impl Strategy<Value = Step> {
    let (line, at, quantity) = (1..=3i32, 0..2usize, 1..8i64);
    prop_oneof![
        4 => (line.clone(), at.clone(), 0..5i64, 0..5i64)
            .prop_map(|(line, at, reserved, backordered)| Step::Cancel { line, at, reserved, backordered }),
        4 => (line.clone(), at.clone(), quantity.clone())
            .prop_map(|(line, at, quantity)| Step::Issue { line, at, quantity }),
        3 => (line.clone(), at.clone(), quantity.clone())
            .prop_map(|(line, at, quantity)| Step::ShortPick { line, at, quantity }),
        2 => (line.clone(), at.clone(), 0..5i64, 0..5i64)
            .prop_map(|(line, at, sellable, damaged)| Step::TakeBack { line, at, sellable, damaged }),
        4 => (line.clone(), at.clone(), quantity.clone())
            .prop_map(|(line, at, quantity)| Step::Fill { line, at, quantity }),
        2 => (line, at, quantity).prop_map(|(line, at, quantity)| Step::Confirm { line, at, quantity }),
        1 => Just(Step::Expire),
        1 => Just(Step::Close),
    ]
}

/// Does a step as its use case would; the quantity that the books did not know of and that was found.
fn take(step: &Step, reservation: &mut Reservation, fills: &mut Vec<Fill>, book: &mut Book) -> i64 {
    match *step {
        Step::Cancel { line, at, reserved, backordered } => {
            reservation.release_line(line, &[(LOCATIONS[at], reserved)], backordered, fills, book);
        }
        Step::Issue { line, at, quantity } => {
            return reservation.issue(goods(line, LOCATIONS[at]), quantity, book).unbooked;
        }
        Step::ShortPick { line, at, quantity } => {
            reservation.short_pick(line, LOCATIONS[at], quantity, book);
        }
        Step::TakeBack { line, at, sellable, damaged } => {
            // More than left cannot come back.
            let of_line = || reservation.parts.iter().filter(|part| part.line_no == line);
            let out: i64 = of_line().map(|part| part.issued - part.returned).sum();
            let sellable = sellable.min(out);
            reservation.take_back(goods(line, LOCATIONS[at]), sellable, damaged.min(out - sellable), book);
        }
        Step::Fill { line, at, quantity } => {
            let Goods { item, location, .. } = goods(line, LOCATIONS[at]);
            let waiting =
                reservation.parts.iter().filter(|part| part.line_no == line).map(|part| part.backordered).sum();
            let quantity = quantity.min(book.level(StockKey { item, location }).free()).min(waiting);
            if quantity > 0 {
                reservation.fill(line, item, location, quantity, book);
                let (order_id, version) = (reservation.order_id, reservation.next_version());
                fills.push(Fill { order_id, version, line_no: line, location, quantity, changed: true });
            }
        }
        Step::Confirm { line, at, quantity } => {
            reservation.confirm(&[(line, LOCATIONS[at], quantity)], &[(line, 1)], book)
        }
        Step::Expire if reservation.state == State::Held && !reservation.confirmed => reservation.expire(book),
        Step::Expire => {}
        Step::Close => drop(reservation.close(book)),
    }
    0
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_oversold(
        on_hand in prop::array::uniform4(0i64..12),
        wanted in prop::array::uniform3(1i64..12),
        backorders: bool,
        steps in prop::collection::vec(any_step(), 0..40),
    ) {
        let keys = [(1, 1), (1, 2), (2, 1), (2, 2)]
            .map(|(item, location)| StockKey { item: ItemId(item), location: LocationId(location) });
        let mut book = Book::new(keys.into_iter().zip(on_hand).map(|(key, on_hand)| (key, Level { on_hand, ..Level::default() })));
        let mut free = FreeStock::default();
        for (key, on_hand) in keys.into_iter().zip(on_hand) {
            free.add(key.item, Shelf { location: key.location, free: on_hand });
        }
        let lines = (1..=3i32).zip(wanted).map(|(line_no, quantity)| {
            WantedLine { line_no, item: ItemId(line_no.into()), stocked: line_no < 3, quantity }
        });
        let policy = if backorders { Policy::Backorder } else { Policy::WhatIsThere };
        let decision = decide(&mut free, Some(LOCATIONS[0]), &[Wanted { policy, lines: lines.collect() }]).remove(0);
        let Decision::Reserved(parts) = decision else { return Ok(()) };
        let mut reservation = Reservation { policy, parts, confirmed: false, ..Reservation::unknown(Uuid::nil(), State::Held, AT) };
        reservation.units = wanted.iter().sum();
        for part in reservation.parts.iter().filter(|part| part.stocked && part.reserved > 0) {
            let key = StockKey { item: part.item, location: part.location.unwrap() };
            book.change(key, Level { reserved: part.reserved, ..Level::default() });
        }

        let mut fills = Vec::new();
        for step in &steps {
            let before = keys.map(|key| book.level(key));
            let found = take(step, &mut reservation, &mut fills, &mut book);
            let line_of = |part: &super::Part| part.reserved + part.issued + part.backordered + part.refused + part.released;
            for part in &reservation.parts {
                prop_assert_eq!(part.quantity, line_of(part), "{:?} {:?}", step, part);
                let least = [part.reserved, part.issued, part.returned, part.backordered, part.refused, part.released];
                prop_assert!(least.iter().all(|quantity| *quantity >= 0), "{:?} {:?}", step, part);
                prop_assert!(part.location.is_some() || part.reserved + part.issued == 0);
                prop_assert!(part.location.is_none() || part.backordered + part.refused == 0);
            }
            prop_assert_eq!(reservation.parts.iter().map(|part| part.quantity).sum::<i64>(), reservation.units);
            for (key, before) in keys.into_iter().zip(before) {
                let level = book.level(key);
                prop_assert!(level.reserved >= 0 && level.reserved <= level.on_hand && level.damaged >= 0, "{:?}", step);
                let of_key = |part: &&super::Part| part.item == key.item && part.location == Some(key.location);
                let held: i64 = reservation.parts.iter().filter(of_key).map(|part| part.reserved).sum();
                prop_assert_eq!(level.reserved, held, "{:?}", step);
                if let Step::Issue { line, at, quantity } = step
                    && goods(*line, LOCATIONS[*at]).item == key.item && LOCATIONS[*at] == key.location
                {
                    prop_assert_eq!(before.on_hand + found - quantity, level.on_hand);
                }
            }
            if reservation.state != State::Held {
                prop_assert_eq!(reservation.parts.iter().map(|part| part.reserved + part.backordered).sum::<i64>(), 0, "{:?}", step);
            }
        }
    }
}
