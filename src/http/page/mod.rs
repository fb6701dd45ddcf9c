//! Pages for people: `/m/<code>`, a message as it was sent and as it is now, for somebody with its link and nothing else; and `/`.
//!
//! Texts of alerts are hostile: they pass through the template's escape, links are absolute http(s) addresses, and the policy allows nothing but the
//! style, the script and the icons that are served from here.

mod act;
pub(super) mod build;
mod form;
mod now;
pub(super) mod words;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use handlebars::Handlebars;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{App, HttpError};
use crate::delivery::links;
use crate::delivery::plan::RetentionPlan;
use crate::model::{Language, MessageId, UnixMs};
use crate::template::{humanize, reason, register_len};

/// Nothing inline, nothing from elsewhere.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// What the pages load: name, type, text.
const ASSETS: [(&str, &str, &str); 3] = [
    ("page.css", "text/css; charset=utf-8", concat!(include_str!("../assets/tokens.css"), include_str!("assets/page.css"))),
    ("page.js", "text/javascript; charset=utf-8", include_str!("assets/page.js")),
    ("icons.svg", "image/svg+xml", include_str!("assets/icons.svg")),
];

/// Changes with the assets, which browsers keep without asking again.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let hash = ASSETS.iter().fold(Sha256::new(), |hash, (_, _, text)| hash.chain_update(text)).finalize();
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
});

static TEMPLATES: LazyLock<Handlebars<'static>> = LazyLock::new(|| {
    let mut templates = Handlebars::new();
    register_len(&mut templates);
    let pages = [("message", include_str!("message.hbs")), ("index", include_str!("index.hbs")), ("brief", include_str!("brief.hbs"))];
    for (name, text) in pages {
        templates.register_template_string(name, text).expect("the embedded pages are templates: the tests of this module render them");
    }
    templates
});

fn render(name: &str, data: &Value) -> String {
    TEMPLATES.render(name, data).unwrap_or_else(|error| {
        tracing::error!(%error, page = name, "a page could not be written; please report this bug");
        String::new()
    })
}

fn html(text: String) -> Response {
    html_under(POLICY, text)
}

fn html_under(policy: HeaderValue, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::VARY, HeaderValue::from_static("accept, accept-language")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    ];
    (headers, text).into_response()
}

/// The language of a page: the channel's, unless the reader's browser asks for the other one only.
fn language(own: Language, headers: &HeaderMap) -> Language {
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let asks = |code: &str| asked.split(',').any(|one| one.trim().to_ascii_lowercase().starts_with(code));
    match (asks("en"), asks("zh")) {
        (true, false) => Language::En,
        (false, true) => Language::Zh,
        _ => own,
    }
}

/// Why a link leads to no message; [`gone`] has the words.
const GONE: &str = "no such message";

/// Whether a code says that its message was formed longer ago than messages are kept.
fn is_past_retention(code: &str, kept: RetentionPlan, now: UnixMs) -> bool {
    links::formed_at(code, now).is_some_and(|formed| formed <= now - kept.sent.min(kept.dead))
}

/// Said of a link that leads to no message, whatever the reason is: without the message nobody can tell. A code says when its message was formed. Of every
/// code that is older than messages are kept, real or guessed, the retention is named.
fn gone(code: &str, kept: RetentionPlan, now: UnixMs, language: Language) -> String {
    if !is_past_retention(code, kept, now) {
        return words::word(language, "gone").to_owned();
    }
    words::filled(language, "purged", &humanize(language, kept.sent), &humanize(language, kept.dead))
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("text/html"))
}

/// What somebody sees in place of a message: a page in a browser, which may be a phone's; a line elsewhere. `no_store` is the word for a store that is
/// not available.
fn refusal(app: &App, code: &str, error: HttpError, (headers, no_store): (&HeaderMap, &'static str)) -> Response {
    let (plan, now) = (app.engine.plan(), app.engine.clock().wall());
    let gone = |language| gone(code, plan.retention, now, language);
    // 404 is for what may be wrong. Whatever had a code of that age is gone.
    let status = match error.status() {
        StatusCode::NOT_FOUND if is_past_retention(code, plan.retention, now) => StatusCode::GONE,
        status => status,
    };
    if !wants_html(headers) {
        let error = if error.status() == StatusCode::NOT_FOUND { HttpError::new(status, gone(Language::En)) } else { error };
        return error.into_response();
    }
    let language = language(plan.language_of(""), headers);
    let text = match error.status() {
        StatusCode::NOT_FOUND => Cow::Owned(gone(language)),
        StatusCode::SERVICE_UNAVAILABLE if error.is_of_store() => Cow::Borrowed(words::word(language, no_store)),
        _ => reason(language, error.text()),
    };
    let mut response = brief(status, language, &text);
    if let Some(after) = error.into_response().headers().get(header::RETRY_AFTER) {
        response.headers_mut().insert(header::RETRY_AFTER, after.clone());
    }
    response
}

/// A page that says one thing.
fn brief(status: StatusCode, language: Language, text: &str) -> Response {
    let page = render("brief", &json!({ "lang": words::tag(language), "version": *VERSION, "text": text }));
    (status, html(page)).into_response()
}

/// Shows a message to anybody who has its link.
pub(super) async fn show(State(app): State<Arc<App>>, Path(code): Path<String>, headers: HeaderMap) -> Response {
    shown(&app, &code, &headers).await.unwrap_or_else(|error| refusal(&app, &code, error, (&headers, "no_store")))
}

async fn shown(app: &App, code: &str, headers: &HeaderMap) -> Result<Response, HttpError> {
    let wrong = || HttpError::not_found(GONE);
    let plan = app.engine.plan();
    let among = links::messages_of_code(code, app.engine.clock().wall()).ok_or_else(wrong)?;
    let found = app.engine.query().list_message_ids(among).await?;
    let is_meant = |id: &MessageId| bool::from(links::message_code(&plan.link_key, *id).as_bytes().ct_eq(code.as_bytes()));
    let id = found.into_iter().find(is_meant).ok_or_else(wrong)?;
    let message = app.engine.query().get_message(id).await?.ok_or_else(wrong)?;
    let language = language(message.pages.first().map(|page| page.facts.language).unwrap_or_default(), headers);
    // A large body is read alone, and of several only the first.
    let alone = app.engine.heavy().large_body().await;
    let found = now::read(&app.engine, message).await?;
    let now = app.engine.clock().wall().timestamp();
    let page = app.engine.heavy().run_blocking(move || render("message", &build::page(&found, &plan, language, now))).await;
    drop(alone);
    Ok(html(page))
}

pub(super) use act::{act, show_to_act};

/// A file of the pages. Browsers keep it: its address changes with its text.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, HttpError> {
    let (_, kind, text) = ASSETS.into_iter().find(|(known, _, _)| *known == name).ok_or_else(|| HttpError::not_found("no such file"))?;
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, text).into_response())
}

/// What this is, for somebody who opens it in a browser; the same in plain text for everybody else.
pub(super) async fn index(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    const RELEASE: &str = env!("CARGO_PKG_VERSION");
    let wants_html = wants_html(&headers);
    let language = language(Language::En, &headers);
    let paths = words::paths(if wants_html { language } else { Language::En });
    if !wants_html {
        let lines: String = paths.iter().map(|(path, about)| format!("{path:<24} {about}\n")).collect();
        return format!("Watchfire {RELEASE}\n\n{lines}").into_response();
    }
    let works = app.engine.store_works();
    let word = |key| words::word(language, key);
    let paths: Vec<Value> = paths.iter().map(|(path, about)| json!({ "path": path, "about": about })).collect();
    html(render(
        "index",
        &json!({
            "lang": words::tag(language), "version": *VERSION, "release": RELEASE, "paths": paths, "t": { "about": word("about"), "console": word("console") },
            "state": if works { "over" } else { "critical" }, "icon": if works { "ok" } else { "critical" },
            "word": word(if works { "takes_alerts" } else { "takes_none" }),
        }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(header: &str) -> HeaderMap {
        [(header::ACCEPT_LANGUAGE, HeaderValue::from_str(header).unwrap())].into_iter().collect()
    }

    #[test]
    fn the_channels_language_gives_way_to_a_reader_who_asks_for_the_other_only() {
        assert_eq!(language(Language::Zh, &HeaderMap::new()), Language::Zh);
        assert_eq!(language(Language::Zh, &asked("en-US,en;q=0.9")), Language::En);
        assert_eq!(language(Language::Zh, &asked("en-US,en;q=0.9,zh-CN;q=0.8")), Language::Zh);
        assert_eq!(language(Language::En, &asked("zh-CN,zh;q=0.9")), Language::Zh);
        assert_eq!(language(Language::En, &asked("fr")), Language::En);
    }

    #[test]
    fn of_a_link_that_is_older_than_messages_are_kept_the_retention_is_named() {
        let day = std::time::Duration::from_secs(86_400);
        let (kept, now) = (RetentionPlan { sent: 30 * day, dead: 90 * day, max_bytes: 0 }, UnixMs(1_795_000_000_000));
        let formed = |before: std::time::Duration| MessageId(uuid::Uuid::from_u128(u128::from((now - before).0.cast_unsigned()) << 80));
        let code = |before| links::message_code(&crate::model::Secret::new("key"), formed(before));
        let said = |code: &str, language| gone(code, kept, now, language);
        let purged = said(&code(31 * day), Language::En);
        assert!(purged.contains("removed after 30d") && purged.contains("not delivered after 90d"), "{purged}");
        assert_eq!(said(&links::message_code(&crate::model::Secret::new("guess"), formed(31 * day)), Language::En), purged, "nothing is confirmed");
        let purged = said(&code(31 * day), Language::Zh);
        assert!(purged.contains("保留 30天") && purged.contains("保留 90天"), "{purged}");
        for young in [code(29 * day), code(day), "x".into(), String::new(), "/".repeat(14)] {
            assert_eq!(said(&young, Language::En), words::word(Language::En, "gone"), "{young}");
        }
    }

    #[test]
    fn nothing_is_inline_and_both_schemes_name_the_same_colours() {
        for text in [include_str!("message.hbs"), include_str!("index.hbs"), include_str!("brief.hbs")] {
            assert!(!text.contains("style=") && !text.contains("<style") && !text.contains(" on") && !text.contains("{{{"), "{text}");
            assert_eq!(text.matches("<script").count(), text.matches("<script src=").count());
        }
        let style = ASSETS[0].2;
        let (light, dark) = style.split_once("@media (prefers-color-scheme:dark)").unwrap();
        let dark = dark.split_once("}}").unwrap().0;
        let names = |text: &str| -> std::collections::BTreeSet<String> {
            let names = text.split([';', '{', '\n']).filter_map(|part| part.split_once(':')).map(|(name, _)| name.to_owned());
            names.filter(|name| name.starts_with("--") && !["--sans", "--mono"].contains(&name.as_str())).collect()
        };
        assert_eq!(names(light), names(dark));
        assert!(names(dark).len() > 20);
    }
}
