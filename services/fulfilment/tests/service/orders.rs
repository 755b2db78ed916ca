//! Orders as the order service tells of them.

use crate::house::NOW;
use crate::order_feed::Fact;
use pesan_api::order::v1 as pb;
use pesan_api::r#type::v1::{Address, Money};
use time::OffsetDateTime;
use uuid::Uuid;

/// Two locations.
pub const NORTH: Uuid = Uuid::from_u128(0x0a);
pub const SOUTH: Uuid = Uuid::from_u128(0x0b);

/// An order that is told of step by step.
#[derive(Clone, Copy)]
pub struct Order {
    pub id: Uuid,
    pub at: OffsetDateTime,
    policy: pb::FulfilmentPolicy,
}

pub fn allocation(line_no: i32, location: Uuid, quantity: i64) -> pb::AllocatedLine {
    let (sku, location_id) = (format!("SKU-{line_no}"), location.to_string());
    pb::AllocatedLine { line_no, sku, location_id, quantity, stocked: true }
}

/// A service that is tied to no place.
pub fn service(line_no: i32, quantity: i64) -> pb::AllocatedLine {
    let location_id = String::new();
    pb::AllocatedLine { line_no, sku: "POSTAGE".into(), location_id, quantity, stocked: false }
}

pub fn address() -> Address {
    Address {
        recipient: "Ani Wijaya".into(),
        lines: vec!["Jl. Braga 1".into(), "Lt. 2".into()],
        city: "Bandung".into(),
        postal_code: "40111".into(),
        country: "ID".into(),
        ..Default::default()
    }
}

impl Order {
    /// People do the work.
    pub fn standard() -> Self {
        Self { id: Uuid::now_v7(), at: NOW - time::Duration::hours(1), policy: pb::FulfilmentPolicy::Standard }
    }

    /// Everything is done at once, at `at`.
    pub fn straight_through(at: OffsetDateTime) -> Self {
        Self { id: Uuid::now_v7(), at, policy: pb::FulfilmentPolicy::StraightThrough }
    }

    pub fn number(&self) -> String {
        format!("SO-{}", self.id.simple())
    }

    pub fn accepted(&self) -> Fact {
        let (order_id, number) = (self.id.to_string(), self.number());
        Fact::of(self.id, &pb::OrderAccepted { order_id, number, ..Default::default() }, self.at)
    }

    pub fn confirmed(&self, allocations: Vec<pb::AllocatedLine>) -> Fact {
        let fact = pb::OrderConfirmed {
            order_id: self.id.to_string(),
            number: self.number(),
            allocations,
            ship_to: Some(address()),
            fulfilment_policy: self.policy.into(),
            ..Default::default()
        };
        Fact::of(self.id, &fact, self.at)
    }

    pub fn lines_ready(&self, allocations: Vec<pb::AllocatedLine>) -> Fact {
        Fact::of(self.id, &pb::OrderLinesReady { order_id: self.id.to_string(), allocations }, self.at)
    }

    /// Line, location, quantity.
    pub fn stock_missing(&self, missing: &[(i32, Uuid, i64)]) -> Fact {
        let line = |(line_no, location, quantity): &(i32, Uuid, i64)| pb::MissingLine {
            line_no: *line_no,
            location_id: location.to_string(),
            quantity: *quantity,
            withheld: 1,
        };
        let lines = missing.iter().map(line).collect();
        Fact::of(self.id, &pb::OrderStockMissing { order_id: self.id.to_string(), lines }, self.at)
    }

    pub fn progressed(&self) -> Fact {
        let fact = pb::OrderProgressed { order_id: self.id.to_string(), ..Default::default() };
        Fact::of(self.id, &fact, self.at)
    }

    /// A return of (line, quantity, credit in cents of a euro).
    pub fn return_approved(
        &self,
        handling: pb::ReturnHandling,
        requested_at: OffsetDateTime,
        lines: &[(i32, i64, Option<i64>)],
    ) -> (Return, Fact) {
        let id = Uuid::now_v7();
        let number = format!("RMA-{}", id.simple());
        let line = |(line_no, quantity, cents): &(i32, i64, Option<i64>)| pb::ApprovedReturnLine {
            line_no: *line_no,
            sku: format!("SKU-{line_no}"),
            quantity: *quantity,
            reason: "DAMAGED".into(),
            credit: cents.map(euros),
            ..Default::default()
        };
        let fact = pb::ReturnApproved {
            order_id: self.id.to_string(),
            return_id: id.to_string(),
            number: number.clone(),
            lines: lines.iter().map(line).collect(),
            handling: handling.into(),
            requested_at: Some(pesan_grpc::parse::to_timestamp(requested_at)),
            ..Default::default()
        };
        (Return { id, number }, Fact::of(self.id, &fact, requested_at))
    }
}

pub struct Return {
    pub id: Uuid,
    pub number: String,
}

pub fn euros(cents: i64) -> Money {
    Money { currency_code: "EUR".into(), units: cents / 100, nanos: (cents % 100) as i32 * 10_000_000 }
}
