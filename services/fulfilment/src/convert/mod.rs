//! Between the protos and this service's own types.

mod facts;
mod orders;
mod requests;

pub use facts::{
    created, delivered, goods_issued, lines_withdrawn, packed, picked, return_amended, return_approved, return_closed,
    return_received, short_picked,
};
pub use orders::{amended, confirmed, lines_ready, stock_missing};
pub use requests::{
    Close, Deliver, ListOrders, ListReturns, Name, Pack, Pick, Receive, ReturnName, Ship, Withdraw, close, deliver,
    list_orders, list_returns, order_name, pack, pick, receive, return_name, ship, subjects, withdraw,
};

use crate::expected_return::ExpectedReturn;
use crate::fulfilment_order::{Address, FulfilmentOrder, Line, Parcel, display_number};
use pesan_api::fulfilment::v1 as pb;
use pesan_api::r#type::v1 as pb_type;
use pesan_grpc::parse::to_timestamp;

impl From<FulfilmentOrder> for pb::FulfilmentOrder {
    fn from(order: FulfilmentOrder) -> Self {
        let state = order.state();
        Self {
            id: order.id.0.to_string(),
            number: display_number(order.number),
            order_id: order.order_id.0.to_string(),
            order_number: order.order_number,
            location_id: order.location_id.to_string(),
            state: state as i32,
            lines: order.lines.into_iter().map(Into::into).collect(),
            parcels: order.parcels.into_iter().map(Into::into).collect(),
            ship_to: order.ship_to.map(Into::into),
            allowed_actions: state.allowed().iter().map(|action| *action as i32).collect(),
            version: order.version,
            created_at: Some(to_timestamp(order.created_at)),
            shipped_at: order.shipped_at.map(to_timestamp),
            delivered_at: order.delivered_at.map(to_timestamp),
        }
    }
}

impl From<Line> for pb::FulfilmentLine {
    fn from(line: Line) -> Self {
        Self {
            line_no: line.line_no,
            sku: line.sku,
            allocated: line.allocated,
            withdrawn: line.withdrawn,
            short: line.short,
            picked: line.picked,
            shipped: line.shipped,
            stocked: line.stocked,
        }
    }
}

impl From<Parcel> for pb::Parcel {
    fn from(parcel: Parcel) -> Self {
        Self {
            parcel_no: parcel.parcel_no,
            weight_grams: parcel.weight_grams,
            tracking_number: parcel.tracking_number.unwrap_or_default(),
            carrier: parcel.carrier.unwrap_or_default(),
        }
    }
}

impl From<Address> for pb_type::Address {
    fn from(address: Address) -> Self {
        let Address { recipient, lines, city, region, postal_code, country, email, phone } = address;
        Self { recipient, lines, city, region, postal_code, country, email, phone, latitude: None, longitude: None }
    }
}

impl From<pb_type::Address> for Address {
    fn from(address: pb_type::Address) -> Self {
        // Carriers go by the address alone.
        let pb_type::Address { recipient, lines, city, region, postal_code, country, email, phone, .. } = address;
        Self { recipient, lines, city, region, postal_code, country, email, phone }
    }
}

impl From<ExpectedReturn> for pb::ExpectedReturn {
    fn from(expected: ExpectedReturn) -> Self {
        let line = |line: crate::expected_return::ReturnLine| pb::ExpectedReturnLine {
            line_no: line.line_no,
            sku: line.sku,
            expected: line.expected,
            sellable: line.sellable,
            damaged: line.damaged,
            released: line.released,
            condition: line.condition.into(),
        };
        let aside = |aside: crate::expected_return::SetAside| pb::SetAside {
            id: aside.id.to_string(),
            line_no: aside.line_no.unwrap_or(0),
            sku: aside.sku,
            sellable: aside.sellable,
            damaged: aside.damaged,
            note: aside.note,
            received_at: Some(to_timestamp(aside.received_at)),
            taken: aside.taken,
        };
        Self {
            return_id: expected.id.0.to_string(),
            number: expected.number,
            order_id: expected.order_id.0.to_string(),
            lines: expected.lines.into_iter().map(line).collect(),
            version: expected.version,
            closed: expected.closed_at.is_some(),
            resolution: expected.resolution.into(),
            set_aside: expected.set_aside.into_iter().map(aside).collect(),
        }
    }
}
