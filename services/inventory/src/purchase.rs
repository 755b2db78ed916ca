//! Purchase orders: from a draft to the last receipt.

use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::lot::LotQuantity;
use crate::supplier::{LeadTime, SupplierId};
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// Where a purchase order stands; whether some of a sent one came is told by its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Draft,
    Sent,
    /// Nothing more is expected.
    Closed,
    Cancelled,
}

impl Stage {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::Draft => 1,
            Self::Sent => 2,
            Self::Closed => 3,
            Self::Cancelled => 4,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Draft, Self::Sent, Self::Closed, Self::Cancelled].into_iter().find(|stage| stage.code() == code)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Draft => "a draft",
            Self::Sent => "sent",
            Self::Closed => "closed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A purchase order with its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct PurchaseOrder {
    pub id: Uuid,
    pub number: i64,
    pub supplier: SupplierId,
    pub supplier_code: String,
    pub location: LocationId,
    pub currency: Currency,
    pub stage: Stage,
    pub reference: String,
    /// How much more than ordered may come of a line, in percent, rounded down.
    pub over_percent: i32,
    pub created_at: OffsetDateTime,
    pub sent_at: Option<OffsetDateTime>,
    pub closed_at: Option<OffsetDateTime>,
    pub closing_reason: String,
    /// How many receipts there were.
    pub receipts: i32,
    /// Counts the changes.
    pub version: i64,
    /// Counts the facts told of it.
    pub facts: i64,
    /// By line number.
    pub lines: Vec<Line>,
}

/// What is ordered of an item, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub line_no: i32,
    pub item: ItemId,
    pub quantity: i64,
    pub unit_price: Decimal,
    pub expected_at: Option<OffsetDateTime>,
    /// Came, to be sold or not.
    pub received: i64,
    /// Of it, not to be sold.
    pub damaged: i64,
    /// Not expected any more.
    pub dropped: i64,
}

impl Line {
    /// Of which nothing came yet.
    pub fn new(line_no: i32, item: ItemId, quantity: i64, unit_price: Decimal) -> Self {
        Self { line_no, item, quantity, unit_price, expected_at: None, received: 0, damaged: 0, dropped: 0 }
    }

    /// Still to come.
    pub fn expected(&self) -> i64 {
        (self.quantity - self.dropped - self.received).max(0)
    }
}

/// What came of a line with one delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub line_no: i32,
    pub received: i64,
    pub damaged: i64,
    /// Will not come any more.
    pub missing: i64,
    pub reason: String,
    /// None: the line's price.
    pub unit_cost: Option<Money>,
    /// Of a tracked item: of what was received, and of what is damaged.
    pub lots: Vec<LotQuantity>,
    pub damaged_lots: Vec<LotQuantity>,
}

/// A receipt as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    /// Counts the receipts of the purchase order, from 1.
    pub number: i32,
    pub delivery_note: String,
    pub received_at: OffsetDateTime,
    pub lines: Vec<ReceiptLine>,
}

/// A line of a receipt.
#[derive(Clone, Debug, PartialEq)]
pub struct ReceiptLine {
    pub line_no: i32,
    pub item: ItemId,
    pub received: i64,
    pub damaged: i64,
    pub missing: i64,
    /// Of what came, what is more than was expected.
    pub over: i64,
    pub reason: String,
    pub unit_cost: Money,
    /// Of a tracked item: of what was received, and of what is damaged.
    pub lots: Vec<LotQuantity>,
    pub damaged_lots: Vec<LotQuantity>,
}

impl PurchaseOrder {
    /// A new draft; it gets its number when it is written.
    pub fn draft(
        supplier: SupplierId,
        supplier_code: String,
        location: LocationId,
        currency: Currency,
        lines: Vec<Line>,
        created_at: OffsetDateTime,
    ) -> Self {
        Self {
            id: Uuid::now_v7(),
            number: 0,
            supplier,
            supplier_code,
            location,
            currency,
            stage: Stage::Draft,
            reference: String::new(),
            over_percent: 0,
            created_at,
            sent_at: None,
            closed_at: None,
            closing_reason: String::new(),
            receipts: 0,
            version: 1,
            facts: 0,
            lines,
        }
    }

    fn wrong_state(&self) -> Error {
        Error::WrongState { what: "the purchase order", is: self.stage.name() }
    }

    fn expect(&self, stages: &[Stage]) -> Result<(), Error> {
        if stages.contains(&self.stage) { Ok(()) } else { Err(self.wrong_state()) }
    }

    /// Whether something of it came.
    pub fn is_part_received(&self) -> bool {
        self.lines.iter().any(|line| line.received > 0)
    }

    /// Makes sure that it can still be edited, and is as the editor saw it.
    pub fn edit(&self, version: i64) -> Result<(), Error> {
        self.expect(&[Stage::Draft])?;
        if self.version != version { Err(Error::VersionConflict(self.version)) } else { Ok(()) }
    }

    /// It goes out. Lines that do not say when they are expected come a lead time later.
    pub fn send(&mut self, at: OffsetDateTime, lead_time: impl Fn(ItemId) -> LeadTime) -> Result<(), Error> {
        self.expect(&[Stage::Draft])?;
        for line in &mut self.lines {
            let days = lead_time(line.item).mean;
            line.expected_at = Some(line.expected_at.unwrap_or(at + time::Duration::days(1) * days));
        }
        self.stage = Stage::Sent;
        self.sent_at = Some(at);
        self.version += 1;
        Ok(())
    }

    /// Goods came. Gives what is to be booked; closes it when nothing more is expected.
    pub fn receive(&mut self, arrivals: &[Arrival], at: OffsetDateTime) -> Result<Vec<ReceiptLine>, Error> {
        self.expect(&[Stage::Sent])?;
        let mut booked = Vec::with_capacity(arrivals.len());
        for (place, arrival) in arrivals.iter().enumerate() {
            let line = self.lines.iter_mut().find(|line| line.line_no == arrival.line_no);
            let line = line.ok_or_else(|| Error::UnknownLine(format!("lines[{place}].line_no")))?;
            let came = arrival.received + arrival.damaged;
            let over = (came - line.expected()).max(0).min(came);
            // What was dropped may come after all, and counts against the whole of what was ordered.
            let most = line.quantity
                + line.quantity / 100 * i64::from(self.over_percent)
                + line.quantity % 100 * i64::from(self.over_percent) / 100;
            if line.received + came > most {
                let left = (most - line.received).max(0);
                return Err(Error::OverDelivery { field: format!("lines[{place}].received"), most: left });
            }
            if over > 0 && arrival.reason.is_empty() {
                return Err(Error::ReasonNeeded(format!("lines[{place}].reason")));
            }
            line.received += came;
            line.damaged += arrival.damaged;
            if arrival.missing > line.expected() {
                let most = line.expected();
                return Err(Error::OverDelivery { field: format!("lines[{place}].missing"), most });
            }
            line.dropped += arrival.missing;
            booked.push(ReceiptLine {
                line_no: line.line_no,
                item: line.item,
                received: arrival.received,
                damaged: arrival.damaged,
                missing: arrival.missing,
                over,
                reason: arrival.reason.clone(),
                unit_cost: arrival.unit_cost.unwrap_or(Money::new(self.currency, line.unit_price)),
                lots: arrival.lots.clone(),
                damaged_lots: arrival.damaged_lots.clone(),
            });
        }
        self.receipts += 1;
        self.version += 1;
        if self.lines.iter().all(|line| line.expected() == 0) {
            self.stage = Stage::Closed;
            self.closed_at = Some(at);
        }
        Ok(booked)
    }

    /// The rest is not expected any more.
    pub fn close(&mut self, reason: String, at: OffsetDateTime) -> Result<(), Error> {
        self.expect(&[Stage::Sent])?;
        self.drop_rest();
        self.end(Stage::Closed, reason, at);
        Ok(())
    }

    /// It is taken back, before anything came. True when it had been sent.
    pub fn cancel(&mut self, reason: String, at: OffsetDateTime) -> Result<bool, Error> {
        self.expect(&[Stage::Draft, Stage::Sent])?;
        if self.is_part_received() {
            return Err(Error::WrongState { what: "the purchase order", is: "part received: close it" });
        }
        let was_sent = self.stage == Stage::Sent;
        self.drop_rest();
        self.end(Stage::Cancelled, reason, at);
        Ok(was_sent)
    }

    fn drop_rest(&mut self) {
        for line in &mut self.lines {
            line.dropped += line.expected();
        }
    }

    fn end(&mut self, stage: Stage, reason: String, at: OffsetDateTime) {
        self.stage = stage;
        self.closing_reason = reason;
        self.closed_at = Some(at);
        self.version += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::dec;
    use time::macros::datetime;

    const AT: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn draft(quantities: &[i64], over_percent: i32) -> PurchaseOrder {
        let line = |(line_no, quantity): (i32, &i64)| Line::new(line_no, ItemId(line_no.into()), *quantity, dec!(2.5));
        let lines = (1..).zip(quantities).map(line).collect();
        let draft =
            PurchaseOrder::draft(SupplierId(1), "ACME".into(), LocationId(1), "GBP".parse().unwrap(), lines, AT);
        PurchaseOrder { over_percent, ..draft }
    }

    fn sent(quantities: &[i64], over_percent: i32) -> PurchaseOrder {
        let mut order = draft(quantities, over_percent);
        order.send(AT, |_| LeadTime { mean: 7.5, std: 1.0 }).unwrap();
        order
    }

    fn arrival(line_no: i32, received: i64, damaged: i64, missing: i64, reason: &str) -> Arrival {
        let (lots, damaged_lots) = (Vec::new(), Vec::new());
        Arrival { line_no, received, damaged, missing, reason: reason.into(), unit_cost: None, lots, damaged_lots }
    }

    #[test]
    fn every_stage_allows_what_it_allows_and_refuses_the_rest() {
        let in_stage = |stage| PurchaseOrder { stage, ..draft(&[10], 0) };
        for (stage, edit, send, receive, close, cancel) in [
            (Stage::Draft, true, true, false, false, true),
            (Stage::Sent, false, false, true, true, true),
            (Stage::Closed, false, false, false, false, false),
            (Stage::Cancelled, false, false, false, false, false),
        ] {
            assert_eq!(in_stage(stage).edit(1).is_ok(), edit, "{stage:?}");
            assert_eq!(in_stage(stage).send(AT, |_| LeadTime::default()).is_ok(), send, "{stage:?}");
            assert_eq!(in_stage(stage).receive(&[arrival(1, 1, 0, 0, "")], AT).is_ok(), receive, "{stage:?}");
            assert_eq!(in_stage(stage).close("x".into(), AT).is_ok(), close, "{stage:?}");
            assert_eq!(in_stage(stage).cancel("x".into(), AT).is_ok(), cancel, "{stage:?}");
            assert_eq!(Stage::from_code(stage.code()), Some(stage));
        }
        assert!(matches!(draft(&[1], 0).edit(2), Err(Error::VersionConflict(1))));
    }

    #[test]
    fn a_line_without_a_day_comes_a_lead_time_after_the_sending() {
        assert_eq!(sent(&[1], 0).lines[0].expected_at, Some(datetime!(2026-11-30 00:00 UTC)));
    }

    #[test]
    fn receipts_with_differences_add_up_and_the_last_one_closes() {
        let mut order = sent(&[10, 5], 10);
        let booked = order.receive(&[arrival(1, 6, 1, 0, "WET")], AT).unwrap();
        assert_eq!((booked[0].received, booked[0].damaged, booked[0].over), (6, 1, 0));
        assert_eq!((order.stage, order.lines[0].expected()), (Stage::Sent, 3));
        // One more than was still expected is within the ten percent, and must be explained.
        assert!(matches!(order.receive(&[arrival(1, 4, 0, 0, "")], AT), Err(Error::ReasonNeeded(_))));
        let mut again = order.clone();
        assert!(matches!(again.receive(&[arrival(1, 5, 0, 0, "MORE")], AT), Err(Error::OverDelivery { most: 4, .. })));
        assert_eq!(order.receive(&[arrival(1, 4, 0, 0, "MORE")], AT).unwrap()[0].over, 1);
        assert!(matches!(order.receive(&[arrival(7, 1, 0, 0, "")], AT), Err(Error::UnknownLine(_))));
        order.receive(&[arrival(2, 2, 0, 3, "SHORT_SHIPPED")], AT).unwrap();
        assert_eq!((order.stage, order.closed_at, order.receipts), (Stage::Closed, Some(AT), 3));
    }

    #[test]
    fn what_came_of_cannot_be_cancelled() {
        let mut order = sent(&[10], 0);
        order.receive(&[arrival(1, 1, 0, 0, "")], AT).unwrap();
        assert!(order.cancel("x".into(), AT).is_err());
        order.close("enough".into(), AT).unwrap();
        assert_eq!((order.lines[0].dropped, order.lines[0].expected()), (9, 0));
        assert!(draft(&[1], 0).cancel("x".into(), AT).is_ok_and(|was_sent| !was_sent));
        assert!(sent(&[1], 0).cancel("x".into(), AT).is_ok_and(|was_sent| was_sent));
    }

    proptest! {
        #[test]
        fn nothing_more_comes_than_the_tolerance_allows_and_quantities_are_conserved(
            quantity in 1i64..1_000_000, percent in 0i32..=100,
            arrivals in prop::collection::vec((0i64..400_000, 0i64..1_000, 0i64..1_000), 1..12)
        ) {
            let mut order = sent(&[quantity], percent);
            let (mut came, mut missing) = (0, 0);
            for (received, damaged, dropped) in arrivals {
                let before = order.clone();
                let arrival = arrival(1, received, damaged, dropped, "ANY");
                match order.receive(&[arrival], AT) {
                    Ok(_) => { came += received + damaged; missing += dropped; }
                    Err(_) => order = before,
                }
                let line = &order.lines[0];
                prop_assert_eq!(line.received, came);
                prop_assert_eq!(line.dropped, missing);
                prop_assert!(i128::from(came) * 100 <= i128::from(quantity) * i128::from(100 + percent));
                prop_assert_eq!(line.expected(), (quantity - came - missing).max(0));
                prop_assert_eq!(order.stage == Stage::Closed, line.expected() == 0);
            }
        }
    }
}
