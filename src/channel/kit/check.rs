//! Checks that the configuration blocks of several platforms make, each worded once. No I/O except through the given `SecretReader`.

use crate::channel::{BuildContext, Problem};
use crate::model::{Secret, SecretSource};

/// How the values begin that a `SecretReader` returns where no secret may be read (`check --without-secrets`, `route`, `render`).
pub const PLACEHOLDER: &str = "placeholder-";

/// Whether a secret's value is a placeholder: a driver that looks at its shape while it is built lets it pass, and nothing is ever sent with it.
pub fn is_placeholder(cx: &BuildContext<'_>, value: &Secret) -> bool {
    !cx.secrets.real() && value.expose().starts_with(PLACEHOLDER)
}

/// A secret that is not one, or that is the empty text.
pub fn check_secret(path: &str, source: &SecretSource) -> Option<Problem> {
    match source {
        SecretSource::Invalid(why) => Some(Problem::new(path, *why, "write a text, `{ env: NAME }` or `{ file: PATH }`")),
        SecretSource::Literal(value) if value.expose().trim().is_empty() => {
            Some(Problem::new(path, "it is empty", "write the secret, `{ env: NAME }` or `{ file: PATH }`"))
        }
        _ => None,
    }
}

/// A quota of a month that lets nothing through.
pub fn check_quota(path: &str, per_month: Option<u32>) -> Option<Problem> {
    per_month.filter(|count| *count == 0).map(|_| Problem::new(path, "it is 0", "write how many a month the organisation may send, or remove it"))
}

/// A base address that is not an absolute http or https URL, or that carries a query or credentials. The value itself is not repeated.
pub fn check_base(path: &str, url: &str) -> Option<Problem> {
    let help = "write an address such as `https://proxy.example.com` or `http://127.0.0.1:8080/prefix`";
    let Ok(parsed) = reqwest::Url::parse(url) else {
        return Some(Problem::new(path, "it is not an absolute URL", help));
    };
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host_str().is_none() {
        return Some(Problem::new(path, "only http and https addresses can be called", help));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() || !parsed.username().is_empty() || parsed.password().is_some() {
        return Some(Problem::new(path, "a base address has no query, fragment, user or password", help));
    }
    None
}

/// A required text that is blank.
pub fn check_text(path: &str, value: &str, help: &str) -> Option<Problem> {
    value.trim().is_empty().then(|| Problem::new(path, "it is empty", help))
}

/// The value of a secret, without surrounding white space (which no platform's credential has, and which copying often adds).
pub fn read_secret(cx: &BuildContext<'_>, path: &str, source: &SecretSource) -> Result<Secret, Problem> {
    let value = cx
        .secrets
        .read(source)
        .map_err(|reason| Problem::new(path, reason, "set it where it is read from, or write another source: `{ env: NAME }` or `{ file: PATH }`"))?;
    let trimmed = value.expose().trim();
    if trimmed.is_empty() {
        return Err(Problem::new(path, "the secret is empty where it is read from", "put the value there"));
    }
    Ok(Secret::new(trimmed))
}

/// A base address and the path below it (`join("http://h/p/", "/api/x")` is `http://h/p/api/x`).
pub fn join(base: &str, path: &str) -> String {
    format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'))
}

/// The `Host` header of requests to an address: its name, and its port where it names one.
pub fn host_header(base: &str) -> String {
    let Ok(url) = reqwest::Url::parse(base) else { return String::new() };
    let name = url.host_str().unwrap_or_default().to_owned();
    url.port().map_or(name.clone(), |port| format!("{name}:{port}"))
}
