//! Texts compared without regard to case.

use unicode_normalization::UnicodeNormalization;

/// The form in which texts are compared where case does not matter: NFC, full lower case.
///
/// Computed here and nowhere else; SQL's `lower` differs between databases and knows only ASCII on some.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Lower case may leave a composed form, so normalization comes last as well.
    text.nfc().collect::<String>().to_lowercase().nfc().collect()
}
