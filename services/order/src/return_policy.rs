//! Return policies: what may be returned, how long, and at what price.

use crate::rma::ReturnRequest;
use pesan_api::order::v1::{ReturnPayer, ReturnResolution};
use rust_decimal::Decimal;
use time::{Date, Duration, Month, OffsetDateTime};

/// A policy; see `pesan.order.v1.ReturnPolicy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its key.
    pub name: String,
    /// Lower goes first.
    pub rank: i32,
    /// Empty: every one.
    pub channels: Vec<String>,
    /// Empty: every one; "" is guests.
    pub segments: Vec<String>,
    /// 0: no limit.
    pub window_days: i32,
    /// For repairs and replacements; 0: `window_days` counts.
    pub warranty_months: i32,
    /// Empty: every reason, on the terms of `otherwise`.
    pub reasons: Vec<Terms>,
    /// Where no reasons are named.
    pub otherwise: Terms,
    /// Exchanges are sent before the goods are back.
    pub advance_exchange: bool,
    /// Sends repaired goods back; may be empty.
    pub repair_service_sku: String,
}

/// On which terms a reason is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Empty where every reason is meant.
    pub reason: String,
    /// Empty: all.
    pub resolutions: Vec<ReturnResolution>,
    /// Who pays for the way back.
    pub payer: ReturnPayer,
    /// Percent, 0 to 100.
    pub fee: Decimal,
    /// A person must approve it.
    pub needs_approval: bool,
}

/// What a policy makes of a return.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Restocking fee of each line, in percent.
    pub fees: Vec<Decimal>,
    /// A person must approve it.
    pub needs_approval: bool,
    /// Its window had closed, but somebody took responsibility.
    pub overridden: bool,
}

/// Why a policy refuses a return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAllowed {
    /// It came too late: the window closed then.
    WindowClosed(OffsetDateTime),
    /// The line at this place has a reason that is not accepted.
    Reason(usize),
    /// The line at this place has a reason for which this is not to be had.
    Resolution(usize),
}

/// The first policy, by rank and name, that fits an order; `policies` are in that order.
pub fn fitting<'a>(policies: &'a [Policy], channel: &str, segment: &str) -> Option<&'a Policy> {
    let names = |list: &[String], name: &str| list.is_empty() || list.iter().any(|one| one == name);
    policies.iter().find(|policy| names(&policy.channels, channel) && names(&policy.segments, segment))
}

impl Policy {
    /// What it makes of a return of an order that arrived (or at least left) at `since`; none: nothing has left yet, and
    /// there is no window.
    ///
    /// # Errors
    /// Why it is refused; the window first.
    pub fn judge(&self, request: &ReturnRequest, since: Option<OffsetDateTime>) -> Result<Judgement, NotAllowed> {
        let closes_at = since.and_then(|since| self.closes_at(request.resolution, since));
        let late = closes_at.filter(|closes_at| request.requested_at > *closes_at);
        if let Some(closes_at) = late.filter(|_| request.window_override.is_none()) {
            return Err(NotAllowed::WindowClosed(closes_at));
        }
        let mut judgement = Judgement { overridden: late.is_some(), ..Judgement::default() };
        for (place, line) in request.lines.iter().enumerate() {
            let terms = match self.reasons.is_empty() {
                true => &self.otherwise,
                false => {
                    let known = self.reasons.iter().find(|terms| terms.reason == line.reason);
                    known.ok_or(NotAllowed::Reason(place))?
                }
            };
            if !terms.resolutions.is_empty() && !terms.resolutions.contains(&request.resolution) {
                return Err(NotAllowed::Resolution(place));
            }
            judgement.needs_approval |= terms.needs_approval;
            judgement.fees.push(terms.fee);
        }
        Ok(judgement)
    }

    fn closes_at(&self, resolution: ReturnResolution, since: OffsetDateTime) -> Option<OffsetDateTime> {
        let is_warranty = matches!(resolution, ReturnResolution::Repair | ReturnResolution::Replacement);
        if is_warranty && self.warranty_months > 0 {
            return months_after(since, self.warranty_months);
        }
        (self.window_days > 0).then(|| since.saturating_add(Duration::days(self.window_days.into())))
    }
}

/// The same day and time so many calendar months later, or the last day of that month. None past the calendar's end.
fn months_after(since: OffsetDateTime, months: i32) -> Option<OffsetDateTime> {
    let date = since.date();
    let count = date.year() * 12 + i32::from(u8::from(date.month())) - 1 + months;
    let month = Month::try_from(u8::try_from(count.rem_euclid(12)).ok()? + 1).ok()?;
    let year = count.div_euclid(12);
    let day = date.day().min(month.length(year));
    Some(since.replace_date(Date::from_calendar_date(year, month, day).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::OrderName;
    use crate::rma::{ReturnRequestLine, WindowOverride};
    use pesan_api::order::v1::ReturnHandling;
    use time::macros::datetime;

    fn terms(reason: &str, resolutions: &[ReturnResolution], fee: i64, needs_approval: bool) -> Terms {
        Terms {
            reason: reason.into(),
            resolutions: resolutions.to_vec(),
            payer: ReturnPayer::Unspecified,
            fee: fee.into(),
            needs_approval,
        }
    }

    fn policy() -> Policy {
        Policy {
            name: "web".into(),
            rank: 1,
            channels: vec!["web".into()],
            segments: vec![],
            window_days: 30,
            warranty_months: 24,
            reasons: vec![
                terms("DAMAGED", &[], 0, false),
                terms("CHANGED_MIND", &[ReturnResolution::Refund], 15, true),
            ],
            otherwise: terms("", &[], 0, false),
            advance_exchange: false,
            repair_service_sku: String::new(),
        }
    }

    fn request(resolution: ReturnResolution, reasons: &[&str], requested_at: OffsetDateTime) -> ReturnRequest {
        let line = |reason: &&str| ReturnRequestLine { reason: (*reason).into(), quantity: 1, ..Default::default() };
        ReturnRequest {
            order: OrderName::Number(1),
            external_id: String::new(),
            lines: reasons.iter().map(line).collect(),
            handling: ReturnHandling::Inspect,
            requested_at,
            resolution,
            wish: None,
            window_override: None,
        }
    }

    const SINCE: OffsetDateTime = datetime!(2026-01-31 10:00 UTC);

    #[test]
    fn the_first_fitting_policy_judges() {
        let everybody = Policy { name: "all".into(), rank: 2, channels: vec![], ..policy() };
        let guests = Policy { name: "guests".into(), rank: 0, segments: vec![String::new()], ..policy() };
        let policies = [guests, policy(), everybody];
        let name = |channel, segment| fitting(&policies, channel, segment).map(|policy| policy.name.as_str());
        assert_eq!([name("web", ""), name("web", "vip"), name("edi", "")], [Some("guests"), Some("web"), Some("all")]);
        assert_eq!(fitting(&policies[..2], "edi", "vip"), None);
    }

    #[test]
    fn reasons_have_terms_and_the_strictest_of_a_return_count() {
        let ask = |resolution, reasons: &[&str]| policy().judge(&request(resolution, reasons, SINCE), Some(SINCE));
        let judged = ask(ReturnResolution::Refund, &["DAMAGED", "CHANGED_MIND"]).unwrap();
        assert_eq!((judged.fees, judged.needs_approval), (vec![0.into(), 15.into()], true));
        assert_eq!(ask(ReturnResolution::Refund, &["DAMAGED", "BORED"]), Err(NotAllowed::Reason(1)));
        assert_eq!(ask(ReturnResolution::Exchange, &["CHANGED_MIND"]), Err(NotAllowed::Resolution(0)));
        assert!(!ask(ReturnResolution::Exchange, &["DAMAGED"]).unwrap().needs_approval);
    }

    #[test]
    fn the_window_closes_and_a_named_person_can_open_it() {
        let at_close = datetime!(2026-03-02 10:00 UTC);
        let ask = |request: ReturnRequest| policy().judge(&request, Some(SINCE)).map(|judged| judged.overridden);
        assert_eq!(ask(request(ReturnResolution::Refund, &["DAMAGED"], at_close)), Ok(false));
        let mut late = request(ReturnResolution::Refund, &["DAMAGED"], at_close + Duration::SECOND);
        assert_eq!(ask(late.clone()), Err(NotAllowed::WindowClosed(at_close)));
        assert_eq!(policy().judge(&late, None).map(|judged| judged.overridden), Ok(false), "nothing has left");
        late.window_override = Some(WindowOverride { by: "Siti".into(), note: "was ill".into() });
        assert_eq!(ask(late), Ok(true));
    }

    #[test]
    fn a_warranty_counts_calendar_months() {
        assert_eq!(months_after(SINCE, 1), Some(datetime!(2026-02-28 10:00 UTC)));
        assert_eq!(months_after(SINCE, 25), Some(datetime!(2028-02-29 10:00 UTC)));
        let ask = |at| policy().judge(&request(ReturnResolution::Repair, &["DAMAGED"], at), Some(SINCE));
        assert!(ask(datetime!(2028-01-31 10:00 UTC)).is_ok());
        assert!(ask(datetime!(2028-01-31 10:00:01 UTC)).is_err());
    }
}
