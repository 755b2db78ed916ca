//! A quotation: an offer that holds until a day, in revisions.

use pesan_api::order::v1::{QuotationState, QuotationTerms};
use pesan_money::Currency;
use rust_decimal::Decimal;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// Most revisions.
pub const MOST_REVISIONS: i32 = 100;

/// A quotation.
#[derive(Clone, Debug, PartialEq)]
pub struct Quotation {
    /// UUIDv7.
    pub quotation_id: Uuid,
    /// N of "QU-N".
    pub number: i64,
    /// The inquiry it answers.
    pub inquiry_id: Option<Uuid>,
    /// None: not a customer yet.
    pub customer_id: Option<Uuid>,
    /// The CRM's id of the customer, or empty.
    pub customer_external_id: String,
    /// Where its order is placed.
    pub channel: String,
    /// Who looks after it.
    pub sales_rep: String,
    /// As it is stored: never EXPIRED.
    pub state: QuotationState,
    /// The newest.
    pub revision: i32,
    /// Of the newest revision.
    pub valid_until: OffsetDateTime,
    /// When the first revision was written.
    pub created_at: OffsetDateTime,
    /// When the newest revision was sent.
    pub sent_at: Option<OffsetDateTime>,
    /// When it was accepted, rejected or withdrawn.
    pub decided_at: Option<OffsetDateTime>,
    /// By whom.
    pub decided_by: String,
    /// Why.
    pub decision_note: String,
    /// The order it became.
    pub order_id: Option<Uuid>,
    /// Of its newest event.
    pub version: i64,
}

/// What was offered, once.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// From 1.
    pub revision: i32,
    /// All of it.
    pub terms: QuotationTerms,
    /// Of all amounts.
    pub currency: Currency,
    /// Σ line totals.
    pub gross: Decimal,
    /// Σ discounts.
    pub discount: Decimal,
    /// Σ taxes.
    pub tax: Decimal,
    /// Until when it can be accepted.
    pub valid_until: OffsetDateTime,
    /// When it was written.
    pub revised_at: OffsetDateTime,
    /// Who wrote it.
    pub revised_by: String,
}

/// A quotation at one of its revisions.
pub type At = (Quotation, Revision);

/// What a list of quotations is limited to; empty or none: not at all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Any of these, as they stand now.
    pub states: Vec<QuotationState>,
    /// Of this customer.
    pub customer_id: Option<Uuid>,
    /// Of this inquiry.
    pub inquiry_id: Option<Uuid>,
    /// Created at or after.
    pub created_from: Option<OffsetDateTime>,
    /// Created before.
    pub created_to: Option<OffsetDateTime>,
}

/// What somebody may want to do with a quotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write another revision.
    Revise,
    /// Send the newest one.
    Send,
    /// Take it back.
    Withdraw,
    /// Say no.
    Reject,
    /// Say yes.
    Accept,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is an order.
    Accepted,
    /// Its time is over.
    Expired,
    /// There is nothing to send.
    NotDraft,
    /// There is nothing to decide.
    NotOpen,
}

/// Whether a quotation in `state` allows `action`.
///
/// # Errors
/// Why not.
pub fn allows(state: QuotationState, action: Action) -> Result<(), Refusal> {
    use Action::{Accept, Reject, Revise, Send, Withdraw};
    use QuotationState::{Accepted, Draft, Expired, Rejected, Sent, Unspecified, Withdrawn};
    match (state, action) {
        (Accepted, _) => Err(Refusal::Accepted),
        (Draft | Sent | Rejected | Withdrawn | Expired, Revise) => Ok(()),
        (Draft, Send | Withdraw) | (Sent, Withdraw | Reject | Accept) => Ok(()),
        (Expired, Send | Accept) => Err(Refusal::Expired),
        (Sent | Rejected | Withdrawn, Send) => Err(Refusal::NotDraft),
        (Draft, Reject | Accept)
        | (Expired, Withdraw | Reject)
        | (Rejected | Withdrawn, Withdraw | Reject | Accept)
        | (Unspecified, _) => Err(Refusal::NotOpen),
    }
}

impl Quotation {
    /// Counts one more event: its version.
    pub fn next_version(&mut self) -> i64 {
        self.version += 1;
        self.version
    }

    /// Where it stands: what is not decided in time is expired.
    pub fn state_at(&self, now: OffsetDateTime) -> QuotationState {
        match self.state {
            QuotationState::Draft | QuotationState::Sent if now >= self.valid_until => QuotationState::Expired,
            state => state,
        }
    }

    /// Ends it, one way or the other.
    pub fn decide(&mut self, state: QuotationState, at: OffsetDateTime, by: &str, note: &str) {
        self.state = state;
        self.decided_at = Some(at);
        by.clone_into(&mut self.decided_by);
        note.clone_into(&mut self.decision_note);
    }

    /// The next revision is written: a draft again.
    pub fn revise(&mut self, valid_until: OffsetDateTime) {
        self.state = QuotationState::Draft;
        self.revision += 1;
        self.valid_until = valid_until;
        self.sent_at = None;
        self.decided_at = None;
        self.decided_by.clear();
        self.decision_note.clear();
    }
}

/// The request id of the order that a quotation becomes: always the same, and nobody else's.
pub fn order_request_id(quotation_id: Uuid) -> Uuid {
    let digest = Sha256::new().chain_update("pesan quotation accepted").chain_update(quotation_id).finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::Duration;

    #[test]
    fn every_state_answers_every_action() {
        use Action::{Accept, Reject, Revise, Send, Withdraw};
        use QuotationState as S;
        let (open, draft, expired) = (Err(Refusal::NotOpen), Err(Refusal::NotDraft), Err(Refusal::Expired));
        for (state, answers) in [
            (S::Unspecified, [open; 5]),
            (S::Draft, [Ok(()), Ok(()), Ok(()), open, open]),
            (S::Sent, [Ok(()), draft, Ok(()), Ok(()), Ok(())]),
            (S::Accepted, [Err(Refusal::Accepted); 5]),
            (S::Rejected, [Ok(()), draft, open, open, open]),
            (S::Withdrawn, [Ok(()), draft, open, open, open]),
            (S::Expired, [Ok(()), expired, open, open, expired]),
        ] {
            assert_eq!(
                [Revise, Send, Withdraw, Reject, Accept].map(|action| allows(state, action)),
                answers,
                "{state:?}"
            );
        }
    }

    #[test]
    fn only_what_is_undecided_expires() {
        let until = OffsetDateTime::UNIX_EPOCH;
        let mut quotation = Quotation {
            quotation_id: Uuid::now_v7(),
            number: 1,
            inquiry_id: None,
            customer_id: None,
            customer_external_id: String::new(),
            channel: "quotation".into(),
            sales_rep: String::new(),
            state: QuotationState::Sent,
            revision: 1,
            valid_until: until,
            created_at: until - Duration::days(1),
            sent_at: None,
            decided_at: None,
            decided_by: String::new(),
            decision_note: String::new(),
            order_id: None,
            version: 1,
        };
        assert_eq!(quotation.state_at(until - Duration::microseconds(1)), QuotationState::Sent);
        assert_eq!(quotation.state_at(until), QuotationState::Expired);
        quotation.decide(QuotationState::Rejected, until, "Budi", "too dear");
        assert_eq!(quotation.state_at(until), QuotationState::Rejected);
        quotation.revise(until + Duration::days(1));
        assert_eq!((quotation.state_at(until), quotation.revision), (QuotationState::Draft, 2));
        assert_eq!((quotation.decided_at, quotation.decision_note.as_str()), (None, ""));
    }

    #[test]
    fn a_quotation_has_one_order_request() {
        let (one, other) = (Uuid::now_v7(), Uuid::now_v7());
        assert_eq!(order_request_id(one), order_request_id(one));
        assert_ne!(order_request_id(one), order_request_id(other));
        assert_ne!(order_request_id(one), one);
    }
}
