//! What a list of orders is limited to, as clients write it: a subset of AIP-160. No crate is worth it: those there are
//! recurse without a bound, or take AND to bind closer than OR, which AIP-160 does not.

mod parse;
mod sort;
mod token;

pub use parse::parse;
pub use sort::{Key, Sort, SortField, parse as parse_order_by};

use crate::order::Filter;
use pesan_api::order::v1::OrderState;
use rust_decimal::Decimal;
use time::OffsetDateTime;
use uuid::Uuid;

/// Which orders, in which order.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The fields of the request.
    pub filter: Filter,
    /// The expression; none: all.
    pub condition: Option<Condition>,
    /// At least one.
    pub sorts: Vec<Sort>,
}

/// The place of an order in a listing: its keys and its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// One for each sort.
    pub keys: Vec<Key>,
    /// The order.
    pub order_id: Uuid,
}

/// A condition on an order. NOT is at the leaves, so that a missing value is never "not known".
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of them.
    And(Vec<Condition>),
    /// Any of them.
    Or(Vec<Condition>),
    /// A test holds.
    Is(Test),
    /// A test does not hold.
    IsNot(Test),
}

impl Condition {
    /// The opposite.
    pub fn negated(self) -> Self {
        match self {
            Self::And(parts) => Self::Or(parts.into_iter().map(Self::negated).collect()),
            Self::Or(parts) => Self::And(parts.into_iter().map(Self::negated).collect()),
            Self::Is(test) => Self::IsNot(test),
            Self::IsNot(test) => Self::Is(test),
        }
    }
}

/// A test of one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// Of what.
    pub field: Field,
    /// How.
    pub relation: Relation,
}

/// How a field is compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Relation {
    /// There is one.
    Present,
    /// The text contains this, whatever its case.
    Contains(String),
    /// Is equal to, or one of many is.
    Equal(Value),
    /// Is smaller.
    Less(Value),
    /// Is smaller or equal.
    AtMost(Value),
    /// Is greater.
    Greater(Value),
    /// Is greater or equal.
    AtLeast(Value),
}

/// What a field is compared with: of the field's kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// An amount.
    Amount(Decimal),
    /// A moment.
    Time(OffsetDateTime),
    /// An id.
    Id(Uuid),
    /// A state.
    State(OrderState),
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// N of "SO-N".
    Number,
    /// The order's.
    Id,
    /// Derived from the quantities.
    State,
    /// Where it came from.
    Channel,
    /// Its id there.
    ExternalId,
    /// Pesan's id of the customer.
    Customer,
    /// The CRM's.
    CustomerExternalId,
    /// The customer's.
    Segment,
    /// Of the ship-to address.
    Email,
    /// Of the ship-to address.
    Country,
    /// Who looks after it.
    SalesRep,
    /// Of all amounts.
    CurrencyCode,
    /// 0 to 9.
    Priority,
    /// Σ quantities ordered.
    Units,
    /// Σ line totals.
    Gross,
    /// With discounts and tax.
    Total,
    /// When the customer placed it.
    PlacedAt,
    /// When Pesan learned of it.
    RecordedAt,
    /// When its promise was settled.
    ConfirmedAt,
    /// Of any line.
    Sku,
    /// Of any parcel.
    TrackingNumber,
    /// The reason of any hold.
    Hold,
}

/// What a field's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text that can be searched.
    Text,
    /// Text in lower case that can be searched.
    Folded,
    /// Text that is one of few.
    Code,
    /// Any of many texts.
    Many,
    /// An order's number.
    OrderNumber,
    /// A whole number.
    Integer,
    /// An amount.
    Amount,
    /// A moment.
    Time,
    /// An id.
    Id,
    /// An order's state.
    State,
}

/// Every field, by the name clients use.
pub const FIELDS: [(&str, Field, Kind); 22] = [
    ("number", Field::Number, Kind::OrderNumber),
    ("id", Field::Id, Kind::Id),
    ("state", Field::State, Kind::State),
    ("channel", Field::Channel, Kind::Text),
    ("external_id", Field::ExternalId, Kind::Text),
    ("customer", Field::Customer, Kind::Id),
    ("customer_external_id", Field::CustomerExternalId, Kind::Text),
    ("segment", Field::Segment, Kind::Text),
    ("email", Field::Email, Kind::Folded),
    ("country", Field::Country, Kind::Text),
    ("sales_rep", Field::SalesRep, Kind::Text),
    ("currency_code", Field::CurrencyCode, Kind::Code),
    ("priority", Field::Priority, Kind::Integer),
    ("units", Field::Units, Kind::Integer),
    ("gross", Field::Gross, Kind::Amount),
    ("total", Field::Total, Kind::Amount),
    ("placed_at", Field::PlacedAt, Kind::Time),
    ("recorded_at", Field::RecordedAt, Kind::Time),
    ("confirmed_at", Field::ConfirmedAt, Kind::Time),
    ("sku", Field::Sku, Kind::Many),
    ("tracking_number", Field::TrackingNumber, Kind::Many),
    ("hold", Field::Hold, Kind::Many),
];

/// What is wrong with an expression, and where: in characters from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The place.
    pub at: usize,
    /// What would be right.
    pub what: String,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at character {}: {}", self.at, self.what)
    }
}
