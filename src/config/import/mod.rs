//! An Alertmanager configuration (0.25 to 0.34) as a routes.yaml, and the few lines that remain in Alertmanager: it goes on grouping and inhibiting, and
//! hands everything to Watchfire. Pure: text in, texts out. Literal secrets are not copied but become environment variables, whose names and places
//! are reported; what cannot be converted is reported with its line.

mod accounts;
mod bridges;
mod by_label;
mod context;
mod http;
mod mail;
mod platforms;
mod reader;
mod receivers;
mod robots;
mod routes;
mod text;
mod webhook;

use indexmap::IndexMap;

use super::codes;
use crate::model::yaml::{Node, SyntaxError, parse};
use crate::model::{Finding, Place};
use reader::{Keys, Notes, scalar};
use text::Yaml;

pub use text::quoted;

/// An environment variable that the new configuration reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The line of the value in the imported file.
    pub line: usize,
    /// What it is to hold, in words.
    pub holds: String,
}

/// Something that is not carried, or not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its line in the imported file.
    pub line: usize,
    /// What it is.
    pub what: String,
    /// Why it is not carried.
    pub why: String,
    /// What to do.
    pub todo: String,
}

/// An imported configuration.
#[derive(Debug, Clone)]
pub struct Imported {
    /// routes.yaml.
    pub routes: String,
    /// What remains in Alertmanager.
    pub alertmanager: String,
    /// Environment variables to set, in the order of the file.
    pub variables: Vec<Variable>,
    /// What is not carried, in the order of the file.
    pub remarks: Vec<Note>,
    /// The channels of each receiver.
    pub channels: IndexMap<String, Vec<String>>,
    /// Channels that only print, because what they were is not carried.
    pub silent: Vec<String>,
}

/// Where Alertmanager reaches Watchfire. From another machine it needs a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: String,
    port: u16,
    /// Whether both run on one machine.
    local: bool,
}

impl Endpoint {
    /// Reads `http://host:port/webhook`.
    ///
    /// # Errors
    /// What is wrong with it and how to write it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let help = "write it like http://127.0.0.1:9091/webhook";
        let url = reqwest::Url::parse(text).map_err(|error| format!("`{text}` is no URL ({error}); {help}"))?;
        let host =
            url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")).ok_or_else(|| format!("`{text}` is no web address; {help}"))?;
        if url.path().len() < 2 {
            return Err(format!("`{text}` names no path, and Watchfire takes alerts at /webhook; {help}"));
        }
        let ip = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        let local = host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
        Ok(Self { url: text.to_owned(), port: url.port().unwrap_or(9091), local })
    }
}

/// The variable that holds the token of the Alertmanager on another machine, and the file in which that keeps it.
const TOKEN: (&str, &str) = ("WATCHFIRE_TOKEN", "/etc/alertmanager/watchfire-token");

/// Imports a configuration called `file`: Alertmanager's, which then sends to `endpoint`, or that of a bridge that Watchfire replaces
/// (prometheus-webhook-dingtalk, PrometheusAlert).
///
/// # Errors
/// What the program itself would refuse; all of it at once, with its place.
pub fn import(file: &str, text: &str, endpoint: &Endpoint) -> Result<Imported, Vec<Finding>> {
    if bridges::is_prometheusalert(text) {
        return bridges::prometheusalert(file, text, endpoint);
    }
    let document = parse(text);
    match &document.root {
        Some(root) if document.errors.is_empty() && root.get("targets").is_some() && root.get("receivers").is_none() => {
            bridges::dingtalk(file, root, endpoint)
        }
        _ => alertmanager(file, text, endpoint),
    }
}

/// Imports the text of an Alertmanager configuration called `file`, which then sends to `endpoint`.
///
/// # Errors
/// What Alertmanager itself would refuse, and what routes otherwise here; all of it at once, with its place.
pub fn alertmanager(file: &str, text: &str, endpoint: &Endpoint) -> Result<Imported, Vec<Finding>> {
    let document = parse(text);
    let Some(root) = document.root.as_ref().filter(|_| document.errors.is_empty()) else { return Err(unreadable(file, document.errors)) };
    let mut notes = Notes::new(file);
    let mut top = Keys::new(root, "the file", &mut notes);
    if refuse_foreign(&top, root, &mut notes) {
        return Err(notes.refused);
    }
    let mut global = match top.take("global") {
        Some(node) => Keys::new(node, "`global`", &mut notes),
        None => Keys::none(),
    };
    let resolve_timeout = global.take("resolve_timeout").map(Yaml::of);
    let lists: Vec<&Node> = [top.take("time_intervals"), top.take("mute_time_intervals")].into_iter().flatten().collect();
    let (intervals, interval_names) = routes::time_intervals(&lists, &mut notes);
    let (list, by_label) = by_label::expanded(top.take("receivers"), top.peek("route"));
    let mut made = receivers::receivers(list.as_ref(), &by_label, &mut global, &mut notes);
    let first = top.peek("route").and_then(|route| route.get("receiver")).and_then(scalar);
    let moved = made.drop_printing(first, &by_label, &mut notes);
    let silent = made.printing();
    let (teams, served) = by_label::teams(&by_label, &made.of);
    let tree = top.take("route").map(|node| {
        let mut context = routes::ImportContext {
            channels: &made.of,
            by_label: &served,
            apart: &by_label,
            intervals: &interval_names,
            notes: &mut notes,
            above: Vec::new(),
            by_room: &made.by_room,
            moved: &moved,
            silent: &silent,
            notifies: Vec::new(),
        };
        routes::route(node, 0, None, &mut context)
    });
    let Some(tree) = tree else {
        notes.refuse(root.span, "there is no `route`", "this is no Alertmanager configuration, or not a whole one");
        return Err(sorted(notes.refused));
    };
    let inhibit = top.take("inhibit_rules").map(Yaml::of);
    rest(&mut top, &mut global, &mut notes);
    if !notes.refused.is_empty() {
        return Err(sorted(notes.refused));
    }
    if !endpoint.local {
        let holds = format!("a new random token; Alertmanager reads the same from {}", TOKEN.1);
        notes.variables.push(Variable { name: TOKEN.0.to_owned(), line: root.span.line, holds });
    }
    notes.remarks.sort_by_key(|remark| remark.line);
    notes.variables.sort_by(|a, b| (a.line, &a.name).cmp(&(b.line, &b.name)));
    Ok(Imported {
        silent,
        routes: routes_yaml(file, endpoint, Blocks { channels: made.channels, teams, route: tree.here, intervals, ..Blocks::default() }, &notes),
        alertmanager: remains(file, endpoint, resolve_timeout, tree.there, inhibit),
        variables: notes.variables,
        remarks: notes.remarks,
        channels: made.of,
    })
}

/// Why a text is no configuration at all.
fn unreadable(file: &str, errors: Vec<SyntaxError>) -> Vec<Finding> {
    let place = |span| Place { file: file.to_owned(), span, line_text: None };
    if errors.is_empty() {
        return vec![Finding::error(codes::SYNTAX, "the file is empty").label("name an Alertmanager configuration").at(place(None))];
    }
    let finding = |error: SyntaxError| Finding::error(codes::of_document(error.fault), error.message).label(error.label).at(place(error.span));
    errors.into_iter().map(finding).collect()
}

/// Reports a file that is another program's, or whose receivers nothing can be read of; everything else would only say that a receiver does not exist.
fn refuse_foreign(top: &Keys<'_>, root: &Node, notes: &mut Notes) -> bool {
    for (key, what) in [("channels", "Watchfire's own configuration already"), ("scrape_configs", "the configuration of Prometheus")] {
        if top.peek(key).is_some() && top.peek("receivers").is_none() {
            let label = "name the file that Alertmanager runs with, often /etc/alertmanager/alertmanager.yml";
            notes.refuse(root.span, format!("this is {what}, not Alertmanager's"), label);
            return true;
        }
    }
    let receivers = top.peek("receivers").filter(|node| !matches!(node.kind, crate::model::yaml::Kind::List(_)));
    if let Some(node) = receivers {
        notes.refuse(node.span, format!("`receivers` is {}, not a list", node.kind_words()), "write a list; Alertmanager refuses this too");
    }
    receivers.is_some()
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    super::render::sort(&mut findings);
    findings
}

/// Reports what nothing asked for.
fn rest(top: &mut Keys<'_>, global: &mut Keys<'_>, notes: &mut Notes) {
    if let Some(templates) = top.take("templates").filter(|node| !matches!(&node.kind, crate::model::yaml::Kind::List(items) if items.is_empty())) {
        let todo = "the built-in templates are used; your own are Handlebars files in the folder that `templates:` names, see docs/templates.md";
        notes.remark(templates.span.line, "`templates`", "Go templates are not carried", todo);
    }
    for entry in global.rest() {
        let todo = "nothing, unless a receiver that was not carried needs it";
        notes.remark(entry.key_span.line, format!("`global.{}`", entry.key), "no channel needs it", todo);
    }
    for entry in top.rest() {
        let todo = "add it to what remains in Alertmanager if it is still needed";
        notes.remark(entry.key_span.line, format!("`{}`", entry.key), "Watchfire has no such setting", todo);
    }
}

/// What routes.yaml is made of.
struct Blocks {
    channels: Yaml,
    teams: Yaml,
    route: Yaml,
    intervals: Vec<Yaml>,
    legacy: Yaml,
}

impl Default for Blocks {
    fn default() -> Self {
        let empty = || Yaml::Map(Vec::new());
        Self { channels: empty(), teams: empty(), route: empty(), intervals: Vec::new(), legacy: empty() }
    }
}

fn routes_yaml(file: &str, endpoint: &Endpoint, blocks: Blocks, notes: &Notes) -> String {
    let is_empty = |block: &Yaml| matches!(block, Yaml::Map(entries) if entries.is_empty());
    let mut out = format!("## Watchfire's configuration, imported from {}.\n", one_line(file));
    out.push_str("##   watchfire check       finds every mistake in it\n");
    if !notes.variables.is_empty() {
        out.push_str("## It reads these environment variables:\n");
        let width = notes.variables.iter().map(|v| v.name.len()).max().unwrap_or(0);
        for variable in &notes.variables {
            out.push_str(&format!("##   {:width$}  {} (line {})\n", variable.name, one_line(&variable.holds), variable.line));
        }
    }
    let block = |key: &str, value: Yaml, out: &mut String| {
        out.push('\n');
        Yaml::map([(key, value)]).block(0, out);
    };
    let port = endpoint.port;
    if endpoint.local {
        out.push_str(&format!("\nserver:\n  ## 0.0.0.0:{port} lets other machines in; that needs `auth`\n  listen: '127.0.0.1:{port}'\n"));
    } else {
        out.push_str(&format!("\nserver:\n  listen: '0.0.0.0:{port}'\n  auth: [{{ bearer: {{ env: {} }} }}]\n", TOKEN.0));
    }
    block("store", Yaml::text("sqlite:watchfire.db"), &mut out);
    block("channels", blocks.channels, &mut out);
    if !is_empty(&blocks.teams) {
        block("teams", blocks.teams, &mut out);
    }
    block("route", blocks.route, &mut out);
    if !blocks.intervals.is_empty() {
        block("time_intervals", Yaml::List(blocks.intervals), &mut out);
    }
    if !is_empty(&blocks.legacy) {
        block("legacy", blocks.legacy, &mut out);
    }
    out
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Alertmanager's own lines: grouping, inhibition, and one receiver.
fn remains(file: &str, endpoint: &Endpoint, resolve_timeout: Option<Yaml>, route: Option<Yaml>, inhibit: Option<Yaml>) -> String {
    let mut out = format!("## What remains of {}: Alertmanager groups and inhibits, Watchfire routes and sends.\n", one_line(file));
    if let Some(timeout) = resolve_timeout {
        Yaml::map([("global", Yaml::map([("resolve_timeout", timeout)]))]).block(0, &mut out);
    }
    let mut root = Yaml::map([("receiver", Yaml::text("watchfire"))]);
    if let Some(Yaml::Map(entries)) = route {
        for entry in entries {
            root.push(&entry.key, entry.value);
        }
    }
    let mut webhook = Yaml::map([("url", Yaml::text(&endpoint.url)), ("send_resolved", Yaml::bool(true)), ("max_alerts", Yaml::Bare("0".into()))]);
    if !endpoint.local {
        let token = Yaml::map([("credentials_file", Yaml::text(TOKEN.1))]);
        webhook.push("http_config", Yaml::map([("authorization", token)]));
    }
    let receiver = Yaml::map([("name", Yaml::text("watchfire")), ("webhook_configs", Yaml::List(vec![webhook]))]);
    Yaml::map([("route", root), ("receivers", Yaml::List(vec![receiver]))]).block(0, &mut out);
    if let Some(inhibit) = inhibit {
        Yaml::map([("inhibit_rules", inhibit)]).block(0, &mut out);
    }
    out
}
