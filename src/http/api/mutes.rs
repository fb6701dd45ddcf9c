//! Mutes: list them, make and end those by hand.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;

use super::{ApiError, ApiResult, gate, may_use, no_channel, not_for, read};
use crate::api::{Mute, MuteRequest, MuteResponse, MuteState, Mutes};
use crate::delivery::mutes::mute_key;
use crate::delivery::{AuditAct, Intent};
use crate::http::audit::audited;
use crate::http::openapi::{Op, Param, Paths};
use crate::http::pairs::pairs;
use crate::http::{Admitted, App, Caller, Scope};
use crate::model::{CHANNEL_LABEL, UnixMs};
use crate::route::{self, Matcher, MuteTime, Op as Compare, matcher};
use crate::store::{self, MAX_MATCHERS};

/// The matcher of a channel.
pub(in crate::http) fn of_channel(name: &str) -> Result<Vec<Matcher>, ApiError> {
    parsed(&store::channel_matchers(name))
}

/// The longest that a mute may last: a year. Longer is a change of the configuration.
pub(in crate::http) const LONGEST_MUTE: Duration = Duration::from_secs(366 * 86_400);
/// The paths.
pub(super) fn paths() -> Paths {
    let matchers = vec![Param::text("matchers", "The matchers of the mute, separated by commas: `channel=\"ops\",team=\"db\"`; may be repeated")];
    Paths::default().at(
        "/mutes",
        [
            Op::get("listMutes", "The mutes, of the file and by hand", list).scope(Scope::Read).problems().gives::<Mutes>(),
            Op::post("mute", "Holds back the alerts that match, until the mute ends; replaces the mute with the same matchers", mute)
                .scope(Scope::Operate)
                .problems()
                .takes::<MuteRequest>("What, how long, and why")
                .gives::<MuteResponse>()
                .refuses(&[404]),
            Op::delete("unmute", "Ends a mute", unmute).scope(Scope::Operate).problems().query(matchers).gives::<MuteResponse>().refuses(&[404]),
        ],
    )
}

async fn list(State(app): State<Arc<App>>, request: Request) -> ApiResult<Mutes> {
    let Admitted { caller, .. } = gate(&app, Scope::Read, request).await?;
    Ok(Json(Mutes { mutes: listed(&app, &caller).await? }))
}

/// The mutes that a caller may see.
pub(in crate::http) async fn listed(app: &App, caller: &Caller) -> Result<Vec<Mute>, ApiError> {
    let (now, mutes) = (app.engine.clock().wall(), app.engine.mutes());
    let (known, counted) = (app.engine.mute_rows().await?, app.engine.count_held(now).await);
    let mine = mutes.all().filter(|mute| !caller.is_limited() || channel_of(&mute.matchers).is_some_and(|channel| caller.may_use(channel)));
    let one = |mute: &route::Mute| {
        let key = mute_key(mute);
        let held = counted.iter().find(|(of, _)| *of == key).map(|(_, held)| *held);
        shown(mute, known.iter().find(|row| row.key == key), held, now)
    };
    let mut all: Vec<Mute> = mine.map(one).collect();
    all.sort_by_key(|mute| mute.state);
    Ok(all)
}

/// A mute with what was remembered of it, and with what it holds `now` if it mutes.
fn shown(mute: &route::Mute, known: Option<&store::MuteRow>, counted: Option<[u32; 4]>, now: UnixMs) -> Mute {
    let active = mute.time.end(now);
    let state = match active {
        Some(_) => MuteState::Active,
        None if mute.time.is_over(now) => MuteState::Ended,
        None => MuteState::Waiting,
    };
    let until = match &mute.time {
        MuteTime::Until(until) => Some(*until),
        MuteTime::During(_) => active.filter(|until| *until < UnixMs::MAX),
    };
    Mute {
        name: mute.name.clone(),
        matchers: texts(&mute.matchers),
        state,
        until,
        drop: mute.drop,
        reason: mute.reason.clone(),
        by: mute.owner.clone(),
        ticket: Some(mute.ticket.clone()).filter(|ticket| !ticket.is_empty()),
        held: counted.or(known.map(|row| row.held)).unwrap_or_default().into(),
        held_at: if counted.is_some_and(|held| held != [0; 4]) { Some(now) } else { known.and_then(|row| row.held_at) },
    }
}

async fn mute(State(app): State<Arc<App>>, request: Request) -> ApiResult<MuteResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    let body: MuteRequest = read(&admitted.body)?;
    let matchers = body.matchers.iter().map(|text| parsed(text)).collect::<Result<Vec<_>, _>>()?.concat();
    let span = crate::model::parse_duration(&body.duration).map_err(|e| ApiError::bad(e.to_string()))?;
    if span.is_zero() {
        return Err(ApiError::bad("`for` is how long it is muted, as `2h`; in no time nothing is"));
    }
    if span > LONGEST_MUTE {
        return Err(ApiError::bad("a mute lasts a year at most; `disabled: true` in routes.yaml turns a channel off"));
    }
    set(&app, matchers, app.engine.clock().wall() + span, body.reason.trim(), &admitted.caller).await.map(Json)
}

async fn unmute(State(app): State<Arc<App>>, RawQuery(text): RawQuery, request: Request) -> ApiResult<MuteResponse> {
    let admitted = gate(&app, Scope::Operate, request).await?;
    let named = pairs(text.as_deref()).filter(|(name, _)| name == "matchers");
    let matchers = named.map(|(_, text)| parsed(&text)).collect::<Result<Vec<_>, _>>()?.concat();
    if matchers.is_empty() {
        return Err(ApiError::bad("`matchers` is needed: which mute ends?"));
    }
    set(&app, matchers, UnixMs::EPOCH, "", &admitted.caller).await.map(Json)
}

/// Makes, changes or ends (`until` 0) a mute.
pub(in crate::http) async fn set(app: &App, matchers: Vec<Matcher>, until: UnixMs, reason: &str, by: &Caller) -> Result<MuteResponse, ApiError> {
    let ends = until == UnixMs::EPOCH;
    let till = if ends { String::new() } else { format!(" until {until}") };
    let (act, on) = (if ends { AuditAct::Unmute } else { AuditAct::Mute }, texts(&matchers).join(",") + &till);
    let intent = Intent { by: by.author.clone(), act, on, reason: reason.to_owned() };
    let told = |_: &MuteResponse| if ends { "not muted any more" } else { "muted" }.to_owned();
    audited(app, intent, set_checked(app, matchers, until, reason, by), told).await
}

async fn set_checked(app: &App, matchers: Vec<Matcher>, until: UnixMs, reason: &str, by: &Caller) -> Result<MuteResponse, ApiError> {
    if matchers.iter().all(|matcher| matcher.matches_value("")) {
        return Err(ApiError::bad("at least one matcher must not match the empty value: else everything is muted"));
    }
    let (plan, ends) = (app.engine.plan(), until == UnixMs::EPOCH);
    match channel_of(&matchers) {
        Some(channel) => {
            may_use(by, channel)?;
            // The mute of a channel that is gone can be ended.
            if !ends {
                plan.channel(channel).ok_or_else(|| no_channel(&plan, by, channel))?;
            }
        }
        None if by.is_limited() => {
            return Err(not_for(by, "a mute without `channel=\"NAME\"`"));
        }
        None => {}
    }
    let mut shown = texts(&matchers);
    shown.sort();
    shown.dedup();
    let text = shown.join(",");
    if text.len() > MAX_MATCHERS {
        return Err(ApiError::bad(format!("the matchers are longer than {MAX_MATCHERS} bytes")));
    }
    if ends {
        app.engine.refresh_mutes().await?;
        let (mutes, now) = (app.engine.mutes(), app.engine.clock().wall());
        let same: Vec<&route::Mute> = mutes.active(now).map(|active| active.mute).filter(|mute| mute.text == text).collect();
        if !same.iter().any(|mute| mute.name.is_none()) {
            let file = same.iter().find_map(|mute| mute.name.as_ref());
            let help = file.map_or_else(
                || "`watchfire mute ls` lists those that there are".to_owned(),
                |name| format!("`{name}` has them, which is in the configuration: remove it there and reload"),
            );
            return Err(ApiError::new(StatusCode::NOT_FOUND, format!("there is no mute by hand with the matchers {text}; {help}")));
        }
    }
    let by = by.name.clone();
    if ends {
        tracing::warn!(matchers = text, by, "a mute was ended by hand");
    } else {
        tracing::warn!(matchers = text, %until, reason, by, "a mute was made or changed by hand");
    }
    app.engine.set_mute(store::Mute { matchers: text, until, reason: reason.chars().take(500).collect(), by }).await?;
    Ok(MuteResponse { matchers: shown, until: (until > UnixMs::EPOCH).then_some(until) })
}

pub(in crate::http) fn parsed(text: &str) -> Result<Vec<Matcher>, ApiError> {
    matcher::parse(text).map_err(|error| ApiError::bad(format!("`matchers`: {error}")))
}

fn texts(matchers: &[Matcher]) -> Vec<String> {
    matchers.iter().map(ToString::to_string).collect()
}

/// The one channel that they name.
fn channel_of(matchers: &[Matcher]) -> Option<&str> {
    matchers.iter().find(|matcher| matcher.name() == CHANNEL_LABEL && matcher.op() == Compare::Equal).map(Matcher::value)
}
