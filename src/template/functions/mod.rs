//! What templates can call. Nothing here reads the environment, files, the network or the clock: a template sees its page and nothing else.
//!
//! Three kinds: functions that give a value (escaped where it is printed), functions that give markup in the field's dialect (`link`, `bold`,
//! `quote`: they escape what they are given and print unescaped), and Handlebars' own blocks and comparisons.

mod list;
mod markup;
mod number;
mod text;
mod time;

use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, JsonRender, Output, RenderContext, RenderError, RenderErrorReason, ScopedJson,
};
use serde_json::Value;

use crate::model::Escape;

pub use text::compile_regex;
pub use time::{check_format, check_zone};

/// How a function is called.
#[derive(Debug)]
pub struct Signature {
    /// Its name.
    pub name: &'static str,
    /// Fewest arguments.
    pub min: usize,
    /// Most arguments.
    pub max: usize,
    /// Named arguments it knows; `*` for any.
    pub named: &'static [&'static str],
    /// Whether it may open a block: `{{#eq a b}}`.
    pub block: bool,
    /// How to write it, and what it returns.
    pub about: &'static str,
}

const MANY: usize = usize::MAX;

macro_rules! signatures {
    ($($name:literal $min:tt..$max:tt $named:expr, $block:literal, $about:literal;)*) => {
        &[$(Signature { name: $name, min: $min, max: $max, named: &$named, block: $block, about: $about }),*]
    };
}

/// Every function and block that templates can call.
pub const SIGNATURES: &[Signature] = signatures! {
    "t" 1..1 ["*"], false, "{{t \"since\"}}: a word in the message's language; {{t \"more\" n=more}} fills in";
    "time" 1..2 ["zone"], false, "{{time starts_at \"%H:%M\" zone=\"UTC\"}}: a time by a strftime format, in the page's zone unless given";
    "ago" 1..1 [], false, "{{ago starts_at}}: how long ago, in words";
    "humanize" 1..1 [], false, "{{humanize 1234567}}: `1.235M`";
    "humanize_1024" 1..1 [], false, "{{humanize_1024 1536}}: `1.5ki`";
    "humanize_percentage" 1..1 [], false, "{{humanize_percentage 0.973}}: `97.3%`";
    "humanize_duration" 1..1 [], false, "{{humanize_duration 3600}}: seconds in words";
    "upper" 1..1 [], false, "{{upper severity}}";
    "lower" 1..1 [], false, "{{lower name}}";
    "default" 2..MANY [], false, "{{default labels.team \"nobody\"}}: the first argument that is not empty";
    "truncate" 2..2 [], false, "{{truncate summary 80}}: at most so many characters";
    "split" 2..2 [], false, "{{#each (split labels.hosts \",\")}}: the parts of a text, without blanks around them and without empty ones; the 1000th is the rest";
    "first" 1..1 [], false, "{{first (split where \":\")}}: of a list or a map";
    "last" 1..1 [], false, "{{last (split name \".\")}}: of a list or a map";
    "sort" 1..1 [], false, "{{join (sort (split labels.hosts \",\"))}}: numbers by size, then everything else by its text";
    "join" 1..2 [], false, "{{join notes \", \"}}: a list, of alerts by title and of links by label; a map as name=value";
    "replace" 3..3 [], false, "{{replace name \"Host\" \"\"}}";
    "regex_replace" 3..3 [], false, "{{regex_replace instance \":[0-9]+$\" \"\"}}: every match; `$1` or `${name}` is a group of it";
    "match" 2..2 [], false, "{{#if (match name \"^Node\")}}: whether a regular expression is found";
    "add" 2..2 [], false, "{{add total 1}}";
    "sub" 2..2 [], false, "{{sub total 1}}: the first less the second";
    "mul" 2..2 [], false, "{{mul values.B 100}}";
    "div" 2..2 [], false, "{{div total 2}}";
    "mod" 2..2 [], false, "{{mod @index 2}}: what a division leaves";
    "round" 1..2 [], false, "{{round values.B 1}}: to so many decimals, 0 unless given";
    "base64_encode" 1..1 [], false, "{{base64_encode name}}";
    "base64_decode" 1..1 [], false, "{{base64_decode labels.note}}: text only";
    "json" 1..1 [], false, "{{{json labels}}}: as JSON";
    "url_encode" 1..1 [], false, "{{url_encode name}}: for a URL's query";
    "severity_color" 1..1 [], false, "{{severity_color severity}}: `#rrggbb`";
    "link" 1..2 [], false, "{{link runbook_url \"Runbook\"}}: a link in the field's dialect; anything but http(s) is shown as text";
    "bold" 1..1 [], false, "{{bold name}}: bold in the field's dialect, with code as `prose` has it";
    "code" 1..1 [], false, "{{code where}}: as code in the field's dialect, so that it can be copied";
    "prose" 1..1 [], false, "{{prose body}}: a text in which back-quoted pieces become code";
    "dim" 1..1 [], false, "{{dim footer}}: small or grey in the field's dialect, on a line of its own";
    "clock" 2..2 ["n"], false, "{{clock starts_at \"since_for\" n=duration}}: a word with a time, in the reader's own zone where the client can";
    "sentence" 1..1 [], false, "{{sentence summary}}: with a full stop, unless it ends with a sign of its own";
    "quote" 1..1 [], false, "{{quote description}}: every line quoted in the field's dialect";
    "if" 1..1 ["includeZero"], true, "{{#if firing}}...{{else}}...{{/if}}";
    "unless" 1..1 ["includeZero"], true, "{{#unless single}}...{{/unless}}";
    "each" 1..1 [], true, "{{#each alerts}}...{{else}}...{{/each}}; inside: @index, @first, @last, @key";
    "with" 1..1 [], true, "{{#with labels}}...{{/with}}";
    "lookup" 2..2 [], false, "{{lookup labels \"my label\"}}";
    "raw" 0..0 [], true, "{{{{raw}}}} text with {{braces}} {{{{/raw}}}}";
    "eq" 2..2 [], true, "{{#if (eq severity \"critical\")}}";
    "ne" 2..2 [], true, "not equal";
    "gt" 2..2 [], true, "greater than";
    "gte" 2..2 [], true, "greater than or equal";
    "lt" 2..2 [], true, "less than";
    "lte" 2..2 [], true, "less than or equal";
    "and" 2..MANY [], true, "all of them";
    "or" 2..MANY [], true, "any of them";
    "not" 1..1 [], true, "the opposite";
    "len" 1..1 [], false, "{{len alerts}}: how many; of a text, its characters";
};

/// The function of this name.
pub fn signature(name: &str) -> Option<&'static Signature> {
    SIGNATURES.iter().find(|signature| signature.name == name)
}

/// The arguments of a call, and the page's root.
pub(super) struct Arguments<'a, 'rc> {
    helper: &'a Helper<'rc>,
    root: &'a Value,
}

impl Arguments<'_, '_> {
    /// An argument; null when absent or missing.
    pub fn value(&self, at: usize) -> &Value {
        self.helper.param(at).map_or(&Value::Null, |param| param.value())
    }

    /// An argument as it would be printed.
    pub fn text(&self, at: usize) -> String {
        self.value(at).render()
    }

    /// How many arguments there are.
    pub fn len(&self) -> usize {
        self.helper.params().len()
    }

    /// A named argument as text.
    pub fn named(&self, name: &str) -> Option<String> {
        self.helper.hash_get(name).map(|value| value.value().render())
    }

    /// All named arguments as text.
    pub fn all_named(&self) -> Vec<(&str, String)> {
        self.helper.hash().iter().map(|(name, value)| (*name, value.value().render())).collect()
    }

    /// A field at the top of the page, as text.
    pub fn root(&self, name: &str) -> &str {
        self.root.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// Returns a value, escaped where it is printed.
struct Returns(fn(&Arguments<'_, '_>) -> Result<Value, String>);

impl HelperDef for Returns {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        let arguments = Arguments { helper, root: context.data() };
        (self.0)(&arguments).map(ScopedJson::Derived).map_err(|reason| failed(helper, &reason))
    }
}

/// Prints markup in a dialect, as it is.
struct Prints(Escape, fn(Escape, &Arguments<'_, '_>) -> String);

impl HelperDef for Prints {
    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        context: &'rc Context,
        render: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let text = (self.1)(self.0, &Arguments { helper, root: context.data() });
        if !text.is_empty() {
            out.write(&text)?;
            render.set_content_produced(true);
            render.set_trailing_newline(false);
            render.set_indent_before_write(false);
        }
        Ok(())
    }
}

fn failed(helper: &Helper<'_>, reason: &str) -> RenderError {
    RenderErrorReason::Other(format!("`{}`: {reason}", helper.name())).into()
}

/// Registers `len`, in place of Handlebars' own, which counts the bytes of a text.
pub fn register_len(registry: &mut Handlebars<'static>) {
    registry.register_helper("len", Box::new(Returns(list::len)));
}

/// Teaches a registry every function, for fields of this dialect.
pub fn register(registry: &mut Handlebars<'static>, dialect: Escape) {
    registry.unregister_helper("log");
    type Give = fn(&Arguments<'_, '_>) -> Result<Value, String>;
    let values: [(&str, Give); 31] = [
        ("t", text::translate),
        ("time", time::time),
        ("ago", time::ago),
        ("humanize", number::humanize),
        ("humanize_1024", number::humanize_1024),
        ("humanize_percentage", number::humanize_percentage),
        ("humanize_duration", number::humanize_duration),
        ("add", number::add),
        ("sub", number::sub),
        ("mul", number::mul),
        ("div", number::div),
        ("mod", number::modulo),
        ("round", number::round),
        ("split", list::split),
        ("first", list::first),
        ("last", list::last),
        ("sort", list::sort),
        ("upper", text::upper),
        ("lower", text::lower),
        ("default", text::default),
        ("truncate", text::truncate),
        ("join", list::join),
        ("replace", text::replace),
        ("regex_replace", text::regex_replace),
        ("base64_encode", text::base64_encode),
        ("base64_decode", text::base64_decode),
        ("match", text::matches),
        ("json", text::json),
        ("url_encode", text::url_encode),
        ("severity_color", text::severity_color),
        ("sentence", text::sentence),
    ];
    for (name, run) in values {
        registry.register_helper(name, Box::new(Returns(run)));
    }
    register_len(registry);
    registry.register_helper("link", Box::new(Prints(dialect, markup::link)));
    registry.register_helper("bold", Box::new(Prints(dialect, markup::bold)));
    registry.register_helper("quote", Box::new(Prints(dialect, markup::quote)));
    registry.register_helper("code", Box::new(Prints(dialect, markup::code)));
    registry.register_helper("prose", Box::new(Prints(dialect, markup::prose)));
    registry.register_helper("dim", Box::new(Prints(dialect, markup::dim)));
    registry.register_helper("clock", Box::new(Prints(dialect, markup::clock)));
}

#[cfg(test)]
mod tests;
