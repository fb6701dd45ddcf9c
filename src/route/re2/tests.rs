//! Tables of what Go accepts, refuses and matches. The answers come from an Alertmanager built with Go 1.19, asked pattern by pattern;
//! what later Go versions added has a table of its own.

use proptest::prelude::*;

use super::*;

/// Pattern, texts it matches, texts it does not match.
#[rustfmt::skip]
const ACCEPTED: &[(&str, &[&str], &[&str])] = &[
    ("", &[""], &["a"]),
    ("foo", &["foo"], &["foobar", "xfoo", "FOO", ""]),
    ("foo|bar", &["foo", "bar"], &["foobar", "foo|bar"]),
    ("(foo|bar)baz", &["foobaz", "barbaz"], &["foo", "baz"]),
    ("a|", &["a", ""], &["b"]),
    ("|", &[""], &["|"]),
    ("()", &[""], &["()"]),
    (".*", &["", "a"], &["a\nb", "\n"]),
    (".+", &["a", "é"], &[""]),
    (".", &["a", "é", "🙂"], &["\n", "ab"]),
    ("(?s).*", &["a\nb", ""], &[]),
    ("(?s:.)x", &["\nx", "ax"], &[]),
    ("(?s:.).", &["\na"], &["\n\n", "a\n"]),
    ("a.*", &["a", "ab"], &["ba", "a\nb"]),
    (r"\d+", &["123"], &["٣", "1a", "५"]),
    (r"\D", &["a", "٣", "\n"], &["1"]),
    (r"\w+", &["abc_1"], &["é", "a-b"]),
    (r"\W", &["é", "-"], &["a"]),
    (r"\s", &[" ", "\t", "\n"], &["\u{b}", "\u{a0}", "\u{2003}"]),
    (r"\S+", &["a\u{a0}b", "\u{b}"], &["a b"]),
    (r"[\d\s]+", &["1 2"], &["a", "٣"]),
    (r"[^\d]", &["a", "٣"], &["1"]),
    (r"[\D1]", &["1", "x"], &["2"]),
    (r"[^\W]+", &["abc"], &["é"]),
    (r"a\b.*", &["a", "a-b", "aé"], &["ab"]),
    (r"é\b.*", &["éa"], &["é"]),
    (r"é\B.*", &["é", "é-"], &["éa"]),
    (r".*\bfoo\b.*", &["a foo b", "éfooé", "foo"], &["afoo"]),
    (r"\Bx?", &[""], &["x"]),
    (r"\Qa.b\E", &["a.b"], &["axb"]),
    (r"\Qa.b\E*", &["a.", "a.b", "a.bb"], &["a.ba.b"]),
    (r"\Q\\E", &["\\"], &["\\\\"]),
    (r"a\Q\E*", &["aaa", "", "a"], &[]),
    (r"\Q(|)\Ex", &["(|)x"], &["x"]),
    ("[a&&b]+", &["a&b", "a", "b"], &["c"]),
    ("[a~~b]+", &["a~b"], &["c"]),
    ("[[a]]", &["[]", "a]"], &["a", "["]),
    ("[]a]+", &["]a", "a", "]"], &["["]),
    ("[^]a]", &["b"], &["]", "a"]),
    ("[a-]+", &["a-", "-"], &["b"]),
    ("[-a]+", &["a-", "-"], &["b"]),
    ("[a-b-c]+", &["a-c", "b", "-"], &["d"]),
    (r"[\d-z]+", &["1-z", "-"], &["a"]),
    ("[+--]+", &["+,-"], &["."]),
    ("[a^]+", &["a^"], &["b"]),
    ("[.]+", &[".."], &["a"]),
    ("[$^]", &["$", "^"], &[]),
    ("[^a]", &["\n", "b"], &["a", ""]),
    ("[[:alpha:]]+", &["abC"], &["1", "é"]),
    ("[[:^alpha:]]", &["1", "é"], &["a"]),
    ("[[:word:]-]+", &["a_1-"], &["é"]),
    ("[[:space:]]", &["\u{b}", " "], &["\u{a0}"]),
    ("[:alpha:]+", &["alph:"], &["b"]),
    ("[[:alpha:]0-9]+", &["a0"], &["-"]),
    ("[[:alpha]+", &["[:alph"], &["b"]),
    ("[a[:digit:]b]+", &["a1b"], &["c"]),
    (r"\pN+", &["1", "٣", "Ⅷ"], &["a"]),
    (r"\p{Greek}", &["α"], &["a"]),
    (r"\P{Greek}", &["a"], &["α"]),
    (r"\p{^Greek}", &["a"], &["α"]),
    (r"\P{^Greek}", &["α"], &["a"]),
    (r"[\p{Lu}\d]+", &["A1", "É"], &["a"]),
    (r"[^\pL]", &["1"], &["a", "é"]),
    (r"\p{Han}+", &["告警"], &["a"]),
    (r"\p{Any}", &["\n", "a", "🙂"], &[]),
    (r"\p{Lu}\p{Ll}+", &["Straße"], &["straße"]),
    ("(?i)foo", &["FOO", "foo", "fOo"], &["bar"]),
    ("(?i:f)oo", &["Foo", "foo"], &["FOO"]),
    ("(?i)straße", &["STRAßE", "STRAẞE"], &["STRASSE"]),
    ("(?i)k", &["K", "k", "\u{212a}"], &[]),
    ("(?i)[a-z]+", &["ABC", "\u{212a}"], &["1"]),
    ("(?i)[^a]", &["b"], &["A", "a"]),
    (r"(?i)\w", &["\u{17f}", "a"], &["é"]),
    ("(?i)a(?-i)b", &["Ab", "ab"], &["AB"]),
    ("(a(?i)b)c", &["aBc"], &["aBC", "ABc"]),
    ("a(?i)|b", &["B", "a"], &["A"]),
    (r"(?i)\p{Lu}", &["a", "A"], &["1"]),
    ("(?m)^a$", &["a"], &["a\n", "b\na"]),
    ("(?m)(a\n)?^b$(\nc)?", &["b", "a\nb", "a\nb\nc", "b\nc"], &[]),
    ("(a\n)?^b", &["b"], &["a\nb"]),
    ("a$(\n)?", &["a"], &["a\n"]),
    ("(?U)a+", &["aaa"], &["b"]),
    ("a+?b*?c??", &["aab", "abc"], &["c"]),
    ("^foo$", &["foo"], &["foo\n"]),
    ("^^a$$", &["a"], &[]),
    ("^*a", &["a"], &["^a"]),
    (r"\Afoo\z", &["foo"], &["foox"]),
    ("(?P<n>a)(?P<n>b)", &["ab"], &["a"]),
    ("(?P<1x>a)", &["a"], &[]),
    ("(?:a|b)+", &["abab"], &["c", ""]),
    ("(?)a", &["a"], &[]),
    ("a{2}", &["aa"], &["a", "aaa"]),
    ("a{2,}", &["aa", "aaaa"], &["a"]),
    ("a{2,3}", &["aa", "aaa"], &["aaaa"]),
    ("a{0}b", &["b"], &["ab"]),
    ("a{,2}", &["a{,2}"], &["aa"]),
    ("a{01}", &["a{01}"], &["a"]),
    ("a{", &["a{"], &[]),
    ("a{1", &["a{1"], &[]),
    ("a{x}", &["a{x}"], &[]),
    ("x{}", &["x{}"], &[]),
    ("{", &["{"], &[]),
    ("}", &["}"], &[]),
    ("]", &["]"], &[]),
    ("(a{3}){2}", &["aaaaaa"], &["aaa"]),
    ("(a{500}){2}", &[], &[]),
    ("(?:a*)*", &["aaa", ""], &[]),
    ("a*(?i)*", &["aaa", ""], &["AAA"]),
    ("(?:a{2})?(?i)+", &["aaaa", ""], &["aaa"]),
    (r"\<a\>", &["<a>"], &["a"]),
    (r"\_\-\/\ \~\#\&", &["_-/ ~#&"], &[]),
    (r"a\.b", &["a.b"], &["axb"]),
    (r"\x41\x{42}\x{1F642}", &["AB🙂"], &[]),
    (r"\101\060", &["A0"], &[]),
    (r"\0", &["\u{0}"], &[]),
    (r"\07a", &["\u{7}a"], &[]),
    (r"\777", &["ǿ"], &[]),
    (r"\a\f\n\r\t\v", &["\u{7}\u{c}\n\r\t\u{b}"], &[]),
    (r"[\n\x41\101]", &["\n", "A"], &["n"]),
    (r"[\x{D800}-\x{E001}]", &["\u{e000}", "\u{e001}"], &["\u{e002}"]),
    ("a b #c", &["a b #c"], &["ab"]),
    ("a/b", &["a/b"], &[]),
    ("prod-(eu|us)-[0-9]+", &["prod-eu-1"], &["prod-eu-", "dev-eu-1"]),
    ("api|web.*", &["api", "website"], &["apiweb"]),
    ("5..", &["503"], &["50", "5000"]),
    ("告警.*", &["告警1"], &["警"]),
    ("(x|y)?z{1}", &["z", "xz"], &["xyz"]),
];

#[rustfmt::skip]
const REFUSED: &[&str] = &[
    "(", ")", "(a", "a)", "a)|(b", "a)(b", ")(", "(a|b", "a|b)", "[a", "[", "[]", "[]a", "[^", "[^]", "[a-", "[z-a]", "[a--b]", "[a-Z]", "(?i)[a-Z]", "*", "+", "?", "*a", "a|*", "(*)", "(|*)", "(?i)*", "{2}", "(?:{2,3})", "a**", "a*+", "a+*", "a??*", "a???", "a{2}{3}", "a{2}*", "a*{2}", "a{1001}", "a{2,1}", "a{1,1001}", "a{1001,}", "a{9999999999}", "(a{500}){3}", "((a{10}){11}){10}", "(?:(?:a{100,}){11})", r"\", r"a\", r"\Qab", r"\Q\E*", r"\E", r"\e", r"\y", r"\Z", r"\G", r"\h", r"\R", r"\u0041", r"\C", r"\1", r"\8", r"(a)\1", r"\xg", r"\x4", r"\x{", r"\x{}", r"\x{110000}", r"\x{41", r"\é", r"\p", r"\pX", r"\p{", r"\p{}", r"\p{Grek}", r"\p{Foo}", r"\p{IsGreek}", r"\p{Script=Greek}", r"\p{Alphabetic}", r"\p{Unknown}", r"[\p{X}]", "[[:foo:]]", "[[:Alpha:]]", r"[\Qa]", r"[\b]", r"[\C]", r"[\z]", r"[a-\d]", r"[\8]", "(?", "(?P", "(?P<", "(?P<n", "(?P<n>", "(?P<>a)", "(?P<x y>a)", "(?P<é>a)", "(?P=n)", "(?P>n)", "(?P'n'a)", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?#c)", "(?x)a", "(?i-)a", "(?-)a", "(?--i)a", "(?u)a", "(?R)", "(?i", "(?i:a", r"a\cA", "x{2}{2}", "(a",
];

/// Go 1.22 took `(?<n>`, Go 1.25 took loose and long group names.
#[rustfmt::skip]
const LATER_GO: &[(&str, &[&str], &[&str])] = &[
    ("(?<n>a)b", &["ab"], &["a"]),
    (r"\p{greek}", &["α"], &["a"]),
    (r"\p{Old_Italic}|\p{old-italic}", &["\u{10300}"], &["a"]),
    (r"\p{Letter}", &["a"], &["1"]),
    (r"\p{Uppercase_Letter}", &["A"], &["a"]),
    (r"\p{ASCII}", &["a"], &["é"]),
    (r"\p{Assigned}", &["a"], &["\u{378}"]),
    (r"\p{Cn}", &["\u{378}"], &["a"]),
    (r"\p{LC}+", &["aA"], &["1", "告"]),
    (r"\p{Cs}|x", &["x"], &["\u{fffd}"]),
];

#[rustfmt::skip]
const TOKENS: &[&str] = &[
    "a", "b", "K", "(", "(?:", "(?i)", "(?i:", "(?s-i)", "(?U)", "(?P<n>", ")", ")", "|", "*", "+", "?", "??", "{2}", "{0}", "{,2}", "{1,3}", "[a-c]", "[^a]",
    "[[:alpha:]]", "[]a]", "[a&&b]", r"\d", r"\W", r"\b", r"\Q(|\E", r"\Q\E", r"\x41", r"\x{D800}", r"\101", r"\pL", r"\P{Greek}", "^", "$", ".", r"\n",
];

#[test]
fn accepts_and_matches_what_go_does() {
    let mut wrong = Vec::new();
    for (pattern, yes, no) in ACCEPTED.iter().chain(LATER_GO) {
        match Pattern::new(pattern) {
            Err(error) => wrong.push(format!("{pattern}: {error}")),
            Ok(compiled) => {
                wrong.extend(yes.iter().filter(|text| !compiled.matches(text)).map(|text| format!("{pattern} should match {text:?}")));
                wrong.extend(no.iter().filter(|text| compiled.matches(text)).map(|text| format!("{pattern} should not match {text:?}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn refuses_what_go_refuses() {
    let accepted: Vec<_> = REFUSED.iter().filter(|pattern| Pattern::new(pattern).is_ok()).collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}

#[test]
fn says_where_and_what_to_do() {
    for (pattern, offset, reason) in [
        ("告警[a", 2, "no closing `]`"),
        ("a**", 2, "a repetition follows a repetition"),
        (r"foo\q", 3, "is not an escape"),
        ("a{1001}", 1, "out of range"),
        ("a)|(b", 1, "`)` closes nothing"),
        ("x(ab", 1, "no closing `)`"),
        ("(a(b)", 0, "no closing `)`"),
        (r"ab\1", 2, "refers back"),
        ("ab(?=c)", 2, "no such `(?...`"),
        (r"[a\p{Grek}]", 2, "no Unicode group `Grek`"),
        ("[b-a]", 1, "runs backwards"),
    ] {
        let error = Pattern::new(pattern).unwrap_err();
        assert_eq!(error.offset, offset, "{pattern}: {error}");
        assert!(error.reason.contains(reason), "{pattern}: {error}");
        assert!(!error.help.is_empty());
    }
}

#[test]
fn counts_up_to_a_thousand_work() {
    let thousand = Pattern::new("(a{500}){2}").unwrap();
    assert!(thousand.matches(&"a".repeat(1000)) && !thousand.matches(&"a".repeat(999)));
    assert!(Pattern::new("[a-z0-9.-]{1,1000}").unwrap().matches("host-1.example"));
    assert!(Pattern::new(".{0,1000}").unwrap().matches("告警"));
}

#[test]
fn size_and_depth_are_bounded() {
    assert!(Pattern::new(&r"\pL{1000}\pN{1000}".repeat(50)).unwrap_err().reason.contains("1024 KiB"));
    assert!(Pattern::new(&"a".repeat(MAX_LENGTH + 1)).unwrap_err().reason.contains("too long"));
    for (open, close) in [("(", ")"), ("(?:", ")*"), ("(?:a|b", ")?")] {
        assert!(Pattern::new(&format!("{}{}", open.repeat(1000), close.repeat(1000))).unwrap_err().reason.contains("deep"));
    }
    assert!(Pattern::new(&format!("{}a{}", "(?:x|".repeat(70), ")+".repeat(70))).unwrap().matches("xxa"));
    assert!(Pattern::new(&format!("{}a{}", "(x|b".repeat(149), ")".repeat(149))).is_ok());
}

#[test]
fn plain_texts_need_no_engine() {
    for (pattern, texts) in [
        ("foo", vec!["foo"]),
        ("b|a|b", vec!["a", "b"]),
        ("(foo|bar)-?x", vec!["bar-x", "barx", "foo-x", "foox"]),
        (r"\Qa.b\E|a\.c", vec!["a.b", "a.c"]),
        ("web[1-3]", vec!["web1", "web2", "web3"]),
        ("", vec![""]),
        ("(?i)ok", vec!["OK", "Ok", "O\u{212a}", "oK", "ok", "o\u{212a}"]),
    ] {
        let compiled = Pattern::new(pattern).unwrap();
        let mut expected: Vec<&str> = texts;
        expected.sort_unstable();
        assert_eq!(compiled.texts().unwrap().iter().map(|t| &**t).collect::<Vec<_>>(), expected, "{pattern}");
    }
    for pattern in ["a.*", "a+", r"a\b", "^a", "[a-z]{20}"] {
        assert!(Pattern::new(pattern).unwrap().texts().is_none(), "{pattern}");
    }
    let hosts: Vec<String> = (0..3000).map(|i| format!("host-{i}.example")).collect();
    let many = Pattern::new(&hosts.join("|").replace('.', r"\.")).unwrap();
    assert!(many.texts().is_some() && many.matches("host-2999.example") && !many.matches("host-3000.example"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn never_panics_and_points_into_the_pattern(pattern in r"([a-c(){}\[\]|*+?^$\\.,0-9:PpQEdwsbxi<>&-]|\PC){0,24}", text in "[a-c(){}1 \n]{0,6}") {
        match Pattern::new(&pattern) {
            Ok(compiled) => { compiled.matches(&text); }
            Err(error) => prop_assert!(error.offset <= pattern.chars().count(), "{}", error),
        }
    }

    #[test]
    fn a_quoted_text_matches_itself_only(text in r"[^\\]{0,12}", other in r"\PC{0,12}") {
        let quoted = Pattern::new(&format!(r"\Q{text}\E")).unwrap();
        prop_assert!(quoted.matches(&text));
        prop_assert_eq!(quoted.matches(&other), text == other);
        let escaped: String = text.chars().map(|c| format!(r"\x{{{:X}}}", u32::from(c))).collect();
        prop_assert!(Pattern::new(&escaped).unwrap().matches(&text));
    }

    /// The two ways of matching (listed texts, regex engine) agree: `x?` in front of an unlistable part forces the engine.
    #[test]
    fn listed_texts_and_the_engine_agree(pattern in "(a|b|c|[ab]|\\(a\\|b\\)|\\(\\|c\\)|a\\?|\\|){1,6}", text in "[abc]{0,5}") {
        let listed = Pattern::new(&pattern).unwrap();
        let engine = Pattern::new(&format!("(?:{pattern})z*")).unwrap();
        prop_assert!(engine.texts().is_none());
        prop_assert_eq!(listed.matches(&text), engine.matches(&text));
    }

    /// Tokens that translate to nothing, to several characters or to another order keep what is around them.
    #[test]
    fn a_group_around_a_pattern_and_a_repeated_alternative_change_nothing(
        parts in prop::collection::vec(prop::sample::select(TOKENS), 0..8),
        texts in prop::collection::vec("[a-cK\n(|1]{0,5}", 8),
    ) {
        let pattern = parts.concat();
        let Ok(plain) = Pattern::new(&pattern) else { return Ok(()) };
        let group = Pattern::new(&format!("(?:{pattern})"));
        let (group, twice) = (group.unwrap(), Pattern::new(&format!("(?:{pattern})|({pattern})")).unwrap());
        for text in &texts {
            prop_assert_eq!((plain.matches(text), plain.matches(text)), (group.matches(text), twice.matches(text)), "{} {:?}", pattern, text);
        }
    }
}
