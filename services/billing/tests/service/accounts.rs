//! Accounts, credit limits, and what authorising on account refuses.

use crate::house::{self, START, eur, line, money, on_account, shipped, shown};
use pesan_api::billing::v1 as pb;
use pesan_grpc::refuse::reason;
use sqlx::PgPool;
use tonic::Code;
use uuid::Uuid;

fn account(customer: Uuid) -> pb::Account {
    pb::Account { customer_id: customer.to_string(), currency_code: "EUR".into(), ..Default::default() }
}

#[sqlx::test(migrations = false)]
async fn the_credit_limit_holds_within_a_call_and_across_fifty(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = house.account(Some("100.00")).await;
    let charge = |total| on_account(Uuid::now_v7(), customer, vec![line(1, 1, total, "0")]);
    let results = house.authorise_all(vec![charge("60.00"), charge("60.00"), charge("40.00"), charge("0.01")]).await;
    let told: Vec<_> = results.iter().map(|r| r.as_ref().map(|_| ()).map_err(|p| p.reason.as_str())).collect();
    let refused = Err("CREDIT_LIMIT_EXCEEDED");
    assert_eq!(told, [Ok(()), refused, Ok(()), refused], "served in order; a large one does not block a smaller one");

    let customer = house.account(Some("100.00")).await;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let mut payments = house.payments.clone();
            let charges = vec![on_account(Uuid::now_v7(), customer, vec![line(1, 1, "10.00", "0")])];
            tokio::spawn(async move { payments.authorise(pb::AuthoriseRequest { charges }).await.unwrap() })
        })
        .collect();
    let mut granted = 0;
    for caller in callers {
        let result = caller.await.unwrap().into_inner().results.pop().unwrap().outcome.unwrap();
        granted += i32::from(matches!(result, pb::authorise_result::Outcome::Authorisation(_)));
    }
    assert_eq!(granted, 10);
    assert_eq!(house.owed(customer).await, "0.00/100.00");
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_refusal_is_decided_anew_and_an_authorisation_is_not(pool: PgPool) {
    let mut house = house::start(pool).await;
    let (customer, order) = (Uuid::now_v7(), Uuid::now_v7());
    let charge = on_account(order, customer, vec![line(1, 2, "30.00", "0"), line(2, 1, "5.00", "0")]);
    assert_eq!(house.authorise(charge.clone()).await.unwrap_err().reason, "NO_ACCOUNT");
    house.upsert(vec![pb::Account { credit_limit: Some(eur("20")), ..account(customer) }]).await[0].as_ref().unwrap();
    let refusal = house.authorise(charge).await.unwrap_err();
    assert_eq!((refusal.reason.as_str(), refusal.retryable), ("CREDIT_LIMIT_EXCEEDED", false));
    assert_eq!(house.billing(order).await, "0.00 0.00 0.00 0.00 0.00");

    // The customer wants less now; the same order twice in one call is one order.
    let less = on_account(order, customer, vec![line(1, 1, "15.00", "0"), line(2, 1, "5.00", "0")]);
    let more = on_account(order, customer, vec![line(1, 9, "999.00", "0")]);
    let both = house.authorise_all(vec![less, more.clone()]).await;
    assert_eq!(both[0].as_ref().map(|a| shown(&a.amount)), Ok("20.00".to_owned()));
    assert_eq!(both[0], both[1]);
    assert_eq!(house.authorise(more).await, both[0]);
    let story = ["AuthorisationDeclined", "AuthorisationDeclined", "PaymentAuthorised"];
    assert_eq!(house.story(order).await, story);
    house.fulfilment.tell(order, &shipped(order, &[(1, 1), (2, 1)]), START).await;
    assert_eq!(house.owed(customer).await, "20.00/0.00");
    house.is_in_order().await;
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn an_account_keeps_its_currency_once_it_is_used(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = Uuid::now_v7();
    let in_usd = || pb::Account { currency_code: "USD".into(), payment_terms_days: 14, ..account(customer) };
    let made = house.upsert(vec![account(customer)]).await.remove(0).unwrap();
    assert_eq!((made.version, made.credit_limit, shown(&made.receivable)), (1, None, "0.00".into()));
    let changed = house.upsert(vec![in_usd()]).await.remove(0).unwrap();
    assert_eq!((changed.version, changed.currency_code.as_str(), changed.payment_terms_days), (2, "USD", 14));

    let in_euros = on_account(Uuid::now_v7(), customer, vec![line(1, 1, "1.00", "0")]);
    assert_eq!(house.authorise(in_euros.clone()).await.unwrap_err().reason, "NO_ACCOUNT", "none in euros");
    house.upsert(vec![account(customer)]).await.remove(0).unwrap();
    let order: Uuid = in_euros.order_id.parse().unwrap();
    house.authorise(in_euros).await.unwrap();
    assert_eq!(house.upsert(vec![in_usd()]).await.remove(0).unwrap_err().reason, "ACCOUNT_IN_USE");
    house.fulfilment.tell(order, &shipped(order, &[(1, 1)]), START).await;
    let pay = pb::ApplyPaymentRequest {
        request_id: Uuid::now_v7().to_string(),
        customer_id: customer.to_string(),
        amount: Some(eur("1.00")),
        ..Default::default()
    };
    house.payments.apply_payment(pay).await.unwrap();
    assert_eq!(house.owed(customer).await, "0.00/0.00");
    assert_eq!(house.upsert(vec![in_usd()]).await.remove(0).unwrap_err().reason, "ACCOUNT_IN_USE", "it has documents");
    let limited = pb::Account { credit_limit: Some(eur("7")), ..account(customer) };
    assert_eq!(shown(&house.upsert(vec![limited]).await.remove(0).unwrap().credit_limit), "7.00");
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn each_account_is_looked_at_by_itself(pool: PgPool) {
    let mut house = house::start(pool).await;
    let good = Uuid::now_v7();
    let bad = pb::Account {
        customer_id: "x".into(),
        currency_code: "EURO".into(),
        payment_terms_days: 366,
        ..Default::default()
    };
    let limit = pb::Account { credit_limit: Some(money("USD", "1")), ..account(Uuid::now_v7()) };
    let results = house.upsert(vec![account(good), bad, limit, account(good)]).await;
    assert!(results[0].is_ok());
    let fields = |i: usize| {
        let problem = results[i].as_ref().unwrap_err();
        assert_eq!(problem.reason, "INVALID_ARGUMENT");
        problem.violations.iter().map(|v| v.field.clone()).collect::<Vec<_>>()
    };
    assert_eq!(fields(1), ["customer_id", "currency_code", "payment_terms_days"]);
    assert_eq!(fields(2), ["credit_limit"]);
    assert_eq!(fields(3), ["customer_id"], "twice in one request");

    let request = pb::GetAccountRequest { customer_id: Uuid::now_v7().to_string() };
    let status = house.accounts.get_account(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "ACCOUNT_NOT_FOUND"));
    let accounts = vec![account(good); 1001];
    let status = house.accounts.upsert_accounts(pb::UpsertAccountsRequest { accounts }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn a_charge_that_is_wrong_is_told_all_that_is(pool: PgPool) {
    let mut house = house::start(pool).await;
    let customer = house.account(None).await;
    let good = on_account(Uuid::now_v7(), customer, vec![line(1, 1, "1.00", "0")]);
    let lines = vec![
        pb::ChargeLine { sku: String::new(), quantity: -1, ..line(1, 1, "1.005", "0") },
        pb::ChargeLine { discount: Some(eur("2.00")), tax: Some(money("USD", "1")), ..line(1, 1, "1.00", "0") },
        line(0, 0, "1.00", "0"),
    ];
    let bad = pb::OrderCharge { lines, ..good.clone() };
    let nobody = pb::OrderCharge { customer_id: String::new(), method: 0, currency_code: "X".into(), ..good.clone() };
    let no_lines = pb::OrderCharge { lines: vec![], customer_id: String::new(), ..good.clone() };
    let no_token = pb::OrderCharge {
        method: pb::AuthorisationMethod::Provider.into(),
        placed_at: Some(pesan_grpc::parse::to_timestamp(START + time::Duration::hours(1))),
        ..good.clone()
    };
    let results = house.authorise_all(vec![bad, nobody, no_lines, no_token, good]).await;
    let fields = |i: usize| {
        let violations = &results[i].as_ref().unwrap_err().violations;
        violations.iter().map(|v| v.field.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        fields(0),
        [
            "lines[0].sku",
            "lines[0].quantity",
            "lines[0].line_total",
            "lines[1].line_no",
            "lines[1].tax",
            "lines[1].discount",
            "lines[2].line_no",
            "lines[2].quantity",
        ]
    );
    assert_eq!(fields(1), ["currency_code", "method"]);
    assert_eq!(fields(2), ["lines", "customer_id"]);
    assert_eq!(fields(3), ["payment_token", "placed_at"]);
    assert!(results[4].is_ok(), "the others do not suffer");

    let request = pb::GetOrderBillingRequest { order_id: Uuid::now_v7().to_string() };
    let status = house.payments.get_order_billing(request).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::NotFound, "ORDER_NOT_FOUND"));
    house.stop().await;
}

#[sqlx::test(migrations = false)]
async fn the_order_s_trace_goes_on_in_the_event(pool: PgPool) {
    let mut house = house::start(pool).await;
    let (customer, order) = (house.account(None).await, Uuid::now_v7());
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let placed_at = Some(pesan_grpc::parse::to_timestamp(START - time::Duration::days(400)));
    let charge = on_account(order, customer, vec![line(1, 1, "1.00", "0")]);
    house.authorise(pb::OrderCharge { traceparent, placed_at, ..charge }).await.unwrap();
    let event = house.events().await.remove(0);
    assert_eq!(pesan_telemetry::trace_id(&event.traceparent), Some("0af7651916cd43dd8448eb211c80319c"));
    assert_eq!((event.correlation_id, event.effective_at), (order.to_string(), placed_at));
    house.stop().await;
}
