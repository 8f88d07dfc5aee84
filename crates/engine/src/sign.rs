//! Signatures as Standard Webhooks has them: HMAC-SHA256 over id, time and body, so that whoever receives a delivery
//! knows that it is ours, unchanged and recent.

use crate::clock::random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use muster_core::webhook::Secret;
use sha2::Sha256;

/// What every secret begins with.
const PREFIX: &str = "whsec_";

/// A secret that nobody can guess: 32 random bytes.
pub(crate) fn new_secret() -> Secret {
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(random::<32>())))
}

/// The header `webhook-signature`: a signature by each secret. A secret that is none of ours signs nothing.
pub(crate) fn signatures<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    id: &str,
    seconds: i64,
    body: &[u8],
) -> String {
    let signatures: Vec<String> =
        secrets.into_iter().filter_map(|secret| signature(secret, id, seconds, body)).collect();
    signatures.join(" ")
}

fn signature(secret: &Secret, id: &str, seconds: i64, body: &[u8]) -> Option<String> {
    let key = STANDARD.decode(secret.expose().strip_prefix(PREFIX)?).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{seconds}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's own libraries.
    #[test]
    fn the_example_of_the_specification_is_signed_as_it_says() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            signatures([&secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_secret_has_the_length_that_is_asked_for_and_both_sign_while_one_is_replaced() {
        let (new, old) = (new_secret(), new_secret());
        assert_ne!(new, old);
        let bytes = STANDARD.decode(new.expose().strip_prefix("whsec_").unwrap()).unwrap();
        assert!((24..=64).contains(&bytes.len()));
        let (one, other) = (signatures([&new], "m", 1, b"x"), signatures([&old], "m", 1, b"x"));
        assert_eq!(signatures([&new, &old], "m", 1, b"x"), format!("{one} {other}"));
        assert_ne!(one, signatures([&new], "m", 2, b"x"));
        assert_ne!(one, signatures([&new], "n", 1, b"x"));
        assert_ne!(one, signatures([&new], "m", 1, b"y"));
        assert_eq!(signatures([&Secret::new("plain".to_owned())], "m", 1, b"x"), "");
    }
}
