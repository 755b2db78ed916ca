//! Takes back from the warehouse what an order no longer wants, or what is known not to be there.

use super::{Action, FulfilmentOrder, Line, Moved};
use crate::error::Error;
use crate::id::LocationId;
use std::collections::{BTreeMap, BTreeSet};

/// What to withdraw: quantities by order line and location.
pub type Wanted = BTreeMap<(i32, LocationId), i64>;

/// Withdraws all that is wanted from the fulfilment orders of one order, the newest first, or nothing. What was taken
/// of which fulfilment order, by its place in `orders`.
///
/// # Errors
/// [`Error::AlreadyPicked`] names the lines of which less is open. `orders` is then to be thrown away.
pub fn withdraw(orders: &mut [FulfilmentOrder], wanted: &Wanted) -> Result<BTreeMap<usize, Vec<Moved>>, Error> {
    let (taken, left) = take(orders, wanted, |line, quantity| line.withdrawn += quantity);
    let missing: BTreeSet<i32> = left.into_iter().filter(|(_, left)| *left > 0).map(|((no, _), _)| no).collect();
    if missing.is_empty() { Ok(taken) } else { Err(Error::AlreadyPicked { lines: missing.into_iter().collect() }) }
}

/// Counts what is missing as not found, as far as it is not picked: what is picked was there. What was taken of which
/// fulfilment order, by its place in `orders`.
pub fn miss(orders: &mut [FulfilmentOrder], missing: &Wanted) -> BTreeMap<usize, Vec<Moved>> {
    take(orders, missing, |line, quantity| line.short += quantity).0
}

/// Takes what is wanted and open, from the newest fulfilment orders first; and what of it was not there.
fn take(
    orders: &mut [FulfilmentOrder],
    wanted: &Wanted,
    take: impl Fn(&mut Line, i64),
) -> (BTreeMap<usize, Vec<Moved>>, Wanted) {
    let mut left = wanted.clone();
    let mut taken: BTreeMap<usize, Vec<Moved>> = BTreeMap::new();
    let mut newest_first: Vec<usize> = (0..orders.len()).collect();
    newest_first.sort_by_key(|i| std::cmp::Reverse(orders[*i].number));
    for i in newest_first {
        let order = &mut orders[i];
        if !order.state().allows(Action::Withdraw) {
            continue;
        }
        for line in &mut order.lines {
            let Some(wanted) = left.get_mut(&(line.line_no, order.location_id)) else { continue };
            let quantity = line.open().min(*wanted);
            if quantity > 0 {
                take(line, quantity);
                *wanted -= quantity;
                taken.entry(i).or_default().push(line.moved(quantity));
            }
        }
    }
    (taken, left)
}
