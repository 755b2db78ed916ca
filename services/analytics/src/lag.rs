//! How far this replica is behind.

use std::sync::atomic::{AtomicBool, Ordering};

/// The services followed.
pub const SOURCES: [&str; 4] = ["order", "inventory", "fulfilment", "billing"];

/// Which feeds this replica saw the end of when it last looked. A replica that is not the one to read a feed now sees
/// nothing of it.
#[derive(Debug, Default)]
pub struct Lag([AtomicBool; SOURCES.len()]);

impl Lag {
    /// True when the last look at a feed found no further event.
    pub fn caught_up(&self, source: &str) -> bool {
        self.flag(source).is_some_and(|flag| flag.load(Ordering::Acquire))
    }

    /// All feeds are read again.
    pub fn reset(&self) {
        self.0.iter().for_each(|flag| flag.store(false, Ordering::Release));
    }

    /// Takes note of a look at a feed.
    pub fn set(&self, source: &str, caught_up: bool) {
        if let Some(flag) = self.flag(source) {
            flag.store(caught_up, Ordering::Release);
        }
    }

    fn flag(&self, source: &str) -> Option<&AtomicBool> {
        SOURCES.iter().position(|known| *known == source).and_then(|place| self.0.get(place))
    }
}
