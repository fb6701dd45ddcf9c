//! Every secret in the file: is it there, and should it be there?

use super::Validator;
use crate::channel::preset::PresetRegistry;
use crate::config::codes;
use crate::config::source::Anchor;
use crate::model::yaml::Path;
use crate::model::{Finding, SecretSource};

/// Reports secrets that are missing, and warns of those that are in the file.
/// What a preset asks for and does not call secret may be there.
pub fn secrets(validator: &mut Validator<'_, '_>, presets: &PresetRegistry) {
    let open: Vec<Path> = open_values(validator, presets);
    let sites = validator.sites;
    for site in sites {
        if site.path.to_string().ends_with(".slack.token")
            && validator.secrets.read(&site.source).is_ok_and(|token| token.expose().trim().starts_with("xoxp-"))
        {
            let finding = Finding::warning(
                codes::DOUBTFUL_CHANNEL,
                format!("`{}` is a person's token: messages come from that person, and end when they leave", site.path),
            )
            .label("write the bot token, which begins with `xoxb-`");
            validator.report.add(finding, &site.path, Anchor::Value);
        }
        if let SecretSource::Literal(secret) = &site.source {
            // A hashed password is made to be in a file.
            if crate::config::PasswordHash::is_one(secret.expose()) || no_secret_store(secret.expose()) || open.contains(&site.path) {
                continue;
            }
            let finding = Finding::warning(codes::LITERAL_SECRET, format!("the secret `{}` is in the file", site.path))
                .label("write `{ env: NAME }` or `{ file: PATH }`, and keep the value there");
            validator.report.add(finding, &site.path, Anchor::Value);
            continue;
        }
        if let Err(why) = validator.secrets.read(&site.source) {
            let help = match &site.source {
                SecretSource::Env(name) => format!("set {name}, or check with `--without-secrets`"),
                _ => "provide the file, or check with `--without-secrets`".into(),
            };
            validator.report.error(codes::MISSING_SECRET, &site.path, Anchor::Value, format!("the secret `{}` is missing: {why}", site.path), help);
        }
    }
}

/// Where channels give their presets values that are no secrets.
fn open_values(validator: &Validator<'_, '_>, presets: &PresetRegistry) -> Vec<Path> {
    let mut found = Vec::new();
    for (name, channel) in &validator.file.channels {
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
