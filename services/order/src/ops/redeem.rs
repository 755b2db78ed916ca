//! Placing orders with what was promised to them.

use crate::convert::promise::{dates, promised_prices, without_new_prices};
use crate::delivery::Dates;
use crate::draft::{Draft, Ready};
use crate::error::Error;
use crate::line::Line;
use crate::quantities::Quantities;
use crate::store;
use crate::store::delivery::NewTerms;
use crate::store::promise::Kept;
use pesan_api::order::v1 as pb;
use pesan_grpc::json;
use pesan_money::Currency;
use prost::{Message as _, Name as _};
use sqlx::PgConnection;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// What the drafts of a batch redeem.
#[derive(Default)]
pub(super) struct Redemption {
    /// By order.
    promises: HashMap<Uuid, Kept>,
    /// Why not, by the draft's own id.
    pub refused: HashMap<Uuid, Error>,
}

/// Finds the promises that drafts redeem; each gets the order id and the prices of its own. Costs nothing where none does. Has to come
/// first in its transaction: it locks the orders.
///
/// # Errors
/// Contention where two of the batch redeem the same: one by one they get their answers.
pub(super) async fn redeem<'d>(
    conn: &mut PgConnection,
    drafts: &'d [Draft],
    now: OffsetDateTime,
) -> Result<(Cow<'d, [Draft]>, Redemption), Error> {
    let mut redemption = Redemption::default();
    if drafts.iter().all(|draft| draft.promise.is_none()) {
        return Ok((Cow::Borrowed(drafts), redemption));
    }
    let tokens: Vec<Uuid> = drafts.iter().filter_map(|draft| draft.promise.as_ref()?.token).collect();
    if tokens.iter().collect::<HashSet<_>>().len() < tokens.len() {
        return Err(Error::Contention);
    }
    let order_ids = store::promise::orders_of(conn, &tokens).await?;
    pesan_feed::lock(conn, order_ids.iter().copied()).await?;
    let kept = store::promise::of_orders(conn, &order_ids).await?;
    let mut by_token: HashMap<Uuid, Kept> = kept.into_iter().map(|kept| (kept.token, kept)).collect();
    let mut drafts = drafts.to_vec();
    for draft in &mut drafts {
        let Some(promise) = &draft.promise else { continue };
        let kept = judge(promise.token.and_then(|token| by_token.remove(&token)), &promise.wanted, now);
        match kept.and_then(|kept| take_prices(draft, &kept).map(|()| kept)) {
            Ok(kept) => {
                draft.order_id = kept.order_id;
                redemption.promises.insert(kept.order_id, kept);
            }
            Err(refusal) => {
                redemption.refused.insert(draft.order_id, refusal);
            }
        }
    }
    Ok((Cow::Owned(drafts), redemption))
}

fn judge(kept: Option<Kept>, wanted: &[u8], now: OffsetDateTime) -> Result<Kept, Error> {
    let kept = kept.filter(|kept| kept.answer.is_some()).ok_or(Error::PromiseExpired)?;
    if kept.redeemed_at.is_some() {
        return Err(Error::PromiseRedeemed);
    }
    let has_lapsed = kept.hold_stock && kept.held.is_none();
    if kept.expires_at <= now || has_lapsed {
        return Err(Error::PromiseExpired);
    }
    if kept.wanted != wanted && without_new_prices(wanted, &kept.wanted).as_ref() != Some(&kept.wanted) {
        let name = pb::NewOrder::full_name();
        let mut fields = json::differing_fields(&name, &kept.wanted, wanted);
        if fields.is_empty() {
            fields.push("order".to_owned());
        }
        return Err(Error::PromiseDiffers(fields));
    }
    Ok(kept)
}

/// Freezes what was promised: what the draft costs, and in which currency.
fn take_prices(draft: &mut Draft, kept: &Kept) -> Result<(), Error> {
    let answer = answer_of(Some(kept))?;
    let currency: Currency = answer.currency_code.parse().map_err(|_| Error::Broken("a stored promise"))?;
    if draft.currency.is_some_and(|own| own != currency) {
        return Err(Error::PromiseDiffers(vec!["currency_code".to_owned()]));
    }
    (draft.currency, draft.currency_is_given) = (Some(currency), true);
    if let Some(promise) = &mut draft.promise {
        promise.prices = Some(promised_prices(&answer));
        let promised = dates(answer.ship_at.as_ref(), answer.deliver_at.as_ref());
        promise.promised_at = promised.ship_at.or(promised.deliver_at);
    }
    Ok(())
}

/// What was told; nothing without a promise.
fn answer_of(kept: Option<&Kept>) -> Result<pb::OrderPromise, Error> {
    let answer = kept.and_then(|kept| kept.answer.as_deref()).unwrap_or_default();
    pb::OrderPromise::decode(answer).map_err(|_| Error::Broken("a stored promise"))
}

impl Redemption {
    /// Writes, for orders that were just inserted, their terms of delivery and what was promised to them: what inventory
    /// holds for them already is theirs from the start. Costs nothing where there is nothing of the kind.
    pub async fn write(self, conn: &mut PgConnection, new: &[Ready<'_>], now: OffsetDateTime) -> Result<(), Error> {
        let mut terms = Vec::new();
        for ready in new {
            let draft = ready.draft;
            let kept = self.promises.get(&draft.order_id);
            if draft.delivery.is_some() || kept.is_some() {
                terms.push(terms_of(draft, kept)?);
            }
        }
        store::delivery::insert(conn, &terms).await?;
        let redeemed: Vec<(&Ready<'_>, &Kept)> =
            new.iter().filter_map(|ready| Some((ready, self.promises.get(&ready.draft.order_id)?))).collect();
        if redeemed.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = redeemed.iter().map(|(_, kept)| kept.order_id).collect();
        store::promise::redeem(conn, &ids, now).await?;
        let mut heads = store::order::heads(conn, &ids).await?;
        let mut lines: Vec<(Uuid, Line)> = Vec::new();
        for (_, kept) in redeemed.iter().filter(|(ready, _)| ready.verdict.rejection.is_none()) {
            let (Some(held), Some(head)) = (&kept.held, heads.get_mut(&kept.order_id)) else { continue };
            let own = held.iter().map(Line::promised).collect::<Result<Vec<Line>, _>>()?;
            head.standing.quantities = own.iter().map(|line| line.quantities).sum::<Quantities>();
            head.inventory_version = kept.inventory_version;
            lines.extend(own.into_iter().map(|line| (kept.order_id, line)));
        }
        heads.retain(|_, head| head.inventory_version > 0);
        let mut ids: Vec<Uuid> = heads.keys().copied().collect();
        ids.sort_unstable();
        store::order::write(conn, &ids.iter().filter_map(|id| heads.get(id)).collect::<Vec<_>>()).await?;
        store::line::write(conn, &lines.iter().map(|(id, line)| (*id, line)).collect::<Vec<_>>()).await
    }
}

fn terms_of<'a>(draft: &'a Draft, kept: Option<&Kept>) -> Result<NewTerms<'a>, Error> {
    let promise = answer_of(kept)?;
    let mut lines: Vec<(i32, Dates, Dates)> = promise
        .lines
        .iter()
        .map(|line| (line.line_no, Dates::default(), dates(line.ship_at.as_ref(), line.deliver_at.as_ref())))
        .collect();
    let terms = draft.delivery.as_deref();
    for (line_no, requested) in terms.iter().flat_map(|terms| &terms.lines) {
        match lines.iter_mut().find(|line| line.0 == *line_no) {
            Some(line) => line.1 = *requested,
            None => lines.push((*line_no, *requested, Dates::default())),
        }
    }
    lines.retain(|(_, requested, promised)| !requested.is_empty() || !promised.is_empty());
    Ok(NewTerms {
        order_id: draft.order_id,
        is_complete: terms.is_some_and(|terms| terms.is_complete),
        not_before: terms.and_then(|terms| terms.not_before),
        block: terms.and_then(|terms| terms.block.as_deref()),
        requested: terms.map(|terms| terms.requested).unwrap_or_default(),
        promised: dates(promise.ship_at.as_ref(), promise.deliver_at.as_ref()),
        lines,
    })
}
