//! The parser's complaints about broken YAML, in words a person can act on.

/// Message and advice for a parser's complaint. `line` is the source line it points at, to recognise the usual causes.
pub fn explain(info: &str, line: &str) -> (String, String) {
    // First, for `unprintable` has a `tab` in it.
    let (message, advice): (&str, &str) = if info.contains("unprintable") || info.contains("byte order mark") {
        ("an invisible control character", "remove it; a file full of them is UTF-16: save it as UTF-8")
    } else if info.contains("tab") {
        ("a tab where YAML wants spaces", "indent with spaces; YAML does not allow tabs here")
    } else if info.contains("mapping values are not allowed") || info.contains("illegal placement of ':'") {
        ("a `:` where no key can be", "quote the value if it contains `: `, or check the indentation of this line")
    } else if info.contains("unexpected end of stream") || info.contains("unexpected eof") {
        ("a quote is opened and never closed", "close the quote")
    } else if info.contains("flow sequence") {
        ("a `[` list is not closed properly", "separate its items with `,` and close it with `]`")
    } else if info.contains("flow mapping") {
        ("a `{` mapping is not closed properly", "separate its entries with `,` and close it with `}`")
    } else if info.contains("invalid indentation") || info.contains("wrongly indented") {
        ("the indentation does not fit", "line this up with its neighbours")
    } else if info.contains("simple key") {
        ("a key without a `:`", "write `key: value`; also check the indentation of this line")
    } else if info.contains("did not find expected key") || info.contains("'-' indicator") || info.contains("expected <document start>") {
        ("this line does not belong to the lines above it", "check its indentation, and that the lines above are complete")
    } else if info.contains("unknown anchor") {
        ("`*name` refers to an anchor that does not exist", "define `&name` above it, or quote the value if the star is meant as a character")
    } else if info.contains("anchor or alias") {
        ("`*` and `&` have a meaning of their own in YAML", "quote the value: \"*...\"")
    } else if info.contains("unknown escape") {
        ("an unknown escape in a double-quoted text", "write the text in single quotes: they have no escapes")
    } else if info.contains("hexadecimal") || info.contains("Unicode character escape") {
        ("a broken escape in a double-quoted text", "write the text in single quotes: they have no escapes")
    } else if info.contains("trailing content after double-quoted") || info.contains("invalid trailing content") {
        ("something follows a closing quote", "quote the whole value, or double the quote inside it")
    } else if info.contains("unexpected character") && line.trim_start().starts_with('@') || info.contains("unexpected character: `@'") {
        ("a value cannot begin with `@`", "quote it: \"@all\"")
    } else if info.contains("unexpected character: `%'") {
        ("a value cannot begin with `%`", "quote it")
    } else if info.contains("unexpected character: ``'") {
        ("a value cannot begin with a back quote", "quote it with ' or \"")
    } else if info.contains("block sequence entries are not allowed") || info.contains("only valid inside a block") {
        ("a `-` where no list can be", "put the list on lines of its own, indented below its key")
    } else if info.contains("directive") {
        ("a YAML directive (`%...`) that cannot be understood", "remove it, or quote the value if the `%` is meant as a character")
    } else if info.contains("recursion limit") {
        ("mappings and lists are nested too deeply", "nest less")
    } else if info.contains("block scalar") {
        ("the block text after `|` or `>` is not laid out properly", "indent all its lines alike, with spaces, below its key")
    } else {
        return ("this is not valid YAML".into(), info.to_owned());
    };
    (message.to_owned(), advice.to_owned())
}
