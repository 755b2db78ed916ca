//! Points in time between protos, the command line and text. All in UTC.

use anyhow::{Result, anyhow, bail};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// For a request.
pub fn to_proto(at: Timestamp) -> prost_types::Timestamp {
    // Nanoseconds of a proto count forward from the second, also before 1970.
    let nanos = at.as_nanosecond();
    let seconds = nanos.div_euclid(1_000_000_000);
    let rest = nanos.rem_euclid(1_000_000_000);
    prost_types::Timestamp { seconds: i64::try_from(seconds).unwrap_or(0), nanos: i32::try_from(rest).unwrap_or(0) }
}

/// Now, by the machine's clock.
pub fn now() -> prost_types::Timestamp {
    let now = pesan_host::Clock::System.now();
    prost_types::Timestamp { seconds: now.unix_timestamp(), nanos: i32::try_from(now.nanosecond()).unwrap_or(0) }
}

/// RFC 3339; empty where there is none.
pub fn text(at: Option<&prost_types::Timestamp>) -> String {
    at.and_then(|at| Timestamp::new(at.seconds, at.nanos).ok()).map(|at| at.to_string()).unwrap_or_default()
}

/// Reads a day (its midnight in `zone`) or an RFC 3339 time.
pub fn parse(text: &str, zone: &str) -> Result<prost_types::Timestamp> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(to_proto(at));
    }
    let Ok(day) = text.parse::<Date>() else { bail!("{text:?} is neither a day (2011-03-01) nor an RFC 3339 time") };
    let zone = if zone.is_empty() { TimeZone::UTC } else { TimeZone::get(zone).map_err(|e| anyhow!("{e}"))? };
    Ok(to_proto(day.to_zoned(zone)?.timestamp()))
}

/// Reads `2010-12-01 08:26:00` as UTC.
pub fn from_civil(text: &str) -> Option<Timestamp> {
    text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_of_the_zone() {
        assert_eq!(text(Some(&parse("2011-03-01", "").unwrap())), "2011-03-01T00:00:00Z");
        assert_eq!(text(Some(&parse("2011-07-01", "Europe/London").unwrap())), "2011-06-30T23:00:00Z");
        assert_eq!(text(Some(&parse("2011-03-01T10:00:00+01:00", "").unwrap())), "2011-03-01T09:00:00Z");
        assert!(parse("yesterday", "").is_err());
        assert_eq!(text(None), "");
    }

    #[test]
    fn nanoseconds_count_forward() {
        let before = to_proto(Timestamp::from_nanosecond(-1).unwrap());
        assert_eq!((before.seconds, before.nanos), (-1, 999_999_999));
    }

    #[test]
    fn a_time_without_a_zone_is_utc() {
        assert_eq!(from_civil("2010-12-01 08:26:00").unwrap().to_string(), "2010-12-01T08:26:00Z");
        assert_eq!(from_civil("12/1/2010"), None);
    }
}
