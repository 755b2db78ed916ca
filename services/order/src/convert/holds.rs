//! The work list of holds.

use crate::convert::money;
use crate::convert::orders::hold;
use crate::error::Error;
use crate::hold::{HeldOrder, HoldFilter};
use crate::name::order_number;
use pesan_api::order::v1 as pb;
use pesan_grpc::{Violations, page};
use uuid::Uuid;

/// A page of holds that is asked for.
#[derive(Clone, Debug)]
pub struct ListHolds {
    /// Which.
    pub filter: HoldFilter,
    /// After this one.
    pub after: Option<Uuid>,
    /// How many.
    pub size: i64,
    /// Tells one filter from another: a page token belongs to its filter.
    pub fingerprint: String,
}

impl TryFrom<pb::ListHoldsRequest> for ListHolds {
    type Error = Error;

    fn try_from(request: pb::ListHoldsRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let filter = HoldFilter {
            owner: v.text("owner", request.owner, 0, 100),
            reason: v.text("reason", request.reason, 0, 60),
            rule: v.text("rule", request.rule, 0, 60),
            channel: v.text("channel", request.channel, 0, 40),
        };
        let fingerprint = crate::customer::lock_id(&format!("{filter:?}")).simple().to_string();
        let after = page::key(&mut v, &request.page_token, 2).and_then(|key| {
            let after = Uuid::try_parse(&key[1]).ok().filter(|_| key[0] == fingerprint);
            if after.is_none() {
                v.add("page_token", "must come from the answer to the same request");
            }
            after
        });
        Ok(v.into_result(Self { filter, after, size, fingerprint })?)
    }
}

/// A held order as clients see it.
pub fn held(held: &HeldOrder) -> pb::HeldOrder {
    pb::HeldOrder {
        hold: Some(hold(&held.hold)),
        order_id: held.order_id.to_string(),
        order_number: order_number(held.number),
        channel: held.channel.clone(),
        external_id: held.external_id.clone(),
        customer_id: held.customer_id.map(|id| id.to_string()).unwrap_or_default(),
        customer_name: held.customer_name.clone(),
        total: money(held.currency, held.total),
        order_holds: held.holds,
    }
}

/// Holds that shall be lifted.
#[derive(Clone, Debug)]
pub struct ReleaseHolds {
    /// The caller's id of it.
    pub request_id: Uuid,
    /// In the order given.
    pub hold_ids: Vec<Uuid>,
    /// The request as it came.
    pub request: pb::ReleaseHoldsRequest,
}

impl TryFrom<pb::ReleaseHoldsRequest> for ReleaseHolds {
    type Error = Error;

    fn try_from(request: pb::ReleaseHoldsRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let request_id = v.uuid("request_id", &request.request_id);
        if request.hold_ids.is_empty() || request.hold_ids.len() > 500 {
            v.add("hold_ids", format!("must have 1 to 500 entries, not {}", request.hold_ids.len()));
        }
        let ids = request.hold_ids.iter().take(500).enumerate();
        let hold_ids = ids.map(|(i, id)| v.uuid(&format!("hold_ids[{i}]"), id)).collect();
        v.text("note", request.note.clone(), 0, 500);
        Ok(v.into_result(Self { request_id, hold_ids, request })?)
    }
}
