//! The first page: must I do something? What needs somebody, who is on what, and whether silence can be believed.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use maud::{Markup, html};

use super::counts::Counts;
use super::failure::Failure;
use super::incident::{Known, leads, most_urgent, next_steps, row};
use super::layout::{Page, Place};
use super::live;
use super::manner::Manner;
use super::parts::{badge_of, count, icon, icon_of, say, shown, time, worded};
use super::readiness::trouble;
use super::viewer::Viewer;
use super::{first_run, headline, oncall, storm};
use crate::api::ChannelState;
use crate::delivery::heartbeat::HeartbeatState;
use crate::http::App;
use crate::http::api::channels::states;
use crate::model::{Language, UnixMs};
use crate::store::{EventFilter, EventRow, Incident, IncidentFilter, IncidentState};
use crate::template::reason;

/// Rows of a section.
const MAX_ROWS: usize = 50;
/// Events among which each sender's last one is looked for.
const EVENTS: usize = 200;
/// Senders that are named.
const MAX_SENDERS: usize = 8;
/// Held channels that are named above the list on a phone.
const MAX_HELD: usize = 5;
const DAY_MS: i64 = 86_400_000;

/// Those that ended within a day, the newest first.
async fn ended(app: &App, state: IncidentState, limit: usize) -> Result<Vec<Incident>, Failure> {
    let now = app.engine.clock().wall();
    let filter = IncidentFilter { states: vec![state], ended_since: Some(now - DAY_MS), limit, ..IncidentFilter::default() };
    Ok(app.engine.query().list_incidents(&filter).await?)
}

/// The page.
pub(super) async fn page(State(app): State<Arc<App>>, mut viewer: Viewer, headers: HeaderMap, uri: axum::http::Uri) -> Result<Response, Failure> {
    if viewer.caller.is_limited() {
        return Ok(super::form::go(&headers, "/ui/history"));
    }
    let open = app.engine.open_incidents().await?;
    let (head, mut newest) = (headline::Headline::counted(&open), open.newest.map_or(0, |id| id.0));
    let heard = heard(&app).await?;
    let channels = states(&app, &viewer.caller).await?.channels;
    viewer.counts = Counts { firing: head.firing as u64, ..Counts::of(&app, &viewer.caller) };
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let side = side(&viewer, &app, &channels, &heard);
    if head.open == 0 && heard.senders.is_empty() && app.engine.heartbeats().iter().all(|beat| beat.seen_at.is_none()) {
        let page = first_run::body(&app, &viewer, &channels, crate::http::origin::host(&headers, &uri).unwrap_or_default());
        return Ok(Page { title: say(language, "Now", "当前").into(), at: Place::Now, body: page, ..Page::default() }.of(&viewer));
    }
    let (firing, is_storm, is_quiet) = (head.firing, head.open >= headline::STORM, head.open == 0);
    let mut known = leads(&app, most_urgent(&app).await?).await?;
    let (main, sent) = if is_storm {
        let named = storm::named_first(&mut known);
        next_steps(&app, &mut known[..named]).await?;
        (storm::body(&viewer, &known, &open), Some(storm::sent(&app, &viewer).await?))
    } else {
        next_steps(&app, &mut known).await?;
        let stale = leads(&app, ended(&app, IncidentState::Stale, 20).await?).await?;
        newest = stale.iter().map(|one| one.incident.id.0).fold(newest, i64::max);
        let sections = sections(&viewer, known, stale);
        let quiet = if is_quiet { Some(quiet(&viewer, &app, &channels, &heard).await?) } else { None };
        (html! { @if let Some(quiet) = quiet { (quiet) } (sections) }, None)
    };
    let body = html! {
        div.head {
            div {
                h1 data-head { (head.heading(language)) } p data-head { (head.detail(language)) }
                @if !viewer.operates { p.s { (say(language, "You may look, not act: that needs a credential with the scope operate.", "当前仅可查看；执行操作需要具有 operate 权限的凭证。")) } }
            }
            (live::indicator(&app, manner, newest))
        }
        div.two-col { div { (attention(&viewer, &channels)) (main) } aside aria-label=(say(language, "State of delivery", "投递状态")) { @if let Some(sent) = sent { (sent) } (side) } }
    };
    let title = say(language, "Now", "当前").to_owned();
    Ok(Page { title, at: Place::Now, body, waiting: firing, ..Page::default() }.of(&viewer))
}

fn sections(viewer: &Viewer, known: Vec<Known>, stale: Vec<Known>) -> Markup {
    let language = viewer.manner.language;
    let (mut firing, mut acked, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for one in known {
        match one.incident.state {
            IncidentState::Firing => firing.push(one),
            IncidentState::Acked => acked.push(one),
            _ => rest.push(one),
        }
    }
    rest.extend(stale);
    let parts = [
        ("s1", say(language, "Needs somebody", "待认领"), firing),
        ("s2", say(language, "Somebody is on it", "处理中"), acked),
        ("s3", say(language, "Snoozed and stale", "暂缓与久无消息"), rest),
    ];
    html! {
        @for (id, title, mut rows) in parts {
            @let () = rows.sort_by_key(|one| (one.incident.rank, one.incident.opened_at));
            @if !rows.is_empty() {
                section aria-labelledby=(id) {
                    h2.h2 id=(id) { (title) " " span.dim { (rows.len()) } }
                    ol.list { @for one in rows.iter().take(MAX_ROWS) { (row(viewer, one)) } }
                    @if rows.len() > MAX_ROWS { p.dim.s.mt { (rows.len() - MAX_ROWS) (say(language, " more in History", " 个更多，见历史")) } }
                }
            }
        }
    }
}

/// On a phone, what holds a channel is above the list.
fn attention(viewer: &Viewer, channels: &[ChannelState]) -> Markup {
    let language = viewer.manner.language;
    let held: Vec<&ChannelState> = channels.iter().filter(|channel| !channel.disabled && channel.suspended.is_some()).collect();
    html! {
        @if !held.is_empty() { div.strip.po { a.note.crit href="/ui/channels" { (icon("lock")) span {
            @match held.as_slice() {
                [one] => { b { (shown(&one.name)) (say(language, " is held", " 已挂起")) } (say(language, ": ", "：")) span.c2 { (worded(&viewer.manner, one.suspended.as_deref().unwrap_or_default())) } }
                all => {
                    b { (all.len()) (say(language, " channels are held", " 个通道已挂起")) } (say(language, ": ", "："))
                    (first_of(language, &all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>()))
                }
            }
        } } } }
    }
}

/// The first names, and how many more there are.
fn first_of(language: Language, names: &[&str]) -> Markup {
    html! {
        @for (n, name) in names.iter().take(MAX_HELD).enumerate() { @if n > 0 { (say(language, ", ", "、")) } (shown(name)) }
        @if names.len() > MAX_HELD { " +" (names.len() - MAX_HELD) }
    }
}

/// Who sent something lately.
struct Heard {
    /// When each sender sent something last.
    senders: BTreeMap<String, UnixMs>,
    /// Whether there were more events than were read: who sent only those is not among them.
    is_cut: bool,
}

impl Heard {
    fn of(rows: Vec<EventRow>) -> Self {
        let is_cut = rows.len() == EVENTS;
        let mut senders = BTreeMap::new();
        for row in rows.into_iter().filter(|row| !row.source.starts_with("watchfire")) {
            let at = senders.entry(row.source).or_insert(row.received_at);
            *at = row.received_at.max(*at);
        }
        Self { senders, is_cut }
    }
}

async fn heard(app: &App) -> Result<Heard, Failure> {
    Ok(Heard::of(app.engine.query().list_events(&EventFilter { limit: EVENTS, ..EventFilter::default() }).await?))
}

/// Each sender with when it sent something last; how many are left out, and that others may have sent something before.
fn senders(manner: &Manner, heard: &Heard) -> Markup {
    let language = manner.language;
    html! {
        @for (source, at) in heard.senders.iter().take(MAX_SENDERS) { li { (icon("in")) span.c1 { (shown(source)) } span.dim.s.end { (time::since(manner, *at)) } } }
        @if heard.senders.len() > MAX_SENDERS { li { span.dim { "+" (heard.senders.len() - MAX_SENDERS) } } }
        @if heard.is_cut { li { span.dim.s { (say(language, "Of the newest ", "最近 ")) (EVENTS) (say(language, " requests.", " 个请求的发送方。")) } } }
    }
}

fn side(viewer: &Viewer, app: &App, channels: &[ChannelState], heard: &Heard) -> Markup {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let now = UnixMs::from(manner.now);
    let active: Vec<&ChannelState> = channels.iter().filter(|channel| !channel.disabled).collect();
    let not_ready: Vec<_> = active.iter().filter_map(|channel| Some((channel, trouble(channel, now, language)?))).collect();
    let waiting: u64 = channels.iter().map(|channel| channel.waiting).sum();
    let oldest = channels.iter().filter_map(|channel| channel.oldest_born_at).min();
    let dead: u64 = channels.iter().map(|channel| channel.dead).sum();
    html! {
        (oncall::aside(viewer, &app.engine.plan(), &app.engine.overrides()))
        section.sec { h2 { (say(language, "Delivery", "投递")) a.l.s.end href="/ui/channels" { (say(language, "channels", "通道")) } }
            ul.card.rows {
                @for (channel, (look, why)) in not_ready.iter().take(8) { li { (badge_of(*look, &channel.name)) a.l.s.end.c1 href="/ui/channels" title=(super::parts::plain(&reason(language, why))) { (say(language, look.en, look.zh)) } } }
                li { (icon_of("ok", "ok")) span { (active.len() - not_ready.len()) (say(language, " of ", " / ")) (active.len()) (say(language, " ready", " 就绪")) } }
                li { span.dim { (say(language, "Backlog", "积压")) } span.end.n {
                    @match oldest.filter(|_| waiting > 0) {
                        None => { (say(language, "nothing waits", "无等待")) }
                        Some(oldest) => { b { (waiting) } (say(language, " wait, oldest ", " 条等待，最久 ")) (time::ago(manner, oldest)) }
                    }
                } }
                @if dead > 0 { li { (icon_of("dead", "bad")) a href="/ui/dead" { (count(language, dead, "dead letter", "dead letters", "条死信")) } } }
            }
        }
        section.sec { h2 { (say(language, "Heard from", "最近上报")) }
            ul.card.rows {
                (senders(manner, heard))
                @for beat in app.engine.heartbeats().iter() { li {
                    @if beat.silent_since.is_some() { (icon_of("alert", "bad")) span.st.bad { (shown(&beat.name)) (say(language, ": missing", "：中断")) } } @else { (icon_of("ok", "ok")) span { (shown(&beat.name)) } }
                    span.dim.s.end { @match beat.seen_at { Some(at) => { (time::since(manner, at)) } None => { (say(language, "never", "从未")) } } }
                } }
                @if heard.senders.is_empty() && app.engine.heartbeats().is_empty() { li { span.dim { (say(language, "Nobody yet.", "尚无。")) } } }
            }
        }
    }
}

/// Why quiet cannot be believed: what should be received all the time is missing.
fn deaf(language: Language, beats: &[HeartbeatState]) -> Option<Markup> {
    let missing: Vec<&str> = beats.iter().filter(|beat| beat.silent_since.is_some()).map(|beat| beat.name.as_str()).collect();
    if missing.is_empty() {
        return None;
    }
    Some(html! {
        div.note.crit { (icon("alert")) p {
            b { (say(language, "Missing heartbeat: ", "心跳中断：")) (first_of(language, &missing)) (say(language, ".", "。")) }
            (say(language, " What fires there may not arrive, so this quiet proves nothing.", "那里的告警可能无法到达，平静并不可信。"))
        } }
    })
}

/// Why quiet can be believed, or cannot, and what ended lately.
async fn quiet(viewer: &Viewer, app: &App, channels: &[ChannelState], heard: &Heard) -> Result<Markup, Failure> {
    let (manner, language) = (&viewer.manner, viewer.manner.language);
    let ended = ended(app, IncidentState::Resolved, 10).await?;
    let last = heard.senders.iter().max_by_key(|(_, at)| **at);
    let ready = channels.iter().all(|channel| trouble(channel, manner.now.into(), language).is_none());
    Ok(html! {
        @if let Some(deaf) = deaf(language, &app.engine.heartbeats()) { (deaf) } @else { div.card.quiet {
            (icon("ok")) h2 { (say(language, "Nothing needs you", "无需处理")) }
            p {
                @if let Some((source, at)) = last { (shown(source)) (say(language, " was last seen ", " 最近上报：")) (time::since(manner, *at)) (say(language, ". ", "。")) }
                @for beat in app.engine.heartbeats().iter().filter(|beat| beat.silent_since.is_none()) { @if let Some(at) = beat.seen_at { (shown(&beat.name)) " " (time::since(manner, at)) (say(language, ". ", "。")) } }
                @if ready { (say(language, "Every channel is ready.", "所有通道就绪。")) } @else { (say(language, "Not every channel is ready.", "并非所有通道就绪。")) }
            }
        } }
        @if !ended.is_empty() {
            section.sec { h2 { (say(language, "Ended in the last 24 h", "24 小时内结束")) a.l.s.end href="/ui/history" { (say(language, "History", "历史")) } }
                ul.card.rows { @for incident in &ended { li {
                    a href={ "/ui/incidents/" (incident.id) } { span.st.ok { (icon("ok")) (shown(&incident.title)) } }
                    @if let Some(at) = incident.ended_at {
                        span.dim { (say(language, "lasted ", "持续 ")) (time::span(language, at - incident.opened_at)) }
                        span.dim.s.end { (time::clock(manner, at)) }
                    }
                } } }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventId;

    #[test]
    fn who_sent_something_is_named_and_the_list_says_what_it_leaves_out() {
        let row = |source: &str, at: i64| EventRow { id: EventId::new(), source: source.to_owned(), received_at: UnixMs(at), note: None };
        let few = Heard::of(vec![row("am:a", 3), row("watchfire", 2), row("am:a", 1)]);
        assert_eq!((few.senders.into_iter().collect::<Vec<_>>(), few.is_cut), (vec![("am:a".to_owned(), UnixMs(3))], false));
        let many = Heard::of((0..EVENTS).map(|n| row(&format!("am:{}", n % 11), 1)).collect());
        let (now, zone) = (UnixMs(60_000).timestamp(), jiff::tz::TimeZone::UTC);
        let manner = Manner { language: Language::En, theme: None, fragment: false, here: "/ui".into(), now, zone };
        let list = senders(&manner, &many).into_string();
        assert!(list.contains(">+3<") && list.contains("Of the newest 200 requests.") && !list.contains("am:9"), "{list}");
    }

    #[test]
    fn quiet_is_not_believed_while_a_heartbeat_is_missing() {
        let beat = |name: &str, silent_since: Option<UnixMs>| HeartbeatState {
            name: name.into(),
            timeout_seconds: 300,
            seen_at: Some(UnixMs(1)),
            quiet_seconds: 9,
            silent_since,
        };
        assert!(deaf(Language::En, &[]).is_none() && deaf(Language::En, &[beat("Watchdog", None)]).is_none());
        let said = |language| deaf(language, &[beat("a", None), beat("b <x>", Some(UnixMs(2)))]).unwrap().into_string();
        assert!(said(Language::En).contains("Missing heartbeat: b &lt;x&gt;.</b> What fires there may not arrive"), "{}", said(Language::En));
        assert!(said(Language::Zh).contains("心跳中断：b &lt;x&gt;。"), "{}", said(Language::Zh));
    }

    #[test]
    fn of_many_held_channels_the_first_are_named() {
        let names = ["a", "b", "c", "d", "e", "f", "g"];
        assert_eq!(first_of(Language::En, &names).into_string(), "a, b, c, d, e +2");
        assert_eq!(first_of(Language::Zh, &names[..5]).into_string(), "a、b、c、d、e");
    }
}
