//! `watchfire check` and `watchfire platforms`.

use clap::Args;
use serde_json::json;

use super::{Common, Outcome, block_on};
use crate::channel::preset;
use crate::channel::{OnAmbiguous, PLATFORMS, Platform, Probe};
use crate::config::{self, LoadOptions};
use crate::model::{Finding, Level, format_duration, unreadable};

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Do not read tokens and passwords: for CI, where they are not at hand.
    #[arg(long)]
    without_secrets: bool,
    /// Ask every platform whether it accepts the credentials; sends nothing.
    #[arg(long, conflicts_with = "without_secrets")]
    online: bool,
    /// Print findings as JSON.
    #[arg(long)]
    json: bool,
    /// Exit 1 on warnings too.
    #[arg(long)]
    deny_warnings: bool,
    /// Render every body in this folder (`*.json`) for every channel that it is routed to, and fail when one cannot be read, a template fails, or
    /// nothing gets it.
    #[arg(long, value_name = "DIR")]
    payloads: Option<std::path::PathBuf>,
    /// Explain a finding's code.
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
}

/// Checks the configuration.
pub fn run(common: &Common, args: &CheckArgs) -> anyhow::Result<Outcome> {
    if let Some(code) = &args.explain {
        return match config::explain(code) {
            Some(text) => {
                anstream::println!("{} {}\n{}", text.code, text.title, text.text);
                Ok(Outcome::Fine)
            }
            None => anyhow::bail!("there is no code {code}; codes stand in brackets behind `error` and `warning`"),
        };
    }
    let options = LoadOptions { secrets: !args.without_secrets, listen: common.listen.clone(), ..LoadOptions::default() };
    let loaded = config::load(&common.config, &options);
    let findings = match &loaded {
        Ok(loaded) => &loaded.findings,
        Err(findings) => findings,
    };
    if args.json {
        anstream::println!("{}", config::json(findings));
    } else if !findings.is_empty() {
        anstream::eprintln!("{}", config::report(findings));
    }
    let bad = |f: &Finding| f.level == Level::Error || args.deny_warnings;
    let Ok(loaded) = &loaded else { return Ok(Outcome::Failed) };
    if findings.iter().any(bad) {
        return Ok(Outcome::Failed);
    }
    let channels = loaded.plan.channels.len();
    if !args.json {
        let counted = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let routes = loaded.plan.tree.nodes().len();
        anstream::println!("{} is fine: {}, {}", common.config.display(), counted(channels, "channel"), counted(routes, "route"));
    }
    let rendered = match &args.payloads {
        Some(folder) => payloads(loaded, folder)?,
        None => true,
    };
    if !rendered {
        return Ok(Outcome::Failed);
    }
    if !args.online {
        return Ok(Outcome::Fine);
    }
    let mut failed = false;
    for channel in loaded.plan.channels.values() {
        let probe = block_on(async { tokio::time::timeout(channel.timeout, channel.driver.probe()).await })?;
        let said = match probe {
            Ok(Probe::Ok) => "ok".to_owned(),
            Ok(Probe::Unsupported) => "cannot be asked without sending; try `watchfire send`".to_owned(),
            Ok(Probe::Failed(error)) => {
                failed = true;
                format!("FAILED: {error}")
            }
            Err(_) => {
                failed = true;
                format!("FAILED: no answer within {}", format_duration(channel.timeout))
            }
        };
        anstream::println!("{:<20} {:<12} {said}", channel.name, channel.platform.name);
    }
    Ok(if failed { Outcome::Failed } else { Outcome::Fine })
}

/// Renders what is stored; `false` when something of it fails.
fn payloads(loaded: &config::Loaded, folder: &std::path::Path) -> anyhow::Result<bool> {
    use anyhow::anyhow;
    let entries = std::fs::read_dir(folder)
        .map_err(|error| anyhow!("--payloads {} {}; name a folder with *.json bodies", folder.display(), unreadable(&error)))?;
    let mut files: Vec<_> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    anyhow::ensure!(!files.is_empty(), "there is no `*.json` in {}", folder.display());
    let plan = &loaded.plan;
    let now = crate::delivery::Clock::system().now();
    let mut fine = true;
    for file in files {
        let mut bad = |why: String| {
            fine = false;
            anstream::eprintln!("{}: {why}", file.display());
        };
        let event = match super::render::event(&file, now) {
            Ok(event) => event,
            // It names the file itself.
            Err(error) => {
                fine = false;
                anstream::eprintln!("{error:#}");
                continue;
            }
        };
        let none = Default::default();
        let intake = crate::delivery::intake::Intake { plan, at: now, mutes: &none, to: None };
        let found = intake.deliveries(&event, |alert| crate::ingest::lane_group(&event, alert).to_owned());
        if found.is_empty() {
            bad("no route leads to a channel".into());
        }
        let mut pages = 0;
        for delivery in &found {
            let Some(channel) = plan.channel(&delivery.channel) else { continue };
            let composed = crate::http::api::preview(plan, channel, &event, now);
            pages += composed.pages.len();
            for error in &composed.fallbacks {
                bad(format!("{}: a template failed: {error}", channel.name));
            }
            for page in composed.pages.iter().filter(|page| !(channel.platform.measure)(page).fits()) {
                bad(format!("{}: page {} is larger than the platform takes", channel.name, page.number));
            }
        }
        if fine {
            let names: Vec<&str> = found.iter().map(|delivery| delivery.channel.as_str()).collect();
            anstream::println!("{}: {} alerts, {pages} pages to {}", file.display(), event.alerts.len(), names.join(", "));
        }
    }
    Ok(fine)
}

/// Options of `platforms`.
#[derive(Debug, Args)]
pub struct PlatformsArgs {
    /// Print the table of the README.
    #[arg(long)]
    markdown: bool,
    /// Print JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
}

/// Lists the platforms.
pub fn platforms(args: &PlatformsArgs) -> Outcome {
    if args.markdown {
        anstream::print!("{}", markdown());
    } else if args.json {
        let rows: Vec<_> = PLATFORMS
            .iter()
            .map(|p| json!({ "name": p.name, "title": p.title, "about": p.about, "docs": p.docs, "limit": p.limit, "pace": pace(p) }))
            .chain(preset::shipped().into_iter().map(|(name, p)| {
                json!({ "name": name, "preset": true, "title": p.title, "about": p.about, "docs": p.docs, "limit": p.limit, "pace": pace(p) })
            }))
            .collect();
        anstream::println!("{}", json!(rows));
    } else {
        for p in PLATFORMS {
            anstream::println!("{:<14} {:<34} {}", p.name, p.title, p.about);
        }
        anstream::println!("\npresets, as `preset: {{ use: <name> }}`:");
        for (name, p) in preset::shipped() {
            anstream::println!("{name:<14} {:<34} {}", p.title, p.about);
        }
    }
    Outcome::Fine
}

/// The README's table of platforms.
pub fn markdown() -> String {
    let mut out = String::from(
        "| key | platform | what it sends | size limit | pace | resolved by default | unknown outcome |\n|---|---|---|---|---|---|---|\n",
    );
    let presets = preset::shipped();
    let presets = presets.iter().map(|(name, p)| (format!("preset: {{ use: {name} }}"), *p));
    for (name, p) in PLATFORMS.iter().map(|p| (p.name.to_owned(), *p)).chain(presets) {
        let unknown = match p.ambiguous {
            OnAmbiguous::Retry => "sent again",
            OnAmbiguous::Never => "never sent again",
        };
        let resolved = if p.resolved_by_default { "yes" } else { "no" };
        let title = if p.docs.is_empty() { p.title.to_owned() } else { format!("[{}]({})", p.title, p.docs) };
        out.push_str(&format!("| `{name}` | {title} | {} | {} | {} | {resolved} | {unknown} |\n", p.about, p.limit, pace(p)));
    }
    out
}

fn pace(platform: &Platform) -> String {
    if platform.pace.limits.is_empty() {
        return "none".into();
    }
    platform.pace.limits.iter().map(|l| format!("{} per {}", l.count, format_duration(l.window))).collect::<Vec<_>>().join(", ")
}
