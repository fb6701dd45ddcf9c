//! Where an alert happens, from the labels that say it.

use std::net::IpAddr;

use crate::model::Alert;

/// Where an alert happens; every text is empty when no label says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// As it is copied: `db-1.prod.example.com:9100 · /var/lib/postgresql`, `shop/cart-0`.
    pub full: String,
    /// What a headline names, without port and domain: `db-1`, `shop/cart-0`.
    pub short: String,
    /// The machine or object alone, as it is copied.
    pub host: String,
    /// What of the machine it is: `/var/lib/postgresql`.
    pub part: String,
    /// Labels that say no more than the place does, and those of `scraped`.
    pub shown: Vec<&'a str>,
    /// Labels that say how the alert was measured.
    pub scraped: Vec<&'static str>,
}

impl Place<'_> {
    /// What of it neither a headline nor the summary holds in a form that can be copied.
    pub fn copies(&self, summary: &str) -> Vec<&str> {
        let host = if self.host == self.short { "" } else { self.host.as_str() };
        [host, &self.part].into_iter().filter(|text| !text.is_empty() && !summary.contains(*text)).collect()
    }

    /// Short, with the part of the machine.
    pub fn whole(&self) -> String {
        [self.short.as_str(), &self.part].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" · ")
    }
}

/// The first of these names the Kubernetes object. Beside it, `instance` is only what was scraped.
const OBJECTS: [&str; 9] =
    ["pod", "deployment", "statefulset", "daemonset", "cronjob", "job_name", "horizontalpodautoscaler", "persistentvolumeclaim", "resourcequota"];
/// The first of these names an object that is in no namespace.
const CLUSTER_OBJECTS: [&str; 2] = ["node", "persistentvolume"];
/// The first of these names the machine.
pub const MACHINES: [&str; 3] = ["instance", "host", "hostname"];
/// The first of these names the service, when neither an object nor a machine is named.
const SERVICES: [&str; 3] = ["service", "app", "job"];
/// The first of these names what of the machine it is.
const PARTS: [&str; 5] = ["mountpoint", "queue", "topic", "volume", "device"];
/// Jobs whose `instance` is the machine that they report on.
const OF_MACHINES: [&str; 4] = ["node-exporter", "node_exporter", "windows-exporter", "windows_exporter"];
/// Jobs whose `instance` is the address that they report on, and the port at which it is the exporter itself.
const OF_ADDRESSES: [(&str, &str); 2] = [("blackbox", ":9115"), ("snmp", ":9116")];
/// Labels that a scrape adds. Where the exporter reports on something else, they name the exporter.
static SCRAPED: [&str; 7] = ["node", "namespace", "pod", "container", "service", "job", "instance"];

/// The labels of an alert that name the exporter that reports it: they say nothing of the alert.
fn exporters(alert: &Alert) -> &'static [&'static str] {
    let (job, instance) = (alert.label("job"), alert.label("instance"));
    let has = |name: &&str| !alert.label(name).is_empty();
    let renamed = || alert.labels.keys().filter_map(|name| name.strip_prefix("exported_")).any(|name| name != "namespace");
    let (of_state, object) = (job.ends_with("kube-state-metrics"), OBJECTS[1..].iter().any(has));
    if job.contains("pushgateway") && has(&"exported_job") {
        return &SCRAPED;
    }
    // An application may have namespaces of its own, which say nothing of its pod.
    if has(&"exported_namespace") && (of_state || object || renamed()) {
        return &SCRAPED[1..];
    }
    if of_state {
        // A pod is kube-state-metrics' own where something else is named: what it says of a deployment has no pod.
        return match alert.label("pod").contains("kube-state-metrics") {
            true if object => &SCRAPED[2..],
            true if CLUSTER_OBJECTS.iter().any(has) => &SCRAPED[1..],
            false if names_container(alert) => &SCRAPED[4..],
            _ => &SCRAPED[3..],
        };
    }
    // Outside of Kubernetes, people set these labels to speak of the machine.
    match has(&"pod") && !instance.is_empty() {
        true if OF_MACHINES.iter().any(|name| job.contains(*name)) => &SCRAPED[1..5],
        true if OF_ADDRESSES.iter().any(|(name, port)| job.contains(*name) && !instance.ends_with(*port)) => &SCRAPED[..5],
        _ => &[],
    }
}

/// Whether what kube-state-metrics says of a pod is of one of its containers, and the pod's name does not say which. Its own are called as it is, or as
/// the proxy before it.
fn names_container(alert: &Alert) -> bool {
    let (pod, container) = (alert.label("pod"), alert.label("container"));
    let is_said = pod.strip_prefix(container).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    !pod.is_empty() && !is_said && !container.contains("kube-state-metrics") && !container.starts_with("kube-rbac-proxy")
}

/// Whether a label is what OpenTelemetry calls this one, and Loki and others after it: `k8s.pod.name`, `k8s_pod_name`, `service_name`.
fn is_name_of(label: &str, name: &str) -> bool {
    let bare = label.strip_prefix("k8s").map_or(label, |rest| rest.trim_start_matches(['.', '_']));
    bare.strip_suffix("name").and_then(|bare| bare.strip_suffix(['.', '_'])) == Some(name)
}

/// A label's own name and its value. Where the scrape has a label of the same name, the alert's own is `exported_...`; what only the exporter has is none.
/// An instance that is a random id is none, either.
fn own<'a>(alert: &'a Alert, exporters: &[&str], name: &str) -> Option<(&'a str, &'a str)> {
    let filled = || alert.labels.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.as_str(), value.as_str()));
    let renamed = filled().find(|(label, _)| label.strip_prefix("exported_") == Some(name));
    let named = || filled().find(|(label, _)| *label == name).or_else(|| filled().find(|(label, _)| is_name_of(label, name)));
    let found = renamed.or_else(|| if exporters.contains(&name) { None } else { named() });
    found.filter(|(_, value)| name != "instance" || uuid::Uuid::parse_str(value).is_err())
}

/// What a label names, in its namespace, and that one's label; the namespace alone where nothing is named. What a scrape names is in the scrape's, also where
/// the application has namespaces of its own (`exported_namespace`).
fn within<'a>(alert: &'a Alert, exporters: &[&str], named: Option<(&str, &str)>) -> (String, Option<&'a str>) {
    let of_scrape = named.is_some_and(|(label, _)| SCRAPED.contains(&label));
    let scrapes = Some(("namespace", alert.label("namespace"))).filter(|(_, value)| of_scrape && !value.is_empty());
    let namespace = scrapes.or_else(|| own(alert, exporters, "namespace"));
    let parts = [namespace.map(|(_, value)| value), named.map(|(_, name)| name)];
    (parts.into_iter().flatten().collect::<Vec<_>>().join("/"), namespace.map(|(label, _)| label))
}

/// Reads the place.
pub fn place(alert: &Alert) -> Place<'_> {
    let exporters = exporters(alert);
    let mut shown: Vec<&str> = Vec::new();
    let mut first = |names: &[&str]| {
        let found = names.iter().find_map(|name| own(alert, exporters, name))?;
        shown.push(found.0);
        Some(found)
    };
    let (mut full, mut short, mut namespace, mut kubernetes) = (String::new(), String::new(), None, false);
    if let Some(object) = first(&OBJECTS) {
        (full, namespace) = within(alert, exporters, Some(object));
        kubernetes = true;
    } else if let Some((label, object)) = first(&CLUSTER_OBJECTS) {
        full.push_str(object);
        // Databases have nodes, too.
        kubernetes = label != "node_name";
    } else if let Some((_, machine)) = first(&MACHINES) {
        full.push_str(machine);
        short = short_host(machine, alert.label("job"));
    } else {
        (full, namespace) = within(alert, exporters, first(&SERVICES));
        // Better a random id than nothing.
        if full.is_empty() && !exporters.contains(&"instance") {
            full.push_str(alert.label("instance"));
            shown.push("instance");
        }
    }
    let part = PARTS.into_iter().find(|name| !alert.label(name).is_empty());
    shown.extend(part);
    shown.extend(namespace);
    let mut scraped = exporters.to_vec();
    scraped.extend((part == Some("mountpoint")).then_some("device"));
    scraped.extend(kubernetes.then_some("instance"));
    shown.extend_from_slice(&scraped);
    let part = part.map(|name| alert.label(name).to_owned()).unwrap_or_default();
    if short.is_empty() {
        short.clone_from(&full);
    }
    let host = full.clone();
    if !part.is_empty() {
        full.push_str(if full.is_empty() { "" } else { " · " });
        full.push_str(&part);
    }
    Place { full, short, host, part, shown, scraped }
}

/// A machine's name as people say it: an address without scheme and query, a host without its port, a name without its domain.
pub fn short_host(instance: &str, job: &str) -> String {
    if let Some((_, address)) = instance.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphanumeric())) {
        let address = address.split(['?', '#']).next().unwrap_or_default();
        return address.trim_end_matches('/').to_owned();
    }
    let host = without_port(instance);
    // What is probed is known by its whole name.
    if host.parse::<IpAddr>().is_ok() || job.contains("blackbox") || job.contains("probe") {
        return host.to_owned();
    }
    let labels: Vec<&str> = host.split('.').collect();
    let is_name = |label: &&str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    let notification = labels[0].len() > 1 && labels[0] != "www" && !labels[0].bytes().all(|b| b.is_ascii_digit());
    if labels.len() >= 3 && labels.iter().all(is_name) && notification { labels[0].to_owned() } else { host.to_owned() }
}

fn without_port(instance: &str) -> &str {
    if let Some((host, _)) = instance.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    match instance.split_once(':') {
        Some((host, port)) if !host.is_empty() && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => instance,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(labels: &[(&str, &str)]) -> (String, String) {
        let alert = Alert { labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), ..Alert::default() };
        let place = place(&alert);
        (place.whole(), place.full)
    }

    fn both(short: &str, full: &str) -> (String, String) {
        (short.to_owned(), full.to_owned())
    }

    #[test]
    fn a_machine_is_named_without_port_and_domain_and_with_its_part() {
        for (instance, short) in [
            ("db-1.prod.example.com:9100", "db-1"),
            ("db-1:9100", "db-1"),
            ("10.0.3.17:9100", "10.0.3.17"),
            ("[fe80::1]:9100", "fe80::1"),
            ("fe80::1", "fe80::1"),
            ("example.com:443", "example.com"),
            ("www.example.com", "www.example.com"),
            ("https://shop.example.com/checkout?x=1", "shop.example.com/checkout"),
            ("https://shop.example.com", "shop.example.com"),
            ("数据库-1:9100", "数据库-1"),
            ("<b>web</b>-1 & co", "<b>web</b>-1 & co"),
        ] {
            assert_eq!(read(&[("instance", instance), ("job", "node")]), both(short, instance));
        }
        assert_eq!(read(&[("instance", "shop.example.com:443"), ("job", "blackbox")]).0, "shop.example.com");
        let disk = [("instance", "db-1:9100"), ("mountpoint", "/var"), ("device", "/dev/sda1")];
        assert_eq!(read(&disk), both("db-1 · /var", "db-1:9100 · /var"));
    }

    #[test]
    fn a_kubernetes_object_leads_and_its_exporter_is_not_the_place() {
        let crash = [
            ("namespace", "payments"),
            ("pod", "api-6d8f9c7b5d-2xk9q"),
            ("container", "api"),
            ("instance", "10.42.7.113:8080"),
            ("job", "kube-state-metrics"),
        ];
        assert_eq!(read(&crash), both("payments/api-6d8f9c7b5d-2xk9q", "payments/api-6d8f9c7b5d-2xk9q"));
        assert_eq!(read(&[("namespace", "shop"), ("deployment", "cart")]).0, "shop/cart");
        assert_eq!(read(&[("node", "k8s-3"), ("instance", "10.0.0.9:9100")]).0, "k8s-3");
        assert_eq!(read(&[("namespace", "shop"), ("instance", "10.42.7.113:8080"), ("job", "kube-state-metrics")]).0, "shop");
        assert_eq!(read(&[("namespace", "shop"), ("service", "cart")]).0, "shop/cart");
        assert_eq!(
            read(&[("namespace", "shop"), ("pod", "exporter-0"), ("job", "redis-exporter"), ("instance", "10.42.0.9:9121")]).0,
            "shop/exporter-0"
        );
        assert_eq!(read(&[("job", "api")]).0, "api");
        assert_eq!(read(&[]), both("", ""));
    }

    #[test]
    fn what_opentelemetry_calls_them_is_a_place() {
        const RANDOM: &str = "627cc493-f310-47de-96bd-71410b7dec09";
        for (labels, where_it_is) in [
            (&[("service_name", "cart"), ("k8s_namespace_name", "shop"), ("job", "shop/cart")][..], "shop/cart"),
            (&[("k8s.pod.name", "cart-0"), ("k8s.namespace.name", "shop"), ("host.name", "n1")], "shop/cart-0"),
            (&[("host_name", "db-1.prod.example.com")], "db-1"),
            (&[("k8s_node_name", "worker-3")], "worker-3"),
            (&[("service", "cart"), ("service_name", "other")], "cart"),
            (&[("instance", RANDOM), ("job", "shop/cart")], "shop/cart"),
            (&[("instance", RANDOM)], RANDOM),
            (&[("name", "x"), ("username", "y"), ("k8sname", "z")], ""),
        ] {
            assert_eq!(read(labels).0, where_it_is, "{labels:?}");
        }
        let [node, address] = [("node_name", "es-1"), ("instance", "10.0.0.5:9114")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let of_database = Alert { labels: [node, address].into(), ..Alert::default() };
        let read = place(&of_database);
        assert!(read.short == "es-1" && !read.shown.contains(&"instance"), "its address is listed: {read:?}");
    }

    /// As the charts scrape them: what an exporter in a pod says of something else carries the pod's own labels, too.
    #[test]
    fn the_pod_of_an_exporter_is_not_the_place() {
        let scraped = |job: &'static str, pod: &'static str, own: &[(&'static str, &'static str)]| {
            let target = [("job", job), ("pod", pod), ("namespace", "monitoring"), ("container", "exporter"), ("service", "exporter")];
            let all: Vec<(&str, &str)> = target.into_iter().chain([("instance", "10.42.7.113:8080")]).chain(own.iter().copied()).collect();
            let alert = Alert { labels: all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(), ..Alert::default() };
            let place = place(&alert);
            let listed = alert.labels.keys().filter(|name| !place.shown.contains(&name.as_str())).cloned().collect::<Vec<_>>().join(" ");
            (place.whole(), listed)
        };
        let (state, node) = ("stack-kube-state-metrics-7c8b8bf58c-x4vcd", "stack-prometheus-node-exporter-w7bb7");
        for (job, pod, own, where_it_is, listed) in [
            // The labels of an object are the exporter's words, and win over those of its scrape.
            ("kube-state-metrics", state, &[("deployment", "cart"), ("namespace", "shop")][..], "shop/cart", ""),
            ("kube-state-metrics", state, &[("job_name", "backup-1"), ("namespace", "shop")], "shop/backup-1", ""),
            ("kube-state-metrics", state, &[("node", "worker-3"), ("condition", "Ready")], "worker-3", "condition"),
            ("kube-state-metrics", state, &[("persistentvolume", "pv-1")], "pv-1", ""),
            ("kube-state-metrics", "cart-0", &[("namespace", "shop"), ("container", "kube-state-metrics")], "shop/cart-0", ""),
            ("kube-state-metrics", "cart-0", &[("namespace", "shop"), ("container", "kube-rbac-proxy-main")], "shop/cart-0", ""),
            // Which container it is, unless the pod is called as it is.
            ("kube-state-metrics", "cart-0", &[("namespace", "shop"), ("container", "sidecar")], "shop/cart-0", "container"),
            ("kube-state-metrics", "cart-0", &[("namespace", "shop"), ("container", "cart")], "shop/cart-0", ""),
            ("kube-state-metrics", state, &[], "monitoring/stack-kube-state-metrics-7c8b8bf58c-x4vcd", ""),
            // Without `honor_labels`.
            ("kube-state-metrics", state, &[("exported_namespace", "shop"), ("exported_pod", "cart-0")], "shop/cart-0", ""),
            ("kube-state-metrics", state, &[("exported_namespace", "shop"), ("deployment", "cart")], "shop/cart", ""),
            ("ingress", "controller-0", &[("exported_namespace", "shop"), ("exported_service", "cart")], "shop/cart", ""),
            // An application's own namespaces.
            (
                "temporal",
                "temporal-0",
                &[("namespace", "infra"), ("exported_namespace", "orders")],
                "infra/temporal-0",
                "container exported_namespace job service",
            ),
            ("pushgateway", "push-0", &[("exported_job", "nightly-backup")], "nightly-backup", ""),
            ("pushgateway", "push-0", &[("exported_job", "backup"), ("exported_instance", "db-1")], "db-1", "exported_job"),
            // A machine's, and an address's.
            ("node-exporter", node, &[("instance", "10.0.0.33:9100"), ("mountpoint", "/mnt")], "10.0.0.33 · /mnt", "job"),
            ("node-exporter", node, &[("instance", "10.0.0.33:9100"), ("node", "worker-3")], "worker-3", "job"),
            ("blackbox-exporter", "probe-0", &[("instance", "https://shop.example.com"), ("node", "worker-3")], "shop.example.com", "job"),
            ("snmp-exporter", "snmp-0", &[("instance", "10.42.7.9:9116")], "monitoring/snmp-0", "container job service"),
            // Any other speaks of its own pod.
            ("redis", "redis-0", &[("namespace", "shop")], "shop/redis-0", "container job service"),
        ] {
            assert_eq!(scraped(job, pod, own), (where_it_is.to_owned(), listed.to_owned()), "{job} {own:?}");
        }
    }
}
