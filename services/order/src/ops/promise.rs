//! Promising orders that are not placed: inventory is asked to hold stock under the id that the order will have, and when
//! it would ship and arrive. That it is asked is written down before, and its facts about what it holds are followed, so
//! that the books of both agree also on stock that is held for an order that nobody has placed.

use crate::convert;
use crate::convert::promise::{PromiseOrder, ReleasePromise, token_text};
use crate::draft::{Draft, Ready};
use crate::error::Error;
use crate::line::LinePromise;
use crate::ops::ready::{customers_of, make_ready};
use crate::ops::verify::foresee;
use crate::ops::{Books, answer, claim, place};
use crate::order::Hold;
use crate::settlement::{Fate, Work};
use crate::store;
use crate::store::promise::Kept;
use pesan_api::inventory::v1 as inventory;
use pesan_api::inventory::v1::reservation_service_client::ReservationServiceClient;
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::channel::PeerChannel;
use pesan_grpc::json;
use pesan_grpc::parse::{from_timestamp, to_timestamp};
use prost::{Message as _, Name as _};
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use uuid::Uuid;

/// How long a promise that holds nothing can be redeemed, and one that is being asked for is waited for.
const LIVES: time::Duration = time::Duration::minutes(15);
/// What is held is not redeemed in the last moments before inventory lets it lapse: at most so long, at most a tenth.
const MARGIN: time::Duration = time::Duration::seconds(30);
/// After so long an answer of inventory does not come any more.
const LOST: time::Duration = time::Duration::minutes(1);
/// Between looks for what was never answered, in looks of a worker.
const PAUSES: u32 = 20;
/// Inventory is asked again where its facts overtook its answer.
const TRIES: usize = 4;

/// What promises.
#[derive(Clone)]
pub struct Promiser {
    /// The service's books.
    pub books: Books,
    /// Asked what there is.
    pub inventory: ReservationServiceClient<PeerChannel>,
}

/// What inventory holds.
struct Held {
    lines: Vec<LinePromise>,
    version: i64,
    expires_at: Option<OffsetDateTime>,
}

impl Promiser {
    /// Promises an order.
    pub async fn promise(&self, command: &PromiseOrder) -> Result<pb::OrderPromise, Error> {
        let mut kept = match self.begin(command).await? {
            Ok(kept) => kept,
            Err(answer) => return Ok(answer),
        };
        let draft = Draft { order_id: kept.order_id, ..command.draft.clone() };
        let ready = self.ready(&draft).await?;
        let rules = self.foresee(&ready).await?;
        let work = place::work(&ready, 0);
        for _ in 0..TRIES {
            let (held, is_refused) = match command.hold_stock {
                true => self.reserve(&work).await?,
                false => (None, false),
            };
            let told = self.ask(&work).await;
            let now = self.books.clock.now();
            kept.expires_at = match held.as_ref().and_then(|held| held.expires_at) {
                Some(lapses_at) => lapses_at - MARGIN.min((lapses_at - now) / 10),
                None => now + LIVES,
            };
            kept.inventory_version = held.as_ref().map_or(0, |held| held.version);
            kept.held = held.map(|held| held.lines);
            kept.answer = told.as_ref().ok().map(|told| {
                let mut promise = convert::promise::promise(&ready, told);
                promise.refused |= is_refused;
                promise.expires_at = Some(to_timestamp(kept.expires_at));
                promise.stock_held = kept.held.is_some();
                promise.rules = Some(rules.clone());
                if !promise.refused {
                    promise.token = token_text(kept.token);
                }
                promise.encode_to_vec()
            });
            if let Some(answer) = self.write(&kept).await? {
                told?;
                return Ok(answer);
            }
        }
        Err(Error::PeerUnavailable("inventory"))
    }

    /// The promise to be asked for, or the answer there is. A request that was given up before it was answered goes on.
    async fn begin(&self, command: &PromiseOrder) -> Result<Result<Kept, pb::OrderPromise>, Error> {
        self.ready(&command.draft).await?;
        let now = self.books.clock.now();
        let mut tx = store::begin(&self.books.pool).await?;
        let request = command.request.encode_to_vec();
        let new = Kept {
            order_id: command.draft.order_id,
            token: Uuid::new_v4(),
            request: request.clone(),
            wanted: command.wanted.clone(),
            hold_stock: command.hold_stock,
            expires_at: now + LIVES,
            answer: None,
            held: None,
            inventory_version: 0,
            redeemed_at: None,
        };
        let lines = store::column(command.draft.lines.len() as i64)?;
        if store::promise::insert(&mut tx, &new, command.request_id, lines, now).await? {
            tx.commit().await?;
            return Ok(Ok(new));
        }
        let known = store::promise::of_request(&mut tx, command.request_id).await?.ok_or(Error::Contention)?;
        if known.request != request {
            let name = pb::PromiseOrderRequest::full_name();
            return Err(Error::RequestIdReused(json::differing_fields(&name, &known.request, &request)));
        }
        match &known.answer {
            Some(answer) => Ok(Err(decode(answer)?)),
            None => Ok(Ok(known)),
        }
    }

    /// The order with all that it leaves open decided.
    async fn ready<'d>(&self, draft: &'d Draft) -> Result<Ready<'d>, Error> {
        let mut conn = self.books.pool.acquire().await?;
        let settings = self.books.settings.current(&mut conn).await?;
        let customers = customers_of(&mut conn, std::slice::from_ref(draft)).await?;
        make_ready(draft, &customers, &settings, self.books.clock.now())
    }

    /// What would become of it by the rules if it were placed now.
    async fn foresee(&self, ready: &Ready<'_>) -> Result<pb::RulePreview, Error> {
        let mut conn = self.books.pool.acquire().await?;
        let settings = self.books.settings.current(&mut conn).await?;
        let customers = customers_of(&mut conn, std::slice::from_ref(ready.draft)).await?;
        let customer = customers.of(&ready.draft.buyer);
        let verdict = foresee(&mut conn, &settings.rules, ready, customer, self.books.clock.now()).await?;
        let holds: Vec<Hold> = ready.holds.iter().chain(&verdict.holds).cloned().collect();
        Ok(convert::rules::preview(&holds, &verdict))
    }

    /// Has inventory hold what it can; none, and true, where it refuses all of it for want of stock.
    async fn reserve(&self, work: &Work) -> Result<(Option<Held>, bool), Error> {
        use inventory::reserve_result::Outcome;
        let demands = vec![demand(work)];
        let answer = self.inventory.clone().reserve(inventory::ReserveRequest { demands }).await;
        let result = answer.map_err(|status| Error::unanswered("inventory", &status))?.into_inner().results.pop();
        let result = result.ok_or(Error::PeerUnavailable("inventory"))?;
        let expires_at = match &result.outcome {
            Some(Outcome::Reservation(reservation)) => reservation.expires_at.as_ref().and_then(from_timestamp),
            Some(Outcome::Problem(_)) | None => None,
        };
        match convert::settle::promise(work, result) {
            Ok(promise) => Ok((Some(Held { lines: promise.lines, version: promise.version, expires_at }), false)),
            Err(Fate::Reject(why)) if why.iter().all(|why| why.reason == "OUT_OF_STOCK") => Ok((None, true)),
            Err(Fate::Reject(why)) => {
                Err(Error::CannotPromise(why.into_iter().map(|why| (why.reason, why.field)).collect()))
            }
            Err(_) => Err(Error::PeerUnavailable("inventory")),
        }
    }

    /// Asks inventory when it would ship and arrive.
    async fn ask(&self, work: &Work) -> Result<inventory::OrderPromise, Error> {
        use inventory::promise_result::Outcome;
        let demands = vec![demand(work)];
        let answer = self.inventory.clone().promise(inventory::PromiseRequest { demands }).await;
        let mut results = answer.map_err(|status| Error::unanswered("inventory", &status))?.into_inner().results;
        match results.pop().and_then(|result| result.outcome) {
            Some(Outcome::Promise(promise)) => Ok(promise),
            Some(Outcome::Problem(problem)) if !problem.retryable => {
                let fields = problem.violations.iter().map(|violation| violation.field.clone());
                let mut why: Vec<_> = fields.map(|field| (problem.reason.clone(), field)).collect();
                if why.is_empty() {
                    why.push((problem.reason, String::new()));
                }
                Err(Error::CannotPromise(why))
            }
            Some(Outcome::Problem(_)) | None => Err(Error::PeerUnavailable("inventory")),
        }
    }

    /// Writes down what inventory said; the promise as it is now. None where inventory's facts overtook its answer.
    async fn write(&self, kept: &Kept) -> Result<Option<pb::OrderPromise>, Error> {
        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [kept.order_id]).await?;
        let known = store::promise::of_orders(&mut tx, &[kept.order_id]).await?.pop();
        let known = known.ok_or(Error::Broken("a promise that is asked for"))?;
        if let Some(answer) = &known.answer {
            return Ok(Some(decode(answer)?)); // somebody else asked at the same time
        }
        if kept.held.is_some() && kept.inventory_version < known.inventory_version {
            return Ok(None);
        }
        let inventory_version = kept.inventory_version.max(known.inventory_version);
        store::promise::write(&mut tx, &Kept { inventory_version, ..kept.clone() }).await?;
        tx.commit().await?;
        Ok(Some(kept.answer.as_deref().map(decode).transpose()?.unwrap_or_default()))
    }

    /// Lets a promise go before it expires; without any effect where that has happened already.
    pub async fn release(&self, command: &ReleasePromise) -> Result<pb::ReleasePromiseResponse, Error> {
        let now = self.books.clock.now();
        let mut tx = store::begin(&self.books.pool).await?;
        // Which order a token is for never changes; how it stands is asked under the lock.
        let order_ids = store::promise::orders_of(&mut tx, &[command.token]).await?;
        let order_id = order_ids.first().copied().ok_or(Error::PromiseNotFound)?;
        pesan_feed::lock(&mut tx, [order_id]).await?;
        let method = "pesan.order.v1.ReleasePromiseRequest";
        if let Some(earlier) = claim(&mut tx, command.request_id, method, &command.request).await? {
            return Ok(earlier);
        }
        let known = store::promise::of_orders(&mut tx, &[order_id]).await?.pop().ok_or(Error::PromiseNotFound)?;
        if known.redeemed_at.is_some() {
            return Err(Error::PromiseRedeemed);
        }
        let holds_stock = known.held.is_some();
        let freed = Kept { expires_at: known.expires_at.min(now), held: None, ..known };
        store::promise::write(&mut tx, &freed).await?;
        if holds_stock {
            let fact = pb::PromiseReleased { order_id: order_id.to_string() };
            pesan_feed::append(&mut tx, &[NewEvent::new(order_id, 1, &fact, now).of_journey(order_id)]).await?;
        }
        let response = pb::ReleasePromiseResponse {};
        answer(&mut tx, command.request_id, &response).await?;
        tx.commit().await?;
        self.books.changed([order_id]);
        Ok(response)
    }

    /// Looks what inventory holds for promises whose answer nobody wrote down.
    pub async fn tidy(&self) -> Result<(), Error> {
        let now = self.books.clock.now();
        let lost = {
            let mut conn = self.books.pool.acquire().await?;
            store::promise::unanswered(&mut conn, now, now - LOST).await?
        };
        for order_id in lost {
            let request = inventory::GetReservationRequest { order_id: order_id.to_string() };
            let held = match self.inventory.clone().get_reservation(request).await {
                Ok(answer) => answer.into_inner().reservation.and_then(convert::settle::held),
                Err(status) if status.code() == Code::NotFound => None,
                Err(status) => return Err(Error::unanswered("inventory", &status)),
            };
            let mut tx = store::begin(&self.books.pool).await?;
            pesan_feed::lock(&mut tx, [order_id]).await?;
            let Some(mut known) = store::promise::of_orders(&mut tx, &[order_id]).await?.pop() else { continue };
            let is_overtaken = held.as_ref().is_some_and(|held| held.version < known.inventory_version);
            if known.answer.is_some() || is_overtaken {
                continue;
            }
            // Nobody has its token.
            known.expires_at = now;
            if let Some(held) = held {
                known.inventory_version = held.version;
                known.held = Some(held.lines).filter(|lines| holds_any(lines));
            }
            store::promise::write(&mut tx, &known).await?;
            tx.commit().await?;
        }
        Ok(())
    }

    /// Tidies until `stop`.
    pub async fn recover(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.tidy().await {
                tracing::info!(%error, "promises cannot be tidied; trying again");
            }
            let pause: Duration = self.books.patience.look * PAUSES;
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

fn demand(work: &Work) -> inventory::OrderDemand {
    convert::settle::demand(work, work.traceparent.as_deref().unwrap_or_default())
}

fn decode(bytes: &[u8]) -> Result<pb::OrderPromise, Error> {
    pb::OrderPromise::decode(bytes).map_err(|_| Error::Broken("a stored promise"))
}

/// True where anything is reserved or waits.
pub(super) fn holds_any(lines: &[LinePromise]) -> bool {
    lines.iter().any(|line| line.reserved_in_all() + line.backordered > 0)
}
