//! Collects findings about one file: each path is blamed once, so that one mistake does not show up again as its own consequences.

use super::source::{Anchor, Source};
use crate::model::yaml::Path;
use crate::model::{Finding, Level, Span};

/// Findings about one configuration file.
pub struct Report<'a> {
    /// The file.
    pub source: &'a Source,
    /// What was found so far.
    pub findings: Vec<Finding>,
    blamed: Vec<Path>,
}

impl<'a> Report<'a> {
    /// Nothing found yet.
    pub fn new(source: &'a Source) -> Self {
        Self { source, findings: Vec::new(), blamed: Vec::new() }
    }

    /// An error at a path. Ignored when the path, or something above it, already has one.
    pub fn error(&mut self, code: &'static str, path: &Path, spot: Anchor, message: impl Into<String>, label: impl Into<String>) -> &mut Self {
        let finding = Finding::error(code, message).label(label);
        self.add(finding, path, spot)
    }

    /// A finding at a path.
    pub fn add(&mut self, finding: Finding, path: &Path, spot: Anchor) -> &mut Self {
        let span = self.source.span(path, spot);
        self.add_at(finding, path, span)
    }

    /// A finding at a path, with its exact place.
    pub fn add_at(&mut self, finding: Finding, path: &Path, span: Option<Span>) -> &mut Self {
        if self.is_blamed(path) {
            return self;
        }
        if finding.level == Level::Error {
            self.blamed.push(path.clone());
        }
        self.findings.push(finding.at(self.source.place(span)));
        self
    }

    /// Whether a path, or something above it, already has an error.
    pub fn is_blamed(&self, path: &Path) -> bool {
        self.blamed.iter().any(|blamed| path.is_within(blamed))
    }

    /// Whether something at or below a path has an error.
    pub fn is_blamed_inside(&self, path: &Path) -> bool {
        self.blamed.iter().any(|blamed| blamed.is_within(path))
    }
}
