//! Working out what changes would do.

use super::{Changer, effects};
use crate::cancellation::Part;
use crate::change::{self, Amendment, Impossible, Parts, Reason};
use crate::convert;
use crate::convert::change::PlanChange;
use crate::error::Error;
use crate::line::{Line, LinePromise};
use crate::ops::at_version;
use crate::order::{Order, Refusal};
use crate::rule::Verdict;
use crate::store;
use crate::store::change::KeptPlan;
use pesan_api::fulfilment::v1::{self as fulfilment, FulfilmentState};
use pesan_api::inventory::v1 as inventory;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::OrderState;
use prost::Message as _;
use std::collections::HashMap;
use uuid::Uuid;

/// How long a plan can be carried out.
const LIVES: time::Duration = time::Duration::minutes(15);
/// Fulfilment orders of a page.
const PAGE: i32 = 1_000;

impl Changer {
    /// Plans changes. Changes nothing.
    pub async fn plan(&self, command: &PlanChange) -> Result<pb::ChangePlan, Error> {
        let order_id = self.books.find(&command.name, &command.request.name).await?;
        let (order, last_line) = {
            let mut conn = self.books.pool.acquire().await?;
            let order = store::read::orders(&mut conn, &[order_id], true).await?.remove(&order_id);
            let order = order.ok_or(Error::Broken("an order that was found"))?;
            (order, store::change::last_line(&mut conn, order_id).await?)
        };
        let version = order.head.version;
        at_version(version, command.expected_version)?;
        let state = order.head.state();
        if matches!(state, OrderState::Rejected | OrderState::Cancelled) {
            return Err(Error::NotAllowed(state, Refusal::Closed));
        }
        let changes = convert::change::changes(&command.request.changes, order.currency)?;
        let (mut amendment, mut impossible) = change::plan(&order, &changes, last_line + 1);
        amendment.reason.clone_from(&command.reason);

        let lines: Vec<Line> = order.lines.iter().map(|line| line.line.clone()).collect();
        let mut parts = Parts::default();
        let mut warehouse = Vec::new();
        let mut promised = Vec::new();
        if amendment.promised {
            // What it cannot take is told already.
            let withheld = self.withheld(&order).await?;
            parts = change::parts(&lines, &amendment, &withheld).unwrap_or_default();
            if !parts.withdrawn().is_empty() {
                warehouse = self.warehouse(order_id).await?;
                impossible.extend(in_hand(&parts, &warehouse, &lines, &command.request.changes));
            }
            if !amendment.added.is_empty() {
                match self.dry_run(&order, &amendment).await? {
                    Ok(lines) => promised = lines,
                    Err(refused) => impossible.extend(refused),
                }
                let expected = promised.iter().map(|line| (line.line_no, line.reserved_in_all()));
                amendment.expected = expected.collect();
            }
        }
        let now = self.books.clock.now();
        let judged = {
            let mut conn = self.books.pool.acquire().await?;
            self.judge(&mut conn, &order, &amendment).await?
        };
        let block = judged.whole.clone().into_holds(now).first().map(|hold| hold.reason.clone());
        let kept_back = match amendment.promised {
            true => effects::kept_back(&order, &amendment, &parts, &promised, block.as_deref(), now),
            false => None,
        };
        let verdict = Verdict { rejection: judged.rejection().cloned(), ..Verdict::default() };
        let (plan_id, expires_at) = (Uuid::now_v7(), now + LIVES);
        let plan = pb::ChangePlan {
            id: plan_id.to_string(),
            order_id: order_id.to_string(),
            order_version: version,
            expires_at: Some(pesan_grpc::parse::to_timestamp(expires_at)),
            stock: effects::stock(&order, &amendment, &parts, &promised),
            parcels: effects::parcels(&order, &amendment, &parts, &promised, &warehouse, kept_back.as_ref()),
            money: Some(effects::money(&order, &amendment)),
            dates: effects::dates(&order, &amendment),
            splits: effects::splits(&order, &amendment),
            impossible: impossible.iter().map(convert::change::impossible).collect(),
            rules: Some(convert::rules::preview(&judged.holds(), &verdict)),
        };
        let kept =
            KeptPlan { plan_id, order_id, order_version: version, plan: plan.encode_to_vec(), amendment, expires_at };
        let mut conn = self.books.pool.acquire().await?;
        store::change::keep_plan(&mut conn, &kept).await?;
        Ok(plan)
    }

    /// What is kept back from fulfilment.
    async fn withheld(&self, order: &Order) -> Result<Vec<Part>, Error> {
        if order.head.delivery.withheld == 0 {
            return Ok(Vec::new());
        }
        let mut conn = self.books.pool.acquire().await?;
        let parts = store::delivery::withheld(&mut conn, &[order.head.order_id]).await?;
        Ok(parts.into_iter().map(|(_, part)| part).collect())
    }

    /// The order's fulfilment orders, as fulfilment knows them now.
    async fn warehouse(&self, order_id: Uuid) -> Result<Vec<fulfilment::FulfilmentOrder>, Error> {
        let mut found = Vec::new();
        let mut request = fulfilment::ListFulfilmentOrdersRequest {
            order_id: order_id.to_string(),
            page_size: PAGE,
            ..Default::default()
        };
        loop {
            let answer = self.canceller.fulfilment.clone().list_fulfilment_orders(request.clone()).await;
            let answer = answer.map_err(|_| Error::PeerUnavailable("fulfilment"))?.into_inner();
            found.extend(answer.fulfilment_orders);
            if answer.next_page_token.is_empty() {
                return Ok(found);
            }
            request.page_token = answer.next_page_token;
        }
    }

    /// What inventory would reserve of new lines.
    async fn dry_run(
        &self,
        order: &Order,
        amendment: &Amendment,
    ) -> Result<Result<Vec<LinePromise>, Vec<Impossible>>, Error> {
        use inventory::reserve_result::Outcome;
        let revision = order.head.amendments + 1;
        let demand = inventory::OrderDemand { dry_run: true, ..super::ask::demand(order, amendment, revision) };
        let answer = self.inventory.clone().reserve(inventory::ReserveRequest { demands: vec![demand] }).await;
        let mut results = answer.map_err(|_| Error::PeerUnavailable("inventory"))?.into_inner().results;
        match results.pop().and_then(|result| result.outcome) {
            Some(Outcome::Reservation(reservation)) => {
                let promise = super::ask::promise_of(&reservation.encode_to_vec(), amendment).map_err(|error| {
                    // A change that began since the order was read has taken the numbers of the new lines.
                    tracing::info!(order_id = %order.head.order_id, %error, "a plan met another change");
                    Error::CancellationPending
                })?;
                Ok(Ok(promise.lines))
            }
            Some(Outcome::Problem(problem)) => {
                let reason = match problem.reason.as_str() {
                    "UNKNOWN_SKU" => Reason::UnknownSku,
                    "OUT_OF_STOCK" => Reason::OutOfStock,
                    _ => return Err(Error::PeerUnavailable("inventory")),
                };
                let places = problem.violations.iter().filter_map(|violation| {
                    let place = violation.field.strip_prefix("lines[")?.split(']').next()?;
                    amendment.added.get(place.parse::<usize>().ok()?)
                });
                let refused: Vec<Impossible> =
                    places.map(|line| Impossible { change: line.change, line_no: line.line_no, reason }).collect();
                let whole = Impossible { change: 0, line_no: 0, reason };
                Ok(Err(if refused.is_empty() { vec![whole] } else { refused }))
            }
            None => Err(Error::PeerUnavailable("inventory")),
        }
    }
}

/// The parts that people in the warehouse have in hand. What fulfilment has not read yet it has not begun.
fn in_hand(
    parts: &Parts,
    warehouse: &[fulfilment::FulfilmentOrder],
    lines: &[Line],
    changes: &[pb::Change],
) -> Vec<Impossible> {
    let mut in_hand: HashMap<(i32, Uuid), i64> = HashMap::new();
    for order in warehouse {
        let is_in_hand = matches!(order.state(), FulfilmentState::Picked | FulfilmentState::Packed);
        let location = convert::location(&order.location_id).unwrap_or_default();
        for line in order.lines.iter().filter(|_| is_in_hand) {
            *in_hand.entry((line.line_no, location)).or_default() += line.picked - line.shipped;
        }
    }
    let reserved = |line_no: i32, location: Uuid| {
        let line = lines.iter().find(|line| line.line_no == line_no);
        let here = line.and_then(|line| line.allocations.iter().find(|a| a.location == location));
        here.map_or(0, |allocation| allocation.reserved)
    };
    let is_late = |part: &Part| {
        let held = in_hand.get(&(part.line_no, part.location)).unwrap_or(&0);
        part.quantity > reserved(part.line_no, part.location) - held
    };
    let mut late: Vec<i32> = parts.withdrawn().iter().filter(|part| is_late(part)).map(|part| part.line_no).collect();
    late.sort_unstable();
    late.dedup();
    late.into_iter()
        .map(|line_no| Impossible { change: culprit(changes, line_no), line_no, reason: Reason::Picked })
        .collect()
}

/// The change that takes a line, or, where none names it, the first that is about the whole order.
fn culprit(changes: &[pb::Change], line_no: i32) -> usize {
    use pb::change::Kind;
    let names = |change: &pb::Change| match &change.kind {
        Some(Kind::RemoveLine(remove)) => remove.line_no == line_no,
        Some(Kind::SetQuantity(set)) => set.line_no == line_no,
        Some(Kind::SplitOff(split)) => split.lines.iter().any(|line| line.line_no == line_no),
        Some(
            Kind::AddLine(_) | Kind::SetPrice(_) | Kind::SetAddress(_) | Kind::SetShipDate(_) | Kind::CancelRest(_),
        )
        | None => false,
    };
    let is_whole = |change: &pb::Change| {
        matches!(change.kind, Some(Kind::SetAddress(_) | Kind::SetShipDate(_) | Kind::CancelRest(_)))
    };
    changes.iter().position(names).or_else(|| changes.iter().position(is_whole)).unwrap_or_default()
}
