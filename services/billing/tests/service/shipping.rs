//! From the authorisation to the invoice and back: orders on account.

use crate::house::{self, START, eur, line, on_account, returned, shipped, shown};
use pesan_api::billing::v1 as pb;
use pesan_api::inventory::v1::{StockIssued, StockReturned};
use sqlx::PgPool;
use time::macros::datetime;
use uuid::Uuid;

#[sqlx::test(migrations = false)]
async fn an_order_on_account_is_invoiced_as_it_ships_and_credited_as_it_comes_back(pool: PgPool) {
    let mut house = house::start(pool).await;
    let (customer, order) = (house.account(Some("200")).await, Uuid::now_v7());
    let lines = vec![line(1, 3, "10.00", "1.00"), line(2, 1, "50.00", "0.00")];
    let authorised = house.authorise(on_account(order, customer, lines.clone())).await.unwrap();
    assert_eq!(shown(&authorised.amount), "61.00");
    assert_eq!(house.owed(customer).await, "0.00/61.00");
    let again = house.authorise(on_account(order, customer, lines)).await.unwrap();
    assert_eq!(again, authorised, "asked again it is the same");
    assert_eq!(house.owed(customer).await, "0.00/61.00");

    let first = shipped(order, &[(1, 1), (2, 1)]);
    house.fulfilment.tell(order, &first, START).await;
    assert_eq!(house.billing(order).await, "61.00 53.66 0.00 0.00 0.00");
    assert_eq!(house.owed(customer).await, "53.66/7.34");
    house.fulfilment.tell(order, &shipped(order, &[(1, 2)]), datetime!(2026-03-04 12:00 UTC)).await;
    assert_eq!(house.owed(customer).await, "61.00/0.00");

    let documents = house.documents_of(order).await;
    let told: Vec<_> =
        documents.iter().map(|d| (d.number.as_str(), shown(&d.net), shown(&d.tax), shown(&d.open))).collect();
    let row = |n, net: &str, tax: &str, open: &str| (n, net.to_owned(), tax.to_owned(), open.to_owned());
    assert_eq!(
        told,
        [row("INV-2026-000001", "53.33", "0.33", "53.66"), row("INV-2026-000002", "6.67", "0.67", "7.34")]
    );
    assert_eq!(documents[0].reference, first.fulfilment_order_id);
    assert_eq!(documents[0].due_at.unwrap().seconds, datetime!(2026-04-01 10:00 UTC).unix_timestamp());

    let back = returned(order, &[(1, 2, None), (2, 1, Some(eur("20.00")))]);
    house.fulfilment.tell(order, &back, datetime!(2026-03-09 9:00 UTC)).await;
    assert_eq!(house.billing(order).await, "61.00 61.00 0.00 27.34 0.00");
    assert_eq!(house.owed(customer).await, "33.66/0.00");
    house.fulfilment.tell(order, &returned(order, &[(1, 1, None)]), datetime!(2026-03-10 9:00 UTC)).await;
    let documents = house.documents_of(order).await;
    let notes: Vec<_> = documents.iter().filter(|d| d.number.starts_with("CN-")).collect();
    assert_eq!(notes.iter().map(|n| shown(&n.total)).collect::<Vec<_>>(), ["27.34", "3.66"], "11.00 of line 1, in all");
    assert_eq!(notes[0].reference, back.return_id);
    let open: Vec<_> =
        documents.iter().filter(|d| d.kind() == pb::DocumentKind::Invoice).map(|d| shown(&d.open)).collect();
    assert_eq!(open, ["22.66", "7.34"], "credits are set against the oldest invoice of the order");

    let parts: Vec<_> = house.digests(&[]).await.remove(0).parts.into_iter().map(|p| (p.part, p.values)).collect();
    assert_eq!(parts, [(0, vec![0, 0, 6000, 3000]), (1, vec![3, 3, 0, 0]), (2, vec![1, 1, 0, 0])]);
    let story = ["PaymentAuthorised", "InvoiceIssued", "InvoiceIssued", "CreditNoteIssued", "CreditNoteIssued"];
    assert_eq!(house.story(order).await, story);
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn what_goods_cost_is_posted_and_taken_back(pool: PgPool) {
    let mut house = house::start(pool).await;
    let (customer, order) = (house.account(None).await, Uuid::now_v7());
    house.authorise(on_account(order, customer, vec![line(1, 2, "10.00", "0")])).await.unwrap();
    house.fulfilment.tell(order, &shipped(order, &[(1, 2)]), START).await;
    let issued = StockIssued { order_id: order.to_string(), cost: Some(eur("7.50")), ..Default::default() };
    house.inventory.tell(order, &issued, START).await;
    let unknown = StockIssued { order_id: order.to_string(), cost: None, ..Default::default() };
    house.inventory.tell(order, &unknown, START).await;
    let back = StockReturned { order_id: order.to_string(), cost: Some(eur("3.75")), ..Default::default() };
    house.inventory.tell(order, &back, START).await;

    let request = pb::ListPostingsRequest { reference: order.to_string(), ..Default::default() };
    let postings = house.documents.list_postings(request).await.unwrap().into_inner().postings;
    let told: Vec<_> = postings
        .iter()
        .map(|p| (p.cause.as_str(), p.entries.iter().map(|e| (e.account(), shown(&e.amount))).collect::<Vec<_>>()))
        .collect();
    use pb::LedgerAccount::{CostOfGoods, Inventory};
    assert_eq!(
        told,
        [
            ("cost_of_goods", vec![(Inventory, "-7.50".to_owned()), (CostOfGoods, "7.50".to_owned())]),
            ("cost_of_return", vec![(Inventory, "3.75".to_owned()), (CostOfGoods, "-3.75".to_owned())]),
        ]
    );
    assert_eq!(house.story(order).await, ["PaymentAuthorised", "InvoiceIssued", "CostPosted", "CostPosted"]);

    let period = pb::GetTrialBalanceRequest { from: None, to: None };
    let rows = house.documents.get_trial_balance(period).await.unwrap().into_inner().rows;
    let cost = rows.iter().find(|r| r.account() == CostOfGoods).unwrap();
    assert_eq!((shown(&cost.debit), shown(&cost.credit)), ("7.50".to_owned(), "3.75".to_owned()));
    house.is_in_order().await;
}
