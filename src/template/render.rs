//! Rendering one field: with a cap on the output, and with Handlebars' errors in plain words.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use handlebars::{Context, Handlebars, Output, RenderContext, RenderErrorReason, Renderable, Template};

use super::check::Loaded;
use super::inline::inline;
use super::usage::FieldUsage;
use super::{RenderError, View, escape};
use crate::model::FieldSpec;

/// One field's template with the registry it renders in.
#[derive(Clone)]
pub(super) struct FieldTemplate {
    pub spec: &'static FieldSpec,
    /// What was written.
    pub loaded: Arc<Loaded>,
    /// What is rendered.
    template: Arc<Template>,
    registry: Arc<Handlebars<'static>>,
    pub usage: Arc<FieldUsage>,
}

impl FieldTemplate {
    /// Of a template that was found to be sound, with the partials of its registry.
    pub fn new(
        spec: &'static FieldSpec,
        loaded: &Arc<Loaded>,
        registry: &Arc<Handlebars<'static>>,
        usage: FieldUsage,
        partials: &BTreeMap<String, Loaded>,
    ) -> Self {
        let template = Arc::new(inline(&loaded.template, partials));
        Self { spec, loaded: Arc::clone(loaded), template, registry: Arc::clone(registry), usage: Arc::new(usage) }
    }
}

/// Most bytes a field may render to: far above any platform's limit, far below what hurts.
pub const MAX_OUTPUT: usize = 1024 * 1024;

/// Collects a field's text up to [`MAX_OUTPUT`].
struct Capped(String);

impl Output for Capped {
    fn write(&mut self, text: &str) -> Result<(), std::io::Error> {
        if self.0.len() + text.len() > MAX_OUTPUT {
            return Err(std::io::Error::other(format!("the field becomes longer than {MAX_OUTPUT} bytes")));
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// What a template makes of its data; `None` when the engine panicked, which must cost one text and not the process its life.
pub(super) fn to_text(
    template: &Template,
    registry: &Handlebars<'static>,
    data: &Context,
    capacity: usize,
) -> Option<Result<String, handlebars::RenderError>> {
    std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut out = Capped(String::with_capacity(capacity));
        template.render(registry, data, &mut RenderContext::new(None), &mut out).map(|()| out.0)
    }))
    .ok()
}

/// Renders one field and finishes it for its dialect.
pub(super) fn render_field(field: &FieldTemplate, view: &View) -> Result<String, RenderError> {
    let fail = |line: Option<usize>, column: Option<usize>, file: Option<&String>, reason: String| RenderError {
        file: file.unwrap_or(&field.loaded.file).clone(),
        line: line.unwrap_or(0),
        column: column.unwrap_or(0),
        reason,
    };
    let text = match to_text(&field.template, &field.registry, &view.context, 1024) {
        Some(Ok(text)) => text,
        Some(Err(error)) => return Err(fail(error.line_no, error.column_no, error.template_name.as_ref(), in_words(error.reason()))),
        None => return Err(fail(None, None, None, "the template engine gave up on it".to_owned())),
    };
    let text = escape::finish(field.spec, &text);
    if text.trim().is_empty() && field.spec.required {
        return Err(fail(None, None, None, format!("the field `{}` comes out empty, and the platform needs it", field.spec.name)));
    }
    Ok(text)
}

fn in_words(reason: &RenderErrorReason) -> String {
    match reason {
        RenderErrorReason::MissingVariable(Some(name)) => format!("`{name}` does not exist here"),
        RenderErrorReason::PartialNotFound(name) => format!("there is no partial `{name}`"),
        RenderErrorReason::HelperNotFound(name) => format!("there is no function `{name}`"),
        RenderErrorReason::ParamNotFoundForIndex(name, at) => format!("`{name}` lacks its argument {}", at + 1),
        RenderErrorReason::InvalidJsonIndex(name) => format!("`{name}` is asked of a list; lists are walked with `{{{{#each}}}}`"),
        RenderErrorReason::IOError(error) => error.to_string(),
        other => other.to_string(),
    }
}
