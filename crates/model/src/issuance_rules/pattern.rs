use std::fmt;
use std::str::FromStr;

/// Longest pattern, in characters: a DNS name has at most 253.
pub const PATTERN_CHARS_MAX: usize = 255;

/// A character that no pattern and no accepted name has: it stands for any text in a comparison of
/// patterns.
const ANY_TEXT: char = '\u{0}';

/// A pattern of names, such as `build-*`: each `*` stands for any text, also for none. Letters
/// match only in the same case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePattern(String);

/// Reasons to refuse a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It has no characters, or too many.
    #[error("a pattern has 1 to {PATTERN_CHARS_MAX} characters")]
    Length,
    /// It has a control character, which no accepted name has.
    #[error("a pattern has no control characters")]
    Control,
}

impl FromStr for NamePattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() || text.chars().nth(PATTERN_CHARS_MAX).is_some() {
            return Err(PatternError::Length);
        }
        if text.chars().any(char::is_control) {
            return Err(PatternError::Control);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl NamePattern {
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns true for a name that the pattern describes.
    pub fn matches(&self, name: &str) -> bool {
        matches(&self.0, name.chars())
    }

    /// Returns true for a name that the pattern describes, regardless of the case of ASCII letters,
    /// as DNS compares names.
    pub fn matches_dns(&self, name: &str) -> bool {
        let name = name.chars().map(|letter| letter.to_ascii_lowercase());
        matches(&self.0.to_ascii_lowercase(), name)
    }

    /// Returns true if this pattern describes every name that `other` describes.
    ///
    /// A name in which a character that no pattern has stands for each `*` of `other` decides it: a
    /// pattern that matches this name does so with a `*` at each of these characters, and therefore
    /// matches any text in their places.
    pub fn includes(&self, other: &Self) -> bool {
        matches(&self.0, other.0.chars().map(any_text))
    }

    /// Returns true if this pattern describes every DNS name that `other` describes.
    pub fn includes_dns(&self, other: &Self) -> bool {
        let other = other.0.to_ascii_lowercase();
        matches(&self.0.to_ascii_lowercase(), other.chars().map(any_text))
    }
}

fn any_text(letter: char) -> char {
    if letter == '*' { ANY_TEXT } else { letter }
}

/// Matches a name: in linear time for a `*` at an end, and at most in the product of both lengths.
fn matches(pattern: &str, name: impl Iterator<Item = char>) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.collect();
    let (mut at, mut in_name) = (0, 0);
    // The last `*`, and the end of the text that it stands for.
    let mut star: Option<(usize, usize)> = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
            }
            Some(letter) if *letter == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => match &mut star {
                Some((place, end)) => {
                    *end += 1;
                    at = *place + 1;
                    in_name = *end;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> NamePattern {
        text.parse().unwrap()
    }

    #[test]
    fn patterns_match_names() {
        for (text, name, expected) in [
            ("build-*", "build-7", true),
            ("build-*", "build-", true),
            ("build-*", "Build-7", false),
            ("build-*", "a-build-7", false),
            ("*", "", true),
            ("*", "x", true),
            ("a*b*c", "aXbbYc", true),
            ("a*b*c", "aXbbY", false),
            ("a*a", "a", false),
            ("**a**", "bab", true),
            ("x", "x", true),
            ("x", "xx", false),
            ("gerät-*", "gerät-ß", true),
        ] {
            assert_eq!(pattern(text).matches(name), expected, "{text} {name}");
        }
        assert!(pattern("*.Example.com").matches_dns("a.eXample.com"));
        assert!(!pattern("*.example.com").matches_dns("example.com"));
        for bad in ["", "a\0", "a\nb", &"x".repeat(256)] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_includes_another_exactly_if_it_matches_all_of_its_names() {
        // Every pattern of at most four letters of `a`, `b` and `*`, and every name of at most
        // six letters of an alphabet with one letter more than the patterns have.
        let texts = |letters: &[char], max: usize| {
            let mut all = vec![String::new()];
            let mut last = all.clone();
            for _ in 0..max {
                last = last
                    .iter()
                    .flat_map(|text| letters.iter().map(move |letter| format!("{text}{letter}")))
                    .collect();
                all.extend(last.iter().cloned());
            }
            all
        };
        let patterns: Vec<_> = texts(&['a', 'b', '*'], 3)
            .into_iter()
            .filter_map(|text| text.parse::<NamePattern>().ok())
            .collect();
        let names = texts(&['a', 'b', 'c'], 6);
        for one in &patterns {
            for other in &patterns {
                let mut of_other = names.iter().filter(|name| other.matches(name));
                let all = of_other.all(|name| one.matches(name));
                assert_eq!(one.includes(other), all, "{one} {other}");
            }
        }
    }
}
