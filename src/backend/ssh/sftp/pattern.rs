//! Names there that stand for several: `*` and `?` in the last part of a path, as a shell there would read them.
//! Knows names alone, and opens nothing.

use std::path::Path;

/// Whether a path's last part stands for what matches it, where nothing has that very name.
pub(super) fn is_pattern(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().iter().any(|byte| matches!(byte, b'*' | b'?')))
}

/// Whether a name matches. One that begins with a dot is meant only where the pattern does too.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut within) = (0, 0);
    // The last star, and the first letter it does not stand for.
    let mut star: Option<(usize, usize)> = None;
    while within < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, within));
                at += 1;
            }
            Some('?') => (at, within) = (at + 1, within + 1),
            Some(letter) if *letter == name[within] => (at, within) = (at + 1, within + 1),
            _ => {
                let Some((behind, from)) = star else { return false };
                star = Some((behind, from + 1));
                (at, within) = (behind + 1, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_letters_and_a_question_mark_for_one() {
        for (pattern, name) in [
            ("*", "a"),
            ("*.txt", "a.b.txt"),
            ("a*b*c", "a1b2bc"),
            ("n?tes", "nötes"),
            ("**", "x"),
            (".*", ".profile"),
            ("a*", "a"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*", ".profile"), ("?", ".a"), ("*.txt", "a.txt.old"), ("a*b", "ac"), ("a?", "a"), ("?", "")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        // No longer than it is long, however it is written.
        assert!(!matches(&"*a".repeat(2000), &"a".repeat(1999)));
    }

    #[test]
    fn only_the_last_part_of_a_path_is_one() {
        for (path, is) in [("work/*.txt", true), ("a?", true), ("*/notes", false), ("notes", false), ("/", false)] {
            assert_eq!(is_pattern(Path::new(path)), is, "{path}");
        }
    }
}
