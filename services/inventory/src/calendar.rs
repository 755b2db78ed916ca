//! On which days a location ships, and until when of a day.

use jiff::tz::TimeZone;
use std::collections::BTreeSet;
use time::{Date, OffsetDateTime};

/// Minutes of a day: no cut-off.
pub const NO_CUT_OFF: i16 = 1_440;
/// All days of the week; bit 0 is Monday.
pub const EVERY_DAY: i16 = 0b111_1111;
/// How far ahead an open day is looked for.
const HORIZON_DAYS: usize = 366;

/// When a location ships, in its own time.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// IANA name.
    pub time_zone: String,
    /// Minutes after local midnight, 1 to 1,440.
    pub cut_off: i16,
    /// Bit 0 is Monday; at least one.
    pub working_days: i16,
    /// Local dates.
    pub holidays: BTreeSet<Date>,
}

impl Default for Calendar {
    fn default() -> Self {
        let time_zone = "UTC".to_owned();
        Self { time_zone, cut_off: NO_CUT_OFF, working_days: EVERY_DAY, holidays: BTreeSet::new() }
    }
}

/// A day on which something ships, and the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShipDay {
    /// Local.
    pub day: Date,
    pub at: OffsetDateTime,
}

impl Calendar {
    /// The time zone, where it is known.
    pub fn zone(&self) -> Option<TimeZone> {
        TimeZone::get(&self.time_zone).ok()
    }

    /// Whether it ships on a local day.
    pub fn is_open(&self, day: Date) -> bool {
        let weekday = day.weekday().number_days_from_monday();
        self.working_days & (1 << weekday) != 0 && !self.holidays.contains(&day)
    }

    /// The first open day on which what is promised at `from` can still ship and that is not `full`: `from`'s own day
    /// before its cut-off, else a later one. With a cut-off it ships at the cut-off, without one at once, or as the day
    /// begins. None: there is no such day within a year.
    pub fn next_ship_day(&self, zone: &TimeZone, from: OffsetDateTime, full: impl Fn(Date) -> bool) -> Option<ShipDay> {
        let (today, minute) = local(zone, from)?;
        let first = if minute < self.cut_off { today } else { today.next_day()? };
        let days = std::iter::successors(Some(first), |day| day.next_day()).take(HORIZON_DAYS);
        let day = days.into_iter().find(|day| self.is_open(*day) && !full(*day))?;
        let minute = if self.cut_off == NO_CUT_OFF { 0 } else { self.cut_off };
        Some(ShipDay { day, at: instant(zone, day, minute)?.max(from) })
    }
}

/// The local day and minute of it.
pub fn local(zone: &TimeZone, at: OffsetDateTime) -> Option<(Date, i16)> {
    let timestamp = jiff::Timestamp::from_second(at.unix_timestamp()).ok()?;
    let there = zone.to_datetime(timestamp);
    let month = time::Month::try_from(u8::try_from(there.month()).ok()?).ok()?;
    let day = Date::from_calendar_date(there.year().into(), month, u8::try_from(there.day()).ok()?).ok()?;
    Some((day, i16::from(there.hour()) * 60 + i16::from(there.minute())))
}

/// A local minute as a moment; one that clocks skip is the moment they skip to.
fn instant(zone: &TimeZone, day: Date, minute: i16) -> Option<OffsetDateTime> {
    let (year, month) = (i16::try_from(day.year()).ok()?, i8::try_from(u8::from(day.month())).ok()?);
    let civil = jiff::civil::date(year, month, i8::try_from(day.day()).ok()?);
    let there = civil.at(i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?, 0, 0);
    let timestamp = zone.to_ambiguous_timestamp(there).compatible().ok()?;
    OffsetDateTime::from_unix_timestamp(timestamp.as_second()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::{date, datetime};

    fn next(calendar: &Calendar, from: OffsetDateTime) -> Option<(Date, OffsetDateTime)> {
        calendar.next_ship_day(&calendar.zone().unwrap(), from, |_| false).map(|ship| (ship.day, ship.at))
    }

    #[test]
    fn without_hours_it_ships_at_once() {
        let at = datetime!(2026-11-22 23:59:30 UTC);
        assert_eq!(next(&Calendar::default(), at), Some((date!(2026 - 11 - 22), at)));
    }

    #[test]
    fn the_table_of_cut_offs_weekends_and_holidays() {
        // Jakarta is 7 hours ahead, without summer time; 2026-11-22 is a Sunday.
        let calendar = Calendar {
            time_zone: "Asia/Jakarta".into(),
            cut_off: 15 * 60,
            working_days: 0b001_1111,
            holidays: [date!(2026 - 11 - 24)].into(),
        };
        for (from, day, at) in [
            // Monday 14:59 there.
            (datetime!(2026-11-23 7:59 UTC), date!(2026 - 11 - 23), datetime!(2026-11-23 8:00 UTC)),
            // At the cut-off it is too late, and Tuesday is a holiday.
            (datetime!(2026-11-23 8:00 UTC), date!(2026 - 11 - 25), datetime!(2026-11-25 8:00 UTC)),
            // Sunday evening in London is Monday morning there.
            (datetime!(2026-11-22 20:00 UTC), date!(2026 - 11 - 23), datetime!(2026-11-23 8:00 UTC)),
            // Friday after the cut-off: Monday.
            (datetime!(2026-11-27 9:00 UTC), date!(2026 - 11 - 30), datetime!(2026-11-30 8:00 UTC)),
        ] {
            assert_eq!(next(&calendar, from), Some((day, at)), "{from}");
        }
        let full = |day: Date| day == date!(2026 - 11 - 23);
        let ship = calendar.next_ship_day(&calendar.zone().unwrap(), datetime!(2026-11-22 20:00 UTC), full).unwrap();
        assert_eq!(ship.day, date!(2026 - 11 - 25), "a full day moves on, over the holiday");
    }

    #[test]
    fn summer_time_moves_the_moment_of_the_cut_off() {
        let calendar = Calendar { time_zone: "Europe/London".into(), cut_off: 12 * 60, ..Calendar::default() };
        assert_eq!(
            next(&calendar, datetime!(2026-07-01 8:00 UTC)),
            Some((date!(2026 - 07 - 01), datetime!(2026-07-01 11:00 UTC)))
        );
        assert_eq!(
            next(&calendar, datetime!(2026-12-01 8:00 UTC)),
            Some((date!(2026 - 12 - 01), datetime!(2026-12-01 12:00 UTC)))
        );
    }

    #[test]
    fn a_location_that_never_opens_ships_never() {
        let mut calendar = Calendar { working_days: 1, ..Calendar::default() };
        let monday = date!(2026 - 11 - 23);
        calendar.holidays =
            std::iter::successors(Some(monday), |day| day.checked_add(time::Duration::weeks(1))).take(60).collect();
        assert_eq!(next(&calendar, datetime!(2026-11-22 12:00 UTC)), None);
    }
}
