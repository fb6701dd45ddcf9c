//! Presets: platforms that one templated request describes (`templates/presets/<name>.yaml`), and those that users add in their template folder.
//! One attempt; no queue, no retry, no redirect.

pub mod file;
mod living;
mod mentions;
pub mod registry;
mod request;
mod response;
mod ringing;
#[cfg(test)]
mod tests;
mod title;

pub use registry::PresetRegistry;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::descriptor::Pings;
use super::{
    Attempts, BuildContext, Built, CellResult, Channel, Limit, OnAmbiguous, Pace, Platform, PlatformConfig, Problem, SendContext, Sent, kit,
};
use crate::model::{
    Escape, FieldSpec, MessageStatus, OutletKey, Page, PlatformIds, Receipt, Recipient, Secret, SecretSource, SendError, Severity, Size, Word,
};
use file::{ParameterKind, Preset};

/// The descriptor.
pub static DESCRIPTOR: Platform = Platform {
    name: "preset",
    title: "Preset",
    about: "ntfy, Gotify, Bark, ServerChan, PushPlus, Pushover, Mattermost, Rocket.Chat, Google Chat, and any service that one request describes",
    docs: "docs/presets.md",
    fields: &[
        FieldSpec { name: "title", escape: Escape::None, required: true, single_line: true, template: include_str!("title.hbs") },
        FieldSpec { name: "text", escape: Escape::None, required: true, single_line: false, template: include_str!("text.hbs") },
        FieldSpec { name: "heading", escape: Escape::Markdown, required: true, single_line: true, template: include_str!("heading.hbs") },
        FieldSpec { name: "markdown", escape: Escape::Markdown, required: true, single_line: false, template: include_str!("markdown.hbs") },
    ],
    measure: &|page| Size::bytes(page.field("text").len().max(page.field("markdown").len()), 1 << 20),
    limit: "the preset's",
    pace: Pace { limits: &[], per_month: None, month_zone: 0, per_recipient: &[], source: "the preset's" },
    attempts: Attempts { concurrency: 4, ..Attempts::ONE },
    // A push that came twice does no harm.
    on_ambiguous: OnAmbiguous::Retry,
    pings: Pings::NAMED,
    example: include_str!("example.yaml"),
    ..Platform::BASE
};

/// `preset: { name: ntfy, params: { topic: alerts } }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The preset: a shipped one (`watchfire platforms` lists them), or `presets/<name>.yaml` in the template folder.
    pub name: String,
    /// What the preset asks for.
    #[serde(default)]
    pub params: BTreeMap<String, SecretSource>,
    /// PEM file of a further certificate authority; relative to the configuration file's folder.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

impl PlatformConfig for Config {
    fn check(&self) -> Vec<Problem> {
        let empty = kit::check_text("preset.name", &self.name, "name a preset; `watchfire platforms` lists them");
        empty.into_iter().chain(self.params.iter().filter_map(|(name, value)| kit::check_secret(&format!("preset.params.{name}"), value))).collect()
    }

    fn recipients(&self) -> Vec<Recipient> {
        vec![Recipient::new(format!("@{}", self.name))]
    }

    fn build(&self, cx: &BuildContext<'_>) -> Result<Built, Vec<Problem>> {
        let Some(preset) = cx.presets.get(&self.name) else {
            if let Some(fault) = cx.presets.load_error(&self.name) {
                let message = format!("the preset `{}` cannot be used: {fault}", self.name);
                return Err(vec![Problem::new("preset.name", message, format!("mend `presets/{}.yaml` in the template folder", self.name))]);
            }
            let help = format!("write one of {}, or add `presets/{}.yaml` to your template folder", cx.presets.names().join(", "), self.name);
            return Err(vec![Problem::new("preset.name", format!("there is no preset `{}`", self.name), help)]);
        };
        let mut problems = Vec::new();
        for name in self.params.keys().filter(|name| !preset.parameters.contains_key(*name)) {
            let known: Vec<&str> = preset.parameters.keys().map(String::as_str).collect();
            problems.push(Problem::new(
                format!("preset.params.{name}"),
                format!("the preset `{}` asks for no `{name}`", self.name),
                format!("it asks for {}", known.join(", ")),
            ));
        }
        let mut values = request::Values::new();
        let mut secrets = Vec::new();
        for (name, parameter) in &preset.parameters {
            match self.parameter(cx, name, parameter) {
                Ok(Some(value)) => {
                    if parameter.secret {
                        secrets.push(value.clone());
                    }
                    values.insert(name.clone(), typed(parameter.kind, &value));
                }
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        let http = kit::http(cx, "preset", self.ca_file.as_deref()).map_err(|problem| problems.push(problem)).ok();
        let (Some(http), true) = (http, problems.is_empty()) else { return Err(problems) };
        // The credential, wherever the service wants it: the limit counts by it.
        let credential: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let outlet = OutletKey::new(&self.name, &credential.join("\n"));
        let descriptor = descriptor(&self.name, &preset);
        Ok(Built { channel: Arc::new(Driver { http: http.with_secrets(secrets), preset, values }), outlet, descriptor: Some(descriptor) })
    }
}

impl Config {
    /// How to write an address that was pasted as the value of a parameter: its server, and what of it the parameter is. It is not shown: it is a secret.
    fn parts_of(&self, cx: &BuildContext<'_>, name: &str, address: &Secret, parameter: &file::Parameter) -> String {
        let preset = cx.presets.get(&self.name);
        let of_server = preset.iter().flat_map(|preset| &preset.parameters).find(|(_, parameter)| parameter.kind == ParameterKind::Address);
        let origin = reqwest::Url::parse(address.expose()).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let server = of_server.filter(|(key, server)| !self.params.contains_key(*key) && server.default.as_deref() != Some(origin.as_str()));
        let server = server.map_or_else(String::new, |(key, _)| format!("write `{key}: {origin}` for its server; "));
        format!("{server}`{name}` is {}", parameter.about)
    }

    /// The value of a parameter: the channel's, else the preset's default.
    fn parameter(&self, cx: &BuildContext<'_>, name: &str, parameter: &file::Parameter) -> Result<Option<Secret>, Problem> {
        let path = format!("preset.params.{name}");
        let value = match (self.params.get(name), &parameter.default) {
            (Some(source), _) => kit::read_secret(cx, &path, source)?,
            (None, Some(default)) => Secret::new(default.clone()),
            (None, None) if parameter.optional => return Ok(None),
            (None, None) => {
                let message = format!("the preset `{}` asks for `{name}`", self.name);
                return Err(Problem::new("preset.params", message, format!("add `{name}`: {}", parameter.about)));
            }
        };
        if kit::is_placeholder(cx, &value) {
            return Ok(Some(value));
        }
        let is_wanted = parameter.secret || !parameter.optional && parameter.default.is_none();
        match parameter.kind {
            ParameterKind::Text | ParameterKind::Number if is_wanted && has_scheme(value.expose()) => {
                let help = self.parts_of(cx, name, &value, parameter);
                Err(Problem::new(path, format!("it is a whole address, and only `{name}` belongs here"), help))
            }
            ParameterKind::Number if value.expose().parse::<i64>().is_err() => Err(Problem::new(path, "it is not a number", parameter.about.clone())),
            ParameterKind::Address => match kit::check_base(&path, value.expose()) {
                Some(problem) => Err(problem),
                None => Ok(Some(value)),
            },
            _ => Ok(Some(value)),
        }
    }
}

fn has_scheme(text: &str) -> bool {
    ["http://", "https://"].iter().any(|scheme| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

fn typed(kind: ParameterKind, value: &Secret) -> Value {
    match kind {
        ParameterKind::Number => value.expose().parse::<i64>().map_or_else(|_| Value::from(value.expose()), Value::from),
        _ => Value::from(value.expose()),
    }
}

/// The descriptor of a preset. Descriptors live as long as the process: one is made for each text a preset ever had, and reloads find it again.
fn descriptor(name: &str, preset: &Arc<Preset>) -> &'static Platform {
    type Made = (String, Arc<Preset>, &'static Platform);
    static MADE: LazyLock<Mutex<Vec<Made>>> = LazyLock::new(Mutex::default);
    let mut made_before = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((.., known)) = made_before.iter().find(|(known, other, _)| known == name && other == preset) {
        return known;
    }
    let (counted, limits, pings) = (counted_fields(preset), preset.limits.clone(), mentions::pings(preset));
    let measure = move |page: &Page| {
        let pinged = if pings == Pings::NAMED { String::new() } else { mentions::line(page) };
        let above = pinged + title::headline(&limits, &counted, page);
        let sum = |length: &dyn Fn(&str) -> usize| length(&above) + counted.iter().map(|field| length(page.field(field))).sum::<usize>();
        let characters = limits.characters.map(|max| Size::characters(sum(&|text| text.chars().count()) + FRAME_LENGTH, max));
        let bytes = limits.bytes.map(|max| Size::bytes(sum(&str::len) + FRAME_LENGTH, max));
        characters.into_iter().chain(bytes).reduce(Size::tighter).unwrap_or_else(|| (DESCRIPTOR.measure)(page))
    };
    let pace = preset.pace.iter().map(|rate| Limit { count: rate.count, window: Duration::from_secs(rate.seconds.into()) }).collect::<Vec<_>>();
    let made: &'static Platform = Box::leak(Box::new(Platform {
        title: preset.title.clone().leak(),
        about: preset.about.clone().leak(),
        docs: preset.docs.clone().leak(),
        measure: Box::leak(Box::new(measure)),
        limit: limit(preset).leak(),
        pace: Pace { limits: pace.leak(), per_month: None, month_zone: 0, per_recipient: &[], source: preset.limits.source.clone().leak() },
        pings,
        word: ringing::word(preset),
        living: living::living(preset),
        ..DESCRIPTOR
    }));
    made_before.push((name.to_owned(), preset.clone(), made));
    made
}

/// The shipped presets and their made_before, by name.
pub fn shipped() -> Vec<(String, &'static Platform)> {
    let registry = PresetRegistry::default();
    registry.names().into_iter().filter_map(|name| Some((name.to_owned(), descriptor(name, &registry.get(name)?)))).collect()
}

fn limit(preset: &Preset) -> String {
    let limits = &preset.limits;
    let parts = [(limits.characters, "characters"), (limits.bytes, "bytes"), (limits.title, "characters of title")];
    let words: Vec<String> = parts.into_iter().filter_map(|(limit, unit)| limit.map(|limit| format!("{limit} {unit}"))).collect();
    format!("[{}]({})", words.join(", "), limits.source)
}

/// What may be around the message in its text, in characters: marks of a heading, a line break, the message's own mark.
const FRAME_LENGTH: usize = 16;

/// The fields that the limit counts: those that the request mentions; a title with a limit of its own is cut to that.
fn counted_fields(preset: &Preset) -> Vec<&'static str> {
    let request = &preset.request;
    let bodies = request.json.iter().chain(request.form.iter().flat_map(BTreeMap::values));
    let mentioned: Vec<&str> = bodies.flat_map(request::names_in).collect();
    let fields = DESCRIPTOR.fields.iter().map(|field| field.name);
    fields.filter(|field| mentioned.contains(field) && (*field != "title" || preset.limits.title.is_none())).collect()
}

struct Driver {
    http: kit::Http,
    preset: Arc<Preset>,
    values: request::Values,
}

#[async_trait]
impl Channel for Driver {
    async fn send(&self, page: &Page, to: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        kit::all(to, self.attempt(page, cx).await)
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, cx: &SendContext) -> Result<Receipt, SendError> {
        self.edit(ids, page, cx).await
    }

    async fn receipt(&self, sent: &Sent<'_>) -> Result<Option<Word>, SendError> {
        self.ask(sent).await
    }

    async fn cancel(&self, sent: &Sent<'_>) -> Result<bool, SendError> {
        self.stop(sent).await
    }

    fn is_plain(&self) -> bool {
        !counted_fields(&self.preset).contains(&"markdown")
    }

    fn max_pages(&self) -> usize {
        // Each page would ring until somebody acknowledges it.
        if self.preset.receipt.is_some() { 1 } else { usize::MAX }
    }

    fn body(&self, page: &Page) -> Value {
        let mut values = self.values(page, None);
        values.extend(self.preset.parameters.iter().filter(|(_, parameter)| parameter.secret).map(|(name, _)| (name.clone(), "…".into())));
        match (&self.preset.request.json, &self.preset.request.form) {
            (Some(json), _) => request::value(json, &values).unwrap_or_default(),
            (None, Some(form)) => request::form(form, &values).into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect(),
            (None, None) => Value::Null,
        }
    }
}

impl Driver {
    async fn attempt(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        if let Some(first) = &cx.reply_to {
            return self.reply(first, page, cx).await;
        }
        let mut reply = self.post(page, cx).await?;
        // Another message reads the same, unless an earlier try of this one came through.
        if !cx.unanswered && response::is_known(&self.preset, &reply) {
            reply = self.post(&marked(page, &cx.idempotency_key), cx).await?;
        }
        let mut receipt = response::outcome(&self.preset, &reply, cx.now)?;
        if living::needs_key(&self.preset) {
            receipt.ids = receipt.ids.and(living::KEY, cx.idempotency_key.clone());
        }
        Ok(receipt)
    }

    async fn post(&self, page: &Page, cx: &SendContext) -> Result<kit::Reply, SendError> {
        self.call(&self.preset.request, &self.values(page, Some(&cx.idempotency_key))).send(cx.deadline).await
    }

    fn call(&self, request: &file::Request, values: &request::Values) -> kit::Call {
        let call = self.open(request.method.into(), &request.url, (&request.query, &request.headers), values);
        match (&request.json, &request.form) {
            (Some(json), _) => call.json(&request::value(json, values).unwrap_or_default()),
            (None, Some(form)) => {
                let pairs = request::form(form, values);
                call.form(&pairs.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
            }
            (None, None) => call,
        }
    }

    /// A request without a body; `extra` are its query parameters and headers.
    fn open(&self, method: Method, url: &str, extra: (&BTreeMap<String, String>, &BTreeMap<String, String>), values: &request::Values) -> kit::Call {
        let verbatim = |name: &str| self.preset.parameters.get(name).is_some_and(|parameter| parameter.kind == ParameterKind::Address);
        let url = Secret::new(request::address(url, values, &verbatim).unwrap_or_default());
        let mut call = self.http.request(method, url.expose());
        for secret in kit::address_secrets(&url).into_iter().skip(1).filter(|_| self.preset.parameters.values().any(|p| p.secret)) {
            call = call.secret(&secret);
        }
        for (name, pattern) in extra.0 {
            call = request::text(pattern, values).into_iter().fold(call, |call, value| call.query(name, value));
        }
        for (name, pattern) in extra.1 {
            call = request::text(pattern, values).into_iter().fold(call, |call, value| call.header_secret(name, &Secret::new(value)));
        }
        call
    }

    /// Everything that the request may mention; without a key what would hold it is left out.
    fn values(&self, page: &Page, key: Option<&str>) -> request::Values {
        let facts = &page.facts;
        let first = |names: [&str; 2]| names.into_iter().map(|name| page.field(name).trim_end()).find(|text| !text.is_empty()).unwrap_or_default();
        let title = if page.field("title").is_empty() { facts.title.as_str() } else { page.field("title") };
        let title = self.preset.limits.title.map_or_else(|| title.to_owned(), |most| title::cut(title, most));
        let most = self.preset.limits.link.unwrap_or(usize::MAX);
        let plain = |text: &str| kit::broken(text, &self.preset.breaks);
        // A message that is sent once more as plain text is so in every field.
        let marked = |text: &str| if page.plain { plain(text) } else { text.to_owned() };
        // Of a title that was cut, the rest is only there.
        let above = title::headline(&self.preset.limits, &counted_fields(&self.preset), page);
        let said = |names: [&str; 2], headline: &str| match (page.plain, above.is_empty()) {
            (true, true) => title::below_title(first(names), &title).to_owned(),
            (false, true) => first(names).to_owned(),
            _ => format!("{headline}\n\n{}", first(names)),
        };
        let mut values = self.values.clone();
        let mut put = |name: &str, value: Value| values.insert(name.to_owned(), value);
        put("title", plain(&title).into());
        put("heading", marked(first(["heading", "title"])).into());
        put("text", plain(&said(["text", "markdown"], page.field("title"))).into());
        put("markdown", marked(&said(["markdown", "text"], above)).into());
        put("link", facts.opens(most).map_or(Value::Null, |link| link.url.as_str().into()));
        put("severity", facts.severity.map_or(Value::Null, |severity| severity.as_str().into()));
        put("status", facts.status.as_str().into());
        put("key", key.map_or(Value::Null, Value::from));
        put("mentions", mentions::line(page).into());
        for (name, table) in &self.preset.by_severity {
            let value = match (facts.status, facts.rank()) {
                (MessageStatus::Resolved, _) => &table.resolved,
                (MessageStatus::Unreported, _) => &table.info,
                (_, Severity::Critical) if !page.quiet => &table.critical,
                (_, Severity::Critical | Severity::Error) => &table.error,
                (_, Severity::Warning) => &table.warning,
                (_, Severity::Info) => &table.info,
            };
            put(name, value.clone());
        }
        values
    }
}

/// The page with a mark of the message's own below its text, the same for every try. It is shorter than [`FRAME_LENGTH`].
fn marked(page: &Page, key: &str) -> Page {
    let mut out = page.clone();
    let mark = format!("\n({})", key.get(..6).unwrap_or(key));
    out.fields.iter_mut().filter(|(name, text)| matches!(name.as_str(), "text" | "markdown") && !text.is_empty()).for_each(|(_, text)| {
        text.truncate(text.trim_end().len());
        text.push_str(&mark);
    });
    out
}
