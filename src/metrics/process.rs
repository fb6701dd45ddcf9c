//! Process metrics, under the names that Prometheus' own libraries use
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). Read from `/proc` when somebody asks; elsewhere they are 0.

use std::fs::{read_dir, read_to_string};
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Ticks a second in `/proc/*/stat`: 100 on every architecture that Linux runs on but Alpha (`USER_HZ`, <https://man7.org/linux/man-pages/man7/time.7.html>).
const TICKS: f64 = 100.0;
/// Bytes a page, for `/proc/self/statm`, where `AT_PAGESZ` cannot be read.
const PAGE: u64 = 4096;

/// The process.
pub(super) struct Process {
    registry: Registry,
    cpu: Counter<f64, AtomicU64>,
    start: Gauge<f64, AtomicU64>,
    resident: Gauge,
    size: Gauge,
    open: Gauge,
    max_fds: Gauge,
    max_size: Gauge,
    threads: Gauge,
}

impl Process {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("process");
        let (cpu, start) = (Counter::default(), Gauge::default());
        let (resident, size, open, max_fds, max_size, threads) =
            (Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default());
        registry.register_with_unit("cpu", "Total user and system CPU time spent", Unit::Seconds, cpu.clone());
        registry.register_with_unit("start_time", "Start time of the process, Unix time", Unit::Seconds, start.clone());
        registry.register_with_unit("resident_memory", "Resident memory", Unit::Bytes, resident.clone());
        registry.register_with_unit("virtual_memory", "Virtual memory", Unit::Bytes, size.clone());
        registry.register_with_unit("virtual_memory_max", "Address space that may be used; -1 without a limit", Unit::Bytes, max_size.clone());
        registry.register("open_fds", "Open file descriptors", open.clone());
        registry.register("max_fds", "Maximum number of open file descriptors", max_fds.clone());
        registry.register("threads", "Number of OS threads", threads.clone());
        Self { registry, cpu, start, resident, size, open, max_fds, max_size, threads }
    }

    /// The process as it is now.
    pub(super) fn collect(&self) -> &Registry {
        let set = |gauge: &Gauge, value: Option<u64>| gauge.set(value.and_then(|value| i64::try_from(value).ok()).unwrap_or(0));
        // The second field, the program's name, may hold spaces and parentheses.
        let stat = read_to_string("/proc/self/stat").unwrap_or_default();
        let fields: Vec<f64> =
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0.0)).collect();
        // Numbered as in proc(5) less the three before: utime 14, stime 15, num_threads 20, starttime 22.
        let field = |number: usize| fields.get(number - 4).copied().unwrap_or(0.0);
        self.cpu.inner().store(((field(14) + field(15)) / TICKS).to_bits(), Ordering::Relaxed);
        let boot = read_to_string("/proc/stat").unwrap_or_default();
        let boot = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok()).unwrap_or(0.0);
        self.start.set(boot + field(22) / TICKS);
        set(&self.threads, Some(field(20) as u64));
        let page = page_size();
        let statm = read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = |at: usize| statm.split_whitespace().nth(at).and_then(|number| number.parse::<u64>().ok()).map(|number| number * page);
        set(&self.size, pages(0));
        set(&self.resident, pages(1));
        // The folder's own handle is among them.
        set(&self.open, read_dir("/proc/self/fd").ok().map(|files| files.count().saturating_sub(1) as u64));
        let limits = read_to_string("/proc/self/limits").unwrap_or_default();
        let limit = |name: &str| limits.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
        set(&self.max_fds, limit("Max open files").and_then(|most| most.parse().ok()));
        // `unlimited` is no number.
        self.max_size.set(limit("Max address space").map_or(0, |most| most.parse().unwrap_or(-1)));
        &self.registry
    }
}

/// Bytes a page, from the auxiliary vector (`AT_PAGESZ` is 6, <https://man7.org/linux/man-pages/man3/getauxval.3.html>).
fn page_size() -> u64 {
    let vector = std::fs::read("/proc/self/auxv").unwrap_or_default();
    let mut pairs = vector
        .chunks_exact(16)
        .filter_map(|pair| Some((u64::from_ne_bytes(pair[..8].try_into().ok()?), u64::from_ne_bytes(pair[8..].try_into().ok()?))));
    pairs.find_map(|(kind, value)| (kind == 6).then_some(value)).unwrap_or(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_is_told_as_the_kernel_knows_it() {
        let process = Process::new();
        process.collect();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(process.start.get() > 0.0 && process.start.get() <= now + 1.0, "{}", process.start.get());
        assert!(now - process.start.get() < 86_400.0, "a test does not run for days");
        assert!(process.resident.get() > 1 << 20 && process.size.get() >= process.resident.get());
        assert!(process.open.get() >= 3 && process.max_fds.get() >= process.open.get() && process.threads.get() >= 1);
        assert!(process.max_size.get() == -1 || process.max_size.get() > process.size.get());
        let before = process.cpu.get();
        let mut sum = 0u64;
        while process.cpu.get() == before {
            sum = (0..1_000_000).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_add(n)));
            process.collect();
        }
        assert!(process.cpu.get() > before);
    }
}
