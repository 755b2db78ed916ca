//! Price lists and what is asked of them.

use crate::convert::money;
use crate::convert::place::{channel, known};
use crate::price::{Circumstances, Entry, Found, PriceList, Terms, Verdict};
use pesan_api::order::v1 as pb;
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use std::collections::HashSet;

/// Most lists and entries of a call.
pub const MOST_LISTS: usize = 20;
/// As above.
pub const MOST_ENTRIES: usize = 100_000;

/// A list to be written.
#[derive(Clone, Debug)]
pub struct NewList {
    /// Its name for programs.
    pub code: String,
    /// What it is for.
    pub terms: Terms,
    /// What it says, ascending by item and minimum.
    pub entries: Vec<Entry>,
}

/// Reads the lists of a request; whether their entries are added to those there are.
pub fn read_all(v: &mut Violations, request: &pb::UpsertPriceListsRequest) -> (Vec<NewList>, bool) {
    let lists = &request.price_lists;
    if lists.is_empty() || lists.len() > MOST_LISTS {
        v.add("price_lists", format!("must have 1 to {MOST_LISTS} entries, not {}", lists.len()));
    }
    let count: usize = lists.iter().map(|list| list.entries.len()).sum();
    if count > MOST_ENTRIES {
        v.add("price_lists", format!("must have at most {MOST_ENTRIES} entries together, not {count}"));
    }
    let mode = known(v, "entries_mode", request.entries_mode);
    let mut codes = HashSet::new();
    let mut read = Vec::with_capacity(lists.len().min(MOST_LISTS));
    if !v.is_empty() {
        return (read, false);
    }
    for (i, list) in lists.iter().enumerate() {
        let mut own = Violations::new();
        if !codes.insert(list.code.as_str()) {
            own.add("code", "is there twice");
        }
        read.extend(read_list(&mut own, list));
        for violation in own.as_slice() {
            v.add(format!("price_lists[{i}].{}", violation.field), violation.description.clone());
        }
    }
    (read, mode == Some(pb::PriceEntriesMode::Merge))
}

/// The code of a list.
pub fn code(v: &mut Violations, code: &str) {
    let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if code.is_empty() || code.len() > 60 || !code.bytes().all(is_code) {
        v.add("code", "must have 1 to 60 capitals, digits, dashes and underscores");
    }
}

fn read_list(v: &mut Violations, list: &pb::PriceList) -> Option<NewList> {
    code(v, &list.code);
    let name = v.text("name", list.name.clone(), 0, 200);
    for (field, count) in [("channels", list.channels.len()), ("segments", list.segments.len())] {
        if count > 100 {
            v.add(field, format!("must have at most 100 entries, not {count}"));
        }
    }
    for (i, each) in list.channels.iter().enumerate().take(100) {
        channel(v, &format!("channels[{i}]"), each);
    }
    for (i, each) in list.segments.iter().enumerate().take(100) {
        v.text(&format!("segments[{i}]"), each.clone(), 1, 100);
    }
    let valid_from = v.time("valid_from", list.valid_from.as_ref());
    let valid_until = v.time("valid_until", list.valid_until.as_ref());
    if valid_from.is_some() && valid_until.is_some() && valid_from >= valid_until {
        v.add("valid_until", "must be after valid_from");
    }
    let rank = v.within("rank", list.rank, 0, 1_000_000);
    let currency = v.currency("currency_code", &list.currency_code)?;
    let mut entries = Vec::with_capacity(list.entries.len());
    for (i, entry) in list.entries.iter().enumerate() {
        let mut own = Violations::new();
        let sku = own.text("sku", entry.sku.clone(), 1, 100);
        let min_quantity =
            own.within("min_quantity", entry.min_quantity.max(i64::from(entry.min_quantity == 0)), 1, 1_000_000_000);
        let unit_price = own.price("unit_price", entry.unit_price.as_ref(), currency).unwrap_or_default();
        for violation in own.as_slice() {
            v.add(format!("entries[{i}].{}", violation.field), violation.description.clone());
        }
        entries.push(Entry { sku, min_quantity: i32::try_from(min_quantity).unwrap_or(1), unit_price });
    }
    entries.sort();
    for pair in entries.windows(2) {
        if pair[0].sku == pair[1].sku && pair[0].min_quantity == pair[1].min_quantity {
            v.add("entries", format!("has {:?} from {} twice", pair[0].sku, pair[0].min_quantity));
        }
    }
    let (channels, segments) = (list.channels.clone(), list.segments.clone());
    let terms = Terms { name, currency, channels, segments, valid_from, valid_until, rank, retired: list.retired };
    Some(NewList { code: list.code.clone(), terms, entries })
}

/// A list as clients see it, with these entries of it.
pub fn list(list: &PriceList, entries: &[Entry]) -> pb::PriceList {
    let terms = &list.terms;
    let entry = |entry: &Entry| pb::PriceEntry {
        sku: entry.sku.clone(),
        min_quantity: entry.min_quantity.into(),
        unit_price: money(terms.currency, entry.unit_price),
    };
    pb::PriceList {
        code: list.code.to_string(),
        name: terms.name.clone(),
        currency_code: terms.currency.code().to_owned(),
        channels: terms.channels.clone(),
        segments: terms.segments.clone(),
        valid_from: terms.valid_from.map(to_timestamp),
        valid_until: terms.valid_until.map(to_timestamp),
        rank: terms.rank,
        retired: terms.retired,
        entries: entries.iter().map(entry).collect(),
        entry_count: list.entry_count,
        version: list.version,
    }
}

/// What a list says of a line, as clients see it.
pub fn considered(list: &PriceList, verdict: Verdict) -> pb::ConsideredList {
    let (verdict, min_quantity) = match verdict {
        Verdict::Applied => (pb::ListVerdict::Applied, 0),
        Verdict::Outranked => (pb::ListVerdict::Outranked, 0),
        Verdict::OtherCurrency => (pb::ListVerdict::OtherCurrency, 0),
        Verdict::OtherChannel => (pb::ListVerdict::OtherChannel, 0),
        Verdict::OtherSegment => (pb::ListVerdict::OtherSegment, 0),
        Verdict::NotYetValid => (pb::ListVerdict::NotYetValid, 0),
        Verdict::NoLongerValid => (pb::ListVerdict::NoLongerValid, 0),
        Verdict::NotListed => (pb::ListVerdict::NotListed, 0),
        Verdict::BelowSmallest(smallest) => (pb::ListVerdict::BelowSmallest, smallest),
    };
    pb::ConsideredList { price_list: list.code.to_string(), verdict: verdict.into(), min_quantity: min_quantity.into() }
}

/// Why a list's entry holds, for people.
pub fn why(order: &Circumstances<'_>, found: Option<&Found<'_>>) -> String {
    let Some(found) = found else { return "no list that holds has the item for this quantity".to_owned() };
    let terms = &found.list.terms;
    let mut parts = vec![format!("{}: rank {}", found.list.code, terms.rank)];
    if !terms.segments.is_empty() {
        parts.push(format!("for {}", order.segment));
    }
    if !terms.channels.is_empty() {
        parts.push(format!("on {}", order.channel));
    }
    if found.min_quantity > 1 {
        parts.push(format!("{} or more", found.min_quantity));
    }
    parts.join(", ")
}
