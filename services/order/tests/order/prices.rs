//! Prices: lists, quotes, what a given price may be, and what was agreed to the last cent.

use crate::channels::{channel, define, fields, try_place};
use crate::suite::{Suite, eur, order, order_of, reason, start};
use pesan_api::order::v1::*;
use pesan_api::r#type::v1::Money;
use sqlx::PgPool;
use tonic::Code;
use tonic_types::StatusExt as _;
use uuid::Uuid;

pub fn entry(sku: &str, min_quantity: i64, cents: i64) -> PriceEntry {
    PriceEntry { sku: sku.into(), min_quantity, unit_price: Some(eur(cents)) }
}

pub fn list(code: &str, entries: Vec<PriceEntry>) -> PriceList {
    PriceList { code: code.into(), currency_code: "EUR".into(), rank: 10, entries, ..PriceList::default() }
}

pub async fn publish(suite: &Suite, price_lists: Vec<PriceList>) -> Vec<PriceList> {
    let request = UpsertPriceListsRequest { price_lists, ..UpsertPriceListsRequest::default() };
    suite.prices.clone().upsert_price_lists(request).await.unwrap().into_inner().price_lists
}

/// The suite with lists for all and for wholesale from ten on.
async fn with_lists(pool: PgPool) -> Suite {
    let suite = start(pool).await;
    let wholesale = PriceList { segments: vec!["wholesale".into()], ..list("WHOLESALE", vec![entry("TEA", 10, 80)]) };
    publish(&suite, vec![list("ALL", vec![entry("TEA", 0, 1_25), entry("CUP", 1, 3_33)]), wholesale]).await;
    suite
}

pub fn unpriced(mut order: NewOrder) -> NewOrder {
    order.lines.iter_mut().for_each(|line| line.unit_price = None);
    order
}

pub fn cents(money: &Option<Money>) -> i64 {
    let money = money.as_ref().unwrap();
    money.units * 100 + i64::from(money.nanos) / 10_000_000
}

#[sqlx::test(migrations = false)]
async fn lines_without_a_price_are_priced_from_the_lists_and_stay_so(pool: PgPool) {
    let suite = with_lists(pool).await;
    let customer = suite.customer("C-1").await; // wholesale
    let mut new = unpriced(order_of(&customer, &[("TEA", 10), ("TEA", 9), ("CUP", 3)]));
    new.lines[2].unit_price = Some(eur(4_00));
    let placed = suite.place(new.clone()).await;
    let priced: Vec<_> =
        placed.lines.iter().map(|l| (cents(&l.unit_price), cents(&l.line_total), l.price_list.as_str())).collect();
    assert_eq!(priced, [(80, 8_00, "WHOLESALE"), (1_25, 11_25, "ALL"), (4_00, 12_00, "")]);
    assert_eq!((cents(&placed.gross), placed.state()), (31_25, OrderState::Confirmed));
    let accepted: OrderAccepted = suite.fact(&placed.id).await;
    assert_eq!(cents(&accepted.lines[0].line_total), 8_00);

    // Other prices tomorrow change nothing of it, and the repeat is a repeat.
    publish(
        &suite,
        vec![list("ALL", vec![entry("TEA", 1, 9_99)]), PriceList { retired: true, ..list("WHOLESALE", vec![]) }],
    )
    .await;
    assert_eq!(suite.get(&placed.id).await.lines, placed.lines);
    assert_eq!(suite.place(new.clone()).await.id, placed.id);
    let next = NewOrder { request_id: Uuid::now_v7().to_string(), ..new };
    assert_eq!(cents(&suite.place(next.clone()).await.lines[0].unit_price), 9_99);
    // No list has it: no price, no order; and still the repeat of the first one is known.
    publish(&suite, vec![PriceList { retired: true, ..list("ALL", vec![]) }]).await;
    let problem =
        try_place(&suite, NewOrder { request_id: Uuid::now_v7().to_string(), ..next.clone() }).await.unwrap_err();
    assert_eq!(problem.reason, "NO_PRICE");
    assert_eq!(fields(&problem), ["lines[0].unit_price", "lines[1].unit_price"]);
    assert!(try_place(&suite, next).await.unwrap().1);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_given_price_that_deviates_is_accepted_held_or_refused(pool: PgPool) {
    let suite = with_lists(pool).await;
    let policy = |code: &str, policy: PriceDeviationPolicy| Channel {
        price_deviation_policy: policy.into(),
        price_tolerance_basis_points: 400, // 4 %: 1.20 to 1.30
        ..channel(code)
    };
    define(&suite, vec![policy("phone", PriceDeviationPolicy::Hold), policy("edi", PriceDeviationPolicy::Refuse)])
        .await;
    let with = |channel: &str, price: i64| {
        let mut new = NewOrder { channel: channel.into(), ..order(&[("POT", 1), ("TEA", 4)]) };
        new.lines[1].unit_price = Some(eur(price)); // what no list has cannot deviate
        new
    };
    assert_eq!(suite.place(with("web", 1)).await.state(), OrderState::Confirmed);
    for channel in ["phone", "edi"] {
        for price in [1_20, 1_30] {
            let placed = suite.place(with(channel, price)).await;
            assert_eq!((placed.state(), cents(&placed.lines[1].list_price)), (OrderState::Confirmed, 1_25));
        }
    }
    let problem = try_place(&suite, with("edi", 1_31)).await.unwrap_err();
    assert_eq!((problem.reason.as_str(), fields(&problem)), ("PRICE_DEVIATION", vec!["lines[1].unit_price"]));
    assert_eq!(problem.violations[0].description, "1.31 instead of 1.25 (ALL)");

    let held = suite.place(with("phone", 1_19)).await;
    assert_eq!((held.state(), held.version, held.holds.len()), (OrderState::OnHold, 2, 1));
    let hold = &held.holds[0];
    assert_eq!((hold.reason.as_str(), hold.owner.as_str()), ("PRICE_DEVIATION", "pricing"));
    assert_eq!(hold.note, "line 2: 1.19 instead of 1.25 (ALL)");
    suite.assert_proven().await;
    let reserved = |suite: &Suite| suite.peers.inventory.reservations.lock().unwrap().contains_key(&held.id);
    assert!(!reserved(&suite), "nothing is asked for it while it waits");
    let release = ReleaseHoldRequest {
        request_id: Uuid::now_v7().to_string(),
        name: held.id.clone(),
        hold_id: hold.id.clone(),
        ..Default::default()
    };
    suite.orders.clone().release_hold(release).await.unwrap();
    let confirmed = suite.until(&held.id, OrderState::Confirmed).await;
    assert_eq!(cents(&confirmed.lines[1].unit_price), 1_19, "it is agreed now");
    assert!(reserved(&suite));
    let names = suite.fact_names(&held.id).await;
    assert_eq!(names, ["OrderAccepted", "OrderHeld", "OrderHoldReleased", "OrderConfirmed"]);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn discounts_are_spread_exactly_and_every_unit_has_its_slice(pool: PgPool) {
    let suite = with_lists(pool).await;
    let mut new = NewOrder { order_discount: Some(eur(10_00)), ..order(&[("A", 3), ("B", 7), ("C", 1)]) };
    new.lines[0].unit_price = Some(eur(10_01));
    new.lines[1].unit_price = Some(eur(3_33));
    new.lines[1].discount_basis_points = 1_000; // 10 % of 23.31
    new.lines[2].unit_price = Some(eur(1));
    new.lines[2].discount = Some(eur(1)); // a gift: no part of the order's discount
    let placed = suite.place(new.clone()).await;
    let spread: Vec<_> = placed.lines.iter().map(|l| (cents(&l.discount), cents(&l.order_discount))).collect();
    // 10.00 over 30.03, 20.98 and 0: 5.887… and 4.112….
    assert_eq!(spread, [(5_89, 5_89), (2_33 + 4_11, 4_11), (1, 0)]);
    assert_eq!(cents(&placed.order_discount), 10_00);
    assert_eq!(cents(&placed.total), 30_03 + 23_31 + 1 - 2_33 - 1 - 10_00);

    // Any division of the units sums to the line.
    for (line, cuts) in [(0, vec![0, 1, 2, 3]), (1, vec![0, 2, 3, 7]), (1, vec![0, 7]), (1, (0..=7).collect())] {
        let units = cuts.windows(2).map(|w| UnitRange { line_no: line as i32 + 1, after: w[0], upto: w[1] }).collect();
        let request = GetAgreedAmountsRequest { name: placed.number.clone(), units };
        let amounts = suite.prices.clone().get_agreed_amounts(request).await.unwrap().into_inner().amounts;
        let sum = |of: fn(&AgreedAmounts) -> &Option<Money>| amounts.iter().map(|a| cents(of(a))).sum::<i64>();
        let whole = &placed.lines[line];
        assert_eq!(sum(|a| &a.gross), cents(&whole.line_total), "{cuts:?}");
        assert_eq!(sum(|a| &a.discount), cents(&whole.discount), "{cuts:?}");
        assert_eq!(sum(|a| &a.total), cents(&whole.line_total) - cents(&whole.discount), "{cuts:?}");
    }
    let beyond = UnitRange { line_no: 1, after: 2, upto: 4 };
    let request = GetAgreedAmountsRequest { name: placed.number.clone(), units: vec![beyond] };
    let status = suite.prices.clone().get_agreed_amounts(request).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "units[0].upto");

    // As a share, together with prices of the lists: 12.5 % of 3 × 3.33.
    let half = NewOrder { order_discount_basis_points: 1_250, ..unpriced(order(&[("CUP", 3)])) };
    let placed = suite.place(half).await;
    assert_eq!((cents(&placed.order_discount), cents(&placed.total)), (1_25, 8_74));
    new.request_id = Uuid::now_v7().to_string();
    new.order_discount = Some(eur(51_02));
    assert_eq!(fields(&try_place(&suite, new.clone()).await.unwrap_err()), ["order_discount"]);
    new.order_discount_basis_points = 5;
    assert_eq!(fields(&try_place(&suite, new.clone()).await.unwrap_err()), ["order_discount_basis_points"]);
    (new.order_discount, new.order_discount_basis_points) = (Some(eur(51_01)), 0);
    assert_eq!(cents(&suite.place(new).await.total), 0);
    suite.assert_proven().await;
}

#[sqlx::test(migrations = false)]
async fn a_quote_says_what_it_would_cost_and_why(pool: PgPool) {
    let suite = with_lists(pool).await;
    suite.customer("C-1").await;
    let mut lines = unpriced(order(&[("TEA", 12), ("TEA", 2), ("POT", 1)])).lines;
    let mut request = QuotePricesRequest {
        channel: "web".into(),
        customer_external_id: "C-1".into(),
        currency_code: "EUR".into(),
        lines: lines.clone(),
        ..QuotePricesRequest::default()
    };
    let mut client = suite.prices.clone();
    let quote = client.quote_prices(request.clone()).await.unwrap().into_inner();
    let found: Vec<_> =
        quote.lines.iter().map(|l| (l.price_list.as_str(), l.min_quantity, l.reason.as_str())).collect();
    let none = "no list that holds has the item for this quantity";
    let expected =
        [("WHOLESALE", 10, "WHOLESALE: rank 10, for wholesale, 10 or more"), ("ALL", 1, "ALL: rank 10"), ("", 0, none)];
    assert_eq!(found, expected);
    let said = |line: usize| -> Vec<_> {
        let considered = quote.lines[line].considered.iter();
        considered.map(|c| (c.price_list.as_str(), c.verdict(), c.min_quantity)).collect()
    };
    assert_eq!(said(0), [("WHOLESALE", ListVerdict::Applied, 0), ("ALL", ListVerdict::Outranked, 0)]);
    assert_eq!(said(1), [("WHOLESALE", ListVerdict::BelowSmallest, 10), ("ALL", ListVerdict::Applied, 0)]);
    assert_eq!((quote.gross, quote.total), (None, None), "not without a price for the pot");

    lines[2].unit_price = Some(eur(5_00));
    lines[1].unit_price = Some(eur(1_00));
    request.lines = lines;
    request.order_discount = Some(eur(60));
    let quote = client.quote_prices(request.clone()).await.unwrap().into_inner();
    assert_eq!((cents(&quote.gross), cents(&quote.discount), cents(&quote.total)), (16_60, 60, 16_00));
    let list_price = cents(&quote.lines[1].list_price);
    assert_eq!((list_price, quote.lines[1].deviates), (1_25, false), "the channel takes given prices");
    define(&suite, vec![Channel { price_deviation_policy: PriceDeviationPolicy::Hold.into(), ..channel("web") }]).await;
    assert!(client.quote_prices(request.clone()).await.unwrap().into_inner().lines[1].deviates);
    let orders: i64 = sqlx::query_scalar("select count(*) from orders").fetch_one(&suite.pool).await.unwrap();
    assert_eq!(orders, 0, "a quote is no order");
    request.customer_external_id = "nobody".into();
    assert_eq!(client.quote_prices(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[sqlx::test(migrations = false)]
async fn lists_are_replaced_merged_paged_and_checked(pool: PgPool) {
    let suite = with_lists(pool).await;
    let mut client = suite.prices.clone();
    // The same again is no change.
    let all = list("ALL", vec![entry("CUP", 1, 3_33), entry("TEA", 1, 1_25)]);
    let same = publish(&suite, vec![all.clone()]).await;
    assert_eq!((same[0].version, same[0].entry_count), (1, 2));
    let merge = |entries| UpsertPriceListsRequest {
        request_id: Uuid::now_v7().to_string(),
        price_lists: vec![list("ALL", entries)],
        entries_mode: PriceEntriesMode::Merge.into(),
    };
    let many = (0..120).map(|i| entry(&format!("SKU-{i:03}"), 1, i)).chain([entry("TEA", 1, 1_30)]).collect();
    let request = merge(many);
    let merged = client.upsert_price_lists(request.clone()).await.unwrap().into_inner();
    assert_eq!((merged.price_lists[0].version, merged.price_lists[0].entry_count), (2, 122));
    assert_eq!(client.upsert_price_lists(request.clone()).await.unwrap().into_inner(), merged, "the same request");
    let reused = UpsertPriceListsRequest { request_id: request.request_id, ..merge(vec![]) };
    assert_eq!(reason(&client.upsert_price_lists(reused).await.unwrap_err()), "REQUEST_ID_REUSED");
    let (mut skus, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = GetPriceListRequest { code: "ALL".into(), page_size: 50, page_token };
        let page = client.get_price_list(request).await.unwrap().into_inner();
        skus.extend(page.price_list.unwrap().entries.into_iter().map(|entry| entry.sku));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!((skus.len(), skus.is_sorted()), (122, true));
    assert_eq!(cents(&suite.place(unpriced(order(&[("TEA", 1)]))).await.total), 1_30, "the copy in memory follows");
    let lists = client.list_price_lists(ListPriceListsRequest::default()).await.unwrap().into_inner().price_lists;
    assert_eq!(lists.iter().map(|list| list.code.as_str()).collect::<Vec<_>>(), ["ALL", "WHOLESALE"]);
    let unknown = GetPriceListRequest { code: "NONE".into(), ..GetPriceListRequest::default() };
    assert_eq!(reason(&client.get_price_list(unknown).await.unwrap_err()), "PRICE_LIST_NOT_FOUND");

    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let usd = Money { currency_code: "USD".into(), units: 1, nanos: 0 };
    let wrong = PriceList {
        channels: vec!["Web".into()],
        rank: -1,
        valid_from: time(9),
        valid_until: time(9),
        ..list("a", vec![PriceEntry { unit_price: Some(usd), ..entry("", -1, 1) }])
    };
    let twice = list("B", vec![entry("TEA", 0, 1), entry("TEA", 1, 2)]);
    let request = UpsertPriceListsRequest { price_lists: vec![wrong, twice], ..UpsertPriceListsRequest::default() };
    let status = client.upsert_price_lists(request).await.unwrap_err();
    let named: Vec<_> =
        status.get_details_bad_request().unwrap().field_violations.into_iter().map(|v| v.field).collect();
    let expected = [
        "code",
        "channels[0]",
        "valid_until",
        "rank",
        "entries[0].sku",
        "entries[0].min_quantity",
        "entries[0].unit_price",
    ];
    let expected: Vec<_> = expected
        .map(|field| format!("price_lists[0].{field}"))
        .into_iter()
        .chain(["price_lists[1].entries".to_owned()])
        .collect();
    assert_eq!(named, expected);
}
