//! The driver against a scripted SMTP server, and the mails it writes.

mod mails;
mod pooling;
mod recipients;
mod server;
mod stages;

use std::time::Duration;

use tokio::time::Instant;

use super::Config;
use super::driver::Driver;
use crate::channel::{CellResult, Channel, SecretReader, SendContext};
use crate::model::{Facts, MessageId, Page, Recipient, Secret, SecretSource, SendError, Severity, UnixMs};

/// Reads literals and files.
pub(super) struct Plain;

impl SecretReader for Plain {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        match source {
            SecretSource::Literal(secret) => Ok(secret.clone()),
            SecretSource::File(path) => std::fs::read_to_string(path).map(Secret::new).map_err(|e| format!("{}: {e}", path.display())),
            _ => Err("is not set".into()),
        }
    }
}

pub(super) fn config(yaml: &str) -> Config {
    serde_yaml::from_str(yaml).unwrap()
}

/// The driver of `server: <host>:<port>` with the test authority, and `more` lines of configuration.
fn driver_at(host: &str, port: u16, more: &str) -> Driver {
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), &server::authority().0).unwrap();
    let ca_file = if more.contains("tls: none") { String::new() } else { format!("ca_file: {}\n", ca.path().display()) };
    let yaml = format!("server: {host}:{port}\nfrom: Watchfire <w@example.com>\nto: [ops@example.org]\n{ca_file}{more}\n");
    config(&yaml).driver(&Plain, false).map_err(|problems| format!("{problems:?}")).unwrap().0
}

fn driver(port: u16, more: &str) -> Driver {
    driver_at("localhost", port, more)
}

fn page() -> Page {
    let fields = [("subject", "[FIRING] DiskFull db-1"), ("text", "disk is full"), ("html", "<p>disk is full</p>")];
    Page {
        fields: fields.map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        facts: Facts {
            severity: Some(Severity::Critical),
            thread: "alertmanager/ops/{}:{alertname=\"DiskFull\"}".into(),
            formed_at: UnixMs(1_764_000_000_000),
            ..Facts::default()
        },
        number: 1,
        total: 1,
        ..Page::default()
    }
}

fn cx() -> SendContext {
    SendContext {
        now: "2026-11-24T08:00:00Z".parse().unwrap(),
        deadline: Instant::now() + Duration::from_secs(10),
        message: MessageId::new(),
        attempt: 1,
        unanswered: false,
        idempotency_key: "k-1".into(),
        traceparent: String::new(),
        direct: false,
        callback: String::new(),
        press: String::new(),
        reply_to: None,
        own: Default::default(),
    }
}

fn to(addresses: &[&str]) -> Vec<Recipient> {
    addresses.iter().map(|a| Recipient::new(*a)).collect()
}

async fn send(driver: &Driver, addresses: &[&str]) -> Vec<CellResult> {
    driver.send(&page(), &to(addresses), &cx()).await
}

/// The error of the only recipient.
async fn fail(driver: &Driver) -> SendError {
    let mut results = send(driver, &["ops@example.org"]).await;
    assert_eq!(results.len(), 1);
    results.remove(0).1.expect_err("it should have failed")
}
