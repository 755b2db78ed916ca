//! Importing: answers in order while orders come, bounded, and safe to send again.

use crate::channels::{channel, define};
use crate::suite::{LONG, Suite, order, reason, start};
use pesan_api::order::v1::import_order_result::Outcome;
use pesan_api::order::v1::*;
use sqlx::PgPool;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

fn bulk(count: usize) -> Vec<NewOrder> {
    let new = |i| NewOrder {
        channel: "erp".into(),
        external_id: format!("D-{i}"),
        request_id: String::new(),
        ..order(&[("TEA", 2)])
    };
    (0..count).map(new).collect()
}

async fn open(suite: &Suite) -> (mpsc::Sender<ImportOrdersRequest>, Streaming<ImportOrdersResponse>) {
    let (sender, receiver) = mpsc::channel(1);
    let answers = suite.imports.clone().import_orders(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    (sender, answers)
}

/// Sends all, in messages of `size`, and reads everything.
async fn import(suite: &Suite, orders: Vec<NewOrder>, size: usize) -> (Vec<ImportOrderResult>, ImportSummary) {
    let (sender, mut answers) = open(suite).await;
    tokio::spawn(async move {
        for orders in orders.chunks(size) {
            sender.send(ImportOrdersRequest { orders: orders.to_vec() }).await.unwrap();
        }
    });
    let mut results = Vec::new();
    loop {
        let answer = answers.message().await.unwrap().expect("a summary comes last");
        results.extend(answer.results);
        if let Some(summary) = answer.summary {
            assert!(answers.message().await.unwrap().is_none());
            return (results, summary);
        }
    }
}

#[sqlx::test(migrations = false)]
async fn every_order_of_a_stream_is_answered_in_its_place(pool: PgPool) {
    let suite = start(pool).await;
    define(&suite, vec![Channel { kind: ChannelKind::Erp.into(), priority: Some(8), ..channel("erp") }]).await;
    let mut orders = bulk(1_300);
    orders[7].lines[0].quantity = 0;
    orders[8].channel = "ERP".into();
    orders[9].customer_external_id = "nobody".into();
    orders[10] = orders[3].clone();
    orders[11] = NewOrder { priority: Some(1), ..orders[3].clone() };
    let (results, summary) = import(&suite, orders.clone(), 97).await;
    assert_eq!(results.iter().map(|result| result.position).collect::<Vec<_>>(), (0..1_300).collect::<Vec<_>>());
    for (result, order) in results.iter().zip(&orders) {
        assert_eq!(result.external_id, order.external_id);
    }
    let said = |i: usize| match results[i].outcome.as_ref().unwrap() {
        Outcome::Order(order) => order.number.clone(),
        Outcome::Problem(problem) => format!("{} {}", problem.reason, problem.violations[0].field),
    };
    assert_eq!(said(7), "INVALID_ARGUMENT lines[0].quantity");
    assert_eq!(said(8), "INVALID_ARGUMENT channel");
    assert_eq!(said(9), "INVALID_ARGUMENT customer_external_id");
    assert_eq!((said(10), results[10].already_existed), (said(3), true));
    assert_eq!(said(11), "EXTERNAL_ID_REUSED priority");
    let refused = [("EXTERNAL_ID_REUSED".to_owned(), 1), ("INVALID_ARGUMENT".to_owned(), 3)];
    assert_eq!(
        summary,
        ImportSummary {
            orders: 1_300,
            placed: 1_295,
            already_existed: 1,
            refused: 4,
            refused_by_reason: refused.into_iter().collect(),
        }
    );
    // They are orders like all others, with what their channel means.
    let placed = suite.get("erp/D-1299").await;
    assert_eq!((placed.number, placed.priority), (said(1_299), 8));
    suite.until(&placed.id, OrderState::Confirmed).await;

    // A stream that broke is sent again, here one by one: nothing is there twice.
    let (_, summary) = import(&suite, orders[12..400].to_vec(), 1).await;
    assert_eq!((summary.orders, summary.placed, summary.already_existed), (388, 0, 388));
    let count: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&suite.pool).await.unwrap();
    assert_eq!(count, 1_295);
}

#[sqlx::test(migrations = false)]
async fn an_order_is_answered_while_the_stream_goes_on(pool: PgPool) {
    let suite = start(pool).await;
    let (sender, mut answers) = open(&suite).await;
    for new in bulk(3) {
        sender.send(ImportOrdersRequest { orders: vec![new.clone()] }).await.unwrap();
        let answer = tokio::time::timeout(LONG, answers.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(answer.results[0].external_id, new.external_id);
        suite.get(&format!("erp/{}", new.external_id)).await; // durable already
    }
    // A message beyond its bounds ends the stream, after what came before it.
    sender.send(ImportOrdersRequest { orders: bulk(4).split_off(3) }).await.unwrap();
    sender.send(ImportOrdersRequest { orders: vec![] }).await.unwrap();
    assert_eq!(answers.message().await.unwrap().unwrap().results[0].position, 3);
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn a_sender_that_takes_no_answers_has_to_wait_and_a_fifth_stream_as_well(pool: PgPool) {
    let suite = start(pool).await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(open(&suite).await);
    }
    let (sender, _answers) = open(&suite).await;
    let status = suite.imports.clone().import_orders(tokio_stream::iter([])).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (tonic::Code::ResourceExhausted, "BUSY"));
    // Nobody reads the answers: sooner or later nothing more is taken, and what was taken is bounded.
    let text = "x".repeat(400);
    let mut sent = 0;
    while sent < 100_000 {
        let mut orders = bulk(500);
        orders.iter_mut().for_each(|order| order.channel = "Not A Channel".into());
        orders.iter_mut().for_each(|order| order.lines[0].description = text.clone());
        let message = sender.send(ImportOrdersRequest { orders });
        if tokio::time::timeout(std::time::Duration::from_secs(1), message).await.is_err() {
            break;
        }
        sent += 500;
    }
    assert!(sent < 100_000, "the sender was never made to wait");
    // One of the others ends: there is room for another stream.
    drop(others.pop());
    let free = async {
        while suite.imports.clone().import_orders(tokio_stream::iter([])).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, free).await.unwrap();
}
