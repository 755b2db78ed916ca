//! Steps that are calls of their own.

use super::course::{Course, REST};
use super::model::Edit;
use super::step::Step;
use super::{History, ask};
use crate::{approval, count_stock, request_id};
use anyhow::Context as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as pb;
use std::time::{Duration, Instant};
use tonic::{Code, Status};

/// Calls at a time.
const AT_ONCE: usize = 16;

impl Course<'_> {
    /// The round's cancellations, changes and counts.
    pub async fn calls(&self, round: usize) -> anyhow::Result<()> {
        stream::iter(&self.histories)
            .map(async |history| {
                let found = match &history.steps[round] {
                    Step::Cancel { order, lines, whole } => {
                        self.cancel(&history.ids[*order], if *whole { &[] } else { lines }).await
                    }
                    Step::Change { order, edits, refused } => {
                        self.change(history, &history.ids[*order], edits, *refused).await
                    }
                    Step::Count { sku, counted } => self.count(&history.skus[*sku], *counted).await,
                    _ => Ok(()),
                };
                found.map_err(|error| anyhow::anyhow!(history.tell("the last step to go", &format!("{error:#}"))))
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(async |()| Ok(()))
            .await
    }

    async fn cancel(&self, id: &str, lines: &[(usize, i64)]) -> anyhow::Result<()> {
        let request = pb::CancelOrderRequest {
            request_id: request_id(),
            name: id.into(),
            lines: ask::cancel_lines(lines),
            ..Default::default()
        };
        insist(async || self.clients.orders.clone().cancel_order(request.clone()).await).await?;
        Ok(())
    }

    async fn change(&self, history: &History, id: &str, edits: &[Edit], refused: bool) -> anyhow::Result<()> {
        let changes = edits.iter().map(|edit| pb::Change { kind: Some(ask::change(history, edit)) }).collect();
        let request = pb::PlanChangeRequest { name: id.into(), changes, ..Default::default() };
        let answer = insist(async || self.clients.changes.clone().plan_change(request.clone()).await).await?;
        let plan = answer.into_inner().plan.context("no plan")?;
        if refused {
            let is_told = plan.impossible.iter().any(|impossible| impossible.reason == "OUT_OF_STOCK");
            anyhow::ensure!(is_told, "possible, although not enough is there: {plan:?}");
            return Ok(());
        }
        anyhow::ensure!(plan.impossible.is_empty(), "impossible: {:?}", plan.impossible);
        let request = pb::CommitChangeRequest {
            request_id: request_id(),
            plan_id: plan.id,
            order_version: plan.order_version,
            payment_token: "tok_ok".into(),
        };
        insist(async || self.clients.changes.clone().commit_change(request.clone()).await).await?;
        Ok(())
    }

    async fn count(&self, sku: &str, counted: i64) -> anyhow::Result<()> {
        let clients = &self.clients;
        let count = insist(async || count_stock(clients.counts.clone(), &self.location_id, sku, counted).await).await?;
        if count.state() == inventory::CountState::Approved {
            return Ok(());
        }
        let request = approval(&count);
        insist(async || self.clients.counts.clone().approve_count(request.clone()).await).await?;
        Ok(())
    }
}

/// Again while the answer is that it is not known yet.
async fn insist<T>(ask: impl AsyncFn() -> Result<T, Status>) -> Result<T, Status> {
    let started = Instant::now();
    loop {
        match ask().await {
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Aborted) && started.elapsed() < REST => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            answer => return answer,
        }
    }
}
