//! `watchfire import FILE`: a configuration of Alertmanager, or of a bridge that Watchfire replaces, as a routes.yaml, with a list of what it takes to use it.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;
use serde_json::{Value, json};

use super::{Common, ExitStatus, write_new};
use crate::config::import::{Endpoint, Imported, import};
use crate::config::{self, LoadOptions};
use crate::model::{Finding, unreadable};

/// Options of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The configuration of Alertmanager, prometheus-webhook-dingtalk (`config.yml`) or PrometheusAlert (`app.conf`); `-` reads standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where to write the configuration; a file that exists is never overwritten.
    #[arg(long, value_name = "FILE", default_value = "routes.yaml")]
    out: PathBuf,
    /// Print the configuration instead.
    #[arg(long, conflicts_with = "out")]
    stdout: bool,
    /// Where to write what remains in Alertmanager. Default: it is printed.
    #[arg(long, value_name = "FILE")]
    alertmanager_out: Option<PathBuf>,
    /// Where Alertmanager will reach Watchfire. From another machine it gets a token.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9091/webhook")]
    endpoint: String,
}

/// Imports.
pub fn run(common: &Common, args: &ImportArgs) -> anyhow::Result<ExitStatus> {
    let name = args.file.display().to_string();
    let endpoint = Endpoint::parse(&args.endpoint).map_err(|why| anyhow!("--endpoint: {why}"))?;
    let text = read(&args.file).map_err(|error| {
        anyhow!("{name} {}; name the file that Alertmanager runs with, often /etc/alertmanager/alertmanager.yml", unreadable(&error))
    })?;
    let imported = match import(&name, &text, &endpoint) {
        Ok(imported) => imported,
        Err(findings) => {
            if common.json {
                anstream::println!("{}", json!({ "findings": config::json(&findings) }));
            } else {
                anstream::eprintln!("{}nothing was written: correct this in {name} and import again", config::report(&findings));
            }
            return Ok(ExitStatus::Failure);
        }
    };
    // Both or neither: one file alone would block the next attempt.
    let written = [(&args.out, "--out", !args.stdout)].into_iter().chain(args.alertmanager_out.iter().map(|path| (path, "--alertmanager-out", true)));
    for (path, option, _) in written.filter(|(_, _, written)| *written) {
        if path.exists() {
            return Err(anyhow!(
                "{} exists and is not overwritten; nothing was written; move it away, or name another file with {option}",
                path.display()
            ));
        }
    }
    if args.alertmanager_out.as_ref().is_some_and(|path| !args.stdout && *path == args.out) {
        return Err(anyhow!("--out and --alertmanager-out name the same file; nothing was written"));
    }
    if !args.stdout {
        write_new(&args.out, &imported.routes)?;
    } else if !common.json {
        anstream::print!("{}", imported.routes);
    }
    match &args.alertmanager_out {
        Some(path) => write_new(path, &imported.alertmanager)?,
        None if common.json => {}
        None if args.stdout => anstream::eprintln!("{}", imported.alertmanager),
        None => anstream::print!("{}", imported.alertmanager),
    }
    // The result is read as `serve` would read it, so that nobody meets its mistakes only then.
    let read = config::from_text(&args.out, &imported.routes, &LoadOptions::without_secrets());
    if common.json {
        let findings = read.as_ref().map_or_else(|findings| findings.as_slice(), |loaded| loaded.findings.as_slice());
        anstream::println!("{}", as_json(&imported, findings));
        return Ok(if read.is_ok() { ExitStatus::Success } else { ExitStatus::Failure });
    }
    std::io::stdout().flush()?;
    anstream::eprint!("{}", summary(args, &name, &imported));
    match read {
        Ok(loaded) => {
            if !loaded.findings.is_empty() {
                anstream::eprintln!("\n{}", config::report(&loaded.findings));
            }
            Ok(ExitStatus::Success)
        }
        Err(findings) => {
            anstream::eprintln!("\n{}correct this in {} before starting", config::report(&findings), args.out.display());
            Ok(ExitStatus::Failure)
        }
    }
}

/// Both files as texts, what is to be set and was not carried, and what `check` would say of the result.
fn as_json(imported: &Imported, findings: &[Finding]) -> Value {
    let variables: Vec<Value> = imported.variables.iter().map(|v| json!({ "name": v.name, "line": v.line, "holds": v.holds })).collect();
    let remarks: Vec<Value> = imported.remarks.iter().map(|r| json!({ "line": r.line, "what": r.what, "why": r.why, "todo": r.todo })).collect();
    json!({
        "routes": imported.routes, "alertmanager": imported.alertmanager, "variables": variables, "remarks": remarks,
        "channels": imported.channels, "silent": imported.silent, "findings": config::json(findings),
    })
}

fn read(path: &Path) -> std::io::Result<String> {
    if path.as_os_str() == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) }
}

fn summary(args: &ImportArgs, name: &str, imported: &Imported) -> String {
    let mut out = String::new();
    if !imported.variables.is_empty() {
        out.push_str("\nSet these environment variables; secrets are not copied:\n");
        let width = imported.variables.iter().map(|v| v.name.len()).max().unwrap_or(0);
        for variable in &imported.variables {
            out.push_str(&format!("  {:width$}  {}, {name}:{}\n", variable.name, variable.holds, variable.line));
        }
    }
    if !imported.remarks.is_empty() {
        out.push_str("\nNot carried, or not as it was:\n");
        for remark in &imported.remarks {
            out.push_str(&format!("  {name}:{}: {}: {}\n      {}\n", remark.line, remark.what, remark.why, remark.todo));
        }
    }
    let channels: usize = imported.channels.values().map(Vec::len).sum();
    let receivers = imported.channels.len();
    let counted = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let (things, whither) =
        (format!("{} became {}", counted(receivers, "receiver"), counted(channels, "channel")), if args.stdout { "" } else { ", written to " });
    let place = if args.stdout { String::new() } else { args.out.display().to_string() };
    out.push_str(&format!("\n{things}{whither}{place}\n"));
    if !imported.silent.is_empty() {
        out.push_str(&format!("Nobody is notified yet by {}: they only print, see above\n", imported.silent.join(", ")));
    }
    if !args.stdout {
        out.push_str(&format!("Next: watchfire check --without-secrets --config {place}, and watchfire route --config {place} severity=critical\n"));
    }
    out
}
