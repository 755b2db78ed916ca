//! What is wrong with a question is told all at once.

use crate::story::{JANUARY, MARCH};
use crate::world::{ask, start};
use pesan_api::analytics::v1 as pb;
use pesan_api::proof::v1::StreamDigestsRequest;
use sqlx::PgPool;
use time::macros::datetime;
use tonic::Status;
use tonic_types::StatusExt as _;

fn fields(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), tonic::Code::InvalidArgument, "{status}");
    status.get_details_bad_request().unwrap().field_violations.into_iter().map(|v| v.field).collect()
}

#[sqlx::test(migrations = false)]
async fn every_field_is_looked_at(pool: PgPool) {
    let world = start(&pool).await;
    let mut analytics = world.analytics.clone();
    let wrong = pb::QueryKpisRequest {
        kpis: vec!["orders".into(), "order".into()],
        time_zone: "Mars/Olympus".into(),
        currency_code: "euro".into(),
        bucket: 99,
        segment: 99,
        channels: vec!["x".into(); 101],
        skus: vec!["\u{0}".into()],
        ..ask(&[], MARCH, JANUARY)
    };
    let status = analytics.query_kpis(wrong).await.unwrap_err();
    let expected = ["bucket", "segment", "kpis[1]", "time_zone", "currency_code", "channels", "skus[0]", "to"];
    assert_eq!(fields(&status), expected);
    let empty = analytics.query_kpis(pb::QueryKpisRequest::default()).await.unwrap_err();
    assert_eq!(fields(&empty), ["kpis", "from", "to"]);
    let long = pb::QueryKpisRequest {
        bucket: pb::Bucket::Day.into(),
        ..ask(&["orders"], datetime!(1990-01-01 00:00 UTC), datetime!(2011-01-01 00:00 UTC))
    };
    assert_eq!(fields(&analytics.query_kpis(long).await.unwrap_err()), ["bucket"]);
    let twice = analytics.query_kpis(ask(&["orders", "orders"], JANUARY, MARCH)).await.unwrap().into_inner();
    assert_eq!(twice.values.len(), 1, "one that is there twice is answered once");
}

#[sqlx::test(migrations = false)]
async fn subjects_of_digests_must_be_ids(pool: PgPool) {
    let world = start(&pool).await;
    let mut proof = world.proof.clone();
    let request = StreamDigestsRequest { subjects: vec!["x".into()] };
    assert_eq!(fields(&proof.stream_digests(request).await.unwrap_err()), ["subjects[0]"]);
    let request = StreamDigestsRequest { subjects: vec!["x".into(); 10_001] };
    assert_eq!(fields(&proof.stream_digests(request).await.unwrap_err()), ["subjects"]);
}
