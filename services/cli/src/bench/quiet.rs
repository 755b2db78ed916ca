//! Orders to their confirmation, and until every follower has read about them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::future::try_join_all;
use pesan_api::analytics::v1::GetLagRequest;
use pesan_api::feed::v1::GetPositionRequest;
use pesan_api::order::v1::{ListOrdersRequest, OrderState, OrderView};

use super::load::{Bounds, Measured};
use super::work::{self, Shape};
use crate::endpoints::{Service, Suite};
use crate::instant;
use crate::refusal::answer;

const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Looks in a row in which nothing moves, until all is quiet. Followers poll more often than this takes.
const QUIET_LOOKS: u32 = 5;
/// No orders that are waited for are older, in seconds.
const LONGEST_RUN: i64 = 2 * 3_600;
/// How long the suite may take to catch up.
const BOUND: Duration = Duration::from_secs(600);

/// Places orders for the given time, then waits until none is unsettled and no feed moves any more. Counts what was
/// confirmed, over all of that time.
pub async fn confirm(suites: &[Suite], shape: Shape, bounds: Bounds) -> Result<Measured> {
    let started = Instant::now();
    let (mut measured, channel) = work::place(suites, shape, bounds).await?;
    let suite = &suites[0];
    measured.elapsed = quiet_since(suite, &channel, started).await? - started;
    let confirmed = count(suite, &channel, OrderState::Confirmed).await?;
    measured.errors += measured.done.saturating_sub(confirmed);
    measured.done = confirmed;
    Ok(measured)
}

/// Waits until the suite is through with the orders of a channel.
pub async fn wait(suite: &Suite, channel: &str) -> Result<()> {
    quiet_since(suite, channel, Instant::now()).await.map(|_| ())
}

/// When the suite became quiet.
async fn quiet_since(suite: &Suite, channel: &str, started: Instant) -> Result<Instant> {
    let mut seen = Service::ALL.map(|_| String::new()).to_vec();
    let mut since = Instant::now();
    let mut looks = 0;
    while looks < QUIET_LOOKS {
        if started.elapsed() > BOUND {
            bail!("the suite did not catch up within {} s", BOUND.as_secs());
        }
        let looked = Instant::now();
        // From the last head on: what came before it need not be counted.
        let heads = try_join_all(Service::ALL.into_iter().zip(&seen).map(async |(service, head)| {
            let request = GetPositionRequest { cursor: head.clone() };
            anyhow::Ok(answer(suite.feed(service).get_position(request).await)?.head)
        }))
        .await?;
        let lag = answer(suite.analytics().get_lag(GetLagRequest {}).await)?;
        let is_settled = lag.feeds.iter().all(|feed| feed.caught_up) && !is_any_unsettled(suite, channel).await?;
        if heads == seen && is_settled {
            looks += 1;
        } else {
            (seen, since, looks) = (heads, looked, 0);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(since)
}

async fn is_any_unsettled(suite: &Suite, channel: &str) -> Result<bool> {
    let request = ListOrdersRequest { page_size: 1, ..of(channel, OrderState::Accepted) };
    Ok(!answer(suite.orders().list_orders(request).await)?.orders.is_empty())
}

async fn count(suite: &Suite, channel: &str, state: OrderState) -> Result<u64> {
    let mut count = 0;
    let mut page_token = String::new();
    let of_run = of(channel, state);
    loop {
        let request = ListOrdersRequest { page_size: 1_000, page_token, ..of_run.clone() };
        let page = answer(suite.orders().list_orders(request).await).context("counting")?;
        count += page.orders.len() as u64;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(count);
        }
    }
}

/// Of the last hours only: states and channels are looked for order by order, and millions may be stored.
fn of(channel: &str, state: OrderState) -> ListOrdersRequest {
    let now = instant::now();
    ListOrdersRequest {
        placed_from: Some(prost_types::Timestamp { seconds: now.seconds - LONGEST_RUN, ..now }),
        channel: channel.to_owned(),
        states: vec![state.into()],
        view: OrderView::Basic.into(),
        ..ListOrdersRequest::default()
    }
}
