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
    /// Labels that say no more than the place does.
    pub shown: Vec<&'a str>,
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
const OBJECTS: [&str; 8] =
    ["pod", "deployment", "statefulset", "daemonset", "cronjob", "job_name", "horizontalpodautoscaler", "persistentvolumeclaim"];
/// The first of these names the machine.
const MACHINES: [&str; 3] = ["instance", "host", "hostname"];
/// The first of these names the service, when neither an object nor a machine is named.
const SERVICES: [&str; 3] = ["service", "app", "job"];
/// The first of these names what of the machine it is.
const PARTS: [&str; 5] = ["mountpoint", "queue", "topic", "volume", "device"];
/// Labels of the exporter that reports on Kubernetes: they say nothing of the alert.
const EXPORTER: [&str; 4] = ["instance", "job", "service", "container"];

/// Whether an alert is what kube-state-metrics says of something else.
fn is_exporters(alert: &Alert) -> bool {
    alert.label("job").ends_with("kube-state-metrics")
}

/// Reads the place.
pub fn place(alert: &Alert) -> Place<'_> {
    let mut shown: Vec<&str> = Vec::new();
    let mut first = |names: &[&'static str]| names.iter().copied().find(|name| !alert.label(name).is_empty()).inspect(|name| shown.push(*name));
    let namespace = || alert.label("namespace");
    let mut full;
    let mut short = String::new();
    let within = |name: &str| if namespace().is_empty() { name.to_owned() } else { format!("{}/{name}", namespace()) };
    let exporters = is_exporters(alert);
    let mut has_namespace = false;
    if let Some(object) = first(&OBJECTS) {
        full = within(alert.label(object));
        has_namespace = true;
    } else if let Some(node) = first(&["node"]) {
        full = alert.label(node).to_owned();
    } else if let Some(machine) = first(if exporters { &[] } else { &MACHINES }) {
        full = alert.label(machine).to_owned();
        short = short_host(&full, alert.label("job"));
    } else {
        let service = first(if exporters { &[] } else { &SERVICES }).map(|name| alert.label(name)).unwrap_or_default();
        full = if service.is_empty() { namespace().to_owned() } else { within(service) };
        has_namespace = true;
    }
    let kubernetes = shown.iter().any(|name| OBJECTS.contains(name) || *name == "node");
    let first = |names: &[&'static str]| names.iter().copied().find(|name| !alert.label(name).is_empty() && !shown.contains(name));
    let part = first(&PARTS);
    shown.extend(part);
    if part == Some("mountpoint") {
        shown.push("device");
    }
    if has_namespace && !namespace().is_empty() {
        shown.push("namespace");
    }
    if kubernetes {
        shown.push("instance");
    }
    if exporters {
        shown.extend(EXPORTER);
    }
    let part = part.map(|name| alert.label(name).to_owned()).unwrap_or_default();
    if short.is_empty() {
        short.clone_from(&full);
    }
    let host = full.clone();
    if !part.is_empty() {
        full.push_str(if full.is_empty() { "" } else { " · " });
        full.push_str(&part);
    }
    Place { full, short, host, part, shown }
}

/// A machine's name as people say it: an address without scheme and query, a host without its port, a name without its domain.
fn short_host(instance: &str, job: &str) -> String {
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
        assert_eq!(read(&[("job", "api")]).0, "api");
        assert_eq!(read(&[]), both("", ""));
    }
}
