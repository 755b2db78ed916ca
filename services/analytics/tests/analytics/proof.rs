//! Every invariant finds its own violation, and the digests tell what is there.

use crate::script::{document_id, order_id};
use crate::story::story;
use crate::world::start;
use pesan_api::proof::v1 as pb;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn each_invariant_finds_what_is_planted(pool: PgPool) {
    let world = start(&pool).await;
    world.play(&story().events).await;
    let request = pb::CheckInvariantsRequest {};
    let whole = world.proof.clone().check_invariants(request).await.unwrap().into_inner();
    for result in &whole.results {
        assert_eq!(result.violations, [], "{}", result.name);
        assert!(result.rows_checked > 0 || result.name == "events_contiguous", "{} looked at nothing", result.name);
    }
    let sources: Vec<_> = whole.followers.iter().map(|follower| follower.source.as_str()).collect();
    assert_eq!(sources, ["billing", "fulfilment", "inventory", "order"]);

    let plants = [
        ("sales_rollup_matches_order_facts", "update sales_slot set units = units + 1 where gross = 10000", "11 units"),
        ("sales_rollup_matches_order_facts", "delete from sales_slot where gross = 10000", "facts: 1"),
        ("product_rollup_matches_order_lines", "update product_slot set gross = gross + 1 where sku = 'P3'", "P3"),
        ("product_rollup_matches_order_lines", "delete from product_slot where sku = 'P3'", "P3"),
        (
            "documents_rollup_matches_documents",
            "update document_slot set credited = credited + 1 where credited = 900",
            "900",
        ),
        ("order_facts_match_lines", "update order_fact set units = units + 1 where units = 10", "11 units"),
        ("order_facts_match_goods", "update order_fact set returned_units = 0 where returned_units = 1", "0 returned"),
        ("order_facts_match_goods", "update order_fact set shipped_units = 9 where shipped_units = 10", "9 shipped"),
        ("order_facts_match_documents", "update order_fact set credited = 0 where credited = 900", "credited 0"),
        ("order_facts_match_documents", "delete from order_fact where shipped_units = 9", "10000"),
        (
            "customers_match_order_facts",
            "update customer_fact set first_order_id = gen_random_uuid() where first_placed_at < '2011-01-06'",
            "first order noted",
        ),
        (
            "customers_match_order_facts",
            "delete from customer_fact where first_placed_at < '2011-01-06'",
            "by the orders",
        ),
        (
            "journeys_complete",
            "delete from journey_entry where type = 'OrderAccepted' and summary like 'SO-000005%'",
            "SO-000005: 0 entries",
        ),
        ("journeys_complete", "delete from order_name where number = 'SO-000005'", "0 names"),
        (
            "no_negative_rollups",
            "alter table sales_slot drop constraint sales_slot_not_negative; update sales_slot set discount = -5 where gross = 5000",
            "discount -5",
        ),
        (
            "no_negative_rollups",
            "alter table product_slot drop constraint product_slot_not_negative; update product_slot set units = -7 where sku = 'P2'",
            "-7 units",
        ),
        (
            "events_contiguous",
            "insert into outbox (event_id, aggregate_id, version, type, payload, effective_at)
             values (gen_random_uuid(), gen_random_uuid(), 2, 'x', '', now())",
            "1 events",
        ),
    ];
    for (name, plant, tells) in plants {
        sqlx::raw_sql(plant).execute(&world.pool).await.unwrap();
        let broken = world.broken().await;
        let found =
            broken.iter().find(|(law, _)| law == name).unwrap_or_else(|| panic!("{name} does not see: {plant}"));
        assert!(found.1.iter().any(|violation| violation.contains(tells)), "{name}: {found:?}");
    }
}

#[sqlx::test(migrations = false)]
async fn digests_tell_orders_and_lonely_credit_notes(pool: PgPool) {
    let world = start(&pool).await;
    world.play(&story().events).await;
    let digests = |subjects: Vec<String>| {
        let mut proof = world.proof.clone();
        async move {
            let mut stream = proof.stream_digests(pb::StreamDigestsRequest { subjects }).await.unwrap().into_inner();
            let mut digests = Vec::new();
            while let Some(message) = stream.message().await.unwrap() {
                let expected = ["units_ordered", "gross", "units_shipped", "invoiced_amount", "credited_amount"];
                assert_eq!(message.measures, expected);
                for digest in message.digests {
                    assert_eq!(digest.parts.len(), 1);
                    assert_eq!(digest.parts[0].part, 0);
                    digests.push((digest.subject, digest.parts[0].values.clone()));
                }
            }
            digests
        }
    };
    let all = digests(Vec::new()).await;
    let expected = [
        (order_id(1), vec![3, 2500, 3, 2300, 900]),
        (order_id(2), vec![10, 10_000, 10, 10_000, 0]),
        (order_id(3), vec![4, 2000, 4, 2000, 0]),
        (order_id(4), vec![1, 5000, 0, 0, 0]),
        (order_id(5), vec![1, 1000, 0, 0, 0]),
        (order_id(6), vec![0, 0, 0, 0, 0]),
        (order_id(7), vec![5, 4000, 0, 0, 0]),
        (document_id(5), vec![0, 0, 0, 0, 1234]),
    ]
    .map(|(subject, values)| (subject.to_string(), values));
    assert_eq!(all, expected, "a rejected order counts nothing");
    let some = digests(vec![document_id(5).to_string(), order_id(2).to_string(), order_id(99).to_string()]).await;
    assert_eq!(some, [expected[1].clone(), expected[7].clone()]);
}
