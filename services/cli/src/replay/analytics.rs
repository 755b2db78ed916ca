//! Waits until the KPIs know everything that was replayed, and asks for them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use pesan_api::analytics::v1::{Bucket, GetLagRequest, QueryKpisRequest};
use rust_decimal::Decimal;
use serde::Serialize;

use super::orders::{CHANNEL, head_of};
use super::plan::Plan;
use crate::endpoints::{Service, Suite};
use crate::instant;
use crate::patience::Patience;
use crate::refusal::from_status;

const LOOK_AGAIN: Duration = Duration::from_millis(250);
const KPIS: [&str; 5] = ["orders", "lines", "units", "gross_sales", "revenue"];

/// The KPIs of the replayed period and channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Kpis {
    pub orders: Decimal,
    pub lines: Decimal,
    pub units: Decimal,
    #[serde(rename = "gross_sales")]
    pub gross: Decimal,
    pub revenue: Decimal,
}

/// Asks until analytics has read all feeds to their end and counts these orders and this revenue (invoiced less
/// credited), or until nothing has moved for as long as patience lasts. Answers what it counts then.
pub async fn catch_up(
    suite: &Suite,
    patience: Patience,
    plan: &Plan,
    orders: Decimal,
    revenue: Decimal,
) -> Result<Kpis> {
    let (mut seen, mut moved) = (None, Instant::now());
    loop {
        let is_caught_up = is_caught_up(suite, patience).await?;
        let kpis = query(suite, patience, plan).await?;
        if is_caught_up && kpis.orders == orders && kpis.revenue == revenue {
            return Ok(kpis);
        }
        let now = (kpis.clone(), head_of(suite, patience, Service::Billing).await?);
        if seen.as_ref() != Some(&now) {
            (seen, moved) = (Some(now), Instant::now());
        }
        if moved.elapsed() > patience.0 {
            return Ok(kpis);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn is_caught_up(suite: &Suite, patience: Patience) -> Result<bool> {
    let call = async || suite.analytics().get_lag(GetLagRequest {}).await;
    let lag = patience.call(call).await.map_err(|status| from_status(&status))?;
    Ok(lag.feeds.iter().all(|feed| feed.caught_up))
}

async fn query(suite: &Suite, patience: Patience, plan: &Plan) -> Result<Kpis> {
    let request = QueryKpisRequest {
        kpis: KPIS.map(str::to_owned).to_vec(),
        from: Some(instant::to_proto(plan.from)),
        to: Some(instant::to_proto(plan.to)),
        bucket: Bucket::None.into(),
        currency_code: super::plan::CURRENCY.to_owned(),
        channels: vec![CHANNEL.to_owned()],
        ..QueryKpisRequest::default()
    };
    let call = async || suite.analytics().query_kpis(request.clone()).await;
    let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
    let value = |name: &str| {
        let value = answer.values.iter().find(|value| value.kpi == name).and_then(|value| value.value.as_deref());
        value.map_or(Ok(Decimal::ZERO), |text| text.parse::<Decimal>().with_context(|| format!("{name} is {text:?}")))
    };
    Ok(Kpis {
        orders: value("orders")?,
        lines: value("lines")?,
        units: value("units")?,
        gross: value("gross_sales")?,
        revenue: value("revenue")?,
    })
}
