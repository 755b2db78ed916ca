//! `pesan payment`.

use anyhow::Result;
use clap::Subcommand;
use pesan_api::billing::v1::{ApplyPaymentRequest, GetOrderBillingRequest};

use super::account::customer_id;
use super::{Deed, connect};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::{amount, refusal};

/// Money that comes in
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan payment apply C-1 120.50 --reference \"bank 4711\"\n  \
    pesan payment apply C-1 120.50 --invoice INV-2026-000045\n  \
    pesan payment show 0195…                       (an order's id)")]
pub struct Payment {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Book a payment for invoices on account
    Apply(Apply),
    /// What billing holds about an order
    Show { order_id: String },
}

#[derive(clap::Args)]
struct Apply {
    /// The customer's id in the CRM, or here
    customer: String,
    amount: String,
    #[arg(long, value_name = "CODE", default_value = "GBP")]
    currency: String,
    /// The bank's
    #[arg(long, default_value = "")]
    reference: String,
    /// Pay these, in this order (may be repeated); none: the oldest first
    #[arg(long = "invoice", value_name = "INVOICE")]
    invoices: Vec<String>,
    #[command(flatten)]
    deed: Deed,
}

impl Payment {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let suite = connect(endpoints)?;
        let mut payments = suite.payments();
        match self.action {
            Action::Apply(apply) => {
                let request = ApplyPaymentRequest {
                    request_id: apply.deed.request_id(),
                    effective_at: apply.deed.at()?,
                    customer_id: customer_id(&suite, apply.customer).await?,
                    amount: Some(amount::parse(&apply.amount, &apply.currency)?),
                    reference: apply.reference,
                    invoices: apply.invoices,
                };
                let answer = refusal::answer(payments.apply_payment(request).await)?;
                output.list(&answer, "applications", &["invoice_number", "amount", "invoice_id"])
            }
            Action::Show { order_id } => {
                let request = GetOrderBillingRequest { order_id };
                output.message(&refusal::answer(payments.get_order_billing(request).await)?)
            }
        }
    }
}
