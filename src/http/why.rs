//! Why did this ring me? One sentence: what was new, which way it came, and who was on it. For `explain`, the API and the console.

use std::time::Duration;

use super::{App, Caller};
use crate::delivery::Plan;
use crate::model::{Form, Language, UnixMs, format_duration};
use crate::store::{DeliveryDetail, DeliveryRow, IncidentDetail, State, StoreError, TimelineKind, TimelineRow};
use crate::template::reason;

/// The text in the reader's language.
fn say(language: Language, en: String, zh: String) -> String {
    if language == Language::Zh { zh } else { en }
}

/// Whether the routing table chose where a delivery goes, and not its sender.
pub(super) fn was_routed(detail: &DeliveryDetail) -> bool {
    is_of_tree(&detail.target.route)
}

/// Whether this is the name of a route: `route.routes[0]`, or `teams/db.yaml:route` in an included file.
fn is_of_tree(route: &str) -> bool {
    route.starts_with("route") || route.rsplit_once(':').is_some_and(|(_, inside)| inside.starts_with("route"))
}

/// Why a delivery was sent, in one sentence; `None` where it was not. Who may see some channels only reads neither the incident nor the matchers.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn why_sent(app: &App, caller: &Caller, language: Language, detail: &DeliveryDetail) -> Result<Option<String>, StoreError> {
    if !matches!(detail.row.state, State::Sent | State::Unknown) {
        return Ok(None);
    }
    if caller.is_limited() {
        return Ok(Some(sentence(language, None, detail, None)));
    }
    let incident = match detail.row.incident {
        Some(id) => app.engine.query().get_incident(id).await?,
        None => None,
    };
    let plan = app.engine.plan();
    Ok(Some(sentence(language, Some(&*plan), detail, incident.as_ref())))
}

fn sentence(language: Language, plan: Option<&Plan>, detail: &DeliveryDetail, incident: Option<&IncidentDetail>) -> String {
    let row = &detail.row;
    let at = detail.message.as_ref().map_or(row.born_at, |message| message.formed_at);
    let known = incident.map(|found| found.timeline.as_slice()).unwrap_or_default();
    let form = detail.message.as_ref().and_then(|message| message.pages.first()).map_or(Form::Card, |page| page.facts.form);
    let mut parts = vec![match (&detail.target.step, row.fallback_of) {
        (Some(step), _) => {
            let (number, name) = (step.number, &step.escalation);
            let by_hand = known.iter().rev().find(|line| line.kind == TimelineKind::Escalated && line.channel.is_empty() && line.at <= at);
            match by_hand.filter(|_| at < step.began_at + step.after) {
                Some(line) => say(
                    language,
                    format!("step {number} of the escalation `{name}` was asked for ({})", line.text),
                    format!("升级策略 `{name}` 的第 {number} 步被手动触发（{}）", reason(language, &line.text)),
                ),
                None => {
                    let after = format_duration(Duration::from_millis(u64::try_from(step.after).unwrap_or_default()));
                    say(
                        language,
                        format!("step {number} of the escalation `{name}` was due, {after} after the first message"),
                        format!("升级策略 `{name}` 的第 {number} 步到时（首条消息后 {after}）"),
                    )
                }
            }
        }
        (None, Some(_)) => say(language, "another channel did not deliver it".into(), "另一通道未能送达".into()),
        (None, None) => {
            let named = detail.message.iter().flat_map(|message| &message.pages).flat_map(|page| &page.coverage);
            let named = named.filter(|cover| cover.delivery == row.id).map(|cover| cover.named.len()).sum::<usize>();
            news(language, &New { row, form, named, at }, incident)
        }
    }];
    if detail.target.step.is_none() && row.fallback_of.is_none() {
        parts.push(way(language, plan, detail));
    }
    if row.firing > 0 && incident.is_some() {
        parts.push(match on_it(known, at) {
            Some(text) => say(language, format!("before it was {text}"), format!("此前：{}", reason(language, text))),
            None => say(language, "nobody had acked".into(), "当时无人认领".into()),
        });
    }
    let mut said = say(language, format!("Sent because {}.", parts.join("; ")), format!("发送原因：{}。", parts.join("；")));
    let channel = plan.and_then(|plan| plan.current_channel(&row.channel));
    if let Some(text) = lost(known, &row.channel, at).filter(|_| !channel.is_some_and(|channel| channel.can_edit())) {
        let text = reason(language, text);
        said.push_str(&say(language, format!(" But {text}."), format!("但{text}。")));
    }
    said
}

/// Why a message that was formed on a channel at that time does not show its incident any more, unless it was brought up to date since.
fn lost<'a>(timeline: &'a [TimelineRow], channel: &str, formed_at: UnixMs) -> Option<&'a str> {
    let shows = |line: &&TimelineRow| matches!(line.kind, TimelineKind::Lost | TimelineKind::Edited | TimelineKind::Reposted);
    let last = timeline.iter().rev().filter(|line| line.channel == channel).find(shows)?;
    (last.kind == TimelineKind::Lost && last.at >= formed_at).then_some(last.text.as_str())
}

/// What a delivery said, and when.
struct New<'a> {
    row: &'a DeliveryRow,
    form: Form,
    /// Its alerts that its message names.
    named: usize,
    at: UnixMs,
}

/// What was new to its channel.
fn news(language: Language, new: &New<'_>, incident: Option<&IncidentDetail>) -> String {
    let firing = new.row.firing as usize;
    let alerts = |n: usize, verb: &str, zh: &str| {
        let (noun, end) = if n == 1 { ("alert", "s") } else { ("alerts", "") };
        let end = if verb.ends_with("ed") { "" } else { end };
        say(language, format!("{n} {noun} {verb}{end}"), format!("{n} 条告警{zh}"))
    };
    if firing == 0 {
        return alerts(new.row.resolved as usize, "ended", "已恢复");
    }
    let fire = alerts(firing, "fire", "正在触发");
    let (Some(found), Some(id)) = (incident, new.row.incident) else { return fire };
    let mut of_channel = found.deliveries.iter().filter(|other| other.channel == new.row.channel && other.message != new.row.message);
    let before = of_channel.clone().filter(|other| other.state == State::Sent).filter_map(|other| other.done_at).filter(|at| *at <= new.at).max();
    let since = before.unwrap_or(UnixMs::EPOCH);
    let happened = |line: &&TimelineRow| matches!(line.kind, TimelineKind::Reopened | TimelineKind::Unacked | TimelineKind::Reminded);
    let last = found.timeline.iter().rev().filter(happened).find(|line| line.at > since && line.at <= new.at);
    // Of very many deliveries only the newest are known.
    let is_first =
        before.is_none() && found.deliveries.iter().any(|one| one.id == new.row.id) && of_channel.all(|other| other.born_at >= new.row.born_at);
    match last.map(|line| (line.kind, reason(language, &line.text))) {
        Some((TimelineKind::Reopened, _)) => say(language, format!("#{id} fires again: {fire}"), format!("#{id} 再次触发：{fire}")),
        Some((TimelineKind::Unacked, text)) => {
            say(language, format!("nobody is on #{id} any more ({text})"), format!("#{id} 不再有人处理（{text}）"))
        }
        Some((_, text)) => say(language, format!("#{id} still fires ({text})"), format!("#{id} 仍在触发（{text}）")),
        None if is_first => say(language, format!("#{id} is new to this channel: {fire}"), format!("#{id} 首次通知到该通道：{fire}")),
        None if new.form == Form::News => {
            let of = alerts(new.named.clamp(1, firing), "fire", "正在触发");
            say(language, format!("something new fires in #{id}: {of}"), format!("#{id} 有新的告警：{of}"))
        }
        None if new.form == Form::Again => {
            say(language, format!("#{id} still fires, and it was time to say so again"), format!("#{id} 仍在触发，到了再次提醒的时间"))
        }
        None => say(language, format!("#{id} was reported: {fire}"), format!("#{id} 收到上报：{fire}")),
    }
}

/// Which way it came: the route with its matchers and those above it, as far as the configuration is still the one that routed it.
fn way(language: Language, plan: Option<&Plan>, detail: &DeliveryDetail) -> String {
    let route = &detail.target.route;
    if !was_routed(detail) {
        return say(language, "its sender named this channel".into(), "发送方指定了该通道".into());
    }
    let plan = plan.filter(|plan| *detail.event.plan == *plan.hash);
    let nodes = plan.map(|plan| plan.tree.nodes()).unwrap_or_default();
    let mut node = nodes.iter().find(|node| node.name == *route);
    let mut matchers: Vec<String> = Vec::new();
    while let Some(one) = node {
        matchers = one.matchers.iter().map(ToString::to_string).chain(std::mem::take(&mut matchers)).collect();
        node = one.parent.and_then(|parent| nodes.get(parent));
    }
    match matchers.is_empty() {
        true => say(language, format!("the route `{route}` leads here"), format!("由路由 `{route}` 发到这里")),
        false => {
            let matchers = matchers.join(", ");
            say(language, format!("the route `{route}` leads here ({matchers})"), format!("由路由 `{route}` 发到这里（{matchers}）"))
        }
    }
}

/// Who was on an incident at a time, in the words of its timeline. What fires again soon after its end is still theirs.
fn on_it(timeline: &[TimelineRow], at: UnixMs) -> Option<&str> {
    let (mut who, mut over) = (None, false);
    for line in timeline.iter().filter(|line| line.at <= at) {
        match line.kind {
            TimelineKind::Acked | TimelineKind::Snoozed => who = Some(line.text.as_str()),
            TimelineKind::Unacked | TimelineKind::Stale | TimelineKind::Closed => who = None,
            TimelineKind::Resolved => over = true,
            TimelineKind::Reopened => over = false,
            _ => {}
        }
    }
    who.filter(|_| !over)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{DeliveryId, EventId};
    use crate::store::{EscalationStep, Incident, IncidentReport, Mode, ReportedAlert, StoredEvent, Target};

    #[test]
    fn routes_of_included_files_are_routes() {
        assert!(["route", "route.routes[0]", "teams/db.yaml:route", "teams/db.yaml:route.routes[1]"].into_iter().all(is_of_tree));
        assert!(!is_of_tree("direct call"));
    }

    fn detail(target: Target, fallback_of: Option<DeliveryId>) -> DeliveryDetail {
        let row = DeliveryRow {
            id: DeliveryId::new(),
            event: EventId::new(),
            channel: "ops".into(),
            state: State::Sent,
            mode: Mode::Queued,
            rank: 0,
            title: String::new(),
            firing: 2,
            resolved: 0,
            born_at: UnixMs(1000),
            due_at: UnixMs(0),
            tries: 1,
            message: None,
            fallback_of,
            done_at: Some(UnixMs(2000)),
            reason: None,
            incident: None,
        };
        let event = StoredEvent { id: row.event, received_at: UnixMs(1000), plan: String::new(), note: None, event: Arc::default() };
        DeliveryDetail { row, target, event, message: None, earlier: Vec::new(), children: Vec::new(), confirmed: Vec::new() }
    }

    #[test]
    fn a_step_a_fallback_and_what_was_asked_for_by_its_sender_say_so() {
        let of = |language: Language, target: Target, fallback_of: Option<DeliveryId>| sentence(language, None, &detail(target, fallback_of), None);
        let step = EscalationStep { escalation: "db".into(), number: 2, began_at: UnixMs(0), after: 600_000 };
        let target = Target { step: Some(step), route: "escalations.db[1]".into(), ..Target::default() };
        assert_eq!(of(Language::En, target.clone(), None), "Sent because step 2 of the escalation `db` was due, 10m after the first message.");
        assert_eq!(of(Language::Zh, target, None), "发送原因：升级策略 `db` 的第 2 步到时（首条消息后 10m）。");
        let of_route = |route: &str| Target { route: route.into(), ..Target::default() };
        assert_eq!(of(Language::En, of_route("route"), Some(DeliveryId::new())), "Sent because another channel did not deliver it.");
        assert_eq!(of(Language::En, of_route("?to="), None), "Sent because 2 alerts fire; its sender named this channel.");
        assert_eq!(of(Language::En, of_route("route"), None), "Sent because 2 alerts fire; the route `route` leads here.");
    }

    #[test]
    fn a_channel_that_edits_nothing_any_more_is_named_until_its_message_is_edited_again() {
        let alert = ReportedAlert { fingerprint: 1, start: None, fires: true, rank: 1, index: 0 };
        let incident = Incident::open(&IncidentReport::of_group("k", vec![alert]), EventId::new(), UnixMs(0)).unwrap();
        let text = "the channel is not in the configuration any more, or cannot edit: its message stays as it is, unless that changes";
        let line = |kind: TimelineKind, channel: &str, text: &str| TimelineRow { at: UnixMs(3000), kind, channel: channel.into(), text: text.into() };
        let mut found = IncidentDetail { incident, anchors: Vec::new(), timeline: Vec::new(), deliveries: Vec::new() };
        let one = detail(Target { route: "route".into(), ..Target::default() }, None);
        let of = |language: Language, found: &IncidentDetail| sentence(language, None, &one, Some(found));
        let because = "Sent because 2 alerts fire; the route `route` leads here; nobody had acked.";
        found.timeline.push(line(TimelineKind::Lost, "elsewhere", text));
        assert_eq!(of(Language::En, &found), because);
        found.timeline.push(line(TimelineKind::Lost, "ops", text));
        assert_eq!(of(Language::En, &found), format!("{because} But {text}."));
        assert!(
            of(Language::Zh, &found).ends_with("。但通道已不在配置中，或不能编辑消息：其消息保持原样，直到配置改变。"),
            "{}",
            of(Language::Zh, &found)
        );
        found.timeline.push(line(TimelineKind::Edited, "ops", "edited to version 3"));
        assert_eq!(of(Language::En, &found), because);
        found.timeline = vec![TimelineRow { at: UnixMs(999), ..line(TimelineKind::Lost, "ops", text) }];
        assert_eq!(of(Language::En, &found), because, "it is about an earlier message");
    }

    #[test]
    fn who_is_on_it_is_who_acked_last_and_has_not_ended() {
        let line = |at: i64, kind: TimelineKind, text: &str| TimelineRow { at: UnixMs(at), kind, channel: String::new(), text: text.into() };
        let timeline = [
            line(10, TimelineKind::Acked, "acked by ann (Slack)"),
            line(20, TimelineKind::Unacked, "acked by ann 2h ago"),
            line(30, TimelineKind::Snoozed, "snoozed by bob (console)"),
            line(35, TimelineKind::Escalated, "handed on"),
            line(40, TimelineKind::Resolved, ""),
            line(50, TimelineKind::Reopened, "fires again"),
            line(60, TimelineKind::Stale, ""),
            line(70, TimelineKind::Reopened, "fires again"),
        ];
        let seen: Vec<Option<&str>> = [9, 10, 20, 39, 40, 50, 70].map(|at| on_it(&timeline, UnixMs(at))).into();
        let bob = Some("snoozed by bob (console)");
        assert_eq!(seen, [None, Some("acked by ann (Slack)"), None, bob, None, bob, None]);
    }
}
