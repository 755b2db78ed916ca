//! Returns: what may come back, what did, and what is credited for it.

use crate::effective::Effective;
use crate::error::Error;
use crate::id::{LocationId, OrderId, ReturnId};
use pesan_api::order::v1::{ReturnCondition, ReturnResolution};
use pesan_grpc::Violations;
use pesan_money::Money;
use rust_decimal::Decimal;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// A return that the order service approved.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedReturn {
    pub id: ReturnId,
    /// "RMA-000012".
    pub number: String,
    pub order_id: OrderId,
    pub requested_at: OffsetDateTime,
    /// Counts its events: receipts, and its close.
    pub version: i64,
    /// What the customer gets.
    pub resolution: ReturnResolution,
    /// Nothing more is expected since then.
    pub closed_at: Option<OffsetDateTime>,
    /// Ascending by line number.
    pub lines: Vec<ReturnLine>,
    /// Oldest first.
    pub set_aside: Vec<SetAside>,
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
    /// Will not come back any more.
    pub released: i64,
    /// As it was announced.
    pub condition: ReturnCondition,
    /// Of `damaged`: received without credit, because it was announced as sellable.
    pub withheld: i64,
    /// Of `expected`: came back unannounced and was taken later, with a credit of its own.
    pub amended: i64,
    /// What is credited once all of it (but `amended`) came back, without tax; none: the share of what was invoiced.
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

/// Goods that the order never had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherGoods {
    pub sku: String,
    pub sellable: i64,
    pub damaged: i64,
    pub note: String,
}

/// Goods that came back and were not announced: they count nowhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    pub id: Uuid,
    /// None: goods that the order never had.
    pub line_no: Option<i32>,
    pub sku: String,
    pub sellable: i64,
    pub damaged: i64,
    pub note: String,
    pub received_at: OffsetDateTime,
    /// Received by an amendment since.
    pub taken: bool,
}

/// Goods that were set aside and are taken now.
#[derive(Clone, Debug, PartialEq)]
pub struct Amendment {
    pub set_aside: Uuid,
    pub line_no: i32,
    pub sku: String,
    pub sellable: i64,
    pub damaged: i64,
    pub reason: String,
    pub uncredited: bool,
    /// None: the share of what was invoiced.
    pub credit: Option<Money>,
}

/// Where the goods of an order line had left from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub location_id: LocationId,
    pub stocked: bool,
    pub sku: String,
}

/// What came back at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    pub return_id: ReturnId,
    /// From 1 within the return.
    pub receipt_no: i64,
    pub received_at: OffsetDateTime,
    pub lines: Vec<ReceiptLine>,
    /// What came with it unannounced.
    pub set_aside: Vec<SetAside>,
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
    /// Of both, what this receipt does not credit.
    pub uncredited: i64,
    /// Of `uncredited`, what is not credited because it was announced as sellable.
    pub withheld: i64,
    pub note: String,
    /// This receipt's share of the line's credit.
    pub credit: Option<Money>,
}

impl ReturnLine {
    /// What came back so far.
    pub fn received(&self) -> i64 {
        self.sellable + self.damaged
    }

    /// What may still come.
    pub fn open(&self) -> i64 {
        self.expected - self.received() - self.released
    }

    /// What the next `quantity` that is credited adds to the credit: the share of all that was credited then, less the share
    /// of what was before. Whatever the receipts, their shares sum to the credit, none is negative, and each is whole minor
    /// units.
    fn credit_for(&self, quantity: i64) -> Result<Option<Money>, Error> {
        let Some(credit) = self.credit.filter(|_| quantity > 0) else { return Ok(None) };
        let whole = self.expected - self.amended;
        let share = |credited: i64| {
            let parts = credit.allocate(&[Decimal::from(credited), Decimal::from(whole - credited)]);
            parts.first().copied().unwrap_or_else(|| Money::zero(credit.currency))
        };
        let before = self.received() - self.withheld - self.amended;
        Ok(Some(share(before + quantity).checked_sub(share(before))?))
    }
}

impl ExpectedReturn {
    /// What it would be if everything still to come came back, ready to be sold again.
    pub fn all_sellable(&self) -> Vec<Inspected> {
        let line = |line: &ReturnLine| Inspected {
            line_no: line.line_no,
            sellable: line.open(),
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
            let Inspected { line_no: _, sellable, damaged, note } = inspected;
            let origin = origins.get(&line.line_no).ok_or_else(|| never_left(&self.number, line.line_no))?;
            let withheld = if line.condition == ReturnCondition::Sellable { damaged } else { 0 };
            // What is repaired or replaced is not paid back; what is repaired is not even ours.
            let (uncredited, stocked) = match self.resolution {
                ReturnResolution::Repair => (sellable + damaged, false),
                ReturnResolution::Replacement => (sellable + damaged, origin.stocked),
                ReturnResolution::Unspecified | ReturnResolution::Refund | ReturnResolution::Exchange => {
                    (withheld, origin.stocked)
                }
            };
            let credit = line.credit_for(sellable + damaged - uncredited)?;
            line.sellable += sellable;
            line.damaged += damaged;
            line.withheld += withheld;
            lines.push(ReceiptLine {
                line_no: line.line_no,
                sku: line.sku.clone(),
                reason: line.reason.clone(),
                location_id: location.unwrap_or(origin.location_id),
                stocked,
                sellable,
                damaged,
                uncredited,
                withheld,
                note,
                credit,
            });
        }
        self.version += 1;
        Ok(Receipt { return_id: self.id, receipt_no: self.version, received_at, lines, set_aside: Vec::new() })
    }

    /// Books what came back as far as it was announced (sellable goods first), and sets the rest aside. Changes nothing when
    /// refused: only for lines that never left.
    pub fn receive_as_found(
        &mut self,
        inspected: Vec<Inspected>,
        other: Vec<OtherGoods>,
        location: Option<LocationId>,
        origins: &HashMap<i32, Origin>,
        effective: Effective,
    ) -> Result<Receipt, Error> {
        let mut violations = Violations::new();
        let mut announced = Vec::with_capacity(inspected.len());
        let mut aside = Vec::new();
        let received_at = effective.not_before(self.requested_at)?;
        let mut set_aside = |line_no, sku: &str, sellable, damaged, note: &str| {
            aside.push(SetAside {
                id: Uuid::now_v7(),
                line_no,
                sku: sku.to_owned(),
                sellable,
                damaged,
                note: note.to_owned(),
                received_at,
                taken: false,
            });
        };
        for (i, inspected) in inspected.into_iter().enumerate() {
            let Inspected { line_no, sellable, damaged, note } = inspected;
            let Some(origin) = origins.get(&line_no) else {
                violations.add(format!("lines[{i}].line_no"), "is not a line of the order that left");
                continue;
            };
            let open = self.lines.iter().find(|line| line.line_no == line_no).map_or(0, ReturnLine::open);
            let good = sellable.min(open);
            let bad = damaged.min(open - good);
            if good + bad > 0 {
                announced.push(Inspected { line_no, sellable: good, damaged: bad, note: note.clone() });
            }
            if sellable + damaged > good + bad {
                set_aside(Some(line_no), &origin.sku, sellable - good, damaged - bad, &note);
            }
        }
        for goods in &other {
            set_aside(None, &goods.sku, goods.sellable, goods.damaged, &goods.note);
        }
        violations.into_result(()).map_err(Error::Invalid)?;
        let mut receipt = self.receive(announced, location, origins, effective)?;
        self.set_aside.extend(aside.iter().cloned());
        receipt.set_aside = aside;
        Ok(receipt)
    }

    /// Takes goods that were set aside: they were expected all along.
    pub fn amend(
        &mut self,
        amendments: Vec<Amendment>,
        origins: &HashMap<i32, Origin>,
        at: OffsetDateTime,
    ) -> Result<Receipt, Error> {
        let mut lines: Vec<ReceiptLine> = Vec::with_capacity(amendments.len());
        for amendment in amendments {
            let Amendment { set_aside, line_no, sku, sellable, damaged, reason, uncredited, credit } = amendment;
            let origin = origins.get(&line_no).ok_or_else(|| never_left(&self.number, line_no))?;
            let place = self.lines.partition_point(|line| line.line_no < line_no);
            if self.lines.get(place).is_none_or(|line| line.line_no != line_no) {
                self.lines.insert(place, ReturnLine::unannounced(line_no, sku.clone(), reason.clone()));
            }
            let line = &mut self.lines[place];
            let quantity = sellable + damaged;
            line.expected += quantity;
            line.amended += quantity;
            line.sellable += sellable;
            line.damaged += damaged;
            for aside in self.set_aside.iter_mut().filter(|aside| aside.id == set_aside) {
                aside.taken = true;
            }
            lines.push(ReceiptLine {
                line_no,
                sku,
                reason,
                location_id: origin.location_id,
                stocked: origin.stocked && self.resolution != ReturnResolution::Repair,
                sellable,
                damaged,
                uncredited: if uncredited { quantity } else { 0 },
                withheld: 0,
                note: String::new(),
                credit: credit.filter(|_| !uncredited),
            });
        }
        self.version += 1;
        Ok(Receipt { return_id: self.id, receipt_no: self.version, received_at: at, lines, set_aside: Vec::new() })
    }

    /// Expects nothing more of it: what is let go, by line. None where it was closed before.
    pub fn close(&mut self, only_if_untouched: bool, at: OffsetDateTime) -> Result<Option<Vec<(i32, i64)>>, Error> {
        let untouched = self.set_aside.is_empty() && self.lines.iter().all(|line| line.received() == 0);
        if only_if_untouched && !untouched {
            return Err(Error::AlreadyReceived { number: self.number.clone() });
        }
        if self.closed_at.is_some() {
            return Ok(None);
        }
        self.closed_at = Some(at);
        self.version += 1;
        let mut released = Vec::new();
        for line in &mut self.lines {
            let open = line.open();
            line.released += open;
            if open > 0 {
                released.push((line.line_no, open));
            }
        }
        Ok(Some(released))
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
            if inspected.sellable + inspected.damaged > line.open() {
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

impl ReturnLine {
    /// A line that nobody announced: nothing of it is expected.
    fn unannounced(line_no: i32, sku: String, reason: String) -> Self {
        Self {
            line_no,
            sku,
            reason,
            expected: 0,
            sellable: 0,
            damaged: 0,
            released: 0,
            condition: ReturnCondition::Unspecified,
            withheld: 0,
            amended: 0,
            credit: None,
        }
    }
}

fn never_left(number: &str, line_no: i32) -> Error {
    Error::Broken(format!("line {line_no} of {number} comes back but never left"))
}

#[cfg(test)]
mod tests;
