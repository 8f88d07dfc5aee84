//! Email addresses: what is accepted, and when two are the same.

use crate::text::fold;

/// The longest address accepted, in bytes (RFC 5321, section 4.5.3.1.3).
pub const MAX_EMAIL_BYTES: usize = 254;

/// Trims an address and says whether it can be one: one `@` with something before it, a domain after it whose labels
/// are not empty, and nowhere white space, anything that cannot be seen, quotation marks or what RFC 5322 (section 3.2.3)
/// keeps for other uses, such as the `:` of `mailto:`.
///
/// The rule is deliberately wide: an importer that refuses an address that works is worse than one that keeps an
/// address that bounces. But two addresses that look the same must not be two users.
pub fn parse_email(text: &str) -> Option<&str> {
    let email = text.trim();
    let (local, domain) = email.rsplit_once('@')?;
    let valid = email.len() <= MAX_EMAIL_BYTES
        && !local.is_empty()
        && !local.contains('@')
        && !domain.is_empty()
        && domain.split('.').all(|label| !label.is_empty())
        && !email.chars().any(|c| c.is_whitespace() || c.is_control() || is_invisible(c) || is_punctuation(c));
    valid.then_some(email)
}

/// Characters that leave no mark: soft hyphens, joins of nothing, marks of direction.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_punctuation(c: char) -> bool {
    matches!(c, ',' | ';' | ':' | '<' | '>' | '(' | ')' | '[' | ']' | '\\' | '"' | '“' | '”' | '„' | '«' | '»')
}

/// The form in which two addresses are compared: trimmed and folded.
pub fn email_key(email: &str) -> String {
    fold(email.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_address_in_another_case_or_form_has_the_same_key() {
        assert_eq!(email_key(" Ann@Example.COM "), "ann@example.com");
        assert_eq!(email_key("JOSE\u{301}@x.org"), email_key("jos\u{e9}@x.org"));
        assert_eq!(email_key("ÅSA@x.se"), "åsa@x.se");
        assert_ne!(email_key("аnn@x.org"), email_key("ann@x.org"), "a Cyrillic letter is another letter");
    }

    #[test]
    fn what_can_not_be_an_address_is_refused() {
        for good in ["a@b", "a+b@c.de", "o'neil@x.org", "用户@例子.广告"] {
            assert_eq!(parse_email(good), Some(good));
        }
        for bad in ["", " ", "a", "@b.c", "a@", "a@b@c", "a b@c.d", "a@b..c", "a@.b", "a\u{0}@b.c", "<a@b.c>"] {
            assert_eq!(parse_email(bad), None, "{bad:?}");
        }
        for odd in ["mailto:a@b.c", "“a@b.c”", "a\u{200b}@b.c", "\u{202e}a@b.c", "a@b.c\u{feff}x", "a(b)@c.d"] {
            assert_eq!(parse_email(odd), None, "{odd:?}");
        }
        assert_eq!(parse_email(&format!("{}@x.org", "a".repeat(300))), None);
    }
}
