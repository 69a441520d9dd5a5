//! What is kept of what a command prints.

/// Kept of each stream of each seat, in bytes; what is printed beyond is counted out, not held.
const KEPT: usize = 256 << 10;

/// One stream, up to a bound.
#[derive(Default)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    pub(super) cut: bool,
}

impl Kept {
    /// Keeps what there is room for, and returns it; none when there is none.
    pub(super) fn keep(&mut self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let room = KEPT - self.bytes.len();
        if bytes.len() > room {
            self.cut = true;
            bytes.truncate(room);
        }
        self.bytes.extend_from_slice(&bytes);
        (!bytes.is_empty()).then_some(bytes)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut kept = Kept::default();
        assert_eq!(kept.keep(vec![1; KEPT - 1]).map(|bytes| bytes.len()), Some(KEPT - 1));
        assert!(!kept.cut);
        assert_eq!(kept.keep(vec![1; 5]).map(|bytes| bytes.len()), Some(1));
        assert!(kept.cut);
        assert_eq!(kept.keep(vec![1; 5]), None);
    }
}
