//! What a batch of facts changes, worked out before anything is written: each row once, rollups as sums of differences.
//!
//! A rollup row is the sum of what each order adds to it. What an order adds is a function of what is known of it, so a
//! batch adds the difference between after and before, and the rows are the same whatever the order of the facts.

use crate::dims::{Dims, slot};
use crate::order_fact::{Accepted, Document, Fact, Goods, Line, OrderFact, Sales};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use time::OffsetDateTime;
use uuid::Uuid;

/// What must be known before a batch can be worked out.
#[derive(Debug, Default)]
pub struct Known {
    /// The batch's orders as they are. Those missing are new.
    pub orders: HashMap<Uuid, OrderFact>,
    /// Lines of the orders that the batch rejects or changes.
    pub lines: HashMap<Uuid, Vec<Line>>,
    /// Documents that came before the acceptance of the batch's orders.
    pub waiting: Vec<Document>,
}

/// What orders with a product add to the product's slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProductSales {
    pub orders: i64,
    pub lines: i64,
    pub units: i64,
    pub gross: i64,
    pub discount: i64,
}

/// What documents add to their slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    pub invoices: i64,
    pub credit_notes: i64,
    pub invoiced: i64,
    pub credited: i64,
}

/// The rows to write.
#[derive(Debug, Default)]
pub struct Writes {
    pub dims: BTreeMap<Uuid, Dims>,
    pub accepted: Vec<Accepted>,
    /// Lines of orders of earlier batches, as they are now.
    pub amended: BTreeMap<Uuid, Vec<Line>>,
    /// Ascending by id.
    pub orders: Vec<OrderFact>,
    /// Customers whose first order may have changed.
    pub customers: BTreeSet<Uuid>,
    /// True where an order stopped counting: customers and rollup rows may have to go.
    pub rejections: bool,
    pub holds: BTreeMap<(Uuid, String), (OffsetDateTime, Option<OffsetDateTime>)>,
    /// Of holds of earlier batches.
    pub releases: BTreeMap<(Uuid, String), OffsetDateTime>,
    pub shipments: Vec<Goods>,
    pub returns: Vec<Goods>,
    pub documents: Vec<Document>,
    /// Documents of earlier batches, whose order is known now.
    pub settled: BTreeMap<Uuid, Uuid>,
    pub sales_added: BTreeMap<(OffsetDateTime, Uuid), Sales>,
    pub sales_taken: BTreeMap<(OffsetDateTime, Uuid), Sales>,
    pub products_added: BTreeMap<(OffsetDateTime, String, Uuid), ProductSales>,
    pub products_taken: BTreeMap<(OffsetDateTime, String, Uuid), ProductSales>,
    pub document_slots: BTreeMap<(OffsetDateTime, Uuid), Documents>,
}

/// Works out what `facts`, in the order given, change.
pub fn fold(mut known: Known, facts: Vec<Fact>) -> Writes {
    let mut writes = Writes::default();
    let before: HashMap<Uuid, OrderFact> = known.orders.clone();
    let mut touched: BTreeSet<Uuid> = BTreeSet::new();
    for fact in facts {
        if let Some(order_id) = fact.order_id() {
            touched.insert(order_id);
            known.orders.entry(order_id).or_insert_with(|| OrderFact::new(order_id)).apply(&fact);
        }
        match fact {
            Fact::Accepted(accepted) => {
                writes.dims.entry(accepted.dims.id()).or_insert_with(|| accepted.dims.clone());
                writes.customers.extend(accepted.customer_id);
                writes.accepted.push(accepted);
            }
            Fact::Held { order_id, hold_id, at } => {
                writes.holds.insert((order_id, hold_id), (at, None));
            }
            Fact::HoldReleased { order_id, hold_id, at } => {
                let key = (order_id, hold_id);
                match writes.holds.get_mut(&key) {
                    Some((_, released_at)) => *released_at = Some(at),
                    None => drop(writes.releases.insert(key, at)),
                }
            }
            Fact::Amended { order_id, lines } => {
                match writes.accepted.iter_mut().find(|accepted| accepted.order_id == order_id) {
                    Some(accepted) => accepted.lines = lines,
                    None => drop(writes.amended.insert(order_id, lines)),
                }
            }
            Fact::Shipped(goods) => writes.shipments.push(goods),
            Fact::Returned(goods) => writes.returns.push(goods),
            Fact::Documented(document) => {
                if let Some(dims) = &document.dims {
                    writes.dims.entry(dims.id()).or_insert_with(|| dims.clone());
                }
                writes.documents.push(document);
            }
            Fact::Confirmed { .. }
            | Fact::Rejected { .. }
            | Fact::Cancelled { .. }
            | Fact::Backordered { .. }
            | Fact::Delivered { .. } => {}
        }
    }
    writes.add_documents(&known);
    let accepted_lines: HashMap<Uuid, usize> =
        writes.accepted.iter().enumerate().map(|(place, accepted)| (accepted.order_id, place)).collect();
    for order_id in touched {
        let Some(after) = known.orders.remove(&order_id) else { continue };
        let sales_before = before.get(&order_id).and_then(OrderFact::sales);
        let sales_after = after.sales();
        writes.change_sales(sales_before, sales_after);
        match (sales_before, sales_after) {
            (None, Some(((slot, dims_id), _))) => {
                if let Some(place) = accepted_lines.get(&order_id) {
                    for (sku, sales) in by_sku(&writes.accepted[*place].lines) {
                        add_product(writes.products_added.entry((slot, sku.to_owned(), dims_id)).or_default(), sales);
                    }
                }
            }
            (Some(((slot, dims_id), _)), None) => {
                writes.rejections = true;
                writes.customers.extend(after.customer_id);
                for (sku, sales) in by_sku(known.lines.get(&order_id).map_or(&[], Vec::as_slice)) {
                    add_product(writes.products_taken.entry((slot, sku.to_owned(), dims_id)).or_default(), sales);
                }
            }
            (Some(((slot, dims_id), _)), Some(_)) => {
                if let Some(lines) = writes.amended.get(&order_id) {
                    for (sku, sales) in by_sku(known.lines.get(&order_id).map_or(&[], Vec::as_slice)) {
                        let key = (slot, sku.to_owned(), dims_id);
                        add_product(writes.products_taken.entry(key).or_default(), sales);
                    }
                    for (sku, sales) in by_sku(lines) {
                        let key = (slot, sku.to_owned(), dims_id);
                        add_product(writes.products_added.entry(key).or_default(), sales);
                    }
                }
            }
            (None, None) => {}
        }
        if before.get(&order_id) != Some(&after) {
            writes.orders.push(after);
        }
    }
    writes
}

impl Writes {
    fn change_sales(
        &mut self,
        before: Option<((OffsetDateTime, Uuid), Sales)>,
        after: Option<((OffsetDateTime, Uuid), Sales)>,
    ) {
        if before == after {
            return;
        }
        // An order's slot and dims never change once it is accepted.
        let Some((key, _)) = after.or(before) else { return };
        let before = before.map(|(_, sales)| sales).unwrap_or_default();
        let after = after.map(|(_, sales)| sales).unwrap_or_default();
        let added = after.more_than(before);
        let taken = before.more_than(after);
        if added != Sales::default() {
            self.sales_added.entry(key).or_default().add(added);
        }
        if taken != Sales::default() {
            self.sales_taken.entry(key).or_default().add(taken);
        }
    }

    /// Documents count where their order's dims are known; the others wait for the acceptance.
    fn add_documents(&mut self, known: &Known) {
        let newly_accepted: HashSet<Uuid> = self.accepted.iter().map(|accepted| accepted.order_id).collect();
        for document in &mut self.documents {
            document.dims_id = match document.order_id {
                Some(order_id) => known.orders.get(&order_id).and_then(|order| order.dims_id),
                None => document.dims.as_ref().map(Dims::id),
            };
        }
        let waiting =
            known.waiting.iter().filter(|document| document.order_id.is_some_and(|id| newly_accepted.contains(&id)));
        for document in waiting {
            let dims_id = document.order_id.and_then(|id| known.orders.get(&id)).and_then(|order| order.dims_id);
            if let Some(dims_id) = dims_id {
                self.settled.insert(document.document_id, dims_id);
                add_document(self.document_slots.entry((slot(document.issued_at), dims_id)).or_default(), document);
            }
        }
        for document in &self.documents {
            if let Some(dims_id) = document.dims_id {
                add_document(self.document_slots.entry((slot(document.issued_at), dims_id)).or_default(), document);
            }
        }
    }
}

impl Sales {
    fn add(&mut self, other: Sales) {
        self.orders += other.orders;
        self.lines += other.lines;
        self.units += other.units;
        self.gross += other.gross;
        self.discount += other.discount;
        self.cancelled += other.cancelled;
        self.backordered_lines += other.backordered_lines;
    }

    /// Column by column: by how much this is more than `other`, or 0.
    fn more_than(self, other: Sales) -> Sales {
        Sales {
            orders: (self.orders - other.orders).max(0),
            lines: (self.lines - other.lines).max(0),
            units: (self.units - other.units).max(0),
            gross: (self.gross - other.gross).max(0),
            discount: (self.discount - other.discount).max(0),
            cancelled: (self.cancelled - other.cancelled).max(0),
            backordered_lines: (self.backordered_lines - other.backordered_lines).max(0),
        }
    }
}

fn add_document(documents: &mut Documents, document: &Document) {
    if document.credit {
        documents.credit_notes += 1;
        documents.credited += document.net;
    } else {
        documents.invoices += 1;
        documents.invoiced += document.net;
    }
}

/// What one order adds to each of its products.
fn by_sku(lines: &[Line]) -> BTreeMap<&str, ProductSales> {
    let mut products: BTreeMap<&str, ProductSales> = BTreeMap::new();
    for line in lines {
        let product = products.entry(&line.sku).or_default();
        product.orders = 1;
        product.lines += 1;
        product.units += line.units;
        product.gross += line.gross;
        product.discount += line.discount;
    }
    products
}

fn add_product(sum: &mut ProductSales, sales: ProductSales) {
    sum.orders += sales.orders;
    sum.lines += sales.lines;
    sum.units += sales.units;
    sum.gross += sales.gross;
    sum.discount += sales.discount;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::Duration;
    use time::macros::datetime;

    const PLACED: OffsetDateTime = datetime!(2011-01-05 10:07 UTC);

    fn dims() -> Dims {
        Dims {
            channel: "web".into(),
            country: "GB".into(),
            segment: String::new(),
            sales_rep: String::new(),
            currency: "GBP".into(),
            decimals: 2,
        }
    }

    /// What a service could have told of an order: the acceptance first among the facts of its own feed.
    fn facts_of(number: u128, rejected: bool) -> (Vec<Fact>, Vec<Fact>) {
        let order_id = Uuid::from_u128(number);
        let at = PLACED + Duration::minutes(20 * i64::try_from(number).unwrap());
        let line = |line_no, sku: &str| Line { line_no, sku: sku.into(), units: 3, gross: 700, discount: 10 };
        let accepted = Accepted {
            order_id,
            number: number.to_string(),
            external_id: String::new(),
            customer_id: Some(Uuid::from_u128(9)),
            dims: dims(),
            placed_at: at,
            lines: vec![line(1, "P1"), line(2, "P2"), line(3, "P1")],
        };
        let mut own = vec![Fact::Accepted(accepted), Fact::Confirmed { order_id, at, cancelled: 1 }];
        own.push(if rejected {
            Fact::Rejected { order_id }
        } else {
            Fact::Cancelled { order_id, units: 8, whole: true }
        });
        let document = |id: u128, credit| Document {
            document_id: Uuid::from_u128(number * 100 + id),
            order_id: Some(order_id),
            credit,
            issued_at: at,
            dims: None,
            dims_id: None,
            net: 500,
            lines: Vec::new(),
        };
        let others = vec![
            Fact::Backordered { order_id, line_nos: vec![2, 1] },
            Fact::Backordered { order_id, line_nos: vec![2] },
            Fact::Delivered { order_id, at: at + Duration::hours(2), units: 1 },
            Fact::Delivered { order_id, at: at + Duration::hours(1), units: 1 },
            Fact::Documented(document(1, false)),
            Fact::Documented(document(2, true)),
        ];
        (own, others)
    }

    /// The tables, in memory.
    #[derive(Debug, Default, PartialEq)]
    struct Tables {
        orders: BTreeMap<Uuid, OrderFact>,
        lines: BTreeMap<Uuid, Vec<Line>>,
        documents: BTreeMap<Uuid, Document>,
        sales: BTreeMap<(OffsetDateTime, Uuid), Sales>,
        products: BTreeMap<(OffsetDateTime, String, Uuid), ProductSales>,
        document_slots: BTreeMap<(OffsetDateTime, Uuid), Documents>,
    }

    impl Tables {
        fn apply(&mut self, facts: Vec<Fact>) {
            let ids: HashSet<Uuid> = facts.iter().filter_map(Fact::order_id).collect();
            let known = Known {
                orders: ids.iter().filter_map(|id| Some((*id, self.orders.get(id)?.clone()))).collect(),
                lines: ids.iter().filter_map(|id| Some((*id, self.lines.get(id)?.clone()))).collect(),
                waiting: self.documents.values().filter(|document| document.dims_id.is_none()).cloned().collect(),
            };
            let writes = fold(known, facts);
            self.orders.extend(writes.orders.into_iter().map(|order| (order.order_id, order)));
            self.lines.extend(writes.accepted.into_iter().map(|accepted| (accepted.order_id, accepted.lines)));
            self.documents.extend(writes.documents.into_iter().map(|document| (document.document_id, document)));
            for (document_id, dims_id) in writes.settled {
                self.documents.get_mut(&document_id).unwrap().dims_id = Some(dims_id);
            }
            for (key, added) in writes.sales_added {
                self.sales.entry(key).or_default().add(added);
            }
            for (key, taken) in writes.sales_taken {
                let row = self.sales.get_mut(&key).unwrap();
                *row = row.more_than(taken);
            }
            self.sales.retain(|_, row| row.orders > 0);
            for (key, added) in writes.products_added {
                add_product(self.products.entry(key).or_default(), added);
            }
            for (key, taken) in writes.products_taken {
                let row = self.products.get_mut(&key).unwrap();
                row.orders -= taken.orders;
                row.units -= taken.units;
            }
            self.products.retain(|_, row| row.orders > 0);
            for (key, added) in writes.document_slots {
                let row = self.document_slots.entry(key).or_default();
                row.invoices += added.invoices;
                row.credit_notes += added.credit_notes;
                row.invoiced += added.invoiced;
                row.credited += added.credited;
            }
        }
    }

    proptest! {
        /// Whatever the order between the feeds and wherever a batch ends, the tables are the same.
        #[test]
        fn interleaving_and_batches_do_not_matter(
            turns in proptest::collection::vec(any::<proptest::sample::Index>(), 60),
            ends in proptest::collection::vec(any::<bool>(), 60),
            rejected: bool,
        ) {
            let mut feeds = Vec::new();
            for number in 1..=3 {
                let (own, others) = facts_of(number, rejected && number == 2);
                feeds.push(std::collections::VecDeque::from(own));
                feeds.extend(others.into_iter().map(|fact| std::collections::VecDeque::from([fact])));
            }
            let mut expected = Tables::default();
            expected.apply(feeds.iter().flatten().cloned().collect());

            let (mut tables, mut batch) = (Tables::default(), Vec::new());
            for (turn, end) in turns.iter().zip(ends).chain(std::iter::repeat((&turns[0], true))) {
                feeds.retain(|feed| !feed.is_empty());
                if feeds.is_empty() {
                    break;
                }
                let feed = turn.index(feeds.len());
                batch.extend(feeds[feed].pop_front());
                if end {
                    tables.apply(std::mem::take(&mut batch));
                }
            }
            tables.apply(batch);
            prop_assert_eq!(&tables, &expected);
            let sold = if rejected { 2 } else { 3 };
            prop_assert_eq!(tables.sales.values().map(|row| row.orders).sum::<i64>(), sold);
            prop_assert_eq!(tables.products.values().map(|row| row.units).sum::<i64>(), sold * 9);
            prop_assert_eq!(tables.document_slots.values().map(|row| row.invoiced - row.credited).sum::<i64>(), 0);
        }
    }
}
