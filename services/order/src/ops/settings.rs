//! What people configure and every new order is measured by, kept in memory. Each part has a version in the table
//! `setting`, which whoever changes the part counts in the same transaction ([`changed`]); a batch of orders asks for the
//! versions, one small statement, and reads again only what is newer than the copy.
//!
//! Another part: a row in `setting` (in its migration), a [`Part`], a field of [`Settings`], and how it is read in
//! [`Cache::current`].

use crate::channel::Channels;
use crate::convert;
use crate::error::Error;
use crate::price::PriceBook;
use crate::rule::Rules;
use crate::store;
use sqlx::PgConnection;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What is configured apart from the rest, and has its own version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Channels.
    Channels,
    /// Price lists.
    Prices,
    /// Rules of verification.
    Rules,
}

impl Part {
    /// Its key in the table `setting`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Prices => "prices",
            Self::Rules => "rules",
        }
    }
}

/// All settings as they were at one moment.
#[derive(Clone, Default)]
pub struct Settings {
    /// Of the parts, by their keys.
    versions: HashMap<String, i64>,
    /// Where orders come from.
    pub channels: Arc<Channels>,
    /// What items cost.
    pub prices: Arc<PriceBook>,
    /// What new orders are verified by.
    pub rules: Arc<Rules>,
}

impl Settings {
    fn is_newer(&self, part: Part, versions: &HashMap<String, i64>) -> bool {
        self.versions.get(part.key()) != versions.get(part.key())
    }
}

/// The copy of this process; clones share it.
#[derive(Clone, Default)]
pub struct Cache(Arc<RwLock<Arc<Settings>>>);

impl Cache {
    /// The settings as they are now, seen from `conn`.
    pub async fn current(&self, conn: &mut PgConnection) -> Result<Arc<Settings>, Error> {
        // The versions first: what is read after them may be newer than they say, and is then merely read once more.
        let versions = store::setting::versions(conn).await?;
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        if known.versions == versions {
            return Ok(known);
        }
        let mut now = Settings::clone(&known);
        if known.is_newer(Part::Channels, &versions) {
            now.channels = Arc::new(Channels::of(store::channel::all(conn).await?));
        }
        if known.is_newer(Part::Prices, &versions) {
            now.prices = Arc::new(store::price::book(conn, &known.prices).await?);
        }
        if known.is_newer(Part::Rules, &versions) {
            let rules = store::rule::all(conn).await?;
            now.rules = Arc::new(Rules::of(rules.iter().map(|one| convert::rules::accepted(&one.rule)).collect()));
        }
        now.versions = versions;
        let now = Arc::new(now);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = now.clone();
        Ok(now)
    }
}

/// Makes others who change a part wait until the end of the transaction. First in it.
pub async fn lock(conn: &mut PgConnection, part: Part) -> Result<(), Error> {
    store::setting::lock(conn, part.key()).await
}

/// Says that a part changes with this transaction.
pub async fn changed(conn: &mut PgConnection, part: Part) -> Result<(), Error> {
    store::setting::count(conn, part.key()).await
}
