//! Every secret in the file: is it there, and should it be there?

use super::Judge;
use crate::channel::preset::PresetRegistry;
use crate::config::codes;
use crate::config::source::Spot;
use crate::config::yaml::Path;
use crate::model::{Finding, SecretSource};

/// Tells about secrets that are missing, and warns of those that stand in the file.
/// What a preset asks for and does not call secret may stand there.
pub fn secrets(judge: &mut Judge<'_, '_>, presets: &PresetRegistry) {
    let open: Vec<Path> = open_values(judge, presets);
    let sites = judge.sites;
    for site in sites {
        if site.path.to_string().ends_with(".slack.token")
            && judge.secrets.read(&site.source).is_ok_and(|token| token.expose().trim().starts_with("xoxp-"))
        {
            let finding = Finding::warning(
                codes::DOUBTFUL_CHANNEL,
                format!("`{}` is a person's token: messages come from that person, and end when they leave", site.path),
            )
            .label("write the bot token, which begins with `xoxb-`");
            judge.report.add(finding, &site.path, Spot::Value);
        }
        if let SecretSource::Literal(secret) = &site.source {
            // A hashed password is made to stand in a file.
            if crate::config::PasswordHash::is_one(secret.expose()) || no_secret_store(secret.expose()) || open.contains(&site.path) {
                continue;
            }
            let finding = Finding::warning(codes::LITERAL_SECRET, format!("the secret `{}` stands in the file", site.path))
                .label("write `{ env: NAME }` or `{ file: PATH }`, and keep the value there");
            judge.report.add(finding, &site.path, Spot::Value);
            continue;
        }
        if let Err(why) = judge.secrets.read(&site.source) {
            let help = match &site.source {
                SecretSource::Env(name) => format!("set {name}, or check with `--without-secrets`"),
                _ => "provide the file, or check with `--without-secrets`".into(),
            };
            judge.report.error(codes::MISSING_SECRET, &site.path, Spot::Value, format!("the secret `{}` is missing: {why}", site.path), help);
        }
    }
}

/// Where channels give their presets values that are no secrets.
fn open_values(judge: &Judge<'_, '_>, presets: &PresetRegistry) -> Vec<Path> {
    let mut found = Vec::new();
    for (name, channel) in &judge.file.channels {
        let Some((config, preset)) = channel.preset.as_ref().and_then(|config| Some((config, presets.get(&config.name)?))) else { continue };
        let params = Path::of("channels").key(name).key("preset").key("params");
        let open = config.params.keys().filter(|key| preset.parameters.get(*key).is_some_and(|parameter| !parameter.secret));
        found.extend(open.map(|key| params.key(key)));
    }
    found
}

/// A file's name, or a database's address without a password in it.
fn no_secret_store(text: &str) -> bool {
    let database =
        |text: &str| reqwest::Url::parse(text).is_ok_and(|url| url.password().is_none() && !url.query_pairs().any(|(key, _)| key == "password"));
    text.starts_with("sqlite:") || ((text.starts_with("postgres://") || text.starts_with("postgresql://")) && database(text))
}
