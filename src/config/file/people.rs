//! People, who of them is on call when, and what happens when nobody acks an incident.

use schemars::JsonSchema;
use serde::Deserialize;

use super::route::{OneOrMany, RouteTo};
use crate::model::{Language, Severity};

/// A person: how channels reach them, and by what id platforms know them when they press a button.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PersonBlock {
    /// The name as messages, timelines and calendars show it, at most 60 characters: `Anna Schmidt`. Default: the key.
    pub name: Option<String>,
    /// Where this person lives (`Europe/Berlin`): the zone of the time intervals of `quiet` that have no `location`. Default: UTC, as for any other interval.
    pub zone: Option<String>,
    /// Language of steps of escalations that are sent to this person alone (`en` or `zh`). Default: the channel's.
    pub language: Option<Language>,
    /// Mail address; also the user's name in Microsoft Teams.
    pub email: Option<String>,
    /// Mobile number, for SMS and calls, and for mentions by DingTalk and WeCom group robots: `+8613800000000`.
    pub mobile: Option<String>,
    /// Member id in Slack: `U…` or `W…`.
    pub slack: Option<String>,
    /// User id in Telegram, a number.
    pub telegram: Option<String>,
    /// User id in DingTalk.
    pub dingtalk: Option<String>,
    /// User id in WeCom.
    pub wecom: Option<String>,
    /// `open_id` in Feishu: `ou_…`.
    pub feishu: Option<String>,
    /// User id in Discord, a number.
    pub discord: Option<String>,
    /// User id or full name in Zulip.
    pub zulip: Option<String>,
    /// User name in Mattermost, without the `@`.
    pub mattermost: Option<String>,
    /// When steps of escalations leave this person alone. Default: never.
    pub quiet: Option<QuietBlock>,
    /// Which address this person's calendar has: another number makes another address, and the one before is no longer valid. Default 1.
    pub calendar: Option<u32>,
}

/// A team: people who own alerts together. `mentions: { label: owner }` and `to: { label: team, default: .. }` find it by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TeamBlock {
    /// Names in `people:`. A mention of the team is one of all of them, unless it has a rota.
    pub people: Option<OneOrMany>,
    /// The rota whose person on call is mentioned in place of all; all are while nobody is on call.
    pub rota: Option<String>,
    /// Channels of the alerts whose label names the team, on routes with `to: { label: .. }`.
    pub to: Option<OneOrMany>,
}

/// When steps of escalations leave a person alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietBlock {
    /// Names in `time_intervals:`.
    pub time_intervals: Vec<String>,
    /// What is at least so severe reaches the person anyway: `critical`, `error`, `warning` or `info`. Default `critical`.
    #[serde(default)]
    pub unless: Option<Severity>,
}

impl PersonBlock {
    /// The ids, each with its key.
    pub fn ids(&self) -> [(&'static str, &Option<String>); 8] {
        [
            ("slack", &self.slack),
            ("telegram", &self.telegram),
            ("dingtalk", &self.dingtalk),
            ("wecom", &self.wecom),
            ("feishu", &self.feishu),
            ("discord", &self.discord),
            ("zulip", &self.zulip),
            ("mattermost", &self.mattermost),
        ]
    }
}

/// A step of an escalation: what is sent when nobody has acked the incident by then. It is sent at most once; one that is not confirmed makes the next step
/// due at once.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EscalationStep {
    /// How long after the first message, from `1s` to `7d`; later than the step before it.
    pub after: String,
    /// Channels that are notified; or by a label, `{ label: team, default: oncall-sms }`: the channels of the teams that the alerts with which the escalation
    /// begins name.
    pub to: RouteTo,
    /// Names in `people:` and `teams:`, whose turn it is in a rota (`{ oncall: NAME }`, `{ next: NAME }`), or whom a label of the alerts names (`{ label: owner, oncall: NAME }`).
    /// SMS, calls, mails and WeCom applications reach these people in place of the channel's own recipients; on other channels the message mentions them. Default: the
    /// channel's own recipients and mentions.
    #[serde(default)]
    pub people: Option<StepPeople>,
    /// Sent so many times more, each `every` after the one before, unless somebody acks. At most 9. Default 0.
    #[serde(default)]
    pub repeat: Option<u32>,
    /// How long after each other it is repeated, from `1m`.
    #[serde(default)]
    pub every: Option<String>,
    /// Only when what fires then is at least so severe: `critical`, `error`, `warning` or `info`. Default: whatever fires.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Time intervals in which it is not sent.
    #[serde(default)]
    pub mute_time_intervals: Vec<String>,
    /// Time intervals outside which it is not sent.
    #[serde(default)]
    pub active_time_intervals: Vec<String>,
}

/// Whom a step reaches.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum StepPeople {
    /// One person.
    One(String),
    /// Several.
    Many(Vec<String>),
    /// Whose turn it is in a rota.
    Turn(TurnBlock),
}

/// Whose turn it is in a rota when the message is sent, so that overrides count; or whom a label names. Exactly one of `oncall`, `next` and `default`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TurnBlock {
    /// The people and teams whom this label of what fires then names: `owner`. For alerts of which it names nobody whom the channel reaches, `oncall`, `next` or
    /// `default` counts.
    pub label: Option<String>,
    /// Names in `people:` and `teams:`, with `label` only.
    pub default: Option<OneOrMany>,
    /// Who is on call in this rota.
    pub oncall: Option<String>,
    /// Who is on call next in this rota.
    pub next: Option<String>,
}

/// How often people take turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Rotation {
    /// Every day.
    Daily,
    /// Every week.
    #[default]
    Weekly,
}

/// People who take turns in being on call.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotaBlock {
    /// Zone of its handoffs (`Asia/Shanghai`). Default: `time_zone`.
    #[serde(default)]
    pub zone: Option<String>,
    /// `daily` or `weekly`. Default `weekly`.
    #[serde(default)]
    pub rotation: Rotation,
    /// When people take turns, in its zone: `10:00` of a daily rota, `monday 10:00` of a weekly one.
    pub handoff: String,
    /// The first handoff is the first one on or after this date: `2026-11-02`. Before it nobody is on call.
    pub start: String,
    /// Names in `people:`, in the order of their turns.
    pub people: OneOrMany,
    /// Channel that is notified of handoffs: 15 minutes before and at the change, with the incidents that are open. Default: none.
    #[serde(default)]
    pub tell: Option<String>,
    /// Which address its calendar has: another number makes another address, and the one before is no longer valid. Default 1.
    #[serde(default)]
    pub calendar: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::PersonBlock;
    use crate::channel::preset::registry::PEOPLE;

    #[test]
    fn a_preset_may_name_each_id_of_a_person() {
        assert_eq!(PersonBlock::default().ids().map(|(key, _)| key).as_slice(), PEOPLE);
    }
}
