//! Exchanges and replacements: a linked order, once the goods are back or at once.

use crate::following::{invoice, issue};
use crate::peers::HALL;
use crate::return_policies::{get, policy, set, until};
use crate::returning::{approved, ask, new, refused, shipped};
use crate::suite::{Suite, eur, line, order, order_of, parts, start};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::order::v1::*;
use sqlx::PgPool;
use uuid::Uuid;

/// (line, sellable, damaged, of it without credit) came back.
pub fn receive(
    suite: &Suite,
    rma: &Return,
    lines: &[(i32, i64, i64, i64)],
    discrepancies: Vec<fulfilment::ReturnDiscrepancy>,
) {
    let line = |(line_no, sellable, damaged, uncredited): &(i32, i64, i64, i64)| fulfilment::ReturnReceivedLine {
        line_no: *line_no,
        sku: "TEA".into(),
        location_id: HALL.into(),
        sellable: *sellable,
        damaged: *damaged,
        uncredited: *uncredited,
        ..Default::default()
    };
    let fact = fulfilment::ReturnReceived {
        return_id: rma.id.clone(),
        order_id: rma.order_id.clone(),
        lines: lines.iter().map(line).collect(),
        discrepancies,
        ..Default::default()
    };
    suite.peers.fulfilment.feed.tell_of(rma.id.parse().unwrap(), rma.order_id.parse().unwrap(), &fact);
}

fn exchange(order: &Order, quantity: i64, wish: ExchangeWish) -> NewReturn {
    let resolution = ReturnResolution::Exchange.into();
    NewReturn { resolution, exchange: Some(wish), ..new(&order.id, &[(1, quantity)]) }
}

fn by_card(lines: Vec<NewOrderLine>) -> ExchangeWish {
    ExchangeWish { lines, payment_token: "tok_ok".into() }
}

#[sqlx::test(migrations = false)]
async fn an_exchange_is_ordered_once_all_of_it_is_back(pool: PgPool) {
    let suite = start(pool).await;
    let original = shipped(&suite).await;
    let wish = by_card(vec![NewOrderLine { discount: Some(eur(50)), ..line("CUP", 3) }]);
    let rma = approved(&ask(&suite, vec![exchange(&original, 3, wish)]).await[0]);
    let fact: ReturnApproved = suite.fact(&original.id).await;
    assert_eq!(fact.resolution(), ReturnResolution::Exchange);
    receive(&suite, &rma, &[(1, 1, 0, 0)], vec![]);
    let part = until(&suite, &rma, ReturnState::PartiallyReceived).await;
    assert!(part.linked_order_ids.is_empty());
    receive(&suite, &rma, &[(1, 1, 1, 0)], vec![]);
    let done = until(&suite, &rma, ReturnState::Received).await;
    let linked = suite.until(&done.linked_order_ids[0], OrderState::Confirmed).await;
    assert_eq!(linked.return_id, rma.id);
    assert_eq!(
        (linked.channel, linked.payment_method, linked.ship_to),
        (original.channel, original.payment_method, original.ship_to)
    );
    assert_eq!(
        (linked.lines[0].sku.as_str(), parts(&linked.lines[0].quantities), linked.total),
        ("CUP", vec![("ordered", 3), ("reserved", 3)], Some(eur(3_25)))
    );
    let accepted: OrderAccepted = suite.fact(&linked.id).await;
    assert_eq!((accepted.return_id, accepted.gross), (rma.id, Some(eur(3_75))));
    // The token went to billing and is forgotten here.
    let charged = suite.peers.billing.charges.lock().unwrap().last().unwrap().clone();
    assert_eq!((charged.order_id, charged.payment_token.as_str()), (linked.id, "tok_ok"));
    let kept: i64 = sqlx::query_scalar("select count(*) from rma where position('tok_ok'::bytea in wish) > 0")
        .fetch_one(&suite.pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
    assert_eq!(get(&suite, &done.number).await.linked_order_ids.len(), 1, "one exchange for a return");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn the_same_goods_cost_what_was_paid_for_them(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let mut lines = vec![line("TEA", 3)];
    lines[0].discount = Some(eur(1_00));
    lines[0].tax = Some(eur(30));
    let original = suite.place(NewOrder { lines, ..order_of(&customer, &[("TEA", 3)]) }).await;
    issue(&suite, &original.id, Uuid::now_v7(), HALL, &[(1, 3)]);
    let original = suite.until(&original.id, OrderState::Shipped).await;
    let rma = approved(&ask(&suite, vec![exchange(&original, 2, ExchangeWish::default())]).await[0]);
    receive(&suite, &rma, &[(1, 2, 0, 0)], vec![]);
    let done = until(&suite, &rma, ReturnState::Received).await;
    let linked = suite.until(&done.linked_order_ids[0], OrderState::Confirmed).await;
    let placed = &linked.lines[0];
    let amounts = [&placed.unit_price, &placed.line_total, &placed.discount, &placed.tax].map(Clone::clone);
    assert_eq!(amounts, [eur(1_25), eur(2_50), eur(67), eur(20)].map(Some));
    assert_eq!(linked.customer_id, customer.id);
    let accepted: OrderAccepted = suite.fact(&linked.id).await;
    assert_eq!((accepted.segment.as_str(), accepted.sales_rep.as_str()), ("wholesale", "Siti"));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_replacement_costs_nothing_and_may_go_ahead_of_the_goods(pool: PgPool) {
    let suite = start(pool).await;
    let original = shipped(&suite).await;
    set(&suite, vec![ReturnPolicy { advance_exchange: true, ..policy("all", vec![]) }]).await;
    let asked = NewReturn { resolution: ReturnResolution::Replacement.into(), ..new(&original.id, &[(1, 2)]) };
    let rma = approved(&ask(&suite, vec![asked]).await[0]);
    assert_eq!((rma.state(), rma.linked_order_ids.len()), (ReturnState::Approved, 1));
    let linked = suite.until(&rma.linked_order_ids[0], OrderState::Confirmed).await;
    assert_eq!(
        (linked.total.clone(), parts(&linked.quantities)),
        (Some(eur(0)), vec![("ordered", 2), ("reserved", 2)])
    );
    let charged = suite.peers.billing.charges.lock().unwrap().last().unwrap().clone();
    assert_eq!((charged.order_id, charged.payment_token.as_str()), (linked.id, ""), "nothing is asked of the provider");
    receive(&suite, &rma, &[(1, 0, 2, 2)], vec![]);
    let done = until(&suite, &rma, ReturnState::Received).await;
    assert_eq!(done.linked_order_ids, rma.linked_order_ids, "not a second time");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_is_wanted_instead_is_read_before_anything_comes_back(pool: PgPool) {
    let suite = start(pool).await;
    let original = shipped(&suite).await;
    let free = NewReturn {
        resolution: ReturnResolution::Replacement.into(),
        exchange: Some(ExchangeWish { lines: vec![line("CUP", 1)], ..Default::default() }),
        ..new(&original.id, &[(1, 1)])
    };
    let for_money = NewReturn { exchange: Some(by_card(vec![])), ..new(&original.id, &[(1, 1)]) };
    let mut in_dollars = by_card(vec![line("CUP", 0)]);
    in_dollars.lines[0].unit_price.as_mut().unwrap().currency_code = "USD".into();
    let no_token = ExchangeWish::default();
    let results =
        ask(&suite, vec![free, for_money, exchange(&original, 1, in_dollars), exchange(&original, 1, no_token)]).await;
    let fields: Vec<Vec<String>> = results
        .iter()
        .map(|result| refused(result).violations.into_iter().map(|violation| violation.field).collect())
        .collect();
    assert_eq!(fields[0], ["exchange.lines[0].unit_price"]);
    assert_eq!(fields[1], ["exchange"]);
    assert_eq!(fields[2], ["exchange.lines[0].quantity", "exchange.lines[0].unit_price"]);
    assert_eq!(fields[3], ["exchange.payment_token"]);
}

fn odd(
    kind: fulfilment::ReturnDiscrepancyKind,
    line_no: i32,
    sellable: i64,
    damaged: i64,
) -> fulfilment::ReturnDiscrepancy {
    fulfilment::ReturnDiscrepancy {
        id: Uuid::now_v7().to_string(),
        kind: kind.into(),
        line_no,
        sku: if line_no == 0 { "HAT" } else { "TEA" }.into(),
        sellable,
        damaged,
        note: "seen".into(),
    }
}

async fn decide(suite: &Suite, rma: &Return, id: &str, decision: DiscrepancyDecision) -> Result<Return, tonic::Status> {
    let request = ResolveDiscrepancyRequest {
        request_id: Uuid::now_v7().to_string(),
        name: rma.number.clone(),
        discrepancy_id: id.into(),
        decision: decision.into(),
        by: "Siti".into(),
        note: "so be it".into(),
    };
    Ok(suite.returns.clone().resolve_discrepancy(request).await?.into_inner().r#return.unwrap())
}

#[sqlx::test(migrations = false)]
async fn what_was_not_announced_waits_for_a_person(pool: PgPool) {
    use fulfilment::ReturnDiscrepancyKind::{Condition, More, OtherGoods};
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    issue(&suite, &placed.id, Uuid::now_v7(), HALL, &[(1, 5)]);
    suite.until(&placed.id, OrderState::Shipped).await;
    let mut asked = new(&placed.id, &[(1, 3)]);
    asked.lines[0].condition = ReturnCondition::Sellable.into();
    asked.lines[0].credit = Some(eur(10_00));
    let rma = approved(&ask(&suite, vec![asked]).await[0]);
    let fact: ReturnApproved = suite.fact(&placed.id).await;
    assert_eq!(fact.lines[0].condition(), ReturnCondition::Sellable);

    let (worse, more, hat) = (odd(Condition, 1, 0, 1), odd(More, 1, 1, 0), odd(OtherGoods, 0, 1, 0));
    receive(&suite, &rma, &[(1, 2, 1, 1)], vec![worse.clone(), more.clone(), hat.clone()]);
    let seen = until(&suite, &rma, ReturnState::Discrepancy).await;
    let kinds: Vec<_> = seen.discrepancies.iter().map(|one| (one.kind(), one.sku.as_str(), one.decision())).collect();
    let open = DiscrepancyDecision::Unspecified;
    let expected = [
        (DiscrepancyKind::Condition, "TEA", open),
        (DiscrepancyKind::More, "TEA", open),
        (DiscrepancyKind::OtherGoods, "HAT", open),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(suite.get(&placed.id).await.quantities.unwrap().returned, 3, "what nobody announced counts nowhere");

    // Billing must have invoiced what it shall credit.
    let early = decide(&suite, &rma, &worse.id, DiscrepancyDecision::Accept).await.unwrap_err();
    assert_eq!((early.code(), crate::suite::reason(&early)), (tonic::Code::Aborted, "NOT_INVOICED_YET".into()));
    invoice(&suite, &placed.id, &[(1, 5)]);
    suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().invoiced == 5).await;
    decide(&suite, &rma, &worse.id, DiscrepancyDecision::Accept).await.unwrap();
    let credited: ReturnCredited = suite.fact(&placed.id).await;
    // Fulfilment shared out 6.67 for two of three; this is the rest.
    assert_eq!((credited.lines[0].quantity, credited.lines[0].credit.clone()), (1, Some(eur(3_33))));
    let twice = decide(&suite, &rma, &worse.id, DiscrepancyDecision::Reject).await.unwrap_err();
    assert_eq!(crate::suite::reason(&twice), "RETURN_STATE");

    let taken = decide(&suite, &rma, &more.id, DiscrepancyDecision::AcceptWithoutCredit).await.unwrap();
    assert_eq!((taken.lines[0].quantity, taken.state()), (4, ReturnState::Discrepancy));
    let amended: ReturnAmended = suite.fact(&placed.id).await;
    assert_eq!((amended.lines[0].sellable, amended.lines[0].uncredited), (1, true));
    assert_eq!(amended.lines[0].discrepancy_id, more.id);
    receive(&suite, &rma, &[(1, 1, 0, 1)], vec![]);
    suite.until_it(&placed.id, |order| order.quantities.as_ref().unwrap().returned == 4).await;

    let strange = decide(&suite, &rma, &hat.id, DiscrepancyDecision::Accept).await.unwrap_err();
    assert_eq!(strange.code(), tonic::Code::InvalidArgument);
    let done = decide(&suite, &rma, &hat.id, DiscrepancyDecision::Reject).await.unwrap();
    assert_eq!((done.state(), done.discrepancies[2].decided_by.as_str()), (ReturnState::Received, "Siti"));
    let missing = decide(&suite, &rma, &Uuid::now_v7().to_string(), DiscrepancyDecision::Reject).await.unwrap_err();
    assert_eq!(crate::suite::reason(&missing), "DISCREPANCY_NOT_FOUND");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn no_more_is_taken_than_ever_left(pool: PgPool) {
    let suite = start(pool).await;
    let original = shipped(&suite).await;
    let results = ask(&suite, vec![new(&original.id, &[(1, 2)]), new(&original.id, &[(1, 1)])]).await;
    let rma = approved(&results[0]);
    approved(&results[1]);
    let more = odd(fulfilment::ReturnDiscrepancyKind::More, 1, 2, 0);
    receive(&suite, &rma, &[(1, 2, 0, 0)], vec![more.clone()]);
    until(&suite, &rma, ReturnState::Discrepancy).await;
    // Four left, two are back, one is on its way with the other return.
    let refused = decide(&suite, &rma, &more.id, DiscrepancyDecision::Accept).await.unwrap_err();
    assert_eq!(crate::suite::reason(&refused), "NOT_SHIPPED");
    suite.assert_proven().await;
}
