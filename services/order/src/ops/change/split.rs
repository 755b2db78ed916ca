//! Orders that are split off.

use super::Changer;
use crate::change::Split;
use crate::draft::{Buyer, Discount, Draft, DraftLine, PaymentToken, Ready, Totals};
use crate::error::Error;
use crate::ops::place;
use crate::order::Order;
use crate::rule::Verdict;
use crate::store;
use pesan_api::order::v1::PaymentMethod;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use std::borrow::Cow;
use time::OffsetDateTime;
use uuid::Uuid;

/// An order that pays through the provider needs a token for what is split off: its own is forgotten.
pub(super) fn check_token(order: &Order, token: &str) -> Result<(), Error> {
    if order.payment_method == PaymentMethod::Provider && token.is_empty() {
        let why = "what is split off is paid by itself: payment_token is required".to_owned();
        return Err(Error::ChangeRefused("PAYMENT_TOKEN_REQUIRED", why));
    }
    Ok(())
}

impl Changer {
    /// Places what is split off, held where rules (`verdicts`, none: there are none) hold it, in the transaction of the
    /// change; their ids.
    pub(super) async fn split_off(
        &self,
        conn: &mut PgConnection,
        order: &Order,
        splits: &[Split],
        verdicts: Vec<Verdict>,
        token: Option<String>,
        now: OffsetDateTime,
    ) -> Result<Vec<Uuid>, Error> {
        if splits.is_empty() {
            return Ok(Vec::new());
        }
        let drafts: Vec<Draft> = splits.iter().map(|_| draft(order, token.clone())).collect();
        let mut ready: Vec<Ready<'_>> = splits
            .iter()
            .zip(&drafts)
            .map(|(split, draft)| ready(order, split, draft, now))
            .collect::<Result<_, _>>()?;
        for (ready, verdict) in ready.iter_mut().zip(verdicts) {
            ready.holds = verdict.into_holds(now);
        }
        let dates: Vec<Option<OffsetDateTime>> =
            splits.iter().map(|split| split.not_before.or(order.not_before)).collect();
        place::split_off(conn, &ready, order.head.order_id, &dates, now).await?;
        Ok(drafts.iter().map(|draft| draft.order_id).collect())
    }
}

/// What is common to all that is split off.
fn draft(order: &Order, token: Option<String>) -> Draft {
    let is_provider = order.payment_method == PaymentMethod::Provider;
    Draft {
        order_id: Uuid::now_v7(),
        request_id: None,
        // Nobody asks for it by a request of its own.
        request_hash: [0; 32],
        channel: order.channel.clone(),
        external_id: None,
        buyer: order.customer_id.map_or(Buyer::Guest, Buyer::Id),
        currency: Some(order.currency),
        currency_is_given: true,
        lines: Vec::new(),
        order_discount: Discount::None,
        ship_to: None,
        payment_method: Some(order.payment_method),
        payment_token: token.filter(|_| is_provider).map(PaymentToken),
        reservation_policy: Some(order.reservation_policy),
        fulfilment_policy: Some(order.head.fulfilment_policy),
        placed_at: None,
        priority: Some(order.priority),
        preferred_location_id: order.preferred_location_id,
        sales_rep: order.sales_rep.clone(),
        traceparent: order.head.traceparent.clone(),
        delivery: None,
        promise: None,
    }
}

/// An order that is split off, ready to be written: its prices are this order's, and nothing is left open.
fn ready<'a>(order: &Order, split: &Split, draft: &'a Draft, now: OffsetDateTime) -> Result<Ready<'a>, Error> {
    let lines: Vec<DraftLine> = split
        .lines
        .iter()
        .map(|line| DraftLine {
            sku: line.sku.clone(),
            description: line.description.clone(),
            quantity: line.quantity,
            is_priced: true,
            unit_price: line.amounts.unit_price,
            line_total: line.amounts.line_total,
            discount: line.amounts.discount,
            tax: line.amounts.tax,
            ..DraftLine::default()
        })
        .collect();
    let ship_to = match &split.ship_to {
        Some(bytes) => store::address(bytes)?,
        None => order.ship_to.clone(),
    };
    Ok(Ready {
        draft,
        customer_id: order.customer_id,
        currency: order.currency,
        totals: Totals::of(&lines).ok_or(Error::Broken("sums of a part of an order"))?,
        lines: Cow::Owned(lines),
        order_discount: Decimal::ZERO,
        ship_to,
        payment_method: order.payment_method,
        reservation_policy: order.reservation_policy,
        fulfilment_policy: order.head.fulfilment_policy,
        priority: order.priority,
        preferred_location_id: order.preferred_location_id,
        sales_rep: order.sales_rep.clone(),
        placed_at: now,
        holds: Vec::new(),
        verdict: Verdict::default(),
    })
}
