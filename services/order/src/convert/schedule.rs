//! Requests about the delivery of orders.

use crate::convert::orders::order_name;
use crate::convert::reason;
use crate::error::Error;
use crate::name::OrderName;
use pesan_api::order::v1 as pb;
use pesan_grpc::Violations;
use uuid::Uuid;

/// A block that is asked for, or to be lifted.
#[derive(Clone, Debug)]
pub struct ChangeBlock<Q> {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// The order.
    pub name: OrderName,
    /// The same, as it came.
    pub text: String,
    /// Why; none: it is lifted.
    pub block: Option<String>,
    /// Full name of the request.
    pub method: &'static str,
    /// The request as it came.
    pub request: Q,
}

impl TryFrom<pb::BlockDeliveryRequest> for ChangeBlock<pb::BlockDeliveryRequest> {
    type Error = Error;

    fn try_from(request: pb::BlockDeliveryRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let block = Self {
            request_id: v.uuid("request_id", &request.request_id),
            name: order_name(&mut v, "name", &request.name),
            text: request.name.clone(),
            block: Some(reason(&mut v, "reason", request.reason.clone(), 1)),
            method: "pesan.order.v1.BlockDeliveryRequest",
            request,
        };
        Ok(v.into_result(block)?)
    }
}

impl TryFrom<pb::ReleaseDeliveryRequest> for ChangeBlock<pb::ReleaseDeliveryRequest> {
    type Error = Error;

    fn try_from(request: pb::ReleaseDeliveryRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let release = Self {
            request_id: v.uuid("request_id", &request.request_id),
            name: order_name(&mut v, "name", &request.name),
            text: request.name.clone(),
            block: None,
            method: "pesan.order.v1.ReleaseDeliveryRequest",
            request,
        };
        Ok(v.into_result(release)?)
    }
}
