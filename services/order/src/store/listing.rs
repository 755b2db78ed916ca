//! Pages of orders by a condition, in an order. SQL is put together from fixed pieces; every value is bound.

use crate::error::Error;
use crate::filter::{Condition, Field, Key, Listing, Place, Relation, Sort, SortField, Test, Value};
use crate::order::Filter;
use crate::store::small;
use pesan_api::order::v1::OrderState;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder, Row as _, Transaction};

/// The states of orders of which something is left to ship: those with an `open_state`.
const OPEN: [OrderState; 5] = [
    OrderState::Accepted,
    OrderState::Confirmed,
    OrderState::Backordered,
    OrderState::OnHold,
    OrderState::PartiallyShipped,
];

/// Begins a transaction that reads for at most 5 seconds a statement: what has no index is scanned, but not for ever.
pub async fn begin_bounded(pool: &PgPool) -> Result<Transaction<'static, Postgres>, Error> {
    Ok(pool.begin_with("begin read only; set local statement_timeout = '5s'").await?)
}

/// Up to `limit` orders after a place.
pub async fn page(
    conn: &mut PgConnection,
    listing: &Listing,
    after: Option<&Place>,
    limit: i64,
) -> Result<Vec<Place>, Error> {
    let mut query = QueryBuilder::new("");
    push_page(&mut query, listing, after, limit);
    let rows = query.build().fetch_all(conn).await?;
    rows.iter().map(|row| place(row, &listing.sorts)).collect()
}

/// The statement of [`page`].
pub fn push_page(query: &mut QueryBuilder<Postgres>, listing: &Listing, after: Option<&Place>, limit: i64) {
    query.push("select o.order_id");
    for sort in &listing.sorts {
        query.push(", ").push(sort_column(sort.field));
    }
    query.push(" from orders o where true");
    let says_states = push_open(query, listing);
    push_filter(query, &listing.filter, says_states);
    if let Some(condition) = &listing.condition {
        query.push(" and ");
        push_condition(query, condition);
    }
    if let Some(place) = after {
        query.push(" and ");
        push_after(query, &listing.sorts, place);
    }
    query.push(" order by ");
    for sort in &listing.sorts {
        query.push(sort_column(sort.field)).push(direction(sort)).push(", ");
    }
    query.push("o.order_id").push(listing.sorts.last().map_or("", direction));
    query.push(" limit ").push_bind(limit);
}

fn place(row: &PgRow, sorts: &[Sort]) -> Result<Place, Error> {
    let mut keys = Vec::with_capacity(sorts.len());
    for (column, sort) in (1..).zip(sorts) {
        keys.push(match sort.field {
            SortField::PlacedAt | SortField::RecordedAt => Key::Time(row.try_get(column)?),
            SortField::Number | SortField::Units => Key::Integer(row.try_get(column)?),
            SortField::Priority => Key::Integer(row.try_get::<i16, _>(column)?.into()),
            SortField::Gross | SortField::Total => Key::Amount(row.try_get(column)?),
        });
    }
    Ok(Place { keys, order_id: row.try_get(0)? })
}

fn sort_column(field: SortField) -> &'static str {
    match field {
        SortField::PlacedAt => "o.placed_at",
        SortField::RecordedAt => "o.recorded_at",
        SortField::Number => "o.number",
        SortField::Priority => "o.priority",
        SortField::Units => "o.ordered",
        SortField::Gross => "o.gross",
        SortField::Total => "(o.gross - o.discount + o.tax)",
    }
}

fn direction(sort: &Sort) -> &'static str {
    if sort.descending { " desc" } else { "" }
}

fn push_key(query: &mut QueryBuilder<Postgres>, key: Key) {
    match key {
        Key::Time(time) => query.push_bind(time),
        Key::Integer(number) => query.push_bind(number),
        Key::Amount(amount) => query.push_bind(amount),
    };
}

/// After a place: a row comparison where all go the same way, which an index can answer; else one level after another.
fn push_after(query: &mut QueryBuilder<Postgres>, sorts: &[Sort], place: &Place) {
    let is_down = sorts.last().is_some_and(|sort| sort.descending);
    let beyond = |descending| if descending { " < " } else { " > " };
    if sorts.iter().all(|sort| sort.descending == is_down) {
        query.push("(");
        for sort in sorts {
            query.push(sort_column(sort.field)).push(", ");
        }
        query.push("o.order_id)").push(beyond(is_down)).push("(");
        for key in &place.keys {
            push_key(query, *key);
            query.push(", ");
        }
        query.push_bind(place.order_id).push(")");
        return;
    }
    let levels: Vec<(&Sort, Key)> = sorts.iter().zip(place.keys.iter().copied()).collect();
    query.push("(");
    for (level, (sort, key)) in levels.iter().enumerate() {
        for (before, key) in levels.iter().take(level) {
            query.push(sort_column(before.field)).push(" = ");
            push_key(query, *key);
            query.push(" and ");
        }
        query.push(sort_column(sort.field)).push(beyond(sort.descending));
        push_key(query, *key);
        query.push(" or ");
    }
    for (sort, key) in &levels {
        query.push(sort_column(sort.field)).push(" = ");
        push_key(query, *key);
        query.push(" and ");
    }
    query.push("o.order_id").push(beyond(is_down)).push_bind(place.order_id).push(")");
}

/// What the states that are asked for come to in `open_state`, in words of the partial indexes: bound values would not be
/// seen to fit them. True where that says all about the filter's states: said twice, it would be taken to leave fewer.
fn push_open(query: &mut QueryBuilder<Postgres>, listing: &Listing) -> bool {
    let asked = match &listing.condition {
        _ if !listing.filter.states.is_empty() => listing.filter.states.clone(),
        Some(condition) => states(condition).unwrap_or_default(),
        None => Vec::new(),
    };
    if asked.is_empty() || !asked.iter().all(|state| OPEN.contains(state)) {
        return false;
    }
    let (says_all, test) = match asked.as_slice() {
        [OrderState::Backordered] => (true, " and o.open_state = 3"),
        [OrderState::OnHold] => (true, " and o.open_state = 4"),
        [OrderState::PartiallyShipped] => (true, " and o.open_state = 7"),
        _ => (OPEN.iter().all(|state| asked.contains(state)), " and o.open_state is not null"),
    };
    query.push(test);
    says_all && !listing.filter.states.is_empty()
}

/// The only states that orders can have that meet a condition; none: any.
fn states(condition: &Condition) -> Option<Vec<OrderState>> {
    match condition {
        Condition::Is(Test { field: Field::State, relation: Relation::Equal(Value::State(state)) }) => {
            Some(vec![*state])
        }
        Condition::And(parts) => parts.iter().find_map(states),
        Condition::Or(parts) => Some(parts.iter().map(states).collect::<Option<Vec<_>>>()?.concat()),
        Condition::Is(_) | Condition::IsNot(_) => None,
    }
}

fn push_filter(query: &mut QueryBuilder<Postgres>, filter: &Filter, says_states: bool) {
    if !filter.states.is_empty() && !says_states {
        let states: Vec<i16> = filter.states.iter().map(|state| small((*state).into())).collect();
        query.push(" and o.state = any(").push_bind(states).push(")");
    }
    if let Some(customer_id) = filter.customer_id {
        query.push(" and o.customer_id = ").push_bind(customer_id);
    }
    if let Some(channel) = filter.channel.clone() {
        query.push(" and o.channel = ").push_bind(channel);
    }
    if let Some(from) = filter.placed_from {
        query.push(" and o.placed_at >= ").push_bind(from);
    }
    if let Some(to) = filter.placed_to {
        query.push(" and o.placed_at < ").push_bind(to);
    }
}

fn push_condition(query: &mut QueryBuilder<Postgres>, condition: &Condition) {
    let (parts, between) = match condition {
        Condition::And(parts) => (parts, " and "),
        Condition::Or(parts) => (parts, " or "),
        Condition::Is(test) => return push_test(query, test),
        Condition::IsNot(test) => {
            // What is missing is not equal to anything: null counts as false.
            query.push("(");
            push_test(query, test);
            query.push(") is not true");
            return;
        }
    };
    query.push("(");
    for (i, part) in parts.iter().enumerate() {
        query.push(if i > 0 { between } else { "" });
        push_condition(query, part);
    }
    query.push(")");
}

/// Where a field's values are.
enum Source {
    /// In the order's row.
    Own(&'static str),
    /// In its customer's row.
    Customers(&'static str),
    /// In rows of another table, by order_id.
    Many(&'static str, &'static str),
}

fn source(field: Field) -> Source {
    match field {
        Field::Number => Source::Own("o.number"),
        Field::Id => Source::Own("o.order_id"),
        Field::State => Source::Own("o.state"),
        Field::Channel => Source::Own("o.channel"),
        Field::ExternalId => Source::Own("o.external_id"),
        Field::Customer => Source::Own("o.customer_id"),
        Field::CustomerExternalId => Source::Customers("external_id"),
        Field::Segment => Source::Customers("segment"),
        Field::Email => Source::Own("o.ship_email"),
        Field::Country => Source::Own("o.country"),
        Field::SalesRep => Source::Own("o.sales_rep"),
        Field::CurrencyCode => Source::Own("o.currency"),
        Field::Priority => Source::Own("o.priority"),
        Field::Units => Source::Own("o.ordered"),
        Field::Gross => Source::Own("o.gross"),
        Field::Total => Source::Own("(o.gross - o.discount + o.tax)"),
        Field::PlacedAt => Source::Own("o.placed_at"),
        Field::RecordedAt => Source::Own("o.recorded_at"),
        Field::ConfirmedAt => Source::Own("o.confirmed_at"),
        Field::Sku => Source::Many("order_line", "sku"),
        Field::TrackingNumber => Source::Many("shipment_tracking", "tracking_number"),
        Field::Hold => Source::Many("hold", "reason"),
    }
}

fn push_test(query: &mut QueryBuilder<Postgres>, test: &Test) {
    match source(test.field) {
        Source::Own(column) => push_relation(query, column, &test.relation),
        // One value, known before the orders are looked at: they are found by the index on their customer.
        Source::Customers("external_id") if matches!(test.relation, Relation::Equal(_)) => {
            query.push("o.customer_id = (select c.customer_id from customer c where ");
            push_relation(query, "c.external_id", &test.relation);
            query.push(")");
        }
        Source::Customers(column) => {
            query.push("o.customer_id in (select c.customer_id from customer c where ");
            push_relation(query, if column == "segment" { "c.segment" } else { "c.external_id" }, &test.relation);
            query.push(")");
        }
        Source::Many(table, column) => {
            query.push("o.order_id in (select x.order_id from ").push(table).push(" x where ");
            query.push("x.order_id = o.order_id and x.").push(column);
            match &test.relation {
                Relation::Equal(value) => {
                    query.push(" = ");
                    push_value(query, value);
                }
                // Others are refused when they are read.
                _ => drop(query.push(" is not null")),
            }
            query.push(")");
        }
    }
}

fn push_relation(query: &mut QueryBuilder<Postgres>, column: &'static str, relation: &Relation) {
    let (operator, value) = match relation {
        Relation::Present => {
            query.push("nullif(").push(column).push("::text, '') is not null");
            return;
        }
        Relation::Contains(text) => {
            query.push("strpos(lower(").push(column).push("), lower(").push_bind(text.clone()).push(")) > 0");
            return;
        }
        Relation::Equal(value) => (" = ", value),
        Relation::Less(value) => (" < ", value),
        Relation::AtMost(value) => (" <= ", value),
        Relation::Greater(value) => (" > ", value),
        Relation::AtLeast(value) => (" >= ", value),
    };
    query.push(column).push(operator);
    push_value(query, value);
}

fn push_value(query: &mut QueryBuilder<Postgres>, value: &Value) {
    match value {
        Value::Text(text) => query.push_bind(text.clone()),
        Value::Integer(number) => query.push_bind(*number),
        Value::Amount(amount) => query.push_bind(*amount),
        Value::Time(time) => query.push_bind(*time),
        Value::Id(id) => query.push_bind(*id),
        Value::State(state) => query.push_bind(small((*state).into())),
    };
}
