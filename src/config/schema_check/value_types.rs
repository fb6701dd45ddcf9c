//! Which kinds of value a schema accepts.

/// Which kinds of value are accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ValueTypes {
    pub null: bool,
    pub truth: bool,
    pub integer: bool,
    pub number: bool,
    pub text: bool,
    pub list: bool,
    pub map: bool,
}

impl ValueTypes {
    /// The kind that JSON Schema calls so.
    pub fn named(name: &str) -> Self {
        let none = Self::default();
        match name {
            "null" => Self { null: true, ..none },
            "boolean" => Self { truth: true, ..none },
            "integer" => Self { integer: true, ..none },
            "number" => Self { number: true, ..none },
            "string" => Self { text: true, ..none },
            "array" => Self { list: true, ..none },
            "object" => Self { map: true, ..none },
            _ => none,
        }
    }

    /// What either accepts.
    pub fn or(self, other: Self) -> Self {
        Self {
            null: self.null || other.null,
            truth: self.truth || other.truth,
            integer: self.integer || other.integer,
            number: self.number || other.number,
            text: self.text || other.text,
            list: self.list || other.list,
            map: self.map || other.map,
        }
    }

    /// In words: "a text or a list". That something may be left out is not said.
    pub fn words(self) -> String {
        let mut words = Vec::new();
        for (accepted, word) in [
            (self.text, "a text"),
            (self.integer && !self.number, "a whole number"),
            (self.number, "a number"),
            (self.truth, "`true` or `false`"),
            (self.list, "a list"),
            (self.map, "a mapping"),
        ] {
            if accepted {
                words.push(word);
            }
        }
        match words.split_last() {
            None => "nothing".into(),
            Some((last, [])) => (*last).into(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        }
    }
}
