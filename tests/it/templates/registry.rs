//! Overrides, sets, and what is found when they are wrong.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::tz::TimeZone;

use watchfire::model::{Finding, Language, Level, SeverityScale};
use watchfire::template::{Part, RenderError, Scene, Source, TemplateRegistry};

use super::cases::{cases, fields};

fn source(path: &str, text: &str) -> Source {
    Source::from_path(Path::new(path), format!("templates/{path}"), text.to_owned()).unwrap()
}

fn compile(files: &[(&str, &str)]) -> (TemplateRegistry, Vec<Finding>) {
    let platforms = fields(|name| ["log", "slack", "dingtalk", "wecom"].contains(&name));
    TemplateRegistry::compile(&platforms, files.iter().map(|(path, text)| source(path, text)).collect())
}

/// Hands a case's input on.
fn with<T>(name: &str, take: impl FnOnce(&Scene<'_>) -> T) -> T {
    let (zone, scale) = (TimeZone::UTC, SeverityScale::default());
    let all = cases();
    let case = all.iter().find(|case| case.name == name).unwrap();
    let entries = case.entries();
    let part = Part { range: 0..entries.len(), page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: false };
    take(&case.input(&entries, &part, Language::En, &zone, &scale))
}

fn render(registry: &TemplateRegistry, platform: &str, set: &str, name: &str) -> Result<BTreeMap<String, String>, RenderError> {
    with(name, |input| registry.render(platform, set, input))
}

fn rendered(registry: &TemplateRegistry, platform: &str, set: &str, field: &str) -> String {
    render(registry, platform, set, "firing").unwrap().remove(field).unwrap()
}

#[test]
fn an_override_replaces_one_file_and_a_set_borrows_what_it_lacks() {
    let (registry, findings) = compile(&[("slack/default.text.hbs", "mine {{title}}"), ("slack/critical.title.hbs", "!!! {{title}}")]);
    assert_eq!(findings, []);
    assert_eq!(registry.sets("slack").collect::<Vec<_>>(), ["critical", "default"]);
    assert!(registry.has_set("slack", "critical") && !registry.has_set("dingtalk", "critical"));
    assert_eq!(rendered(&registry, "slack", "default", "text"), "mine HighCPU · db-1");
    assert_eq!(rendered(&registry, "slack", "critical", "text"), "mine HighCPU · db-1");
    assert_eq!(rendered(&registry, "slack", "critical", "title"), "!!! HighCPU · db-1");
    assert!(rendered(&registry, "slack", "default", "title").starts_with("*🔴 Critical"));
    assert_eq!(rendered(&registry, "slack", "removed", "text"), "mine HighCPU · db-1");
    assert!(with("firing", |input| registry.render_built_in("slack", input)).unwrap()["title"].contains("CPU is above 90%"));
    assert!(render(&registry, "pager", "default", "firing").unwrap_err().reason.contains("no templates"));
}

#[test]
fn a_template_is_tried_beside_the_others_and_changes_none() {
    let (registry, _) = compile(&[
        ("_shared/_who.hbs", "of {{name}}"),
        ("slack/critical.text.hbs", "critical {{#each alerts}}{{> _who}}{{/each}}"),
        ("slack/default.text.hbs", "mine {{title}}"),
        ("wecom/default.content.hbs", "w"),
    ]);
    let slack = fields(|name| name == "slack")[0];
    let (tried, findings) = registry.with(slack, source("slack/critical.text.hbs", "tried {{#each alerts}}{{> _who}}{{/each}}"));
    assert_eq!(findings, []);
    assert_eq!(rendered(&tried, "slack", "critical", "text"), "tried of HighCPU");
    assert_eq!(rendered(&tried, "slack", "default", "text"), "mine HighCPU · db-1");
    assert_eq!(rendered(&registry, "slack", "critical", "text"), "critical of HighCPU");
    assert_eq!(
        (registry.text("slack", "critical", "text"), registry.text("slack", "gone", "text")),
        (Some("critical {{#each alerts}}{{> _who}}{{/each}}"), None)
    );
    // A set that does not exist yet, and a mistake: only the tried file is spoken of.
    let (tried, findings) = registry.with(slack, source("slack/new.text.hbs", "{{sumary}}"));
    assert!(findings.len() == 1 && format!("{findings:?}").contains("sumary"), "{findings:?}");
    assert_eq!(rendered(&tried, "slack", "new", "text"), "mine HighCPU · db-1");
}

#[test]
fn partials_are_per_platform_or_shared() {
    let (registry, findings) = compile(&[
        ("_shared/_who.hbs", "shared {{name}}"),
        ("slack/_who.hbs", "slack {{name}}"),
        ("slack/default.text.hbs", "{{#each alerts}}{{> _who}}{{/each}}"),
        ("wecom/default.text.hbs", "{{#each alerts}}{{> _who}} {{@root.receiver}}{{/each}}"),
    ]);
    assert_eq!(findings, []);
    assert_eq!(rendered(&registry, "slack", "default", "text"), "slack HighCPU");
    assert_eq!(rendered(&registry, "wecom", "default", "text"), "shared HighCPU ops");
}

#[test]
fn a_label_that_is_not_there_reads_as_empty() {
    let (registry, findings) = compile(&[(
        "wecom/default.text.hbs",
        "{{#each alerts}}[{{labels.nope}}|{{lookup labels \"x y\"}}|{{default labels.nope \"none\"}}]{{/each}}",
    )]);
    assert_eq!(findings, []);
    assert_eq!(rendered(&registry, "wecom", "default", "text"), "[||none]");
}

#[test]
fn what_is_given_whole_has_all_its_fields() {
    let (registry, findings) = compile(&[
        ("slack/_one.hbs", "{{lookup one \"name\"}} {{#with one}}{{json this}}{{/with}}"),
        ("slack/default.text.hbs", "{{receiver}}{{> _one one=alerts.0}}"),
        ("wecom/default.text.hbs", "{{receiver}}{{#if alerts.0}} has alerts{{/if}}{{#if alerts.7}} many{{/if}}"),
    ]);
    assert_eq!(findings, []);
    let text = rendered(&registry, "slack", "default", "text");
    assert!(text.contains("HighCPU") && text.contains("runbook_url"), "{text}");
    // None of an alert's fields is read, and it is there anyway.
    assert_eq!(rendered(&registry, "wecom", "default", "text"), "ops has alerts");
}

#[test]
fn unused_files_are_told() {
    let (_, findings) = compile(&[
        ("dingtlak/default.text.hbs", "x"),
        ("slack/default.txet.hbs", "x"),
        ("slack/default.hbs", "x"),
        ("slack/_idle.hbs", "x"),
        ("_shared/default.text.hbs", "x"),
    ]);
    let told: Vec<_> = findings.iter().map(|finding| (finding.level, finding.code, finding.label.as_str())).collect();
    assert!(told.iter().all(|(level, code, _)| *level == Level::Warning && *code == "W045"), "{told:?}");
    let labels: Vec<_> = told.iter().map(|(_, _, label)| *label).collect();
    assert_eq!(labels[..2], ["did you mean `dingtalk`?", "did you mean `text`?"]);
    assert_eq!(labels.len(), 5, "{labels:?}");
}

#[test]
fn a_broken_override_leaves_the_built_in_one_in_place() {
    let (registry, findings) = compile(&[("wecom/default.text.hbs", "{{#if firing}}"), ("slack/default.text.hbs", "{{tittle}}")]);
    let codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes.len(), 2);
    assert!(codes.contains(&"E040") && codes.contains(&"E041"), "{codes:?}");
    assert!(rendered(&registry, "wecom", "default", "text").contains("HighCPU"));
    assert!(rendered(&registry, "slack", "default", "text").contains("The load has been high"));
}

#[test]
fn a_field_that_the_platform_needs_may_not_come_out_empty() {
    let (_, findings) = compile(&[("wecom/default.text.hbs", "{{#if resolved}}over{{/if}}")]);
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].code, findings[0].message.as_str()), ("E044", "the template fails on the sample \"firing\""));
    assert!(findings[0].label.contains("comes out empty"));
    assert_eq!(findings[0].place.as_ref().unwrap().file, "templates/wecom/default.text.hbs");
}

#[test]
fn a_failure_while_rendering_tells_its_place() {
    let (registry, findings) = compile(&[("wecom/default.text.hbs", "x\n {{#each alerts}}{{truncate name (default labels.seconds 1)}}{{/each}}")]);
    assert_eq!(findings, []);
    let scale = SeverityScale::default();
    let mut all = cases();
    let case = all.iter_mut().find(|case| case.name == "firing").unwrap();
    case.event.alerts[0].labels.insert("seconds".into(), "soon".into());
    let entries = case.entries();
    let part = Part { range: 0..1, page: 1, pages: 1, more: 0, max_value: usize::MAX, plain: false };
    let zone = TimeZone::UTC;
    let input = case.input(&entries, &part, Language::En, &zone, &scale);
    let error = registry.render("wecom", "default", &input).unwrap_err();
    assert_eq!((error.file.as_str(), error.line, error.column), ("templates/wecom/default.text.hbs", 2, 18));
    assert!(error.reason.contains("truncate"), "{error}");
    assert!(registry.render_built_in("wecom", &input).is_ok());
}

#[test]
fn output_is_capped() {
    let row = "x".repeat(60_000);
    let text = format!("{{{{#each alerts}}}}{{{{#each extra_labels}}}}{row}{{{{/each}}}}{{{{/each}}}}!");
    let (registry, findings) = compile(&[("log/default.text.hbs", &text)]);
    assert_eq!(findings, []);
    let error = render(&registry, "log", "default", "hundred").unwrap_err();
    assert!(error.reason.contains("longer than"), "{error}");
}

#[test]
fn values_are_never_templates() {
    let (registry, _) = compile(&[("log/default.text.hbs", "{{#each alerts}}{{summary}}{{/each}}")]);
    let text = render(&registry, "log", "default", "hostile").unwrap().remove("text").unwrap();
    assert!(text.contains("{{headline}}") && !text.contains('\u{1b}') && !text.contains('\u{202E}'));
}

/// Only what templates read is built for them: whatever way they read it must be seen.
#[test]
fn what_is_read_in_any_way_is_there() {
    let ways = [
        ("{{#each alerts}}{{name}} {{labels.instance}}{{/each}}", "HighCPU db-1:9100"),
        ("{{#each alerts as |one|}}{{one.severity}}{{/each}}", "critical"),
        ("{{#with alerts.0}}{{status}}{{/with}}", "firing"),
        ("{{alerts.0.where}}", "db-1:9100"),
        ("{{alerts.0.place}}", "db-1"),
        ("{{#each alerts}}{{lookup this \"name\"}}{{/each}}", "HighCPU"),
        ("{{#each alerts}}{{#each this}}{{#if (eq @key \"name\")}}{{this}}{{/if}}{{/each}}{{/each}}", "HighCPU"),
        ("{{#each alerts}}{{> _one who=name}}{{/each}}", "HighCPU of ops"),
        ("{{#each alerts}}{{> _whole}}{{/each}}", "1 HighCPU"),
        ("{{#with (default alerts.0 more)}}{{name}}{{/with}}", "HighCPU"),
        ("{{{json receiver}}}", "\"ops\""),
        ("{{t \"since\"}}", "Since"),
    ];
    for (text, expected) in ways {
        let files = [
            ("wecom/default.text.hbs", &*format!("|{text}|")),
            ("wecom/_one.hbs", "{{who}} of {{@root.receiver}}"),
            ("wecom/_whole.hbs", "{{number}} {{name}}"),
        ];
        let (registry, findings) = compile(&files);
        assert!(findings.iter().all(|finding| finding.level == Level::Warning), "{text}: {findings:?}");
        assert_eq!(rendered(&registry, "wecom", "default", "text"), format!("|{expected}|"), "{text}");
    }
    let (registry, findings) = compile(&[("log/default.text.hbs", "{{{json alerts}}}")]);
    assert_eq!(findings, []);
    let all: Vec<BTreeMap<String, serde_json::Value>> = serde_json::from_str(&rendered(&registry, "log", "default", "text")).unwrap();
    let known = watchfire::template::reference().into_iter().filter_map(|(path, ..)| path.strip_prefix("alerts[].").map(str::to_owned));
    let known: Vec<String> = known.filter(|name| !name.contains('.')).collect();
    assert!(known.len() > 30 && known.iter().all(|name| all[0].contains_key(name)), "{:?}", all[0].keys());
}
