//! What Twilio posts when somebody presses a key in a call or answers a text message: a form, signed with the account's token.
//! <https://www.twilio.com/docs/voice/twiml/gather>, <https://www.twilio.com/docs/messaging/guides/webhook-request>,
//! <https://www.twilio.com/docs/usage/security#validating-requests>

use super::crypt::{b64, hmac_sha1};
use super::twiml;

/// A request of Twilio's.
#[derive(Debug, Clone)]
pub struct Posted {
    /// The address, as it was given to Twilio.
    pub url: String,
    /// The form.
    pub body: String,
    /// `X-Twilio-Signature`.
    pub signature: String,
}

/// A call that was placed, as its callee goes through it.
#[derive(Debug, Clone)]
pub struct Placed {
    pub sid: String,
    pub to: String,
    pub from: String,
    pub account: String,
    /// What is being said now: of a `<Gather>` a key leads on.
    pub twiml: String,
}

impl Placed {
    /// The callee presses a key; `None` when nothing waits for one.
    pub fn press(&self, token: &str, key: &str) -> Option<Posted> {
        let action = twiml::action(&self.twiml)?;
        let fields = [
            ("AccountSid", self.account.as_str()),
            ("ApiVersion", "2010-04-01"),
            ("CallSid", &self.sid),
            ("CallStatus", "in-progress"),
            ("Called", &self.to),
            ("Caller", &self.from),
            ("Digits", key),
            ("Direction", "outbound-api"),
            ("FinishedOnKey", ""),
            ("From", &self.from),
            ("To", &self.to),
            ("msg", "Gather End"),
        ];
        Some(post(token, &action, &fields))
    }
}

/// Somebody sends a text message to a number whose messages go to this address.
pub fn text(token: &str, url: &str, sid: &str, from: &str, body: &str) -> Posted {
    let fields = [
        ("AccountSid", "AC1"),
        ("ApiVersion", "2010-04-01"),
        ("Body", body),
        ("From", from),
        ("MessageSid", sid),
        ("NumMedia", "0"),
        ("To", "+15005550006"),
    ];
    post(token, url, &fields)
}

fn post(token: &str, url: &str, fields: &[(&str, &str)]) -> Posted {
    let mut sorted = fields.to_vec();
    sorted.sort_unstable();
    let signed = sorted.iter().fold(url.to_owned(), |all, (name, value)| all + name + value);
    let mut form = reqwest::Url::parse("http://form/").unwrap();
    form.query_pairs_mut().extend_pairs(fields);
    Posted { url: url.to_owned(), body: form.query().unwrap().to_owned(), signature: b64(&hmac_sha1(token.as_bytes(), signed.as_bytes())) }
}
