//! The name that was probably meant, where one was given that nothing has. Pure.

/// More edits than these make another word of it.
const MOST: usize = 3;

/// Of the names there are, the one that takes the fewest edits to become, if that is few enough to be meant.
pub fn meant<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|name| (distance(given, name), name)).min();
    near.filter(|(edits, name)| *edits <= MOST && *edits < name.chars().count()).map(|(_, name)| name)
}

/// Edits between two words.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let best = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = best;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["debian-12", "ubuntu-22.04", "w11"];
        assert_eq!(meant("debian-12x", known), Some("debian-12"));
        assert_eq!(meant("ubuntu-22.40", known), Some("ubuntu-22.04"));
        assert_eq!(meant("gentoo", known), None);
        assert_eq!(meant("", known), None, "of a short name nothing would be left");
    }
}
