//! `include:`: files of teams become part of routes.yaml's tree before anything is checked. What a file may bring, and which alerts its routes see, is
//! decided by routes.yaml: a file cannot take alerts that its `include` does not let in. Does blocking I/O; bounded in files, bytes and values.

use std::collections::HashMap;
use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::Arc;

use super::codes;
use super::nodes::{filled, slot, slot_of, text_of, texts};
use super::relocate::relocate;
use super::text::file_text;
use crate::model::yaml::{Document, Entry, Kind, MAX_NODES, Node, Path, Resolved, Scalar, Style, parse};
use crate::model::{Finding, Span, unreadable};

/// Files that are included at most.
const MAX_FILES: usize = 500;
/// Bytes of all of them at most.
const MAX_BYTES: usize = 4 << 20;
/// Keys whose entries are added to those of routes.yaml, by name.
const BY_NAME: [&str; 5] = ["channels", "people", "teams", "rotas", "escalations"];
/// Which alerts the files of an entry see that is only a text.
const OWN_TEAM: &str = "team=\"{name}\"";
/// Keys whose lists are added to those of routes.yaml.
const LISTS: [&str; 2] = ["time_intervals", "tests"];

/// An included file.
pub struct Included {
    /// As the user could open it: in the folder of routes.yaml.
    pub file: String,
    /// Its path relative to routes.yaml, which is the same on every node.
    pub label: Arc<str>,
    /// Its name without its ending, which is put in place of `{name}` in the matchers.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its own tree, with the places that it has in all; `None` when it is no YAML.
    pub root: Option<Node>,
    /// Values of it that are not in the tree of all.
    pub left_out: Vec<Node>,
    /// Where its route is in the tree of all.
    pub route: Option<Path>,
    /// Environment variables and files that it may name besides its own.
    pub secrets: Vec<String>,
}

/// What was included, and what is wrong with it.
#[derive(Default)]
pub struct Includes {
    /// The files, in their order.
    pub files: Vec<Included>,
    /// Mistakes, with their places in all.
    pub problems: Vec<(Finding, Option<Span>)>,
    /// Files and folders whose change asks for a reload.
    pub watched: Vec<PathBuf>,
}

/// Corrects what is misspelt at the top level of a file; returns the findings about it.
pub type Correct<'f> = dyn Fn(&mut Node) -> Vec<(Finding, Option<Span>)> + 'f;

/// Reads the files that routes.yaml includes and adds them to its tree. `path` is that of routes.yaml, `text` its text.
pub fn include(path: &FilePath, text: &str, document: &mut Document, correct: &Correct<'_>) -> Includes {
    let mut includes = Includes::default();
    let Some(main) = &mut document.root else { return includes };
    let Some(Kind::List(entries)) = slot_of(main, "include").map(|node| &mut node.kind) else { return includes };
    let are_texts: Vec<bool> = entries.iter_mut().map(written_out).collect();
    let blocks = entries.clone();
    let folder = path.parent().map(FilePath::to_owned).unwrap_or_default();
    let lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().count();
    let (file, values) = (path.display().to_string(), main.weight());
    let mut reader = Reader { correct, main: file, folder, lines, values, bytes: 0, names: HashMap::new(), includes: &mut includes };
    blocks.iter().zip(are_texts).for_each(|(block, is_text)| reader.block(main, block, is_text));
    includes
}

struct Reader<'i> {
    correct: &'i Correct<'i>,
    /// routes.yaml, as the user named it.
    main: String,
    folder: PathBuf,
    /// Lines of all that was read so far.
    lines: usize,
    values: usize,
    bytes: usize,
    /// The names under each key of [`BY_NAME`], with the place of each.
    names: HashMap<String, HashMap<String, Span>>,
    includes: &'i mut Includes,
}

impl Reader<'_> {
    /// One entry of `include:`; `is_text` where it was only a text. What its own shape lacks is found by the check of the shape.
    fn block(&mut self, main: &mut Node, block: &Node, is_text: bool) {
        let is_variable = |node: &Node| node.get("env").is_some();
        if is_variable(block) {
            let finding = Finding::error(codes::BAD_INCLUDE, "`include` cannot be a variable");
            return self.problem(finding.label("write the text itself"), block.span);
        }
        for key in ["files", "matchers", "secrets"] {
            let Some(node) = block.get(key) else { continue };
            if is_variable(node) || matches!(&node.kind, Kind::List(items) if items.iter().any(is_variable)) {
                let finding = Finding::error(codes::BAD_INCLUDE, format!("`{key}` of `include` cannot be a variable"));
                return self.problem(finding.label("write the text itself"), node.span);
            }
        }
        let Some((pattern, at)) = block.get("files").and_then(|node| Some((text_of(node)?, node.span))) else { return };
        let Some(matchers) = block.get("matchers") else { return };
        let several = pattern.contains('*');
        if several && !texts(matchers).iter().any(|text| text.contains("{name}")) {
            let finding = Finding::error(codes::BAD_INCLUDE, "several files would share these matchers")
                .label("write `{name}` where the name of the file belongs: `team=\"{name}\"` for `teams/db.yaml` is `team=\"db\"`");
            return self.problem(finding, matchers.span);
        }
        let secrets = block.get("secrets").map(texts).unwrap_or_default();
        let found = match self.matching(pattern) {
            Ok(found) => found,
            Err(label) => return self.problem(Finding::error(codes::BAD_INCLUDE, format!("`{pattern}` cannot be included")).label(label), at),
        };
        for relative in found {
            if self.includes.files.iter().any(|file| *file.label == *relative) {
                let finding = Finding::error(codes::BAD_INCLUDE, format!("`{relative}` is included twice"));
                self.problem(finding.label("include it once: its alerts cannot go two ways"), at);
                continue;
            }
            // The second would see nothing, and share the first one's secrets.
            if let Some(other) = self.includes.files.iter().find(|file| is_text && file.name == stem(&relative)) {
                let finding = Finding::error(codes::BAD_INCLUDE, format!("`{relative}` is called like `{}`", other.label));
                let label = format!("both would be the team `{}`; rename one, or write `files` and `matchers` for it", other.name);
                self.problem(finding.label(label), at);
                continue;
            }
            match self.read(&relative) {
                Ok(text) => self.add(main, relative, text, matchers, &secrets),
                Err(label) => self.problem(Finding::error(codes::BAD_INCLUDE, format!("`{relative}` cannot be included")).label(label), at),
            }
        }
    }

    fn problem(&mut self, finding: Finding, at: Span) {
        self.includes.problems.push((finding, Some(at)));
    }

    /// The files that a pattern means, by name; the label of the finding when there are none.
    fn matching(&mut self, pattern: &str) -> Result<Vec<String>, String> {
        let path = FilePath::new(pattern);
        let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !plain || pattern.contains('\\') {
            return Err("write a path below the folder of this file, without `..`: `teams/db.yaml`, `teams/*.yaml`".into());
        }
        let parent = path.parent().unwrap_or(FilePath::new(""));
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if !(file.ends_with(".yaml") || file.ends_with(".yml")) {
            return Err("included files end in `.yaml` or `.yml`".into());
        }
        let Some((begin, end)) = file.split_once('*') else { return Ok(vec![slashes(path)]) };
        if end.contains('*') || parent.to_string_lossy().contains('*') || parent.components().next().is_none() {
            return Err("write one `*` in the name of the file, and a folder before it: `teams/*.yaml`".into());
        }
        let folder = self.folder.join(parent);
        self.includes.watched.push(folder.clone());
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("the folder {} {}", folder.display(), unreadable(&error)))?;
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let wanted =
            |name: &String| !name.starts_with('.') && name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end);
        let mut names: Vec<String> = names.filter(wanted).take(MAX_FILES + 1).collect();
        names.sort();
        if names.is_empty() {
            return Err(format!("no file in {} is called so; remove this, or add the file", folder.display()));
        }
        Ok(names.iter().map(|name| slashes(&parent.join(name))).collect())
    }

    /// The text of a file within the bounds; else the label of the finding.
    fn read(&mut self, relative: &str) -> Result<String, String> {
        let path = self.folder.join(relative);
        self.includes.watched.push(path.clone());
        if self.includes.files.len() == MAX_FILES {
            return Err(format!("at most {MAX_FILES} files are included"));
        }
        if !stem(relative).chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_') {
            return Err("its name is put in place of `{name}`: name it with letters, digits, `-` and `_`".into());
        }
        let folder = if self.folder.as_os_str().is_empty() { FilePath::new(".") } else { self.folder.as_path() };
        let real = |path: &FilePath| path.canonicalize().map_err(|error| format!("it {}", unreadable(&error)));
        if !real(&path)?.starts_with(real(folder)?) {
            return Err("it is a link to a file outside of the folder of routes.yaml; put the file itself there".into());
        }
        let text = file_text(&path).map_err(|finding| finding.label)?;
        self.bytes += text.len();
        if self.bytes > MAX_BYTES {
            return Err(format!("all included files have at most {MAX_BYTES} bytes together"));
        }
        Ok(text)
    }

    /// Adds what a file holds to the tree of all.
    fn add(&mut self, main: &mut Node, relative: String, text: String, matchers: &Node, secrets: &[String]) {
        let mut document = parse(&text);
        let before = self.lines;
        self.lines += text.strip_prefix('\u{feff}').unwrap_or(&text).lines().count();
        let file = self.folder.join(&relative).display().to_string();
        for error in document.errors {
            let span = error.span.map(|span| Span { line: span.line + before, ..span });
            let span = span.unwrap_or(Span { line: before + 1, column: 1, width: 1 });
            self.problem(Finding::error(codes::of_document(error.fault), error.message).label(error.label), span);
        }
        let mut included = Included {
            name: stem(&relative).to_owned(),
            label: relative.as_str().into(),
            file,
            text,
            root: None,
            left_out: Vec::new(),
            route: None,
            secrets: secrets.to_vec(),
        };
        if let Some(root) = &mut document.root {
            root.move_down(before);
            for (mut finding, at) in (self.correct)(root) {
                // Its note lists the keys of routes.yaml, most of which are not for this file.
                finding.notes.clear();
                self.includes.problems.push((finding, at));
            }
            self.values += root.weight();
            included.root = Some(root.clone());
            if self.values > MAX_NODES {
                let label = format!("routes.yaml and all that it includes have at most {MAX_NODES} values");
                self.problem(Finding::error(codes::TOO_LARGE, "this file is one too many").label(label), root.span);
                included.left_out.push(root.clone());
            } else if let Kind::Map(entries) = &mut root.kind {
                let folder = relative.rsplit_once('/').map_or("", |(folder, _)| folder);
                for mut entry in std::mem::take(entries) {
                    relocate(&mut entry, folder);
                    self.entry(main, entry, matchers, &mut included);
                }
            } else {
                let label = "write `channels:` and `route:`, as in routes.yaml";
                self.problem(Finding::error(codes::WRONG_TYPE, format!("the file is {}", root.kind_words())).label(label), root.span);
                included.left_out.push(root.clone());
            }
        }
        self.includes.files.push(included);
    }

    /// Adds one top-level key of a file.
    fn entry(&mut self, main: &mut Node, entry: Entry, matchers: &Node, file: &mut Included) {
        let (key, at) = (entry.key.as_str(), entry.key_span);
        let wanted = match (key, &entry.value.kind) {
            _ if key.starts_with("x-") => return,
            _ if entry.value.is_null() => return,
            ("route", Kind::Map(_)) => return self.route(main, entry, matchers, file),
            (key, Kind::Map(_)) if BY_NAME.contains(&key) => return self.names(main, entry, file),
            (key, Kind::List(items)) if LISTS.contains(&key) => {
                match slot(main, key, at, Kind::List(Vec::new())).map(|node| &mut node.kind) {
                    Some(Kind::List(all)) => all.extend(items.iter().cloned()),
                    _ => file.left_out.push(entry.value),
                }
                return;
            }
            ("route", _) => "expected a mapping",
            (key, _) if BY_NAME.contains(&key) => "expected a mapping",
            (key, _) if LISTS.contains(&key) => "expected a list",
            _ => "",
        };
        let finding = if wanted.is_empty() {
            let known = BY_NAME.iter().chain(&LISTS).map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
            Finding::error(codes::BAD_INCLUDE, format!("an included file cannot have `{key}`"))
                .label("it concerns everybody: write it in routes.yaml")
                .note(format!("keys here: {known}, `route`"))
        } else {
            Finding::error(codes::WRONG_TYPE, format!("`{key}` is {}", entry.value.kind_words())).label(wanted)
        };
        self.problem(finding, at);
        file.left_out.push(entry.value);
    }

    /// Adds the entries of a mapping; each name there is once.
    fn names(&mut self, main: &mut Node, entry: Entry, file: &mut Included) {
        let Kind::Map(entries) = entry.value.kind else { return };
        let mut twice = Vec::new();
        match slot(main, &entry.key, entry.key_span, Kind::Map(Vec::new())).map(|node| &mut node.kind) {
            Some(Kind::Map(all)) => {
                let places = || all.iter().map(|other| (other.key.clone(), other.key_span)).collect();
                let known = self.names.entry(entry.key.clone()).or_insert_with(places);
                for one in entries {
                    match known.get(&one.key) {
                        Some(first) => twice.push((one, *first)),
                        None => {
                            known.insert(one.key.clone(), one.key_span);
                            all.push(one);
                        }
                    }
                }
            }
            _ => file.left_out.extend(entries.into_iter().map(|one| one.value)),
        }
        for (one, first) in twice {
            let (place, line) = self.place(first, file);
            let finding = Finding::error(codes::TAKEN_NAME, format!("`{}` under `{}` is there twice", one.key, entry.key))
                .label("rename one of the two")
                .note(format!("the other one: {place}, line {line}"));
            self.problem(finding, one.key_span);
            file.left_out.push(one.value);
        }
    }

    /// Puts a file's route below the first one, after those that are there, with the matchers of its `include`.
    fn route(&mut self, main: &mut Node, entry: Entry, matchers: &Node, file: &mut Included) {
        let (span, end_line) = (entry.value.span, entry.value.end_line);
        let Kind::Map(entries) = entry.value.kind else { return };
        let mut all = vec![Entry { key: "matchers".into(), key_span: matchers.span, value: filled(matchers, &file.name) }];
        for one in entries {
            let why = match one.key.as_str() {
                "matchers" => "which alerts the file sees is said by `include` in routes.yaml; put these on a route below it",
                "continue" => "its alerts would go to other teams as well; `continue` is possible on the routes below it",
                _ => {
                    all.push(one);
                    continue;
                }
            };
            self.problem(
                Finding::error(codes::BAD_INCLUDE, format!("the first route of an included file cannot have `{}`", one.key)).label(why),
                one.key_span,
            );
            file.left_out.push(one.value);
        }
        let node = Node { span, end_line, kind: Kind::Map(all) };
        // Without a route of routes.yaml's own everything is wrong, and that is said.
        let first = slot_of(main, "route").filter(|route| matches!(route.kind, Kind::Map(_)));
        match first.and_then(|route| slot(route, "routes", entry.key_span, Kind::List(Vec::new()))).map(|node| &mut node.kind) {
            Some(Kind::List(routes)) => {
                file.route = Some(Path::of("route").key("routes").item(routes.len()));
                routes.push(node);
            }
            _ => file.left_out.push(node),
        }
    }

    /// The file and line of a place in all, while `last` is being added.
    fn place<'f>(&'f self, span: Span, last: &'f Included) -> (&'f str, usize) {
        let mut before = self.lines;
        for file in std::iter::once(last).chain(self.includes.files.iter().rev()) {
            before -= file.text.strip_prefix('\u{feff}').unwrap_or(&file.text).lines().count();
            if span.line > before {
                return (&file.label, span.line - before);
            }
        }
        (&self.main, span.line)
    }
}

/// The name of a file without its ending.
fn stem(relative: &str) -> &str {
    let file = relative.rsplit('/').next().unwrap_or(relative);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

fn slashes(path: &FilePath) -> String {
    path.components().filter_map(|part| if let Component::Normal(part) = part { part.to_str() } else { None }).collect::<Vec<_>>().join("/")
}

/// Puts `{ files: TEXT, matchers: .. }` in place of an entry that is a text; whether it was one.
fn written_out(entry: &mut Node) -> bool {
    let Some(files) = text_of(entry).map(str::to_owned) else { return false };
    let Node { span, end_line, .. } = *entry;
    let key = |key: &str, text: String| Entry {
        key: key.to_owned(),
        key_span: span,
        value: Node { span, end_line, kind: Kind::Scalar(Scalar { text, style: Style::Double, resolved: Resolved::Text }) },
    };
    entry.kind = Kind::Map(vec![key("files", files), key("matchers", OWN_TEAM.to_owned())]);
    true
}
