//! `pesan reserve`.

use anyhow::{Result, bail};
use pesan_api::inventory::v1::reserve_result::Outcome;
use pesan_api::inventory::v1::{DemandLine, GetReservationRequest, OrderDemand, ReserveRequest, ShortagePolicy};
use uuid::Uuid;

use super::{connect, only, refused, sku_quantity};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::{instant, refusal};

/// Reserve stock by hand, or look at a reservation
///
/// The order service does this for every order. What is reserved by hand, for an order that it does not know, lapses
/// after some minutes; until then `pesan verify` names it.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan reserve --line 85123A:6\n  \
    pesan reserve --order 0195…        (shows it)")]
pub struct Reserve {
    /// An order's id. Absent: a new one
    #[arg(long, value_name = "UUID")]
    order: Option<Uuid>,
    /// What to reserve, as SKU:QUANTITY (may be repeated); none: show what is reserved
    #[arg(long = "line", value_name = "LINE", value_parser = sku_quantity, required_unless_present = "order")]
    lines: Vec<(String, i64)>,
    /// All lines in full, or nothing
    #[arg(long)]
    all_or_nothing: bool,
}

impl Reserve {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut reservations = connect(endpoints)?.reservations();
        let order_id = self.order.unwrap_or_else(Uuid::now_v7).to_string();
        if self.lines.is_empty() {
            let request = GetReservationRequest { order_id };
            return output.message(&refusal::answer(reservations.get_reservation(request).await)?);
        }
        let policy = if self.all_or_nothing { ShortagePolicy::AllOrNothing } else { ShortagePolicy::WhatIsThere };
        let lines = (1..).zip(self.lines).map(|(line_no, (sku, quantity))| DemandLine { line_no, sku, quantity });
        let demand = OrderDemand {
            order_id,
            lines: lines.collect(),
            policy: policy.into(),
            priority: 5,
            placed_at: Some(instant::now()),
            ..OrderDemand::default()
        };
        let answer = refusal::answer(reservations.reserve(ReserveRequest { demands: vec![demand] }).await)?;
        match only(answer.results)?.outcome {
            Some(Outcome::Reservation(reservation)) => output.message(&reservation),
            Some(Outcome::Problem(problem)) => refused(&problem),
            None => bail!("the service answered nothing"),
        }
    }
}
