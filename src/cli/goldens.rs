//! `watchfire check --golden DIR`: what stored bodies render to, kept in files and compared, so that a change of a template is seen in review.
//!
//! One file for each body and channel, `<body>/<channel>.txt`: the messages as `render` shows them. Times are those of the body, and secrets are
//! placeholders, so that the same body renders the same on every day and every machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use similar::TextDiff;

use crate::config::{Loaded, codes};
use crate::delivery::intake::Intake;
use crate::http::api::preview_target;
use crate::ingest::{self, Parsed, Sender};
use crate::lookalike::{self, Reader};
use crate::model::{Finding, Place};

/// Lines around a difference that are shown, too.
const AROUND: usize = 2;
/// A text with more lines is not compared line by line.
const MAX_LINES: usize = 2000;

/// How long after the newest time in a body it is rendered.
const LATER: SignedDuration = SignedDuration::from_mins(5);

/// What a folder of bodies renders to.
#[derive(Debug)]
pub struct Goldens {
    /// What they are rendered by.
    loaded: Loaded,
    /// The text of each file, by its path in the folder.
    texts: BTreeMap<PathBuf, String>,
}

impl Goldens {
    /// Renders by this configuration, which is loaded without secrets.
    pub fn new(loaded: Loaded) -> Self {
        Self { loaded, texts: BTreeMap::new() }
    }

    /// Renders a body for the channels that it is routed to. `name` is its file without folder and ending; one that cannot be read renders to nothing.
    pub fn add(&mut self, name: &Path, body: &[u8]) {
        let (plan, received) = (&self.loaded.plan, Timestamp::UNIX_EPOCH);
        let Ok(Parsed { event, .. }) = ingest::parse(&Sender::Auto, body, &self.loaded.inputs, received) else { return };
        let times = event.alerts.iter().flat_map(|alert| [alert.starts_at, alert.ends_at]).flatten();
        let now = times.max().unwrap_or(received).checked_add(LATER).unwrap_or_default();
        let (none, event) = (Default::default(), std::sync::Arc::new(event));
        let reader = Reader { now, zone: plan.messages.time_zone.clone() };
        for delivery in (Intake { plan, at: now, mutes: &none, to: None }).deliveries(&event) {
            let Some(channel) = plan.channel(&delivery.channel) else { continue };
            let text = self.texts.entry(name.join(format!("{}.txt", channel.name))).or_default();
            for page in preview_target(plan, channel, &event, delivery.target, now).pages {
                let shown = lookalike::terminal(channel.client(), &channel.driver.body(&page), &reader);
                text.push_str(&format!("── page {}/{} ──\n{}", page.number, page.total, anstream::adapter::strip_str(&shown)));
            }
        }
    }

    /// Compares with the files of a folder, or writes them there. Each difference is a finding, and a file that no body renders is one.
    pub fn compare(&self, folder: &Path, update: bool, told: &mut dyn FnMut(Result<String, Box<Finding>>)) -> Result<()> {
        let (mut same, mut written) = (0, 0);
        for (name, text) in &self.texts {
            let file = folder.join(name);
            let known = fs::read_to_string(&file).ok();
            if known.as_deref() == Some(text) {
                same += 1;
            } else if update {
                let place = file.parent().unwrap_or(folder);
                fs::create_dir_all(place).with_context(|| format!("--golden {} cannot be made", place.display()))?;
                fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
                written += 1;
                told(Ok(format!("{} written", file.display())));
            } else {
                let what = if known.is_some() { "this is not what is rendered now" } else { "there is no such file" };
                let finding = changed(&file, what, "`--update` writes what is rendered now; read it before you keep it");
                let lines = known.map(|known| difference(&known, text)).unwrap_or_default();
                told(Err(Box::new(lines.into_iter().fold(finding, Finding::note))));
            }
        }
        for body in files(folder)?.iter().filter(|path| path.is_dir()) {
            for file in files(body)?.iter().filter(|path| path.extension().is_some_and(|ending| ending == "txt")) {
                if !file.strip_prefix(folder).is_ok_and(|name| self.texts.contains_key(name)) {
                    told(Err(Box::new(changed(file, "no body renders this any more", "remove the file, or bring its body or channel back"))));
                }
            }
        }
        let all = self.texts.len();
        told(Ok(if update { format!("{written} of {all} golden files written") } else { format!("{same} of {all} golden files are as before") }));
        Ok(())
    }
}

/// What is in a folder, sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("--golden {} cannot be read; `--update` makes it", folder.display());
    let entries = fs::read_dir(folder).with_context(unreadable)?;
    let mut files = entries.map(|entry| Ok(entry.with_context(unreadable)?.path())).collect::<Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn changed(file: &Path, what: &str, label: &str) -> Finding {
    let place = Place { file: file.display().to_string(), span: None, line_text: None };
    Finding::error(codes::GOLDEN, what).at(place).label(label)
}

/// The lines that differ, with `-` before the old and `+` before the new ones, and a few around them.
fn difference(old: &str, new: &str) -> Vec<String> {
    let (before, now) = (old.lines().count(), new.lines().count());
    if before.max(now) > MAX_LINES {
        return vec![format!("{before} lines before, {now} lines now")];
    }
    let diff = TextDiff::from_lines(old, new);
    let changes = diff.grouped_ops(AROUND).into_iter().flatten().flat_map(|op| diff.iter_changes(&op).collect::<Vec<_>>());
    changes.map(|change| format!("{} {}", change.tag(), change.value().trim_end_matches('\n'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_shows_both_sides_and_what_is_around() {
        let old = "a\nb\nc\nd\ne\nf\n";
        assert_eq!(difference(old, &old.replace("f\n", "F\nG\n")), ["  d", "  e", "- f", "+ F", "+ G"]);
        assert_eq!(difference(old, &old.replace("a\n", "")), ["- a", "  b", "  c"]);
        assert_eq!(difference("", "x\n"), ["+ x"]);
        assert_eq!(difference(&"x\n".repeat(MAX_LINES + 1), ""), ["2001 lines before, 0 lines now"]);
    }
}
