//! `pesan stock`.

use anyhow::{Result, bail};
use clap::Subcommand;
use pesan_api::inventory::v1::stock_change_result::Outcome;
use pesan_api::inventory::v1::{
    AdjustStockRequest, Adjustment, GetAvailabilityRequest, ListMovementsRequest, ListStockRequest, Receipt,
    ReceiveStockRequest, StockChangeResult,
};

use super::{Deed, Page, connect, location_id, only, refused};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::{amount, refusal};

/// Stock, and the ledger of its movements
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan stock receive 85123A 100 --location LONDON-1 --cost 1.20\n  \
    pesan stock adjust 85123A -3 --damaged 3 --location LONDON-1 --reason BREAKAGE\n  \
    pesan stock show 85123A\n  \
    pesan stock movements --sku 85123A")]
pub struct Stock {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Book what came in
    Receive(Receive),
    /// Correct what is there
    Adjust(Adjust),
    /// What could be promised now; without an item all stock
    Show {
        skus: Vec<String>,
        /// Without an item: only this location's
        #[arg(long, value_name = "CODE")]
        location: Option<String>,
        #[command(flatten)]
        page: Page,
    },
    /// Newest first
    Movements {
        #[arg(long, default_value = "")]
        sku: String,
        /// An order's id, a return's id, a reference
        #[arg(long, default_value = "")]
        reference: String,
        #[command(flatten)]
        page: Page,
    },
}

#[derive(clap::Args)]
struct Receive {
    sku: String,
    quantity: i64,
    /// A location's code
    #[arg(long, value_name = "CODE")]
    location: String,
    /// Of one piece; absent: the item's standard cost
    #[arg(long, value_name = "AMOUNT")]
    cost: Option<String>,
    #[arg(long, value_name = "CODE", default_value = "GBP")]
    currency: String,
    /// A delivery note's number
    #[arg(long, default_value = "")]
    reference: String,
    #[command(flatten)]
    deed: Deed,
}

#[derive(clap::Args)]
struct Adjust {
    sku: String,
    /// How much more, or less, can be sold
    #[arg(allow_negative_numbers = true)]
    quantity: i64,
    /// How much more, or less, is there but damaged
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    damaged: i64,
    /// How much more, or less, is under quality hold
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    quality_hold: i64,
    /// A location's code
    #[arg(long, value_name = "CODE")]
    location: String,
    /// Capitals and underscores
    #[arg(long, default_value = "COUNT")]
    reason: String,
    #[arg(long, default_value = "")]
    reference: String,
    #[command(flatten)]
    deed: Deed,
}

impl Stock {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let suite = connect(endpoints)?;
        let mut stock = suite.stock();
        match self.action {
            Action::Receive(receive) => {
                let receipt = Receipt {
                    request_id: receive.deed.request_id(),
                    effective_at: receive.deed.at()?,
                    location_id: location_id(&suite, &receive.location).await?,
                    unit_cost: receive.cost.map(|cost| amount::parse(&cost, &receive.currency)).transpose()?,
                    sku: receive.sku,
                    quantity: receive.quantity,
                    reference: receive.reference,
                    ..Receipt::default()
                };
                let request = ReceiveStockRequest { receipts: vec![receipt] };
                changed(output, refusal::answer(stock.receive_stock(request).await)?.results)
            }
            Action::Adjust(adjust) => {
                let adjustment = Adjustment {
                    request_id: adjust.deed.request_id(),
                    effective_at: adjust.deed.at()?,
                    location_id: location_id(&suite, &adjust.location).await?,
                    sku: adjust.sku,
                    quantity: adjust.quantity,
                    damaged: adjust.damaged,
                    quality_hold: adjust.quality_hold,
                    reason: adjust.reason,
                    reference: adjust.reference,
                    ..Adjustment::default()
                };
                let request = AdjustStockRequest { adjustments: vec![adjustment] };
                changed(output, refusal::answer(stock.adjust_stock(request).await)?.results)
            }
            Action::Show { skus, location, page: Page { page_size, page_token } } if skus.is_empty() => {
                let location_id = match location {
                    Some(code) => location_id(&suite, &code).await?,
                    None => String::new(),
                };
                let request = ListStockRequest { page_size, page_token, location_id };
                let answer = refusal::answer(stock.list_stock(request).await)?;
                output.list(
                    &answer,
                    "stock",
                    &["sku", "location_id", "on_hand", "reserved", "safety", "free", "quality_hold", "damaged"],
                )
            }
            Action::Show { skus, .. } => {
                let answer = refusal::answer(
                    stock.get_availability(GetAvailabilityRequest { skus, ..Default::default() }).await,
                )?;
                output.list(&answer, "availabilities", &["sku", "known", "available", "backordered", "locations"])
            }
            Action::Movements { sku, reference, page: Page { page_size, page_token } } => {
                let request = ListMovementsRequest { page_size, page_token, sku, reference };
                let answer = refusal::answer(stock.list_movements(request).await)?;
                let columns =
                    ["effective_at", "kind", "sku", "quantity", "damaged", "unit_cost", "reason", "reference"];
                output.list(&answer, "movements", &columns)
            }
        }
    }
}

fn changed(output: Output, results: Vec<StockChangeResult>) -> Result<()> {
    match only(results)?.outcome {
        Some(Outcome::Stock(level)) => output.message(&level),
        Some(Outcome::Problem(problem)) => refused(&problem),
        None => bail!("the service answered nothing"),
    }
}
