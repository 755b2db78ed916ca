//! `pesan feed`: facts as they happen.

use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use pesan_api::feed::v1::{Event, GetPositionRequest, PullRequest, TailRequest, TailResponse};
use pesan_grpc::json;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::endpoints::{Endpoints, Service};
use crate::output::{self, BOLD, Output};
use crate::{instant, refusal};

/// Facts, as they happen and as they happened
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan feed tail order\n  \
    pesan feed tail billing --from-start --count 10 --output json\n  \
    pesan feed position order")]
pub struct Feed {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// A service's facts, one after another, until Ctrl-C
    Tail {
        service: Service,
        /// From the first fact kept, instead of from now on
        #[arg(long, conflicts_with = "cursor")]
        from_start: bool,
        /// From here on
        #[arg(long)]
        cursor: Option<String>,
        /// End after so many
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
    /// Where a feed stands, and how far a cursor is behind
    Position {
        service: Service,
        #[arg(long, default_value = "")]
        cursor: String,
    },
    /// One page of facts after a cursor
    Pull {
        service: Service,
        #[arg(long, default_value = "")]
        cursor: String,
        #[arg(long, value_name = "N", default_value_t = 100)]
        count: i32,
    },
}

/// A fact for programs.
#[derive(Serialize)]
struct Fact<'a> {
    event_id: &'a str,
    aggregate_id: &'a str,
    version: i64,
    r#type: &'a str,
    payload: Option<Box<RawValue>>,
    correlation_id: &'a str,
    traceparent: &'a str,
    effective_at: String,
    recorded_at: String,
    cursor: &'a str,
}

impl Feed {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let suite = endpoints.connect(Duration::from_secs(60))?;
        match self.action {
            Action::Tail { service, from_start, cursor, count } => {
                let cursor = cursor.unwrap_or_else(|| if from_start { "start".to_owned() } else { String::new() });
                let mut events = refusal::answer(suite.feed(service).tail(TailRequest { cursor }).await)?;
                let mut left = count.unwrap_or(u64::MAX);
                while left > 0 {
                    let message = events.message().await.map_err(|status| refusal::from_status(&status))?;
                    let Some(TailResponse { event, cursor }) = message else { break };
                    if let Some(event) = event {
                        print(output, &event, &cursor)?;
                        left -= 1;
                    }
                }
                Ok(())
            }
            Action::Position { service, cursor } => {
                output.message(&refusal::answer(suite.feed(service).get_position(GetPositionRequest { cursor }).await)?)
            }
            Action::Pull { service, cursor, count } => {
                let request =
                    PullRequest { follower: "pesan".to_owned(), cursor, max_events: count, ..PullRequest::default() };
                let answer = refusal::answer(suite.feed(service).pull(request).await)?;
                for event in &answer.events {
                    print(output, event, &answer.cursor)?;
                }
                Ok(())
            }
        }
    }
}

fn print(output: Output, event: &Event, cursor: &str) -> Result<()> {
    let payload = json::from_bytes(&event.r#type, &event.payload, true);
    if output == Output::Json {
        return output::json_line(&fact(event, cursor, payload)?);
    }
    let name = event.r#type.rsplit('.').next().unwrap_or_default();
    let when = instant::text(event.effective_at.as_ref());
    let text = payload.unwrap_or_else(|| format!("({} bytes of an unknown type)", event.payload.len()));
    output::line(&format!("{when} {} {} v{} {text}", output::coloured(name, BOLD), event.aggregate_id, event.version))
}

fn fact<'a>(event: &'a Event, cursor: &'a str, payload: Option<String>) -> Result<Fact<'a>> {
    Ok(Fact {
        event_id: &event.event_id,
        aggregate_id: &event.aggregate_id,
        version: event.version,
        r#type: &event.r#type,
        payload: payload.map(RawValue::from_string).transpose()?,
        correlation_id: &event.correlation_id,
        traceparent: &event.traceparent,
        effective_at: instant::text(event.effective_at.as_ref()),
        recorded_at: instant::text(event.recorded_at.as_ref()),
        cursor,
    })
}
