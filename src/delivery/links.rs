//! Signed links to this server's own page of a message.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::plan::Plan;
use crate::model::{MessageId, Secret};

/// The signed read-only page of a message on this server; empty without `external_url`.
pub fn message_url(plan: &Plan, message: MessageId) -> String {
    if plan.external_url.is_empty() {
        return String::new();
    }
    format!("{}/m/{message}?k={}", plan.external_url, signature(&plan.link_key, message))
}

/// The signature in a message's link: 24 hex digits of HMAC-SHA256 over its id.
pub fn signature(key: &Secret, message: MessageId) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else { return String::new() };
    mac.update(message.0.as_bytes());
    mac.finalize().into_bytes()[..12].iter().map(|b| format!("{b:02x}")).collect()
}
