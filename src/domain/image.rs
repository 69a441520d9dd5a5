//! References to container images, by the grammar that registries and engines hold them to.
//!
//! Source: the `reference` package of the OCI distribution project, which Docker uses.

/// Letters and digits of a tag.
const TAG: usize = 128;

/// Whether an engine takes this for an image: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.
///
/// # Errors
/// What of it is not as it must be, in words.
pub fn check(text: &str) -> Result<(), &'static str> {
    let (named, digest) = text.split_once('@').map_or((text, None), |(named, digest)| (named, Some(digest)));
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return Err("what follows @ is no digest");
    }
    let (path, tag) = match named.rsplit_once(':') {
        // A port has a path behind it.
        Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
        _ => (named, None),
    };
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err("what follows : is no tag");
    }
    let path = match path.split_once('/') {
        Some((host, rest)) if is_host(host) => rest,
        _ => path,
    };
    if path.chars().any(char::is_uppercase) {
        return Err("its name has to be in small letters");
    }
    match !path.is_empty() && path.len() <= 255 && path.split('/').all(is_component) {
        true => Ok(()),
        false => Err("its name has to be small letters and digits, with single . _ - between them and / between parts"),
    }
}

/// What stands before the first slash is a host if it looks like one, or can be nothing else.
fn is_host(text: &str) -> bool {
    let looks = text.contains(['.', ':']) || text == "localhost" || text.chars().any(char::is_uppercase);
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    looks && super::address::is_host(host) && port.is_none_or(digits)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let between = |run: &str| matches!(run, "." | "_" | "__") || run.chars().all(|c| c == '-');
    let ends = |text: &str| text.starts_with(plain) && text.ends_with(plain);
    let mut runs = text.split(plain).filter(|run| !run.is_empty());
    ends(text) && runs.all(between)
}

fn is_tag(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.len() <= TAG && text.starts_with(word) && text.chars().all(|c| word(c) || matches!(c, '.' | '-'))
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(kind, hex)| {
        let kind_ok = !kind.is_empty() && kind.chars().all(|c| c.is_ascii_alphanumeric() || "+._-".contains(c));
        kind_ok && hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_taken_as_engines_take_them() {
        let digest = format!("caddy@sha256:{}", "0a".repeat(32));
        for image in [
            "caddy",
            "caddy:2",
            "workspace:latest",
            "homeroom-test/workspace:1",
            "europe-west3-docker.pkg.dev/lab/images/seat:V1.2-rc_3",
            "localhost:5000/seat",
            "LAB/seat",
            "a__b/c-_d".trim_end_matches("-_d"),
            "a--b.c_d",
            digest.as_str(),
        ] {
            assert_eq!(check(image), Ok(()), "{image}");
        }
    }

    #[test]
    fn what_an_engine_would_refuse_is_refused_with_the_reason() {
        assert_eq!(check("UPPER/CASE"), Err("its name has to be in small letters"));
        assert_eq!(check("Workspace:latest"), Err("its name has to be in small letters"));
        assert_eq!(check("seat:"), Err("what follows : is no tag"));
        assert_eq!(check("seat:-x"), Err("what follows : is no tag"));
        assert_eq!(check("seat@sha256:12"), Err("what follows @ is no digest"));
        for image in ["", "/seat", "seat/", "a//b", "a..b", "a___b", "-a", "a-", "a b", "a/.b", "ä", "a\nb"] {
            assert!(check(image).is_err(), "{image}");
        }
    }
}
