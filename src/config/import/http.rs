//! `http_config` of Alertmanager: who a request says it is, and the way it takes. What a platform has no place for is reported when it is done with it.
//! Knows no platform but by its keys.

use super::context::{ImportContext, key};
use super::reader::{Keys, Notes, scalar};
use super::text::Yaml;
use crate::model::Secret;
use crate::model::yaml::{Kind, Node};

/// What an `http_config` comes to. Its secrets become variables only when somebody takes them.
#[derive(Default)]
pub struct Http<'n> {
    channel_settings: Vec<(&'static str, Yaml)>,
    ca: Option<(Yaml, usize)>,
    bearer: Option<Credential<'n>>,
    /// Another scheme than `Bearer`.
    scheme: Option<&'n str>,
    basic: Option<(&'n str, Credential<'n>)>,
    headers: Vec<(&'n str, Credential<'n>)>,
    /// What a key of it is called in a sentence, with `{}` in its place.
    whose: String,
}

/// A secret where it is in the file.
struct Credential<'n> {
    literal: Option<&'n Node>,
    file: Option<&'n Node>,
    /// The variable that is to hold it.
    name: String,
    /// The key, for people.
    part: &'static str,
}

impl Credential<'_> {
    fn line(&self) -> usize {
        self.literal.or(self.file).map_or(0, |node| node.span.line)
    }
}

/// Takes `http_config` of a receiver, else the global one; what has no equal here is reported.
pub fn http<'n>(keys: &mut Keys<'n>, context: &mut ImportContext<'_, 'n>) -> Http<'n> {
    let mut out = Http::default();
    let own = keys.take("http_config");
    let prefix = match own {
        Some(_) => {
            out.whose = format!("`http_config.{{}}` of {}", context.what);
            context.channel.to_owned()
        }
        None => {
            out.whose = "`global.http_config.{}`".to_owned();
            "watchfire".to_owned()
        }
    };
    let Some(node) = own.or_else(|| context.global.take("http_config")) else { return out };
    let mut config = Keys::new(node, "`http_config`", context.notes);
    if let Some((proxy, text)) = config.take("proxy_url").and_then(|node| Some((node, scalar(node)?))) {
        let value = context.notes.variable(&format!("{prefix}_PROXY"), Secret::new(text), proxy.span.line, &out.holds("proxy_url"));
        out.channel_settings.push(("proxy", value));
    }
    // This is what happens without it, too.
    config.take("proxy_from_environment");
    config.take("follow_redirects");
    config.take("enable_http2");
    if let Some(node) = config.take("authorization") {
        let mut auth = Keys::new(node, "`authorization`", context.notes);
        out.scheme = auth.text("type", context.notes).filter(|scheme| !scheme.eq_ignore_ascii_case("bearer"));
        out.bearer = credential(&mut auth, ("credentials", "credentials_file"), format!("{prefix}_TOKEN"), "authorization.credentials");
    }
    if out.bearer.is_none() {
        out.bearer = credential(&mut config, ("bearer_token", "bearer_token_file"), format!("{prefix}_TOKEN"), "bearer_token");
    }
    if let Some(node) = config.take("basic_auth") {
        let mut auth = Keys::new(node, "`basic_auth`", context.notes);
        let user = auth.text("username", context.notes).unwrap_or_default();
        let password = credential(&mut auth, ("password", "password_file"), format!("{prefix}_PASSWORD"), "basic_auth.password");
        out.basic = password.map(|password| (user, password));
        left_over(&auth, &out.holds("basic_auth"), context.notes);
    }
    if let Some(node) = config.take("http_headers") {
        let headers = Keys::new(node, "`http_headers`", context.notes);
        for entry in headers.rest() {
            header(&entry.key, &entry.value, &prefix, &mut out, context.notes);
        }
    }
    if let Some(node) = config.take("tls_config") {
        let mut tls = Keys::new(node, "`tls_config`", context.notes);
        let line = tls.peek("ca_file").map_or(node.span.line, |node| node.span.line);
        out.ca = tls.text("ca_file", context.notes).map(|ca| (Yaml::text(ca), line));
        for entry in tls.rest() {
            let todo = match entry.key.as_str() {
                "insecure_skip_verify" => "name the server's authority in `ca_file`: certificates are always verified here",
                _ => "put a proxy that does it in front, or keep this receiver in Alertmanager",
            };
            let what = out.holds(&format!("tls_config.{}", entry.key));
            context.notes.remark(entry.key_span.line, what, "there is no such setting here", todo);
        }
    }
    for entry in config.rest() {
        let todo = match entry.key.as_str() {
            "oauth2" => "requests go out without it and will be refused: put a proxy that logs in in front, or keep this receiver in Alertmanager",
            _ => "see whether it still matters",
        };
        context.notes.remark(entry.key_span.line, out.holds(&entry.key), "there is no such setting here", todo);
    }
    out
}

fn credential<'n>(keys: &mut Keys<'n>, (literal, file): (&str, &str), name: String, part: &'static str) -> Option<Credential<'n>> {
    let (literal, file) = (keys.take(literal), keys.take(file));
    (literal.is_some() || file.is_some()).then_some(Credential { literal, file, name, part })
}

/// One header: the first value that it has. Values are taken for secrets, because API keys travel there.
fn header<'n>(name: &'n str, node: &'n Node, prefix: &str, out: &mut Http<'n>, notes: &mut Notes) {
    let mut keys = Keys::new(node, "a header", notes);
    let mut found = Vec::new();
    for (key, from_file) in [("values", false), ("secrets", false), ("files", true)] {
        let Some(node) = keys.take(key) else { continue };
        let Kind::List(items) = &node.kind else { continue };
        found.extend(items.iter().map(|item| (item, from_file)));
    }
    if found.len() > 1 {
        let what = out.holds(&format!("http_headers.{name}"));
        notes.remark(node.span.line, what, "a header has one value here; the first is used", "join the values with commas in the variable");
    }
    if let Some((item, from_file)) = found.first() {
        let (literal, file) = if *from_file { (None, Some(*item)) } else { (Some(*item), None) };
        out.headers.push((name, Credential { literal, file, name: format!("{prefix}_{name}"), part: "http_headers" }));
    }
}

fn left_over(keys: &Keys<'_>, what: &str, notes: &mut Notes) {
    for entry in keys.rest() {
        notes.remark(entry.key_span.line, format!("`{}` in {what}", entry.key), "there is no such setting here", "see whether it still matters");
    }
}

impl<'n> Http<'n> {
    fn holds(&self, part: &str) -> String {
        self.whose.replace("{}", part)
    }

    fn secret(&self, credential: &Credential<'_>, holds: &str, notes: &mut Notes) -> Option<Yaml> {
        notes.secret(credential.literal, credential.file, &credential.name, holds)
    }

    /// The token of `Authorization: Bearer`.
    pub fn bearer(&mut self, notes: &mut Notes) -> Option<Yaml> {
        let token = self.bearer.take_if(|_| self.scheme.is_none())?;
        self.secret(&token, &self.holds(token.part), notes)
    }

    /// User name and password of `Authorization: Basic`.
    pub fn basic(&mut self, notes: &mut Notes) -> Option<Yaml> {
        let (user, password) = self.basic.take()?;
        let secret = self.secret(&password, &self.holds(password.part), notes)?;
        Some(Yaml::map([("username", Yaml::text(user)), ("password", secret)]))
    }

    /// All other headers by name, an `Authorization` of another scheme among them.
    pub fn headers(&mut self, notes: &mut Notes) -> Option<Yaml> {
        let mut out = Yaml::map::<&str>([]);
        let mut any = false;
        for (name, value) in std::mem::take(&mut self.headers) {
            if let Some(secret) = self.secret(&value, &self.holds(&format!("http_headers.{name}")), notes) {
                out.push(name, secret);
                any = true;
            }
        }
        // From a file the scheme cannot be put before the value; then it stays, and is reported.
        if let (Some(scheme), Some(token)) = (self.scheme, self.bearer.take_if(|token| token.file.is_none())) {
            let holds = format!("`{scheme} ` and then {}", self.holds(token.part));
            let name = Credential { name: token.name.replace("_TOKEN", "_AUTHORIZATION"), ..token };
            if let Some(secret) = self.secret(&name, &holds, notes) {
                out.push("Authorization", secret);
                any = true;
            }
        }
        any.then_some(out)
    }

    /// Adds `ca_file` to a block of a platform that has it.
    pub fn ca_file(&mut self, platform: &str, block: &mut Yaml) {
        if key(platform, &["ca_file"]).is_some()
            && let Some((ca, _)) = self.ca.take()
        {
            block.push("ca_file", ca);
        }
    }

    /// The settings beside the block. What nobody took is reported.
    pub fn done(self, platform: &str, context: &mut ImportContext<'_, '_>) -> Vec<(&'static str, Yaml)> {
        let mut left: Vec<(usize, String)> = Vec::new();
        left.extend(self.ca.iter().map(|(_, line)| (*line, "tls_config.ca_file".to_owned())));
        left.extend(self.bearer.iter().map(|token| (token.line(), token.part.to_owned())));
        left.extend(self.basic.iter().map(|(_, password)| (password.line(), "basic_auth".to_owned())));
        left.extend(self.headers.iter().map(|(name, value)| (value.line(), format!("http_headers.{name}"))));
        for (line, part) in left {
            let todo = "nothing if the platform itself is the receiver; else put a proxy that adds it in front";
            let why = format!("{platform}, the platform of channel {}, has no such setting here", context.channel);
            context.notes.remark(line, self.holds(&part), why, todo);
        }
        self.channel_settings
    }
}
