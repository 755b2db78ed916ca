//! The ways an order can be looked at, and the steps of time in which facts are summed up.

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

/// Seconds of a slot. Today's time zones differ from UTC by whole quarters of an hour, so that every day, anywhere, is
/// made of whole slots.
pub const SLOT_SECONDS: i64 = 900;

/// What KPIs can be filtered and split by, apart from the product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dims {
    pub channel: String,
    /// Where the order goes.
    pub country: String,
    /// Of the customer.
    pub segment: String,
    pub sales_rep: String,
    /// ISO 4217.
    pub currency: String,
    /// Decimals of the currency's minor unit.
    pub decimals: i16,
}

impl Dims {
    /// Derived from the values: the same ones have the same id wherever and whenever they are met.
    pub fn id(&self) -> Uuid {
        let mut hash = Sha256::new();
        for part in [&self.channel, &self.country, &self.segment, &self.sales_rep, &self.currency] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }
}

/// The beginning of the slot that `at` lies in.
pub fn slot(at: OffsetDateTime) -> OffsetDateTime {
    let start = at.unix_timestamp().div_euclid(SLOT_SECONDS) * SLOT_SECONDS;
    OffsetDateTime::from_unix_timestamp(start).unwrap_or(at)
}

/// True where a slot begins at `at`.
pub fn begins_slot(at: OffsetDateTime) -> bool {
    slot(at) == at
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn dims(channel: &str, country: &str) -> Dims {
        Dims {
            channel: channel.into(),
            country: country.into(),
            segment: String::new(),
            sales_rep: String::new(),
            currency: "GBP".into(),
            decimals: 2,
        }
    }

    #[test]
    fn the_id_tells_values_apart_and_only_them() {
        assert_eq!(dims("web", "GB").id(), dims("web", "GB").id());
        assert_ne!(dims("web", "GB").id(), dims("GB", "web").id());
        assert_ne!(dims("we", "bGB").id(), dims("web", "GB").id(), "where one value ends matters");
    }

    #[test]
    fn slots_begin_at_whole_quarters() {
        assert_eq!(slot(datetime!(2011-01-05 09:14:59.999 UTC)), datetime!(2011-01-05 09:00 UTC));
        assert_eq!(slot(datetime!(2011-01-05 09:15 UTC)), datetime!(2011-01-05 09:15 UTC));
        assert_eq!(slot(datetime!(1969-12-31 23:59 UTC)), datetime!(1969-12-31 23:45 UTC));
        assert!(begins_slot(datetime!(2011-01-05 09:15 UTC)) && !begins_slot(datetime!(2011-01-05 09:15:01 UTC)));
    }
}
