//! Alertmanager's API, version 2: silences, and which alerts it has. One call each; no queue, no retry.
//! <https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml>

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::webhook::Login;
use super::{BuildContext, Problem, kit};
use crate::model::{ErrorKind, Labels, Secret, SecretSource, SendError};

/// What one server may take, so that time is left for another one.
const SERVER_TIMEOUT: Duration = Duration::from_secs(4);
/// The longest list of silences or alerts that is read.
const MAX_LIST: usize = 8 << 20;

/// An Alertmanager.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Its address, with the path that it is served under: `http://alertmanager.example.com:9093`.
    pub url: String,
    /// The site whose incidents it has: a sender's name (of its credential, or `?source=`), or a name under `sources`. Default: every site that no other
    /// entry names. Entries of one site are replicas of one cluster: the first that answers takes a silence.
    #[serde(default)]
    pub source: Option<String>,
    /// `Authorization: Bearer` with this token.
    #[serde(default)]
    pub bearer: Option<SecretSource>,
    /// `Authorization: Basic` with this user name and password.
    #[serde(default)]
    pub basic: Option<Login>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl Config {
    /// The server, or what is wrong with its configuration.
    pub fn build(&self, cx: &BuildContext<'_>) -> Result<Alertmanager, Vec<Problem>> {
        let mut problems: Vec<Problem> = kit::check_base("url", &self.url).into_iter().collect();
        if self.bearer.is_some() && self.basic.is_some() {
            problems.push(Problem::new("basic", "`bearer` is set too, and a request has one authorization", "keep one of the two"));
        }
        let mut read = |path: &str, source: &SecretSource| match kit::check_secret(path, source) {
            Some(problem) => {
                problems.push(problem);
                None
            }
            None => kit::read_secret(cx, path, source).map_err(|problem| problems.push(problem)).ok(),
        };
        let bearer = self.bearer.as_ref().and_then(|source| read("bearer", source)).map(Authorization::Bearer);
        let password = self.basic.as_ref().and_then(|login| Some((login.username.clone(), read("basic.password", &login.password)?)));
        let authorization = bearer.or(password.map(|(user, password)| Authorization::Basic(user, password)));
        let http = kit::http(cx, "", self.ca_file.as_deref());
        let http = http.map_err(|problem| problems.push(Problem { path: problem.path.trim_start_matches('.').to_owned(), ..problem })).ok();
        match http {
            Some(http) if problems.is_empty() => Ok(Alertmanager { base: self.url.clone(), http, authorization }),
            _ => Err(problems),
        }
    }
}

#[derive(Debug, Clone)]
enum Authorization {
    Bearer(Secret),
    Basic(String, Secret),
}

/// One server.
#[derive(Debug, Clone)]
pub struct Alertmanager {
    base: String,
    http: kit::Http,
    authorization: Option<Authorization>,
}

/// A silence that is active or begins later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSilence {
    /// Alertmanager's id.
    pub id: String,
    /// When it began.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Which server of the cluster has it.
    server: usize,
}

/// A silence as it is to be.
#[derive(Debug, Clone)]
pub struct NewSilence<'a> {
    /// What it matches, by equality.
    pub labels: &'a Labels,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// Who made it.
    pub by: &'a str,
    /// Why; it holds the token by which it is found.
    pub comment: &'a str,
}

/// What servers have of some alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownAlerts {
    /// The fingerprints of those that fire, silenced or not.
    pub firing: HashSet<String>,
    /// When the server was started, of several the last one: it has forgotten what fired then, and its senders repeat it.
    pub up_since: Timestamp,
}

impl KnownAlerts {
    /// With what another server has.
    fn and(mut self, other: Self) -> Self {
        self.firing.extend(other.firing);
        Self { up_since: self.up_since.max(other.up_since), ..self }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    id: String,
    #[serde(default)]
    comment: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
    status: ListedStatus,
}

#[derive(Deserialize)]
struct ListedStatus {
    state: String,
}

impl Listed {
    fn known(self, server: usize) -> Option<KnownSilence> {
        let Self { id, starts_at: from, ends_at: until, status, .. } = self;
        (status.state != "expired").then_some(KnownSilence { id, from, until, server })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(rename = "silenceID")]
    silence_id: String,
}

#[derive(Deserialize)]
struct Alert {
    fingerprint: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    uptime: Timestamp,
    version_info: Version,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

impl Alertmanager {
    fn call(&self, method: reqwest::Method, path: &str) -> kit::Call {
        let url = kit::join(&self.base, path);
        let call = if method == reqwest::Method::GET { self.http.get(url) } else { self.http.request(method, url) };
        match &self.authorization {
            None => call,
            Some(Authorization::Bearer(token)) => call.bearer(token),
            Some(Authorization::Basic(user, password)) => call.basic(user, password),
        }
    }

    /// Makes a call; an answer that is no success is an error, and 404 is none.
    async fn make(&self, call: kit::Call, deadline: Instant) -> Result<Option<kit::Reply>, SendError> {
        let reply = call.longest(MAX_LIST).send(deadline.min(kit::within(SERVER_TIMEOUT))).await?;
        if reply.status() == 404 {
            return Ok(None);
        }
        if reply.is_success() {
            return Ok(Some(reply));
        }
        let status = reply.status();
        let (kind, help) = match status {
            408 | 421 | 425 | 429 | 500.. => (ErrorKind::Transient, ""),
            401 | 403 => (ErrorKind::Misconfigured, "; check `bearer` or `basic` under `silence`"),
            300..=399 => (ErrorKind::Misconfigured, "; the address redirects, write the final one"),
            _ => (ErrorKind::Rejected, ""),
        };
        let said = reply.excerpt().trim_matches('"').to_owned();
        let text = format!("Alertmanager {} answered HTTP {status}{help}: {said}", kit::host_header(&self.base));
        Err(reply.error(kind, format!("HTTP {status}"), text))
    }

    /// Its version and since when it runs: whether it can be asked at all.
    pub async fn version(&self, deadline: Instant) -> Result<String, SendError> {
        Ok(self.status(deadline).await?.version_info.version)
    }

    async fn status(&self, deadline: Instant) -> Result<Status, SendError> {
        let reply = self.make(self.call(reqwest::Method::GET, "/api/v2/status"), deadline).await?;
        reply.as_ref().and_then(kit::Reply::json).ok_or_else(|| self.no_api())
    }

    fn unread(&self, kind: ErrorKind) -> SendError {
        let host = kit::host_header(&self.base);
        SendError::new(kind, format!("the answer of {host} is not Alertmanager's JSON, or broke off; is a proxy answering in its place?"))
    }

    fn no_api(&self) -> SendError {
        let host = kit::host_header(&self.base);
        SendError::new(
            ErrorKind::Misconfigured,
            format!("{host} has no Alertmanager API of version 2; check `url`, with the path it is served under"),
        )
    }
}

/// Replicas of one cluster.
#[derive(Debug, Clone, Default)]
pub struct Cluster(Vec<Alertmanager>);

impl FromIterator<Alertmanager> for Cluster {
    fn from_iter<I: IntoIterator<Item = Alertmanager>>(servers: I) -> Self {
        Self(servers.into_iter().collect())
    }
}

impl Cluster {
    /// The servers.
    pub fn servers(&self) -> impl Iterator<Item = (&str, &Alertmanager)> {
        self.0.iter().map(|server| (server.base.as_str(), server))
    }

    /// The silence with this id, else the one whose comment holds this token, while it is active. A server that does not have it may not have it yet:
    /// then the others are asked. The error: none of them answered.
    pub async fn find(&self, id: Option<&str>, token: &str, labels: &Labels, deadline: Instant) -> Result<Option<KnownSilence>, SendError> {
        let mut failed = None;
        let mut answered = false;
        for (place, server) in self.0.iter().enumerate() {
            match server.find(id, token, labels, deadline).await {
                Ok(Some(listed)) => return Ok(listed.known(place)),
                Ok(None) => answered = true,
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if !answered => Err(error),
            _ => Ok(None),
        }
    }

    /// Makes a silence, or changes `known`; returns its id. After an error of the kind `Ambiguous` it may exist.
    pub async fn put(&self, new: &NewSilence<'_>, known: Option<&KnownSilence>, deadline: Instant) -> Result<String, SendError> {
        let matchers = new.labels.iter().map(|(name, value)| json!({ "name": name, "value": value, "isRegex": false, "isEqual": true }));
        let mut body = json!({
            "matchers": matchers.collect::<Vec<_>>(), "startsAt": new.from.to_string(), "endsAt": new.until.to_string(),
            "createdBy": new.by, "comment": new.comment,
        });
        if let Some(known) = known {
            body["id"] = known.id.clone().into();
        }
        let mut failed = None;
        // Who has it can change it.
        let first = known.map_or(0, |known| known.server);
        for server in self.0.iter().cycle().skip(first).take(self.0.len()) {
            let call = server.call(reqwest::Method::POST, "/api/v2/silences").json(&body);
            match server.make(call, deadline).await {
                Ok(Some(reply)) => return reply.json::<Made>().map(|made| made.silence_id).ok_or_else(|| server.unread(ErrorKind::Ambiguous)),
                Ok(None) => failed = Some(server.no_api()),
                Err(error) if error.kind == ErrorKind::Transient => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failed.unwrap_or_else(|| SendError::new(ErrorKind::Misconfigured, "no Alertmanager is configured")))
    }

    /// Ends a silence.
    pub async fn end(&self, known: &KnownSilence, deadline: Instant) -> Result<(), SendError> {
        let Some(server) = self.0.get(known.server) else { return Ok(()) };
        let path = format!("/api/v2/silence/{}", utf8_percent_encode(&known.id, NON_ALPHANUMERIC));
        server.make(server.call(reqwest::Method::DELETE, &path).idempotent(), deadline).await.map(|_| ())
    }

    /// What fires with these labels, silenced or not: what any server lists that answers. One that nobody reports to any more lists less than the others.
    pub async fn alerts(&self, labels: &Labels, deadline: Instant) -> Result<KnownAlerts, SendError> {
        let (mut all, mut failed): (Option<KnownAlerts>, Option<SendError>) = (None, None);
        for server in &self.0 {
            match server.alerts(labels, deadline).await {
                Ok(alerts) => {
                    all = Some(match all {
                        Some(known) => known.and(alerts),
                        None => alerts,
                    });
                }
                Err(error) => failed = Some(error),
            }
        }
        all.ok_or_else(|| failed.unwrap_or_else(|| SendError::new(ErrorKind::Misconfigured, "no Alertmanager is configured")))
    }
}

impl Alertmanager {
    async fn find(&self, id: Option<&str>, token: &str, labels: &Labels, deadline: Instant) -> Result<Option<Listed>, SendError> {
        if let Some(id) = id {
            let path = format!("/api/v2/silence/{}", utf8_percent_encode(id, NON_ALPHANUMERIC));
            let found = self.make(self.call(reqwest::Method::GET, &path), deadline).await?;
            let listed = found.map(|reply| reply.json::<Listed>().ok_or_else(|| self.unread(ErrorKind::Transient))).transpose()?;
            if let Some(listed) = listed.filter(|listed| listed.status.state != "expired") {
                return Ok(Some(listed));
            }
        }
        let call = filtered(self.call(reqwest::Method::GET, "/api/v2/silences"), labels);
        let reply = self.make(call, deadline).await?.ok_or_else(|| self.no_api())?;
        let all = reply.json::<Vec<Listed>>().ok_or_else(|| self.unread(ErrorKind::Transient))?;
        Ok(all.into_iter().find(|listed| listed.status.state != "expired" && listed.comment.contains(token)))
    }

    async fn alerts(&self, labels: &Labels, deadline: Instant) -> Result<KnownAlerts, SendError> {
        let up_since = self.status(deadline).await?.uptime;
        let call = filtered(self.call(reqwest::Method::GET, "/api/v2/alerts"), labels);
        let call = ["active", "silenced", "inhibited", "unprocessed"].into_iter().fold(call, |call, name| call.query(name, "true"));
        let reply = self.make(call, deadline).await?.ok_or_else(|| self.no_api())?;
        let all = reply.json::<Vec<Alert>>().ok_or_else(|| self.unread(ErrorKind::Transient))?;
        Ok(KnownAlerts { firing: all.into_iter().map(|alert| alert.fingerprint).collect(), up_since })
    }
}

/// Asks only for what has these labels. Names that versions before 0.27 cannot read are left out: more is listed then.
fn filtered(call: kit::Call, labels: &Labels) -> kit::Call {
    let is_classic = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit()) && !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    labels.iter().filter(|(name, _)| is_classic(name)).fold(call, |call, (name, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        call.query("filter", format!("{name}=\"{value}\""))
    })
}

/// Whether another try may end otherwise.
pub fn may_pass(error: &SendError) -> bool {
    !matches!(error.kind, ErrorKind::Rejected | ErrorKind::Misconfigured)
}

#[cfg(test)]
mod tests;
