//! Available-to-promise over time.

/// What of an item can be promised in a bucket of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// Free at its end if nothing more is promised; may be negative.
    pub projected: i64,
    /// Can be promised for this bucket or any later one.
    pub available: i64,
    /// Of it, what could not be promised for the bucket before.
    pub new: i64,
}

/// Cumulative available-to-promise with look-ahead: what is free now, plus all that comes and less all that goes up to a
/// bucket, is projected for it; what can be promised for it is the least that is projected for it or any later one, and
/// not below 0. So a promise for an early day never starves a later need that is known already.
///
/// `free` is on hand − reserved − safety − waiting, and may be negative. `coming` and `going` are by bucket, of the same
/// length.
///
/// Source: the ATP rule of master production scheduling (e.g. Vollmann, Berry, Whybark & Jacobs, Manufacturing Planning
/// and Control, "available-to-promise with look-ahead").
pub fn available_to_promise(free: i64, coming: &[i64], going: &[i64]) -> Vec<Promise> {
    let mut projected = Vec::with_capacity(coming.len());
    let mut level = free;
    for (coming, going) in coming.iter().zip(going) {
        level = level.saturating_add(*coming).saturating_sub(*going);
        projected.push(level);
    }
    let mut least = i64::MAX;
    let mut available: Vec<i64> = projected
        .iter()
        .rev()
        .map(|level| {
            least = least.min(*level);
            least.max(0)
        })
        .collect();
    available.reverse();
    let mut before = 0;
    let promise = |(projected, available): (i64, i64)| {
        let new = available - before;
        before = available;
        Promise { projected, available, new }
    };
    projected.into_iter().zip(available).map(promise).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn available(free: i64, coming: &[i64], going: &[i64]) -> Vec<i64> {
        available_to_promise(free, coming, going).iter().map(|promise| promise.available).collect()
    }

    #[test]
    fn by_hand() {
        // 20 free, 50 come in the third bucket.
        assert_eq!(available(20, &[0, 0, 50, 0], &[0; 4]), [20, 20, 70, 70]);
        // 15 are to leave in the second: only 5 of the 20 can be promised before the 50 come.
        assert_eq!(available(20, &[0, 0, 50, 0], &[0, 15, 0, 0]), [5, 5, 55, 55]);
        // A need in the last bucket that is larger than what comes takes from all before it.
        assert_eq!(available(20, &[0, 10, 0, 0], &[0, 0, 0, 25]), [5, 5, 5, 5]);
        // 8 wait already: they get the first 8 of what comes.
        let promises = available_to_promise(-8, &[0, 30], &[0, 0]);
        assert_eq!(promises[0], Promise { projected: -8, available: 0, new: 0 });
        assert_eq!(promises[1], Promise { projected: 22, available: 22, new: 22 });
    }

    fn plan() -> impl Strategy<Value = (i64, Vec<(i64, i64)>)> {
        (-500i64..500, prop::collection::vec((0i64..300, 0i64..300), 1..40))
    }

    proptest! {
        #[test]
        fn a_promise_never_starves_a_later_need((free, flows) in plan(), share in 0.0f64..=1.0, at in 0usize..40) {
            let (coming, going): (Vec<i64>, Vec<i64>) = flows.into_iter().unzip();
            let before = available_to_promise(free, &coming, &going);
            let at = at % coming.len();
            #[expect(clippy::cast_possible_truncation, reason = "a share of a small whole number")]
            let promised = (before[at].available as f64 * share) as i64;
            let mut with_promise = going.clone();
            with_promise[at] += promised;
            let after = available_to_promise(free, &coming, &with_promise);
            for (bucket, (was, is)) in before.iter().zip(&after).enumerate() {
                // Whatever was there at any time from now on is there still, unless it was missing before.
                prop_assert!(is.projected >= 0 || is.projected == was.projected || bucket >= at && was.projected < promised);
                prop_assert!(bucket < at || is.projected >= 0 || promised == 0);
            }
            // All of it can be promised, and not one more.
            prop_assert!(after[at].available == before[at].available - promised);
        }

        #[test]
        fn it_never_falls_and_never_exceeds_what_is_projected((free, flows) in plan()) {
            let (coming, going): (Vec<i64>, Vec<i64>) = flows.into_iter().unzip();
            let promises = available_to_promise(free, &coming, &going);
            prop_assert!(promises.windows(2).all(|pair| pair[0].available <= pair[1].available));
            prop_assert!(promises.iter().all(|p| p.new >= 0 && p.available <= p.projected.max(0)));
            prop_assert_eq!(promises.iter().map(|p| p.new).sum::<i64>(), promises.last().unwrap().available);
        }
    }
}
