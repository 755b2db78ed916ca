//! Why something was refused, and the only place that makes it a status or a problem.

use crate::inquiry;
use crate::line::Unlawful;
use crate::order::Refusal;
use crate::quotation;
use pesan_api::order::v1::{OrderState, QuotationState};
use pesan_api::r#type::v1::Problem;
use pesan_grpc::{Violations, refuse};
use std::time::Duration;
use tonic::{Code, Status};

const DOMAIN: &str = "order.pesan";

/// Everything that can go wrong with a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields are wrong.
    #[error("the request is not valid")]
    Invalid(Violations),
    /// No order has this name.
    #[error("there is no order {0:?}")]
    OrderNotFound(String),
    /// No customer has this id.
    #[error("there is no customer {0:?}")]
    CustomerNotFound(String),
    /// No return has this name.
    #[error("there is no return {0:?}")]
    ReturnNotFound(String),
    // Verification.
    /// No rule has this name, or there never was this version of it.
    #[error("there is no rule {0:?}")]
    RuleNotFound(String),
    /// The order has no such hold.
    #[error("the order has no hold {0:?}")]
    HoldNotFound(String),
    /// The request id was used for something else.
    #[error("the request id was used before, for a request that differs in {}", .0.join(", "))]
    RequestIdReused(Vec<String>),
    /// The order moved on.
    #[error("it is at version {actual}, not {expected}: read it again")]
    VersionMismatch {
        /// The caller's.
        expected: i64,
        /// The order's.
        actual: i64,
    },
    /// The order's state does not allow it.
    #[error("the order is {}: {}", .0.as_str_name(), refusal_text(*.1))]
    NotAllowed(OrderState, Refusal),
    /// Some of what should be cancelled has left, or is being shipped.
    #[error("nothing was cancelled: {0}")]
    AlreadyShipped(String),
    /// Not enough of a line was shipped to be returned.
    #[error("line {line_no}: {returnable} can be returned now, not {quantity}")]
    NotShipped {
        /// Path of the quantity.
        field: String,
        /// The line.
        line_no: i32,
        /// Asked for.
        quantity: i64,
        /// Possible.
        returnable: i64,
        /// Whether more may be shipped yet.
        may_come: bool,
    },
    /// Another cancellation or change of the order is under way.
    #[error("another cancellation or change of the order is under way")]
    CancellationPending,
    /// Fulfilment did not answer in time; the cancellation goes on.
    #[error("whether the order can be cancelled is not known yet: ask again with the same request_id")]
    CancellationUnknown,
    // Presales and reading.
    /// Looking for orders took too long.
    #[error("looking took too long: narrow the filter by placed_at, customer or number")]
    FilterTooBroad,
    /// No inquiry has this name.
    #[error("there is no inquiry {0:?}")]
    InquiryNotFound(String),
    /// No quotation has this name.
    #[error("there is no quotation {0:?}")]
    QuotationNotFound(String),
    /// The quotation has no such revision.
    #[error("the quotation {0:?} has no revision {1}")]
    RevisionNotFound(String, i32),
    /// The inquiry's stage or history does not allow it.
    #[error("{}", inquiry_refusal(*.0))]
    InquiryRefused(inquiry::Refusal),
    /// The quotation's state does not allow it.
    #[error("the quotation is {}: {}", .0.as_str_name(), quotation_refusal(*.1))]
    QuotationRefused(QuotationState, quotation::Refusal),
    /// The customer read another revision.
    #[error("revision {asked} is not the newest: it is {newest}")]
    RevisionChanged {
        /// The caller's.
        asked: i32,
        /// The quotation's.
        newest: i32,
    },
    /// The quotation is being accepted.
    #[error("the quotation is being accepted")]
    AcceptancePending,
    /// The quotation is accepted, its order is not placed yet.
    #[error("the quotation is accepted and its order is being placed: ask again")]
    AcceptanceUnknown,
    // Changes of orders.
    /// No plan has this id, or it is forgotten.
    #[error("there is no plan {0:?}")]
    PlanNotFound(String),
    /// The plan is too old.
    #[error("the plan has expired: plan again")]
    PlanExpired,
    /// Some of what was planned cannot be.
    #[error("the plan has what cannot be: {0}")]
    PlanHasImpossible(String),
    /// Who was asked does not agree; nothing has changed.
    #[error("nothing was changed: {1}")]
    ChangeRefused(&'static str, String),
    /// A peer did not answer in time; the change goes on.
    #[error("whether the order can be changed is not known yet: ask again with the same request_id")]
    ChangeUnknown,
    /// A peer that has to be asked did not answer.
    #[error("{0} does not answer; nothing was done")]
    PeerUnavailable(&'static str),
    /// The queue is full.
    #[error("too many requests are waiting; nothing was done")]
    Busy,
    /// The outcome is not known.
    #[error("the service is shutting down: ask again with the same request")]
    ShuttingDown,
    /// Another transaction was in the way.
    #[error("another change was in the way; nothing was done")]
    Contention,
    /// The database did not work when many requests were written together (logged once for all of them).
    #[error("the order could not be written now; ask again with the same request")]
    NotWritten,
    // Promises and delivery.
    /// No promise has this token.
    #[error("there is no such promise: there never was, or it is forgotten")]
    PromiseNotFound,
    /// There is no such promise any more.
    #[error("there is no such promise, or it has expired: ask for another")]
    PromiseExpired,
    /// Another order was placed with it.
    #[error("another order was placed with this promise: ask for another")]
    PromiseRedeemed,
    /// The order is not the one that was promised.
    #[error("the order differs from what was promised in {}", .0.join(", "))]
    PromiseDiffers(Vec<String>),
    /// Inventory refuses it: reason and field, each.
    #[error("it cannot be promised: {}", cannot_promise(.0))]
    CannotPromise(Vec<(String, String)>),
    /// There is nothing that could be kept back.
    #[error("fulfilment has all of it already")]
    AlreadyHandedOver,
    // Returns and goodwill.
    /// It came too late.
    #[error("it could be returned until {0}")]
    ReturnWindowClosed(time::OffsetDateTime),
    /// The policy does not accept the line's reason.
    #[error("{reason:?} is not accepted as a reason")]
    ReturnReasonNotAllowed {
        /// Path of the reason.
        field: String,
        /// The reason.
        reason: String,
    },
    /// The policy does not grant it for the line's reason.
    #[error("{} is not to be had for {reason:?}", .resolution.as_str_name())]
    ReturnResolutionNotAllowed {
        /// Path of the reason.
        field: String,
        /// The reason.
        reason: String,
        /// What was asked for.
        resolution: pesan_api::order::v1::ReturnResolution,
    },
    /// The return's state does not allow it.
    #[error("the return is {}: {}", .0.as_str_name(), .1)]
    ReturnState(pesan_api::order::v1::ReturnState, &'static str),
    /// Something of it came back.
    #[error("something of the return came back already: close it instead")]
    AlreadyReceived,
    /// Fulfilment has not read of the return.
    #[error("fulfilment does not know of the return yet: try again")]
    NotFollowedYet,
    /// The goods are not on an invoice yet.
    #[error("what came back is not invoiced yet: try again")]
    NotInvoicedYet,
    /// The return has no such discrepancy.
    #[error("the return has no discrepancy {0:?}")]
    DiscrepancyNotFound(String),
    /// No policy has this name.
    #[error("there is no return policy {0:?}")]
    ReturnPolicyNotFound(String),
    /// There are as many policies as there can be.
    #[error("there can be {0} return policies at most")]
    TooManyPolicies(i64),
    /// More is to be granted than is left of what was invoiced.
    #[error("{left} {currency} can be granted at most")]
    MoreThanInvoiced {
        /// What can be granted.
        left: rust_decimal::Decimal,
        /// In what.
        currency: &'static str,
    },
    /// A fact that does not fit.
    #[error(transparent)]
    Unlawful(#[from] Unlawful),
    // Capture.
    /// The external id was used for something else.
    #[error("the channel's external id was used before, for an order that differs in {}", .0.join(", "))]
    ExternalIdReused(Vec<String>),
    /// The channel takes no new orders.
    #[error("the channel {0:?} is closed")]
    ChannelClosed(String),
    /// No channel has this code.
    #[error("there is no channel {0:?}")]
    ChannelNotFound(String),
    /// No price list has this code.
    #[error("there is no price list {0:?}")]
    PriceListNotFound(String),
    /// Lines, from 0, give no price, and no list has one.
    #[error("lines without a price are in no price list that holds for the order")]
    NoPrice(Vec<usize>),
    /// Given prices of lines, from 0, are too far from the lists'.
    #[error("given prices are further from the price lists' than the channel tolerates")]
    PriceDeviation(Vec<(usize, String)>),
    /// The database.
    #[error("the database failed")]
    Database(sqlx::Error),
    /// A row or message of our own that cannot be read.
    #[error("{0}")]
    Broken(&'static str),
}

fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Closed => "it is over",
        Refusal::AlreadyPromised => "its promise is settled already",
        Refusal::PromisePending => "its promise is not settled yet; cancel all of it, or try again",
        Refusal::AlreadyShipped => "nothing is left that could be cancelled",
    }
}

fn cannot_promise(why: &[(String, String)]) -> String {
    let one = |(reason, field): &(String, String)| match field.as_str() {
        "" => reason.clone(),
        field => format!("{field}: {reason}"),
    };
    why.iter().take(20).map(one).collect::<Vec<_>>().join(", ")
}

fn inquiry_refusal(refusal: inquiry::Refusal) -> &'static str {
    match refusal {
        inquiry::Refusal::Closed => "the inquiry is won or lost",
        inquiry::Refusal::StageUnchanged => "the inquiry is in that stage already",
        inquiry::Refusal::HistoryFull => "the inquiry has as much history as one can have: open another",
    }
}

fn quotation_refusal(refusal: quotation::Refusal) -> &'static str {
    match refusal {
        quotation::Refusal::Accepted => "it is an order already",
        quotation::Refusal::Expired => "its validity is over; revise it",
        quotation::Refusal::NotDraft => "there is no draft to send",
        quotation::Refusal::NotOpen => "there is nothing to decide",
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        // Serialisation failure and deadlock: the other one won.
        match error.as_database_error().and_then(|e| e.code()).as_deref() {
            Some("40001" | "40P01") => Self::Contention,
            _ => Self::Database(error),
        }
    }
}

impl From<Violations> for Error {
    fn from(violations: Violations) -> Self {
        Self::Invalid(violations)
    }
}

impl Error {
    /// A peer that did not answer; why is logged and not told.
    pub fn unanswered(peer: &'static str, status: &Status) -> Self {
        tracing::info!(peer, code = ?status.code(), message = status.message(), "a peer did not answer");
        Self::PeerUnavailable(peer)
    }

    /// One wrong field.
    pub fn invalid(field: &str, description: &str) -> Self {
        let mut violations = Violations::new();
        violations.add(field, description);
        Self::Invalid(violations)
    }

    /// Of a scan whose time is bounded.
    pub fn of_a_scan(self) -> Self {
        let Self::Database(error) = &self else { return self };
        // Query cancelled: the statement's time was over.
        match error.as_database_error().and_then(|e| e.code()).as_deref() {
            Some("57014") => Self::FilterTooBroad,
            _ => self,
        }
    }

    /// True where a row was refused for what it holds: others of the same batch may be fine.
    pub fn is_about_data(&self) -> bool {
        let Self::Database(error) = self else { return matches!(self, Self::Broken(_)) };
        let code = error.as_database_error().and_then(|e| e.code());
        code.is_some_and(|code| code.starts_with("22") || code.starts_with("23"))
    }

    /// True where asking again changes nothing.
    pub fn is_final(&self) -> bool {
        let (code, _, retry) = self.classify();
        retry.is_none() && code != Code::Internal
    }

    /// The gRPC code, the stable reason, and when to try again.
    fn classify(&self) -> (Code, &'static str, Option<Duration>) {
        use Error::{
            AcceptancePending, AcceptanceUnknown, AlreadyShipped, Broken, Busy, CancellationPending,
            CancellationUnknown, ChannelClosed, ChannelNotFound, Contention, CustomerNotFound, Database,
            ExternalIdReused, FilterTooBroad, HoldNotFound, InquiryNotFound, InquiryRefused, Invalid, NoPrice,
            NotAllowed, NotShipped, NotWritten, OrderNotFound, PriceDeviation, PriceListNotFound, QuotationNotFound,
            QuotationRefused, RequestIdReused, ReturnNotFound, RevisionChanged, RevisionNotFound, RuleNotFound,
            ShuttingDown, Unlawful, VersionMismatch,
        };
        use Error::{ChangeRefused, ChangeUnknown, PeerUnavailable, PlanExpired, PlanHasImpossible, PlanNotFound};
        let soon = |millis| Some(Duration::from_millis(millis));
        match self {
            Invalid(_) => (Code::InvalidArgument, "INVALID_ARGUMENT", None),
            OrderNotFound(_) => (Code::NotFound, "ORDER_NOT_FOUND", None),
            CustomerNotFound(_) => (Code::NotFound, "CUSTOMER_NOT_FOUND", None),
            ReturnNotFound(_) => (Code::NotFound, "RETURN_NOT_FOUND", None),
            RuleNotFound(_) => (Code::NotFound, "RULE_NOT_FOUND", None),
            HoldNotFound(_) => (Code::NotFound, "HOLD_NOT_FOUND", None),
            RequestIdReused(_) => (Code::AlreadyExists, "REQUEST_ID_REUSED", None),
            VersionMismatch { .. } => (Code::Aborted, "VERSION_MISMATCH", None),
            NotAllowed(_, Refusal::Closed) => (Code::FailedPrecondition, "ORDER_CLOSED", None),
            NotAllowed(_, Refusal::AlreadyPromised) => (Code::FailedPrecondition, "ALREADY_PROMISED", None),
            NotAllowed(_, Refusal::PromisePending) => (Code::Aborted, "PROMISE_PENDING", soon(500)),
            NotAllowed(_, Refusal::AlreadyShipped) | AlreadyShipped(_) => {
                (Code::FailedPrecondition, "ALREADY_SHIPPED", None)
            }
            NotShipped { may_come: true, .. } => (Code::FailedPrecondition, "NOT_SHIPPED", soon(1000)),
            NotShipped { may_come: false, .. } => (Code::FailedPrecondition, "NOT_SHIPPED", None),
            CancellationPending => (Code::Aborted, "CANCELLATION_PENDING", soon(500)),
            CancellationUnknown => (Code::Unavailable, "CANCELLATION_UNKNOWN", soon(1000)),
            FilterTooBroad => (Code::FailedPrecondition, "FILTER_TOO_BROAD", None),
            InquiryNotFound(_) => (Code::NotFound, "INQUIRY_NOT_FOUND", None),
            QuotationNotFound(_) => (Code::NotFound, "QUOTATION_NOT_FOUND", None),
            RevisionNotFound(..) => (Code::NotFound, "REVISION_NOT_FOUND", None),
            InquiryRefused(refusal) => {
                let reason = match refusal {
                    inquiry::Refusal::Closed => "INQUIRY_CLOSED",
                    inquiry::Refusal::StageUnchanged => "STAGE_UNCHANGED",
                    inquiry::Refusal::HistoryFull => "HISTORY_FULL",
                };
                (Code::FailedPrecondition, reason, None)
            }
            QuotationRefused(_, refusal) => {
                let reason = match refusal {
                    quotation::Refusal::Accepted => "QUOTATION_ACCEPTED",
                    quotation::Refusal::Expired => "QUOTATION_EXPIRED",
                    quotation::Refusal::NotDraft => "QUOTATION_NOT_DRAFT",
                    quotation::Refusal::NotOpen => "QUOTATION_NOT_OPEN",
                };
                (Code::FailedPrecondition, reason, None)
            }
            RevisionChanged { .. } => (Code::FailedPrecondition, "REVISION_CHANGED", None),
            AcceptancePending => (Code::Aborted, "ACCEPTANCE_PENDING", soon(500)),
            AcceptanceUnknown => (Code::Unavailable, "ACCEPTANCE_UNKNOWN", soon(1000)),
            PlanNotFound(_) => (Code::NotFound, "PLAN_NOT_FOUND", None),
            PlanExpired => (Code::FailedPrecondition, "PLAN_EXPIRED", None),
            PlanHasImpossible(_) => (Code::FailedPrecondition, "PLAN_HAS_IMPOSSIBLE", None),
            ChangeRefused(reason, _) => (Code::FailedPrecondition, reason, None),
            ChangeUnknown => (Code::Unavailable, "CHANGE_UNKNOWN", soon(1000)),
            PeerUnavailable(_) => (Code::Unavailable, "PEER_UNAVAILABLE", soon(1000)),
            Busy => (Code::ResourceExhausted, "BUSY", soon(200)),
            ShuttingDown => (Code::Unavailable, "SHUTTING_DOWN", soon(500)),
            Contention => (Code::Aborted, "RETRY", soon(50)),
            NotWritten => (Code::Unavailable, "NOT_WRITTEN", soon(500)),
            ExternalIdReused(_) => (Code::AlreadyExists, "EXTERNAL_ID_REUSED", None),
            ChannelClosed(_) => (Code::FailedPrecondition, "CHANNEL_CLOSED", None),
            ChannelNotFound(_) => (Code::NotFound, "CHANNEL_NOT_FOUND", None),
            PriceListNotFound(_) => (Code::NotFound, "PRICE_LIST_NOT_FOUND", None),
            NoPrice(_) => (Code::FailedPrecondition, "NO_PRICE", None),
            PriceDeviation(_) => (Code::FailedPrecondition, "PRICE_DEVIATION", None),
            Self::PromiseNotFound => (Code::NotFound, "PROMISE_NOT_FOUND", None),
            Self::PromiseExpired => (Code::FailedPrecondition, "PROMISE_EXPIRED", None),
            Self::PromiseRedeemed => (Code::FailedPrecondition, "PROMISE_REDEEMED", None),
            Self::PromiseDiffers(_) => (Code::FailedPrecondition, "PROMISE_DIFFERS", None),
            Self::CannotPromise(why) => match why.iter().all(|(reason, _)| reason == "UNKNOWN_SKU") {
                true => (Code::FailedPrecondition, "UNKNOWN_SKU", None),
                false => (Code::FailedPrecondition, "CANNOT_PROMISE", None),
            },
            Self::AlreadyHandedOver => (Code::FailedPrecondition, "ALREADY_HANDED_OVER", None),
            Self::ReturnWindowClosed(_) => (Code::FailedPrecondition, "RETURN_WINDOW_CLOSED", None),
            Self::ReturnReasonNotAllowed { .. } => (Code::FailedPrecondition, "RETURN_REASON_NOT_ALLOWED", None),
            Self::ReturnResolutionNotAllowed { .. } => {
                (Code::FailedPrecondition, "RETURN_RESOLUTION_NOT_ALLOWED", None)
            }
            Self::ReturnState(..) => (Code::FailedPrecondition, "RETURN_STATE", None),
            Self::AlreadyReceived => (Code::FailedPrecondition, "ALREADY_RECEIVED", None),
            Self::NotFollowedYet => (Code::Aborted, "NOT_FOLLOWED_YET", soon(200)),
            Self::NotInvoicedYet => (Code::Aborted, "NOT_INVOICED_YET", soon(500)),
            Self::DiscrepancyNotFound(_) => (Code::NotFound, "DISCREPANCY_NOT_FOUND", None),
            Self::ReturnPolicyNotFound(_) => (Code::NotFound, "RETURN_POLICY_NOT_FOUND", None),
            Self::TooManyPolicies(_) => (Code::ResourceExhausted, "LIMIT_EXCEEDED", None),
            Self::MoreThanInvoiced { .. } => (Code::FailedPrecondition, "MORE_THAN_INVOICED", None),
            Database(error) if refuse::is_database_away(error) => {
                (Code::Unavailable, "DATABASE_UNAVAILABLE", soon(500))
            }
            Unlawful(_) | Database(_) | Broken(_) => (Code::Internal, "INTERNAL", None),
        }
    }

    /// What people may read. Internals are logged here, once, and not told.
    fn message(&self) -> String {
        if self.classify().0 != Code::Internal {
            return self.to_string();
        }
        tracing::error!(error = ?self, "a request failed");
        "internal error".to_owned()
    }

    /// Which fields are to blame, as far as that is known.
    fn violations(&self) -> Violations {
        let mut violations = Violations::new();
        if let Self::Invalid(known) = self {
            return known.clone();
        } else if let Self::NotShipped { field, .. }
        | Self::ReturnReasonNotAllowed { field, .. }
        | Self::ReturnResolutionNotAllowed { field, .. } = self
        {
            violations.add(field.clone(), self.to_string());
        } else if let Self::NoPrice(places) = self {
            let each = places.iter().map(|place| format!("lines[{place}].unit_price"));
            each.for_each(|field| violations.add(field, "is required: no price list that holds has the item"));
        } else if let Self::PriceDeviation(lines) = self {
            lines.iter().for_each(|(place, what)| violations.add(format!("lines[{place}].unit_price"), what.as_str()));
        } else if let Self::PromiseDiffers(fields) = self {
            fields.iter().for_each(|field| violations.add(field.clone(), "differs from what was promised"));
        } else if let Self::RequestIdReused(fields) | Self::ExternalIdReused(fields) = self {
            fields.iter().for_each(|field| violations.add(field.clone(), "differs from the order there is"));
        }
        violations
    }

    /// As the answer to one item of a list.
    pub fn into_problem(self) -> Problem {
        let (_, reason, retry) = self.classify();
        let problem = self.violations().into_problem();
        let message = if matches!(self, Self::Invalid(_)) { problem.message } else { self.message() };
        Problem { reason: reason.to_owned(), message, retryable: retry.is_some(), ..problem }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let (code, reason, retry) = error.classify();
        match (&error, retry) {
            (Error::Invalid(violations), _) => refuse::invalid(violations),
            (_, Some(delay)) => refuse::retry(code, reason, DOMAIN, error.message(), delay),
            (_, None) => refuse::refused(code, reason, DOMAIN, error.message()),
        }
    }
}
