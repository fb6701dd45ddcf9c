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
        ("{{humanize_duration 3725}} {{humanize_duration \"90\"}}", "1h 2m 1m 30s"),
        ("{{humanize 1234567}} {{humanize 999}} {{humanize 0.00123}} {{humanize 0}} {{humanize -1500}}", "1.235M 999 1.23m 0 -1.5k"),
        ("{{humanize_1024 1536}} {{humanize_1024 1023}} {{humanize_1024 \"1073741824\"}}", "1.5ki 1023 1Gi"),
        ("{{humanize_percentage 0.973}} {{humanize_percentage 1}} {{humanize_percentage 0.00001}}", "97.3% 100% 0.001%"),
        ("{{add 1 2}} {{sub 1 2.5}} {{mul \"3\" 4}} {{div 1 8}} {{mod 7 3}} {{round 2.4137 2}} {{round 2.5}}", "3 -1.5 12 0.125 1 2.41 3"),
        ("{{#each (split \"b, a,,c\" \",\")}}[{{this}}]{{/each}} {{join (sort (split \"b,a\" \",\"))}}", "[b][a][c] a, b"),
        (
            "{{first (split \"db-1:9100\" \":\")}} {{last (split \"db-1:9100\" \":\")}} {{first group_labels}}|{{last notes}}",
            "db-1 9100 DiskAlmostFull|",
        ),
        ("{{join alerts \"; \"}}", "DiskAlmostFull · db-1 · /var; DiskAlmostFull · db-2 · /var; DiskAlmostFull · db-2 · /var"),
        ("{{regex_replace \"db-1:9100\" \"^(\\\\w+)-(?P<n>[0-9]+):.*\" \"$1/${n}\"}} {{regex_replace \"aXbX\" \"X\" \"\"}}", "db/1 ab"),
        ("{{base64_encode \"告警\"}} {{base64_decode \"5ZGK6K2m\"}}", "5ZGK6K2m 告警"),
        (
            "{{#each alerts}}{{#if @first}}{{time starts_at \"%Y-%m-%d %H:%M\"}} {{time starts_at \"%H:%M\" zone=\"Asia/Shanghai\"}} {{ago starts_at}}{{/if}}{{/each}}",
            "2026-11-24 04:53 12:53 1h 6m",
        ),
        ("{{time \"\"}}{{ago common_labels.nope}}|{{time 0 \"%Y\"}}", "|1970"),
        ("{{len \"告警 db\"}} {{len group_labels}} {{len 7}} {{#if (gt (len \"告警告警\") 4)}}long{{/if}}", "5 1 0 "),
        ("{{len alerts}} {{#if (eq severity \"critical\")}}c{{/if}}", "3 c"),
    ] {
        assert_eq!(plain(text), expected, "{text}");
    }
}

/// No value that an alert has may cost a message its template.
#[test]
fn numbers_never_fail() {
    let functions = ["humanize V", "humanize_1024 V", "humanize_percentage V", "humanize_duration V", "round V 9", "round 1 V"];
    let pairs = ["add", "sub", "mul", "div", "mod"].map(|name| [format!("{name} V 7"), format!("{name} 7 V"), format!("{name} V V")]);
    let odd = ["1e308", "-1e308", "1e307", "5e-324", "-0.0", "0", "1e400", "NaN", "inf", "N/A", "", " 97%", "9007199254740993", "-1"];
    for function in functions.into_iter().map(str::to_owned).chain(pairs.into_iter().flatten()) {
        for value in odd.map(|value| format!("\"{value}\"")).into_iter().chain(["values.nope".to_owned(), "alerts".to_owned()]) {
            let shown = plain(&format!("{{{{{}}}}}", function.replace('V', &value)));
            let readable = shown.len() < 25 && !["inf", "NaN"].iter().any(|none| shown.contains(none));
            assert!(readable, "{function} of {value}: {shown}");
        }
    }
    for (text, expected) in [
        ("{{humanize_percentage \"1e308\"}}|{{humanize \"1e308\"}}|{{humanize_1024 \"1e308\"}}", "|1e284Y|8.272e283Yi"),
        ("{{add 0.1 0.2}} {{mul 1.1 1.1}} {{sub 0.3 0.1}} {{mul \"1e10\" \"1.1e10\"}}", "0.3 1.21 0.2 1.1e+20"),
        ("{{add 9007199254740990 1}} {{mul 1000000000 1000000}}", "9007199254740991 1000000000000000"),
        ("{{round values.B 1}}|{{mul values.B 100}}|{{add (mul values.B 100) 1}}|{{div 1 0}}|{{humanize \"N/A\"}}", "||||"),
        ("{{round \"1e308\" 9}} {{humanize_duration \"-90\"}} {{humanize_duration \"1e300\"}}", "1e+308 -1m 30s 11574074d 1h"),
    ] {
        assert_eq!(plain(text), expected, "{text}");
    }
}

#[test]
fn lists_of_any_length_are_split_and_sorted() {
    for (text, expected) in [
        ("{{join (sort (split \"10,9,100\" \",\"))}}", "9, 10, 100"),
        ("{{join (sort (split \"web,10,db,9.5,-1,1e1x\" \",\"))}}", "-1, 9.5, 10, 1e1x, db, web"),
    ] {
        assert_eq!(plain(text), expected, "{text}");
    }
    let many = (0..1500).map(|part| part.to_string()).collect::<Vec<_>>().join(",");
    let parts = format!("(split \"{many}\" \",\")");
    let shown = plain(&format!("{{{{len {parts}}}}} {{{{first {parts}}}}} {{{{last {parts}}}}}"));
    assert!(shown.starts_with("1000 0 999,1000,1001,") && shown.ends_with(",1499"), "{shown}");
}

#[test]
fn failures_say_what_is_wrong() {
    for (text, part) in [
        ("{{t title}}", "no word"),
        ("{{truncate title \"x\"}}", "number of characters"),
        ("{{split title \"\"}}", "between the parts"),
        ("{{first title}}", "is a list"),
        ("{{base64_decode \"?\"}}", "not base64"),
        ("{{base64_decode \"/w==\"}}", "not text"),
        ("{{regex_replace title \"(\" \"\"}}", "not a regular expression"),
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

/// A text that grows at every step ends at a field's size, not at the machine's.
#[test]
fn what_replaces_cannot_grow_without_end() {
    for grow in ["replace X \"a\" \"aaaaaaaaaaaaaaaa\"", "regex_replace X \"a\" \"$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0\""] {
        let text = (0..12).fold("\"a\"".to_owned(), |inner, _| format!("({})", grow.replace('X', &inner)));
        let error = run(Escape::None, &format!("{{{{upper {text}}}}}")).unwrap_err();
        assert!(error.contains("longer than"), "{error}");
    }
}

/// No function prints around the escape.
#[test]
fn what_functions_return_is_escaped() {
    for text in [
        "{{regex_replace \"x\" \"x\" \"<b>*a*\"}}",
        "{{replace \"x\" \"x\" \"<b>*a*\"}}",
        "{{first (split \"<b>*a*|y\" \"|\")}}",
        "{{last (sort (split \"<b>*a*|1\" \"|\"))}}",
        "{{join (split \"<b>*a*\" \"|\")}}",
        "{{base64_decode \"PGI+KmEq\"}}",
    ] {
        assert_eq!(run(Escape::Html, text).unwrap(), "&lt;b&gt;*a*", "{text}");
        assert_eq!(run(Escape::Markdown, text).unwrap(), "\\<b>\\*a\\*", "{text}");
    }
}
