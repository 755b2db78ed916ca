//! What can happen next in a history: thrown by dice, from what is possible now.

use super::model::{Edit, Fate, Line, NewOrder, Order, Policy, Wish, World, line_total};
use rand::Rng;
use rand::rngs::StdRng;

/// Most orders of a history, bare reservations among them.
const ORDERS: usize = 3;
/// Most lines of an order that still grows.
const LINES: usize = 3;

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// An order is placed.
    Place(NewOrder),
    /// Stock is reserved for an order that nobody will place.
    Reserve(NewOrder),
    /// Goods come in.
    Receive { sku: usize, quantity: i64 },
    /// Quantities by line (from 0) of an order are cancelled; `whole`: it was asked for without naming them.
    Cancel { order: usize, lines: Vec<(usize, i64)>, whole: bool },
    /// Quantities by line (from 0) of an order come back.
    Return { order: usize, lines: Vec<(usize, i64)> },
    /// An order changes; `refused`: it must be told that it cannot, because not enough is there.
    Change { order: usize, edits: Vec<Edit>, refused: bool },
    /// So many pieces of an item are found on the shelf.
    Count { sku: usize, counted: i64 },
    /// Time passes, until what was not confirmed has lapsed.
    Lapse,
    /// Nothing.
    Rest,
}

impl Step {
    /// What the model makes of it.
    pub fn apply(&mut self, world: &mut World) {
        match self {
            Self::Place(new) => world.place(new),
            Self::Reserve(new) => world.reserve_bare(new),
            Self::Receive { sku, quantity } => world.receive(*sku, *quantity),
            Self::Cancel { order, lines, .. } => world.cancel(*order, lines),
            Self::Return { order, lines } => world.take_back(*order, lines),
            Self::Change { order, edits, refused } => *refused = !world.change(*order, edits),
            Self::Count { sku, counted } => world.count(*sku, *counted),
            Self::Lapse => world.lapse(),
            Self::Rest => {}
        }
    }
}

/// Throws the next step.
pub fn next(dice: &mut StdRng, world: &World) -> Step {
    loop {
        let step = match dice.random_range(0..100) {
            0..35 => place(dice, world),
            35..42 => reserve(dice, world),
            42..62 => Some(receive(dice, world)),
            62..72 => cancel(dice, world),
            72..93 => give_back(dice, world),
            // Calls of their own, which take the longest.
            93..97 => change(dice, world),
            _ => count(dice, world),
        };
        if let Some(step) = step {
            return step;
        }
    }
}

fn place(dice: &mut StdRng, world: &World) -> Option<Step> {
    (world.orders.len() < ORDERS).then(|| Step::Place(new_order(dice, world)))
}

fn reserve(dice: &mut StdRng, world: &World) -> Option<Step> {
    let may = world.orders.len() < ORDERS && world.orders.iter().all(|order| order.fate != Fate::Bare);
    may.then(|| Step::Reserve(NewOrder { declined: false, straight: false, ..new_order(dice, world) }))
}

fn new_order(dice: &mut StdRng, world: &World) -> NewOrder {
    let lines = dice.random_range(1..=2);
    NewOrder {
        policy: match dice.random_range(0..10) {
            0..6 => Policy::Backorder,
            6..8 => Policy::WhatIsThere,
            _ => Policy::AllOrNothing,
        },
        straight: dice.random_bool(0.6),
        priority: dice.random_range(4..7),
        // Unlike the others' of the history, and mostly later.
        placed_at: i64::try_from(world.orders.len()).unwrap_or(0) + 10 * dice.random_range(0..20),
        by_card: dice.random_bool(0.25),
        declined: dice.random_bool(0.03),
        lines: (0..lines).map(|_| wish(dice, world.on_hand.len())).collect(),
    }
}

fn wish(dice: &mut StdRng, skus: usize) -> Wish {
    let mut wish =
        Wish { sku: dice.random_range(0..skus), quantity: dice.random_range(1..=9), price: 0, discount: 0, tax: 0 };
    wish.price = price(dice);
    let total = line_total(wish.price, wish.quantity);
    if dice.random_bool(0.4) {
        wish.discount = dice.random_range(0..=total);
    }
    if dice.random_bool(0.5) {
        wish.tax = dice.random_range(0..=total / 4 + 3);
    }
    wish
}

/// Whole cents, or finer; now and then free of charge.
fn price(dice: &mut StdRng) -> i64 {
    match dice.random_range(0..10) {
        0 => 0,
        1..5 => dice.random_range(1..3_000) * 10_000,
        _ => dice.random_range(1..30_000_000),
    }
}

fn receive(dice: &mut StdRng, world: &World) -> Step {
    Step::Receive { sku: dice.random_range(0..world.on_hand.len()), quantity: dice.random_range(1..=12) }
}

fn cancel(dice: &mut StdRng, world: &World) -> Option<Step> {
    let (order, open) = some_of(dice, world, |order| order.lines.iter().map(Line::open).collect())?;
    if dice.random_bool(0.3) {
        let all = open.into_iter().enumerate().filter(|(_, open)| *open > 0).collect();
        return Some(Step::Cancel { order, lines: all, whole: true });
    }
    Some(Step::Cancel { order, lines: parts(dice, &open), whole: false })
}

fn give_back(dice: &mut StdRng, world: &World) -> Option<Step> {
    let (order, out) = some_of(dice, world, |order| order.lines.iter().map(Line::out).collect())?;
    Some(Step::Return { order, lines: parts(dice, &out) })
}

fn change(dice: &mut StdRng, world: &World) -> Option<Step> {
    let (order, _) = some_of(dice, world, |order| order.lines.iter().map(|line| line.open() + line.shipped).collect())?;
    let lines = &world.orders[order].lines;
    let mut edits: Vec<Edit> = Vec::new();
    if dice.random_bool(0.1) && lines.iter().any(|line| line.open() > 0) {
        return Some(Step::Change { order, edits: vec![Edit::Rest], refused: false });
    }
    for (l, line) in lines.iter().enumerate() {
        edits.extend(if dice.random_bool(0.6) { edit(dice, l, line, lines.len() < LINES) } else { None });
    }
    if lines.len() < LINES && dice.random_bool(0.3) {
        edits.push(Edit::Add(wish(dice, world.on_hand.len())));
    }
    if dice.random_bool(0.15) && lines.iter().any(|line| line.open() > 0) && edits.is_empty() {
        edits.push(Edit::Address);
    }
    (!edits.is_empty()).then_some(Step::Change { order, edits, refused: false })
}

fn edit(dice: &mut StdRng, l: usize, line: &Line, may_grow: bool) -> Option<Edit> {
    let (open, now) = (line.open(), line.open() + line.shipped);
    match dice.random_range(0..10) {
        0..5 => {
            let quantity = dice.random_range(line.shipped..=if may_grow { now + 4 } else { now });
            (quantity != now).then_some(Edit::Quantity { line: l, quantity })
        }
        5..8 if open > 0 => {
            let price = price(dice);
            let total = line_total(price, open);
            let discount = dice.random_bool(0.3).then(|| dice.random_range(0..=total));
            let tax = dice.random_bool(0.3).then(|| dice.random_range(0..=total / 4 + 3));
            Some(Edit::Price { line: l, price, discount, tax })
        }
        8.. if open > 0 => Some(Edit::Remove { line: l }),
        _ => None,
    }
}

fn count(dice: &mut StdRng, world: &World) -> Option<Step> {
    let sku = dice.random_range(0..world.on_hand.len());
    // What is held for an order that is not confirmed cannot be counted away.
    let holders = world.confirmed_holders(sku);
    let confirmed: i64 = holders.iter().map(|(order, line)| world.orders[*order].lines[*line].reserved).sum();
    let (on_hand, least) = (world.on_hand[sku], world.reserved(sku) - confirmed);
    let counted = dice.random_range(least.max(on_hand - 5)..=on_hand + 4);
    (on_hand > 0).then_some(Step::Count { sku, counted })
}

/// A confirmed order of whose lines there is something, and how much of each.
fn some_of(dice: &mut StdRng, world: &World, quantities: impl Fn(&Order) -> Vec<i64>) -> Option<(usize, Vec<i64>)> {
    let of = |(i, order): (usize, &Order)| (i, quantities(order));
    let confirmed = world.orders.iter().enumerate().filter(|(_, order)| order.fate == Fate::Confirmed);
    let mut found: Vec<_> = confirmed.map(of).filter(|(_, some)| some.iter().sum::<i64>() > 0).collect();
    (!found.is_empty()).then(|| found.swap_remove(dice.random_range(0..found.len())))
}

/// Parts of these quantities, at least one.
fn parts(dice: &mut StdRng, quantities: &[i64]) -> Vec<(usize, i64)> {
    loop {
        let mut parts = Vec::new();
        for (line, quantity) in quantities.iter().enumerate().filter(|(_, quantity)| **quantity > 0) {
            if dice.random_bool(0.7) {
                parts.push((line, dice.random_range(1..=*quantity)));
            }
        }
        if !parts.is_empty() {
            return parts;
        }
    }
}
