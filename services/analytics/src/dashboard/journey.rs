//! One order's way through all services, as a timeline.

use super::frame;
use crate::error::AnalyticsError;
use crate::ops;
use crate::ops::journey::Journey;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};
use pesan_grpc::run;
use serde::Deserialize;
use sqlx::PgPool;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

const TIME: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
/// Longest name that is looked for.
const MAX_NAME: usize = 300;

#[derive(Debug, Deserialize)]
pub struct Params {
    /// Id, number or "channel/external_id".
    #[serde(default)]
    order: String,
}

/// GET /journey?order=SO-000123
pub async fn show(State(pool): State<PgPool>, Query(params): Query<Params>) -> Response {
    let name: String = params.order.trim().chars().take(MAX_NAME).collect();
    match run::to_end(async move { Ok(ops::journey::find(&pool, &name).await) }).await {
        Ok(Ok(journey)) => frame::page(&title(&journey), &timeline(&journey)),
        Ok(Err(error)) => frame::failed(&error),
        Err(_) => frame::failed(&AnalyticsError::Busy),
    }
}

fn title(journey: &Journey) -> String {
    let name = if journey.number.is_empty() { journey.order_id.to_string() } else { journey.number.clone() };
    format!("Journey of {name}")
}

fn timeline(journey: &Journey) -> Markup {
    html! {
        p.dim { (journey.order_id) }
        table.journey {
            thead { tr { th { "When" } th { "Service" } th { "Event" } th { "What" } th { "Recorded" } th { "Trace" } } }
            tbody {
                @for entry in &journey.entries {
                    tr {
                        td { (at(entry.effective_at)) }
                        td { (entry.service) }
                        td { (entry.kind) }
                        td { (entry.summary) }
                        td.dim { (at(entry.recorded_at)) }
                        td.dim { code { (entry.trace_id) } }
                    }
                }
            }
        }
    }
}

fn at(time: OffsetDateTime) -> String {
    time.to_offset(time::UtcOffset::UTC).format(TIME).unwrap_or_default()
}
