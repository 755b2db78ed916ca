//! `pesan location`.

use anyhow::{Result, bail};
use clap::Subcommand;
use pesan_api::inventory::v1::upsert_location_result::Outcome;
use pesan_api::inventory::v1::{ListLocationsRequest, Location as Place, UpsertLocationsRequest};

use super::{connect, only, refused};
use crate::endpoints::Endpoints;
use crate::output::Output;
use crate::refusal;

/// Locations: where stock stands
#[derive(clap::Args)]
#[command(after_help = "Example:\n  pesan location set LONDON-1 --name \"London\" --rank 1")]
pub struct Location {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Create or change one
    Set(Set),
    /// All of them
    List,
}

#[derive(clap::Args)]
struct Set {
    code: String,
    #[arg(long)]
    name: String,
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    latitude: f64,
    #[arg(long, default_value_t = 0.0, allow_negative_numbers = true)]
    longitude: f64,
    /// Lower is asked first for an order's stock
    #[arg(long, default_value_t = 0)]
    rank: i32,
}

impl Location {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut items = connect(endpoints)?.items();
        match self.action {
            Action::Set(Set { code, name, latitude, longitude, rank }) => {
                let location = Place { code, name, latitude, longitude, rank, ..Place::default() };
                let request = UpsertLocationsRequest { locations: vec![location] };
                let answer = refusal::answer(items.upsert_locations(request).await)?;
                match only(answer.results)?.outcome {
                    Some(Outcome::Location(location)) => output.message(&location),
                    Some(Outcome::Problem(problem)) => refused(&problem),
                    None => bail!("the service answered nothing"),
                }
            }
            Action::List => {
                let answer = refusal::answer(items.list_locations(ListLocationsRequest {}).await)?;
                output.list(&answer, "locations", &["code", "name", "rank", "latitude", "longitude", "id"])
            }
        }
    }
}
