//! What an included file may name: its own channels and those of routes.yaml, its own teams and former names, its own secrets and those that its `include`
//! lists.

use std::path::{Component, Path as FilePath};

use super::Validator;
use crate::config::codes;
use crate::config::file::Expectation;
use crate::config::include::Included;
use crate::config::schema_check::Variable;
use crate::config::secrets::Likeness;
use crate::config::source::Anchor;
use crate::model::yaml::{Kind, Node, Path, Step};
use crate::model::{Finding, SecretSource};

/// Reports channels that belong to another included file.
pub(super) fn may_lead(validator: &mut Validator<'_, '_>, name: &str, path: &Path, what: &str) -> bool {
    is_open(validator, &Path::of("channels").key(name), path, &format!("{what} a channel"), ("channel", name))
}

/// Reports an escalation that belongs to another included file.
pub(super) fn may_escalate(validator: &mut Validator<'_, '_>, name: &str, path: &Path, what: &str) -> bool {
    is_open(validator, &Path::of("escalations").key(name), path, &format!("{what} an escalation"), ("escalation", name))
}

fn is_open(validator: &mut Validator<'_, '_>, named: &Path, path: &Path, what: &str, (kind, name): (&str, &str)) -> bool {
    let source = validator.report.source;
    let (asking, owner) = (source.file_of(path), source.file_of(named));
    if asking == 0 || owner == 0 || asking == owner {
        return true;
    }
    let article = if kind == "escalation" { "an" } else { "a" };
    let finding = Finding::error(codes::BAD_INCLUDE, format!("{what} of another file")).label(format!(
        "`{name}` belongs to {}; name {article} {kind} of this file or of {}",
        source.file(owner),
        source.file(0)
    ));
    validator.report.add(finding, path, Anchor::Value);
    false
}

/// Whether a file, 0 being routes.yaml, may name an environment variable.
pub fn may_name(files: &[Included]) -> impl Fn(usize, &str) -> bool {
    move |at, name| at.checked_sub(1).and_then(|at| files.get(at)).is_none_or(|file| is_allowed(name, file, files))
}

fn is_allowed(variable: &str, file: &Included, files: &[Included]) -> bool {
    file.secrets.iter().any(|secret| secret == variable) || owner(variable, files) == Some(&file.name)
}

/// Reports teams, former names, secrets, variables and files that included files may not name.
pub fn included(validator: &mut Validator<'_, '_>, files: &[Included], variables: &[Variable]) {
    if files.is_empty() {
        return;
    }
    names(validator, files);
    let mut named: Vec<(Path, SecretSource)> = validator.sites.iter().map(|site| (site.path.clone(), site.source.clone())).collect();
    named.extend(variables.iter().map(|variable| (variable.path.clone(), SecretSource::Env(variable.name.clone()))));
    let is_file = |path: &Path| matches!(path.steps().last(), Some(Step::Key(key)) if key.ends_with("_file"));
    let files_of = variables.iter().filter(|variable| !variable.value.is_empty() && is_file(&variable.path));
    named.extend(files_of.map(|variable| (variable.path.clone(), SecretSource::File(variable.value.as_str().into()))));
    let body = |(ix, test): (usize, &Expectation)| Some((Path::of("tests").item(ix).key("body"), SecretSource::File(test.body.clone()?)));
    named.extend(validator.file.tests.iter().enumerate().filter_map(body));
    if let Some(channels) = validator.report.source.root.as_ref().and_then(|root| root.get("channels")) {
        file_keys(channels, &Path::of("channels"), &mut named);
    }
    for (path, source) in named {
        let Some(file) = file_at(validator, files, &path) else { continue };
        let (what, why) = match &source {
            SecretSource::Env(name) if !is_allowed(name, file, files) => {
                let which = if Likeness::of(&source) == Likeness::Name {
                    format!("the environment variable {name}")
                } else {
                    "an environment variable".into()
                };
                (format!("{} names {which}", file.label), format!("its own begin with `{}`", prefix(&file.name)))
            }
            SecretSource::File(at) if !file.secrets.iter().any(|secret| FilePath::new(secret) == at) && !is_own(at, file, validator.folder) => {
                let which = if Likeness::of(&source) == Likeness::Name { format!("the file {}", at.display()) } else { "a file".into() };
                (format!("{} names {which}", file.label), format!("its own are in `{}/`, and no links", folder_of(file)))
            }
            _ => continue,
        };
        let finding = Finding::error(codes::BAD_INCLUDE, what).label(format!("{why}; others are listed under `secrets` of its `include`"));
        validator.report.add(finding, &path, Anchor::Value);
    }
}

/// Reports teams that are called like those of others, and former names of channels that may have belonged to others: what a label leads to, and what waits,
/// is nobody's to take.
fn names(validator: &mut Validator<'_, '_>, files: &[Included]) {
    let file = validator.file;
    for name in file.teams.keys() {
        let path = Path::of("teams").key(name);
        let Some(own) = file_at(validator, files, &path) else { continue };
        if owner(&prefix(name), files) != Some(&own.name) {
            let label = format!("its own are called `{0}`, or begin with `{0}-`; write others in routes.yaml", own.name);
            validator.report.error(codes::BAD_INCLUDE, &path, Anchor::Key, format!("{} has the team `{name}`", own.label), label);
        }
    }
    for (name, channel) in &file.channels {
        for (ix, old) in channel.previous_names.iter().enumerate() {
            let path = Path::of("channels").key(name).key("previous_names").item(ix);
            let Some(own) = file_at(validator, files, &path) else { continue };
            let label = format!("its own former names begin with `{}-`", own.name);
            match owner(&prefix(old), files) {
                Some(other) if *other == own.name => {}
                Some(other) => {
                    let message = format!("`{name}` takes over `{old}`, a former name of `{other}`");
                    validator.report.error(codes::BAD_INCLUDE, &path, Anchor::Value, message, label);
                }
                None => {
                    let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, format!("`{name}` takes over `{old}`, perhaps a former name of others"))
                        .label(format!("{label}; make sure that it was a channel of this file"));
                    validator.report.add(finding, &path, Anchor::Value);
                }
            }
        }
    }
}

/// The included file in which something is; `None` for routes.yaml.
fn file_at<'f>(validator: &Validator<'_, '_>, files: &'f [Included], path: &Path) -> Option<&'f Included> {
    validator.report.source.file_of(path).checked_sub(1).and_then(|at| files.get(at))
}

/// How variables of a file begin: `DB_` for `teams/db.yaml`.
fn prefix(name: &str) -> String {
    name.to_uppercase().replace(|c: char| !c.is_alphanumeric(), "_") + "_"
}

/// Whose a variable is: the file with the longest name that it begins with, so that `DB_WEB_TOKEN` is that of `db-web.yaml`, if there is one.
fn owner<'f>(variable: &str, files: &'f [Included]) -> Option<&'f String> {
    let begins = files.iter().filter(|file| variable.starts_with(&prefix(&file.name)));
    begins.max_by_key(|file| file.name.len()).map(|file| &file.name)
}

/// The folder of a file's secrets: `teams/db` for `teams/db.yaml`.
fn folder_of(file: &Included) -> String {
    file.label.rsplit_once('.').map_or_else(|| file.label.to_string(), |(folder, _)| folder.to_owned())
}

/// Whether a path, relative to routes.yaml, leads into the file's folder, links followed.
fn is_own(path: &FilePath, file: &Included, main: &FilePath) -> bool {
    let folder = folder_of(file);
    let plain = path.starts_with(&folder) && path.components().all(|part| matches!(part, Component::Normal(_)));
    let real = |path: &FilePath| main.join(path).canonicalize();
    plain
        && match real(path) {
            Ok(at) => real(FilePath::new(&folder)).is_ok_and(|folder| at.starts_with(folder)),
            // One that does not exist is reported as that.
            Err(_) => true,
        }
}

/// Keys such as `ca_file`, which drivers read.
fn file_keys(node: &Node, path: &Path, found: &mut Vec<(Path, SecretSource)>) {
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().enumerate().for_each(|(ix, item)| file_keys(item, &path.item(ix), found)),
        Kind::Map(entries) => {
            for entry in entries {
                match &entry.value.kind {
                    Kind::Scalar(scalar) if entry.key.ends_with("_file") && !scalar.text.is_empty() => {
                        found.push((path.key(&entry.key), SecretSource::File(scalar.text.as_str().into())));
                    }
                    _ => file_keys(&entry.value, &path.key(&entry.key), found),
                }
            }
        }
    }
}
