//! What the rows of the file become: customers, items, orders, returns and credit notes. In memory, before anything is
//! sent, and the same whenever it is made.

use std::collections::HashMap;

use anyhow::{Context, Result};
use jiff::{Timestamp, ToSpan as _};
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;

use super::matching::{self, Credited};
use super::rows::{Reject, Row, Told};

/// All prices of the file are in it.
pub const CURRENCY: &str = "GBP";

/// The whole replay.
#[derive(Debug)]
pub struct Plan {
    /// Everybody who is named by an order or a credit, by first appearance.
    pub customers: Vec<Customer>,
    /// What was sold in the whole file, whatever the limit in days: so that a longer replay later finds its stock.
    pub items: Vec<Item>,
    /// By time.
    pub orders: Vec<Order>,
    /// What came back of which order, by time.
    pub returns: Vec<Return>,
    /// What came back without an order to be found, by time.
    pub credit_notes: Vec<CreditNote>,
    pub rejects: Vec<Reject>,
    /// Midnight before the first row.
    pub from: Timestamp,
    /// Midnight after the last row.
    pub to: Timestamp,
    pub totals: Totals,
}

/// What the plan adds up to.
#[derive(Debug, Default, PartialEq)]
pub struct Totals {
    pub orders: usize,
    pub guest_orders: usize,
    /// Identified customers with an order.
    pub customers: usize,
    pub lines: usize,
    pub units: i64,
    pub gross: Decimal,
    pub return_invoices: usize,
    pub return_rows: usize,
    /// Negative: what was credited.
    pub returns_value: Decimal,
}

#[derive(Debug, PartialEq)]
pub struct Customer {
    pub external_id: String,
    /// Of the first row that names the customer.
    pub country: String,
}

#[derive(Debug)]
pub struct Item {
    pub sku: String,
    pub name: String,
    /// Priced, never stocked.
    pub is_service: bool,
    /// In the whole file.
    pub sold: i64,
}

#[derive(Debug)]
pub struct Order {
    pub external_id: String,
    /// None: a guest.
    pub customer: Option<String>,
    pub country: String,
    pub placed_at: Timestamp,
    pub lines: Vec<Line>,
}

#[derive(Debug)]
pub struct Line {
    pub sku: String,
    pub description: String,
    pub quantity: i64,
    pub unit_price: Decimal,
}

/// The part of a return invoice that belongs to one order.
#[derive(Debug, PartialEq)]
pub struct Return {
    /// The return invoice's number.
    pub external_id: String,
    /// Of [`Plan::orders`].
    pub order: usize,
    pub at: Timestamp,
    pub lines: Vec<ReturnLine>,
}

#[derive(Debug, PartialEq)]
pub struct ReturnLine {
    pub line_no: i32,
    pub quantity: i64,
    pub credit: Money,
}

/// The part of a return invoice that belongs to no order.
#[derive(Debug, PartialEq)]
pub struct CreditNote {
    /// The return invoice's number.
    pub external_id: String,
    pub customer: Option<String>,
    pub country: String,
    pub at: Timestamp,
    pub lines: Vec<CreditNoteLine>,
}

#[derive(Debug, PartialEq)]
pub struct CreditNoteLine {
    pub sku: String,
    pub quantity: i64,
    pub net: Money,
}

/// Rows of one invoice, in the order of the file.
pub struct Invoice {
    pub number: String,
    pub at: Timestamp,
    pub rows: Vec<Row>,
}

/// Makes the plan. Of orders and returns only those of the first `days` days, counted from the first row's.
pub fn plan(told: Vec<Told>, days: Option<u32>) -> Result<Plan> {
    let pound: Currency = CURRENCY.parse()?;
    let mut sales = Vec::new();
    let mut returned = Vec::new();
    let mut rejects = Vec::new();
    for told in told {
        match told {
            Told::Sale(row) => sales.push(row),
            Told::Return(row) => returned.push(row),
            Told::Rejected(reject) => rejects.push(reject),
        }
    }
    let times = || sales.iter().chain(&returned).map(|row| row.at);
    let first = times().min().context("the file holds no sale and no return")?;
    let last = times().max().unwrap_or(first);
    let from = midnight(first)?;
    let mut to = midnight(last)?.checked_add(24.hours())?;
    let items = items(&sales);
    if let Some(days) = days {
        to = to.min(from.checked_add((i64::from(days) * 24).hours())?);
        sales.retain(|row| row.at < to);
        returned.retain(|row| row.at < to);
        rejects.retain(|reject| reject.at.is_none_or(|at| at < to));
    }

    let orders: Vec<Order> = invoices(sales).into_iter().map(order).collect();
    let return_invoices = invoices(returned);
    let mut totals = Totals { return_invoices: return_invoices.len(), ..totals_of(&orders, pound)? };
    totals.return_rows = return_invoices.iter().map(|invoice| invoice.rows.len()).sum();
    let customers = customers(&orders, &return_invoices);
    let Credited { returns, credit_notes, value } = matching::credit(&orders, &return_invoices, pound)?;
    totals.returns_value = -value;
    Ok(Plan { customers, items, orders, returns, credit_notes, rejects, from, to, totals })
}

fn midnight(at: Timestamp) -> Result<Timestamp> {
    Ok(at.to_zoned(jiff::tz::TimeZone::UTC).start_of_day()?.timestamp())
}

fn items(sales: &[Row]) -> Vec<Item> {
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut items: Vec<Item> = Vec::new();
    for row in sales {
        let index = *known.entry(&row.stock_code).or_insert_with(|| {
            let is_service = !is_stocked(&row.stock_code);
            items.push(Item { sku: row.stock_code.clone(), name: String::new(), is_service, sold: 0 });
            items.len() - 1
        });
        let item = &mut items[index];
        item.sold += row.quantity;
        if item.name.is_empty() {
            item.name.clone_from(&row.description);
        }
    }
    items
}

/// Goods have numbers of five digits, some with a letter behind; all else (POST, DOT, M, C2) is a service.
fn is_stocked(stock_code: &str) -> bool {
    let digits = stock_code.bytes().take(5);
    digits.len() == 5 && digits.into_iter().all(|byte| byte.is_ascii_digit())
}

/// Rows by invoice, wherever they stand in the file; invoices by their earliest time, then by place in the file.
fn invoices(rows: Vec<Row>) -> Vec<Invoice> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut invoices: Vec<Invoice> = Vec::new();
    for row in rows {
        let index = *known.entry(row.invoice.clone()).or_insert_with(|| {
            invoices.push(Invoice { number: row.invoice.clone(), at: row.at, rows: Vec::new() });
            invoices.len() - 1
        });
        let invoice = &mut invoices[index];
        invoice.at = invoice.at.min(row.at);
        invoice.rows.push(row);
    }
    invoices.sort_by_key(|invoice| invoice.at);
    invoices
}

fn order(invoice: Invoice) -> Order {
    let (customer, country) =
        invoice.rows.first().map(|row| (row.customer.clone(), row.country.clone())).unwrap_or_default();
    let lines = invoice.rows.into_iter().map(|row| Line {
        sku: row.stock_code,
        description: row.description,
        quantity: row.quantity,
        unit_price: row.unit_price,
    });
    Order { external_id: invoice.number, customer, country, placed_at: invoice.at, lines: lines.collect() }
}

fn customers(orders: &[Order], returns: &[Invoice]) -> Vec<Customer> {
    let of_orders = orders.iter().map(|order| (order.placed_at, order.customer.as_ref(), &order.country));
    let of_returns = returns
        .iter()
        .filter_map(|invoice| invoice.rows.first().map(|row| (invoice.at, row.customer.as_ref(), &row.country)));
    let mut named: Vec<_> = of_orders.chain(of_returns).collect();
    named.sort_by_key(|(at, _, _)| *at);
    let mut seen = std::collections::HashSet::new();
    let mut customers = Vec::new();
    for (_, customer, country) in named {
        if let Some(id) = customer
            && seen.insert(id)
        {
            customers.push(Customer { external_id: id.clone(), country: country.clone() });
        }
    }
    customers
}

fn totals_of(orders: &[Order], pound: Currency) -> Result<Totals> {
    let mut totals = Totals { orders: orders.len(), ..Totals::default() };
    let mut customers = std::collections::HashSet::new();
    for order in orders {
        match &order.customer {
            Some(customer) => _ = customers.insert(customer),
            None => totals.guest_orders += 1,
        }
        totals.lines += order.lines.len();
        for line in &order.lines {
            totals.units += line.quantity;
            totals.gross += Money::line_total(pound, line.unit_price, line.quantity)?.amount;
        }
    }
    totals.customers = customers.len();
    Ok(totals)
}
