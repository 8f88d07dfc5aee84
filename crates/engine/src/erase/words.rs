//! Whether a text says what somebody is called.

use muster_core::email::email_key;
use muster_core::error::excerpt;

/// From how many characters on a text means nobody else, wherever it stands; and how many digits a number needs for that, of
/// which files and sentences are full.
const TELLING_CHARS: usize = 6;
const TELLING_DIGITS: usize = 8;

/// Whether a text that names somebody among those of its kind names the same person by itself.
pub(super) fn is_telling(text: &str) -> bool {
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let is_number = text.chars().all(|c| c.is_ascii_digit() || "+-., /".contains(c));
    if is_number { digits >= TELLING_DIGITS } else { text.chars().count() >= TELLING_CHARS }
}

/// A text that is looked for as a whole: not as a part of a longer word, number or address.
pub(super) struct Word {
    /// As sentences show it, folded.
    text: String,
    /// Sentences shorten what is long: then more may follow.
    is_cut: bool,
}

impl Word {
    pub(super) fn new(text: &str) -> Self {
        let shown = excerpt(text);
        let is_cut = shown.ends_with('…');
        Self { text: email_key(shown.trim_end_matches('…')), is_cut }
    }

    /// Whether it stands in a text, which must be folded.
    pub(super) fn is_in(&self, text: &str) -> bool {
        !self.text.is_empty()
            && text.match_indices(&self.text).any(|(at, found)| {
                let (before, after) = (&text[..at], &text[at + found.len()..]);
                !self.goes_on(before.chars().rev()) && (self.is_cut || !self.goes_on(after.chars()))
            })
    }

    /// Whether what stands beside it is a part of the same word: `x.org` goes on in `x.org.uk`, and ends in `x.org.`.
    fn goes_on(&self, mut beside: impl Iterator<Item = char>) -> bool {
        let is_letter = |c: char| c.is_alphanumeric() || c == '_';
        let joins = |c: char| ".-+@".contains(c) || c == ':' && self.text.contains(':');
        match beside.next() {
            Some(c) if is_letter(c) => true,
            Some(c) if joins(c) => beside.next().is_some_and(is_letter),
            Some(_) | None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_as_a_whole_and_not_inside_of_another() {
        for (word, text, is_in) in [
            ("ann@x.org", "the email \"ann@x.org\"", true),
            ("ann@x.org", "mail ann@x.org.", true),
            ("ann@x.org", "mailto:ann@x.org", true),
            ("ann@x.org", "ann@x.org;bob@x.org", true),
            ("ann@x.org", "joann@x.org", false),
            ("ann@x.org", "jo.ann@x.org", false),
            ("ann@x.org", "ann@x.org.uk", false),
            ("ann@x.org", "joann@x.org and ann@x.org", true),
            ("crm:7", "crm:7", true),
            ("crm:7", "\"erp:8;crm:7\"", true),
            ("crm:7", "crm:77", false),
            ("crm:7", "crm:7:en", false),
            ("crm:7", "crm:7.5", false),
            ("12345678", "\"12345678\"", true),
            ("12345678", "12345678.5", false),
            ("12345678", "-12345678", true),
        ] {
            assert_eq!(Word::new(word).is_in(text), is_in, "{word} in {text}");
        }
        let long = "a".repeat(100);
        assert!(Word::new(&long).is_in(&excerpt(&long)) && Word::new(&long).is_in(&long));
    }

    #[test]
    fn short_words_and_numbers_of_few_digits_tell_nothing() {
        for (text, telling) in [
            ("7", false),
            ("123456", false),
            ("12.50", false),
            ("12345678", true),
            ("+49 170 12345", true),
            ("ann", false),
            ("a-10007", true),
            ("annabelle", true),
        ] {
            assert_eq!(is_telling(text), telling, "{text}");
        }
    }
}
