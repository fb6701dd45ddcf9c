use super::*;
use crate::model::Language;
use crate::template::samples;

fn run(dialect: Escape, text: &str) -> Result<String, String> {
    let mut registry = Handlebars::new();
    registry.register_escape_fn(move |value: &str| crate::template::escape::escape(dialect, value));
    register(&mut registry, dialect);
    registry.register_template_string("t", text).map_err(|error| error.to_string())?;
    let (_, view) = samples(Language::En).swap_remove(2);
    registry.render_with_context("t", &view.context).map_err(|error| error.reason().to_string())
}

fn plain(text: &str) -> String {
    run(Escape::None, text).unwrap()
}

#[test]
fn every_function_of_the_table_is_registered_and_no_other() {
    let mut registry = Handlebars::new();
    register(&mut registry, Escape::None);
    for signature in SIGNATURES {
        let text = format!("{{{{{} a b c d}}}}", signature.name);
        if let Err(error) = registry.render_template(&text, &()) {
            assert!(!error.to_string().contains("Helper not found"), "{}", signature.name);
        }
    }
    assert!(registry.render_template("{{log \"x\"}}", &()).is_err());
}

#[test]
fn values() {
    for (text, expected) in [
        ("{{upper status}} {{lower \"ABC\"}}", "FIRING abc"),
        ("{{default common_labels.nope \"\" \"nobody\" \"x\"}}", "nobody"),
        ("{{default more 7}}", "0"),
        ("{{truncate \"告警告警\" 3}}", "告警…"),
        ("{{join group_labels}} {{join notes \";\"}}.", "alertname=DiskAlmostFull ."),
        ("{{replace \"a-b-c\" \"-\" \"+\"}} {{replace \"abc\" \"\" \"x\"}}", "a+b+c abc"),
        ("{{#if (match title \"^Disk\")}}yes{{/if}}{{#if (match title \"^disk\")}}no{{/if}}", "yes"),
        ("{{json group_labels}}", "{\"alertname\":\"DiskAlmostFull\"}"),
        ("{{url_encode \"a b/c&告\"}}", "a%20b%2Fc%26%E5%91%8A"),
        ("{{severity_color \"critical\"}} {{severity_color \"resolved\"}} {{severity_color \"odd\"}}", "#d92d20 #1f9d55 #e0a100"),
        ("{{t \"since\"}} {{t \"more\" n=37}}", "Since and 37 more"),
        ("{{humanize 3725}} {{humanize \"90\"}}", "1h 2m 1m 30s"),
        (
            "{{#each alerts}}{{#if @first}}{{time starts_at \"%Y-%m-%d %H:%M\"}} {{time starts_at \"%H:%M\" zone=\"Asia/Shanghai\"}} {{ago starts_at}}{{/if}}{{/each}}",
            "2026-11-24 04:53 12:53 1h 6m",
        ),
        ("{{time \"\"}}{{ago common_labels.nope}}|{{time 0 \"%Y\"}}", "|1970"),
        ("{{len alerts}} {{#if (eq severity \"critical\")}}c{{/if}}", "3 c"),
    ] {
        assert_eq!(plain(text), expected, "{text}");
    }
}

#[test]
fn failures_say_what_is_wrong() {
    for (text, part) in [
        ("{{t title}}", "no word"),
        ("{{truncate title \"x\"}}", "number of characters"),
        ("{{humanize title}}", "number of seconds"),
        ("{{humanize -1}}", "not negative"),
        ("{{time title}}", "is not a time"),
        ("{{time now \"%H\" zone=title}}", "not an IANA time zone"),
        ("{{#if (match title \"(\")}}x{{/if}}", "not a regular expression"),
    ] {
        let error = run(Escape::None, text).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
    assert!(compile_regex(&"(?:a{1,500}){1,500}".repeat(3)).unwrap_err().contains("larger than"));
}

#[test]
fn markup_is_the_dialects() {
    let text = "{{link \"https://h/a?b=1&c=(2)\" \"R & <D>\"}}|{{bold \"a*b\"}}|{{quote \"x\\ny\"}}";
    for (dialect, expected) in [
        (Escape::None, "R & <D>: https://h/a?b=1&c=%282%29|a*b|  x\n  y"),
        (Escape::Html, "<a href=\"https://h/a?b=1&amp;c=%282%29\">R &amp; &lt;D&gt;</a>|<b>a*b</b>|<blockquote>x<br>y</blockquote>"),
        (Escape::SlackMrkdwn, "<https://h/a?b=1&amp;c=%282%29|R &amp; &lt;D&gt;>|*a*b*|> x\n> y"),
        (Escape::WeComMarkdown, "[R & <\u{200B}D>](https://h/a?b=1&c=%282%29)|**a*b**|> x\n> y"),
        (Escape::WeComText, "<a href=\"https://h/a?b=1&amp;c=%282%29\">R & <\u{200B}D></a>|a*b|  x\n  y"),
        (Escape::TelegramHtml, "<a href=\"https://h/a?b=1&amp;c=%282%29\">R &amp; &lt;D&gt;</a>|<b>a*b</b>|<blockquote>x\ny</blockquote>"),
        (Escape::Markdown, "[R & \\<D>](https://h/a?b=1&c=%282%29)|**a\\*b**|> x\n> y"),
    ] {
        assert_eq!(run(dialect, text).unwrap(), expected, "{dialect:?}");
    }
    let refused =
        run(Escape::SlackMrkdwn, "{{link \"javascript:alert(1)\" \"x\"}}|{{link \"\" \"x\"}}|{{link \"https://h/\"}}|{{bold \"\"}}").unwrap();
    assert_eq!(refused, "x: javascript:alert(1)|x|<https://h/|https://h/>|");
    assert_eq!(run(Escape::Html, "{{#if (eq 1 1)}}{{link \"https://h/\" (t \"runbook\")}}{{/if}}").unwrap(), "<a href=\"https://h/\">Runbook</a>");
}
