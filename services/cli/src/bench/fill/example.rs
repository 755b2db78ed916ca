//! The order that all others are copies of.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use pesan_api::order::v1::place_order_result::Outcome;
use pesan_api::order::v1::{
    FulfilmentPolicy, GetOrderRequest, NewOrder, NewOrderLine, OrderState, OrderView, PaymentMethod,
    PlaceOrdersRequest, PlaceWait,
};
use pesan_api::r#type::v1::{Address, Money};
use prost_types::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::schemas::{self, Pools};
use crate::bench::prepare::{self, CURRENCY};
use crate::bench::{CALL, quiet};
use crate::endpoints::Endpoints;
use crate::refusal::{answer, from_problem};

/// Items to choose from, as in other benchmarks.
pub const ITEMS: u32 = 10_000;
/// Items and customer of the example alone, in names as long as those of the others.
const SKUS: [&str; 2] = ["STORED-00001", "STORED-00002"];
const CUSTOMER: &str = "STORED-01";
const CHANNEL: &str = "stored";
/// 2020-01-01T00:00:00Z, in seconds of Unix time.
const PLACED_AT: i64 = 1_577_836_800;
/// How long it may take.
const BOUND: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Makes what orders need, and carries one out.
pub async fn carry_out(endpoints: Endpoints, pools: Pools) -> Result<()> {
    schemas::begin_numbers(&pools).await?;
    let suite = endpoints.connect(CALL)?;
    prepare::prepare(&suite, ITEMS).await?;
    prepare::others(&suite, &SKUS, CUSTOMER).await?;
    let lines = SKUS.map(|sku| NewOrderLine {
        sku: sku.to_owned(),
        quantity: 1,
        unit_price: Some(Money { currency_code: CURRENCY.to_owned(), units: 2, nanos: 550_000_000 }),
        ..NewOrderLine::default()
    });
    let order = NewOrder {
        request_id: Uuid::now_v7().to_string(),
        channel: CHANNEL.to_owned(),
        customer_external_id: CUSTOMER.to_owned(),
        currency_code: CURRENCY.to_owned(),
        lines: lines.to_vec(),
        ship_to: Some(Address { country: "GB".to_owned(), ..Address::default() }),
        payment_method: PaymentMethod::OnAccount.into(),
        fulfilment_policy: FulfilmentPolicy::StraightThrough.into(),
        placed_at: Some(Timestamp { seconds: PLACED_AT, nanos: 0 }),
        ..NewOrder::default()
    };
    let request =
        PlaceOrdersRequest { orders: vec![order], wait: PlaceWait::Settled.into(), view: OrderView::Basic.into() };
    let placed = answer(suite.orders().place_orders(request).await)?;
    let order = match placed.results.into_iter().next().and_then(|result| result.outcome) {
        Some(Outcome::Order(order)) => order,
        Some(Outcome::Problem(problem)) => return Err(from_problem(&problem)),
        None => bail!("no order"),
    };
    let deadline = Instant::now() + BOUND;
    loop {
        let request = GetOrderRequest { name: order.id.clone(), ..GetOrderRequest::default() };
        let now = answer(suite.orders().get_order(request).await)?.order.context("no order")?;
        if now.state() == OrderState::Completed {
            break;
        }
        if Instant::now() > deadline {
            bail!("{} is still {:?}", now.number, now.state());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    quiet::wait(&suite, CHANNEL).await
}
