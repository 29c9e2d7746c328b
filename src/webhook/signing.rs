//! Signatures as Standard Webhooks has them.

use std::fmt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use ring::hmac;

use super::WebhookError;

/// Keys to sign with, the current one and those that are being replaced.
#[derive(Clone)]
pub struct SigningKeys(Vec<hmac::Key>);

/// Says how many, never which.
impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKeys({})", self.0.len())
    }
}

impl SigningKeys {
    /// The keys of a text, one a line: `whsec_` and base64, or else the line's bytes as they are.
    pub fn parse(text: &str) -> Result<Self, WebhookError> {
        /// With or without `=` at the end.
        const LENIENT: GeneralPurpose = GeneralPurpose::new(
            &base64::alphabet::STANDARD,
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
        );
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let key = |line: &str| {
            let bytes = match line.strip_prefix("whsec_") {
                None => line.as_bytes().to_vec(),
                Some(encoded) => LENIENT.decode(encoded).unwrap_or_default(),
            };
            if bytes.is_empty() {
                return Err(WebhookError(
                    "a webhook's secret is `whsec_` and base64, or a text of any other kind; what follows `whsec_` is no base64, or nothing".to_owned(),
                ));
            }
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &bytes))
        };
        let keys = lines.map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(WebhookError(
                "a webhook's secret is empty; requests would be signed with nothing".to_owned(),
            ));
        }
        Ok(Self(keys))
    }

    /// The keys of a file.
    pub fn read(path: &Path) -> Result<Self, WebhookError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            WebhookError(format!(
                "failed to read the webhook's secret from `{}`: {error}",
                path.display()
            ))
        })?;
        Self::parse(&text)
    }

    pub(super) fn sign(&self, id: &str, timestamp: i64, body: &str) -> String {
        let signed = format!("{id}.{timestamp}.{body}");
        let signatures: Vec<String> = self
            .0
            .iter()
            .map(|key| format!("v1,{}", STANDARD.encode(hmac::sign(key, signed.as_bytes()))))
            .collect();
        signatures.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_both_spellings() {
        let check = |text: &str, expected: Option<usize>| {
            let keys = SigningKeys::parse(text).ok().map(|keys| keys.0.len());
            assert_eq!(keys, expected, "{text}");
        };
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", Some(1));
        check(
            "whsec_c2VjcmV0\n\n whsec_c2VjcmV0MQ \nplain text\n",
            Some(3),
        );
        check("", None);
        check(" \n", None);
        check("whsec_", None);
        check("whsec_!!!", None);
    }

    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        // The example of the specification's libraries.
        let keys = SigningKeys::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = keys.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            "{\"test\": 2432232314}",
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(!format!("{keys:?}").contains("MfKQ"));
    }
}
