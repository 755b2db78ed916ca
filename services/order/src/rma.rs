//! Returns: permissions to send goods back.

use crate::name::OrderName;
use pesan_api::order::v1::ReturnHandling;
use rust_decimal::Decimal;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// A permission to send goods back.
#[derive(Clone, Debug)]
pub struct Rma {
    /// UUIDv7.
    pub return_id: Uuid,
    /// N of "RMA-N".
    pub number: i64,
    /// The order it belongs to.
    pub order_id: Uuid,
    /// Its id where it came from; empty if none.
    pub external_id: String,
    /// Who handles the goods.
    pub handling: ReturnHandling,
    /// When it was asked for.
    pub requested_at: OffsetDateTime,
    /// Counts the changes.
    pub version: i64,
    /// What may come back, by line number.
    pub lines: Vec<RmaLine>,
}

/// A line of a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RmaLine {
    /// Of the order.
    pub line_no: i32,
    /// What may come back.
    pub quantity: i64,
    /// What did.
    pub received: i64,
    /// For programs.
    pub reason: String,
    /// What is credited for all of it; none: the share of what was invoiced.
    pub credit: Option<Decimal>,
}

/// A return that is asked for.
#[derive(Clone, Debug)]
pub struct ReturnRequest {
    /// The order.
    pub order: OrderName,
    /// Its id where it comes from; empty if none.
    pub external_id: String,
    /// Each line at most once.
    pub lines: Vec<ReturnRequestLine>,
    /// Who handles the goods.
    pub handling: ReturnHandling,
    /// When it was asked for.
    pub requested_at: OffsetDateTime,
}

/// A line of a return that is asked for.
#[derive(Clone, Debug)]
pub struct ReturnRequestLine {
    /// Of the order.
    pub line_no: i32,
    /// 1 and more.
    pub quantity: i64,
    /// For programs.
    pub reason: String,
    /// As the caller said it: checked when the order's currency is known.
    pub credit: Option<pesan_api::r#type::v1::Money>,
}

/// What of an order's line can come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returnable {
    /// Shipped, not returned, and on no other return.
    pub now: i64,
    /// Besides, what may yet be shipped.
    pub later: i64,
}

/// Why a line cannot be returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReturnable {
    /// The order has no such line.
    NoSuchLine,
    /// Not enough of it has left; it may yet.
    NotYet(Returnable),
    /// More than there is.
    TooMuch(Returnable),
}

/// Takes the lines' quantities out of what is returnable, all or nothing; else which line (by place) fails, and why.
///
/// # Errors
/// The first line that cannot be returned.
pub fn take(
    returnable: &mut HashMap<i32, Returnable>,
    lines: &[ReturnRequestLine],
) -> Result<(), (usize, NotReturnable)> {
    for (place, line) in lines.iter().enumerate() {
        let Some(room) = returnable.get(&line.line_no) else { return Err((place, NotReturnable::NoSuchLine)) };
        if line.quantity > room.now + room.later {
            return Err((place, NotReturnable::TooMuch(*room)));
        }
        if line.quantity > room.now {
            return Err((place, NotReturnable::NotYet(*room)));
        }
    }
    for line in lines {
        if let Some(room) = returnable.get_mut(&line.line_no) {
            room.now -= line.quantity;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lines: &[(i32, i64)]) -> Vec<ReturnRequestLine> {
        let line = |(line_no, quantity): &(i32, i64)| ReturnRequestLine {
            line_no: *line_no,
            quantity: *quantity,
            reason: String::new(),
            credit: None,
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_return_takes_all_its_lines_or_none() {
        let room = |now, later| Returnable { now, later };
        let mut shelf = HashMap::from([(1, room(5, 0)), (2, room(1, 2))]);
        assert_eq!(take(&mut shelf, &asked(&[(1, 5), (2, 2)])), Err((1, NotReturnable::NotYet(room(1, 2)))));
        assert_eq!(take(&mut shelf, &asked(&[(1, 6)])), Err((0, NotReturnable::TooMuch(room(5, 0)))));
        assert_eq!(take(&mut shelf, &asked(&[(3, 1)])), Err((0, NotReturnable::NoSuchLine)));
        assert_eq!(take(&mut shelf, &asked(&[(1, 3), (2, 1)])), Ok(()));
        assert_eq!(shelf, HashMap::from([(1, room(2, 0)), (2, room(0, 2))]));
    }
}
