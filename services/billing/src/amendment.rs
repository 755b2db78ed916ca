//! A change of a charge: new lines, other prices, less. Pure.

use crate::charge_line::ChargeLine;
use crate::error::Refusal;
use pesan_money::Currency;
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// A change of an order's charge that is asked for.
#[derive(Clone, Debug)]
pub struct Amendment {
    pub order_id: Uuid,
    /// Counts the changes of the order.
    pub revision: i64,
    pub currency: Currency,
    pub added: Vec<ChargeLine>,
    pub repriced: Vec<Repriced>,
    /// Line, quantity.
    pub reduced: Vec<(i32, i64)>,
    /// Of the order's journey; may be empty.
    pub traceparent: String,
    pub placed_at: OffsetDateTime,
}

/// Another price for what has not left of a line.
#[derive(Clone, Copy, Debug)]
pub struct Repriced {
    pub line_no: i32,
    /// Pieces that have left.
    pub kept: i64,
    /// Pieces that have not.
    pub left: i64,
    /// Line total, discount and tax of those that have not.
    pub amounts: [Decimal; 3],
}

/// Changes the lines of a charge; by how much more is to be authorised (less, where negative).
///
/// # Errors
/// Where it cannot be, the lines are as good as lost: give a copy.
pub fn apply(lines: &mut Vec<ChargeLine>, amendment: &Amendment) -> Result<Decimal, Refusal> {
    let exponent = amendment.currency.exponent();
    let mut more = Decimal::ZERO;
    let find = |lines: &mut Vec<ChargeLine>, line_no: i32| lines.iter().position(|line| line.line_no == line_no);
    for (line_no, quantity) in &amendment.reduced {
        let place = find(lines, *line_no).ok_or(Refusal::LineInvoiced { line_no: *line_no })?;
        if lines[place].left() < *quantity {
            return Err(Refusal::LineInvoiced { line_no: *line_no });
        }
        more -= lines[place].void(*quantity, exponent).total();
    }
    for Repriced { line_no, kept, left, amounts } in &amendment.repriced {
        let line_no = *line_no;
        let place = find(lines, line_no).ok_or(Refusal::LineInvoiced { line_no })?;
        let line = &mut lines[place];
        if line.quantity - line.voided - kept != *left {
            return Err(Refusal::Behind);
        }
        more += line.reprice(*kept, *amounts, exponent).ok_or(Refusal::LineInvoiced { line_no })?;
    }
    for line in &amendment.added {
        more += line.net() + line.tax;
        lines.push(line.clone());
    }
    lines.sort_unstable_by_key(|line| line.line_no);
    Ok(more)
}
