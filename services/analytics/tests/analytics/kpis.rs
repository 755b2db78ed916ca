//! Every KPI over the story, against figures worked out by hand.

use crate::story::{FEBRUARY, JANUARY, MARCH, story};
use crate::world::{World, ask, start};
use pesan_api::analytics::v1 as pb;
use sqlx::PgPool;

async fn monthly(world: &World, kpi: &str) -> Vec<String> {
    let request = pb::QueryKpisRequest { bucket: pb::Bucket::Month.into(), ..ask(&[kpi], JANUARY, MARCH) };
    world.told(request).await
}

#[sqlx::test(migrations = false)]
async fn every_kpi_by_month(pool: PgPool) {
    let world = start(&pool).await;
    world.play(&story().events).await;
    for (kpi, january, february) in [
        ("orders", "3", "3"),
        ("lines", "4", "4"),
        ("units", "17", "7"),
        ("gross_sales", "145.00", "100.00"),
        ("discounts", "2.00", "0.00"),
        ("returns", "0.00", "21.34"),
        ("net_sales", "143.00", "78.66"),
        ("revenue", "123.00", "-1.34"),
        ("average_order_value", "48.333333333333 (145.00/3)", "33.333333333333 (100.00/3)"),
        ("average_purchase_value", "72.5 (145.00/2)", "50 (100.00/2)"),
        ("active_customers", "2", "2"),
        ("new_customers", "2", "1"),
        ("new_business_revenue", "125.00", "40.00"),
        ("repeat_business_revenue", "20.00", "50.00"),
        ("retention", "none (0/0)", "0.5 (1/2)"),
        ("churn", "none (0/0)", "0.5 (1/2)"),
        ("repeat_order_rate", "0.5 (1/2)", "0 (0/2)"),
        ("cancellation_rate", "0 (0/3)", "0.333333333333 (1/3)"),
        ("backorder_rate", "0.25 (1/4)", "0 (0/4)"),
        ("return_rate", "0.076923076923 (1/13)", "0 (0/4)"),
        ("product_units", "17", "7"),
        ("product_gross", "145.00", "100.00"),
        ("product_share", "1 (145.00/145.00)", "1 (100.00/100.00)"),
        ("order_cycle_time_median", "144000", "none (0/0)"),
        ("order_cycle_time_mean", "109200 (327600/3)", "none (0/0)"),
        ("order_cycle_time_p90", "169920", "none (0/0)"),
        ("processing_time_median", "28800", "none (0/0)"),
        ("processing_time_p90", "77760", "none (0/0)"),
        ("stage_accepted_confirmed_mean", "3600 (10800/3)", "0"),
        ("stage_confirmed_shipped_mean", "39600 (118800/3)", "none (0/0)"),
        ("stage_shipped_delivered_mean", "54000 (162000/3)", "none (0/0)"),
        ("stage_shipped_invoiced_mean", "600 (1800/3)", "none (0/0)"),
    ] {
        let expected = [format!("2011-01-01 {january}"), format!("2011-02-01 {february}")];
        assert_eq!(monthly(&world, kpi).await, expected, "{kpi}");
    }
    assert_eq!(world.broken().await, []);
}

#[sqlx::test(migrations = false)]
async fn units_of_measure_and_one_answer_for_many_kpis(pool: PgPool) {
    let world = start(&pool).await;
    world.play(&story().events).await;
    let values =
        world.kpis(ask(&["orders", "gross_sales", "retention", "order_cycle_time_mean"], JANUARY, MARCH)).await;
    let units: Vec<_> = values.iter().map(|v| (v.kpi.as_str(), v.unit.as_str())).collect();
    assert_eq!(
        units,
        [("orders", "count"), ("gross_sales", "GBP"), ("retention", "ratio"), ("order_cycle_time_mean", "seconds")]
    );
    assert_eq!(values[1].value.as_deref(), Some("245.00"));
    // The preceding period of the same length ends where this one begins: nobody was active then.
    assert_eq!((values[2].numerator.as_str(), values[2].denominator.as_str()), ("0", "0"));
    let after = FEBRUARY - (MARCH - FEBRUARY);
    assert!(after > JANUARY, "the 28 days before February reach back to January 4");
    let retained = world.told(ask(&["retention"], FEBRUARY, MARCH)).await;
    assert_eq!(retained, ["2011-02-01 0.5 (1/2)"]);
}

#[sqlx::test(migrations = false)]
async fn nothing_read_yet_gives_zeros_and_no_quotients(pool: PgPool) {
    let world = start(&pool).await;
    let told = world.told(ask(&["orders", "gross_sales", "average_order_value"], JANUARY, MARCH)).await;
    assert_eq!(told, ["2011-01-01 0", "2011-01-01 0.00", "2011-01-01 none (0.00/0)"]);
}
