//! Goods of orders left stock, or came back: their cost is posted.

use crate::convert;
use crate::error::Error;
use crate::ledger::Posting;
use crate::store;
use pesan_feed::Event;
use pesan_money::Money;
use sqlx::PgConnection;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use uuid::Uuid;

/// What goods of an order cost; negative: they came back.
#[derive(Debug)]
pub struct Cost<'a> {
    pub event: &'a Event,
    pub order_id: Uuid,
    pub amount: Money,
}

/// Posts costs, in order.
pub async fn post(conn: &mut PgConnection, costs: &[Cost<'_>], now: OffsetDateTime) -> Result<(), Error> {
    if costs.is_empty() {
        return Ok(());
    }
    let orders: Vec<Uuid> = costs.iter().map(|c| c.order_id).collect::<BTreeSet<_>>().into_iter().collect();
    let mut charges = store::charge::find(conn, &orders).await?;
    let (mut postings, mut events) = (Vec::new(), Vec::new());
    for cost in costs {
        let Money { currency, amount } = cost.amount;
        let Some(posting) = Posting::of_cost(cost.order_id, currency, amount, cost.event.effective_at, now) else {
            continue;
        };
        let charge = charges.get_mut(&cost.order_id).ok_or_else(|| {
            Error::Contradiction(format!("goods of order {} left stock, but it was never authorised", cost.order_id))
        })?;
        postings.push(posting);
        let fact = convert::cost_posted(cost.order_id, cost.amount)?;
        events.push(cost.event.follow_up(cost.order_id, charge.next_version(), &fact));
    }
    store::charge::advance(conn, charges.values()).await?;
    store::ledger::add(conn, &postings).await?;
    pesan_feed::append(conn, &events).await?;
    Ok(())
}
