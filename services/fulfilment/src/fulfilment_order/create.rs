//! Fulfilment orders out of what an order's event allocates.

use super::{Address, FulfilmentOrder, Line, Parcel};
use crate::carrier::Simulated;
use crate::id::{FulfilmentOrderId, LocationId, OrderId};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// What holds for all fulfilment orders of an order; it says so when it is confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmedOrder {
    pub order_id: OrderId,
    pub order_number: String,
    pub ship_to: Option<Address>,
    /// Shipped and delivered at once.
    pub straight_through: bool,
}

/// The order's event that asks for fulfilment orders.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    pub order_version: i64,
    pub effective_at: OffsetDateTime,
}

/// A quantity of an order line at a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    pub line_no: i32,
    pub sku: String,
    pub location_id: LocationId,
    pub quantity: i64,
    pub stocked: bool,
}

/// One fulfilment order for each location, in the order of the locations' ids. `number` gives the next number.
///
/// Straight through means in its final state, as if everything had been done at `effective_at`. Labels are then the simulated
/// carrier's, which are made up without asking anybody; what has nothing to carry gets no parcel.
pub fn create(
    confirmed: &ConfirmedOrder,
    cause: Cause,
    allocations: Vec<Allocation>,
    mut number: impl FnMut() -> Option<i64>,
) -> Option<Vec<FulfilmentOrder>> {
    let mut by_location: BTreeMap<LocationId, BTreeMap<i32, Line>> = BTreeMap::new();
    for allocation in allocations.into_iter().filter(|allocation| allocation.quantity > 0) {
        let line = by_location.entry(allocation.location_id).or_default().entry(allocation.line_no).or_insert(Line {
            line_no: allocation.line_no,
            sku: allocation.sku,
            stocked: allocation.stocked,
            allocated: 0,
            withdrawn: 0,
            short: 0,
            picked: 0,
            shipped: 0,
        });
        line.allocated += allocation.quantity;
    }
    let mut created = Vec::with_capacity(by_location.len());
    for (location_id, lines) in by_location {
        let mut order = FulfilmentOrder {
            id: FulfilmentOrderId(Uuid::now_v7()),
            number: number()?,
            order_id: confirmed.order_id,
            order_number: confirmed.order_number.clone(),
            ship_to: confirmed.ship_to.clone(),
            location_id,
            order_version: cause.order_version,
            version: 1,
            created_at: cause.effective_at,
            picked_at: None,
            packed_at: None,
            shipped_at: None,
            delivered_at: None,
            lines: lines.into_values().collect(),
            parcels: Vec::new(),
        };
        if confirmed.straight_through {
            go_straight_through(&mut order, cause.effective_at);
        }
        created.push(order);
    }
    Some(created)
}

fn go_straight_through(order: &mut FulfilmentOrder, at: OffsetDateTime) {
    for line in &mut order.lines {
        line.picked = line.allocated;
        line.shipped = line.allocated;
    }
    order.picked_at = Some(at);
    order.packed_at = Some(at);
    order.shipped_at = Some(at);
    order.delivered_at = Some(at);
    if order.lines.iter().any(|line| line.stocked) {
        order.parcels.push(Parcel {
            parcel_no: 1,
            weight_grams: 0,
            carrier: Some(Simulated::NAME.to_owned()),
            tracking_number: Some(Simulated::tracking_number(order.number, 1)),
        });
    }
    // Created, goods issued, delivered.
    order.version = 3;
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn allocation(line_no: i32, location: u128, quantity: i64, stocked: bool) -> Allocation {
        let location_id = LocationId(Uuid::from_u128(location));
        Allocation { line_no, sku: format!("SKU{line_no}"), location_id, quantity, stocked }
    }

    fn numbered(straight_through: bool, allocations: Vec<Allocation>) -> Vec<FulfilmentOrder> {
        let order_id = OrderId(Uuid::from_u128(7));
        let confirmed = ConfirmedOrder { order_id, order_number: "SO-000007".into(), ship_to: None, straight_through };
        let cause = Cause { order_version: 2, effective_at: OffsetDateTime::UNIX_EPOCH };
        let mut numbers = 1..;
        create(&confirmed, cause, allocations, || numbers.next()).unwrap()
    }

    #[test]
    fn one_for_each_location_with_lines_added_up() {
        let allocations = vec![
            allocation(2, 20, 3, true),
            allocation(1, 10, 1, true),
            allocation(2, 10, 4, true),
            allocation(2, 20, 2, true),
            allocation(3, 20, 0, true),
        ];
        let created = numbered(false, allocations);
        let seen: Vec<_> = created
            .iter()
            .map(|o| (o.location_id.0.as_u128(), o.lines.iter().map(|l| (l.line_no, l.allocated)).collect::<Vec<_>>()))
            .collect();
        assert_eq!(seen, [(10, vec![(1, 1), (2, 4)]), (20, vec![(2, 5)])]);
        assert!(created.iter().all(|o| o.state() == State::Open && o.version == 1 && o.parcels.is_empty()));
        assert_eq!(created.iter().map(|o| o.number).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn straight_through_is_delivered_at_the_effective_time() {
        let created = numbered(true, vec![allocation(1, 10, 5, true), allocation(2, 20, 1, false)]);
        for order in &created {
            assert_eq!((order.state(), order.version), (State::Delivered, 3));
            assert_eq!(order.shipped(), order.allocated());
            assert_eq!([order.shipped_at, order.delivered_at], [Some(OffsetDateTime::UNIX_EPOCH); 2]);
        }
        assert_eq!(created[0].parcels[0].tracking_number, Some(Simulated::tracking_number(1, 1)));
        assert!(created[1].parcels.is_empty(), "a service needs no parcel");
    }

    #[test]
    fn nothing_allocated_makes_nothing() {
        assert!(numbered(false, vec![]).is_empty());
    }
}
