//! How a severity, a state and an act look: class, icon and word come together, so that none can be forgotten.

use maud::{Markup, html};

use super::{icon, say, shown};
use crate::model::{Language, Severity};
use crate::store::{AuditState, IncidentState, State};

/// How something looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Look {
    /// Its colour.
    pub(in super::super) class: &'static str,
    /// Its icon.
    pub(in super::super) icon: &'static str,
    /// Its word.
    pub(in super::super) en: &'static str,
    /// The same in Chinese.
    pub(in super::super) zh: &'static str,
}

const fn look(class: &'static str, icon: &'static str, en: &'static str, zh: &'static str) -> Look {
    Look { class, icon, en, zh }
}

impl Look {
    /// A severity.
    pub(in super::super) fn of_severity(severity: Severity) -> Self {
        match severity {
            Severity::Critical => look("critical", "critical", "Critical", "严重"),
            Severity::Error => look("error", "error", "Error", "错误"),
            Severity::Warning => look("warning", "warning", "Warning", "警告"),
            Severity::Info => look("info", "info", "Info", "提示"),
        }
    }
}

impl From<IncidentState> for Look {
    fn from(state: IncidentState) -> Self {
        match state {
            IncidentState::Firing => look("bad", "open", "Not acked", "未认领"),
            IncidentState::Acked => look("acc", "acked", "Acked", "已认领"),
            IncidentState::Snoozed => look("acc", "moon", "Snoozed", "已暂缓"),
            IncidentState::Resolved => look("ok", "ok", "Resolved", "已恢复"),
            IncidentState::Stale => look("q", "stale", "Stale", "久无消息"),
            IncidentState::Closed => look("q", "x", "Closed", "已关闭"),
            IncidentState::Superseded => look("q", "swap", "Superseded", "已转移"),
        }
    }
}

impl From<State> for Look {
    fn from(state: State) -> Self {
        match state {
            State::Waiting => look("q", "clock", "Waiting", "等待"),
            State::Deferred => look("q", "mute", "Deferred", "推迟"),
            State::Sent => look("ok", "ok", "Sent", "已送达"),
            State::Dead => look("bad", "dead", "Dead", "死信"),
            State::Dropped => look("q", "x", "Dropped", "放弃"),
            State::Skipped => look("q", "dash", "Skipped", "跳过"),
            State::Expired => look("q", "clock", "Expired", "已过期"),
            State::Unknown => look("wn", "ask", "Unknown", "未知"),
        }
    }
}

impl From<AuditState> for Look {
    fn from(state: AuditState) -> Self {
        match state {
            AuditState::Begun => look("wn", "ask", "Not known", "结果未知"),
            AuditState::Done => look("ok", "ok", "Done", "已执行"),
            AuditState::Refused => look("bad", "x", "Refused", "已拒绝"),
            AuditState::Failed => look("bad", "alert", "Failed", "失败"),
        }
    }
}

/// A state: icon, word and colour.
pub(in super::super) fn badge(language: Language, state: impl Into<Look>) -> Markup {
    let look = state.into();
    html! { span.st.(look.class) { (icon(look.icon)) (say(language, look.en, look.zh)) } }
}

/// A state with a text in place of its word: who is on it, until when.
pub(in super::super) fn badge_of(look: Look, text: &str) -> Markup {
    html! { span.st.(look.class) { (icon(look.icon)) (shown(text)) } }
}
