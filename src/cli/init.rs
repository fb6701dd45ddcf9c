//! `watchfire init`: a first configuration for chosen platforms. Asks nothing and overwrites nothing.

use std::path::PathBuf;

use clap::Args;

use super::{ExitStatus, write_new};
use crate::config::{First, first};

/// Options of `init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The platforms and presets to send to, with commas; `watchfire platforms` lists them. Default: the terminal only, which needs no credentials.
    #[arg(long, short, value_name = "NAMES", value_delimiter = ',')]
    platforms: Vec<String>,
    /// Where to write it; a file that exists is never overwritten. `-` prints it.
    #[arg(long, short, value_name = "FILE", default_value = "routes.yaml")]
    out: PathBuf,
    /// Print what the platform's console must allow Watchfire's app to do, and nothing else: `slack` (a manifest to paste), `feishu` (permissions to import),
    /// `dingtalk`, `dingtalk_card` (a card template to import), `wecom`, `wecom_bot` or `telegram`.
    #[arg(long, value_name = "PLATFORM", conflicts_with_all = ["platforms", "out"])]
    app: Option<String>,
}

/// What the app of each platform needs. The book shows the same files.
const APPS: [(&str, &str); 7] = [
    ("slack", include_str!("../../docs/slack-app.yaml")),
    ("feishu", include_str!("../../docs/feishu-app.json")),
    ("dingtalk", include_str!("../../docs/dingtalk-app.txt")),
    ("dingtalk_card", include_str!("../../docs/dingtalk-card.json")),
    ("wecom", include_str!("../../docs/wecom-app.txt")),
    ("wecom_bot", include_str!("../../docs/wecom-bot.txt")),
    ("telegram", include_str!("../../docs/telegram-app.txt")),
];

/// What Feishu's console takes by hand after the permissions, which are JSON to the last byte.
const FEISHU_NEXT: &str = "\nThen, for buttons: start Watchfire with `buttons: true`; Events & Callbacks (事件与回调), Callback Configuration (回调配置): receive callbacks
through persistent connection (使用长连接接收回调), and add Card callback interaction (卡片回传交互, card.action.trigger). Publish a version at the end.\n";

/// Prints what an app needs.
fn print_app(name: &str) -> anyhow::Result<()> {
    let name = name.to_lowercase();
    // One application of DingTalk's serves its cards and its calls.
    let app = if name == "dingtalk_call" { "dingtalk" } else { name.as_str() };
    let Some((app, text)) = APPS.iter().find(|(known, _)| *known == app) else {
        let apps = APPS.map(|(known, _)| known).join(", ");
        anyhow::bail!("there is no app of `{name}` to print; apps: {apps}. What other platforms need is on their pages of the manual");
    };
    anstream::print!("{text}");
    if *app == "feishu" {
        anstream::eprint!("{FEISHU_NEXT}");
    }
    Ok(())
}

/// Writes the file.
pub fn run(args: &InitArgs) -> anyhow::Result<ExitStatus> {
    if let Some(name) = &args.app {
        print_app(name)?;
        return Ok(ExitStatus::Success);
    }
    let First { text, variables, channels } = first(&args.platforms).map_err(anyhow::Error::msg)?;
    if args.out.as_os_str() == "-" {
        anstream::print!("{text}");
    } else {
        write_new(&args.out, &text)?;
        anstream::eprintln!("{} is written; alerts go to: {}", args.out.display(), channels.join(", "));
    }
    let config = match args.out.to_str() {
        Some("routes.yaml" | "-") | None => String::new(),
        Some(path) => format!(" --config {path}"),
    };
    if !variables.is_empty() {
        anstream::eprintln!("\nSet these environment variables (or write {{ file: PATH }} in their places):");
        for name in &variables {
            let set = if std::env::var_os(name).is_some_and(|value| !value.is_empty()) { "  (is set)" } else { "" };
            anstream::eprintln!("  {name}{set}");
        }
    }
    match variables.is_empty() {
        true => anstream::eprintln!("\nNext: `watchfire{config}` serves and needs nothing else"),
        false => {
            anstream::eprintln!("\nNext: fill in addresses and rooms, then `watchfire check --online{config}` asks the platforms whether they agree")
        }
    }
    Ok(ExitStatus::Success)
}
