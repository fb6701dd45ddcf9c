//! From a path to a plan: reads the file, its templates and secrets, validates everything, and builds. Does blocking I/O; holds no state.

use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::file::RoutesFile;
use super::include::{Included, include};
use super::report::Report;
use super::schema_check::Variable;
use super::secrets::{Environment, Placeholders, RealSecrets, process_environment};
use super::settings::{ServerSettings, StoreSettings};
use super::source::{Anchor, Source};
use super::text::file_text;
use super::validate::{self, Validator};
use super::watch::Watched;
use super::{codes, defaults, folder, read, render, schema, schema_check, shown};
use crate::channel::SecretReader;
use crate::channel::kit::HttpClients;
use crate::delivery::{MessagesPlan, Plan, SendersPlan};
use crate::ingest::Inputs;
use crate::model::yaml::{Document, Kind, Node, Path, parse};
use crate::model::{Finding, Level};

/// How to load.
#[derive(Clone)]
pub struct LoadOptions {
    /// Whether secrets are read. Without them everything else is checked and the plan can route and render, but not send.
    pub secrets: bool,
    /// `--listen` or `WATCHFIRE_LISTEN`, which win over the file.
    pub listen: Option<String>,
    /// Reads environment variables.
    pub env: Environment,
    /// HTTP clients to go on with after a reload; `None`: new ones.
    pub http: Option<Arc<HttpClients>>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { secrets: true, listen: None, env: process_environment(), http: None }
    }
}

impl LoadOptions {
    /// Without secrets: for `check --without-secrets`, `route` and `render`.
    pub fn without_secrets() -> Self {
        Self { secrets: false, ..Self::default() }
    }
}

/// A configuration that can be used.
pub struct Loaded {
    /// What decides what is sent where. Its `link_key` is empty unless the file sets one: the caller that starts the server then fills in the store's.
    pub plan: Plan,
    /// Address, credentials, limits.
    pub server: ServerSettings,
    /// Where events and deliveries are kept.
    pub store: StoreSettings,
    /// How to read bodies of other senders.
    pub inputs: Arc<Inputs>,
    /// Warnings, sorted.
    pub findings: Vec<Finding>,
    /// Its lines, with secrets starred out.
    pub lines: Vec<String>,
    /// How many channels have each of its defaults: `timeout 20s in 12 of 14 channels`.
    pub defaults: Vec<String>,
    /// Every file and folder this was made from: a change of any of them asks for a reload ([`super::watch::fingerprint`]).
    pub files: Vec<PathBuf>,
    /// The HTTP clients in use, for the next load.
    pub http: Arc<HttpClients>,
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("hash", &self.plan.hash).field("server", &self.server).field("store", &self.store).finish_non_exhaustive()
    }
}

/// Loads a configuration. Errors are all findings, warnings too, sorted by place; at least one is an error.
pub fn load(path: &FilePath, options: &LoadOptions) -> Result<Loaded, Vec<Finding>> {
    load_watched(path, options, Vec::new()).0
}

/// The same, and every file and folder that was read or looked for, also when something is wrong: a change of any of them may put it right. `known` are
/// those of the load before.
pub fn load_watched(path: &FilePath, options: &LoadOptions, known: Vec<PathBuf>) -> (Result<Loaded, Vec<Finding>>, Watched) {
    let before = known.clone();
    Watched::while_reading(known, || {
        let mut files = vec![path.to_owned()];
        let loaded = match file_text(path) {
            Ok(text) => build(path, &text, options, &mut files),
            Err(finding) => Err(vec![*finding]),
        };
        if loaded.is_err() {
            // What was named before and what is named now: whichever is put right brings the next try.
            files.extend(before);
            files.sort();
            files.dedup();
        }
        (loaded, files)
    })
}

/// Loads a configuration whose text is already at hand; `path` names it, and relative paths are relative to its folder.
pub fn from_text(path: &FilePath, text: &str, options: &LoadOptions) -> Result<Loaded, Vec<Finding>> {
    build(path, text, options, &mut vec![path.to_owned()])
}

/// Where the server of a configuration listens and whom it lets in, also when the rest has mistakes: so that commands find one that runs with what was
/// there before. `None` when not even that can be read.
pub fn server(path: &FilePath, options: &LoadOptions) -> Option<ServerSettings> {
    let text = file_text(path).ok()?;
    let mut document = parse(&text);
    let schema = schema::schema();
    if let Some(root) = document.root.as_mut() {
        // As the whole is read: a slip in the key leaves the server where it is.
        schema_check::correct(root, &schema);
        // Nothing else is looked at: a command that asks the server must not be slow because there are thousands of channels.
        if let Kind::Map(entries) = &mut root.kind {
            entries.retain(|entry| matches!(entry.key.as_str(), "server" | "legacy"));
        }
    }
    let source = Source::new(&path.display().to_string(), &text, &document);
    let mut report = Report::new(&source);
    let (value, validated) = schema_check::check(document.root.as_ref()?, &Path::root(), &schema, &options.env, &|_, _| true, &mut report);
    let file = read::read(value, &mut report);
    let folder = path.parent().map(FilePath::to_owned).unwrap_or_default();
    let secrets = RealSecrets::new(&folder, options.env.clone());
    let mut validator = Validator::new(&mut report, &file, &secrets, &validated.secrets, &folder, options.listen.as_deref());
    Some(validate::server(&mut validator).0)
}

fn build(path: &FilePath, text: &str, options: &LoadOptions, files: &mut Vec<PathBuf>) -> Result<Loaded, Vec<Finding>> {
    let mut document = parse(text);
    let schema = schema::schema();
    let correct = |root: &mut Node| schema_check::correct(root, &schema);
    let misspelt = document.root.as_mut().map(correct).unwrap_or_default();
    let includes = include(path, text, &mut document, &correct);
    files.extend(includes.watched.iter().cloned());
    let defaults = document.root.as_mut().map(defaults::apply).unwrap_or_default();
    // Secrets must be known before the first line is quoted.
    let source = shown::source(path, text, &document, &includes, &schema);
    let mut report = Report::new(&source);
    let Some(root) = root_of(&document, path, &mut report) else { return Err(sorted(report.findings)) };
    report.findings.extend(misspelt.into_iter().chain(includes.problems).map(|(finding, span)| finding.at(source.place(span))));
    let (value, validated) = schema_check::check(root, &Path::root(), &schema, &options.env, &validate::may_name(&includes.files), &mut report);
    let file = read::read(value, &mut report);

    let folder = path.parent().map(FilePath::to_owned).unwrap_or_default();
    let real = RealSecrets::new(&folder, options.env.clone());
    let secrets: &dyn SecretReader = if options.secrets { &real } else { &Placeholders };
    let http = options.http.clone().unwrap_or_else(|| Arc::new(HttpClients::new(&folder)));

    let templates = folder::templates(&file, &folder, &mut report);
    let mut validator = Validator::new(&mut report, &file, secrets, &validated.secrets, &folder, options.listen.as_deref());
    validate::included(&mut validator, &includes.files, &validated.variables);
    validate::secrets(&mut validator, &templates.presets);
    let (server, external_url) = validate::server(&mut validator);
    let extras = validate::extras(&mut validator);
    let intervals = validate::intervals(&mut validator);
    validator.people.people = validate::people(&mut validator, &intervals);
    validate::rotas(&mut validator, &extras.time_zone);
    validator.people.calendars = validate::calendars(&validator);
    validate::teams(&mut validator);
    let channels = validate::channels(&mut validator, &templates.library, &templates.presets, &http);
    let silence = validate::silence(&mut validator, &templates.presets, &http);
    let legacy = validate::legacy(&mut validator);
    let inputs = validate::inputs(&mut validator, &extras.scale.label);
    let link_key = file.server.link_key.as_ref().and_then(|source| secrets.read(source).ok()).unwrap_or_default();
    validate::link_key(&mut validator, &link_key);
    validator.people.escalations = validate::escalations(&mut validator, &channels, &intervals);
    let tree = validate::routes(&mut validator, &templates.library, &intervals);
    let mutes = validate::mutes(&mut validator, &intervals);
    let tree = tree.map(|tree| tree.with_mutes(mutes));
    let heartbeats = validate::heartbeats(&mut validator);
    validate::disabled(&mut validator);
    validate::doubtful_intervals(&mut validator);
    validate::storms(&mut validator, &channels);
    validate::twins(&mut validator, &channels);
    validate::callbacks(&mut validator, &channels, &external_url);
    validate::shapes(&mut validator);
    let people = std::mem::take(&mut validator.people);
    validate::routing_tests(&mut validator, tree.as_ref(), &people, &heartbeats, &inputs);
    validate::unreached(&mut validator, &validated.variables);

    files.extend(templates.folder.clone());
    files.extend(real.files());
    files.extend(files_of(&file, root, &folder));
    files.sort();
    files.dedup();

    let mut findings = report.findings;
    findings.extend(templates.findings);
    once_each_default(&mut findings, root, &path.display().to_string());
    let findings = sorted(findings);
    let failed = findings.iter().any(|finding| finding.level == Level::Error);
    let (Some(tree), false) = (tree, failed) else {
        return Err(findings);
    };

    let parts = deciding(templates.texts, includes.files, validated.variables);
    let plan = Plan {
        hash: hash(text, &parts).into(),
        channels,
        tree,
        templates: Arc::new(templates.library),
        scale: extras.scale,
        messages: MessagesPlan { time_zone: extras.time_zone, shown: extras.shown },
        external_url,
        link_key,
        senders: SendersPlan { dedup_window: extras.dedup_window, sites: extras.sites, silence },
        legacy,
        self_monitoring: extras.self_monitoring,
        incidents: extras.incidents,
        retention: extras.retention,
        heartbeats,
        people,
    };
    let (lines, files) = (shown::lines_of(&source), files.clone());
    Ok(Loaded { plan, server, store: extras.store, inputs: Arc::new(inputs), findings, lines, defaults, files, http })
}

/// The root of what may be a configuration; what else the text is, is reported.
fn root_of<'d>(document: &'d Document, path: &FilePath, report: &mut Report<'_>) -> Option<&'d Node> {
    for error in &document.errors {
        let finding = Finding::error(codes::of_document(error.fault), error.message.clone()).label(error.label.clone());
        report.findings.push(finding.at(report.source.place(error.span)));
    }
    let Some(root) = &document.root else {
        if report.findings.is_empty() {
            let label = "write channels and a route; `watchfire init` writes a first file";
            report.findings.push(Finding::error(codes::SYNTAX, "the file is empty").at(report.source.place(None)).label(label));
        }
        return None;
    };
    if root.get("receivers").is_some() && root.get("channels").is_none() {
        // Everything else that could be said of it would lead astray.
        let label = format!("`watchfire import {} --out routes.yaml` makes a configuration of it", path.display());
        report.error(codes::FOREIGN, &Path::of("receivers"), Anchor::Key, "this is a configuration of Alertmanager", label);
        return None;
    }
    Some(root)
}

/// The files that a configuration names: those of its settings, the bodies of its tests, and its certificate.
fn files_of(file: &RoutesFile, root: &Node, folder: &FilePath) -> Vec<PathBuf> {
    let mut files = folder::named_files(root, folder);
    files.extend(file.tests.iter().filter_map(|test| Some(folder.join(test.body.as_ref()?))));
    files.extend(file.server.tls.iter().flat_map(|tls| [folder.join(&tls.cert), folder.join(&tls.key)]));
    files
}

/// By name, every text besides routes.yaml that decides what is sent.
fn deciding(templates: Vec<(String, String)>, included: Vec<Included>, variables: Vec<Variable>) -> Vec<(String, String)> {
    let included = included.into_iter().map(|file| (file.label.to_string(), file.text));
    // Where a node listens may differ from the others', which decides nothing of what is sent.
    let variables = variables.into_iter().filter(|variable| !variable.path.is_within(&Path::of("server")));
    let variables = variables.map(|variable| (variable.path.to_string(), variable.value));
    templates.into_iter().chain(included).chain(variables).collect()
}

/// A mistake in a default is found in every channel that has it, and reported once.
fn once_each_default(findings: &mut Vec<Finding>, root: &Node, file: &str) {
    let Some(defaults) = root.entry("defaults") else { return };
    let lines = defaults.key_span.line..=defaults.value.end_line;
    let mut seen = BTreeSet::new();
    findings.retain(|finding| match finding.place.as_ref().filter(|place| place.file == file).and_then(|place| place.span) {
        Some(span) if lines.contains(&span.line) => seen.insert((finding.code, span)),
        _ => true,
    });
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    render::sort(&mut findings);
    findings
}

/// A hash of what decides: the file, templates, included files and variables that are no secrets; never of secrets' values.
fn hash(text: &str, parts: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &str| {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    };
    add(text);
    for (name, text) in parts {
        add(name);
        add(text);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
