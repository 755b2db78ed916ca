//! The five schemas while they are filled.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use indicatif::ProgressBar;
use pesan_api::feed::v1::GetPositionRequest;
use pesan_api::feed::v1::feed_service_server::FeedService as _;
use pesan_feed::Feed;
use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use time::OffsetDateTime;
use tonic::Request;
use uuid::Uuid;

use super::example::ITEMS;
use crate::endpoints::Service;

/// Orders of one transaction.
const SLICE: i64 = 20_000;
/// The example is the first one; numbers of orders have seven digits from here on.
const NUMBERS_FROM: i64 = 1_000_000;

/// The databases of the services.
pub type Pools = BTreeMap<Service, PgPool>;

/// What a slice of a service's orders leaves behind.
fn copies(service: Service) -> &'static str {
    match service {
        Service::Order => include_str!("order.sql"),
        Service::Inventory => include_str!("inventory.sql"),
        Service::Fulfilment => include_str!("fulfilment.sql"),
        Service::Billing => include_str!("billing.sql"),
        Service::Analytics => include_str!("analytics.sql"),
    }
}

/// Whether a service knows of any order, its schema being there.
pub async fn has_orders(pool: &PgPool, service: Service) -> Result<bool> {
    let is_there: bool = sqlx::query_scalar("select to_regclass($1) is not null")
        .bind(match service {
            Service::Order => "orders",
            Service::Inventory => "reservation",
            Service::Fulfilment => "followed_order",
            Service::Billing => "charge",
            Service::Analytics => "order_fact",
        })
        .fetch_one(pool)
        .await?;
    if !is_there {
        return Ok(false);
    }
    let has = match service {
        Service::Order => "select exists (select from orders)",
        Service::Inventory => "select exists (select from reservation)",
        Service::Fulfilment => "select exists (select from followed_order)",
        Service::Billing => "select exists (select from charge)",
        Service::Analytics => "select exists (select from order_fact)",
    };
    Ok(sqlx::query_scalar(has).fetch_one(pool).await?)
}

/// Numbers people see get the length that they will have.
pub async fn begin_numbers(pools: &Pools) -> Result<()> {
    sqlx::query("select setval('order_number', $1)").bind(NUMBERS_FROM).execute(&pools[&Service::Order]).await?;
    sqlx::query("select setval('fulfilment_order_number', $1)")
        .bind(NUMBERS_FROM)
        .execute(&pools[&Service::Fulfilment])
        .await?;
    Ok(())
}

/// What the example got, wherever it got it.
struct Example {
    order: (Uuid, i64, Uuid, Uuid, String, OffsetDateTime, OffsetDateTime),
    fulfilment: (Uuid, i64, String),
    billing: (Uuid, String, i64, OffsetDateTime, Uuid),
    skus: Vec<String>,
    customer: String,
}

impl Example {
    async fn find(pools: &Pools) -> Result<Self> {
        let order_pool = &pools[&Service::Order];
        let order: (Uuid, i64, Uuid, Uuid, String, OffsetDateTime, OffsetDateTime) = sqlx::query_as(
            "select order_id, number, request_id, customer_id, substr(traceparent, 4, 32), placed_at, recorded_at from orders",
        )
        .fetch_one(order_pool)
        .await?;
        let customer = sqlx::query_scalar("select external_id from customer where customer_id = $1")
            .bind(order.3)
            .fetch_one(order_pool)
            .await?;
        let skus = sqlx::query_scalar("select sku from order_line order by line_no").fetch_all(order_pool).await?;
        let fulfilment = sqlx::query_as(
            "select f.id, f.number, p.tracking_number from fulfilment_order f join parcel p on p.fulfilment_order_id = f.id",
        )
        .fetch_one(&pools[&Service::Fulfilment])
        .await?;
        let billing = sqlx::query_as(
            "select d.id, d.series, d.number, d.due_at, p.id from document d join posting p on p.reference = d.id",
        )
        .fetch_one(&pools[&Service::Billing])
        .await?;
        let example = Self { order, fulfilment, billing, skus, customer };
        let numbers = (example.order.1, example.fulfilment.1, example.billing.2);
        ensure!(
            numbers == (NUMBERS_FROM + 1, NUMBERS_FROM + 1, 1) && example.skus.len() == 2,
            "the first order is not as it should be: {numbers:?}, {:?}",
            example.skus
        );
        Ok(example)
    }

    async fn write(&self, conn: &mut PgConnection) -> Result<()> {
        let (order_id, number, request_id, customer_id, trace, placed_at, recorded_at) = &self.order;
        let (fulfilment_id, _, tracking) = &self.fulfilment;
        let (document_id, series, place, due_at, posting_id) = &self.billing;
        sqlx::query(
            "insert into fill_example (g, order_id, number, request_id, customer_id, trace, at, shift, fulfilment_id, tracking,
                                       document_id, series, place, due_at, posting_id, sku1, sku2, customer)
             values (1, $1, $2, $3, $4, $5, $6, $6 - $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        )
        .bind(order_id)
        .bind(number)
        .bind(request_id)
        .bind(customer_id)
        .bind(trace)
        .bind(placed_at)
        .bind(recorded_at)
        .bind(fulfilment_id)
        .bind(tracking)
        .bind(document_id)
        .bind(series)
        .bind(place)
        .bind(due_at)
        .bind(posting_id)
        .bind(&self.skus[0])
        .bind(&self.skus[1])
        .bind(&self.customer)
        .execute(&mut *conn)
        .await?;
        sqlx::raw_sql(include_str!("events.sql")).execute(conn).await?;
        Ok(())
    }
}

/// Schemas of services that do not run, with an example in them.
pub struct Schemas {
    pools: Pools,
    orders: i64,
    /// The first order whose events are still in the feeds.
    events_from: i64,
    customers: Vec<Uuid>,
}

impl Schemas {
    /// `orders` there will be, the example being the first one; of the last `events` the feeds will have the events.
    pub async fn begin(pools: Pools, orders: i64, events: i64) -> Result<Self> {
        let example = Example::find(&pools).await?;
        let customers = sqlx::query_scalar(
            "select customer_id from customer where external_id like 'BENCH-%' order by external_id",
        )
        .fetch_all(&pools[&Service::Order])
        .await?;
        let schemas = Self { pools, orders, events_from: orders - events + 1, customers };
        schemas.ensure_all_is_read().await?;
        for (service, pool) in &schemas.pools {
            let mut tx = pool.begin().await?;
            sqlx::raw_sql(include_str!("begin.sql")).execute(&mut *tx).await.with_context(|| service.name())?;
            example.write(&mut tx).await.with_context(|| service.name())?;
            tx.commit().await?;
        }
        Ok(schemas)
    }

    /// How often orders are added to a schema.
    pub fn rows(&self) -> u64 {
        (self.orders - 1).unsigned_abs() * Service::ALL.len() as u64
    }

    /// Adds all orders but the example, in all schemas at the same time.
    pub async fn multiply(&self, bar: &ProgressBar) -> Result<()> {
        let all = self.pools.iter().map(async |(service, pool)| {
            let mut conn = pool.acquire().await?;
            let mut first = 2;
            while first <= self.orders {
                let last = self.orders.min(first + SLICE - 1);
                self.add(&mut conn, *service, first, last).await.with_context(|| service.name())?;
                bar.inc((last - first + 1).unsigned_abs());
                first = last + 1;
            }
            anyhow::Ok(())
        });
        try_join_all(all).await?;
        Ok(())
    }

    async fn add(&self, conn: &mut PgConnection, service: Service, first: i64, last: i64) -> Result<()> {
        pesan_feed::ensure_partitions(&mut *conn).await?;
        let mut tx = conn.begin().await?;
        sqlx::raw_sql("set local work_mem = '64MB'; truncate fill_slice").execute(&mut *tx).await?;
        sqlx::query(include_str!("slice.sql"))
            .bind(first)
            .bind(last)
            .bind(self.orders)
            .bind(&self.customers)
            .bind(i64::from(ITEMS))
            .bind(self.events_from)
            .execute(&mut *tx)
            .await?;
        sqlx::raw_sql("analyze fill_slice (g)").execute(&mut *tx).await?;
        sqlx::raw_sql(copies(service)).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    /// Moves all cursors past what was added, and tells Postgres what there is now. The bytes of all tables and indexes.
    pub async fn end(self) -> Result<i64> {
        let added = self.orders - 1;
        for (source, pool) in &self.pools {
            let head = position(pool, "").await?.0;
            let events: i64 = sqlx::query_scalar("select count(*) from fill_event").fetch_one(pool).await?;
            for (service, follower) in &self.pools {
                sqlx::query("update feed_cursor set cursor = $2 where source = $1")
                    .bind(source.name())
                    .bind(&head)
                    .execute(follower)
                    .await?;
                if *service == Service::Analytics {
                    sqlx::query("update feed_progress set events = events + $2 where source = $1")
                        .bind(source.name())
                        .bind(events * added)
                        .execute(follower)
                        .await?;
                }
            }
        }
        for pool in self.pools.values() {
            sqlx::raw_sql(include_str!("end.sql")).execute(pool).await?;
        }
        let sizes = self.pools.values().map(async |pool| {
            vacuum(pool).await?;
            sqlx::query_scalar::<_, i64>(
                "select coalesce(sum(pg_total_relation_size(oid)), 0)::int8 from pg_class
                  where relkind = 'r' and relnamespace = current_schema()::regnamespace",
            )
            .fetch_one(pool)
            .await
        });
        Ok(try_join_all(sizes).await?.into_iter().sum())
    }

    /// A follower that had not read all of the example would miss the rest of it.
    async fn ensure_all_is_read(&self) -> Result<()> {
        for (service, pool) in &self.pools {
            let cursors: Vec<(String, String)> =
                sqlx::query_as("select source, cursor from feed_cursor").fetch_all(pool).await?;
            for (source, cursor) in cursors {
                let followed = Service::named(&source).with_context(|| format!("there is no service {source}"))?;
                let (_, behind) = position(&self.pools[&followed], &cursor).await?;
                ensure!(behind == 0, "{} has not read {behind} events of {source}", service.name());
            }
        }
        Ok(())
    }
}

/// The end of a service's feed, and how many events there are from a cursor to it.
async fn position(pool: &PgPool, cursor: &str) -> Result<(String, i64)> {
    let request = Request::new(GetPositionRequest { cursor: cursor.to_owned() });
    let answer = Feed::new(pool.clone()).await?.get_position(request).await?.into_inner();
    Ok((answer.head, answer.behind))
}

/// Tells Postgres about the large tables. Queues that are empty now are none of them: plans for empty tables would be kept
/// when there is much in them.
async fn vacuum(pool: &PgPool) -> sqlx::Result<()> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select oid::regclass::text from pg_class
          where relkind = 'r' and relnamespace = current_schema()::regnamespace and pg_relation_size(oid) > 1 << 20",
    )
    .fetch_all(pool)
    .await?;
    for table in tables {
        // Names from the catalogue, quoted where they have to be.
        sqlx::raw_sql(AssertSqlSafe(format!("vacuum (analyze) {table}"))).execute(pool).await?;
    }
    Ok(())
}
