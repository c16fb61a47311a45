//! `process_*` and `node_cpu_seconds_total`: what the kernel tells of this process and of the machine.
//!
//! Names and mode values are those of the Prometheus client libraries and of node_exporter, so existing dashboards work.
//! Fails by absence: what `/proc` does not tell has no series.

use std::fmt;

use procfs::{
    CurrentSI as _, KernelStats, WithCurrentSystemInfo as _,
    process::{LimitValue, Process},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

/// What exposes the metrics of this process and of the machine.
#[must_use]
pub fn collector() -> Box<dyn Collector> {
    Box::new(Host)
}

#[derive(Debug)]
struct Host;

impl Collector for Host {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let ticks_per_second = procfs::ticks_per_second() as f64;
        if let Ok(process) = Process::myself() {
            encode_process(&process, ticks_per_second, &mut encoder)?;
        }
        if let Ok(kernel) = KernelStats::current() {
            encode_cpus(&kernel, ticks_per_second, &mut encoder)?;
        }
        Ok(())
    }
}

fn encode_process(
    process: &Process,
    ticks_per_second: f64,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    if let Ok(stat) = process.stat() {
        let cpu_seconds = (stat.utime + stat.stime) as f64 / ticks_per_second;
        let cpu_help = "User and system CPU time of this process.";
        let cpu = encoder.encode_descriptor("process_cpu_seconds", cpu_help, None, MetricType::Counter)?;
        ConstCounter::new(cpu_seconds).encode(cpu)?;

        let resident_bytes = stat.rss_bytes().get() as f64;
        gauge(encoder, "process_resident_memory_bytes", "Memory held in RAM.", resident_bytes)?;
        gauge(encoder, "process_virtual_memory_bytes", "Memory mapped.", stat.vsize as f64)?;
        gauge(encoder, "process_threads", "Threads of this process.", stat.num_threads as f64)?;
        if let Ok(boot_seconds) = procfs::boot_time_secs() {
            let start_seconds = boot_seconds as f64 + stat.starttime as f64 / ticks_per_second;
            let help = "When this process began, in seconds since the Unix epoch.";
            gauge(encoder, "process_start_time_seconds", help, start_seconds)?;
        }
    }
    if let Ok(open_fds) = process.fd_count() {
        gauge(encoder, "process_open_fds", "Open file descriptors.", open_fds as f64)?;
    }
    if let Ok(limits) = process.limits()
        && let LimitValue::Value(max_fds) = limits.max_open_files.soft_limit
    {
        gauge(encoder, "process_max_fds", "File descriptors that may be open.", max_fds as f64)?;
    }
    Ok(())
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: f64) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

fn encode_cpus(
    kernel: &KernelStats,
    ticks_per_second: f64,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let help = "Time each CPU of this machine spent in each mode.";
    let mut seconds = encoder.encode_descriptor("node_cpu_seconds", help, None, MetricType::Counter)?;
    for (cpu, time) in kernel.cpu_time.iter().enumerate() {
        let cpu = cpu.to_string();
        let modes = [
            ("user", Some(time.user)),
            ("nice", Some(time.nice)),
            ("system", Some(time.system)),
            ("idle", Some(time.idle)),
            ("iowait", time.iowait),
            ("irq", time.irq),
            ("softirq", time.softirq),
            ("steal", time.steal),
        ];
        for (mode, ticks) in modes.into_iter().filter_map(|(mode, ticks)| Some((mode, ticks?))) {
            let labels = [("cpu", cpu.as_str()), ("mode", mode)];
            ConstCounter::new(ticks as f64 / ticks_per_second).encode(seconds.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{exposition::Exposition, registry::Registry};

    #[test]
    fn this_process_and_its_machine_are_exposed() {
        let exposition = Exposition::parse(&Registry::new().encode());
        for name in [
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_start_time_seconds",
            "process_threads",
        ] {
            assert!(exposition.value(name, &[]).is_some_and(|value| value > 0.0), "{name}");
        }
        assert!(exposition.value("process_cpu_seconds_total", &[]).is_some());
        for mode in ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"] {
            let seconds = exposition.value("node_cpu_seconds_total", &[("cpu", "0"), ("mode", mode)]);
            assert!(seconds.is_some_and(f64::is_finite), "{mode}");
        }
    }
}
