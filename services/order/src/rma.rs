//! Returns: permissions to send goods back.

use crate::name::OrderName;
use pesan_api::order::v1::{
    DiscrepancyDecision, DiscrepancyKind, ExchangeWish, RepairStep, ReturnCondition, ReturnHandling, ReturnResolution,
    ReturnState,
};
use pesan_money::{Currency, Money};
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
    /// What people decided; Approved stands for all that follows from the goods: see [`Rma::state`].
    pub stage: ReturnState,
    /// What the customer gets.
    pub resolution: ReturnResolution,
    /// What the customer wants instead.
    pub wish: Option<ExchangeWish>,
    /// The linked order is placed when it is approved.
    pub advance: bool,
    /// Sends repaired goods back; may be empty.
    pub service_sku: String,
    /// What may come back, by line number.
    pub lines: Vec<RmaLine>,
    /// Orders that were placed for it.
    pub linked: Vec<Uuid>,
    /// What came back and was not as announced, oldest first.
    pub discrepancies: Vec<Discrepancy>,
    /// What was done with it, oldest first.
    pub history: Vec<Step>,
}

/// A line of a return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RmaLine {
    /// Of the order.
    pub line_no: i32,
    /// What may come back.
    pub quantity: i64,
    /// What did.
    pub received: i64,
    /// What will not any more.
    pub released: i64,
    /// For programs.
    pub reason: String,
    /// What is credited for all of it; none: the share of what was invoiced.
    pub credit: Option<Decimal>,
    /// What was taken off for restocking.
    pub fee: Option<Decimal>,
    /// As announced.
    pub condition: ReturnCondition,
    /// Serial number.
    pub serial: String,
    /// What is wrong with it.
    pub claim: String,
}

/// Goods that came back and were not as announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discrepancy {
    /// Given by fulfilment.
    pub id: Uuid,
    /// How they differ.
    pub kind: DiscrepancyKind,
    /// Of the order; 0 for goods that the order never had.
    pub line_no: i32,
    /// The item.
    pub sku: String,
    /// Can be sold.
    pub sellable: i64,
    /// Cannot.
    pub damaged: i64,
    /// Of the inspection.
    pub note: String,
    /// When they came.
    pub received_at: OffsetDateTime,
    /// None while nobody has decided.
    pub decision: Option<Decision>,
}

/// What somebody decided about a discrepancy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What.
    pub what: DiscrepancyDecision,
    /// Who.
    pub by: String,
    /// Why.
    pub note: String,
    /// When.
    pub at: OffsetDateTime,
}

/// Something that was done with a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: OffsetDateTime,
    /// What it came to.
    pub state: ReturnState,
    /// Who; empty for what happened by itself.
    pub by: String,
    /// Why.
    pub note: String,
}

impl RmaLine {
    /// What may still come.
    pub fn open(&self) -> i64 {
        self.quantity - self.received - self.released
    }
}

impl Rma {
    /// Where it stands: what people decided, or else what follows from the goods.
    pub fn state(&self) -> ReturnState {
        if self.stage != ReturnState::Approved {
            return self.stage;
        }
        let received: i64 = self.lines.iter().map(|line| line.received).sum();
        let is_open = self.lines.iter().any(|line| line.open() > 0);
        if self.discrepancies.iter().any(|discrepancy| discrepancy.decision.is_none()) {
            ReturnState::Discrepancy
        } else if !is_open && received > 0 {
            ReturnState::Received
        } else if !is_open {
            ReturnState::Cancelled
        } else if received > 0 {
            ReturnState::PartiallyReceived
        } else {
            ReturnState::Approved
        }
    }

    /// Lets go of all that did not come back.
    pub fn release(&mut self) {
        for line in &mut self.lines {
            line.released += line.open();
        }
    }

    /// Writes down what was done with it.
    pub fn note(&mut self, at: OffsetDateTime, by: &str, note: &str) {
        let step = Step { at, state: self.state(), by: by.to_owned(), note: note.to_owned() };
        self.history.push(step);
    }

    /// True when its exchange or replacement is to be sent now: the goods are back, and it was not sent ahead of them.
    pub fn is_due(&self) -> bool {
        let wants_goods = matches!(self.resolution, ReturnResolution::Exchange | ReturnResolution::Replacement);
        wants_goods && self.linked.is_empty() && self.state() == ReturnState::Received
    }

    /// What to credit for `quantity` of a line that came back without credit, where its credit was decided; `before` of it
    /// were credited this way already. Receipts share the credit from the bottom, this from the top: where all is credited in
    /// the end the parts sum to the whole.
    pub fn withheld_credit(&self, line_no: i32, quantity: i64, before: i64, currency: Currency) -> Option<Decimal> {
        let line = self.lines.iter().find(|line| line.line_no == line_no)?;
        let credit = Money::new(currency, line.credit?);
        let below = |above: i64| {
            let whole = line.quantity - self.amended(line_no);
            let parts = credit.allocate(&[Decimal::from((whole - above).max(0)), Decimal::from(above)]);
            parts.first().map_or(Decimal::ZERO, |part| part.amount)
        };
        Some(below(before) - below(before + quantity))
    }

    /// What to credit for `quantity` more of a line than were announced, where the line's credit was decided: as much a piece.
    pub fn amended_credit(&self, line_no: i32, quantity: i64, currency: Currency) -> Option<Decimal> {
        let line = self.lines.iter().find(|line| line.line_no == line_no)?;
        let whole = Decimal::from(line.quantity - self.amended(line_no));
        let exact = line.credit?.checked_mul(Decimal::from(quantity))?.checked_div(whole)?;
        Some(Money::new(currency, exact).round().amount)
    }

    /// How much of a line's quantity came back unannounced and was taken.
    fn amended(&self, line_no: i32) -> i64 {
        let taken = |discrepancy: &&Discrepancy| {
            let is_aside = matches!(discrepancy.kind, DiscrepancyKind::More | DiscrepancyKind::OtherLine);
            let is_taken = discrepancy.decision.as_ref().is_some_and(|d| d.what != DiscrepancyDecision::Reject);
            is_aside && is_taken && discrepancy.line_no == line_no
        };
        self.discrepancies.iter().filter(taken).map(|discrepancy| discrepancy.sellable + discrepancy.damaged).sum()
    }

    /// How much of a line was credited after it had come back without credit.
    pub fn credited_later(&self, line_no: i32) -> i64 {
        let accepted = |discrepancy: &&Discrepancy| {
            let is_accepted = discrepancy.decision.as_ref().is_some_and(|d| d.what == DiscrepancyDecision::Accept);
            discrepancy.kind == DiscrepancyKind::Condition && discrepancy.line_no == line_no && is_accepted
        };
        self.discrepancies.iter().filter(accepted).map(|discrepancy| discrepancy.damaged).sum()
    }
}

/// The stage that a step of a repair leads to; none where it is no step from there.
pub fn repair(state: ReturnState, step: RepairStep) -> Option<ReturnState> {
    use ReturnState::{InRepair, Received, Repaired, Scrapped, SentBack};
    match (state, step) {
        (Received, RepairStep::Start) => Some(InRepair),
        (InRepair, RepairStep::Complete) => Some(Repaired),
        (Repaired, RepairStep::SendBack) => Some(SentBack),
        (Received | InRepair | Repaired, RepairStep::Scrap) => Some(Scrapped),
        (_, RepairStep::Unspecified | RepairStep::Start | RepairStep::Complete)
        | (_, RepairStep::SendBack | RepairStep::Scrap) => None,
    }
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
    /// What the customer gets.
    pub resolution: ReturnResolution,
    /// What the customer wants instead: checked when the order's currency is known.
    pub wish: Option<ExchangeWish>,
    /// Somebody takes responsibility for a return after its window.
    pub window_override: Option<WindowOverride>,
}

/// Who takes responsibility for a return after its window, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowOverride {
    /// A named person.
    pub by: String,
    /// Why.
    pub note: String,
}

/// A line of a return that is asked for.
#[derive(Clone, Debug, Default)]
pub struct ReturnRequestLine {
    /// Of the order.
    pub line_no: i32,
    /// 1 and more.
    pub quantity: i64,
    /// For programs.
    pub reason: String,
    /// As the caller said it: checked when the order's currency is known.
    pub credit: Option<pesan_api::r#type::v1::Money>,
    /// As announced.
    pub condition: ReturnCondition,
    /// Serial number.
    pub serial: String,
    /// What is wrong with it.
    pub claim: String,
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
            ..ReturnRequestLine::default()
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

    fn rma(lines: &[(i64, i64, i64)]) -> Rma {
        let line = |(line_no, (quantity, received, released)): (i32, &(i64, i64, i64))| RmaLine {
            line_no,
            quantity: *quantity,
            received: *received,
            released: *released,
            credit: Some(Decimal::new(1000, 2)),
            ..RmaLine::default()
        };
        Rma {
            return_id: Uuid::now_v7(),
            number: 1,
            order_id: Uuid::now_v7(),
            external_id: String::new(),
            handling: ReturnHandling::Inspect,
            requested_at: OffsetDateTime::UNIX_EPOCH,
            version: 1,
            stage: ReturnState::Approved,
            resolution: ReturnResolution::Exchange,
            wish: None,
            advance: false,
            service_sku: String::new(),
            lines: (1..).zip(lines).map(line).collect(),
            linked: vec![],
            discrepancies: vec![],
            history: vec![],
        }
    }

    fn worse(damaged: i64, decision: Option<DiscrepancyDecision>) -> Discrepancy {
        let at = OffsetDateTime::UNIX_EPOCH;
        Discrepancy {
            id: Uuid::now_v7(),
            kind: DiscrepancyKind::Condition,
            line_no: 1,
            sku: String::new(),
            sellable: 0,
            damaged,
            note: String::new(),
            received_at: at,
            decision: decision.map(|what| Decision { what, by: "Siti".into(), note: String::new(), at }),
        }
    }

    #[test]
    fn a_return_stands_where_its_goods_are() {
        for (lines, state) in [
            (vec![(3, 0, 0)], ReturnState::Approved),
            (vec![(3, 1, 0), (2, 0, 0)], ReturnState::PartiallyReceived),
            (vec![(3, 1, 2), (2, 2, 0)], ReturnState::Received),
            (vec![(3, 0, 3)], ReturnState::Cancelled),
        ] {
            let mut rma = rma(&lines);
            assert_eq!(rma.state(), state, "{lines:?}");
            assert_eq!(rma.is_due(), state == ReturnState::Received);
            rma.discrepancies.push(worse(1, None));
            assert_eq!((rma.state(), rma.is_due()), (ReturnState::Discrepancy, false));
            rma.stage = ReturnState::Rejected;
            assert_eq!(rma.state(), ReturnState::Rejected);
        }
    }

    #[test]
    fn a_repair_goes_step_by_step_and_ends() {
        use ReturnState::*;
        let states = [
            AwaitingApproval,
            Rejected,
            Approved,
            PartiallyReceived,
            Received,
            Discrepancy,
            InRepair,
            Repaired,
            SentBack,
            Scrapped,
            Cancelled,
        ];
        let steps = [RepairStep::Start, RepairStep::Complete, RepairStep::SendBack, RepairStep::Scrap];
        let mut possible = Vec::new();
        for state in states {
            possible.extend(steps.iter().filter_map(|step| Some((state, *step, repair(state, *step)?))));
        }
        let expected = [
            (Received, RepairStep::Start, InRepair),
            (Received, RepairStep::Scrap, Scrapped),
            (InRepair, RepairStep::Complete, Repaired),
            (InRepair, RepairStep::Scrap, Scrapped),
            (Repaired, RepairStep::SendBack, SentBack),
            (Repaired, RepairStep::Scrap, Scrapped),
        ];
        assert_eq!(possible, expected);
    }

    #[test]
    fn what_was_withheld_and_is_credited_later_makes_up_the_whole() {
        let mut rma = rma(&[(3, 3, 0)]);
        let euro: Currency = "EUR".parse().unwrap();
        // Of three, one was credited by its receipt: a third of ten euros, rounded.
        let by_receipt = Money::new(euro, Decimal::new(1000, 2)).allocate(&[1.into(), 2.into()])[0].amount;
        let first = rma.withheld_credit(1, 1, rma.credited_later(1), euro).unwrap();
        rma.discrepancies.push(worse(1, Some(DiscrepancyDecision::Accept)));
        rma.discrepancies.push(worse(1, Some(DiscrepancyDecision::Reject)));
        let second = rma.withheld_credit(1, 1, rma.credited_later(1), euro).unwrap();
        assert_eq!(by_receipt + first + second, Decimal::new(1000, 2));
        assert_eq!(rma.withheld_credit(2, 1, 0, euro), None);
    }
}
