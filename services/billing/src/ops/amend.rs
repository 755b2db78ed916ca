//! Changing charges when orders change. On account it is one transaction. Where the provider has to hold more it is asked
//! between two, as for an authorisation: what it is asked for is written down first, and its key is the order's revision.
//! The charge itself changes in the second one: goods may leave meanwhile.

use crate::account::Change;
use crate::amendment::{Amendment, apply};
use crate::charge::{Authorisation, Charge, Method, State};
use crate::charge_line::ChargeLine;
use crate::convert;
use crate::error::{Error, Refusal};
use crate::job::{Job, JobKind};
use crate::ops::authorise::own_trace;
use crate::ops::provider::{self, Operation, PaymentProvider, Verdict};
use crate::store;
use crate::store::amendment::Progress;
use pesan_feed::NewEvent;
use pesan_money::Money;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};
use std::collections::BTreeMap;
use std::time::Duration;
use time::OffsetDateTime;
use uuid::Uuid;

type Answer = Result<Authorisation, Refusal>;

/// What has to be asked of the provider.
struct Question {
    reference: String,
    increase: Money,
}

enum Decision {
    Answered(Answer),
    Ask(Question),
}

/// Changes a charge, all of it or nothing. Idempotent by order and revision.
pub async fn amend(
    pool: &PgPool,
    provider: &dyn PaymentProvider,
    timeout: Duration,
    amendment: &Amendment,
    now: OffsetDateTime,
) -> Result<Answer, Error> {
    let question = match decide(pool, amendment, now).await? {
        Decision::Answered(answer) => return Ok(answer),
        Decision::Ask(question) => question,
    };
    let key = format!("{}/change/{}", amendment.order_id, amendment.revision);
    let Question { reference, increase } = question;
    let operation = Operation { key: key.clone(), reference, amount: increase };
    match provider::settled(provider, &key, timeout, provider.increase(operation)).await {
        Ok(verdict) => settle(pool, amendment, increase.amount, &verdict, now).await,
        Err(missing) => {
            tracing::warn!(order = %amendment.order_id, %missing, "no verdict on an increase yet");
            Ok(Err(Refusal::ProviderUnknown))
        }
    }
}

async fn decide(pool: &PgPool, amendment: &Amendment, now: OffsetDateTime) -> Result<Decision, Error> {
    let (order_id, revision) = (amendment.order_id, amendment.revision);
    let mut tx = pesan_feed::begin(pool, [order_id]).await?;
    if !store::charge::closed(&mut tx, &[order_id]).await?.is_empty() {
        return Ok(Decision::Answered(Err(Refusal::OrderClosed)));
    }
    let charge = store::charge::find(&mut tx, &[order_id]).await?.remove(&order_id);
    let Some(mut charge) = charge.filter(|charge| charge.state == State::Authorised) else {
        return Ok(Decision::Answered(Err(Refusal::NothingAuthorised)));
    };
    let reference = charge.provider_reference.clone().unwrap_or_default();
    match store::amendment::find(&mut tx, order_id, revision).await? {
        Some(Progress::Agreed) => return Ok(Decision::Answered(Ok(Authorisation::from(&charge)))),
        Some(Progress::Declined(reason)) => {
            return Ok(Decision::Answered(Err(Refusal::PaymentDeclined { reason })));
        }
        Some(Progress::Pending(increase)) => {
            return Ok(Decision::Ask(Question { reference, increase: charge.money(increase) }));
        }
        None => {}
    }
    let before = store::charge_line::find(&mut tx, &[order_id]).await?.remove(&order_id).unwrap_or_default();
    let mut lines = before.clone();
    let more = match apply(&mut lines, amendment) {
        Ok(more) => more,
        Err(refusal) => return Ok(Decision::Answered(Err(refusal))),
    };
    if charge.method == Method::Provider && more > Decimal::ZERO {
        store::amendment::put(&mut tx, order_id, revision, &Progress::Pending(more)).await?;
        tx.commit().await?;
        return Ok(Decision::Ask(Question { reference, increase: charge.money(more) }));
    }
    if let Some(customer) = charge.account() {
        let mut accounts = store::account::lock(&mut tx, &[customer]).await?;
        let account = accounts.get_mut(&customer);
        if more > Decimal::ZERO {
            let agreed = match account {
                Some(account) => account.authorise(charge.money(more)),
                None => Err(Refusal::NoAccount { currency: charge.currency }),
            };
            if let Err(refusal) = agreed {
                return Ok(Decision::Answered(Err(refusal)));
            }
        }
        let change = Change { authorised: more, ..Change::default() };
        store::account::change(&mut tx, &BTreeMap::from([(customer, change)])).await?;
    }
    write(&mut tx, amendment, &mut charge, &before, &lines, more, now).await?;
    tx.commit().await?;
    Ok(Decision::Answered(Ok(Authorisation::from(&charge))))
}

/// Writes down what the provider said.
async fn settle(
    pool: &PgPool,
    amendment: &Amendment,
    increase: Decimal,
    verdict: &Verdict,
    now: OffsetDateTime,
) -> Result<Answer, Error> {
    let (order_id, revision) = (amendment.order_id, amendment.revision);
    let mut tx = pesan_feed::begin(pool, [order_id]).await?;
    let charge = store::charge::find(&mut tx, &[order_id]).await?.remove(&order_id);
    let Some(mut charge) = charge else { return Ok(Err(Refusal::NothingAuthorised)) };
    match store::amendment::find(&mut tx, order_id, revision).await? {
        Some(Progress::Pending(_)) => {}
        Some(Progress::Agreed) => return Ok(Ok(Authorisation::from(&charge))),
        Some(Progress::Declined(reason)) => return Ok(Err(Refusal::PaymentDeclined { reason })),
        None => return Ok(Err(Refusal::ProviderUnknown)),
    }
    if let Verdict::Declined { reason } = verdict {
        store::amendment::put(&mut tx, order_id, revision, &Progress::Declined(reason.clone())).await?;
        tx.commit().await?;
        return Ok(Err(Refusal::PaymentDeclined { reason: reason.clone() }));
    }
    let before = store::charge_line::find(&mut tx, &[order_id]).await?.remove(&order_id).unwrap_or_default();
    let mut lines = before.clone();
    let applied = apply(&mut lines, amendment);
    if applied != Ok(increase) {
        // Goods left, or were cancelled, while the provider was asked: what it holds more is let go again.
        let refusal = applied.err().filter(|refusal| *refusal != Refusal::Behind);
        let refusal = refusal.unwrap_or(Refusal::LineInvoiced { line_no: 0 });
        store::amendment::put(&mut tx, order_id, revision, &Progress::Declined(refusal.to_string())).await?;
        store::amendment::set_amount(&mut tx, order_id, charge.amount + increase).await?;
        charge.voided += increase;
        let fact = convert::authorisation_voided(order_id, charge.money(increase))?;
        publish(&mut tx, amendment, &mut charge, &fact, now).await?;
        let job = Job::new(JobKind::Void, &charge, None, increase, now, &amendment.traceparent);
        store::job::add(&mut tx, &[job], now).await?;
        store::charge::advance(&mut tx, [&charge]).await?;
        tx.commit().await?;
        return Ok(Err(refusal));
    }
    write(&mut tx, amendment, &mut charge, &before, &lines, increase, now).await?;
    tx.commit().await?;
    Ok(Ok(Authorisation::from(&charge)))
}

/// Writes a charge as it is after a change that everybody agreed to.
async fn write(
    conn: &mut PgConnection,
    amendment: &Amendment,
    charge: &mut Charge,
    before: &[ChargeLine],
    lines: &[ChargeLine],
    more: Decimal,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let order_id = amendment.order_id;
    if more > Decimal::ZERO {
        charge.amount += more;
        store::amendment::set_amount(conn, order_id, charge.amount).await?;
        let fact = convert::payment_authorised(charge)?;
        publish(conn, amendment, charge, &fact, now).await?;
    } else if more < Decimal::ZERO {
        charge.voided -= more;
        let fact = convert::authorisation_voided(order_id, charge.money(-more))?;
        publish(conn, amendment, charge, &fact, now).await?;
        if charge.method == Method::Provider {
            let job = Job::new(JobKind::Void, charge, None, -more, now, &amendment.traceparent);
            store::job::add(conn, &[job], now).await?;
        }
    }
    let known = |line: &&ChargeLine| before.iter().any(|old| old.line_no == line.line_no);
    let added: Vec<(Uuid, &ChargeLine)> =
        lines.iter().filter(|line| !known(line)).map(|line| (order_id, line)).collect();
    let changed = lines.iter().filter(|line| before.iter().any(|old| old.line_no == line.line_no && old != *line));
    let changed: Vec<&ChargeLine> = changed.collect();
    let repriced = changed.iter().filter(|line| amendment.repriced.iter().any(|one| one.line_no == line.line_no));
    for line in repriced {
        store::charge_line::reprice(conn, order_id, line).await?;
    }
    store::charge_line::add(conn, &added).await?;
    store::charge_line::advance(conn, &changed.iter().map(|line| (order_id, *line)).collect::<Vec<_>>()).await?;
    store::charge::advance(conn, [&*charge]).await?;
    store::amendment::put(conn, order_id, amendment.revision, &Progress::Agreed).await?;
    Ok(())
}

async fn publish<M: prost::Message + prost::Name>(
    conn: &mut PgConnection,
    amendment: &Amendment,
    charge: &mut Charge,
    fact: &M,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let trace = own_trace(&amendment.traceparent);
    let event = NewEvent::new(amendment.order_id, charge.next_version(), fact, now);
    pesan_feed::append(conn, &[event.of_journey(amendment.order_id).in_trace(trace.as_deref())]).await?;
    Ok(())
}
