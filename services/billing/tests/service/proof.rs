//! The proof finds what is wrong: each invariant is broken by hand, past the constraint that would prevent it.

use crate::house::{self, House, START, by_token, eur, line, on_account, returned, shipped};
use pesan_api::billing::v1 as pb;
use pesan_api::inventory::v1::StockIssued;
use sqlx::PgPool;
use uuid::Uuid;

/// A house in which everything has happened once.
async fn lived_in(pool: &PgPool) -> House {
    let mut house = house::start(pool.clone()).await;
    let customer = house.account(None).await;
    let (owed, paid) = (Uuid::now_v7(), Uuid::now_v7());
    house.authorise(on_account(owed, customer, vec![line(1, 2, "10.00", "1.00")])).await.unwrap();
    house.authorise(by_token(paid, "tok_ok", vec![line(1, 2, "20.00", "2.00")])).await.unwrap();
    for order in [owed, paid] {
        house.fulfilment.write(order, &shipped(order, &[(1, 2)]), START);
        house.fulfilment.write(order, &returned(order, &[(1, 1, None)]), START);
        let cost = StockIssued { order_id: order.to_string(), cost: Some(eur("3")), ..Default::default() };
        house.inventory.write(order, &cost, START);
    }
    house.fulfilment.applied().await;
    house.inventory.applied().await;
    let payment = pb::ApplyPaymentRequest {
        request_id: Uuid::now_v7().to_string(),
        customer_id: customer.to_string(),
        amount: Some(eur("2.00")),
        ..Default::default()
    };
    house.payments.apply_payment(payment).await.unwrap();
    house.until(paid, "22.00 22.00 22.00 11.00 11.00").await;
    house.is_in_order().await;
    house
}

#[sqlx::test(migrations = false)]
async fn every_invariant_finds_what_breaks_it(pool: PgPool) {
    let mut house = lived_in(&pool).await;
    // One after the other: each plant, the invariants that must see it, and how it is undone.
    let plants: &[(&str, &[&str], &str)] = &[
        (
            "alter table posting_pair disable trigger user; alter table posting_pair alter credit drop not null;
             update posting_pair set credit = null where debit = 'cost_of_goods'",
            &["ledger_balanced_per_posting", "ledger_balanced_in_total"],
            "update posting_pair set credit = 'inventory' where debit = 'cost_of_goods'",
        ),
        (
            "insert into posting values (gen_random_uuid(), 'payment', gen_random_uuid(), 'EUR', now(), now())",
            &["ledger_balanced_per_posting"],
            "alter table posting disable trigger user; delete from posting p
              where not exists (select 1 from posting_pair e where e.posting_id = p.id)",
        ),
        (
            "update posting_pair set amount = amount + 1 where credit = 'revenue'",
            &["documents_are_posted", "receivables_match_documents"],
            "update posting_pair set amount = amount - 1 where credit = 'revenue'",
        ),
        (
            "alter table document disable trigger user; update document set number = number + 1 where number = 2 and kind = 'invoice'",
            &["documents_gap_free"],
            "update document set number = number - 1 where number = 3 and kind = 'invoice'",
        ),
        (
            "update document_series set last = last + 1 where series like 'CN%'",
            &["documents_gap_free"],
            "update document_series set last = last - 1 where series like 'CN%'",
        ),
        (
            "alter table document_line disable trigger user; update document_line set tax = tax + 1 where net = 10",
            &["documents_match_lines"],
            "update document_line set tax = tax - 1 where net = 10",
        ),
        (
            "update account set receivable = receivable + 1",
            &["receivables_match_documents"],
            "update account set receivable = receivable - 1",
        ),
        (
            "update document set open = open + 1 where kind = 'invoice' and not on_account",
            &["receivables_match_documents"],
            "update document set open = open - 1 where kind = 'invoice' and not on_account",
        ),
        (
            "update account set authorised = authorised + 1",
            &["authorisations_match_charges"],
            "update account set authorised = authorised - 1",
        ),
        (
            "update charge set credited = credited + 1 where method = 'on_account'",
            &["charges_match_documents"],
            "update charge set credited = credited - 1 where method = 'on_account'",
        ),
        ("update charge_line set credited = 0", &["charges_match_documents"], "update charge_line set credited = 1"),
        (
            "update payment_application set amount = amount + 1",
            &["payments_match_applications"],
            "update payment_application set amount = amount - 1",
        ),
        (
            "update provider_book_authorisation set captured = captured - 1",
            &["one_charge_per_order_in_provider_book"],
            "update provider_book_authorisation set captured = captured + 1",
        ),
        (
            "insert into provider_book_authorisation (key, order_id, reference, approved, reason, currency, amount)
             select 'second', order_id, 'second', true, '', currency, amount from provider_book_authorisation",
            &["one_charge_per_order_in_provider_book"],
            "delete from provider_book_authorisation where key = 'second'",
        ),
        (
            "insert into provider_book_authorisation (key, order_id, reference, approved, reason, currency, amount)
             values ('orphan', gen_random_uuid(), 'orphan', true, '', 'EUR', 1)",
            &["one_charge_per_order_in_provider_book"],
            "delete from provider_book_authorisation where key = 'orphan'",
        ),
        (
            "update provider_job set state = 'failed' where kind = 'refund'",
            &["provider_jobs_settled"],
            "update provider_job set state = 'done'",
        ),
        (
            "update charge set version = version + 1 where method = 'provider'",
            &["versions_match_events"],
            "update charge set version = version - 1 where method = 'provider'",
        ),
        ("update account set events = 0", &["versions_match_events"], "update account set events = 1"),
        (
            "update outbox set version = version + 10 where type like '%CostPosted'",
            &["events_contiguous", "versions_match_events"],
            "update outbox set version = version - 10 where type like '%CostPosted'",
        ),
    ];
    for (plant, finders, undo) in plants {
        sqlx::raw_sql(*plant).execute(&pool).await.unwrap();
        let mut found: Vec<String> = house.violations().await.into_iter().map(|(name, _)| name).collect();
        found.dedup();
        for finder in *finders {
            assert!(found.iter().any(|name| name == finder), "{finder} does not see: {plant}; seen by {found:?}");
        }
        sqlx::raw_sql(*undo).execute(&pool).await.unwrap();
        house.is_in_order().await;
    }
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_on_its_way_is_no_violation_until_it_takes_too_long(pool: PgPool) {
    let mut house = lived_in(&pool).await;
    // As between the provider's answer and the next moment of billing. Due in an hour, so that no worker takes it.
    sqlx::raw_sql(
        "update provider_book_authorisation set captured = captured - 1;
         insert into provider_job (id, order_id, kind, reference, document_id, currency, amount, effective_at, next_at, created_at)
         select gen_random_uuid(), order_id, 'capture', reference, document_id, currency, 1, effective_at,
                created_at + interval '1 hour', created_at
           from provider_job where kind = 'capture'",
    )
    .execute(&pool)
    .await
    .unwrap();
    house.is_in_order().await;
    house.clock.advance(std::time::Duration::from_secs(6 * 60));
    let violations = house.violations().await;
    assert_eq!(violations.len(), 1, "{violations:?}");
    assert_eq!(violations[0].0, "provider_jobs_settled");
    assert!(violations[0].1.what.contains("capture of 1 EUR"), "{violations:?}");
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn digests_ascend_and_can_be_narrowed(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = house.account(None).await;
    // More than one message holds.
    let orders: Vec<Uuid> = (0..250).map(|_| Uuid::now_v7()).collect();
    let charges = orders.iter().map(|id| on_account(*id, customer, vec![line(1, 2, "10.00", "1.00")])).collect();
    house.authorise_all(charges).await.into_iter().for_each(|result| drop(result.unwrap()));
    house.fulfilment.tell(orders[7], &shipped(orders[7], &[(1, 1)]), START).await;
    let all: Vec<String> = house.digests(&[]).await.into_iter().map(|d| d.subject).collect();
    assert_eq!(all, orders.iter().map(Uuid::to_string).collect::<Vec<_>>());
    let few = house.digests(&[orders[9], orders[7], Uuid::now_v7()]).await;
    let told: Vec<_> = few
        .iter()
        .map(|d| (d.subject.clone(), d.parts.iter().map(|p| (p.part, p.values.clone())).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        told,
        [
            (orders[7].to_string(), vec![(0, vec![0, 0, 500, 0]), (1, vec![1, 0, 0, 0])]),
            (orders[9].to_string(), vec![]),
        ]
    );
    house.stop().await;
}
