//! Files beside the configuration: the template folder, and files that settings name.

use std::path::{Component, Path as FilePath, PathBuf};

use super::codes;
use super::file::RoutesFile;
use super::report::Report;
use super::source::Anchor;
use super::validate::is_shipped_input;
use crate::channel::PLATFORMS;
use crate::channel::preset::{self, PresetRegistry};
use crate::model::yaml::{Kind, Node, Path};
use crate::model::{Finding, Place, unreadable};
use crate::template::{PlatformFields, Source, TemplateRegistry};

/// The most templates and partials that are read.
const MAX_FILES: usize = 2000;
/// The most a template may have, in bytes.
const MAX_TEMPLATE: u64 = 256 * 1024;

/// The compiled templates, and what they were made from.
pub struct Templates {
    /// All of them, built-in ones included.
    pub library: TemplateRegistry,
    /// What is wrong with them.
    pub findings: Vec<Finding>,
    /// The folder, when one is configured.
    pub folder: Option<PathBuf>,
    /// Names and texts of the files in it, sorted.
    pub texts: Vec<(String, String)>,
    /// The presets there are, those in the folder included.
    pub presets: PresetRegistry,
}

/// Reads the template folder, if one is configured, and compiles.
pub fn templates(file: &RoutesFile, channel_settings: &FilePath, report: &mut Report<'_>) -> Templates {
    let platforms: Vec<PlatformFields> = PLATFORMS.iter().map(|p| PlatformFields { platform: p.name, fields: p.fields }).collect();
    let folder = file
        .templates
        .as_ref()
        .map(|folder| channel_settings.join(folder).components().filter(|part| *part != Component::CurDir).collect::<PathBuf>());
    let mut sources = Vec::new();
    let mut findings = Vec::new();
    let mut texts = Vec::new();
    let mut presets = PresetRegistry::default();
    if let Some(folder) = &folder {
        let at = Path::of("templates");
        match walk(folder) {
            Err(error) => {
                let message = "the template folder cannot be read";
                report.error(
                    codes::NO_TEMPLATES,
                    &at,
                    Anchor::Value,
                    message,
                    format!("it {}; remove `templates` to use the built-in ones", unreadable(&error)),
                );
            }
            Ok(paths) if paths.len() > MAX_FILES => {
                report.error(
                    codes::NO_TEMPLATES,
                    &at,
                    Anchor::Value,
                    "this folder is too large",
                    format!("it has more than {MAX_FILES} files; name a folder of templates"),
                );
            }
            Ok(paths) => {
                for path in paths {
                    if path.strip_prefix(folder).is_ok_and(is_shipped_input) {
                        continue;
                    }
                    if let Some(name) = preset_name(folder, &path) {
                        match preset(&path) {
                            Ok((text, preset)) => {
                                texts.push((path.display().to_string(), text));
                                presets.add(name, preset);
                            }
                            Err(found) => {
                                presets.refuse(name, found.first().map(|finding| finding.label.clone()).unwrap_or_default());
                                findings.extend(found);
                            }
                        }
                        continue;
                    }
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
    let (library, more) = TemplateRegistry::compile(&platforms, sources);
    findings.extend(more);
    Templates { library, findings, folder, texts, presets }
}

/// The preset that a file holds: `presets/<name>.yaml`.
fn preset_name(folder: &FilePath, path: &FilePath) -> Option<String> {
    let relative = path.strip_prefix(folder).ok()?;
    let yaml = relative.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    (relative.parent() == Some(FilePath::new("presets")) && yaml).then(|| relative.file_stem().map(|stem| stem.to_string_lossy().into_owned()))?
}

/// A preset file: its text and what it says, or everything that is wrong with it.
fn preset(path: &FilePath) -> Result<(String, preset::file::Preset), Vec<Finding>> {
    let bad = |label: String| {
        let place = Place { file: path.display().to_string(), span: None, line_text: None };
        Finding::error(codes::BAD_PRESET, "this preset cannot be used").at(place).label(label)
    };
    let size = std::fs::metadata(path).map_err(|error| vec![bad(format!("it {}", unreadable(&error)))])?.len();
    if size > MAX_TEMPLATE {
        return Err(vec![bad(format!("it is larger than {} KiB", MAX_TEMPLATE / 1024))]);
    }
    let text = std::fs::read_to_string(path).map_err(|error| vec![bad(format!("it {}", unreadable(&error)))])?;
    let preset = preset::registry::read(&text).map_err(|faults| faults.into_iter().map(bad).collect::<Vec<_>>())?;
    Ok((text, preset))
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
    let meta = std::fs::metadata(path).map_err(|error| bad(format!("it {}", unreadable(&error))))?;
    if meta.len() > MAX_TEMPLATE {
        return Err(bad(format!("it is larger than {} KiB", MAX_TEMPLATE / 1024)));
    }
    let bytes = std::fs::read(path).map_err(|error| bad(format!("it {}", unreadable(&error))))?;
    let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".into()))?;
    Source::from_path(relative, named, text).ok_or_else(|| unused(&place))
}

fn unused(place: &Place) -> Box<Finding> {
    Box::new(
        Finding::warning(codes::UNUSED_FILE, "nothing uses this file")
            .at(place.clone())
            .label("templates are named `<platform>/<set>.<field>.hbs`, presets `presets/<name>.yaml`"),
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
            if name.starts_with('.')
                || name.ends_with('~')
                || name.starts_with('#')
                || matches!(name.as_str(), "words.yaml" | "reasons.yaml" | "README.md")
            {
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
pub fn named_files(node: &Node, channel_settings: &FilePath) -> Vec<PathBuf> {
    let mut found = Vec::new();
    match &node.kind {
        Kind::Scalar(_) => {}
        Kind::List(items) => items.iter().for_each(|item| found.extend(named_files(item, channel_settings))),
        Kind::Map(entries) => {
            for entry in entries {
                match &entry.value.kind {
                    Kind::Scalar(scalar) if entry.key.ends_with("_file") && !scalar.text.is_empty() => {
                        found.push(channel_settings.join(&scalar.text))
                    }
                    _ => found.extend(named_files(&entry.value, channel_settings)),
                }
            }
        }
    }
    found
}
