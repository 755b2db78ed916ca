//! Answers KPI questions: which figures are needed, from where, and the formulas over them.

use crate::bucket::Buckets;
use crate::convert::amount::from_minor;
use crate::convert::query::{ambiguous_currency, too_many_values};
use crate::dims::begins_slot;
use crate::error::AnalyticsError;
use crate::kpi::{Answer, Figures, Kpi, Measures, Unit};
use crate::query::{Query, Segment, Value};
use crate::store::kpi::{MAX_ROWS, Products, Rows, Scope};
use crate::store::{self, kpi as figures, kpi_times};
use pesan_money::Currency;
use rust_decimal::Decimal;
use sqlx::{PgConnection, PgPool};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use time::OffsetDateTime;

type Table = BTreeMap<(usize, String), Measures>;

/// The values, by bucket, segment, and KPI as asked. Without a segment every bucket has a value; with one only those
/// segments that have anything to tell of a KPI.
pub async fn query(pool: &PgPool, query: &Query) -> Result<Vec<Value>, AnalyticsError> {
    let mut tx = store::snapshot::begin(pool).await?;
    let currency = match query.currency {
        Some(currency) => Some(currency),
        None => only_currency(&mut tx).await?,
    };
    let code = currency.map_or("", Currency::code);
    let dims = store::dims::matching(&mut tx, code, query.segment, &query.filter).await?;
    let reader = Reader::new(query, dims);
    let mut table = Table::new();
    if query.segment == Segment::None {
        table.extend((0..query.buckets.starts.len()).map(|bucket| ((bucket, String::new()), Measures::default())));
    }
    let needed: BTreeSet<Figures> = query.kpis.iter().flat_map(|kpi| kpi.figures()).copied().collect();
    for figures in needed {
        reader.read(&mut tx, figures, &mut table).await?;
    }
    tx.commit().await?;
    answers(query, &table, currency)
}

/// The currency of all orders; none where there is no order yet.
async fn only_currency(conn: &mut PgConnection) -> Result<Option<Currency>, AnalyticsError> {
    let currencies: Vec<Currency> = currencies(conn).await?;
    match currencies.as_slice() {
        [] => Ok(None),
        [currency] => Ok(Some(*currency)),
        _ => Err(AnalyticsError::Invalid(ambiguous_currency(&currencies))),
    }
}

async fn currencies(conn: &mut PgConnection) -> sqlx::Result<Vec<Currency>> {
    let codes = store::dims::currencies(conn).await?;
    Ok(codes.iter().filter_map(|code| code.parse().ok()).collect())
}

/// The currencies there are, ascending: for people to choose from.
pub async fn known_currencies(pool: &PgPool) -> Result<Vec<Currency>, AnalyticsError> {
    let mut conn = pool.acquire().await?;
    Ok(currencies(&mut conn).await?)
}

/// The slot of the newest order; none where there is no order yet.
pub async fn last_order(pool: &PgPool) -> Result<Option<OffsetDateTime>, AnalyticsError> {
    let mut conn = pool.acquire().await?;
    Ok(figures::last_slot(&mut conn).await?)
}

/// Knows where each group of figures is to be read.
struct Reader<'a> {
    query: &'a Query,
    scope: Scope,
    /// Every border lies between two slots, so that rollups can tell.
    whole_slots: bool,
}

impl<'a> Reader<'a> {
    fn new(query: &'a Query, dims: Vec<(uuid::Uuid, String)>) -> Self {
        let Buckets { from, to, .. } = query.buckets;
        let lower_ends = query.buckets.lower_ends();
        let whole_slots = lower_ends.iter().chain([&from, &to]).all(|end| begins_slot(*end));
        let (dims_ids, segments) = dims.into_iter().unzip();
        let split = query.segment == Segment::Product;
        let skus = Some(query.filter.skus.clone()).filter(|skus| !skus.is_empty());
        let products = (split || skus.is_some()).then_some(Products { skus, split });
        Self { query, scope: Scope { lower_ends, to, dims_ids, segments, products }, whole_slots }
    }

    async fn read(&self, conn: &mut PgConnection, group: Figures, table: &mut Table) -> Result<(), AnalyticsError> {
        match group {
            Figures::Sales => fill(table, self.sales(conn).await?, |measures, figures| measures.sales = Some(figures)),
            Figures::Documents => {
                let rows = if self.scope.products.is_none() && self.whole_slots {
                    figures::documents_of_slots(conn, &self.scope).await?
                } else {
                    figures::documents(conn, &self.scope).await?
                };
                fill(table, rows, |measures, figures| measures.documents = Some(figures))
            }
            Figures::Buyers => {
                let rows = figures::buyers(conn, &self.scope).await?;
                fill(table, rows, |measures, figures| measures.buyers = Some(figures))
            }
            Figures::FirstOrders => {
                let rows = figures::first_orders(conn, &self.scope).await?;
                fill(table, rows, |measures, figures| measures.first_orders = Some(figures))
            }
            Figures::Retention => {
                let scope = Scope { lower_ends: self.query.buckets.lower_ends_with_preceding(), ..self.scope.clone() };
                let preceding_ends = self.query.buckets.starts.first().copied().unwrap_or(scope.to);
                let rows = figures::retention(conn, &scope, preceding_ends).await?;
                fill(table, rows, |measures, figures| measures.retention = Some(figures))
            }
            Figures::Cohort => {
                let rows = figures::cohort(conn, &self.scope).await?;
                fill(table, rows, |measures, figures| measures.cohort = Some(figures))
            }
            Figures::Times => {
                let rows = kpi_times::times(conn, &self.scope).await?;
                fill(table, rows, |measures, figures| measures.times = Some(figures))
            }
            Figures::Total => self.total(conn, table).await,
        }
    }

    /// From the smallest source that can tell.
    async fn sales(&self, conn: &mut PgConnection) -> sqlx::Result<Rows<crate::kpi::SalesFigures>> {
        let Some(products) = &self.scope.products else {
            return if self.whole_slots {
                figures::sales_of_slots(conn, &self.scope).await
            } else {
                figures::sales_of_orders(conn, &self.scope).await
            };
        };
        // The products' rollup knows how many orders have a product, but not how many have one of several.
        let one_at_a_time = products.split || products.skus.as_ref().is_some_and(|skus| skus.len() == 1);
        let told_by_products = |kpi: &Kpi| {
            !kpi.needs_whole_orders() || (one_at_a_time && matches!(kpi, Kpi::Orders | Kpi::AverageOrderValue))
        };
        if self.whole_slots && self.query.kpis.iter().all(told_by_products) {
            figures::sales_of_product_slots(conn, &self.scope).await
        } else {
            figures::sales_of_orders(conn, &self.scope).await
        }
    }

    /// Gross sales of all products, beside those of the products that count.
    async fn total(&self, conn: &mut PgConnection, table: &mut Table) -> Result<(), AnalyticsError> {
        let scope = Scope { products: None, ..self.scope.clone() };
        let rows = if self.whole_slots {
            figures::sales_of_slots(conn, &scope).await?
        } else {
            figures::sales_of_orders(conn, &scope).await?
        };
        let mut totals: HashMap<(usize, String), Decimal> =
            rows.into_iter().map(|(bucket, segment, figures)| ((bucket, segment), figures.gross)).collect();
        let split = self.query.segment == Segment::Product;
        for ((bucket, segment), measures) in table.iter_mut() {
            // Split by product, all products have the same total.
            let key = (*bucket, if split { String::new() } else { segment.clone() });
            measures.total_gross = if split { totals.get(&key).copied() } else { totals.remove(&key) };
        }
        Ok(())
    }
}

fn fill<T>(table: &mut Table, rows: Rows<T>, set: fn(&mut Measures, T)) -> Result<(), AnalyticsError> {
    if rows.len() > MAX_ROWS {
        return Err(AnalyticsError::Invalid(too_many_values(MAX_ROWS)));
    }
    for (bucket, segment, figures) in rows {
        set(table.entry((bucket, segment)).or_default(), figures);
    }
    Ok(())
}

fn answers(query: &Query, table: &Table, currency: Option<Currency>) -> Result<Vec<Value>, AnalyticsError> {
    let mut values = Vec::new();
    for ((bucket, segment), measures) in table {
        let Some(bucket_start) = query.buckets.starts.get(*bucket) else { continue };
        for kpi in &query.kpis {
            let told = kpi.figures().iter().any(|figures| measures.has(*figures));
            if query.segment != Segment::None && !told {
                continue;
            }
            if values.len() == MAX_ROWS {
                return Err(AnalyticsError::Invalid(too_many_values(MAX_ROWS)));
            }
            let answer = in_major_units(*kpi, kpi.answer(measures), currency);
            values.push(Value {
                kpi: *kpi,
                bucket_start: *bucket_start,
                segment: segment.clone(),
                value: answer.value().map(|value| value.to_string()),
                numerator: answer.numerator.to_string(),
                denominator: answer.denominator.to_string(),
                unit: unit(*kpi, currency),
            });
        }
    }
    Ok(values)
}

/// Amounts as people write them, with the currency's decimals; other figures without needless zeros.
fn in_major_units(kpi: Kpi, answer: Answer, currency: Option<Currency>) -> Answer {
    let decimals = currency.map_or(2, Currency::exponent);
    let amount = |minor: Decimal| from_minor(minor, decimals);
    let (numerator, denominator) = match kpi.unit() {
        Unit::Amount => (amount(answer.numerator), answer.denominator.normalize()),
        _ if kpi.divides_amounts() => (amount(answer.numerator), amount(answer.denominator)),
        Unit::Count | Unit::Ratio | Unit::Seconds => (answer.numerator.normalize(), answer.denominator.normalize()),
    };
    Answer { numerator, denominator }
}

/// "XXX" is the standard's code for no currency: there is no order yet.
fn unit(kpi: Kpi, currency: Option<Currency>) -> String {
    match kpi.unit() {
        Unit::Count => "count".to_owned(),
        Unit::Amount => currency.map_or("XXX", Currency::code).to_owned(),
        Unit::Ratio => "ratio".to_owned(),
        Unit::Seconds => "seconds".to_owned(),
    }
}
