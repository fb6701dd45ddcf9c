//! Conditions of queries that are put together.

use rusqlite::types::Value;

/// Conditions of a query that is put together, with their values.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) texts: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Conditions {
    /// Adds a condition in which each `?` is the value.
    pub(super) fn add(&mut self, condition: &str, value: impl Into<Value>) {
        let place = self.bind(value);
        self.texts.push(condition.replace('?', &place));
    }

    /// The same for a pattern that finds this text anywhere.
    pub(super) fn add_text(&mut self, condition: &str, text: &str) {
        let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        self.add(condition, format!("%{escaped}%"));
    }

    /// The place of a value in the query.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("?{}", self.values.len())
    }

    /// All of them, as SQL.
    pub(super) fn sql(&self) -> String {
        if self.texts.is_empty() { "true".to_owned() } else { self.texts.join(" AND ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_its_place_and_a_text_is_no_pattern() {
        let mut only = Conditions::default();
        assert_eq!(only.sql(), "true");
        only.add("a < ?", 5);
        only.add_text("(b LIKE ? OR c LIKE ?)", "50%_\\");
        assert_eq!(only.bind(9), "?3");
        assert_eq!(only.sql(), "a < ?1 AND (b LIKE ?2 OR c LIKE ?2)");
        assert_eq!(only.values, [Value::Integer(5), Value::Text("%50\\%\\_\\\\%".into()), Value::Integer(9)]);
    }
}
