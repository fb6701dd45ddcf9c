//! Checking templates at load: syntax in plain words, fields against the schema, functions and their arguments, partials without cycles.
//!
//! Works on Handlebars' public syntax tree. Besides finding mistakes with their exact place it is the guard against templates that would overflow
//! the stack while rendering, which aborts the process and cannot be caught: cycles of partials (inline ones included), partial names that
//! are only known while rendering, and nesting that is too deep are refused. Knows the schema, not platforms.

mod call;
mod place;
mod resolve;
mod scan;
mod shape;
#[cfg(test)]
mod tests;
mod walk;

use handlebars::{Handlebars, Template, TemplateError, TemplateErrorReason};

use crate::model::Finding;

pub use place::File;
pub use resolve::closest;
pub use shape::{INPUT, reference};
pub use walk::Walk;

#[cfg(test)]
pub(super) use shape::{ROOT, Shape};

/// Template syntax.
pub const SYNTAX: &str = "E040";
/// How the names of files begin that came with the program.
pub const BUILT_IN: &str = "<built-in> ";
/// Unknown field.
pub const FIELD: &str = "E041";
/// Unknown function, or one called wrongly.
pub const FUNCTION: &str = "E042";
/// A partial that does not exist, or that cannot be allowed.
pub const PARTIAL: &str = "E043";
/// Fails on a sample.
pub const SAMPLE: &str = "E044";
/// A file that nothing uses.
pub const UNUSED: &str = "W045";
/// A field that must be there has no template.
pub const MISSING: &str = "E046";

/// One template file, parsed.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// How findings name the file.
    pub file: String,
    /// Its text.
    pub text: String,
    /// Its syntax tree.
    pub template: Template,
}

impl Loaded {
    /// Whether it came with the program.
    pub fn is_built_in(&self) -> bool {
        self.file.starts_with(BUILT_IN)
    }

    /// For places.
    pub fn file(&self) -> File<'_> {
        File { name: &self.file, text: &self.text }
    }
}

/// Parses a template, or says what is wrong with it and where.
pub fn parse(file: String, text: String) -> Result<Loaded, Box<Finding>> {
    let at = File { name: &file, text: &text };
    if let Err(flaw) = scan::scan(&text) {
        let finding = Finding::error(SYNTAX, flaw.message).at(at.place(flaw.at, flaw.width)).label(flaw.label);
        return Err(Box::new(flaw.notes.into_iter().fold(finding, Finding::note)));
    }
    // The parser has lines that it believes to be unreachable; a template that reaches one is a finding, not the end of the process.
    let compiled = std::panic::catch_unwind(|| compile(&file, &text));
    let error = match compiled {
        Ok(Ok(template)) => return Ok(Loaded { file, text, template }),
        Ok(Err(error)) => error,
        Err(_) => {
            let finding = Finding::error(SYNTAX, "this template cannot be read").at(at.place(0, 1));
            return Err(Box::new(finding.label("the parser gave up on it; simplify it")));
        }
    };
    let (line, column) = error.pos().unwrap_or((1, 1));
    let (message, label) = match error.reason() {
        TemplateErrorReason::MismatchingClosedHelper(open, close) | TemplateErrorReason::MismatchingClosedDecorator(open, close) => {
            (format!("the block `{}` is closed by `{}`", bare(open), bare(close)), "close the blocks in the order they were opened".to_owned())
        }
        TemplateErrorReason::InvalidParam(text) => {
            (format!("`{text}` is no argument"), "an argument is a field, a quoted text, a number, or a call in parentheses".to_owned())
        }
        TemplateErrorReason::NestedSubexpression => {
            ("a call in parentheses is where a name must be".to_owned(), "name the function first".to_owned())
        }
        _ => ("this is not Handlebars".to_owned(), "here a field, a function with its arguments, or a block was expected".to_owned()),
    };
    let offset = at.offset(line, column);
    let width = at.text[offset..].find("}}").map_or(1, |end| at.text[offset..offset + end + 2].lines().next().unwrap_or("").chars().count());
    let finding = Finding::error(SYNTAX, message).at(at.place(offset, width)).label(label);
    Err(Box::new(finding.note("texts are quoted: `{{t \"since\"}}`; odd names go in brackets: `{{labels.[my label]}}`")))
}

/// Compiles a template in which a partial's indentation is its first line's only: else every line of a value would be indented, which is code in Markdown.
fn compile(file: &str, text: &str) -> Result<Template, TemplateError> {
    let mut registry = Handlebars::new();
    registry.set_prevent_indent(true);
    registry.register_template_string(file, text)?;
    Ok(registry.get_template(file).cloned().unwrap_or_default())
}

fn bare(name: &str) -> &str {
    name.trim_matches('"')
}
