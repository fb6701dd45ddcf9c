//! Where a request comes from, as a browser says: a page of this server, or one of another site.

use axum::http::{HeaderMap, Uri, header};

/// The host that a request names.
pub(super) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    headers.get(header::HOST).and_then(|host| host.to_str().ok()).or_else(|| uri.authority().map(|authority| authority.as_str()))
}

/// Why what a request calls this server is no name of it, for a server without credentials: a name that resolves to this machine must not make any
/// site's pages ours (DNS rebinding).
pub(super) fn names_this_server(headers: &HeaderMap, uri: &Uri, external_url: &str) -> Result<(), String> {
    let host = host(headers, uri).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let own = external_url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
    if bare.parse::<std::net::IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost") || own.as_deref() == Some(name) {
        return Ok(());
    }
    Err(format!(
        "this server has no credentials, so it answers under its own addresses only, not as `{name}`; set server.external_url, or server.auth"
    ))
}

/// Whether a form was sent by a page of this server, as the browser says (`Sec-Fetch-Site`; older ones, `Origin`).
pub(super) fn is_own_form(headers: &HeaderMap, uri: &Uri, external_url: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()).unwrap_or_default();
            let of = origin.split_once("://").map(|(_, host)| host);
            let external = external_url.trim_end_matches('/');
            of.is_some() && (of == host(headers, uri) || (!external.is_empty() && origin == external))
        }
    }
}

/// Why a page of another site may not use the API of a server without credentials. Programs say nothing of pages and pass.
pub(super) fn another_site(headers: &HeaderMap, uri: &Uri, external_url: &str) -> Option<String> {
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (site, origin) = (says("sec-fetch-site"), says("origin"));
    let is_browser = site.is_some() || origin.is_some() || says("user-agent").is_some_and(|agent| agent.starts_with("Mozilla/"));
    if !is_browser {
        return None;
    }
    // An address that somebody typed is nobody's page.
    let own = match (site, origin) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(_)) => is_own_form(headers, uri, external_url),
        (None, None) => true,
    };
    if !own {
        return Some("a page of another site may not call this server, which has no credentials; set server.auth".into());
    }
    names_this_server(headers, uri, external_url).err()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn a_form_of_another_site_is_refused() {
        let uri = Uri::from_static("/x");
        let own = |pairs: &[(&'static str, &str)], external: &str| is_own_form(&headers(pairs), &uri, external);
        assert!(own(&[("sec-fetch-site", "same-origin"), ("host", "a")], ""));
        for site in ["same-site", "cross-site", "none"] {
            assert!(!own(&[("sec-fetch-site", site), ("host", "a"), ("origin", "http://a")], ""), "{site}");
        }
        assert!(own(&[("host", "a:9"), ("origin", "http://a:9")], ""));
        assert!(own(&[("host", "inner"), ("origin", "https://w.example")], "https://w.example/"));
        assert!(!own(&[("host", "a:9"), ("origin", "http://b")], "") && !own(&[("host", "a")], "") && !own(&[("origin", "null")], ""));
    }

    #[test]
    fn pages_of_other_sites_reach_no_server_without_credentials() {
        let uri = Uri::from_static("/x");
        let refused = |pairs: &[(&'static str, &str)]| another_site(&headers(pairs), &uri, "https://w.example").is_some();
        assert!(!refused(&[("host", "watchfire:9091")]) && !refused(&[("host", "evil.example"), ("user-agent", "curl/8")]), "programs");
        assert!(!refused(&[("host", "127.0.0.1:9091"), ("sec-fetch-site", "none"), ("user-agent", "Mozilla/5.0")]), "typed into the address bar");
        assert!(!refused(&[("host", "localhost:9091"), ("sec-fetch-site", "same-origin"), ("origin", "http://localhost:9091")]));
        assert!(!refused(&[("host", "w.example"), ("sec-fetch-site", "same-origin")]));
        for site in ["cross-site", "same-site"] {
            assert!(refused(&[("host", "127.0.0.1:9091"), ("sec-fetch-site", site)]), "{site}");
        }
        assert!(
            refused(&[("host", "127.0.0.1:9091"), ("origin", "https://evil.example")]) && refused(&[("host", "127.0.0.1:9091"), ("origin", "null")])
        );
        assert!(refused(&[("host", "evil.example"), ("user-agent", "Mozilla/5.0")]), "a name that was made to resolve to this machine");
    }
}
