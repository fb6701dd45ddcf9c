//! Logging in with a credential of `server.auth`, logging out, and how pages look.

use std::sync::Arc;

use axum::extract::{RawQuery, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use maud::html;

use super::failure::Failure;
use super::form::{Fields, back, go, own, read};
use super::layout::bare;
use super::manner::{LANGUAGE, Manner, THEME};
use super::parts::{icon, say, shown};
use super::viewer::{PLAIN_COOKIE, SECURE_COOKIE, Viewer, is_https, key, new_id, origin};
use crate::config::CredentialKind;
use crate::delivery::{AuditAct, Intent};
use crate::http::body::BodySource;
use crate::http::origin::host;
use crate::http::{App, Refusal, Scope};
use crate::store::{AuditState, SESSION_LIFE, Session};
use crate::template::reason;

/// The form.
pub(super) async fn show(State(app): State<Arc<App>>, RawQuery(query): RawQuery, request: Request) -> Response {
    let manner = Manner::of_request(&app, &request);
    let next = Fields::read(query.as_deref().unwrap_or_default());
    if app.settings.load().auth.credentials.is_empty() {
        return go(request.headers(), back(next.get("next")));
    }
    let undone =
        say(manner.language, "The session has ended, so nothing was done: sign in and press again.", "会话已结束，操作未执行：请登录后重试。");
    let wrong = if next.has("undone") { undone } else { "" };
    form(&manner, host(request.headers(), request.uri()).unwrap_or_default(), back(next.get("next")), StatusCode::OK, wrong)
}

fn form(manner: &Manner, host: &str, next: &str, status: StatusCode, wrong: &str) -> Response {
    let language = manner.language;
    let body = html! {
        main {
            form.card.pad.grid.login method="post" action="/ui/login" {
                div.brandl { span.mk { (icon("mark")) } h1 { "Watchfire" } p.dim { (shown(host)) } }
                @if !wrong.is_empty() { div.note.crit role="alert" { (icon("alert")) p { (shown(wrong)) } } }
                input type="hidden" name="next" value=(next);
                label.f { span { (say(language, "Name", "名称")) " " small { (say(language, "empty for a token", "使用令牌时留空")) } }
                    input.in name="user" autocomplete="username" autocapitalize="none" spellcheck="false"; }
                label.f { span { (say(language, "Password or token", "密码或令牌")) }
                    input.in type="password" name="secret" autocomplete="current-password" required; }
                button.b.p { (say(language, "Sign in", "登录")) }
                p.dim.s { (say(
                    language,
                    "With a credential of server.auth. You stay signed in for 12 h without use, 7 days at most. A signed link in a message works without signing in.",
                    "使用 server.auth 中的凭证登录。闲置 12 小时或满 7 天后需重新登录。消息中的签名链接无需登录。",
                )) }
            }
        }
    };
    (status, bare(manner, say(language, "Sign in", "登录"), body)).into_response()
}

/// Checks a credential and opens a session.
pub(super) async fn submit(State(app): State<Arc<App>>, request: Request) -> Result<Response, Failure> {
    let manner = Manner::of_request(&app, &request);
    let (parts, sent) = request.into_parts();
    own(&app, &parts)?;
    let fields = read(&app, sent, BodySource::Unauthenticated).await?;
    let settings = app.settings.load_full();
    let (user, secret, next) = (fields.get("user"), fields.get("secret"), back(fields.get("next")));
    let given = if user.is_empty() { format!("Bearer {secret}") } else { format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))) };
    let headers: HeaderMap = HeaderValue::from_str(&given).into_iter().map(|value| (header::AUTHORIZATION, value)).collect();
    let now = app.engine.clock().wall();
    let mut author = origin(&app, &parts);
    let admitted = settings.auth.admit(Scope::Read, &headers, None, author.from.parse().ok(), now.seconds()).await;
    let host = host(&parts.headers, &parts.uri).unwrap_or_default();
    let caller = match admitted {
        Ok(caller) => caller,
        Err(refusal) => {
            let language = manner.language;
            let (status, wrong) = match refusal {
                Refusal::Busy => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    say(language, "Too many passwords wait to be checked; try again.", "等待校验的密码过多，请稍后再试。").to_owned(),
                ),
                Refusal::NotFor { why, .. } => (StatusCode::FORBIDDEN, reason(language, &why).into_owned()),
                Refusal::Credentials(_) | Refusal::Unread => {
                    (StatusCode::UNAUTHORIZED, say(language, "The name, password or token is wrong.", "名称、密码或令牌有误。").to_owned())
                }
            };
            // What was typed may be a password in the wrong field: only the name of a user that exists is kept.
            let is_user =
                settings.auth.credentials.iter().any(|known| matches!(&known.kind, CredentialKind::Basic { username, .. } if username == user));
            author.name = if is_user { user.to_owned() } else { String::new() };
            app.engine.metrics().received("any", "unauthorized");
            tracing::warn!(peer = author.from, "a login to the console was refused");
            if app.may_note_refusal() {
                let intent = Intent { by: author, act: AuditAct::LogIn, on: "the console".into(), reason: String::new() };
                app.engine.note_audit(intent, AuditState::Refused, "the credential is wrong or may not read").await;
            }
            return Ok(form(&manner, host, next, status, &wrong));
        }
    };
    let id = new_id();
    let seal = settings.auth.credential(&caller.name).and_then(|credential| credential.seal(&id));
    let seal = seal.ok_or_else(|| Failure::new(StatusCode::FORBIDDEN, "a credential that signs bodies cannot log in"))?;
    let session = Session { key: key(&id), credential: caller.name.clone(), seal, from: author.from.clone(), opened_at: now, seen_at: now };
    app.engine.sessions().open_session(session).await?;
    author.name = caller.name;
    app.engine.note_audit(Intent { by: author, act: AuditAct::LogIn, on: "the console".into(), reason: String::new() }, AuditState::Done, "").await;
    let mut response = go(&parts.headers, next);
    set_login(&mut response, &parts.headers, &URL_SAFE_NO_PAD.encode(id), SESSION_LIFE.as_secs());
    Ok(response)
}

/// Ends the session.
pub(super) async fn leave(State(app): State<Arc<App>>, viewer: Viewer, request: Request) -> Result<Response, Failure> {
    let (parts, _) = request.into_parts();
    own(&app, &parts)?;
    if let Some(key) = viewer.login {
        app.engine.sessions().end_session(key).await?;
        let intent = Intent { by: viewer.caller.author, act: AuditAct::LogOut, on: "the console".into(), reason: String::new() };
        app.engine.note_audit(intent, AuditState::Done, "").await;
    }
    let mut response = go(&parts.headers, "/ui/login");
    set_login(&mut response, &parts.headers, "", 0);
    Ok(response)
}

fn set_login(response: &mut Response, headers: &HeaderMap, value: &str, seconds: u64) {
    let (name, secure) = if is_https(headers) { (SECURE_COOKIE, "; Secure") } else { (PLAIN_COOKIE, "") };
    set(response, &format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"));
}

fn set(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// Keeps the language or the theme that was chosen.
pub(super) async fn settings(State(app): State<Arc<App>>, request: Request) -> Result<Response, Failure> {
    let (parts, sent) = request.into_parts();
    own(&app, &parts)?;
    let fields = read(&app, sent, BodySource::Unauthenticated).await?;
    let mut response = go(&parts.headers, back(fields.get("back")));
    for (name, known) in [(LANGUAGE, ["en", "zh"]), (THEME, ["light", "dark"])] {
        let field = name.trim_start_matches("wf_");
        if let Some(value) = known.into_iter().find(|known| *known == fields.get(field)) {
            set(&mut response, &format!("{name}={value}; Path=/ui; Max-Age=31536000; SameSite=Lax"));
        }
    }
    Ok(response)
}
