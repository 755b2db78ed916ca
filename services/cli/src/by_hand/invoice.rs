//! `pesan invoice`.

use anyhow::Result;
use clap::{Subcommand, ValueEnum};
use pesan_api::billing::v1::{DocumentKind, GetDocumentRequest, ListDocumentsRequest};

use super::{Page, connect};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::refusal;

/// Invoices and credit notes
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan invoice list --kind credit-note\n  \
    pesan invoice get INV-2026-000045")]
pub struct Invoice {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// By series and number
    List {
        #[arg(long, value_enum)]
        kind: Option<Kind>,
        /// Only of this order, by its id
        #[arg(long, value_name = "UUID", default_value = "")]
        order_id: String,
        /// Only of this customer, by the order service's id
        #[arg(long, value_name = "UUID", default_value = "")]
        customer_id: String,
        #[command(flatten)]
        page: Page,
    },
    /// One, by id or number
    Get { document: String },
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Invoice,
    CreditNote,
}

impl Invoice {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut documents = connect(endpoints)?.documents();
        match self.action {
            Action::List { kind, order_id, customer_id, page: Page { page_size, page_token } } => {
                let kind = match kind {
                    None => DocumentKind::Unspecified,
                    Some(Kind::Invoice) => DocumentKind::Invoice,
                    Some(Kind::CreditNote) => DocumentKind::CreditNote,
                };
                let request = ListDocumentsRequest { page_size, page_token, kind: kind.into(), order_id, customer_id };
                let answer = refusal::answer(documents.list_documents(request).await)?;
                output.list(&answer, "documents", &["number", "issued_at", "net", "tax", "total", "open", "reference"])
            }
            Action::Get { document: name } => {
                output.message(&refusal::answer(documents.get_document(GetDocumentRequest { name }).await)?)
            }
        }
    }
}
