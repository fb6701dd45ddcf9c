//! What a platform's client shows of a request body: for the terminal, and as HTML that looks like the client.
//!
//! A platform's file reads its bodies into `Message`, which is blocks of styled text; [`terminal`] and [`html`] write any message. A client shows
//! what it does not know as characters, and so do the readers. Knows bodies, not drivers, templates or alerts.
//!
//! [`html`] is safe to put into a page: every text is escaped, links lead to http(s) only, and nothing is fetched or run. A mail's own HTML is in
//! a frame that may do nothing.

mod blocks;
mod card;
mod html;
mod inline;
mod terminal;

mod chat;
mod dingtalk;
mod discord;
mod feishu;
mod generic;
mod mail;
mod phone;
mod slack;
mod teams;
mod telegram;
#[cfg(test)]
mod tests;
mod wecom;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use card::Message;
pub use html::{STYLE, document};
use inline::Dialect;

/// Whose client it is: clients show times in their reader's zone, and how long ago they are.
#[derive(Debug, Clone)]
pub struct Reader {
    /// The time on the client's clock.
    pub now: Timestamp,
    /// The client's zone.
    pub zone: TimeZone,
}

impl Reader {
    /// A time as a client shows it: `14:03`.
    fn time(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%H:%M").to_string()
    }

    /// A day as a client shows it: `2026-11-23`.
    fn day(&self, at: Timestamp) -> String {
        at.to_zoned_datetime(self.zone.clone()).strftime("%Y-%m-%d").to_string()
    }

    /// How long ago it is: `12 minutes ago`.
    fn ago(&self, at: Timestamp) -> String {
        let minutes = (self.now.as_second() - at.as_second()).max(0) / 60;
        let (n, unit) = match minutes {
            0..60 => (minutes, "minute"),
            60..1440 => (minutes / 60, "hour"),
            _ => (minutes / 1440, "day"),
        };
        format!("{n} {unit}{} ago", if n == 1 { "" } else { "s" })
    }
}

/// A body for the terminal: ANSI styles, links with their addresses, one line end at the end.
pub fn terminal(platform: &str, body: &Value, reader: &Reader) -> String {
    terminal::write(&read(platform, body, reader))
}

/// A body as HTML that looks like the platform's client; [`STYLE`] belongs to it. `platform` is the channel's platform in routes.yaml, or `plain` for a preset
/// that sends plain text.
pub fn html(platform: &str, body: &Value, reader: &Reader) -> String {
    html::write(client(platform), &read(platform, body, reader))
}

/// What a locked phone shows of a body, where the body has a text for it; empty where nobody's client reads it.
pub fn notification(platform: &str, body: &Value, reader: &Reader) -> String {
    if matches!(platform, "log" | "webhook") { String::new() } else { read(platform, body, reader).notification }
}

/// The class of a platform's client in [`STYLE`].
fn client(platform: &str) -> &'static str {
    match platform {
        "slack" => "slack",
        "dingtalk" | "dingtalk_card" => "dingtalk",
        "wecom" | "wecom_bot" | "wecom_robot" => "wecom",
        "feishu" => "feishu",
        "telegram" => "telegram",
        "discord" => "discord",
        "teams" => "teams",
        "email" => "mail",
        "twilio_sms" | "aliyun_sms" | "tencent_sms" => "sms",
        "twilio_voice" | "aliyun_voice" | "tencent_voice" | "dingtalk_call" => "call",
        _ => "card",
    }
}

fn read(platform: &str, body: &Value, reader: &Reader) -> Message {
    match platform {
        "slack" => slack::read(body, reader),
        "dingtalk" => dingtalk::read(body, reader),
        "dingtalk_card" => dingtalk::card(body, reader),
        "wecom" | "wecom_bot" | "wecom_robot" => wecom::read(body, reader),
        "feishu" => feishu::read(body, reader),
        "telegram" => telegram::read(body, reader),
        "discord" => discord::read(body, reader),
        "teams" => teams::read(body, reader),
        "email" => mail::read(body, reader),
        "twilio_sms" | "twilio_voice" | "aliyun_sms" | "aliyun_voice" | "tencent_sms" | "tencent_voice" | "dingtalk_call" => {
            phone::read(body, reader)
        }
        "zulip" => chat::zulip(body, reader),
        // In their texts nothing has a meaning.
        "log" | "webhook" | "pagerduty" | "plain" => generic::read(body, &Dialect::PLAIN, reader),
        _ => generic::read(body, &chat::MARKDOWN, reader),
    }
}

/// The text at a JSON pointer, or an empty one.
fn text<'v>(body: &'v Value, pointer: &str) -> &'v str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a JSON pointer, or an empty one.
fn list<'v>(body: &'v Value, pointer: &str) -> &'v [Value] {
    body.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// `#rrggbb` where it is one, else nothing: colours come from a body and go into a page.
fn colour(text: &str) -> String {
    let hex = text.strip_prefix('#').unwrap_or(text);
    let sound = hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if sound { format!("#{}", hex.to_lowercase()) } else { String::new() }
}
