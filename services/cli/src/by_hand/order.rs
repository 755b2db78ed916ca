//! `pesan order`.

use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use pesan_api::order::v1::request_return_result::Outcome;
use pesan_api::order::v1::{
    CancelLine, CancelOrderRequest, FulfilmentPolicy, GetOrderRequest, HoldOrderRequest, ListOrdersRequest, NewOrder,
    NewOrderLine, NewReturn, NewReturnLine, OrderState, OrderView, PaymentMethod, PlaceOrderRequest, PlaceWait,
    ReleaseHoldRequest, RequestReturnsRequest, ReservationPolicy, ReturnHandling, WatchOrderRequest,
};
use pesan_api::r#type::v1::Address;

use super::{Deed, Page, connect, line_quantity, only, refused, sku_quantity_price};
use crate::endpoints::{Endpoints, Suite};
use crate::output::Output;
use crate::{amount, instant, refusal};

/// Orders: place, look at, change
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    pesan order place --customer C-1 --line 85123A:6@2.55 --currency GBP\n  \
    pesan order place --token tok_ok --line 85123A:1@2.55 --country FR\n  \
    pesan order cancel SO-000001 --line 2:5 --reason \"customer called\"\n  \
    pesan order return web/4711 --line 1:1 --reason DAMAGED")]
pub struct Order {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Place one
    Place(Box<Place>),
    /// One order: an id, a number (SO-000001) or channel/external-id
    Get { order: String },
    /// Newest first
    List(List),
    /// Cancel all of it, or quantities of lines
    Cancel(Cancel),
    /// As it is, and again after each change, until Ctrl-C
    Watch {
        order: String,
        /// Only what is newer than this version
        #[arg(long, default_value_t = 0)]
        after_version: i64,
    },
    /// Stop it until somebody decides
    Hold(Hold),
    /// Let it go on
    Release(Release),
    /// Permit to send back what was shipped
    Return(ReturnLines),
}

#[derive(clap::Args)]
struct Place {
    /// What is ordered, as SKU:QUANTITY@PRICE (may be repeated)
    #[arg(long = "line", value_name = "LINE", required = true, value_parser = sku_quantity_price)]
    lines: Vec<(String, i64, String)>,
    /// The customer's id in the CRM. Absent: a guest
    #[arg(long, value_name = "ID", default_value = "")]
    customer: String,
    #[arg(long, value_name = "CODE", default_value = "GBP")]
    currency: String,
    /// Where it comes from
    #[arg(long, default_value = "cli")]
    channel: String,
    /// Its id there; the same one again is the same order
    #[arg(long, value_name = "ID", default_value = "")]
    external_id: String,
    /// The payment provider's token. Absent: on account
    #[arg(long, env = "PESAN_PAYMENT_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// What to do with what is not in stock
    #[arg(long, value_enum, default_value_t = Shortage::Backorder)]
    shortage: Shortage,
    /// Ship and deliver at once, without people
    #[arg(long)]
    straight_through: bool,
    /// Answer as soon as the order is durable
    #[arg(long)]
    no_wait: bool,
    /// 0 to 9, lower goes first
    #[arg(long)]
    priority: Option<i32>,
    /// Where it goes
    #[arg(long, default_value = "")]
    country: String,
    #[arg(long, default_value = "")]
    recipient: String,
    #[arg(long, default_value = "")]
    sales_rep: String,
    #[command(flatten)]
    deed: Deed,
}

#[derive(Clone, Copy, ValueEnum)]
enum Shortage {
    AllOrNothing,
    WhatIsThere,
    Backorder,
}

#[derive(clap::Args)]
struct List {
    /// Only in this state (may be repeated): accepted, confirmed, backordered, on_hold, rejected, cancelled, …
    #[arg(long = "state", value_parser = state)]
    states: Vec<OrderState>,
    #[arg(long, default_value = "")]
    channel: String,
    /// The order service's customer id
    #[arg(long, value_name = "UUID", default_value = "")]
    customer_id: String,
    /// Placed on or after this day
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// Placed before this day
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    #[command(flatten)]
    page: Page,
}

#[derive(clap::Args)]
struct Cancel {
    order: String,
    /// Only this quantity of this line, as LINE:QUANTITY (may be repeated)
    #[arg(long = "line", value_name = "LINE", value_parser = line_quantity)]
    lines: Vec<(i32, i64)>,
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    deed: Deed,
}

#[derive(clap::Args)]
struct Hold {
    order: String,
    /// Capitals and underscores
    #[arg(long, default_value = "MANUAL")]
    reason: String,
    #[arg(long, default_value = "")]
    note: String,
    /// Who has to decide
    #[arg(long, default_value = "")]
    owner: String,
    #[command(flatten)]
    deed: Deed,
}

#[derive(clap::Args)]
struct Release {
    order: String,
    /// One hold's id; absent: all
    #[arg(long, default_value = "")]
    hold: String,
    #[command(flatten)]
    deed: Deed,
}

#[derive(clap::Args)]
struct ReturnLines {
    order: String,
    /// What comes back, as LINE:QUANTITY (may be repeated)
    #[arg(long = "line", value_name = "LINE", required = true, value_parser = line_quantity)]
    lines: Vec<(i32, i64)>,
    /// Capitals and underscores
    #[arg(long, default_value = "CHANGED_MIND")]
    reason: String,
    /// Its id elsewhere; the same one again is the same return
    #[arg(long, value_name = "ID", default_value = "")]
    external_id: String,
    /// Taken as received at once, without inspection
    #[arg(long)]
    straight_through: bool,
    #[command(flatten)]
    deed: Deed,
}

fn state(name: &str) -> Result<OrderState, String> {
    let full = format!("ORDER_STATE_{}", name.to_uppercase().replace([' ', '-'], "_"));
    OrderState::from_str_name(&full).ok_or_else(|| format!("there is no state {name:?}"))
}

impl Order {
    pub async fn run(self, endpoints: &Endpoints, output: Output) -> Result<()> {
        let suite = connect(endpoints)?;
        let mut orders = suite.orders();
        match self.action {
            Action::Place(place) => place.run(&suite, output).await,
            Action::Get { order: name } => {
                let request = GetOrderRequest { name, view: OrderView::Full.into() };
                output.message(&refusal::answer(orders.get_order(request).await)?)
            }
            Action::List(list) => {
                let answer = refusal::answer(orders.list_orders(list.request()?).await)?;
                output.list(&answer, "orders", &["number", "state", "placed_at", "channel", "external_id", "gross"])
            }
            Action::Cancel(cancel) => {
                let request = CancelOrderRequest {
                    request_id: cancel.deed.request_id(),
                    name: cancel.order,
                    lines: cancel
                        .lines
                        .into_iter()
                        .map(|(line_no, quantity)| CancelLine { line_no, quantity })
                        .collect(),
                    reason: cancel.reason,
                    expected_version: 0,
                };
                output.message(&refusal::answer(orders.cancel_order(request).await)?)
            }
            Action::Watch { order: name, after_version } => {
                let mut states = refusal::answer(orders.watch_order(WatchOrderRequest { name, after_version }).await)?;
                while let Some(state) = states.message().await.map_err(|status| refusal::from_status(&status))? {
                    output.message(&state)?;
                }
                Ok(())
            }
            Action::Hold(hold) => {
                let request_id = hold.deed.request_id();
                let Hold { order: name, reason, note, owner, .. } = hold;
                let request = HoldOrderRequest { request_id, name, reason, note, owner, ..Default::default() };
                output.message(&refusal::answer(orders.hold_order(request).await)?)
            }
            Action::Release(release) => {
                let request_id = release.deed.request_id();
                let request =
                    ReleaseHoldRequest { request_id, name: release.order, hold_id: release.hold, ..Default::default() };
                output.message(&refusal::answer(orders.release_hold(request).await)?)
            }
            Action::Return(returned) => returned.run(&suite, output).await,
        }
    }
}

impl Place {
    async fn run(self, suite: &Suite, output: Output) -> Result<()> {
        let wait = if self.no_wait { PlaceWait::Durable } else { PlaceWait::Settled };
        let request = PlaceOrderRequest { order: Some(self.order()?), wait: wait.into() };
        let answer = refusal::answer(suite.orders().place_order(request).await)?;
        output.message(&answer)?;
        if answer.order.is_some_and(|order| order.state() == OrderState::Rejected) {
            bail!("the order was rejected");
        }
        Ok(())
    }

    fn order(self) -> Result<NewOrder> {
        let shortage = match self.shortage {
            Shortage::AllOrNothing => ReservationPolicy::AllOrNothing,
            Shortage::WhatIsThere => ReservationPolicy::WhatIsThere,
            Shortage::Backorder => ReservationPolicy::Backorder,
        };
        let fulfilment =
            if self.straight_through { FulfilmentPolicy::StraightThrough } else { FulfilmentPolicy::Standard };
        let payment = if self.token.is_some() { PaymentMethod::Provider } else { PaymentMethod::OnAccount };
        let lines = self.lines.iter().map(|(sku, quantity, price)| {
            let unit_price = Some(amount::parse(price, &self.currency)?);
            Ok(NewOrderLine { sku: sku.clone(), quantity: *quantity, unit_price, ..NewOrderLine::default() })
        });
        Ok(NewOrder {
            request_id: self.deed.request_id(),
            lines: lines.collect::<Result<_>>()?,
            placed_at: self.deed.at()?,
            ship_to: Some(Address { recipient: self.recipient, country: self.country, ..Address::default() }),
            channel: self.channel,
            external_id: self.external_id,
            customer_external_id: self.customer,
            currency_code: self.currency,
            payment_method: payment.into(),
            payment_token: self.token.unwrap_or_default(),
            reservation_policy: shortage.into(),
            fulfilment_policy: fulfilment.into(),
            priority: self.priority,
            sales_rep: self.sales_rep,
            ..NewOrder::default()
        })
    }
}

impl List {
    fn request(self) -> Result<ListOrdersRequest> {
        let day = |text: Option<String>| text.map(|text| instant::parse(&text, "")).transpose();
        Ok(ListOrdersRequest {
            page_size: self.page.page_size,
            page_token: self.page.page_token,
            states: self.states.into_iter().map(Into::into).collect(),
            customer_id: self.customer_id,
            channel: self.channel,
            placed_from: day(self.from)?,
            placed_to: day(self.to)?,
            view: OrderView::Basic.into(),
            ..ListOrdersRequest::default()
        })
    }
}

impl ReturnLines {
    async fn run(self, suite: &Suite, output: Output) -> Result<()> {
        let handling = if self.straight_through { ReturnHandling::StraightThrough } else { ReturnHandling::Inspect };
        let reason = &self.reason;
        let lines = self.lines.iter().map(|(line_no, quantity)| NewReturnLine {
            line_no: *line_no,
            quantity: *quantity,
            reason: reason.clone(),
            ..NewReturnLine::default()
        });
        let asked = NewReturn {
            lines: lines.collect(),
            handling: handling.into(),
            requested_at: self.deed.at()?,
            order_name: self.order,
            external_id: self.external_id,
            ..NewReturn::default()
        };
        let request = RequestReturnsRequest { returns: vec![asked] };
        let answer = refusal::answer(suite.returns().request_returns(request).await)?;
        match only(answer.results)?.outcome {
            Some(Outcome::Return(permitted)) => output.message(&permitted),
            Some(Outcome::Problem(problem)) => refused(&problem),
            None => bail!("the service answered nothing"),
        }
    }
}
