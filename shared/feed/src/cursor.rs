//! A place in a feed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// A place in a feed: after the event with this transaction and sequence number. Opaque to readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) epoch: Uuid,
    pub(crate) xid: u64,
    pub(crate) seq: i64,
}

impl Cursor {
    pub(crate) fn start(epoch: Uuid) -> Self {
        Self { epoch, xid: 0, seq: 0 }
    }

    pub(crate) fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{}.{}", self.epoch.simple(), self.xid, self.seq))
    }

    /// None where the text is not a cursor.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = text.split('.');
        let cursor = Self {
            epoch: Uuid::try_parse(parts.next()?).ok()?,
            xid: parts.next()?.parse().ok()?,
            seq: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nonsense_is_none() {
        let cursor = Cursor { epoch: Uuid::now_v7(), xid: u64::MAX, seq: 7 };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        for nonsense in ["", "x", "eC4xLjI", &URL_SAFE_NO_PAD.encode("a.b.c")] {
            assert_eq!(Cursor::decode(nonsense), None);
        }
    }
}
