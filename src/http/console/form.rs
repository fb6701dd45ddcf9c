//! Forms: what a reader sends, from pages of this server only, and by who may act.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::failure::Failure;
use super::viewer::Viewer;
use crate::http::admission::note_refusal;
use crate::http::body::{self, BodySource};
use crate::http::origin::is_own_form;
use crate::http::pairs::pairs;
use crate::http::{App, Scope};

/// The largest form.
const MAX_FORM: usize = 256 << 10;

/// The fields of a form or of a query.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Of `a=1&b=2`.
    pub(super) fn read(text: &str) -> Self {
        Self(pairs(Some(text)).collect())
    }

    /// The value of a field without spaces around it; empty when it is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        self.whole(name).trim()
    }

    /// The value as it was sent.
    pub(super) fn whole(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// All values of a field that are not empty, without spaces around them.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The names of the fields that are not empty.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter(|(_, value)| !value.trim().is_empty()).map(|(name, _)| name.as_str())
    }

    /// Whether there is such a field, be it empty.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// A form of who may act.
pub(super) struct Form {
    pub(super) viewer: Viewer,
    pub(super) fields: Fields,
    /// Where it was sent.
    path: String,
}

impl Form {
    /// Refuses who may not do everything.
    pub(super) async fn may_administer(&self, app: &App) -> Result<(), Failure> {
        recorded(app, Scope::Admin, &self.viewer, &self.path, self.viewer.may_administer()).await
    }

    /// Refuses who sees some channels only.
    pub(super) async fn sees_all(&self, app: &App) -> Result<(), Failure> {
        recorded(app, Scope::Operate, &self.viewer, &self.path, self.viewer.sees_all()).await
    }
}

/// Records a refusal.
async fn recorded(app: &App, scope: Scope, viewer: &Viewer, path: &str, may: Result<(), Failure>) -> Result<(), Failure> {
    if let Err(Failure::Answer(_, why)) = &may {
        note_refusal(app, scope, viewer.caller.author.clone(), path, why).await;
    }
    may
}

impl FromRequest<Arc<App>> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure> {
        let (mut parts, sent) = request.into_parts();
        own(app, &parts)?;
        let viewer = Viewer::from_request_parts(&mut parts, app).await?;
        let path = format!("/ui{}", parts.uri.path());
        recorded(app, Scope::Operate, &viewer, &path, viewer.may_operate()).await?;
        let fields = read(app, sent, BodySource::Authenticated).await?;
        Ok(Self { viewer, fields, path })
    }
}

/// Refuses what no page of this server sent.
pub(super) fn own(app: &App, parts: &Parts) -> Result<(), Failure> {
    if is_own_form(&parts.headers, &parts.uri, &app.engine.plan().external_url) {
        return Ok(());
    }
    let why = "this form was not sent by a page of this server; open the page and press its button (behind a proxy, set server.external_url)";
    Err(Failure::new(StatusCode::FORBIDDEN, why))
}

/// Reads the fields of a form.
pub(super) async fn read(app: &App, sent: axum::body::Body, source: BodySource) -> Result<Fields, Failure> {
    read_up_to(app, sent, source, MAX_FORM).await
}

/// The same of a form that holds a text of so many bytes.
pub(super) async fn read_up_to(app: &App, sent: axum::body::Body, source: BodySource, most: usize) -> Result<Fields, Failure> {
    let held = body::read(app, sent, most, source, |_| {}).await?;
    Ok(Fields::read(&String::from_utf8_lossy(&held.bytes)))
}

/// Where a form may lead: an address of the console.
pub(super) fn back(asked: &str) -> &str {
    let own = asked == "/ui" || asked.starts_with("/ui/") || asked.starts_with("/ui?");
    if own && !asked.contains(['\\', '\r', '\n']) { asked } else { "/ui" }
}

/// The page that a form was on, as its browser says.
pub(super) fn page_of(headers: &HeaderMap) -> String {
    let from = headers.get(header::REFERER).and_then(|from| from.to_str().ok()).and_then(|from| from.parse::<Uri>().ok());
    let path = from.as_ref().and_then(|from| from.path_and_query()).map_or("", |path| path.as_str());
    back(path).to_owned()
}

/// The page that has the form of an address below `/ui` that only takes forms: of an incident, of a delivery, or of a section.
pub(super) fn page_with(path: &str) -> String {
    match path.trim_matches('/').split('/').collect::<Vec<_>>()[..] {
        ["logout" | "settings" | "test-alert" | "", ..] => "/ui".to_owned(),
        [section @ ("incidents" | "deliveries"), id, _] => format!("/ui/{section}/{id}"),
        ["channels", name, act @ ("mute" | "test" | "probe")] => format!("/ui/channels/{name}/confirm/{act}"),
        [section, ..] => format!("/ui/{section}"),
        [] => "/ui".to_owned(),
    }
}

/// Leads to another page: `303`, or for htmx its header.
pub(super) fn go(headers: &HeaderMap, to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/ui"));
    if headers.contains_key("hx-request") {
        return (StatusCode::NO_CONTENT, [("hx-redirect", to)]).into_response();
    }
    (StatusCode::SEE_OTHER, [("location", to)]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_leads_to_pages_of_the_console_only() {
        for own in ["/ui", "/ui/dead?x=1", "/ui?since=2"] {
            assert_eq!(back(own), own);
        }
        for other in ["", "https://evil.example/ui", "//evil.example/ui", "/uix", "/ui/\r\nx: y", "/ui/\\evil"] {
            assert_eq!(back(other), "/ui", "{other:?}");
        }
    }

    #[test]
    fn fields_are_read_as_browsers_send_them() {
        let fields = Fields::read("a=1+2&b=%E5%BC%A0&c=&d");
        assert_eq!((fields.get("a"), fields.get("b"), fields.get("c"), fields.get("d"), fields.get("e")), ("1 2", "张", "", "", ""));
        let fields = Fields::read("a=1&b=&a=+&a=2");
        assert_eq!((fields.all("a").collect::<Vec<_>>(), fields.all("b").count()), (vec!["1", "2"], 0));
        assert_eq!(fields.names().collect::<Vec<_>>(), ["a", "a"]);
    }
}
