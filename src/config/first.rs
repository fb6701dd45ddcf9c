//! A first routes.yaml for chosen platforms. Its channels are the examples of the shipped file, so that a platform that has an example there
//! (`tests/check.rs` asks for one) can be chosen here. Pure: names in, text out.

use std::collections::BTreeSet;

use super::nearest::{hint, listed};
use crate::channel::{PLATFORMS, Platform, platform};

/// The shipped file.
const SHIPPED: &str = include_str!("../../routes.yaml");

/// A first configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    /// routes.yaml.
    pub text: String,
    /// The environment variables that it reads, in order.
    pub variables: Vec<String>,
    /// Its channels.
    pub channels: Vec<String>,
}

/// One channel of the shipped file, switched on.
struct Example {
    name: String,
    platform: &'static Platform,
    /// Its lines without the `#` of examples.
    lines: Vec<String>,
}

/// A configuration with one channel for each of these platforms, in this order; without any, one that prints to the terminal.
///
/// # Errors
/// A platform that does not exist, in one sentence with what was probably meant.
pub fn first(platforms: &[String]) -> Result<First, String> {
    let mut chosen: Vec<&'static Platform> = Vec::new();
    for name in platforms {
        let name = name.trim();
        let Some(found) = platform(name) else {
            let known = || PLATFORMS.iter().map(|p| p.name);
            return Err(format!("there is no platform `{name}`{}; platforms: {}", hint(name, known()), listed(known())));
        };
        if !chosen.iter().any(|p| p.name == found.name) {
            chosen.push(found);
        }
    }
    if chosen.is_empty() {
        chosen.extend(platform("log"));
    }
    let examples = examples();
    let mut channels = Vec::new();
    let mut blocks = String::new();
    for platform in &chosen {
        let mut of_platform = examples.iter().filter(|example| example.platform.name == platform.name);
        let Some(example) = of_platform.next() else {
            return Err(format!("there is no example of {}; `watchfire schema` shows its settings", platform.name));
        };
        blocks.push_str(&format!("  ## {}: {}\n", platform.title, platform.about));
        if !platform.docs.is_empty() {
            blocks.push_str(&format!("  ## {}\n", platform.docs));
        }
        blocks.push_str(&switched_on(example));
        for other in of_platform {
            blocks.push_str("  ## or\n");
            other.lines.iter().for_each(|line| blocks.push_str(&format!("  # {}\n", line.get(2..).unwrap_or_default())));
        }
        blocks.push('\n');
        channels.push(example.name.clone());
    }
    let text = skeleton(&blocks, &channels);
    Ok(First { variables: variables(&text), text, channels })
}

/// The channel with its platform's block; whatever else the example sets stays a comment, because it may name channels that are not there.
fn switched_on(example: &Example) -> String {
    let (mut out, mut on) = (String::new(), true);
    for line in &example.lines {
        let depth = line.len() - line.trim_start().len();
        if depth == 4 && !line.trim_start().starts_with('#') {
            on = line.trim_start().split(':').next() == Some(example.platform.name);
        }
        match on {
            true => out.push_str(&format!("{line}\n")),
            false => out.push_str(&format!("    # {}\n", line.get(4..).unwrap_or_default())),
        }
    }
    out
}

/// The channels of the shipped file, examples among them.
fn examples() -> Vec<Example> {
    let section = SHIPPED.lines().skip_while(|line| *line != "channels:").skip(1).take_while(|line| line.is_empty() || line.starts_with(' '));
    let mut groups: Vec<Vec<String>> = Vec::new();
    for line in section.filter(|line| !line.trim().is_empty()) {
        let line = match line.split_once("# ") {
            Some((indent, rest)) if indent.trim().is_empty() => format!("{indent}{rest}"),
            _ => line.to_owned(),
        };
        let begins = line.len() - line.trim_start().len() == 2 && !line.trim_start().starts_with('#');
        match groups.last_mut() {
            Some(group) if !begins => group.push(line),
            _ if begins => groups.push(vec![line]),
            _ => {}
        }
    }
    groups
        .into_iter()
        .filter_map(|lines| {
            let value: serde_yaml::Mapping = serde_yaml::from_str(&lines.join("\n")).ok()?;
            let (name, channel) = value.iter().next()?;
            let platform = channel.as_mapping()?.keys().find_map(|key| platform(key.as_str()?))?;
            Some(Example { name: name.as_str()?.to_owned(), platform, lines })
        })
        .collect()
}

fn skeleton(blocks: &str, channels: &[String]) -> String {
    let (all, one) = (channels.join(", "), channels.first().map_or("", String::as_str));
    format!(
        r#"## Watchfire's configuration.
##
##   watchfire check                       finds every mistake in this file, with its place and what to do
##   watchfire route severity=critical     shows where an alert with these labels goes, and why
##   watchfire send -c {one} -t hello      really sends a message, and prints the platform's answer
##   watchfire                             serves; Alertmanager and Grafana send to http://<this machine>:9091/webhook
##
## Lines with one `#` are examples: remove the `#` and the space after it. Lines with two are explanations.
## A secret is best kept out of this file: {{ env: NAME }} or {{ file: PATH }}.

server:
  listen: 127.0.0.1:9091              ## other machines reach 0.0.0.0:9091, which needs auth
  # external_url: https://watchfire.example.com     ## for links in messages
  # auth:
  #   - bearer: {{ env: WATCHFIRE_TOKEN }}

store: sqlite:watchfire.db
# time_zone: Asia/Shanghai            ## in which messages show times; default UTC
# language: zh                        ## en or zh

channels:
{blocks}## The first route takes every alert. Below it the first that matches wins, unless it says `continue`.
route:
  to: [{all}]
  # routes:
  #   - match: 'severity="critical"'  ## Alertmanager's matchers, in quotes: one text or a list
  #     to: [{all}]
  #   - match: ['severity="info"', 'env!="prod"']
  #     to: [{one}]
  #     resolved: false               ## do not tell when it is over
  #     mute: [nights]                ## firing alerts wait for the end of the interval

# time_intervals:                     ## Alertmanager's shape
#   - name: nights
#     time_intervals:
#       - times: [{{ start_time: '22:00', end_time: '24:00' }}, {{ start_time: '00:00', end_time: '07:00' }}]
#         location: Asia/Shanghai

# self: {{ to: [{one}], backlog: 15m }}  ## where Watchfire's own alarms go

# tests:                              ## checked by `watchfire check`, at start and before every reload
#   - name: a critical alert reaches everybody
#     labels: {{ severity: critical }}
#     expect: [{all}]
"#
    )
}

/// The variables that the text reads: what stands in `{ env: NAME }` outside comments.
fn variables(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let active = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let pieces = active.flat_map(|line| line.split("{ env: ").skip(1));
    pieces.filter_map(|piece| piece.split(' ').next()).filter(|name| seen.insert(name.to_string())).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, from_text, report};
    use std::path::Path;

    fn check(text: &str, secrets: bool) {
        let options = LoadOptions { secrets, env: std::sync::Arc::new(|_| None), ..LoadOptions::default() };
        let loaded = from_text(Path::new("routes.yaml"), text, &options).unwrap_or_else(|f| panic!("{text}\n{}", report(&f)));
        assert_eq!(report(&loaded.findings), "", "{text}");
    }

    /// With every example switched on.
    fn uncommented(text: &str) -> String {
        let line = |line: &str| match line.split_once("# ") {
            Some((indent, rest)) if indent.trim().is_empty() => format!("{indent}{rest}\n"),
            _ => format!("{line}\n"),
        };
        text.lines().map(line).collect()
    }

    #[test]
    fn every_platform_alone_and_all_at_once_pass_the_check() {
        let all: Vec<String> = PLATFORMS.iter().map(|p| p.name.to_owned()).collect();
        for chosen in all.iter().map(|name| vec![name.clone()]).chain([all.clone(), vec![]]) {
            let made = first(&chosen).unwrap();
            assert_eq!(made.channels.len(), chosen.len().max(1), "{}", made.text);
            check(&made.text, false);
        }
        check(&uncommented(&first(&all).unwrap().text), false);
    }

    #[test]
    fn without_platforms_nothing_needs_to_be_set() {
        let made = first(&[]).unwrap();
        assert_eq!((made.channels, made.variables), (vec!["terminal".to_owned()], vec![]));
        check(&made.text, true);
    }

    #[test]
    fn variables_are_those_of_the_chosen_channels() {
        let made = first(&["dingtalk".into(), " slack".into(), "slack".into()]).unwrap();
        assert_eq!(made.variables, ["DING_TOKEN", "DING_SECRET", "SLACK_TOKEN"]);
        assert_eq!(first(&["dingding".into()]).unwrap_err().split(';').nth(1), Some(" did you mean `dingtalk`?"));
    }
}
