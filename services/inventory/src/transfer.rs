//! Transfers: goods on their way from one location to another.

use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::lot::{self, LotQuantity};
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
    /// Of a tracked item that was shipped, in the order in which they were taken; they sum to the line.
    pub lots: Vec<LotOnItsWay>,
}

/// What left of a lot, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotOnItsWay {
    pub code: String,
    pub shipped: i64,
    pub received: i64,
    pub damaged: i64,
    pub lost: i64,
}

impl LotOnItsWay {
    /// Of which nothing arrived yet.
    pub fn new(code: String, shipped: i64) -> Self {
        Self { code, shipped, received: 0, damaged: 0, lost: 0 }
    }

    /// On its way.
    pub fn in_transfer(&self) -> i64 {
        self.shipped - self.received - self.damaged - self.lost
    }
}

impl Line {
    /// Of which nothing left yet.
    pub fn new(line_no: i32, item: ItemId, quantity: i64) -> Self {
        let (shipped, received, damaged, lost) = (0, 0, 0, 0);
        Self { line_no, item, quantity, shipped, received, damaged, lost, unit_cost: None, lots: Vec::new() }
    }

    /// On its way.
    pub fn in_transfer(&self) -> i64 {
        self.shipped - self.received - self.damaged - self.lost
    }
}

/// What of a line leaves.
#[derive(Clone, Debug, PartialEq)]
pub struct Shipment {
    pub line_no: i32,
    pub quantity: i64,
    /// Of a tracked item; empty: those that expire first.
    pub lots: Vec<LotQuantity>,
}

/// What arrived of a line, or never will.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrival {
    pub line_no: i32,
    pub received: i64,
    pub damaged: i64,
    pub lost: i64,
    pub reason: String,
    /// Of a tracked item, of what was received, is damaged and is lost; empty: of the lots that are left.
    pub lots: Vec<LotQuantity>,
    pub damaged_lots: Vec<LotQuantity>,
    pub lost_lots: Vec<LotQuantity>,
}

impl Line {
    /// Lots of it arrived, or are lost: those that the arrival names, and for what it does not name those that are left, in
    /// the order in which they were taken, which it names then.
    fn arrive_lots(&mut self, arrival: &mut Arrival, path: &str) -> Result<(), Error> {
        let parts = [
            (arrival.received, &mut arrival.lots, "lots"),
            (arrival.damaged, &mut arrival.damaged_lots, "damaged_lots"),
            (arrival.lost, &mut arrival.lost_lots, "lost_lots"),
        ];
        let at = |field: &str, error| Error::At { path: format!("{path}.{field}"), error: Box::new(error) };
        if self.lots.is_empty() {
            let named = parts.into_iter().find(|(_, lots, _)| !lots.is_empty());
            return named.map_or(Ok(()), |(.., field)| Err(at(field, Error::NotTracked)));
        }
        let lot =
            |lot: &LotOnItsWay| LotQuantity { code: lot.code.clone(), quantity: lot.in_transfer(), expires_on: None };
        let mut left: Vec<LotQuantity> = self.lots.iter().map(lot).collect();
        for (quantity, lots, field) in &parts {
            let named = lots.is_empty().then_some(0);
            let sum = named.unwrap_or_else(|| lots.iter().map(|lot| lot.quantity).fold(0, i64::saturating_add));
            if !lots.is_empty() && sum != *quantity {
                return Err(at(field, Error::LotQuantity));
            }
            for lot in lots.iter() {
                let on_its_way = left.iter_mut().find(|left| left.code == lot.code);
                let most = on_its_way.as_ref().map_or(0, |left| left.quantity);
                if lot.quantity > most {
                    return Err(Error::OverDelivery { field: format!("{path}.{field}"), most });
                }
                if let Some(left) = on_its_way {
                    left.quantity -= lot.quantity;
                }
            }
        }
        for (quantity, lots, _) in parts {
            if lots.is_empty() {
                *lots = lot::take(&mut left, quantity);
            }
        }
        for own in &mut self.lots {
            let of = |lots: &[LotQuantity]| lots.iter().filter(|l| l.code == own.code).map(|l| l.quantity).sum::<i64>();
            let (received, damaged, lost) = (of(&arrival.lots), of(&arrival.damaged_lots), of(&arrival.lost_lots));
            own.received += received;
            own.damaged += damaged;
            own.lost += lost;
        }
        Ok(())
    }
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
    pub fn ship(&mut self, shipments: &[Shipment], at: OffsetDateTime) -> Result<(), Error> {
        self.expect(Stage::Planned)?;
        for (place, shipment) in shipments.iter().enumerate() {
            let line = self.lines.iter().find(|line| line.line_no == shipment.line_no);
            let line = line.ok_or_else(|| Error::UnknownLine(format!("lines[{place}].line_no")))?;
            if shipment.quantity > line.quantity {
                return Err(Error::OverDelivery { field: format!("lines[{place}].quantity"), most: line.quantity });
            }
        }
        for line in &mut self.lines {
            let said = shipments.iter().find(|shipment| shipment.line_no == line.line_no);
            line.shipped = said.map_or(line.quantity, |shipment| shipment.quantity);
        }
        self.stage = Stage::Shipped;
        self.shipped_at = Some(at);
        self.version += 1;
        self.close_when_nothing_is_on_its_way(at);
        Ok(())
    }

    /// Goods arrived, or are known to be lost; of tracked items the arrivals name all lots then.
    pub fn receive(&mut self, arrivals: &mut [Arrival], at: OffsetDateTime) -> Result<(), Error> {
        self.expect(Stage::Shipped)?;
        for (place, arrival) in arrivals.iter_mut().enumerate() {
            let line = self.lines.iter_mut().find(|line| line.line_no == arrival.line_no);
            let line = line.ok_or_else(|| Error::UnknownLine(format!("lines[{place}].line_no")))?;
            if arrival.received + arrival.damaged + arrival.lost > line.in_transfer() {
                let most = line.in_transfer();
                return Err(Error::OverDelivery { field: format!("lines[{place}].received"), most });
            }
            line.arrive_lots(arrival, &format!("lines[{place}]"))?;
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
        let line = |(line_no, quantity): (i32, &i64)| Line::new(line_no, ItemId(line_no.into()), *quantity);
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
        Arrival { line_no: 1, received, damaged, lost, reason: "LOST".into(), ..Arrival::default() }
    }

    fn shipment(line_no: i32, quantity: i64) -> Shipment {
        Shipment { line_no, quantity, lots: Vec::new() }
    }

    fn lots(named: &[(&str, i64)]) -> Vec<LotQuantity> {
        let lot = |(code, quantity): &(&str, i64)| LotQuantity {
            code: (*code).into(),
            quantity: *quantity,
            expires_on: None,
        };
        named.iter().map(lot).collect()
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
            assert_eq!(in_stage(stage).receive(&mut [arrival(0, 0, 0)], AT).is_ok(), receive, "{stage:?}");
            assert_eq!(in_stage(stage).cancel(AT).is_ok(), cancel, "{stage:?}");
            assert_eq!(Stage::from_code(stage.code()), Some(stage));
        }
    }

    #[test]
    fn what_is_not_named_leaves_as_planned() {
        let mut transfer = planned(&[10, 5]);
        assert!(matches!(transfer.ship(&[shipment(1, 11)], AT), Err(Error::OverDelivery { most: 10, .. })));
        assert!(matches!(transfer.ship(&[shipment(3, 1)], AT), Err(Error::UnknownLine(_))));
        transfer.ship(&[shipment(1, 4)], AT).unwrap();
        assert_eq!((transfer.lines[0].in_transfer(), transfer.lines[1].in_transfer()), (4, 5));
        let mut none = planned(&[10]);
        none.ship(&[shipment(1, 0)], AT).unwrap();
        assert_eq!(none.stage, Stage::Received, "nothing left: nothing is on its way");
    }

    #[test]
    fn lots_that_are_not_named_arrive_in_the_order_in_which_they_were_taken() {
        let mut transfer = planned(&[10]);
        transfer.ship(&[], AT).unwrap();
        transfer.lines[0].lots = vec![LotOnItsWay::new("A".into(), 6), LotOnItsWay::new("B".into(), 4)];
        let named = Arrival { damaged_lots: lots(&[("A", 1)]), ..arrival(5, 1, 1) };
        for (wrong, expected) in [
            (Arrival { lots: lots(&[("A", 4)]), ..named.clone() }, "LOT_QUANTITY"),
            (Arrival { lots: lots(&[("A", 5), ("A", 0)]), lost_lots: lots(&[("A", 1)]), ..named.clone() }, "OVER"),
            (Arrival { lost_lots: lots(&[("C", 1)]), ..named.clone() }, "OVER"),
        ] {
            let error = transfer.clone().receive(&mut [wrong], AT).unwrap_err();
            let is_over = matches!(&error, Error::OverDelivery { most: 0, .. });
            let is_sum = matches!(&error, Error::At { error, .. } if matches!(**error, Error::LotQuantity));
            assert_eq!((is_over, is_sum), (expected == "OVER", expected != "OVER"), "{error}");
        }
        let mut arrivals = [named];
        transfer.receive(&mut arrivals, AT).unwrap();
        assert_eq!((&arrivals[0].lots, &arrivals[0].lost_lots), (&lots(&[("A", 5)]), &lots(&[("B", 1)])));
        let [a, b] = transfer.lines[0].lots.as_slice() else { panic!("two lots") };
        assert_eq!((a.received, a.damaged, a.lost, a.in_transfer()), (5, 1, 0, 0));
        assert_eq!((b.received, b.damaged, b.lost, b.in_transfer()), (0, 0, 1, 3));
        let mut untracked = planned(&[10]);
        untracked.ship(&[], AT).unwrap();
        let named = Arrival { lots: lots(&[("A", 1)]), ..arrival(1, 0, 0) };
        assert!(untracked.receive(&mut [named], AT).is_err());
    }

    proptest! {
        #[test]
        fn what_was_shipped_arrives_is_lost_or_is_on_its_way(
            shipped in 1i64..1_000, arrivals in prop::collection::vec((0i64..200, 0i64..50, 0i64..50), 1..20)
        ) {
            let mut transfer = planned(&[1_000]);
            transfer.ship(&[shipment(1, shipped)], AT).unwrap();
            for (received, damaged, lost) in arrivals {
                let fits = transfer.stage == Stage::Shipped
                    && received + damaged + lost <= transfer.lines[0].in_transfer();
                prop_assert_eq!(transfer.receive(&mut [arrival(received, damaged, lost)], AT).is_ok(), fits);
                let line = &transfer.lines[0];
                prop_assert!(line.in_transfer() >= 0);
                prop_assert_eq!(line.in_transfer() == 0, transfer.stage == Stage::Received);
            }
        }
    }
}
