//! Words for a POSIX shell.

/// A word in quotes, out of which no shell reads anything.
pub fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_word_it_stays_one() {
        assert_eq!([quoted(""), quoted("$HOME; it's")], ["''", r"'$HOME; it'\''s'"]);
    }
}
