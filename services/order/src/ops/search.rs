//! Finding orders, and all there is about a customer.

use crate::convert;
use crate::customer::Customer;
use crate::error::Error;
use crate::filter::{Listing, Sort, SortField};
use crate::inquiry;
use crate::ops::Books;
use crate::ops::returns::as_seen;
use crate::order::Filter;
use crate::quotation;
use crate::search::{MATCHES, Meaning};
use crate::store;
use crate::store::listing::begin_bounded;
use pesan_api::billing::v1::GetAccountRequest;
use pesan_api::billing::v1::account_service_client::AccountServiceClient;
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::get_customer360_response::Balance;
use pesan_api::order::v1::{InquiryStage, OrderMatch, QuotationState};
use pesan_api::r#type::v1::Problem;
use pesan_grpc::channel::PeerChannel;
use pesan_grpc::parse::to_timestamp;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;
use time::OffsetDateTime;
use tonic::Code;
use uuid::{Timestamp, Uuid};

/// Lines are looked through by SKU in orders recorded so long ago at most.
const SKU_DAYS: i64 = 365;

/// Orders by what somebody typed.
pub async fn orders(books: &Books, meaning: &Meaning, limit: i64) -> Result<pb::SearchOrdersResponse, Error> {
    let mut tx = begin_bounded(&books.pool).await?;
    let mut found = store::search::by_index(&mut tx, meaning, limit).await.map_err(Error::of_a_scan)?;
    tx.commit().await?;
    // A transaction of its own: it may take too long, and what is found already counts.
    let since = books.clock.now() - time::Duration::days(SKU_DAYS);
    let mut tx = begin_bounded(&books.pool).await?;
    let by_sku = store::search::by_sku(&mut tx, &meaning.text, first_id_at(since), limit).await;
    let sku_searched_from = match by_sku.map_err(Error::of_a_scan) {
        Ok(ids) => {
            found.extend(ids.into_iter().map(|id| (id, OrderMatch::Sku)));
            Some(to_timestamp(since))
        }
        Err(Error::FilterTooBroad) => None,
        Err(error) => return Err(error),
    };
    tx.rollback().await?;

    let mut matches: HashMap<Uuid, Vec<OrderMatch>> = HashMap::new();
    for (id, kind) in found {
        let kinds = matches.entry(id).or_default();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    let ids: Vec<Uuid> = matches.keys().copied().collect();
    let mut conn = books.pool.acquire().await?;
    let orders = store::read::orders(&mut conn, &ids, false).await?;
    let rank = |kind: &OrderMatch| MATCHES.iter().position(|known| known == kind);
    let mut hits: Vec<_> = matches
        .into_iter()
        .filter_map(|(id, mut kinds)| {
            kinds.sort_by_key(rank);
            Some((orders.get(&id)?, kinds))
        })
        .collect();
    hits.sort_by_key(|(order, kinds)| {
        (kinds.first().and_then(rank), Reverse((order.head.placed_at, order.head.order_id)))
    });
    hits.truncate(usize::try_from(limit).unwrap_or(0));
    let hits = hits.into_iter().map(|(order, kinds)| pb::OrderHit {
        order: Some(convert::orders::order(order)),
        matches: kinds.into_iter().map(i32::from).collect(),
    });
    Ok(pb::SearchOrdersResponse { hits: hits.collect(), sku_searched_from })
}

/// The smallest id that an order recorded at this time could have.
fn first_id_at(time: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(time.unix_timestamp()).unwrap_or(0);
    let id = Uuid::new_v7(Timestamp::from_unix(uuid::NoContext, seconds, 0));
    // The time is in the first 48 bits.
    Uuid::from_u128(id.as_u128() >> 80 << 80)
}

/// All there is about a customer.
pub async fn customer360(
    books: &Books,
    billing: &AccountServiceClient<PeerChannel>,
    patience: Duration,
    customer: Customer,
    limit: i64,
) -> Result<pb::GetCustomer360Response, Error> {
    let customer_id = customer.customer_id;
    // Asked while the rest is read, and without a connection to the database.
    let (balance, own) = tokio::join!(balance(billing.clone(), patience, customer_id), own(books, customer_id, limit));
    Ok(pb::GetCustomer360Response {
        customer: Some(convert::customers::customer(customer)),
        balance: Some(balance),
        ..own?
    })
}

async fn balance(mut billing: AccountServiceClient<PeerChannel>, patience: Duration, customer_id: Uuid) -> Balance {
    let problem = |reason: &str, message: &str, retryable| {
        let (reason, message) = (reason.to_owned(), message.to_owned());
        Balance::BalanceProblem(Problem { reason, message, violations: Vec::new(), retryable })
    };
    let mut request = tonic::Request::new(GetAccountRequest { customer_id: customer_id.to_string() });
    request.set_timeout(patience);
    match tokio::time::timeout(patience, billing.get_account(request)).await {
        Ok(Ok(response)) => match response.into_inner().account {
            Some(account) => Balance::Account(account),
            None => problem("NO_ACCOUNT", "billing has no account of this customer", false),
        },
        Ok(Err(status)) if status.code() == Code::NotFound => {
            problem("NO_ACCOUNT", "billing has no account of this customer", false)
        }
        Ok(Err(status)) => {
            tracing::warn!(code = ?status.code(), "billing did not tell a balance");
            problem("PEER_UNAVAILABLE", "billing cannot tell the balance now", true)
        }
        Err(_) => problem("PEER_UNAVAILABLE", "billing did not tell the balance in time", true),
    }
}

/// What this service knows of a customer, at one moment.
async fn own(books: &Books, customer_id: Uuid, limit: i64) -> Result<pb::GetCustomer360Response, Error> {
    let now = books.clock.now();
    let mut tx = begin_bounded(&books.pool).await?;
    let states = store::search::states_of(&mut tx, customer_id).await.map_err(Error::of_a_scan)?;
    let totals = store::search::totals_of(&mut tx, customer_id).await.map_err(Error::of_a_scan)?;
    let listing = Listing {
        filter: Filter { customer_id: Some(customer_id), ..Filter::default() },
        condition: None,
        sorts: vec![Sort { field: SortField::PlacedAt, descending: true }],
    };
    let places = store::listing::page(&mut tx, &listing, None, limit).await?;
    let ids: Vec<Uuid> = places.iter().map(|place| place.order_id).collect();
    let orders = store::read::orders(&mut tx, &ids, false).await?;
    let open = quotation::Filter {
        states: vec![QuotationState::Draft, QuotationState::Sent],
        customer_id: Some(customer_id),
        ..Default::default()
    };
    let quotations = store::quotation::page(&mut tx, &open, now, None, limit).await?;
    let open = inquiry::Filter {
        stages: vec![InquiryStage::Qualification, InquiryStage::Proposal, InquiryStage::Negotiation],
        customer_id: Some(customer_id),
        ..Default::default()
    };
    let inquiries = store::inquiry::page(&mut tx, &open, None, limit).await?;
    let probabilities = store::inquiry::probabilities(&mut tx).await?;
    let latest = store::search::returns_of(&mut tx, customer_id, limit).await.map_err(Error::of_a_scan)?;
    let of_orders: Vec<Uuid> = latest.iter().map(|(_, order_id)| *order_id).collect();
    let mut returns = store::rma::of_orders(&mut tx, &of_orders).await?;
    let place = |id: Uuid| latest.iter().position(|(latest, _)| *latest == id);
    returns.retain(|rma| place(rma.return_id).is_some());
    returns.sort_by_key(|rma| place(rma.return_id));
    let returns = as_seen(&mut tx, returns).await?;
    tx.commit().await?;
    let amount = convert::money;
    Ok(pb::GetCustomer360Response {
        customer: None,
        latest_orders: ids.iter().filter_map(|id| orders.get(id)).map(convert::orders::order).collect(),
        orders_by_state: states
            .into_iter()
            .map(|(state, count)| pb::OrderStateCount { state: state.into(), count })
            .collect(),
        totals: totals
            .into_iter()
            .map(|sum| pb::OrderTotals {
                orders: sum.orders,
                gross: amount(sum.currency, sum.gross),
                total: amount(sum.currency, sum.total),
                first_placed_at: Some(to_timestamp(sum.first)),
                last_placed_at: Some(to_timestamp(sum.last)),
            })
            .collect(),
        open_quotations: quotations.iter().map(|at| convert::quotations::quotation(at, now, false)).collect(),
        open_inquiries: inquiries
            .iter()
            .map(|inquiry| convert::inquiries::inquiry(inquiry, &probabilities, &[], &[]))
            .collect(),
        returns,
        balance: None,
    })
}
