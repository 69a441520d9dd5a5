//! Finding by a few letters: they have to come in their order, not side by side. Pure.

/// How well a text answers what was typed, and which of its characters did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// More is better; worth comparing only between texts for the same typed letters.
    pub score: i32,
    /// The characters that matched, rising.
    pub at: Vec<usize>,
}

/// At the beginning of a word.
const WORD: i32 = 8;
/// Right behind the letter before.
const BESIDE: i32 = 5;
/// For each character left out between two letters, up to ten.
const GAP: i32 = 1;

/// Holds a text against typed words: each word's letters in order, the words in any order. Case does not
/// matter. Nothing typed matches everything.
pub fn find(typed: &str, text: &str) -> Option<Match> {
    let text: Vec<char> = text.chars().flat_map(|c| c.to_lowercase().next()).collect();
    let mut found = Match { score: 0, at: Vec::new() };
    for word in typed.split_whitespace() {
        let letters: Vec<char> = word.chars().flat_map(char::to_lowercase).collect();
        let one = best(&letters, &text)?;
        found.score += one.score;
        found.at.extend(one.at);
    }
    found.at.sort_unstable();
    found.at.dedup();
    // Of two that match alike the shorter is meant.
    found.score -= i32::try_from(text.len()).unwrap_or(i32::MAX) / 8;
    Some(found)
}

/// Whether a row answers a `/` filter: each word typed has its letters in their order in one of its names, or stands
/// as it is in one of its longer texts, where letters in order would be found everywhere.
pub fn narrows(typed: &str, names: &[&str], texts: &[&str]) -> bool {
    typed.split_whitespace().all(|word| {
        let whole = word.to_lowercase();
        names.iter().any(|name| find(word, name).is_some())
            || texts.iter().any(|text| text.to_lowercase().contains(&whole))
    })
}

/// The best of the ways that begin at each place of the first letter, each taken greedily.
fn best(letters: &[char], text: &[char]) -> Option<Match> {
    let first = *letters.first()?;
    let starts = text.iter().enumerate().filter(|(_, c)| **c == first).map(|(at, _)| at);
    starts.filter_map(|start| from(letters, text, start)).max_by_key(|found| found.score)
}

fn from(letters: &[char], text: &[char], start: usize) -> Option<Match> {
    let mut found = Match { score: 0, at: Vec::with_capacity(letters.len()) };
    let mut next = start;
    for letter in letters {
        let at = next + text[next..].iter().position(|c| c == letter)?;
        let begins = at == 0 || !text[at - 1].is_alphanumeric() && text[at].is_alphanumeric();
        let gap = found.at.last().map_or(0, |last| at - last - 1);
        found.score += 1 + if begins { WORD } else { 0 };
        found.score += match (found.at.is_empty(), gap) {
            (true, _) => 0,
            (false, 0) => BESIDE,
            (false, gap) => -GAP * i32::try_from(gap.min(10)).unwrap_or(10),
        };
        found.at.push(at);
        next = at + 1;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order<'a>(typed: &str, texts: &[&'a str]) -> Vec<&'a str> {
        let mut found: Vec<_> =
            texts.iter().filter_map(|text| find(typed, text).map(|found| (found.score, *text))).collect();
        found.sort_by_key(|(score, _)| -score);
        found.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn letters_come_in_order_and_words_in_any() {
        assert!(find("dpl", "deploy cs101").is_some());
        assert!(find("lpd", "deploy cs101").is_none());
        assert_eq!(find("101 dep", "deploy cs101"), find("dep 101", "deploy cs101"));
        assert_eq!(find("DC", "deploy cs101").unwrap().at, [0, 7]);
        assert!(find("", "anything").unwrap().at.is_empty());
        assert!(find("a", "").is_none());
    }

    #[test]
    fn a_filter_takes_letters_of_a_name_and_words_of_a_text() {
        let takes = |typed| narrows(typed, &["student-10"], &["clone failed: no room", "pve1"]);
        assert!(takes("") && takes("s10") && takes("st fail") && takes("PVE1 room"));
        assert!(!takes("s11") && !takes("cfail"));
    }

    #[test]
    fn what_begins_words_and_stands_together_comes_first() {
        assert_eq!(order("de", &["open cs100 side", "destroy cs101", "node"])[0], "destroy cs101");
        assert_eq!(order("cs10", &["deploy cs210", "open cs101"])[0], "open cs101");
        assert_eq!(order("log", &["the long log of it", "log"])[0], "log");
    }
}
