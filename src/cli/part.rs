//! Which part of a list a command shows, and the query that asks the API for it.

use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A part of a list, newest first.
#[derive(Debug, Clone, Default, Args)]
pub struct Part {
    /// Only those of this time or later: how long ago (`1h`), RFC 3339, or Unix milliseconds.
    #[arg(long)]
    pub since: Option<String>,
    /// Only those before this time, written as for --since.
    #[arg(long)]
    pub until: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 50)]
    pub limit: usize,
    /// Continue after this one, which the previous page ended with.
    #[arg(long)]
    pub cursor: Option<String>,
}

impl Part {
    /// The query for this part of what the filters leave; one without a value filters nothing.
    pub fn query(&self, filters: &[(&str, Option<&str>)]) -> String {
        let own = [("since", self.since.as_deref()), ("until", self.until.as_deref()), ("cursor", self.cursor.as_deref())];
        let mut query = format!("limit={}", self.limit);
        for (name, value) in filters.iter().copied().chain(own) {
            if let Some(value) = value {
                query.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            }
        }
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_is_not_in_the_query() {
        let part = Part { since: Some("1h".into()), limit: 50, ..Part::default() };
        assert_eq!(part.query(&[("text", Some("a&b")), ("person", None)]), "limit=50&text=a%26b&since=1h");
        let next = Part { until: Some("2h".into()), cursor: Some("7".into()), limit: 5, since: None };
        assert_eq!(next.query(&[]), "limit=5&until=2h&cursor=7");
    }
}
