//! `pesan verify` finds what no single service can see: houses that disagree.

use e2e::*;
use pesan_api::order::v1::OrderState;
use sqlx::PgPool;

/// Each plants a difference between two houses in one of them, and names the check that must tell.
const PLANTS: [(&str, &str, &str); 4] = [
    (
        "order",
        "alter table order_line drop constraint order_line_quantities_conserved; update order_line set shipped = shipped - 1",
        "shipped",
    ),
    (
        "billing",
        "alter table charge_line disable trigger all; update charge_line set invoiced = invoiced - 1",
        "invoiced",
    ),
    ("analytics", "update order_fact set gross = gross + 1", "gross"),
    ("order", "update feed_cursor set cursor = 'nonsense' where source = 'billing'", "followers_reachable"),
];

#[sqlx::test(migrations = false)]
async fn houses_that_disagree_are_named(pool: PgPool) {
    let mut suite = Suite::start(&pool).await.unwrap();
    let location = suite.location("BRS-1").await.unwrap();
    suite.item("CHAIR", Some((&location, 100))).await.unwrap();
    let placed = suite.place(straight_through(card_order(&[("CHAIR", 3)]))).await.unwrap();
    suite.order_in(&placed.number, OrderState::Completed).await.unwrap();
    verify(&suite, true).await.unwrap();
    for (service, plant, check) in PLANTS {
        let database = suite.database(service).await.unwrap();
        sqlx::raw_sql(plant).execute(&database).await.unwrap();
        let report = verify(&suite, false).await.unwrap();
        let found: Vec<_> = report["invariants"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|i| !i["violations"].as_array().unwrap().is_empty())
            .map(|i| i["name"].as_str().unwrap().to_owned())
            .collect();
        assert!(found.iter().any(|name| name.contains(check)), "{check} is not among {found:?}");
    }
    suite.stop("analytics").await.unwrap();
}
