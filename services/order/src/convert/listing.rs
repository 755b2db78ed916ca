//! Pages of orders.

use crate::convert::orders::is_full;
use crate::convert::place::known;
use crate::error::Error;
use crate::filter::{self, Key, Listing, Place};
use crate::order::Filter;
use pesan_api::order::v1 as pb;
use pesan_grpc::{Violations, page};
use uuid::Uuid;

/// A page of orders that is asked for.
#[derive(Clone, Debug)]
pub struct ListOrders {
    /// Which, in which order.
    pub listing: Listing,
    /// After this one.
    pub after: Option<Place>,
    /// How many.
    pub size: i64,
    /// With lines.
    pub full: bool,
    /// Tells one listing from another: a page token belongs to its listing.
    fingerprint: String,
}

impl TryFrom<pb::ListOrdersRequest> for ListOrders {
    type Error = Error;

    fn try_from(request: pb::ListOrdersRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        let size = page::size(&mut v, request.page_size);
        let full = is_full(&mut v, request.view, pb::OrderView::Basic);
        let mut states = Vec::with_capacity(request.states.len());
        for (i, number) in request.states.iter().enumerate().take(100) {
            match known::<pb::OrderState>(&mut v, &format!("states[{i}]"), *number) {
                Some(pb::OrderState::Unspecified) => v.add(format!("states[{i}]"), "must be a state"),
                Some(state) => states.push(state),
                None => {}
            }
        }
        let filter = Filter {
            states,
            customer_id: v.optional_uuid("customer_id", &request.customer_id),
            channel: Some(request.channel).filter(|channel| !channel.is_empty()),
            placed_from: v.time("placed_from", request.placed_from.as_ref()),
            placed_to: v.time("placed_to", request.placed_to.as_ref()),
        };
        if filter.channel.as_ref().is_some_and(|channel| channel.contains('\0')) {
            v.add("channel", "must not have control characters");
        }
        let condition = filter::parse(&request.filter).unwrap_or_else(|wrong| {
            v.add("filter", wrong.to_string());
            None
        });
        let sorts = filter::parse_order_by(&request.order_by).unwrap_or_else(|wrong| {
            v.add("order_by", wrong.to_string());
            Vec::new()
        });
        let listing = Listing { filter, condition, sorts };
        let fingerprint = crate::customer::lock_id(&format!("{listing:?}{full}")).simple().to_string();
        let after = page::key(&mut v, &request.page_token, listing.sorts.len() + 2).and_then(|parts| {
            let after = place(&listing, &parts).filter(|_| parts.first() == Some(&fingerprint));
            if after.is_none() {
                v.add("page_token", "must come from the answer to the same request");
            }
            after
        });
        Ok(v.into_result(Self { listing, after, size, full, fingerprint })?)
    }
}

fn place(listing: &Listing, parts: &[String]) -> Option<Place> {
    let (order_id, keys) = parts.get(1..)?.split_last()?;
    let keys = listing.sorts.iter().zip(keys).map(|(sort, text)| Key::read(sort.field, text));
    Some(Place { keys: keys.collect::<Option<_>>()?, order_id: Uuid::try_parse(order_id).ok()? })
}

impl ListOrders {
    /// The token of the page after this place.
    pub fn token(&self, last: &Place) -> String {
        let mut parts = vec![self.fingerprint.clone()];
        parts.extend(last.keys.iter().map(|key| key.to_text()));
        parts.push(last.order_id.to_string());
        page::token(&parts.iter().map(String::as_str).collect::<Vec<_>>())
    }
}
