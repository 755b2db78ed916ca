//! The newest events of the outbox, read once for all readers: whoever keeps up costs the database nothing.

use crate::Cursor;
use crate::page::{Page, event, position};
use pesan_api::feed::v1 as pb;
use sqlx::{PgPool, Row as _};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What is kept: so many events, and of them so many bytes.
const MOST_EVENTS: usize = 8_192;
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Events of one look.
const LOOK: usize = 1_000;
/// How long events gather after a wake-up before they are looked at. Readers then leave the machine to whoever wrote, who is
/// most likely not done yet (an order is settled in four transactions), and take more at once.
const GATHER: Duration = Duration::from_millis(10);
/// The longest pause between two looks for events that another replica wrote.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// All events after `start`, up to `end`. Empty until the outbox was looked at.
#[derive(Default)]
pub(crate) struct Tail {
    start: Option<Cursor>,
    end: Option<Cursor>,
    events: VecDeque<(Cursor, pb::Event)>,
    bytes: usize,
}

impl Tail {
    /// Events of these types after `cursor`, at most `max`; none where the tail begins later than that.
    pub(crate) fn page(&self, cursor: Cursor, max: usize, types: &[String]) -> Option<Page> {
        if self.start.is_none_or(|start| cursor < start) {
            return None;
        }
        let mut page = Page { events: Vec::new(), after: cursor, caught_up: true };
        let first = self.events.partition_point(|(at, _)| *at <= cursor);
        let mut bytes = 0;
        for (at, event) in self.events.range(first..) {
            if types.is_empty() || types.contains(&event.r#type) {
                if page.events.len() == max || bytes > Page::BYTES {
                    page.caught_up = false;
                    break;
                }
                bytes += size(event);
                page.events.push(event.clone());
            }
            page.after = *at;
        }
        Some(page)
    }

    fn extend(&mut self, events: Vec<(Cursor, pb::Event)>) {
        self.end = events.last().map(|(at, _)| *at).or(self.end);
        self.bytes += events.iter().map(|(_, event)| size(event)).sum::<usize>();
        self.events.extend(events);
        while self.events.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some((at, event)) = self.events.pop_front() else { break };
            self.bytes -= size(&event);
            self.start = Some(at);
        }
    }
}

/// What an event takes, about.
fn size(event: &pb::Event) -> usize {
    event.payload.len() + 400
}

/// Keeps a tail as long as anybody reads it.
pub(crate) fn keep(pool: PgPool, epoch: Uuid, wake: Arc<Notify>, closed: CancellationToken) -> watch::Receiver<Tail> {
    let (sender, receiver) = watch::channel(Tail::default());
    tokio::spawn(async move {
        tokio::select! {
            () = closed.cancelled() => {}
            () = sender.closed() => {}
            () = look_out(&pool, epoch, &wake, &sender) => {}
        }
    });
    receiver
}

async fn look_out(pool: &PgPool, epoch: Uuid, wake: &Notify, tail: &watch::Sender<Tail>) {
    let mut pause = Duration::from_millis(1);
    loop {
        // Listen before looking: a wake-up between the two must not be missed.
        let notified = wake.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        let end = tail.borrow().end;
        let looked = match end {
            Some(end) => look(pool, end).await,
            None => match head(pool, epoch).await {
                Ok(head) => {
                    tail.send_replace(Tail { start: Some(head), end: Some(head), ..Tail::default() });
                    continue;
                }
                Err(error) => Err(error),
            },
        };
        match looked {
            Ok(looked) => {
                let is_full = looked.events.len() == LOOK;
                if !looked.events.is_empty() {
                    tail.send_modify(|tail| tail.extend(looked.events));
                    pause = Duration::from_millis(1);
                }
                if is_full {
                    continue;
                }
                if !looked.is_hidden {
                    pause = LONGEST_PAUSE;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the outbox cannot be looked at; trying again");
                // Whatever happened to the database may have taken back what was not durable.
                tail.send_replace(Tail::default());
                pause = LONGEST_PAUSE;
            }
        }
        tokio::select! {
            () = notified => {
                tokio::time::sleep(GATHER).await;
                pause = Duration::from_millis(1);
            }
            () = tokio::time::sleep(pause) => pause = LONGEST_PAUSE.min(pause * 2),
        }
    }
}

/// What one look showed.
struct Looked {
    events: Vec<(Cursor, pb::Event)>,
    /// There are more, which an older transaction that has not ended yet still hides.
    is_hidden: bool,
}

async fn look(pool: &PgPool, end: Cursor) -> sqlx::Result<Looked> {
    // The number of rows stands in the text: then the plan does not depend on parameters, and is made once.
    // A bare `order by xid` would mean the text that is selected, which sorts 1000 before 999.
    let rows = sqlx::query(
        "select xid::text, seq, event_id, aggregate_id, version, type, payload, correlation_id, traceparent,
                effective_at, recorded_at, is_settled
           from (select outbox.*, xid < pg_snapshot_xmin(pg_current_snapshot()) as is_settled
                   from outbox
                  where (xid, seq) > ($1::text::xid8, $2)
                  order by outbox.xid, outbox.seq
                  limit 1000) looked_at
          order by looked_at.xid, looked_at.seq",
    )
    .bind(end.xid.to_string())
    .bind(end.seq)
    .fetch_all(pool)
    .await?;
    let mut looked = Looked { events: Vec::with_capacity(rows.len()), is_hidden: false };
    for row in rows {
        if !row.try_get::<bool, _>("is_settled")? {
            looked.is_hidden = true;
            break;
        }
        looked.events.push((position(&row, 0, end.epoch)?, event(&row, 2)?));
    }
    Ok(looked)
}

/// The newest event that nothing hides.
pub(crate) async fn head(pool: &PgPool, epoch: Uuid) -> sqlx::Result<Cursor> {
    let row = sqlx::query(
        "select xid::text, seq from outbox
          where xid < pg_snapshot_xmin(pg_current_snapshot())
          order by outbox.xid desc, outbox.seq desc limit 1",
    )
    .fetch_optional(pool)
    .await?;
    row.map_or(Ok(Cursor::start(epoch)), |row| position(&row, 0, epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: i64) -> Cursor {
        Cursor { seq, ..Cursor::start(Uuid::nil()) }
    }

    fn events(seqs: std::ops::RangeInclusive<i64>) -> Vec<(Cursor, pb::Event)> {
        let kind = |seq| if seq % 2 == 0 { "even" } else { "odd" };
        let event = |seq| pb::Event { version: seq, r#type: kind(seq).into(), ..Default::default() };
        seqs.map(|seq| (at(seq), event(seq))).collect()
    }

    fn versions(page: &Page) -> Vec<i64> {
        page.events.iter().map(|event| event.version).collect()
    }

    #[test]
    fn a_page_has_what_comes_after_the_cursor_and_only_that() {
        let mut tail = Tail { start: Some(at(3)), end: Some(at(3)), ..Tail::default() };
        tail.extend(events(4..=9));
        assert!(tail.page(at(2), 10, &[]).is_none(), "3 is not known here");
        let page = tail.page(at(3), 4, &[]).unwrap();
        assert_eq!((versions(&page), page.after, page.caught_up), (vec![4, 5, 6, 7], at(7), false));
        let page = tail.page(at(7), 4, &[]).unwrap();
        assert_eq!((versions(&page), page.after, page.caught_up), (vec![8, 9], at(9), true));
        let page = tail.page(at(9), 4, &[]).unwrap();
        assert_eq!((versions(&page), page.after, page.caught_up), (vec![], at(9), true));
    }

    #[test]
    fn what_a_reader_does_not_want_is_passed_over() {
        let mut tail = Tail { start: Some(at(0)), ..Tail::default() };
        tail.extend(events(1..=9));
        let even = ["even".to_owned()];
        let page = tail.page(at(0), 3, &even).unwrap();
        assert_eq!((versions(&page), page.after, page.caught_up), (vec![2, 4, 6], at(7), false));
        let page = tail.page(page.after, 3, &even).unwrap();
        assert_eq!((versions(&page), page.after, page.caught_up), (vec![8], at(9), true));
        let page = tail.page(at(8), 3, &even).unwrap();
        assert_eq!((versions(&page), page.after, page.caught_up), (vec![], at(9), true));
    }

    #[test]
    fn the_oldest_go_and_their_readers_are_told() {
        let mut tail = Tail { start: Some(at(0)), ..Tail::default() };
        tail.extend(events(1..=MOST_EVENTS as i64));
        assert!(tail.page(at(0), 1, &[]).is_some());
        tail.extend(events(MOST_EVENTS as i64 + 1..=MOST_EVENTS as i64 + 5));
        assert!(tail.page(at(4), 1, &[]).is_none());
        assert_eq!(versions(&tail.page(at(5), 1, &[]).unwrap()), [6]);
        let huge = pb::Event { payload: vec![0; MOST_BYTES].into(), ..Default::default() };
        tail.extend(vec![(at(1_000_000), huge)]);
        assert!(tail.events.is_empty() && tail.bytes == 0, "one that is larger than all room is not kept");
        assert!(tail.page(at(1_000_000), 1, &[]).is_some());
    }
}
