//! A mail as its client shows it: a page of its own, with styles of its own, in a frame that may do nothing else.

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};
use serde_json::Value;

/// What a mail may do: show its own styles. Its texts come from outside, so it runs, fetches, sends and navigates nothing, and only the console frames it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// A mail's request body as a page: its HTML part, else its text.
pub(super) fn page(body: &Value) -> Response {
    let part = |name: &str| body[name].as_str().unwrap_or_default();
    let page = match part("html") {
        "" => html! { (DOCTYPE) pre { (part("text")) } }.into_string(),
        html => html.to_owned(),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
        (HeaderName::from_static("x-dns-prefetch-control"), HeaderValue::from_static("off")),
    ];
    (headers, page).into_response()
}

/// A look-alike whose mail is at an address of its own; without one it has the headers only.
pub(super) fn framed(html: &str, address: Option<&str>) -> String {
    // What it holds is escaped, so the next quote ends it.
    let Some((before, rest)) = html.split_once("<iframe sandbox title=\"mail\" srcdoc=\"") else { return html.to_owned() };
    let after = rest.split_once("\"></iframe>").map_or("", |(_, after)| after);
    match address {
        Some(address) => format!("{before}<iframe sandbox title=\"mail\" src=\"{address}\"></iframe>{after}"),
        None => format!("{before}{after}"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use serde_json::json;

    use super::*;
    use crate::lookalike::{self, Reader};

    #[test]
    fn a_mail_is_framed_by_its_address_and_never_in_the_page() {
        let mail = json!({ "from": "w@example.com", "to": "o@example.com", "subject": "S", "text": "t", "html": "<p style=\"color:red\">\"></iframe><script>x</script>" });
        let whole = lookalike::html("email", &mail, &Reader { now: jiff::Timestamp::UNIX_EPOCH, zone: TimeZone::UTC });
        let shown = framed(&whole, Some("/ui/deliveries/1/mail/1"));
        assert!(shown.contains("<iframe sandbox title=\"mail\" src=\"/ui/deliveries/1/mail/1\"></iframe></div>"), "{shown}");
        assert!(shown.contains("w@example.com") && !shown.contains("srcdoc") && !shown.contains("style=") && !shown.contains("script"), "{shown}");
        assert_eq!(framed(&whole, None), shown.replace("<iframe sandbox title=\"mail\" src=\"/ui/deliveries/1/mail/1\"></iframe>", ""));
        assert_eq!(framed("<p>no mail</p>", None), "<p>no mail</p>");
    }
}
