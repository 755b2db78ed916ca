use super::{checked, writing};
use crate::ops::Inventory;
use crate::ops::backorders::{self, Move};
use crate::store::backorder::{Place, Which};
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::backorder_service_server::BackorderService;
use pesan_grpc::{Violations, page, run};
use time::OffsetDateTime;
use tonic::{Request, Response, Status};

/// `pesan.inventory.v1.BackorderService`.
#[derive(Clone)]
pub struct BackorderRpc {
    inventory: Inventory,
}

impl BackorderRpc {
    /// Of this inventory.
    pub fn new(inventory: Inventory) -> Self {
        Self { inventory }
    }
}

/// The place after which a page begins.
fn place(v: &mut Violations, token: &str) -> Option<Place> {
    let key = page::key(v, token, 6)?;
    let place = read_place(&key);
    if place.is_none() {
        v.add("page_token", "must come from the answer to the same request");
    }
    place
}

fn read_place(key: &[String]) -> Option<Place> {
    let [sku, priority, promised_at, placed_at, order_id, line_no] = key else { return None };
    Some(Place {
        sku: sku.clone(),
        priority: priority.parse().ok()?,
        promised_at: if promised_at.is_empty() { None } else { Some(time(promised_at)?) },
        placed_at: time(placed_at)?,
        order_id: order_id.parse().ok()?,
        line_no: line_no.parse().ok()?,
    })
}

/// A time in nanoseconds.
fn time(nanos: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp_nanos(nanos.parse().ok()?).ok()
}

fn token(place: &Place) -> String {
    let nanos = |at: OffsetDateTime| at.unix_timestamp_nanos().to_string();
    page::token(&[
        &place.sku,
        &place.priority.to_string(),
        &place.promised_at.map(nanos).unwrap_or_default(),
        &nanos(place.placed_at),
        &place.order_id.to_string(),
        &place.line_no.to_string(),
    ])
}

/// Where an order is to be moved in the queues.
fn wanted(v: &mut Violations, request: &pb::ReprioritiseBackorderRequest) -> Move {
    let order_id = v.uuid("order_id", &request.order_id);
    let priority = request.priority.map(|priority| v.within("priority", priority, 0, 9));
    let promised_at = request.promised_at.as_ref().and_then(|at| v.time("promised_at", Some(at)));
    if request.promised_at.is_some() && request.clear_promised_at {
        v.add("clear_promised_at", "must be false where promised_at is given");
    }
    if priority.is_none() && request.promised_at.is_none() && !request.clear_promised_at {
        v.add("priority", "priority, promised_at or clear_promised_at must be given");
    }
    let promised_at = if request.clear_promised_at { Some(None) } else { promised_at.map(Some) };
    Move { order_id, priority: priority.and_then(|priority| i16::try_from(priority).ok()), promised_at }
}

#[tonic::async_trait]
impl BackorderService for BackorderRpc {
    async fn list_backorders(
        &self,
        request: Request<pb::ListBackordersRequest>,
    ) -> Result<Response<pb::ListBackordersResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let which = Which {
            sku: Some(v.text("sku", request.sku, 0, 100)).filter(|sku| !sku.is_empty()),
            location_id: v.optional_uuid("location_id", &request.location_id),
            order_id: v.optional_uuid("order_id", &request.order_id),
        };
        let size = page::size(&mut v, request.page_size);
        let after = place(&mut v, &request.page_token);
        checked(v, ())?;
        let (backorders, next) = backorders::list(&self.inventory, &which, after.as_ref(), size).await?;
        let next_page_token = next.as_ref().map(token).unwrap_or_default();
        Ok(Response::new(pb::ListBackordersResponse { backorders, next_page_token }))
    }

    async fn reprioritise_backorder(
        &self,
        request: Request<pb::ReprioritiseBackorderRequest>,
    ) -> Result<Response<pb::ReprioritiseBackorderResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let method = "pesan.inventory.v1.ReprioritiseBackorderRequest";
        let claim = writing(&mut v, method, &request.request_id, &request);
        let wanted = wanted(&mut v, &request);
        checked(v, ())?;
        let inventory = self.inventory.clone();
        let work = async move { Ok(backorders::reprioritise(&inventory, claim, wanted).await?) };
        Ok(Response::new(run::to_end(work).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;
    use uuid::Uuid;

    #[test]
    fn a_token_leads_back_to_its_place() {
        for promised_at in [None, Some(datetime!(2026-12-24 18:00:00.000001 UTC))] {
            let last = Place {
                sku: "TEA, 2 cups".into(),
                priority: 3,
                promised_at,
                placed_at: datetime!(2026-11-22 12:00 UTC),
                order_id: Uuid::now_v7(),
                line_no: 7,
            };
            let mut v = Violations::new();
            assert_eq!(place(&mut v, &token(&last)), Some(last));
            assert!(v.is_empty());
        }
        let mut v = Violations::new();
        assert_eq!(place(&mut v, &page::token(&["A", "x", "", "0", "", "1"])), None);
        assert_eq!(v.as_slice()[0].field, "page_token");
    }
}
