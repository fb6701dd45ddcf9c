use super::*;
use crate::model::Span;
use std::collections::BTreeMap;

fn check_with(text: &str, partials: &[(&str, &str)]) -> Vec<Finding> {
    let partials: BTreeMap<String, Loaded> =
        partials.iter().map(|(name, text)| ((*name).to_owned(), parse(format!("{name}.hbs"), (*text).to_owned()).unwrap())).collect();
    match parse("t.hbs".into(), text.to_owned()) {
        Ok(loaded) => Walk::over(&loaded, &partials).findings,
        Err(finding) => vec![*finding],
    }
}

/// Code, line, column, width, message and label of the only finding.
fn one(text: &str) -> (&'static str, usize, usize, usize, String, String) {
    one_with(text, &[])
}

fn one_with(text: &str, partials: &[(&str, &str)]) -> (&'static str, usize, usize, usize, String, String) {
    let findings = check_with(text, partials);
    assert_eq!(findings.len(), 1, "{text}: {findings:?}");
    let finding = findings.into_iter().next().unwrap();
    let Span { line, column, width } = finding.place.unwrap().span.unwrap();
    (finding.code, line, column, width, finding.message, finding.label)
}

#[test]
fn sound_templates_have_no_findings() {
    for text in [
        "{{headline}} {{alerts.0.name}} {{common_labels.anything}} {{group_labels.[odd name]}}",
        "{{#each alerts}}{{name}} {{@index}} {{../receiver}} {{@root.page}} {{#each labels}}{{@key}}={{this}} {{../name}}{{/each}}{{/each}}",
        "{{#each alerts as |alert i|}}{{alert.name}} {{i}} {{#with alert.labels}}{{anything}}{{/with}}{{else}}none{{/each}}",
        "{{#if (and firing (gt total 3))}}{{t \"more\" n=more}}{{else if resolved}}{{t \"resolved\"}}{{else}}x{{/if}}",
        "{{#each alerts}}{{time starts_at \"%H:%M\" zone=\"Europe/Berlin\"}} {{ago starts_at}} {{link runbook_url (t \"runbook\")}}{{/each}}",
        "{{#if (match title \"^Node\")}}x{{/if}} {{{json common_labels}}} {{join notes}} {{len alerts}}",
        "{{#*inline \"row\"}}{{name}}{{/inline}}{{#each alerts}}{{> row}}{{/each}}",
        "{{#each (default alerts briefs)}}{{whatever}}{{/each}}",
        "{{this.title}} {{./title}}",
    ] {
        assert_eq!(check_with(text, &[]), [], "{text}");
    }
}

#[test]
fn unknown_fields_are_found_where_they_stand() {
    let (code, line, column, width, message, label) = one("ok\n告警 {{#each alers}}{{name}}{{/each}}");
    assert_eq!((code, line, column, width), ("E041", 2, 12, 5));
    assert_eq!((message.as_str(), label.as_str()), ("unknown field `alers`", "did you mean `alerts`?"));
    let (code, line, column, ..) = one("{{#if firing}}\n  {{else if resolvd}}x\n{{/if}}");
    assert_eq!((code, line, column), ("E041", 2, 13));
    assert_eq!(one("{{commonLabels.x}}").5, "did you mean `common_labels`?");
    assert_eq!(one("{{#each alerts}}{{startsAt}}{{/each}}").5, "did you mean `starts_at`?");
    assert_eq!(one("{{#each alerts}}{{receiver}}{{/each}}").5, "it is at the top of the page: write `@root.receiver`");
    assert_eq!(one("{{runbook_url}}").5, "it belongs to one alert: use it inside `{{#each alerts}}`");
    assert!(one("{{zzz}}").5.starts_with("known here: headline, preview"));
    assert!(one("{{alerts.name}}").5.contains("is a list"));
    assert!(one("{{title.x}}").5.contains("`title` is a text"));
    assert!(one("{{labels}}").5.contains("inside `{{#each alerts}}`"));
    assert!(one("{{common_labels}}").4.contains("is a map and cannot be printed"));
    assert!(one("{{../title}}").4.contains("leads out of the template"));
    assert!(one("{{@index}}").4.contains("means nothing here"));
    assert!(one("{{#each alerts}}{{@key}}{{/each}}").4.contains("means nothing here"));
    assert!(one("{{#each title}}x{{/each}}").4.contains("cannot walk over a text"));
    assert!(one("{{#if (len alerts.length)}}x{{/if}}").5.contains("write `(len ...)`"));
}

#[test]
fn unknown_and_misused_functions_are_found() {
    let (code, line, column, width, message, label) = one("x {{uper title}}");
    assert_eq!((code, line, column, width), ("E042", 1, 5, 4));
    assert_eq!((message.as_str(), label.as_str()), ("unknown function `uper`", "did you mean `upper`?"));
    for (text, part) in [
        ("{{#alerts}}x{{/alerts}}", "unknown function `alerts`"),
        ("{{title 3}}", "unknown function `title`"),
        ("{{upper}}", "takes 1 arguments, not 0"),
        ("{{replace title \"a\"}}", "takes 3 arguments, not 2"),
        ("{{#upper title}}x{{/upper}}", "does not open a block"),
        ("{{#each alerts}}{{time starts_at zon=\"UTC\"}}{{/each}}", "has no argument `zon`"),
        ("{{t \"sinse\"}}", "unknown word `sinse`"),
        ("{{#if (match title \"(\")}}x{{/if}}", "not a regular expression"),
        ("{{time now \"%!\"}}", "is not a time format"),
        ("{{time now \"%H\" zone=\"Mars\"}}", "is not an IANA time zone"),
        ("{{#if (nope title)}}x{{/if}}", "unknown function `nope`"),
        ("{{log title}}", "unknown function `log`"),
        ("{{* nope}}", "unknown decorator `nope`"),
    ] {
        let found = one(text);
        assert_eq!(found.0, "E042", "{text}");
        assert!(found.4.contains(part), "{text}: {}", found.4);
    }
    assert!(one("{{t \"sinse\"}}").5.contains("`since`"));
    let regex = one("{{#if (match title \"(\")}}x{{/if}}");
    assert_eq!((regex.1, regex.2), (1, 21), "the mark points into the quoted text");
}

#[test]
fn partials_that_would_never_end_are_refused() {
    let cycle = one_with("{{> _a}}", &[("_a", "{{> _b}}"), ("_b", "\n {{> _a}}")]);
    assert_eq!((cycle.0, cycle.1, cycle.2, cycle.4.as_str()), ("E043", 2, 6, "the partial `_a` calls itself"));
    assert_eq!(cycle.5, "it would never end: _a > _b > _a");
    assert!(one("{{#*inline \"x\"}}{{> x}}{{/inline}}{{> x}}").4.contains("calls itself"));
    assert!(one("{{#each alerts}}{{> x}}{{#*inline \"x\"}}{{> x}}{{/inline}}{{/each}}").4.contains("calls itself"));
    assert!(one_with("{{#*inline \"y\"}}{{> _a}}{{/inline}}{{> y}}", &[("_a", "{{> y}}")]).4.contains("calls itself"));
    assert!(one_with("{{#> _a}}{{> _a}}{{/_a}}", &[("_a", "{{> @partial-block}}{{> _b}}"), ("_b", "{{> _a}}")]).4.contains("calls itself"));
    assert!(one("{{> (lookup common_labels \"x\")}}").4.contains("must be written out"));
    assert!(one("{{#*inline title}}x{{/inline}}").4.contains("must be a quoted text"));
    assert_eq!(one_with("{{> _alrt}}", &[("_alert", "x")]).5, "did you mean `_alert`?");
    assert!(one("{{> @partial-block}}").4.contains("no partial block"));
}

#[test]
fn partials_are_checked_in_the_scope_they_are_used_in() {
    assert_eq!(check_with("{{#each alerts}}{{> _a}}{{/each}}", &[("_a", "{{name}} {{labels.x}}")]), []);
    let found = one_with("{{> _a}}", &[("_a", "\n{{runbook_url}}")]);
    assert_eq!((found.0, found.1, found.2), ("E041", 2, 3));
    assert_eq!(check_with("{{> _a who=title}}", &[("_a", "{{who}}")]), []);
    assert_eq!(check_with("{{> _a alerts.0}}", &[("_a", "{{name}}")]), []);
    // The same mistake in a partial that is used twice is reported once.
    assert_eq!(check_with("{{> _a}}{{> _a}}", &[("_a", "{{nope_nope}}")]).len(), 1);
}

#[test]
fn what_could_run_for_ever_or_overflow_is_refused() {
    let nested = format!("{}x{}", "{{#each alerts}}{{#with @root}}".repeat(5), "{{/with}}{{/each}}".repeat(5));
    assert!(check_with(&nested, &[]).iter().any(|finding| finding.message.contains("`each` nests too deep") || finding.code == "E041"));
    let each = format!("{}x{}", "{{#each @root.alerts}}".repeat(5), "{{/each}}".repeat(5));
    assert!(one(&each).4.contains("`each` nests too deep"));
    // 2^30 calls without a cycle.
    let bomb: Vec<(String, String)> = (0..30)
        .map(|i| (format!("_p{i}"), format!("{{{{> _p{}}}}}{{{{> _p{}}}}}", i + 1, i + 1)))
        .chain([("_p30".to_owned(), "x".to_owned())])
        .collect();
    let bomb: Vec<(&str, &str)> = bomb.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert!(check_with("{{> _p0}}", &bomb).iter().any(|finding| finding.message.contains("expands to too much")));
    // A chain of partials, each with blocks: no single file is deep.
    let deep = |i: usize| format!("{}{{{{> _p{}}}}}{}", "{{#if firing}}".repeat(20), i + 1, "{{/if}}".repeat(20));
    let chain: Vec<(String, String)> = (0..5).map(|i| (format!("_p{i}"), deep(i))).chain([("_p5".to_owned(), "x".to_owned())]).collect();
    let chain: Vec<(&str, &str)> = chain.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert!(check_with("{{> _p0}}", &chain).iter().any(|finding| finding.message.contains("nests too deep")));
}

#[test]
fn syntax_that_only_handlebars_understands_is_told_in_words() {
    for text in [
        "{{title title=}}",
        "{{#if}}x{{/if}}",
        "{{a b=c=d}}",
        "{{/}}",
        "{{#}}{{/}}",
        "{{\u{0}}}",
        "{{{{x}}}}",
        "{{#if (a}}x{{/if}}",
        "{{..}}",
        "{{~}}",
    ] {
        let findings = check_with(text, &[]);
        assert!(!findings.is_empty(), "{text}");
        assert!(findings[0].place.as_ref().is_some_and(|place| place.span.is_some()), "{text}");
        assert!(!findings[0].message.contains("expected"), "{text}: {}", findings[0].message);
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_text_makes_the_check_panic(parts in proptest::collection::vec(prop_oneof![
            Just("{{"), Just("}}"), Just("{{{"), Just("}}}"), Just("{{#if "), Just("{{/if}}"), Just("{{else}}"), Just("{{else if "), Just("{{#each alerts}}"),
            Just("{{/each}}"), Just("{{> "), Just("{{#*inline \"x\"}}"), Just("{{/inline}}"), Just("("), Just(")"), Just("["), Just("]"), Just("\""), Just("'"),
            Just("title"), Just(" "), Just("\n"), Just("~"), Just("!--"), Just("--"), Just("\\"), Just("@index"), Just("../"), Just("=" ), Just("|a|"), Just("as "),
            Just("告"), Just("{{{{raw}}}}"), Just("{{{{/raw}}}}"), Just("this"), Just("."), Just("&"), Just("^"), Just("1"),
        ], 0..14)) {
            let text = parts.concat();
            check_with(&text, &[]);
        }

        #[test]
        fn any_name_that_is_not_in_the_schema_is_found(name in "[a-z]{3,9}_x") {
            let text = format!("{{{{{name}}}}}");
            let findings = check_with(&text, &[]);
            prop_assert_eq!(findings[0].code, "E041");
        }
    }
}
