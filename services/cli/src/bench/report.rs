//! What a benchmark tells.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use super::Name;
use super::load::Measured;
use super::work::Shape;
use super::yardstick::Best;
use crate::endpoints::Service;
use crate::output::{self, Output, RED};

/// The answer of `pesan bench`.
#[derive(Debug, Serialize)]
pub struct Report {
    name: &'static str,
    seconds: f64,
    concurrency: u32,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    errors: u64,
    yardstick: Option<Best>,
    ratio: Option<f64>,
    done: u64,
    calls: u64,
    skus: u32,
    lines: u32,
    batch: u32,
    /// Resident memory in bytes, by service; "suite" where all run in one process.
    memory: BTreeMap<String, u64>,
    first_error: Option<String>,
}

impl Report {
    pub fn new(
        name: Name,
        concurrency: u32,
        shape: Shape,
        measured: &Measured,
        yardstick: Option<Best>,
        memory: BTreeMap<String, u64>,
    ) -> Self {
        let per_second = measured.per_second();
        let ratio = yardstick.as_ref().filter(|best| best.per_second > 0.0).map(|best| per_second / best.per_second);
        Self {
            name: name.text(),
            seconds: rounded(measured.elapsed.as_secs_f64()),
            concurrency,
            per_second: rounded(per_second),
            p50_ms: milliseconds(measured, 0.5),
            p99_ms: milliseconds(measured, 0.99),
            errors: measured.errors,
            yardstick,
            ratio: ratio.map(rounded),
            done: measured.done,
            calls: measured.calls,
            skus: shape.skus,
            lines: if name == Name::Reserve { 1 } else { shape.lines },
            batch: shape.batch,
            memory,
            first_error: measured.first_error.clone(),
        }
    }

    pub fn print(&self, output: Output) -> Result<()> {
        if output == Output::Json {
            return output::json_line(self);
        }
        let mut rows = vec![
            ("per second".to_owned(), format!("{:.0}", self.per_second)),
            ("p50".to_owned(), format!("{:.2} ms", self.p50_ms)),
            ("p99".to_owned(), format!("{:.2} ms", self.p99_ms)),
            ("done".to_owned(), format!("{} in {:.1} s by {} callers", self.done, self.seconds, self.concurrency)),
            ("errors".to_owned(), self.errors.to_string()),
        ];
        if let (Some(best), Some(ratio)) = (&self.yardstick, self.ratio) {
            rows.push((
                format!("yardstick {}", best.name),
                format!("{:.0} per second: ratio {ratio:.2}", best.per_second),
            ));
        }
        for (name, bytes) in &self.memory {
            rows.push((format!("memory of {name}"), format!("{} MiB", bytes / (1 << 20))));
        }
        output::rows(&[self.name, ""], rows.into_iter().map(|(name, figure)| vec![name, figure]));
        match &self.first_error {
            Some(error) => output::line(&output::coloured(&format!("the first error: {error}"), RED)),
            None => Ok(()),
        }
    }
}

fn milliseconds(measured: &Measured, quantile: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds of a call are far below 2^52")]
    let micros = measured.latencies.value_at_quantile(quantile) as f64;
    rounded(micros / 1000.0)
}

fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// What the services occupy, if the suite of this data folder runs on this machine.
pub fn memory(data: &Path) -> BTreeMap<String, u64> {
    let read = |service: Service| {
        let pid = fs::read_to_string(data.join("run").join(format!("{}.pid", service.name()))).ok()?;
        let pid: u32 = pid.trim().parse().ok()?;
        Some((service.name().to_owned(), pid, resident(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)?))
    };
    let found: Vec<_> = Service::ALL.into_iter().filter_map(read).collect();
    match found.as_slice() {
        [(_, pid, bytes), rest @ ..] if !rest.is_empty() && rest.iter().all(|(_, other, _)| other == pid) => {
            BTreeMap::from([("suite".to_owned(), *bytes)])
        }
        _ => found.into_iter().map(|(name, _, bytes)| (name, bytes)).collect(),
    }
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;
    use std::time::Duration;

    fn measured() -> Measured {
        let mut latencies = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        latencies.record_n(500, 98).unwrap();
        latencies.record_n(2_000, 2).unwrap();
        Measured { elapsed: Duration::from_secs(2), done: 200, errors: 1, calls: 100, latencies, first_error: None }
    }

    #[test]
    fn the_answer_has_the_promised_shape() {
        let shape = Shape { skus: 10, lines: 2, batch: 2, settled: false };
        let best = Best { name: "fn".into(), per_second: 400.0 };
        let report = Report::new(Name::Place, 8, shape, &measured(), Some(best), BTreeMap::new());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((json["name"].as_str(), json["concurrency"].as_u64()), (Some("place"), Some(8)));
        assert_eq!((json["per_second"].as_f64(), json["ratio"].as_f64()), (Some(100.0), Some(0.25)));
        assert_eq!((json["p50_ms"].as_f64(), json["p99_ms"].as_f64()), (Some(0.5), Some(2.0)));
        assert_eq!(json["yardstick"], serde_json::json!({"name": "fn", "per_second": 400.0}));
        let report = Report::new(Name::Rpc, 8, shape, &measured(), None, BTreeMap::new());
        let json = serde_json::to_value(&report).unwrap();
        assert!(json["yardstick"].is_null() && json["ratio"].is_null());
    }

    #[test]
    fn memory_is_that_of_running_processes() {
        let data = tempfile::tempdir().unwrap();
        assert!(memory(data.path()).is_empty());
        fs::create_dir(data.path().join("run")).unwrap();
        for service in Service::ALL {
            let file = data.path().join("run").join(format!("{}.pid", service.name()));
            fs::write(file, std::process::id().to_string()).unwrap();
        }
        let found = memory(data.path());
        assert!(found.len() == 1 && found["suite"] > 100_000, "{found:?}");
    }
}
