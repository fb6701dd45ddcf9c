//! Templates: compile and check at load, render per platform with values escaped for its dialect, and fit into pages.
//!
//! Knows fields and escapes, not platforms' wires; knows alerts, not channels or stores.
//!
//! # Writing templates
//!
//! A template is one file per platform, set and field: `templates/<platform>/<set>.<field>.hbs`. It replaces the built-in one of the same name;
//! a set that lacks a field takes the one of the platform's `default` set. A file whose name begins with `_` is a partial: `_links.hbs` is
//! included as `{{> _links}}`; partials in `templates/_shared/` are seen by all platforms, and so are the built-in [forms](FORMS). The language is Handlebars.
//!
//! - **Fields** are listed by [`reference()`]. An unknown one is an error at load. Names inside the maps (`labels`, `annotations`,
//!   `values`, `group_labels`, ...) are the sender's: one that an alert lacks reads as empty.
//! - **Functions** are listed in [`FUNCTIONS`]. None of them reads the environment, files or the network.
//! - **Values are escaped** for the field's dialect wherever they are printed with `{{ }}`, so that no value can inject markup or ping anybody.
//!   `{{{ }}}` prints without escaping: only for what cannot come from outside. `link`, `bold` and `quote` write the dialect's markup.
//! - **Line breaks** of the template and of values are line breaks of the message in every dialect; blank lines are tidied.
//! - **Mentions** are not written in templates: the driver adds them.

mod check;
mod escape;
mod facts;
pub mod fit;
mod functions;
mod inline;
mod line;
mod plain;
mod reasons;
mod registry;
mod render;
mod samples;
mod snippet;
mod sources;
mod status;
mod usage;
pub mod view;
mod words;

#[cfg(test)]
pub(crate) use reasons::tests::english;

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod conversations;
#[cfg(test)]
mod unreported;

pub use check::reference;
pub use escape::{bold as bold_in, clean_url, escape, link as link_in};
pub use facts::facts;
pub use fit::{FittedPage, Part, fit};
pub use functions::{SIGNATURES as FUNCTIONS, Signature, register_len};
pub use line::{LineKind, line_fields};
pub use plain::{is_note, note_fields, plain, plain_fields};
pub use reasons::reason;
pub use registry::{DEFAULT_SET, TemplateRegistry};
pub use samples::{SAMPLES, samples};
pub use snippet::Snippet;
pub use sources::FORMS;
pub use usage::FieldUsage;
pub use view::humanize_in as humanize;
pub use view::{
    AnswerView, Brief, Entry, EntryStatus, GAP, IncidentView, MessageKind, MuteView, Now, Scene, SilenceView, SilenceViewState, Totals, View,
    ViewInput, lines,
};
pub use words::{who, word};

use crate::model::FieldSpec;

/// The fields of one platform, as its descriptor lists them.
#[derive(Debug, Clone, Copy)]
pub struct PlatformFields {
    /// The platform's name: the template folder.
    pub platform: &'static str,
    /// Its fields.
    pub fields: &'static [FieldSpec],
}

/// One template file that overrides or adds to the built-in ones; see [`Source::from_path`].
#[derive(Debug, Clone)]
pub struct Source {
    /// Folder: the platform's name.
    pub platform: String,
    /// First part of the file name: the set, or a partial's name with its underscore.
    pub set: String,
    /// Second part of the file name: the field; empty for partials.
    pub field: String,
    /// How findings name the file.
    pub file: String,
    /// The text.
    pub text: String,
}

/// Why a template failed while rendering; the built-in one is then used, visibly.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct RenderError {
    /// The template's file.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: usize,
    /// Column, from 1; 0 when unknown.
    pub column: usize,
    /// What went wrong.
    pub reason: String,
}
