//! Sends what came back: returns of orders, and credit notes for what belongs to no order.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use pesan_api::billing::v1::issue_credit_note_result::Outcome as NoteOutcome;
use pesan_api::billing::v1::{IssueCreditNotesRequest, NewCreditNote, NewCreditNoteLine};
use pesan_api::order::v1::request_return_result::Outcome as ReturnOutcome;
use pesan_api::order::v1::{NewReturn, NewReturnLine, RequestReturnsRequest, ReturnHandling};
use rust_decimal::Decimal;

use super::masterdata::CustomerIds;
use super::orders::{CHANNEL, Refusals};
use super::plan::{CURRENCY, CreditNote, Plan, Return};
use crate::endpoints::Suite;
use crate::patience::{Backoff, Patience};
use crate::refusal::from_status;
use crate::{amount, instant};

const RETURNS_A_CALL: usize = 200;
const NOTES_A_CALL: usize = 100;
const CALLS_IN_FLIGHT: usize = 4;
/// The file does not tell why goods came back.
const REASON: &str = "NOT_STATED";

/// What the services answered.
#[derive(Default)]
pub struct Credits {
    /// Of the return invoices that were taken, in whole or in part.
    pub invoices: HashSet<String>,
    /// What they credit together.
    pub value: Decimal,
    pub refused: Refusals,
}

impl Credits {
    fn merge(mut self, other: Self) -> Self {
        self.invoices.extend(other.invoices);
        self.value += other.value;
        let mut refused: HashMap<String, u64> = self.refused;
        for (reason, count) in other.refused {
            *refused.entry(reason).or_default() += count;
        }
        Self { refused, ..self }
    }

    fn refuse(&mut self, reason: String) {
        *self.refused.entry(reason).or_default() += 1;
    }
}

/// Asks for all returns. Goods that are not shipped yet are asked for again, as long as some others are taken.
pub async fn returns(suite: &Suite, patience: Patience, plan: &Plan, bar: &ProgressBar) -> Result<Credits> {
    futures::stream::iter(plan.returns.chunks(RETURNS_A_CALL))
        .map(|batch| return_batch(suite, patience, plan, batch, bar))
        .buffer_unordered(CALLS_IN_FLIGHT)
        .try_fold(Credits::default(), |all, some| async { Ok(all.merge(some)) })
        .await
}

async fn return_batch(
    suite: &Suite,
    patience: Patience,
    plan: &Plan,
    batch: &[Return],
    bar: &ProgressBar,
) -> Result<Credits> {
    let mut credits = Credits::default();
    let mut pending: Vec<NewReturn> = batch.iter().map(|planned| new_return(plan, planned)).collect::<Result<_>>()?;
    let mut progressed = Instant::now();
    let mut backoff = Backoff::default();
    loop {
        let request = RequestReturnsRequest { returns: pending };
        let call = async || suite.returns().request_returns(request.clone()).await;
        let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
        let mut again = Vec::new();
        for (asked, result) in request.returns.into_iter().zip(answer.results) {
            match result.outcome.context("a return's result without an outcome")? {
                ReturnOutcome::Return(taken) => {
                    credits.value +=
                        taken.lines.iter().map(|line| amount::decimal(line.credit.as_ref())).sum::<Decimal>();
                    credits.invoices.insert(taken.external_id);
                    progressed = Instant::now();
                    bar.inc(1);
                }
                ReturnOutcome::Problem(problem)
                    if (problem.retryable || problem.reason == "NOT_SHIPPED") && progressed.elapsed() < patience.0 =>
                {
                    again.push(asked);
                }
                ReturnOutcome::Problem(problem) => {
                    tracing::warn!(order = asked.order_name, problem.reason, problem.message, "return refused");
                    credits.refuse(problem.reason);
                }
            }
        }
        if again.is_empty() {
            return Ok(credits);
        }
        pending = again;
        backoff.pause().await;
    }
}

fn new_return(plan: &Plan, planned: &Return) -> Result<NewReturn> {
    let order = plan.orders.get(planned.order).context("a return of an order that is not planned")?;
    let lines = planned.lines.iter().map(|line| {
        Ok(NewReturnLine {
            line_no: line.line_no,
            quantity: line.quantity,
            reason: REASON.to_owned(),
            credit: Some(amount::to_proto(line.credit)?),
            ..NewReturnLine::default()
        })
    });
    Ok(NewReturn {
        order_name: format!("{CHANNEL}/{}", order.external_id),
        external_id: planned.external_id.clone(),
        lines: lines.collect::<Result<_>>()?,
        handling: ReturnHandling::StraightThrough.into(),
        requested_at: Some(instant::to_proto(planned.at)),
        ..NewReturn::default()
    })
}

/// Issues the stand-alone credit notes.
pub async fn notes(
    suite: &Suite,
    patience: Patience,
    plan: &Plan,
    ids: &CustomerIds,
    bar: &ProgressBar,
) -> Result<Credits> {
    let mut credits = Credits::default();
    for batch in plan.credit_notes.chunks(NOTES_A_CALL) {
        let notes = batch.iter().map(|note| new_note(note, ids));
        let request = IssueCreditNotesRequest { credit_notes: notes.collect::<Result<_>>()? };
        let call = async || suite.documents().issue_credit_notes(request.clone()).await;
        let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
        for (asked, result) in request.credit_notes.into_iter().zip(answer.results) {
            match result.outcome.context("a credit note's result without an outcome")? {
                NoteOutcome::Document(document) => {
                    credits.value += amount::decimal(document.net.as_ref());
                    credits.invoices.insert(asked.external_id);
                    bar.inc(1);
                }
                NoteOutcome::Problem(problem) => {
                    tracing::warn!(note = asked.external_id, problem.reason, problem.message, "credit note refused");
                    credits.refuse(problem.reason);
                }
            }
        }
    }
    Ok(credits)
}

fn new_note(note: &CreditNote, ids: &CustomerIds) -> Result<NewCreditNote> {
    let lines = note.lines.iter().map(|line| {
        let net = Some(amount::to_proto(line.net)?);
        Ok(NewCreditNoteLine { sku: line.sku.clone(), quantity: line.quantity, net, tax: None })
    });
    let customer_id = match &note.customer {
        Some(customer) => ids.get(customer).with_context(|| format!("customer {customer} is not known"))?.clone(),
        None => String::new(),
    };
    Ok(NewCreditNote {
        external_id: note.external_id.clone(),
        customer_id,
        currency_code: CURRENCY.to_owned(),
        lines: lines.collect::<Result<_>>()?,
        reason: "RETURN_WITHOUT_ORDER".to_owned(),
        effective_at: Some(instant::to_proto(note.at)),
        country: note.country.clone(),
        channel: CHANNEL.to_owned(),
    })
}

/// Both kinds together.
pub fn together(returns: Credits, notes: Credits) -> Credits {
    returns.merge(notes)
}
