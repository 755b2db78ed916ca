//! Customers, mirrored from a CRM.

use pesan_api::r#type::v1::Address;
use uuid::Uuid;

/// Who orders.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// UUIDv7.
    pub customer_id: Uuid,
    /// Counts the changes.
    pub version: i64,
    /// What the CRM says.
    pub details: Details,
}

/// What the CRM says about a customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    /// Its id there.
    pub external_id: String,
    /// Of a person or company.
    pub name: String,
    /// Where to write to.
    pub email: String,
    /// For KPIs and policies.
    pub segment: String,
    /// Who looks after the customer.
    pub sales_rep: String,
    /// The first one is used where an order names none.
    pub addresses: Vec<Address>,
}

/// The id under which an external id is locked while it may not be there yet (FNV-1a; the same in every replica).
pub fn lock_id(external_id: &str) -> Uuid {
    let hash = external_id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    Uuid::from_u128(u128::from(hash ^ (hash >> 32)))
}
