//! Rules that new orders are verified by: when they apply, and what happens then. Pure: what the database has to say (is
//! there another order like this one?) is given.

pub mod address;
pub mod duplicate;
pub mod expression;
pub mod subject;

use crate::name::order_number;
use crate::order::{Hold, Rejection};
use duplicate::Twin;
use expression::Expression;
use pesan_api::order::v1::{FulfilmentPolicy, HoldExpiry};
use std::collections::BTreeSet;
use subject::Subject;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

/// Most rules there can be.
pub const MOST_RULES: usize = 200;
/// Most tags of an order.
pub const MOST_TAGS: usize = 50;
/// Most holds of an order.
pub const MOST_HOLDS: usize = 100;
/// The longest that two orders may be apart to be compared. What is older is forgotten.
pub const LONGEST_WINDOW: Duration = Duration::days(30);
/// The reason of a hold for a rule that could not be evaluated.
pub const RULE_FAILED: &str = "RULE_FAILED";
/// How often a hold's rule is asked whether it can go, if nothing else gives cause.
pub const REVIEW_EVERY: Duration = Duration::minutes(5);

/// A rule, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its key.
    pub name: String,
    /// Evaluated for new orders.
    pub enabled: bool,
    /// Lower goes first.
    pub rank: i32,
    /// Only for these; none: for all.
    pub channels: Vec<String>,
    /// When it applies.
    pub condition: Condition,
    /// What happens then.
    pub action: Action,
    /// What lifts its hold.
    pub release_when: Option<Expression>,
}

/// When a rule applies.
#[derive(Clone, Debug)]
pub enum Condition {
    /// As an expression says.
    When(Expression),
    /// The ship-to address has problems.
    Address,
    /// The same was ordered not longer before or after.
    Duplicate {
        /// How far apart at most.
        window: Duration,
    },
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The order waits.
    Hold {
        /// For programs.
        reason: String,
        /// For people.
        note: String,
        /// Who has to decide.
        owner: String,
        /// None: never.
        expires_after: Option<Duration>,
        /// What becomes of the order then.
        on_expiry: HoldExpiry,
    },
    /// The order is marked.
    Tag(Vec<String>),
    /// The order goes another way.
    Route(Route),
    /// The order is refused.
    Refuse {
        /// For programs.
        reason: String,
        /// For the buyer.
        message: String,
    },
}

/// The way an order goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// For those who work on it.
    pub name: String,
    /// From where to ship, if it can be.
    pub location: Option<Uuid>,
    /// None: as ordered.
    pub fulfilment: Option<FulfilmentPolicy>,
}

/// What one rule comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It applies; what it found, for people.
    Fired(String),
    /// It does not apply.
    Passed,
    /// It cannot be said.
    Failed(String),
}

/// What all rules come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it waits.
    pub holds: Vec<Hold>,
    /// What it is marked with.
    pub tags: BTreeSet<String>,
    /// The first one's.
    pub route: Option<Route>,
    /// The first one's; then nothing holds it.
    pub rejection: Option<Rejection>,
}

impl Verdict {
    /// The order goes on as it came.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Its holds; where it refuses what cannot be refused any more, one for that.
    pub fn into_holds(self, now: OffsetDateTime) -> Vec<Hold> {
        match self.rejection {
            Some(rejection) => vec![Hold::new(rejection.reason, rejection.message, "", now)],
            None => self.holds,
        }
    }
}

impl Rule {
    /// Whether it is for orders of a channel.
    pub fn is_for(&self, channel: &str) -> bool {
        self.channels.is_empty() || self.channels.iter().any(|own| own == channel)
    }

    fn reads_lines(&self) -> bool {
        matches!(&self.condition, Condition::When(when) if when.reads_lines())
    }

    fn outcome(&self, subject: &Subject<'_>, context: &cel::Context<'_, '_>, twin: Option<Twin>) -> Outcome {
        match &self.condition {
            Condition::When(when) => match when.holds(context) {
                Ok(true) => Outcome::Fired(String::new()),
                Ok(false) => Outcome::Passed,
                Err(why) => Outcome::Failed(why),
            },
            Condition::Address => match address::problems(subject.ship_to) {
                problems if problems.is_empty() => Outcome::Passed,
                problems => Outcome::Fired(problems.join("; ")),
            },
            Condition::Duplicate { window } => match twin {
                Some(twin) if (twin.placed_at - subject.placed_at).abs() <= *window => {
                    Outcome::Fired(format!("the same as {}", order_number(twin.number)))
                }
                Some(_) | None => Outcome::Passed,
            },
        }
    }

    /// Whether a hold of this rule can go. An address check without a word about it lets go when it finds nothing more.
    ///
    /// # Errors
    /// Why that cannot be said.
    pub fn releases(&self, subject: &Subject<'_>) -> Result<bool, String> {
        match (&self.release_when, &self.condition) {
            (Some(release_when), _) => release_when.holds(&subject.context(release_when.reads_lines())),
            (None, Condition::Address) => Ok(address::problems(subject.ship_to).is_empty()),
            (None, Condition::When(_) | Condition::Duplicate { .. }) => Ok(false),
        }
    }

    /// Whether a hold of this rule can go at all without a hand or its expiry.
    pub fn can_release(&self) -> bool {
        self.release_when.is_some() || matches!(self.condition, Condition::Address)
    }

    /// The hold it places for what it found.
    fn hold(&self, found: &str, now: OffsetDateTime) -> Option<Hold> {
        let Action::Hold { reason, note, owner, expires_after, on_expiry } = &self.action else { return None };
        let expires_at = expires_after.and_then(|after| now.checked_add(after));
        Some(Hold {
            expires_at,
            on_expiry: *on_expiry,
            rule: Some(self.name.clone()),
            due_at: due_at(expires_at, self.can_release().then_some(now + REVIEW_EVERY)),
            ..Hold::new(reason, note_of(note, found), owner, now)
        })
    }
}

/// When the worker has to look at a hold next.
pub fn due_at(expires_at: Option<OffsetDateTime>, review_at: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
    match (expires_at, review_at) {
        (Some(expiry), Some(review)) => Some(expiry.min(review)),
        (one, other) => one.or(other),
    }
}

/// A rule's own note and what it found, in the 500 characters of a note.
pub fn note_of(note: &str, found: &str) -> String {
    let both = match (note.is_empty(), found.is_empty()) {
        (false, false) => format!("{note}: {found}"),
        (_, true) => note.to_owned(),
        (true, false) => found.to_owned(),
    };
    both.chars().take(500).collect()
}

/// All rules there are.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    ordered: Vec<Rule>,
}

impl Rules {
    /// Of these.
    pub fn of(mut rules: Vec<Rule>) -> Self {
        rules.sort_by(|a, b| (a.rank, &a.name).cmp(&(b.rank, &b.name)));
        Self { ordered: rules }
    }

    /// In the order of evaluation.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.ordered.iter()
    }

    /// The rule of a name.
    pub fn get(&self, name: &str) -> Option<&Rule> {
        self.ordered.iter().find(|rule| rule.name == name)
    }

    /// Those that orders of a channel are verified by.
    pub fn for_channel<'r>(&'r self, channel: &'r str) -> impl Iterator<Item = &'r Rule> + Clone {
        self.ordered.iter().filter(move |rule| rule.enabled && rule.is_for(channel))
    }

    /// How far apart two orders of a channel may be to be compared; none where they are not.
    pub fn duplicate_window(&self, channel: &str) -> Option<Duration> {
        let windows = self.for_channel(channel).filter_map(|rule| match &rule.condition {
            Condition::Duplicate { window } => Some(*window),
            Condition::When(_) | Condition::Address => None,
        });
        windows.max()
    }

    /// What they come to for an order; `twin` is another one that is the same, if there is any.
    pub fn verdict(&self, subject: &Subject<'_>, twin: Option<Twin>) -> Verdict {
        Verdict::of(outcomes(self.for_channel(subject.channel), subject, twin), subject.now)
    }

    /// What holds or refuses an order that is changed from `before` to `after`. Whatever asks for more is looked at as a
    /// new order is; where only something is taken away, a rule that applied before has been decided about. It is not
    /// compared with other orders again, and goes the way it went.
    pub fn verdict_of_change(&self, before: &Subject<'_>, after: &Subject<'_>) -> Verdict {
        let mut found = outcomes(self.for_channel(after.channel), after, None);
        if after.is_within(before) {
            let earlier = outcomes(self.for_channel(after.channel), before, None);
            let is_new = earlier.iter().map(|(_, outcome)| *outcome == Outcome::Passed);
            found = found.into_iter().zip(is_new).filter_map(|(one, is_new)| is_new.then_some(one)).collect();
        }
        Verdict { tags: BTreeSet::new(), route: None, ..Verdict::of(found, after.now) }
    }
}

impl Verdict {
    fn of(outcomes: Vec<(&Rule, Outcome)>, now: OffsetDateTime) -> Self {
        let mut verdict = Self::default();
        for (rule, outcome) in outcomes {
            match (outcome, &rule.action) {
                (Outcome::Passed, _) => {}
                (Outcome::Failed(why), _) => {
                    let note = note_of(&format!("rule {}", rule.name), &why);
                    let hold = Hold { rule: Some(rule.name.clone()), ..Hold::new(RULE_FAILED, note, "", now) };
                    verdict.holds.push(hold);
                }
                (Outcome::Fired(found), Action::Hold { .. }) => verdict.holds.extend(rule.hold(&found, now)),
                (Outcome::Fired(_), Action::Tag(tags)) => {
                    for tag in tags {
                        if verdict.tags.len() < MOST_TAGS {
                            verdict.tags.insert(tag.clone());
                        }
                    }
                }
                (Outcome::Fired(_), Action::Route(route)) => {
                    verdict.route.get_or_insert_with(|| route.clone());
                }
                (Outcome::Fired(_), Action::Refuse { reason, message }) => {
                    let refused =
                        || Rejection { field: String::new(), reason: reason.clone(), message: message.clone() };
                    verdict.rejection.get_or_insert_with(refused);
                }
            }
        }
        if verdict.rejection.is_some() {
            verdict.holds.clear();
        }
        verdict.holds.truncate(MOST_HOLDS);
        verdict
    }
}

/// What each of some rules comes to.
pub fn outcomes<'r>(
    rules: impl Iterator<Item = &'r Rule> + Clone,
    subject: &Subject<'_>,
    twin: Option<Twin>,
) -> Vec<(&'r Rule, Outcome)> {
    if rules.clone().next().is_none() {
        return Vec::new();
    }
    let context = subject.context(rules.clone().any(Rule::reads_lines));
    rules.map(|rule| (rule, rule.outcome(subject, &context, twin))).collect()
}

#[cfg(test)]
mod tests {
    use super::subject::tests::example;
    use super::*;

    fn rule(name: &str, rank: i32, when: &str, action: Action) -> Rule {
        Rule {
            name: name.into(),
            enabled: true,
            rank,
            channels: Vec::new(),
            condition: Condition::When(Expression::compile(when).unwrap()),
            action,
            release_when: None,
        }
    }

    fn hold(reason: &str) -> Action {
        Action::Hold {
            reason: reason.into(),
            note: "look".into(),
            owner: "Ani".into(),
            expires_after: Some(Duration::hours(1)),
            on_expiry: HoldExpiry::Cancel,
        }
    }

    fn route(name: &str) -> Action {
        Action::Route(Route { name: name.into(), location: None, fulfilment: None })
    }

    fn refuse(reason: &str) -> Action {
        Action::Refuse { reason: reason.into(), message: "no".into() }
    }

    #[test]
    fn all_that_apply_take_effect_and_the_first_route_wins() {
        let rules = Rules::of(vec![
            rule("b", 2, "true", route("late")),
            rule("a", 2, "order.total > 100.0", route("early")),
            rule("h1", 1, "customer.known", hold("ONE")),
            rule("h2", 3, "lines.exists(l, l.sku == 'TEA')", hold("TWO")),
            rule("h3", 3, "lines.exists(l, l.sku == 'CUP')", hold("THREE")),
            rule("t", 9, "true", Action::Tag(vec!["big".into(), "gift".into()])),
            Rule { enabled: false, ..rule("off", 0, "true", refuse("OFF")) },
            Rule { channels: vec!["edi".into()], ..rule("edi", 0, "true", refuse("EDI")) },
        ]);
        let subject = example();
        let verdict = rules.verdict(&subject, None);
        let reasons: Vec<_> = verdict.holds.iter().map(|hold| hold.reason.as_str()).collect();
        assert_eq!(reasons, ["ONE", "TWO"]);
        assert_eq!(verdict.route.unwrap().name, "early");
        assert_eq!(verdict.tags.into_iter().collect::<Vec<_>>(), ["big", "gift"]);
        assert_eq!(verdict.rejection, None);
        let first = &verdict.holds[0];
        assert_eq!((first.owner.as_str(), first.note.as_str()), ("Ani", "look"));
        assert_eq!(first.expires_at, Some(subject.now + Duration::hours(1)));
        assert_eq!(first.due_at, first.expires_at, "nothing to ask before it expires");
        assert_eq!((first.on_expiry, first.rule.as_deref()), (HoldExpiry::Cancel, Some("h1")));
    }

    #[test]
    fn a_refusal_is_the_end_and_a_failure_holds() {
        let failing = || rule("broken", 0, "order.total / 0.0 > lines[9].unit_price", refuse("NEVER"));
        let verdict = Rules::of(vec![failing()]).verdict(&example(), None);
        assert_eq!((verdict.holds.len(), verdict.rejection), (1, None));
        assert_eq!(verdict.holds[0].reason, RULE_FAILED);
        assert!(verdict.holds[0].note.contains("rule broken"), "{}", verdict.holds[0].note);
        let rules = vec![failing(), rule("x", 1, "true", refuse("FIRST")), rule("y", 2, "true", refuse("SECOND"))];
        let verdict = Rules::of(rules).verdict(&example(), None);
        assert_eq!((verdict.holds.len(), verdict.rejection.unwrap().reason.as_str()), (0, "FIRST"));
        assert!(Rules::default().verdict(&example(), None).is_empty());
    }

    #[test]
    fn checks_need_no_expression() {
        let check = |condition| Rule { condition, ..rule("c", 0, "true", hold("CHECK")) };
        let rules = Rules::of(vec![check(Condition::Address)]);
        let mut subject = example();
        assert!(rules.verdict(&subject, None).is_empty());
        let wrong = pesan_api::r#type::v1::Address { postal_code: "1".into(), ..subject.ship_to.clone() };
        subject.ship_to = &wrong;
        let verdict = rules.verdict(&subject, None);
        assert_eq!(verdict.holds[0].note, "look: postal_code: is no postal code of ID");
        assert_eq!(verdict.holds[0].due_at, Some(subject.now + REVIEW_EVERY), "it is asked before it expires");
        assert_eq!(rules.get("c").unwrap().releases(&subject), Ok(false));
        assert_eq!(rules.get("c").unwrap().releases(&example()), Ok(true));

        let rules = Rules::of(vec![check(Condition::Duplicate { window: Duration::hours(1) })]);
        let twin = |minutes| Some(Twin { number: 7, placed_at: subject.placed_at + Duration::minutes(minutes) });
        assert_eq!(rules.duplicate_window("web"), Some(Duration::hours(1)));
        assert_eq!(rules.verdict(&subject, twin(-60)).holds[0].note, "look: the same as SO-000007");
        assert!(rules.verdict(&subject, twin(61)).is_empty());
        assert!(rules.verdict(&subject, None).is_empty());
    }

    #[test]
    fn a_hold_goes_when_its_rule_says_so() {
        let mut rule = rule("r", 0, "true", hold("R"));
        assert_eq!((rule.can_release(), rule.releases(&example())), (false, Ok(false)));
        rule.release_when = Some(Expression::compile("customer.segment == 'wholesale'").unwrap());
        assert_eq!((rule.can_release(), rule.releases(&example())), (true, Ok(true)));
        let guest = Subject { customer: None, ..example() };
        assert_eq!(rule.releases(&guest), Ok(false));
        rule.release_when = Some(Expression::compile("lines[9].quantity > 1").unwrap());
        assert!(rule.releases(&guest).is_err());
    }
}
