//! Drills: an escalation that runs, or a message with buttons, for no reason but to see whether somebody answers.

use crate::channel::PressWay;
use crate::channel::registry::Who;
use crate::delivery::engine::Engine;
use crate::delivery::plan::ChannelPlan;
use crate::ingest;
use crate::model::{Alert, Event, IncidentId, Language, SenderKind, Status};
use crate::store::StoreError;

/// Why a drill does not begin.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DrillError {
    /// There is no escalation of this name.
    #[error("there is no escalation of this name")]
    Unknown,
    /// No route uses the escalation: its first message has no channel.
    #[error("no route uses the escalation, so that there is no channel for its first message")]
    Unused,
    /// Nobody could press a button of the channel, nor act by a link.
    #[error(
        "the channel reports no presses: its platform has no buttons, or they are not set up, and without `server.external_url` its messages have no link; \
         its page of the manual says what they need"
    )]
    NoButtons,
    /// Nobody may.
    #[error("nobody may ack by the channel's messages: its `actions.ack` is `nobody`")]
    Nobody,
    /// The channel sends nothing.
    #[error("the channel is disabled; remove `disabled: true` from it and reload")]
    Disabled,
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Begins a drill of an escalation: an incident of its own, marked as a drill, on the channels of the first route that uses the escalation, and its steps
    /// at their times.
    ///
    /// # Errors
    /// [`DrillError`]: nothing was sent.
    pub async fn drill(&self, name: &str, by: &str) -> Result<IncidentId, DrillError> {
        let plan = self.shared.plan.load_full();
        if !plan.people.escalations.contains_key(name) {
            return Err(DrillError::Unknown);
        }
        let route = plan.tree.nodes().iter().find(|node| node.escalation.as_deref() == Some(name)).ok_or(DrillError::Unused)?;
        let to: Vec<String> = route.to.default.iter().map(ToString::to_string).collect();
        let language = to.first().map(|channel| plan.language_of(channel)).unwrap_or_default();
        let accepted = self.accept_escalating(self.drill_event(name, by, language), &to, name).await?;
        accepted.deliveries.iter().find_map(|delivery| delivery.incident).ok_or(DrillError::Unused)
    }

    /// Sends an incident of its own, marked as a drill, to a channel, so that its buttons or its link can be tried.
    ///
    /// # Errors
    /// [`DrillError`]: nothing was sent.
    pub async fn drill_channel(&self, channel: &ChannelPlan, by: &str) -> Result<IncidentId, DrillError> {
        if channel.disabled {
            return Err(DrillError::Disabled);
        }
        if channel.content.actions.ack == Who::Nobody {
            return Err(DrillError::Nobody);
        }
        let has_link = !self.shared.plan.load().external_url.is_empty();
        if matches!(channel.driver.press_way(), None | Some(PressWay::Phone)) && !has_link {
            return Err(DrillError::NoButtons);
        }
        let event = self.drill_event(&channel.name, by, channel.content.language);
        let accepted = self.accept(event, Some(&[channel.name.to_string()])).await?;
        accepted.deliveries.iter().find_map(|delivery| delivery.incident).ok_or(DrillError::NoButtons)
    }

    fn drill_event(&self, name: &str, by: &str, language: Language) -> Event {
        let now = self.shared.clock.wall();
        let said = |en: String, zh: String| if language == Language::Zh { zh } else { en };
        let mut alert = Alert { status: Status::Firing, starts_at: Some(now.timestamp()), ..Alert::default() };
        alert.labels.insert("alertname".into(), said(format!("Drill of {name}"), format!("演练 {name}")));
        alert.labels.insert("severity".into(), "critical".into());
        let summary = said("This is a drill: nothing is wrong".into(), "这是一次演练，没有真实故障".into());
        let description = said(
            format!("{by} looks whether somebody answers. Ack it as you would ack an incident."),
            format!("{by} 正在检验值班响应，请像处理真实事件一样认领。"),
        );
        alert.annotations.extend([("summary".into(), summary), ("description".into(), description)]);
        // Each drill is an incident of its own.
        let key = format!("drill/{name}/{now}");
        alert.labels.insert("drill".into(), now.to_string());
        alert.fingerprint = ingest::fingerprint(&alert.labels);
        Event {
            kind: SenderKind::Watchfire,
            source: "watchfire".into(),
            receiver: "drill".into(),
            status: Status::Firing,
            group_key: key,
            common_labels: alert.labels.clone(),
            common_annotations: alert.annotations.clone(),
            alerts: vec![alert],
            ..Event::default()
        }
    }
}
