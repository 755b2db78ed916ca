//! Who waits for which order, in this process. Only a shortcut: whoever waits also looks by himself now and then, because
//! another replica may have done the work.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use uuid::Uuid;

/// Clones share the list.
#[derive(Clone, Default)]
pub struct Wakes(Arc<Mutex<HashMap<Uuid, Vec<Arc<Notify>>>>>);

/// Somebody who waits for any of some orders; dropped when he does not any more.
pub struct Waiting {
    wakes: Wakes,
    order_ids: Vec<Uuid>,
    notify: Arc<Notify>,
}

impl Wakes {
    /// Begins to wait. What happens from now on is not missed.
    pub fn wait_for(&self, order_ids: &[Uuid]) -> Waiting {
        let notify = Arc::new(Notify::new());
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for order_id in order_ids {
            list.entry(*order_id).or_default().push(notify.clone());
        }
        Waiting { wakes: self.clone(), order_ids: order_ids.to_vec(), notify }
    }

    /// Whether somebody waits for one of these orders.
    pub fn is_awaited<'a>(&self, order_ids: impl IntoIterator<Item = &'a Uuid>) -> bool {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !list.is_empty() && order_ids.into_iter().any(|order_id| list.contains_key(order_id))
    }

    /// Wakes those who wait for any of these orders.
    pub fn wake(&self, order_ids: impl IntoIterator<Item = Uuid>) {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if list.is_empty() {
            return;
        }
        for order_id in order_ids {
            // A permit is kept for one who is not listening at this moment.
            list.get(&order_id).into_iter().flatten().for_each(|waiting| waiting.notify_one());
        }
    }
}

impl Waiting {
    /// Until one of the orders changes.
    pub async fn woken(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut list = self.wakes.0.lock().unwrap_or_else(PoisonError::into_inner);
        for order_id in &self.order_ids {
            if let Entry::Occupied(mut entry) = list.entry(*order_id) {
                entry.get_mut().retain(|notify| !Arc::ptr_eq(notify, &self.notify));
                if entry.get().is_empty() {
                    entry.remove();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_before_listening_is_not_missed_and_nothing_is_left_behind() {
        let (wakes, ids) = (Wakes::default(), [Uuid::now_v7(), Uuid::now_v7()]);
        let waiting = wakes.wait_for(&ids);
        let other = wakes.wait_for(&ids[..1]);
        assert!(wakes.is_awaited(&ids[..1]) && !wakes.is_awaited(&[Uuid::now_v7()]));
        wakes.wake([ids[1]]);
        waiting.woken().await;
        drop(waiting);
        drop(other);
        assert!(wakes.0.lock().unwrap().is_empty());
    }
}
