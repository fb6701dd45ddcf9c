//! Rendering: the fields of each page, fitted into the platform's limits.

use std::ops::Range;

use crate::channel::PressWay;
use crate::channel::descriptor::Ping;
use crate::channel::registry::Who;
use crate::delivery::incident::NotifiedIncident;
use crate::delivery::links;
use crate::delivery::payload::payload;
use crate::ingest::lane_group;
use crate::model::{Button, ButtonValue, Event, Facts, Form, IncidentFacts, Language, Mentions, Page, Verb};
use crate::store::IncidentState;
use crate::template::fit::{Part, fit};
use crate::template::{self, Brief, Entry, IncidentView, MessageKind, Now, RenderError, Scene, SilenceViewState, ViewInput};

use super::draft::Draft;
use super::totals::Totals;

/// How many times the usual number of pages a message sent again as plain text may take.
const PLAIN_TEXT_PAGES_FACTOR: usize = 3;

/// Renders the rows of one message: alerts in detail, then briefs.
pub(super) struct Renderer<'a> {
    pub(super) draft: &'a Draft<'a>,
    pub(super) kind: MessageKind,
    pub(super) template: &'a str,
    pub(super) totals: &'a Totals,
    pub(super) entries: &'a [Entry<'a>],
    pub(super) briefs: &'a [Brief],
    pub(super) event: &'a Event,
    /// How many alerts come after the first so many rows.
    pub(super) unseen: &'a dyn Fn(usize) -> usize,
    /// Whether its values are shortened already.
    pub(super) shortened: bool,
}

impl Renderer<'_> {
    /// Renders and fits `rows` rows, with values of at most `max_value` characters; a template that fails is replaced by the built-in one, a page that fits
    /// in no way is cut by `fit`.
    pub(super) fn pages(&self, rows: usize, max_value: usize) -> (Vec<(Page, Range<usize>)>, Vec<RenderError>) {
        let channel = self.draft.channel;
        let measure = channel.platform.measure;
        let mut fallbacks: Vec<RenderError> = Vec::new();
        let notes = self.draft.notes();
        let mut render = |part: &Part| -> Result<Page, RenderError> {
            let part = &Part { max_value: part.max_value.min(max_value), ..part.clone() };
            let mut notes = notes.clone();
            // A text message or a call has no room to say so; the `…` does.
            if (part.max_value != usize::MAX || self.shortened) && !channel.is_brief() {
                notes.extend(template::word(self.draft.language(), "shortened").map(str::to_owned));
            }
            self.page(part, &notes, TemplateLevel::Requested).or_else(|error| {
                notes.push(if self.draft.language() == Language::Zh {
                    format!("模板出错，已改用内置模板：{}:{}:{}，原因见日志", error.file, error.line, error.column)
                } else {
                    format!("A template failed, the built-in one is shown: {error}")
                });
                if !fallbacks.iter().any(|f| f.file == error.file && f.line == error.line) {
                    fallbacks.push(error);
                }
                // The embedded default templates; if even they fail, the plain text, which cannot.
                self.page(part, &notes, TemplateLevel::BuiltIn).or_else(|_| self.page(part, &notes, TemplateLevel::Plain))
            })
        };
        // The second try of a refused message keeps its members: more pages rather than a severe alert that is only counted.
        let factor = if self.draft.is_repeat() { PLAIN_TEXT_PAGES_FACTOR } else { 1 };
        // A message that is edited is one page; what it only counts is behind its link.
        let living = self.draft.notification.is_edit || (self.draft.notification.edited && !self.draft.plan.external_url.is_empty());
        let most = if living { 1 } else { channel.content.max_pages * factor };
        let max_pages = most.min(channel.driver.max_pages());
        let fitted = fit(rows, max_pages, &mut render, &measure).unwrap_or_default();
        (fitted.into_iter().map(|f| (f.page, f.range)).collect(), fallbacks)
    }

    fn page(&self, part: &Part, notes: &[String], level: TemplateLevel) -> Result<Page, RenderError> {
        let templates = self.draft.templates;
        let channel = self.draft.channel;
        let platform = channel.platform;
        let firing = self.fires();
        let mentions = if part.page == 1 { self.mentions(firing) } else { Mentions::default() };
        let missed = if part.page == 1 { self.missed() } else { Vec::new() };
        let unreached = if part.page == 1 { self.unreached(&mentions) } else { Vec::new() };
        let notes: Vec<String> = notes.iter().cloned().chain(unreached).collect();
        self.with_input(part, &notes, |input| {
            let plain = part.plain
                || channel.content.plain
                || self.draft.wording.plain_text.is_some()
                || self.draft.wording.abridged
                || level == TemplateLevel::Plain;
            let note = self.is_note();
            let fields = match level {
                _ if note => template::note_fields(platform.fields, input),
                _ if plain => template::plain_fields(platform.fields, input),
                TemplateLevel::Requested => templates.render(platform.name, self.template, input)?,
                _ => templates.render_built_in(platform.name, input)?,
            };
            let mut facts = self.facts(input, part.page == 1);
            if note {
                (facts.form, facts.pairs) = (Form::Note, Vec::new());
            }
            if channel.driver.wants_raw_payload() {
                let entries = &self.entries[part.range.start.min(self.entries.len())..part.range.end.min(self.entries.len())];
                facts.payload = payload(self.event, entries, firing, self.totals.shown.truncated + self.more(part) as u64, &facts.incident);
            }
            let (number, total) = (part.page as u16, part.pages as u16);
            Ok(Page { fields, facts, number, total, plain: plain || note, quiet: self.is_quiet(), coverage: Vec::new(), missed: missed.clone() })
        })
    }

    /// Whether something of it fires.
    pub(super) fn fires(&self) -> bool {
        self.totals.shown.firing > 0 || self.totals.shown.goes_on
    }

    /// Whether it pings anybody.
    fn pings(&self, firing: bool) -> bool {
        firing && self.draft.notification.mentions && self.draft.wording.unmentioned.is_none()
    }

    /// Whether nobody has to act on it at once.
    pub(super) fn is_quiet(&self) -> bool {
        let notification = self.draft.notification;
        let acked = |one: &&NotifiedIncident| !one.left_out && matches!(one.shown_state, IncidentState::Acked | IncidentState::Snoozed);
        let acked: Vec<_> = notification.incidents.iter().filter(acked).map(|incident| Some(incident.id)).collect();
        !notification.mentions || (!acked.is_empty() && self.draft.members.iter().all(|member| acked.contains(&member.incident)))
    }

    /// Whom it pings.
    pub(super) fn mentions(&self, firing: bool) -> Mentions {
        if self.pings(firing) { self.draft.mentions().clone() } else { Mentions::default() }
    }

    /// Why somebody whom it should reach is not.
    pub(super) fn missed(&self) -> Vec<String> {
        let firing = self.fires();
        let missed = self.draft.context.missed.iter().filter(|_| self.pings(firing));
        missed.map(ToString::to_string).collect()
    }

    /// Notes for its readers on whom it should reach and does not.
    pub(super) fn unreached(&self, mentions: &Mentions) -> Vec<String> {
        let not_reached = (!self.missed().is_empty()).then(|| self.not_reached());
        self.not_pinged(mentions).into_iter().chain(not_reached).collect()
    }

    fn not_reached(&self) -> String {
        let language = self.draft.language();
        let zh = language == Language::Zh;
        let texts: Vec<String> = self.draft.context.missed.iter().map(|missed| missed.text(language)).collect();
        let why = texts.join(if zh { "；" } else { "; " });
        if zh { format!("未能通知到人：{why}") } else { format!("Not everybody is reached: {why}") }
    }

    /// The facts of a page; the first one pings.
    pub(super) fn facts(&self, input: &Scene<'_>, first: bool) -> Facts {
        let (channel, notification) = (self.draft.channel, self.draft.notification);
        let firing = self.fires();
        let mentions = if first { self.mentions(firing) } else { Mentions::default() };
        let mut facts = Facts {
            over: self.totals.over,
            form: notification.form,
            mentions: channel.platform.pings.pick(&mentions, &[Ping::Inside, Ping::Beside]),
            ..template::facts(input)
        };
        if self.kind != MessageKind::Digest {
            let group = self.entries.first().map_or(self.event.group_key.as_str(), |entry| lane_group(self.event, entry.alert));
            let mut thread = vec![self.event.source.as_str(), &self.event.receiver, group, &channel.name];
            facts.incident.key = crate::model::hash_hex(&[&self.event.source, group]);
            let number = notification.single().map(|incident| incident.id.to_string()).unwrap_or_default();
            if let Some(incident) = notification.single() {
                // The next incident of the group is another thread.
                thread.push(&number);
                facts.incident = IncidentFacts {
                    number: incident.id.0,
                    version: incident.version,
                    state: incident.state.as_str().to_owned(),
                    key: facts.incident.key,
                    buttons: Vec::new(),
                };
            }
            facts.thread = crate::model::hash_hex(&thread);
        }
        if first {
            // A message that leaves something out says nothing of which version it shows: what had begun when it was formed is meant.
            let complete = self.draft.notification.single().is_some_and(|incident| incident.complete);
            facts.incident.buttons = self.buttons(if complete { facts.incident.version } else { 0 });
        }
        facts
    }

    /// What a reader can do about the incidents of the message, where presses reach this server and somebody may; `version` is what it shows of its only one.
    fn buttons(&self, version: i64) -> Vec<Button> {
        let (channel, notification) = (self.draft.channel, self.draft.notification);
        let open: Vec<_> = notification.incidents.iter().filter(|incident| incident.shown_state.is_open()).collect();
        let nobody = channel.content.actions.ack == Who::Nobody || channel.driver.press_way().is_none();
        if nobody || open.is_empty() || notification.form == Form::Over {
            return Vec::new();
        }
        let code = links::act_code(&self.draft.plan.link_key, self.draft.message);
        let incident = notification.single().map(|incident| incident.id);
        let mac = incident.map(|incident| links::button_mac(&self.draft.plan.link_key, &code, incident)).unwrap_or_default();
        let incident = incident.map_or(0, |incident| incident.0);
        let button = |verb: Verb, key: &'static str, minutes: u32| Button {
            verb,
            label: template::word(self.draft.language(), key).unwrap_or(key).to_owned(),
            value: ButtonValue { verb, code: code.clone(), version, minutes, incident, mac: mac.clone() }.encode(),
        };
        let acked = open.iter().all(|incident| incident.shown_state == IncidentState::Acked);
        // A reminder asks its owner: an ack of theirs prolongs it, and without it everybody is rung.
        let mut buttons = match (acked, notification.reminds.is_empty()) {
            (false, _) => vec![button(Verb::Ack, "button_ack", 0)],
            (true, true) => vec![button(Verb::Ack, "button_take_over", 0), button(Verb::Unack, "button_unack", 0)],
            (true, false) => vec![button(Verb::Ack, "button_still_on_it", 0), button(Verb::Unack, "button_hand_over", 0)],
        };
        buttons.push(button(Verb::Snooze, "button_snooze", ButtonValue::MINUTES));
        if channel.content.actions.silence != Who::Nobody && self.draft.plan.senders.silence.of(&self.event.source).is_some() {
            let silenced = open.iter().all(|incident| incident.silence.as_ref().is_some_and(|silence| silence.state != SilenceViewState::Ending));
            buttons.push(match silenced {
                true => button(Verb::Unsilence, "button_unsilence", 0),
                false => button(Verb::Silence, "button_silence", ButtonValue::MINUTES),
            });
        }
        if channel.content.actions.mute != Who::Nobody {
            buttons.push(match open.iter().all(|incident| incident.mute.is_some()) {
                true => button(Verb::Unmute, "button_unmute", 0),
                false => button(Verb::Mute, "button_mute", ButtonValue::MINUTES),
            });
        }
        if matches!(channel.driver.press_way(), Some(PressWay::Phone)) && self.step_follows() {
            buttons.push(button(Verb::Escalate, "button_escalate", 0));
        }
        buttons
    }

    /// Whether it is a step of an escalation, and another one comes after it.
    fn step_follows(&self) -> bool {
        let Some(step) = self.draft.members.first().and_then(|member| member.target.step.as_ref()) else { return false };
        let escalation = self.draft.plan.people.escalations.get(step.escalation.as_str());
        escalation.is_some_and(|escalation| escalation.later_than(step.after).next().is_some())
    }

    /// How many alerts no page shows; the last page says so.
    fn more(&self, part: &Part) -> usize {
        if part.page < part.pages { 0 } else { (self.unseen)(part.range.end) }
    }

    /// Names the people whom this platform cannot ping, so that readers can notify them.
    fn not_pinged(&self, mentions: &Mentions) -> Option<String> {
        let channel = self.draft.channel;
        let named = channel.platform.pings.pick(mentions, &[Ping::Named]);
        let zh = self.draft.language() == Language::Zh;
        let all = named.all.then(|| if zh { "所有人".to_owned() } else { "everybody".to_owned() });
        let names: Vec<String> = all.into_iter().chain(named.mobiles).chain(named.users).chain(named.groups).collect();
        let notified = |names: String| {
            if zh { format!("请另行通知（此平台无法提醒）：{names}") } else { format!("To be notified (not pinged here): {names}") }
        };
        (!names.is_empty()).then(|| notified(names.join(if zh { "、" } else { ", " })))
    }

    /// Whether it is an ad-hoc message, and no template was written for those.
    fn is_note(&self) -> bool {
        let plan = self.draft.plan;
        let one = self.kind != MessageKind::Digest && self.entries.len() == 1;
        one && template::is_note(self.event, &plan.scale) && self.draft.templates.is_built_in(self.draft.channel.platform.name, self.template)
    }

    /// Whether its readers act on its page: something of it goes on, and it has no buttons.
    fn acts(&self) -> bool {
        let channel = self.draft.channel;
        let by_link = channel.driver.keeps_incidents() || matches!(channel.driver.press_way(), None | Some(PressWay::Phone));
        by_link
            && channel.content.actions.ack != Who::Nobody
            && self.draft.notification.incidents.iter().any(|incident| incident.shown_state.is_open())
    }

    pub(super) fn with_input<T>(&self, part: &Part, notes: &[String], with: impl FnOnce(&Scene<'_>) -> T) -> T {
        let range = part.range.start.min(self.entries.len())..part.range.end.min(self.entries.len());
        let brief = |i: usize| i.saturating_sub(self.entries.len()).min(self.briefs.len());
        let briefs = &self.briefs[brief(part.range.start)..brief(part.range.end)];
        let plan = self.draft.plan;
        let acts = self.acts();
        let details = if acts { links::act_url(plan, self.draft.message) } else { links::message_url(plan, self.draft.message) };
        let incident = self.draft.notification.view().map(|incident| IncidentView { acts, ..incident });
        with(&Scene::new(ViewInput {
            kind: self.kind,
            all: self.entries,
            range,
            briefs,
            totals: template::Totals { more: self.more(part), pages: part.pages, ..self.totals.shown },
            page: part.page,
            event: self.event,
            details_url: &details,
            notes,
            incident: incident.as_ref(),
            language: self.draft.language(),
            now: Now { at: self.draft.now, zone: &plan.messages.time_zone },
            scale: &plan.scale,
            shown: &plan.messages.shown,
            max_value: part.max_value,
        }))
    }
}

/// What a page's fields are filled from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TemplateLevel {
    /// The template set that was asked for.
    Requested,
    /// The embedded default set.
    BuiltIn,
    /// No template at all.
    Plain,
}
