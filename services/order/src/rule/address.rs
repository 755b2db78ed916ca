//! Whether an address can be right: what is missing in it, or does not have the form it has in its country. It is not
//! looked up: a right form is no proof that the place is there.

use pesan_api::r#type::v1::Address;
use regex::Regex;
use std::sync::LazyLock;

/// The forms of postal codes, by ISO 3166-1 alpha-2 code, of countries where nearly every address has one. After the
/// postal code patterns of the Unicode CLDR (supplemental/postalCodeData.xml, CLDR 26), those that changed since brought up
/// to date after the Universal Postal Union's addressing sheets (South Korea's five digits of 2015, Ireland's Eircode).
const POSTAL_CODES: [(&str, &str); 33] = [
    ("AT", r"^\d{4}$"),
    ("AU", r"^\d{4}$"),
    ("BE", r"^\d{4}$"),
    ("BR", r"^\d{5}-?\d{3}$"),
    ("CA", r"^[ABCEGHJKLMNPRSTVXY]\d[ABCEGHJ-NPRSTV-Z] ?\d[ABCEGHJ-NPRSTV-Z]\d$"),
    ("CH", r"^\d{4}$"),
    ("CN", r"^\d{6}$"),
    ("CZ", r"^\d{3} ?\d{2}$"),
    ("DE", r"^\d{5}$"),
    ("DK", r"^\d{4}$"),
    ("ES", r"^\d{5}$"),
    ("FI", r"^\d{5}$"),
    ("FR", r"^\d{2} ?\d{3}$"),
    ("GB", r"^(GIR ?0AA|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2})$"),
    ("GR", r"^\d{3} ?\d{2}$"),
    ("HU", r"^\d{4}$"),
    ("ID", r"^\d{5}$"),
    ("IE", r"^[A-Z]\d[\dW] ?[A-Z\d]{4}$"),
    ("IN", r"^\d{3} ?\d{3}$"),
    ("IT", r"^\d{5}$"),
    ("JP", r"^\d{3}-?\d{4}$"),
    ("KR", r"^\d{5}$"),
    ("LU", r"^(L-)?\d{4}$"),
    ("MX", r"^\d{5}$"),
    ("NL", r"^\d{4} ?[A-Z]{2}$"),
    ("NO", r"^\d{4}$"),
    ("NZ", r"^\d{4}$"),
    ("PL", r"^\d{2}-\d{3}$"),
    ("PT", r"^\d{4}(-\d{3})?$"),
    ("SE", r"^\d{3} ?\d{2}$"),
    ("SG", r"^\d{6}$"),
    ("SK", r"^\d{3} ?\d{2}$"),
    ("US", r"^\d{5}([ -]\d{4})?$"),
];

/// All of them compiled; one that did not compile would be missing, which the tests would show.
static FORMS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    let compiled = POSTAL_CODES.iter().filter_map(|(country, form)| Some((*country, Regex::new(form).ok()?)));
    compiled.collect()
});

/// What is missing or implausible, each as "field: what"; nothing where the address can be right.
pub fn problems(address: &Address) -> Vec<String> {
    let mut problems = Vec::new();
    let is_blank = |text: &str| !text.chars().any(char::is_alphanumeric);
    if is_blank(&address.recipient) {
        problems.push("recipient: is missing".to_owned());
    }
    if address.lines.iter().all(|line| is_blank(line)) {
        problems.push("lines: the street is missing".to_owned());
    }
    let country = address.country.trim().to_ascii_uppercase();
    if is_blank(&country) {
        problems.push("country: is missing".to_owned());
    }
    if let Some((_, form)) = FORMS.iter().find(|(known, _)| *known == country) {
        let code = address.postal_code.trim().to_uppercase();
        if code.is_empty() {
            problems.push("postal_code: is missing".to_owned());
        } else if !form.is_match(&code) {
            problems.push(format!("postal_code: is no postal code of {country}"));
        }
    }
    if !address.email.is_empty() && !is_email(&address.email) {
        problems.push("email: is no e-mail address".to_owned());
    }
    problems
}

/// Something, an @, and a name with a dot: what every address has that mail can be sent to from elsewhere.
fn is_email(text: &str) -> bool {
    let Some((who, host)) = text.rsplit_once('@') else { return false };
    let labels: Vec<&str> = host.split('.').collect();
    !who.is_empty()
        && !text.chars().any(char::is_whitespace)
        && labels.len() > 1
        && labels.iter().all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(country: &str, postal_code: &str) -> Address {
        Address {
            recipient: "Ann".into(),
            lines: vec!["1 High Street".into()],
            country: country.into(),
            postal_code: postal_code.into(),
            ..Default::default()
        }
    }

    #[test]
    fn every_form_can_be_met_and_missed() {
        assert_eq!(FORMS.len(), POSTAL_CODES.len());
        for (country, code) in [
            ("AT", "1010"),
            ("AU", "2000"),
            ("BE", "1000"),
            ("BR", "01310-100"),
            ("CA", "K1A 0B1"),
            ("CH", "8001"),
            ("CN", "100000"),
            ("CZ", "110 00"),
            ("DE", "10115"),
            ("DK", "1050"),
            ("ES", "28013"),
            ("FI", "00100"),
            ("FR", "75001"),
            ("GB", "SW1A 1AA"),
            ("GR", "105 57"),
            ("HU", "1051"),
            ("ID", "10110"),
            ("IE", "D02 AF30"),
            ("IN", "110001"),
            ("IT", "00184"),
            ("JP", "100-0001"),
            ("KR", "04524"),
            ("LU", "1111"),
            ("MX", "06000"),
            ("NL", "1012 JS"),
            ("NO", "0150"),
            ("NZ", "6011"),
            ("PL", "00-001"),
            ("PT", "1100-148"),
            ("SE", "111 29"),
            ("SG", "018956"),
            ("SK", "811 01"),
            ("US", "20500-0003"),
        ] {
            assert_eq!(problems(&address(country, code)), Vec::<String>::new(), "{country} {code}");
            assert_eq!(problems(&address(country, &code.to_lowercase())), Vec::<String>::new());
            let wrong = format!("postal_code: is no postal code of {country}");
            assert_eq!(problems(&address(country, "1-2-3")), [wrong], "{country}");
            assert_eq!(problems(&address(country, "")), ["postal_code: is missing"], "{country}");
        }
        for code in ["M1 1AE", "B33 8TH", "CR2 6XH", "DN55 1PT", "W1A0AX", "EC1A 1BB"] {
            assert!(problems(&address("gb", code)).is_empty(), "{code}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let empty = Address { country: "HK".into(), email: "ann@shop".into(), ..Default::default() };
        assert_eq!(
            problems(&empty),
            ["recipient: is missing", "lines: the street is missing", "email: is no e-mail address"]
        );
        assert!(problems(&address("Channel Islands", "")).is_empty(), "a country that is not known by code");
        assert_eq!(problems(&Address { recipient: " - ".into(), ..address("HK", "") }), ["recipient: is missing"]);
        for email in ["a b@c.d", "@c.d", "a@.d", "a@c.", "a@-c.d", "a"] {
            assert!(!is_email(email), "{email}");
        }
        assert!(is_email("a.b+c@mail.example.co.uk"));
    }
}
