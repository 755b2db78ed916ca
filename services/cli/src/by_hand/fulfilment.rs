//! `pesan fulfilment`.

use anyhow::Result;
use clap::Subcommand;
use pesan_api::fulfilment::v1::{
    ConfirmDeliveryRequest, FulfilmentState, GetFulfilmentOrderRequest, ListFulfilmentOrdersRequest, PackRequest,
    PackedParcel, PickRequest, PickedLine, ShipRequest,
};

use super::{Deed, Page, connect, line_quantity};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::refusal;

/// The warehouse's work: pick, pack, ship, deliver
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan fulfilment list --state open\n  \
    pesan fulfilment pick FO-000001 --line 2:0     (line 2 was not found)\n  \
    pesan fulfilment ship FO-000001")]
pub struct Fulfilment {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Oldest first
    List {
        /// Only of this order, by its id
        #[arg(long, value_name = "UUID", default_value = "")]
        order_id: String,
        /// Only at this location, by its id
        #[arg(long, value_name = "UUID", default_value = "")]
        location_id: String,
        /// open, picked, packed, shipped, delivered, cancelled (may be repeated)
        #[arg(long = "state", value_parser = state)]
        states: Vec<FulfilmentState>,
        #[command(flatten)]
        page: Page,
    },
    /// One, by id or number (FO-000001)
    Get { fulfilment_order: String },
    /// Take it from the shelf: all, or less of some lines
    Pick {
        fulfilment_order: String,
        /// What was found of this line, as LINE:QUANTITY (may be repeated)
        #[arg(long = "line", value_name = "LINE", value_parser = line_quantity)]
        lines: Vec<(i32, i64)>,
        #[command(flatten)]
        deed: Deed,
    },
    /// Put it into parcels
    Pack {
        fulfilment_order: String,
        /// A parcel's weight (may be repeated); none: one parcel
        #[arg(long = "parcel", value_name = "GRAMS")]
        parcels: Vec<i64>,
        #[command(flatten)]
        deed: Deed,
    },
    /// Hand it to the carrier
    Ship {
        fulfilment_order: String,
        #[command(flatten)]
        deed: Deed,
    },
    /// It has arrived
    Deliver {
        fulfilment_order: String,
        #[command(flatten)]
        deed: Deed,
    },
}

fn state(name: &str) -> Result<FulfilmentState, String> {
    let full = format!("FULFILMENT_STATE_{}", name.to_uppercase());
    FulfilmentState::from_str_name(&full).ok_or_else(|| format!("there is no state {name:?}"))
}

impl Fulfilment {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut fulfilment = connect(endpoints)?.fulfilment();
        match self.action {
            Action::List { order_id, location_id, states, page: Page { page_size, page_token } } => {
                let states = states.into_iter().map(Into::into).collect();
                let request = ListFulfilmentOrdersRequest { page_size, page_token, order_id, location_id, states };
                let answer = refusal::answer(fulfilment.list_fulfilment_orders(request).await)?;
                let columns = ["number", "order_number", "state", "allowed_actions", "created_at", "id"];
                output.list(&answer, "fulfilment_orders", &columns)
            }
            Action::Get { fulfilment_order: name } => {
                let request = GetFulfilmentOrderRequest { name };
                output.message(&refusal::answer(fulfilment.get_fulfilment_order(request).await)?)
            }
            Action::Pick { fulfilment_order: name, lines, deed } => {
                let lines = lines.into_iter().map(|(line_no, quantity)| PickedLine { line_no, quantity }).collect();
                let request = PickRequest { request_id: deed.request_id(), name, lines, effective_at: deed.at()? };
                output.message(&refusal::answer(fulfilment.pick(request).await)?)
            }
            Action::Pack { fulfilment_order: name, parcels, deed } => {
                let parcels = parcels.into_iter().map(|weight_grams| PackedParcel { weight_grams }).collect();
                let request = PackRequest { request_id: deed.request_id(), name, parcels, effective_at: deed.at()? };
                output.message(&refusal::answer(fulfilment.pack(request).await)?)
            }
            Action::Ship { fulfilment_order: name, deed } => {
                let request = ShipRequest { request_id: deed.request_id(), name, effective_at: deed.at()? };
                output.message(&refusal::answer(fulfilment.ship(request).await)?)
            }
            Action::Deliver { fulfilment_order: name, deed } => {
                let request = ConfirmDeliveryRequest { request_id: deed.request_id(), name, effective_at: deed.at()? };
                output.message(&refusal::answer(fulfilment.confirm_delivery(request).await)?)
            }
        }
    }
}
