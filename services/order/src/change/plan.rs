//! What changes come to.

use super::{Amendment, Amounts, Change, Impossible, LAST_LINE, PlannedLine, Reason, Repriced, Split};
use crate::order::{Order, OrderLine};
use pesan_money::Currency;
use prost::Message as _;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Most base units of a line.
const MOST_UNITS: i64 = 1_000_000_000;

/// A line while it is changed.
struct Working<'a> {
    line: &'a OrderLine,
    /// Has not left and can still change.
    open: i64,
    /// Of it, what goes.
    reduced: i64,
    /// On top of it, and the change that asks for it.
    more: Option<(i64, usize)>,
    /// Named by a change of its quantity.
    is_named: bool,
    /// Another price, and the change that asks for it.
    price: Option<(Price, usize)>,
}

#[derive(Clone, Copy)]
struct Price {
    unit_price: Decimal,
    discount: Option<Decimal>,
    tax: Option<Decimal>,
}

impl Working<'_> {
    fn left(&self) -> i64 {
        self.open - self.reduced
    }

    fn amounts(&self) -> Amounts {
        let OrderLine { unit_price, line_total, discount, tax, .. } = *self.line;
        Amounts { unit_price, line_total, discount, tax }
    }

    fn ordered(&self) -> i64 {
        self.line.line.quantities.ordered
    }

    fn nothing_left(&self) -> Reason {
        if self.line.line.quantities.shipped > 0 { Reason::Shipped } else { Reason::NothingLeft }
    }
}

/// A plan in the making.
struct Planner<'a> {
    currency: Currency,
    lines: BTreeMap<i32, Working<'a>>,
    amendment: Amendment,
    impossible: Vec<Impossible>,
}

/// Works out what `changes` do to an order with all its lines, and what of them cannot be. New lines are numbered from
/// `next_line` on.
pub fn plan(order: &Order, changes: &[Change], next_line: i32) -> (Amendment, Vec<Impossible>) {
    let promised = order.head.standing.confirmed_at.is_some();
    let working = |line: &'_ OrderLine| {
        let q = &line.line.quantities;
        if promised { q.open() } else { q.ordered }
    };
    let lines = order.lines.iter().map(|line| {
        let open = working(line);
        (line.line.line_no, Working { line, open, reduced: 0, more: None, is_named: false, price: None })
    });
    let amendment = Amendment { promised, ..Amendment::default() };
    let mut planner = Planner { currency: order.currency, lines: lines.collect(), amendment, impossible: Vec::new() };
    planner.quantities(changes);
    planner.splits(changes);
    planner.rest(changes);
    planner.prices(changes);
    planner.whole_order(changes);
    planner.finish(order, changes, next_line)
}

impl Planner<'_> {
    fn refuse(&mut self, change: usize, line_no: i32, reason: Reason) {
        self.impossible.push(Impossible { change, line_no, reason });
    }

    fn quantities(&mut self, changes: &[Change]) {
        for (i, change) in changes.iter().enumerate() {
            let (line_no, wanted) = match change {
                Change::Remove(line_no) => (*line_no, None),
                Change::SetQuantity(line_no, quantity) => (*line_no, Some(*quantity)),
                _ => continue,
            };
            let Some(line) = self.lines.get_mut(&line_no) else {
                self.refuse(i, line_no, Reason::NoSuchLine);
                continue;
            };
            let shipped = line.line.line.quantities.shipped;
            let refused = match wanted {
                _ if line.is_named => Some(Reason::NamedTwice),
                None if line.open == 0 => Some(line.nothing_left()),
                Some(quantity) if quantity < shipped => Some(Reason::Shipped),
                Some(quantity) if quantity > MOST_UNITS => Some(Reason::TooMuch),
                None | Some(_) => None,
            };
            line.is_named = true;
            if let Some(reason) = refused {
                self.refuse(i, line_no, reason);
                continue;
            }
            let wanted = wanted.map_or(0, |quantity| quantity - shipped);
            line.reduced = (line.open - wanted).max(0);
            line.more = Some((wanted - line.open, i)).filter(|(more, _)| *more > 0);
        }
    }

    fn splits(&mut self, changes: &[Change]) {
        for (i, change) in changes.iter().enumerate() {
            let Change::SplitOff { lines, ship_to, not_before } = change else { continue };
            let mut split = Split {
                lines: Vec::new(),
                from: Vec::new(),
                ship_to: ship_to.as_ref().map(|address| address.encode_to_vec()),
                not_before: *not_before,
            };
            for (line_no, quantity) in lines {
                let Some(line) = self.lines.get_mut(line_no) else {
                    self.refuse(i, *line_no, Reason::NoSuchLine);
                    continue;
                };
                let amounts = line.amounts().at_price(self.currency, *quantity, line.ordered());
                let Some(amounts) = amounts.filter(|_| *quantity <= line.left()) else {
                    let reason = line.nothing_left();
                    self.refuse(i, *line_no, reason);
                    continue;
                };
                line.reduced += quantity;
                split.from.push((*line_no, *quantity));
                split.lines.push(PlannedLine {
                    line_no: i32::try_from(split.lines.len() + 1).unwrap_or(LAST_LINE),
                    sku: line.line.sku.clone(),
                    description: line.line.description.clone(),
                    quantity: *quantity,
                    amounts,
                    change: i,
                });
            }
            self.amendment.splits.push(split);
        }
    }

    fn rest(&mut self, changes: &[Change]) {
        let Some(i) = changes.iter().position(|change| matches!(change, Change::CancelRest)) else { return };
        if !self.amendment.promised {
            self.amendment.cancel_all = true;
            if changes.len() > 1 {
                self.refuse(i, 0, Reason::NotPromisedYet);
            }
            return;
        }
        if self.lines.values().all(|line| line.left() == 0) {
            self.refuse(i, 0, Reason::NothingLeft);
        }
        self.lines.values_mut().for_each(|line| line.reduced = line.open);
    }

    fn prices(&mut self, changes: &[Change]) {
        for (i, change) in changes.iter().enumerate() {
            let Change::SetPrice { line_no, unit_price, discount, tax } = change else { continue };
            let Some(line) = self.lines.get_mut(line_no) else {
                self.refuse(i, *line_no, Reason::NoSuchLine);
                continue;
            };
            let refused = if line.price.is_some() {
                Some(Reason::NamedTwice)
            } else if line.left() == 0 {
                Some(line.nothing_left())
            } else {
                None
            };
            match refused {
                Some(reason) => self.refuse(i, *line_no, reason),
                None => line.price = Some((Price { unit_price: *unit_price, discount: *discount, tax: *tax }, i)),
            }
        }
    }

    fn whole_order(&mut self, changes: &[Change]) {
        for (i, change) in changes.iter().enumerate() {
            let refused = match change {
                Change::SetAddress(address) => {
                    self.amendment.ship_to.replace(address.encode_to_vec()).map(|_| Reason::NamedTwice)
                }
                Change::SetShipDate(not_before) => {
                    self.amendment.not_before = *not_before;
                    std::mem::replace(&mut self.amendment.rescheduled, true).then_some(Reason::NamedTwice)
                }
                _ => None,
            };
            if let Some(reason) = refused {
                self.refuse(i, 0, reason);
            }
        }
        let nothing_goes = self.amendment.promised && self.lines.values().all(|line| line.left() == 0);
        let grows = changes.iter().any(|change| matches!(change, Change::Add { .. }))
            || self.lines.values().any(|line| line.more.is_some());
        if self.amendment.moves() && nothing_goes && !grows {
            let reason = self.lines.values().next().map_or(Reason::NothingLeft, Working::nothing_left);
            let moves = |change: &Change| matches!(change, Change::SetAddress(_) | Change::SetShipDate(_));
            let change = changes.iter().position(moves).unwrap_or_default();
            self.refuse(change, 0, reason);
        }
    }

    fn finish(mut self, order: &Order, changes: &[Change], mut next_line: i32) -> (Amendment, Vec<Impossible>) {
        let mut new = Vec::new();
        for (i, change) in changes.iter().enumerate() {
            if let Change::Add { sku, description, quantity, amounts } = change {
                new.push((sku.clone(), description.clone(), *quantity, Some(*amounts), i));
            }
        }
        let currency = self.currency;
        let mut kept = Vec::with_capacity(self.lines.len());
        let mut refused = Vec::new();
        for (line_no, line) in &self.lines {
            let (ordered, old, left) = (line.ordered(), line.amounts(), line.left());
            let quantity = left + if self.amendment.promised { 0 } else { line.more.map_or(0, |(more, _)| more) };
            let price = |amounts: Option<Amounts>, quantity: i64| match line.price {
                None => amounts,
                Some((Price { unit_price, discount, tax }, _)) => {
                    amounts?.repriced(currency, quantity, unit_price, discount, tax)
                }
            };
            let culprit = line.more.map(|(_, i)| i).or(line.price.map(|(_, i)| i)).unwrap_or_default();
            if !self.amendment.promised {
                if quantity == 0 {
                    continue;
                }
                let same = if quantity == ordered { Some(old) } else { old.at_price(currency, quantity, ordered) };
                match price(same, quantity) {
                    Some(amounts) => kept.push(PlannedLine {
                        line_no: *line_no,
                        sku: line.line.sku.clone(),
                        description: line.line.description.clone(),
                        quantity,
                        amounts,
                        change: culprit,
                    }),
                    None => refused.push((culprit, *line_no, Reason::TooMuch)),
                }
                continue;
            }
            if line.reduced > 0 {
                self.amendment.reduced.insert(*line_no, line.reduced);
            }
            if line.price.is_some() && left > 0 {
                let before = old.of(currency, left, ordered);
                match price(Some(before), left) {
                    Some(open) => {
                        let line_total = old.line_total - before.line_total + open.line_total;
                        let discount = (old.discount - before.discount + open.discount).min(line_total);
                        let tax = old.tax - before.tax + open.tax;
                        let whole = Amounts { unit_price: open.unit_price, line_total, discount, tax };
                        let kept = line.line.line.quantities.shipped;
                        self.amendment.repriced.push(Repriced { line_no: *line_no, kept, left, open, whole });
                    }
                    None => refused.push((culprit, *line_no, Reason::TooMuch)),
                }
            }
            if let Some((more, i)) = line.more {
                let same = old.at_price(currency, more, ordered);
                // What was given with a price is for what is there already.
                let amounts = match line.price {
                    Some((Price { unit_price, .. }, _)) => {
                        same.and_then(|same| same.repriced(currency, more, unit_price, None, None))
                    }
                    None => same,
                };
                new.push((line.line.sku.clone(), line.line.description.clone(), more, amounts, i));
            }
        }
        let mut added = Vec::with_capacity(new.len());
        for (sku, description, quantity, amounts, change) in new {
            match amounts.filter(|_| next_line <= LAST_LINE) {
                Some(amounts) => {
                    added.push(PlannedLine { line_no: next_line, sku, description, quantity, amounts, change });
                }
                None => refused.push((change, 0, Reason::TooMuch)),
            }
            next_line = next_line.saturating_add(1);
        }
        for (change, line_no, reason) in refused {
            self.refuse(change, line_no, reason);
        }
        if self.amendment.promised {
            self.amendment.added = added;
        } else if !self.amendment.cancel_all {
            kept.extend(added);
            if kept.is_empty() {
                self.refuse(0, 0, Reason::NothingRemains);
            }
            let is_same = kept.len() == order.lines.len()
                && kept.iter().zip(&order.lines).all(|(new, old)| {
                    let Amounts { unit_price, line_total, discount, tax } = new.amounts;
                    (new.line_no, new.quantity) == (old.line.line_no, old.line.quantities.ordered)
                        && (unit_price, line_total, discount, tax)
                            == (old.unit_price, old.line_total, old.discount, old.tax)
                });
            self.amendment.rewritten = Some(kept).filter(|_| !is_same);
        }
        self.check_totals(order);
        (self.amendment, self.impossible)
    }

    /// The order's sums fit their proto form.
    fn check_totals(&mut self, order: &Order) {
        let amounts = self.amendment.added.iter().map(|line| line.amounts);
        let repriced = self.amendment.repriced.iter().map(|line| line.whole);
        let rewritten = self.amendment.rewritten.iter().flatten().map(|line| line.amounts);
        let sum = amounts.chain(repriced).chain(rewritten).try_fold(order.gross + order.tax, |sum, amounts| {
            sum.checked_add(amounts.line_total)?.checked_add(amounts.tax)
        });
        if sum.is_none_or(|sum| sum >= Decimal::from(i64::MAX)) {
            self.refuse(0, 0, Reason::TooMuch);
        }
    }
}
