//! The backorder queue: who of those who wait gets what is free, and what is on its way for the others.

use crate::item::ItemId;
use crate::kit::{Kit, pieces};
use crate::location::LocationId;
use crate::promise::Supply;
use crate::sourcing::FreeStock;
use std::collections::HashSet;
use std::sync::Arc;
use time::OffsetDateTime;
use uuid::Uuid;

/// A line that waits.
#[derive(Clone, Debug)]
pub struct Place {
    pub item: ItemId,
    pub order_id: Uuid,
    pub line_no: i32,
    /// Above zero.
    pub quantity: i64,
    /// Of a kit, as it was composed when it was promised.
    pub kit: Option<Arc<Kit>>,
    /// Only locations that serve it are asked.
    pub channel: Option<String>,
    /// None: its order cannot be served now, and nobody behind it may be before it.
    pub terms: Option<Terms>,
}

/// How an order takes what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// Whatever there is.
    AsItComes,
    /// All of its lines, this many, together, or nothing.
    Together {
        lines: usize,
        /// Where they cannot be: what is there is kept for it, and nobody behind it gets that.
        keeps: bool,
    },
}

/// What a turn of the queue comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Turn {
    /// Places in the queue, and what each gets from where.
    pub filled: Vec<(usize, Vec<(LocationId, i64)>)>,
    /// Who got nothing of an item though somebody behind may.
    pub passed: Vec<(ItemId, Uuid)>,
}

/// Serves the queue in its order, in which the lines of one order stand together.
pub fn serve(stock: &mut FreeStock, queue: &[Place], serves: impl Fn(LocationId, Option<&str>) -> bool) -> Turn {
    let mut turn = Turn::default();
    let mut closed: HashSet<ItemId> = HashSet::new();
    let mut begin = 0;
    for lines in queue.chunk_by(|a, b| a.order_id == b.order_id) {
        let at = begin;
        begin += lines.len();
        let is_closed = |place: &Place| {
            let mut pieces = pieces(place.item, place.kit.as_deref());
            closed.contains(&place.item) || pieces.any(|piece| closed.contains(&piece.item))
        };
        let take = |stock: &mut FreeStock, place: &Place| {
            let allowed = |location| serves(location, place.channel.as_deref());
            stock.take_where(place.item, place.kit.as_deref(), place.quantity, allowed)
        };
        match lines.first().and_then(|place| place.terms) {
            None => closed.extend(lines.iter().map(|place| place.item)),
            Some(Terms::AsItComes) => {
                for (i, place) in lines.iter().enumerate().filter(|(_, place)| !is_closed(place)) {
                    let taken = take(stock, place);
                    if !taken.is_empty() {
                        turn.filled.push((at + i, taken));
                    } else if place.kit.is_some() || stock.free(place.item) > 0 {
                        // What does not serve its channel may serve another's; another composition may be complete.
                        turn.passed.push((place.item, place.order_id));
                    }
                }
            }
            Some(Terms::Together { .. }) if lines.iter().any(is_closed) => {}
            Some(Terms::Together { lines: all, keeps }) => {
                let taken: Vec<Vec<(LocationId, i64)>> = lines.iter().map(|place| take(stock, place)).collect();
                let in_full = |(place, taken): (&Place, &Vec<(LocationId, i64)>)| {
                    taken.iter().map(|(_, quantity)| quantity).sum::<i64>() == place.quantity
                };
                if lines.len() == all && lines.iter().zip(&taken).all(in_full) {
                    turn.filled.extend((at..).zip(taken));
                } else if !keeps {
                    for (place, taken) in lines.iter().zip(&taken) {
                        stock.put_back(place.item, place.kit.as_deref(), taken);
                        turn.passed.push((place.item, place.order_id));
                    }
                }
            }
        }
    }
    turn
}

/// A line that waits, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct InQueue {
    pub sku: String,
    pub item: ItemId,
    pub kit_version: Option<i64>,
    pub order_id: Uuid,
    pub line_no: i32,
    pub quantity: i64,
    /// In its item's queue, from 1.
    pub position: i64,
    /// All that waits before it, and it.
    pub quantity_up_to: i64,
    pub priority: i16,
    pub promised_at: Option<OffsetDateTime>,
    pub placed_at: OffsetDateTime,
    pub ship_complete: bool,
    pub confirmed: bool,
}

/// What arrives for `quantity` behind `before` others, who get what is free and then what arrives first: supplies, and how
/// much of each. `supplies` are those of one item, in the order in which they are expected.
pub fn cover<'a>(
    before: i64,
    quantity: i64,
    free: i64,
    supplies: impl IntoIterator<Item = &'a Supply>,
) -> Vec<(&'a Supply, i64)> {
    let mut covered = Vec::new();
    let until = before + quantity;
    let mut from = free;
    for supply in supplies {
        let to = from + supply.quantity;
        let some = until.min(to) - before.max(from);
        if some > 0 {
            covered.push((supply, some));
        }
        from = to;
        if from >= until {
            break;
        }
    }
    covered
}

/// What completes the last of so many kits: the last supply that any of their components waits for; none where nothing is
/// needed, or not enough of a component is on its way. `free` and `supplies` are of all components.
pub fn completes<'a>(kit: &Kit, kits: i64, free: impl Fn(ItemId) -> i64, supplies: &'a [Supply]) -> Option<&'a Supply> {
    let mut last: Option<&Supply> = None;
    for component in &kit.components {
        let wanted = kits.saturating_mul(component.quantity);
        let free = free(component.item);
        if wanted <= free {
            continue;
        }
        let of_item = supplies.iter().filter(|supply| supply.item == component.item);
        let (supply, _) = cover(wanted - 1, 1, free, of_item).pop()?;
        last = Some(last.filter(|last| last.expected_at >= supply.expected_at).unwrap_or(supply));
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::Component;
    use crate::promise::SupplyKind;
    use crate::sourcing::Shelf;
    use proptest::prelude::*;
    use time::macros::datetime;

    const TOGETHER: fn(usize) -> Option<Terms> = |lines| Some(Terms::Together { lines, keeps: false });

    fn stock(shelves: &[(i64, i32, i64)]) -> FreeStock {
        let mut stock = FreeStock::default();
        for (item, location, free) in shelves {
            stock.add(ItemId(*item), Shelf { location: LocationId(*location), free: *free, since: None });
        }
        stock
    }

    fn place(order: u128, item: i64, quantity: i64, terms: Option<Terms>) -> Place {
        let order_id = Uuid::from_u128(order);
        let line_no = i32::try_from(item).unwrap();
        Place { item: ItemId(item), order_id, line_no, quantity, kit: None, channel: None, terms }
    }

    /// (place, quantity) of what is filled; orders passed over.
    fn served(stock: &mut FreeStock, queue: &[Place]) -> (Vec<(usize, i64)>, Vec<u128>) {
        let turn = serve(stock, queue, |_, channel| channel != Some("nowhere"));
        let filled = turn.filled.iter().map(|(place, taken)| (*place, taken.iter().map(|(_, q)| q).sum()));
        (filled.collect(), turn.passed.iter().map(|(_, order)| order.as_u128()).collect())
    }

    #[test]
    fn each_takes_what_is_there_in_turn() {
        let queue = [(1, 4), (2, 4), (3, 4)].map(|(order, quantity)| place(order, 1, quantity, Some(Terms::AsItComes)));
        let (filled, passed) = served(&mut stock(&[(1, 1, 3), (1, 2, 3)]), &queue);
        assert_eq!((filled, passed), (vec![(0, 4), (1, 2)], vec![]), "nothing is left to pass anybody over for");
    }

    #[test]
    fn one_that_ships_complete_gets_all_or_is_passed_over() {
        let queue = [place(1, 1, 4, TOGETHER(2)), place(1, 2, 1, TOGETHER(2)), place(2, 1, 3, Some(Terms::AsItComes))];
        assert_eq!(served(&mut stock(&[(1, 1, 5), (2, 1, 1)]), &queue), (vec![(0, 4), (1, 1), (2, 1)], vec![]));
        assert_eq!(served(&mut stock(&[(1, 1, 5)]), &queue), (vec![(2, 3)], vec![1, 1]));
        // A line of it that is not seen counts as not there.
        let queue = [place(1, 1, 4, TOGETHER(2)), place(2, 1, 3, Some(Terms::AsItComes))];
        assert_eq!(served(&mut stock(&[(1, 1, 5), (2, 1, 1)]), &queue), (vec![(1, 3)], vec![1]));
    }

    #[test]
    fn one_whose_promise_has_passed_keeps_what_is_there() {
        let overdue = Some(Terms::Together { lines: 2, keeps: true });
        let queue = [place(1, 1, 4, overdue), place(1, 2, 1, overdue), place(2, 1, 3, Some(Terms::AsItComes))];
        assert_eq!(served(&mut stock(&[(1, 1, 5)]), &queue), (vec![(2, 1)], vec![]));
        assert_eq!(served(&mut stock(&[(1, 1, 4)]), &queue), (vec![], vec![]));
    }

    #[test]
    fn nobody_is_served_before_one_that_is_not_locked() {
        let queue = [
            place(1, 1, 4, None),
            place(2, 1, 4, Some(Terms::AsItComes)),
            place(3, 1, 4, TOGETHER(2)),
            place(3, 2, 4, TOGETHER(2)),
            place(4, 2, 1, Some(Terms::AsItComes)),
        ];
        assert_eq!(served(&mut stock(&[(1, 1, 9), (2, 1, 9)]), &queue), (vec![(4, 1)], vec![]));
    }

    #[test]
    fn one_that_no_location_serves_does_not_block_those_behind_it() {
        let mut queue = [place(1, 1, 4, Some(Terms::AsItComes)), place(2, 1, 4, Some(Terms::AsItComes))];
        queue[0].channel = Some("nowhere".into());
        assert_eq!(served(&mut stock(&[(1, 1, 9)]), &queue), (vec![(1, 4)], vec![1]));
    }

    fn any_queue() -> impl Strategy<Value = Vec<Place>> {
        let lines = prop::collection::btree_map(1i64..5, 1i64..12, 1..4);
        prop::collection::vec((lines, 0u8..4), 1..10).prop_map(|orders| {
            let numbered = (1u128..).zip(orders);
            let places = numbered.flat_map(|(order, (lines, kind))| {
                let terms = match kind {
                    0 => None,
                    1 => Some(Terms::Together { lines: lines.len(), keeps: false }),
                    2 => Some(Terms::Together { lines: lines.len(), keeps: true }),
                    _ => Some(Terms::AsItComes),
                };
                lines.into_iter().map(move |(item, quantity)| place(order, item, quantity, terms))
            });
            places.collect()
        })
    }

    proptest! {
        #[test]
        fn nothing_is_given_that_is_not_there_and_together_means_together(
            shelves in prop::collection::btree_map((1i64..5, 1i32..4), 0i64..20, 0..12),
            queue in any_queue(),
        ) {
            let rows: Vec<_> = shelves.iter().map(|((item, location), free)| (*item, *location, *free)).collect();
            let turn = serve(&mut stock(&rows), &queue, |_, _| true);
            let mut left = shelves.clone();
            for (at, taken) in &turn.filled {
                let sum: i64 = taken.iter().map(|(_, quantity)| quantity).sum();
                prop_assert!(sum > 0 && sum <= queue[*at].quantity);
                for (location, quantity) in taken {
                    *left.get_mut(&(queue[*at].item.0, location.0)).unwrap() -= quantity;
                }
                if let Some(Terms::Together { lines, .. }) = queue[*at].terms {
                    let of_order = turn.filled.iter().filter(|(i, _)| queue[*i].order_id == queue[*at].order_id);
                    prop_assert_eq!(of_order.count(), lines);
                    prop_assert_eq!(sum, queue[*at].quantity);
                }
            }
            prop_assert!(left.values().all(|free| *free >= 0));
            // Whoever takes what comes gets something, unless those before it left nothing, or wait to be locked.
            for (at, place) in queue.iter().enumerate().filter(|(_, place)| place.terms == Some(Terms::AsItComes)) {
                let before = &queue[..at];
                let contested = before.iter().any(|other| other.item == place.item);
                let there: i64 = rows.iter().filter(|(item, ..)| *item == place.item.0).map(|(.., free)| free).sum();
                if !contested && there > 0 {
                    prop_assert!(turn.filled.iter().any(|(i, _)| *i == at));
                }
            }
        }

        #[test]
        fn what_arrives_comes_to_one_line_only(
            free in 0i64..10,
            arriving in prop::collection::vec(1i64..15, 0..6),
            lines in prop::collection::vec(1i64..12, 1..8),
        ) {
            let supplies: Vec<Supply> = arriving.iter().map(|quantity| supply(1, *quantity, 0)).collect();
            let mut before = 0;
            let mut told = 0;
            for quantity in &lines {
                let covered: i64 = cover(before, *quantity, free, &supplies).iter().map(|(_, some)| some).sum();
                prop_assert!(covered <= *quantity);
                told += covered;
                before += quantity;
            }
            let all: i64 = arriving.iter().sum();
            prop_assert_eq!(told, (before - free).clamp(0, all));
        }
    }

    fn supply(item: i64, quantity: i64, days: i64) -> Supply {
        Supply {
            kind: SupplyKind::PurchaseOrder,
            document_id: Uuid::nil(),
            number: format!("PO-{days}"),
            item: ItemId(item),
            location: LocationId(1),
            expected_at: datetime!(2026-11-22 12:00 UTC) + time::Duration::days(days),
            quantity,
        }
    }

    #[test]
    fn a_line_gets_what_those_before_it_leave() {
        let supplies = [supply(1, 4, 1), supply(1, 6, 2)];
        for (before, quantity, free, expected) in [
            (0, 3, 0, vec![("PO-1", 3)]),
            (3, 3, 0, vec![("PO-1", 1), ("PO-2", 2)]),
            (3, 3, 2, vec![("PO-1", 3)]),
            (0, 3, 5, vec![]),
            (9, 3, 0, vec![("PO-2", 1)]),
            (10, 3, 0, vec![]),
        ] {
            let covered = cover(before, quantity, free, &supplies);
            let covered: Vec<_> = covered.iter().map(|(supply, some)| (supply.number.as_str(), *some)).collect();
            assert_eq!(covered, expected, "{quantity} behind {before}, {free} free");
        }
    }

    #[test]
    fn a_kit_is_complete_when_the_last_of_its_components_is_there() {
        let component = |item, quantity| Component { item: ItemId(item), quantity };
        let kit = Kit { version: 1, components: vec![component(1, 2), component(2, 1)] };
        let supplies = [supply(2, 1, 1), supply(1, 4, 3), supply(2, 9, 5)];
        let number = |kits, free: [i64; 2]| {
            let free = |item: ItemId| free[usize::try_from(item.0 - 1).unwrap()];
            completes(&kit, kits, free, &supplies).map(|supply| supply.number.clone())
        };
        assert_eq!(number(1, [2, 1]), None, "all is there");
        assert_eq!(number(1, [2, 0]).as_deref(), Some("PO-1"));
        assert_eq!(number(1, [0, 0]).as_deref(), Some("PO-3"));
        assert_eq!(number(2, [0, 0]).as_deref(), Some("PO-5"));
        assert_eq!(number(3, [0, 0]), None, "too few mugs are on their way");
    }
}
