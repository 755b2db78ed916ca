//! `pesan up`, from outside: the real command with a real Postgres and all five services.
#![allow(clippy::unwrap_used)]

mod fill;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take here; reached only when something is wrong.
const BOUND: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
const SERVICES: [&str; 5] = ["order", "inventory", "fulfilment", "billing", "analytics"];

/// A suite that runs.
struct Up {
    process: Child,
    /// Where it is, for other commands.
    endpoints: Vec<(String, String)>,
}

impl Up {
    /// Starts one on free ports; returns when it greets.
    fn start(data: &Path, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pesan"));
        command.arg("up").arg("--data").arg(data).args(flags).env("PESAN_LOG", "warn");
        let mut endpoints = Vec::new();
        let listeners: Vec<TcpListener> = (0..6).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let ports: Vec<u16> = listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect();
        drop(listeners);
        for (service, port) in SERVICES.iter().zip(&ports) {
            let name = service.to_uppercase();
            command.env(format!("PESAN_{name}_LISTEN"), format!("127.0.0.1:{port}"));
            command.env_remove(format!("PESAN_{name}_DATABASE_URL"));
            endpoints.push((format!("PESAN_{name}_ENDPOINT"), format!("http://127.0.0.1:{port}")));
        }
        command.arg("--dashboard-listen").arg(format!("127.0.0.1:{}", ports[5]));
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let greeted = output.lines().map_while(Result::ok).any(|line| line.starts_with("Ctrl-C"));
        assert!(greeted, "the suite did not come up");
        Self { process, endpoints }
    }

    fn pesan(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pesan"));
        command.args(arguments).envs(self.endpoints.iter().cloned());
        command.output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.pesan(&[arguments, &["--output", "json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn stop(mut self) {
        kill(Pid::from_raw(self.process.id().cast_signed()), Signal::SIGTERM).unwrap();
        let status = eventually("the suite ends", || self.process.try_wait().unwrap());
        assert!(status.success(), "{status}");
    }
}

impl Drop for Up {
    /// A test that failed leaves nothing running: everything ends with this process.
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {BOUND:?}");
        std::thread::sleep(POLL);
    }
}

/// Below a folder that the server's user may enter.
fn data() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
    folder
}

#[test]
fn a_suite_keeps_what_it_was_told() {
    let data = data();
    let suite = Up::start(data.path(), &[]);
    let demo = suite.json(&["demo"]);
    assert!(demo.as_array().unwrap().iter().any(|step| step["service"] == "billing"), "{demo}");
    suite.json(&["demo"]);
    let orders = suite.json(&["order", "list", "--channel", "demo"]);
    assert_eq!(orders["orders"].as_array().unwrap().len(), 4, "two in each run");
    let access = data.path().join("run/postgres.json");
    assert_eq!(fs::metadata(&access).unwrap().permissions().mode() & 0o777, 0o600);
    let report = suite.json(&["verify"]);
    assert_eq!(report["ok"], true);
    suite.stop();
    assert!(!access.exists() && !data.path().join("postgres/postmaster.pid").exists());

    let suite = Up::start(data.path(), &[]);
    let number = orders["orders"][0]["number"].as_str().unwrap();
    let journey = suite.json(&["journey", number]);
    let entries = journey["entries"].as_array().unwrap();
    for service in ["order", "inventory", "fulfilment", "billing"] {
        assert!(entries.iter().any(|entry| entry["service"] == service), "{service}: {journey}");
    }
    suite.stop();
}

#[test]
fn history_is_replayed_once_however_often() {
    let data = data();
    let suite = Up::start(data.path(), &[]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/online-retail-excerpt.csv");
    let replay = || suite.json(&["replay", "online-retail", file.to_str().unwrap(), "--patience", "60"]);
    let first = replay();
    assert_eq!(
        (first["orders"].as_u64(), first["guest_orders"].as_u64(), first["customers"].as_u64()),
        (Some(23), Some(4), Some(11))
    );
    assert_eq!(
        (first["lines"].as_u64(), first["units"].as_u64(), first["gross"].as_str()),
        (Some(222), Some(2_660), Some("5164.66"))
    );
    assert_eq!((first["return_invoices"].as_u64(), first["return_rows"].as_u64()), (Some(17), Some(92)));
    assert_eq!((first["returns_value"].as_str(), first["rejected_rows"].as_u64()), (Some("-2431.51"), Some(8)));
    assert_eq!(first["differences"], serde_json::json!([]));
    assert_eq!(suite.json(&["verify"])["ok"], true);

    let heads = || {
        SERVICES[..4]
            .iter()
            .map(|service| suite.json(&["feed", "position", service])["head"].clone())
            .collect::<Vec<_>>()
    };
    let before = heads();
    let second = replay();
    for field in ["orders", "lines", "gross", "returns_value", "kpis"] {
        assert_eq!(first[field], second[field], "{field}");
    }
    assert_eq!(before, heads(), "the second replay changed something");
    suite.stop();
}

#[test]
fn a_service_that_is_killed_comes_back() {
    // The services' own binaries lie beside ours.
    let beside = Path::new(env!("CARGO_BIN_EXE_pesan"));
    for service in SERVICES {
        let binary = beside.with_file_name(format!("pesan-{service}"));
        assert!(binary.exists(), "{} is not built: cargo build --workspace --bins", binary.display());
    }
    let data = data();
    let suite = Up::start(data.path(), &["--separate"]);
    let file = data.path().join("run/billing.pid");
    let pid = || fs::read_to_string(&file).ok()?.parse::<i32>().ok();
    let killed = pid().unwrap();
    kill(Pid::from_raw(killed), Signal::SIGKILL).unwrap();
    eventually("billing has another process", || pid().filter(|pid| *pid != killed));
    eventually("all is proven again", || suite.pesan(&["verify", "--settle", "1"]).status.success().then_some(()));
    let environment = fs::read(format!("/proc/{}/cmdline", pid().unwrap())).unwrap();
    assert!(!String::from_utf8_lossy(&environment).contains("postgres://"), "a password among the arguments");
    suite.stop();
    assert!(!file.exists());
}
