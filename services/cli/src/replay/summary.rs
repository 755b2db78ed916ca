//! What a replay tells at its end. The figures are what the services hold, not what was meant to be sent.

use std::collections::{BTreeMap, HashSet};

use anyhow::Result;
use pesan_api::order::v1::{Order, OrderState};
use rust_decimal::Decimal;
use serde::Serialize;

use super::analytics::Kpis;
use super::credits::Credits;
use super::orders::Refusals;
use super::plan::{Plan, Totals};
use crate::amount;
use crate::output::{self, Output};

/// Orders as the order service holds them.
#[derive(Debug, Default)]
pub struct Held {
    pub orders: usize,
    pub guest_orders: usize,
    pub customers: usize,
    pub units: i64,
    pub gross: Decimal,
    /// How many are in which state.
    pub states: BTreeMap<String, u64>,
}

impl Held {
    /// Adds up; rejected orders count in `states` only.
    pub fn count(orders: &[Order]) -> Self {
        let mut held = Self::default();
        let mut customers = HashSet::new();
        for order in orders {
            let state = order.state().as_str_name().trim_start_matches("ORDER_STATE_").to_owned();
            *held.states.entry(state).or_default() += 1;
            if order.state() == OrderState::Rejected {
                continue;
            }
            held.orders += 1;
            if order.customer_id.is_empty() {
                held.guest_orders += 1;
            } else {
                customers.insert(&order.customer_id);
            }
            held.units += order.quantities.as_ref().map_or(0, |quantities| quantities.ordered);
            held.gross += amount::decimal(order.gross.as_ref());
        }
        held.customers = customers.len();
        held
    }
}

/// The answer of `pesan replay`.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub orders: usize,
    pub guest_orders: usize,
    /// Identified customers with an order.
    pub customers: usize,
    pub lines: u64,
    pub units: i64,
    pub gross: String,
    pub return_invoices: usize,
    pub return_rows: usize,
    pub returns_value: String,
    pub rejected_rows: usize,
    pub rejections: BTreeMap<&'static str, u64>,
    pub seconds: f64,
    #[serde(serialize_with = "as_map")]
    pub phases: Vec<(&'static str, f64)>,
    pub states: BTreeMap<String, u64>,
    /// Orders, returns and credit notes that the services did not take, by reason.
    pub refusals: BTreeMap<String, u64>,
    pub kpis: Kpis,
    /// In what the services hold something else than the file tells. Empty: all is there.
    pub differences: Vec<String>,
}

/// Everything the summary is made of.
pub struct Replayed {
    pub held: Held,
    pub refused: Refusals,
    pub credits: Credits,
    pub kpis: Kpis,
    pub seconds: f64,
    pub phases: Vec<(&'static str, f64)>,
}

impl Summary {
    pub fn new(plan: &Plan, replayed: Replayed) -> Self {
        let Replayed { held, refused, credits, kpis, seconds, phases } = replayed;
        let mut rejections = BTreeMap::new();
        for reject in &plan.rejects {
            *rejections.entry(reject.reason).or_default() += 1;
        }
        let is_taken = |refusals: &Refusals| refusals.is_empty();
        // Rows of a return invoice that was taken in part cannot be told apart, so they count only when all was taken.
        let return_rows = if is_taken(&credits.refused) { plan.totals.return_rows } else { 0 };
        let mut refusals: BTreeMap<String, u64> = BTreeMap::new();
        for (reason, count) in refused.into_iter().chain(credits.refused) {
            *refusals.entry(reason).or_default() += count;
        }
        let returns_value = if credits.value.is_zero() { Decimal::ZERO } else { -credits.value };
        let lines = u64::try_from(kpis.lines).unwrap_or(0);
        let found = Totals {
            orders: held.orders,
            guest_orders: held.guest_orders,
            customers: held.customers,
            lines: usize::try_from(lines).unwrap_or(0),
            units: held.units,
            gross: held.gross,
            return_invoices: credits.invoices.len(),
            return_rows,
            returns_value,
        };
        Self {
            orders: held.orders,
            guest_orders: held.guest_orders,
            customers: held.customers,
            lines,
            units: held.units,
            gross: amount::text(held.gross),
            return_invoices: found.return_invoices,
            return_rows,
            returns_value: amount::text(returns_value),
            rejected_rows: plan.rejects.len(),
            rejections,
            seconds,
            phases,
            states: held.states,
            refusals,
            differences: differences(&plan.totals, &found, &kpis),
            kpis,
        }
    }

    /// Whether everything in the file is in the suite.
    pub fn is_complete(&self) -> bool {
        self.differences.is_empty() && self.refusals.is_empty()
    }

    pub fn print(&self, output: Output) -> Result<()> {
        if output == Output::Json {
            return output::json_line(self);
        }
        let mut rows = vec![
            ("orders", self.orders.to_string()),
            ("by guests", self.guest_orders.to_string()),
            ("customers", self.customers.to_string()),
            ("lines", self.lines.to_string()),
            ("units", self.units.to_string()),
            ("gross", self.gross.clone()),
            ("return invoices", self.return_invoices.to_string()),
            ("return rows", self.return_rows.to_string()),
            ("returns", self.returns_value.clone()),
            ("revenue", amount::text(self.kpis.revenue)),
            ("rejected rows", self.rejected_rows.to_string()),
        ];
        rows.extend(self.rejections.iter().map(|(reason, count)| (*reason, count.to_string())));
        rows.extend(self.phases.iter().map(|(phase, seconds)| (*phase, format!("{seconds:.1} s"))));
        rows.push(("seconds", format!("{:.1}", self.seconds)));
        output::rows(&["what", "figure"], rows.into_iter().map(|(name, figure)| vec![name.to_owned(), figure]));
        for (reason, count) in &self.refusals {
            output::line(&output::coloured(&format!("refused: {count} × {reason}"), output::RED))?;
        }
        for difference in &self.differences {
            output::line(&output::coloured(difference, output::RED))?;
        }
        Ok(())
    }
}

/// In the order in which they ran.
fn as_map<S: serde::Serializer>(phases: &[(&'static str, f64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(phases.iter().copied())
}

/// What the services hold against what the file tells; and analytics against the order service.
fn differences(told: &Totals, held: &Totals, kpis: &Kpis) -> Vec<String> {
    let number = |count: usize| Decimal::from(count);
    let figures = [
        ("orders", number(told.orders), number(held.orders)),
        ("guest_orders", number(told.guest_orders), number(held.guest_orders)),
        ("customers", number(told.customers), number(held.customers)),
        ("lines", number(told.lines), number(held.lines)),
        ("units", Decimal::from(told.units), Decimal::from(held.units)),
        ("gross", told.gross, held.gross),
        ("return_invoices", number(told.return_invoices), number(held.return_invoices)),
        ("return_rows", number(told.return_rows), number(held.return_rows)),
        ("returns_value", told.returns_value, held.returns_value),
        ("analytics: orders", number(held.orders), kpis.orders),
        ("analytics: units", Decimal::from(held.units), kpis.units),
        ("analytics: gross_sales", held.gross, kpis.gross),
        ("analytics: revenue", held.gross + held.returns_value, kpis.revenue),
    ];
    let differ = figures.into_iter().filter(|(_, expected, found)| expected != found);
    differ.map(|(name, expected, found)| format!("{name}: {found} instead of {expected}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pesan_api::order::v1::Quantities;
    use rust_decimal::dec;

    fn order(customer: &str, state: OrderState, units: i64, gross: &str) -> Order {
        Order {
            customer_id: customer.into(),
            state: state.into(),
            quantities: Some(Quantities { ordered: units, ..Quantities::default() }),
            gross: Some(amount::parse(gross, "GBP").unwrap()),
            ..Order::default()
        }
    }

    #[test]
    fn rejected_orders_do_not_count() {
        let held = Held::count(&[
            order("a", OrderState::Completed, 2, "1.50"),
            order("a", OrderState::Completed, 3, "2.25"),
            order("", OrderState::Shipped, 1, "1"),
            order("b", OrderState::Rejected, 9, "9"),
        ]);
        assert_eq!((held.orders, held.guest_orders, held.customers, held.units), (3, 1, 1, 6));
        assert_eq!(held.gross, dec!(4.75));
        assert_eq!(
            held.states,
            [("COMPLETED", 2), ("REJECTED", 1), ("SHIPPED", 1)].map(|(s, n)| (s.to_owned(), n)).into()
        );
    }

    #[test]
    fn what_is_missing_is_told() {
        let told = Totals { orders: 3, units: 6, gross: dec!(4.75), ..Totals::default() };
        let kpis = Kpis { orders: dec!(3), units: dec!(6), gross: dec!(4.75), revenue: dec!(4.75), ..Kpis::default() };
        let held = || Totals { orders: 3, units: 6, gross: dec!(4.75), ..Totals::default() };
        assert!(differences(&told, &held(), &kpis).is_empty());
        assert_eq!(
            differences(&told, &Totals { units: 5, ..held() }, &kpis),
            ["units: 5 instead of 6", "analytics: units: 6 instead of 5"]
        );
        let late = Kpis { revenue: dec!(4), ..kpis };
        assert_eq!(differences(&told, &held(), &late), ["analytics: revenue: 4 instead of 4.75"]);
    }
}
