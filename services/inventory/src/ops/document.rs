//! What purchase orders, transfers and counts have in common: found by id or number, made and changed once by request,
//! under their own lock, and written with their facts in the transaction of the change.

use super::{Inventory, insist, once};
use crate::document::DocumentKind;
use crate::error::Error;
use crate::item::ItemId;
use crate::location::LocationId;
use crate::stock::StockKey;
use crate::store;
use pesan_feed::NewEvent;
use pesan_grpc::idempotency::Claim;
use prost::{Message, Name};
use sqlx::{PgConnection, Postgres, Transaction};
use time::OffsetDateTime;
use uuid::Uuid;

/// One of the three kinds.
pub(super) trait Document: Send + Sized {
    const KIND: DocumentKind;
    /// What callers see of it.
    type Shown: Message + Default;

    fn id(&self) -> Uuid;

    /// How many facts were told of it.
    fn facts(&mut self) -> &mut i64;

    async fn find(conn: &mut PgConnection, id: Uuid) -> sqlx::Result<Option<Self>>;

    /// Writes it, and, where it is new, numbers it.
    async fn save(&mut self, conn: &mut PgConnection) -> sqlx::Result<()>;

    async fn show(&self, inventory: &Inventory, conn: &mut PgConnection) -> Result<Self::Shown, Error>;
}

/// A document that is being made or changed, in its transaction.
pub(super) struct Change<D> {
    pub tx: Transaction<'static, Postgres>,
    pub of: D,
    pub events: Vec<NewEvent>,
}

impl<D: Document> Change<D> {
    /// Tells a fact of the document.
    pub fn tell<M: Message + Name>(&mut self, fact: &M, at: OffsetDateTime) {
        let (id, facts) = (self.of.id(), self.of.facts());
        *facts += 1;
        self.events.push(NewEvent::new(id, *facts, fact, at));
    }

    async fn finish(mut self, inventory: &Inventory, claim: &Claim) -> Result<D::Shown, Error> {
        self.of.save(&mut self.tx).await?;
        let answer = self.of.show(inventory, &mut self.tx).await?;
        once::keep(&mut self.tx, claim, &answer).await?;
        pesan_feed::append(&mut self.tx, &self.events).await?;
        self.tx.commit().await?;
        inventory.feed.wake();
        Ok(answer)
    }
}

/// Makes a document.
pub(super) async fn create<D, F>(
    inventory: &Inventory,
    claim: &Claim,
    make: impl Fn(Transaction<'static, Postgres>) -> F,
) -> Result<D::Shown, Error>
where
    D: Document,
    F: Future<Output = Result<Change<D>, Error>>,
{
    insist(async || {
        let mut tx = store::begin(&inventory.pool).await?;
        if let Some(answer) = once::answered(&mut tx, claim).await? {
            return Ok(answer);
        }
        make(tx).await?.finish(inventory, claim).await
    })
    .await
}

/// Changes a document.
pub(super) async fn change<D, F>(
    inventory: &Inventory,
    claim: &Claim,
    name: &str,
    work: impl Fn(Change<D>) -> F,
) -> Result<D::Shown, Error>
where
    D: Document,
    F: Future<Output = Result<Change<D>, Error>>,
{
    let id = id(inventory, D::KIND, name).await?;
    insist(async || change_locked(inventory, claim, id, &[], &work).await).await
}

/// Changes a document, once, whose change needs the locks of orders too.
pub(super) async fn change_locked<D, F>(
    inventory: &Inventory,
    claim: &Claim,
    id: Uuid,
    orders: &[Uuid],
    work: impl Fn(Change<D>) -> F,
) -> Result<D::Shown, Error>
where
    D: Document,
    F: Future<Output = Result<Change<D>, Error>>,
{
    let mut tx = store::begin(&inventory.pool).await?;
    pesan_feed::lock(&mut tx, orders.iter().copied().chain([id])).await?;
    if let Some(answer) = once::answered(&mut tx, claim).await? {
        return Ok(answer);
    }
    let of = read(&mut tx, id).await?;
    work(Change { tx, of, events: Vec::new() }).await?.finish(inventory, claim).await
}

/// A document as it is shown.
pub(super) async fn get<D: Document>(inventory: &Inventory, name: &str) -> Result<D::Shown, Error> {
    let id = id(inventory, D::KIND, name).await?;
    let mut tx = store::begin_snapshot(&inventory.pool).await?;
    let answer = read::<D>(&mut tx, id).await?.show(inventory, &mut tx).await?;
    tx.commit().await?;
    Ok(answer)
}

/// The id of a document that is called by its id or number.
pub(super) async fn id(inventory: &Inventory, kind: DocumentKind, name: &str) -> Result<Uuid, Error> {
    let not_found = || Error::DocumentNotFound(kind, name.to_owned());
    let mut conn = inventory.pool.acquire().await?;
    let name = kind.parse(name).ok_or_else(not_found)?;
    store::document::id(&mut conn, kind, name).await?.ok_or_else(not_found)
}

/// A document that has this id.
pub(super) async fn read<D: Document>(conn: &mut PgConnection, id: Uuid) -> Result<D, Error> {
    D::find(conn, id).await?.ok_or_else(|| Error::DocumentNotFound(D::KIND, id.to_string()))
}

/// The stock of items at a location: in key order, each once.
pub(super) fn keys(items: impl Iterator<Item = ItemId>, location: LocationId) -> Vec<StockKey> {
    let mut keys: Vec<StockKey> = items.map(|item| StockKey { item, location }).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}
