//! AnalyticsService.

use crate::convert::query;
use crate::lag::{Lag, SOURCES};
use crate::ops;
use pesan_api::analytics::v1 as pb;
use pesan_api::analytics::v1::analytics_service_server::AnalyticsService;
use pesan_feed::Feed;
use pesan_grpc::parse::to_timestamp;
use pesan_grpc::{Violations, refuse, run};
use pesan_host::Clock;
use sqlx::PgPool;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Answers AnalyticsService.
pub struct AnalyticsRpc {
    pub pool: PgPool,
    pub clock: Clock,
    pub feed: Feed,
    pub lag: Arc<Lag>,
}

#[tonic::async_trait]
impl AnalyticsService for AnalyticsRpc {
    async fn query_kpis(
        &self,
        request: Request<pb::QueryKpisRequest>,
    ) -> Result<Response<pb::QueryKpisResponse>, Status> {
        let question = query::parse(request.into_inner()).map_err(|violations| refuse::invalid(&violations))?;
        let pool = self.pool.clone();
        let values = run::to_end(async move { Ok(ops::query_kpis::query(&pool, &question).await?) }).await?;
        Ok(Response::new(query::values(values)))
    }

    async fn get_journey(
        &self,
        request: Request<pb::GetJourneyRequest>,
    ) -> Result<Response<pb::GetJourneyResponse>, Status> {
        let mut violations = Violations::new();
        let name = violations.text("name", request.into_inner().name, 1, 300);
        let name = violations.into_result(name).map_err(|violations| refuse::invalid(&violations))?;
        let pool = self.pool.clone();
        let journey = run::to_end(async move { Ok(ops::journey::find(&pool, &name).await?) }).await?;
        let entries = journey
            .entries
            .into_iter()
            .map(|entry| pb::JourneyEntry {
                service: entry.service,
                r#type: entry.kind,
                effective_at: Some(to_timestamp(entry.effective_at)),
                recorded_at: Some(to_timestamp(entry.recorded_at)),
                trace_id: entry.trace_id,
                summary: entry.summary,
            })
            .collect();
        let order_id = journey.order_id.to_string();
        Ok(Response::new(pb::GetJourneyResponse { order_id, number: journey.number, entries }))
    }

    async fn rebuild(&self, _: Request<pb::RebuildRequest>) -> Result<Response<pb::RebuildResponse>, Status> {
        let (pool, now) = (self.pool.clone(), self.clock.now());
        let rebuild_id = run::to_end(async move { Ok(ops::rebuild::rebuild(&pool, now).await?) }).await?;
        tracing::info!(%rebuild_id, "tables emptied; reading the feeds again");
        self.lag.reset();
        self.feed.wake();
        Ok(Response::new(pb::RebuildResponse {}))
    }

    async fn get_lag(&self, _: Request<pb::GetLagRequest>) -> Result<Response<pb::GetLagResponse>, Status> {
        let mut cursors = ops::lag::cursors(&self.pool).await?;
        let feeds = SOURCES
            .into_iter()
            .map(|source| pb::FeedLag {
                source: source.to_owned(),
                cursor: cursors.remove(source).unwrap_or_default(),
                caught_up: self.lag.caught_up(source),
            })
            .collect();
        Ok(Response::new(pb::GetLagResponse { feeds }))
    }
}
