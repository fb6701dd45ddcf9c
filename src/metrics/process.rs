//! What every exporter tells of its process, under the names that Prometheus' own libraries use
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>). Read from `/proc` when somebody asks; elsewhere they stand at 0.

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
    most: Gauge,
    threads: Gauge,
}

impl Process {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("process");
        let (cpu, start) = (Counter::default(), Gauge::default());
        let (resident, size, open, most, threads) = (Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default(), Gauge::default());
        registry.register_with_unit("cpu", "Time of the processors spent, by this program and the kernel for it", Unit::Seconds, cpu.clone());
        registry.register_with_unit("start_time", "When the process began, in Unix time", Unit::Seconds, start.clone());
        registry.register_with_unit("resident_memory", "Memory in use", Unit::Bytes, resident.clone());
        registry.register_with_unit("virtual_memory", "Address space in use", Unit::Bytes, size.clone());
        registry.register("open_fds", "Files and sockets that are open", open.clone());
        registry.register("max_fds", "Files and sockets that may be open", most.clone());
        registry.register("threads", "Threads", threads.clone());
        Self { registry, cpu, start, resident, size, open, most, threads }
    }

    /// The process as it is now.
    pub(super) fn look(&self) -> &Registry {
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
        set(&self.most, limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok()));
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
        process.look();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(process.start.get() > 0.0 && process.start.get() <= now + 1.0, "{}", process.start.get());
        assert!(now - process.start.get() < 86_400.0, "a test does not run for days");
        assert!(process.resident.get() > 1 << 20 && process.size.get() >= process.resident.get());
        assert!(process.open.get() >= 3 && process.most.get() >= process.open.get() && process.threads.get() >= 1);
        let before = process.cpu.get();
        let mut sum = 0u64;
        while process.cpu.get() == before {
            sum = (0..1_000_000).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_add(n)));
            process.look();
        }
        assert!(process.cpu.get() > before);
    }
}
