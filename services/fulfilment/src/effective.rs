//! When something took effect.

use crate::error::Error;
use pesan_grpc::Violations;
use time::OffsetDateTime;

/// When a command takes effect: when its caller says, or now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The caller's word.
    pub said: Option<OffsetDateTime>,
    /// The time when the command came.
    pub now: OffsetDateTime,
}

impl Effective {
    /// The time, which is not before `floor`, when the step before it took effect. A caller who says an earlier one is
    /// refused. One who says nothing means now, and if the clock of whoever wrote `floor` is ahead, `floor`.
    pub fn not_before(self, floor: OffsetDateTime) -> Result<OffsetDateTime, Error> {
        match self.said {
            Some(said) if said < floor => {
                let mut violations = Violations::new();
                violations.add("effective_at", format!("must not be before {floor}, when the step before took effect"));
                Err(Error::Invalid(violations))
            }
            Some(said) => Ok(said),
            None => Ok(self.now.max(floor)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn what_is_said_counts_unless_it_is_before_the_step_before() {
        let (earlier, floor, later) =
            (datetime!(2024-01-01 0:00 UTC), datetime!(2024-01-02 0:00 UTC), datetime!(2024-01-03 0:00 UTC));
        let effective = |said, now| Effective { said, now }.not_before(floor);
        assert_eq!(effective(Some(floor), later).unwrap(), floor);
        assert_eq!(effective(None, later).unwrap(), later);
        assert_eq!(effective(None, earlier).unwrap(), floor);
        assert!(matches!(effective(Some(earlier), later), Err(Error::Invalid(_))));
    }
}
