//! The one list of platforms. It yields the configuration type, the registry and, from that, the README table and the contract tests.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{BuildContext, Built, LivingMode, Platform, PlatformConfig, Problem};
use crate::model::{Language, Mentions, Recipient, SecretSource};

macro_rules! platforms {
    ($($name:ident),+ $(,)?) => {
        /// Every platform, in the order of the list.
        pub static PLATFORMS: &[&Platform] = &[$(&super::$name::DESCRIPTOR),+];

        /// One entry under `channels:` in routes.yaml: exactly one platform block, and what holds for any platform.
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct ChannelConfig {
            $(
                #[doc = concat!("Sends through `", stringify!($name), "`.")]
                pub $name: Option<super::$name::Config>,
            )+
            /// `text`: messages are plain text instead of markdown or a card, for readers whose client shows markup as characters (the WeChat plug-in of WeCom)
            /// or does not ping. Templates do not apply. Default: what the platform shows best.
            pub format: Option<Format>,
            /// Template set, unless a route asks for another. Default `default`.
            pub template: Option<String>,
            /// Language of the words that templates add. Default: the top-level `language`.
            pub language: Option<Language>,
            /// Whether resolved alerts are sent. Default: true; false for voice, SMS and calls.
            pub send_resolved: Option<bool>,
            /// Whom its messages ping, unless a route says otherwise.
            pub mentions: Option<Mentions>,
            /// How people are notified of an incident that goes on: `edit` (one message that is kept up to date; what is new is a reply), `reply` (in one thread), `new` (a message for what is new
            /// and for the end), `off` (a message for every notification). Default: the most that the platform can.
            pub living: Option<LivingMode>,
            /// Who may press which button of its messages.
            pub actions: Option<ActionsConfig>,
            /// `off`, or `{ per_minute: N, burst: N }`. Default: the platform's documented limit.
            pub rate_limit: Option<RateLimitConfig>,
            /// SMS and calls: `off`, or `{ per_hour: N }`: what one number gets at most in any hour. What is beyond it goes to the fallback or the next step of the
            /// escalation at once, with the reason; a message that has neither waits. Default: the vendor's documented limit of an hour, or else 20 SMS or 10 calls.
            pub recipient_limit: Option<RecipientLimitConfig>,
            /// `off`, or `{ after: 30s }`: merge what waits when it cannot leave within this time. Default 30s.
            pub digest: Option<DigestConfig>,
            /// Total time one attempt may take (Prometheus duration). Default `30s`.
            pub timeout: Option<String>,
            /// Proxy for this channel's HTTP requests: `http://`, `https://` or `socks5://`. Default: the environment's.
            pub proxy: Option<SecretSource>,
            /// How long a delivery may be retried before it is dead (Prometheus duration). Default `24h`.
            pub max_age: Option<String>,
            /// Channels to try, in order, when a delivery here is dead.
            pub fallback: Vec<String>,
            /// Copy a delivery to the fallback when it has waited this long (Prometheus duration). Default: only when dead.
            pub fallback_after: Option<String>,
            /// At most this many pages per message; what does not fit is counted with a link. Default 3.
            pub max_pages: Option<u16>,
            /// Accept and record, but send nothing (outcome `skipped`), what waits already included. As a fallback it is passed over.
            pub disabled: bool,
            /// Former names of this channel, whose waiting deliveries it takes over.
            pub previous_names: Vec<String>,
        }

        impl ChannelConfig {
            /// The platform blocks that are present; a valid channel has exactly one.
            pub fn blocks(&self) -> Vec<(&'static Platform, &dyn PlatformConfig)> {
                let mut blocks: Vec<(&'static Platform, &dyn PlatformConfig)> = Vec::new();
                $(
                    if let Some(config) = &self.$name {
                        blocks.push((&super::$name::DESCRIPTOR, config));
                    }
                )+
                blocks
            }
        }
    };
}

/// Who may press which button of a channel's messages: `anyone` who reads them, `known` people of `people:`, or `nobody`. People of other organisations may
/// press none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ActionsConfig {
    /// Who may say that somebody is on it, for how long, and that nobody is. Default `anyone`.
    pub ack: Option<Who>,
    /// Who may have the sender silenced. Default `known`.
    pub silence: Option<Who>,
    /// Who may mute what the labels of the incident match, for two hours. Default `nobody`: there is no such button.
    pub mute: Option<Who>,
    /// Who may close the incident. Default `known`.
    pub close: Option<Who>,
}

/// Who may press a button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// Who reads the channel's messages.
    Anyone,
    /// Who has an id of the platform in `people:`.
    Known,
    /// Nobody.
    Nobody,
}

/// The kind of messages that a channel sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Plain text.
    Text,
}

platforms! {
    log,
    email,
    slack,
    dingtalk,
    dingtalk_card,
    wecom,
    wecom_bot,
    wecom_robot,
    feishu,
    telegram,
    discord,
    teams,
    zulip,
    pagerduty,
    twilio_sms,
    twilio_voice,
    aliyun_sms,
    aliyun_voice,
    tencent_sms,
    tencent_voice,
    dingtalk_call,
    webhook,
    preset,
}

/// The platform of that name.
pub fn platform(name: &str) -> Option<&'static Platform> {
    PLATFORMS.iter().find(|p| p.name == name).copied()
}

/// `rate_limit: off` or `rate_limit: { per_minute: 20, burst: 5 }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RateLimitConfig {
    /// `off` (YAML may read it as `false`).
    Off(OffWord),
    /// A rate of one's own.
    Rate(RateLimit),
}

/// A rate of one's own: at most `per_minute` in any rolling minute, at most `burst` of them within one second.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Sends in any rolling minute.
    pub per_minute: u32,
    /// Sends within one second. Default: `per_minute`.
    pub burst: Option<u32>,
}

/// `recipient_limit: off` or `recipient_limit: { per_hour: 5 }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RecipientLimitConfig {
    /// `off` (YAML may read it as `false`).
    Off(OffWord),
    /// A limit of one's own.
    Limit(RecipientLimit),
}

/// What one number gets at most.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecipientLimit {
    /// Messages or calls in any rolling hour.
    pub per_hour: u32,
}

/// `digest: off` or `digest: { after: 30s }`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum DigestConfig {
    /// `off` (YAML may read it as `false`).
    Off(OffWord),
    /// Merge what cannot leave within `after`.
    After(DigestAfter),
}

/// When waiting deliveries merge.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DigestAfter {
    /// Prometheus duration.
    pub after: String,
}

/// The word `off`, which YAML 1.1 readers turn into `false`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String", extend("enum" = ["off"]))]
pub struct OffWord;

impl<'de> Deserialize<'de> for OffWord {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = OffWord;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`off`")
            }
            fn visit_bool<E: serde::de::Error>(self, on: bool) -> Result<OffWord, E> {
                if on { Err(E::custom("write `off` or a mapping")) } else { Ok(OffWord) }
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OffWord, E> {
                if text == "off" { Ok(OffWord) } else { Err(E::custom("write `off` or a mapping")) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A platform block as a trait object with its descriptor.
pub type Block<'a> = (&'static Platform, &'a dyn PlatformConfig);

/// Builds the one block of a channel.
pub fn build(block: Block<'_>, cx: &BuildContext<'_>) -> Result<(Built, Vec<Recipient>), Vec<Problem>> {
    Ok((block.1.build(cx)?, block.1.recipients()))
}
