//! Where secret values come from: the environment, files beside the configuration, the configuration itself; or placeholders when none are wanted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::channel::SecretReader;
use crate::channel::kit::PLACEHOLDER;
use crate::model::{Secret, SecretSource, unreadable};

/// The most a secret file may hold; certificates and keys are read by the same way.
const MAX_FILE: u64 = 256 * 1024;

/// Reads environment variables; tests give one of their own.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The process's own environment. A variable that is not UTF-8 counts as not set.
pub fn process_environment() -> Environment {
    Arc::new(|name| std::env::var(name).ok())
}

/// Reads the real values, and remembers which files it read.
pub struct RealSecrets {
    folder: PathBuf,
    env: Environment,
    files: Mutex<BTreeSet<PathBuf>>,
}

impl RealSecrets {
    /// `folder` is what relative paths are relative to.
    pub fn new(folder: &Path, env: Environment) -> Self {
        Self { folder: folder.to_owned(), env, files: Mutex::default() }
    }

    /// The files that were asked for, there or not: a change of any of them changes the configuration.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn read_file(&self, path: &Path) -> Result<Secret, String> {
        let full = self.folder.join(path);
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(full.clone());
        let named = path.display();
        let about = |error: std::io::Error| format!("file {named} {}", unreadable(&error));
        let meta = std::fs::metadata(&full).map_err(about)?;
        if meta.is_dir() {
            return Err(format!("{named} is a folder, not a file"));
        }
        if meta.len() > MAX_FILE {
            return Err(format!("file {named} is larger than {} KiB", MAX_FILE / 1024));
        }
        let bytes = std::fs::read(&full).map_err(about)?;
        let text = String::from_utf8(bytes).map_err(|_| format!("file {named} is not text (UTF-8)"))?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
        if text.is_empty() {
            return Err(format!("file {named} is empty"));
        }
        Ok(Secret::new(text))
    }
}

impl SecretReader for RealSecrets {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Literal(secret) => Ok(secret.clone()),
            SecretSource::Env(name) => match (self.env)(name) {
                Some(value) if !value.is_empty() => Ok(Secret::new(value)),
                Some(_) => Err(format!("environment variable {name} is empty")),
                None => Err(format!("environment variable {name} is not set")),
            },
            SecretSource::File(path) => self.read_file(path),
            SecretSource::Invalid(why) => Err((*why).to_owned()),
        }
    }
}

/// Returns a placeholder for every secret that is not in the configuration itself.
pub struct Placeholders;

impl SecretReader for Placeholders {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Literal(secret) => Ok(secret.clone()),
            SecretSource::Invalid(why) => Err((*why).to_owned()),
            // The same source always yields the same text, so that one credential is still one outlet.
            SecretSource::Env(name) => Ok(Secret::new(format!("{PLACEHOLDER}env-{name}"))),
            SecretSource::File(path) => Ok(Secret::new(format!("{PLACEHOLDER}file-{}", path.display()))),
        }
    }

    fn real(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_where_the_source_says() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hunter2\r\n").unwrap();
        std::fs::write(folder.path().join("two"), "a\n\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        std::fs::write(folder.path().join("binary"), [0xff, 0xfe]).unwrap();
        std::fs::write(folder.path().join("large"), vec![b'x'; MAX_FILE as usize + 1]).unwrap();
        let env: Environment = Arc::new(|name| match name {
            "SET" => Some("value".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        });
        let secrets = RealSecrets::new(folder.path(), env);
        let file = |name: &str| secrets.read(&SecretSource::File(name.into()));
        assert_eq!(file("token").unwrap().expose(), "hunter2");
        assert_eq!(file("two").unwrap().expose(), "a\n", "one line break is trimmed, not all");
        for (name, word) in [("empty", "empty"), ("binary", "UTF-8"), ("large", "larger"), ("none", "does not exist"), (".", "folder")] {
            assert!(file(name).unwrap_err().contains(word), "{name}");
        }
        let env = |name: &str| secrets.read(&SecretSource::Env(name.into()));
        assert_eq!(env("SET").unwrap().expose(), "value");
        assert_eq!(env("EMPTY").unwrap_err(), "environment variable EMPTY is empty");
        assert_eq!(env("UNSET").unwrap_err(), "environment variable UNSET is not set");
        assert_eq!(secrets.files().len(), 7, "missing files are watched too");
    }

    #[test]
    fn placeholders_are_told_apart_and_are_not_real() {
        let read = |source: SecretSource| Placeholders.read(&source).unwrap();
        assert_ne!(read(SecretSource::Env("A".into())), read(SecretSource::Env("B".into())));
        assert_eq!(read(SecretSource::Env("A".into())), read(SecretSource::Env("A".into())));
        assert!(!Placeholders.real());
        assert!(Placeholders.read(&SecretSource::Invalid("x")).is_err());
    }
}
