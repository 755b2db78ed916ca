//! The buckets of a period in a time zone.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};
use time::OffsetDateTime;

/// Most buckets of one query.
pub const MAX_BUCKETS: usize = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    /// The whole period at once.
    None,
    Day,
    /// From Monday.
    Week,
    Month,
    Quarter,
    Year,
}

/// A period cut into buckets. The first and the last may be cut short by the period's ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    /// Where each bucket begins by the calendar; the first may begin before the period.
    pub starts: Vec<OffsetDateTime>,
    /// Where the bucket before the first one begins.
    pub preceding: OffsetDateTime,
    pub from: OffsetDateTime,
    pub to: OffsetDateTime,
}

/// Why a period cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketError {
    /// More than [`MAX_BUCKETS`].
    TooMany,
    /// Beyond the calendar.
    OutOfRange,
}

impl Buckets {
    /// Cuts [from, to) at the borders of `bucket`, which lie at midnight in `zone`.
    pub fn cut(from: OffsetDateTime, to: OffsetDateTime, bucket: Bucket, zone: &TimeZone) -> Result<Self, BucketError> {
        let Some(step) = bucket.step() else {
            return Ok(Self { starts: vec![from], preceding: from - (to - from), from, to });
        };
        let first = bucket.first_day(local_day(from, zone)?).ok_or(BucketError::OutOfRange)?;
        let border = |steps: i64| -> Result<OffsetDateTime, BucketError> {
            let span = step.checked_mul(steps).map_err(|_| BucketError::OutOfRange)?;
            midnight(first.checked_add(span).map_err(|_| BucketError::OutOfRange)?, zone)
        };
        let mut starts = vec![border(0)?];
        for steps in 1.. {
            let start = border(steps)?;
            if start >= to {
                break;
            }
            // A day that a zone skipped (Samoa, 2011-12-30) has no length, and no bucket.
            if starts.last() == Some(&start) {
                continue;
            }
            if starts.len() == MAX_BUCKETS {
                return Err(BucketError::TooMany);
            }
            starts.push(start);
        }
        Ok(Self { starts, preceding: border(-1)?, from, to })
    }

    /// The lower ends of the buckets, within the period.
    pub fn lower_ends(&self) -> Vec<OffsetDateTime> {
        self.starts.iter().map(|start| (*start).max(self.from)).collect()
    }

    /// The same with the preceding bucket in front.
    pub fn lower_ends_with_preceding(&self) -> Vec<OffsetDateTime> {
        let mut ends = self.lower_ends();
        // Of a first bucket that is cut short the part before the period is no bucket's.
        ends.insert(0, self.preceding);
        ends
    }
}

impl Bucket {
    fn step(self) -> Option<Span> {
        match self {
            Bucket::None => None,
            Bucket::Day => Some(1.day()),
            Bucket::Week => Some(1.week()),
            Bucket::Month => Some(1.month()),
            Bucket::Quarter => Some(3.months()),
            Bucket::Year => Some(1.year()),
        }
    }

    /// The first day of the bucket that `day` lies in.
    fn first_day(self, day: Date) -> Option<Date> {
        match self {
            Bucket::None | Bucket::Day => Some(day),
            Bucket::Week => day.checked_sub(i64::from(day.weekday().to_monday_zero_offset()).days()).ok(),
            Bucket::Month => Some(day.first_of_month()),
            Bucket::Quarter => Date::new(day.year(), (day.month() - 1) / 3 * 3 + 1, 1).ok(),
            Bucket::Year => Some(day.first_of_year()),
        }
    }
}

fn local_day(at: OffsetDateTime, zone: &TimeZone) -> Result<Date, BucketError> {
    let at = Timestamp::from_nanosecond(at.unix_timestamp_nanos()).map_err(|_| BucketError::OutOfRange)?;
    Ok(at.to_zoned(zone.clone()).date())
}

/// When `day` begins in `zone`: where the clocks skip midnight, the first moment after the gap.
fn midnight(day: Date, zone: &TimeZone) -> Result<OffsetDateTime, BucketError> {
    let begins = day.to_zoned(zone.clone()).map_err(|_| BucketError::OutOfRange)?;
    OffsetDateTime::from_unix_timestamp_nanos(begins.timestamp().as_nanosecond()).map_err(|_| BucketError::OutOfRange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn starts(from: OffsetDateTime, to: OffsetDateTime, bucket: Bucket, zone: &str) -> Vec<String> {
        let buckets = Buckets::cut(from, to, bucket, &TimeZone::get(zone).unwrap()).unwrap();
        buckets.starts.iter().map(|start| format!("{} {}", start.date(), start.time())).collect()
    }

    #[test]
    fn buckets_begin_where_the_calendar_says() {
        let (from, to) = (datetime!(2011-02-16 12:00 UTC), datetime!(2011-05-01 00:00 UTC));
        for (bucket, first, last, count) in [
            (Bucket::None, "2011-02-16 12:00:00.0", "2011-02-16 12:00:00.0", 1),
            (Bucket::Day, "2011-02-16 0:00:00.0", "2011-04-30 0:00:00.0", 74),
            (Bucket::Week, "2011-02-14 0:00:00.0", "2011-04-25 0:00:00.0", 11),
            (Bucket::Month, "2011-02-01 0:00:00.0", "2011-04-01 0:00:00.0", 3),
            (Bucket::Quarter, "2011-01-01 0:00:00.0", "2011-04-01 0:00:00.0", 2),
            (Bucket::Year, "2011-01-01 0:00:00.0", "2011-01-01 0:00:00.0", 1),
        ] {
            let starts = starts(from, to, bucket, "UTC");
            assert_eq!((starts[0].as_str(), starts[starts.len() - 1].as_str(), starts.len()), (first, last, count));
        }
    }

    #[test]
    fn what_lies_before_the_period_is_no_buckets() {
        let from = datetime!(2011-02-16 12:00 UTC);
        let buckets = Buckets::cut(from, datetime!(2011-04-01 00:00 UTC), Bucket::Month, &TimeZone::UTC).unwrap();
        assert_eq!(buckets.lower_ends(), [from, datetime!(2011-03-01 00:00 UTC)]);
        let with_preceding = [datetime!(2011-01-01 00:00 UTC), from, datetime!(2011-03-01 00:00 UTC)];
        assert_eq!(buckets.lower_ends_with_preceding(), with_preceding);
        let whole = Buckets::cut(from, from + time::Duration::days(3), Bucket::None, &TimeZone::UTC).unwrap();
        assert_eq!(whole.preceding, datetime!(2011-02-13 12:00 UTC), "as long as the period");
    }

    #[test]
    fn days_are_as_long_as_the_zone_makes_them() {
        // The clocks of Berlin went forward on March 27: that day has 23 hours.
        let berlin =
            starts(datetime!(2011-03-26 23:00 UTC), datetime!(2011-03-28 22:00 UTC), Bucket::Day, "Europe/Berlin");
        assert_eq!(berlin, ["2011-03-26 23:00:00.0", "2011-03-27 22:00:00.0"]);
        // Those of São Paulo skipped midnight itself on October 16: the day began at one.
        let paulo =
            starts(datetime!(2011-10-15 03:00 UTC), datetime!(2011-10-17 02:00 UTC), Bucket::Day, "America/Sao_Paulo");
        assert_eq!(paulo, ["2011-10-15 3:00:00.0", "2011-10-16 3:00:00.0"]);
        // Samoa had no December 30 in 2011.
        let samoa =
            starts(datetime!(2011-12-29 10:00 UTC), datetime!(2012-01-01 10:00 UTC), Bucket::Day, "Pacific/Apia");
        assert_eq!(samoa, ["2011-12-29 10:00:00.0", "2011-12-30 10:00:00.0", "2011-12-31 10:00:00.0"]);
    }

    #[test]
    fn too_many_buckets_and_the_end_of_the_calendar_are_refused() {
        let cut = |from, to| Buckets::cut(from, to, Bucket::Day, &TimeZone::UTC).unwrap_err();
        let from = datetime!(2000-01-01 00:00 UTC);
        assert_eq!(cut(from, from + time::Duration::days(5001)), BucketError::TooMany);
        assert!(Buckets::cut(from, from + time::Duration::days(5000), Bucket::Day, &TimeZone::UTC).is_ok());
        assert_eq!(cut(datetime!(9999-12-31 12:00 UTC), datetime!(9999-12-31 13:00 UTC)), BucketError::OutOfRange);
    }
}
