//! Tests of the whole reader: bodies of real senders, broken bodies, and arbitrary ones.

mod broken;
mod properties;
mod quirks;
mod recorded;
mod written;

use jiff::Timestamp;

use super::{IngestError, Inputs, Parsed, Sender, parse};

/// When the tests' bodies arrive.
fn now() -> Timestamp {
    "2026-12-01T00:00:00Z".parse().unwrap()
}

fn read(body: &str) -> Result<Parsed, IngestError> {
    parse(&Sender::Auto, body.as_bytes(), &Inputs::default(), now())
}

fn file(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bodies").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Names of all body files, sorted.
fn files() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bodies");
    let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".json"));
    names.sort();
    names
}
