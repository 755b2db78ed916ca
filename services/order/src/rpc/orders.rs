//! OrderService.

use crate::convert;
use crate::convert::listing::ListOrders;
use crate::convert::orders::{CancelOrder, HoldOrder, ReleaseHold, is_full, order_name};
use crate::convert::place::draft;
use crate::draft::Draft;
use crate::error::Error;
use crate::ops;
use crate::ops::Books;
use crate::ops::cancel::Canceller;
use crate::ops::place::{Intake, Placed};
use crate::ops::saga::Saga;
use crate::rpc::answer_by;
use crate::rpc::watch::{WatchStream, Watchers};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::order_service_server::OrderService;
use pesan_batch::Refused;
use pesan_grpc::{Violations, run};
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use uuid::Uuid;

/// Most orders and lines of a PlaceOrders.
const MOST_ORDERS: usize = 500;
const MOST_LINES: usize = 50_000;

/// The service.
#[derive(Clone)]
pub struct Orders {
    /// The books.
    pub books: Books,
    /// Takes new orders.
    pub intake: Intake,
    /// Settles them.
    pub saga: Saga,
    /// Cancels them.
    pub canceller: Canceller,
    /// Those who watch orders.
    pub watchers: Watchers,
}

impl Orders {
    /// Places what is well formed, and waits if it shall; one outcome for each order.
    async fn place(
        self,
        orders: Vec<(pb::NewOrder, Option<String>)>,
        settled: bool,
        deadline: Instant,
    ) -> Result<Vec<Result<Placed, Error>>, Error> {
        let now = self.books.clock.now();
        let drafts: Vec<Result<Draft, Violations>> =
            orders.into_iter().map(|(order, traceparent)| draft(order, now, traceparent)).collect();
        let new_ids: Vec<Uuid> = drafts.iter().flatten().map(|draft| draft.order_id).collect();
        let waiting = settled.then(|| self.books.wakes.wait_for(&new_ids));
        let mut outcomes: Vec<Option<Result<Placed, Error>>> = Vec::with_capacity(drafts.len());
        let mut sound = Vec::with_capacity(new_ids.len());
        for draft in drafts {
            match draft {
                Ok(draft) => {
                    let lines = draft.lines.len();
                    sound.push((draft, lines));
                    outcomes.push(None);
                }
                Err(violations) => outcomes.push(Some(Err(violations.into()))),
            }
        }
        let mut answers = self.intake.submit_all(sound).await.into_iter();
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
            *outcome = Some(match answers.next() {
                Some(Ok(answer)) => answer,
                Some(Err(Refused::Full)) => Err(Error::Busy),
                Some(Err(Refused::Closed)) | None => Err(Error::ShuttingDown),
            });
        }
        let outcomes: Vec<Result<Placed, Error>> = outcomes.into_iter().flatten().collect();
        if let Some(waiting) = waiting {
            let ids: Vec<Uuid> = outcomes.iter().flatten().map(|placed| placed.order_id).collect();
            ops::wait::until_settled(&self.books, &waiting, &ids, deadline).await?;
        }
        Ok(outcomes)
    }
}

/// Whether to wait until the orders are settled.
fn waits(wait: i32) -> Result<bool, Error> {
    let mut v = Violations::new();
    let wait = convert::place::known::<pb::PlaceWait>(&mut v, "wait", wait);
    Ok(v.into_result(wait != Some(pb::PlaceWait::Durable))?)
}

#[tonic::async_trait]
impl OrderService for Orders {
    async fn place_order(
        &self,
        request: Request<pb::PlaceOrderRequest>,
    ) -> Result<Response<pb::PlaceOrderResponse>, Status> {
        let (service, deadline) = (self.clone(), answer_by(&self.books, &request));
        let request = request.into_inner();
        let settled = waits(request.wait)?;
        let order = request.order.ok_or_else(|| Error::invalid("order", "is required"))?;
        let traceparent = pesan_telemetry::current_traceparent();
        run::to_end(async move {
            let books = service.books.clone();
            let mut placed = service.place(vec![(order, traceparent)], settled, deadline).await?;
            let placed = placed.pop().unwrap_or(Err(Error::ShuttingDown)).map_err(within_order)?;
            let order = ops::read::by_ids(&books, &[placed.order_id], true).await?.remove(&placed.order_id);
            Ok(Response::new(pb::PlaceOrderResponse { order, already_existed: placed.existed }))
        })
        .await
    }

    async fn place_orders(
        &self,
        request: Request<pb::PlaceOrdersRequest>,
    ) -> Result<Response<pb::PlaceOrdersResponse>, Status> {
        let (service, deadline) = (self.clone(), answer_by(&self.books, &request));
        let request = request.into_inner();
        let mut v = Violations::new();
        if request.orders.is_empty() || request.orders.len() > MOST_ORDERS {
            v.add("orders", format!("must have 1 to {MOST_ORDERS} entries, not {}", request.orders.len()));
        }
        let lines: usize = request.orders.iter().map(|order| order.lines.len()).sum();
        if lines > MOST_LINES {
            v.add("orders", format!("must have at most {MOST_LINES} lines together, not {lines}"));
        }
        let full = is_full(&mut v, request.view, pb::OrderView::Full);
        v.into_result(()).map_err(Error::from)?;
        let settled = waits(request.wait)?;
        let orders = request.orders.into_iter().map(|order| (order, own_trace())).collect();
        run::to_end(async move {
            let books = service.books.clone();
            let placed = service.place(orders, settled, deadline).await?;
            let ids: Vec<Uuid> = placed.iter().flatten().map(|placed| placed.order_id).collect();
            let orders = ops::read::by_ids(&books, &ids, full).await?;
            let results = placed.into_iter().map(|outcome| match outcome {
                Ok(Placed { order_id, existed, .. }) => pb::PlaceOrderResult {
                    outcome: orders.get(&order_id).cloned().map(pb::place_order_result::Outcome::Order),
                    already_existed: existed,
                },
                Err(error) => pb::PlaceOrderResult {
                    outcome: Some(pb::place_order_result::Outcome::Problem(error.into_problem())),
                    already_existed: false,
                },
            });
            Ok(Response::new(pb::PlaceOrdersResponse { results: results.collect() }))
        })
        .await
    }

    async fn get_order(&self, request: Request<pb::GetOrderRequest>) -> Result<Response<pb::GetOrderResponse>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let name = order_name(&mut v, "name", &request.name);
        let full = is_full(&mut v, request.view, pb::OrderView::Full);
        v.into_result(()).map_err(Error::from)?;
        let order = ops::read::get(&self.books, &name, &request.name, full).await?;
        Ok(Response::new(pb::GetOrderResponse { order: Some(order) }))
    }

    async fn list_orders(
        &self,
        request: Request<pb::ListOrdersRequest>,
    ) -> Result<Response<pb::ListOrdersResponse>, Status> {
        let command = ListOrders::try_from(request.into_inner())?;
        let (orders, next_page_token) = ops::read::list(&self.books, &command).await?;
        Ok(Response::new(pb::ListOrdersResponse { orders, next_page_token }))
    }

    type WatchOrderStream = WatchStream;

    async fn watch_order(
        &self,
        request: Request<pb::WatchOrderRequest>,
    ) -> Result<Response<Self::WatchOrderStream>, Status> {
        let request = request.into_inner();
        let mut v = Violations::new();
        let name = order_name(&mut v, "name", &request.name);
        v.within("after_version", request.after_version, 0, i64::MAX);
        v.into_result(()).map_err(Error::from)?;
        let order_id = self.books.find(&name, &request.name).await?;
        let stream = self.watchers.watch(self.books.clone(), order_id, request.after_version)?;
        Ok(Response::new(stream))
    }

    async fn cancel_order(
        &self,
        request: Request<pb::CancelOrderRequest>,
    ) -> Result<Response<pb::CancelOrderResponse>, Status> {
        let (canceller, deadline) = (self.canceller.clone(), answer_by(&self.books, &request));
        let command = CancelOrder::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(canceller.cancel(&command, deadline).await?)) }).await
    }

    async fn hold_order(
        &self,
        request: Request<pb::HoldOrderRequest>,
    ) -> Result<Response<pb::HoldOrderResponse>, Status> {
        let books = self.books.clone();
        let command = HoldOrder::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(ops::hold::hold(&books, command).await?)) }).await
    }

    async fn release_hold(
        &self,
        request: Request<pb::ReleaseHoldRequest>,
    ) -> Result<Response<pb::ReleaseHoldResponse>, Status> {
        let (books, saga) = (self.books.clone(), self.saga.clone());
        let command = ReleaseHold::try_from(request.into_inner())?;
        run::to_end(async move { Ok(Response::new(ops::hold::release(&books, &saga, command).await?)) }).await
    }
}

/// A trace of its own for each order of a list: one journey is one trace.
pub(super) fn own_trace() -> Option<String> {
    Some(pesan_telemetry::new_journey(|| tracing::info_span!(parent: None, "place", pesan.service = "order")))
}

/// Field paths of a PlaceOrder begin at its request, not at the order.
fn within_order(error: Error) -> Error {
    let Error::Invalid(violations) = error else { return error };
    let mut moved = Violations::new();
    for violation in violations.as_slice() {
        moved.add(format!("order.{}", violation.field), violation.description.clone());
    }
    Error::Invalid(moved)
}
