//! The plan against the figures of the real file, and its rules one by one.

use std::path::Path;

use pesan_money::Money;
use rust_decimal::{Decimal, dec};

use super::plan::{Plan, ReturnLine, Totals, plan};
use super::rows::{self, Row, Told};
use crate::instant::from_civil;

fn row(invoice: &str, stock_code: &str, quantity: i64, at: &str, unit_price: Decimal, customer: &str) -> Row {
    Row {
        invoice: invoice.into(),
        stock_code: stock_code.into(),
        description: "THING".into(),
        quantity,
        at: from_civil(&format!("2011-{at}:00")).unwrap(),
        unit_price,
        customer: (!customer.is_empty()).then(|| customer.into()),
        country: "United Kingdom".into(),
    }
}

fn planned(sales: Vec<Row>, returns: Vec<Row>, days: Option<u32>) -> Plan {
    plan(sales.into_iter().map(Told::Sale).chain(returns.into_iter().map(Told::Return)).collect(), days).unwrap()
}

/// Returns as (order, line, quantity, credit).
fn returned(plan: &Plan) -> Vec<(&str, i32, i64, Decimal)> {
    let lines = plan.returns.iter().flat_map(|planned| planned.lines.iter().map(move |line| (planned.order, line)));
    lines
        .map(|(order, ReturnLine { line_no, quantity, credit })| {
            (plan.orders[order].external_id.as_str(), *line_no, *quantity, credit.amount)
        })
        .collect()
}

/// Stand-alone credits as (invoice, sku, quantity, net).
fn noted(plan: &Plan) -> Vec<(&str, &str, i64, Decimal)> {
    let lines = plan.credit_notes.iter().flat_map(|note| note.lines.iter().map(move |line| (note, line)));
    lines.map(|(note, line)| (note.external_id.as_str(), line.sku.as_str(), line.quantity, line.net.amount)).collect()
}

#[test]
fn rows_of_an_invoice_need_not_be_adjacent() {
    let plan = planned(
        vec![
            row("2", "10001", 1, "01-02T10:01", dec!(1), "7"),
            row("1", "10001", 1, "01-01T10:00", dec!(1), ""),
            row("2", "10002", 2, "01-02T10:00", dec!(1.5), "7"),
            row("2", "10001", 1, "01-02T10:00", dec!(1), "7"),
        ],
        vec![],
        None,
    );
    let orders: Vec<_> = plan.orders.iter().map(|order| (order.external_id.as_str(), order.lines.len())).collect();
    assert_eq!(orders, [("1", 1), ("2", 3)], "by time, duplicates kept");
    assert_eq!(plan.orders[1].placed_at.to_string(), "2011-01-02T10:00:00Z", "the earliest of its rows");
    assert_eq!(plan.orders[0].customer, None);
    assert_eq!((plan.totals.guest_orders, plan.totals.customers, plan.totals.gross), (1, 1, dec!(6)));
}

#[test]
fn line_totals_are_rounded_one_by_one_half_even() {
    let sales = vec![
        row("1", "10001", 1, "01-01T10:00", dec!(0.125), ""),
        row("1", "10001", 1, "01-01T10:00", dec!(0.135), ""),
    ];
    assert_eq!(planned(sales, vec![], None).totals.gross, dec!(0.26), "0.12 + 0.14");
}

#[test]
fn returns_take_the_newest_first_and_never_more_than_is_left() {
    let sales = vec![
        row("1", "10001", 10, "01-01T10:00", dec!(2), "7"),
        row("2", "10001", 3, "01-02T10:00", dec!(2), "7"),
        row("2", "10001", 2, "01-02T10:00", dec!(2), "7"),
        row("3", "10001", 9, "01-03T10:00", dec!(2), "8"),
        row("4", "10001", 9, "01-09T10:00", dec!(2), "7"),
    ];
    let returns = vec![
        row("C5", "10001", 4, "01-05T10:00", dec!(2), "7"),
        row("C6", "10001", 3, "01-06T10:00", dec!(2), "7"),
        row("C7", "10001", 10, "01-07T10:00", dec!(2), "7"),
    ];
    let plan = planned(sales, returns, None);
    assert_eq!(
        returned(&plan),
        [("2", 1, 2, dec!(4)), ("2", 2, 2, dec!(4)), ("1", 1, 2, dec!(4)), ("2", 1, 1, dec!(2)), ("1", 1, 8, dec!(16)),]
    );
    assert_eq!(noted(&plan), [("C7", "10001", 2, dec!(4))], "what is left over");
    assert_eq!(plan.totals.returns_value, dec!(-34));
}

#[test]
fn what_is_not_strictly_earlier_or_another_customers_does_not_match() {
    let sales = vec![
        row("1", "10001", 5, "01-01T10:00", dec!(2), "7"),
        row("2", "10001", 5, "01-01T10:00", dec!(2), ""),
        row("3", "10002", 5, "01-01T09:00", dec!(2), "8"),
    ];
    let returns = vec![
        row("C4", "10001", 1, "01-01T10:00", dec!(2), "7"),
        row("C5", "10001", 1, "01-02T10:00", dec!(2), ""),
        row("C6", "10002", 1, "01-02T10:00", dec!(2), "9"),
    ];
    let plan = planned(sales, returns, None);
    assert!(plan.returns.is_empty());
    assert_eq!(noted(&plan).len(), 3);
    assert!(plan.customers.iter().any(|customer| customer.external_id == "9"), "a note needs its customer");
}

#[test]
fn credits_of_a_split_row_sum_to_its_total() {
    let sales =
        vec![row("1", "10001", 1, "01-01T10:00", dec!(2), "7"), row("2", "10001", 1, "01-02T10:00", dec!(2), "7")];
    let returns = vec![row("C3", "10001", 3, "01-03T10:00", dec!(0.335), "7")];
    let plan = planned(sales, returns, None);
    let credits: Vec<Decimal> =
        returned(&plan).iter().map(|line| line.3).chain(noted(&plan).iter().map(|line| line.3)).collect();
    assert_eq!(credits.len(), 3);
    assert_eq!(credits.iter().sum::<Decimal>(), dec!(1.00), "3 × 0.335 is 1.005, half-even 1.00");
}

#[test]
fn rows_of_one_return_to_one_line_become_one_line() {
    let sales = vec![row("1", "10001", 5, "01-01T10:00", dec!(2), "7")];
    let returns =
        vec![row("C2", "10001", 2, "01-03T10:00", dec!(2), "7"), row("C2", "10001", 1, "01-03T10:00", dec!(1.5), "7")];
    assert_eq!(returned(&planned(sales, returns, None)), [("1", 1, 3, dec!(5.50))]);
}

#[test]
fn a_limit_cuts_orders_and_returns_but_not_stock() {
    let sales =
        vec![row("1", "10001", 5, "01-01T23:59", dec!(2), "7"), row("2", "10001", 6, "01-02T00:00", dec!(2), "8")];
    let returns = vec![row("C3", "10001", 1, "01-02T10:00", dec!(2), "7")];
    let plan = planned(sales, returns, Some(1));
    assert_eq!((plan.orders.len(), plan.totals.return_invoices, plan.customers.len()), (1, 0, 1));
    assert_eq!(plan.items[0].sold, 11);
    assert_eq!(plan.to.to_string(), "2011-01-02T00:00:00Z");
}

#[test]
fn goods_have_numbers_of_five_digits() {
    let codes = ["85123A", "10002", "POST", "DOT", "M", "C2", "gift_0001_20", "1234", "éé123"];
    let sales = codes.iter().map(|code| row("1", code, 1, "01-01T10:00", dec!(1), "")).collect();
    let services: Vec<bool> = planned(sales, vec![], None).items.iter().map(|item| item.is_service).collect();
    assert_eq!(services, [false, false, true, true, true, true, true, true, true]);
}

/// Everything that is told is planned once, and nothing is returned twice.
fn check_laws(plan: &Plan) {
    let pound = "GBP".parse().unwrap();
    let credits = plan.returns.iter().flat_map(|planned| planned.lines.iter().map(|line| line.credit));
    let nets = plan.credit_notes.iter().flat_map(|note| note.lines.iter().map(|line| line.net));
    let sum = Money::sum(pound, credits.chain(nets)).unwrap();
    assert_eq!(-sum.amount, plan.totals.returns_value);
    let mut left = std::collections::HashMap::new();
    for planned in &plan.returns {
        let order = &plan.orders[planned.order];
        assert!(order.placed_at < planned.at);
        for line in &planned.lines {
            let index = usize::try_from(line.line_no).unwrap() - 1;
            let rest = left.entry((planned.order, index)).or_insert(order.lines[index].quantity);
            *rest -= line.quantity;
            assert!(*rest >= 0 && line.quantity > 0, "order {} line {}", order.external_id, line.line_no);
        }
    }
}

#[test]
fn the_excerpt_is_planned_to_the_penny() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/online-retail-excerpt.csv");
    let plan = plan(rows::read(&file).unwrap(), None).unwrap();
    check_laws(&plan);
    let expected = Totals {
        orders: 23,
        guest_orders: 4,
        customers: 11,
        lines: 222,
        units: 2_660,
        gross: dec!(5164.66),
        return_invoices: 17,
        return_rows: 92,
        returns_value: dec!(-2431.51),
    };
    assert_eq!(plan.totals, expected);
    assert_eq!((plan.returns.len(), plan.credit_notes.len(), plan.rejects.len()), (14, 8, 8));
}

/// The published figures, where the whole file is at hand.
#[test]
fn the_whole_file_is_planned_to_the_penny() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let file = root.join("shared/data/online-retail/online-retail.csv.gz");
    if !file.exists() {
        return;
    }
    let plan = plan(rows::read(&file).unwrap(), None).unwrap();
    check_laws(&plan);
    let expected = Totals {
        orders: 19_959,
        guest_orders: 1_427,
        customers: 4_338,
        lines: 530_103,
        units: 5_588_375,
        gross: dec!(10655622.48),
        return_invoices: 3_836,
        return_rows: 9_288,
        returns_value: dec!(-896812.49),
    };
    assert_eq!(plan.totals, expected);
    assert_eq!((plan.returns.len(), plan.credit_notes.len(), plan.rejects.len()), (3_847, 951, 2_518));
    let month = |month: &str| plan.orders.iter().filter(|order| order.placed_at.to_string().starts_with(month)).count();
    let months = ["2010-12", "2011-03", "2011-06", "2011-09", "2011-11"].map(month);
    assert_eq!(months, [1_559, 1_454, 1_533, 1_837, 2_769]);
}
