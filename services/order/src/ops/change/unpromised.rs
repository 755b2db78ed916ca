//! Changes before the promise: the lines are rewritten and the promise is settled anew. One transaction.

use super::Changer;
use super::commit::Next;
use super::judge::Judgement;
use crate::change::Amendment;
use crate::convert;
use crate::convert::change::CommitChange;
use crate::error::Error;
use crate::line::Line;
use crate::ops::cancel::cancel_unpromised;
use crate::ops::hold::put_on;
use crate::ops::{answer, whole_order};
use crate::order::Order;
use crate::quantities::Quantities;
use crate::rule::MOST_HOLDS;
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_feed::NewEvent;
use sqlx::{Postgres, Transaction};

impl Changer {
    pub(super) async fn apply_unpromised(
        &self,
        mut tx: Transaction<'static, Postgres>,
        command: &CommitChange,
        mut order: Order,
        amendment: Amendment,
        judged: Judgement,
    ) -> Result<Next, Error> {
        let (order_id, now) = (order.head.order_id, self.books.clock.now());
        let trace = order.head.traceparent.clone();
        let mut lines: Vec<Line> = order.lines.iter().map(|line| line.line.clone()).collect();
        let mut split_off = Vec::new();
        let mut events = Vec::new();
        if amendment.cancel_all {
            let head = &mut order.head;
            let fact = cancel_unpromised(head, &mut lines, &amendment.reason);
            store::job::delete(&mut tx, &[order_id]).await?;
            store::hold::delete_of_orders(&mut tx, &[order_id]).await?;
            events.push(NewEvent::new(order_id, head.next_version(), &fact, now));
            store::change::write_lines(&mut tx, order_id, &lines).await?;
        } else {
            let revision = order.head.amendments + 1;
            let token = store::change::payment_token(&mut tx, order_id).await?;
            split_off = self.split_off(&mut tx, &order, &amendment.splits, judged.splits, token, now).await?;
            match &amendment.rewritten {
                Some(planned) => {
                    store::change::remove_lines(&mut tx, order_id).await?;
                    store::change::add_lines(&mut tx, order_id, planned).await?;
                }
                None => {
                    // What was held for it meanwhile is let go, and reserved anew.
                    lines.iter_mut().for_each(Line::lapse);
                    store::change::write_lines(&mut tx, order_id, &lines).await?;
                }
            }
            let not_before = amendment.rescheduled.then_some(amendment.not_before);
            store::change::amend(&mut tx, order_id, revision, amendment.ship_to.as_deref(), not_before).await?;
            let mut now_is = super::commit::order_of(&mut tx, order_id).await?;
            now_is.head.standing.quantities = Quantities::of(now_is.head.standing.quantities.ordered);
            let fact = convert::events::amended(&now_is, &amendment, Vec::new());
            events.push(NewEvent::new(order_id, now_is.head.next_version(), &fact, now));
            let mut holds = judged.whole.into_holds(now);
            holds.retain(|new| order.holds.iter().all(|old| old.rule != new.rule));
            holds.truncate(MOST_HOLDS.saturating_sub(order.holds.len()));
            events.extend(put_on(&mut tx, &mut now_is.head, holds, now).await?);
            if now_is.head.standing.holds == 0 {
                store::job::queue(&mut tx, &[order_id], now).await?;
            }
            order = now_is;
        }
        store::order::write(&mut tx, &[&order.head]).await?;
        let events: Vec<NewEvent> =
            events.into_iter().map(|event| event.of_journey(order_id).in_trace(trace.as_deref())).collect();
        pesan_feed::append(&mut tx, &events).await?;
        let response = pb::CommitChangeResponse {
            order: Some(whole_order(&mut tx, order_id).await?),
            split_order_ids: split_off.iter().map(ToString::to_string).collect(),
        };
        answer(&mut tx, command.request_id, &response).await?;
        tx.commit().await?;
        self.books.changed([order_id].into_iter().chain(split_off));
        self.saga.nudge();
        Ok(Next::Done(Box::new(response)))
    }
}
