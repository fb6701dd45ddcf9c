//! `/a/<code>`: the page of a message with what its reader can do about its incident. A GET shows, a POST acts: what fetches links acts on nothing.
//!
//! The code is the capability, so that a form needs no other secret. It ends with the incident: then the page only shows what became of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::form::{COOKIE, Form, kept_name};
use super::words::{filled, word};
use super::{brief, build, html_under, language, now, refusal, render};
use crate::delivery::press::{Deed, answer};
use crate::delivery::{AuditAct, Intent, PersonName, Plan, Why, links};
use crate::http::admission::address;
use crate::http::body::{self, BodySource};
use crate::http::{App, HttpError};
use crate::model::{IncidentId, Language, Recipient, Verb};
use crate::store::{ActOn, ActResult, Actor, AuditState, Author, Incident, IncidentState, PressKey, SilenceState, StoredMessage, incident_numbers};
use crate::template::{reason, who};

/// As on the other pages, and a form that posts to its own address.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);
const MAX_FORM_BYTES: usize = 4096;
/// Seconds after which one more press of a link is taken.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");
const SNOOZE: std::time::Duration = std::time::Duration::from_secs(2 * 3600);

/// A message that somebody may act on.
struct Acting {
    message: StoredMessage,
    language: Language,
    /// What of which incidents the message shows.
    on: Vec<ActOn>,
    incidents: Vec<Incident>,
    /// Whether the next step of an escalation can come at once.
    escalates: bool,
    /// Whom the link was sent to, where that is one person.
    person: Option<Recipient>,
    /// Whether its reader may do anything, and who that is, where the configuration knows.
    may: Result<Option<PersonName>, Why>,
    /// Whether its reader may have its sender asked to be silent.
    silences: bool,
    /// Whether its reader may mute what its labels match.
    mutes: bool,
    /// Whether its reader may close it.
    closes: bool,
}

impl Acting {
    /// Whether a reader who may do anything may do this. Whether there is anything to do by then, the act itself finds.
    fn offers(&self, verb: Verb) -> bool {
        match verb {
            Verb::Silence | Verb::Unsilence => self.silences,
            Verb::Mute | Verb::Unmute => self.mutes,
            Verb::Close => self.closes,
            Verb::Ack | Verb::Unack | Verb::Snooze | Verb::Escalate => true,
        }
    }
}

async fn find(app: &App, code: &str, headers: &HeaderMap, version: i64, from: &str) -> Result<Acting, HttpError> {
    let Some(id) = app.engine.message_to_act_on(code).await? else { return Err(wrong(app, from)) };
    let plan = app.engine.plan();
    let key = &plan.link_key;
    let message = app.engine.query().get_message(id).await?.filter(|message| links::was_sent(key, message, code));
    let Some(message) = message else { return Err(wrong(app, from)) };
    let language = language(message.pages.first().map(|page| page.facts.language).unwrap_or_default(), headers);
    let on = app.engine.shown_in(&message, version).await?;
    let incidents = app.engine.incidents_in(&on, &message.channel).await?;
    let person = links::reader(key, &message.platform, (message.id, &message.cells), code);
    let may = app.engine.may_act_by_link(&message.channel, Verb::Ack, person.as_ref());
    let may_also = |verb: Verb| may.is_ok() && app.engine.may_act_by_link(&message.channel, verb, person.as_ref()).is_ok();
    let silences = may_also(Verb::Silence) && incidents.iter().any(|incident| app.engine.can_silence(incident));
    let (mutes, closes) = (may_also(Verb::Mute), may_also(Verb::Close));
    let escalates = app.engine.can_escalate(&incidents).await?;
    Ok(Acting { message, language, on, incidents, escalates, person, may, silences, mutes, closes })
}

/// The answer to a code that is none of ours. Who guesses is counted, logged and slowed down.
fn wrong(app: &App, from: &str) -> HttpError {
    app.engine.metrics().pressed("link", "", "not_believed");
    if !app.engine.admits_press(&format!("wrong link {from}")) {
        return HttpError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many wrong links came from this address: open the link from the message again, in a minute",
        );
    }
    tracing::warn!(from, "the code of a link is wrong, or its message is no longer stored");
    HttpError::not_found(super::GONE)
}

/// A press that changes nothing: counted and logged.
fn count_refused(app: &App, incident: Option<IncidentId>, from: &str, why: &str) {
    app.engine.metrics().pressed("link", "", "refused");
    let incident = incident.map(tracing::field::display);
    tracing::warn!(incident, from, why, "a press by link was refused");
}

/// The same of a link of ours, with a row of the audit.
async fn refused(app: &App, acting: &Acting, from: &str, why: &str) {
    count_refused(app, acting.incidents.first().map(|incident| incident.id), from, why);
    let name = match (&acting.may, &acting.person) {
        (Ok(Some(known)), _) => app.engine.plan().people.people.shown(known).to_owned(),
        (_, Some(person)) => person.masked(),
        (_, None) => String::new(),
    };
    let by = Author { name, via: "link".into(), from: from.to_owned() };
    let intent = Intent { by, act: AuditAct::Press, on: format!("channel {}", acting.message.channel), reason: String::new() };
    app.engine.note_audit(intent, AuditState::Refused, why).await;
}

/// Shows a message to anybody who has its act link.
pub(in crate::http) async fn show_to_act(State(app): State<Arc<App>>, Path(code): Path<String>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let from = address(&app, &parts);
    let shown = match find(&app, &code, &parts.headers, 0, &from).await {
        Ok(acting) => {
            // Why there is nothing to press.
            let goes_on = acting.incidents.iter().any(|incident| incident.state.is_open());
            let why = match acting.may {
                Err(Why::Unknown) if goes_on => word(acting.language, "act_who"),
                Err(_) if goes_on => word(acting.language, "act_nobody"),
                _ => "",
            };
            page(&app, acting, &parts.headers, why, None).await
        }
        Err(error) => Err(error),
    };
    shown.unwrap_or_else(|error| refusal(&app, &code, error, (&parts.headers, "no_store")))
}

/// Does what the form says.
pub(in crate::http) async fn act(State(app): State<Arc<App>>, Path(code): Path<String>, request: Request) -> Response {
    let (parts, sent) = request.into_parts();
    acted(&app, &code, &parts, sent).await.unwrap_or_else(|error| refusal(&app, &code, error, (&parts.headers, "act_failed")))
}

async fn acted(app: &App, code: &str, parts: &Parts, sent: Body) -> Result<Response, HttpError> {
    let from = address(app, parts);
    // A form of another site cannot know the code; what a browser says of its origin is checked as well.
    if parts.headers.get("sec-fetch-site").is_some_and(|site| !matches!(site.as_bytes(), b"same-origin" | b"none")) {
        count_refused(app, None, &from, "a form of another site");
        return Err(HttpError::new(StatusCode::FORBIDDEN, "this form belongs to another site; open the link from the message"));
    }
    let held = body::read(app, sent, MAX_FORM_BYTES, BodySource::Unauthenticated, |_| {}).await?;
    let form = Form::read(&held.bytes);
    let acting = find(app, code, &parts.headers, form.version, &from).await?;
    let (language, plan) = (acting.language, app.engine.plan());
    // Each form has a number of its own: without a limit one link could change an incident without end.
    if !app.engine.admits_press(&format!("link {code} {from}")) {
        app.engine.metrics().pressed("link", "", "limited");
        let incident = acting.incidents.first().map(|incident| tracing::field::display(incident.id));
        tracing::warn!(incident, from, channel = acting.message.channel, "a link is pressed too often; the press is not taken");
        let told = page(app, acting, &parts.headers, word(language, "act_limited"), None).await?;
        return Ok((StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, RETRY_AFTER)], told).into_response());
    }
    let known = match acting.may.clone() {
        Ok(known) => known,
        Err(why) => {
            let is_unknown = why == Why::Unknown;
            refused(app, &acting, &from, if is_unknown { "not a known person" } else { "not by a link" }).await;
            let said = word(language, if is_unknown { "act_not_allowed" } else { "act_nobody" });
            return Ok((StatusCode::FORBIDDEN, page(app, acting, &parts.headers, said, None).await?).into_response());
        }
    };
    if form.nonce.is_empty() {
        refused(app, &acting, &from, "not the form of the page").await;
        return Err(HttpError::new(StatusCode::BAD_REQUEST, "`nonce` is missing; send the form of the page"));
    }
    // A link that was made for a group proves no name: what is typed is marked as such.
    let typed = known.is_none() && acting.person.is_none();
    let name = if form.name.is_empty() { kept_name(&parts.headers).unwrap_or_default() } else { form.name };
    let Some(by) = actor(&plan, &acting, known, &name) else {
        let told = page(app, acting, &parts.headers, word(language, "act_no_name"), None).await?;
        return Ok((StatusCode::BAD_REQUEST, told).into_response());
    };
    let Some(verb) = form.verb.filter(|verb| acting.offers(*verb)) else {
        refused(app, &acting, &from, "not a button of the page").await;
        return Err(HttpError::new(StatusCode::BAD_REQUEST, "`verb` is one of the buttons of the page"));
    };
    let press = PressKey { platform: "link".into(), event_id: format!("{code} {} {}", verb.as_str(), form.nonce) };
    let author = Author { name: if typed { format!("{name} (as written)") } else { by.name.clone() }, via: "link".into(), from: from.clone() };
    let acted = app.engine.act(Deed { press, verb, span: SNOOZE, by, author }, acting.on.clone()).await;
    let (status, outcome) = match &acted {
        Ok(acted) => (StatusCode::OK, answer(acted, language, &plan, app.engine.clock().wall()).text),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, word(language, "act_failed").to_owned()),
    };
    let told = match find(app, code, &parts.headers, form.version, &from).await {
        Ok(acting) => {
            // The form of a page that a browser went back to: what it did then is not what holds now.
            let holdings: Vec<Holding> = acting.incidents.iter().map(Holding::of).collect();
            let ended = matches!(&acted, Ok(acted) if acted.repeated && is_spent(&acted.results, &holdings));
            let outcome: &str = if ended { word(language, "act_again") } else { &outcome };
            let keeps = acting.person.is_none().then_some(name);
            page(app, acting, &parts.headers, outcome, keeps).await
        }
        Err(error) => Err(error),
    };
    // What was done is said, also where the store is lost right after it.
    Ok(told.map_or_else(|_| brief(status, language, &outcome), |told| (status, told).into_response()))
}

/// Whether somebody is on an incident.
#[derive(Debug)]
struct Holding {
    id: IncidentId,
    is_held: bool,
    /// Whether it fires and is waiting for somebody.
    is_nobodys: bool,
}

impl Holding {
    fn of(incident: &Incident) -> Self {
        let is_held = incident.state.is_open() && incident.attending().next().is_some();
        Self { id: incident.id, is_held, is_nobodys: incident.state == IncidentState::Firing && !is_held }
    }
}

/// Whether what a press acked then is acked no longer, all of it, and waits for somebody again. What it did not ack is no sign of that.
fn is_spent(results: &[(IncidentId, ActResult)], now: &[Holding]) -> bool {
    let was_acked = |result: &ActResult| matches!(result, ActResult::Acked { .. } | ActResult::Already { .. } | ActResult::Silenced { .. });
    let acked = |holding: &&Holding| results.iter().any(|(id, result)| *id == holding.id && was_acked(result));
    let of_it: Vec<&Holding> = now.iter().filter(acked).collect();
    of_it.iter().any(|holding| holding.is_nobodys) && !of_it.iter().any(|holding| holding.is_held)
}

/// Who acts: whom the configuration names, else whom the link was sent to, else who they say they are; `None` when they say nothing.
fn actor(plan: &Plan, acting: &Acting, known: Option<PersonName>, name: &str) -> Option<Actor> {
    let by_link = |who: &str| format!("link:{} {who}", acting.message.channel);
    let (id, name) = match (known, &acting.person) {
        // Who has a link is not proved to be whom it was sent to.
        (Some(known), _) => {
            let name = plan.people.people.shown(&known).to_owned();
            return Some(Actor { id: format!("person:{known}"), via: format!("link sent to {name}"), name });
        }
        (None, Some(person)) => (by_link(&person.digest()), filled(acting.language, "link_name", &person.masked(), "")),
        (None, None) if name.is_empty() => return None,
        // Anybody can write a known person's name.
        (None, None) if plan.people.people.is_named(name) => (by_link(name), filled(acting.language, "as_written", name, "")),
        (None, None) => (by_link(name), name.to_owned()),
    };
    Some(Actor { id, name, via: "link".into() })
}

async fn page(app: &App, acting: Acting, headers: &HeaderMap, outcome: &str, keeps: Option<String>) -> Result<Response, HttpError> {
    let (plan, language) = (app.engine.plan(), acting.language);
    let form = form(&acting, &keeps.clone().or_else(|| kept_name(headers)).unwrap_or_default());
    let states: Vec<String> = acting.incidents.iter().map(|incident| state(incident, language)).collect();
    // A large body is read alone, and of several only the first.
    let alone = app.engine.heavy().large_body().await;
    let found = now::read(&app.engine, acting.message).await?;
    let (now, outcome) = (app.engine.clock().wall().timestamp(), outcome.to_owned());
    let secure = plan.external_url.starts_with("https:");
    let work = move || {
        let mut data = build::page(&found, &plan, language, now);
        (data["incident"], data["act"], data["outcome"]) = (states.join("; ").into(), form, outcome.into());
        render("message", &data)
    };
    let text = app.engine.heavy().run_blocking(work).await;
    drop(alone);
    let mut response = html_under(POLICY, text);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(name) = keeps {
        let secure = if secure { "; Secure" } else { "" };
        // Without a path it is for the page's own folder, also where a proxy serves it below a path.
        let cookie = format!("{COOKIE}={}; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}", utf8_percent_encode(&name, NON_ALPHANUMERIC));
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// How an incident is, in one line.
fn state(incident: &Incident, language: Language) -> String {
    let names: Vec<&str> = incident.attending().map(|ack| who(language, &ack.by.name)).collect();
    let key = match incident.state {
        IncidentState::Firing if names.is_empty() => "firing_now",
        IncidentState::Firing | IncidentState::Acked => "acked_now",
        IncidentState::Snoozed => "snoozed_now",
        IncidentState::Resolved => "resolved_now",
        IncidentState::Stale => "stale_now",
        IncidentState::Closed => "closed_now",
        IncidentState::Superseded => "superseded_now",
    };
    let others = if incident.state == IncidentState::Superseded { incident_numbers(&incident.acks.superseded_by) } else { names.join(", ") };
    let line = filled(language, key, &incident.id.to_string(), &others);
    let line = match incident.acks.mute.as_ref().filter(|_| incident.state.is_open()) {
        Some(mute) => format!("{line} · {}", filled(language, "muted_now", who(language, &mute.by), "")),
        None => line,
    };
    match &incident.acks.silence {
        Some(silence) if silence.state == SilenceState::Active => {
            format!("{line} · {}", filled(language, "silenced_now", who(language, &silence.by.name), ""))
        }
        Some(silence) if silence.reason.is_empty() => {
            format!("{line} · {}", filled(language, "silence_asked_now", who(language, &silence.by.name), ""))
        }
        Some(silence) => format!(
            "{line} · {}{}{}",
            filled(language, "silence_asked_now", who(language, &silence.by.name), ""),
            if language == Language::Zh { "：" } else { ": " },
            reason(language, &silence.reason)
        ),
        None => line,
    }
}

/// The form; null when nothing of it goes on.
fn form(acting: &Acting, name: &str) -> Value {
    let language = acting.language;
    let open: Vec<&Incident> = acting.incidents.iter().filter(|incident| incident.state.is_open()).collect();
    if open.is_empty() || acting.may.is_err() {
        return Value::Null;
    }
    let acked = open.iter().all(|incident| incident.state != IncidentState::Firing);
    let button = |verb: Verb, key| json!({ "verb": verb.as_str(), "label": word(language, key) });
    let reminded = open.iter().flat_map(|incident| &incident.acks.list).any(|ack| ack.reminded_in > 0);
    let mut buttons = match (acked, reminded) {
        (false, _) => vec![button(Verb::Ack, "act_ack")],
        (true, false) => vec![button(Verb::Ack, "act_take_over"), button(Verb::Unack, "act_unack")],
        (true, true) => vec![button(Verb::Ack, "act_still_on_it"), button(Verb::Unack, "act_hand_over")],
    };
    buttons.push(button(Verb::Snooze, "act_snooze"));
    if acting.escalates {
        buttons.push(button(Verb::Escalate, "act_escalate"));
    }
    if acting.silences {
        let silenced = open.iter().all(|incident| incident.acks.silence.is_some());
        buttons.push(if silenced { button(Verb::Unsilence, "act_unsilence") } else { button(Verb::Silence, "act_silence") });
    }
    if acting.mutes {
        let muted = open.iter().all(|incident| incident.acks.mute.is_some());
        buttons.push(if muted { button(Verb::Unmute, "act_unmute") } else { button(Verb::Mute, "act_mute") });
    }
    if acting.closes {
        buttons.push(button(Verb::Close, "act_close"));
    }
    // What the page shows is what is acked.
    let version = if let [only] = acting.incidents.as_slice() { only.version } else { 0 };
    let hidden = |name: &str, value: String| json!({ "name": name, "value": value });
    let mut form = json!({
        "hidden": [hidden("version", version.to_string()), hidden("nonce", Uuid::new_v4().simple().to_string())],
        "buttons": buttons, "name": name,
    });
    match &acting.person {
        Some(person) => form["as"] = filled(language, "act_as", &person.masked(), "").into(),
        None => form["asks"] = word(language, "act_name").into(),
    }
    form
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixMs;
    use crate::store::NoSilence;

    #[test]
    fn only_what_was_acked_then_and_is_nobodys_now_is_spent() {
        let acked = ActResult::Acked { alerts: 1, left: 0, until: None, taken_from: Vec::new(), after: 0 };
        let (over, cannot) = (ActResult::Over { since: None }, ActResult::CannotSilence { why: NoSilence::NotConfigured });
        let silenced = ActResult::Silenced { until: UnixMs(0), state: SilenceState::Active, reason: String::new() };
        let (held, free) = ((true, false), (false, true));
        for (results, now, spent) in [
            (vec![acked.clone()], vec![free], true),
            (vec![ActResult::Already { since: UnixMs(0) }], vec![free], true),
            (vec![acked.clone()], vec![held], false),
            // The other one was never acked by it.
            (vec![silenced, cannot], vec![held, free], false),
            (vec![acked.clone(), over.clone()], vec![held, free], false),
            (vec![over.clone()], vec![free], false),
            (vec![acked.clone(), acked.clone()], vec![held, free], false),
            (vec![acked.clone(), acked.clone()], vec![free, free], true),
            // It has ended, and nobody is asked to press again.
            (vec![acked.clone()], vec![(false, false)], false),
            (vec![acked, over], vec![free, held], true),
        ] {
            let results: Vec<_> = (1..).map(IncidentId).zip(results).collect();
            let now: Vec<_> = (1..).map(IncidentId).zip(now).map(|(id, (is_held, is_nobodys))| Holding { id, is_held, is_nobodys }).collect();
            assert_eq!(is_spent(&results, &now), spent, "{results:?} {now:?}");
        }
    }
}
