//! What the rules say about an order as a change would make it, and about the orders that it splits off. At most as many
//! evaluations as there are rules and splits, and nothing where a channel has no rules.

use super::Changer;
use crate::change::{Amendment, Amounts, PlannedLine};
use crate::error::Error;
use crate::order::{Hold, Order, OrderLine, Rejection};
use crate::rule::Verdict;
use crate::rule::subject::{Subject, SubjectLine};
use crate::store;
use pesan_api::r#type::v1::Address;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::collections::BTreeSet;

/// What becomes of a change by the rules.
#[derive(Debug, Default)]
pub(super) struct Judgement {
    /// Of the order that is changed.
    pub whole: Verdict,
    /// Of each order that is split off.
    pub splits: Vec<Verdict>,
}

impl Judgement {
    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        std::iter::once(&self.whole).chain(&self.splits)
    }

    /// The change is refused, whichever of the orders is.
    pub fn rejection(&self) -> Option<&Rejection> {
        self.verdicts().find_map(|verdict| verdict.rejection.as_ref())
    }

    /// Everything that holds any of the orders, each rule once.
    pub fn holds(&self) -> Vec<Hold> {
        let mut rules = BTreeSet::new();
        let all = self.verdicts().flat_map(|verdict| &verdict.holds);
        all.filter(|hold| rules.insert(hold.rule.as_deref())).cloned().collect()
    }
}

impl Changer {
    /// Asks the rules about a change of an order with all its lines.
    pub(super) async fn judge(
        &self,
        conn: &mut PgConnection,
        order: &Order,
        amendment: &Amendment,
    ) -> Result<Judgement, Error> {
        let rules = self.books.settings.current(conn).await?.rules.clone();
        if rules.for_channel(&order.channel).next().is_none() {
            return Ok(Judgement::default());
        }
        let customer = match order.customer_id {
            Some(id) => store::customer::find(conn, &[id], &[]).await?.pop(),
            None => None,
        };
        let address = |bytes: &Option<Vec<u8>>| match bytes {
            Some(bytes) => store::address(bytes),
            None => Ok(order.ship_to.clone()),
        };
        let ship_to = address(&amendment.ship_to)?;
        let split_to = amendment.splits.iter().map(|split| address(&split.ship_to)).collect::<Result<Vec<_>, _>>()?;
        let known = Subject::of_order(order, customer.as_ref(), self.books.clock.now());
        let subject = |lines, ship_to| with_lines(&known, lines, ship_to);
        let before = subject(lines_now(order), &order.ship_to);
        let after = subject(lines_then(order, amendment), &ship_to);
        let of_change = |after: &Subject<'_>| match after.lines.as_slice() {
            [] => Verdict::default(), // nothing remains: it is a cancellation
            _ => rules.verdict_of_change(&before, after),
        };
        let splits = amendment.splits.iter().zip(&split_to);
        let splits = splits.map(|(split, to)| of_change(&subject(split.lines.iter().map(planned).collect(), to)));
        Ok(Judgement { whole: of_change(&after), splits: splits.collect() })
    }
}

/// A subject with other lines, and what they come to.
fn with_lines<'a>(known: &Subject<'a>, lines: Vec<SubjectLine<'a>>, ship_to: &'a Address) -> Subject<'a> {
    let sum = |of: fn(&SubjectLine<'_>) -> Decimal| lines.iter().map(of).sum();
    Subject {
        gross: sum(|line| line.line_total),
        discount: sum(|line| line.discount),
        tax: sum(|line| line.tax),
        units: lines.iter().map(|line| line.quantity).sum(),
        lines,
        ship_to,
        ..known.clone()
    }
}

/// What is not cancelled.
fn lines_now(order: &Order) -> Vec<SubjectLine<'_>> {
    order.lines.iter().filter_map(|line| rest(order, line, amounts(line), line.line.quantities.cancelled)).collect()
}

/// What is not cancelled once the change is made.
fn lines_then<'a>(order: &'a Order, amendment: &'a Amendment) -> Vec<SubjectLine<'a>> {
    if amendment.cancel_all {
        return Vec::new();
    }
    if let Some(lines) = &amendment.rewritten {
        return lines.iter().map(planned).collect();
    }
    let stays = order.lines.iter().filter_map(|line| {
        let repriced = amendment.repriced.iter().find(|one| one.line_no == line.line.line_no);
        let gone = line.line.quantities.cancelled + amendment.reduced.get(&line.line.line_no).unwrap_or(&0);
        rest(order, line, repriced.map_or_else(|| amounts(line), |repriced| repriced.whole), gone)
    });
    stays.chain(amendment.added.iter().map(planned)).collect()
}

fn amounts(line: &OrderLine) -> Amounts {
    let OrderLine { unit_price, line_total, discount, tax, .. } = *line;
    Amounts { unit_price, line_total, discount, tax }
}

/// A line that comes to `whole` without the pieces that are gone, which keep their share of what it came to.
fn rest<'a>(order: &Order, line: &'a OrderLine, whole: Amounts, gone: i64) -> Option<SubjectLine<'a>> {
    let ordered = line.line.quantities.ordered;
    let without = amounts(line).of(order.currency, gone, ordered);
    (gone < ordered).then(|| SubjectLine {
        sku: &line.sku,
        description: &line.description,
        quantity: ordered - gone,
        unit_price: whole.unit_price,
        line_total: whole.line_total - without.line_total,
        discount: whole.discount - without.discount,
        tax: whole.tax - without.tax,
    })
}

fn planned(line: &PlannedLine) -> SubjectLine<'_> {
    let Amounts { unit_price, line_total, discount, tax } = line.amounts;
    SubjectLine {
        sku: &line.sku,
        description: &line.description,
        quantity: line.quantity,
        unit_price,
        line_total,
        discount,
        tax,
    }
}
