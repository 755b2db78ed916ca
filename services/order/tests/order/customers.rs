//! Customers, as a CRM tells of them.

use crate::suite::{address, reason, start};
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::Address;
use sqlx::PgPool;
use tonic::Code;
use upsert_customer_result::Outcome;

fn customer(external_id: &str, name: &str) -> Customer {
    Customer { external_id: external_id.into(), name: name.into(), ..Default::default() }
}

async fn upsert(suite: &crate::suite::Suite, customers: Vec<Customer>) -> Vec<Outcome> {
    let request = UpsertCustomersRequest { customers };
    let results = suite.customers.clone().upsert_customers(request).await.unwrap().into_inner().results;
    results.into_iter().map(|result| result.outcome.unwrap()).collect()
}

fn version(outcome: &Outcome) -> i64 {
    match outcome {
        Outcome::Customer(customer) => customer.version,
        Outcome::Problem(problem) => panic!("{problem:?}"),
    }
}

#[sqlx::test(migrations = false)]
async fn a_file_sent_again_changes_only_what_changed(pool: PgPool) {
    let suite = start(pool).await;
    let file = vec![customer("B", "Budi"), customer("A", "Ani"), customer("B", "Budiman")];
    let versions: Vec<i64> = upsert(&suite, file.clone()).await.iter().map(version).collect();
    assert_eq!(versions, [1, 1, 2], "named twice: the later word counts");
    let again = vec![customer("A", "Ani"), customer("B", "Budiman"), customer("C", "Citra")];
    let versions: Vec<i64> = upsert(&suite, again).await.iter().map(version).collect();
    assert_eq!(versions, [1, 2, 1]);
    let facts = suite.facts().await;
    assert_eq!(facts.len(), 4);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn the_same_file_from_many_at_once_makes_each_customer_once(pool: PgPool) {
    let suite = start(pool).await;
    let callers: Vec<_> = (0..6)
        .map(|i| {
            let mut client = suite.customers.clone();
            let mut customers: Vec<Customer> = (0..50).map(|n| customer(&format!("C-{n}"), &format!("v{i}"))).collect();
            customers.rotate_left(i * 7);
            tokio::spawn(async move { client.upsert_customers(UpsertCustomersRequest { customers }).await.unwrap() })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let rows: i64 = sqlx::query_scalar("select count(*) from customer").fetch_one(&suite.pool).await.unwrap();
    assert_eq!(rows, 50);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn one_that_is_wrong_does_not_touch_the_others(pool: PgPool) {
    let suite = start(pool).await;
    let mut wrong = customer("B", "Budi");
    wrong.addresses = vec![address(), Address::default()];
    let outcomes = upsert(&suite, vec![customer("", "x"), wrong, customer("C", "Citra")]).await;
    let fields: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Problem(problem) => problem.violations[0].field.as_str(),
            Outcome::Customer(_) => "",
        })
        .collect();
    assert_eq!(fields, ["external_id", "addresses[1].country", ""]);
    let too_many = UpsertCustomersRequest { customers: vec![customer("A", "x"); 1001] };
    assert_eq!(suite.customers.clone().upsert_customers(too_many).await.unwrap_err().code(), Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn customers_are_found_and_listed(pool: PgPool) {
    let suite = start(pool).await;
    let made = suite.customer("C-7").await;
    assert_eq!(made.addresses, [address()]);
    let get = |id: &str, external_id: &str| {
        let request = GetCustomerRequest { id: id.into(), external_id: external_id.into() };
        let mut client = suite.customers.clone();
        async move { client.get_customer(request).await.map(|answer| answer.into_inner().customer.unwrap()) }
    };
    assert_eq!(get(&made.id, "").await.unwrap(), made);
    assert_eq!(get("", "C-7").await.unwrap(), made);
    let status = get("", "nobody").await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "CUSTOMER_NOT_FOUND"));
    assert_eq!(get("", "").await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(get(&made.id, "C-7").await.unwrap_err().code(), Code::InvalidArgument);

    upsert(&suite, (0..5).map(|n| customer(&format!("D-{n}"), "")).collect()).await;
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let request = ListCustomersRequest { page_size: 2, page_token: token };
        let page = suite.customers.clone().list_customers(request).await.unwrap().into_inner();
        seen.extend(page.customers.into_iter().map(|customer| customer.external_id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["C-7", "D-0", "D-1", "D-2", "D-3", "D-4"]);
}
