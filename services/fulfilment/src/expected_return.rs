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
