//! `pesan customer`.

use anyhow::{Result, bail};
use clap::Subcommand;
use pesan_api::order::v1::upsert_customer_result::Outcome;
use pesan_api::order::v1::{Customer as Person, GetCustomerRequest, ListCustomersRequest, UpsertCustomersRequest};
use pesan_api::r#type::v1::Address;
use uuid::Uuid;

use super::{Page, connect, only, refused};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::refusal;

/// Customers
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan customer set C-1 --name \"Ada Ltd\" --segment wholesale --country GB\n  \
    pesan customer get C-1")]
pub struct Customer {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create or change one
    Set(Set),
    /// One customer, by its id in the CRM or here
    Get { customer: String },
    /// By id in the CRM
    List {
        #[command(flatten)]
        page: Page,
    },
}

#[derive(clap::Args)]
struct Set {
    /// Its id in the CRM
    external_id: String,
    #[arg(long)]
    name: String,
    #[arg(long, default_value = "")]
    email: String,
    #[arg(long, default_value = "")]
    segment: String,
    #[arg(long, default_value = "")]
    sales_rep: String,
    /// Of its address
    #[arg(long)]
    country: Option<String>,
}

impl Customer {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut customers = connect(endpoints)?.customers();
        match self.action {
            Action::Set(set) => {
                let addresses = set.country.map(|country| Address { country, ..Address::default() });
                let customer = Person {
                    external_id: set.external_id,
                    name: set.name,
                    email: set.email,
                    segment: set.segment,
                    sales_rep: set.sales_rep,
                    addresses: addresses.into_iter().collect(),
                    ..Person::default()
                };
                let request = UpsertCustomersRequest { customers: vec![customer] };
                let answer = refusal::answer(customers.upsert_customers(request).await)?;
                match only(answer.results)?.outcome {
                    Some(Outcome::Customer(customer)) => output.message(&customer),
                    Some(Outcome::Problem(problem)) => refused(&problem),
                    None => bail!("the service answered nothing"),
                }
            }
            Action::Get { customer } => {
                let is_id = customer.parse::<Uuid>().is_ok();
                let (id, external_id) = if is_id { (customer, String::new()) } else { (String::new(), customer) };
                output.message(&refusal::answer(customers.get_customer(GetCustomerRequest { id, external_id }).await)?)
            }
            Action::List { page: Page { page_size, page_token } } => {
                let request = ListCustomersRequest { page_size, page_token };
                let answer = refusal::answer(customers.list_customers(request).await)?;
                output.list(&answer, "customers", &["external_id", "name", "segment", "sales_rep", "id"])
            }
        }
    }
}
