//! The walk over a template's syntax tree, following partials as rendering would.

use std::collections::{BTreeMap, BTreeSet};

use handlebars::template::{DecoratorTemplate, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, PathSeg, Template};
use serde_json::Value;

use crate::model::Finding;

use super::resolve::{Locals, Scope, closest, raw, resolve};
use super::shape::{ROOT, Shape};
use super::{FIELD, FUNCTION, Loaded, PARTIAL};
use crate::template::FieldUsage;
use crate::template::functions::signature;

/// How deep blocks and partials may nest together while rendering.
const MAX_DEPTH: usize = 64;
/// How deep `each` may nest: a loop that prints nothing is bounded by data to the power of this.
const MAX_EACH: usize = 4;
/// How many elements a template may expand to, partials counted wherever they are used.
const MAX_ELEMENTS: usize = 20_000;

/// One walk: from a field's template through everything it includes.
pub struct Walk<'a> {
    partials: &'a BTreeMap<String, Loaded>,
    pub(super) file: &'a Loaded,
    pub(super) scopes: Vec<Scope>,
    /// Inline partials of the templates being walked, innermost last.
    inlines: Vec<Vec<(&'a str, &'a Template, &'a Loaded)>>,
    calls: Vec<String>,
    depth: usize,
    each_depth: usize,
    elements: usize,
    /// Byte offset of the tag being looked at.
    pub(super) cursor: usize,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Partials that are used.
    pub used: BTreeSet<String>,
    /// Fields that are read.
    pub usage: FieldUsage,
}

impl<'a> Walk<'a> {
    /// Walks a field's template.
    pub fn over(file: &'a Loaded, partials: &'a BTreeMap<String, Loaded>) -> Self {
        Self::over_shape(file, partials, ROOT)
    }

    /// Walks a template that sees something else than a page.
    pub fn over_shape(file: &'a Loaded, partials: &'a BTreeMap<String, Loaded>, root: Shape) -> Self {
        let mut walk = Self {
            partials,
            file,
            scopes: vec![Scope::new(root, Locals::None)],
            inlines: Vec::new(),
            calls: Vec::new(),
            depth: 0,
            each_depth: 0,
            elements: 0,
            cursor: 0,
            findings: Vec::new(),
            used: BTreeSet::new(),
            usage: FieldUsage::default(),
        };
        walk.enter(file, &file.template);
        walk
    }

    /// Reports a finding at a word of the current tag; the same one is reported once, however often its partial is used.
    pub(super) fn report(&mut self, code: &'static str, word: &str, message: impl Into<String>, label: impl Into<String>) {
        let at = self.file.file().find(self.cursor, word);
        let width = if at == self.cursor && !self.file.text[at..].starts_with(word) { 1 } else { word.chars().count() };
        let finding = Finding::error(code, message).at(self.file.file().place(at, width)).label(label);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Walks a file's template, or an inline partial's body in its file, with the inline partials it defines.
    fn enter(&mut self, file: &'a Loaded, template: &'a Template) {
        let before = (std::mem::replace(&mut self.file, file), std::mem::take(&mut self.cursor));
        let mut inlines = Vec::new();
        collect(template, file, &mut inlines, 0);
        self.inlines.push(inlines);
        self.body(template);
        self.inlines.pop();
        (self.file, self.cursor) = before;
    }

    fn body(&mut self, template: &'a Template) {
        if self.depth >= MAX_DEPTH {
            self.report(PARTIAL, "", "the template nests too deep", format!("blocks and partials nest more than {MAX_DEPTH} levels here"));
            return;
        }
        self.depth += 1;
        for (i, element) in template.elements.iter().enumerate() {
            self.elements += 1;
            if self.elements > MAX_ELEMENTS {
                self.report(PARTIAL, "", "the template expands to too much", format!("with its partials it has more than {MAX_ELEMENTS} parts"));
                break;
            }
            if let Some(at) = template.mapping.get(i) {
                self.cursor = self.file.file().offset(at.0, at.1);
            }
            self.element(element);
        }
        self.depth -= 1;
    }

    fn element(&mut self, element: &'a TemplateElement) {
        match element {
            TemplateElement::Expression(tag) | TemplateElement::HtmlExpression(tag) => self.expression(tag),
            TemplateElement::HelperBlock(block) => self.block(block),
            TemplateElement::PartialExpression(call) | TemplateElement::PartialBlock(call) => self.partial(call),
            TemplateElement::DecoratorExpression(decorator) | TemplateElement::DecoratorBlock(decorator) => self.decorator(decorator),
            _ => {}
        }
    }

    fn expression(&mut self, tag: &'a HelperTemplate) {
        let name = match &tag.name {
            Parameter::Name(name) => name.as_str(),
            Parameter::Path(path) => raw(path),
            _ => {
                self.report(FUNCTION, "", "a call in parentheses is alone", "write it without the parentheses");
                return;
            }
        };
        if !tag.params.is_empty() || !tag.hash.is_empty() || signature(name).is_some() {
            self.call(name, &tag.params, &tag.hash, false);
            return;
        }
        let shape = match &tag.name {
            Parameter::Path(path) => self.path(path),
            _ => Path::parse(name).ok().map_or(Shape::Any, |path| self.path(&path)),
        };
        if matches!(shape, Shape::Object(_) | Shape::List(_) | Shape::Map) {
            let kind = shape.in_words();
            self.report(
                FIELD,
                name,
                format!("`{name}` is {kind} and cannot be printed"),
                format!("use `{{{{#each {name}}}}}` or `{{{{join {name}}}}}`"),
            );
        }
    }

    /// The shape of a path; an unknown one is reported.
    pub(super) fn path(&mut self, path: &Path) -> Shape {
        if let Path::Relative((segments, _)) = path {
            segments.iter().for_each(|segment| {
                if let PathSeg::Named(name) = segment {
                    self.usage.reads(name)
                }
            });
        }
        resolve(path, &self.scopes).unwrap_or_else(|unknown| {
            self.report(FIELD, raw(path), unknown.message, unknown.label);
            Shape::Any
        })
    }

    fn block(&mut self, block: &'a HelperTemplate) {
        let name = block.name.as_name().unwrap_or_default();
        let tag = self.cursor;
        let arguments = self.call(name, &block.params, &block.hash, true);
        let over = arguments.first().copied().unwrap_or(Shape::Any);
        if name == "each" && !matches!(over, Shape::List(_) | Shape::Map) {
            self.usage.hands_on();
        }
        let inner = match (name, over) {
            ("each", Shape::List(inner)) => Some(Scope::new(*inner, Locals::List)),
            ("each", Shape::Map) => Some(Scope::new(Shape::Text, Locals::Map)),
            ("each", Shape::Object(_) | Shape::Any) => Some(Scope::new(Shape::Any, Locals::Map)),
            ("each", scalar) => {
                self.report(FIELD, "each", format!("`each` cannot walk over {}", scalar.in_words()), "it takes a list or a map");
                Some(Scope::new(Shape::Any, Locals::Map))
            }
            ("with", shape) => Some(Scope::new(shape, self.scopes.last().map_or(Locals::None, |scope| scope.locals))),
            _ => None,
        };
        let loops = usize::from(name == "each");
        self.each_depth += loops;
        if self.each_depth > MAX_EACH {
            self.report(PARTIAL, "each", "`each` nests too deep", format!("at most {MAX_EACH} levels are allowed, partials included"));
        } else if let Some(template) = &block.template {
            let entered = inner.is_some();
            if let Some(mut scope) = inner {
                scope.named = block_names(block, scope.shape, over);
                self.scopes.push(scope);
            }
            if signature(name).is_some() {
                self.body(template);
            }
            if entered {
                self.scopes.pop();
            }
        }
        self.each_depth -= loops;
        if let Some(inverse) = &block.inverse
            && signature(name).is_some()
        {
            // The tags of an else chain have no place of their own: search on from the last one.
            self.cursor = self.cursor.max(tag);
            self.body(inverse);
        }
    }

    fn decorator(&mut self, decorator: &'a DecoratorTemplate) {
        let name = decorator.name.as_name().unwrap_or_default();
        if name != "inline" {
            self.report(FUNCTION, name, format!("unknown decorator `{name}`"), "only `{{#*inline \"name\"}}...{{/inline}}` exists");
        } else if inline_name(decorator).is_none() {
            self.report(PARTIAL, name, "the name of an inline partial must be a quoted text", "write `{{#*inline \"name\"}}`");
        }
    }

    fn partial(&mut self, call: &'a DecoratorTemplate) {
        let tag = self.cursor;
        let name = match &call.name {
            Parameter::Name(name) => name.as_str(),
            Parameter::Path(path) => raw(path),
            Parameter::Literal(Value::String(name)) => name.as_str(),
            _ => {
                self.report(
                    PARTIAL,
                    "",
                    "the name of a partial must be written out",
                    "a name that is only known while rendering could call itself forever",
                );
                return;
            }
        };
        let shape = call.params.first().map(|param| self.parameter(param));
        let named: Vec<(String, Shape)> = call.hash.iter().map(|(name, param)| (name.clone(), self.parameter(param))).collect();
        if named.iter().any(|(_, shape)| !matches!(shape, Shape::Text | Shape::Number | Shape::Flag)) {
            self.usage.hands_on();
        }
        if name == "@partial-block" {
            if self.calls.is_empty() && call.template.is_none() {
                self.report(PARTIAL, name, "there is no partial block here", "`@partial-block` is known inside a partial that is called as a block");
            }
            return;
        }
        let inline = self.inlines.iter().rev().flatten().filter(|(known, _, _)| *known == name).map(|(_, body, file)| (*body, *file));
        let mut bodies: Vec<(&'a Template, &'a Loaded)> = inline.collect();
        let partials = self.partials;
        if let Some((known, file)) = partials.get_key_value(name) {
            self.used.insert(known.clone());
            bodies.push((&file.template, file));
        }
        if bodies.is_empty() && call.template.is_none() {
            let known = self.inlines.iter().flatten().map(|(name, _, _)| *name).chain(partials.keys().map(String::as_str));
            let meant = closest(name, known);
            let label = meant
                .map_or_else(|| "a partial is a file whose name begins with `_`: `_name.hbs`".to_owned(), |meant| format!("did you mean `{meant}`?"));
            self.report(PARTIAL, name, format!("unknown partial `{name}`"), label);
            return;
        }
        if self.calls.iter().any(|known| known == name) {
            let way = self.calls.iter().skip_while(|known| *known != name).chain([&name.to_owned()]).cloned().collect::<Vec<_>>().join(" > ");
            self.report(PARTIAL, name, format!("the partial `{name}` calls itself"), format!("it would never end: {way}"));
            return;
        }
        let outer = self.scopes.last().cloned().unwrap_or_else(|| Scope::new(ROOT, Locals::None));
        let mut scope = Scope::new(shape.unwrap_or(outer.shape), outer.locals);
        if !named.is_empty() && !matches!(scope.shape, Shape::Object(_) | Shape::Map) {
            scope.shape = Shape::Any;
        }
        scope.named = named;
        self.scopes.push(scope);
        self.calls.push(name.to_owned());
        for (body, file) in bodies {
            self.enter(file, body);
        }
        self.calls.pop();
        if let Some(block) = &call.template {
            self.cursor = tag;
            self.body(block);
        }
        self.scopes.pop();
    }
}

/// `as |value key|` of a block.
fn block_names(block: &HelperTemplate, value: Shape, over: Shape) -> Vec<(String, Shape)> {
    use handlebars::template::BlockParam;
    let key = if matches!(over, Shape::List(_)) { Shape::Number } else { Shape::Text };
    let name = |param: &Parameter| param.as_name().unwrap_or_default().to_owned();
    match &block.block_param {
        Some(BlockParam::Single(first)) => vec![(name(first), value)],
        Some(BlockParam::Pair((first, second))) => vec![(name(first), value), (name(second), key)],
        _ => Vec::new(),
    }
}

fn inline_name(decorator: &DecoratorTemplate) -> Option<&str> {
    match decorator.params.first() {
        Some(Parameter::Literal(Value::String(name))) => Some(name),
        _ => None,
    }
}

/// Inline partials anywhere in a template.
fn collect<'a>(template: &'a Template, file: &'a Loaded, out: &mut Vec<(&'a str, &'a Template, &'a Loaded)>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    for element in &template.elements {
        match element {
            TemplateElement::DecoratorBlock(decorator) => {
                if let (Some(name), Some(body)) = (inline_name(decorator), &decorator.template) {
                    out.push((name, body, file));
                    collect(body, file, out, depth + 1);
                }
            }
            TemplateElement::HelperBlock(block) => {
                for inner in [&block.template, &block.inverse].into_iter().flatten() {
                    collect(inner, file, out, depth + 1);
                }
            }
            TemplateElement::PartialBlock(call) => {
                if let Some(inner) = &call.template {
                    collect(inner, file, out, depth + 1);
                }
            }
            _ => {}
        }
    }
}
