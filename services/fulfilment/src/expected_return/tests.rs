//! What comes back, case by case, then properties.

use super::*;
use proptest::prelude::*;

const AT: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
const NOW: Effective = Effective { said: None, now: AT };

fn expected(lines: &[(i32, i64, Option<i64>)]) -> ExpectedReturn {
    let line = |(line_no, expected, cents): &(i32, i64, Option<i64>)| ReturnLine {
        line_no: *line_no,
        sku: "SKU".into(),
        reason: "DAMAGED".into(),
        expected: *expected,
        sellable: 0,
        damaged: 0,
        released: 0,
        condition: ReturnCondition::Unspecified,
        withheld: 0,
        amended: 0,
        credit: cents.map(|cents| Money::new("EUR".parse().unwrap(), Decimal::new(cents, 2))),
    };
    ExpectedReturn {
        id: ReturnId(Uuid::from_u128(1)),
        number: "RMA-000001".into(),
        order_id: OrderId(Uuid::from_u128(2)),
        requested_at: AT,
        version: 0,
        resolution: ReturnResolution::Refund,
        closed_at: None,
        set_aside: Vec::new(),
        lines: lines.iter().map(line).collect(),
    }
}

fn origins() -> HashMap<i32, Origin> {
    let origin =
        |place: u128| Origin { location_id: LocationId(Uuid::from_u128(place)), stocked: true, sku: "SKU".into() };
    HashMap::from([(1, origin(10)), (2, origin(20))])
}

fn came(line_no: i32, sellable: i64, damaged: i64) -> Inspected {
    Inspected { line_no, sellable, damaged, note: String::new() }
}

#[test]
fn goods_go_where_they_left_from_unless_told_otherwise() {
    let mut return_ = expected(&[(1, 3, None), (2, 2, None)]);
    let receipt = return_.receive(vec![came(1, 1, 0), came(2, 0, 1)], None, &origins(), NOW).unwrap();
    let places: Vec<_> = receipt.lines.iter().map(|line| line.location_id.0.as_u128()).collect();
    assert_eq!((places, receipt.receipt_no), (vec![10, 20], 1));
    let told = LocationId(Uuid::from_u128(30));
    let receipt = return_.receive(vec![came(1, 2, 0)], Some(told), &origins(), NOW).unwrap();
    assert_eq!((receipt.lines[0].location_id, receipt.receipt_no), (told, 2));
    assert_eq!(return_.lines[0].received(), 3);
}

#[test]
fn more_than_expected_is_refused_and_changes_nothing() {
    let mut return_ = expected(&[(1, 3, None), (2, 2, None)]);
    let before = return_.clone();
    let refused = return_.receive(vec![came(1, 1, 0), came(2, 2, 1)], None, &origins(), NOW);
    assert!(matches!(refused, Err(Error::MoreThanExpected { lines, .. }) if lines == [2]));
    let refused = return_.receive(vec![came(9, 1, 0)], None, &origins(), NOW);
    assert!(matches!(refused, Err(Error::Invalid(_))));
    assert_eq!(return_, before);
}

#[test]
fn a_credit_of_nothing_is_still_a_credit() {
    let mut return_ = expected(&[(1, 2, Some(0)), (2, 1, None)]);
    let receipt = return_.receive(vec![came(1, 1, 0), came(2, 1, 0)], None, &origins(), NOW).unwrap();
    let amounts: Vec<_> = receipt.lines.iter().map(|line| line.credit.map(|credit| credit.amount)).collect();
    assert_eq!(amounts, [Some(Decimal::ZERO), None]);
}

#[test]
fn what_nobody_announced_is_set_aside_and_can_be_taken_later() {
    let mut return_ = expected(&[(1, 3, Some(900))]);
    let goods = OtherGoods { sku: "HAT".into(), sellable: 1, damaged: 0, note: "whose?".into() };
    let found = vec![came(1, 3, 1), came(2, 2, 0)];
    let receipt = return_.receive_as_found(found, vec![goods], None, &origins(), NOW).unwrap();
    assert_eq!(receipt.lines.iter().map(|l| (l.line_no, l.sellable, l.damaged)).collect::<Vec<_>>(), [(1, 3, 0)]);
    let aside: Vec<_> = receipt.set_aside.iter().map(|a| (a.line_no, a.sellable, a.damaged)).collect();
    assert_eq!(aside, [(Some(1), 0, 1), (Some(2), 2, 0), (None, 1, 0)]);
    let taken = Amendment {
        set_aside: receipt.set_aside[1].id,
        line_no: 2,
        sku: "SKU".into(),
        sellable: 2,
        damaged: 0,
        reason: "UNANNOUNCED".into(),
        uncredited: false,
        credit: None,
    };
    let receipt = return_.amend(vec![taken], &origins(), AT).unwrap();
    assert_eq!((receipt.receipt_no, return_.lines[1].expected, return_.lines[1].received()), (2, 2, 2));
    assert_eq!(return_.set_aside.iter().map(|a| a.taken).collect::<Vec<_>>(), [false, true, false]);
    let nowhere = return_.receive_as_found(vec![came(9, 1, 0)], vec![], None, &origins(), NOW);
    assert!(matches!(nowhere, Err(Error::Invalid(_))));
}

#[test]
fn what_is_worse_than_announced_is_received_and_its_credit_withheld() {
    let mut return_ = expected(&[(1, 3, Some(900))]);
    return_.lines[0].condition = ReturnCondition::Sellable;
    let receipt = return_.receive(vec![came(1, 2, 1)], None, &origins(), NOW).unwrap();
    let line = &receipt.lines[0];
    assert_eq!((line.uncredited, line.withheld, line.credit.unwrap().amount), (1, 1, Decimal::new(600, 2)));
}

#[test]
fn what_is_repaired_is_neither_stock_nor_credited() {
    let mut return_ = expected(&[(1, 3, None)]);
    return_.resolution = ReturnResolution::Repair;
    let line = return_.receive(vec![came(1, 1, 2)], None, &origins(), NOW).unwrap().lines.remove(0);
    assert_eq!((line.stocked, line.uncredited), (false, 3));
}

#[test]
fn a_closed_return_lets_go_of_what_did_not_come() {
    let mut return_ = expected(&[(1, 3, None), (2, 1, None)]);
    return_.receive(vec![came(1, 1, 0)], None, &origins(), NOW).unwrap();
    assert!(matches!(return_.close(true, AT), Err(Error::AlreadyReceived { .. })));
    assert_eq!(return_.close(false, AT).unwrap(), Some(vec![(1, 2), (2, 1)]));
    assert_eq!(return_.close(false, AT).unwrap(), None, "it was closed before");
    let late = return_.receive(vec![came(1, 1, 0)], None, &origins(), NOW);
    assert!(matches!(late, Err(Error::MoreThanExpected { .. })));
    let late = return_.receive_as_found(vec![came(1, 1, 0)], vec![], None, &origins(), NOW).unwrap();
    assert_eq!((late.lines.len(), late.set_aside[0].sellable), (0, 1));
}

proptest! {
    /// Whatever the receipts, their shares sum to the credit exactly, in whole cents, none of them negative.
    #[test]
    fn the_credit_is_shared_out_exactly(
        cents in 0i64..100_000,
        parts in prop::collection::vec((0i64..9, 0i64..9), 1..12),
    ) {
        let parts: Vec<_> = parts.into_iter().filter(|(sellable, damaged)| sellable + damaged > 0).collect();
        let all: i64 = parts.iter().map(|(sellable, damaged)| sellable + damaged).sum();
        prop_assume!(all > 0);
        let mut return_ = expected(&[(1, all, Some(cents))]);
        let mut sum = Decimal::ZERO;
        for (sellable, damaged) in parts {
            let receipt = return_.receive(vec![came(1, sellable, damaged)], None, &origins(), NOW).unwrap();
            let share = receipt.lines[0].credit.unwrap().amount;
            prop_assert!(share >= Decimal::ZERO && share.normalize().scale() <= 2, "{share}");
            sum += share;
        }
        prop_assert_eq!(sum, Decimal::new(cents, 2));
    }
}
