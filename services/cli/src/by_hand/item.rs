//! `pesan item`.

use anyhow::{Result, bail};
use clap::Subcommand;
use pesan_api::inventory::v1::upsert_item_result::Outcome;
use pesan_api::inventory::v1::{
    BaseUnit, GetItemRequest, Item as Thing, ItemKind, ListItemsRequest, UpsertItemsRequest,
};

use super::{Page, connect, only, refused};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::{amount, refusal};

/// Items: what can be ordered
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan item set 85123A --name \"White heart\" --cost 1.20\n  \
    pesan item set POST --name Postage --service")]
pub struct Item {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create or change one
    Set(Set),
    /// One item
    Get { sku: String },
    /// By sku
    List {
        #[command(flatten)]
        page: Page,
    },
}

#[derive(clap::Args)]
struct Set {
    sku: String,
    #[arg(long)]
    name: String,
    /// Priced, never stocked: postage, work
    #[arg(long)]
    service: bool,
    /// Of one piece, for receipts that name no cost
    #[arg(long, value_name = "AMOUNT")]
    cost: Option<String>,
    #[arg(long, value_name = "CODE", default_value = "GBP")]
    currency: String,
    /// Of one piece
    #[arg(long, value_name = "GRAMS", default_value_t = 0)]
    weight: i64,
}

impl Item {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut items = connect(endpoints)?.items();
        match self.action {
            Action::Set(set) => {
                let item = Thing {
                    sku: set.sku,
                    name: set.name,
                    kind: if set.service { ItemKind::Service } else { ItemKind::Stocked }.into(),
                    base_unit: BaseUnit::Each.into(),
                    weight_grams: set.weight,
                    standard_cost: set.cost.map(|cost| amount::parse(&cost, &set.currency)).transpose()?,
                    ..Thing::default()
                };
                let answer = refusal::answer(items.upsert_items(UpsertItemsRequest { items: vec![item] }).await)?;
                match only(answer.results)?.outcome {
                    Some(Outcome::Item(item)) => output.message(&item),
                    Some(Outcome::Problem(problem)) => refused(&problem),
                    None => bail!("the service answered nothing"),
                }
            }
            Action::Get { sku } => output.message(&refusal::answer(items.get_item(GetItemRequest { sku }).await)?),
            Action::List { page: Page { page_size, page_token } } => {
                let answer = refusal::answer(items.list_items(ListItemsRequest { page_size, page_token }).await)?;
                output.list(&answer, "items", &["sku", "name", "kind", "standard_cost", "weight_grams"])
            }
        }
    }
}
