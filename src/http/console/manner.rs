//! How a reader wants pages: language, theme, times; and whether a page or a part of one is asked for.

use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::http::App;
use crate::model::Language;

/// The cookies of the settings.
pub(super) const LANGUAGE: &str = "wf_lang";
/// `light` or `dark`.
pub(super) const THEME: &str = "wf_theme";

/// How a reader wants pages.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// The language that was chosen, else the first of the two that the browser asks for.
    pub(super) language: Language,
    /// `light` or `dark` where it was chosen; else the system's.
    pub(super) theme: Option<&'static str>,
    /// Whether htmx asks for a part of a page.
    pub(super) fragment: bool,
    /// The address that was asked for, with its query.
    pub(super) here: String,
    /// The time.
    pub(super) now: Timestamp,
    /// The zone of times.
    pub(super) zone: TimeZone,
}

impl Manner {
    /// As a request says.
    pub(super) fn of(app: &App, uri: &axum::http::Uri, headers: &HeaderMap) -> Self {
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        // Inside the nested router the prefix is cut off; the page that an htmx request comes from names itself.
        let fragment = headers.contains_key("hx-request");
        let here = if path.starts_with("/ui") {
            path.to_owned()
        } else {
            format!("/ui{}", path.strip_prefix('/').filter(|rest| rest.is_empty() || rest.starts_with('?')).unwrap_or(path))
        };
        Self {
            language: language(headers),
            theme: cookie(headers, THEME).and_then(|theme| ["light", "dark"].into_iter().find(|known| theme == *known)),
            fragment,
            here,
            now: app.engine.clock().wall().timestamp(),
            zone: app.engine.plan().messages.time_zone.clone(),
        }
    }

    /// The same of a request that is taken apart.
    pub(super) fn of_parts(app: &App, parts: &Parts) -> Self {
        Self::of(app, &parts.uri, &parts.headers)
    }

    /// The same of a whole request.
    pub(super) fn of_request(app: &App, request: &Request) -> Self {
        Self::of(app, request.uri(), request.headers())
    }
}

fn language(headers: &HeaderMap) -> Language {
    match cookie(headers, LANGUAGE) {
        Some("zh") => return Language::Zh,
        Some("en") => return Language::En,
        _ => {}
    }
    let asked = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let codes = asked.split(',').filter_map(|one| one.trim().get(..2));
    let known = codes.filter_map(|code| match code.to_ascii_lowercase().as_str() {
        "zh" => Some(Language::Zh),
        "en" => Some(Language::En),
        _ => None,
    });
    known.into_iter().next().unwrap_or_default()
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    all.filter_map(|one| one.trim().strip_prefix(name)?.strip_prefix('=')).next()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_language_is_the_chosen_one_else_the_first_that_is_asked_for() {
        let asked = |cookie: &str, accept: &str| {
            let pairs = [(header::COOKIE, cookie), (header::ACCEPT_LANGUAGE, accept)];
            language(&pairs.into_iter().map(|(name, value)| (name, HeaderValue::from_str(value).unwrap())).collect())
        };
        assert_eq!(asked("", "zh-CN,zh;q=0.9,en;q=0.8"), Language::Zh);
        assert_eq!(asked("", "de-DE,en;q=0.8,zh;q=0.5"), Language::En);
        assert_eq!(asked("a=1; wf_lang=zh", "en"), Language::Zh);
        assert_eq!(asked("wf_lang=xx", "fr"), Language::En);
        assert_eq!(asked("xwf_lang=zh", "é"), Language::En);
    }
}
