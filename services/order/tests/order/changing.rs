//! Changing orders, before and after the promise.

use crate::following::issue;
use crate::peers::{ANNEX, HALL};
use crate::suite::{LONG, Suite, eur, line, order, order_of, parts, reason, start, start_with};
use pesan_api::fulfilment::v1 as fulfilment;
use pesan_api::inventory::v1::{BackordersFilled, FilledLine, ReservationLine};
use pesan_api::order::v1::change::Kind;
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::Address;
use sqlx::PgPool;
use tonic::{Code, Status};
use uuid::Uuid;

pub fn add(sku: &str, quantity: i64) -> Kind {
    Kind::AddLine(AddLine { line: Some(line(sku, quantity)) })
}

pub fn quantity(line_no: i32, quantity: i64) -> Kind {
    Kind::SetQuantity(SetQuantity { line_no, quantity })
}

pub fn price(line_no: i32, cents: i64) -> Kind {
    Kind::SetPrice(SetPrice { line_no, unit_price: Some(eur(cents)), ..Default::default() })
}

pub fn elsewhere() -> Address {
    Address { recipient: "Siti".into(), country: "SG".into(), ..Default::default() }
}

pub fn address() -> Kind {
    Kind::SetAddress(SetAddress { ship_to: Some(elsewhere()) })
}

pub async fn plan(suite: &Suite, name: &str, changes: Vec<Kind>) -> Result<ChangePlan, Status> {
    let changes = changes.into_iter().map(|kind| Change { kind: Some(kind) }).collect();
    let request = PlanChangeRequest { name: name.into(), changes, reason: "wish".into(), ..Default::default() };
    Ok(suite.changes.clone().plan_change(request).await?.into_inner().plan.unwrap())
}

pub fn commit_of(plan: &ChangePlan) -> CommitChangeRequest {
    CommitChangeRequest {
        request_id: Uuid::now_v7().to_string(),
        plan_id: plan.id.clone(),
        order_version: plan.order_version,
        payment_token: String::new(),
    }
}

pub async fn commit(suite: &Suite, request: CommitChangeRequest) -> Result<CommitChangeResponse, Status> {
    Ok(suite.changes.clone().commit_change(request).await?.into_inner())
}

/// Plans and commits; the order as it is then.
pub async fn change(suite: &Suite, name: &str, changes: Vec<Kind>) -> Order {
    let plan = plan(suite, name, changes).await.unwrap();
    assert_eq!(plan.impossible, []);
    commit(suite, commit_of(&plan)).await.unwrap().order.unwrap()
}

/// An order of 4 TEA at 1.25 that is accepted and cannot be promised yet.
pub async fn accepted(suite: &Suite) -> Order {
    *suite.peers.inventory.is_down.lock().unwrap() = true;
    let place = PlaceOrderRequest { order: Some(order(&[("TEA", 4), ("CUP", 2)])), wait: PlaceWait::Durable.into() };
    suite.orders.clone().place_order(place).await.unwrap().into_inner().order.unwrap()
}

fn reasons(plan: &ChangePlan) -> Vec<(i32, i32, &str)> {
    plan.impossible.iter().map(|one| (one.change, one.line_no, one.reason.as_str())).collect()
}

#[sqlx::test(migrations = false)]
async fn before_the_promise_lines_are_rewritten_and_promised_as_they_are_then(pool: PgPool) {
    let suite = start(pool).await;
    let placed = accepted(&suite).await;
    let changes =
        vec![quantity(1, 6), price(1, 2_00), Kind::RemoveLine(RemoveLine { line_no: 2 }), add("MUG", 3), address()];
    let told = plan(&suite, &placed.id, changes).await.unwrap();
    let money = told.money.clone().unwrap();
    assert_eq!((money.old_gross, money.new_gross), (Some(eur(7_50)), Some(eur(15_75))));
    let wanted: Vec<_> = told.stock.iter().map(|s| (s.line_no, s.sku.as_str(), s.unpromised)).collect();
    assert_eq!(wanted, [(1, "TEA", 2), (2, "CUP", -2), (3, "MUG", 3)]);
    let request = commit_of(&told);
    let changed = commit(&suite, request.clone()).await.unwrap();
    assert_eq!(commit(&suite, request).await.unwrap(), changed, "the same request again");
    let changed = changed.order.unwrap();
    let lines: Vec<_> =
        changed.lines.iter().map(|l| (l.line_no, l.sku.as_str(), l.line_total.clone().unwrap())).collect();
    assert_eq!(lines, [(1, "TEA", eur(12_00)), (3, "MUG", eur(3_75))]);
    assert_eq!(changed.ship_to, Some(elsewhere()));
    assert_eq!(changed.state(), OrderState::Accepted);

    *suite.peers.inventory.is_down.lock().unwrap() = false;
    let confirmed = suite.until(&placed.id, OrderState::Confirmed).await;
    assert_eq!(parts(&confirmed.quantities), [("ordered", 9), ("reserved", 9)]);
    let fact: OrderConfirmed = suite.fact(&placed.id).await;
    assert_eq!(fact.ship_to, Some(elsewhere()));
    let amended: OrderAmended = suite.fact(&placed.id).await;
    assert!(!amended.promised && amended.lines.len() == 2 && amended.gross == Some(eur(15_75)));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn what_was_asked_for_an_earlier_wish_is_not_confirmed(pool: PgPool) {
    let suite = start(pool).await;
    // Inventory has reserved, billing thinks.
    let gate = suite.peers.billing.gate.clone().lock_owned().await;
    let place = PlaceOrderRequest { order: Some(order(&[("TEA", 4)])), wait: PlaceWait::Durable.into() };
    let placed = suite.orders.clone().place_order(place).await.unwrap().into_inner().order.unwrap();
    let asked = async {
        while suite.peers.billing.charges.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, asked).await.unwrap();
    change(&suite, &placed.id, vec![quantity(1, 9)]).await;
    drop(gate);
    let confirmed = suite.until(&placed.id, OrderState::Confirmed).await;
    assert_eq!(parts(&confirmed.quantities), [("ordered", 9), ("reserved", 9)]);
    let charged = suite.peers.billing.charges.lock().unwrap().last().cloned().unwrap();
    assert_eq!(charged.lines[0].quantity, 9);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn before_the_promise_the_whole_order_can_go(pool: PgPool) {
    let suite = start(pool).await;
    let placed = accepted(&suite).await;
    let both = plan(&suite, &placed.id, vec![Kind::CancelRest(CancelRest {}), add("MUG", 1)]).await.unwrap();
    assert_eq!(reasons(&both), [(0, 0, "NOT_PROMISED_YET")]);
    let none = vec![Kind::RemoveLine(RemoveLine { line_no: 1 }), quantity(2, 0)];
    assert_eq!(reasons(&plan(&suite, &placed.id, none).await.unwrap()), [(0, 0, "NOTHING_REMAINS")]);
    let gone = change(&suite, &placed.id, vec![Kind::CancelRest(CancelRest {})]).await;
    assert_eq!(gone.state(), OrderState::Cancelled);
    let status = plan(&suite, &placed.id, vec![address()]).await.unwrap_err();
    assert_eq!(reason(&status), "ORDER_CLOSED");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn new_lines_are_wanted_as_the_order_is(pool: PgPool) {
    let suite = start(pool).await;
    let wish = NewOrder { preferred_location_id: ANNEX.into(), ..order(&[("TEA", 4)]) };
    let placed = suite.place(wish).await;
    let later = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 };
    let date = Kind::SetShipDate(SetShipDate { not_before: Some(later) });
    change(&suite, &placed.id, vec![add("MUG", 3), date]).await;
    let calls = suite.peers.inventory.calls.lock().unwrap().clone();
    let asked = &calls.last().unwrap()[0];
    assert!(asked.in_addition && !asked.dry_run);
    assert_eq!((asked.channel.as_str(), asked.preferred_location_id.as_str()), ("web", ANNEX));
    assert_eq!(asked.not_before, Some(later));
}

#[sqlx::test(migrations = false)]
async fn after_the_promise_everything_at_once(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 4), ("CUP", 2)])).await;
    let changes = vec![quantity(1, 1), quantity(2, 5), price(2, 3_00), add("MUG", 3), address()];
    let told = plan(&suite, &placed.id, changes).await.unwrap();
    assert_eq!(told.impossible, []);
    let stock: Vec<_> =
        told.stock.iter().map(|s| (s.line_no, s.location_id.as_str(), s.reserved, s.backordered)).collect();
    assert_eq!(stock, [(1, HALL, -3, 0), (3, HALL, 3, 0), (4, HALL, 3, 0)]);
    let money = told.money.clone().unwrap();
    // 7.50 + 3 MUG at 1.25 + 3 CUP at 3.00 + 2 CUP that are 1.75 dearer.
    assert_eq!((money.old_gross, money.new_gross), (Some(eur(7_50)), Some(eur(23_75))));
    assert_eq!(money.authorisation, Some(eur(12_50)), "3 TEA at 1.25 go");

    let changed = commit(&suite, commit_of(&told)).await.unwrap().order.unwrap();
    let lines: Vec<_> = changed.lines.iter().map(|l| (l.line_no, l.sku.as_str(), parts(&l.quantities))).collect();
    assert_eq!(
        lines,
        [
            (1, "TEA", vec![("ordered", 4), ("reserved", 1), ("cancelled", 3)]),
            (2, "CUP", vec![("ordered", 2), ("reserved", 2)]),
            (3, "MUG", vec![("ordered", 3), ("reserved", 3)]),
            (4, "CUP", vec![("ordered", 3), ("reserved", 3)]),
        ]
    );
    assert_eq!((changed.gross.clone(), changed.ship_to.clone()), (Some(eur(23_75)), Some(elsewhere())));
    // All that is reserved was withdrawn: some to go, the rest to be sent elsewhere.
    let asked = suite.peers.fulfilment.asked.lock().unwrap().clone();
    let withdrawn: Vec<_> = asked[0].lines.iter().map(|l| (l.line_no, l.quantity)).collect();
    assert_eq!(withdrawn, [(1, 4), (2, 2)]);
    let cancelled: OrderCancelled = suite.fact(&placed.id).await;
    assert_eq!((cancelled.lines[0].quantity, cancelled.whole, cancelled.revision), (3, false, 1));
    let amended: OrderAmended = suite.fact(&placed.id).await;
    let ready: Vec<_> = amended.allocations.iter().map(|a| (a.line_no, a.sku.as_str(), a.quantity)).collect();
    assert_eq!(ready, [(3, "MUG", 3), (4, "CUP", 3), (1, "TEA", 1), (2, "CUP", 2)]);
    assert_eq!((amended.ship_to, amended.revision), (Some(elsewhere()), 1));
    let charge = suite.peers.billing.charges.lock().unwrap().last().cloned().unwrap().amendment.unwrap();
    assert_eq!((charge.added.len(), charge.repriced[0].line_total.clone()), (2, Some(eur(6_00))));
    assert_eq!((charge.reduced[0].line_no, charge.reduced[0].quantity), (1, 3));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_plan_is_only_for_the_order_it_saw(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 4)])).await;
    let first = plan(&suite, &placed.id, vec![quantity(1, 3)]).await.unwrap();
    let second = plan(&suite, &placed.id, vec![quantity(1, 2)]).await.unwrap();
    assert_eq!(suite.get(&placed.id).await, placed, "planning changes nothing");
    commit(&suite, commit_of(&first)).await.unwrap();
    let status = commit(&suite, commit_of(&second)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "VERSION_MISMATCH"));
    let third = plan(&suite, &placed.id, vec![quantity(1, 2)]).await.unwrap();
    sqlx::query("update change_plan set expires_at = now()").execute(&suite.pool).await.unwrap();
    let status = commit(&suite, commit_of(&third)).await.unwrap_err();
    assert_eq!(reason(&status), "PLAN_EXPIRED");
    let nobodys = CommitChangeRequest { plan_id: Uuid::now_v7().to_string(), ..commit_of(&third) };
    assert_eq!(reason(&commit(&suite, nobodys).await.unwrap_err()), "PLAN_NOT_FOUND");
}

#[sqlx::test(migrations = false)]
async fn what_has_left_or_is_in_hand_cannot_change(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5), ("CUP", 2)])).await;
    issue(&suite, &placed.id, Uuid::now_v7(), HALL, &[(1, 3)]);
    suite.until(&placed.id, OrderState::PartiallyShipped).await;
    let in_hand = fulfilment::FulfilmentOrder {
        order_id: placed.id.clone(),
        location_id: HALL.into(),
        state: fulfilment::FulfilmentState::Picked.into(),
        lines: vec![fulfilment::FulfilmentLine { line_no: 2, allocated: 2, picked: 2, ..Default::default() }],
        ..Default::default()
    };
    suite.peers.fulfilment.orders.lock().unwrap().push(in_hand);
    let told = plan(&suite, &placed.id, vec![quantity(1, 2), quantity(2, 0), quantity(7, 1)]).await.unwrap();
    assert_eq!(reasons(&told), [(0, 1, "SHIPPED"), (2, 7, "NO_SUCH_LINE"), (1, 2, "PICKED")]);
    let status = commit(&suite, commit_of(&told)).await.unwrap_err();
    assert_eq!(reason(&status), "PLAN_HAS_IMPOSSIBLE");
    // A price can still change for what has not left.
    let changed = change(&suite, &placed.id, vec![price(1, 2_00)]).await;
    assert_eq!(changed.lines[0].line_total, Some(eur(3 * 1_25 + 2 * 2_00)));
    let charge = suite.peers.billing.charges.lock().unwrap().last().cloned().unwrap().amendment.unwrap();
    assert_eq!((charge.repriced[0].kept, charge.repriced[0].line_total.clone()), (3, Some(eur(4_00))));
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn who_refuses_has_changed_nothing(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let placed = suite.place(order_of(&customer, &[("TEA", 5)])).await;
    // Fulfilment keeps it.
    let told = plan(&suite, &placed.id, vec![quantity(1, 2), add("MUG", 1)]).await.unwrap();
    let kept = pesan_grpc::refuse::refused(Code::FailedPrecondition, "ALREADY_PICKED", "fulfilment.pesan", "picked");
    suite.peers.fulfilment.answers.lock().unwrap().push_back(Err(kept));
    let status = commit(&suite, commit_of(&told)).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::FailedPrecondition, "PICKED"));
    assert_eq!(suite.get(&placed.id).await, placed);

    // Inventory has less than when it was planned.
    let told = plan(&suite, &placed.id, vec![quantity(1, 2), add("MUG", 4)]).await.unwrap();
    suite.peers.inventory.stock.lock().unwrap().insert("MUG".into(), 3);
    let status = commit(&suite, commit_of(&told)).await.unwrap_err();
    assert_eq!(reason(&status), "STOCK_GONE");
    let now = suite.get(&placed.id).await;
    assert_eq!((now.lines.clone(), now.gross.clone()), (placed.lines.clone(), placed.gross.clone()));
    let dropped: OrderChangeDropped = suite.fact(&placed.id).await;
    assert_eq!(dropped.line_nos, [3], "the first plan had number 2");
    let ready: OrderLinesReady = suite.fact(&placed.id).await;
    assert_eq!((ready.allocations[0].line_no, ready.allocations[0].quantity), (1, 3), "handed over again");

    // Billing does not pay.
    let told = plan(&suite, &placed.id, vec![add("CUP", 2)]).await.unwrap();
    *suite.peers.billing.refuses.lock().unwrap() = Some("CREDIT_LIMIT_EXCEEDED");
    let status = commit(&suite, commit_of(&told)).await.unwrap_err();
    assert_eq!(reason(&status), "CREDIT_LIMIT_EXCEEDED");
    let dropped: OrderChangeDropped = suite.fact(&placed.id).await;
    assert_eq!((dropped.line_nos.clone(), dropped.revision > 1), (vec![4], true), "numbers are not used twice");
    assert_eq!(suite.get(&placed.id).await.lines, placed.lines);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn stock_for_what_goes_is_passed_over_and_taken_when_it_stays(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    suite.peers.inventory.stock.lock().unwrap().insert("TEA".into(), 2);
    let placed = suite.place(order_of(&customer, &[("TEA", 5)])).await;
    // Three wait, two of them go; while billing thinks about a new line, all three get stock.
    for (refuses, expected) in [
        (Some("NO_ACCOUNT"), vec![("ordered", 5), ("reserved", 5)]),
        (None, vec![("ordered", 6), ("reserved", 4), ("cancelled", 2)]),
    ] {
        let told = plan(&suite, &placed.id, vec![quantity(1, 3), add("MUG", 1)]).await.unwrap();
        let gate = suite.peers.billing.gate.clone().lock_owned().await;
        let count = suite.peers.billing.charges.lock().unwrap().len();
        let (request, mut client) = (commit_of(&told), suite.changes.clone());
        let caller = tokio::spawn(async move { client.commit_change(request).await });
        let asked = async {
            while suite.peers.billing.charges.lock().unwrap().len() == count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LONG, asked).await.unwrap();
        if refuses.is_some() {
            let filled = FilledLine { line_no: 1, sku: "TEA".into(), location_id: ANNEX.into(), quantity: 3 };
            let fact = BackordersFilled { order_id: placed.id.clone(), lines: vec![filled] };
            suite.peers.inventory.feed.tell(&placed.id, &fact);
            suite.until_it(&placed.id, |order| order.quantities.unwrap().backordered == 2).await;
        }
        *suite.peers.billing.refuses.lock().unwrap() = refuses;
        drop(gate);
        assert_eq!(caller.await.unwrap().is_err(), refuses.is_some());
        let now = suite.get(&placed.id).await;
        assert_eq!(parts(&now.quantities), expected);
    }
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_plan_is_not_made_while_another_change_has_its_lines(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    // As it is when another change begins between the look at the order and the question to inventory.
    let other = |sku: &str, quantity| ReservationLine {
        line_no: 2,
        sku: sku.into(),
        quantity,
        backordered: quantity,
        ..Default::default()
    };
    for line in [other("MUG", 3), other("CUP", 4)] {
        {
            let mut reservations = suite.peers.inventory.reservations.lock().unwrap();
            let held = &mut reservations.get_mut(&placed.id).unwrap().lines;
            held.truncate(1);
            held.push(line);
        }
        let status = plan(&suite, &placed.id, vec![add("MUG", 4)]).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (Code::Aborted, "CANCELLATION_PENDING"));
    }
}

#[sqlx::test(migrations = false)]
async fn a_change_goes_on_after_a_crash(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 5)])).await;
    let told = plan(&suite, &placed.id, vec![quantity(1, 2), add("MUG", 4)]).await.unwrap();
    let gate = suite.peers.billing.gate.clone().lock_owned().await;
    let (request, mut client) = (commit_of(&told), suite.changes.clone());
    let again = request.clone();
    let caller = tokio::spawn(async move { client.commit_change(request).await });
    let charges = suite.peers.billing.charges.clone();
    let asked = async {
        while charges.lock().unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, asked).await.unwrap();
    let status = commit(&suite, commit_of(&told)).await.unwrap_err();
    assert_eq!(reason(&status), "CANCELLATION_PENDING", "one at a time");
    let (pool, peers) = suite.crash().await;
    caller.abort();
    sqlx::query("update cancellation set due_at = now()").execute(&pool).await.unwrap();
    drop(gate);
    let suite = start_with(pool, peers).await;
    let done = suite.until_it(&placed.id, |order| order.lines.len() == 2).await;
    assert_eq!(parts(&done.quantities), [("ordered", 9), ("reserved", 6), ("cancelled", 3)]);
    assert_eq!(commit(&suite, again).await.unwrap().order.unwrap().version, done.version);
    let asked = suite.peers.fulfilment.asked.lock().unwrap().len();
    assert_eq!(asked, 1, "what was let go is not asked for again");
    let names = suite.fact_names(&placed.id).await;
    assert_eq!(names.iter().filter(|name| *name == "OrderAmended").count(), 1);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_part_becomes_an_order_of_its_own(pool: PgPool) {
    let suite = start(pool).await;
    let customer = suite.customer("C-1").await;
    let placed = suite.place(order_of(&customer, &[("TEA", 4), ("CUP", 2)])).await;
    let split = SplitOff {
        lines: vec![CancelLine { line_no: 1, quantity: 3 }, CancelLine { line_no: 2, quantity: 2 }],
        ship_to: Some(elsewhere()),
        not_before: None,
    };
    let told = plan(&suite, &placed.id, vec![Kind::SplitOff(split)]).await.unwrap();
    assert_eq!(told.splits[0].gross, Some(eur(6_25)));
    let done = commit(&suite, commit_of(&told)).await.unwrap();
    assert_eq!(parts(&done.order.unwrap().quantities), [("ordered", 6), ("reserved", 1), ("cancelled", 5)]);
    let other = suite.until(&done.split_order_ids[0], OrderState::Confirmed).await;
    assert_eq!((other.split_from.as_str(), other.ship_to.clone()), (placed.id.as_str(), Some(elsewhere())));
    assert_eq!(parts(&other.quantities), [("ordered", 5), ("reserved", 5)]);
    assert_eq!((other.customer_id, other.gross), (placed.customer_id, Some(eur(6_25))));

    // A guest's token is forgotten with the promise.
    let guest = suite.place(order(&[("TEA", 4)])).await;
    let split = SplitOff { lines: vec![CancelLine { line_no: 1, quantity: 1 }], ..Default::default() };
    let told = plan(&suite, &guest.id, vec![Kind::SplitOff(split)]).await.unwrap();
    let status = commit(&suite, commit_of(&told)).await.unwrap_err();
    assert_eq!(reason(&status), "PAYMENT_TOKEN_REQUIRED");
    let paid = CommitChangeRequest { payment_token: "tok_ok".into(), ..commit_of(&told) };
    let done = commit(&suite, paid).await.unwrap();
    suite.until(&done.split_order_ids[0], OrderState::Confirmed).await;
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_later_date_takes_it_back_from_the_warehouse(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 4)])).await;
    let later = prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 };
    let set = Kind::SetShipDate(SetShipDate { not_before: Some(later) });
    let changed = change(&suite, &placed.id, vec![set]).await;
    assert_eq!(changed.not_before, Some(later));
    let amended: OrderAmended = suite.fact(&placed.id).await;
    assert_eq!((amended.rescheduled, amended.not_before), (true, Some(later)));
    assert_eq!((amended.allocations.len(), amended.ship_to), (0, None), "it is kept back until then");
    assert_eq!(suite.peers.fulfilment.asked.lock().unwrap()[0].lines[0].quantity, 4);
    assert_eq!(changed.delivery.unwrap().withheld, 4);
    suite.assert_proven().await;

    // As soon as possible after all: the warehouse has it again.
    let set = Kind::SetShipDate(SetShipDate { not_before: None });
    let changed = change(&suite, &placed.id, vec![set]).await;
    assert_eq!((changed.not_before, changed.delivery), (None, None));
    let amended: OrderAmended = suite.fact(&placed.id).await;
    assert_eq!((amended.allocations[0].quantity, amended.allocations.len()), (4, 1));
    assert_eq!(suite.peers.fulfilment.asked.lock().unwrap().len(), 1, "it had nothing to let go of");
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn nonsense_is_refused_with_paths(pool: PgPool) {
    let suite = start(pool).await;
    let placed = suite.place(order(&[("TEA", 4)])).await;
    let changes = vec![
        Kind::SetQuantity(SetQuantity { line_no: 0, quantity: -1 }),
        Kind::AddLine(AddLine { line: Some(NewOrderLine { unit_price: None, ..line("", 1) }) }),
        Kind::SetAddress(SetAddress { ship_to: None }),
    ];
    let status = plan(&suite, &placed.id, changes).await.unwrap_err();
    let details = tonic_types::StatusExt::get_details_bad_request(&status).unwrap();
    let fields: Vec<_> = details.field_violations.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "changes[0].set_quantity.line_no",
            "changes[0].set_quantity.quantity",
            "changes[1].add_line.line.sku",
            "changes[1].add_line.line.unit_price",
            "changes[2].set_address.ship_to",
        ]
    );
}
