//! Folding facts into the orders and lines they are about, in memory.

use super::fact::Fact;
use crate::cancellation::Part;
use crate::convert;
use crate::delivery::ReadyPart;
use crate::goodwill::Allowed;
use crate::line::{Line, Unlawful};
use crate::order::Head;
use crate::passed::Passed;
use crate::rma::Discrepancy;
use crate::store::change::Mark;
use anyhow::Context as _;
use pesan_api::billing::v1::{CreditNoteIssued, DocumentLine};
use pesan_api::fulfilment::v1::{ExpectedReturnClosed, ReturnReceived};
use pesan_api::inventory::v1::{BackordersFilled, ReleasedLine, ReservedStockMissing, ShortageBooked};
use pesan_api::order::v1 as pb;
use pesan_feed::{Event, NewEvent};
use pesan_grpc::parse::from_money;
use prost::{Message, Name};
use std::collections::{BTreeMap, HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// Orders and lines while facts are added to them.
pub struct Fold<'a> {
    heads: HashMap<Uuid, Head>,
    lines: HashMap<(Uuid, i32), Line>,
    /// Of lines that were, or are being, changed.
    marks: HashMap<(Uuid, i32), Mark>,
    /// Stock that came for what was, or is being, cancelled.
    passed: HashMap<Uuid, Passed>,
    /// What became ready and is kept back.
    kept_back: Vec<(Uuid, Part)>,
    /// Until when.
    due: Vec<(Uuid, OffsetDateTime)>,
    changed_lines: HashSet<(Uuid, i32)>,
    /// In the order in which they changed first.
    orders: Vec<Uuid>,
    changes: HashMap<Uuid, Change<'a>>,
    /// What came back, by return and line.
    received: BTreeMap<(Uuid, i32), i64>,
    /// What will not come back, by return and line.
    released: BTreeMap<(Uuid, i32), i64>,
    /// What came back and was not as announced, with its return.
    discrepancies: Vec<(Uuid, Discrepancy)>,
    /// What was credited without goods.
    allowed: Vec<Allowed>,
}

/// What a batch did to an order.
struct Change<'a> {
    /// The last fact about it: what follows from the batch is effective when that was.
    last: &'a Event,
    /// What fulfilment could go on with.
    ready: Vec<ReadyPart>,
    skus: HashMap<(Uuid, i32), String>,
    /// Quantities that nobody found and nobody waits for.
    lost: BTreeMap<i32, i64>,
    /// What a count did not find.
    missing: Vec<Part>,
}

impl Change<'_> {
    fn add(&mut self, part: ReadyPart) {
        let same = |ready: &&mut ReadyPart| (ready.line_no, ready.location) == (part.line_no, part.location);
        match self.ready.iter_mut().find(same) {
            Some(ready) => ready.quantity += part.quantity,
            None => self.ready.push(part),
        }
    }
}

impl<'a> Fold<'a> {
    /// Of these orders and lines.
    pub fn new(
        heads: HashMap<Uuid, Head>,
        lines: HashMap<(Uuid, i32), Line>,
        marks: HashMap<(Uuid, i32), Mark>,
        passed: HashMap<Uuid, Passed>,
    ) -> Self {
        Self {
            heads,
            lines,
            marks,
            passed,
            kept_back: Vec::new(),
            due: Vec::new(),
            changed_lines: HashSet::new(),
            orders: Vec::new(),
            changes: HashMap::new(),
            received: BTreeMap::new(),
            released: BTreeMap::new(),
            discrepancies: Vec::new(),
            allowed: Vec::new(),
        }
    }

    /// True where the order is there.
    pub fn knows(&self, order_id: Uuid) -> bool {
        self.heads.contains_key(&order_id)
    }

    /// Adds a fact. False where its order is not there.
    ///
    /// # Errors
    /// Where it cannot be true: going on would hide it.
    pub fn apply(&mut self, order_id: Uuid, event: &'a Event, fact: &Fact) -> anyhow::Result<bool> {
        let Some(head) = self.heads.get_mut(&order_id) else { return Ok(false) };
        if fact.is_of_inventory() {
            // The promise was written down together with all of inventory's facts up to its version.
            if event.version <= head.inventory_version {
                return Ok(true);
            }
            head.inventory_version = event.version;
        }
        if let Fact::TakenBack(lines) = fact {
            self.forget(order_id, lines);
            return Ok(true); // nobody else knows of it
        }
        let newest = |known: &mut Option<OffsetDateTime>| *known = (*known).max(Some(event.effective_at));
        match fact {
            Fact::Issued(_) => newest(&mut head.shipped_at),
            Fact::Delivered(_) => newest(&mut head.delivered_at),
            _ => {}
        }
        let change =
            Change { last: event, ready: Vec::new(), skus: HashMap::new(), lost: BTreeMap::new(), missing: vec![] };
        self.changes.entry(order_id).and_modify(|change| change.last = event).or_insert_with(|| {
            self.orders.push(order_id);
            change
        });
        let applied = match fact {
            Fact::Filled(fact) => self.fill(order_id, event.version, fact),
            Fact::Short(fact) if self.has(order_id, fact.line_no, event.version) => Ok(()),
            Fact::Short(fact) => self.fall_short(order_id, fact),
            Fact::TakenBack(_) => Ok(()), // see above
            Fact::Missing(fact) => {
                self.miss(order_id, fact);
                Ok(())
            }
            Fact::Expired => self.lapse(order_id),
            Fact::Issued(fact) => self.each(
                order_id,
                &fact.lines,
                |line| line.line_no,
                |line, issued| {
                    let location = convert::location(&fact.location_id).unwrap_or_default();
                    line.ship(location, issued.quantity)
                },
            ),
            Fact::Delivered(fact) => {
                self.each(order_id, &fact.lines, |line| line.line_no, |line, arrived| line.deliver(arrived.quantity))
            }
            Fact::Returned(fact) => self.take_back(order_id, event, fact),
            Fact::Closed(fact) => self.close(fact),
            Fact::Allowed(fact) => self.allow(fact),
            Fact::Invoiced(lines) => {
                self.each(order_id, lines, document_line, |line, invoiced| line.invoice(invoiced.quantity))
            }
            Fact::Credited(lines) => {
                self.each(order_id, lines, document_line, |line, credited| line.refund(credited.quantity))
            }
        };
        applied.with_context(|| format!("{} {} of order {order_id}", event.kind, event.event_id))?;
        Ok(true)
    }

    /// Changes lines, and the order's sums by what they changed.
    fn each<T>(
        &mut self,
        order_id: Uuid,
        parts: &[T],
        line_no: fn(&T) -> i32,
        mut change: impl FnMut(&mut Line, &T) -> Result<(), Unlawful>,
    ) -> anyhow::Result<()> {
        let head = self.heads.get_mut(&order_id).context("the order is not there")?;
        for part in parts {
            let key = (order_id, line_no(part));
            let line = self.lines.get_mut(&key).with_context(|| format!("there is no line {}", key.1))?;
            let before = line.quantities;
            change(line, part)?;
            head.standing.quantities += line.quantities - before;
            self.changed_lines.insert(key);
        }
        Ok(())
    }

    /// True where a line of a change has what inventory's fact of this version tells already, or does not exist (yet).
    fn has(&self, order_id: Uuid, line_no: i32, version: i64) -> bool {
        self.marks.get(&(order_id, line_no)).is_some_and(|mark| version <= mark.inventory_version)
    }

    fn claimed(&self, order_id: Uuid, line_no: i32) -> i64 {
        self.marks.get(&(order_id, line_no)).map_or(0, |mark| mark.claimed)
    }

    fn fill(&mut self, order_id: Uuid, version: i64, fact: &BackordersFilled) -> anyhow::Result<()> {
        let news: Vec<_> = fact
            .lines
            .iter()
            .filter(|line| !self.has(order_id, line.line_no, version))
            .map(|line| (line, self.claimed(order_id, line.line_no)))
            .collect();
        let mut passed = self.passed.remove(&order_id).unwrap_or_default();
        let mut filled = Vec::with_capacity(news.len());
        self.each(
            order_id,
            &news,
            |(line, _)| line.line_no,
            |line, (stock, claimed)| {
                let location = convert::location(&stock.location_id).unwrap_or_default();
                let quantity = passed.fill(line, *claimed, location, stock.quantity);
                let ready = ReadyPart { line_no: line.line_no, location, quantity, stocked: line.stocked };
                filled.push((ready, stock.sku.as_str()));
                Ok(())
            },
        )?;
        // Of a cancelled order inventory takes everything back.
        if !self.heads.get(&order_id).is_some_and(|head| head.standing.quantities.is_cancelled()) {
            self.passed.insert(order_id, passed);
        }
        self.hand_over(order_id, filled);
        Ok(())
    }

    /// Inventory took this back.
    fn forget(&mut self, order_id: Uuid, lines: &[ReleasedLine]) {
        let Some(passed) = self.passed.get_mut(&order_id) else { return };
        for (line, part) in lines.iter().flat_map(|line| line.taken_back.iter().map(move |part| (line, part))) {
            let location = convert::location(&part.location_id).unwrap_or_default();
            passed.taken_back(line.line_no, location, part.quantity);
        }
    }

    fn hand_over(&mut self, order_id: Uuid, parts: Vec<(ReadyPart, &str)>) {
        let Some(change) = self.changes.get_mut(&order_id) else { return };
        for (part, sku) in parts.into_iter().filter(|(part, _)| part.quantity > 0) {
            change.skus.insert((order_id, part.line_no), sku.to_owned());
            change.add(part);
        }
    }

    fn fall_short(&mut self, order_id: Uuid, fact: &ShortageBooked) -> anyhow::Result<()> {
        let location = convert::location(&fact.location_id).unwrap_or_default();
        let claimed = self.claimed(order_id, fact.line_no);
        let mut passed = self.passed.remove(&order_id).unwrap_or_default();
        let mut filled = Vec::new();
        self.each(
            order_id,
            &[fact],
            |fact| fact.line_no,
            |line, fact| {
                line.fall_short(location, fact.quantity, fact.backordered)?;
                let stocked = line.stocked;
                for Part { line_no, location, quantity } in passed.catch_up(line, claimed) {
                    filled.push((ReadyPart { line_no, location, quantity, stocked }, fact.sku.as_str()));
                }
                Ok(())
            },
        )?;
        self.passed.insert(order_id, passed);
        self.hand_over(order_id, filled);
        let lost = fact.quantity - fact.backordered;
        if let Some(change) = self.changes.get_mut(&order_id).filter(|_| lost > 0) {
            *change.lost.entry(fact.line_no).or_default() += lost;
        }
        Ok(())
    }

    /// Nothing changes before those who have it let go of it.
    fn miss(&mut self, order_id: Uuid, fact: &ReservedStockMissing) {
        let location = convert::location(&fact.location_id).unwrap_or_default();
        if let Some(change) = self.changes.get_mut(&order_id) {
            change.missing.push(Part { line_no: fact.line_no, location, quantity: fact.quantity });
        }
    }

    /// Only an order that is not confirmed can lose its promise this way.
    fn lapse(&mut self, order_id: Uuid) -> anyhow::Result<()> {
        let head = self.heads.get(&order_id).context("the order is not there")?;
        let is_open = head.standing.confirmed_at.is_none() && !head.standing.rejected;
        anyhow::ensure!(is_open || head.standing.quantities.open() == 0, "the promise to a confirmed order lapsed");
        let line_nos: Vec<i32> = self.lines.keys().filter(|key| key.0 == order_id).map(|key| key.1).collect();
        if !is_open || head.standing.quantities.open() == 0 {
            return Ok(());
        }
        self.each(
            order_id,
            &line_nos,
            |line_no| *line_no,
            |line, _| {
                line.lapse();
                Ok(())
            },
        )
    }

    fn close(&mut self, fact: &ExpectedReturnClosed) -> anyhow::Result<()> {
        let return_id: Uuid = fact.return_id.parse().context("the return's id")?;
        self.released.extend(fact.lines.iter().map(|line| ((return_id, line.line_no), line.released)));
        Ok(())
    }

    fn allow(&mut self, fact: &CreditNoteIssued) -> anyhow::Result<()> {
        let document = fact.document.as_ref().context("a credit note without its document")?;
        let total = document.total.as_ref().context("a credit note without its total")?;
        self.allowed.push(Allowed {
            goodwill_id: fact.goodwill_id.parse().context("the goodwill's id")?,
            document_id: document.id.parse().context("the document's id")?,
            amount: from_money(total)?.amount,
        });
        Ok(())
    }

    fn take_back(&mut self, order_id: Uuid, event: &Event, fact: &ReturnReceived) -> anyhow::Result<()> {
        let return_id: Uuid = fact.return_id.parse().context("the return's id")?;
        for discrepancy in &fact.discrepancies {
            let read = convert::returns::discrepancy(discrepancy, event.effective_at).context("a discrepancy")?;
            self.discrepancies.push((return_id, read));
        }
        for line in &fact.lines {
            *self.received.entry((return_id, line.line_no)).or_default() += line.sellable + line.damaged;
        }
        self.each(order_id, &fact.lines, |line| line.line_no, |line, back| line.take_back(back.sellable + back.damaged))
    }

    /// The orders of which something is kept back, and nothing is a reason to any more.
    pub fn no_longer_withheld(&self, now: OffsetDateTime) -> Vec<Uuid> {
        let goes = |head: &Head| {
            head.delivery.withheld > 0 && !head.delivery.withholds(head.standing.quantities.backordered, now)
        };
        self.orders.iter().copied().filter(|id| self.heads.get(id).is_some_and(goes)).collect()
    }

    /// Adds what was kept back to what fulfilment can go on with.
    pub fn release(&mut self, parts: Vec<(Uuid, ReadyPart)>, skus: HashMap<(Uuid, i32), String>) {
        for (order_id, part) in parts {
            let Some(change) = self.changes.get_mut(&order_id) else { continue };
            change.add(part);
            if let Some(sku) = skus.get(&(order_id, part.line_no)) {
                change.skus.insert((order_id, part.line_no), sku.clone());
            }
            if let Some(head) = self.heads.get_mut(&order_id) {
                head.delivery.withheld = 0;
            }
        }
    }

    /// What became ready and is kept back.
    pub fn kept_back(&self) -> &[(Uuid, Part)] {
        &self.kept_back
    }

    /// Until when it is kept back, where that is known.
    pub fn due(&self) -> &[(Uuid, OffsetDateTime)] {
        &self.due
    }

    /// What this service has to tell about it: one fact for each order that changed, or what others act on.
    pub fn publish(&mut self, now: OffsetDateTime) -> Vec<NewEvent> {
        let mut events = Vec::with_capacity(self.orders.len());
        for order_id in &self.orders {
            let (Some(head), Some(change)) = (self.heads.get_mut(order_id), self.changes.get(order_id)) else {
                continue;
            };
            let count = events.len();
            if !change.lost.is_empty() {
                let lines = change.lost.iter().map(|(line_no, quantity)| pb::CancelledLine {
                    line_no: *line_no,
                    quantity: *quantity,
                    ..Default::default()
                });
                let q = &head.standing.quantities;
                let fact = pb::OrderCancelled {
                    order_id: order_id.to_string(),
                    lines: lines.collect(),
                    whole: q.is_cancelled(),
                    reason: "not found in the warehouse".to_owned(),
                    revision: 0,
                };
                events.push(change.last.follow_up(*order_id, head.next_version(), &fact));
            }
            let is_ready = !change.ready.is_empty() && head.standing.confirmed_at.is_some();
            if is_ready && head.delivery.withholds(head.standing.quantities.backordered, now) {
                self.kept_back.extend(change.ready.iter().map(|part| (*order_id, part.as_part())));
                self.due.extend(head.delivery.due_at(now).map(|due_at| (*order_id, due_at)));
                head.delivery.withheld += change.ready.iter().map(|part| part.quantity).sum::<i64>();
            } else if is_ready {
                let fact = convert::events::lines_ready(*order_id, &change.ready, &change.skus);
                events.push(change.last.follow_up(*order_id, head.next_version(), &fact));
            }
            // What is missing is told once it is known who has it.
            if events.len() == count && change.missing.is_empty() {
                let version = head.next_version();
                events.push(change.last.follow_up(*order_id, version, &convert::events::progressed(head)));
            }
        }
        events
    }

    /// What counts did not find, by order.
    pub fn missing(&self) -> Vec<(Uuid, &[Part])> {
        let of = |id: &Uuid| Some((*id, self.changes.get(id)?.missing.as_slice()));
        self.orders.iter().filter_map(of).filter(|(_, parts)| !parts.is_empty()).collect()
    }

    /// The lines to be written.
    pub fn changed_lines(&self) -> Vec<(Uuid, &Line)> {
        let mut keys: Vec<_> = self.changed_lines.iter().copied().collect();
        keys.sort_unstable();
        keys.iter().filter_map(|key| Some((key.0, self.lines.get(key)?))).collect()
    }

    /// The orders to be written.
    pub fn changed_heads(&self) -> Vec<&Head> {
        let mut ids = self.orders.clone();
        ids.sort_unstable();
        ids.iter().filter_map(|id| self.heads.get(id)).collect()
    }

    /// The ids of the orders that changed.
    pub fn changed_orders(&self) -> Vec<Uuid> {
        self.orders.clone()
    }

    /// What is passed over now, where that changed.
    pub fn passed(&self) -> impl Iterator<Item = (Uuid, &Passed)> {
        self.passed.iter().filter(|(_, passed)| passed.is_changed()).map(|(order_id, passed)| (*order_id, passed))
    }

    /// One more fact of this service about an order of the batch, after its last one.
    pub fn tell<M: Message + Name>(&mut self, order_id: Uuid, fact: &M) -> Option<NewEvent> {
        let (head, change) = (self.heads.get_mut(&order_id)?, self.changes.get(&order_id)?);
        Some(change.last.follow_up(order_id, head.next_version(), fact))
    }

    /// When what an order of the batch did last was effective, and its trace.
    pub fn last_of(&self, order_id: Uuid) -> Option<&'a Event> {
        self.changes.get(&order_id).map(|change| change.last)
    }

    /// What will not come back: return, line, quantity.
    pub fn released(&self) -> Vec<(Uuid, i32, i64)> {
        self.released.iter().map(|((return_id, line_no), quantity)| (*return_id, *line_no, *quantity)).collect()
    }

    /// What came back and was not as announced, with its return.
    pub fn discrepancies(&self) -> &[(Uuid, Discrepancy)] {
        &self.discrepancies
    }

    /// What was credited without goods.
    pub fn allowed(&self) -> &[Allowed] {
        &self.allowed
    }

    /// What came back: return, line, quantity.
    pub fn received(&self) -> Vec<(Uuid, i32, i64)> {
        self.received.iter().map(|((return_id, line_no), quantity)| (*return_id, *line_no, *quantity)).collect()
    }
}

fn document_line(line: &DocumentLine) -> i32 {
    line.line_no
}
