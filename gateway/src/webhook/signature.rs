//! Signatures as Standard Webhooks has them: <https://github.com/standard-webhooks/standard-webhooks>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// What a signing secret begins with when it is written down.
const PREFIX: &str = "whsec_";
/// The bytes a signing secret may have.
const SHORTEST: usize = 24;
const LONGEST: usize = 64;

/// A signing secret.
pub(super) struct Secret(SecretSlice<u8>);

impl Secret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// What is wrong with it, without showing it.
    pub(super) fn parse(text: &SecretString) -> Result<Self, String> {
        let encoded = text.expose_secret().strip_prefix(PREFIX).ok_or_else(|| format!("does not begin with {PREFIX}"))?;
        let bytes = STANDARD.decode(encoded).map_err(|_| format!("is not base64 behind {PREFIX}"))?;
        if !(SHORTEST..=LONGEST).contains(&bytes.len()) {
            return Err(format!("has {} bytes, not {SHORTEST} to {LONGEST}", bytes.len()));
        }
        Ok(Self(bytes.into()))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("a key of any length will do");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_signed_as_it_says() {
        let secret = Secret::parse(&"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()).unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn what_is_no_secret_is_refused_and_not_shown() {
        for (text, reason) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "does not begin with whsec_"),
            ("whsec_not base64!", "is not base64 behind whsec_"),
            ("whsec_c2hvcnQ=", "has 5 bytes, not 24 to 64"),
        ] {
            assert_eq!(Secret::parse(&text.into()).err().as_deref(), Some(reason));
        }
    }
}
