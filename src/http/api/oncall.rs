//! Who is on call: look, make and end overrides, calendars.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::tz::TimeZone;
use serde_json::json;

use super::incidents::named;
use super::times::instant;
use super::{ApiError, ApiResult, for_all, gate, nearest_of, noted, read};
use crate::api::{CalendarAddress, Calendars, OnCall, OverrideRequest, OverrideResponse, Overrides, RotaShift, RotaShifts, RotaState};
use crate::delivery::links::{CalendarOf, calendar_url, opens_calendar};
use crate::delivery::rota::calendar;
use crate::delivery::{AuditAct, Intent, Plan, Rota, Shift, ShiftKind};
use crate::http::audit::audited;
use crate::http::openapi::{Op, Param, Paths};
use crate::http::pairs::pairs;
use crate::http::{App, Caller, Scope};
use crate::model::UnixMs;
use crate::store::Override;

const DAY: Duration = Duration::from_secs(86_400);
/// What a calendar shows of the past and of the future.
const PAST: Duration = Duration::from_secs(14 * 86_400);
const FUTURE: Duration = Duration::from_secs(90 * 86_400);
/// The longest time whose shifts are listed, and the longest override.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// What overrides are shared by: all channels.
const WHAT: &str = "what all channels share, as rotas are,";

/// The paths.
pub(super) fn paths() -> Paths {
    let api = |op: Op| op.scope(Scope::Read).problems();
    let time = || json!({ "type": "string", "format": "date-time" });
    let key = || Param::text("k", "The secret part of the calendar's address, in place of a credential");
    Paths::default()
        .at(
            "/oncall",
            [api(Op::get("showOnCall", "Who is on call, in each rota", show)
                .query([Param::of("at", "At this time; now unless said", time())])
                .gives::<OnCall>())],
        )
        .at(
            "/oncall/rotas/{name}",
            [api(Op::get("listShifts", "The shifts of a rota", shifts)
                .query([
                    Param::of("from", "From this time; now unless said", time()),
                    Param::of("until", "Until this time; 14 days later unless said", time()),
                ])
                .gives::<RotaShifts>()
                .refuses(&[404]))],
        )
        .at(
            "/oncall/rotas/{name}/calendar.ics",
            [api(Op::get("rotaCalendar", "The shifts of a rota, for calendars", rota_calendar).query([key()]).gives_calendar().refuses(&[404]))],
        )
        .at(
            "/oncall/people/{name}/calendar.ics",
            [api(Op::get("personCalendar", "The shifts of a person in all rotas, for calendars", person_calendar)
                .query([key()])
                .gives_calendar()
                .refuses(&[404]))],
        )
        .at(
            "/oncall/calendars",
            [api(Op::get("listCalendars", "The addresses of calendars, which need no credential", calendars).gives::<Calendars>())],
        )
        .at(
            "/oncall/overrides",
            [
                api(Op::get("listOverrides", "The overrides: who is on call in place of whom", overrides).gives::<Overrides>()),
                Op::post("addOverride", "Puts somebody on call in place of those whose turn it is", add)
                    .scope(Scope::Operate)
                    .problems()
                    .takes::<OverrideRequest>("Who, where and until when")
                    .gives::<OverrideResponse>()
                    .refuses(&[404]),
            ],
        )
        .at(
            "/oncall/overrides/{number}",
            [Op::delete("endOverride", "Ends an override", end).scope(Scope::Operate).problems().gives::<OverrideResponse>().refuses(&[404])],
        )
}

async fn show(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> ApiResult<OnCall> {
    for_all(&gate(&app, Scope::Read, request).await?.caller, WHAT)?;
    let plan = app.engine.plan();
    let now = app.engine.clock().wall();
    let at = asked(text.as_deref(), &["at"], &plan.messages.time_zone, now)?[0].unwrap_or(now);
    let overrides = plan.people.active_overrides(&app.engine.overrides());
    let state = |rota: &Rota| {
        let now = rota.at(at, &overrides);
        let then = now.as_ref().map_or(at, |shift| shift.until);
        let after = rota.between(then, then + FUTURE, &overrides).into_iter().find(|shift| shift.from >= then);
        RotaState {
            rota: rota.name.to_string(),
            zone: zone_name(rota),
            now: now.map(shift_of),
            then: after.map(shift_of),
            next: rota.next(at, &overrides).map(ToString::to_string),
        }
    };
    Ok(Json(OnCall { at, rotas: plan.people.rotas.values().map(state).collect() }))
}

async fn shifts(State(app): State<Arc<App>>, Path(name): Path<String>, RawQuery(text): RawQuery, request: Request) -> ApiResult<RotaShifts> {
    for_all(&gate(&app, Scope::Read, request).await?.caller, WHAT)?;
    let plan = app.engine.plan();
    let rota = rota(&plan, &name)?;
    let now = app.engine.clock().wall();
    let times = asked(text.as_deref(), &["from", "until"], &rota.zone, now)?;
    let from = times[0].unwrap_or(now);
    let until = times[1].unwrap_or(from + 14 * DAY);
    if until <= from || until.since(from) > LONGEST {
        return Err(ApiError::bad("`until` comes after `from`, by a year at most"));
    }
    let overrides = plan.people.active_overrides(&app.engine.overrides());
    let shifts = rota.between(from, until, &overrides).into_iter().map(shift_of).collect();
    Ok(Json(RotaShifts { rota: name, zone: zone_name(rota), shifts }))
}

async fn rota_calendar(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(text): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    may_read(&app, CalendarOf::Rota, &name, text.as_deref(), request).await?;
    rota_shifts(&app, &name)
}

async fn person_calendar(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(text): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    may_read(&app, CalendarOf::Person, &name, text.as_deref(), request).await?;
    person_shifts(&app, &name)
}

/// Lets in who has the calendar's address, or a credential: calendars that subscribe send neither cookies nor headers.
async fn may_read(app: &App, of: CalendarOf, name: &str, query: Option<&str>, request: Request) -> Result<(), ApiError> {
    let given = pairs(query).find_map(|(key, value)| (key == "k").then_some(value));
    if given.is_some_and(|given| opens_calendar(&app.engine.plan(), of, name, &given)) {
        return Ok(());
    }
    for_all(&gate(app, Scope::Read, request).await?.caller, WHAT)
}

async fn calendars(State(app): State<Arc<App>>, request: Request) -> ApiResult<Calendars> {
    for_all(&gate(&app, Scope::Read, request).await?.caller, WHAT)?;
    let plan = app.engine.plan();
    let address =
        |kind: CalendarOf, name: &str| CalendarAddress { kind: kind.as_str().into(), name: name.into(), url: calendar_url(&plan, kind, name) };
    let rotas = plan.people.rotas.keys().map(|name| address(CalendarOf::Rota, name));
    Ok(Json(Calendars { calendars: rotas.chain(plan.people.people.names().map(|name| address(CalendarOf::Person, name))).collect() }))
}

/// The shifts of a rota or of a person, for who may see everything.
pub(in crate::http) fn calendar_for(app: &App, caller: &Caller, of: CalendarOf, name: &str) -> Result<Response, ApiError> {
    for_all(caller, WHAT)?;
    match of {
        CalendarOf::Rota => rota_shifts(app, name),
        CalendarOf::Person => person_shifts(app, name),
    }
}

fn rota_shifts(app: &App, name: &str) -> Result<Response, ApiError> {
    let plan = app.engine.plan();
    let rota = rota(&plan, name)?;
    Ok(calendar_of(app, &plan, &format!("On call: {name}"), |one, _| one.name == rota.name))
}

fn person_shifts(app: &App, name: &str) -> Result<Response, ApiError> {
    let plan = app.engine.plan();
    if plan.people.people.get(name).is_none() {
        return Err(nearest_of("person", name, plan.people.people.names()));
    }
    Ok(calendar_of(app, &plan, &format!("On call: {}", plan.people.people.shown(name)), |_, shift| *shift.person == *name))
}

fn calendar_of(app: &App, plan: &Plan, title: &str, wanted: impl Fn(&Rota, &Shift) -> bool) -> Response {
    let now = app.engine.clock().wall();
    let overrides = plan.people.active_overrides(&app.engine.overrides());
    let mut shifts = Vec::new();
    for rota in plan.people.rotas.values() {
        let all = rota.between(now - PAST, now + FUTURE, &overrides).into_iter();
        shifts.extend(all.filter(|shift| wanted(rota, shift)).map(|shift| (rota.name.clone(), shift)));
    }
    ([(header::CONTENT_TYPE, "text/calendar; charset=utf-8")], calendar(title, &shifts, &plan.people.people, now)).into_response()
}

async fn overrides(State(app): State<Arc<App>>, request: Request) -> ApiResult<Overrides> {
    for_all(&gate(&app, Scope::Read, request).await?.caller, WHAT)?;
    app.engine.refresh_overrides().await?;
    Ok(Json(Overrides { overrides: app.engine.overrides().to_vec() }))
}

async fn add(State(app): State<Arc<App>>, request: Request) -> ApiResult<OverrideResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    add_by(&app, &admitted.caller, read(&admitted.body)?).await.map(Json)
}

/// Puts somebody on call in place of those whose turn it is.
pub(in crate::http) async fn add_by(app: &App, caller: &Caller, asked: OverrideRequest) -> Result<OverrideResponse, ApiError> {
    noted(app, caller, AuditAct::Override, || format!("{} in {}", asked.person, asked.rota), for_all(caller, WHAT)).await?;
    let plan = app.engine.plan();
    let rota = rota(&plan, &asked.rota)?;
    if plan.people.people.get(&asked.person).is_none() {
        return Err(nearest_of("person", &asked.person, plan.people.people.names()));
    }
    let now = app.engine.clock().wall();
    let from = asked.from.as_deref().map(|text| instant("from", text, &rota.zone, now)).transpose()?.unwrap_or(now);
    // A time of day is the next one after it begins.
    let until = instant("until", &asked.until, &rota.zone, now.max(from))?;
    if until <= from || until <= now || until.since(from) > LONGEST {
        return Err(ApiError::bad("`until` comes after `from` and after now, by a year at most"));
    }
    let by = named(&caller.name).to_owned();
    let reason: String = asked.reason.unwrap_or_default().chars().take(500).collect();
    tracing::warn!(rota = asked.rota, person = asked.person, %from, %until, by, "an override of a rota is made");
    let on = format!("{} in {} from {from} until {until}", asked.person, asked.rota);
    let intent = Intent { by: caller.author.clone(), act: AuditAct::Override, on, reason: reason.clone() };
    let new = Override { id: 0, rota: asked.rota, person: asked.person, from, until, reason, by };
    let work = async { Ok::<_, ApiError>(app.engine.add_override(new).await?) };
    let added = audited(app, intent, work, |added| format!("override {}", added.id)).await?;
    let text = format!("override {}: {} is on call in {} from {} until {}", added.id, added.person, added.rota, added.from, added.until);
    Ok(OverrideResponse { text, number: added.id })
}

async fn end(State(app): State<Arc<App>>, Path(number): Path<String>, request: Request) -> ApiResult<OverrideResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    end_by(&app, &admitted.caller, &number).await.map(Json)
}

/// Ends an override.
pub(in crate::http) async fn end_by(app: &App, caller: &Caller, number: &str) -> Result<OverrideResponse, ApiError> {
    noted(app, caller, AuditAct::EndOverride, || format!("override {number}"), for_all(caller, WHAT)).await?;
    let number: i64 = number.parse().map_err(|_| ApiError::bad("an override has a number, as 3; `watchfire oncall overrides` lists them"))?;
    let intent = Intent { by: caller.author.clone(), act: AuditAct::EndOverride, on: format!("override {number}"), reason: String::new() };
    let work = async {
        if app.engine.end_override(number).await? {
            return Ok(());
        }
        let text = format!("there is no override {number} that has not ended; `watchfire oncall overrides` lists those that there are");
        Err(ApiError::missing(text))
    };
    audited(app, intent, work, |()| "ended".into()).await?;
    tracing::warn!(number, by = caller.name, "an override of a rota is ended");
    Ok(OverrideResponse { text: format!("override {number} is ended"), number })
}

fn rota<'p>(plan: &'p Plan, name: &str) -> Result<&'p Rota, ApiError> {
    plan.people.rotas.get(name).ok_or_else(|| nearest_of("rota", name, plan.people.rotas.keys().map(|known| &**known)))
}

/// The times that a query names, in the order of `names`.
fn asked(query: Option<&str>, names: &[&str], zone: &TimeZone, now: UnixMs) -> Result<Vec<Option<UnixMs>>, ApiError> {
    let mut times = vec![None; names.len()];
    for (name, value) in pairs(query) {
        let Some(place) = names.iter().position(|known| *known == name) else {
            return Err(ApiError::bad(format!("unknown parameter `{name}`; known: {}", names.join(", "))));
        };
        times[place] = Some(instant(&name, &value, zone, now)?);
    }
    Ok(times)
}

fn zone_name(rota: &Rota) -> String {
    rota.zone.iana_name().unwrap_or("UTC").to_owned()
}

fn shift_of(shift: Shift) -> RotaShift {
    let by_override = match shift.kind {
        ShiftKind::Turn => None,
        ShiftKind::Override(number) => Some(number),
    };
    RotaShift { person: shift.person.to_string(), from: shift.from, until: shift.until, by_override }
}
