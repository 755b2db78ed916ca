//! `pesan return`.

use anyhow::Result;
use clap::Subcommand;
use pesan_api::fulfilment::v1::{
    GetExpectedReturnRequest, InspectedLine, ListExpectedReturnsRequest, ReceiveReturnRequest,
};

use super::{Deed, Page, connect, line_quantity, location_id};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::refusal;

/// Goods that come back (permitted by `pesan order return`)
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan return list --open\n  \
    pesan return receive RMA-000001 --sellable 1:2 --damaged 2:1")]
pub struct Return {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Oldest first
    List {
        /// Only with something still to come
        #[arg(long)]
        open: bool,
        #[command(flatten)]
        page: Page,
    },
    /// One, by id or number (RMA-000001)
    Get { expected_return: String },
    /// Book what came, after inspection
    Receive(Receive),
}

#[derive(clap::Args)]
struct Receive {
    expected_return: String,
    /// What can be sold again, as LINE:QUANTITY (may be repeated)
    #[arg(long, value_name = "LINE", value_parser = line_quantity)]
    sellable: Vec<(i32, i64)>,
    /// What cannot (may be repeated)
    #[arg(long, value_name = "LINE", value_parser = line_quantity)]
    damaged: Vec<(i32, i64)>,
    #[arg(long, default_value = "")]
    note: String,
    /// Where it is put, by code; absent: where it had left from
    #[arg(long, value_name = "CODE")]
    location: Option<String>,
    #[command(flatten)]
    deed: Deed,
}

impl Return {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let suite = connect(endpoints)?;
        let mut receipts = suite.return_receipts();
        match self.action {
            Action::List { open, page: Page { page_size, page_token } } => {
                let request = ListExpectedReturnsRequest { page_size, page_token, open_only: open };
                let answer = refusal::answer(receipts.list_expected_returns(request).await)?;
                output.list(&answer, "expected_returns", &["number", "order_id", "lines", "return_id"])
            }
            Action::Get { expected_return: name } => {
                let request = GetExpectedReturnRequest { name };
                output.message(&refusal::answer(receipts.get_expected_return(request).await)?)
            }
            Action::Receive(receive) => {
                let location_id = match &receive.location {
                    Some(code) => location_id(&suite, code).await?,
                    None => String::new(),
                };
                let request = ReceiveReturnRequest {
                    request_id: receive.deed.request_id(),
                    effective_at: receive.deed.at()?,
                    lines: inspected(&receive.sellable, &receive.damaged, &receive.note),
                    name: receive.expected_return,
                    location_id,
                    ..Default::default()
                };
                output.message(&refusal::answer(receipts.receive_return(request).await)?)
            }
        }
    }
}

/// One entry for each line that is named.
fn inspected(sellable: &[(i32, i64)], damaged: &[(i32, i64)], note: &str) -> Vec<InspectedLine> {
    let mut lines = std::collections::BTreeMap::new();
    for (line_no, quantity) in sellable {
        lines.entry(*line_no).or_insert((0, 0)).0 += quantity;
    }
    for (line_no, quantity) in damaged {
        lines.entry(*line_no).or_insert((0, 0)).1 += quantity;
    }
    let lines = lines.into_iter();
    lines
        .map(|(line_no, (sellable, damaged))| InspectedLine { line_no, sellable, damaged, note: note.to_owned() })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_may_be_sellable_in_part() {
        let lines = inspected(&[(1, 2), (2, 1)], &[(1, 1)], "dents");
        let told: Vec<_> = lines.iter().map(|line| (line.line_no, line.sellable, line.damaged)).collect();
        assert_eq!(told, [(1, 2, 1), (2, 1, 0)]);
    }
}
