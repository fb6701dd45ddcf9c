//! Alerts about Watchfire itself: what they say, when they repeat, and which channel they take (never the one that fails).

mod event;
mod news;
mod router;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::event::{DeliveryEvent, DeliveryEventKind};
pub use self::router::SelfAlertRouter;
use crate::model::{Alert, DeliveryId, Event, IncidentId, Language, SenderKind, Status, UnixMs};
use crate::store::{EscalationStep, State};
use crate::template::reason;

use super::missed::Missed;

/// A reason in Chinese.
fn zh(text: &str) -> Cow<'_, str> {
    reason(Language::Zh, text)
}

/// What a self-alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SelfAlertKind {
    /// A channel's outlet is suspended: its configuration does not work.
    ChannelSuspended,
    /// Deliveries became dead or unknown. It never resolves.
    DeadLetters,
    /// Deliveries wait longer than they should.
    Backlog,
    /// The store does not accept writes, or has reached its limit.
    Disk,
    /// The store was damaged when it was opened, and has lost something. It never resolves.
    StoreDamaged,
    /// A reload failed; the previous configuration stays active.
    ReloadFailed,
    /// Deliveries wait for a channel that the configuration no longer has. It never resolves.
    OrphanedDeliveries,
    /// A step of an escalation was not confirmed. It never resolves.
    StepNotConfirmed,
    /// An escalation has reached nobody so far. It never resolves.
    NobodyReached,
    /// Nobody is on call whom a message could reach. It never resolves.
    NobodyOnCall,
    /// A channel's platform refuses to look up people's ids. It never resolves.
    LookUpFailed,
    /// Most or all of what an account may send in a month is used. It never resolves.
    MonthUsed,
    /// Nodes have different configurations.
    ConfigMismatch,
    /// No press of a channel's buttons arrives: the connection for them is lost.
    ListenerLost,
    /// Somebody has acked an incident. It is no alarm.
    Acked,
    /// A step of an escalation is delivered. It is no alarm.
    Escalated,
}

impl SelfAlertKind {
    /// The alert's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChannelSuspended => "WatchfireChannelSuspended",
            Self::DeadLetters => "WatchfireDeadLetters",
            Self::Backlog => "WatchfireBacklog",
            Self::Disk => "WatchfireDisk",
            Self::StoreDamaged => "WatchfireStoreDamaged",
            Self::ReloadFailed => "WatchfireReloadFailed",
            Self::OrphanedDeliveries => "WatchfireOrphanedDeliveries",
            Self::StepNotConfirmed => "WatchfireStepNotConfirmed",
            Self::NobodyReached => "WatchfireNobodyReached",
            Self::NobodyOnCall => "WatchfireNobodyOnCall",
            Self::LookUpFailed => "WatchfireLookUpFailed",
            Self::MonthUsed => "WatchfireMonthUsed",
            Self::ConfigMismatch => "WatchfireClusterConfigMismatch",
            Self::ListenerLost => "WatchfireListenerLost",
            Self::Acked => "WatchfireAcked",
            Self::Escalated => "WatchfireEscalated",
        }
    }

    fn severity(self) -> &'static str {
        match self {
            Self::ChannelSuspended | Self::Disk | Self::StoreDamaged => "critical",
            Self::DeadLetters
            | Self::Backlog
            | Self::StepNotConfirmed
            | Self::NobodyReached
            | Self::NobodyOnCall
            | Self::OrphanedDeliveries
            | Self::ConfigMismatch
            | Self::ListenerLost => "error",
            Self::ReloadFailed | Self::LookUpFailed | Self::MonthUsed => "warning",
            Self::Acked | Self::Escalated => "info",
        }
    }

    /// Whether its end is reported.
    fn resolves(self) -> bool {
        self.resolved("") != Said::default()
    }

    /// What its end says.
    fn resolved(self, channel: &str) -> Said {
        match self {
            Self::ChannelSuspended => Said::of(format!("Channel {channel} delivers again"), format!("通道 {channel} 已恢复发送")),
            Self::Backlog => Said::of(format!("Channel {channel} has caught up"), format!("通道 {channel} 的积压已清空")),
            Self::Disk => Said::of("The store takes writes again", "存储已恢复写入"),
            Self::ReloadFailed => Said::of("The configuration was reloaded", "配置已重新加载"),
            Self::ListenerLost => Said::of(format!("Buttons of channel {channel} work again"), format!("通道 {channel} 的按钮已恢复")),
            Self::ConfigMismatch => Said::of("All nodes have the same configuration", "各节点配置已一致"),
            Self::DeadLetters
            | Self::StoreDamaged
            | Self::StepNotConfirmed
            | Self::NobodyReached
            | Self::NobodyOnCall
            | Self::OrphanedDeliveries
            | Self::LookUpFailed
            | Self::MonthUsed
            | Self::Acked
            | Self::Escalated => Said::default(),
        }
    }
}

/// A summary and what to do, each in English and in Chinese.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Said {
    summary: [String; 2],
    description: [String; 2],
}

impl Said {
    fn of(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { summary: [en.into(), zh.into()], description: Default::default() }
    }

    fn with(self, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { description: [en.into(), zh.into()], ..self }
    }
}

/// Something about Watchfire itself that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelfAlert {
    kind: SelfAlertKind,
    /// Empty when it is about Watchfire as a whole.
    channel: String,
    /// The incident that it is about; empty when it is about none. Each is reported by itself.
    about: String,
    status: Status,
    said: Said,
    /// The same for programs, where it is about deliveries.
    event: Option<DeliveryEvent>,
}

impl SelfAlert {
    /// The end of what an alert of this kind was about; `channel` is empty when it is about Watchfire as a whole.
    pub fn resolved(kind: SelfAlertKind, channel: &str) -> Self {
        let event = (kind == SelfAlertKind::ChannelSuspended).then(|| DeliveryEvent::new(DeliveryEventKind::Resumed, ""));
        Self { kind, channel: channel.to_owned(), about: String::new(), status: Status::Resolved, said: kind.resolved(channel), event }
    }

    fn firing(kind: SelfAlertKind, channel: &str, said: Said) -> Self {
        Self { kind, channel: channel.to_owned(), about: String::new(), status: Status::Firing, said, event: None }
    }

    fn with_event(self, event: DeliveryEvent) -> Self {
        Self { event: Some(event), ..self }
    }

    /// The same about this delivery, the first of those that it is about.
    pub fn of_delivery(self, delivery: DeliveryId, incident: Option<IncidentId>) -> Self {
        let event = self.event.map(|event| DeliveryEvent { delivery: Some(delivery), incident: incident.or(event.incident), ..event });
        Self { event, ..self }
    }

    fn of_incident(self, incident: IncidentId) -> Self {
        Self { about: incident.to_string(), ..self }
    }

    /// What repeats of it have in common: its channel, and its incident where it is about one.
    fn topic(&self) -> String {
        if self.about.is_empty() { self.channel.clone() } else { format!("{}/{}", self.channel, self.about) }
    }

    /// A channel's outlet is suspended.
    pub fn channel_suspended(channel: &str, reason: &str) -> Self {
        let said = Said::of(format!("Channel {channel} cannot deliver"), format!("通道 {channel} 无法发送")).with(
            format!("{reason}. Its deliveries are queued and resume automatically once it works; a reload retries at once."),
            format!("原因：{}。消息已排队，恢复后自动发送；重新加载配置会立即重试。", zh(reason)),
        );
        Self::firing(SelfAlertKind::ChannelSuspended, channel, said).with_event(DeliveryEvent::new(DeliveryEventKind::Suspended, reason))
    }

    /// Deliveries became dead, nobody knows whether they arrived, or they were sent and did not (`state`), the first for this reason.
    pub fn not_delivered(channel: &str, state: State, count: usize, reason: &str) -> Self {
        let said = match state {
            State::Unknown => {
                Said::of(format!("Nobody knows whether {count} on channel {channel} arrived"), format!("通道 {channel} 有 {count} 条投递结果未知"))
            }
            // The vendor's later word.
            State::Sent => {
                Said::of(format!("{count} sent on channel {channel} did not arrive"), format!("通道 {channel} 有 {count} 条已发送但未送达"))
            }
            _ => Said::of(format!("{count} dead on channel {channel}"), format!("通道 {channel} 有 {count} 条投递失败")),
        };
        let see = format!("`watchfire queue ls --state {} --channel {channel}`", state.as_str());
        let said = said.with(format!("{reason}. See {see}."), format!("原因：{}。执行 {see} 查看。", zh(reason)));
        let event = DeliveryEvent { count: Some(count), ..DeliveryEvent::new(DeliveryEventKind::of_state(state), reason) };
        Self::firing(SelfAlertKind::DeadLetters, channel, said).with_event(event)
    }

    /// A step of an escalation was not confirmed; `channel` is empty where several may be at fault.
    pub fn step_not_confirmed(channel: &str, step: &EscalationStep, incident: IncidentId, reason: &str) -> Self {
        let said = Said::of(format!("An escalation of #{incident} did not reach anybody for sure"), format!("事件 #{incident} 的升级通知未确认送达"))
            .with(
                format!("{step}: {reason}. The next step starts at once. See `watchfire incidents show {incident}`."),
                format!(
                    "升级 `{}` 第 {} 步：{}。下一步立即开始。执行 `watchfire incidents show {incident}` 查看。",
                    step.escalation,
                    step.number,
                    zh(reason)
                ),
            );
        let event = DeliveryEvent { incident: Some(incident), ..DeliveryEvent::new(DeliveryEventKind::StepNotConfirmed, reason) };
        Self::firing(SelfAlertKind::StepNotConfirmed, channel, said).with_event(event)
    }

    /// An escalation has reached nobody so far, because this keeps the step from everybody that it has left. It may wait for the end of that.
    pub fn nobody_reached(step: &EscalationStep, incident: IncidentId, reason: &str, waits: bool) -> Self {
        let [then, then_zh] = if waits {
            ["It is sent then, unless somebody acks before", "到时仍无人认领则发送"]
        } else {
            ["No other step is left", "没有其他步骤"]
        };
        let said = Said::of(format!("The escalation of #{incident} has reached nobody so far"), format!("事件 #{incident} 的升级尚未通知到任何人"))
            .with(
                format!("{step}: {reason}. {then}. See `watchfire incidents show {incident}`."),
                format!(
                    "升级 `{}` 第 {} 步：{}。{then_zh}。执行 `watchfire incidents show {incident}` 查看。",
                    step.escalation,
                    step.number,
                    zh(reason)
                ),
            );
        let event = DeliveryEvent { incident: Some(incident), ..DeliveryEvent::new(DeliveryEventKind::NobodyReached, reason) };
        Self::firing(SelfAlertKind::NobodyReached, "", said).of_incident(incident).with_event(event)
    }

    /// Nobody is on call whom a message through a channel could reach, for these reasons.
    pub fn nobody_on_call(channel: &str, missed: &[Missed]) -> Self {
        let why = |language, between: &str| missed.iter().map(|missed| missed.text(language)).collect::<Vec<_>>().join(between);
        let said = Said::of(format!("Channel {channel} reaches nobody who is on call"), format!("通道 {channel} 无法通知值班人员")).with(
            format!("{}. See `watchfire oncall`.", why(Language::En, ", ")),
            format!("原因：{}。执行 `watchfire oncall` 查看。", why(Language::Zh, "；")),
        );
        Self::firing(SelfAlertKind::NobodyOnCall, channel, said)
    }

    /// A channel's platform refuses to look up people's ids.
    pub fn look_up_failed(channel: &str, reason: &str) -> Self {
        let said = Said::of(format!("Channel {channel} cannot look people up"), format!("通道 {channel} 无法查询人员")).with(
            format!("{reason}. Its messages are delivered, without mentions of those whose ids are not known."),
            format!("原因：{}。消息照常发送，但不会提醒 id 未知的人员。", zh(reason)),
        );
        Self::firing(SelfAlertKind::LookUpFailed, channel, said)
    }

    /// Most or all of what an account may send in a month is used.
    pub fn month_used(channel: &str, sent: i64, most: u32) -> Self {
        let said = Said::of(
            format!("Channel {channel} has sent {sent} of its {most} messages of this month"),
            format!("通道 {channel} 本月已发送 {sent} 条，限额 {most} 条"),
        )
        .with(
            "From four fifths on nothing is edited, chats get digests, and phones get what is critical only. When all are used, fallbacks and the next steps of \
             escalations take over; what has no other way is still sent. Raise `per_month` if the account may send more.",
            "达到五分之四后不再编辑消息，群聊改发汇总，电话和短信只发送 critical 告警。用完后由备用通道或下一步升级接替，没有其他途径的仍会发送。如果账号额度更高，请调大 `per_month`。",
        );
        let event = DeliveryEvent::new(DeliveryEventKind::Quota, &format!("{sent} of {most} messages of this month are sent"));
        Self::firing(SelfAlertKind::MonthUsed, channel, said).with_event(event)
    }

    /// Deliveries wait longer than they should.
    pub fn backlog(channel: &str, age_minutes: u64) -> Self {
        let said = Said::of(format!("Channel {channel} is {age_minutes} minutes behind"), format!("通道 {channel} 积压 {age_minutes} 分钟"))
            .with("Deliveries wait longer than `self_monitoring.backlog` allows.", "消息等待时间超过 `self_monitoring.backlog` 的设定。");
        Self::firing(SelfAlertKind::Backlog, channel, said)
    }

    /// The store does not accept writes.
    pub fn disk(reason: &str) -> Self {
        let said = Said::of("The store does not take writes", "存储无法写入")
            .with(format!("{reason}. Senders get 503 until it does."), format!("原因：{}。恢复前，发送方会收到 503。", zh(reason)));
        Self::firing(SelfAlertKind::Disk, "", said)
    }

    /// The store was damaged when it was opened.
    pub fn store_damaged(reason: &str) -> Self {
        let said = Said::of("The store was damaged when Watchfire started", "Watchfire 启动时发现存储已损坏")
            .with(format!("{reason}."), format!("{}。", zh(reason)));
        Self::firing(SelfAlertKind::StoreDamaged, "", said)
    }

    /// A reload failed.
    pub fn reload_failed(reason: &str) -> Self {
        let said = Said::of("The configuration could not be reloaded", "配置重新加载失败").with(
            format!("{reason}. The previous one stays active; run `watchfire check`."),
            format!("仍使用之前的配置；请执行 `watchfire check` 查看原因：“{reason}”。"),
        );
        Self::firing(SelfAlertKind::ReloadFailed, "", said)
    }

    /// Deliveries wait for a channel that the configuration no longer has.
    pub fn orphaned_deliveries(channel: &str, count: u64) -> Self {
        let said = Said::of(
            format!("{count} deliveries wait for channel {channel}, which no longer exists"),
            format!("{count} 条消息在等待已不存在的通道 {channel}"),
        )
        .with(
            "Name it in `previous_names` of its successor, or move them with `watchfire queue move`.",
            "请将它写入新通道的 `previous_names`，或用 `watchfire queue move` 移走。",
        );
        Self::firing(SelfAlertKind::OrphanedDeliveries, channel, said)
    }

    /// Nodes have different configurations.
    pub fn config_mismatch(nodes: &str) -> Self {
        let said = Said::of("Nodes have different configurations", "各节点配置不一致").with(
            format!("{nodes}. The same alert goes to different places; give all nodes the same routes.yaml and templates."),
            format!("{nodes}。同一告警会发往不同位置；请让所有节点使用相同的 routes.yaml 和模板。"),
        );
        Self::firing(SelfAlertKind::ConfigMismatch, "", said)
    }

    /// No press of a channel's buttons arrives, nor of `others` more channels that share its connection.
    pub fn listener_lost(channel: &str, others: usize, reason: &str) -> Self {
        let more = |text: &str| if others == 0 { String::new() } else { text.replace("{}", &others.to_string()) };
        let said = Said::of(
            format!("Buttons of channel {channel}{} do not work", more(" and of {} more")),
            format!("通道 {channel}{} 的按钮不可用", more(" 等 {} 个以上")),
        )
        .with(
            format!("{reason}. Messages are still delivered. The connection is opened again and again; links in messages work meanwhile."),
            format!("原因：{}。消息照常发送。程序会不断重连，期间可使用消息中的链接。", zh(reason)),
        );
        Self::firing(SelfAlertKind::ListenerLost, channel, said)
    }

    /// The alert's name.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The channel it is about; empty when it is about Watchfire as a whole.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// The self-alert as an event, in the language of the channel that it goes to. What it is about goes on `since` then.
    pub fn event(&self, since: UnixMs, now: UnixMs, language: Language) -> Event {
        let in_language = |texts: &[String; 2]| texts[usize::from(language == Language::Zh)].clone();
        let resolved = self.status == Status::Resolved;
        let mut alert = Alert { status: self.status, ..Alert::default() };
        alert.labels.insert("alertname".into(), self.name().into());
        alert.labels.insert("severity".into(), self.kind.severity().into());
        if !self.channel.is_empty() {
            alert.labels.insert("channel".into(), self.channel.clone());
        }
        alert.annotations.insert("summary".into(), in_language(&self.said.summary));
        alert.annotations.insert("description".into(), in_language(&self.said.description));
        alert.annotations.retain(|_, text| !text.is_empty());
        alert.starts_at = Some(since.timestamp());
        alert.ends_at = resolved.then(|| now.timestamp());
        alert.fingerprint = crate::model::hash_hex(&[self.name(), &self.topic()]);
        Event {
            // News is about no incident of its own.
            kind: if self.is_alarm() { SenderKind::Watchfire } else { SenderKind::Direct },
            source: "watchfire".into(),
            receiver: "self".into(),
            status: self.status,
            group_key: format!("{}/{}", self.name(), self.topic()),
            common_labels: alert.labels.clone(),
            extra: self.event.iter().map(|event| ("event".to_owned(), event.json(&self.channel, now))).collect(),
            alerts: vec![alert],
            ..Event::default()
        }
    }
}
