//! Which indexes serve the usual lists of orders, in a table that is full of finished ones.

use crate::suite::{Suite, start};
use pesan_api::order::v1::*;
use pesan_order::filter::{Condition, Listing, parse, parse_order_by};
use pesan_order::order::Filter;
use pesan_order::store::listing::push_page;
use sqlx::{AssertSqlSafe, PgPool, QueryBuilder};

/// 6,000 orders of which 300 are open, over a year: 240 confirmed, and 20 accepted, backordered, and shipped in part each.
/// One in forty is of a rare channel, one in hundred of a customer.
async fn fill(suite: &Suite) -> Customer {
    let customer = suite.customer("C1").await;
    sqlx::raw_sql(AssertSqlSafe(format!(
        "insert into orders (order_id, channel, request_hash, customer_id, currency, ship_to, payment_method,
                             reservation_policy, fulfilment_policy, priority, sales_rep, placed_at, recorded_at,
                             line_count, gross, discount, tax, version, confirmed_at, ordered, reserved, backordered,
                             shipped, delivered, invoiced, country)
         select gen_random_uuid(), case when n % 40 = 20 then 'edi' else 'web' end, '', case when n % 100 = 7
                then '{}'::uuid end, 'EUR', '', 1, 3, 1, 5, '', now() - n * interval '90 minutes', now(), 1, 10, 0, 0, 1,
                case when not open or n % 300 <> 0 then now() end, 4,
                case when not open then 0 when n % 300 = 0 then 0 when n % 300 in (20, 40) then 2 else 4 end,
                case when open and n % 300 = 20 then 2 else 0 end,
                case when not open then 4 when n % 300 = 40 then 2 else 0 end,
                case when not open then 4 else 0 end, case when not open then 4 else 0 end, 'ID'
           from (select n, n % 20 = 0 as open from generate_series(1, 6000) n) numbered;
         analyze orders",
        customer.id
    )))
    .execute(&suite.pool)
    .await
    .unwrap();
    customer
}

fn of_states(states: &[OrderState]) -> Filter {
    Filter { states: states.to_vec(), ..Filter::default() }
}

/// How a page is read; never through the whole table.
async fn plan_of(suite: &Suite, filter: Filter, condition: Option<Condition>, order_by: &str) -> String {
    let listing = Listing { filter, condition, sorts: parse_order_by(order_by).unwrap() };
    let mut query = QueryBuilder::new("explain ");
    push_page(&mut query, &listing, None, 51);
    let rows: Vec<(String,)> = query.build_query_as().fetch_all(&suite.pool).await.unwrap();
    let plan = rows.into_iter().map(|(row,)| row).collect::<Vec<_>>().join("\n");
    assert!(!plan.contains("Seq Scan"), "{plan}");
    plan
}

#[sqlx::test(migrations = false)]
async fn usual_lists_are_read_by_indexes_that_know_no_finished_orders(pool: PgPool) {
    use OrderState::{Accepted, Backordered, Confirmed, PartiallyShipped};
    let suite = start(pool).await;
    let customer = fill(&suite).await;
    let open = [Accepted, Confirmed, Backordered, OrderState::OnHold, PartiallyShipped];
    let edi = Filter { channel: Some("edi".into()), ..of_states(&open) };
    let own = Filter { customer_id: customer.id.parse().ok(), ..Filter::default() };
    let own_open = Filter { states: open.to_vec(), ..own.clone() };
    // In the order of the list: a page costs a page.
    for (filter, order_by, index) in [
        (of_states(&open), "", "orders_open_by_time"),
        (of_states(&open), "placed_at", "orders_open_by_time"),
        (of_states(&[Backordered]), "", "orders_open_by_state"),
        (of_states(&[PartiallyShipped]), "placed_at", "orders_open_by_state"),
        (edi, "", "orders_open_by_channel"),
        (Filter::default(), "", "orders_by_time"),
    ] {
        let what = format!("{filter:?} {order_by}");
        let plan = plan_of(&suite, filter, None, order_by).await;
        assert!(plan.contains(&format!("using {index} on")) && !plan.contains("Sort"), "{what}: {plan}");
    }
    // At least of all finished orders, or of those of others, nothing is read.
    for (filter, index) in [
        (of_states(&[Accepted]), "orders_open_by_time"),
        (of_states(&[Confirmed, Backordered]), "orders_open_by_time"),
        (own, "orders_by_customer"),
        (own_open, "orders_by_customer"),
    ] {
        let what = format!("{filter:?}");
        let plan = plan_of(&suite, filter, None, "").await;
        assert!(plan.contains(index), "{what}: {plan}");
    }
    for (words, index) in [
        ("state = BACKORDERED AND total > 5", "orders_open_by_state"),
        ("state = CONFIRMED OR state = BACKORDERED", "orders_open_by_time"),
        ("channel = edi AND (state = CONFIRMED OR state = ACCEPTED)", "orders_open_by_channel"),
    ] {
        let plan = plan_of(&suite, Filter::default(), parse(words).unwrap(), "").await;
        assert!(plan.contains(index), "{words}: {plan}");
    }
}

#[sqlx::test(migrations = false)]
async fn lists_by_state_find_what_is_there(pool: PgPool) {
    let suite = start(pool).await;
    fill(&suite).await;
    let counted = async |states: &[OrderState], filter: &str| {
        let (mut count, mut page_token) = (0, String::new());
        loop {
            let states = states.iter().map(|state| i32::from(*state)).collect();
            let request = ListOrdersRequest {
                states,
                filter: filter.into(),
                page_size: 1_000,
                page_token,
                ..ListOrdersRequest::default()
            };
            let page = suite.orders.clone().list_orders(request).await.unwrap().into_inner();
            count += page.orders.len();
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return count;
            }
        }
    };
    for (state, number) in [
        (OrderState::Accepted, 20),
        (OrderState::Confirmed, 240),
        (OrderState::Backordered, 20),
        (OrderState::PartiallyShipped, 20),
        (OrderState::OnHold, 0),
    ] {
        assert_eq!(counted(&[state], "").await, number, "{state:?}");
        let words = format!("state = {}", state.as_str_name().strip_prefix("ORDER_STATE_").unwrap());
        assert_eq!(counted(&[], &words).await, number, "{words}");
        assert_eq!(counted(&[], &format!("NOT {words} AND units > 0")).await, 6_000 - number, "NOT {words}");
    }
    assert_eq!(counted(&[OrderState::Completed, OrderState::Backordered], "").await, 5_720);
    // The two columns never say different things.
    let apart: i64 = sqlx::query_scalar(
        "select count(*) from orders
          where open_state is distinct from
                (case when state in (1, 2) then 2 when state in (3, 4, 7) then state end)",
    )
    .fetch_one(&suite.pool)
    .await
    .unwrap();
    assert_eq!(apart, 0);
}
