//! An inquiry: what somebody may order, how far it is, and what it is worth.

use pesan_api::order::v1::InquiryStage;
use pesan_money::{Currency, Money};
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// Most responses of an inquiry, and most moves.
pub const MOST_ENTRIES: i32 = 1000;

/// What is known of an inquiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// Where it came from. Never changes.
    pub source: String,
    /// Who looks after it.
    pub owner: String,
    /// None: not a customer yet.
    pub customer_id: Option<Uuid>,
    /// The CRM's id of the customer, or empty.
    pub customer_external_id: String,
    /// Whom to talk to.
    pub contact_name: String,
    /// An address.
    pub contact_email: String,
    /// A number.
    pub contact_phone: String,
    /// Of the estimated value.
    pub currency: Currency,
    /// What it may be worth, in whole minor units.
    pub estimated_value: Decimal,
    /// When it is expected to be decided.
    pub expected_close_at: Option<OffsetDateTime>,
}

/// An inquiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Inquiry {
    /// UUIDv7.
    pub inquiry_id: Uuid,
    /// N of "INQ-N".
    pub number: i64,
    /// Its id in its source.
    pub external_id: Option<String>,
    /// What is known.
    pub details: Details,
    /// How far it is.
    pub stage: InquiryStage,
    /// When it came in.
    pub opened_at: OffsetDateTime,
    /// The earliest answer.
    pub first_response_at: Option<OffsetDateTime>,
    /// When it was won or lost.
    pub closed_at: Option<OffsetDateTime>,
    /// Empty unless it is lost.
    pub lost_reason: String,
    /// How many.
    pub responses: i32,
    /// How many, with its opening.
    pub stage_changes: i32,
    /// Of its newest event.
    pub version: i64,
}

/// An answer to the inquirer.
#[derive(Clone, Debug)]
pub struct Response {
    /// From 1.
    pub response_no: i32,
    /// Who.
    pub responder: String,
    /// When.
    pub responded_at: OffsetDateTime,
    /// What.
    pub text: String,
}

/// A move from stage to stage.
#[derive(Clone, Debug)]
pub struct StageChange {
    /// From 1.
    pub change_no: i32,
    /// UNSPECIFIED when it was opened.
    pub from: InquiryStage,
    /// Where to.
    pub to: InquiryStage,
    /// When.
    pub changed_at: OffsetDateTime,
    /// Who.
    pub changed_by: String,
    /// For LOST: why.
    pub note: String,
}

/// Why an inquiry cannot be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is won, or lost.
    Closed,
    /// It is in that stage already.
    StageUnchanged,
    /// It has as much history as it can have.
    HistoryFull,
}

impl Inquiry {
    /// Counts one more event: its version.
    pub fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }

    /// True once it is won or lost.
    pub fn is_closed(&self) -> bool {
        matches!(self.stage, InquiryStage::Won | InquiryStage::Lost)
    }

    /// Moves it to another stage: any but the one it is in, unless it is won.
    ///
    /// # Errors
    /// Why not.
    pub fn advance(
        &mut self,
        to: InquiryStage,
        at: OffsetDateTime,
        by: &str,
        note: &str,
    ) -> Result<StageChange, Refusal> {
        let from = self.stage;
        match (from, to) {
            (InquiryStage::Won, _) => return Err(Refusal::Closed),
            _ if from == to => return Err(Refusal::StageUnchanged),
            _ if self.stage_changes >= MOST_ENTRIES => return Err(Refusal::HistoryFull),
            _ => {}
        }
        self.stage = to;
        self.stage_changes += 1;
        self.closed_at = self.is_closed().then_some(at);
        self.lost_reason = if to == InquiryStage::Lost { note.to_owned() } else { String::new() };
        Ok(StageChange {
            change_no: self.stage_changes,
            from,
            to,
            changed_at: at,
            changed_by: by.to_owned(),
            note: note.to_owned(),
        })
    }

    /// Notes an answer; true where none is earlier.
    ///
    /// # Errors
    /// Why not.
    pub fn respond(
        &mut self,
        at: OffsetDateTime,
        responder: String,
        text: String,
    ) -> Result<(Response, bool), Refusal> {
        if self.responses >= MOST_ENTRIES {
            return Err(Refusal::HistoryFull);
        }
        self.responses += 1;
        let is_first = self.first_response_at.is_none_or(|first| at < first);
        if is_first {
            self.first_response_at = Some(at);
        }
        Ok((Response { response_no: self.responses, responder, responded_at: at, text }, is_first))
    }
}

/// How likely an inquiry in each stage is won, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probabilities {
    /// In QUALIFICATION.
    pub qualification: i32,
    /// In PROPOSAL.
    pub proposal: i32,
    /// In NEGOTIATION.
    pub negotiation: i32,
    /// Counts the changes.
    pub version: i64,
}

impl Probabilities {
    /// Of a stage. What is won is certain, what is lost is not.
    pub fn of(&self, stage: InquiryStage) -> i32 {
        match stage {
            InquiryStage::Qualification => self.qualification,
            InquiryStage::Proposal => self.proposal,
            InquiryStage::Negotiation => self.negotiation,
            InquiryStage::Won => 100,
            InquiryStage::Lost | InquiryStage::Unspecified => 0,
        }
    }

    /// value × probability, rounded half-even to the minor unit.
    pub fn weigh(&self, stage: InquiryStage, currency: Currency, value: Decimal) -> Decimal {
        let weight = Decimal::new(self.of(stage).into(), 2);
        // A share of an amount fits where the amount does.
        Money::new(currency, value).times(weight).map_or(value, |weighted| weighted.amount)
    }
}

/// What a list of inquiries is limited to; empty or none: not at all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Whose.
    pub owner: String,
    /// Any of these.
    pub stages: Vec<InquiryStage>,
    /// From where.
    pub source: String,
    /// Of this customer.
    pub customer_id: Option<Uuid>,
    /// Opened at or after.
    pub opened_from: Option<OffsetDateTime>,
    /// Opened before.
    pub opened_to: Option<OffsetDateTime>,
}

/// Inquiries of one stage, owner and currency together.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineRow {
    /// Their stage.
    pub stage: InquiryStage,
    /// Who looks after them; empty where it is everybody.
    pub owner: String,
    /// Of the value.
    pub currency: Currency,
    /// How many.
    pub count: i64,
    /// Σ estimated values.
    pub value: Decimal,
}

#[cfg(test)]
mod tests {
    use super::*;
    use InquiryStage::{Lost, Negotiation, Proposal, Qualification, Won};
    use time::Duration;

    fn inquiry(stage: InquiryStage) -> Inquiry {
        let opened_at = OffsetDateTime::UNIX_EPOCH;
        Inquiry {
            inquiry_id: Uuid::now_v7(),
            number: 1,
            external_id: None,
            details: Details {
                title: "Tea".into(),
                description: String::new(),
                source: "web".into(),
                owner: "Siti".into(),
                customer_id: None,
                customer_external_id: String::new(),
                contact_name: String::new(),
                contact_email: String::new(),
                contact_phone: String::new(),
                currency: "EUR".parse().unwrap(),
                estimated_value: Decimal::ONE_HUNDRED,
                expected_close_at: None,
            },
            stage,
            opened_at,
            first_response_at: None,
            closed_at: matches!(stage, Won | Lost).then_some(opened_at),
            lost_reason: String::new(),
            responses: 0,
            stage_changes: 1,
            version: 1,
        }
    }

    #[test]
    fn it_moves_anywhere_until_it_is_won() {
        let at = OffsetDateTime::UNIX_EPOCH + Duration::days(1);
        for from in [Qualification, Proposal, Negotiation, Won, Lost] {
            for to in [Qualification, Proposal, Negotiation, Won, Lost] {
                let mut inquiry = inquiry(from);
                let moved = inquiry.advance(to, at, "Siti", "why");
                if from == Won {
                    assert_eq!(moved.unwrap_err(), Refusal::Closed);
                } else if from == to {
                    assert_eq!(moved.unwrap_err(), Refusal::StageUnchanged);
                } else {
                    let change = moved.unwrap();
                    assert_eq!((change.from, change.to, change.change_no, inquiry.stage), (from, to, 2, to));
                    assert_eq!(inquiry.closed_at, matches!(to, Won | Lost).then_some(at));
                    assert_eq!(inquiry.lost_reason, if to == Lost { "why" } else { "" });
                }
            }
        }
        let mut full = Inquiry { stage_changes: MOST_ENTRIES, ..inquiry(Proposal) };
        assert_eq!(full.advance(Won, at, "", "").unwrap_err(), Refusal::HistoryFull);
    }

    #[test]
    fn the_first_response_is_the_earliest_whenever_it_was_noted() {
        let mut inquiry = inquiry(Qualification);
        let at = |hours| OffsetDateTime::UNIX_EPOCH + Duration::hours(hours);
        let firsts: Vec<bool> =
            [5, 3, 4].map(|hours| inquiry.respond(at(hours), "Siti".into(), "yes".into()).unwrap().1).into();
        assert_eq!(firsts, [true, true, false]);
        assert_eq!((inquiry.first_response_at, inquiry.responses), (Some(at(3)), 3));
    }

    #[test]
    fn values_are_weighed_by_their_stage() {
        let probabilities = Probabilities { qualification: 20, proposal: 50, negotiation: 75, version: 1 };
        let eur: Currency = "EUR".parse().unwrap();
        let weigh = |stage, cents| probabilities.weigh(stage, eur, Decimal::new(cents, 2));
        assert_eq!(weigh(Qualification, 10_000), Decimal::new(20_00, 2));
        assert_eq!(weigh(Proposal, 5), Decimal::new(2, 2), "half-even");
        assert_eq!(weigh(Won, 99), Decimal::new(99, 2));
        assert_eq!(weigh(Lost, 99), Decimal::ZERO);
    }
}
