//! Template files: the built-in ones, embedded, and how a path in a templates folder is read.
//!
//! Knows names of files, not what stands in them.

use std::path::{Component, Path};

use include_dir::{Dir, include_dir};

use super::Source;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The folder whose partials every platform sees.
pub const SHARED: &str = "_shared";

impl Source {
    /// Reads a path relative to the templates folder: `dingtalk/critical.text.hbs` is the field `text` of the set `critical`,
    /// `dingtalk/_links.hbs` a partial of the platform (its `field` is empty), `_shared/_footer.hbs` one that all platforms see.
    /// `None` for a file that is no template. `file` is how findings name it.
    pub fn from_path(relative: &Path, file: String, text: String) -> Option<Source> {
        let parts: Vec<&str> =
            relative.components().map(|part| if let Component::Normal(name) = part { name.to_str() } else { None }).collect::<Option<_>>()?;
        let [platform, name] = parts.as_slice() else { return None };
        let stem = name.strip_suffix(".hbs")?;
        let (set, field) = if stem.starts_with('_') { (stem, "") } else { stem.rsplit_once('.').unwrap_or((stem, "")) };
        Some(Source { platform: (*platform).to_owned(), set: set.to_owned(), field: field.to_owned(), file, text })
    }

    /// Whether it is a partial: a piece that templates include by its name.
    pub fn is_partial(&self) -> bool {
        self.set.starts_with('_')
    }
}

/// The embedded templates.
pub fn built_in() -> Vec<Source> {
    BUILT_IN
        .dirs()
        .flat_map(Dir::files)
        .filter_map(|file| {
            let name = format!("<built-in> templates/{}", file.path().display());
            Source::from_path(file.path(), name, file.contents_utf8()?.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_platform_set_and_field() {
        let read =
            |path: &str| Source::from_path(Path::new(path), path.into(), String::new()).map(|source| (source.platform, source.set, source.field));
        let three = |a: &str, b: &str, c: &str| Some((a.to_owned(), b.to_owned(), c.to_owned()));
        assert_eq!(read("dingtalk/default.text.hbs"), three("dingtalk", "default", "text"));
        assert_eq!(read("email/night.shift.html.hbs"), three("email", "night.shift", "html"));
        assert_eq!(read("dingtalk/_links.hbs"), three("dingtalk", "_links", ""));
        assert_eq!(read("email/odd.hbs"), three("email", "odd", ""));
        for none in ["README.md", "words.yaml", "email/default.html", "a/b/c.text.hbs", "../x/y.text.hbs"] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
