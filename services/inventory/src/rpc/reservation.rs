use super::{at_most, checked};
use crate::convert::{promise as promised, reservation as convert};
use crate::error::Error;
use crate::known::Known;
use crate::ops::amend::{Change, amend, supersede};
use crate::ops::promise::{self, Promised};
use crate::ops::reserve::{Outcome, Reserver, weight};
use crate::ops::{Inventory, look};
use crate::reservation::Demand;
use pesan_api::inventory::v1 as pb;
use pesan_api::inventory::v1::reservation_service_server::ReservationService;
use pesan_grpc::{Violations, run};
use tonic::{Request, Response, Status};
use tracing::Span;

/// `pesan.inventory.v1.ReservationService`.
#[derive(Clone)]
pub struct ReservationRpc {
    inventory: Inventory,
    reserver: Reserver,
}

impl ReservationRpc {
    /// Of this inventory; demands of concurrent calls gather in `reserver`.
    pub fn new(inventory: Inventory, reserver: Reserver) -> Self {
        Self { inventory, reserver }
    }

    /// What a demand of a changed order comes to; none where it goes the common way.
    async fn change(&self, demand: &Demand, change: Change) -> Option<Outcome> {
        let inventory = self.inventory.clone();
        let demand = demand.clone();
        match change {
            Change { in_addition: true, .. } => {
                let amended = run::to_end(async move { Ok(amend(&inventory, &demand, change).await) });
                Some(amended.await.unwrap_or(Err(Error::Stopping)))
            }
            Change { revision: 0, .. } => None,
            Change { revision, .. } => {
                let superseded = run::to_end(async move { Ok(supersede(&inventory, &demand, revision).await) });
                superseded.await.unwrap_or(Err(Error::Stopping)).err().map(Err)
            }
        }
    }
}

/// Puts the demand's facts into a span of the order's own trace, or, where it has none, into the call's.
fn trace(demand: &mut Demand, call: Option<&str>) -> Option<Span> {
    let Some(traceparent) = &demand.traceparent else {
        demand.traceparent = call.map(str::to_owned);
        return None;
    };
    let (span, own) =
        pesan_telemetry::step(traceparent, || tracing::info_span!("reserve", pesan.service = "inventory"));
    demand.traceparent = Some(own);
    Some(span)
}

fn result(known: &Known, outcome: Outcome) -> pb::ReserveResult {
    pb::ReserveResult {
        outcome: Some(match outcome {
            Ok(reservation) => pb::reserve_result::Outcome::Reservation(convert::reservation(known, &reservation)),
            Err(error) => pb::reserve_result::Outcome::Problem(error.into()),
        }),
    }
}

#[tonic::async_trait]
impl ReservationService for ReservationRpc {
    async fn reserve(&self, request: Request<pb::ReserveRequest>) -> Result<Response<pb::ReserveResponse>, Status> {
        let demands = request.into_inner().demands;
        at_most("demands", demands.len(), convert::MOST_DEMANDS)?;
        at_most("demands.lines", demands.iter().map(|demand| demand.lines.len()).sum(), convert::MOST_LINES)?;

        let now = self.inventory.clock.now();
        let call = pesan_telemetry::current_traceparent();
        let mut readable = Vec::with_capacity(demands.len());
        // Those that are answered by themselves.
        let mut decided: Vec<Option<Outcome>> = Vec::with_capacity(demands.len());
        let mut spans = Vec::new(); // open until the answer
        for demand in demands {
            let change = convert::change(&demand);
            match convert::parse_demand(demand, now) {
                Ok(mut demand) => {
                    spans.extend(trace(&mut demand, call.as_deref()));
                    decided.push(self.change(&demand, change).await);
                    if let Some(None) = decided.last() {
                        readable.push(demand);
                    }
                }
                Err(violations) => decided.push(Some(Err(violations.into()))),
            }
        }
        let mut outcomes = Vec::new();
        if !readable.is_empty() {
            let weight = weight(&readable);
            outcomes = self.reserver.submit(readable, weight).await.map_err(Error::from)?;
            // Where not even one could be looked at, the call failed as a whole.
            if let [Err(error @ (Error::Database(_) | Error::Contention)), ..] = outcomes.as_slice() {
                let error = error.clone();
                return Err(error.into());
            }
        }
        drop(spans);
        let known = self.inventory.known();
        let mut outcomes = outcomes.into_iter();
        let result = |decided: Option<Outcome>| match decided {
            Some(outcome) => result(&known, outcome),
            None => result(&known, outcomes.next().unwrap_or(Err(Error::Stopping))),
        };
        let results = decided.into_iter().map(result).collect();
        Ok(Response::new(pb::ReserveResponse { results }))
    }

    async fn promise(&self, request: Request<pb::PromiseRequest>) -> Result<Response<pb::PromiseResponse>, Status> {
        let demands = request.into_inner().demands;
        at_most("demands", demands.len(), promised::MOST_DEMANDS)?;
        at_most("demands.lines", demands.iter().map(|demand| demand.lines.len()).sum(), promised::MOST_LINES)?;
        let now = self.inventory.clock.now();
        let parsed: Vec<Result<Demand, Error>> =
            demands.into_iter().map(|demand| convert::parse_demand(demand, now).map_err(Error::from)).collect();
        let readable: Vec<Demand> = parsed.iter().flatten().cloned().collect();
        let Promised { promises, network } = promise::promise(&self.inventory, &readable).await?;
        let mut told = promises.into_iter().zip(&readable);
        let results = parsed.into_iter().map(|parsed| {
            let outcome = parsed.and_then(|_| {
                told.next()
                    .map_or(Err(Error::Stopping), |(promise, demand)| Ok(promised::promise(&network, demand, promise?)))
            });
            pb::PromiseResult {
                outcome: Some(match outcome {
                    Ok(promise) => pb::promise_result::Outcome::Promise(promise),
                    Err(error) => pb::promise_result::Outcome::Problem(error.into()),
                }),
            }
        });
        Ok(Response::new(pb::PromiseResponse { results: results.collect() }))
    }

    async fn get_reservation(
        &self,
        request: Request<pb::GetReservationRequest>,
    ) -> Result<Response<pb::GetReservationResponse>, Status> {
        let mut violations = Violations::new();
        let order_id = violations.uuid("order_id", &request.into_inner().order_id);
        let order_id = checked(violations, order_id)?;
        let reservation = look::reservation(&self.inventory, order_id).await?;
        let reservation = convert::reservation(&self.inventory.known(), &reservation);
        Ok(Response::new(pb::GetReservationResponse { reservation: Some(reservation) }))
    }
}
