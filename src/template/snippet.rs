//! A text with `{{ }}` over any JSON: a value of an input. It sees neither a page nor partials, and nothing in it is escaped.

use std::sync::{Arc, LazyLock};

use handlebars::{Context, Handlebars, Template};

use super::check::{self, INPUT, Walk};
use super::{functions, render};
use crate::model::{Escape, Finding};

/// Functions that texts of inputs can call: those of templates.
static REGISTRY: LazyLock<Arc<Handlebars<'static>>> = LazyLock::new(|| {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(false);
    registry.register_escape_fn(handlebars::no_escape);
    functions::register(&mut registry, Escape::None);
    Arc::new(registry)
});

/// A compiled text; cheap to clone.
#[derive(Clone)]
pub struct Snippet(Arc<Template>);

impl Snippet {
    /// Compiles a text over `body` and `alert`, or says everything that is wrong with it. `file` is how findings name it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Finding>> {
        let loaded = check::parse(file.to_owned(), text.to_owned()).map_err(|finding| vec![*finding])?;
        let none = Default::default();
        let findings = Walk::over_shape(&loaded, &none, INPUT).findings;
        if findings.is_empty() { Ok(Self(Arc::new(loaded.template))) } else { Err(findings) }
    }

    /// What it makes of `{ body, alert }`; `None` when it fails on it. A name that leads nowhere is empty, and so is one that is asked of a list.
    pub fn render(&self, data: &Context) -> Option<String> {
        render::to_text(&self.0, &REGISTRY, data, 64)?.ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str) -> Option<String> {
        let data = Context::from(
            json!({ "body": { "site": "fra1", "m": { "a b": [1, 2.5] } }, "alert": { "name": "<Disk> & *", "n": 3, "tags": [{ "tag": "x" }] } }),
        );
        Snippet::parse("inputs.x", text).unwrap_or_else(|found| panic!("{text}: {found:?}")).render(&data)
    }

    #[test]
    fn values_are_found_and_not_escaped() {
        assert_eq!(of("{{alert.name}} at {{body.site}}").as_deref(), Some("<Disk> & * at fra1"));
        assert_eq!(of("{{lookup body.m \"a b\"}}{{body.m.[a b].[0]}}").as_deref(), Some("[1, 2.5]1"));
        assert_eq!(of("{{default alert.title alert.name}}{{#each alert.tags}} {{tag}}{{/each}}").as_deref(), Some("<Disk> & * x"));
        assert_eq!(of("{{body.nowhere.at.all}}{{alert.n.x}}").as_deref(), Some(""));
        assert_eq!(of("{{alert.tags.tag}}").unwrap_or_default(), "", "a list where one was");
    }

    #[test]
    fn mistakes_are_found_without_a_body() {
        for text in ["{{name}}", "{{alert.name", "{{uper alert.name}}", "{{> partial}}"] {
            assert!(Snippet::parse("inputs.x", text).is_err(), "{text}");
        }
    }
}
