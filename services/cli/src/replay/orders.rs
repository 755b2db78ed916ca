//! Places the orders and waits until the suite is through with them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use indicatif::ProgressBar;
use pesan_api::feed::v1::GetPositionRequest;
use pesan_api::order::v1::place_order_result::Outcome;
use pesan_api::order::v1::{
    FulfilmentPolicy, ListOrdersRequest, ListOrdersResponse, NewOrder, NewOrderLine, Order as PlacedOrder, OrderState,
    OrderView, PaymentMethod, PlaceOrdersRequest, PlaceWait, ReservationPolicy,
};
use pesan_api::r#type::v1::Address;
use pesan_money::Money;

use super::plan::{CURRENCY, Order, Plan};
use crate::endpoints::{Service, Suite};
use crate::patience::Patience;
use crate::refusal::from_status;
use crate::{amount, instant};

/// The channel of all orders of the file.
pub const CHANNEL: &str = "online-retail";

const ORDERS_A_CALL: usize = 100;
const LINES_A_CALL: usize = 10_000;
const CALLS_IN_FLIGHT: usize = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(250);
const PAGE: i32 = 1_000;

/// Orders that were not taken, by reason.
pub type Refusals = HashMap<String, u64>;

/// Places all orders; those that are there already stay as they are.
pub async fn place(suite: &Suite, patience: Patience, plan: &Plan, bar: &ProgressBar) -> Result<Refusals> {
    let refused = futures::stream::iter(batches(&plan.orders))
        .map(|batch| place_batch(suite, patience, batch, bar))
        .buffer_unordered(CALLS_IN_FLIGHT)
        .try_fold(Refusals::new(), |mut all, some| async {
            for reason in some {
                *all.entry(reason).or_default() += 1;
            }
            Ok(all)
        })
        .await?;
    Ok(refused)
}

/// Runs of orders that fit into one call.
fn batches(orders: &[Order]) -> Vec<&[Order]> {
    let mut batches = Vec::new();
    let (mut start, mut lines) = (0, 0);
    for (index, order) in orders.iter().enumerate() {
        if index > start && (index - start >= ORDERS_A_CALL || lines + order.lines.len() > LINES_A_CALL) {
            batches.push(&orders[start..index]);
            (start, lines) = (index, 0);
        }
        lines += order.lines.len();
    }
    if start < orders.len() {
        batches.push(&orders[start..]);
    }
    batches
}

async fn place_batch(suite: &Suite, patience: Patience, batch: &[Order], bar: &ProgressBar) -> Result<Vec<String>> {
    let mut pending: Vec<NewOrder> = batch.iter().map(new_order).collect::<Result<_>>()?;
    let mut refused = Vec::new();
    let started = Instant::now();
    let mut backoff = crate::patience::Backoff::default();
    loop {
        let request =
            PlaceOrdersRequest { orders: pending, wait: PlaceWait::Durable.into(), view: OrderView::Basic.into() };
        let call = async || suite.orders().place_orders(request.clone()).await;
        let answer = patience.call(call).await.map_err(|status| from_status(&status))?;
        let is_patient = started.elapsed() < patience.0;
        let mut again = Vec::new();
        for (order, result) in request.orders.into_iter().zip(answer.results) {
            match result.outcome.context("an order's result without an outcome")? {
                Outcome::Order(_) => bar.inc(1),
                Outcome::Problem(problem) if problem.retryable && is_patient => again.push(order),
                Outcome::Problem(problem) => {
                    tracing::warn!(order = order.external_id, problem.reason, problem.message, "refused");
                    refused.push(problem.reason);
                }
            }
        }
        if again.is_empty() {
            return Ok(refused);
        }
        pending = again;
        backoff.pause().await;
    }
}

fn new_order(order: &Order) -> Result<NewOrder> {
    let pound = CURRENCY.parse()?;
    let lines = order.lines.iter().map(|line| {
        Ok(NewOrderLine {
            sku: line.sku.clone(),
            description: line.description.clone(),
            quantity: line.quantity,
            unit_price: Some(amount::to_proto(Money::new(pound, line.unit_price))?),
            ..NewOrderLine::default()
        })
    });
    let is_guest = order.customer.is_none();
    Ok(NewOrder {
        channel: CHANNEL.to_owned(),
        external_id: order.external_id.clone(),
        customer_external_id: order.customer.clone().unwrap_or_default(),
        currency_code: CURRENCY.to_owned(),
        lines: lines.collect::<Result<_>>()?,
        ship_to: Some(Address { country: order.country.clone(), ..Address::default() }),
        payment_method: if is_guest { PaymentMethod::Provider } else { PaymentMethod::OnAccount }.into(),
        payment_token: if is_guest { "tok_ok".to_owned() } else { String::new() },
        reservation_policy: ReservationPolicy::Backorder.into(),
        fulfilment_policy: FulfilmentPolicy::StraightThrough.into(),
        placed_at: Some(instant::to_proto(order.placed_at)),
        ..NewOrder::default()
    })
}

/// Waits until no order of the period is on its way any more. Gives up when the order service has written nothing new
/// for as long as patience lasts.
pub async fn settle(suite: &Suite, patience: Patience, plan: &Plan) -> Result<()> {
    let on_their_way = [
        OrderState::Accepted,
        OrderState::Confirmed,
        OrderState::Backordered,
        OrderState::PartiallyShipped,
        OrderState::Shipped,
    ];
    let (mut head, mut moved) = (String::new(), Instant::now());
    loop {
        let request = ListOrdersRequest {
            page_size: 1,
            states: on_their_way.map(Into::into).to_vec(),
            view: OrderView::Basic.into(),
            ..of_the_replay(plan)
        };
        let answer = list(suite, patience, request).await?;
        let Some(order) = answer.orders.first() else { return Ok(()) };
        let now = head_of(suite, patience, Service::Order).await?;
        if now != head {
            (head, moved) = (now, Instant::now());
        }
        if moved.elapsed() > patience.0 {
            bail!("orders do not go on; one of them is {} in state {:?}", order.number, order.state());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The orders of the plan as the order service holds them.
pub async fn held(suite: &Suite, patience: Patience, plan: &Plan) -> Result<Vec<PlacedOrder>> {
    let planned: std::collections::HashSet<&str> = plan.orders.iter().map(|order| order.external_id.as_str()).collect();
    let mut held = Vec::with_capacity(planned.len());
    let mut page_token = String::new();
    loop {
        let request =
            ListOrdersRequest { page_size: PAGE, page_token, view: OrderView::Basic.into(), ..of_the_replay(plan) };
        let answer = list(suite, patience, request).await?;
        held.extend(answer.orders.into_iter().filter(|order| planned.contains(order.external_id.as_str())));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return Ok(held);
        }
    }
}

fn of_the_replay(plan: &Plan) -> ListOrdersRequest {
    ListOrdersRequest {
        channel: CHANNEL.to_owned(),
        placed_from: Some(instant::to_proto(plan.from)),
        placed_to: Some(instant::to_proto(plan.to)),
        ..ListOrdersRequest::default()
    }
}

async fn list(suite: &Suite, patience: Patience, request: ListOrdersRequest) -> Result<ListOrdersResponse> {
    let call = async || suite.orders().list_orders(request.clone()).await;
    patience.call(call).await.map_err(|status| from_status(&status))
}

/// Where a service's feed stands: it moves as long as the service writes.
pub async fn head_of(suite: &Suite, patience: Patience, service: Service) -> Result<String> {
    let call = async || suite.feed(service).get_position(GetPositionRequest::default()).await;
    Ok(patience.call(call).await.map_err(|status| from_status(&status))?.head)
}

#[cfg(test)]
mod tests {
    use super::super::plan::Line;
    use super::*;
    use rust_decimal::dec;

    fn order(lines: usize) -> Order {
        let line = |_| Line { sku: "A".into(), description: "a".into(), quantity: 2, unit_price: dec!(0.125) };
        Order {
            external_id: "1".into(),
            customer: None,
            country: "France".into(),
            placed_at: jiff::Timestamp::UNIX_EPOCH,
            lines: (0..lines).map(line).collect(),
        }
    }

    #[test]
    fn batches_are_bounded_by_orders_and_lines_and_lose_nothing() {
        let sizes = |orders: &[Order]| batches(orders).iter().map(|batch| batch.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&(0..250).map(|_| order(1)).collect::<Vec<_>>()), [100, 100, 50]);
        assert_eq!(sizes(&[order(6_000), order(4_000), order(1), order(20_000), order(1)]), [2, 1, 1, 1]);
        assert!(sizes(&[]).is_empty());
    }

    #[test]
    fn guests_pay_at_once_and_customers_on_account() {
        let guest = new_order(&order(1)).unwrap();
        assert_eq!((guest.payment_method(), guest.payment_token.as_str()), (PaymentMethod::Provider, "tok_ok"));
        let known = new_order(&Order { customer: Some("17850".into()), ..order(1) }).unwrap();
        assert_eq!((known.payment_method(), known.payment_token.as_str()), (PaymentMethod::OnAccount, ""));
        assert_eq!(known.lines[0].unit_price.as_ref().unwrap().nanos, 125_000_000);
    }
}
