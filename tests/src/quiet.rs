//! When nothing is on its way any more.

use crate::{SERVICES, Suite};
use futures::future::try_join_all;
use pesan_api::feed::v1::GetPositionRequest;
use pesan_api::feed::v1::feed_service_client::FeedServiceClient;
use pesan_api::order::v1::order_service_client::OrderServiceClient;
use pesan_api::order::v1::{ListOrdersRequest, OrderState, OrderView};
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tonic::transport::Channel;

const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Looks in a row that find the same: all is read, and nothing new was written because of it.
const QUIET_LOOKS: u32 = 3;
/// How long the suite may take.
const BOUND: Duration = Duration::from_secs(300);

/// Looks at all feeds and at who has read how far.
pub struct Watch {
    databases: BTreeMap<&'static str, PgPool>,
    feeds: BTreeMap<&'static str, FeedServiceClient<Channel>>,
    orders: OrderServiceClient<Channel>,
}

impl Watch {
    /// Of a suite that runs.
    pub async fn of(suite: &Suite) -> anyhow::Result<Self> {
        let mut databases = BTreeMap::new();
        for service in SERVICES {
            databases.insert(service, suite.database(service).await?);
        }
        let feeds = SERVICES.map(|service| (service, FeedServiceClient::new(suite.channel(service)))).into();
        Ok(Self { databases, feeds, orders: suite.orders() })
    }

    /// Waits until every follower has read every feed to its end, none has written because of it, and no order is
    /// without an answer.
    pub async fn quiet(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        let (mut seen, mut looks) = (Vec::new(), 0);
        loop {
            let heads = self.heads().await?;
            let what = match self.behind().await? {
                Some(who) => Some(who),
                None if self.is_any_unsettled().await? => Some("orders are not settled".to_owned()),
                None => None,
            };
            looks = if what.is_none() && heads == seen { looks + 1 } else { 0 };
            if looks == QUIET_LOOKS {
                return Ok(());
            }
            seen = heads;
            anyhow::ensure!(started.elapsed() < BOUND, "the suite did not become quiet: {what:?}");
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Lets go of the databases.
    pub async fn end(self) {
        for database in self.databases.into_values() {
            database.close().await;
        }
    }

    async fn heads(&self) -> anyhow::Result<Vec<String>> {
        try_join_all(
            self.feeds.values().map(async |feed| {
                Ok(feed.clone().get_position(GetPositionRequest::default()).await?.into_inner().head)
            }),
        )
        .await
    }

    /// Somebody who has not read all there is.
    async fn behind(&self) -> anyhow::Result<Option<String>> {
        for (service, database) in &self.databases {
            let cursors: Vec<(String, String)> =
                sqlx::query_as("select source, cursor from feed_cursor").fetch_all(database).await?;
            for (source, cursor) in cursors {
                let request = GetPositionRequest { cursor };
                let feed = self.feeds.get(source.as_str()).ok_or_else(|| anyhow::anyhow!("no service {source}"))?;
                let behind = feed.clone().get_position(request).await?.into_inner().behind;
                if behind > 0 {
                    return Ok(Some(format!("{service} is {behind} behind {source}")));
                }
            }
        }
        Ok(None)
    }

    async fn is_any_unsettled(&self) -> anyhow::Result<bool> {
        let request = ListOrdersRequest {
            page_size: 1,
            states: vec![OrderState::Accepted.into()],
            view: OrderView::Basic.into(),
            ..Default::default()
        };
        Ok(!self.orders.clone().list_orders(request).await?.into_inner().orders.is_empty())
    }
}
