//! Filters, orders of lists, the search box, and all there is about a customer.

use crate::following::{issue, ship_in_parcels};
use crate::inquiries::{details, open};
use crate::peers::HALL;
use crate::quotations::{of_customer, send};
use crate::suite::{LONG, Suite, address, eur, order, order_of, reason, start};
use pesan_api::billing::v1::Account;
use pesan_api::order::v1::get_customer360_response::Balance;
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::Address;
use prost_types::Timestamp;
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: 1_600_000_000 + seconds, nanos: 0 })
}

/// The external ids of what is listed, page by page of `page_size`.
async fn list(suite: &Suite, filter: &str, order_by: &str, page_size: i32) -> Vec<String> {
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let request = ListOrdersRequest {
            filter: filter.into(),
            order_by: order_by.into(),
            page_size,
            page_token: token,
            ..Default::default()
        };
        let page = suite.orders.clone().list_orders(request).await.unwrap_or_else(|e| panic!("{filter}: {e}"));
        let page = page.into_inner();
        seen.extend(page.orders.into_iter().map(|order| order.external_id));
        token = page.next_page_token;
        if token.is_empty() {
            return seen;
        }
    }
}

/// Five orders: three of guests, two of a customer, one of them unknown to inventory, one shipped in part.
async fn five(suite: &Suite) -> Vec<Order> {
    let customer = suite.customer("C-1").await;
    let abroad = Address { country: "SG".into(), email: "Lim@Example.com".into(), ..address() };
    let mut placed = Vec::new();
    for (n, new) in [
        order(&[("TEA", 1)]),
        NewOrder { ship_to: Some(abroad), priority: Some(1), ..order(&[("CUP", 8), ("TEA", 1)]) },
        order_of(&customer, &[("UNKNOWN", 3)]),
        NewOrder { channel: "edi".into(), sales_rep: "Ani".into(), ..order_of(&customer, &[("POT", 2)]) },
        order(&[("TEA", 4)]),
    ]
    .into_iter()
    .enumerate()
    {
        let seconds = i64::try_from(n / 2).unwrap(); // two at each time
        let new = NewOrder { external_id: n.to_string(), placed_at: at(seconds), ..new };
        placed.push(suite.place(new).await);
    }
    placed
}

#[sqlx::test(migrations = false)]
async fn every_field_is_filtered_by(pool: PgPool) {
    let suite = start(pool).await;
    let placed = five(&suite).await;
    issue(&suite, &placed[4].id, Uuid::now_v7(), HALL, &[(1, 1)]);
    suite.until(&placed[4].id, OrderState::PartiallyShipped).await;
    ship_in_parcels(&suite, &placed[1].id, HALL, &[(1, 8), (2, 1)], &["JNE-77"]);
    suite.until(&placed[1].id, OrderState::Shipped).await;
    for (filter, expected) in [
        (format!("number = {}", placed[3].number), vec!["3"]),
        (format!("number >= {} AND number < {}", placed[1].number, placed[3].number), vec!["2", "1"]),
        (format!("id = {}", placed[0].id), vec!["0"]),
        ("state = REJECTED".into(), vec!["2"]),
        ("state != CONFIRMED".into(), vec!["4", "2", "1"]),
        ("state = PARTIALLY_SHIPPED OR state = ORDER_STATE_SHIPPED".into(), vec!["4", "1"]),
        ("channel = edi".into(), vec!["3"]),
        ("NOT channel:WE".into(), vec!["3"]),
        ("external_id = 3 OR external_id = \"4\"".into(), vec!["4", "3"]),
        ("-external_id:*".into(), vec![]),
        (format!("customer = {}", placed[2].customer_id), vec!["3", "2"]),
        (format!("customer != {}", placed[2].customer_id), vec!["4", "1", "0"]),
        ("customer_external_id = C-1".into(), vec!["3", "2"]),
        ("NOT customer_external_id = C-1".into(), vec!["4", "1", "0"]),
        ("customer_external_id:c".into(), vec!["3", "2"]),
        ("customer_external_id = nobody".into(), vec![]),
        ("segment = wholesale".into(), vec!["3", "2"]),
        ("segment != wholesale".into(), vec!["4", "1", "0"]),
        ("email = LIM@example.com".into(), vec!["1"]),
        ("email:@EXAMPLE".into(), vec!["1"]),
        ("email:*".into(), vec!["1"]),
        ("country = SG".into(), vec!["1"]),
        ("country != SG AND sales_rep = Siti".into(), vec!["2"]),
        ("sales_rep = Ani".into(), vec!["3"]),
        ("currency_code = EUR".into(), vec!["4", "3", "2", "1", "0"]),
        ("currency_code != EUR".into(), vec![]),
        ("priority < 5".into(), vec!["1"]),
        ("units >= 4".into(), vec!["4", "1"]),
        ("gross > 5.00".into(), vec!["1"]),
        ("total = 5".into(), vec!["4"]),
        ("placed_at < 2020-09-13".into(), vec![]),
        ("placed_at > \"2020-09-13T12:26:41Z\"".into(), vec!["4"]),
        ("recorded_at > 2024-01-01".into(), vec!["4", "3", "2", "1", "0"]),
        ("NOT confirmed_at:*".into(), vec!["2"]),
        ("sku = TEA".into(), vec!["4", "1", "0"]),
        ("sku:TEA AND NOT sku:CUP".into(), vec!["4", "0"]),
        ("sku != TEA".into(), vec!["3", "2"]),
        ("tracking_number = JNE-77".into(), vec!["1"]),
        ("tracking_number:*".into(), vec!["1"]),
        ("hold:*".into(), vec![]),
        ("(sku = CUP AND country = SG) OR channel = edi".into(), vec!["3", "1"]),
        ("sku = TEA AND country = SG OR units = 1".into(), vec!["1", "0"]), // OR binds closer
        ("external_id = \"'; drop table orders; --\"".into(), vec![]),
    ] {
        assert_eq!(list(&suite, &filter, "", 2).await, expected, "{filter}");
    }
}

#[sqlx::test(migrations = false)]
async fn lists_are_sorted_and_their_pages_fit_together(pool: PgPool) {
    let suite = start(pool).await;
    five(&suite).await;
    for (order_by, expected) in [
        ("placed_at", ["0", "1", "2", "3", "4"]),
        ("number desc", ["4", "3", "2", "1", "0"]),
        ("units", ["0", "3", "2", "4", "1"]),
        ("gross desc", ["1", "4", "2", "3", "0"]),
        ("total", ["0", "3", "2", "4", "1"]),
        ("priority, placed_at desc", ["1", "4", "2", "3", "0"]), // the last of two at one time first: id desc
        ("placed_at desc, units", ["4", "3", "2", "0", "1"]),
        ("recorded_at desc", ["4", "3", "2", "1", "0"]),
    ] {
        let whole = list(&suite, "", order_by, 100).await;
        for size in [1, 2, 3] {
            assert_eq!(list(&suite, "", order_by, size).await, whole, "{order_by} by {size}");
        }
        if order_by.starts_with("priority") {
            assert_eq!(whole[0], expected[0]);
            assert_eq!(whole[1], expected[1]);
        } else {
            assert_eq!(whole, expected, "{order_by}");
        }
    }
    // A token belongs to its filter and its order.
    let ask = |filter: &str, order_by: &str, token: &str| {
        let request = ListOrdersRequest {
            filter: filter.into(),
            order_by: order_by.into(),
            page_token: token.into(),
            page_size: 1,
            ..Default::default()
        };
        let mut client = suite.orders.clone();
        async move { client.list_orders(request).await.map(|response| response.into_inner()) }
    };
    let first = ask("sku = TEA", "units", "").await.unwrap();
    // An order placed between two pages shifts nothing.
    suite.place(NewOrder { external_id: "new".into(), ..order(&[("TEA", 1)]) }).await;
    let second = ask("sku = TEA", "units", &first.next_page_token).await.unwrap();
    assert_ne!(second.orders[0].id, first.orders[0].id);
    for (filter, order_by) in [("sku = CUP", "units"), ("sku = TEA", "units desc"), ("sku = TEA", "units, gross")] {
        let refused = ask(filter, order_by, &first.next_page_token).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{filter} by {order_by}");
    }
    use tonic_types::StatusExt as _;
    let wrong = ask("colour = red", "state", "").await.unwrap_err();
    let wrong: Vec<_> =
        wrong.get_details_bad_request().unwrap().field_violations.into_iter().map(|v| v.field).collect();
    assert_eq!(wrong, ["filter", "order_by"]);
}

#[sqlx::test(migrations = false)]
async fn a_list_that_takes_too_long_is_refused(pool: PgPool) {
    let suite = start(pool).await;
    let mut blocking = suite.pool.begin().await.unwrap();
    sqlx::query("lock table orders").execute(&mut *blocking).await.unwrap();
    let request = ListOrdersRequest { filter: "units > 1".into(), ..Default::default() };
    let refused = suite.orders.clone().list_orders(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "FILTER_TOO_BROAD"));
}

async fn search(suite: &Suite, query: &str) -> Vec<(String, Vec<OrderMatch>)> {
    let request = SearchOrdersRequest { query: query.into(), limit: 3 };
    let found = suite.search.clone().search_orders(request).await.unwrap().into_inner();
    assert!(found.sku_searched_from.is_some());
    let hits = found.hits.into_iter().map(|hit| {
        let kinds = hit.matches().collect();
        (hit.order.unwrap().external_id, kinds)
    });
    hits.collect()
}

#[sqlx::test(migrations = false)]
async fn one_box_finds_orders_by_all_that_people_know(pool: PgPool) {
    use OrderMatch::{Customer as ByCustomer, CustomerName, Email, ExternalId, Number, Sku, TrackingNumber};
    let suite = start(pool).await;
    let placed = five(&suite).await;
    let crm = Customer {
        external_id: "POT".into(),
        name: "Lim & Söhne Trading".into(),
        email: "Lim@example.com".into(),
        addresses: vec![address()],
        ..Default::default()
    };
    let request = UpsertCustomersRequest { customers: vec![crm] };
    suite.customers.clone().upsert_customers(request).await.unwrap();
    let theirs = NewOrder { customer_external_id: "POT".into(), customer_id: String::new(), ..placed_like("5") };
    suite.place(theirs).await;
    ship_in_parcels(&suite, &placed[4].id, HALL, &[(1, 4)], &["JNE-77", "JNE-78"]);
    suite.until(&placed[4].id, OrderState::Shipped).await;

    let hit = |id: &str, kinds: &[OrderMatch]| (id.to_owned(), kinds.to_vec());
    let number = placed[3].number.clone();
    let bare = number.trim_start_matches("SO-").trim_start_matches('0').to_owned();
    for (query, expected) in [
        (number.to_lowercase(), vec![hit("3", &[Number])]),
        (placed[0].id.clone(), vec![hit("0", &[Number])]),
        ("edi/3".to_owned(), vec![hit("3", &[Number])]),
        (" C-1 ".to_owned(), vec![hit("3", &[ByCustomer]), hit("2", &[ByCustomer])]),
        ("lim@EXAMPLE.com".to_owned(), vec![hit("5", &[Email]), hit("1", &[Email])]),
        ("söh lim".to_owned(), vec![hit("5", &[CustomerName])]),
        ("bud".to_owned(), vec![hit("3", &[CustomerName]), hit("2", &[CustomerName])]),
        ("CUP".to_owned(), vec![hit("1", &[Sku])]),
        ("JNE-78".to_owned(), vec![hit("4", &[TrackingNumber])]),
        // A customer's id and an SKU: the better match first.
        ("POT".to_owned(), vec![hit("5", &[ByCustomer]), hit("3", &[Sku])]),
        // Three of five at most, the newest.
        ("TEA".to_owned(), vec![hit("5", &[Sku]), hit("4", &[Sku]), hit("1", &[Sku])]),
        ("nothing".to_owned(), vec![]),
        ("' & | ! :*".to_owned(), vec![]),
    ] {
        assert_eq!(search(&suite, &query).await, expected, "{query}");
    }
    let both = search(&suite, &bare).await;
    assert!(both.contains(&hit("3", if bare == "3" { &[Number, ExternalId] } else { &[Number] })), "{both:?}");
    let blank = SearchOrdersRequest { query: "  ".into(), limit: 101 };
    assert_eq!(suite.search.clone().search_orders(blank).await.unwrap_err().code(), Code::InvalidArgument);
}

fn placed_like(external_id: &str) -> NewOrder {
    NewOrder {
        external_id: external_id.into(),
        placed_at: at(10),
        payment_method: PaymentMethod::OnAccount.into(),
        payment_token: String::new(),
        ..order(&[("TEA", 1)])
    }
}

async fn view(suite: &Suite) -> GetCustomer360Response {
    let request = GetCustomer360Request { customer_external_id: "C-1".into(), limit: 2, ..Default::default() };
    let mut client = suite.search.clone();
    let answer = client.get_customer360(request);
    tokio::time::timeout(LONG, answer).await.unwrap().unwrap().into_inner()
}

#[sqlx::test(migrations = false)]
async fn all_there_is_about_a_customer_whether_billing_answers_or_not(pool: PgPool) {
    let suite = start(pool).await;
    let placed = five(&suite).await;
    let customer = suite.customer("C-1").await;
    let third = suite.place(order_of(&customer, &[("TEA", 2)])).await;
    issue(&suite, &third.id, Uuid::now_v7(), HALL, &[(1, 2)]);
    suite.until(&third.id, OrderState::Shipped).await;
    let back = NewReturn {
        order_name: third.id.clone(),
        external_id: "R-1".into(),
        lines: vec![NewReturnLine { line_no: 1, quantity: 1, reason: "DAMAGED".into(), ..Default::default() }],
        ..Default::default()
    };
    suite.returns.clone().request_returns(RequestReturnsRequest { returns: vec![back] }).await.unwrap();
    let mine = |cents| InquiryDetails { customer_id: customer.id.clone(), ..details("Siti", "web", cents).unwrap() };
    let inquiry = open(&suite, Some(mine(5_00))).await;
    let quotation = of_customer(&suite, "C-1", &[("TEA", 1)]).await;
    let withdrawn = of_customer(&suite, "C-1", &[("TEA", 1)]).await;
    send(&suite, &quotation.id).await.unwrap();
    let back = WithdrawQuotationRequest {
        request_id: Uuid::now_v7().to_string(),
        name: withdrawn.id.clone(),
        ..Default::default()
    };
    suite.quotations.clone().withdraw_quotation(back).await.unwrap();

    let all = view(&suite).await;
    assert_eq!(all.customer.as_ref().unwrap().id, customer.id);
    let latest: Vec<_> = all.latest_orders.iter().map(|order| order.id.as_str()).collect();
    assert_eq!(latest, [&third.id, &placed[3].id], "two at most, the newest");
    let states: Vec<_> = all.orders_by_state.iter().map(|count| (count.state(), count.count)).collect();
    assert_eq!(states, [(OrderState::Confirmed, 1), (OrderState::Rejected, 1), (OrderState::Shipped, 1)]);
    assert_eq!((all.totals[0].orders, all.totals[0].gross.clone()), (2, Some(eur(5_00))), "without the rejected one");
    assert_eq!(all.open_quotations.iter().map(|q| &q.id).collect::<Vec<_>>(), [&quotation.id]);
    assert_eq!(all.open_inquiries.iter().map(|i| &i.id).collect::<Vec<_>>(), [&inquiry.id]);
    assert_eq!(all.returns.len(), 1);
    let Some(Balance::BalanceProblem(problem)) = all.balance else { panic!("no account") };
    assert_eq!((problem.reason.as_str(), problem.retryable), ("NO_ACCOUNT", false));

    let account = Account { customer_id: customer.id.clone(), receivable: Some(eur(2_50)), ..Default::default() };
    suite.peers.billing.accounts.lock().unwrap().insert(customer.id.clone(), account.clone());
    assert_eq!(view(&suite).await.balance, Some(Balance::Account(account)));

    *suite.peers.billing.is_down.lock().unwrap() = true;
    let without = view(&suite).await;
    assert_eq!(without.latest_orders.len(), 2, "the rest is there");
    let Some(Balance::BalanceProblem(problem)) = without.balance else { panic!("billing is down") };
    assert_eq!((problem.reason.as_str(), problem.retryable), ("PEER_UNAVAILABLE", true));
    // Billing that does not answer at all.
    let silent = suite.peers.billing.gate.clone();
    let held = silent.lock().await;
    let Some(Balance::BalanceProblem(problem)) = view(&suite).await.balance else { panic!("billing is silent") };
    assert_eq!(problem.reason, "PEER_UNAVAILABLE");
    drop(held);

    let none = GetCustomer360Request { customer_external_id: "nobody".into(), ..Default::default() };
    let none = suite.search.clone().get_customer360(none).await.unwrap_err();
    assert_eq!(reason(&none), "CUSTOMER_NOT_FOUND");
}
