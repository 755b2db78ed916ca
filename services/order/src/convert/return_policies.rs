//! Return policies.

use crate::convert::{place::known, reason};
use crate::return_policy::{Policy, Terms};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::{ReturnPayer, ReturnResolution};
use pesan_grpc::Violations;
use rust_decimal::Decimal;
use std::collections::HashSet;

/// Most entries of each list of a policy.
const MOST: usize = 200;

/// Reads a policy; paths start at it.
///
/// # Errors
/// All that is wrong with it.
pub fn policy(policy: pb::ReturnPolicy) -> Result<Policy, Violations> {
    let mut v = Violations::new();
    for (field, len) in
        [("channels", policy.channels.len()), ("segments", policy.segments.len()), ("reasons", policy.reasons.len())]
    {
        if len > MOST {
            v.add(field, format!("must have at most {MOST} entries, not {len}"));
        }
    }
    let mut names = |field: &str, names: Vec<String>| -> Vec<String> {
        let names = names.into_iter().take(MOST).enumerate();
        names.map(|(i, name)| v.text(&format!("{field}[{i}]"), name, 0, 100)).collect()
    };
    let channels = names("channels", policy.channels);
    let segments = names("segments", policy.segments);
    let mut seen = HashSet::new();
    let mut reasons = Vec::with_capacity(policy.reasons.len().min(MOST));
    for (i, named) in policy.reasons.into_iter().take(MOST).enumerate() {
        let path = format!("reasons[{i}].");
        let named = terms(&mut v, &path, named);
        if named.reason.is_empty() || !seen.insert(named.reason.clone()) {
            v.add(format!("{path}reason"), "is required, and may be named once");
        }
        reasons.push(named);
    }
    let otherwise = terms(&mut v, "otherwise.", policy.otherwise.unwrap_or_default());
    if !otherwise.reason.is_empty() {
        v.add("otherwise.reason", "must be empty");
    }
    let read = Policy {
        name: v.text("name", policy.name, 1, 60),
        rank: v.within("rank", policy.rank, 0, 1_000_000),
        channels,
        segments,
        window_days: v.within("window_days", policy.window_days, 0, 36_500),
        warranty_months: v.within("warranty_months", policy.warranty_months, 0, 1_200),
        reasons,
        otherwise,
        advance_exchange: policy.advance_exchange,
        repair_service_sku: v.text("repair_service_sku", policy.repair_service_sku, 0, 100),
    };
    v.into_result(read)
}

fn terms(v: &mut Violations, path: &str, terms: pb::ReturnTerms) -> Terms {
    let resolutions = terms.resolutions.iter().take(10).enumerate().filter_map(|(i, number)| {
        let field = format!("{path}resolutions[{i}]");
        let resolution = known::<ReturnResolution>(v, &field, *number);
        if resolution == Some(ReturnResolution::Unspecified) {
            v.add(field, "must be a resolution");
        }
        resolution
    });
    let resolutions = resolutions.collect();
    Terms {
        reason: reason(v, &format!("{path}reason"), terms.reason, 0),
        resolutions,
        payer: known(v, &format!("{path}return_shipping_payer"), terms.return_shipping_payer)
            .unwrap_or(ReturnPayer::Unspecified),
        fee: percent(v, &format!("{path}restocking_fee_percent"), &terms.restocking_fee_percent),
        needs_approval: terms.needs_approval,
    }
}

/// A number of percent with at most two decimals; 0 for no text.
pub fn percent(v: &mut Violations, field: &str, text: &str) -> Decimal {
    if text.is_empty() {
        return Decimal::ZERO;
    }
    let number = Decimal::from_str_exact(text).ok().map(|number| number.normalize());
    match number.filter(|n| n.scale() <= 2 && (Decimal::ZERO..=Decimal::ONE_HUNDRED).contains(n)) {
        Some(number) => number,
        None => {
            v.add(field, "must be a number from 0 to 100 with at most two decimals: \"12.5\"");
            Decimal::ZERO
        }
    }
}

/// A policy as clients see it.
pub fn shown(policy: &Policy) -> pb::ReturnPolicy {
    pb::ReturnPolicy {
        name: policy.name.clone(),
        rank: policy.rank,
        channels: policy.channels.clone(),
        segments: policy.segments.clone(),
        window_days: policy.window_days,
        warranty_months: policy.warranty_months,
        reasons: policy.reasons.iter().map(shown_terms).collect(),
        otherwise: Some(shown_terms(&policy.otherwise)),
        advance_exchange: policy.advance_exchange,
        repair_service_sku: policy.repair_service_sku.clone(),
    }
}

fn shown_terms(terms: &Terms) -> pb::ReturnTerms {
    pb::ReturnTerms {
        reason: terms.reason.clone(),
        resolutions: terms.resolutions.iter().map(|resolution| i32::from(*resolution)).collect(),
        return_shipping_payer: terms.payer.into(),
        restocking_fee_percent: terms.fee.to_string(),
        needs_approval: terms.needs_approval,
    }
}
