//! Signed links to this server's own page of a message.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::plan::{ChannelPlan, Plan};
use crate::channel::{FinalWord, Later};
use crate::model::{MessageId, Secret};

/// The signed read-only page of a message on this server; empty without `external_url`.
pub fn message_url(plan: &Plan, message: MessageId) -> String {
    if plan.external_url.is_empty() {
        return String::new();
    }
    format!("{}/m/{message}?k={}", plan.external_url, signature(&plan.link_key, message))
}

/// Where a channel's platform reports its final status; empty without `external_url`, and for platforms without callbacks.
pub fn callback_url(plan: &Plan, channel: &ChannelPlan) -> String {
    match channel.platform.word {
        FinalWord::Later(Later { calls_back: true, .. }) if !plan.external_url.is_empty() => {
            let name = percent_encoding::utf8_percent_encode(&channel.name, percent_encoding::NON_ALPHANUMERIC);
            format!("{}/receipts/{name}?k={}", plan.external_url, callback_key(&plan.link_key, &channel.name))
        }
        _ => String::new(),
    }
}

/// The secret part of a channel's callback address.
pub fn callback_key(key: &Secret, channel: &str) -> String {
    mac(key, &[b"callback of ", channel.as_bytes()])
}

/// The signature in a message's link: 24 hex digits of HMAC-SHA256 over its id.
pub fn signature(key: &Secret, message: MessageId) -> String {
    mac(key, &[message.0.as_bytes()])
}

fn mac(key: &Secret, parts: &[&[u8]]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes()) else { return String::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes()[..12].iter().map(|b| format!("{b:02x}")).collect()
}
