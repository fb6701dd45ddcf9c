//! The configuration file as it is on disk now, which nobody has loaded yet.

use crate::config::{self, LoadOptions};
use crate::delivery::Plan;
use crate::http::App;
use crate::model::{Finding, Level};

/// The file on disk.
pub(in super::super) struct OnDisk {
    /// Its lines, with secrets starred out; empty when it cannot be read.
    pub(super) lines: Vec<String>,
    /// What `check` says of it.
    pub(in super::super) findings: Vec<Finding>,
    /// What it would be; `None` when it has errors.
    pub(in super::super) plan: Option<Plan>,
}

impl OnDisk {
    /// How many of its findings are errors.
    pub(in super::super) fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.level == Level::Error).count()
    }
}

/// Reads and checks it, as a reload would. It takes a while, so it is done where nobody waits.
pub(in super::super) async fn on_disk(app: &App) -> OnDisk {
    let running = app.running.load_full();
    let read = move || {
        let options = LoadOptions { listen: running.listen.clone(), ..LoadOptions::default() };
        let text = match config::file_text(&running.path) {
            Ok(text) => text,
            Err(finding) => return OnDisk { lines: Vec::new(), findings: vec![*finding], plan: None },
        };
        match config::from_text(&running.path, &text, &options) {
            Ok(loaded) => OnDisk { lines: loaded.lines, findings: loaded.findings, plan: Some(loaded.plan) },
            Err(findings) => OnDisk { lines: config::shown_lines(&running.path, &text), findings, plan: None },
        }
    };
    app.engine.heavy().run_blocking(read).await
}
