//! The first page: how sales went, month by month.

use super::chart::{self, Point};
use super::frame;
use crate::convert::query::parse;
use crate::error::AnalyticsError;
use crate::ops;
use crate::query::Value;
use axum::extract::{Query, State};
use axum::response::Response;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use maud::{Markup, html};
use pesan_api::analytics::v1 as pb;
use pesan_grpc::{Violations, run};
use pesan_money::Currency;
use prost_types::Timestamp;
use serde::Deserialize;
use sqlx::PgPool;
use std::cmp::Reverse;
use time::OffsetDateTime;

/// Months shown unless told otherwise.
const MONTHS: i64 = 13;
/// Products and countries of the rankings.
const RANKED: usize = 10;

/// What to show. All of it is optional.
#[derive(Debug, Default, Deserialize)]
pub struct Params {
    /// First day: "2010-12-01".
    #[serde(default)]
    from: String,
    /// The day after the last one.
    #[serde(default)]
    to: String,
    #[serde(default)]
    currency: String,
    #[serde(default)]
    channel: String,
    /// IANA name.
    #[serde(default)]
    zone: String,
}

/// GET /
pub async fn show(State(pool): State<PgPool>, Query(params): Query<Params>) -> Response {
    match run::to_end(async move { Ok(make(&pool, params).await) }).await {
        Ok(Ok(body)) => frame::page("Sales", &body),
        Ok(Err(error)) => frame::failed(&error),
        Err(_) => frame::failed(&AnalyticsError::Busy),
    }
}

async fn make(pool: &PgPool, mut params: Params) -> Result<Markup, AnalyticsError> {
    let currencies = ops::query_kpis::known_currencies(pool).await?;
    let last = ops::query_kpis::last_order(pool).await?;
    let (Some(first_currency), Some(last)) = (currencies.first(), last) else {
        return Ok(html! { p { "There are no orders yet." } });
    };
    if params.currency.is_empty() {
        params.currency = first_currency.code().to_owned();
    }
    let period = Period::of(&params, last)?;
    params.from = period.from.to_string();
    params.to = period.to.to_string();
    let question = |kpis: &[&str], bucket: pb::Bucket, segment: pb::Segment| {
        parse(pb::QueryKpisRequest {
            kpis: kpis.iter().map(ToString::to_string).collect(),
            from: Some(period.starts),
            to: Some(period.ends),
            bucket: bucket.into(),
            time_zone: params.zone.clone(),
            currency_code: params.currency.clone(),
            segment: segment.into(),
            channels: Some(params.channel.clone()).filter(|channel| !channel.is_empty()).into_iter().collect(),
            ..Default::default()
        })
        .map_err(AnalyticsError::Invalid)
    };
    let monthly = ["orders", "gross_sales", "new_customers", "retention"];
    let monthly = question(&monthly, pb::Bucket::Month, pb::Segment::Unspecified)?;
    let products = question(&["gross_sales", "units"], pb::Bucket::None, pb::Segment::Product)?;
    let countries = question(&["gross_sales", "orders"], pb::Bucket::None, pb::Segment::Country)?;
    let monthly = ops::query_kpis::query(pool, &monthly).await?;
    let products = ops::query_kpis::query(pool, &products).await?;
    let countries = ops::query_kpis::query(pool, &countries).await?;
    let gross = format!("Gross sales, {}", params.currency);
    Ok(html! {
        (form(&params, &currencies))
        div.charts {
            (chart::bars("Orders", &points(&monthly, "orders", &period.zone)))
            (chart::bars(&gross, &points(&monthly, "gross_sales", &period.zone)))
            (chart::bars("New customers", &points(&monthly, "new_customers", &period.zone)))
            (chart::curve("Retention from the month before", &points(&monthly, "retention", &period.zone)))
            (chart::ranking("Top products", ["Product", &gross, "Units"], &ranks(&products, "units")))
            (chart::ranking("Top countries", ["Country", &gross, "Orders"], &ranks(&countries, "orders")))
        }
    })
}

/// Whole days in a time zone.
struct Period {
    from: Date,
    to: Date,
    zone: TimeZone,
    starts: Timestamp,
    ends: Timestamp,
}

impl Period {
    /// As asked for; else the last months that have orders.
    fn of(params: &Params, last: OffsetDateTime) -> Result<Self, AnalyticsError> {
        let mut v = Violations::new();
        let zone = if params.zone.is_empty() { Ok(TimeZone::UTC) } else { TimeZone::get(&params.zone) };
        let zone = zone.unwrap_or_else(|_| {
            v.add("zone", "must be an IANA name, such as Europe/London");
            TimeZone::UTC
        });
        let last_day = jiff::Timestamp::from_second(last.unix_timestamp()).map(|at| at.to_zoned(zone.clone()).date());
        let after_last = last_day.and_then(|day| day.first_of_month().checked_add(1.month()));
        let to = date(&mut v, "to", &params.to, after_last.ok());
        let from = date(&mut v, "from", &params.from, to.and_then(|to| to.checked_sub(MONTHS.months()).ok()));
        let begins = |day: Option<Date>| {
            let at = day?.to_zoned(zone.clone()).ok()?.timestamp();
            Some(Timestamp { seconds: at.as_second(), nanos: 0 })
        };
        match (from, to, begins(from), begins(to)) {
            (Some(from), Some(to), Some(starts), Some(ends)) if v.is_empty() => {
                Ok(Self { from, to, zone, starts, ends })
            }
            _ => Err(AnalyticsError::Invalid(v)),
        }
    }
}

fn date(v: &mut Violations, field: &str, text: &str, otherwise: Option<Date>) -> Option<Date> {
    if text.is_empty() {
        return otherwise;
    }
    let date = text.parse().ok();
    if date.is_none() {
        v.add(field, "must be a day, such as 2011-01-31");
    }
    date
}

fn form(params: &Params, currencies: &[Currency]) -> Markup {
    html! {
        form method="get" action="/" {
            label for="from" { "From" }
            input #from type="date" name="from" value=(params.from);
            label for="to" { "until before" }
            input #to type="date" name="to" value=(params.to);
            label for="currency" { "in" }
            select #currency name="currency" {
                @for currency in currencies {
                    option value=(currency.code()) selected[currency.code() == params.currency] { (currency.code()) }
                }
            }
            label for="channel" { "channel" }
            input #channel name="channel" value=(params.channel) placeholder="all" maxlength="300";
            label for="zone" { "time zone" }
            input #zone name="zone" value=(params.zone) placeholder="UTC" maxlength="64";
            button { "Show" }
        }
    }
}

fn points(values: &[Value], kpi: &str, zone: &TimeZone) -> Vec<Point> {
    let of_kpi = values.iter().filter(|value| value.kpi.name() == kpi);
    of_kpi.map(|value| Point { label: month(value.bucket_start, zone), value: value.value.clone() }).collect()
}

fn month(start: OffsetDateTime, zone: &TimeZone) -> String {
    let start = jiff::Timestamp::from_second(start.unix_timestamp()).map(|at| at.to_zoned(zone.clone()));
    start.map(|start| start.strftime("%Y-%m").to_string()).unwrap_or_default()
}

/// The segments with the largest gross sales: name, gross sales, and another KPI.
fn ranks(values: &[Value], further: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.value.clone().unwrap_or_default();
    let mut ranks: Vec<(&str, String)> =
        values.iter().filter(|v| v.kpi.name() == "gross_sales").map(|v| (v.segment.as_str(), text(v))).collect();
    ranks.sort_by_cached_key(|(_, gross)| Reverse(gross.parse::<rust_decimal::Decimal>().unwrap_or_default()));
    ranks.truncate(RANKED);
    ranks
        .into_iter()
        .map(|(segment, gross)| {
            let other = values.iter().find(|v| v.kpi.name() == further && v.segment == segment);
            (segment.to_owned(), gross, other.map(text).unwrap_or_default())
        })
        .collect()
}
