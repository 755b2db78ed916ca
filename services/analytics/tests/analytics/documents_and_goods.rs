//! Rarer turns: shortages, first orders that are rejected, orders placed at the same moment.

use crate::script::{NewOrder, Script, customer_id, order_id};
use crate::story::{FEBRUARY, JANUARY};
use crate::world::{ask, start};
use sqlx::PgPool;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const AT: OffsetDateTime = datetime!(2011-01-05 10:00 UTC);

fn order<'a>(number: u32, at: OffsetDateTime, lines: &'a [(&'a str, i64, i64, i64)]) -> NewOrder<'a> {
    NewOrder {
        number,
        at,
        customer: Some(1),
        channel: "web",
        country: "GB",
        segment: "",
        sales_rep: "",
        currency: "GBP",
        lines,
    }
}

#[sqlx::test(migrations = false)]
async fn what_was_not_found_is_cancelled_or_waits(pool: PgPool) {
    let world = start(&pool).await;
    let mut s = Script::default();
    s.accept(&order(1, AT, &[("P1", 5, 500, 0), ("P2", 5, 500, 0)]));
    s.reserve(1, AT, &[(1, "P1", 5, 0), (2, "P2", 5, 0)]);
    // Two of P1 are gone for good; three of P2 wait again.
    s.shortage(1, AT + Duration::hours(1), 1, "P1", 2, 0);
    s.shortage(1, AT + Duration::hours(1), 2, "P2", 3, 3);
    s.cancel(1, AT + Duration::hours(1), &[(1, 2)], false);
    s.ship(1, 1, AT + Duration::hours(2), &[("P1", 3), ("P2", 2)]);
    s.deliver(1, 1, AT + Duration::hours(3), &[("P1", 3), ("P2", 2)]);
    world.play(&s.events).await;
    let kpis = ["backorder_rate", "order_cycle_time_mean"];
    let told = world.told(ask(&kpis, JANUARY, FEBRUARY)).await;
    assert_eq!(told, ["2011-01-01 0.5 (1/2)", "2011-01-01 none (0/0)"], "three units are still to come");
    let before = s.events.len();
    s.ship(1, 2, AT + Duration::hours(4), &[("P2", 3)]);
    s.deliver(1, 2, AT + Duration::hours(5), &[("P2", 3)]);
    world.play(&s.events[before..]).await;
    let told = world.told(ask(&kpis, JANUARY, FEBRUARY)).await;
    assert_eq!(told, ["2011-01-01 0.5 (1/2)", "2011-01-01 18000"], "3 of 5 and 5 of 5: complete");
    assert_eq!(world.broken().await, []);
}

#[sqlx::test(migrations = false)]
async fn the_first_order_is_the_first_that_counts(pool: PgPool) {
    let world = start(&pool).await;
    let first = || async {
        let statement = "select first_order_id from customer_fact where customer_id = $1";
        sqlx::query_scalar::<_, uuid::Uuid>(statement).bind(customer_id(1)).fetch_optional(&world.pool).await.unwrap()
    };
    let mut s = Script::default();
    let mut played = 0;
    s.accept(&order(2, AT, &[("P1", 1, 200, 0)]));
    world.play(&s.events[played..]).await;
    assert_eq!(first().await, Some(order_id(2)));
    // Placed at the same moment, sent later: the smaller external id is the first.
    played = s.events.len();
    s.accept(&order(1, AT, &[("P1", 1, 100, 0)]));
    world.play(&s.events[played..]).await;
    assert_eq!(first().await, Some(order_id(1)));
    // Placed earlier, sent later still.
    played = s.events.len();
    s.accept(&order(3, AT - Duration::days(1), &[("P1", 1, 300, 0)]));
    world.play(&s.events[played..]).await;
    assert_eq!(first().await, Some(order_id(3)));
    let told = world.told(ask(&["new_business_revenue", "repeat_business_revenue"], JANUARY, FEBRUARY)).await;
    assert_eq!(told, ["2011-01-01 3.00", "2011-01-01 3.00"]);
    played = s.events.len();
    s.reject(3, AT);
    world.play(&s.events[played..]).await;
    assert_eq!(first().await, Some(order_id(1)), "a rejected order is nobody's first");
    played = s.events.len();
    s.reject(1, AT);
    s.reject(2, AT);
    world.play(&s.events[played..]).await;
    assert_eq!(first().await, None, "who has no order left is no customer yet");
    let slots: i64 =
        sqlx::query_scalar("select (select count(*) from sales_slot) + (select count(*) from product_slot)")
            .fetch_one(&world.pool)
            .await
            .unwrap();
    assert_eq!(slots, 0, "nothing is left of rejected orders");
    assert_eq!(world.broken().await, []);
}
