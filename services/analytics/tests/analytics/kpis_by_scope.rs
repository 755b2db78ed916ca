//! The story by segment, filter, time zone, currency and borders that cut slots.

use crate::script::{NewOrder, Script};
use crate::story::{FEBRUARY, JANUARY, MARCH, story};
use crate::world::{World, ask, start};
use pesan_api::analytics::v1 as pb;
use pesan_grpc::parse::to_timestamp;
use sqlx::PgPool;
use time::macros::datetime;

async fn told_by(pool: &PgPool) -> World {
    let world = start(pool).await;
    world.play(&story().events).await;
    world
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(ToString::to_string).collect()
}

#[sqlx::test(migrations = false)]
async fn segments(pool: PgPool) {
    let world = told_by(&pool).await;
    let by = |kpi: &str, segment: pb::Segment| pb::QueryKpisRequest {
        bucket: pb::Bucket::Month.into(),
        segment: segment.into(),
        ..ask(&[kpi], JANUARY, MARCH)
    };
    for (kpi, segment, expected) in [
        (
            "gross_sales",
            pb::Segment::Channel,
            &["2011-01-01 edi 100.00", "2011-01-01 web 45.00", "2011-02-01 web 100.00"][..],
        ),
        ("orders", pb::Segment::Country, &["2011-01-01 FR 1", "2011-01-01 GB 2", "2011-02-01 FR 1", "2011-02-01 GB 2"]),
        (
            "active_customers",
            pb::Segment::CustomerSegment,
            &["2011-01-01 retail 1", "2011-01-01 trade 1", "2011-02-01 retail 2"],
        ),
        (
            "net_sales",
            pb::Segment::SalesRep,
            // Order 5 and the note without an order have no sales rep: 10.00 and −12.34.
            &["2011-01-01 ann 43.00", "2011-01-01 bob 100.00", "2011-02-01 -2.34", "2011-02-01 ann 81.00"],
        ),
        (
            // B was active on edi, in France, in January only: kept nowhere.
            "retention",
            pb::Segment::Country,
            &["2011-02-01 FR 0", "2011-02-01 GB 1"],
        ),
        (
            "gross_sales",
            pb::Segment::Product,
            &[
                "2011-01-01 P1 120.00",
                "2011-01-01 P2 25.00",
                "2011-02-01 P1 40.00",
                "2011-02-01 P2 10.00",
                "2011-02-01 P3 50.00",
            ],
        ),
        (
            "product_share",
            pb::Segment::Product,
            &[
                "2011-01-01 P1 0.827586206897 (120.00/145.00)",
                "2011-01-01 P2 0.172413793103 (25.00/145.00)",
                "2011-02-01 P1 0.4 (40.00/100.00)",
                "2011-02-01 P2 0.1 (10.00/100.00)",
                "2011-02-01 P3 0.5 (50.00/100.00)",
            ],
        ),
        (
            "orders",
            pb::Segment::Product,
            &["2011-01-01 P1 2", "2011-01-01 P2 2", "2011-02-01 P1 2", "2011-02-01 P2 1", "2011-02-01 P3 1"],
        ),
        (
            "return_rate",
            pb::Segment::Product,
            &["2011-01-01 P1 0.083333333333 (1/12)", "2011-01-01 P2 0", "2011-02-01 P2 0 (0/4)"],
        ),
        (
            "revenue",
            pb::Segment::Product,
            &[
                "2011-01-01 P1 118.00",
                "2011-01-01 P2 5.00",
                "2011-02-01 P1 -9.00",
                "2011-02-01 P2 20.00",
                "2011-02-01 P9 -12.34",
            ],
        ),
        (
            "backorder_rate",
            pb::Segment::Channel,
            &["2011-01-01 edi 1", "2011-01-01 web 0 (0/3)", "2011-02-01 web 0 (0/4)"],
        ),
        (
            "cancellation_rate",
            pb::Segment::Product,
            &[
                "2011-01-01 P1 0 (0/2)",
                "2011-01-01 P2 0 (0/2)",
                "2011-02-01 P1 0.5 (1/2)",
                "2011-02-01 P2 1",
                "2011-02-01 P3 0",
            ],
        ),
        (
            // A's first order has P1 and P2, B's P1, C's (the rejected one does not count) P1 and P2.
            "new_customers",
            pb::Segment::Product,
            &["2011-01-01 P1 2", "2011-01-01 P2 1", "2011-02-01 P1 1", "2011-02-01 P2 1"],
        ),
        (
            "order_cycle_time_mean",
            pb::Segment::Channel,
            &["2011-01-01 edi 144000", "2011-01-01 web 91800 (183600/2)", "2011-02-01 web none (0/0)"],
        ),
    ] {
        assert_eq!(world.told(by(kpi, segment)).await, texts(expected), "{kpi} by {segment:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn filters(pool: PgPool) {
    let world = told_by(&pool).await;
    let kpis = &["orders", "lines", "gross_sales", "revenue"];
    let base = || ask(kpis, JANUARY, MARCH);
    for (name, request, expected) in [
        ("all", base(), ["6", "8", "245.00", "121.66"]),
        ("channel", pb::QueryKpisRequest { channels: texts(&["edi"]), ..base() }, ["1", "1", "100.00", "100.00"]),
        // Revenue of the web in France: nothing was invoiced to order 5.
        (
            "channel and country",
            pb::QueryKpisRequest { channels: texts(&["web"]), countries: texts(&["FR"]), ..base() },
            ["1", "1", "10.00", "0.00"],
        ),
        (
            "segments",
            pb::QueryKpisRequest { customer_segments: texts(&["trade", ""]), ..base() },
            ["2", "2", "110.00", "87.66"],
        ),
        ("rep", pb::QueryKpisRequest { sales_reps: texts(&["bob"]), ..base() }, ["1", "1", "100.00", "100.00"]),
        // Orders 1, 2, 5 and 7 have P1.
        ("one product", pb::QueryKpisRequest { skus: texts(&["P1"]), ..base() }, ["4", "4", "160.00", "109.00"]),
        // Orders 1 and 7 have both, and count once.
        ("products", pb::QueryKpisRequest { skus: texts(&["P1", "P2"]), ..base() }, ["5", "7", "195.00", "134.00"]),
        ("nothing", pb::QueryKpisRequest { countries: texts(&["DE"]), ..base() }, ["0", "0", "0.00", "0.00"]),
    ] {
        let values: Vec<_> = world.kpis(request).await.into_iter().map(|value| value.value.unwrap()).collect();
        assert_eq!(values, expected, "{name}");
    }
    let share = pb::QueryKpisRequest { skus: texts(&["P2"]), ..ask(&["product_share"], JANUARY, MARCH) };
    assert_eq!(world.told(share).await, ["2011-01-01 0.142857142857 (35.00/245.00)"]);
    let products = pb::QueryKpisRequest { skus: texts(&["P1", "P3"]), ..ask(&["repeat_order_rate"], JANUARY, MARCH) };
    assert_eq!(world.told(products).await, ["2011-01-01 0.333333333333 (1/3)"], "A bought P1, then P3");
    let processing = ["processing_time_median", "stage_confirmed_shipped_mean"];
    let of_product = pb::QueryKpisRequest { skus: texts(&["P1"]), ..ask(&processing, JANUARY, MARCH) };
    assert_eq!(world.told(of_product).await, ["2011-01-01 59400", "2011-01-01 57600 (115200/2)"]);
}

#[sqlx::test(migrations = false)]
async fn a_month_begins_at_midnight_of_its_zone(pool: PgPool) {
    let world = told_by(&pool).await;
    // In Berlin order 3 was placed on February 1 at 00:30, and its first bucket of 2011 begins an hour earlier.
    let kpis = ["orders", "gross_sales", "retention"];
    let berlin = pb::QueryKpisRequest {
        bucket: pb::Bucket::Month.into(),
        time_zone: "Europe/Berlin".into(),
        ..ask(&kpis, datetime!(2010-12-31 23:00 UTC), datetime!(2011-02-28 23:00 UTC))
    };
    assert_eq!(
        world.told(berlin).await,
        [
            "2010-12-31T23 2",
            "2010-12-31T23 125.00",
            "2010-12-31T23 none (0/0)",
            "2011-01-31T23 4",
            "2011-01-31T23 120.00",
            "2011-01-31T23 0.5 (1/2)",
        ]
    );
    // Nepal is a quarter of an hour off: order 1, at 10:00 UTC, is at 15:45 there.
    let nepal = pb::QueryKpisRequest {
        bucket: pb::Bucket::Day.into(),
        time_zone: "Asia/Kathmandu".into(),
        ..ask(&["orders"], datetime!(2011-01-04 18:15 UTC), datetime!(2011-01-06 18:15 UTC))
    };
    assert_eq!(world.told(nepal).await, ["2011-01-04T18 1", "2011-01-05T18 0"]);
}

#[sqlx::test(migrations = false)]
async fn borders_within_a_slot_are_answered_from_the_facts(pool: PgPool) {
    let world = told_by(&pool).await;
    let until = |to| ask(&["orders", "units", "revenue", "product_share"], datetime!(2011-01-05 10:00 UTC), to);
    let before = world.told(until(datetime!(2011-01-20 09:07 UTC))).await;
    assert_eq!(before[..3], ["2011-01-05T10 1", "2011-01-05T10 3", "2011-01-05T10 23.00"]);
    let behind = world.told(until(datetime!(2011-01-20 09:07:00.000001 UTC))).await;
    assert_eq!(behind[..2], ["2011-01-05T10 2", "2011-01-05T10 13"]);
    let of_product = pb::QueryKpisRequest { skus: texts(&["P1"]), ..until(datetime!(2011-01-20 09:07:01 UTC)) };
    assert_eq!(
        world.told(of_product).await,
        ["2011-01-05T10 2", "2011-01-05T10 12", "2011-01-05T10 18.00", "2011-01-05T10 0.96 (120.00/125.00)"]
    );
}

#[sqlx::test(migrations = false)]
async fn rollups_and_facts_tell_the_same(pool: PgPool) {
    let world = told_by(&pool).await;
    let kpis =
        ["orders", "lines", "units", "gross_sales", "discounts", "returns", "net_sales", "revenue", "product_share"];
    let shapes = [pb::Segment::Unspecified, pb::Segment::Country, pb::Segment::Product];
    for segment in shapes {
        for skus in [&[][..], &["P1"], &["P1", "P2"]] {
            let from = |from| pb::QueryKpisRequest {
                segment: segment.into(),
                skus: texts(skus),
                from: Some(to_timestamp(from)),
                ..ask(&kpis, JANUARY, MARCH)
            };
            // A microsecond later no rollup can answer, and nothing happened in between.
            let strip = |values: Vec<pb::KpiValue>| -> Vec<_> {
                values.into_iter().map(|v| (v.kpi, v.segment, v.value, v.numerator, v.denominator)).collect()
            };
            let rollups = strip(world.kpis(from(JANUARY)).await);
            let facts = strip(world.kpis(from(datetime!(2011-01-01 00:00:00.000001 UTC))).await);
            assert!(!rollups.is_empty());
            assert_eq!(rollups, facts, "{segment:?} {skus:?}");
        }
    }
}

#[sqlx::test(migrations = false)]
async fn buckets_cut_short_by_the_period_count_only_what_lies_in_it(pool: PgPool) {
    let world = told_by(&pool).await;
    let request = pb::QueryKpisRequest {
        bucket: pb::Bucket::Month.into(),
        ..ask(&["orders", "retention"], datetime!(2011-02-11 00:00 UTC), MARCH)
    };
    // Of the January customers A and B nobody ordered after February 10; order 4 on that day is in no bucket.
    assert_eq!(world.told(request).await, ["2011-02-01 2", "2011-02-01 0 (0/2)"]);
}

#[sqlx::test(migrations = false)]
async fn currencies_are_kept_apart(pool: PgPool) {
    let world = start(&pool).await;
    let order = |number, currency, lines| NewOrder {
        number,
        at: datetime!(2011-01-05 10:00 UTC),
        customer: Some(1),
        channel: "web",
        country: "GB",
        segment: "",
        sales_rep: "",
        currency,
        lines,
    };
    let mut script = Script::default();
    script.accept(&order(1, "EUR", &[("P1", 1, 1250, 0)]));
    world.play(&script.events).await;
    let request = |currency: &str| pb::QueryKpisRequest {
        currency_code: currency.into(),
        ..ask(&["gross_sales", "orders"], JANUARY, FEBRUARY)
    };
    assert_eq!(world.told(request("")).await, ["2011-01-01 12.50", "2011-01-01 1"]);
    let before = script.events.len();
    script.accept(&order(2, "JPY", &[("P1", 1, 50_000, 0)]));
    world.play(&script.events[before..]).await;
    assert_eq!(world.told(request("JPY")).await, ["2011-01-01 500", "2011-01-01 1"], "no decimals");
    assert_eq!(world.told(request("EUR")).await, ["2011-01-01 12.50", "2011-01-01 1"]);
    assert_eq!(world.told(request("USD")).await, ["2011-01-01 0.00", "2011-01-01 0"]);
    let refused = world.analytics.clone().query_kpis(request("")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("EUR, JPY"), "{refused}");
}
