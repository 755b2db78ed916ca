//! What will be there, and what should be bought: pure arithmetic, each formula with its source.

pub mod demand;
pub mod normal;
pub mod policy;
pub mod promise;
pub mod reorder;
pub mod requirements;

use time::{Duration, OffsetDateTime};

/// How long a bucket of a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bucket {
    Day,
    Week,
}

impl Bucket {
    /// Days in it.
    pub fn days(self) -> i64 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
        }
    }
}

/// Consecutive buckets of time, the first of which begins at midnight (UTC) of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    pub start: OffsetDateTime,
    pub bucket: Bucket,
    /// At least 1.
    pub buckets: usize,
}

impl Horizon {
    /// From the day of `now` on.
    pub fn from_today(now: OffsetDateTime, bucket: Bucket, buckets: usize) -> Self {
        Self { start: midnight(now), bucket, buckets }
    }

    /// When a bucket begins.
    pub fn starts_at(&self, bucket: usize) -> OffsetDateTime {
        self.start + Duration::days(self.bucket.days() * i64::try_from(bucket).unwrap_or(0))
    }

    /// When the last bucket ends.
    pub fn end(&self) -> OffsetDateTime {
        self.starts_at(self.buckets)
    }

    /// The bucket that a time falls into: the first for what is before it, none past the end.
    pub fn bucket_of(&self, at: OffsetDateTime) -> Option<usize> {
        let days = (at - self.start).whole_days().max(0);
        usize::try_from(days / self.bucket.days()).ok().filter(|bucket| *bucket < self.buckets)
    }
}

/// The beginning of a time's day.
pub fn midnight(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_time(time::Time::MIDNIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn times_fall_into_their_buckets() {
        let horizon = Horizon::from_today(datetime!(2026-11-22 12:00 UTC), Bucket::Week, 2);
        assert_eq!(horizon.start, datetime!(2026-11-22 00:00 UTC));
        assert_eq!(horizon.end(), datetime!(2026-12-06 00:00 UTC));
        for (at, bucket) in [
            (datetime!(2026-01-01 00:00 UTC), Some(0)),
            (datetime!(2026-11-28 23:59 UTC), Some(0)),
            (datetime!(2026-11-29 00:00 UTC), Some(1)),
            (datetime!(2026-12-06 00:00 UTC), None),
        ] {
            assert_eq!(horizon.bucket_of(at), bucket, "{at}");
        }
    }
}
