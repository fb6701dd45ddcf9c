//! The inputs: how bodies of other senders are read. Those of the file come first, then those that come with Watchfire.

use std::sync::{Arc, LazyLock};

use handlebars::Context;
use include_dir::{Dir, include_dir};

use super::Validator;
use crate::config::codes;
use crate::config::source::Anchor;
use crate::ingest::{Input, InputBlock, Inputs, Text};
use crate::model::yaml::{self, Path};
use crate::template::Snippet;

static SHIPPED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates/inputs");

/// The inputs that come with Watchfire, by name.
static BLOCKS: LazyLock<Vec<(String, InputBlock)>> = LazyLock::new(|| {
    let name = |file: &include_dir::File<'_>| file.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let files = SHIPPED.files().filter_map(|file| Some((name(file)?, file.contents_utf8()?)));
    // A test reads every file and wants no fault in it.
    files.filter_map(|(name, text)| Some((name, yaml::read(text).ok()?))).collect()
});

/// Whether a file of the template folder is one of those, which need no file.
pub fn is_shipped_input(relative: &std::path::Path) -> bool {
    relative.strip_prefix("inputs").is_ok_and(|name| SHIPPED.contains(name))
}

/// Validates `inputs:`, and compiles all there are.
pub fn inputs(validator: &mut Validator<'_, '_>, severity_label: &str) -> Inputs {
    let mut all = Inputs::default();
    let path = Path::of("inputs");
    let file = validator.file;
    for (name, block) in &file.inputs {
        let at = path.key(name);
        validator.name(name, &at, Anchor::Key, "input");
        if validator.report.is_blamed_inside(&at) {
            continue;
        }
        for problem in block.check(severity_label) {
            let at = at.dotted(&problem.path);
            validator.report.error(codes::BAD_INPUT, &at, Anchor::Value, format!("`{at}`: {}", problem.message), problem.help);
        }
        all.add(Input::new(name, block, severity_label, |below, text| {
            let at = below.split_once('.').map_or_else(|| at.key(below), |(map, name)| at.key(map).key(name));
            match Snippet::parse(&at.to_string(), text) {
                Ok(snippet) => Some(compiled(snippet)),
                Err(findings) => {
                    for finding in findings {
                        validator.report.error(codes::BAD_INPUT, &at, Anchor::Value, format!("`{at}`: {}", finding.message), finding.label);
                    }
                    None
                }
            }
        }));
    }
    for (name, block) in BLOCKS.iter() {
        all.add(Input::new(name, block, severity_label, |_, text| Snippet::parse(name, text).ok().map(compiled)));
    }
    all
}

fn compiled(snippet: Snippet) -> Text {
    Arc::new(move |data: &Context| snippet.render(data))
}

#[cfg(test)]
mod tests;
