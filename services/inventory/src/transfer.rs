//! Transfers: goods on their way from one location to another.

use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
use pesan_money::Money;
use time::OffsetDateTime;
use uuid::Uuid;

/// Where a transfer stands; whether some of a shipped one arrived is told by its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Planned,
    Shipped,
    /// Nothing is on its way any more.
    Received,
    Cancelled,
}

impl Stage {
    /// As the database keeps it.
    pub fn code(self) -> i16 {
        match self {
            Self::Planned => 1,
            Self::Shipped => 2,
            Self::Received => 3,
            Self::Cancelled => 4,
        }
    }

    /// From the database's code.
    pub fn from_code(code: i16) -> Option<Self> {
        [Self::Planned, Self::Shipped, Self::Received, Self::Cancelled].into_iter().find(|stage| stage.code() == code)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Shipped => "shipped",
            Self::Received => "received",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A transfer with its lines.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    pub id: Uuid,
    pub number: i64,
    pub source: LocationId,
    pub destination: LocationId,
    pub stage: Stage,
    pub reference: String,
    pub ship_at: OffsetDateTime,
    pub expected_at: OffsetDateTime,
    pub created_at: OffsetDateTime,
    pub shipped_at: Option<OffsetDateTime>,
    pub closed_at: Option<OffsetDateTime>,
    /// Counts the changes.
    pub version: i64,
    /// Counts the facts told of it.
    pub facts: i64,
    /// By line number.
    pub lines: Vec<Line>,
}

/// An item of a transfer. shipped = received + damaged + lost + on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    pub line_no: i32,
    pub item: ItemId,
    /// Planned.
    pub quantity: i64,
    pub shipped: i64,
    pub received: i64,
    pub damaged: i64,
    pub lost: i64,
    /// Of one base unit, when it left.
    pub unit_cost: Option<Money>,
}

impl Line {
    /// On its way.
    pub fn in_transfer(&self) -> i64 {
        self.shipped - self.received - self.damaged - self.lost
    }
}

/// What arrived of a line, or never will.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub line_no: i32,
    pub received: i64,
    pub damaged: i64,
    pub lost: i64,
    pub reason: String,
}

impl Transfer {
    fn expect(&self, stage: Stage) -> Result<(), Error> {
        if self.stage == stage {
            return Ok(());
        }
        Err(Error::WrongState { what: "the transfer", is: self.stage.name() })
    }

    /// Whether something of it arrived.
    pub fn is_part_received(&self) -> bool {
        self.lines.iter().any(|line| line.in_transfer() < line.shipped)
    }

    /// The goods leave: these quantities by line, or, where none is said, all that is planned.
    pub fn ship(&mut self, quantities: &[(i32, i64)], at: OffsetDateTime) -> Result<(), Error> {
        self.expect(Stage::Planned)?;
        for (place, (line_no, quantity)) in quantities.iter().enumerate() {
            let line = self.lines.iter().find(|line| line.line_no == *line_no);
            let line = line.ok_or_else(|| Error::UnknownLine(format!("lines[{place}].line_no")))?;
            if *quantity > line.quantity {
                return Err(Error::OverDelivery { field: format!("lines[{place}].quantity"), most: line.quantity });
            }
        }
        for line in &mut self.lines {
            let said = quantities.iter().find(|(line_no, _)| *line_no == line.line_no);
            line.shipped = said.map_or(line.quantity, |(_, quantity)| *quantity);
        }
        self.stage = Stage::Shipped;
        self.shipped_at = Some(at);
        self.version += 1;
        self.close_when_nothing_is_on_its_way(at);
        Ok(())
    }

    /// Goods arrived, or are known to be lost.
    pub fn receive(&mut self, arrivals: &[Arrival], at: OffsetDateTime) -> Result<(), Error> {
        self.expect(Stage::Shipped)?;
        for (place, arrival) in arrivals.iter().enumerate() {
            let line = self.lines.iter_mut().find(|line| line.line_no == arrival.line_no);
            let line = line.ok_or_else(|| Error::UnknownLine(format!("lines[{place}].line_no")))?;
            if arrival.received + arrival.damaged + arrival.lost > line.in_transfer() {
                let most = line.in_transfer();
                return Err(Error::OverDelivery { field: format!("lines[{place}].received"), most });
            }
            line.received += arrival.received;
            line.damaged += arrival.damaged;
            line.lost += arrival.lost;
        }
        self.version += 1;
        self.close_when_nothing_is_on_its_way(at);
        Ok(())
    }

    fn close_when_nothing_is_on_its_way(&mut self, at: OffsetDateTime) {
        if self.lines.iter().all(|line| line.in_transfer() == 0) {
            self.stage = Stage::Received;
            self.closed_at = Some(at);
        }
    }

    /// The plan is given up.
    pub fn cancel(&mut self, at: OffsetDateTime) -> Result<(), Error> {
        self.expect(Stage::Planned)?;
        self.stage = Stage::Cancelled;
        self.closed_at = Some(at);
        self.version += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    const AT: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);

    fn planned(quantities: &[i64]) -> Transfer {
        let line = |(line_no, quantity): (i32, &i64)| Line {
            line_no,
            item: ItemId(line_no.into()),
            quantity: *quantity,
            shipped: 0,
            received: 0,
            damaged: 0,
            lost: 0,
            unit_cost: None,
        };
        Transfer {
            id: Uuid::now_v7(),
            number: 1,
            source: LocationId(1),
            destination: LocationId(2),
            stage: Stage::Planned,
            reference: String::new(),
            ship_at: AT,
            expected_at: AT,
            created_at: AT,
            shipped_at: None,
            closed_at: None,
            version: 1,
            facts: 0,
            lines: (1..).zip(quantities).map(line).collect(),
        }
    }

    fn arrival(received: i64, damaged: i64, lost: i64) -> Arrival {
        Arrival { line_no: 1, received, damaged, lost, reason: "LOST".into() }
    }

    #[test]
    fn every_stage_allows_what_it_allows_and_refuses_the_rest() {
        let in_stage = |stage| Transfer { stage, ..planned(&[10]) };
        for (stage, ship, receive, cancel) in [
            (Stage::Planned, true, false, true),
            (Stage::Shipped, false, true, false),
            (Stage::Received, false, false, false),
            (Stage::Cancelled, false, false, false),
        ] {
            assert_eq!(in_stage(stage).ship(&[], AT).is_ok(), ship, "{stage:?}");
            assert_eq!(in_stage(stage).receive(&[arrival(0, 0, 0)], AT).is_ok(), receive, "{stage:?}");
            assert_eq!(in_stage(stage).cancel(AT).is_ok(), cancel, "{stage:?}");
            assert_eq!(Stage::from_code(stage.code()), Some(stage));
        }
    }

    #[test]
    fn what_is_not_named_leaves_as_planned() {
        let mut transfer = planned(&[10, 5]);
        assert!(matches!(transfer.ship(&[(1, 11)], AT), Err(Error::OverDelivery { most: 10, .. })));
        assert!(matches!(transfer.ship(&[(3, 1)], AT), Err(Error::UnknownLine(_))));
        transfer.ship(&[(1, 4)], AT).unwrap();
        assert_eq!((transfer.lines[0].in_transfer(), transfer.lines[1].in_transfer()), (4, 5));
        let mut none = planned(&[10]);
        none.ship(&[(1, 0)], AT).unwrap();
        assert_eq!(none.stage, Stage::Received, "nothing left: nothing is on its way");
    }

    proptest! {
        #[test]
        fn what_was_shipped_arrives_is_lost_or_is_on_its_way(
            shipped in 1i64..1_000, arrivals in prop::collection::vec((0i64..200, 0i64..50, 0i64..50), 1..20)
        ) {
            let mut transfer = planned(&[1_000]);
            transfer.ship(&[(1, shipped)], AT).unwrap();
            for (received, damaged, lost) in arrivals {
                let fits = transfer.stage == Stage::Shipped
                    && received + damaged + lost <= transfer.lines[0].in_transfer();
                prop_assert_eq!(transfer.receive(&[arrival(received, damaged, lost)], AT).is_ok(), fits);
                let line = &transfer.lines[0];
                prop_assert!(line.in_transfer() >= 0);
                prop_assert_eq!(line.in_transfer() == 0, transfer.stage == Stage::Received);
            }
        }
    }
}
