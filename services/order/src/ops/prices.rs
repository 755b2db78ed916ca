//! Price lists, as people keep them; what lines would cost; and what was agreed.

use crate::convert;
use crate::convert::money;
use crate::convert::prices::NewList;
use crate::draft::{Draft, DraftLine};
use crate::error::Error;
use crate::name::OrderName;
use crate::ops::ready::{currency_of, customers_of, disagreement, tolerance_of};
use crate::ops::settings::{self, Part};
use crate::ops::{Books, answer, claim, page};
use crate::price::{Agreed, Circumstances, Disagreement, Entry, PriceList, Prices, agree, find};
use crate::store;
use pesan_api::order::v1 as pb;
use pesan_money::slice;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Most lists and entries in use: they are kept in memory.
const MOST_LISTS: i64 = 500;
const MOST_ENTRIES: i64 = 500_000;
/// Lists that a quote tells of for a line.
const CONSIDERED: usize = 50;

/// Creates or changes lists; all of them or none. Those that are the same already stay as they are.
pub async fn upsert(
    books: &Books,
    request_id: Option<Uuid>,
    lists: Vec<NewList>,
    is_merge: bool,
    request: &pb::UpsertPriceListsRequest,
) -> Result<pb::UpsertPriceListsResponse, Error> {
    let mut tx = store::begin(&books.pool).await?;
    settings::lock(&mut tx, Part::Prices).await?;
    if let Some(id) = request_id
        && let Some(earlier) = claim(&mut tx, id, "pesan.order.v1.UpsertPriceListsRequest", request).await?
    {
        return Ok(earlier);
    }
    let codes: Vec<&str> = lists.iter().map(|list| list.code.as_str()).collect();
    let found = store::price::find(&mut tx, &codes).await?;
    let known: HashMap<&str, &PriceList> = found.iter().map(|list| (&*list.code, list)).collect();
    let mut entries = store::price::entries_of(&mut tx, &codes).await?;
    let (mut other_lists, mut other_entries) = store::price::others(&mut tx, &codes).await?;
    let mut answers = Vec::with_capacity(lists.len());
    let mut has_changed = false;
    for new in &lists {
        let before = known.get(new.code.as_str());
        let had = entries.remove(&new.code).unwrap_or_default();
        let has = if is_merge { merged(&had, &new.entries) } else { new.entries.clone() };
        let is_same = before.is_some_and(|list| list.terms == new.terms) && had == has;
        let list = PriceList {
            code: new.code.as_str().into(),
            version: before.map_or(0, |list| list.version) + i64::from(!is_same),
            terms: new.terms.clone(),
            entry_count: store::column(has.len() as i64)?,
        };
        if !list.terms.retired {
            (other_lists, other_entries) = (other_lists + 1, other_entries + i64::from(list.entry_count));
        }
        if !is_same {
            has_changed = true;
            store::price::write(&mut tx, &list).await?;
            if is_merge {
                store::price::put_entries(&mut tx, &new.code, &new.entries).await?;
            } else if had != has {
                store::price::replace_entries(&mut tx, &new.code, &has).await?;
            }
        }
        answers.push(convert::prices::list(&list, &[]));
    }
    if other_lists > MOST_LISTS || other_entries > MOST_ENTRIES {
        let most = format!("would be more than the {MOST_LISTS} lists and {MOST_ENTRIES} entries that can be in use");
        return Err(Error::invalid("price_lists", &most));
    }
    if has_changed {
        settings::changed(&mut tx, Part::Prices).await?;
    }
    let response = pb::UpsertPriceListsResponse { price_lists: answers };
    if let Some(id) = request_id {
        answer(&mut tx, id, &response).await?;
    }
    tx.commit().await?;
    Ok(response)
}

/// Entries with others put in, ascending.
fn merged(had: &[Entry], new: &[Entry]) -> Vec<Entry> {
    let replaced: HashSet<(&str, i32)> = new.iter().map(|entry| (entry.sku.as_str(), entry.min_quantity)).collect();
    let stays = had.iter().filter(|entry| !replaced.contains(&(entry.sku.as_str(), entry.min_quantity)));
    let mut all: Vec<Entry> = stays.chain(new).cloned().collect();
    all.sort();
    all
}

/// A list with a page of its entries, and whether that is the last one.
pub async fn get(
    books: &Books,
    code: &str,
    after: Option<(&str, i32)>,
    size: i64,
) -> Result<(PriceList, Vec<Entry>, bool), Error> {
    let mut conn = books.pool.acquire().await?;
    let list = store::price::find(&mut conn, &[code]).await?.pop();
    let list = list.ok_or_else(|| Error::PriceListNotFound(code.to_owned()))?;
    let (entries, is_last) = page(store::price::entry_page(&mut conn, code, after, size + 1).await?, size);
    Ok((list, entries, is_last))
}

/// A page of lists, and whether it is the last one.
pub async fn list(books: &Books, after: Option<&str>, size: i64) -> Result<(Vec<PriceList>, bool), Error> {
    let mut conn = books.pool.acquire().await?;
    Ok(page(store::price::page(&mut conn, after, size + 1).await?, size))
}

/// What a draft would cost, by the same rules as when it is placed.
pub async fn quote(books: &Books, draft: &Draft) -> Result<pb::QuotePricesResponse, Error> {
    let now = books.clock.now();
    let mut conn = books.pool.acquire().await?;
    let settings = books.settings.current(&mut conn).await?;
    let customers = customers_of(&mut conn, std::slice::from_ref(draft)).await?;
    drop(conn);
    let channel = settings.channels.get(&draft.channel);
    if channel.closed {
        return Err(Error::ChannelClosed(draft.channel.clone()));
    }
    let customer = customers.named(draft)?;
    let order = Circumstances {
        currency: currency_of(draft, channel.currency)?,
        channel: &draft.channel,
        segment: customer.map_or("", |customer| &customer.details.segment),
        at: draft.placed_at.unwrap_or(now),
    };
    let lists = settings.prices.lists_for(&order);
    let agreed =
        match agree(draft, order.currency, Prices::Lists(&lists), Some(tolerance_of(channel).unwrap_or(i32::MAX))) {
            Ok(agreed) => Some(agreed),
            Err(Disagreement::NoPrice(_)) => None,
            Err(other) => return Err(disagreement(&other)),
        };
    let amount = |amount| money(order.currency, amount);
    let lines = draft.lines.iter().enumerate().map(|(place, asked)| {
        let found = find(&lists, &asked.sku, asked.quantity);
        let line: Option<&DraftLine> = agreed.as_ref().and_then(|agreed| agreed.lines.get(place));
        let given = asked.is_priced.then_some(asked.unit_price);
        let said = settings.prices.explain(&order, &asked.sku, asked.quantity);
        pb::QuotedLine {
            sku: asked.sku.clone(),
            quantity: asked.quantity,
            unit_price: given.or(found.map(|found| found.unit_price)).and_then(amount),
            line_total: line.and_then(|line| amount(line.line_total)),
            discount: line.and_then(|line| amount(line.discount)),
            order_discount: line.and_then(|line| amount(line.order_discount)),
            price_list: found.map(|found| found.list.code.to_string()).unwrap_or_default(),
            min_quantity: found.map_or(0, |found| found.min_quantity.into()),
            list_price: found.and_then(|found| amount(found.unit_price)),
            deviates: agreed.as_ref().is_some_and(|agreed| agreed.deviations.iter().any(|d| d.place == place)),
            reason: convert::prices::why(&order, found.as_ref()),
            considered: said
                .into_iter()
                .take(CONSIDERED)
                .map(|(list, verdict)| convert::prices::considered(list, verdict))
                .collect(),
        }
    });
    let lines = lines.collect();
    let sums = agreed.as_ref().map(|Agreed { totals, order_discount, .. }| (totals, *order_discount));
    Ok(pb::QuotePricesResponse {
        currency_code: order.currency.code().to_owned(),
        lines,
        gross: sums.and_then(|(totals, _)| amount(totals.gross)),
        discount: sums.and_then(|(totals, _)| amount(totals.discount)),
        order_discount: sums.and_then(|(_, order_discount)| amount(order_discount)),
        total: sums.and_then(|(totals, _)| amount(totals.gross - totals.discount + totals.tax)),
    })
}

/// What ranges of units of an order's lines come to.
pub async fn agreed_amounts(
    books: &Books,
    name: &OrderName,
    text: &str,
    units: &[pb::UnitRange],
) -> Result<Vec<pb::AgreedAmounts>, Error> {
    let order_id = books.find(name, text).await?;
    let mut conn = books.pool.acquire().await?;
    let order = store::read::orders(&mut conn, &[order_id], true).await?.remove(&order_id);
    let order = order.ok_or_else(|| Error::OrderNotFound(text.to_owned()))?;
    drop(conn);
    let amounts = units.iter().enumerate().map(|(i, range)| {
        let line = order.lines.iter().find(|line| line.line.line_no == range.line_no);
        let line = line.ok_or_else(|| Error::invalid(&format!("units[{i}].line_no"), "is no line of the order"))?;
        let of = line.line.quantities.ordered;
        if range.after < 0 || range.upto <= range.after || range.upto > of {
            let bounds = format!("must be more than after, which is 0 or more, and at most {of}");
            return Err(Error::invalid(&format!("units[{i}].upto"), &bounds));
        }
        let exponent = order.currency.exponent();
        let part = |whole| slice::between(whole, range.after, range.upto, of, exponent);
        let (gross, discount, tax) = (part(line.line_total), part(line.discount), part(line.tax));
        Ok(pb::AgreedAmounts {
            line_no: range.line_no,
            gross: money(order.currency, gross),
            discount: money(order.currency, discount),
            tax: money(order.currency, tax),
            total: money(order.currency, gross - discount + tax),
        })
    });
    amounts.collect()
}
