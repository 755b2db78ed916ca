//! Request ids on a real Postgres.

use pesan_api::order::v1::CancelOrderRequest;
use pesan_grpc::idempotency::{Claim, Claimed, answer, claim, migrator};
use prost::Message as _;
use sqlx::PgPool;
use uuid::Uuid;

fn cancel(request_id: Uuid, reason: &str) -> Claim {
    let body = CancelOrderRequest { reason: reason.into(), ..Default::default() }.encode_to_vec();
    Claim { request_id, method: "pesan.order.v1.CancelOrderRequest", body }
}

#[sqlx::test(migrations = false)]
async fn the_same_request_gets_the_same_answer_and_another_body_is_named(pool: PgPool) {
    migrator().run(&pool).await.unwrap();
    let (a, b) = (Uuid::now_v7(), Uuid::now_v7());
    let mut tx = pool.begin().await.unwrap();
    let claims = [cancel(b, "x"), cancel(a, "x"), cancel(b, "x"), cancel(b, "y")];
    let claimed = claim(&mut tx, &claims).await.unwrap();
    assert_eq!(claimed, [Claimed::New, Claimed::New, Claimed::SameAs(0), Claimed::Reused(vec!["reason".into()])]);
    answer(&mut tx, &[(a, b"answer".to_vec())]).await.unwrap();
    tx.commit().await.unwrap();

    let mut conn = pool.acquire().await.unwrap();
    let claimed = claim(&mut conn, &[cancel(a, "x"), cancel(a, "z")]).await.unwrap();
    assert_eq!(claimed, [Claimed::Answered(b"answer".to_vec()), Claimed::Reused(vec!["reason".into()])]);
}

#[sqlx::test(migrations = false)]
async fn of_two_at_once_one_takes_effect(pool: PgPool) {
    migrator().run(&pool).await.unwrap();
    let id = Uuid::now_v7();
    let mut first = pool.begin().await.unwrap();
    assert_eq!(claim(&mut first, &[cancel(id, "x")]).await.unwrap(), [Claimed::New]);
    let second = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut conn = pool.acquire().await.unwrap();
            claim(&mut conn, &[cancel(id, "x")]).await.unwrap()
        }
    });
    answer(&mut first, &[(id, b"done".to_vec())]).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), [Claimed::Answered(b"done".to_vec())]);
}
