//! Steps that the API takes in lists.

use super::ask;
use super::course::Course;
use super::model::Fate;
use super::step::Step;
use crate::request_id;
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as pb;

impl Course<'_> {
    /// The round's orders, reservations, receipts and returns.
    pub async fn lists(&mut self, round: usize) -> anyhow::Result<()> {
        let (mut orders, mut demands, mut receipts, mut returns) = (vec![], vec![], vec![], vec![]);
        for (h, history) in self.histories.iter_mut().enumerate() {
            match &history.steps[round] {
                Step::Place(new) => {
                    history.ids.push(String::new());
                    orders.push((h, ask::order(history, new, self.started_at)));
                }
                Step::Reserve(new) => {
                    history.ids.push(String::new());
                    demands.push((h, ask::demand(history, new, self.started_at)));
                }
                Step::Receive { sku, quantity } => {
                    let receipt = inventory::Receipt {
                        request_id: request_id(),
                        sku: history.skus[*sku].clone(),
                        location_id: self.location_id.clone(),
                        quantity: *quantity,
                        ..Default::default()
                    };
                    receipts.push((h, receipt));
                }
                Step::Return { order, lines } => returns.push((h, ask::give_back(&history.ids[*order], lines))),
                _ => {}
            }
        }
        for some in orders.chunks(500) {
            let request = pb::PlaceOrdersRequest {
                orders: some.iter().map(|(_, new)| new.clone()).collect(),
                wait: pb::PlaceWait::Durable.into(),
                view: pb::OrderView::Basic.into(),
            };
            let results = self.clients.orders.place_orders(request).await?.into_inner().results;
            anyhow::ensure!(results.len() == some.len(), "{} answers", results.len());
            for ((h, _), result) in some.iter().zip(results) {
                let history = &mut self.histories[*h];
                match result.outcome {
                    Some(pb::place_order_result::Outcome::Order(order)) => {
                        history.ids.pop();
                        history.ids.push(order.id);
                    }
                    other => anyhow::bail!(history.tell("an order", &format!("{other:?}"))),
                }
            }
        }
        for some in demands.chunks(500) {
            let request = inventory::ReserveRequest { demands: some.iter().map(|(_, new)| new.clone()).collect() };
            let results = self.clients.reservations.reserve(request).await?.into_inner().results;
            anyhow::ensure!(results.len() == some.len(), "{} answers", results.len());
            for ((h, _), result) in some.iter().zip(results) {
                let history = &self.histories[*h];
                let is_rejected = history.world.orders.last().is_some_and(|order| order.fate == Fate::Rejected);
                match result.outcome {
                    Some(inventory::reserve_result::Outcome::Reservation(_)) if !is_rejected => {}
                    Some(inventory::reserve_result::Outcome::Problem(p))
                        if is_rejected && p.reason == "OUT_OF_STOCK" => {}
                    other => anyhow::bail!(history.tell("a reservation, or none", &format!("{other:?}"))),
                }
            }
        }
        for some in receipts.chunks(1000) {
            let request =
                inventory::ReceiveStockRequest { receipts: some.iter().map(|(_, new)| new.clone()).collect() };
            let results = self.clients.stock.receive_stock(request).await?.into_inner().results;
            anyhow::ensure!(results.len() == some.len(), "{} answers", results.len());
            for ((h, _), result) in some.iter().zip(results) {
                if !matches!(result.outcome, Some(inventory::stock_change_result::Outcome::Stock(_))) {
                    anyhow::bail!(self.histories[*h].tell("a receipt", &format!("{:?}", result.outcome)));
                }
            }
        }
        for some in returns.chunks(500) {
            let request = pb::RequestReturnsRequest { returns: some.iter().map(|(_, new)| new.clone()).collect() };
            let results = self.clients.returns.request_returns(request).await?.into_inner().results;
            anyhow::ensure!(results.len() == some.len(), "{} answers", results.len());
            for ((h, _), result) in some.iter().zip(results) {
                if !matches!(result.outcome, Some(pb::request_return_result::Outcome::Return(_))) {
                    anyhow::bail!(self.histories[*h].tell("a return", &format!("{:?}", result.outcome)));
                }
            }
        }
        Ok(())
    }
}
