//! Templates: compile and check at load, render per platform with values escaped for its dialect, and fit into pages.
//!
//! Knows fields and escapes, not platforms' wires; knows alerts, not channels or stores.

pub mod fit;
pub mod view;

pub use view::{Brief, Entry, EntryStatus, MessageKind, View, ViewInput};

use crate::model::{FieldSpec, Finding};

/// The fields of one platform, as its card lists them.
#[derive(Debug, Clone, Copy)]
pub struct PlatformFields {
    /// The platform's name: the template folder.
    pub platform: &'static str,
    /// Its fields.
    pub fields: &'static [FieldSpec],
}

/// One template file that overrides or adds to the built-in ones.
#[derive(Debug, Clone)]
pub struct Source {
    /// Folder: the platform's name.
    pub platform: String,
    /// First part of the file name: the set.
    pub set: String,
    /// Second part of the file name: the field.
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
