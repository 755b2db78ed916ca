//! Finds the order that a return belongs to.
//!
//! Sales and returns pass by in the order of time. What a customer bought of an item lies on a stack; a return takes
//! from its top, the newest, as long as there is something left to return. What finds nothing is credited by itself.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;

use super::plan::{CreditNote, CreditNoteLine, Invoice, Order, Return, ReturnLine};

/// What the return invoices become.
pub struct Credited {
    pub returns: Vec<Return>,
    pub credit_notes: Vec<CreditNote>,
    /// Of both together.
    pub value: Decimal,
}

/// A line that can still be returned.
struct Open {
    order: usize,
    line_no: i32,
    left: i64,
}

/// By customer and sku; the newest last.
type Bought<'a> = HashMap<(&'a str, &'a str), Vec<Open>>;

/// Matches return invoices (by time) to lines of orders (by time) that are strictly earlier.
pub fn credit<'a>(orders: &'a [Order], invoices: &'a [Invoice], currency: Currency) -> Result<Credited> {
    let mut bought: Bought<'a> = HashMap::new();
    let mut earlier = orders.iter().enumerate().peekable();
    let mut credited = Credited { returns: Vec::new(), credit_notes: Vec::new(), value: Decimal::ZERO };
    for invoice in invoices {
        while let Some((index, order)) = earlier.next_if(|(_, order)| order.placed_at < invoice.at) {
            remember(&mut bought, index, order);
        }
        credit_invoice(&mut bought, invoice, currency, &mut credited)?;
    }
    Ok(credited)
}

fn remember<'a>(bought: &mut Bought<'a>, index: usize, order: &'a Order) {
    let Some(customer) = &order.customer else { return };
    for (line_no, line) in (1..).zip(&order.lines) {
        let open = Open { order: index, line_no, left: line.quantity };
        bought.entry((customer, &line.sku)).or_default().push(open);
    }
}

fn credit_invoice<'a>(
    bought: &mut Bought<'a>,
    invoice: &'a Invoice,
    currency: Currency,
    credited: &mut Credited,
) -> Result<()> {
    // Several rows may come back to one line: quantity and credit by order and line.
    let mut returned: BTreeMap<(usize, i32), (i64, Money)> = BTreeMap::new();
    let mut unmatched = Vec::new();
    for row in &invoice.rows {
        let total = Money::line_total(currency, row.unit_price, row.quantity)?;
        credited.value += total.amount;
        let mut parts = Vec::new();
        let mut left = row.quantity;
        if let Some(customer) = &row.customer
            && let Some(stack) = bought.get_mut(&(customer.as_str(), row.stock_code.as_str()))
        {
            left = take(stack, row.quantity, &mut parts);
        }
        // The parts' credits sum to the row's total, to the penny.
        let weights: Vec<Decimal> =
            parts.iter().map(|(_, _, quantity)| *quantity).chain([left]).map(Decimal::from).collect();
        let mut credits = total.allocate(&weights).into_iter();
        for ((order, line_no, quantity), credit) in parts.into_iter().zip(credits.by_ref()) {
            let sum = returned.entry((order, line_no)).or_insert((0, Money::zero(currency)));
            *sum = (sum.0 + quantity, sum.1.checked_add(credit)?);
        }
        if let Some(net) = credits.next().filter(|_| left > 0) {
            unmatched.push(CreditNoteLine { sku: row.stock_code.clone(), quantity: left, net });
        }
    }

    let mut by_order: BTreeMap<usize, Vec<ReturnLine>> = BTreeMap::new();
    for ((order, line_no), (quantity, credit)) in returned {
        by_order.entry(order).or_default().push(ReturnLine { line_no, quantity, credit });
    }
    for (order, lines) in by_order {
        credited.returns.push(Return { external_id: invoice.number.clone(), order, at: invoice.at, lines });
    }
    if let (Some(first), false) = (invoice.rows.first(), unmatched.is_empty()) {
        credited.credit_notes.push(CreditNote {
            external_id: invoice.number.clone(),
            customer: first.customer.clone(),
            country: first.country.clone(),
            at: invoice.at,
            lines: unmatched,
        });
    }
    Ok(())
}

/// Takes up to `quantity` from the newest lines; what could not be had.
fn take(stack: &mut Vec<Open>, quantity: i64, parts: &mut Vec<(usize, i32, i64)>) -> i64 {
    let mut left = quantity;
    while left > 0
        && let Some(newest) = stack.last_mut()
    {
        let part = newest.left.min(left);
        parts.push((newest.order, newest.line_no, part));
        newest.left -= part;
        left -= part;
        if newest.left == 0 {
            stack.pop();
        }
    }
    left
}
