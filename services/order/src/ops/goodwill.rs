//! Credits without goods. What is left to be credited only billing knows: it is asked before the order is locked, and what is
//! granted and not credited yet is taken off its answer.

use crate::convert;
use crate::convert::goodwill::{GrantGoodwill, Wish};
use crate::error::Error;
use crate::goodwill::{Goodwill, Invoiced, divide, percent_of};
use crate::name::OrderName;
use crate::ops::linked::work_line;
use crate::ops::{Books, answer, claim, linked};
use crate::order::Order;
use crate::store;
use pesan_api::billing::v1::GetOrderBillingRequest;
use pesan_api::billing::v1::payment_service_client::PaymentServiceClient;
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use pesan_grpc::Violations;
use pesan_grpc::channel::PeerChannel;
use pesan_grpc::parse::from_money;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tonic::Code;
use uuid::Uuid;

/// Who grants it.
#[derive(Clone)]
pub struct Grantor {
    /// The books.
    pub books: Books,
    /// Asked what was invoiced and credited.
    pub billing: PaymentServiceClient<PeerChannel>,
}

impl Grantor {
    /// Grants a credit, at most what was invoiced and is neither credited nor granted.
    pub async fn grant(&self, command: GrantGoodwill) -> Result<pb::GrantGoodwillResponse, Error> {
        let order_id = self.books.find(&command.name, &command.request.order_name).await?;
        // Before billing is asked: what it has credited by then may be in its answer, and still counts here. That is too
        // little at worst, never too much.
        let mut granted: BTreeMap<Uuid, Decimal> = {
            let mut conn = self.books.pool.acquire().await?;
            store::goodwill::pending(&mut conn, order_id).await?.into_iter().collect()
        };
        let invoiced_less_credited = self.left(order_id).await?;

        let mut tx = store::begin(&self.books.pool).await?;
        pesan_feed::lock(&mut tx, [order_id]).await?;
        let method = "pesan.order.v1.GrantGoodwillRequest";
        if let Some(earlier) = claim(&mut tx, command.request_id, method, &command.request).await? {
            return Ok(earlier);
        }
        let mut order = linked::original(&mut tx, order_id).await?;
        granted.extend(store::goodwill::pending(&mut tx, order_id).await?);
        let left = invoiced_less_credited - granted.values().sum::<Decimal>();
        let invoiced = invoiced(&order, &command)?;
        let amount = amount(&command.wish, &invoiced, &order)?;
        let of_lines: Decimal = invoiced.iter().map(|(_, amount)| amount).sum();
        let left = left.min(of_lines).max(Decimal::ZERO);
        if amount > left {
            return Err(Error::MoreThanInvoiced { left, currency: order.currency.code() });
        }
        let now = self.books.clock.now();
        let goodwill = Goodwill {
            goodwill_id: Uuid::now_v7(),
            order_id,
            amount,
            reason: command.reason,
            owner: command.owner,
            note: command.note,
            granted_at: now,
            lines: divide(amount, &invoiced, order.currency),
            document_id: None,
            credited: None,
        };
        store::goodwill::insert(&mut tx, &goodwill).await?;
        let shown = convert::goodwill::goodwill(&goodwill, order.currency);
        let fact = pb::GoodwillGranted { order_id: order_id.to_string(), goodwill: Some(shown.clone()) };
        let event = NewEvent::new(order_id, order.head.next_version(), &fact, now).of_journey(order_id);
        store::order::write(&mut tx, &[&order.head]).await?;
        pesan_feed::append(&mut tx, &[event.in_trace(order.head.traceparent.as_deref())]).await?;
        let response = pb::GrantGoodwillResponse { goodwill: Some(shown) };
        answer(&mut tx, command.request_id, &response).await?;
        tx.commit().await?;
        self.books.changed([order_id]);
        Ok(response)
    }

    /// What was invoiced and not credited, with tax.
    async fn left(&self, order_id: Uuid) -> Result<Decimal, Error> {
        let request = GetOrderBillingRequest { order_id: order_id.to_string() };
        let billing = match self.billing.clone().get_order_billing(request).await {
            Ok(answer) => answer.into_inner().billing.ok_or(Error::PeerUnavailable("billing"))?,
            Err(status) if status.code() == Code::NotFound => return Ok(Decimal::ZERO),
            Err(status) => {
                tracing::warn!(code = ?status.code(), message = status.message(), "billing did not answer");
                return Err(Error::PeerUnavailable("billing"));
            }
        };
        let amount = |money: &Option<pesan_api::r#type::v1::Money>| {
            let money = money.as_ref().map(from_money).transpose();
            money.map(|money| money.map_or(Decimal::ZERO, |money| money.amount))
        };
        match (amount(&billing.invoiced), amount(&billing.credited)) {
            (Ok(invoiced), Ok(credited)) => Ok(invoiced - credited),
            (Err(_), _) | (_, Err(_)) => Err(Error::PeerUnavailable("billing")),
        }
    }

    /// A page of an order's, oldest first; the last one's id where there are more.
    pub async fn list(
        &self,
        (name, text): (&OrderName, &str),
        after: Option<Uuid>,
        size: i64,
    ) -> Result<(Vec<pb::Goodwill>, Option<Uuid>), Error> {
        let order_id = self.books.find(name, text).await?;
        let mut conn = self.books.pool.acquire().await?;
        let order = store::read::orders(&mut conn, &[order_id], false).await?.remove(&order_id);
        let currency = order.ok_or(Error::Broken("an order that was found"))?.currency;
        let mut page = store::goodwill::page(&mut conn, order_id, after, size + 1).await?;
        let has_more = page.len() as i64 > size;
        page.truncate(usize::try_from(size).unwrap_or(0));
        let last = page.last().map(|one| one.goodwill_id).filter(|_| has_more);
        Ok((page.iter().map(|one| convert::goodwill::goodwill(one, currency)).collect(), last))
    }
}

/// What was invoiced for the lines that are meant, with tax.
fn invoiced(order: &Order, command: &GrantGoodwill) -> Result<Invoiced, Error> {
    let is_there = |line_no: &i32| order.lines.iter().any(|line| line.line.line_no == *line_no);
    if let Some(place) = command.request.line_nos.iter().position(|line_no| !is_there(line_no)) {
        return Err(Error::invalid(&format!("line_nos[{place}]"), "is no line of the order"));
    }
    let meant = order
        .lines
        .iter()
        .filter(|line| command.line_nos.is_empty() || command.line_nos.contains(&line.line.line_no))
        .filter(|line| line.line.quantities.invoiced > 0);
    let amount = meant.map(|line| {
        let [total, discount, tax] = work_line(line).amounts_for(order.currency, line.line.quantities.invoiced);
        (line.line.line_no, total - discount + tax)
    });
    Ok(amount.collect())
}

fn amount(wish: &Wish, invoiced: &Invoiced, order: &Order) -> Result<Decimal, Error> {
    let amount = match wish {
        Wish::Percent(percent) => percent_of(invoiced, *percent, order.currency),
        Wish::Amount(money) => {
            let mut v = Violations::new();
            let amount = v.amount_or_zero("amount", Some(money), order.currency);
            if amount.is_zero() && v.is_empty() {
                v.add("amount", "must be more than zero");
            }
            v.into_result(amount)?
        }
    };
    // A share of nothing, or of so little that nothing is left of it.
    if amount.is_zero() {
        return Err(Error::MoreThanInvoiced { left: Decimal::ZERO, currency: order.currency.code() });
    }
    Ok(amount)
}
