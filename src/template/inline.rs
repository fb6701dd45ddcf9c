//! Built-in partials become part of the templates that include them.
//!
//! Handlebars copies everything that a partial can see for each call of one, and every value that is read inside it again. For three alerts that was four fifths of
//! what rendering a message allocated. A partial that a user wrote is called as it always was, so that an error names its file.

use std::collections::BTreeMap;

use handlebars::Template;
use handlebars::template::{DecoratorTemplate, Parameter, TemplateElement};

use super::check::Loaded;

/// The template with the calls of built-in partials replaced by what they hold. Partials come from a checked set, so that none includes itself.
pub(super) fn inline(template: &Template, partials: &BTreeMap<String, Loaded>) -> Template {
    // An inline partial may replace a built-in one in everything below it.
    if decorated(template) { template.clone() } else { expand(template, partials) }
}

fn expand(template: &Template, partials: &BTreeMap<String, Loaded>) -> Template {
    let mut out = Template::new();
    out.name = template.name.clone();
    for (place, element) in template.elements.iter().enumerate() {
        let included = match element {
            TemplateElement::PartialExpression(call) => included(call, partials),
            _ => None,
        };
        if let Some(partial) = included {
            let partial = expand(partial, partials);
            out.mapping.extend(partial.elements.iter().map(|_| template.mapping[place].clone()));
            out.elements.extend(partial.elements);
        } else {
            out.mapping.extend(template.mapping.get(place).cloned());
            let mut element = element.clone();
            if let TemplateElement::HelperBlock(block) = &mut element {
                for body in block.template.iter_mut().chain(&mut block.inverse) {
                    *body = expand(body, partials);
                }
            }
            out.elements.push(element);
        }
    }
    out
}

/// The built-in partial that a call includes as it is: without arguments, a body or an indentation.
fn included<'a>(call: &DecoratorTemplate, partials: &'a BTreeMap<String, Loaded>) -> Option<&'a Template> {
    let Parameter::Name(name) = &call.name else { return None };
    let plain = call.params.is_empty() && call.hash.is_empty() && call.template.is_none() && call.indent.is_none();
    partials.get(name).filter(|partial| plain && partial.is_built_in()).map(|partial| &partial.template)
}

fn decorated(template: &Template) -> bool {
    template.elements.iter().any(|element| match element {
        TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => true,
        TemplateElement::HelperBlock(block) => block.template.iter().chain(&block.inverse).any(decorated),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::check::parse;

    fn loaded(file: &str, text: &str) -> Loaded {
        parse(file.to_owned(), text.to_owned()).expect("a template")
    }

    fn calls(template: &Template) -> usize {
        let of = |element: &TemplateElement| match element {
            TemplateElement::PartialExpression(_) => 1,
            TemplateElement::HelperBlock(block) => block.template.iter().chain(&block.inverse).map(calls).sum(),
            _ => 0,
        };
        template.elements.iter().map(of).sum()
    }

    #[test]
    fn only_what_nobody_can_have_changed_becomes_part_of_a_template() {
        let partials = BTreeMap::from([
            ("_outer".to_owned(), loaded("<built-in> _outer.hbs", "a {{> _inner}} {{> _own}} b\n")),
            ("_inner".to_owned(), loaded("<built-in> _inner.hbs", "{{#each alerts}}{{name}}{{else}}{{> _own}}{{/each}}")),
            ("_own".to_owned(), loaded("templates/_shared/_own.hbs", "{{name}}")),
        ]);
        let left = |text: &str| calls(&inline(&loaded("x", text).template, &partials));
        assert_eq!(left("{{#if a}}{{> _outer}}{{else}}{{> _inner}}{{/if}}"), 3, "the user's own partial is called wherever it was");
        assert_eq!(left("{{> _inner}}"), 1);
        assert_eq!(left("{{> _inner n=1}}{{> _inner alerts}}"), 2, "arguments change what a partial sees");
        assert_eq!(left("x\n  {{> _inner}}\n"), 1, "an indentation is its first line's");
        assert_eq!(left("{{#*inline \"_own\"}}x{{/inline}}{{> _inner}}"), 1, "an inline partial may replace what a built-in one includes");
    }

    /// Every line of a value would be code in Markdown, where a partial is written with four blanks before it.
    #[test]
    fn a_partials_indentation_is_not_that_of_its_values() {
        let partials = BTreeMap::from([
            ("_own".to_owned(), loaded("templates/_shared/_own.hbs", "{{name}}:\n{{text}}\n{{#if more}}\n{{> _more}}\n{{/if}}\n")),
            ("_more".to_owned(), loaded("templates/_shared/_more.hbs", "{{text}}\n")),
        ]);
        let mut registry = handlebars::Handlebars::new();
        for (name, partial) in &partials {
            registry.register_template(name, partial.template.clone());
        }
        let template = loaded("x", "{{#each alerts}}\n    {{> _own}}\n{{/each}}\n- {{> _more}}\nend\n").template;
        registry.register_template("x", inline(&template, &partials));
        let view = serde_json::json!({ "text": "a\nb", "alerts": [{ "name": "disk", "text": "one\ntwo", "more": true }] });
        assert_eq!(registry.render("x", &view).expect("a text"), "    disk:\none\ntwo\none\ntwo\n- a\nb\n\nend\n");
    }

    #[test]
    fn it_renders_the_same() {
        let partials = BTreeMap::from([
            ("_line".to_owned(), loaded("<built-in> _line.hbs", "{{name}} {{@index}} {{@root.name}}\n")),
            ("_all".to_owned(), loaded("<built-in> _all.hbs", "{{#each alerts}}\n{{> _line}}\n{{/each}}\nend\n")),
        ]);
        let mut registry = handlebars::Handlebars::new();
        for (name, partial) in &partials {
            registry.register_template(name, partial.template.clone());
        }
        let template = loaded("x", "top\n{{> _all}}\n{{#each alerts}}\n{{#if name}}\n{{> _line}}\n{{/if}}\n{{/each}}\n").template;
        registry.register_template("called", template.clone());
        registry.register_template("inlined", inline(&template, &partials));
        let view = serde_json::json!({ "name": "root", "alerts": [{ "name": "a" }, { "name": "b" }, {}] });
        let rendered = registry.render("called", &view).expect("a text");
        assert_eq!(rendered, "top\na 0 root\nb 1 root\n 2 root\nend\na 0 root\nb 1 root\n");
        assert_eq!(registry.render("inlined", &view).expect("a text"), rendered);
    }
}
