//! Rules.

use crate::convert;
use crate::convert::orders::on_expiry;
use crate::convert::place::known;
use crate::convert::reason;
use crate::error::Error;
use crate::order::Hold;
use crate::rule::expression::{Expression, Fault};
use crate::rule::{Action, Condition, LONGEST_WINDOW, Route, Rule, Verdict};
use pesan_api::order::v1 as pb;
use pesan_api::order::v1::rule::{Action as PbAction, Condition as PbCondition};
use pesan_grpc::Violations;
use pesan_grpc::parse::to_timestamp;
use time::{Duration, OffsetDateTime};

/// The longest that a hold may last by itself.
const LONGEST_HOLD: Duration = Duration::days(366);

/// A rule as it is kept: without what the service adds.
pub fn kept(rule: pb::Rule) -> pb::Rule {
    pb::Rule { version: 0, changed_at: None, ..rule }
}

/// A rule that is kept, as clients see it.
pub fn shown(kept: pb::Rule, version: i64, changed_at: OffsetDateTime) -> pb::Rule {
    pb::Rule { version, changed_at: Some(to_timestamp(changed_at)), ..kept }
}

/// Reads a rule that somebody writes.
pub fn rule(v: &mut Violations, field: &str, rule: &pb::Rule) -> Rule {
    let mut faults = Vec::new();
    let mut own = Violations::new();
    let read = read(&mut own, rule, &mut |name, text| match Expression::compile(text) {
        Ok(expression) => expression,
        Err(fault) => {
            faults.push((name, fault.to_string()));
            Expression::broken(&fault)
        }
    });
    for violation in own.as_slice() {
        v.add(format!("{field}.{}", violation.field), violation.description.clone());
    }
    for (name, what) in faults {
        v.add(format!("{field}.{name}"), what);
    }
    read
}

/// Reads a rule that was accepted. What cannot be read any more (it could once) fails when it is evaluated: then it holds
/// orders, which loses none of them.
pub fn accepted(rule: &pb::Rule) -> Rule {
    read(&mut Violations::new(), rule, &mut |_, text| {
        Expression::compile(text).unwrap_or_else(|fault| Expression::broken(&fault))
    })
}

fn read(v: &mut Violations, rule: &pb::Rule, compile: &mut dyn FnMut(&'static str, &str) -> Expression) -> Rule {
    code(v, "name", &rule.name, 60);
    v.within("version", rule.version, 0, i64::MAX);
    v.within("rank", rule.rank, 0, 1_000_000);
    v.text("description", rule.description.clone(), 0, 500);
    if rule.channels.len() > 100 {
        v.add("channels", format!("must have at most 100 entries, not {}", rule.channels.len()));
    }
    for (i, channel) in rule.channels.iter().take(100).enumerate() {
        code(v, &format!("channels[{i}]"), channel, 40);
    }
    let condition = match &rule.condition {
        Some(PbCondition::When(text)) => Condition::When(compile("when", text)),
        Some(PbCondition::AddressCheck(pb::AddressCheck {})) => Condition::Address,
        Some(PbCondition::DuplicateOrderCheck(check)) => {
            let path = "duplicate_order_check.window";
            let window = duration(v, path, check.window.as_ref(), LONGEST_WINDOW).unwrap_or(Duration::hours(24));
            Condition::Duplicate { window }
        }
        None => {
            v.add("when", "is required, or a check");
            Condition::When(Expression::broken(&Fault { at: None, what: "is missing".to_owned() }))
        }
    };
    let default_reason = match condition {
        Condition::When(_) => "",
        Condition::Address => "ADDRESS_CHECK",
        Condition::Duplicate { .. } => "DUPLICATE_ORDER",
    };
    let action = match &rule.action {
        Some(action) => read_action(v, action, default_reason),
        None => {
            v.add("hold", "is required, or tag, route or refuse");
            Action::Tag(Vec::new())
        }
    };
    if !rule.release_when.is_empty() && !matches!(action, Action::Hold { .. }) {
        v.add("release_when", "must be empty unless the action is hold");
    }
    let release_when = Some(&rule.release_when).filter(|text| !text.is_empty());
    Rule {
        name: rule.name.clone(),
        enabled: rule.enabled,
        rank: rule.rank,
        channels: rule.channels.clone(),
        condition,
        action,
        release_when: release_when.map(|text| compile("release_when", text)),
    }
}

fn read_action(v: &mut Violations, action: &PbAction, default_reason: &str) -> Action {
    match action {
        PbAction::Hold(hold) => Action::Hold {
            reason: match hold.reason.as_str() {
                "" if !default_reason.is_empty() => default_reason.to_owned(),
                own => reason(v, "hold.reason", own.to_owned(), 1),
            },
            note: v.text("hold.note", hold.note.clone(), 0, 400),
            owner: v.text("hold.owner", hold.owner.clone(), 0, 100),
            expires_after: duration(v, "hold.expires_after", hold.expires_after.as_ref(), LONGEST_HOLD),
            on_expiry: on_expiry(v, "hold.on_expiry", hold.on_expiry),
        },
        PbAction::Tag(tag) => {
            if tag.tags.is_empty() || tag.tags.len() > 10 {
                v.add("tag.tags", format!("must have 1 to 10 entries, not {}", tag.tags.len()));
            }
            for (i, one) in tag.tags.iter().take(10).enumerate() {
                code(v, &format!("tag.tags[{i}]"), one, 40);
            }
            Action::Tag(tag.tags.clone())
        }
        PbAction::Route(route) => {
            let fulfilment = known::<pb::FulfilmentPolicy>(v, "route.fulfilment_policy", route.fulfilment_policy);
            let fulfilment = fulfilment.filter(|policy| *policy != pb::FulfilmentPolicy::Unspecified);
            let location = v.optional_uuid("route.preferred_location_id", &route.preferred_location_id);
            if !route.route.is_empty() {
                code(v, "route.route", &route.route, 40);
            } else if location.is_none() && fulfilment.is_none() {
                v.add("route.route", "is required where nothing else is given");
            }
            Action::Route(Route { name: route.route.clone(), location, fulfilment })
        }
        PbAction::Refuse(refuse) => Action::Refuse {
            reason: reason(v, "refuse.reason", refuse.reason.clone(), 1),
            message: v.text("refuse.message", refuse.message.clone(), 0, 500),
        },
    }
}

/// Lower case, digits and dashes.
pub fn code(v: &mut Violations, field: &str, text: &str, most: usize) {
    let is_code = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !is_code || text.is_empty() || text.len() > most {
        v.add(field, format!("must have 1 to {most} lower-case letters, digits and dashes"));
    }
}

/// A duration from a minute to `longest`; none where it is absent.
fn duration(
    v: &mut Violations,
    field: &str,
    duration: Option<&prost_types::Duration>,
    longest: Duration,
) -> Option<Duration> {
    let duration = duration?;
    let read = Duration::new(duration.seconds, 0);
    if duration.nanos != 0 || read < Duration::minutes(1) || read > longest {
        v.add(field, format!("must be 60 to {} whole seconds", longest.whole_seconds()));
    }
    Some(read)
}

/// What rules would do to an order that is not written: its holds, and the rest of the verdict.
pub fn preview(holds: &[Hold], verdict: &Verdict) -> pb::RulePreview {
    let refusal = verdict.rejection.as_ref().map(convert::orders::rejection);
    let holds = holds.iter().filter(|_| refusal.is_none());
    pb::RulePreview {
        holds: holds.map(|one| pb::Hold { id: String::new(), placed_at: None, ..convert::orders::hold(one) }).collect(),
        refusal,
        tags: verdict.tags.iter().cloned().collect(),
        route: verdict.route.as_ref().map(|route| route.name.clone()).unwrap_or_default(),
    }
}

/// Rules that somebody writes, each name once.
pub fn rules(v: &mut Violations, rules: &[pb::Rule], most: usize) -> Vec<Rule> {
    if rules.len() > most {
        v.add("rules", format!("must have at most {most} entries, not {}", rules.len()));
        return Vec::new();
    }
    let mut names = std::collections::HashSet::new();
    let read = rules.iter().enumerate().map(|(i, one)| {
        if !names.insert(one.name.as_str()) {
            v.add(format!("rules[{i}].name"), "is given twice");
        }
        rule(v, &format!("rules[{i}]"), one)
    });
    read.collect()
}

/// Rules that shall be written.
#[derive(Clone, Debug)]
pub struct UpsertRules {
    /// As they came, in order.
    pub rules: Vec<pb::Rule>,
}

impl TryFrom<pb::UpsertRulesRequest> for UpsertRules {
    type Error = Error;

    fn try_from(request: pb::UpsertRulesRequest) -> Result<Self, Error> {
        let mut v = Violations::new();
        if request.rules.is_empty() {
            v.add("rules", "must have 1 to 100 entries");
        }
        rules(&mut v, &request.rules, 100);
        Ok(v.into_result(Self { rules: request.rules })?)
    }
}
