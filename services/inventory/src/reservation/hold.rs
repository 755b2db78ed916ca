//! What becomes of a reservation: each transition moves quantities between the fields of its parts, and books the same
//! on the stock that the transaction has locked.

use super::{Fill, Part, Reservation, State};
use crate::item::ItemId;
use crate::kit::{Component, Kit, pieces};
use crate::location::LocationId;
use crate::reservation::Policy;
use crate::stock::{Book, Level, StockKey};
use std::sync::Arc;
use time::OffsetDateTime;

/// What was let go of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    pub line_no: i32,
    pub item: ItemId,
    pub reserved: i64,
    pub backordered: i64,
    /// Of the reserved, what had come for quantity that was cancelled as waiting.
    pub taken_back: Vec<(LocationId, i64)>,
}

/// Goods of a line that moved at a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goods {
    pub line_no: i32,
    pub item: ItemId,
    /// False for service items.
    pub stocked: bool,
    pub location: LocationId,
    /// Of a kit: what it is made of.
    pub kit: Option<Arc<Kit>>,
}

/// What left stock with a shipment: of one item, that of the line or a component of its kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    pub key: StockKey,
    pub quantity: i64,
    /// Of it, more than the books knew of: to be found by an adjustment first.
    pub unbooked: i64,
}

/// What was not found, in units of the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortage {
    /// Not promised any more; of a kit, all its components.
    pub quantity: i64,
    /// Of it, what a count had taken off the books before.
    pub counted_off: i64,
    /// Of it, what waits again.
    pub backordered: i64,
}

/// Lets go of up to `quantity` of what a part holds. Gives how much it was. What a count did not find goes last: the
/// warehouse may be about to say that it did not find it either.
fn release_part(part: &mut Part, quantity: i64, book: &mut Book) -> i64 {
    let some = part.reserved.min(quantity);
    if some > 0 {
        let there = part.there().min(some);
        part.reserved -= some;
        part.missing -= some - there;
        part.released += some;
        part.changed = true;
        part.book_reserved(-there, book);
    }
    some
}

/// Takes `quantity` of what a part holds off the stock.
fn take_off(part: &Part, location: LocationId, quantity: i64, book: &mut Book) {
    for piece in part.pieces().filter(|_| quantity > 0) {
        let off = -quantity * piece.quantity;
        book.change(StockKey { item: piece.item, location }, Level { on_hand: off, reserved: off, ..Level::default() });
    }
}

/// Takes up to `quantity` of a part out of the queue. Gives how much it was.
fn leave_queue(part: &mut Part, quantity: i64) -> i64 {
    let some = part.backordered.min(quantity);
    if some > 0 {
        part.backordered -= some;
        part.released += some;
        part.changed = true;
    }
    some
}

impl Goods {
    /// What one unit of them is in stock; nothing for services.
    pub fn pieces(&self) -> impl Iterator<Item = Component> + '_ {
        pieces(self.item, self.kit.as_deref()).filter(|_| self.stocked)
    }

    /// The stock that they move.
    pub fn keys(&self) -> impl Iterator<Item = StockKey> + '_ {
        self.pieces().map(|piece| StockKey { item: piece.item, location: self.location })
    }
}

impl Reservation {
    /// The keys of the stock that its stocked parts hold.
    pub fn held_keys(&self) -> impl Iterator<Item = StockKey> + '_ {
        self.parts.iter().filter(|part| part.reserved > 0).flat_map(Part::keys)
    }

    /// It lapsed: everything of it is free again.
    pub fn expire(&mut self, book: &mut Book) -> Vec<Released> {
        let released = self.release_all(book);
        self.state = State::Expired;
        self.expires_at = None;
        self.changed = true;
        released
    }

    /// Lines of a change that was dropped: all of them is free again.
    pub fn release_lines(&mut self, line_nos: &[i32], book: &mut Book) -> Vec<Released> {
        self.release_where(|line_no| line_nos.contains(&line_no), book)
    }

    /// The order was rejected or cancelled as a whole: everything of it is free again, for good.
    pub fn close(&mut self, book: &mut Book) -> Vec<Released> {
        let released = self.release_all(book);
        self.state = State::Closed;
        self.expires_at = None;
        self.changed = true;
        released
    }

    fn release_all(&mut self, book: &mut Book) -> Vec<Released> {
        self.release_where(|_| true, book)
    }

    fn release_where(&mut self, which: impl Fn(i32) -> bool, book: &mut Book) -> Vec<Released> {
        let mut released: Vec<Released> = Vec::new();
        for part in self.parts.iter_mut().filter(|part| which(part.line_no)) {
            let reserved = release_part(part, i64::MAX, book);
            let backordered = leave_queue(part, i64::MAX);
            if reserved + backordered == 0 {
                continue;
            }
            match released.last_mut().filter(|last| last.line_no == part.line_no) {
                Some(last) => {
                    last.reserved += reserved;
                    last.backordered += backordered;
                }
                None => {
                    let (line_no, item) = (part.line_no, part.item);
                    released.push(Released { line_no, item, reserved, backordered, taken_back: Vec::new() });
                }
            }
        }
        released
    }

    /// The order cancelled these quantities of a line. Where less waits than it believed, the difference got stock
    /// meanwhile, and is taken back from what was filled last: the order has not read of it, or will pass it over.
    pub fn release_line(
        &mut self,
        line_no: i32,
        reserved: &[(LocationId, i64)],
        backordered: i64,
        fills: &mut [Fill],
        book: &mut Book,
    ) -> Option<Released> {
        let mut from_stock = 0;
        let mut from_queue = 0;
        let mut item = None;
        for part in self.parts.iter_mut().filter(|part| part.line_no == line_no) {
            item = Some(part.item);
            from_queue += leave_queue(part, backordered - from_queue);
            let here = reserved.iter().filter(|(location, _)| Some(*location) == part.location).map(|(_, q)| q).sum();
            from_stock += release_part(part, here, book);
        }
        let mut missing = backordered - from_queue;
        let mut taken_back = Vec::new();
        // In the order of their versions: the latest is last.
        for fill in fills.iter_mut().rev().filter(|fill| fill.line_no == line_no && fill.quantity > 0) {
            if missing == 0 {
                break;
            }
            let at = self.parts.iter_mut().find(|p| p.line_no == line_no && p.location == Some(fill.location));
            let Some(part) = at else { continue };
            let some = release_part(part, missing.min(fill.quantity), book);
            fill.quantity -= some;
            fill.changed = true;
            missing -= some;
            from_stock += some;
            if some > 0 {
                taken_back.push((fill.location, some));
            }
        }
        let item = item.filter(|_| from_stock + from_queue > 0)?;
        Some(Released { line_no, item, reserved: from_stock, backordered: from_queue, taken_back })
    }

    /// The order is settled: it does not lapse any more. One that had lapsed already holds again what is still free of
    /// what the order was told (`allocations`: line, location, quantity) and waits again for the rest.
    pub fn confirm(&mut self, allocations: &[(i32, LocationId, i64)], backordered: &[(i32, i64)], book: &mut Book) {
        if self.state == State::Expired {
            for (line_no, location, quantity) in allocations {
                self.hold_again(*line_no, *location, *quantity, book);
            }
            for (line_no, quantity) in backordered {
                let at = self.parts.iter_mut().find(|part| part.line_no == *line_no && part.location.is_none());
                if let Some(part) = at {
                    let some = part.released.min(*quantity);
                    part.released -= some;
                    part.backordered += some;
                    part.changed = true;
                }
            }
            self.state = State::Held;
        }
        if self.state == State::Held {
            self.confirmed = true;
            self.expires_at = None;
            self.changed = true;
        }
    }

    fn hold_again(&mut self, line_no: i32, location: LocationId, quantity: i64, book: &mut Book) {
        let at = self.parts.iter_mut().find(|part| part.line_no == line_no && part.location == Some(location));
        let Some(part) = at else { return };
        let some = quantity.min(part.released).min(part.free(book)).max(0);
        part.released -= some;
        part.reserved += some;
        part.changed = true;
        part.book_reserved(some, book);
    }

    /// Goods left. Beyond what was held they come out of free stock, and beyond that the books were wrong: what left was
    /// there. Gives what left of which item; nothing for services.
    pub fn issue(&mut self, goods: &Goods, quantity: i64, book: &mut Book) -> Vec<Issue> {
        let part = self.part_of(goods);
        let held = part.reserved.min(quantity);
        let there = part.there().min(held);
        // A count had missed it: it was in the packer's hands.
        let found = held - there;
        let beyond = quantity - held;
        // What was let go before is shipped after all; only what was never asked for makes the line larger.
        let again = part.released.min(beyond);
        part.reserved -= held;
        part.missing -= found;
        part.released -= again;
        part.issued += quantity;
        part.quantity += beyond - again;
        let mut issues = Vec::with_capacity(1);
        for piece in part.pieces().filter(|_| goods.stocked) {
            let key = StockKey { item: piece.item, location: goods.location };
            let (there, found, beyond) = (there * piece.quantity, found * piece.quantity, beyond * piece.quantity);
            let free = book.level(key).unreserved().max(0).min(beyond);
            book.change(key, Level { on_hand: -there - free, reserved: -there, ..Level::default() });
            issues.push(Issue { key, quantity: there + found + beyond, unbooked: found + beyond - free });
        }
        self.units += beyond - again;
        self.changed |= beyond > again;
        issues
    }

    /// The part of the goods, made when there is none yet.
    fn part_of(&mut self, goods: &Goods) -> &mut Part {
        let part = self.part(goods.line_no, Some(goods.location), goods.item, goods.stocked);
        if part.kit.is_none() {
            part.kit.clone_from(&goods.kit);
        }
        part
    }

    /// The warehouse found less than was held: it is off the books, where a count has not taken it off before, and waits
    /// again or is refused, by the order's policy. Nothing (a quantity of 0) where it was not held any more.
    pub fn short_pick(&mut self, line_no: i32, location: LocationId, quantity: i64, book: &mut Book) -> Shortage {
        self.fall_short(line_no, location, quantity, |part, there| take_off(part, location, there, book))
    }

    /// The order gave up what a count did not find of it, and waits again or not as after a short pick. What turned out to
    /// be there meanwhile is free again.
    pub fn give_up(&mut self, line_no: i32, location: LocationId, quantity: i64, book: &mut Book) -> Shortage {
        self.fall_short(line_no, location, quantity, |part, there| part.book_reserved(-there, book))
    }

    /// What is missing goes first; `book` books what is there.
    fn fall_short(
        &mut self,
        line_no: i32,
        location: LocationId,
        quantity: i64,
        book: impl FnOnce(&Part, i64),
    ) -> Shortage {
        let Some(part) = self.stocked_part(line_no, location) else { return Shortage::default() };
        let short = part.reserved.min(quantity);
        if short == 0 {
            return Shortage::default();
        }
        let (item, missing) = (part.item, part.missing.min(short));
        part.reserved -= short;
        part.missing -= missing;
        part.quantity -= short;
        part.changed = true;
        book(part, short - missing);
        let waits = self.policy == Policy::Backorder && self.state == State::Held;
        let nowhere = self.part(line_no, None, item, true);
        nowhere.quantity += short;
        if waits {
            nowhere.backordered += short;
        } else {
            nowhere.refused += short;
        }
        Shortage { quantity: short, counted_off: missing, backordered: if waits { short } else { 0 } }
    }

    /// A count did not find up to `quantity` of what is held: it is off the books, and still the order's. Gives how much.
    pub fn miss(&mut self, line_no: i32, location: LocationId, quantity: i64, book: &mut Book) -> i64 {
        let Some(part) = self.stocked_part(line_no, location) else { return 0 };
        let some = part.there().min(quantity);
        if some > 0 {
            part.missing += some;
            part.changed = true;
            take_off(part, location, some, book);
        }
        some
    }

    fn stocked_part(&mut self, line_no: i32, location: LocationId) -> Option<&mut Part> {
        let here = |part: &&mut Part| part.line_no == line_no && part.location == Some(location) && part.stocked;
        self.parts.iter_mut().find(here)
    }

    /// Goods came back: noted at the parts they left from, and booked as stock where they are now.
    pub fn take_back(&mut self, goods: &Goods, sellable: i64, damaged: i64, book: &mut Book) {
        let line_no = goods.line_no;
        for piece in goods.pieces() {
            let key = StockKey { item: piece.item, location: goods.location };
            let (on_hand, damaged) = (sellable * piece.quantity, damaged * piece.quantity);
            book.change(key, Level { on_hand, damaged, ..Level::default() });
        }
        let mut left = sellable + damaged;
        for part in self.parts.iter_mut().filter(|part| part.line_no == line_no) {
            let some = (part.issued - part.returned).max(0).min(left);
            if some > 0 {
                part.returned += some;
                part.changed = true;
                left -= some;
            }
        }
        if left > 0 {
            // More came back than left: stock has it, and the proof will name the line.
            self.part_of(goods).returned += left;
        }
    }

    /// Waiting quantity of a line got stock at a location.
    pub fn fill(&mut self, line_no: i32, item: ItemId, location: LocationId, quantity: i64, book: &mut Book) {
        let nowhere = self.part(line_no, None, item, true);
        nowhere.quantity -= quantity;
        nowhere.backordered -= quantity;
        let part = self.part(line_no, Some(location), item, true);
        part.quantity += quantity;
        part.reserved += quantity;
        part.book_reserved(quantity, book);
    }

    /// Asked for again while it is held: it lapses later.
    pub fn extend(&mut self, expires_at: OffsetDateTime) {
        if !self.confirmed {
            self.expires_at = Some(expires_at);
            self.changed = true;
        }
    }
}
