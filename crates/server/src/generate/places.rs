//! Where generated people live and what they are called there.
//!
//! `places.txt` has four lines for each country: its name, its language and how its phone numbers begin; cities; given
//! names; family names. Names stand with the ASCII form of which emails are made. The order and the content of that file
//! are part of what makes generated files the same every time.

use std::sync::LazyLock;

/// A country with names that fit.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) country: &'static str,
    pub(super) language: &'static str,
    /// How phone numbers begin.
    pub(super) dial: &'static str,
    pub(super) cities: Vec<&'static str>,
    pub(super) given: Vec<Name>,
    pub(super) family: Vec<Name>,
}

/// A name, and what it is in an email.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) text: &'static str,
    pub(super) ascii: &'static str,
}

/// Every place there is.
pub(super) static PLACES: LazyLock<Vec<Place>> = LazyLock::new(|| {
    let mut lines = include_str!("places.txt").lines().map(parts);
    std::iter::from_fn(|| place(lines.next()?, lines.next()?, lines.next()?, lines.next()?)).collect()
});

fn parts(line: &'static str) -> Vec<&'static str> {
    line.split(';').map(str::trim).collect()
}

fn place(
    country: Vec<&'static str>,
    cities: Vec<&'static str>,
    given: Vec<&'static str>,
    family: Vec<&'static str>,
) -> Option<Place> {
    let &[country, language, dial] = country.as_slice() else {
        return None;
    };
    Some(Place {
        country,
        language,
        dial,
        cities,
        given: given.into_iter().filter_map(name).collect(),
        family: family.into_iter().filter_map(name).collect(),
    })
}

fn name(text: &'static str) -> Option<Name> {
    let (text, ascii) = text.split_once('=')?;
    Some(Name { text, ascii })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_whole() {
        assert_eq!(PLACES.len(), include_str!("places.txt").lines().count() / 4);
        for place in PLACES.iter() {
            assert!(place.cities.len() >= 5, "{}", place.country);
            for name in place.given.iter().chain(&place.family) {
                assert!(!name.text.is_empty() && !name.text.contains(['"', ',']));
                let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
                assert!(!name.ascii.is_empty() && name.ascii.bytes().all(is_plain), "{}", name.ascii);
            }
            assert!(place.given.len() >= 5 && place.family.len() >= 5, "{}", place.country);
        }
    }
}
