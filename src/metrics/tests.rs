//! What `/metrics` shows.

use super::*;

/// The first dead delivery would raise no alert: `increase()` over a series that begins with it is 0.
#[test]
fn counters_that_alerts_watch_begin_at_zero() {
    let metrics = Metrics::new();
    metrics.channel("slack", "ops");
    metrics.delivered("slack", "ops", "dead", 1);
    metrics.channel("slack", "ops");
    let text = metrics.write(Format::OpenMetrics);
    for line in [
        "watchfire_deliveries_total{platform=\"slack\",channel=\"ops\",outcome=\"dead\"} 1",
        "watchfire_deliveries_total{platform=\"slack\",channel=\"ops\",outcome=\"unknown\"} 0",
        "watchfire_template_failures_total{platform=\"slack\",channel=\"ops\"} 0",
        "watchfire_received_total{sender=\"any\",outcome=\"unauthorized\"} 0",
        "watchfire_received_total{sender=\"any\",outcome=\"unavailable\"} 0",
        "watchfire_store_errors_total 0",
        "watchfire_unrouted_events_total{sender=\"alertmanager\"} 0",
        "watchfire_unrouted_events_total{sender=\"grafana_legacy\"} 0",
        "watchfire_unrouted_events_total{sender=\"alerts\"} 0",
        "watchfire_unrouted_events_total{sender=\"generic\"} 0",
        "watchfire_unrouted_events_total{sender=\"direct\"} 0",
    ] {
        assert!(text.lines().any(|has| has == line), "{line}\n{text}");
    }
}

#[test]
fn the_text_is_open_metrics() {
    let metrics = Metrics::new();
    metrics.received("alertmanager", "accepted");
    metrics.delivered("slack", "ops", "sent", 2);
    let text = metrics.write(Format::OpenMetrics);
    assert!(text.contains("watchfire_received_total{sender=\"alertmanager\",outcome=\"accepted\"} 1"), "{text}");
    assert!(text.contains("watchfire_deliveries_total{platform=\"slack\",channel=\"ops\",outcome=\"sent\"} 2"));
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn how_long_it_takes_until_people_are_notified_is_measured_by_severity() {
    let metrics = Metrics::new();
    metrics.first_notified("slack", "critical", Duration::from_secs(1));
    metrics.first_notified("slack", "critical", Duration::from_secs(200_000));
    metrics.first_notified("email", "info", Duration::from_millis(10));
    let text = metrics.write(Format::OpenMetrics);
    let name = "watchfire_first_notification_duration_seconds";
    for line in [
        format!("{name}_count{{platform=\"slack\",severity=\"critical\"}} 2"),
        format!("{name}_count{{platform=\"email\",severity=\"info\"}} 1"),
        format!("{name}_bucket{{le=\"0.05\",platform=\"email\",severity=\"info\"}} 1"),
        format!("{name}_bucket{{le=\"+Inf\",platform=\"slack\",severity=\"critical\"}} 2"),
    ] {
        assert!(text.lines().any(|has| has == line), "{line}\n{text}");
    }
}

#[test]
fn counters_begin_at_nothing_and_what_is_gone_stands_for_nothing() {
    let metrics = Metrics::new();
    assert!(metrics.write(Format::OpenMetrics).contains("watchfire_received_total{sender=\"any\",outcome=\"unauthorized\"} 0"));
    metrics.know([("slack", "ops"), ("log", "old")].into_iter(), ["Watchdog"].into_iter());
    assert!(
        metrics.write(Format::OpenMetrics).contains("watchfire_deliveries_total{platform=\"slack\",channel=\"ops\",outcome=\"dead\"} 0"),
        "{}",
        metrics.write(Format::OpenMetrics)
    );
    metrics.delivered("log", "old", "dead", 1);
    metrics.outlet("old", Duration::ZERO, true);
    metrics.queue("old", "waiting", 7);
    metrics.oldest("old", Duration::from_secs(7));
    metrics.heartbeat("Watchdog", 900, true);
    metrics.know([("slack", "ops")].into_iter(), std::iter::empty());
    let text = metrics.write(Format::OpenMetrics);
    assert!(!text.contains("channel_suspended{channel=\"old\"}") && !text.contains("queue_deliveries{channel=\"old\""), "{text}");
    assert!(!text.contains("heartbeat=\"Watchdog\"") && !text.contains("queue_oldest_age_seconds{channel=\"old\"}"), "{text}");
    assert!(text.contains("channel=\"old\",outcome=\"dead\"} 1"), "what happened has happened: {text}");
}
