//! Routing: labels to targets, with Alertmanager's semantics and an explanation.
//!
//! Knows names of channels and templates only as text.
