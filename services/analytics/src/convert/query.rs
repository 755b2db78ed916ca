//! KPI questions and their answers.

use crate::bucket::{Bucket, BucketError, Buckets, MAX_BUCKETS};
use crate::kpi::Kpi;
use crate::query::{Filter, Query, Segment, Value};
use jiff::tz::TimeZone;
use pesan_api::analytics::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use pesan_money::Currency;
use time::OffsetDateTime;

const MAX_KPIS: usize = 50;
const MAX_FILTER: usize = 100;
/// Characters of a filter's value.
const MAX_TEXT: usize = 300;

/// Reads a question; all that is wrong with it at once.
pub fn parse(request: pb::QueryKpisRequest) -> Result<Query, Violations> {
    let mut v = Violations::new();
    let bucket = bucket(&mut v, request.bucket);
    let segment = segment(&mut v, request.segment);
    let kpis = kpis(&mut v, &request.kpis);
    let from = v.time("from", request.from.as_ref());
    let to = v.time("to", request.to.as_ref());
    if request.from.is_none() {
        v.add("from", "is required");
    }
    if request.to.is_none() {
        v.add("to", "is required");
    }
    let zone = zone(&mut v, &request.time_zone);
    let currency = match request.currency_code.as_str() {
        "" => None,
        code => v.currency("currency_code", code),
    };
    let filter = Filter {
        channels: filter(&mut v, "channels", request.channels),
        countries: filter(&mut v, "countries", request.countries),
        customer_segments: filter(&mut v, "customer_segments", request.customer_segments),
        sales_reps: filter(&mut v, "sales_reps", request.sales_reps),
        skus: filter(&mut v, "skus", request.skus),
    };
    let (Some(from), Some(to)) = (from, to) else { return Err(v) };
    let buckets = cut(&mut v, from, to, bucket, &zone);
    match buckets {
        Some(buckets) => v.into_result(Query { kpis, buckets, currency, segment, filter }),
        None => Err(v),
    }
}

fn cut(
    v: &mut Violations,
    from: OffsetDateTime,
    to: OffsetDateTime,
    bucket: Bucket,
    zone: &TimeZone,
) -> Option<Buckets> {
    if to <= from {
        v.add("to", "must be after `from`");
        return None;
    }
    match Buckets::cut(from, to, bucket, zone) {
        Ok(buckets) => Some(buckets),
        Err(BucketError::TooMany) => {
            v.add(
                "bucket",
                format!("would give more than {MAX_BUCKETS} buckets: ask for a shorter period or longer buckets"),
            );
            None
        }
        Err(BucketError::OutOfRange) => {
            v.add("from", "is too close to the calendar's end");
            None
        }
    }
}

fn kpis(v: &mut Violations, names: &[String]) -> Vec<Kpi> {
    if names.is_empty() || names.len() > MAX_KPIS {
        v.add("kpis", format!("must have 1 to {MAX_KPIS} names, not {}", names.len()));
    }
    let mut kpis: Vec<Kpi> = Vec::new();
    for (place, name) in names.iter().take(MAX_KPIS).enumerate() {
        match Kpi::named(name) {
            // One that is there twice is answered once.
            Some(kpi) if kpis.contains(&kpi) => {}
            Some(kpi) => kpis.push(kpi),
            None => v.add(format!("kpis[{place}]"), "must be the name of a KPI, such as gross_sales"),
        }
    }
    kpis
}

fn zone(v: &mut Violations, name: &str) -> TimeZone {
    if name.is_empty() {
        return TimeZone::UTC;
    }
    let zone = if name.len() > 64 { None } else { TimeZone::get(name).ok() };
    zone.unwrap_or_else(|| {
        v.add("time_zone", "must be an IANA name, such as Europe/London");
        TimeZone::UTC
    })
}

fn filter(v: &mut Violations, field: &str, values: Vec<String>) -> Vec<String> {
    if values.len() > MAX_FILTER {
        v.add(field, format!("must have at most {MAX_FILTER} values, not {}", values.len()));
        return Vec::new();
    }
    values
        .into_iter()
        .enumerate()
        .map(|(place, value)| v.text(&format!("{field}[{place}]"), value, 0, MAX_TEXT))
        .collect()
}

fn bucket(v: &mut Violations, number: i32) -> Bucket {
    match pb::Bucket::try_from(number) {
        Ok(pb::Bucket::Unspecified | pb::Bucket::None) => Bucket::None,
        Ok(pb::Bucket::Day) => Bucket::Day,
        Ok(pb::Bucket::Week) => Bucket::Week,
        Ok(pb::Bucket::Month) => Bucket::Month,
        Ok(pb::Bucket::Quarter) => Bucket::Quarter,
        Ok(pb::Bucket::Year) => Bucket::Year,
        Err(_) => {
            v.add("bucket", "must be a known bucket");
            Bucket::None
        }
    }
}

fn segment(v: &mut Violations, number: i32) -> Segment {
    match pb::Segment::try_from(number) {
        Ok(pb::Segment::Unspecified) => Segment::None,
        Ok(pb::Segment::Channel) => Segment::Channel,
        Ok(pb::Segment::Country) => Segment::Country,
        Ok(pb::Segment::Product) => Segment::Product,
        Ok(pb::Segment::CustomerSegment) => Segment::CustomerSegment,
        Ok(pb::Segment::SalesRep) => Segment::SalesRep,
        Err(_) => {
            v.add("segment", "must be a known segment");
            Segment::None
        }
    }
}

/// The currency of a question that named none, when there is not exactly one.
pub fn ambiguous_currency(currencies: &[Currency]) -> Violations {
    let codes: Vec<&str> = currencies.iter().take(20).map(|currency| currency.code()).collect();
    let mut v = Violations::new();
    v.add("currency_code", format!("is required, because there are several: {}", codes.join(", ")));
    v
}

/// A question whose answer would be too long.
pub fn too_many_values(limit: usize) -> Violations {
    let mut v = Violations::new();
    v.add("segment", format!("would give more than {limit} values: ask for fewer KPIs, fewer buckets or no segment"));
    v
}

/// Values as they are answered.
pub fn values(values: Vec<Value>) -> pb::QueryKpisResponse {
    let values = values
        .into_iter()
        .map(|value| pb::KpiValue {
            kpi: value.kpi.name().to_owned(),
            bucket_start: Some(to_timestamp(value.bucket_start)),
            segment: value.segment,
            value: value.value,
            numerator: value.numerator,
            denominator: value.denominator,
            unit: value.unit,
        })
        .collect();
    pb::QueryKpisResponse { values }
}
