//! Composing: members to pages. Folds or digests them, renders the platform's fields, and fits them within its limits.

use std::ops::Range;

use jiff::Timestamp;

use super::excerpt::{Excerpt, MAX_ROWS};
use super::fold::{Folded, fold};
use super::intake::instance_label;
use super::links;
use super::notified::{MessageContext, Notified};
use super::payload::payload;
use super::plan::{ChannelPlan, Plan};
use crate::channel::descriptor::Ping;
use crate::ingest::lane_group;
use crate::model::{Coverage, Event, Facts, Language, Mentions, MessageId, Page, Severity, humanize};
use crate::store::PendingDelivery;
use crate::template::fit::{Part, fit};
use crate::template::{self, Brief, Entry, EntryStatus, MessageKind, RenderError, ViewInput};

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
    /// The render errors that made the house fall back to its built-in text.
    pub fallbacks: Vec<RenderError>,
}

impl Composed {
    /// Where the left-over members begin, of `all`.
    fn first_deferred(&self, all: usize) -> usize {
        if self.deferred_members.is_empty() { all } else { self.deferred_members.start }
    }
}

/// What a message is composed from.
pub struct Draft<'a> {
    /// The plan.
    pub plan: &'a Plan,
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
    /// Say what the deliveries' columns say, in the built-in plain text: the process died several times at this message.
    pub abridged: bool,
    /// Use the built-in plain text, because the platform refused the content; the text says why.
    pub plain: Option<&'a str>,
    /// Mention nobody, because the platform refused somebody who was mentioned; the text says so, with the platform's code.
    pub unmentioned: Option<&'a str>,
    /// What must be known besides the members.
    pub context: &'a MessageContext,
}

/// A delivery older than this says so in the message.
const LATE_AFTER_MS: i64 = 5 * 60_000;
/// How many times the usual number of pages a message sent again as plain text may take.
const PLAIN_TEXT_PAGES_FACTOR: usize = 3;
/// Alerts of a digest that are shown in detail.
const DIGEST_DETAILS: usize = 3;

impl Draft<'_> {
    /// Composes the message.
    pub fn compose(&self) -> Composed {
        // A direct call brings its page with it.
        if let [only] = self.members
            && let Some(page) = &only.target.page
        {
            return Composed { pages: vec![(**page).clone()], ..Composed::default() };
        }
        let mut composed = self.compose_pages();
        let ping = self.ping(composed.pages.first_mut());
        composed.pages.extend(ping);
        composed
    }

    fn compose_pages(&self) -> Composed {
        match self.kind {
            // What is not at hand is named by its title, as in a digest.
            MessageKind::Single | MessageKind::Fold if self.members.iter().all(|m| m.event.is_some()) => self.lane(),
            _ => self.digest(),
        }
    }

    /// The short text message that pings those whom the formatted first page cannot; they are taken out of that page.
    fn ping(&self, first: Option<&mut Page>) -> Option<Page> {
        let first = first.filter(|page| !page.plain)?;
        let pings = self.channel.platform.pings;
        let beside = pings.pick(&first.facts.mentions, &[Ping::Beside]);
        if beside.is_empty() {
            return None;
        }
        first.facts.mentions = pings.pick(&first.facts.mentions, &[Ping::Inside]);
        let fields = [("text".to_owned(), first.facts.title.clone())].into();
        let facts = Facts { mentions: beside, pairs: Vec::new(), links: Vec::new(), payload: None, ..first.facts.clone() };
        let number = first.total + 1;
        Some(Page { fields, facts, number, total: number, plain: true, coverage: Vec::new() })
    }

    fn lane(&self) -> Composed {
        let none = Notified::default();
        let folded = fold(self.members, &self.plan.scale, self.notified(self.members, &none));
        if folded.entries.is_empty() {
            return Composed { suppressed: folded.suppressed, ..Composed::default() };
        }
        let template = self.template();
        let kind = if self.members.len() > 1 { MessageKind::Fold } else { MessageKind::Single };
        let totals = Totals::of(&folded, self.context.unresolved, self.plan);
        let excerpt = Excerpt::of(&folded.entries);
        let (entries, shortened) = (excerpt.entries(), excerpt.shortened);
        let unseen = |shown: usize| folded.entries.len() - shown;
        let event = entries[0].event;
        let renderer =
            Renderer { draft: self, kind, template: &template, totals: &totals, entries: &entries, briefs: &[], event, unseen: &unseen, shortened };
        let (mut pages, fallbacks) = renderer.pages(entries.len());
        let shown = pages.iter().map(|(_, r)| r.end).max().unwrap_or(0);
        let severe = folded.entries.iter().take_while(|e| e.status == EntryStatus::Firing && self.plan.scale.of(e.alert) <= Severity::Error).count();
        // An incident holds all of its group, whatever its one page names.
        let splits = !self.is_repeat() && !self.channel.driver.keeps_incidents();
        if shown < severe && self.members.len() > 1 && splits {
            // What must be named does not fit beside what came before it: the deliveries from there on make the next message.
            let keep = folded.member[shown..severe].iter().min().map_or(1, |m| (*m).max(1));
            let smaller = Draft { members: &self.members[..keep], ..*self }.compose_pages();
            return Composed { deferred_members: smaller.first_deferred(keep)..self.members.len(), ..smaller };
        }
        for (page, range) in &mut pages {
            page.coverage = coverage(self.members, &folded, range.clone());
        }
        let pages = count_rest_on_last_page(pages, |covers| {
            folded.member.iter().skip(shown).for_each(|member| cover(covers, self.members, *member, None, 1));
        });
        Composed { pages, template, suppressed: folded.suppressed, deferred_members: 0..0, fallbacks }
    }

    /// A digest: the most severe alerts in detail, every critical and error alert named, the rest one line per delivery or counted.
    fn digest(&self) -> Composed {
        let template = self.channel.template.clone();
        let mut suppressed = Vec::new();
        let mut rows: Vec<DigestRow<'_>> = Vec::new();
        for range in lanes_of(self.members) {
            let members = &self.members[range.clone()];
            if members.iter().any(|m| m.event.is_some()) {
                let none = Notified::default();
                let folded = fold(members, &self.plan.scale, self.notified(members, &none));
                suppressed.extend(folded.suppressed.iter().map(|(m, why)| (range.start + m, *why)));
                for (i, entry) in folded.entries.iter().enumerate() {
                    rows.push(DigestRow {
                        member: range.start + folded.member[i],
                        lane: range.clone(),
                        brief: brief(entry, self.plan),
                        entry: Some(*entry),
                        index: folded.alert_index[i],
                    });
                }
            }
            for (i, member) in members.iter().enumerate().filter(|(_, m)| m.event.is_none()) {
                rows.push(DigestRow { member: range.start + i, lane: range.clone(), brief: column_brief(member), entry: None, index: 0 });
            }
        }
        if rows.is_empty() {
            return Composed { suppressed, ..Composed::default() };
        }
        rows.sort_by_key(|l| (l.brief.status, l.brief.severity));
        let must_name =
            rows.iter().take_while(|l| l.brief.status == EntryStatus::Firing && l.brief.severity <= Severity::Error && l.entry.is_some()).count();
        let totals = Totals::of_rows(&rows, self.plan);
        let details: Vec<Entry<'_>> = rows.iter().take(DIGEST_DETAILS).map_while(|l| l.entry).collect();
        let excerpt = Excerpt::of(&details);
        let (details, shortened) = (excerpt.entries(), excerpt.shortened);
        let briefs: Vec<Brief> = rows.iter().take(MAX_ROWS).skip(details.len()).map(|l| l.brief.clone()).collect();
        let unseen = |shown: usize| rows[shown..].iter().map(|l| l.brief.count).sum();
        let empty = Event::default();
        let event = details.first().map_or(&empty, |e| e.event);
        let renderer = Renderer {
            draft: self,
            kind: MessageKind::Digest,
            template: &template,
            totals: &totals,
            entries: &details,
            briefs: &briefs,
            event,
            unseen: &unseen,
            shortened,
        };
        let (mut pages, fallbacks) = renderer.pages(rows.len().min(MAX_ROWS));
        let shown = pages.iter().map(|(_, r)| r.end).max().unwrap_or(0);
        if shown < must_name && self.members.len() > 1 && !self.is_repeat() {
            // What must be named does not fit: keep the lanes whose lines fit, leave the others to the next message.
            let left = &rows[shown..must_name];
            let first_lane = left.iter().map(|l| l.lane.start).min().unwrap_or(self.members.len());
            let keep =
                if first_lane > 0 { first_lane } else { left.iter().filter(|l| l.lane.start == 0).map(|l| l.member).min().unwrap_or(0).max(1) };
            if keep < self.members.len() {
                let smaller = Draft { members: &self.members[..keep], ..*self }.compose_pages();
                return Composed { deferred_members: smaller.first_deferred(keep)..self.members.len(), ..smaller };
            }
        }
        for (page, range) in &mut pages {
            page.coverage = digest_coverage(self.members, &rows, range.clone());
        }
        let pages = count_rest_on_last_page(pages, |covers| {
            rows.iter().skip(shown).for_each(|line| cover(covers, self.members, line.member, None, line.brief.count as u32));
        });
        Composed { pages, template, suppressed, deferred_members: 0..0, fallbacks }
    }

    /// Whether it was sent and refused: it keeps its members.
    fn is_repeat(&self) -> bool {
        self.plain.is_some() || self.unmentioned.is_some()
    }

    fn notified<'t>(&'t self, members: &[PendingDelivery], none: &'t Notified) -> &'t Notified {
        members.first().and_then(|member| self.context.notified.get(&member.lane)).unwrap_or(none)
    }

    fn template(&self) -> String {
        let asked = self.members.iter().rev().map(|m| m.target.template.as_str()).find(|t| !t.is_empty());
        asked.unwrap_or(&self.channel.template).to_owned()
    }

    fn mentions(&self) -> Mentions {
        let mut all = Mentions::default();
        let mut seen_own = false;
        for member in self.members {
            let one = match &member.target.mentions {
                Some(mentions) => mentions,
                None if seen_own => continue,
                None => {
                    seen_own = true;
                    &self.channel.mentions
                }
            };
            all.all |= one.all;
            for (into, from) in [(&mut all.mobiles, &one.mobiles), (&mut all.users, &one.users), (&mut all.groups, &one.groups)] {
                for who in from {
                    if !into.contains(who) {
                        into.push(who.clone());
                    }
                }
            }
        }
        all
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let zh = self.channel.language == Language::Zh;
        if let Some(why) = self.plain.filter(|why| !why.is_empty()) {
            notes.push(if zh {
                format!("平台拒绝了原消息，现以纯文本发送：{why}")
            } else {
                format!("Sent as plain text because the platform refused the message: {why}")
            });
        }
        if self.abridged {
            notes.push(if zh {
                "简要发送：程序多次因此消息异常退出，完整内容见投递记录".into()
            } else {
                "Sent in short: the program died several times at this message; its delivery has the whole of it".into()
            });
        }
        if let Some(code) = self.unmentioned {
            notes.push(if zh {
                format!("未提醒任何人：平台拒绝了要提醒的对象（{code}）")
            } else {
                format!("Nobody is mentioned: the platform refused the mentions ({code})")
            });
        }
        for note in self.members.iter().filter_map(|m| m.event.as_deref()).flat_map(|event| &event.notes) {
            let text = note.text(self.channel.language);
            if !notes.contains(&text) && notes.len() < 8 {
                notes.push(text);
            }
        }
        let oldest = self.members.iter().filter(|m| m.state != crate::store::State::Deferred).map(|m| m.born_at).min();
        if let Some(late) = oldest.map(|born| self.now.as_millisecond() - born).filter(|late| *late >= LATE_AFTER_MS) {
            let late = humanize(std::time::Duration::from_millis(late as u64));
            notes.push(if zh { format!("延迟 {late} 送达") } else { format!("Delayed by {late}") });
        }
        let newest = self.members.iter().rev().find_map(|m| m.event.as_deref());
        if let Some(event) = newest.filter(|event| event.may_fire_on() && self.kind != MessageKind::Digest) {
            let left_out = event.truncated;
            notes.push(if zh {
                format!("发送方省略了 {left_out} 条告警，其中可能仍有未恢复的")
            } else {
                format!("The sender left out {left_out} alerts; some of them may still fire")
            });
        }
        if self.members.iter().any(|m| m.fallback_depth > 0) {
            notes.push(if zh {
                "备用通道：原通道未能送达".into()
            } else {
                "Sent here because another channel could not deliver it".into()
            });
        }
        notes
    }
}

/// One line of a digest.
struct DigestRow<'a> {
    member: usize,
    lane: Range<usize>,
    brief: Brief,
    entry: Option<Entry<'a>>,
    index: u32,
}

struct Totals {
    firing: usize,
    resolved: usize,
    truncated: u64,
    severity: Severity,
    /// Whether alerts may fire that the sender left out, though none that it lists does.
    goes_on: bool,
    /// Whether nothing of the group fires any more.
    over: bool,
}

impl Totals {
    /// Of a lane's message. `unresolved` of its alerts were not reported over yet, where that was asked for.
    fn of(folded: &Folded<'_>, unresolved: Option<u64>, plan: &Plan) -> Self {
        let entries = &folded.entries;
        let firing = entries.iter().filter(|e| e.status == EntryStatus::Firing).count();
        let severity =
            entries.iter().filter(|e| firing == 0 || e.status == EntryStatus::Firing).map(|e| plan.scale.of(e.alert)).min().unwrap_or_default();
        let newest = folded.newest;
        let over = firing == 0 && unresolved.map_or_else(|| newest.is_some_and(Event::is_whole), |left| left == 0);
        let goes_on = firing == 0 && !over && newest.is_some_and(Event::may_fire_on);
        let truncated = newest.map_or(0, |event| event.truncated);
        Self { firing, resolved: entries.len() - firing, truncated, severity, goes_on, over }
    }

    fn of_rows(rows: &[DigestRow<'_>], _: &Plan) -> Self {
        let count = |firing: bool| rows.iter().filter(|l| (l.brief.status == EntryStatus::Firing) == firing).map(|l| l.brief.count).sum();
        let firing = count(true);
        let severity =
            rows.iter().filter(|l| firing == 0 || l.brief.status == EntryStatus::Firing).map(|l| l.brief.severity).min().unwrap_or_default();
        Self { firing, resolved: count(false), truncated: 0, severity, goes_on: false, over: false }
    }
}

/// One message's worth of lines and what they are rendered with.
struct Renderer<'a> {
    draft: &'a Draft<'a>,
    kind: MessageKind,
    template: &'a str,
    totals: &'a Totals,
    entries: &'a [Entry<'a>],
    briefs: &'a [Brief],
    event: &'a Event,
    /// How many alerts are left behind the first so many lines.
    unseen: &'a dyn Fn(usize) -> usize,
    /// Whether its values are shortened already.
    shortened: bool,
}

impl Renderer<'_> {
    /// Renders and fits `lines` lines; a template that fails is replaced by the built-in one, a page that fits in no way is cut by `fit`.
    fn pages(&self, rows: usize) -> (Vec<(Page, Range<usize>)>, Vec<RenderError>) {
        let channel = self.draft.channel;
        let measure = channel.platform.measure;
        let mut fallbacks: Vec<RenderError> = Vec::new();
        let notes = self.draft.notes();
        let mut render = |part: &Part| -> Result<Page, RenderError> {
            let mut notes = notes.clone();
            if part.max_value != usize::MAX || self.shortened {
                notes.push(if channel.language == Language::Zh {
                    "部分内容过长，已截短".into()
                } else {
                    "Some values were shortened to fit".into()
                });
            }
            self.page(part, &notes, TemplateLevel::Requested).or_else(|error| {
                notes.push(if channel.language == Language::Zh {
                    format!("模板出错，已改用内置模板：{error}")
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
        let max_pages = match (channel.driver.keeps_incidents(), self.draft.is_repeat()) {
            (true, _) => 1,
            (_, true) => channel.max_pages * PLAIN_TEXT_PAGES_FACTOR,
            _ => channel.max_pages,
        };
        let fitted = fit(rows, max_pages, &mut render, &measure).unwrap_or_default();
        (fitted.into_iter().map(|f| (f.page, f.range)).collect(), fallbacks)
    }

    fn page(&self, part: &Part, notes: &[String], level: TemplateLevel) -> Result<Page, RenderError> {
        let templates = &self.draft.plan.templates;
        let channel = self.draft.channel;
        let platform = channel.platform;
        let firing = self.totals.firing > 0 || self.totals.goes_on;
        let mentions = if part.page == 1 && firing && self.draft.unmentioned.is_none() { self.draft.mentions() } else { Mentions::default() };
        let notes: Vec<String> = notes.iter().cloned().chain(self.not_pinged(&mentions)).collect();
        self.with_input(part, &notes, |input| {
            let plain = part.plain || self.draft.plain.is_some() || self.draft.abridged || level == TemplateLevel::Plain;
            let note = self.is_note();
            let fields = match level {
                _ if note => template::note_fields(platform.fields, input),
                _ if plain => template::plain_fields(platform.fields, input),
                TemplateLevel::Requested => templates.render(platform.name, self.template, input)?,
                _ => templates.render_built_in(platform.name, input)?,
            };
            let mut facts = template::facts(input);
            facts.over = self.totals.over;
            if note {
                (facts.note, facts.pairs) = (true, Vec::new());
            }
            if platform.wants_raw_payload {
                let entries = &self.entries[part.range.start.min(self.entries.len())..part.range.end.min(self.entries.len())];
                facts.payload = payload(self.event, entries, firing, self.totals.truncated + self.more(part) as u64);
            }
            facts.mentions = platform.pings.pick(&mentions, &[Ping::Inside, Ping::Beside]);
            if self.kind != MessageKind::Digest {
                let group = self.entries.first().map_or(self.event.group_key.as_str(), |entry| lane_group(self.event, entry.alert));
                facts.thread = crate::model::hash_hex(&[&self.event.source, &self.event.receiver, group, &channel.name]);
                facts.incident = crate::model::hash_hex(&[&self.event.source, group]);
            }
            Ok(Page { fields, facts, number: part.page as u16, total: part.pages as u16, plain: plain || note, coverage: Vec::new() })
        })
    }

    /// Alerts that no page shows, notified on the last one.
    fn more(&self, part: &Part) -> usize {
        if part.page < part.pages { 0 } else { (self.unseen)(part.range.end) }
    }

    /// Names those whom this platform cannot ping: nobody is left out in silence.
    fn not_pinged(&self, mentions: &Mentions) -> Option<String> {
        let channel = self.draft.channel;
        let named = channel.platform.pings.pick(mentions, &[Ping::Named]);
        let zh = channel.language == Language::Zh;
        let all = named.all.then(|| if zh { "所有人".to_owned() } else { "everybody".to_owned() });
        let names: Vec<String> = all.into_iter().chain(named.mobiles).chain(named.users).chain(named.groups).collect();
        let notified = |names: String| {
            if zh { format!("请另行通知（此平台无法提醒）：{names}") } else { format!("To be notified (not pinged here): {names}") }
        };
        (!names.is_empty()).then(|| notified(names.join(if zh { "、" } else { ", " })))
    }

    /// Whether it is somebody's own words, and nobody has written a template for them.
    fn is_note(&self) -> bool {
        let plan = self.draft.plan;
        let one = self.kind != MessageKind::Digest && self.entries.len() == 1;
        one && template::is_note(self.event, &plan.scale) && plan.templates.is_built_in(self.draft.channel.platform.name, self.template)
    }

    fn with_input<T>(&self, part: &Part, notes: &[String], with: impl FnOnce(&ViewInput<'_>) -> T) -> T {
        let entries = &self.entries[part.range.start.min(self.entries.len())..part.range.end.min(self.entries.len())];
        let brief = |i: usize| i.saturating_sub(self.entries.len()).min(self.briefs.len());
        let briefs = &self.briefs[brief(part.range.start)..brief(part.range.end)];
        let plan = self.draft.plan;
        let details = links::message_url(plan, self.draft.message);
        with(&ViewInput {
            kind: self.kind,
            entries,
            briefs,
            firing: self.totals.firing,
            resolved: self.totals.resolved,
            more: self.more(part),
            truncated: self.totals.truncated,
            goes_on: self.totals.goes_on,
            page: part.page,
            pages: part.pages,
            severity: self.totals.severity,
            receiver: &self.event.receiver,
            event: self.event,
            details_url: &details,
            notes,
            language: self.draft.channel.language,
            time_zone: &plan.time_zone,
            now: self.draft.now,
            scale: &plan.scale,
            max_value: part.max_value,
        })
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

fn brief(entry: &Entry<'_>, plan: &Plan) -> Brief {
    let where_ = instance_label(entry.alert);
    let name = entry.alert.name();
    let title = match (name.is_empty(), where_.is_empty()) {
        (false, false) => format!("{name} {where_}"),
        (true, false) => where_.to_owned(),
        (_, true) => {
            if name.is_empty() {
                "alert".to_owned()
            } else {
                name.to_owned()
            }
        }
    };
    Brief {
        severity: plan.scale.of(entry.alert),
        status: entry.status,
        title: title.chars().filter(|c| !c.is_control()).take(120).collect(),
        count: 1,
        since: entry.alert.starts_at,
    }
}

fn column_brief(member: &PendingDelivery) -> Brief {
    let status = if member.firing > 0 { EntryStatus::Firing } else { EntryStatus::Resolved };
    let count = if member.firing > 0 { member.firing } else { member.resolved } as usize;
    Brief { severity: Severity::from_rank(member.rank), status, title: member.title.chars().take(120).collect(), count: count.max(1), since: None }
}

/// Ranges of neighbouring members of one lane.
fn lanes_of(members: &[PendingDelivery]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let lane = members.get(start)?.lane;
        let len = members[start..].iter().take_while(|m| m.lane == lane).count();
        let range = start..start + len;
        start += len;
        Some(range)
    })
}

/// Pages without their ranges; what no page names is counted on the last one.
fn count_rest_on_last_page(pages: Vec<(Page, Range<usize>)>, rest: impl FnOnce(&mut Vec<Coverage>)) -> Vec<Page> {
    let mut pages: Vec<Page> = pages.into_iter().map(|(page, _)| page).collect();
    if let Some(last) = pages.last_mut() {
        rest(&mut last.coverage);
    }
    pages
}

fn coverage(members: &[PendingDelivery], folded: &Folded<'_>, range: Range<usize>) -> Vec<Coverage> {
    let mut covers: Vec<Coverage> = Vec::new();
    for i in range {
        cover(&mut covers, members, folded.member[i], Some(folded.alert_index[i]), 0);
    }
    covers
}

fn digest_coverage(members: &[PendingDelivery], rows: &[DigestRow<'_>], range: Range<usize>) -> Vec<Coverage> {
    let mut covers: Vec<Coverage> = Vec::new();
    for line in &rows[range] {
        let named = line.entry.is_some().then_some(line.index);
        cover(&mut covers, members, line.member, named, if named.is_some() { 0 } else { line.brief.count as u32 });
    }
    covers
}

fn cover(covers: &mut Vec<Coverage>, members: &[PendingDelivery], member: usize, named: Option<u32>, counted: u32) {
    let Some(delivery) = members.get(member).map(|m| m.id) else { return };
    let at = covers.iter().position(|c| c.delivery == delivery).unwrap_or_else(|| {
        covers.push(Coverage { delivery, named: Vec::new(), counted: 0 });
        covers.len() - 1
    });
    covers[at].named.extend(named);
    covers[at].counted += counted;
}
