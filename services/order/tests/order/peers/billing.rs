//! The fake of billing.

use super::FakeFeed;
use pesan_api::billing::v1::account_service_server::AccountService;
use pesan_api::billing::v1::payment_service_server::PaymentService;
use pesan_api::billing::v1::{self as billing};
use pesan_api::r#type::v1::Problem;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tonic::{Request, Response, Status};

/// Billing that says yes, except to what a test tells it.
#[derive(Clone, Default)]
pub struct FakeBilling {
    pub feed: FakeFeed,
    /// Answers nothing but UNAVAILABLE.
    pub is_down: Arc<Mutex<bool>>,
    /// Refuses every charge on account for this reason.
    pub refuses: Arc<Mutex<Option<&'static str>>>,
    pub charges: Arc<Mutex<Vec<billing::OrderCharge>>>,
    /// What it says of every order, in cents; none: it knows of no charge.
    pub invoiced_and_credited: Arc<Mutex<Option<(i64, i64)>>>,
    /// By customer.
    pub accounts: Arc<Mutex<HashMap<String, billing::Account>>>,
    /// Taken before each answer: a test that holds it holds billing.
    pub gate: Arc<tokio::sync::Mutex<()>>,
}

#[tonic::async_trait]
impl PaymentService for FakeBilling {
    async fn authorise(
        &self,
        request: Request<billing::AuthoriseRequest>,
    ) -> Result<Response<billing::AuthoriseResponse>, Status> {
        use billing::authorise_result::Outcome;
        let charges = request.into_inner().charges;
        self.charges.lock().unwrap().extend(charges.iter().cloned());
        drop(self.gate.lock().await);
        if *self.is_down.lock().unwrap() {
            return Err(Status::unavailable("down"));
        }
        let refuses = *self.refuses.lock().unwrap();
        let results = charges.into_iter().map(|charge| {
            let refusal = match charge.payment_token.as_str() {
                "tok_decline" => Some("PAYMENT_DECLINED"),
                "" => refuses,
                _ => None,
            };
            let outcome = match refusal {
                Some(reason) => Outcome::Problem(Problem {
                    reason: reason.into(),
                    message: "no".into(),
                    violations: vec![],
                    retryable: reason == "PROVIDER_UNKNOWN",
                }),
                None => {
                    Outcome::Authorisation(billing::Authorisation { order_id: charge.order_id, ..Default::default() })
                }
            };
            billing::AuthoriseResult { outcome: Some(outcome) }
        });
        Ok(Response::new(billing::AuthoriseResponse { results: results.collect() }))
    }

    async fn get_order_billing(
        &self,
        request: Request<billing::GetOrderBillingRequest>,
    ) -> Result<Response<billing::GetOrderBillingResponse>, Status> {
        if *self.is_down.lock().unwrap() {
            return Err(Status::unavailable("down"));
        }
        let figures = *self.invoiced_and_credited.lock().unwrap();
        let Some((invoiced, credited)) = figures else { return Err(Status::not_found("no charge")) };
        let order_id = request.into_inner().order_id;
        let billing = billing::OrderBilling {
            order_id,
            invoiced: Some(crate::suite::eur(invoiced)),
            credited: Some(crate::suite::eur(credited)),
            ..Default::default()
        };
        Ok(Response::new(billing::GetOrderBillingResponse { billing: Some(billing) }))
    }

    async fn apply_payment(
        &self,
        _: Request<billing::ApplyPaymentRequest>,
    ) -> Result<Response<billing::ApplyPaymentResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }
}

#[tonic::async_trait]
impl AccountService for FakeBilling {
    async fn upsert_accounts(
        &self,
        _: Request<billing::UpsertAccountsRequest>,
    ) -> Result<Response<billing::UpsertAccountsResponse>, Status> {
        Err(Status::unimplemented("not asked"))
    }

    async fn get_account(
        &self,
        request: Request<billing::GetAccountRequest>,
    ) -> Result<Response<billing::GetAccountResponse>, Status> {
        drop(self.gate.lock().await);
        if *self.is_down.lock().unwrap() {
            return Err(Status::unavailable("down"));
        }
        let accounts = self.accounts.lock().unwrap();
        match accounts.get(&request.into_inner().customer_id) {
            Some(account) => Ok(Response::new(billing::GetAccountResponse { account: Some(account.clone()) })),
            None => Err(Status::not_found("no account")),
        }
    }
}
