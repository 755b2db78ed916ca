//! How much of an item goes, a day.

/// Demand of a window of whole days: its mean, and how much it varies.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Demand {
    /// Units a day.
    pub mean: f64,
    /// Standard deviation of a day's units.
    pub std: f64,
    /// Days of the window, those without demand among them.
    pub days: i32,
    /// Units of the whole window.
    pub units: f64,
}

/// Of a window of `days` (at least 2), from the sum of its days' units and the sum of their squares; days without demand
/// count as 0. The standard deviation is the sample's: √((Σx² − n·x̄²) ÷ (n − 1)).
pub fn of_window(days: i32, sum: f64, sum_of_squares: f64) -> Demand {
    let n = f64::from(days.max(2));
    let mean = sum / n;
    let variance = ((sum_of_squares - n * mean * mean) / (n - 1.0)).max(0.0);
    Demand { mean, std: variance.sqrt(), days, units: sum }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        // 2, 4, 4, 4, 5, 5, 7, 9: the mean is 5, the squares deviate by 32 in all, 32 ÷ 7 = 4.571, its root 2.138.
        let demand = of_window(8, 40.0, 232.0);
        assert_eq!((demand.mean, demand.units, demand.days), (5.0, 40.0, 8));
        assert!((demand.std - 2.138_090).abs() < 1e-6);
        // One sale of 10 in ten days: the mean is 1, the squares deviate by 81 + 9 = 90, √10.
        let lumpy = of_window(10, 10.0, 100.0);
        assert!((lumpy.std - 10f64.sqrt()).abs() < 1e-12);
        assert_eq!(of_window(30, 0.0, 0.0), Demand { days: 30, ..Demand::default() });
    }

    proptest! {
        #[test]
        fn the_sums_say_what_the_days_say(days in prop::collection::vec(0u32..10_000, 2..100)) {
            let units: Vec<f64> = days.iter().map(|day| f64::from(*day)).collect();
            let n = units.len() as f64;
            let mean = units.iter().sum::<f64>() / n;
            let variance = units.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let sums = (units.iter().sum(), units.iter().map(|x| x * x).sum());
            let demand = of_window(i32::try_from(units.len()).unwrap(), sums.0, sums.1);
            prop_assert!((demand.mean - mean).abs() < 1e-6 && (demand.std - variance.sqrt()).abs() < 1e-3);
        }
    }
}
