//! What an address of History asks for. A value that cannot be used is refused, and so is a name that the list does not know: nothing is left out silently.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::failure::Failure;
use super::super::form::Fields;
use super::super::manner::Manner;
use crate::http::search::Span;
use crate::store::GroupLabel;

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    Deliveries,
    Incidents,
    Received,
    Nowhere,
}

impl View {
    pub(super) const ALL: [View; 4] = [View::Deliveries, View::Incidents, View::Received, View::Nowhere];

    /// Its name in the address.
    pub(super) fn name(self) -> &'static str {
        match self {
            View::Deliveries => "",
            View::Incidents => "incidents",
            View::Received => "received",
            View::Nowhere => "nowhere",
        }
    }

    /// The filters that narrow it.
    pub(super) fn filters(self) -> &'static [&'static str] {
        match self {
            View::Deliveries => &["q", "label", "by", "state", "channel", "event", "since", "until"],
            View::Incidents => &["q", "label", "by", "state", "channel", "since", "until"],
            View::Received => &["source", "channel", "since", "until"],
            View::Nowhere => &["source", "since", "until"],
        }
    }
}

/// An address that can be used.
pub(super) struct Asked {
    pub(super) view: View,
    fields: Fields,
    pub(super) span: Span,
}

impl Asked {
    /// Reads a query.
    pub(super) fn read(manner: &Manner, query: &str) -> Result<Self, Failure> {
        let fields = Fields::read(query);
        let view = View::ALL.into_iter().find(|view| view.name() == fields.get("view"));
        let view = view.ok_or_else(|| Failure::bad("`view` is incidents, received or nowhere; without it deliveries are listed"))?;
        let known = view.filters();
        for name in fields.names() {
            let short: String = name.chars().take(60).collect();
            if !known.contains(&name) && !["view", "cursor"].contains(&name) {
                return Err(Failure::bad(format!("`{short}` does not narrow this list; it takes: {}", known.join(", "))));
            }
            if name != "state" && fields.all(name).count() > 1 {
                return Err(Failure::bad(format!("`{short}` is there more than once; only `state` may be")));
            }
        }
        let span = Span::read(manner, &fields)?;
        Ok(Self { view, fields, span })
    }

    /// A filter; empty when it is not set.
    pub(super) fn get(&self, name: &str) -> &str {
        self.fields.get(name)
    }

    /// The same where it is set.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.get(name).to_owned()).filter(|text| !text.is_empty())
    }

    /// The label of a group.
    pub(super) fn label(&self) -> Result<Option<GroupLabel>, Failure> {
        let read = |text: String| GroupLabel::parse(&text).ok_or_else(|| Failure::bad("`label` is NAME=VALUE, as team=db"));
        self.text("label").map(read).transpose()
    }

    /// The names of the states, as written: `state=sent,dead`, or several times.
    pub(super) fn states(&self) -> impl Iterator<Item = &str> {
        self.fields.all("state").flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty())
    }

    /// The states of those names.
    pub(super) fn states_of<S: Copy + PartialEq>(&self, all: &[S], named: impl Fn(S) -> &'static str) -> Result<Vec<S>, Failure> {
        let mut found = Vec::new();
        for name in self.states() {
            let Some(state) = all.iter().copied().find(|state| named(*state) == name) else {
                let known: Vec<&str> = all.iter().map(|state| named(*state)).collect();
                return Err(Failure::bad(format!("`state` is one or more of {}, separated by commas", known.join(", "))));
            };
            if !found.contains(&state) {
                found.push(state);
            }
        }
        Ok(found)
    }

    /// The cursor, of this kind.
    pub(super) fn cursor<I: std::str::FromStr>(&self, kind: &str) -> Result<Option<I>, Failure> {
        self.text("cursor").map(|text| text.parse().map_err(|_| Failure::bad(format!("`cursor` is {kind}")))).transpose()
    }

    /// What a filter says, in one text; empty when it is not set.
    pub(super) fn value(&self, name: &str) -> String {
        if name == "state" { self.states().collect::<Vec<_>>().join(",") } else { self.get(name).to_owned() }
    }

    /// The address of this list without one of its filters.
    pub(super) fn without(&self, left_out: &str) -> String {
        let kept = self.view.filters().iter().filter(|name| **name != left_out).map(|name| (*name, self.value(name)));
        let all = std::iter::once(("view", self.view.name().to_owned())).chain(kept).filter(|(_, value)| !value.is_empty());
        let query: Vec<String> = all.map(|(name, value)| format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC))).collect();
        format!("/ui/history?{}", query.join("&"))
    }

    /// The address of the newest page, when this is another one.
    pub(super) fn newest(&self) -> Option<String> {
        (!self.get("cursor").is_empty()).then(|| self.without(""))
    }

    /// The address of the page after a cursor.
    pub(super) fn after(&self, cursor: &impl std::fmt::Display) -> String {
        format!("{}&cursor={cursor}", self.without(""))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::model::{Language, UnixMs};
    use crate::store::State;

    fn read(query: &str) -> Result<Asked, String> {
        let (now, zone) = ("2026-11-29T21:00:00Z".parse().unwrap(), TimeZone::get("Asia/Shanghai").unwrap());
        let manner = Manner { language: Language::En, theme: None, fragment: false, here: "/ui".into(), now, zone };
        Asked::read(&manner, query).map_err(|failure| match failure {
            Failure::Answer(_, why) => why,
            Failure::Login => "a login".into(),
        })
    }

    #[test]
    fn a_time_is_written_in_any_of_four_ways() {
        let since = |text: &str| read(&format!("since={text}")).map(|asked| asked.span.since.unwrap().timestamp().to_string());
        let at = Ok("2026-11-27T19:12:00Z".to_owned());
        for text in [
            "2026-11-27T19:12:00Z",
            "2026-11-28T03:12:00%2B08:00",
            "2026-11-28T03:12:00+08:00",
            "1795806720000",
            "2026-11-28T03:12",
            "2026-11-28+03:12",
        ] {
            assert_eq!(since(text), at, "{text}");
        }
        assert_eq!(since("2h"), Ok("2026-11-29T19:00:00Z".to_owned()));
        assert_eq!(since("2026-11-28"), Ok("2026-11-27T16:00:00Z".to_owned()), "a day begins in the zone of the page");
        for text in ["yesterday", "-5", "99999999999999999", "2026-13-01", "1e3"] {
            let why = since(text).unwrap_err();
            assert!(why.contains("`since` takes a time as") && why.ends_with(&format!("not `{text}`")), "{text}: {why}");
        }
        assert!(read("since=1h&until=2h").err().unwrap().contains("`since` is not before `until`"));
        assert_eq!(read("until=1h").unwrap().span, Span { since: None, until: Some(UnixMs(1_795_982_400_000)) });
    }

    #[test]
    fn what_does_not_narrow_the_list_is_said() {
        for (query, why) in [
            ("colour=red", "`colour` does not narrow this list; it takes: q, label, by, state, channel, event, since, until"),
            ("view=received&q=x", "`q` does not narrow this list; it takes: source, channel, since, until"),
            ("view=nothing", "`view` is incidents, received or nowhere"),
            ("q=a&q=b", "`q` is there more than once"),
        ] {
            let said = read(query).err().unwrap_or_else(|| panic!("{query} is refused"));
            assert!(said.contains(why), "{query}: {said}");
        }
        assert!(read("q=&label=&colour=").is_ok(), "an empty field of a form asks for nothing");
    }

    #[test]
    fn several_states_are_one_field_or_several() {
        let states = |query: &str| read(query).unwrap().states_of(&State::ALL, State::as_str);
        for query in ["state=sent,dead", "state=sent&state=dead", "state=sent,+dead,sent"] {
            assert_eq!(states(query).ok().unwrap(), [State::Sent, State::Dead], "{query}");
        }
        let Err(Failure::Answer(_, why)) = states("state=sent,x") else { panic!("x is no state") };
        assert!(why.starts_with("`state` is one or more of waiting, deferred, sent, dead,"), "{why}");
        let asked = read("view=incidents&state=acked&state=stale&q=a+b&since=1h&cursor=7").unwrap();
        assert_eq!(asked.without(""), "/ui/history?view=incidents&q=a%20b&state=acked%2Cstale&since=1h");
        assert_eq!(asked.after(&5), format!("{}&cursor=5", asked.without("")));
        assert_eq!(asked.without("state"), "/ui/history?view=incidents&q=a%20b&since=1h");
        assert_eq!(asked.newest(), Some(asked.without("")));
    }
}
