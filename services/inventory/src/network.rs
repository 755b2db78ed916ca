//! The locations as sourcing sees them, and its rules: a snapshot, replaced when either changes.

use crate::calendar::ShipDay;
use crate::location::{Location, LocationId};
use crate::sourcing::{Load, Rules, distance_km};
use jiff::tz::TimeZone;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// All locations and the rules, as of one version.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// 0: never read.
    pub version: i64,
    pub rules: Rules,
    /// By rank, then code.
    places: Vec<Place>,
    by_id: HashMap<LocationId, usize>,
    plain: bool,
}

/// A location in it.
#[derive(Clone, Debug)]
pub struct Place {
    pub key: LocationId,
    pub location: Location,
    zone: TimeZone,
}

impl Network {
    /// Of locations by rank, then code.
    pub fn new(version: i64, rules: Rules, locations: Vec<(LocationId, Location)>) -> Self {
        let place = |(key, location): (LocationId, Location)| {
            // Checked when it was written; a zone that a later release does not know any more is taken as UTC.
            let zone = location.calendar.zone().unwrap_or(TimeZone::UTC);
            Place { key, location, zone }
        };
        let places: Vec<Place> = locations.into_iter().map(place).collect();
        let by_id = places.iter().enumerate().map(|(i, place)| (place.key, i)).collect();
        let plain = rules == Rules { version: rules.version, ..Rules::default() } && places.iter().all(Place::is_plain);
        Self { version, rules, places, by_id, plain }
    }

    /// Whether rank and code alone decide.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// By rank, then code.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// A location by its key.
    pub fn place(&self, location: LocationId) -> Option<&Place> {
        self.by_id.get(&location).and_then(|i| self.places.get(*i))
    }

    /// Its place in the order by rank, then code; unknown ones last.
    pub fn order(&self, location: LocationId) -> usize {
        self.by_id.get(&location).copied().unwrap_or(usize::MAX)
    }

    /// Where services are shipped from when nothing else tells: the first location, an open one if there is one.
    pub fn home(&self) -> Option<LocationId> {
        self.places.iter().find(|place| !place.location.closed).or(self.places.first()).map(|place| place.key)
    }

    /// Whether anything is promised from a location to a channel. Locations that are not known yet serve all.
    pub fn serves(&self, location: LocationId, channel: Option<&str>) -> bool {
        self.place(location).is_none_or(|place| !place.location.closed && place.serves(channel))
    }

    /// Locations that can only ship so many orders a day.
    pub fn limited(&self) -> Vec<LocationId> {
        self.places.iter().filter(|place| place.location.daily_capacity > 0).map(|place| place.key).collect()
    }
}

impl Place {
    fn is_plain(&self) -> bool {
        let Location { closed, daily_capacity, channels, .. } = &self.location;
        !closed && *daily_capacity == 0 && channels.is_empty()
    }

    /// The location's id as others know it.
    pub fn id(&self) -> Uuid {
        self.location.id
    }

    /// Whether it ships for a channel. Orders without a channel are shipped from anywhere.
    pub fn serves(&self, channel: Option<&str>) -> bool {
        let channels = &self.location.channels;
        channels.is_empty() || channel.is_none_or(|channel| channels.contains(channel))
    }

    /// The great circle to a destination.
    pub fn distance_km(&self, to: Option<(f64, f64)>) -> Option<f64> {
        to.map(|to| distance_km((self.location.latitude, self.location.longitude), to))
    }

    /// The first day on which it is open.
    pub fn open_day(&self, from: OffsetDateTime) -> Option<ShipDay> {
        self.location.calendar.next_ship_day(&self.zone, from, |_| false)
    }

    /// The first day on which it is open and has capacity left.
    pub fn ship_day(&self, from: OffsetDateTime, load: &Load) -> Option<ShipDay> {
        let full = |day| load.is_full(self.key, day, self.location.daily_capacity);
        self.location.calendar.next_ship_day(&self.zone, from, full)
    }

    /// A certain day, where it is not too late for it.
    pub fn ship_day_on(&self, from: OffsetDateTime, day: time::Date) -> Option<ShipDay> {
        self.location.calendar.next_ship_day(&self.zone, from, |other| other != day)
    }

    /// The first day from a local one on, for what is ready at a moment.
    pub fn ship_day_not_before(&self, ready: OffsetDateTime, first: time::Date, load: &Load) -> Option<ShipDay> {
        let full = |day| day < first || load.is_full(self.key, day, self.location.daily_capacity);
        self.location.calendar.next_ship_day(&self.zone, ready, full)
    }

    /// The local day of a moment.
    pub fn local_day(&self, at: OffsetDateTime) -> Option<time::Date> {
        crate::calendar::local(&self.zone, at).map(|(day, _)| day)
    }
}
