//! Findings as a person reads them (a frame with the source line and a caret) and as a program does (JSON).

use std::fmt::Write;

use crate::model::{Finding, Level, Place};

/// The widest piece of a source line that is shown.
const MAX_LINE: usize = 150;

/// Sorts findings by file and place, those without a place first; equal ones are shown once.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| f.place.as_ref().map(|p| (p.file.clone(), p.span.map_or((0, 0), |s| (s.line, s.column))));
        key(a).cmp(&key(b)).then(a.level.cmp(&b.level)).then(a.code.cmp(b.code))
    });
    findings.dedup();
}

/// Findings of one code that are shown in full; the others of it are counted with their lines.
const SHOWN: usize = 10;
/// Lines that are named of those that are only counted.
const MAX_NAMED: usize = 20;

/// All findings, errors first, each in its frame, and a last line that counts them; empty when there are none. Of many of one kind the first ten
/// are shown, and where the others are. Plain text, without colours.
pub fn report(findings: &[Finding]) -> String {
    let mut out = String::new();
    for wanted in [Level::Error, Level::Warning] {
        let mut kinds: Vec<(&str, Vec<&Finding>)> = Vec::new();
        for finding in findings.iter().filter(|finding| finding.level == wanted) {
            match kinds.iter_mut().find(|(code, _)| *code == finding.code) {
                Some((_, of_kind)) => of_kind.push(finding),
                None => kinds.push((finding.code, vec![finding])),
            }
        }
        let hidden = |finding: &Finding| {
            let of_kind = kinds.iter().find(|(code, _)| *code == finding.code).map(|(_, of_kind)| of_kind.as_slice()).unwrap_or_default();
            of_kind.iter().skip(SHOWN).any(|other| std::ptr::eq(*other, finding))
        };
        let many = kinds.iter().any(|(_, of_kind)| of_kind.len() > SHOWN);
        for finding in findings.iter().filter(|finding| finding.level == wanted && !(many && hidden(finding))) {
            frame(finding, &mut out);
            out.push('\n');
        }
        for (code, rest) in kinds.iter().filter_map(|(code, of_kind)| Some((code, of_kind.get(SHOWN..).filter(|rest| !rest.is_empty())?))) {
            let places: Vec<(&str, usize)> =
                rest.iter().filter_map(|f| f.place.as_ref()).filter_map(|p| Some((p.file.as_str(), p.span?.line))).collect();
            let mut files = findings.iter().filter_map(|f| f.place.as_ref()).map(|p| &p.file);
            let first = files.next();
            let one_file = files.all(|file| Some(file) == first);
            let named = |(file, line): &(&str, usize)| if one_file { line.to_string() } else { format!("{file}:{line}") };
            let lines: Vec<String> = places.iter().take(MAX_NAMED).map(named).collect();
            let more = if rest.len() > lines.len() { ", ..." } else { "" };
            let at = if lines.is_empty() { String::new() } else { format!(", in lines {}{more}", lines.join(", ")) };
            let _ = writeln!(out, "{}[{code}]: {} more of this kind{at}; `--json` shows all\n", level(rest[0]), rest.len());
        }
    }
    if let Some(line) = count(findings) {
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// A finding in one line, for logs: `routes.yaml:9:15: error[E014]: ...`.
pub fn one_line(finding: &Finding) -> String {
    let place = finding.place.as_ref().map_or(String::new(), |place| match place.span {
        Some(span) => format!("{}:{}:{}: ", place.file, span.line, span.column),
        None => format!("{}: ", place.file),
    });
    let label = if finding.label.is_empty() { String::new() } else { format!(" ({})", finding.label) };
    format!("{place}{}[{}]: {}{label}", level(finding), finding.code, finding.message)
}

/// "2 errors and 1 warning"; `None` when there is nothing.
pub fn count(findings: &[Finding]) -> Option<String> {
    let of = |level: Level, word: &str| {
        let n = findings.iter().filter(|f| f.level == level).count();
        (n > 0).then(|| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
    };
    let parts: Vec<String> = [of(Level::Error, "error"), of(Level::Warning, "warning")].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(" and "))
}

fn frame(finding: &Finding, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{}[{}]: {}", level(finding), finding.code, finding.message);
    let gutter = finding.place.as_ref().and_then(|p| p.span).map_or(1, |span| span.line.to_string().len());
    let pad = " ".repeat(gutter + 1);
    match &finding.place {
        Some(Place { file, span: Some(span), line_text }) => {
            let _ = writeln!(out, "{pad}--> {file}:{}:{}", span.line, span.column);
            if let Some(text) = line_text {
                let (text, column, width) = window(text, span.column, span.width);
                let _ = writeln!(out, "{pad} |\n {} | {text}", span.line);
                let under = format!("{}{} {}", " ".repeat(indent(&text, column)), "^".repeat(width), finding.label);
                let _ = writeln!(out, "{pad} | {}", under.trim_end());
            } else if !finding.label.is_empty() {
                let _ = writeln!(out, "{pad} = {}", finding.label);
            }
        }
        Some(Place { file, span: None, .. }) => {
            let _ = writeln!(out, "{pad}--> {file}");
            label_note(&pad, finding, out);
        }
        None => label_note(&pad, finding, out),
    }
    for note in &finding.notes {
        let _ = writeln!(out, "{pad} = {note}");
    }
}

fn label_note(pad: &str, finding: &Finding, out: &mut String) {
    if !finding.label.is_empty() {
        let _ = writeln!(out, "{pad} = {}", finding.label);
    }
}

fn level(finding: &Finding) -> &'static str {
    match finding.level {
        Level::Error => "error",
        Level::Warning => "warning",
    }
}

/// How far to the right the caret goes: Chinese and other wide characters take two columns of a terminal.
fn indent(text: &str, column: usize) -> usize {
    text.chars().take(column).map(|c| if is_wide(c) { 2 } else { 1 }).sum()
}

fn is_wide(c: char) -> bool {
    matches!(c as u32, 0x1100..=0x115f | 0x2e80..=0x303e | 0x3041..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60
        | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f900..=0x1f9ff | 0x20000..=0x3fffd)
}

/// A piece of a long line around the caret: the text, the caret's offset in it, and its width in terminal columns.
fn window(text: &str, column: usize, width: usize) -> (String, usize, usize) {
    let chars: Vec<char> = text.trim_end().chars().collect();
    let at = column.saturating_sub(1).min(chars.len());
    let start = if chars.len() <= MAX_LINE || at < MAX_LINE / 2 { 0 } else { at - MAX_LINE / 3 };
    let end = chars.len().min(start + MAX_LINE);
    let mut shown: String = chars[start..end].iter().collect();
    if end < chars.len() {
        shown.push('…');
    }
    let mut offset = at - start;
    if start > 0 {
        shown.insert(0, '…');
        offset += 1;
    }
    let stop = (at + width).min(end).max(at);
    let under: usize = chars[at..stop].iter().map(|c| if is_wide(*c) { 2 } else { 1 }).sum();
    (shown, offset, under.max(1))
}

/// All findings as one JSON array: `level`, `code`, `message`, `file`, `line`, `column`, `width`, `label`, `notes`.
pub fn json(findings: &[Finding]) -> serde_json::Value {
    let one = |finding: &Finding| {
        let place = finding.place.as_ref();
        let span = place.and_then(|p| p.span);
        serde_json::json!({
            "level": level(finding),
            "code": finding.code,
            "message": finding.message,
            "file": place.map(|p| p.file.as_str()),
            "line": span.map(|s| s.line),
            "column": span.map(|s| s.column),
            "width": span.map(|s| s.width),
            "label": finding.label,
            "notes": finding.notes,
        })
    };
    findings.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Span;

    fn finding(line_text: &str, line: usize, column: usize, width: usize) -> Finding {
        let place = Place { file: "routes.yaml".into(), span: Some(Span { line, column, width }), line_text: Some(line_text.into()) };
        Finding::error("E014", "route sends to a channel that does not exist")
            .at(place)
            .label("no channel `wxx`; did you mean `wx`?")
            .note("channels defined here: ops, wx")
    }

    #[test]
    fn the_frame_points_at_the_place() {
        let expected = "error[E014]: route sends to a channel that does not exist\n  --> routes.yaml:9:15\n   |\n 9 |     to: [ops, wxx]\n   |               \
                        ^^^ no channel `wxx`; did you mean `wx`?\n   = channels defined here: ops, wx\n\n1 error\n";
        assert_eq!(report(&[finding("    to: [ops, wxx]", 9, 15, 3)]), expected);
    }

    #[test]
    fn wide_characters_move_the_caret() {
        let text = report(&[finding("to: [值班, wxx]", 12, 10, 3)]);
        assert!(text.contains("\n    |            ^^^"), "{text}");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let line = format!("{}wxx{}", "a".repeat(400), "b".repeat(400));
        let text = report(&[finding(&line, 1, 401, 3)]);
        let shown = text.lines().nth(3).unwrap();
        assert!(shown.chars().count() < 170 && shown.contains("wxx"));
        let caret = text.lines().nth(4).unwrap().find('^').unwrap();
        assert_eq!(shown.chars().skip(caret).take(3).collect::<String>(), "wxx");
    }

    #[test]
    fn findings_are_sorted_and_counted() {
        let mut all = vec![finding("x", 9, 1, 1), finding("x", 2, 5, 1), finding("x", 2, 1, 1), Finding::warning("W101", "w"), finding("x", 2, 1, 1)];
        sort(&mut all);
        let lines: Vec<_> = all.iter().map(|f| f.place.as_ref().and_then(|p| p.span).map_or(0, |s| s.line * 10 + s.column)).collect();
        assert_eq!(lines, [0, 21, 25, 91]);
        assert_eq!(count(&all).unwrap(), "3 errors and 1 warning");
        assert_eq!(count(&[]), None);
        assert_eq!(json(&all)[3]["line"], 9);
        assert_eq!(one_line(&all[0]), "warning[W101]: w");
        assert!(one_line(&all[3]).starts_with("routes.yaml:9:1: error[E014]: route sends"));
    }
}
