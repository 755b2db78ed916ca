//! PaymentService.

use crate::convert;
use crate::ops;
use crate::ops::authoriser::Authoriser;
use crate::ops::payment::Applied;
use pesan_api::billing::v1 as pb;
use pesan_api::billing::v1::payment_service_server::PaymentService;
use pesan_feed::Feed;
use pesan_grpc::idempotency::Claim;
use pesan_grpc::{Violations, refuse, run};
use pesan_host::Clock;
use prost::Message as _;
use sqlx::PgPool;
use tonic::{Request, Response, Status};

/// Secures and takes the money for orders.
pub struct Payments {
    pub pool: PgPool,
    pub clock: Clock,
    pub feed: Feed,
    pub authoriser: Authoriser,
}

#[tonic::async_trait]
impl PaymentService for Payments {
    async fn authorise(
        &self,
        request: Request<pb::AuthoriseRequest>,
    ) -> Result<Response<pb::AuthoriseResponse>, Status> {
        let charges = request.into_inner().charges;
        let mut violations = Violations::new();
        violations.within("charges", charges.len(), 0, 1000);
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        let (authoriser, now) = (self.authoriser.clone(), self.clock.now());
        run::to_end(async move {
            let (mut results, mut places, mut new) = (Vec::with_capacity(charges.len()), Vec::new(), Vec::new());
            for (place, mut charge) in charges.into_iter().enumerate() {
                if let Some(wanted) = charge.amendment.take() {
                    let outcome = match convert::parse_amendment(&charge, wanted, now) {
                        Ok(amendment) => {
                            let changed = authoriser.amend(&amendment, now).await.map_err(Status::from)?;
                            convert::authorise_result(changed)?
                        }
                        Err(problem) => {
                            let outcome = Some(pb::authorise_result::Outcome::Problem(problem));
                            pb::AuthoriseResult { outcome }
                        }
                    };
                    results.push(outcome);
                    continue;
                }
                match convert::parse_charge(charge, now) {
                    Ok(charge) => {
                        places.push(place);
                        new.push(charge);
                        results.push(pb::AuthoriseResult::default());
                    }
                    Err(problem) => {
                        let outcome = Some(pb::authorise_result::Outcome::Problem(problem));
                        results.push(pb::AuthoriseResult { outcome });
                    }
                }
            }
            let decided = authoriser.authorise(new).await.map_err(|error| Status::from(&*error))?;
            for (place, result) in places.into_iter().zip(decided) {
                results[place] = convert::authorise_result(result)?;
            }
            Ok(Response::new(pb::AuthoriseResponse { results }))
        })
        .await
    }

    async fn get_order_billing(
        &self,
        request: Request<pb::GetOrderBillingRequest>,
    ) -> Result<Response<pb::GetOrderBillingResponse>, Status> {
        let mut violations = Violations::new();
        let order_id = violations.uuid("order_id", &request.into_inner().order_id);
        violations.into_result(()).map_err(|v| refuse::invalid(&v))?;
        let charge = ops::read::order_billing(&self.pool, order_id).await?;
        Ok(Response::new(pb::GetOrderBillingResponse { billing: Some(convert::order_billing(&charge)?) }))
    }

    async fn apply_payment(
        &self,
        request: Request<pb::ApplyPaymentRequest>,
    ) -> Result<Response<pb::ApplyPaymentResponse>, Status> {
        let request = request.into_inner();
        let now = self.clock.now();
        let payment = convert::parse_payment(&request, now)?;
        let method = "pesan.billing.v1.ApplyPaymentRequest";
        let claim = Claim { request_id: payment.request_id, method, body: request.encode_to_vec() };
        let (pool, feed) = (self.pool.clone(), self.feed.clone());
        run::to_end(async move {
            let response = match ops::payment::apply(&pool, &payment, claim, now).await? {
                Applied::Now(parts) => {
                    feed.wake();
                    convert::apply_payment_response(payment.amount.currency, &parts)?
                }
                Applied::Before(answer) => pb::ApplyPaymentResponse::decode(answer.as_slice())
                    .map_err(|_| Status::internal("internal error"))?,
            };
            Ok(Response::new(response))
        })
        .await
    }
}
