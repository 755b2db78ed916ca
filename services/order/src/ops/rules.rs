//! Writing, reading and trying out rules.

use crate::convert;
use crate::convert::rules::UpsertRules;
use crate::draft::Draft;
use crate::error::Error;
use crate::name::OrderName;
use crate::ops::ready::{customers_of, make_ready};
use crate::ops::settings::{Part, changed};
use crate::ops::verify::twin_of;
use crate::ops::{Books, answer, at_version, claim, page};
use crate::rule::duplicate::{Twin, fingerprint};
use crate::rule::subject::Subject;
use crate::rule::{Action, MOST_RULES, Outcome, Rule, Rules, note_of, outcomes};
use crate::store;
use crate::store::rule::{Compared, StoredRule};
use pesan_api::order::v1 as pb;
use pesan_grpc::Violations;
use sqlx::PgConnection;
use std::collections::HashMap;
use time::OffsetDateTime;
use uuid::Uuid;

/// Creates or replaces rules: all, or none.
pub async fn upsert(books: &Books, command: UpsertRules) -> Result<Vec<pb::Rule>, Error> {
    let now = books.clock.now();
    let mut tx = store::begin(&books.pool).await?;
    changed(&mut tx, Part::Rules).await?;
    let known = store::rule::all(&mut tx).await?;
    let known: HashMap<String, StoredRule> = known.into_iter().map(|one| (one.rule.name.clone(), one)).collect();
    let names: Vec<&str> = command.rules.iter().map(|rule| rule.name.as_str()).collect();
    let created = names.iter().filter(|name| !known.contains_key(**name)).count();
    if known.len() + created > MOST_RULES {
        return Err(Error::invalid("rules", &format!("would make more than {MOST_RULES} rules: delete some")));
    }
    let newest = store::rule::newest(&mut tx, &names).await?;
    let mut results = Vec::with_capacity(command.rules.len());
    let mut written = Vec::new();
    for rule in &command.rules {
        let (earlier, expected) = (known.get(&rule.name), rule.version);
        let actual = earlier.map_or(0, |earlier| earlier.version);
        at_version(actual, expected)?;
        let rule = convert::rules::kept(rule.clone());
        let same = earlier.filter(|earlier| earlier.rule == rule);
        let version = match same {
            Some(same) => same.clone(),
            None => {
                // A rule that was deleted once goes on counting where it ended.
                let version = newest.get(&rule.name).copied().unwrap_or(0) + 1;
                let new = StoredRule { version, changed_at: now, rule };
                written.push(new.clone());
                new
            }
        };
        results.push(convert::rules::shown(version.rule, version.version, version.changed_at));
    }
    if written.is_empty() {
        return Ok(results);
    }
    store::rule::write(&mut tx, &written.iter().collect::<Vec<_>>()).await?;
    let names: Vec<&str> = written.iter().map(|one| one.rule.name.as_str()).collect();
    store::hold::review_rules(&mut tx, &names, now).await?;
    tx.commit().await?;
    Ok(results)
}

/// Writes the checks that come ready, switched off, where they never were.
pub async fn make_ready_checks(books: &Books) -> Result<(), Error> {
    let now = books.clock.now();
    let hold = || pb::rule::Action::Hold(pb::HoldAction::default());
    let check = |name: &str, description: &str, condition| pb::Rule {
        name: name.to_owned(),
        description: description.to_owned(),
        rank: 1000,
        condition: Some(condition),
        action: Some(hold()),
        ..Default::default()
    };
    let checks = [
        check(
            "address-check",
            "Holds orders whose ship-to address cannot be right.",
            pb::rule::Condition::AddressCheck(pb::AddressCheck {}),
        ),
        check(
            "duplicate-order-check",
            "Holds orders that the same customer placed just so within a day.",
            pb::rule::Condition::DuplicateOrderCheck(pb::DuplicateOrderCheck { window: None }),
        ),
    ];
    let mut tx = store::begin(&books.pool).await?;
    changed(&mut tx, Part::Rules).await?;
    let newest = store::rule::newest(&mut tx, &checks.each_ref().map(|rule| rule.name.as_str())).await?;
    let missing: Vec<StoredRule> = checks
        .into_iter()
        .filter(|rule| !newest.contains_key(&rule.name))
        .map(|rule| StoredRule { version: 1, changed_at: now, rule })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    store::rule::write(&mut tx, &missing.iter().collect::<Vec<_>>()).await?;
    Ok(tx.commit().await?)
}

/// A rule, or a version of it.
pub async fn get(books: &Books, name: &str, version: Option<i64>) -> Result<pb::Rule, Error> {
    let mut conn = books.pool.acquire().await?;
    let found = store::rule::get(&mut conn, name, version).await?;
    let found = found.ok_or_else(|| Error::RuleNotFound(name.to_owned()))?;
    Ok(convert::rules::shown(found.rule, found.version, found.changed_at))
}

/// A page of rules; true where it is the last.
pub async fn list(books: &Books, after: Option<(i32, &str)>, size: i64) -> Result<(Vec<pb::Rule>, bool), Error> {
    let mut conn = books.pool.acquire().await?;
    let (rules, is_last) = page(store::rule::page(&mut conn, after, size + 1).await?, size);
    let shown = rules.into_iter().map(|one| convert::rules::shown(one.rule, one.version, one.changed_at));
    Ok((shown.collect(), is_last))
}

/// Ends a rule.
pub async fn delete(
    books: &Books,
    request_id: Uuid,
    request: &pb::DeleteRuleRequest,
) -> Result<pb::DeleteRuleResponse, Error> {
    let mut tx = store::begin(&books.pool).await?;
    changed(&mut tx, Part::Rules).await?;
    if let Some(earlier) = claim(&mut tx, request_id, "pesan.order.v1.DeleteRuleRequest", request).await? {
        return Ok(earlier);
    }
    if !store::rule::delete(&mut tx, &request.name).await? {
        return Err(Error::RuleNotFound(request.name.clone()));
    }
    let response = pb::DeleteRuleResponse {};
    answer(&mut tx, request_id, &response).await?;
    tx.commit().await?;
    Ok(response)
}

/// What rules would do, without doing it: those given, or all that are enabled.
pub async fn test(
    books: &Books,
    drafts: Vec<Rule>,
    orders: Vec<Result<Draft, Violations>>,
    names: &[(OrderName, String)],
) -> Result<Vec<pb::TestedOrder>, Error> {
    let now = books.clock.now();
    let mut conn = books.pool.acquire().await?;
    let settings = books.settings.current(&mut conn).await?;
    let rules = if drafts.is_empty() {
        settings.rules.clone()
    } else {
        let enabled = drafts.into_iter().map(|rule| Rule { enabled: true, ..rule });
        std::sync::Arc::new(Rules::of(enabled.collect()))
    };
    let sound: Vec<Draft> = orders.iter().flatten().cloned().collect();
    let customers = customers_of(&mut conn, &sound).await?;
    let mut results = Vec::with_capacity(orders.len() + names.len());
    for order in &orders {
        let ready = match order {
            Ok(draft) => make_ready(draft, &customers, &settings, now),
            Err(violations) => Err(Error::Invalid(violations.clone())),
        };
        results.push(match ready {
            Ok(ready) => {
                let twin = twin_of(&mut conn, &rules, &ready).await?;
                tested(&rules, &Subject::of_ready(&ready, customers.of(&ready.draft.buyer), now), twin)
            }
            Err(error) => pb::TestedOrder { problem: Some(error.into_problem()), outcomes: Vec::new() },
        });
    }
    results.extend(test_stored(&mut conn, &rules, names, now).await?);
    Ok(results)
}

async fn test_stored(
    conn: &mut PgConnection,
    rules: &Rules,
    names: &[(OrderName, String)],
    now: OffsetDateTime,
) -> Result<Vec<pb::TestedOrder>, Error> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<OrderName> = names.iter().map(|(name, _)| name.clone()).collect();
    let ids = store::order::find(conn, &asked).await?;
    let found: Vec<Uuid> = ids.values().copied().collect();
    let orders = store::read::orders(conn, &found, true).await?;
    let customer_ids: Vec<Uuid> = orders.values().filter_map(|order| order.customer_id).collect();
    let customers = store::customer::find(conn, &customer_ids, &[]).await?;
    let mut results = Vec::with_capacity(names.len());
    for (name, text) in names {
        let order = ids.get(name).and_then(|id| orders.get(id)).ok_or_else(|| Error::OrderNotFound(text.clone()))?;
        let customer = customers.iter().find(|customer| Some(customer.customer_id) == order.customer_id);
        let lines = order.lines.iter().map(|line| (line.sku.clone(), line.line.quantities.ordered));
        let total = order.gross - order.discount + order.tax;
        let key = fingerprint(order.customer_id, &order.ship_to.email, order.currency.code(), total, lines);
        let (order_id, placed_at) = (order.head.order_id, order.head.placed_at);
        let compared = key.zip(rules.duplicate_window(&order.channel)).map(|(fingerprint, window)| Compared {
            order_id,
            fingerprint,
            placed_at,
            window,
        });
        let compared: Vec<Compared> = compared.into_iter().collect();
        let twin = store::rule::twins(conn, &compared).await?.remove(&order_id);
        results.push(tested(rules, &Subject::of_order(order, customer, now), twin));
    }
    Ok(results)
}

fn tested(rules: &Rules, subject: &Subject<'_>, twin: Option<Twin>) -> pb::TestedOrder {
    let outcomes = outcomes(rules.for_channel(subject.channel), subject, twin);
    let shown = outcomes.into_iter().map(|(rule, outcome)| {
        let note = |found: &str| match &rule.action {
            Action::Hold { note, .. } => note_of(note, found),
            Action::Tag(_) | Action::Route(_) | Action::Refuse { .. } => String::new(),
        };
        let (fired, error, note) = match &outcome {
            Outcome::Fired(found) => (true, String::new(), note(found)),
            Outcome::Passed => (false, String::new(), String::new()),
            Outcome::Failed(why) => (false, why.clone(), String::new()),
        };
        let (releases, release_error) = match rule.releases(subject) {
            Ok(releases) => (releases, String::new()),
            Err(why) => (false, why),
        };
        pb::RuleOutcome { rule: rule.name.clone(), fired, error, note, releases, release_error }
    });
    pb::TestedOrder { problem: None, outcomes: shown.collect() }
}
