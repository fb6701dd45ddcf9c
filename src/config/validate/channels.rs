//! Channels: each has one platform, sound settings, and a driver; fallbacks lead somewhere and never in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::escalations::actions;
use super::platforms::{format, living, pings, template};
use super::teams::mentioned;
use super::{Channels, Validator};
use crate::channel::kit::HttpClients;
use crate::channel::preset::PresetRegistry;
use crate::channel::registry::{self, DigestConfig, Format, RateLimitConfig, RecipientLimitConfig};
use crate::channel::{
    BuildContext, Built, CellResult, Channel, ChannelConfig, Limit, Living, LivingMode, PLATFORMS, Platform, PlatformConfig, PressWay, Problem,
    SendContext,
};
use crate::config::codes;
use crate::config::file::RoutesFile;
use crate::config::source::Anchor;
use crate::delivery::{AllowancePlan, ChannelPlan, ContentPlan};
use crate::model::yaml::Path;
use crate::model::{ErrorKind, Finding, Language, OutletKey, Page, Recipient, Secret, SecretSource, SendError};
use crate::template::TemplateRegistry;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Validates `channels:` and builds what can be built. `templates` is what template sets are looked up in.
pub fn channels(validator: &mut Validator<'_, '_>, templates: &TemplateRegistry, presets: &PresetRegistry, http: &HttpClients) -> Channels {
    let root = Path::of("channels");
    if validator.names.is_empty() && !validator.report.is_blamed_inside(&root) {
        let label = "define at least one: `channels: { terminal: { log: {} } }`";
        validator.report.error(codes::MISSING_KEY, &root, Anchor::Key, "there are no channels to send to", label);
    }
    names(validator, &root);
    circles(validator, &root);
    let mut plans = Channels::new();
    let file = validator.file;
    for (name, config) in &file.channels {
        let path = root.key(name);
        let settings = settings(validator, name, config, &path);
        let Some(block) = config.blocks().into_iter().next().filter(|_| config.blocks().len() == 1) else { continue };
        let (platform, platform_config) = block;
        for problem in platform_config.check() {
            report_problem(validator, &path, &problem);
        }
        for doubt in platform_config.doubts(config.send_resolved.unwrap_or(platform.resolved_by_default)) {
            warn(validator, &path, &doubt);
        }
        let proxy = proxy(validator, config, &path);
        template(validator, templates, config.template.as_deref(), platform.name, &path);
        if config.format.is_some() {
            format(validator, config, platform.name, platform_config.takes_text(), &path);
        }
        if let Some(mentions) = &config.mentions {
            mentioned(validator, mentions, &path.key("mentions"));
            pings(validator, platform, name, mentions, &path.key("mentions"));
        }
        mentioned(validator, &platform_config.mentions(), &path.key(platform.name).key("mentions"));
        if validator.report.is_blamed_inside(&path) {
            continue;
        }
        let cx = BuildContext { channel: name, timeout: settings.timeout, proxy, secrets: validator.secrets, http, presets };
        let Some((built, recipients)) = build(validator, name, block, &cx, &path) else { continue };
        let platform = built.descriptor.unwrap_or(platform);
        let living = living(validator, config.living, platform, built.channel.living(platform), &path);
        let plan = ChannelPlan {
            name: name.as_str().into(),
            platform,
            outlet: built.outlet,
            driver: built.channel,
            recipients,
            content: content(config, platform_config, platform, living, file.language),
            rate_limit: rate_limit(config, platform),
            allowance: allowance(validator, config, platform_config, platform, &path),
            digest: settings.digest,
            timeout: settings.timeout,
            max_age: settings.max_age,
            fallback: config.fallback.clone(),
            fallback_after: settings.fallback_after,
            disabled: config.disabled,
            previous_names: config.previous_names.clone(),
        };
        plans.insert(name.clone(), Arc::new(plan));
    }
    rate_limits(validator, &plans, &root);
    plans
}

fn content(config: &ChannelConfig, platform_config: &dyn PlatformConfig, platform: &Platform, living: LivingMode, language: Language) -> ContentPlan {
    ContentPlan {
        plain: config.format == Some(Format::Text),
        template: config.template.clone().unwrap_or_else(|| crate::template::DEFAULT_SET.to_owned()),
        language: config.language.unwrap_or(language),
        send_resolved: config.send_resolved.unwrap_or(platform.resolved_by_default),
        mentions: config.mentions.clone().unwrap_or_else(|| platform_config.mentions()),
        looks_up: platform_config.looks_up(),
        living,
        actions: actions(config.actions),
        max_pages: usize::from(config.max_pages.unwrap_or(3)),
    }
}

/// The channel's own rate limit, else the platform's; `None` where it was turned off.
fn rate_limit(config: &ChannelConfig, platform: &Platform) -> Option<Vec<Limit>> {
    match &config.rate_limit {
        None => Some(platform.pace.limits.to_vec()),
        Some(RateLimitConfig::Off(_)) => None,
        Some(RateLimitConfig::Rate(rate)) => Some(vec![
            Limit { count: rate.per_minute, window: Duration::from_secs(60) },
            Limit { count: rate.burst.unwrap_or(rate.per_minute), window: SECOND },
        ]),
    }
}

/// What the account and each recipient get at most.
fn allowance(
    validator: &mut Validator<'_, '_>,
    config: &ChannelConfig,
    platform_config: &dyn PlatformConfig,
    platform: &Platform,
    path: &Path,
) -> AllowancePlan {
    let own = &config.recipient_limit;
    let at = path.key("recipient_limit");
    // Only what the vendor reports on later is known for each number.
    if own.is_some() && !platform.counts_recipients() {
        let message = format!("`{}` has no limit of what one recipient gets", platform.name);
        validator.report.error(codes::BAD_CHANNEL, &at, Anchor::Key, message, "remove it; it is for SMS and calls");
    }
    let per_recipient = match own {
        None => platform.pace.per_recipient.to_vec(),
        Some(RecipientLimitConfig::Off(_)) => Vec::new(),
        Some(RecipientLimitConfig::Limit(limit)) => {
            if limit.per_hour == 0 {
                let label = "write at least 1; `disabled: true` stops a channel";
                validator.report.error(codes::OUT_OF_RANGE, &at.key("per_hour"), Anchor::Value, "with 0 nobody would ever get anything", label);
            }
            vec![Limit { count: limit.per_hour, window: HOUR }]
        }
    };
    AllowancePlan { per_month: platform_config.per_month().or(platform.pace.per_month), per_recipient }
}

/// The driver and whom it sends to. Without secrets no driver can send, and what drivers say about placeholders does not count.
fn build(
    validator: &mut Validator<'_, '_>,
    name: &str,
    block: registry::Block<'_>,
    cx: &BuildContext<'_>,
    path: &Path,
) -> Option<(Built, Vec<Recipient>)> {
    let real = validator.secrets.real();
    match registry::build(block, cx) {
        Ok(built) if real => Some(built),
        Ok((built, recipients)) => Some((Built { channel: Arc::new(NoSecretsDriver(Some(built.channel))), ..built }, recipients)),
        Err(problems) => {
            let about_placeholder = |problem: &Problem| {
                let at = path.dotted(&problem.path);
                validator.sites.iter().any(|site| at == site.path && matches!(site.source, SecretSource::Env(_) | SecretSource::File(_)))
            };
            let (excused, told): (Vec<Problem>, Vec<Problem>) = problems.into_iter().partition(|problem| !real && about_placeholder(problem));
            told.iter().for_each(|problem| report_problem(validator, path, problem));
            let without_secrets = !excused.is_empty() && told.is_empty();
            without_secrets.then(|| {
                (
                    Built { descriptor: None, channel: Arc::new(NoSecretsDriver(None)), outlet: OutletKey::new(block.0.name, name) },
                    block.1.recipients(),
                )
            })
        }
    }
}

/// The driver of a plan that was loaded without secrets: it shows bodies, and sends nothing. None where not even that can be built.
struct NoSecretsDriver(Option<Arc<dyn Channel>>);

#[async_trait]
impl Channel for NoSecretsDriver {
    async fn send(&self, _: &Page, to: &[Recipient], _: &SendContext) -> Vec<CellResult> {
        let error = SendError::new(ErrorKind::Misconfigured, "this configuration was loaded without secrets; nothing can be sent with it");
        crate::channel::kit::all(to, Err(error))
    }

    fn body(&self, page: &Page) -> Value {
        self.0.as_ref().map_or_else(|| crate::channel::kit::shown(&page.fields), |driver| driver.body(page))
    }

    fn keeps_incidents(&self) -> bool {
        self.0.as_ref().is_some_and(|driver| driver.keeps_incidents())
    }

    fn wants_raw_payload(&self) -> bool {
        self.0.as_ref().is_some_and(|driver| driver.wants_raw_payload())
    }

    fn living(&self, platform: &Platform) -> Living {
        self.0.as_ref().map_or(platform.living, |driver| driver.living(platform))
    }

    fn press_way(&self) -> Option<PressWay> {
        self.0.as_ref().and_then(|driver| driver.press_way())
    }

    fn max_pages(&self) -> usize {
        self.0.as_ref().map_or(usize::MAX, |driver| driver.max_pages())
    }
}

/// Names and platforms of all channels, readable or not.
fn names(validator: &mut Validator<'_, '_>, root: &Path) {
    let entries = validator.report.source.root.as_ref().and_then(|root| root.get("channels")).map(|node| node.entries()).unwrap_or_default();
    for entry in entries {
        let path = root.key(&entry.key);
        validator.name(&entry.key, &path, Anchor::Key, "channel");
        let present: Vec<&str> = PLATFORMS.iter().filter(|p| entry.value.get(p.name).is_some()).map(|p| p.name).collect();
        // A mistyped platform is reported as an unknown key.
        if present.len() == 1 || validator.report.is_blamed(&path) || (present.is_empty() && validator.report.is_blamed_inside(&path)) {
            continue;
        }
        let (message, label) = if present.is_empty() {
            (format!("the channel `{}` has no platform", entry.key), "add one platform block, such as `log: {}`".to_owned())
        } else {
            (format!("the channel `{}` has {} platforms: {}", entry.key, present.len(), present.join(", ")), "make a channel of each".to_owned())
        };
        let finding = Finding::error(codes::PLATFORM_COUNT, message).label(label).note("`watchfire platforms` lists the platforms");
        validator.report.add(finding, &path, Anchor::Key);
    }
}

/// Fallbacks that do not exist or go in a circle, and former names that are taken.
fn circles(validator: &mut Validator<'_, '_>, root: &Path) {
    let file = validator.file;
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    let mut told: Vec<BTreeSet<&str>> = Vec::new();
    for (name, config) in &file.channels {
        let path = root.key(name);
        let fallback = path.key("fallback");
        for (ix, next) in config.fallback.iter().enumerate() {
            let at = fallback.item(ix);
            if validator.channel(next, &at, &format!("`{name}` falls back to"))
                && let Some(way) = way_back(file, name, next)
            {
                // Each circle is reported once, where it is met first.
                let members: BTreeSet<&str> = way.iter().copied().collect();
                if !told.contains(&members) {
                    told.push(members);
                    let message = format!("the fallbacks of `{name}` go in a circle");
                    let label = format!("{name} -> {}: remove one of them", way.join(" -> "));
                    validator.report.error(codes::FALLBACK_CYCLE, &at, Anchor::Value, message, label);
                }
            }
        }
        for (ix, old) in config.previous_names.iter().enumerate() {
            let at = path.key("previous_names").item(ix);
            if validator.names.contains_key(old) {
                let label = "remove it here, or rename that channel";
                validator.report.error(codes::TAKEN_NAME, &at, Anchor::Value, format!("`{old}` is still the name of a channel"), label);
            } else if let Some(other) = taken.insert(old, name) {
                let message = format!("`{other}` was called `{old}` as well");
                validator.report.error(codes::TAKEN_NAME, &at, Anchor::Value, message, "one of the two takes over what waits; remove the other");
            }
        }
        // What falls back to it goes on in the chain that it came by.
        let goes_on = || file.channels.values().any(|other| other.fallback.iter().rev().skip(1).any(|next| next == name));
        if config.fallback_after.is_some() && config.fallback.is_empty() && !goes_on() {
            let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, "`fallback_after` without `fallback` does nothing")
                .label("name channels in `fallback`, or remove this");
            validator.report.add(finding, &path.key("fallback_after"), Anchor::Key);
        }
    }
}

/// The way from `next` back to `start` over fallbacks.
fn way_back<'f>(file: &'f RoutesFile, start: &str, next: &'f str) -> Option<Vec<&'f str>> {
    let mut open = vec![vec![next]];
    let mut seen = vec![next];
    while let Some(way) = open.pop() {
        let last = way[way.len() - 1];
        if last == start {
            return Some(way);
        }
        for further in file.channels.get(last).map(|config| config.fallback.as_slice()).unwrap_or_default() {
            if further == start || !seen.contains(&further.as_str()) {
                seen.push(further);
                open.push(way.iter().copied().chain([further.as_str()]).collect());
            }
        }
    }
    None
}

struct Settings {
    timeout: Duration,
    max_age: Duration,
    fallback_after: Option<Duration>,
    digest: Option<Duration>,
}

/// What holds for any platform.
fn settings(validator: &mut Validator<'_, '_>, name: &str, config: &ChannelConfig, path: &Path) -> Settings {
    if let Some(RateLimitConfig::Rate(rate)) = &config.rate_limit {
        let rate_limit = path.key("rate_limit");
        if rate.per_minute == 0 {
            let label = "write at least 1; `disabled: true` stops a channel";
            validator.report.error(
                codes::OUT_OF_RANGE,
                &rate_limit.key("per_minute"),
                Anchor::Value,
                format!("with 0 nothing would ever leave through `{name}`"),
                label,
            );
        }
        if rate.burst.is_some_and(|burst| burst == 0 || burst > rate.per_minute) {
            let label = format!("write 1 to {}", rate.per_minute.max(1));
            validator.report.error(codes::OUT_OF_RANGE, &rate_limit.key("burst"), Anchor::Value, "a burst that the rate limit does not allow", label);
        }
    }
    if config.max_pages.is_some_and(|pages| pages == 0 || pages > 20) {
        validator.report.error(codes::OUT_OF_RANGE, &path.key("max_pages"), Anchor::Value, "a message has at least one page", "write 1 to 20");
    }
    let digest = match &config.digest {
        None => Some(30 * SECOND),
        Some(DigestConfig::Off(_)) => None,
        Some(DigestConfig::After(digest)) => {
            Some(validator.duration(Some(&digest.after), &path.key("digest").key("after"), 30 * SECOND, SECOND, DAY))
        }
    };
    let after = config.fallback_after.as_deref();
    let fallback_after = after.map(|text| validator.duration(Some(text), &path.key("fallback_after"), HOUR, SECOND, 30 * DAY));
    let max_age = validator.duration(config.max_age.as_deref(), &path.key("max_age"), DAY, 60 * SECOND, 30 * DAY);
    if fallback_after.is_some_and(|after| after >= max_age) && !validator.report.is_blamed_inside(path) {
        let label = "a delivery is dead, and falls back, before this; write less than `max_age`";
        let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, "`fallback_after` is never reached").label(label);
        validator.report.add(finding, &path.key("fallback_after"), Anchor::Value);
    }
    Settings {
        timeout: validator.duration(config.timeout.as_deref(), &path.key("timeout"), 30 * SECOND, SECOND / 2, 300 * SECOND),
        max_age,
        fallback_after,
        digest,
    }
}

/// The proxy's address; what it holds is never repeated.
fn proxy(validator: &mut Validator<'_, '_>, config: &ChannelConfig, path: &Path) -> Option<Secret> {
    let secret = validator.secret(config.proxy.as_ref()?)?;
    let literal = matches!(config.proxy, Some(SecretSource::Literal(_)));
    if !validator.secrets.real() && !literal {
        return None;
    }
    let fine =
        reqwest::Url::parse(secret.expose()).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") && url.has_host());
    if !fine {
        let label = "write `http://host:port`, `https://host:port` or `socks5://host:port`";
        validator.report.error(codes::BAD_ADDRESS, &path.key("proxy"), Anchor::Value, "this is not the address of a proxy", label);
        return None;
    }
    Some(secret)
}

fn report_problem(validator: &mut Validator<'_, '_>, path: &Path, problem: &Problem) {
    let at = path.dotted(&problem.path);
    validator.report.error(codes::BAD_CHANNEL, &at, Anchor::Value, format!("`{at}`: {}", problem.message), problem.help.clone());
}

fn warn(validator: &mut Validator<'_, '_>, path: &Path, doubt: &Problem) {
    let at = path.dotted(&doubt.path);
    let finding = Finding::warning(codes::DOUBTFUL_CHANNEL, format!("`{at}`: {}", doubt.message)).label(doubt.help.clone());
    validator.report.add(finding, &at, Anchor::Value);
}

/// Channels that share a credential share its limit, so they should agree on the rate limit.
fn rate_limits(validator: &mut Validator<'_, '_>, plans: &Channels, root: &Path) {
    let mut first: BTreeMap<&str, &ChannelPlan> = BTreeMap::new();
    for plan in plans.values() {
        let other = *first.entry(plan.outlet.as_str()).or_insert(plan);
        if other.rate_limit != plan.rate_limit {
            let finding = Finding::warning(
                codes::TWO_RATE_LIMITS,
                format!("`{}` and `{}` send with one credential at different rate limits", other.name, plan.name),
            )
            .label("the platform counts both together; write the same `rate_limit` for both");
            let path = root.key(&plan.name);
            let path = if validator.file.channels.get(&*plan.name).is_some_and(|c| c.rate_limit.is_some()) { path.key("rate_limit") } else { path };
            validator.report.add(finding, &path, Anchor::Key);
        }
    }
}
