//! Configuration: from routes.yaml to a checked plan. Every mistake is found at once, with its place, the reason and what to do; a file with errors
//! returns no plan at all. Reload is the same load again: the caller swaps the plan, or keeps the old one and shows the findings.
//!
//! ```text
//! text -> yaml (tree with places) -> shape (against the types' own schema) -> read (serde) -> check (what it means) -> load (plan)
//! ```
//!
//! It does blocking I/O (the file, templates, secrets) and nothing on the network. Secrets never reach a finding: values are starred out of quoted
//! lines, and messages name paths.

pub mod codes;
mod defaults;
pub mod file;
mod folder;
pub mod import;
mod include;
mod init;
mod load;
mod net;
mod nodes;
mod password;
mod read;
mod reference;
mod relocate;
pub mod render;
mod report;
mod schema;
mod schema_check;
mod secrets;
mod settings;
mod shown;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod text;
mod validate;
pub mod watch;

pub use codes::explain;
pub use file::Scope;
pub use init::{First, example_channels, first};
pub use load::{LoadOptions, Loaded, from_text, load, load_watched, server};
pub use password::PasswordHash;
pub use reference::{platform_reference, reference};
pub use render::{json, one_line, report};
pub use schema::{schema, schema_text};
pub use secrets::{Environment, Placeholders, RealSecrets, process_environment};
pub use settings::{Admission, CredentialKind, CredentialSettings, Password, ServerSettings, StoreSettings, TlsSettings};
pub use shown::{line_in_file, shown_lines};
pub use suggest::nearest;
pub use text::file_text;
pub use watch::{Watched, fingerprint};
