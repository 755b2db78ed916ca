//! The rules of sourcing, as data.

use pesan_money::Money;
use time::Duration;

/// Mean radius of the earth in km (IUGG).
const EARTH_KM: f64 = 6_371.008_8;

/// What a choice of locations is worth. Points are summed, the lowest sum is best.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Counts the changes; 0: the defaults.
    pub version: i64,
    /// For each step of a location's rank.
    pub rank_weight: f64,
    /// For each 100 km.
    pub distance_weight: f64,
    /// For each location after the first.
    pub split_weight: f64,
    /// For a full day; less full, the share of it.
    pub capacity_weight: f64,
    /// Taken off for each 30 days that a location has the stock, at most 12 times.
    pub age_weight: f64,
    pub whole_order_first: bool,
    /// 0: no limit.
    pub max_locations: usize,
    /// 0: no limit.
    pub max_ship_delay_days: i64,
    /// Ascending, at least one; the last holds for all beyond.
    pub transit: Vec<TransitStep>,
    pub unknown_transit_days: i64,
    pub cost_per_shipment: Option<Money>,
    /// In the same currency.
    pub cost_per_km: Option<Money>,
    /// Later than so many days after the order is late.
    pub target_days: i64,
}

/// Deliveries up to a distance take so many days.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransitStep {
    pub max_km: f64,
    pub days: i64,
}

impl Default for Rules {
    fn default() -> Self {
        let step = |max_km, days| TransitStep { max_km, days };
        Self {
            version: 0,
            rank_weight: 1.0,
            distance_weight: 0.0,
            split_weight: 0.0,
            capacity_weight: 0.0,
            age_weight: 0.0,
            whole_order_first: false,
            max_locations: 0,
            max_ship_delay_days: 0,
            transit: vec![step(300.0, 1), step(1_000.0, 2), step(3_000.0, 4), step(f64::INFINITY, 7)],
            unknown_transit_days: 3,
            cost_per_shipment: None,
            cost_per_km: None,
            target_days: 3,
        }
    }
}

impl Rules {
    /// How long a delivery over a distance takes.
    pub fn transit(&self, distance_km: Option<f64>) -> Duration {
        let Some(km) = distance_km else { return Duration::days(self.unknown_transit_days) };
        let step = self.transit.iter().find(|step| km <= step.max_km).or(self.transit.last());
        Duration::days(step.map_or(self.unknown_transit_days, |step| step.days))
    }

    /// Whether whole plans are compared, and not only the best location taken for each line.
    pub fn compares_plans(&self) -> bool {
        self.split_weight > 0.0 || self.whole_order_first || self.max_locations > 0
    }
}

/// The great circle between two points in degrees, by the haversine formula.
pub fn distance_km(from: (f64, f64), to: (f64, f64)) -> f64 {
    let (lat_a, lat_b) = (from.0.to_radians(), to.0.to_radians());
    let half_lat = (lat_b - lat_a) / 2.0;
    let half_lon = (to.1 - from.1).to_radians() / 2.0;
    let a = half_lat.sin().powi(2) + lat_a.cos() * lat_b.cos() * half_lon.sin().powi(2);
    2.0 * EARTH_KM * a.clamp(0.0, 1.0).sqrt().asin()
}
