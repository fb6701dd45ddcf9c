//! Live updates by server-sent events: rows of incidents that changed, how many are new, and the head of the page. Nothing is added, removed or moved by
//! them.
//!
//! One task looks at the store once a second, less often where a look takes long, while any console is open: at the versions of what is open, and then
//! at what changed, opened again, had a step that was due, or is what a mute began or ended to hold. What it finds is shared by all. A console that was
//! asleep says when it last received something (`Last-Event-ID`, in Unix milliseconds), and is sent what was found since. Where nobody looked then, the
//! store is asked, once for all that come within a second; after longer the page is out of date.

mod changes;
mod due;
mod looks;

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use maud::{Markup, html};
use tokio::sync::Mutex;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{Interval, interval, sleep};

use self::changes::{Seen, changes};
use self::looks::{BEHIND, Looks, MAX_ROWS, Rows, Update};
use super::failure::Failure;
use super::form::Fields;
use super::incident::{read, row, urgent};
use super::manner::Manner;
use super::parts::{icon, say, time};
use super::viewer::Viewer;
use crate::http::App;
use crate::model::{IncidentId, UnixMs};
use crate::store::{AlertState, Incident, IncidentFilter, IncidentState};

/// Open incidents that are searched for what changed while a page was not seen: more than a page shows, for what is acked is less urgent.
const OPEN: usize = 500;

/// How often the store is looked at, when a look is fast.
const LOOK: Duration = Duration::from_secs(1);
/// A look may take one part of so many of the time.
const SHARE: u32 = 20;
/// The pause between two looks is at most this.
const LONGEST: Duration = Duration::from_secs(15);
/// How often a console that hears nothing is sent a sign of life.
const BEAT: Duration = Duration::from_secs(10);
/// A stream ends after so many of them, so that its login is checked again; browsers connect again by themselves.
const BEATS: u32 = 30;
/// Who was away for longer loads the page again.
const CAUGHT_UP_MS: i64 = 15 * 60_000;
/// Streams at once; each is a connection.
const MAX_STREAMS: usize = 256;
/// What the store said to one console is good for others so long.
const SHARED_MS: i64 = 1_000;
/// What the looks found is what the store says, when the last one was no longer ago.
const FRESH_MS: i64 = 60_000;
/// It is asked from the last multiple of this on: consoles that lost one server heard it last within one [`BEAT`].
const GRAIN_MS: i64 = 10_000;

/// What the store said of what a console missed.
struct Missed {
    from: UnixMs,
    at: UnixMs,
    /// Whether it has the rows of all that fires, for what is muted changed.
    remuted: bool,
    changed: Rows,
}

/// What the consoles of this node share.
pub(in crate::http) struct Live {
    updates: broadcast::Sender<Update>,
    looks: Looks,
    /// The largest number of an incident that may be on an open page.
    newest: AtomicI64,
    /// When the store was looked at last, Unix milliseconds: what changed since, no console knows.
    looked: AtomicI64,
    /// What it said last to a console that came when nobody had looked.
    missed: Mutex<Option<Missed>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            updates: broadcast::Sender::new(BEHIND),
            looks: Looks::default(),
            newest: AtomicI64::default(),
            looked: AtomicI64::default(),
            missed: Mutex::default(),
        }
    }
}

/// Looks at the store until no console is open any more; at once ends where another task does.
async fn look(app: Arc<App>) {
    let needed = || app.live.updates.receiver_count() > 0 && !app.stopping.load(Ordering::Acquire);
    // A console that opened while the last look ended found a task that looks: so it is checked again after the end.
    while needed() {
        let Some(_looking) = app.live.looks.begin() else { return };
        let mut seen: Option<Seen> = None;
        while !app.live.looks.ends(needed) {
            let (began, at) = (app.engine.clock().instant(), app.engine.clock().wall());
            match changes(&app, at, &mut seen).await {
                Ok(update) => {
                    if let Some(update) = update {
                        app.live.looks.keep(app.engine.clock().wall(), &update);
                        drop(app.live.updates.send(update));
                    }
                    app.live.looked.store(at.0, Ordering::Release);
                }
                // A page says so when it is loaded; here the next look may succeed.
                Err(_) => tracing::debug!("open consoles are not brought up to date: the store cannot be read"),
            }
            // Of very many incidents a look takes long, and the store has other work.
            let took = app.engine.clock().instant().saturating_duration_since(began);
            sleep(took.saturating_mul(SHARE).clamp(LOOK, LONGEST)).await;
        }
    }
}

/// What rows show of these incidents.
async fn shared(app: &App, incidents: Vec<Incident>) -> Result<Rows, Failure> {
    Ok(read(app, incidents).await?.into_iter().map(Arc::new).collect())
}

/// A console's stream.
struct Stream {
    viewer: Viewer,
    /// The newest incident that its page knows.
    newest: i64,
    /// From when on its page knows nothing.
    from: UnixMs,
    /// Incidents with numbers that it knows, which opened again since.
    back: BTreeSet<i64>,
    /// When what its page shows was read, Unix milliseconds.
    since: i64,
    updates: broadcast::Receiver<Update>,
    waiting: VecDeque<Event>,
    beat: Interval,
    beats: u32,
    new: usize,
    app: Arc<App>,
    over: bool,
}

impl Stream {
    fn add(&mut self, update: &Update) {
        self.rows(update.at, &update.changed);
        self.head(update);
    }

    /// The rows that changed.
    fn rows(&mut self, at: UnixMs, changed: &Rows) {
        self.viewer.manner.now = self.app.engine.clock().wall().timestamp();
        for known in changed.iter() {
            if is_back(&known.incident, self.from) {
                self.back.insert(known.incident.id.0);
            }
            self.waiting.push_back(Event::default().event("row").id(at.0.to_string()).data(row(&self.viewer, known).into_string()));
        }
    }

    /// The head, and how many are new.
    fn head(&mut self, update: &Update) {
        let id = update.at.0.to_string();
        let new = update.open.iter().filter(|number| **number > self.newest || self.back.contains(number)).count();
        self.waiting.push_back(Event::default().event("head").id(&id).data(update.head.lines(self.viewer.manner.language)));
        if new != self.new {
            self.new = new;
            self.waiting.push_back(Event::default().event("new").id(&id).data(new.to_string()));
        }
    }

    /// What changed since a time. Where the task begins only now, the head comes with its first look.
    async fn catch_up(&mut self, now: UnixMs, remuted: bool) -> Result<(), Failure> {
        let from = self.from;
        let looked = UnixMs(self.app.live.looked.load(Ordering::Acquire).max(from.0));
        let found = self.app.live.looks.after(from, self.newest).map(|(update, whole)| (Update { at: looked, ..update }, whole));
        match found {
            // While the store cannot be read, what is known is old.
            Some((update, true)) if (now - looked).abs() < FRESH_MS => {
                self.since = looked.0;
                self.add(&update);
            }
            _ => {
                let (at, rows) = missed(&self.app, from, now, remuted).await?;
                self.since = at.0;
                self.rows(at, &rows);
                // What a look found after the store was read, perhaps for another console, is in none of these rows.
                if let Some((update, _)) = self.app.live.looks.after(at, self.newest) {
                    self.add(&Update { at: UnixMs(update.at.0.max(at.0)), ..update });
                }
            }
        }
        Ok(())
    }

    async fn next(mut self) -> Option<(Result<Event, Infallible>, Self)> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some((Ok(event), self));
            }
            if self.over || self.app.stopping.load(Ordering::Acquire) || self.beats == 0 {
                return None;
            }
            // An update goes before the sign of life whose id says that it was seen.
            tokio::select! {
                biased;
                update = self.updates.recv() => match update {
                    Ok(update) => self.add(&update),
                    Err(RecvError::Lagged(_) | RecvError::Closed) => {
                        self.over = true;
                        self.waiting.push_back(Event::default().event("reload").data("behind"));
                    }
                },
                _ = self.beat.tick() => {
                    self.beats -= 1;
                    let at = self.app.live.looked.load(Ordering::Acquire).max(self.since);
                    self.waiting.push_back(Event::default().event("beat").id(at.to_string()).data("."));
                }
            }
        }
    }
}

/// Whether an incident opened again after a time: all of what fires in it began later.
fn is_back(incident: &Incident, since: UnixMs) -> bool {
    let mut firing = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing).peekable();
    incident.opened_at <= since && firing.peek().is_some() && firing.all(|alert| alert.changed_at > since)
}

/// The stream of a page: `newest` is the newest incident that it knows, `from` when it was made, Unix milliseconds, `mutes` what was muted then.
pub(super) async fn stream(State(app): State<Arc<App>>, viewer: Viewer, headers: HeaderMap, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    viewer.sees_all()?;
    if app.live.updates.receiver_count() >= MAX_STREAMS {
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "too many consoles are open; pages work without live updates"));
    }
    let fields = Fields::read(query.as_deref().unwrap_or_default());
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let from = UnixMs(last.or_else(|| fields.get("from").parse().ok()).unwrap_or_default());
    let newest: Option<i64> = fields.get("newest").parse().ok();
    app.live.newest.fetch_max(newest.unwrap_or_default(), Ordering::AcqRel);
    let updates = app.live.updates.subscribe();
    tokio::spawn(look(app.clone()));
    let now = app.engine.clock().wall();
    let remuted = fields.get("mutes") != changes::mutes(&app, now);
    let mut stream = Stream {
        viewer,
        newest: newest.unwrap_or(i64::MAX),
        from,
        back: BTreeSet::new(),
        since: now.0,
        updates,
        waiting: VecDeque::from([Event::default().retry(Duration::from_secs(3)).comment("live")]),
        beat: interval(BEAT),
        beats: BEATS,
        new: 0,
        app: app.clone(),
        over: false,
    };
    if now - from > CAUGHT_UP_MS {
        stream.over = true;
        stream.waiting.push_back(Event::default().event("reload").data("away"));
    } else {
        stream.catch_up(now, remuted).await?;
    }
    // nginx keeps an answer back until a buffer is full, unless it is asked not to
    // (<https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering>).
    Ok(([("x-accel-buffering", "no")], Sse::new(stream::unfold(stream, Stream::next))).into_response())
}

/// What changed since a time, as the store says, and when it said so. After a start all consoles come at once: one asks for all.
async fn missed(app: &App, from: UnixMs, now: UnixMs, remuted: bool) -> Result<(UnixMs, Rows), Failure> {
    let mut last = app.live.missed.lock().await;
    let has = |known: &&Missed| known.from <= from && (known.remuted || !remuted) && (now - known.at).abs() < SHARED_MS;
    if let Some(known) = last.as_ref().filter(has) {
        return Ok((known.at, known.changed.clone()));
    }
    let from = UnixMs(from.0 - from.0.rem_euclid(GRAIN_MS));
    let acted = |incident: &Incident| {
        let acks = &incident.acks;
        acks.list.iter().any(|ack| ack.at >= from) || acks.unacked.as_ref().is_some_and(|unacked| unacked.at >= from)
    };
    let open = urgent(app, OPEN).await?;
    let firing: Vec<IncidentId> = open.iter().filter(|one| one.state == IncidentState::Firing).map(|one| one.id).collect();
    let stepped = due::last(app, &firing, now).await?;
    let is_stepped = |incident: &Incident| stepped.get(&incident.id).is_some_and(|due| *due >= from);
    let is_meant = |incident: &Incident| incident.heard_at >= from || acted(incident) || is_stepped(incident);
    let (mut changed, mut others): (Vec<Incident>, Vec<Incident>) = open.into_iter().partition(is_meant);
    // A step that was due before may have been late then, and come since.
    others.retain(|one| remuted && one.state == IncidentState::Firing || stepped.contains_key(&one.id));
    others.sort_by_key(|one| (one.rank, one.opened_at));
    let over = IncidentFilter { ended_since: Some(from), limit: MAX_ROWS, ..IncidentFilter::default() };
    changed.extend(app.engine.query().list_incidents(&over).await?);
    changed.extend(others);
    changed.truncate(MAX_ROWS);
    let changed = shared(app, changed).await?;
    *last = Some(Missed { from, at: now, remuted, changed: changed.clone() });
    Ok((now, changed))
}

/// Whether the page is live, how to pause it, and how many rows wait. Its place is always there.
pub(super) fn indicator(app: &App, manner: &Manner, newest: i64) -> Markup {
    let language = manner.language;
    let now = UnixMs::from(manner.now);
    html! {
        div.live #live data-live={ "/ui/live?newest=" (newest) "&from=" (now.0) "&mutes=" (changes::mutes(app, now)) }
            data-on=(say(language, "Live", "实时")) data-off=(say(language, "Paused", "已暂停")) data-lost=(say(language, "Not connected", "未连接"))
            data-old=(say(language, "Out of date", "已过时")) data-reload=(say(language, "Reload", "刷新")) data-new=(say(language, " new", " 个新增")) {
            span.dot {}
            span { span.state { (say(language, "As of ", "截至 ")) (time::clock(manner, now)) } noscript { " " a href="" { (say(language, "Reload", "刷新")) } } }
            button.b.g type="button" data-key="p" aria-pressed="false" aria-label=(say(language, "Pause live updates", "暂停实时更新")) { (icon("pause")) span.w { (say(language, "Pause", "暂停")) } }
            button.b.new type="button" data-show-new hidden {}
        }
    }
}
