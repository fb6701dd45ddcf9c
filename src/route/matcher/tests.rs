//! Tables of what Alertmanager's two grammars make of a text, and properties of reading, writing and errors.

use proptest::prelude::*;

use super::*;

type Row = (&'static str, &'static [(&'static str, Op, &'static str)]);

#[rustfmt::skip]
const BOTH: &[Row] = &[
    ("", &[]),
    ("{}", &[]),
    ("  ", &[]),
    ("{ }", &[]),
    ("foo=bar", &[("foo", Op::Equal, "bar")]),
    ("foo!=bar", &[("foo", Op::NotEqual, "bar")]),
    ("foo=~ba.*", &[("foo", Op::Regex, "ba.*")]),
    ("foo!~ba.*", &[("foo", Op::NotRegex, "ba.*")]),
    (r#"foo="bar""#, &[("foo", Op::Equal, "bar")]),
    (r#"{foo="bar"}"#, &[("foo", Op::Equal, "bar")]),
    (r#"{foo="bar",}"#, &[("foo", Op::Equal, "bar")]),
    (r#"foo="bar","#, &[("foo", Op::Equal, "bar")]),
    (r#"{foo="bar", }"#, &[("foo", Op::Equal, "bar")]),
    (r#" foo = "bar" "#, &[("foo", Op::Equal, "bar")]),
    ("\tfoo\n=\r\"bar\"", &[("foo", Op::Equal, "bar")]),
    ("foo=bar,dings!=bums", &[("foo", Op::Equal, "bar"), ("dings", Op::NotEqual, "bums")]),
    (r#"{foo="bar",baz!~".*quux", derp="wat"}"#, &[("foo", Op::Equal, "bar"), ("baz", Op::NotRegex, ".*quux"), ("derp", Op::Equal, "wat")]),
    (r#"foo="bar,quux", job="job1""#, &[("foo", Op::Equal, "bar,quux"), ("job", Op::Equal, "job1")]),
    (r#"foo="""#, &[("foo", Op::Equal, "")]),
    (r#"foo=~"""#, &[("foo", Op::Regex, "")]),
    (r#"foo=~"[a-z]+""#, &[("foo", Op::Regex, "[a-z]+")]),
    ("foo=[a-z]+", &[("foo", Op::Equal, "[a-z]+")]),
    (r#"statuscode=~"5..""#, &[("statuscode", Op::Regex, "5..")]),
    (r#"a:b_c1="x""#, &[("a:b_c1", Op::Equal, "x")]),
    ("_a=x", &[("_a", Op::Equal, "x")]),
    (":a=x", &[(":a", Op::Equal, "x")]),
    ("foo=🙂bar", &[("foo", Op::Equal, "🙂bar")]),
    (r#"foo="告警""#, &[("foo", Op::Equal, "告警")]),
    (r#"foo="a\"b""#, &[("foo", Op::Equal, r#"a"b"#)]),
    (r#"foo="a\\b""#, &[("foo", Op::Equal, r#"a\b"#)]),
    (r#"foo="a\nb""#, &[("foo", Op::Equal, "a\nb")]),
    (r#"foo=~"\\d+""#, &[("foo", Op::Regex, r#"\d+"#)]),
    (r#"foo="{}!=~""#, &[("foo", Op::Equal, "{}!=~")]),
    (r#"foo="it's `x`""#, &[("foo", Op::Equal, "it's `x`")]),
    (r#"foo=":""#, &[("foo", Op::Equal, ":")]),
    ("foo=1", &[("foo", Op::Equal, "1")]),
    ("foo=bar;baz", &[("foo", Op::Equal, "bar;baz")]),
    ("foo=\"tab\there\"", &[("foo", Op::Equal, "tab\there")]),
    (r#"quote="She said: \"Hi, ladies!\"""#, &[("quote", Op::Equal, r#"She said: "Hi, ladies!""#)]),
    (r#"contains_quote != "\"" , contains_comma !~ "foo,bar" , "#, &[("contains_quote", Op::NotEqual, r#"""#), ("contains_comma", Op::NotRegex, "foo,bar")]),
    ("foo=a,foo=b", &[("foo", Op::Equal, "a"), ("foo", Op::Equal, "b")]),
];

#[rustfmt::skip]
const UTF8_ONLY: &[Row] = &[
    (r#""foo"="bar""#, &[("foo", Op::Equal, "bar")]),
    (r#""label name"!="bar""#, &[("label name", Op::NotEqual, "bar")]),
    (r#""foo"=bar,"baz"=~"q.*""#, &[("foo", Op::Equal, "bar"), ("baz", Op::Regex, "q.*")]),
    (r#"{"foo"="bar",}"#, &[("foo", Op::Equal, "bar")]),
    ("foo🙂=bar", &[("foo🙂", Op::Equal, "bar")]),
    ("{foo🙂=bar,bar=baz🙂}", &[("foo🙂", Op::Equal, "bar"), ("bar", Op::Equal, "baz🙂")]),
    (r#"name-with-dashes="bar""#, &[("name-with-dashes", Op::Equal, "bar")]),
    ("0foo=bar", &[("0foo", Op::Equal, "bar")]),
    ("团队=运维", &[("团队", Op::Equal, "运维")]),
    ("a.b/c=d", &[("a.b/c", Op::Equal, "d")]),
    (r#""foo"="a\tb""#, &[("foo", Op::Equal, "a\tb")]),
    (r#""foo"="\xf0\x9f\x99\x82""#, &[("foo", Op::Equal, "🙂")]),
    (r#""foo"="\U0001f642\u544a\101""#, &[("foo", Op::Equal, "🙂告A")]),
    (r#""a\"b"="c""#, &[(r#"a"b"#, Op::Equal, "c")]),
    (r#""a,b"="c""#, &[("a,b", Op::Equal, "c")]),
    (r#"""="x""#, &[("", Op::Equal, "x")]),
    ("foo =\u{a0}\"bar\"\u{a0}, b=c", &[("foo", Op::Equal, "bar"), ("b", Op::Equal, "c")]),
    (r#" {foo="bar"}"#, &[("foo", Op::Equal, "bar")]),
    (r#" { foo = "bar" } "#, &[("foo", Op::Equal, "bar")]),
];

#[rustfmt::skip]
const CLASSIC_ONLY: &[Row] = &[
    ("foo=", &[("foo", Op::Equal, "")]),
    ("job= , b=c", &[("job", Op::Equal, ""), ("b", Op::Equal, "c")]),
    ("foo='bar'", &[("foo", Op::Equal, "'bar'")]),
    ("{foo='}", &[("foo", Op::Equal, "'")]),
    ("foo=`bar`", &[("foo", Op::Equal, "`bar`")]),
    ("foo=bar baz", &[("foo", Op::Equal, "bar baz")]),
    (r#"foo=!bar\n"#, &[("foo", Op::Equal, "!bar\n")]),
    (r#"foo=bar\t"#, &[("foo", Op::Equal, r#"bar\t"#)]),
    (r#"foo=bar\"#, &[("foo", Op::Equal, r#"bar\"#)]),
    (r#"foo=\""#, &[("foo", Op::Equal, r#"""#)]),
    (r#"foo=~\d+"#, &[("foo", Op::Regex, r#"\d+"#)]),
    (r#"foo=~"\d+""#, &[("foo", Op::Regex, r#"\d+"#)]),
    (r#"foo=~"a\.b""#, &[("foo", Op::Regex, r#"a\.b"#)]),
    ("tricky=~~~", &[("tricky", Op::Regex, "~~")]),
    (r#"trickier==\\=\=\""#, &[("trickier", Op::Equal, r#"=\=\=""#)]),
    ("foo=a=b", &[("foo", Op::Equal, "a=b")]),
    ("foo=bar}", &[("foo", Op::Equal, "bar")]),
    ("{foo=bar", &[("foo", Op::Equal, "bar")]),
    ("{foo=bar}}", &[("foo", Op::Equal, "bar}")]),
    ("{foo=bar}},}", &[("foo", Op::Equal, "bar}}")]),
    ("{foo=,bar=}}", &[("foo", Op::Equal, ""), ("bar", Op::Equal, "}")]),
    ("{foo=}b", &[("foo", Op::Equal, "}b")]),
    ("foo={a}", &[("foo", Op::Equal, "{a")]),
    ("foo=\"a\nb\"", &[("foo", Op::Equal, "a\nb")]),
    (r#"foo=a\,b=c"#, &[("foo", Op::Equal, r#"a\"#), ("b", Op::Equal, "c")]),
    ("{", &[]),
    ("}", &[]),
];

#[rustfmt::skip]
const DISAGREE: &[Row] = &[
    (r#"foo="\xf0\x9f\x99\x82""#, &[("foo", Op::Equal, r#"\xf0\x9f\x99\x82"#)]),
    (r#"foo="bar\t""#, &[("foo", Op::Equal, r#"bar\t"#)]),
    (r#"foo="\u544a""#, &[("foo", Op::Equal, r#"\u544a"#)]),
    (r#"foo=~"a\x41""#, &[("foo", Op::Regex, r#"a\x41"#)]),
    (r#"foo=~"\101""#, &[("foo", Op::Regex, r#"\101"#)]),
];

#[rustfmt::skip]
const REFUSED: &[(&str, usize)] = &[
    (",", 0),
    ("{,}", 1),
    ("foo", 3),
    ("foo bar", 4),
    ("foo!bar", 3),
    ("foo~bar", 3),
    ("=bar", 0),
    ("!=bar", 0),
    ("foo=bar,,baz=1", 8),
    ("{foo=bar,,}", 9),
    (r#"foo="bar"#, 4),
    (r#"foo=bar""#, 7),
    (r#"foo="a"b""#, 7),
    (r#"foo="a" "b""#, 8),
    (r#""foo"#, 0),
    (r#""foo""#, 5),
    (r#""foo"="#, 6),
    ("'foo'=bar", 0),
    (r#"foo=~"[""#, 6),
    (r#"foo=~"a**""#, 8),
    (r#""告警"=~"a(b""#, 8),
    (r#""foo"="\d""#, 7),
    (r#""foo"="\q""#, 7),
    (r#""foo"="\xf0\x9f""#, 7),
    (r#""foo"="\ud800""#, 7),
    (r#""foo"="\400""#, 7),
    (r#""foo"="it\'s""#, 9),
    ("\"foo\"=\"a\nb\"", 8),
    (r#"{"foo"="bar""#, 12),
    (r#""foo"="bar"}"#, 11),
    (r#"{"foo"="bar"} x"#, 14),
    (r#"{"foo"="bar"}}"#, 13),
    (r#"foo-bar = "a"#, 10),
    ("{{foo=", 1),
    (r#""foo=\"bar\"""#, 13),
    (r#"a="b" c="d""#, 6),
    ("foo=~(?=x)", 5),
    (r#"foo=~"\\1""#, 6),
    ("foo=bar, =x", 9),
    ("foo=~a)|(b", 6),
];

fn parts(matchers: &[Matcher]) -> Vec<(&str, Op, &str)> {
    matchers.iter().map(|m| (m.name(), m.op(), m.value())).collect()
}

fn chars(text: &str) -> Vec<char> {
    text.chars().collect()
}

#[test]
fn both_grammars_agree() {
    for (text, expected) in BOTH {
        let reading = parse_noted(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(parts(&reading.matchers), *expected, "{text:?}");
        assert_eq!(reading.note, None, "{text:?}");
    }
}

#[test]
fn utf8_alone_is_enough() {
    for (text, expected) in UTF8_ONLY {
        assert!(classic::parse(&chars(text)).is_err(), "{text:?}");
        let reading = parse_noted(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(parts(&reading.matchers), *expected, "{text:?}");
        assert_eq!(reading.note, None, "{text:?}");
    }
}

#[test]
fn classic_alone_is_enough_and_noted() {
    for (text, expected) in CLASSIC_ONLY {
        assert!(utf8::parse(&chars(text)).is_err(), "{text:?}");
        let reading = parse_noted(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
        assert_eq!(parts(&reading.matchers), *expected, "{text:?}");
        assert!(reading.note.unwrap().contains("classic"), "{text:?}");
    }
}

#[test]
fn classic_wins_a_disagreement_and_it_is_noted() {
    for (text, expected) in DISAGREE {
        assert!(utf8::parse(&chars(text)).is_ok(), "{text:?}");
        let reading = parse_noted(text).unwrap();
        assert_eq!(parts(&reading.matchers), *expected, "{text:?}");
        assert!(reading.note.unwrap().contains("disagree"), "{text:?}");
    }
}

#[test]
fn refusals_say_where() {
    let mut wrong = Vec::new();
    for (text, offset) in REFUSED {
        let error = parse(text).expect_err(text);
        assert!(!error.reason.is_empty() && !error.help.is_empty());
        if error.offset != *offset {
            wrong.push(format!("{text:?} expected at {offset}: {}: {error}", error.offset));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_note_says_how_to_write_it() {
    let note = parse_noted(r#"foo=~"\d+""#).unwrap().note.unwrap();
    assert!(note.contains(r#"`foo=~"\\d+"`"#), "{note}");
    assert!(parse_noted("{").unwrap().note.unwrap().contains("`{}`"));
}

#[test]
fn a_missing_label_is_the_empty_text() {
    let labels = Labels::from([("team".to_owned(), "ops".to_owned()), ("blank".to_owned(), String::new())]);
    for (text, expected) in [
        ("team=ops", true),
        ("team=op", false),
        ("team!=ops", false),
        ("team=~op", false),
        ("team=~op.", true),
        ("team!~op", true),
        ("absent=\"\"", true),
        ("absent!=\"\"", false),
        ("absent!=x", true),
        ("absent!~x", true),
        ("absent=~\".*\"", true),
        ("absent=~\".+\"", false),
        ("absent!~\".*\"", false),
        ("absent=~\"|x\"", true),
        ("blank=\"\"", true),
        ("blank=~\".+\"", false),
        ("Team=ops", false),
    ] {
        assert_eq!(parse(text).unwrap()[0].matches(&labels), expected, "{text}");
    }
}

#[test]
fn lists_that_yaml_split_are_found() {
    let split = lint_matcher_list(&["severity=\"critical\"", "team=~\"a", "b", "c\"", "x=\"1\""]);
    assert_eq!(split.len(), 1);
    assert_eq!((split[0].first, split[0].last), (1, 3));
    assert!(split[0].message.contains("'team=~\"a,b,c\"'"), "{}", split[0].message);
    let open = lint_matcher_list(&["a=\"b"]);
    assert_eq!((open[0].first, open[0].last), (0, 0));
    let apostrophe = lint_matcher_list(&["a=\"it's", "b\""]);
    assert!(apostrophe[0].message.contains("'a=\"it''s,b\"'"), "{}", apostrophe[0].message);
    for fine in [&["a=\"b\"", "c=d"][..], &["a=\"x\\\"y\""], &["a='b'"], &[]] {
        assert_eq!(lint_matcher_list(fine), []);
    }
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![Just(Op::Equal), Just(Op::NotEqual), Just(Op::Regex), Just(Op::NotRegex)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn never_panics_and_points_into_the_text(text in "([ab\"=!~,{}\\\\ \n'`x1()*]|\\PC){0,24}") {
        if let Err(error) = parse(&text) {
            prop_assert!(error.offset <= text.chars().count(), "{}", error);
        }
        lint_matcher_list(&[text]);
    }

    #[test]
    fn written_matchers_read_back(list in prop::collection::vec(("([a-z_]{1,6}|\\PC{1,6}|[ab\"\\\\{},=\n ]{0,4})", any_op(), "([a-z|]{0,6}|[ -~\n]{0,8}|\\PC{0,8})"), 0..4)) {
        let matchers: Vec<Matcher> = list.into_iter().filter_map(|(name, op, value)| Matcher::new(name, op, value).ok()).collect();
        let text = matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(",");
        let reading = parse_noted(&text);
        prop_assert_eq!(reading.as_ref().map(|r| &r.matchers), Ok(&matchers), "{}", text);
        let braced = format!("{{{text}}}");
        prop_assert_eq!(parse(&braced), Ok(matchers), "{}", braced);
    }
}
