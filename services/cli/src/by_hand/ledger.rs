//! `pesan ledger`.

use anyhow::Result;
use clap::Subcommand;
use pesan_api::billing::v1::{GetTrialBalanceRequest, ListPostingsRequest};

use super::{Page, connect};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::{instant, refusal};

/// The double-entry ledger
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan ledger balance --from 2011-01-01 --to 2012-01-01\n  \
    pesan ledger postings --reference INV-2026-000045")]
pub struct Ledger {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Debits and credits by account
    Balance {
        /// The first day
        #[arg(long, value_name = "DAY")]
        from: Option<String>,
        /// The day after the last one
        #[arg(long, value_name = "DAY")]
        to: Option<String>,
    },
    /// By time of recording
    Postings {
        /// Only with this reference
        #[arg(long, default_value = "")]
        reference: String,
        #[command(flatten)]
        page: Page,
    },
}

impl Ledger {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut documents = connect(endpoints)?.documents();
        match self.action {
            Action::Balance { from, to } => {
                let day = |text: Option<String>| text.map(|text| instant::parse(&text, "")).transpose();
                let request = GetTrialBalanceRequest { from: day(from)?, to: day(to)? };
                let answer = refusal::answer(documents.get_trial_balance(request).await)?;
                output.list(&answer, "rows", &["account", "debit", "credit"])
            }
            Action::Postings { reference, page: Page { page_size, page_token } } => {
                let request = ListPostingsRequest { page_size, page_token, reference };
                let answer = refusal::answer(documents.list_postings(request).await)?;
                output.list(&answer, "postings", &["effective_at", "cause", "reference", "entries"])
            }
        }
    }
}
