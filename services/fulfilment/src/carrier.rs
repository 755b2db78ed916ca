//! Who carries parcels to the customer.

use crate::id::FulfilmentOrderId;
use futures::future::BoxFuture;

/// Parcels that need labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consignment {
    /// The carrier's idempotency key: asked again with the same one, it answers with the same labels.
    pub key: FulfilmentOrderId,
    /// The fulfilment order's number.
    pub number: i64,
    /// Weight of each parcel in grams, from parcel 1 on; 0: unknown.
    pub weights: Vec<i64>,
}

/// Why there are no labels.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CarrierError {
    /// It did not answer, or not in time: whether labels exist is not known. Ask again with the same key.
    #[error("the carrier does not answer: {0}")]
    Unavailable(String),
    /// It will not carry these parcels; asking again does not help.
    #[error("the carrier refuses: {0}")]
    Refused(String),
}

/// Makes labels. The service is built with one; what it has booked with another stays with that other.
pub trait Carrier: Send + Sync + 'static {
    /// Short and stable: kept with each parcel.
    fn name(&self) -> &'static str;

    /// A tracking number for each parcel, in their order. Never called inside a transaction.
    fn book<'a>(&'a self, consignment: &'a Consignment) -> BoxFuture<'a, Result<Vec<String>, CarrierError>>;
}

/// A carrier that carries nothing: it makes tracking numbers out of the consignment's own and asks nobody. For history that
/// is replayed, for goods that no carrier takes, and until a real carrier is connected.
#[derive(Clone, Copy, Debug)]
pub struct Simulated;

impl Simulated {
    /// Its name.
    pub const NAME: &'static str = "simulated";

    /// The tracking number of a parcel: "SIM", the fulfilment order's number, the parcel's, and a check digit (Luhn) that
    /// shows a mistyped digit.
    pub fn tracking_number(number: i64, parcel_no: i32) -> String {
        let digits = format!("{number:09}{parcel_no:04}");
        format!("SIM{digits}{}", luhn(&digits))
    }
}

impl Carrier for Simulated {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn book<'a>(&'a self, consignment: &'a Consignment) -> BoxFuture<'a, Result<Vec<String>, CarrierError>> {
        let labels =
            (1..).zip(&consignment.weights).map(|(no, _)| Self::tracking_number(consignment.number, no)).collect();
        Box::pin(std::future::ready(Ok(labels)))
    }
}

/// The Luhn check digit (ISO/IEC 7812-1) of a number.
fn luhn(digits: &str) -> u32 {
    let doubled = |digit: u32| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u32 = digits
        .chars()
        .rev()
        .filter_map(|c| c.to_digit(10))
        .enumerate()
        .map(|(place, digit)| if place % 2 == 0 { doubled(digit) } else { digit })
        .sum();
    (10 - sum % 10) % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_digit_is_luhns() {
        assert_eq!(luhn("7992739871"), 3, "the textbook's example");
        assert_eq!(Simulated::tracking_number(123, 1), "SIM00000012300018");
    }

    #[test]
    fn every_wrong_digit_shows() {
        let digits = "0000001230001";
        for place in 0..digits.len() {
            for wrong in '0'..='9' {
                let mut other: Vec<char> = digits.chars().collect();
                if other[place] == wrong {
                    continue;
                }
                other[place] = wrong;
                assert_ne!(luhn(&other.into_iter().collect::<String>()), luhn(digits), "place {place}, digit {wrong}");
            }
        }
    }

    #[test]
    fn numbers_of_different_parcels_differ() {
        let mut numbers: Vec<String> =
            (1..=20).flat_map(|n| (1..=20).map(move |p| Simulated::tracking_number(n, p))).collect();
        numbers.sort();
        numbers.dedup();
        assert_eq!(numbers.len(), 400);
    }
}
