//! What a message is composed from, and what composing returns.

use std::ops::Range;

use jiff::Timestamp;

use crate::delivery::incident::Notification;
use crate::delivery::notified::{MessageContext, Notified};
use crate::delivery::plan::{ChannelPlan, Plan};
use crate::model::{Event, Language, Mentions, MessageId, Page};
use crate::store::PendingDelivery;
use crate::template::{MessageKind, RenderError, TemplateRegistry};

/// A composed message.
#[derive(Debug, Default)]
pub struct Composed {
    /// Its pages; empty when nothing is left to say.
    pub pages: Vec<Page>,
    /// The template set it was rendered with.
    pub template: String,
    /// Members (by place) that end without being sent, with the reason.
    pub suppressed: Vec<(usize, &'static str)>,
    /// Members whose most severe alerts could not be named: they go back and wait for the next message.
    pub deferred_members: Range<usize>,
    /// The template errors because of which the built-in text was used.
    pub fallbacks: Vec<RenderError>,
}

impl Composed {
    /// Where the deferred members begin, of `all`.
    pub(super) fn first_deferred(&self, all: usize) -> usize {
        if self.deferred_members.is_empty() { all } else { self.deferred_members.start }
    }
}

/// How a message is worded when the usual way failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wording {
    /// Show only what the deliveries' columns say, in the built-in plain text: the process crashed several times at this message.
    pub abridged: bool,
    /// Use the built-in plain text, because the platform refused the content; the message says why. Empty when that is not known any more.
    pub plain_text: Option<String>,
    /// Mention nobody, because the platform refused somebody who was mentioned; the message says so, with this code of the platform.
    pub unmentioned: Option<String>,
}

/// What a message is composed from.
pub struct Draft<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// The templates: the plan's, or those that somebody tries.
    pub templates: &'a TemplateRegistry,
    /// The channel.
    pub channel: &'a ChannelPlan,
    /// The message's identity.
    pub message: MessageId,
    /// The members: of one lane in its order, or of several lanes, most severe first.
    pub members: &'a [PendingDelivery],
    /// Single, fold or digest.
    pub kind: MessageKind,
    /// Now.
    pub now: Timestamp,
    /// How it is worded.
    pub wording: &'a Wording,
    /// What must be known besides the members.
    pub context: &'a MessageContext,
    /// What it says of incidents.
    pub notification: &'a Notification,
}

impl Draft<'_> {
    /// The language of its words: of a step that is sent to one person theirs, else the channel's.
    pub(super) fn language(&self) -> Language {
        let own = match self.members {
            [only] if only.target.step.is_some() => match only.target.recipients.as_slice() {
                [to] => self.plan.people.people.written_to(self.channel.platform, to).and_then(|person| person.language),
                _ => None,
            },
            _ => None,
        };
        own.unwrap_or(self.channel.content.language)
    }

    /// Whether it was sent and refused: it keeps its members.
    pub(super) fn is_repeat(&self) -> bool {
        self.wording.plain_text.is_some() || self.wording.unmentioned.is_some()
    }

    pub(super) fn notified<'t>(&'t self, members: &[PendingDelivery], none: &'t Notified) -> &'t Notified {
        members.first().and_then(|member| self.context.notified.get(&member.lane)).unwrap_or(none)
    }

    /// Of each lane the newest event, as far as it is in memory: it has the current state of its group.
    pub(super) fn newest_events(&self) -> impl Iterator<Item = &Event> + Clone {
        lanes_of(self.members).filter_map(|lane| self.members[lane].iter().rev().find_map(|member| member.event.as_deref()))
    }

    pub(super) fn template(&self) -> String {
        let asked = self.members.iter().rev().map(|m| m.target.template.as_str()).find(|t| !t.is_empty());
        asked.unwrap_or(&self.channel.content.template).to_owned()
    }

    /// Whom it pings: all members go to the same.
    pub(super) fn mentions(&self) -> &Mentions {
        let own = self.members.first().and_then(|member| member.target.mentions.as_ref());
        self.context.mentions.as_ref().or(own).unwrap_or(&self.channel.content.mentions)
    }
}

/// Ranges of neighbouring members of one lane.
pub(super) fn lanes_of(members: &[PendingDelivery]) -> impl Iterator<Item = Range<usize>> + Clone {
    let mut start = 0;
    std::iter::from_fn(move || {
        let lane = members.get(start)?.lane;
        let len = members[start..].iter().take_while(|m| m.lane == lane).count();
        let range = start..start + len;
        start += len;
        Some(range)
    })
}
