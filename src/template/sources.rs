//! Template sources: the built-in ones, which platforms bring with their fields, and how a path in a templates folder is read.

use std::path::{Component, Path};

use super::check::BUILT_IN;
use super::{PlatformFields, Source};

/// The set that exists for every platform, and that lends its fields to sets that lack them.
pub const DEFAULT_SET: &str = "default";

/// The folder whose partials every platform sees.
pub const SHARED: &str = "_shared";

/// The forms that a message is made of, as partials that every platform sees: a user's file of the same name replaces one.
pub const FORMS: &[(&str, &str)] = &[
    ("_bare", include_str!("forms/_bare.hbs")),
    ("_call", include_str!("forms/_call.hbs")),
    ("_card", include_str!("forms/_card.hbs")),
    ("_facts", include_str!("forms/_facts.hbs")),
    ("_group", include_str!("forms/_group.hbs")),
    ("_line", include_str!("forms/_line.hbs")),
    ("_links", include_str!("forms/_links.hbs")),
    ("_notes", include_str!("forms/_notes.hbs")),
    ("_resolved", include_str!("forms/_resolved.hbs")),
    ("_rest", include_str!("forms/_rest.hbs")),
    ("_say", include_str!("forms/_say.hbs")),
];

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

/// A platform's built-in templates: one per field, together its default set.
pub fn built_in(platform: &PlatformFields) -> Vec<Source> {
    let source = |name: &str, text: &str| Source {
        platform: platform.platform.to_owned(),
        set: DEFAULT_SET.to_owned(),
        field: name.to_owned(),
        file: format!("{BUILT_IN}templates/{}/{DEFAULT_SET}.{name}.hbs", platform.platform),
        text: text.to_owned(),
    };
    let form = |(name, text): &(&str, &str)| Source {
        platform: SHARED.to_owned(),
        set: (*name).to_owned(),
        field: String::new(),
        file: format!("{BUILT_IN}templates/{SHARED}/{name}.hbs"),
        text: (*text).to_owned(),
    };
    FORMS.iter().map(form).chain(platform.fields.iter().map(|field| source(field.name, field.template))).collect()
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
