//! The APIs, by hand: each command is one call, and its answer is printed.

pub mod account;
pub mod customer;
pub mod fulfilment;
pub mod invoice;
pub mod item;
pub mod ledger;
pub mod location;
pub mod order;
pub mod payment;
pub mod reserve;
pub mod returns;
pub mod stock;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use pesan_api::inventory::v1::ListLocationsRequest;
use pesan_api::r#type::v1::Problem;
use uuid::Uuid;

use crate::endpoints::{Endpoints, Suite};
use crate::{instant, refusal};

/// How long one call may take.
const CALL: Duration = Duration::from_secs(30);

fn connect(endpoints: &Endpoints) -> Result<Suite> {
    endpoints.connect(CALL)
}

/// Which part of a list.
#[derive(clap::Args)]
pub struct Page {
    /// Most rows in one answer: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,
    /// From the answer before, to go on
    #[arg(long, value_name = "TOKEN", default_value = "")]
    page_token: String,
}

/// When it is done, and under which name.
#[derive(clap::Args)]
pub struct Deed {
    /// A UUID; repeating it repeats nothing. A new one, if absent
    #[arg(long, value_name = "UUID")]
    request_id: Option<Uuid>,
    /// When it happened: a day or an RFC 3339 time. Now, if absent
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

impl Deed {
    fn request_id(&self) -> String {
        self.request_id.unwrap_or_else(Uuid::now_v7).to_string()
    }

    fn at(&self) -> Result<Option<prost_types::Timestamp>> {
        self.at.as_deref().map(|text| instant::parse(text, "")).transpose()
    }
}

/// The only answer of a list of one.
fn only<T>(results: Vec<T>) -> Result<T> {
    results.into_iter().next().context("the service answered nothing")
}

/// A refusal of the only item of a list.
fn refused<T>(problem: &Problem) -> Result<T> {
    Err(refusal::from_problem(problem))
}

/// The id of a location, by its code or id.
async fn location_id(suite: &Suite, name: &str) -> Result<String> {
    let locations = refusal::answer(suite.items().list_locations(ListLocationsRequest {}).await)?.locations;
    match locations.into_iter().find(|location| location.code == name || location.id == name) {
        Some(location) => Ok(location.id),
        None => bail!("there is no location {name:?}: see `pesan location list`"),
    }
}

/// A line and a quantity, as in `2:5`.
fn line_quantity(text: &str) -> Result<(i32, i64), String> {
    let parsed = text.split_once(':').and_then(|(line, quantity)| Some((line.parse().ok()?, quantity.parse().ok()?)));
    parsed.ok_or_else(|| "expected LINE:QUANTITY, such as 2:5".to_owned())
}

/// An item and a quantity, as in `85123A:6`.
fn sku_quantity(text: &str) -> Result<(String, i64), String> {
    let parsed = text.rsplit_once(':').and_then(|(sku, quantity)| Some((sku.to_owned(), quantity.parse().ok()?)));
    parsed.ok_or_else(|| "expected SKU:QUANTITY, such as 85123A:6".to_owned())
}

/// An item, a quantity and a price, as in `85123A:6@2.55`.
fn sku_quantity_price(text: &str) -> Result<(String, i64, String), String> {
    let expected = || "expected SKU:QUANTITY@PRICE, such as 85123A:6@2.55".to_owned();
    let (rest, price) = text.rsplit_once('@').ok_or_else(expected)?;
    let (sku, quantity) = sku_quantity(rest).map_err(|_| expected())?;
    Ok((sku, quantity, price.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_from_the_end_because_skus_may_hold_anything() {
        assert_eq!(sku_quantity_price("A:B@C:6@2.55"), Ok(("A:B@C".to_owned(), 6, "2.55".to_owned())));
        assert_eq!(sku_quantity("A:6"), Ok(("A".to_owned(), 6)));
        assert_eq!(line_quantity("2:5"), Ok((2, 5)));
        assert!(sku_quantity_price("A:6").is_err() && sku_quantity("A").is_err() && line_quantity("2").is_err());
    }
}
