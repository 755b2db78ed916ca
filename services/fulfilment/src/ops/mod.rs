//! The use cases: each locks, decides, writes and publishes in one transaction, or only reads.

mod amend_returns;
mod change;
mod close_return;
mod deliver;
mod expect_returns;
mod fulfil;
mod look;
mod miss;
mod pack;
mod pick;
mod prove;
mod receive_return;
mod ship;
mod withdraw;

pub use amend_returns::{Amended, amend_returns};
pub use close_return::close_return;
pub use deliver::confirm_delivery;
pub use expect_returns::{Approved, expect_returns};
pub use fulfil::{Asked, fulfil};
pub use look::{get_order, get_return, list_orders, list_returns};
pub use miss::{Missing, miss};
pub use pack::pack;
pub use pick::pick;
pub use prove::{Digests, check_invariants, digests};
pub use receive_return::receive_return;
pub use ship::ship;
pub use withdraw::withdraw;

use crate::carrier::Carrier;
use crate::error::Error;
use pesan_feed::Feed;
use pesan_grpc::idempotency::{self, Claim, Claimed};
use pesan_host::Clock;
use sqlx::{PgConnection, PgPool};
use std::sync::Arc;

/// What the use cases work with.
#[derive(Clone)]
pub struct Ops {
    pub pool: PgPool,
    pub feed: Feed,
    pub clock: Clock,
    pub carrier: Arc<dyn Carrier>,
}

/// Claims a request; the encoded answer where it was carried out before.
async fn claim(conn: &mut PgConnection, claim: &Claim) -> Result<Option<Vec<u8>>, Error> {
    match idempotency::claim(conn, std::slice::from_ref(claim)).await?.pop() {
        Some(Claimed::New) => Ok(None),
        Some(Claimed::Answered(answer)) => Ok(Some(answer)),
        Some(Claimed::Reused(fields)) => Err(Error::RequestIdReused { fields }),
        Some(Claimed::SameAs(_)) | None => Err(Error::Broken("a single claim has no other beside it".to_owned())),
    }
}
