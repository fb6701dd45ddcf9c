//! The configuration file as people may see it: line by line, its secrets starred out.

use std::path::Path as FilePath;
use std::sync::Arc;

use serde_json::Value;

use super::include::{Includes, include};
use super::report::Report;
use super::secrets::{Environment, Likeness};
use super::source::{Source, is_suspicious};
use super::{schema, schema_check};
use crate::model::SecretSource;
use crate::model::yaml::{Document, Node, Path, parse};

/// What a secret is shown as, whatever its length.
const STARS: &str = "********";
/// How the line above the lines of an included file begins.
const FILE_HEADING: &str = "# ---- ";

/// The file as text and tree, with those that it includes. Values that the schema calls secrets are masked, besides everything that looks like one.
pub(super) fn source(path: &FilePath, text: &str, document: &Document, includes: &Includes, schema: &Value) -> Source {
    let mut source = Source::new(&path.display().to_string(), text, document);
    includes.files.iter().for_each(|file| source.include(file));
    let Some(root) = &document.root else { return source };
    let nothing: Environment = Arc::new(|_| None);
    let sites = schema_check::check(root, &Path::root(), schema, &nothing, &|_, _| true, &mut Report::new(&source)).1.secrets;
    for site in &sites {
        let hidden = matches!(site.source, SecretSource::Literal(_) | SecretSource::Invalid(_)) || Likeness::of(&site.source) != Likeness::Name;
        if let Some(node) = root.at(&site.path).filter(|_| hidden) {
            source.mask(node);
        }
    }
    source
}

/// The lines of a configuration and of the files that it includes, each of these below a line with its name. One that may hold a secret in a way that nobody
/// can read is starred out as a whole, and so is such a comment. Reads the included files.
pub fn shown_lines(path: &FilePath, text: &str) -> Vec<String> {
    let (mut document, schema) = (parse(text), schema::schema());
    // A secret under a key with a slip in it is one, too.
    let correct = |root: &mut Node| schema_check::correct(root, &schema);
    if let Some(root) = &mut document.root {
        correct(root);
    }
    let includes = include(path, text, &mut document, &correct);
    lines_of(&source(path, text, &document, &includes, &schema))
}

/// The same of what is read already.
pub(super) fn lines_of(source: &Source) -> Vec<String> {
    let mut shown = Vec::new();
    for (at, (file, lines)) in source.files().into_iter().enumerate() {
        shown.extend((at > 0).then(|| format!("{FILE_HEADING}{file}")));
        shown.extend(lines.into_iter().map(|line| line.map_or_else(|| STARS.to_owned(), |line| without_comment(&short(&line)))));
    }
    shown
}

/// A line of what [`shown_lines`] returns by its number, counted from 1: that in its own file, with the file's name where it is an included one.
pub fn line_in_file(lines: &[String], number: usize) -> String {
    let above = &lines[..number.min(lines.len())];
    match above.iter().enumerate().rev().find_map(|(at, line)| Some((at, line.strip_prefix(FILE_HEADING)?))) {
        Some((at, file)) if at + 1 < number => format!("{file}:{}", number - at - 1),
        Some((_, file)) => file.to_owned(),
        None => number.to_string(),
    }
}

/// Stars in a row say how long a secret is.
fn short(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("****") {
        out.push_str(&rest[..at]);
        out.push_str(STARS);
        rest = rest[at..].trim_start_matches('*');
    }
    out.push_str(rest);
    out
}

/// The tree knows nothing of comments, and what was commented out may be a secret.
fn without_comment(line: &str) -> String {
    let begins = |at: usize| at == 0 || line[..at].ends_with(char::is_whitespace);
    match line.match_indices('#').map(|(at, _)| at).find(|at| begins(*at)) {
        Some(at) if is_suspicious(&line[at..]) => format!("{}# {STARS}", &line[..at]),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        shown_lines(FilePath::new("routes.yaml"), text)
    }

    #[test]
    fn everything_is_shown_but_secrets() {
        let text = "channels:\n  ops: { slack: { token: xoxb-hunter2, channel: '#ops' } } # the room\n  wx:\n    wecom: { corp_id: c, secret: { env: WX }, agent_id: 1 }\n  # was: { slack: { token: hunter3 } }\nstore: postgres://w:hunter4@db/w\n";
        let expected = [
            "channels:",
            "  ops: { slack: { token: ********, channel: '#ops' } } # the room",
            "  wx:",
            "    wecom: { corp_id: c, secret: { env: WX }, agent_id: 1 }",
            "  # ********",
            "store: ********",
        ];
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn lines_are_counted_in_their_files() {
        let lines: Vec<String> = ["a: 1", "b: 2", "# ---- teams/db.yaml", "c: 3", "d: 4"].map(str::to_owned).to_vec();
        let at = |number| line_in_file(&lines, number);
        assert_eq!([at(2), at(3), at(4), at(5)], ["2", "teams/db.yaml", "teams/db.yaml:1", "teams/db.yaml:2"]);
    }

    #[test]
    fn a_secret_is_hidden_in_whatever_way_it_is_written() {
        let block = "channels:\n  a:\n    slack:\n      token: |\n        xoxb-hunter2\n      channel: C1\n";
        let anchor = "x-t: &t hunter2\nchannels: { a: { slack: { token: *t, channel: C1 } } }\n";
        let broken = "channels:\n  a: { slack: { token: hunter2\n\tb: 1\n";
        let name =
            "channels:\n  a: { slack: { token: { env: 'p4ss hunter2' }, channel: C1 } }\n  b: { slack: { token: { env: hunter2 }, channel: C1 } }\n";
        for text in [block, anchor, broken, name] {
            let lines = shown(text);
            assert!(lines.len() == text.lines().count() && !lines.join("\n").contains("hunter2"), "{lines:?}");
        }
    }
}
