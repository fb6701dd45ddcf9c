//! A first routes.yaml for chosen platforms, made of the platforms' examples. Pure: names in, text out.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::suggest::{hint, listed};
use crate::channel::preset::PresetRegistry;
use crate::channel::preset::file::{Parameter, ParameterKind, Preset};
use crate::channel::{PLATFORMS, Platform, platform};

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

/// One channel of a platform's example.
struct Example {
    name: String,
    platform: &'static Platform,
    /// Its lines.
    lines: Vec<String>,
}

/// What one can choose: a platform, or a preset by its own name.
#[derive(Clone)]
enum Choice {
    Platform(&'static Platform),
    Preset(String, Arc<Preset>),
}

impl Choice {
    fn of(name: &str, registry: &PresetRegistry) -> Result<Self, String> {
        let plain = name.to_lowercase().replace('-', "_");
        if let Some(found) = platform(&plain) {
            return Ok(Self::Platform(found));
        }
        let close = name.to_lowercase();
        if let Some(preset) = registry.get(&close) {
            return Ok(Self::Preset(close, preset));
        }
        let known = || PLATFORMS.iter().map(|p| p.name).chain(registry.names());
        Err(format!("there is no platform `{name}`{}\nplatforms: {}", hint(&close, known()), listed(known())))
    }

    fn name(&self) -> &str {
        match self {
            Self::Platform(platform) => platform.name,
            Self::Preset(name, _) => name,
        }
    }
}

/// A configuration with one channel for each of these platforms and presets, in this order; without any, one that prints to the terminal.
///
/// # Errors
/// A platform that does not exist, with what was probably meant and all there are.
pub fn first(platforms: &[String]) -> Result<First, String> {
    let registry = PresetRegistry::default();
    let mut chosen: Vec<Choice> = Vec::new();
    for name in platforms.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
        let found = Choice::of(name, &registry)?;
        if !chosen.iter().any(|one| one.name() == found.name()) {
            chosen.push(found);
        }
    }
    if chosen.is_empty() {
        chosen.extend(platform("log").map(Choice::Platform));
    }
    let mut channels = Vec::new();
    let mut blocks = String::new();
    for choice in &chosen {
        let (name, text) = match choice {
            Choice::Platform(platform) => of_platform(platform)?,
            Choice::Preset(name, preset) => of_preset(name, preset),
        };
        blocks.push_str(&text);
        blocks.push('\n');
        channels.push(name);
    }
    // Who learns the end of a call from its vendor only must be reachable for it.
    let calls_back = |choice: &Choice| matches!(choice, Choice::Platform(platform) if platform.word.only_calls_back());
    let text = skeleton(&blocks, &channels, chosen.iter().any(calls_back));
    Ok(First { variables: variables(&text), text, channels })
}

/// The examples of a platform: the first switched on, the others below it.
fn of_platform(platform: &'static Platform) -> Result<(String, String), String> {
    let mut all = examples(platform).into_iter();
    let example = all.next().ok_or_else(|| format!("there is no example of {}; `watchfire schema` shows its settings", platform.name))?;
    let mut text = format!("  ## {}: {}\n", platform.title, platform.about);
    if !platform.docs.is_empty() {
        text.push_str(&format!("  ## {}\n", platform.docs));
    }
    text.push_str(&switched_on(&example));
    for other in all {
        text.push_str("  ## or\n");
        other.lines.iter().for_each(|line| text.push_str(&format!("  # {}\n", line.get(2..).unwrap_or_default())));
    }
    Ok((example.name, text))
}

/// A preset with what it asks for; what it can do without is a comment.
fn of_preset(name: &str, preset: &Preset) -> (String, String) {
    let channel = format!("ops-{name}");
    let mut text = format!("  ## {}: {}\n  ## {}\n  {channel}:\n    preset:\n      name: {name}\n", preset.title, preset.about, preset.docs);
    let (needed, spare): (Vec<_>, Vec<_>) = preset.parameters.iter().partition(|(_, parameter)| parameter.default.is_none() && !parameter.optional);
    text.push_str(if needed.is_empty() { "      # params:\n" } else { "      params:\n" });
    let variable = |key: &str| format!("{name}_{key}").to_uppercase().replace('-', "_");
    let value = |key: &str, parameter: &Parameter| match parameter.kind {
        _ if parameter.secret => format!("{{ env: {} }}", variable(key)),
        ParameterKind::Address => format!("https://{name}.example.com"),
        ParameterKind::Number => parameter.default.clone().unwrap_or_else(|| "1".into()),
        ParameterKind::Text => format!("{:?}", parameter.default.as_deref().unwrap_or(key)),
    };
    for (key, parameter) in needed {
        text.push_str(&format!("        ## {}\n        {key}: {}\n", parameter.about, value(key, parameter)));
    }
    for (key, parameter) in spare {
        let shown = parameter.default.clone().filter(|_| parameter.kind == ParameterKind::Address).unwrap_or_else(|| value(key, parameter));
        text.push_str(&format!("        ## {}\n        # {key}: {shown}\n", parameter.about));
    }
    (channel, text)
}

/// The channel with its platform's block and pace; whatever else the example sets stays a comment, because it may name channels that are not there.
fn switched_on(example: &Example) -> String {
    let (mut out, mut on) = (String::new(), true);
    for line in &example.lines {
        let depth = line.len() - line.trim_start().len();
        if depth == 4 && !line.trim_start().starts_with('#') {
            on = line.trim_start().split(':').next().is_some_and(|key| key == example.platform.name || key == "rate_limit");
        }
        match on {
            true => out.push_str(&format!("{line}\n")),
            false => out.push_str(&format!("    # {}\n", line.get(4..).unwrap_or_default())),
        }
    }
    out
}

/// The channels of a platform's example, with their lines as they are below `channels:`.
fn examples(platform: &'static Platform) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    for line in platform.example.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        match examples.last_mut() {
            Some(example) if line.starts_with(' ') => example.lines.push(format!("  {line}")),
            _ => {
                let name = line.split(':').next().unwrap_or_default().to_owned();
                examples.push(Example { name, platform, lines: vec![format!("  {line}")] });
            }
        }
    }
    examples
}

/// The channels of the shipped routes.yaml: the terminal, and every other platform's example as a comment.
pub fn example_channels() -> String {
    let comment = |line: &str| format!("  {}{line}\n", if line.starts_with("##") { "" } else { "# " });
    let block = |platform: &&Platform| match platform.name {
        "log" => platform.example.lines().map(|line| format!("  {line}\n")).collect(),
        _ => platform.example.lines().map(comment).collect::<String>(),
    };
    PLATFORMS.iter().map(block).collect::<Vec<_>>().join("\n")
}

fn skeleton(blocks: &str, channels: &[String], called_back: bool) -> String {
    let (external, callbacks) = if called_back { ("external_url", ", and for the vendor's callbacks") } else { ("# external_url", "") };
    let (all, one) = (channels.join(", "), channels.first().map_or("", String::as_str));
    let send = format!("watchfire send -c {one} -t hello");
    let width = send.len().max(38);
    let commands: String = [
        ("watchfire check", "finds every mistake in this file, with its place and what to do"),
        ("watchfire route severity=critical", "shows where an alert with these labels goes, and why"),
        (&send, "really sends a message, and prints the platform's answer"),
        ("watchfire", "serves; Alertmanager and Grafana send to http://<this machine>:9091/webhook"),
        ("watchfire schema > routes.schema.json", "for editors: they complete and check this file with its first line"),
    ]
    .iter()
    .map(|(command, does)| format!("##   {command:width$}  {does}\n"))
    .collect();
    format!(
        r#"# yaml-language-server: $schema=./routes.schema.json
## Watchfire's configuration.
##
{commands}##
## Lines with one `#` are examples: remove the `#` and the space after it. Lines with two are explanations.
## A secret is best kept out of this file: {{ env: NAME }} or {{ file: PATH }}.

server:
  listen: 127.0.0.1:9091              ## 0.0.0.0:9091 lets other machines in; that needs auth
  {external}: https://watchfire.example.com     ## for links in messages{callbacks}
  # auth:
  #   - bearer: {{ env: WATCHFIRE_TOKEN }}

store: sqlite:watchfire.db
# time_zone: Asia/Shanghai            ## in which messages show times; default UTC
# language: zh                        ## en or zh
# defaults: {{ channels: {{ timeout: 20s, max_age: 12h }} }}  ## what holds for every channel that does not say otherwise
## Many teams: with `include: [teams/*.yaml]` each has a file of its own, `teams/db.yaml` for the alerts with `team="db"`

channels:
{blocks}## The first route takes every alert. Below it the first that matches wins, unless it says `continue`.
route:
  to: [{all}]
  # routes:
  #   - matchers: 'severity="critical"'  ## Alertmanager's matchers, in quotes: one text or a list
  #     to: [{all}]
  #   - matchers: ['severity="info"', 'env!="prod"']
  #     to: [{one}]
  #     send_resolved: false          ## do not tell when it is over
  #     mute_time_intervals: [nights]  ## firing alerts wait for the end of the interval

# time_intervals:                     ## Alertmanager's shape
#   - name: nights
#     time_intervals:
#       - times: [{{ start_time: '22:00', end_time: '24:00' }}, {{ start_time: '00:00', end_time: '07:00' }}]
#         location: Asia/Shanghai

# self_monitoring: {{ to: [{one}], backlog: 15m }}  ## where Watchfire's own alarms go

# tests:                              ## checked by `watchfire check`, at start and before every reload
#   - name: a critical alert reaches everybody
#     labels: {{ severity: critical }}
#     expect: [{all}]
"#
    )
}

/// The variables that the text reads: the names in `{ env: NAME }` outside comments.
fn variables(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let active = text.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| line.split("##").next().unwrap_or(line));
    let pieces = active.flat_map(|line| line.split("{ env: ").skip(1));
    pieces.filter_map(|piece| piece.split(' ').next()).filter(|name| seen.insert(name.to_string())).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{LoadOptions, codes, from_text, report};
    use std::path::Path;

    fn check(text: &str, secrets: bool) {
        let options = LoadOptions { secrets, env: std::sync::Arc::new(|_| None), ..LoadOptions::default() };
        let loaded = from_text(Path::new("routes.yaml"), text, &options).unwrap_or_else(|f| panic!("{text}\n{}", report(&f)));
        // No route leads to the further examples of a platform.
        let findings: Vec<_> = loaded.findings.into_iter().filter(|finding| finding.code != codes::UNREACHED_CHANNEL).collect();
        assert_eq!(report(&findings), "", "{text}");
    }

    /// With every example switched on.
    fn uncommented(text: &str) -> String {
        let line = |line: &str| match line.split_once("# ") {
            Some((indent, rest)) if indent.trim().is_empty() && !rest.starts_with("yaml-language-server") => format!("{indent}{rest}\n"),
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
    fn every_preset_by_its_own_name_passes_the_check() {
        let registry = PresetRegistry::default();
        assert!(registry.names().len() >= 9);
        for name in registry.names() {
            let made = first(&[name.to_owned()]).unwrap();
            assert_eq!(made.channels, [format!("ops-{name}")]);
            check(&made.text, false);
            check(&uncommented(&made.text), false);
            let preset = registry.get(name).unwrap();
            for (key, parameter) in &preset.parameters {
                let variable = format!("{name}_{key}").to_uppercase();
                let needed = parameter.secret && parameter.default.is_none() && !parameter.optional;
                assert_eq!(made.variables.contains(&variable), needed, "{key}\n{}", made.text);
            }
        }
    }

    #[test]
    fn names_are_taken_as_people_write_them() {
        assert_eq!(first(&["Slack".into(), " ".into(), "wecom-robot".into()]).unwrap().channels.len(), 2);
        assert_eq!(first(&[" ".into()]).unwrap().channels, ["terminal"]);
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
        assert_eq!(first(&["dingding".into()]).unwrap_err().lines().next(), Some("there is no platform `dingding`; did you mean `dingtalk`?"));
    }
}
