//! How and when an order is to be delivered, and what keeps it back.

use crate::cancellation::Part;
use time::OffsetDateTime;
use uuid::Uuid;

/// What keeps a confirmed order's reserved quantities from fulfilment, and how much it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Nothing goes before all that is not cancelled is reserved.
    pub is_complete: bool,
    /// Nothing goes earlier.
    pub not_before: Option<OffsetDateTime>,
    /// Nothing goes until somebody lifts the block.
    pub is_blocked: bool,
    /// Reserved and kept back.
    pub withheld: i64,
}

impl Delivery {
    /// True where nothing may be handed over now, while `backordered` of the order waits for stock.
    pub fn withholds(&self, backordered: i64, now: OffsetDateTime) -> bool {
        self.is_blocked || self.due_at(now).is_some() || (self.is_complete && backordered > 0)
    }

    /// When its date comes, where it has not come yet.
    pub fn due_at(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        self.not_before.filter(|at| *at > now)
    }
}

/// What fulfilment can go on with of a line at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadyPart {
    /// The line.
    pub line_no: i32,
    /// Where it is reserved.
    pub location: Uuid,
    /// How much.
    pub quantity: i64,
    /// False for service items: nothing to pick.
    pub stocked: bool,
}

impl ReadyPart {
    /// As it is kept back, or withdrawn.
    pub fn as_part(&self) -> Part {
        Part { line_no: self.line_no, location: self.location, quantity: self.quantity }
    }
}

/// What an order that is placed says about its delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// Ship complete.
    pub is_complete: bool,
    /// Wishes of the order.
    pub requested: Dates,
    /// A block of date.
    pub not_before: Option<OffsetDateTime>,
    /// A block without a date: its reason.
    pub block: Option<String>,
    /// Wishes of lines, by number, where they have any.
    pub lines: Vec<(i32, Dates)>,
}

/// When something leaves and when it arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dates {
    /// Leaves.
    pub ship_at: Option<OffsetDateTime>,
    /// Arrives.
    pub deliver_at: Option<OffsetDateTime>,
}

impl Dates {
    /// True where neither is known.
    pub fn is_empty(&self) -> bool {
        self.ship_at.is_none() && self.deliver_at.is_none()
    }

    /// These, or the others where one is missing.
    pub fn or(self, others: Self) -> Self {
        Self { ship_at: self.ship_at.or(others.ship_at), deliver_at: self.deliver_at.or(others.deliver_at) }
    }

    /// True where these are later than `requested`, or not known though they were.
    pub fn are_later_than(&self, requested: &Self) -> bool {
        let is_later = |own: Option<OffsetDateTime>, wish: Option<OffsetDateTime>| {
            wish.is_some_and(|wish| own.is_none_or(|own| own > wish))
        };
        is_later(self.ship_at, requested.ship_at) || is_later(self.deliver_at, requested.deliver_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn an_order_is_kept_back_by_its_mode_its_date_or_its_block() {
        let (later, earlier) = (Some(NOW + Duration::HOUR), Some(NOW - Duration::HOUR));
        for (is_complete, not_before, is_blocked, backordered, withholds) in [
            (false, None, false, 0, false),
            (false, None, false, 5, false),
            (true, None, false, 0, false),
            (true, None, false, 5, true),
            (false, later, false, 0, true),
            (false, earlier, false, 0, false),
            (false, Some(NOW), false, 0, false),
            (false, None, true, 0, true),
            (true, earlier, true, 0, true),
        ] {
            let delivery = Delivery { is_complete, not_before, is_blocked, withheld: 0 };
            assert_eq!(delivery.withholds(backordered, NOW), withholds, "{delivery:?} with {backordered} waiting");
        }
    }

    #[test]
    fn a_promise_is_late_where_it_is_after_the_wish_or_has_no_date() {
        let at = |days| Some(NOW + Duration::days(days));
        let dates = |ship_at, deliver_at| Dates { ship_at, deliver_at };
        for (promised, requested, late) in [
            (dates(at(1), at(2)), dates(None, None), false),
            (dates(None, None), dates(None, None), false),
            (dates(at(1), at(2)), dates(None, at(2)), false),
            (dates(at(1), at(3)), dates(None, at(2)), true),
            (dates(at(2), at(3)), dates(at(1), None), true),
            (dates(None, None), dates(None, at(9)), true),
        ] {
            assert_eq!(promised.are_later_than(&requested), late, "{promised:?} {requested:?}");
        }
    }
}
