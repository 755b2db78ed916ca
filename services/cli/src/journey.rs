//! `pesan journey`: one order's way through all services.

use std::time::Duration;

use anyhow::Result;
use pesan_api::analytics::v1::{GetJourneyRequest, GetJourneyResponse};
use serde::Serialize;

use crate::endpoints::Endpoints;
use crate::output::{self, BOLD, Output};
use crate::{instant, refusal};

/// One order's way through all services, as a timeline
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan journey SO-000123\n  \
    pesan journey online-retail/536365 --output json")]
pub struct Journey {
    /// An id, a number (SO-000123) or channel/external-id
    order: String,
}

#[derive(Serialize)]
struct Timeline {
    order_id: String,
    number: String,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    service: String,
    r#type: String,
    effective_at: String,
    recorded_at: String,
    trace_id: String,
    summary: String,
}

impl Journey {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut analytics = endpoints.connect(Duration::from_secs(30))?.analytics();
        let journey = refusal::answer(analytics.get_journey(GetJourneyRequest { name: self.order }).await)?;
        timeline(journey).print(output)
    }
}

fn timeline(journey: GetJourneyResponse) -> Timeline {
    let entries = journey.entries.into_iter().map(|entry| Entry {
        service: entry.service,
        r#type: entry.r#type,
        effective_at: instant::text(entry.effective_at.as_ref()),
        recorded_at: instant::text(entry.recorded_at.as_ref()),
        trace_id: entry.trace_id,
        summary: entry.summary,
    });
    Timeline { order_id: journey.order_id, number: journey.number, entries: entries.collect() }
}

impl Timeline {
    fn print(&self, output: Output) -> Result<()> {
        if output == Output::Json {
            return output::json_line(self);
        }
        output::line(&output::coloured(&format!("{} ({})", self.number, self.order_id), BOLD))?;
        let row = |entry: &Entry| {
            vec![entry.effective_at.clone(), entry.service.clone(), entry.r#type.clone(), entry.summary.clone()]
        };
        output::rows(&["when", "service", "what", "summary"], self.entries.iter().map(row));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pesan_api::analytics::v1::JourneyEntry;

    #[test]
    fn the_answer_has_the_promised_shape() {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let entry = JourneyEntry {
            service: "order".into(),
            r#type: "OrderAccepted".into(),
            effective_at: at(0),
            recorded_at: at(1),
            trace_id: String::new(),
            summary: "2 lines".into(),
        };
        let answer = GetJourneyResponse { order_id: "id".into(), number: "SO-000001".into(), entries: vec![entry] };
        assert_eq!(
            serde_json::to_string(&timeline(answer)).unwrap(),
            r#"{"order_id":"id","number":"SO-000001","entries":[{"service":"order","type":"OrderAccepted","effective_at":"1970-01-01T00:00:00Z","recorded_at":"1970-01-01T00:00:01Z","trace_id":"","summary":"2 lines"}]}"#
        );
    }
}
