//! Files beside the configuration: the template folder, and files that settings name.

use std::path::{Component, Path as FilePath, PathBuf};

use super::codes;
use super::file::RoutesFile;
use super::report::Report;
use super::source::Spot;
use super::yaml::{Kind, Node, Path};
use crate::channel::PLATFORMS;
use crate::model::{Finding, Place};
use crate::template::{Library, PlatformFields, Source};

/// The most templates and partials that are read.
const MAX_FILES: usize = 2000;
/// The most a template may have, in bytes.
const MAX_TEMPLATE: u64 = 256 * 1024;

/// The compiled templates, and what they were made from.
pub struct Templates {
    /// All of them, built-in ones included.
    pub library: Library,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
    /// The folder, when one is configured.
    pub folder: Option<PathBuf>,
    /// Names and texts of the files in it, sorted.
    pub texts: Vec<(String, String)>,
}

/// Reads the template folder, if one is configured, and compiles.
pub fn templates(file: &RoutesFile, beside: &FilePath, report: &mut Report<'_>) -> Templates {
    let platforms: Vec<PlatformFields> = PLATFORMS.iter().map(|p| PlatformFields { platform: p.name, fields: p.fields }).collect();
    let folder =
        file.templates.as_ref().map(|folder| beside.join(folder).components().filter(|part| *part != Component::CurDir).collect::<PathBuf>());
    let mut sources = Vec::new();
    let mut findings = Vec::new();
    let mut texts = Vec::new();
    if let Some(folder) = &folder {
        let at = Path::of("templates");
        match walk(folder) {
            Err(error) => {
                let message = "the template folder cannot be read";
                report.error(codes::NO_TEMPLATES, &at, Spot::Value, message, format!("{error}; remove `templates` to use the built-in ones"));
            }
            Ok(paths) if paths.len() > MAX_FILES => {
                report.error(
                    codes::NO_TEMPLATES,
                    &at,
                    Spot::Value,
                    "this folder is too large",
                    format!("it has more than {MAX_FILES} files; name a folder of templates"),
                );
            }
            Ok(paths) => {
                for path in paths {
                    match template(folder, &path) {
                        Ok(source) => {
                            texts.push((source.file.clone(), source.text.clone()));
                            sources.push(source);
                        }
                        Err(finding) => findings.push(*finding),
                    }
                }
            }
        }
    }
    let (library, more) = Library::compile(&platforms, sources);
    findings.extend(more);
    Templates { library, findings, folder, texts }
}

/// One file of the folder.
fn template(folder: &FilePath, path: &FilePath) -> Result<Source, Box<Finding>> {
    let named = path.display().to_string();
    let place = Place { file: named.clone(), span: None, line_text: None };
    let bad = |label: String| Box::new(Finding::error(codes::NO_TEMPLATES, "this template cannot be read").at(place.clone()).label(label));
    let relative = path.strip_prefix(folder).unwrap_or(path);
    if path.extension().is_none_or(|extension| extension != "hbs") {
        return Err(unused(&place));
    }
    let meta = std::fs::metadata(path).map_err(|error| bad(error.to_string()))?;
    if meta.len() > MAX_TEMPLATE {
        return Err(bad(format!("it is larger than {} KiB", MAX_TEMPLATE / 1024)));
    }
    let bytes = std::fs::read(path).map_err(|error| bad(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".into()))?;
    Source::from_path(relative, named, text).ok_or_else(|| unused(&place))
}

fn unused(place: &Place) -> Box<Finding> {
    Box::new(
        Finding::warning(codes::UNUSED_FILE, "nothing uses this file").at(place.clone()).label("templates are named `<platform>/<set>.<field>.hbs`"),
    )
}

/// All files up to two folders deep, sorted; hidden ones and those that editors leave behind are passed over.
fn walk(folder: &FilePath) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if name.starts_with('.') || name.ends_with('~') || name.starts_with('#') || matches!(name.as_str(), "words.yaml" | "README.md") {
                continue;
            }
            if path.is_dir() {
                if depth < 2 {
                    open.push((path, depth + 1));
                }
            } else {
                found.push(path);
            }
        }
        if found.len() > MAX_FILES {
            break;
        }
    }
    found.sort();
    Ok(found)
}

/// Files that settings name with a key such as `ca_file`: drivers read them, so their change asks for a reload.
pub fn named_files(node: &Node, beside: &FilePath) -> Vec<PathBuf> {
    let mut found = Vec::new();
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().for_each(|item| found.extend(named_files(item, beside))),
        Kind::Map(entries) => {
            for entry in entries {
                match &entry.value.kind {
                    Kind::Scalar(scalar) if entry.key.ends_with("_file") && !scalar.text.is_empty() => found.push(beside.join(&scalar.text)),
                    _ => found.extend(named_files(&entry.value, beside)),
                }
            }
        }
    }
    found
}
