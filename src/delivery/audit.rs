//! The audit: what people do by hand is stored before it is done, and what became of it afterwards. An act that cannot be recorded is not done.

use uuid::Uuid;

use super::core::Shared;
use super::engine::Engine;
use crate::model::Verb;
use crate::store::{AuditRow, AuditState, Author, StoreError};

macro_rules! acts {
    ($($act:ident $name:literal,)*) => {
        /// What people do by hand, as the audit names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum AuditAct {
            $(#[doc = concat!("`", $name, "`.")] $act,)*
        }

        impl AuditAct {
            /// All acts.
            pub const ALL: &'static [AuditAct] = &[$(AuditAct::$act,)*];

            /// The name in SQL and on the pages.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(AuditAct::$act => $name,)*
                }
            }
        }
    };
}

acts! {
    Ack "ack",
    Unack "unack",
    Snooze "snooze",
    Close "close",
    Silence "silence",
    Unsilence "unsilence",
    Mute "mute",
    Unmute "unmute",
    Escalate "escalate",
    Press "press",
    Retry "retry",
    Move "move",
    Drop "drop",
    Replay "replay",
    Test "test",
    Probe "probe",
    Drill "drill",
    Override "override",
    EndOverride "end override",
    Reload "reload",
    Backup "backup",
    LogIn "log in",
    LogOut "log out",
    EndSession "end session",
    Call "call",
}

impl AuditAct {
    /// The act of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|act| act.as_str() == name)
    }
}

impl From<Verb> for AuditAct {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Ack => Self::Ack,
            Verb::Unack => Self::Unack,
            Verb::Snooze => Self::Snooze,
            Verb::Close => Self::Close,
            Verb::Silence => Self::Silence,
            Verb::Unsilence => Self::Unsilence,
            Verb::Mute => Self::Mute,
            Verb::Unmute => Self::Unmute,
            Verb::Escalate => Self::Escalate,
        }
    }
}

/// What somebody is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Who, and from where.
    pub by: Author,
    /// What they do.
    pub act: AuditAct,
    /// On what, in words.
    pub on: String,
    /// Why; empty where no reason is asked for.
    pub reason: String,
}

/// An act that was recorded and has not ended.
#[derive(Debug)]
#[must_use = "what became of the act is recorded by `end_audit`"]
pub struct Recorded(Uuid);

impl Engine {
    /// Records what somebody is about to do.
    ///
    /// # Errors
    /// It cannot be recorded, so it must not be done.
    pub async fn begin_audit(&self, intent: Intent) -> Result<Recorded, StoreError> {
        self.shared.begin_audit(intent).await
    }

    /// Records what became of an act. It is done by now: where that cannot be recorded, its row stays as begun, and the log says what happened.
    pub async fn end_audit(&self, act: Recorded, state: AuditState, outcome: &str) {
        self.shared.end_audit(act, state, outcome).await;
    }

    /// Records what somebody was refused, or did that needs no preparation.
    pub async fn note_audit(&self, intent: Intent, state: AuditState, outcome: &str) {
        self.shared.note_audit(intent, state, outcome).await;
    }
}

impl Shared {
    pub(super) async fn begin_audit(&self, intent: Intent) -> Result<Recorded, StoreError> {
        let row = self.audit_row(intent);
        let id = row.id;
        self.store.record_audit(row).await?;
        Ok(Recorded(id))
    }

    pub(super) async fn end_audit(&self, act: Recorded, state: AuditState, outcome: &str) {
        if let Err(error) = self.store.end_audit(act.0, state, outcome).await {
            tracing::error!(%error, act = %act.0, state = state.as_str(), outcome, "the audit does not say what became of an act");
        }
    }

    pub(super) async fn note_audit(&self, intent: Intent, state: AuditState, outcome: &str) {
        let act = intent.act.as_str();
        let row = AuditRow { state, outcome: outcome.to_owned(), ..self.audit_row(intent) };
        if let Err(error) = self.store.record_audit(row).await {
            tracing::error!(%error, act, state = state.as_str(), outcome, "an act is missing in the audit");
        }
    }

    fn audit_row(&self, Intent { by, act, on, reason }: Intent) -> AuditRow {
        let at = self.clock.wall();
        AuditRow { id: Uuid::now_v7(), at, by, act: act.as_str().to_owned(), on, reason, state: AuditState::Begun, outcome: String::new() }
    }
}
