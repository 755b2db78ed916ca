//! `pesan account`.

use anyhow::{Result, bail};
use clap::Subcommand;
use pesan_api::billing::v1::upsert_account_result::Outcome;
use pesan_api::billing::v1::{Account as Terms, GetAccountRequest, UpsertAccountsRequest};
use pesan_api::order::v1::GetCustomerRequest;
use uuid::Uuid;

use super::{connect, only, refused};
use crate::endpoints::{Endpoints, Suite};
use crate::output::Output;
use crate::{amount, refusal};

/// Customers' accounts: credit limits and terms
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan account set C-1 --currency GBP --limit 5000 --terms 30\n  \
    pesan account get C-1")]
pub struct Account {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Open or change one
    Set {
        /// The customer's id in the CRM, or here
        customer: String,
        #[arg(long, value_name = "CODE", default_value = "GBP")]
        currency: String,
        /// Most that may be owed; absent: no limit
        #[arg(long, value_name = "AMOUNT")]
        limit: Option<String>,
        /// Days from invoice to due date
        #[arg(long, value_name = "DAYS", default_value_t = 30)]
        terms: i32,
    },
    /// What is owed and authorised
    Get {
        /// The customer's id in the CRM, or here
        customer: String,
    },
}

impl Account {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let suite = connect(endpoints)?;
        let mut accounts = suite.accounts();
        match self.action {
            Action::Set { customer, currency, limit, terms } => {
                let account = Terms {
                    customer_id: customer_id(&suite, customer).await?,
                    credit_limit: limit.map(|limit| amount::parse(&limit, &currency)).transpose()?,
                    currency_code: currency,
                    payment_terms_days: terms,
                    ..Terms::default()
                };
                let request = UpsertAccountsRequest { accounts: vec![account] };
                let answer = refusal::answer(accounts.upsert_accounts(request).await)?;
                match only(answer.results)?.outcome {
                    Some(Outcome::Account(account)) => output.message(&account),
                    Some(Outcome::Problem(problem)) => refused(&problem),
                    None => bail!("the service answered nothing"),
                }
            }
            Action::Get { customer } => {
                let request = GetAccountRequest { customer_id: customer_id(&suite, customer).await? };
                output.message(&refusal::answer(accounts.get_account(request).await)?)
            }
        }
    }
}

/// The order service's id of a customer.
pub async fn customer_id(suite: &Suite, name: String) -> Result<String> {
    if name.parse::<Uuid>().is_ok() {
        return Ok(name);
    }
    let request = GetCustomerRequest { external_id: name, ..GetCustomerRequest::default() };
    let answer = refusal::answer(suite.customers().get_customer(request).await)?;
    Ok(answer.customer.unwrap_or_default().id)
}
