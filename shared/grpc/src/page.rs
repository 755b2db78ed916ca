//! Pages of a list: a size within bounds and an opaque token that remembers the last key.

use crate::Violations;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Rows of a page: `requested`, or 50 for 0; 1 to 1,000.
pub fn size(violations: &mut Violations, requested: i32) -> i64 {
    match requested {
        0 => 50,
        n => i64::from(violations.within("page_size", n, 1, 1000)),
    }
}

/// A token that holds the parts of the last row's key.
pub fn token(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(parts.join("\u{1f}"))
}

/// The key in a token: none for the first page (empty token); a violation where it is not a token of `parts` parts.
pub fn key(violations: &mut Violations, token: &str, parts: usize) -> Option<Vec<String>> {
    if token.is_empty() {
        return None;
    }
    let text = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let key: Option<Vec<String>> = text.map(|t| t.split('\u{1f}').map(str::to_owned).collect());
    match key {
        Some(key) if key.len() == parts => Some(key),
        _ => {
            violations.add("page_token", "must come from the answer to the same request");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_its_key_and_nonsense_is_refused() {
        let mut v = Violations::new();
        assert_eq!(key(&mut v, &token(&["a b", "ü"]), 2).unwrap(), ["a b", "ü"]);
        assert_eq!(key(&mut v, "", 2), None);
        assert!(v.is_empty());
        key(&mut v, "???", 2);
        key(&mut v, &token(&["a"]), 2);
        assert_eq!(v.as_slice().len(), 2);
    }
}
