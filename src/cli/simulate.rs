//! `watchfire simulate --alerts N --groups M --over 30s`: what a storm would become, without sending.

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::print::no_channel;
use super::{Common, ExitStatus, load};
use crate::delivery::Plan;
use crate::delivery::simulate::{Forecast, Storm, simulate};
use crate::model::{format_duration, parse_duration};

/// Alerts that one drill may have.
const MAX_ALERTS: usize = 100_000;

/// Options of `simulate`.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Alerts in all.
    #[arg(long, default_value_t = 1000)]
    alerts: usize,
    /// Groups that they come in; each group is one webhook body.
    #[arg(long, default_value_t = 100)]
    groups: usize,
    /// The time over which they come (Prometheus duration).
    #[arg(long, default_value = "30s")]
    over: String,
    /// Only this channel.
    #[arg(long, short, value_name = "NAME")]
    channel: Option<String>,
    /// Labels of every alert, as `severity=critical`; `alertname`, `instance` and `severity` (one in twenty is critical) are there already.
    #[arg(long, short, value_name = "KEY=VALUE")]
    label: Vec<String>,
}

/// Simulates.
pub fn run(common: &Common, args: &SimulateArgs) -> Result<ExitStatus> {
    if args.alerts == 0 || args.groups == 0 || args.alerts > MAX_ALERTS || args.groups > args.alerts {
        bail!(
            "--alerts takes 1 to {MAX_ALERTS}, and --groups 1 to as many as there are alerts; not {} alerts in {} groups",
            args.alerts,
            args.groups
        );
    }
    let over = parse_duration(&args.over).map_err(|error| anyhow::anyhow!("--over: {error}"))?;
    let labels = args.label.iter().map(|text| super::route::label(text)).collect::<Result<Vec<_>>>()?;
    let loaded = load(common, false)?;
    let plan = &loaded.plan;
    if let Some(name) = &args.channel
        && plan.channel(name).is_none()
    {
        return Err(no_channel(plan, name));
    }
    let clock = crate::delivery::Clock::system();
    let now = clock.wall().timestamp();
    let storm = Storm { alerts: args.alerts, groups: args.groups, over, labels };
    let forecasts = simulate(plan, &storm.events(now), now, clock.instant(), args.channel.as_deref());
    if common.json {
        let rows: Vec<_> = forecasts.iter().map(|f| as_json(f, f.warning(plan))).collect();
        anstream::println!("{}", json!({ "alerts": args.alerts, "groups": args.groups, "over_seconds": over.as_secs_f64(), "channels": rows }));
        return Ok(ExitStatus::Success);
    }
    anstream::println!("{} alerts in {} groups over {}; nothing is sent\n", args.alerts, args.groups, args.over);
    if forecasts.is_empty() {
        let whom = args.channel.as_deref().map_or_else(|| "any channel".to_owned(), |name| format!("`{name}`"));
        anstream::println!("no alert of this drill reaches {whom}; --label adds labels to them, and `watchfire route` shows where labels go");
        return Ok(ExitStatus::Success);
    }
    print_table(&forecasts, plan);
    Ok(ExitStatus::Success)
}

/// A line for each channel, and what is odd about it below.
fn print_table(forecasts: &[Forecast], plan: &Plan) {
    anstream::println!(
        "{:<20} {:<14} {:>7} {:>9} {:>8} {:>6} {:>7} {:>8} {:>14} {:>10}",
        "CHANNEL",
        "PLATFORM",
        "ALERTS",
        "MESSAGES",
        "DIGESTS",
        "PAGES",
        "NAMED",
        "COUNTED",
        "LONGEST DELAY",
        "OVER AFTER"
    );
    for f in forecasts {
        let round = |d: std::time::Duration| format_duration(std::time::Duration::from_secs(d.as_secs_f64().round() as u64));
        anstream::println!(
            "{:<20} {:<14} {:>7} {:>9} {:>8} {:>6} {:>7} {:>8} {:>14} {:>10}",
            f.channel,
            f.platform,
            f.alerts,
            f.messages,
            f.digests,
            f.pages,
            f.named,
            f.counted(),
            round(f.longest_delay),
            round(f.over_after)
        );
        if let Some(warning) = f.warning(plan) {
            anstream::println!("{:<20} warning: {warning}", "");
        }
        if f.held_back > 0 {
            anstream::println!("{:<20} {} of them are muted or recorded only", "", f.held_back);
        }
    }
}

fn as_json(f: &Forecast, warning: Option<String>) -> serde_json::Value {
    json!({
        "channel": f.channel, "platform": f.platform, "alerts": f.alerts, "held_back": f.held_back, "messages": f.messages, "digests": f.digests,
        "pages": f.pages, "named": f.named, "longest_delay_seconds": f.longest_delay.as_secs_f64(), "over_after_seconds": f.over_after.as_secs_f64(), "warning": warning,
    })
}
