//! The steps of a fulfilment order on its way out. Each checks that it is its turn, and changes nothing when refused.

use super::{Action, FulfilmentOrder, Moved, Parcel};
use crate::effective::Effective;
use crate::error::Error;
use pesan_grpc::Violations;
use std::collections::HashMap;
use time::OffsetDateTime;

/// What a picker says of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PickedLine {
    pub line_no: i32,
    /// What was found.
    pub quantity: i64,
}

/// What came of picking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picking {
    pub picked: Vec<Moved>,
    /// Not found; it has left the fulfilment order.
    pub short: Vec<Moved>,
    pub at: OffsetDateTime,
}

impl FulfilmentOrder {
    /// Picks what is open: lines that are not named in full, named ones for what was found. What was not found is short.
    pub fn pick(&mut self, found: &[PickedLine], effective: Effective) -> Result<Picking, Error> {
        self.require(Action::Pick)?;
        let at = effective.not_before(self.created_at)?;
        let found = self.check_found(found)?;
        let mut picking = Picking { picked: Vec::new(), short: Vec::new(), at };
        for line in &mut self.lines {
            let open = line.open();
            let picked = found.get(&line.line_no).copied().unwrap_or(open);
            let short = open - picked;
            line.picked += picked;
            line.short += short;
            if picked > 0 {
                picking.picked.push(line.moved(picked));
            }
            if short > 0 {
                picking.short.push(line.moved(short));
            }
        }
        self.picked_at = Some(at);
        Ok(picking)
    }

    /// Named lines must be lines of this fulfilment order, each for at most what is open of it.
    fn check_found(&self, found: &[PickedLine]) -> Result<HashMap<i32, i64>, Error> {
        let lines: HashMap<i32, _> = self.lines.iter().map(|line| (line.line_no, line)).collect();
        let mut violations = Violations::new();
        let mut beyond = Vec::new();
        for (i, named) in found.iter().enumerate() {
            match lines.get(&named.line_no) {
                None => violations.add(format!("lines[{i}].line_no"), "is not a line of this fulfilment order"),
                Some(line) if named.quantity > line.open() => beyond.push(named.line_no),
                Some(line) if !line.stocked && named.quantity < line.open() => {
                    violations.add(format!("lines[{i}].quantity"), "a service cannot be short: leave the line out");
                }
                Some(_) => {}
            }
        }
        violations.into_result(()).map_err(Error::Invalid)?;
        if !beyond.is_empty() {
            return Err(Error::MoreThanOpen { number: self.number, lines: beyond });
        }
        Ok(found.iter().map(|named| (named.line_no, named.quantity)).collect())
    }

    /// Packs what was picked into parcels of these weights in grams; none given: one parcel of unknown weight.
    pub fn pack(&mut self, weights: &[i64], effective: Effective) -> Result<OffsetDateTime, Error> {
        self.require(Action::Pack)?;
        let at = effective.not_before(self.picked_at.unwrap_or(self.created_at))?;
        let weights = if weights.is_empty() { &[0] } else { weights };
        let parcel = |(parcel_no, weight_grams): (i32, &i64)| Parcel {
            parcel_no,
            weight_grams: *weight_grams,
            carrier: None,
            tracking_number: None,
        };
        self.parcels = (1..).zip(weights).map(parcel).collect();
        self.packed_at = Some(at);
        Ok(at)
    }

    /// Whether it could be shipped then; asked before the carrier is.
    pub fn may_ship(&self, effective: Effective) -> Result<OffsetDateTime, Error> {
        self.require(Action::Ship)?;
        effective.not_before(self.packed_at.unwrap_or(self.created_at))
    }

    /// Goods issue: everything picked is gone, with a tracking number for each parcel.
    pub fn ship(&mut self, tracking_numbers: Vec<String>, effective: Effective) -> Result<OffsetDateTime, Error> {
        let at = self.may_ship(effective)?;
        if tracking_numbers.len() != self.parcels.len() {
            let (labels, parcels) = (tracking_numbers.len(), self.parcels.len());
            return Err(Error::Broken(format!("the carrier gave {labels} labels for {parcels} parcels")));
        }
        for (parcel, number) in self.parcels.iter_mut().zip(tracking_numbers) {
            parcel.tracking_number = Some(number);
        }
        for line in &mut self.lines {
            line.shipped = line.picked;
        }
        self.shipped_at = Some(at);
        Ok(at)
    }

    /// The customer has it.
    pub fn confirm_delivery(&mut self, effective: Effective) -> Result<OffsetDateTime, Error> {
        self.require(Action::ConfirmDelivery)?;
        let at = effective.not_before(self.shipped_at.unwrap_or(self.created_at))?;
        self.delivered_at = Some(at);
        Ok(at)
    }
}
