//! Returns: what may come back, what did, and what is credited for it.

use crate::effective::Effective;
use crate::error::Error;
use crate::id::{LocationId, OrderId, ReturnId};
use pesan_grpc::Violations;
use pesan_money::Money;
use rust_decimal::Decimal;
use std::collections::HashMap;
use time::OffsetDateTime;

/// A return that the order service approved.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedReturn {
    pub id: ReturnId,
    /// "RMA-000012".
    pub number: String,
    pub order_id: OrderId,
    pub requested_at: OffsetDateTime,
    /// Counts its receipts.
    pub version: i64,
    /// Ascending by line number.
    pub lines: Vec<ReturnLine>,
}

/// Quantities in base units of the item.
#[derive(Clone, Debug, PartialEq)]
pub struct ReturnLine {
    /// The order line's number.
    pub line_no: i32,
    pub sku: String,
    pub reason: String,
    pub expected: i64,
    /// Came back and can be sold again.
    pub sellable: i64,
    /// Came back and cannot.
    pub damaged: i64,
    /// What is credited once all of it came back, without tax; none: the share of what was invoiced.
    pub credit: Option<Money>,
}

/// What an inspector says of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    pub line_no: i32,
    pub sellable: i64,
    pub damaged: i64,
    pub note: String,
}

/// Where the goods of an order line had left from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub location_id: LocationId,
    pub stocked: bool,
}

/// What came back at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    pub return_id: ReturnId,
    /// From 1 within the return.
    pub receipt_no: i64,
    pub received_at: OffsetDateTime,
    pub lines: Vec<ReceiptLine>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ReceiptLine {
    pub line_no: i32,
    pub sku: String,
    pub reason: String,
    pub location_id: LocationId,
    pub stocked: bool,
    pub sellable: i64,
    pub damaged: i64,
    pub note: String,
    /// This receipt's share of the line's credit.
    pub credit: Option<Money>,
}

impl ReturnLine {
    /// What came back so far.
    pub fn received(&self) -> i64 {
        self.sellable + self.damaged
    }

    /// What the next `quantity` adds to the credit: the share of all that came back then, less the share of what came back
    /// before. Whatever the receipts, their shares sum to the credit, none is negative, and each is whole minor units.
    fn credit_for(&self, quantity: i64) -> Result<Option<Money>, Error> {
        let Some(credit) = self.credit else { return Ok(None) };
        let share = |received: i64| {
            let parts = credit.allocate(&[Decimal::from(received), Decimal::from(self.expected - received)]);
            parts.first().copied().unwrap_or_else(|| Money::zero(credit.currency))
        };
        Ok(Some(share(self.received() + quantity).checked_sub(share(self.received()))?))
    }
}

impl ExpectedReturn {
    /// What it would be if everything still to come came back, ready to be sold again.
    pub fn all_sellable(&self) -> Vec<Inspected> {
        let line = |line: &ReturnLine| Inspected {
            line_no: line.line_no,
            sellable: line.expected - line.received(),
            damaged: 0,
            note: String::new(),
        };
        self.lines.iter().map(line).collect()
    }

    /// Books what came back: to `location`, or else to where each line's goods had left from. Changes nothing when refused.
    pub fn receive(
        &mut self,
        inspected: Vec<Inspected>,
        location: Option<LocationId>,
        origins: &HashMap<i32, Origin>,
        effective: Effective,
    ) -> Result<Receipt, Error> {
        let received_at = effective.not_before(self.requested_at)?;
        let places = self.check(&inspected)?;
        let mut lines = Vec::with_capacity(inspected.len());
        for (inspected, place) in inspected.into_iter().zip(places) {
            let line = &mut self.lines[place];
            let origin = origins.get(&line.line_no).ok_or_else(|| {
                Error::Broken(format!("line {} of {} comes back but never left", line.line_no, self.number))
            })?;
            let credit = line.credit_for(inspected.sellable + inspected.damaged)?;
            line.sellable += inspected.sellable;
            line.damaged += inspected.damaged;
            lines.push(ReceiptLine {
                line_no: line.line_no,
                sku: line.sku.clone(),
                reason: line.reason.clone(),
                location_id: location.unwrap_or(origin.location_id),
                stocked: origin.stocked,
                sellable: inspected.sellable,
                damaged: inspected.damaged,
                note: inspected.note,
                credit,
            });
        }
        self.version += 1;
        Ok(Receipt { return_id: self.id, receipt_no: self.version, received_at, lines })
    }

    /// The places of the inspected lines, each with room for what came back.
    fn check(&self, inspected: &[Inspected]) -> Result<Vec<usize>, Error> {
        let by_no: HashMap<i32, usize> = self.lines.iter().enumerate().map(|(i, line)| (line.line_no, i)).collect();
        let mut violations = Violations::new();
        let mut beyond = Vec::new();
        let mut places = Vec::with_capacity(inspected.len());
        for (i, inspected) in inspected.iter().enumerate() {
            let Some(place) = by_no.get(&inspected.line_no) else {
                violations.add(format!("lines[{i}].line_no"), "is not a line of this return");
                continue;
            };
            let line = &self.lines[*place];
            if inspected.sellable + inspected.damaged > line.expected - line.received() {
                beyond.push(line.line_no);
            }
            places.push(*place);
        }
        violations.into_result(()).map_err(Error::Invalid)?;
        if beyond.is_empty() {
            Ok(places)
        } else {
            Err(Error::MoreThanExpected { number: self.number.clone(), lines: beyond })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use uuid::Uuid;

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
            credit: cents.map(|cents| Money::new("EUR".parse().unwrap(), Decimal::new(cents, 2))),
        };
        ExpectedReturn {
            id: ReturnId(Uuid::from_u128(1)),
            number: "RMA-000001".into(),
            order_id: OrderId(Uuid::from_u128(2)),
            requested_at: AT,
            version: 0,
            lines: lines.iter().map(line).collect(),
        }
    }

    fn origins() -> HashMap<i32, Origin> {
        let origin = |place: u128| Origin { location_id: LocationId(Uuid::from_u128(place)), stocked: true };
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
}
