//! Routing: labels to targets, with Alertmanager's semantics and an explanation.
//!
//! Knows names of channels and templates only as text. No I/O and no clock: the moment is an argument.

pub mod interval;
pub mod matcher;
pub mod mute;
pub mod re2;
pub mod tree;

pub use interval::{Intervals, TimeInterval, TimeIntervalConfig};
pub use matcher::{Matcher, MatcherError, Op, lint_matcher_list};
pub use mute::{Mute, MuteTime};
pub use tree::{ByLabel, Destinations, Explanation, Muted, Node, RouteProblem, RouteSpec, RouteTarget, Routed, Router, Tree};
