//! `watchfire check` and `watchfire platforms`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::goldens::Goldens;
use super::seen::Seen;
use super::{Common, ExitStatus, block_on};
use crate::channel::preset;
use crate::channel::{OnAmbiguous, PLATFORMS, Platform};
use crate::config::{self, LoadOptions};
use crate::model::{Finding, Level, format_duration};

/// Options of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration file, as `--config` names it.
    #[arg(value_name = "FILE", conflicts_with_all = ["diff", "explain"])]
    file: Option<PathBuf>,
    /// Do not read tokens and passwords: for CI, where they are not at hand.
    #[arg(long)]
    without_secrets: bool,
    /// Ask every platform whether it accepts the credentials, and the running server what labels its newest events have; sends nothing.
    #[arg(long, conflicts_with = "without_secrets")]
    online: bool,
    /// Exit 1 on warnings too.
    #[arg(long)]
    deny_warnings: bool,
    /// Render every body in this folder (`*.json`) with the templates of every channel, and fail when one cannot be read, a template fails, or no route
    /// takes it.
    #[arg(long, value_name = "DIR")]
    payloads: Option<PathBuf>,
    /// Compare what those bodies render to on the channels they are routed to with the files `<body>/<channel>.txt` of this folder, and fail when one
    /// differs. Secrets are placeholders in them.
    #[arg(long, value_name = "DIR", requires = "payloads")]
    golden: Option<PathBuf>,
    /// Write those files instead.
    #[arg(long, requires = "golden")]
    update: bool,
    /// Show which label sets the second configuration routes or mutes in another way than the first. Of intervals, escalations, channels and heartbeats the
    /// names are compared, not what they hold. Exit 1 when there are some, 2 when one cannot be loaded or there are too many label sets.
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["online", "payloads", "deny_warnings", "explain"])]
    diff: Option<Vec<PathBuf>>,
    /// Explain a finding's code.
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
}

/// Checks the configuration.
pub fn run(common: &Common, args: &CheckArgs) -> anyhow::Result<ExitStatus> {
    common.refuse_remote("check")?;
    if let Some(code) = &args.explain {
        return explain(code, common.json);
    }
    if let Some([old, new]) = args.diff.as_deref() {
        return super::difference::run(old, new, common.json);
    }
    let named = args.file.as_ref().map(|file| common.with_config(file));
    let common = named.as_ref().unwrap_or(common);
    let options = LoadOptions { secrets: !args.without_secrets, listen: common.listen.clone(), ..LoadOptions::default() };
    let loaded = config::load(&common.config, &options);
    let mut findings = match &loaded {
        Ok(loaded) => loaded.findings.clone(),
        Err(findings) => findings.clone(),
    };
    if !common.json && !findings.is_empty() {
        anstream::println!("{}", config::report(&findings));
    }
    let bad = |f: &Finding| f.level == Level::Error || args.deny_warnings;
    if let Ok(loaded) = &loaded
        && !findings.iter().any(bad)
    {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        if !common.json {
            let (channels, routes) = (loaded.plan.channels.len(), loaded.plan.tree.nodes().len());
            anstream::println!("{} is fine: {}, {}", common.config.display(), count(channels, "channel"), count(routes, "route"));
            loaded.defaults.iter().for_each(|line| anstream::println!("default {line}"));
        }
        // As they come: rendering a folder of bodies, or asking many platforms, takes a while.
        let mut told = |result: Result<String, Box<Finding>>| match result {
            Ok(line) if common.json || line.is_empty() => {}
            Ok(line) => anstream::println!("{line}"),
            Err(finding) => {
                if !common.json {
                    anstream::println!("{}", config::one_line(&finding));
                    finding.notes.iter().for_each(|note| anstream::println!("{note}"));
                }
                findings.push(*finding);
            }
        };
        let mut seen = Seen::default();
        if let Some(folder) = &args.payloads {
            // Loaded once more, with placeholders: what is kept and compared holds no secret, and does not depend on any.
            let mut goldens = args.golden.as_ref().map(|_| super::load(common, false).map(Goldens::new)).transpose()?;
            super::payloads::render(loaded, folder, goldens.as_mut(), &mut seen, &mut told)?;
            if let (Some(goldens), Some(folder)) = (&goldens, &args.golden) {
                goldens.compare(folder, args.update, &mut told)?;
            }
        }
        if args.online {
            block_on(super::online::probe(&loaded.plan, &mut told))?;
            let line = match block_on(seen.add_stored(&loaded.server))? {
                Ok(count) => format!("the newest {count} were read for their labels"),
                Err(why) => format!("not read for their labels: {why:#}"),
            };
            told(Ok(format!("{:<20} {:<12} {line}", "stored events", "watchfire")));
        }
        seen.near_misses(&loaded.plan).into_iter().for_each(|finding| told(Err(Box::new(finding))));
    }
    if common.json {
        anstream::println!("{}", config::json(&findings));
    }
    Ok(if findings.iter().any(bad) { ExitStatus::Failure } else { ExitStatus::Success })
}

/// Prints what a code means.
fn explain(code: &str, json: bool) -> anyhow::Result<ExitStatus> {
    let Some(text) = config::explain(code) else {
        anyhow::bail!("there is no code {code}; codes are in brackets after `error` and `warning`");
    };
    if json {
        anstream::println!("{}", json!({ "code": text.code, "title": text.title, "text": text.text }));
    } else {
        anstream::println!("{} {}\n{}", text.code, text.title, text.text);
    }
    Ok(ExitStatus::Success)
}

/// Options of `platforms`.
#[derive(Debug, Args)]
pub struct PlatformsArgs {
    /// Print the table of the book.
    #[arg(long, conflicts_with = "json")]
    pub(super) markdown: bool,
}

/// Lists the platforms.
pub fn platforms(common: &Common, args: &PlatformsArgs) -> ExitStatus {
    if args.markdown {
        anstream::print!("{}", markdown());
    } else if common.json {
        let rows: Vec<_> = PLATFORMS
            .iter()
            .map(|p| json!({ "name": p.name, "title": p.title, "about": p.about, "docs": p.docs, "limit": p.limit, "rate_limit": rate_limit(p), "living": p.living.in_words(), "final_word": p.word.in_words() }))
            .chain(preset::shipped().into_iter().map(|(name, p)| {
                json!({ "name": name, "preset": true, "title": p.title, "about": p.about, "docs": p.docs, "limit": p.limit, "rate_limit": rate_limit(p), "living": p.living.in_words(), "final_word": p.word.in_words() })
            }))
            .collect();
        anstream::println!("{}", json!(rows));
    } else {
        let word = |p: &Platform| Some(p.word.in_words()).filter(|word| !word.is_empty()).map(|word| format!("; {word}")).unwrap_or_default();
        for p in PLATFORMS {
            anstream::println!("{:<14} {:<34} {}{}", p.name, p.title, p.about, word(p));
        }
        anstream::println!("\npresets, as `preset: {{ name: <name> }}`:");
        for (name, p) in preset::shipped() {
            anstream::println!("{name:<14} {:<34} {}{}", p.title, p.about, word(p));
        }
    }
    ExitStatus::Success
}

/// The book's table of platforms.
pub fn markdown() -> String {
    let mut out = String::from(
        "| key | platform | what it sends | size limit | rate limit | later | resolved by default | unknown outcome |\n|---|---|---|---|---|---|---|---|\n",
    );
    let presets = preset::shipped();
    let presets = presets.iter().map(|(name, p)| (format!("preset: {{ name: {name} }}"), *p));
    for (name, p) in PLATFORMS.iter().map(|p| (p.name.to_owned(), *p)).chain(presets) {
        let unknown = match p.on_ambiguous {
            OnAmbiguous::Retry => "sent again",
            OnAmbiguous::Never => "never sent again",
        };
        let word = p.word.in_words();
        let unknown = if word.is_empty() { unknown.to_owned() } else { format!("{unknown}; {word}") };
        let resolved = if p.resolved_by_default { "yes" } else { "no" };
        let title = if p.docs.is_empty() { p.title.to_owned() } else { format!("[{}]({})", p.title, p.docs) };
        let living = p.living.in_words();
        out.push_str(&format!("| `{name}` | {title} | {} | {} | {} | {living} | {resolved} | {unknown} |\n", p.about, p.limit, rate_limit(p)));
    }
    out
}

fn rate_limit(platform: &Platform) -> String {
    if platform.pace.limits.is_empty() {
        return "none".into();
    }
    platform.pace.limits.iter().map(|l| format!("{} per {}", l.count, format_duration(l.window))).collect::<Vec<_>>().join(", ")
}
