//! The whole table, then properties.

use super::*;
use crate::effective::Effective;
use proptest::prelude::*;
use time::Duration;
use uuid::Uuid;

const CREATED: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

fn at(hours: i64) -> Effective {
    let time = CREATED + Duration::hours(hours);
    Effective { said: Some(time), now: time }
}

fn line(line_no: i32, allocated: i64, stocked: bool) -> Line {
    let sku = format!("SKU-{line_no}");
    Line { line_no, sku, stocked, allocated, withdrawn: 0, short: 0, picked: 0, shipped: 0 }
}

fn order(lines: Vec<Line>) -> FulfilmentOrder {
    FulfilmentOrder {
        id: FulfilmentOrderId(Uuid::from_u128(1)),
        number: 123,
        order_id: OrderId(Uuid::from_u128(2)),
        order_number: "SO-000001".into(),
        ship_to: None,
        location_id: LocationId(Uuid::from_u128(3)),
        order_version: 2,
        version: 1,
        created_at: CREATED,
        picked_at: None,
        packed_at: None,
        shipped_at: None,
        delivered_at: None,
        lines,
        parcels: vec![],
    }
}

/// A fulfilment order of 5 and a service, brought into a state by the steps that lead there.
fn in_state(state: State) -> FulfilmentOrder {
    let mut order = order(vec![line(1, 5, true), line(2, 1, false)]);
    let steps = match state {
        State::Open => 0,
        State::Picked => 1,
        State::Packed => 2,
        State::Shipped => 3,
        State::Delivered => 4,
        State::Cancelled => {
            let wanted = Wanted::from([((1, order.location_id), 5), ((2, order.location_id), 1)]);
            withdraw(std::slice::from_mut(&mut order), &wanted).unwrap();
            0
        }
    };
    for step in &Action::ALL[..steps] {
        perform(&mut order, *step).unwrap();
    }
    assert_eq!(order.state(), state);
    order
}

fn perform(order: &mut FulfilmentOrder, action: Action) -> Result<(), Error> {
    match action {
        Action::Pick => order.pick(&[], at(1)).map(drop),
        Action::Pack => order.pack(&[], at(2)).map(drop),
        Action::Ship => order.ship(vec!["T".into(); order.parcels.len()], at(3)).map(drop),
        Action::ConfirmDelivery => order.confirm_delivery(at(4)).map(drop),
        Action::Withdraw => {
            let wanted = Wanted::from([((1, order.location_id), 1)]);
            withdraw(std::slice::from_mut(order), &wanted).map(drop)
        }
    }
}

#[test]
fn every_action_in_every_state() {
    let table = [
        (State::Open, [Some(State::Picked), None, None, None, Some(State::Open)]),
        (State::Picked, [None, Some(State::Packed), None, None, None]),
        (State::Packed, [None, None, Some(State::Shipped), None, None]),
        (State::Shipped, [None, None, None, Some(State::Delivered), None]),
        (State::Delivered, [None; 5]),
        (State::Cancelled, [None; 5]),
    ];
    assert_eq!(table.map(|(state, _)| state), State::ALL);
    for (state, outcomes) in table {
        for (action, outcome) in Action::ALL.into_iter().zip(outcomes) {
            let mut order = in_state(state);
            let before = order.clone();
            assert_eq!(state.allows(action), outcome.is_some(), "{state} {action}");
            match (perform(&mut order, action), outcome) {
                (Ok(()), Some(after)) => assert_eq!(order.state(), after, "{state} {action}"),
                (Err(Error::NotAllowed { action: refused, state: seen, number: 123 }), None) => {
                    assert_eq!((refused, seen), (action, state));
                    assert_eq!(order, before, "a refusal changes nothing");
                }
                (Err(Error::AlreadyPicked { .. }), None) if action == Action::Withdraw => {}
                (result, _) => panic!("{state} {action}: {result:?}"),
            }
        }
    }
}

#[test]
fn lines_that_are_not_named_are_picked_in_full_and_what_is_not_found_is_short() {
    let mut order = order(vec![line(1, 5, true), line(2, 3, true), line(3, 1, false)]);
    let picking = order.pick(&[PickedLine { line_no: 2, quantity: 1 }], at(1)).unwrap();
    let quantities = |moved: &[Moved]| moved.iter().map(|m| (m.line_no, m.quantity)).collect::<Vec<_>>();
    assert_eq!(quantities(&picking.picked), [(1, 5), (2, 1), (3, 1)]);
    assert_eq!(quantities(&picking.short), [(2, 2)]);
    assert_eq!(order.state(), State::Picked);
}

#[test]
fn all_short_is_cancelled() {
    let mut order = order(vec![line(1, 5, true)]);
    let picking = order.pick(&[PickedLine { line_no: 1, quantity: 0 }], at(1)).unwrap();
    assert!(picking.picked.is_empty());
    assert_eq!(order.state(), State::Cancelled);
}

#[test]
fn a_pick_of_what_is_not_there_is_refused() {
    let mut order = order(vec![line(1, 5, true), line(2, 1, false)]);
    let before = order.clone();
    let named = |line_no, quantity| [PickedLine { line_no, quantity }];
    assert!(matches!(order.pick(&named(1, 6), at(1)), Err(Error::MoreThanOpen { lines, .. }) if lines == [1]));
    for wrong in [named(7, 1), named(2, 0)] {
        assert!(matches!(order.pick(&wrong, at(1)), Err(Error::Invalid(_))), "an unknown line, a short service");
    }
    assert_eq!(order, before);
}

#[test]
fn no_step_takes_effect_before_the_one_before() {
    for (state, action) in [(State::Open, Action::Pick), (State::Picked, Action::Pack), (State::Packed, Action::Ship)] {
        let mut order = in_state(state);
        let result = match action {
            Action::Pick => order.pick(&[], at(-1)).map(drop),
            Action::Pack => order.pack(&[], at(0)).map(drop),
            _ => order.ship(vec!["T".into()], at(1)).map(drop),
        };
        assert!(matches!(result, Err(Error::Invalid(_))), "{action}");
    }
    assert!(matches!(in_state(State::Shipped).confirm_delivery(at(2)), Err(Error::Invalid(_))));
}

#[test]
fn a_carrier_must_give_a_label_for_each_parcel() {
    let mut order = in_state(State::Picked);
    order.pack(&[100, 200], at(2)).unwrap();
    assert!(matches!(order.ship(vec!["T".into()], at(3)), Err(Error::Broken(_))));
    assert_eq!(order.state(), State::Packed);
}

#[test]
fn what_is_withdrawn_comes_from_the_newest_first() {
    let mut orders = vec![order(vec![line(1, 5, true)]), order(vec![line(1, 3, true)])];
    orders[1].number = 124;
    let location = orders[0].location_id;
    let taken = withdraw(&mut orders, &Wanted::from([((1, location), 4)])).unwrap();
    let taken: Vec<_> = taken.into_iter().map(|(place, moved)| (place, moved[0].quantity)).collect();
    assert_eq!(taken, [(0, 1), (1, 3)]);
    assert_eq!([orders[0].state(), orders[1].state()], [State::Open, State::Cancelled]);
}

#[test]
fn another_location_has_nothing_to_give() {
    let mut orders = vec![order(vec![line(1, 5, true)])];
    let elsewhere = LocationId(Uuid::from_u128(99));
    let refused = withdraw(&mut orders, &Wanted::from([((1, elsewhere), 1)]));
    assert!(matches!(refused, Err(Error::AlreadyPicked { lines }) if lines == [1]));
}

proptest! {
    /// Whatever is withdrawn and found, every unit is somewhere, once.
    #[test]
    fn units_are_conserved(
        lines in prop::collection::vec((1i64..20, 0i64..25, 0i64..25), 1..8),
    ) {
        let mut order = order((1..).zip(&lines).map(|(no, (allocated, _, _))| line(no, *allocated, true)).collect());
        let location = order.location_id;
        let wanted: Wanted = (1..).zip(&lines).filter(|(_, l)| l.1 > 0).map(|(no, l)| ((no, location), l.1)).collect();
        let fits = lines.iter().all(|(allocated, withdrawn, _)| withdrawn <= allocated);
        let mut tried = vec![order.clone()];
        let taken = withdraw(&mut tried, &wanted);
        prop_assert_eq!(taken.is_ok(), fits, "all or none");
        if let Ok(taken) = taken {
            let sum: i64 = taken.values().flatten().map(|moved| moved.quantity).sum();
            prop_assert_eq!(sum, wanted.values().sum::<i64>());
            order = tried.pop().unwrap();
        }
        if order.state() == State::Open {
            let found: Vec<_> = order.lines.iter().zip(&lines)
                .map(|(line, (_, _, found))| PickedLine { line_no: line.line_no, quantity: line.open().min(*found) })
                .collect();
            let picking = order.pick(&found, at(1)).unwrap();
            let sum = |moved: &[Moved]| moved.iter().map(|m| m.quantity).sum::<i64>();
            prop_assert_eq!(sum(&picking.picked), order.lines.iter().map(|l| l.picked).sum::<i64>());
            prop_assert_eq!(sum(&picking.short), order.lines.iter().map(|l| l.short).sum::<i64>());
            prop_assert!(order.lines.iter().all(|l| l.open() == 0));
        }
        for line in &order.lines {
            prop_assert_eq!(line.allocated, line.withdrawn + line.short + line.picked + line.open());
            prop_assert!(line.open() >= 0 && line.withdrawn >= 0 && line.short >= 0 && line.picked >= 0);
        }
    }
}
