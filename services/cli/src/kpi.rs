//! `pesan kpi`: the KPIs.

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;
use pesan_api::analytics::v1::{Bucket, KpiValue, QueryKpisRequest, Segment};
use serde::Serialize;

use crate::endpoints::Endpoints;
use crate::output::{self, Output};
use crate::{instant, refusal};

/// The KPIs, by bucket and segment
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan kpi orders gross_sales --from 2010-12-01 --to 2011-12-01 --bucket month\n  \
    pesan kpi revenue --from 2011-01-01 --to 2012-01-01 --by country --output json\n  \
    pesan kpi retention new_customers --from 2011-01-01 --to 2011-04-01 --bucket month --channel online-retail")]
pub struct Kpi {
    /// orders, lines, units, gross_sales, net_sales, revenue, average_order_value, active_customers, retention, …
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// The first day, or an RFC 3339 time
    #[arg(long, value_name = "DAY")]
    from: String,
    /// The day after the last one
    #[arg(long, value_name = "DAY")]
    to: String,
    /// One value for each of these, or one for the whole period
    #[arg(long, value_enum, default_value_t = By::None)]
    bucket: By,
    /// Split the values by this
    #[arg(long, value_enum, value_name = "SEGMENT")]
    by: Option<SplitBy>,
    /// Only this channel (may be repeated)
    #[arg(long = "channel", value_name = "CHANNEL")]
    channels: Vec<String>,
    /// Only this country
    #[arg(long = "country", value_name = "COUNTRY")]
    countries: Vec<String>,
    /// Only this item
    #[arg(long = "sku", value_name = "SKU")]
    skus: Vec<String>,
    /// Only this segment of customers
    #[arg(long = "customer-segment", value_name = "SEGMENT")]
    customer_segments: Vec<String>,
    /// Only this sales rep
    #[arg(long = "sales-rep", value_name = "REP")]
    sales_reps: Vec<String>,
    /// Only amounts in this currency; needed when there are several
    #[arg(long, value_name = "CODE", default_value = "")]
    currency: String,
    /// Days begin at midnight in this zone: Europe/London
    #[arg(long, value_name = "ZONE", default_value = "")]
    time_zone: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum By {
    None,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

#[derive(Clone, Copy, ValueEnum)]
enum SplitBy {
    Channel,
    #[value(alias = "region")]
    Country,
    Product,
    CustomerSegment,
    SalesRep,
}

/// One value. Names and order are a contract.
#[derive(Serialize)]
struct Value {
    kpi: String,
    bucket_start: String,
    segment: String,
    /// None where the denominator is 0.
    value: Option<String>,
    numerator: String,
    denominator: String,
    unit: String,
}

impl Kpi {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let mut analytics = endpoints.connect(Duration::from_secs(120))?.analytics();
        let answer = refusal::answer(analytics.query_kpis(self.request()?).await)?;
        let values: Vec<Value> = answer.values.into_iter().map(value).collect();
        if output == Output::Json {
            return output::json_line(&values);
        }
        let row = |v: Value| {
            let value = v.value.unwrap_or_else(|| "–".to_owned());
            vec![v.kpi, v.bucket_start, v.segment, value, v.unit, v.numerator, v.denominator]
        };
        let header = ["kpi", "from", "segment", "value", "unit", "numerator", "denominator"];
        output::rows(&header, values.into_iter().map(row));
        Ok(())
    }

    fn request(self) -> Result<QueryKpisRequest> {
        let bucket = match self.bucket {
            By::None => Bucket::None,
            By::Day => Bucket::Day,
            By::Week => Bucket::Week,
            By::Month => Bucket::Month,
            By::Quarter => Bucket::Quarter,
            By::Year => Bucket::Year,
        };
        let segment = match self.by {
            None => Segment::Unspecified,
            Some(SplitBy::Channel) => Segment::Channel,
            Some(SplitBy::Country) => Segment::Country,
            Some(SplitBy::Product) => Segment::Product,
            Some(SplitBy::CustomerSegment) => Segment::CustomerSegment,
            Some(SplitBy::SalesRep) => Segment::SalesRep,
        };
        Ok(QueryKpisRequest {
            kpis: self.names,
            from: Some(instant::parse(&self.from, &self.time_zone)?),
            to: Some(instant::parse(&self.to, &self.time_zone)?),
            bucket: bucket.into(),
            time_zone: self.time_zone,
            currency_code: self.currency,
            segment: segment.into(),
            channels: self.channels,
            countries: self.countries,
            skus: self.skus,
            customer_segments: self.customer_segments,
            sales_reps: self.sales_reps,
        })
    }
}

fn value(value: KpiValue) -> Value {
    Value {
        kpi: value.kpi,
        bucket_start: instant::text(value.bucket_start.as_ref()),
        segment: value.segment,
        value: value.value,
        numerator: value.numerator,
        denominator: value.denominator,
        unit: value.unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_null_and_never_zero() {
        let none =
            KpiValue { kpi: "retention".into(), numerator: "0".into(), denominator: "0".into(), ..KpiValue::default() };
        assert_eq!(
            serde_json::to_string(&value(none)).unwrap(),
            r#"{"kpi":"retention","bucket_start":"","segment":"","value":null,"numerator":"0","denominator":"0","unit":""}"#
        );
    }
}
